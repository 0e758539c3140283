//! What may be kept of a request: its shape without its texts, a few headers, and an error's message
//! without what it echoes. By lists of what stays, not of what goes.

use std::collections::HashSet;
use std::fmt::Write as _;

use mainstay::Fields;
use mainstay_core::mask;
use mainstay_core::store::FailureNote;
use serde_json::Value;

use crate::settings::Secrets;

/// Headers that may be kept: they tell of the program and its SDK, not of people or content.
const HEADERS: [&str; 17] = [
    "accept",
    "accept-encoding",
    "content-encoding",
    "content-length",
    "content-type",
    "openai-beta",
    "user-agent",
    "x-stainless-arch",
    "x-stainless-async",
    "x-stainless-lang",
    "x-stainless-os",
    "x-stainless-package-version",
    "x-stainless-read-timeout",
    "x-stainless-retry-count",
    "x-stainless-runtime",
    "x-stainless-runtime-version",
    "x-stainless-timeout",
];
/// Longest value of a header, in bytes.
const HEADER_MAX: usize = 128;

/// Members whose names stay. Any other name is replaced like a text: callers choose names in
/// `metadata` and in schemas.
const NAMES: &str = " audio background best_of chunking_strategy content conversation count detail \
    dimensions echo encoding_format endpoint file file_id format frequency_penalty function \
    function_call functions image image_url include include_usage input input_audio instructions \
    items json_schema language logit_bias logprobs max_completion_tokens max_output_tokens \
    max_tokens max_tool_calls messages metadata modalities mode model moderation n name \
    output_compression output_format parallel_tool_calls parameters prediction presence_penalty \
    previous_response_id prompt prompt_cache_key quality reasoning reasoning_effort \
    response_format role schema seed service_tier size stop store stream stream_options strict \
    style suffix summary temperature text timestamp_granularities tool_call_id tool_calls \
    tool_choice tool_resources tools top_logprobs top_p truncation type url user verbosity voice ";

/// Members whose value stays when it is a word: chosen from a list of the API, not by people.
const WORDS: &str = " detail encoding_format effort format modalities mode model quality \
    reasoning_effort response_format role service_tier size style tool_choice truncation type \
    verbosity voice ";

/// Members whose number stays.
const NUMBERS: &str = " best_of dimensions frequency_penalty max_completion_tokens \
    max_output_tokens max_tokens max_tool_calls n presence_penalty seed temperature top_logprobs \
    top_p ";

fn listed(list: &str, name: &str) -> bool {
    let word = |name: &str| name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_');
    !name.is_empty() && word(name) && list.split_ascii_whitespace().any(|one| one == name)
}

/// Largest body that is looked into, in bytes.
const BODY_MAX: usize = 256 << 10;

/// A JSON body with every text replaced by its length; `None` when there was no body.
pub(super) fn shape(body: &[u8]) -> Option<String> {
    if body.is_empty() {
        return None;
    }
    let read = (body.len() <= BODY_MAX).then(|| serde_json::from_slice::<Value>(body).ok());
    let mut out = String::new();
    match read.flatten() {
        Some(value) => put(&mut out, "", &value, 0),
        None => out = format!("{{\"…\":\"({} bytes)\"}}", body.len()),
    }
    if out.len() > FailureNote::SHAPE_MAX {
        out.truncate(out.floor_char_boundary(FailureNote::SHAPE_MAX - 8));
        out.push('…');
    }
    Some(out)
}

fn put(out: &mut String, name: &str, value: &Value, depth: usize) {
    const DEPTH_MAX: usize = 12;
    const ITEMS_MAX: usize = 16;
    if depth > DEPTH_MAX || out.len() > FailureNote::SHAPE_MAX {
        out.push_str("\"…\"");
        return;
    }
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
        Value::Number(number) if listed(NUMBERS, name) => {
            let _ = write!(out, "{number}");
        }
        Value::Number(_) => out.push_str("\"…(number)\""),
        Value::String(text) if listed(WORDS, name) && is_word(text) => {
            let _ = write!(out, "\"{text}\"");
        }
        Value::String(text) => hidden(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().take(ITEMS_MAX).enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                put(out, name, item, depth + 1);
            }
            if items.len() > ITEMS_MAX {
                let _ = write!(out, ",\"…(+{})\"", items.len() - ITEMS_MAX);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (name, item)) in members.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                if listed(NAMES, name) {
                    let _ = write!(out, "\"{name}\"");
                } else {
                    hidden(out, name);
                }
                out.push(':');
                put(out, name, item, depth + 1);
            }
            out.push('}');
        }
    }
}

fn hidden(out: &mut String, text: &str) {
    let _ = write!(out, "\"…({})\"", text.chars().count());
}

/// A word of the API or a model's name. Nothing that begins like a credential.
fn is_word(text: &str) -> bool {
    const MOST: usize = 64;
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.:/@".contains(&c);
    text.len() <= MOST && text.bytes().all(plain) && mask::masked(text.as_bytes(), &[]).is_none()
}

