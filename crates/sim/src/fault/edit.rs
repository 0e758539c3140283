//! Edits of an answer: events added, dropped or changed, a whole body spoilt.

use crate::provider::answer::{Answer, Content, Event, Mark, Shape};
use crate::provider::chat::CREATED;
use crate::provider::encode::quoted;
use crate::provider::kinds::{Acts, KindSpec, error_body};
use bytes::Bytes;

/// An error as JSON where no error was due.
pub(super) fn in_band_error(kind: &KindSpec) -> String {
    kind.body()
        .unwrap_or_else(|| error_body("An error occurred.", Some("server_error"), None, None))
}

/// Changes the events of a stream, or a whole body.
fn change(
    answer: Answer,
    events: impl FnOnce(&mut Vec<Event>, Shape),
    body: impl FnOnce(Bytes) -> Bytes,
) -> Answer {
    let content = match answer.content {
        Content::Events(mut list) => {
            events(&mut list, answer.shape);
            Content::Events(list)
        }
        Content::Whole(whole) => Content::Whole(body(whole)),
    };
    Answer { content, ..answer }
}

/// Changes the events of a stream; a whole body stays.
fn change_events(answer: Answer, events: impl FnOnce(&mut Vec<Event>, Shape)) -> Answer {
    change(answer, events, |body| body)
}

pub(super) fn without_done(answer: Answer) -> Answer {
    change_events(answer, |events, _| events.retain(|event| event.mark != Mark::Done))
}

pub(super) fn without_finish(answer: Answer) -> Answer {
    let begun = |event: &Event| matches!(event.mark, Mark::Open | Mark::Content);
    change_events(answer, |events, _| events.retain(begun))
}

pub(super) fn done_twice(answer: Answer) -> Answer {
    change_events(answer, |events, _| events.extend(events.last().cloned()))
}

pub(super) fn without_usage(answer: Answer) -> Answer {
    let in_stream = |events: &mut Vec<Event>, shape| {
        events.retain(|event| event.mark != Mark::Usage);
        match shape {
            Shape::Responses => change_last(events, |data| json_without_usage(data, "/response")),
            // The run and its step tell it, in the events before the marker.
            Shape::Runs => {
                for at in 0..events.len().saturating_sub(1) {
                    change_last(&mut events[..=at], |data| json_without_usage(data, ""));
                }
            }
            Shape::Media => change_last(events, |data| json_without_usage(data, "")),
            Shape::Chat | Shape::Plain => {}
        }
    };
    change(answer, in_stream, |body| json_without_usage(&body, ""))
}

/// A broken event after so many pieces of content, or half a body.
pub(super) fn malformed(answer: Answer, after: usize) -> Answer {
    let broken = Bytes::from_static(b"data: {\"id\":\"chatcmpl-sim\",\"object\":\"chat.compl\n\n");
    let in_stream = |events: &mut Vec<Event>, _| {
        events.insert(place(events, after), Event { mark: Mark::Content, bytes: broken });
    };
    change(answer, in_stream, |body| body.slice(..body.len() / 2))
}

/// An error after so many pieces of content, or at the very start.
pub(super) fn error_at(answer: Answer, after: Option<usize>, kind: &KindSpec) -> Answer {
    let in_stream = |events: &mut Vec<Event>, shape| {
        let start = if shape == Shape::Responses { 2.min(events.len()) } else { 0 };
        let kept = after.map_or(start, |after| place(events, after));
        end_with_error(events, kept, shape, kind);
    };
    change(answer, in_stream, |_| in_band_error(kind).into())
}

pub(super) fn finished_by_error(answer: Answer, kind: &KindSpec) -> Answer {
    change_events(answer, |events, shape| {
        if shape == Shape::Runs {
            for event in events.iter_mut() {
                fail_run(event, kind);
            }
        }
        if shape == Shape::Responses {
            let failed = failed_event(events.len().saturating_sub(1), kind);
            events.pop();
            events.push(Event { mark: Mark::Done, bytes: failed.into() });
        }
        for event in events.iter_mut().filter(|event| event.mark == Mark::Finish) {
            let (from, to) =
                ("\"finish_reason\":\"", "\"finish_reason\":\"error\",\"native_finish_reason\":\"");
            event.bytes = replace_in(&event.bytes, from, to);
        }
    })
}

pub(super) fn with_crlf(answer: Answer) -> Answer {
    change_events(answer, |events, _| {
        for event in events {
            event.bytes = replace_in(&event.bytes, "\n", "\r\n");
        }
    })
}

