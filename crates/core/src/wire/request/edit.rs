//! Changes to a request body by splicing: every byte that is not meant keeps its place and form.

use alloc::vec::Vec;
use core::ops::Range;

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
    const OPTION: &[u8] = b"\"include_usage\":true";
    const OPTIONS: &[u8] = b"\"stream_options\":{\"include_usage\":true}";
    if peek.include_usage == Some(true) {
        return None;
    }
    let spans = &peek.spans;
    Some(match (&spans.include_usage, spans.options, &spans.stream_options) {
        (Some(value), _, _) => splice(body, value.clone(), b"true"),
        (None, Some((inside, empty)), _) => insert_key(body, inside, empty, OPTION),
        (None, None, Some(value)) => splice(body, value.clone(), b"{\"include_usage\":true}"),
        (None, None, None) => insert_key(body, spans.body, spans.empty, OPTIONS),
    })
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
fn splice(body: &[u8], span: Range<usize>, new: &[u8]) -> Vec<u8> {
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
