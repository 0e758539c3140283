//! What a body is by its looks: media type, JSON without an error, a damaged event.

use std::fmt;
use std::marker::PhantomData;

use bytes::{Bytes, BytesMut};
use mainstay_core::wire::answer;
use mainstay_core::wire::endpoint::{Endpoint, Group};
use mainstay_core::wire::sse;
use mainstay_core::wire::usage::{self, Usage};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::fields::{Fields, visible};
use crate::queue::Queue;

/// Whether an event that says nothing, or nothing that can be read, was a piece of the answer
/// before it was damaged: JSON that breaks off, or less than that. Comments, signs of life and
/// words that never were JSON are none.
pub(super) fn is_damaged(event: &[u8]) -> bool {
    let fields = sse::fields(event);
    match fields.data {
        Some(data) => matches!(data.trim_ascii_start().first(), None | Some(b'{')),
        None if matches!(fields.name, Some(b"ping" | b"keepalive" | b"heartbeat")) => false,
        None => event
            .strip_prefix(b"\xEF\xBB\xBF")
            .unwrap_or(event)
            .split(|byte| matches!(byte, b'\n' | b'\r'))
            .any(|line| {
                let known =
                    [&b":"[..], b"id", b"retry"].iter().any(|field| line.starts_with(field));
                !line.is_empty() && !known
            }),
    }
}

pub(super) fn is_json_or_marker(data: &[u8]) -> bool {
    data.starts_with(b"[DONE]") || serde_json::from_slice::<IgnoredAny>(data).is_ok()
}

/// What a sound answer tells.
pub(super) struct Sound {
    /// Tokens used, where it names them.
    pub(super) usage: Option<Usage>,
}

/// Reads a whole answer: `None` when it is no JSON, or an error. One pass for that and for the
/// tokens, because an answer may be long.
pub(super) fn sound_answer(body: &[u8]) -> Option<Sound> {
    if let Some(told) = std::str::from_utf8(body).ok().and_then(answer::look) {
        return (!told.error).then_some(Sound { usage: told.usage });
    }
    if !body.trim_ascii_start().starts_with(b"{") {
        return serde_json::from_slice::<IgnoredAny>(body).ok().map(|_| Sound { usage: None });
    }
    let said = serde_json::from_slice::<Said<'_>>(body).ok()?;
    let sound = said.error.is_none_or(|error| matches!(error.get(), "null" | "false"));
    sound.then(|| Sound { usage: said.usage.and_then(|usage| usage::of_member(usage.get())) })
}

/// Two members of an answer. Of one that stands twice the last holds, as for both official SDKs
/// (`json.loads`, `JSON.parse`); a derived reader would take such an answer for a broken one.
struct Said<'a> {
    error: Option<&'a RawValue>,
    usage: Option<&'a RawValue>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Said<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Said<'a>, D::Error> {
        deserializer.deserialize_map(SaidVisitor(PhantomData))
    }
}

struct SaidVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for SaidVisitor<'a> {
    type Value = Said<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Said<'a>, A::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "lowercase")]
        enum Member {
            Error,
            Usage,
            #[serde(other)]
            Other,
        }
        let mut said = Said { error: None, usage: None };
        while let Some(member) = members.next_key()? {
            match member {
                Member::Error => said.error = members.next_value()?,
                Member::Usage => said.usage = members.next_value()?,
                Member::Other => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(said)
    }
}

pub(super) fn join(pieces: &mut Queue<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.pop_front().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    while let Some(piece) = pieces.pop_front() {
        whole.extend_from_slice(&piece);
    }
    whole.freeze()
}

/// What `content-type` says of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    Json,
    Events,
    Text,
    Binary,
    Absent,
}

pub(super) fn media_type(headers: &Fields) -> Media {
    let Some(value) = headers.get("content-type") else { return Media::Absent };
    // What nearly all say.
    match value {
        b"application/json" => return Media::Json,
        b"text/event-stream" => return Media::Events,
        _ => {}
    }
    let Some(text) = visible(value) else { return Media::Binary };
    let kind = text.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match kind.as_str() {
        "application/json" => Media::Json,
        "text/event-stream" => Media::Events,
        kind if kind.ends_with("+json") => Media::Json,
        kind if kind.starts_with("text/") => Media::Text,
        "" => Media::Absent,
        _ => Media::Binary,
    }
}

/// Endpoints whose sound answer is JSON (or a stream) and nothing else.
pub(super) fn answers_json(endpoint: Endpoint) -> bool {
    match endpoint.group() {
        Group::Chat
        | Group::Responses
        | Group::Completions
        | Group::Embeddings
        | Group::Moderations
        | Group::Images
        | Group::Threads
        | Group::Runs
        | Group::Batches
        | Group::Models => true,
        Group::Audio | Group::Files | Group::Other => false,
    }
}

/// Endpoints whose answer is what was heard in a recording, which may be billed by its length.
pub(super) fn hears(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::Transcriptions | Endpoint::Translations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_member_that_stands_twice_the_last_holds() {
        let used = |body: &str| sound_answer(body.as_bytes()).map(|sound| sound.usage);
        let (seven, none) = (r#""usage":{"prompt_tokens":7}"#, r#""usage":null"#);
        let usage = Some(Usage { input: 7, ..Usage::default() });
        assert_eq!(used(&format!("{{{none},{seven}}}")), Some(usage));
        assert_eq!(used(&format!("{{{seven},\"id\":1,{none}}}")), Some(None));
        assert_eq!(used(r#"{"error":{"code":1},"error":null}"#), Some(None));
        assert_eq!(used(r#"{"error":null,"error":{"code":1}}"#), None);
        assert_eq!(used(r#"{"usage":{},"usage":{"#), None, "cut short");
    }
}
