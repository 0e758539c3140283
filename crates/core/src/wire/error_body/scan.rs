//! Finds error fields in text that is no valid JSON: cut bodies, Python dictionaries, JSON with
//! escaped quotes inside a sentence. One pass, nothing nested.

use super::ErrorBody;
use super::gather::http_status;
use crate::hints;
use alloc::string::String;
use alloc::vec::Vec;
use memchr::memmem;

/// Longest value kept, in bytes.
const VALUE_MAX: usize = 2048;
/// Most pairs read from one text.
const PAIRS_MAX: usize = 200;

impl ErrorBody {
    /// Takes `"key": value` pairs out of text.
    pub(super) fn scan(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let (mut at, mut pairs) = (0, 0);
        while let Some(found) = memchr::memchr2(b'"', b'\'', bytes.get(at..).unwrap_or_default()) {
            let start = at + found + 1;
            let Some((key, after)) = key_at(text, start) else {
                at = start;
                continue;
            };
            pairs += 1;
            if pairs > PAIRS_MAX {
                return;
            }
            let (value, end) = value_at(text, after);
            at = end.max(start);
            self.pair(key, value);
        }
    }

    fn pair(&mut self, key: &str, value: &str) {
        match key {
            "message" | "Message" | "msg" | "detail" | "error_msg" | "raw" | "description" => {
                self.hear(&unescaped(value));
            }
            "error" if value.contains(' ') => self.hear(&unescaped(value)),
            "error" | "type" | "__type" | "code" | "status" | "reason" | "error_code"
            | "error_type" | "status_code" => {
                self.is_error |= key == "error";
                match http_status(value) {
                    Some(status) => self.status = Some(status),
                    None if matches!(value, "None" | "null" | "True" | "False" | "true") => {}
                    None => self.name(value),
                }
            }
            "retryDelay" | "retry_after" | "resets_in_seconds" => {
                self.delay = self.delay.max(hints::duration(value));
            }
            "param" if self.param.is_none() && !matches!(value, "None" | "null" | "") => {
                self.param = Some(super::cut_at(value, 256).into());
            }
            _ => {}
        }
    }
}

/// A key that begins at `start`: letters up to the closing quote, then a colon. Quotes may be
/// escaped. Gives the key and where its value begins.
fn key_at(text: &str, start: usize) -> Option<(&str, usize)> {
    let rest = text.get(start..)?;
    let length =
        rest.bytes().take(40).take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let key = rest.get(..length).filter(|key| !key.is_empty())?;
    let tail = rest.get(length..)?;
    let tail = tail.trim_start_matches('\\');
    let tail = tail.strip_prefix(['"', '\''])?;
    let tail = tail.trim_start().strip_prefix(':')?.trim_start();
    Some((key, text.len() - tail.len()))
}

/// The value that begins at `start` and where it ends: a quoted text, or a bare word or number.
fn value_at(text: &str, start: usize) -> (&str, usize) {
    let rest = text.get(start..).unwrap_or_default();
    let quoted = rest.trim_start_matches('\\');
    let escapes = rest.len() - quoted.len();
    let Some(quote @ (b'"' | b'\'')) = quoted.bytes().next() else {
        let length = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-'))
            .unwrap_or(rest.len());
        return (rest.get(..length).unwrap_or_default(), start + length);
    };
    let body = quoted.get(1..).unwrap_or_default();
    let (mut slashes, mut length) = (0, body.len().min(VALUE_MAX));
    for (at, byte) in body.bytes().enumerate().take(VALUE_MAX) {
        // A quote ends the value when it is escaped exactly as often as the one that began it.
        if byte == quote && slashes <= escapes {
            length = at - slashes;
            break;
        }
        slashes = if byte == b'\\' { slashes + 1 } else { 0 };
    }
    let value = super::cut_at(body, length);
    (value, start + escapes + 1 + value.len())
}

fn unescaped(value: &str) -> String {
    value.replace("\\\\", "\\").replace("\\n", "\n").replace("\\t", " ").replace("\\\"", "\"")
}

/// Words such as `RateLimitError` and `ThrottlingException` in prose.
pub(super) fn class_names(text: &str, names: &mut Vec<String>) {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    for word in words.take(crate::words::WORDS_MAX) {
        let long = (9..=64).contains(&word.len());
        let class = word.ends_with("Error") || word.ends_with("Exception");
        let class = class && word.starts_with(|c: char| c.is_ascii_uppercase());
        // AWS and Google spell some names without a suffix; a capital inside and no lower-case
        // neighbour marks them: RESOURCE_EXHAUSTED, PERMISSION_DENIED.
        let shouted =
            word.contains('_') && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        if long && (class || shouted) && !names.iter().any(|name| name == word) {
            names.push(word.into());
        }
    }
}

/// A status that prose names: "Error code: 503", "status code 429", "StatusCode: 400", "HTTP 502".
pub(super) fn status_in_text(text: &str) -> Option<u16> {
    const ANCHORS: [&str; 7] = [
        "error code: ",
        "status code ",
        "status code: ",
        "statuscode: ",
        "status: ",
        "http ",
        "status ",
    ];
    let lower = super::cut_at(text, 2048).to_ascii_lowercase();
    ANCHORS.iter().find_map(|anchor| {
        let at = memmem::find(lower.as_bytes(), anchor.as_bytes())?;
        let rest = lower.get(at + anchor.len()..)?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 3 { http_status(rest.get(..3)?) } else { None }
    })
}
