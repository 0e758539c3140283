//! From a ruling to what goes on the wire.

use crate::fault::Order;
use crate::fault::play::{Course, play, sound};
use crate::provider::answer::{Answer, Content, Pace};
use crate::provider::desk::{Incoming, Outcome, Verdict};
use crate::provider::kinds::{Acts, Facts, KindSpec, Wait, error_body};
use crate::provider::look::Asked;
use crate::provider::request::{Api, Call};
use crate::provider::speech::speak;
use crate::provider::{chat, completions, embeddings, responses, runs};
use crate::scenario::{Scenario, What};

/// Makes the answer that was ruled.
pub(crate) fn conclude(
    incoming: &Incoming<'_>,
    scenario: &Scenario,
    asked: Asked,
    verdict: Verdict,
) -> Course {
    let number = verdict.number;
    let call = match asked {
        Asked::Settled(answer) => {
            return sound(labelled(*answer, number, Vec::new()), Pace::default());
        }
        // The desk has looked it up.
        Asked::Stored => None,
        Asked::Demand(_, api, call) => call.map(|call| (api, call)),
        Asked::Call(api, call) => Some((api, call)),
    };
    let model = call.as_ref().map_or("sim", |(_, call)| call.model.as_str());
    let saying = || match &call {
        Some((api, call)) => said(*api, call, scenario, number),
        None => Answer::json(200, "{}".into()),
    };
    let mut course = match verdict.outcome {
        Outcome::Answer(answer) => sound(labelled(*answer, number, verdict.headers), verdict.pace),
        Outcome::Serve => {
            let answer = labelled(saying(), number, verdict.headers);
            let whole = matches!(answer.content, Content::Whole(_));
            let mut course = sound(answer, verdict.pace);
            if whole {
                // A whole answer is sent when its first token could be.
                course.delay = verdict.pace.first_token;
            }
            course
        }
        Outcome::Trouble(What::Fault(order), _) => {
            play(&order, labelled(saying(), number, verdict.headers), verdict.pace)
        }
        Outcome::Trouble(What::Kind(kind), wait) => {
            let id = request_id(number);
            let wait = wait.as_ref().unwrap_or(&scenario.retry_after);
            let facts =
                Facts { model, method: incoming.method, path: incoming.path, id: &id, wait };
            match (KindSpec::named(kind), kind_answer(kind, &facts)) {
                (_, Some(answer)) => sound(labelled(answer, number, verdict.headers), verdict.pace),
                (Some(KindSpec { acts: Acts::Wire(fault), .. }), None) => play(
                    &Order::of(*fault),
                    labelled(saying(), number, verdict.headers),
                    verdict.pace,
                ),
                (_, None) => sound(labelled(saying(), number, verdict.headers), verdict.pace),
            }
        }
        Outcome::Trouble(What::Status(status), wait) => {
            let answer = status_answer(status, wait.as_ref());
            sound(labelled(answer, number, verdict.headers), verdict.pace)
        }
    };
    course.delay += verdict.delay;
    course
}

fn kind_answer(kind: &str, facts: &Facts<'_>) -> Option<Answer> {
    KindSpec::named(kind)?.answer(facts)
}

/// A failing status with a body that names no cause.
fn status_answer(status: u16, wait: Option<&Wait>) -> Answer {
    let kind = if status >= 500 { "server_error" } else { "invalid_request_error" };
    let message = format!("The simulator was asked to answer with status {status}.");
    let mut answer = Answer::json(status, error_body(&message, Some(kind), None, None));
    if let Some(wait) = wait {
        answer.headers = crate::provider::kinds::wait_headers(wait);
    }
    answer
}

/// The id a request has in `x-request-id`.
fn request_id(number: u64) -> String {
    format!("req_{number:032x}")
}

/// Adds the headers that every answer has.
///
/// Source: OpenAI API reference, debugging headers, read 2026-11.
fn labelled(mut answer: Answer, number: u64, limits: Vec<(&'static str, String)>) -> Answer {
    answer.headers.extend(limits);
    answer.headers.push(("x-request-id", request_id(number)));
    answer.headers.push(("openai-processing-ms", "1".into()));
    answer.headers.push(("openai-version", "2020-10-01".into()));
    answer.headers.push(("openai-organization", "org-sim".into()));
    answer
}

/// What the model says.
fn said(api: Api, call: &Call, scenario: &Scenario, number: u64) -> Answer {
    let speech = speak(call, &scenario.manner);
    match (api, call.stream) {
        (Api::Chat, false) => chat::whole(call, &speech, number),
        (Api::Chat, true) => chat::stream(call, &speech, number),
        (Api::Responses, false) => responses::whole(call, &speech, number),
        (Api::Responses, true) => responses::stream(call, &speech, number),
        (Api::Completions, false) => completions::whole(call, &speech, number),
        (Api::Completions, true) => completions::stream(call, &speech, number),
        (Api::Embeddings, _) => embeddings::whole(call),
        (Api::Runs, stream) => runs::answer(call, &speech, stream),
    }
}