/// The body with keys masked, where the operator keeps contents.
pub(super) fn content(body: &[u8], secrets: &Secrets) -> Option<String> {
    if body.is_empty() {
        return None;
    }
    let part = &body[..body.len().min(FailureNote::CONTENT_MAX)];
    let text = String::from_utf8_lossy(part).into_owned();
    Some(masked(text, secrets))
}

/// The headers that may be kept, their values cut.
pub(super) fn headers(all: &Fields) -> Vec<(Box<str>, Box<str>)> {
    let kept = |name: &&str| {
        let value = all.text(name)?;
        let value = &value[..value.floor_char_boundary(HEADER_MAX)];
        Some(((*name).into(), mask::text(value.to_owned()).into()))
    };
    HEADERS.iter().filter_map(kept).collect()
}

fn masked(text: String, secrets: &Secrets) -> String {
    match mask::masked(text.as_bytes(), &secrets.0) {
        Some(masked) => String::from_utf8_lossy(&masked).into_owned(),
        None => text,
    }
}

fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(FailureNote::MESSAGE_MAX)]
}

/// A message of ours: what it quotes of the request is left out, unless it is the name of a parameter.
pub(super) fn own_message(text: &str, param: Option<&str>, secrets: &Secrets) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = short(text);
    while let Some((from, to)) = quoted(rest) {
        let inside = &rest[from..to];
        let known = param == Some(inside) || is_path(inside) || listed(WORDS, inside);
        out.push_str(&rest[..from]);
        out.push_str(if known { inside } else { "…" });
        rest = &rest[to..];
        // The closing quote opens nothing.
        out.push('\'');
        rest = &rest[1..];
    }
    out.push_str(rest);
    masked(out, secrets)
}

/// Where the first text in single quotes stands. An apostrophe inside a word quotes nothing.
fn quoted(text: &str) -> Option<(usize, usize)> {
    let word = |at: Option<usize>| {
        at.and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_alphanumeric)
    };
    let quotes = || text.match_indices('\'').map(|(at, _)| at);
    let open = quotes().find(|at| !word(at.checked_sub(1)))?;
    let close = quotes().find(|at| *at > open && !word(Some(at + 1)))?;
    Some((open + 1, close))
}

/// Whether a text is the path of a parameter, such as `messages[0].role`.
fn is_path(text: &str) -> bool {
    text.split(['.', '[', ']']).all(|name| {
        name.is_empty() || listed(NAMES, name) || name.bytes().all(|c| c.is_ascii_digit())
    })
}

/// A provider's message without what it echoes of the request, and without keys.
pub(super) fn message(text: &str, body: &[u8], secrets: &Secrets) -> String {
    let text = masked(short(text).to_owned(), secrets);
    let mut echoed = vec![false; text.len()];
    let body = &body[..body.len().min(BODY_MAX)];
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => each_text(&value, "", &mut |part| mark(&text, part.as_bytes(), &mut echoed)),
        Err(_) => mark(&text, body, &mut echoed),
    }
    let mut out = String::with_capacity(text.len());
    let mut hidden = false;
    for (at, c) in text.char_indices() {
        let now = echoed[at..at + c.len_utf8()].contains(&true);
        match (now, hidden) {
            (true, false) => out.push('…'),
            (true, true) => {}
            (false, _) => out.push(c),
        }
        hidden = now;
    }
    out
}

/// Hands over texts of a request that are content, names that callers choose included.
fn each_text(value: &Value, name: &str, each: &mut dyn FnMut(&str)) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) if !listed(NUMBERS, name) => each(&number.to_string()),
        Value::Number(_) => {}
        Value::String(text) if listed(WORDS, name) && is_word(text) => {}
        Value::String(text) => each(text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, name, each)),
        Value::Object(members) => {
            for (name, item) in members {
                if !listed(NAMES, name) {
                    each(name);
                }
                each_text(item, name, each);
            }
        }
    }
}

/// Marks what `text` has in common with `part`: the whole part, or any run of [`RUN`] bytes.
fn mark(text: &str, part: &[u8], echoed: &mut [bool]) {
    /// Shortest run that counts as an echo; shorter ones are ordinary words.
    const RUN: usize = 12;
    /// Shortest whole text that counts.
    const WHOLE_MIN: usize = 5;
    let text = text.as_bytes();
    let mut hide = |from: usize, length: usize| {
        echoed[from..from + length].iter_mut().for_each(|byte| *byte = true);
    };
    if part.len() < RUN {
        if part.len() >= WHOLE_MIN {
            memchr::memmem::find_iter(text, part).for_each(|from| hide(from, part.len()));
        }
        return;
    }
    let runs: HashSet<&[u8]> = part.windows(RUN).collect();
    for (from, run) in text.windows(RUN).enumerate() {
        if runs.contains(run) {
            hide(from, RUN);
        }
    }
}

#[cfg(test)]
mod tests;
