//! `POST /v1/responses`: the answer whole, and as a stream of named events.
//!
//! Source: OpenAI API description of 2026-08, responses and their stream events; captured streams in
//! public issue trackers, read 2026-11.

use crate::provider::answer::{Answer, Mark, Reel, Shape};
use crate::provider::chat::{CREATED, tool_call_id};
use crate::provider::request::{Call, Special, Task};
use crate::provider::shelf::{Ending, wanted};
use crate::provider::speech::Speech;
use serde_json::{Value, json};

/// Where a response stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Queued,
    InProgress,
    Over,
    Cancelled,
    /// With this code and message.
    Failed(&'static str, &'static str),
    Incomplete,
}

impl State {
    /// The end that a model asks for by its name.
    pub(crate) fn ending(model: &str) -> State {
        match wanted(model) {
            None | Some(Ending::Completed | Ending::Action { .. }) => State::Over,
            Some(Ending::Failed(code, message)) => State::Failed(code, message),
            Some(Ending::Expired | Ending::Cancelled) => State::Cancelled,
            Some(Ending::Incomplete(_)) => State::Incomplete,
        }
    }
}

/// The id that a response has.
pub(crate) fn id(number: u64) -> String {
    format!("resp_sim{number:08}")
}

/// The whole answer; of one in the background the announcement.
pub(crate) fn whole(call: &Call, speech: &Speech, number: u64) -> Answer {
    let state = if call.is_background() { State::Queued } else { State::ending(&call.model) };
    Answer::told(told(call, speech, number, &state))
}

/// A response in some state.
pub(crate) fn told(call: &Call, speech: &Speech, number: u64, state: &State) -> Value {
    match state {
        State::Queued => response(call, number, "queued"),
        State::InProgress => response(call, number, "in_progress"),
        State::Over => finished(call, speech, number),
        State::Cancelled => response(call, number, "cancelled"),
        State::Failed(code, message) => {
            let mut failed = response(call, number, "failed");
            failed["error"] = json!({ "code": code, "message": message });
            failed
        }
        State::Incomplete => {
            let mut incomplete = finished(call, speech, number);
            incomplete["status"] = "incomplete".into();
            incomplete["completed_at"] = Value::Null;
            incomplete["incomplete_details"] = json!({ "reason": "content_filter" });
            incomplete
        }
    }
}

fn finished(call: &Call, speech: &Speech, number: u64) -> Value {
    let status = if speech.cut { "incomplete" } else { "completed" };
    let mut response = response(call, number, status);
    response["output"] = json!([item(call, &speech.text, number, status)]);
    response["usage"] = json!({
        "input_tokens": call.prompt_tokens,
        "input_tokens_details": { "cached_tokens": 0, "cache_write_tokens": 0 },
        "output_tokens": speech.len(),
        "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": call.prompt_tokens + speech.len() as u64,
    });
    if speech.cut {
        response["incomplete_details"] = json!({ "reason": "max_output_tokens" });
    } else {
        response["completed_at"] = json!(CREATED);
    }
    response
}

/// A response without output yet.
fn response(call: &Call, number: u64, status: &str) -> Value {
    let mut response = json!({
        "id": id(number),
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": false,
        "completed_at": null,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "max_tool_calls": null,
        "metadata": {},
        "model": call.model,
        "output": [],
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": { "effort": null, "summary": null },
        "service_tier": "default",
        "store": true,
        "temperature": 1.0,
        "text": { "format": { "type": "text" }, "verbosity": "medium" },
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": null,
        "user": null,
    });
    if let Special::Repeat(fields) = &call.special {
        for (name, value) in fields {
            response[name] = value.clone();
        }
    }
    response
}

/// The one item of the output.
pub(crate) fn item(call: &Call, text: &str, number: u64, status: &str) -> Value {
    match &call.task {
        Task::Text | Task::Json(_) => json!({
            "id": format!("msg_sim{number:08}"),
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": if text.is_empty() { json!([]) } else { json!([part(text)]) },
        }),
        Task::Tool { name, .. } => json!({
            "id": format!("fc_sim{number:08}"),
            "type": "function_call",
            "status": status,
            "call_id": tool_call_id(number),
            "name": name,
            "arguments": text,
        }),
    }
}

fn part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}

/// Writes events with their names and sequence numbers.
struct Script {
    reel: Reel,
    sequence: u64,
}

impl Script {
    fn say(&mut self, mark: Mark, name: &str, mut fields: Value) {
        fields["type"] = json!(name);
        fields["sequence_number"] = json!(self.sequence);
        self.sequence += 1;
        self.reel.event(mark, |out| {
            out.push_str("event: ");
            out.push_str(name);
            out.push_str("\ndata: ");
            out.push_str(&fields.to_string());
            out.push_str("\n\n");
        });
    }
}

/// The same answer as a stream.
pub(crate) fn stream(call: &Call, speech: &Speech, number: u64) -> Answer {
    let mut script = Script { reel: Reel::with_room(4_096 + speech.len() * 200), sequence: 0 };
    let begun = response(call, number, "in_progress");
    script.say(Mark::Open, "response.created", json!({ "response": begun }));
    script.say(Mark::Open, "response.in_progress", json!({ "response": begun }));
    let added = json!({ "output_index": 0, "item": item(call, "", number, "in_progress") });
    script.say(Mark::Open, "response.output_item.added", added);
    match &call.task {
        Task::Text | Task::Json(_) => say_text(&mut script, speech, number),
        Task::Tool { name, .. } => say_arguments(&mut script, speech, name, number),
    }
    let state = State::ending(&call.model);
    if let State::Failed(..) | State::Cancelled = state {
        let failed = told(call, speech, number, &state);
        script.say(Mark::Done, "response.failed", json!({ "response": failed }));
        return Answer::stream(Shape::Responses, script.reel.finish());
    }
    let cut = speech.cut || state == State::Incomplete;
    let status = if cut { "incomplete" } else { "completed" };
    let done = json!({ "output_index": 0, "item": item(call, &speech.text, number, status) });
    script.say(Mark::Finish, "response.output_item.done", done);
    let last = if cut { "response.incomplete" } else { "response.completed" };
    script.say(Mark::Done, last, json!({ "response": told(call, speech, number, &state) }));
    Answer::stream(Shape::Responses, script.reel.finish())
}

fn say_text(script: &mut Script, speech: &Speech, number: u64) {
    let place =
        json!({ "item_id": format!("msg_sim{number:08}"), "output_index": 0, "content_index": 0 });
    let with = |name: &str, value: Value| {
        let mut fields = place.clone();
        fields[name] = value;
        fields
    };
    script.say(Mark::Open, "response.content_part.added", with("part", part("")));
    for token in speech.tokens() {
        let mut fields = with("delta", json!(token));
        fields["logprobs"] = json!([]);
        script.say(Mark::Content, "response.output_text.delta", fields);
    }
    let mut fields = with("text", json!(speech.text));
    fields["logprobs"] = json!([]);
    script.say(Mark::Finish, "response.output_text.done", fields);
    script.say(Mark::Finish, "response.content_part.done", with("part", part(&speech.text)));
}

fn say_arguments(script: &mut Script, speech: &Speech, name: &str, number: u64) {
    let id = format!("fc_sim{number:08}");
    for token in speech.tokens() {
        let fields = json!({ "item_id": id, "output_index": 0, "delta": token });
        script.say(Mark::Content, "response.function_call_arguments.delta", fields);
    }
    let fields =
        json!({ "item_id": id, "output_index": 0, "name": name, "arguments": speech.text });
    script.say(Mark::Finish, "response.function_call_arguments.done", fields);
}
