//! Runs of assistants: the answer whole, and as a stream of named events.
//!
//! Source: OpenAI API description of 2026-08, assistants, their objects and stream events.

use crate::provider::answer::{Answer, Mark, Reel, Shape};
use crate::provider::chat::CREATED;
use crate::provider::request::{Call, Special};
use crate::provider::shelf::{Place, thread_object};
use crate::provider::speech::Speech;
use serde_json::{Value, json};

/// The run, or the stream of its events.
pub(crate) fn answer(call: &Call, speech: &Speech, stream: bool) -> Answer {
    let Special::Run(place) = &call.special else { return Answer::json(200, "{}".into()) };
    let ending = if speech.cut { "incomplete" } else { "completed" };
    if stream {
        events(call, place, speech, ending)
    } else {
        let run = run_object(place, &call.model, ending, Some((call, speech)));
        Answer::json(200, run.to_string())
    }
}

fn usage(call: &Call, speech: &Speech) -> Value {
    let answer = speech.len() as u64;
    json!({
        "prompt_tokens": call.prompt_tokens, "completion_tokens": answer,
        "total_tokens": call.prompt_tokens + answer,
    })
}

/// A run in some state; with what it used once it is over.
pub(crate) fn run_object(
    place: &Place,
    model: &str,
    status: &str,
    over: Option<(&Call, &Speech)>,
) -> Value {
    let cut = status == "incomplete";
    json!({
        "id": place.run, "object": "thread.run", "created_at": CREATED, "assistant_id": place.assistant,
        "thread_id": place.thread, "status": status,
        "started_at": (status != "queued").then_some(CREATED), "expires_at": CREATED + 600,
        "cancelled_at": null, "failed_at": (status == "failed").then_some(CREATED),
        "completed_at": (status == "completed").then_some(CREATED), "required_action": null,
        "last_error": null, "model": model, "instructions": "", "tools": [], "metadata": {},
        "incomplete_details": cut.then(|| json!({ "reason": "max_completion_tokens" })),
        "usage": over.map(|(call, speech)| usage(call, speech)), "temperature": 1.0, "top_p": 1.0,
        "max_prompt_tokens": null, "max_completion_tokens": null,
        "truncation_strategy": { "type": "auto", "last_messages": null },
        "response_format": "auto", "tool_choice": "auto", "parallel_tool_calls": true,
    })
}

fn step_object(place: &Place, over: Option<(&Call, &Speech)>) -> Value {
    json!({
        "id": place.step, "object": "thread.run.step", "created_at": CREATED, "run_id": place.run,
        "assistant_id": place.assistant, "thread_id": place.thread, "type": "message_creation",
        "status": if over.is_some() { "completed" } else { "in_progress" }, "cancelled_at": null,
        "completed_at": over.map(|_| CREATED), "expired_at": null, "failed_at": null,
        "last_error": null, "metadata": {},
        "step_details": {
            "type": "message_creation", "message_creation": { "message_id": place.message },
        },
        "usage": over.map(|(call, speech)| usage(call, speech)),
    })
}

/// A message that the assistant writes; whole once there is a text.
pub(crate) fn message_object(place: &Place, text: Option<&str>) -> Value {
    let content =
        text.map(|text| json!({ "type": "text", "text": { "value": text, "annotations": [] } }));
    json!({
        "id": place.message, "object": "thread.message", "created_at": CREATED,
        "assistant_id": place.assistant, "thread_id": place.thread, "run_id": place.run,
        "status": if text.is_some() { "completed" } else { "in_progress" },
        "incomplete_details": null, "incomplete_at": null, "completed_at": text.map(|_| CREATED),
        "role": "assistant", "content": content.as_slice(), "attachments": [], "metadata": {},
    })
}

fn events(call: &Call, place: &Place, speech: &Speech, ending: &str) -> Answer {
    let mut reel = Reel::with_room(6_144 + speech.len() * 220);
    let mut say = |mark, name: &str, data: &Value| {
        reel.event(mark, |out| {
            out.extend(["event: ", name, "\ndata: ", &data.to_string(), "\n\n"]);
        });
    };
    if place.new_thread {
        say(Mark::Open, "thread.created", &thread_object(&place.thread));
    }
    let run = |status| run_object(place, &call.model, status, None);
    say(Mark::Open, "thread.run.created", &run("queued"));
    say(Mark::Open, "thread.run.queued", &run("queued"));
    say(Mark::Open, "thread.run.in_progress", &run("in_progress"));
    let step = step_object(place, None);
    say(Mark::Open, "thread.run.step.created", &step);
    say(Mark::Open, "thread.run.step.in_progress", &step);
    let message = message_object(place, None);
    say(Mark::Open, "thread.message.created", &message);
    say(Mark::Open, "thread.message.in_progress", &message);
    for token in speech.tokens() {
        let part = json!({ "index": 0, "type": "text", "text": { "value": token } });
        let delta = json!({
            "id": place.message, "object": "thread.message.delta", "delta": { "content": [part] },
        });
        say(Mark::Content, "thread.message.delta", &delta);
    }
    let over = Some((call, speech));
    say(Mark::Finish, "thread.message.completed", &message_object(place, Some(&speech.text)));
    say(Mark::Finish, "thread.run.step.completed", &step_object(place, over));
    let end = run_object(place, &call.model, ending, over);
    say(Mark::Finish, &format!("thread.run.{ending}"), &end);
    reel.event(Mark::Done, |out| out.push_str("event: done\ndata: [DONE]\n\n"));
    Answer::stream(Shape::Runs, reel.finish())
}
