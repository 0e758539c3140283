//! `mainstay classify`: a line of JSON with an answer in, a line of JSON with its meaning out.

use super::{Answer, classify};
use crate::headers::Headers;
use alloc::string::{String, ToString};
use core::fmt;
use serde_json::{Map, Value, json};

/// Why a line cannot be read as an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineFault(String);

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for LineFault {}

/// Reads `{"id", "status", "headers", "body", "stream"}` and gives `{"id", "kind", "class",
/// "retryable", "scope", "retry_after_s"}`. `status` null: `body` is a client's error text. A
/// sound answer has null for kind, class and scope, and false for retryable. Other members of
/// the line are not looked at.
///
/// # Errors
/// When the line is no JSON object, or a member has the wrong type; the text says which.
pub fn line(line: &str) -> Result<String, LineFault> {
    let value: Value = serde_json::from_str(line).map_err(|error| {
        // The line has a number of its own where it stands.
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let why = text.trim_end_matches(&alloc::format!(" at line {line} column {column}"));
        LineFault(alloc::format!("the line is not JSON: {why} at column {column}"))
    })?;
    let Value::Object(map) = value else {
        return Err(LineFault(
            "the line is not a JSON object; send {\"status\":…,\"body\":…}".into(),
        ));
    };
    let status = status(&map)?;
    let headers = Pairs(headers(&map)?);
    let body = match map.get("body") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(_) => return Err(LineFault("`body` must be a string: the body as it came".into())),
    };
    let stream = match map.get("stream") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(stream)) => *stream,
        Some(_) => return Err(LineFault("`stream` must be true or false".into())),
    };
    let answer = Answer { status, headers: &headers, body: body.as_bytes(), stream };
    let id = map.get("id").cloned().unwrap_or(Value::Null);
    let out = match classify(&answer) {
        None => json!({"id": id, "kind": null, "class": null, "retryable": false, "scope": null,
                       "retry_after_s": null}),
        Some(verdict) => json!({
            "id": id,
            "kind": verdict.failure.kind.name(),
            "class": verdict.failure.kind.class().name(),
            "retryable": verdict.retryable,
            "scope": verdict.failure.scope.name(),
            "retry_after_s": verdict.delay.map(|delay| delay.as_secs_f64()),
        }),
    };
    Ok(out.to_string())
}

fn status(map: &Map<String, Value>) -> Result<Option<u16>, LineFault> {
    let fault = || LineFault("`status` must be an HTTP status from 100 to 599, or null".into());
    match map.get("status") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => {
            let status = number.as_u64().and_then(|n| u16::try_from(n).ok()).ok_or_else(fault)?;
            if (100..600).contains(&status) { Ok(Some(status)) } else { Err(fault()) }
        }
        Some(_) => Err(fault()),
    }
}

fn headers(map: &Map<String, Value>) -> Result<Map<String, Value>, LineFault> {
    match map.get("headers") {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(headers)) => Ok(headers.clone()),
        Some(_) => Err(LineFault("`headers` must be an object of strings".into())),
    }
}

/// Headers as a JSON object of strings; other values are taken as absent.
struct Pairs(Map<String, Value>);

impl Headers for Pairs {
    fn get(&self, name: &str) -> Option<&[u8]> {
        let mut found = self.0.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().and_then(|(_, value)| value.as_str()).map(str::as_bytes)
    }

    fn each<'h>(&'h self, visit: &mut dyn FnMut(&'h str, &'h [u8])) {
        for (name, value) in &self.0 {
            if let Some(value) = value.as_str() {
                visit(name, value.as_bytes());
            }
        }
    }
}