/// Where the event after `after` pieces of content stands; before the finish if there are fewer.
pub(super) fn place(events: &[Event], after: usize) -> usize {
    let contents = events.iter().enumerate().filter(|(_, event)| event.mark == Mark::Content);
    let nth = contents.map(|(at, _)| at).nth(after);
    let end = || events.iter().position(|event| !matches!(event.mark, Mark::Open | Mark::Content));
    nth.or_else(end).unwrap_or(events.len())
}

/// The bytes of a body, without its division into events.
pub(super) fn joined(content: &Content) -> Bytes {
    match content {
        Content::Whole(bytes) => bytes.clone(),
        Content::Events(events) => {
            events.iter().flat_map(|event| event.bytes.iter().copied()).collect()
        }
    }
}

/// An error inside the stream in the form its API has for it, and nothing after it.
///
/// Source: the Responses API sends the nested error event and then `response.failed`; the chat API a
/// nameless event with an `error` object. Captured streams, read 2026-11.
fn end_with_error(events: &mut Vec<Event>, kept: usize, shape: Shape, kind: &KindSpec) {
    events.truncate(kept);
    let error = in_band_error(kind);
    let inner = |error: &str| {
        let inner = error.strip_prefix(r#"{"error":"#).and_then(|rest| rest.strip_suffix('}'));
        inner.expect("an error body is an object with one key").to_owned()
    };
    let bytes = if shape == Shape::Runs {
        // Flat, as the vendor's description has it (`ErrorEvent`), read 2026-11.
        format!("event: error\ndata: {}\n\n", inner(&error))
    } else if shape == Shape::Responses {
        let inner = inner(&error);
        let data = format!(r#"{{"type":"error","error":{inner},"sequence_number":{kept}}}"#);
        format!("event: error\ndata: {data}\n\n{}", failed_event(kept + 1, kind))
    } else if shape == Shape::Media {
        let data = format!(r#"{{"type":"error","error":{}}}"#, inner(&error));
        format!("event: error\ndata: {data}\n\n")
    } else {
        format!("data: {error}\n\n")
    };
    events.push(Event { mark: Mark::Finish, bytes: bytes.into() });
}

/// Makes the event of a completed run one of a failed run.
fn fail_run(event: &mut Event, kind: &KindSpec) {
    let text = String::from_utf8_lossy(&event.bytes).into_owned();
    let Some(data) = text.strip_prefix("event: thread.run.completed\ndata: ") else { return };
    let Ok(mut run) = serde_json::from_str::<serde_json::Value>(data) else { return };
    // Source: OpenAI API description, `RunObject.last_error`, three codes, read 2026-11.
    let code =
        if kind.name.starts_with("rate_limit") { "rate_limit_exceeded" } else { "server_error" };
    run["status"] = "failed".into();
    run["completed_at"] = serde_json::Value::Null;
    run["failed_at"] = CREATED.into();
    run["last_error"] =
        serde_json::json!({ "code": code, "message": "The run came to a bad end." });
    event.bytes = format!("event: thread.run.failed\ndata: {run}\n\n").into();
}

fn failed_event(sequence: usize, kind: &KindSpec) -> String {
    let (code, message) = match kind.acts {
        Acts::Json { code, message, .. } => (code.unwrap_or("server_error"), quoted(message)),
        Acts::Page { .. } | Acts::Wire(_) => ("server_error", quoted("An error occurred.")),
    };
    let response = format!(
        r#"{{"id":"resp_sim","object":"response","created_at":0,"status":"failed","error":{{"code":"{code}","message":{message}}},"incomplete_details":null,"instructions":null,"metadata":{{}},"model":"sim","output":[],"parallel_tool_calls":true,"temperature":1.0,"tool_choice":"auto","tools":[],"top_p":1.0,"usage":null}}"#
    );
    format!(
        "event: response.failed\ndata: {{\"type\":\"response.failed\",\"response\":{response},\"sequence_number\":{sequence}}}\n\n"
    )
}

fn replace_in(bytes: &Bytes, from: &str, to: &str) -> Bytes {
    String::from_utf8_lossy(bytes).replace(from, to).into()
}

/// Changes the JSON of the last event.
fn change_last(events: &mut [Event], change: impl Fn(&[u8]) -> Bytes) {
    let Some(last) = events.last_mut() else { return };
    let text = String::from_utf8_lossy(&last.bytes).into_owned();
    if let Some((name, data)) = text.split_once("data: ") {
        let data = change(data.trim_end().as_bytes());
        last.bytes = format!("{name}data: {}\n\n", String::from_utf8_lossy(&data)).into();
    }
}

fn json_without_usage(json: &[u8], at: &str) -> Bytes {
    let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(json) else {
        return Bytes::copy_from_slice(json);
    };
    if let Some(fields) = value.pointer_mut(at).and_then(|value| value.as_object_mut()) {
        fields.remove("usage");
    }
    value.to_string().into()
}
