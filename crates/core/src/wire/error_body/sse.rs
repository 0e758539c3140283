//! Finds an error inside an event stream, and tells whether the stream came to its end.

use super::{BODY_MAX, ErrorBody, Shape};
use alloc::string::String;
use serde_json::Value;

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With its terminal event.
    Complete,
    /// Without one.
    Open,
    /// An event cannot be read.
    Garbled,
    /// There is no event in it at all: a plain body, whatever its headers say.
    NotAStream,
}

/// Reads an event stream for its first error. Long streams are read at both ends only: errors
/// come first or last.
pub(crate) fn read_stream(body: &[u8]) -> (Option<ErrorBody>, Ending) {
    let head = body.get(..BODY_MAX).unwrap_or(body);
    let (found, mut ending) = read_part(head, body.len() <= BODY_MAX);
    if found.is_some() || body.len() <= BODY_MAX || ending == Ending::NotAStream {
        return (found, ending);
    }
    let from = body.len().saturating_sub(BODY_MAX).max(head.len());
    let tail = body.get(from..).unwrap_or_default();
    // The first line of the tail is likely cut in the middle.
    let line = tail.iter().position(|b| *b == b'\n').map_or(tail.len(), |at| at + 1);
    let (found, at_end) = read_part(tail.get(line..).unwrap_or_default(), true);
    if at_end != Ending::NotAStream {
        ending = at_end;
    }
    (found, ending)
}

fn read_part(part: &[u8], whole: bool) -> (Option<ErrorBody>, Ending) {
    let text = String::from_utf8_lossy(part);
    let (mut seen, mut complete, mut garbled) = (false, false, false);
    let mut event = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let line = line.trim_start();
        if let Some(name) = line.strip_prefix("event:") {
            event = name.trim().into();
            seen = true;
            complete |= matches!(event.as_str(), "message_stop" | "response.completed" | "done");
        } else if line.starts_with(':') {
            seen = true;
        }
        let Some(data) = line.strip_prefix("data:").map(str::trim) else { continue };
        seen = true;
        if data == "[DONE]" {
            complete = true;
            continue;
        }
        let last = lines.peek().is_none();
        let value = serde_json::Deserializer::from_str(data).into_iter::<Value>().next();
        let failed = event == "error" || event.ends_with(".failed");
        match value {
            Some(Ok(value)) => {
                complete |= terminal(&value);
                if let Some(said) = error_of(&value, failed) {
                    return (Some(said), Ending::Open);
                }
            }
            _ if failed || data.contains("\"error\"") => {
                return (Some(ErrorBody::read(data.as_bytes())), Ending::Open);
            }
            // A last line without its end was cut by us or by the wire; that is no garbage.
            _ => garbled |= !data.is_empty() && !(last && (!whole || !text.ends_with('\n'))),
        }
    }
    let ending = match (seen, garbled, complete) {
        (false, _, _) => Ending::NotAStream,
        (true, true, _) => Ending::Garbled,
        (true, false, true) => Ending::Complete,
        (true, false, false) => Ending::Open,
    };
    (None, ending)
}

fn error_of(value: &Value, failed: bool) -> Option<ErrorBody> {
    let mut said = ErrorBody { shape: Shape::Json, ..ErrorBody::default() };
    said.gather(value);
    let nested = value.get("response").and_then(|response| response.get("error"));
    if !(failed || said.is_error || nested.is_some_and(Value::is_object)) {
        return None;
    }
    said.is_error = true;
    said.finish();
    Some(said)
}

/// Events after which nothing more is owed: a finish reason (chat and text completions), the end
/// of a response, message or run.
fn terminal(value: &Value) -> bool {
    if let Some(Value::Array(choices)) = value.get("choices") {
        return choices
            .iter()
            .any(|choice| choice.get("finish_reason").is_some_and(Value::is_string));
    }
    matches!(
        value.get("type").and_then(Value::as_str),
        Some(
            "response.completed"
                | "response.incomplete"
                | "message_stop"
                | "speech.audio.done"
                | "transcript.text.done"
                | "image_generation.completed"
        )
    )
}
