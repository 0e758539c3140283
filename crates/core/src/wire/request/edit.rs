//! Changes to a request body by splicing: every byte that is not meant keeps its place and form.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::Peek;

/// The body with another model in it; a body without a `model` gets one in front.
///
/// `peek` must come from the same `body`.
pub fn set_model(body: &[u8], peek: &Peek<'_>, model: &str) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(model.len() + 16);
    if let Some(span) = &peek.spans.model {
        quote(&mut quoted, model);
        return splice(body, span.clone(), &quoted);
    }
    quoted.extend_from_slice(b"\"model\":");
    quote(&mut quoted, model);
    insert_key(body, peek.spans.body, peek.spans.empty, &quoted)
}

/// The body with `stream_options.include_usage` true, or `None` when it is so already.
///
/// `peek` must come from the same `body`.
pub fn add_include_usage(body: &[u8], peek: &Peek<'_>) -> Option<Vec<u8>> {
    let (span, new) = peek.usage_ask()?;
    Some(splice(body, span, new.as_bytes()))
}

impl Peek<'_> {
    /// What makes `stream_options.include_usage` true: the part of the body that it takes the place of,
    /// as a byte range, and itself. `None` when it is so already.
    pub fn usage_ask(&self) -> Option<(Range<usize>, &'static str)> {
        if self.include_usage == Some(true) {
            return None;
        }
        let spans = &self.spans;
        Some(match (&spans.include_usage, spans.options, &spans.stream_options) {
            (Some(value), _, _) => (value.clone(), "true"),
            (None, Some((inside, true)), _) => (inside..inside, r#""include_usage":true"#),
            (None, Some((inside, false)), _) => (inside..inside, r#""include_usage":true,"#),
            (None, None, Some(value)) => (value.clone(), r#"{"include_usage":true}"#),
            (None, None, None) => {
                let new = if spans.empty {
                    r#""stream_options":{"include_usage":true}"#
                } else {
                    r#""stream_options":{"include_usage":true},"#
                };
                (spans.body..spans.body, new)
            }
        })
    }
}

/// The body without the top-level keys in `omit`, and with those in `rename` under their other name;
/// `None` when that changes nothing, or the body is no JSON object. What is kept keeps its bytes. Where a
/// body has a key and the one that it would be renamed to, the latter stays and the former goes.
pub fn fit(body: &[u8], omit: &[Box<str>], rename: &[(Box<str>, Box<str>)]) -> Option<Vec<u8>> {
    let members: Members<'_> = serde_json::from_slice(body).ok()?;
    let has = |name: &str| members.0.iter().any(|(key, _)| key == name);
    let mut edited = Vec::with_capacity(body.len());
    let (mut changed, mut kept, mut end) = (false, false, 0);
    for (key, value) in &members.0 {
        let value = span(body, value)?;
        let new = rename.iter().find(|(old, _)| **old == **key).map(|(_, new)| &**new);
        // From the end of the member before, so that blanks and the comma come along.
        let lead = body.get(end..value.start)?;
        let drops = omit.iter().any(|name| **name == **key) || new.is_some_and(has);
        changed |= drops || new.is_some();
        if end == 0 {
            edited.extend_from_slice(&lead[..=lead.iter().position(|byte| *byte == b'{')?]);
        }
        if !drops {
            let begin = lead.iter().position(|byte| *byte == b'"')?;
            if kept {
                edited.push(b',');
            }
            match new {
                Some(new) => {
                    quote(&mut edited, new);
                    edited.push(b':');
                }
                None => edited.extend_from_slice(&lead[begin..]),
            }
            edited.extend_from_slice(&body[value.clone()]);
            kept = true;
        }
        end = value.end;
    }
    edited.extend_from_slice(body.get(end..)?);
    changed.then_some(edited)
}

/// The members of an object in their order, values as they stand.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'de>, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(Name(key)) = entries.next_key()? {
            members.push((key, entries.next_value()?));
        }
        Ok(Members(members))
    }
}

/// A key, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A chat body that has `text` as its last message, said by the assistant and not finished, and that
/// allows `spent` tokens less than before, at least one. For targets that go on from such a message.
///
/// `None` when the body has no messages or ends with one of the assistant already.
pub fn continue_from(body: &[u8], text: &str, spent: u64) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Asked<'a> {
        #[serde(borrow)]
        messages: &'a RawValue,
        #[serde(borrow, default)]
        max_tokens: Option<&'a RawValue>,
        #[serde(borrow, default)]
        max_completion_tokens: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Said<'a> {
        #[serde(borrow, default)]
        role: Option<Cow<'a, str>>,
    }
    let asked: Asked<'_> = serde_json::from_slice(body).ok()?;
    let said: Vec<Said<'_>> = serde_json::from_str(asked.messages.get()).ok()?;
    if said.last()?.role.as_deref() == Some("assistant") {
        return None;
    }
    let mut message = Vec::with_capacity(text.len() + 64);
    message.extend_from_slice(b",{\"role\":\"assistant\",\"content\":");
    quote(&mut message, text);
    message.push(b'}');
    let end = span(body, asked.messages)?.end.checked_sub(1)?;
    let mut edits = alloc::vec![(end..end, message)];
    for limit in [asked.max_tokens, asked.max_completion_tokens].into_iter().flatten() {
        let Ok(most) = limit.get().parse::<u64>() else { continue };
        let left = most.saturating_sub(spent).max(1);
        edits.push((span(body, limit)?, left.to_string().into_bytes()));
    }
    // From behind, so that places before stay what they are.
    edits.sort_by_key(|(span, _)| core::cmp::Reverse(span.start));
    let mut edited = body.to_vec();
    for (span, new) in edits {
        edited = splice(&edited, span, &new);
    }
    Some(edited)
}

/// Where in `body` a value that was read from it stands.
fn span(body: &[u8], value: &RawValue) -> Option<Range<usize>> {
    let start = value.get().as_ptr().addr().checked_sub(body.as_ptr().addr())?;
    let end = start + value.get().len();
    (end <= body.len()).then_some(start..end)
}

fn insert_key(body: &[u8], at: usize, alone: bool, pair: &[u8]) -> Vec<u8> {
    let mut inserted = Vec::with_capacity(pair.len() + 1);
    inserted.extend_from_slice(pair);
    if !alone {
        inserted.push(b',');
    }
    splice(body, at..at, &inserted)
}

/// `body` with `span` replaced; a span that is not of this body changes nothing.
pub fn splice(body: &[u8], span: Range<usize>, new: &[u8]) -> Vec<u8> {
    let (Some(before), Some(after)) = (body.get(..span.start), body.get(span.end..)) else {
        return body.to_vec();
    };
    let mut edited = Vec::with_capacity(before.len() + new.len() + after.len());
    edited.extend_from_slice(before);
    edited.extend_from_slice(new);
    edited.extend_from_slice(after);
    edited
}

fn quote(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..=0x1f => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
