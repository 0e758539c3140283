//! Walks a JSON value and keeps what error bodies are made of, by the names of their keys.

use super::{ErrorBody, KEPT_MAX};
use crate::hints;
use alloc::string::{String, ToString};
use serde_json::{Map, Value};

/// Deepest nesting that is followed; real bodies need five.
const DEPTH_MAX: usize = 10;

impl ErrorBody {
    /// Takes everything that one JSON value says about an error.
    pub(super) fn gather(&mut self, value: &Value) {
        self.is_error |= is_error(value);
        self.head(value, 0);
        self.walk(value, 0);
    }

    /// The outermost type, code, param and message.
    fn head(&mut self, value: &Value, depth: usize) {
        if depth > 3 {
            return;
        }
        match value {
            Value::Array(items) => {
                if let Some(first) = items.first() {
                    self.head(first, depth + 1);
                }
            }
            Value::Object(map) => {
                self.request_id = text_of(map, &["request_id", "requestId", "RequestId"]);
                let inner = match map.get("error").or_else(|| map.get("response")) {
                    Some(Value::Object(inner)) => match inner.get("error") {
                        Some(Value::Object(deeper)) => deeper,
                        _ => inner,
                    },
                    _ => map,
                };
                self.r#type = text_of(inner, &["type", "__type", "error_type", "status"]);
                self.code = text_of(inner, &["code", "error_code", "status_code", "status"]);
                self.param = text_of(inner, &["param", "parameter"]);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn walk(&mut self, value: &Value, depth: usize) {
        if depth > DEPTH_MAX || self.texts.len() + self.names.len() >= 2 * KEPT_MAX {
            return;
        }
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    self.member(key, value, depth);
                }
            }
            Value::Array(items) => {
                for item in items.iter().take(KEPT_MAX) {
                    self.walk(item, depth + 1);
                }
            }
            Value::String(text) => self.prose(text, depth),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// One key and its value. Unknown keys are skipped: they may echo the caller's input.
    fn member(&mut self, key: &str, value: &Value, depth: usize) {
        match key {
            "message" | "Message" | "msg" | "error_msg" | "errorMessage" | "error_message"
            | "status_msg" | "detail" | "description" | "error_description" | "title" | "raw"
            | "reasonPhrase" | "faultstring" | "status_message" | "original_message"
            | "upstream_error" | "error" | "errors" | "details" | "innererror" | "inner_error"
            | "metadata" | "response" | "Response" | "base_resp" | "cause" | "violations"
            | "fieldViolations" | "headers" | "Error" | "fault" | "exception" | "choices"
            | "incident" => self.walk(value, depth + 1),
            "type" | "Type" | "__type" | "error_type" | "code" | "Code" | "status" | "reason"
            | "error_code" | "errorCode" | "errorType" | "status_code" | "statusCode"
            | "errorcode" | "http_code" | "raw_status_code" | "errors_code" => {
                self.label(key, value);
            }
            "data" | "body" | "result" => {
                if let Value::Object(map) = value
                    && ["error", "message", "code"].iter().any(|key| map.contains_key(*key))
                {
                    self.walk(value, depth + 1);
                }
            }
            "quotaId" | "quotaMetric" | "quota_limit" | "quota_metric" => {
                if let Value::String(text) = value {
                    self.hear(&spaced(text));
                }
            }
            "quotaValue" => {
                if value.as_str() == Some("0") {
                    self.hear("limit: 0 per project");
                }
            }
            "loc" | "param" | "field" => {
                if self.param.is_none() {
                    self.param = path_of(value);
                }
            }
            _ => self.delay_field(key, value),
        }
    }

    /// A message, and JSON or a Python dictionary inside it.
    pub(super) fn prose(&mut self, text: &str, depth: usize) {
        let trimmed = text.trim();
        self.hear(trimmed);
        let Some(open) = trimmed.find(['{', '[']) else { return };
        let tail = trimmed.get(open..).unwrap_or_default();
        let inner = serde_json::Deserializer::from_str(tail).into_iter::<Value>().next();
        match inner {
            Some(Ok(value @ (Value::Object(_) | Value::Array(_)))) if depth < DEPTH_MAX => {
                self.walk(&value, depth + 2);
            }
            _ => self.scan(tail),
        }
    }

    /// A type, code, status or reason: a name, or an HTTP status.
    fn label(&mut self, key: &str, value: &Value) {
        match value {
            Value::String(text) => {
                if let Some(status) = http_status(text) {
                    self.status = Some(status);
                } else if text.len() > 60 && text.contains(' ') {
                    self.hear(text);
                } else {
                    self.name(text);
                }
            }
            Value::Number(number) => match number.as_u64().and_then(|n| u16::try_from(n).ok()) {
                Some(status) if (400..600).contains(&status) => self.status = Some(status),
                // Codes of one vendor mean nothing at another: they keep their key's name.
                _ => match key {
                    "code" => self.name(&number.to_string()),
                    _ => self.name(&[key, ".", &number.to_string()].concat()),
                },
            },
            Value::Object(_) | Value::Array(_) => self.walk(value, DEPTH_MAX - 2),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Fields that name a wait. Sources: google.rpc.RetryInfo; Codex usage limits; LiteLLM;
    /// Hugging Face `estimated_time`, read 2026-11.
    fn delay_field(&mut self, key: &str, value: &Value) {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return,
        };
        let key = key.to_ascii_lowercase().replace('-', "_");
        match key.as_str() {
            "retrydelay"
            | "retry_delay"
            | "retry_after"
            | "retryafter"
            | "retry_after_seconds"
            | "resets_in_seconds"
            | "reset_after_seconds"
            | "estimated_time"
            | "resets_in" => {
                self.delay = self.delay.max(hints::duration(&text));
            }
            "retry_after_ms" | "retryafterms" => {
                self.delay = self.delay.max(hints::millis(&text));
            }
            "resets_at" | "reset_at" | "x_ratelimit_reset" | "quotaresettimestamp" => {
                self.until = self.until.max(hints::point(&text));
            }
            "quotaresetdelay" => self.delay = self.delay.max(hints::duration(&text)),
            _ => {}
        }
    }
}

/// `true` when this value, alone and under status 200, can only be an error.
fn is_error(value: &Value) -> bool {
    let map = match value {
        Value::Object(map) => map,
        Value::Array(items) => return items.first().is_some_and(is_error),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return false,
    };
    if describes(map) {
        return false;
    }
    if let Some(error) = map.get("error").or_else(|| map.get("Error")) {
        match error {
            Value::Null | Value::Bool(false) => {}
            Value::String(text) if text.trim().is_empty() => {}
            Value::Object(inner) if inner.is_empty() => {}
            Value::Bool(true)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => return true,
        }
    }
    // Tencent Cloud: every answer, sound or not, stands in "Response" under status 200.
    if map.get("Response").is_some_and(|inner| inner.get("Error").is_some_and(Value::is_object)) {
        return true;
    }
    let is = |key: &str, text: &str| map.get(key).and_then(Value::as_str) == Some(text);
    if is("object", "error")
        || is("type", "error")
        || is("status", "error")
        || is("status", "failed")
    {
        return true;
    }
    if let Some(Value::Object(base)) = map.get("base_resp") {
        return base.get("status_code").and_then(Value::as_i64).is_some_and(|code| code != 0);
    }
    if let Some(Value::Array(choices)) = map.get("choices") {
        return choices.iter().any(|choice| {
            choice.get("error").is_some_and(Value::is_object)
                || choice.get("finish_reason").and_then(Value::as_str) == Some("error")
        });
    }
    is_refusal(map)
}

/// A stored object that is described to whoever asked for it: a run, job, file or batch that
/// failed is a sound answer to that question.
fn describes(map: &Map<String, Value>) -> bool {
    const ANSWERS: [&str; 5] =
        ["error", "response", "chat.completion", "chat.completion.chunk", "text_completion"];
    let object = map.get("object").and_then(Value::as_str);
    map.contains_key("id") && object.is_some_and(|object| !ANSWERS.contains(&object))
}

/// Keys of answers that are no errors whatever else they carry.
const PAYLOADS: [&str; 12] = [
    "choices",
    "output",
    "data",
    "id",
    "object",
    "text",
    "embeddings",
    "results",
    "content",
    "candidates",
    "models",
    "message_id",
];

/// A flat envelope: a message beside a code that is no success, and nothing to deliver.
fn is_refusal(map: &Map<String, Value>) -> bool {
    if PAYLOADS.iter().any(|key| map.get(*key).is_some_and(|value| !value.is_null())) {
        return false;
    }
    if map.get("success") == Some(&Value::Bool(false)) {
        return true;
    }
    let spoken = ["message", "msg", "error_msg", "detail", "errorMessage"];
    if !spoken.iter().any(|key| map.get(*key).is_some_and(|value| !value.is_null())) {
        return false;
    }
    let codes = ["code", "status", "statusCode", "error_code", "errcode", "status_code"];
    let mut codes = codes.iter().filter_map(|key| map.get(*key));
    match codes.next() {
        Some(Value::Number(code)) => !matches!(code.as_i64(), Some(0 | 200..=299)),
        Some(Value::String(code)) => {
            !matches!(code.to_ascii_lowercase().as_str(), "" | "0" | "200" | "ok" | "success")
        }
        Some(_) => false,
        None => map.contains_key("detail"),
    }
}

/// A status of the HTTP error range written as text.
pub(super) fn http_status(text: &str) -> Option<u16> {
    text.trim().parse().ok().filter(|status| (400..600).contains(status))
}

fn text_of(map: &Map<String, Value>, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| match map.get(*key) {
        Some(Value::String(text)) if !text.is_empty() => Some(super::cut_at(text, 256).into()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    })
}

/// `["body","messages",0,"role"]` as `messages[0].role`.
fn path_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(super::cut_at(text, 256).into()),
        Value::Array(parts) => {
            let mut path = String::new();
            for part in parts.iter().take(16) {
                match part {
                    Value::String(text) if text == "body" && path.is_empty() => {}
                    Value::String(text) => {
                        if !path.is_empty() {
                            path.push('.');
                        }
                        path.push_str(super::cut_at(text, 64));
                    }
                    Value::Number(number) => {
                        path.push('[');
                        path.push_str(&number.to_string());
                        path.push(']');
                    }
                    Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {}
                }
            }
            (!path.is_empty()).then_some(path)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// "GenerateRequestsPerDay-FreeTier" as "Generate Requests Per Day-Free Tier".
fn spaced(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 12);
    let mut lower = false;
    for letter in super::cut_at(name, 200).chars() {
        if letter.is_uppercase() && lower {
            out.push(' ');
        }
        lower = letter.is_lowercase();
        out.push(letter);
    }
    out
}
