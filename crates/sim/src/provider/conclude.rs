//! From a ruling to what goes on the wire.

use crate::fault::Order;
use crate::fault::play::{Course, play, sound};
use crate::provider::answer::{Answer, Content, Pace};
use crate::provider::bill::{self, Bill};
use crate::provider::desk::on_demand;
use crate::provider::desk::{Incoming, Outcome, Verdict};
use crate::provider::kinds::{Acts, Facts, KindSpec, Wait, error_body};
use crate::provider::look::Asked;
use crate::provider::refusal::Refusal;
use crate::provider::request::{Api, Call, read};
use crate::provider::speech::{Manner, speak};
use crate::provider::{audio, chat, completions, embeddings, images, moderations, responses, runs};
use crate::scenario::{Scenario, What};
use std::time::Duration;

/// Makes the answer that was ruled.
pub(crate) fn conclude(
    incoming: &Incoming<'_>,
    scenario: &Scenario,
    asked: Asked,
    verdict: Verdict,
) -> Course {
    let number = verdict.number;
    let mut stored = None;
    let call = match asked {
        Asked::Settled(answer) => {
            return sound(labelled(*answer, number, Vec::new()), Pace::default());
        }
        // The desk has looked it up.
        Asked::Stored(_) => None,
        Asked::Spoilt(answer, ..) => {
            stored = Some(*answer);
            None
        }
        Asked::Demand(_, api, call) => call.map(|call| (api, call)),
        Asked::Call(api, call) => Some((api, call)),
    };
    let model = call.as_ref().map_or("sim", |(_, call)| call.model.as_str());
    let saying = || {
        let Some((api, call)) = &call else {
            let answer = stored.clone().unwrap_or_else(|| Answer::json(200, "{}".into()));
            return (answer, Bill::default());
        };
        said(*api, call, &scenario.manner, number)
    };
    let mut course = match verdict.outcome {
        Outcome::Answer(answer) => sound(labelled(*answer, number, verdict.headers), verdict.pace),
        Outcome::Serve => {
            let (answer, bill) = saying();
            let answer = labelled(answer, number, verdict.headers);
            let whole = matches!(answer.content, Content::Whole(_));
            let mut course = Course { bill, ..sound(answer, verdict.pace) };
            if whole {
                // A whole answer is sent when its first token could be.
                course.delay = verdict.pace.first_token;
            }
            course
        }
        Outcome::Trouble(What::Fault(order), _) => {
            play(&order, labelled(saying().0, number, verdict.headers), verdict.pace)
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
                    labelled(saying().0, number, verdict.headers),
                    verdict.pace,
                ),
                (_, None) => sound(labelled(saying().0, number, verdict.headers), verdict.pace),
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

/// Status and body of the answer to a request that stands alone in a file: no key, no limits; `None`
/// where no sound answer would come.
pub(crate) fn alone(
    path: &str,
    body: &[u8],
    manner: &Manner,
    number: u64,
) -> Option<(u16, serde_json::Value)> {
    let answer = match Api::at(path).map(|api| (api, read(api, body, None))) {
        None => Refusal::new(404, format!("Invalid URL (POST {path})")).answer(),
        Some((_, Err(refusal))) => refusal.answer(),
        Some((api, Ok(call))) => match on_demand(&call.model) {
            None => said(api, &Call { stream: false, ..call }, manner, number).0,
            Some(What::Kind(kind)) => {
                let (id, wait) = (request_id(number), Wait::For(Duration::from_secs(1)));
                let facts =
                    Facts { model: &call.model, method: "POST", path, id: &id, wait: &wait };
                kind_answer(kind, &facts)?
            }
            Some(What::Fault(_) | What::Status(_)) => return None,
        },
    };
    let Content::Whole(bytes) = answer.content else { return None };
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
    Some((answer.status, body))
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

/// What the model says, and what that costs.
fn said(api: Api, call: &Call, manner: &Manner, number: u64) -> (Answer, Bill) {
    let speech = speak(call, manner);
    let answer = match (api, call.stream) {
        (Api::Chat, false) => chat::whole(call, &speech, number),
        (Api::Chat, true) => chat::stream(call, &speech, number),
        (Api::Responses, false) => responses::whole(call, &speech, number),
        (Api::Responses, true) => responses::stream(call, &speech, number),
        (Api::Completions, false) => completions::whole(call, &speech, number),
        (Api::Completions, true) => completions::stream(call, &speech, number),
        (Api::Embeddings, _) => embeddings::whole(call),
        (Api::Runs, stream) => runs::answer(call, &speech, stream),
        (Api::Moderations, _) => moderations::answer(call, number),
        (Api::Images | Api::ImageEdits | Api::ImageVariations, _) => images::answer(call, number),
        (Api::Speech | Api::Transcriptions | Api::Translations, _) => audio::answer(call, &speech),
        // What is stored calls no model.
        (Api::Stored(_), _) => Answer::json(200, "{}".into()),
    };
    (answer, bill::of(api, call, &speech))
}
