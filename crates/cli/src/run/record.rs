//! Lines of the output: what the vendor's Batch API writes, one for each request.
//!
//! ```text
//! {"id","custom_id","response":{"status_code","request_id","body"},"error":null}
//! {"id","custom_id","response":null,"error":{"code","message"}}       no answer came
//! ```
//! Source: the vendor's API reference, "The request output object", read 2026-11.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use mainstay::call::Refusal;
use mainstay_core::classify::{Answer, classify};
use mainstay_core::failure::Kind;
use mainstay_core::headers::NoHeaders;
use mainstay_core::wire::json::Reader;
use mainstay_core::wire::usage::{self, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::ids::{Id, hex};
use super::lane::ANSWER_MAX;

/// Longest line that is written, in bytes: an answer in which every byte is written as `\u0000`, and what
/// stands around it.
pub(crate) const LINE_MAX: usize = 6 * ANSWER_MAX + (64 << 10);

/// What becomes of one line.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The provider answered, well or with an error.
    Response {
        /// Its status.
        status: StatusCode,
        /// Its id of the request, or ours.
        request_id: String,
        /// Its body.
        body: Bytes,
        /// What an error means; `None`: it is an answer.
        kind: Option<Kind>,
    },
    /// No answer came.
    Error {
        /// Why.
        kind: Kind,
        /// What happened, why and what to do.
        message: String,
    },
}

impl Outcome {
    /// What a refusal stands for in the output.
    pub(crate) fn of_refusal(refusal: Refusal, id: &str) -> Outcome {
        let kind = refusal.failure.kind;
        match refusal.provider_answer {
            Some(answer) => Outcome::Response {
                status: answer.status,
                request_id: answer.headers.text("x-request-id").unwrap_or(id).to_owned(),
                body: answer.body,
                kind: Some(kind),
            },
            None => Outcome::Error {
                kind,
                message: refusal.message.unwrap_or_else(|| kind.name().to_owned()),
            },
        }
    }

    /// What went wrong, if anything did.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Outcome::Response { kind, .. } => *kind,
            Outcome::Error { kind, .. } => Some(*kind),
        }
    }

    /// The status that came.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Outcome::Response { status, .. } => Some(status.as_u16()),
            Outcome::Error { .. } => None,
        }
    }

    /// Appends the line.
    pub(crate) fn write(&self, custom_id: &str, id: &Id, to: &mut Vec<u8>) {
        let (own, name) = (hex(id), Value::from(custom_id));
        to.extend_from_slice(
            format!("{{\"id\":\"batch_req_{own}\",\"custom_id\":{name},").as_bytes(),
        );
        match self {
            Outcome::Response { status, request_id, body, .. } => {
                let (status, request_id) = (status.as_u16(), Value::from(request_id.as_str()));
                let head = format!(
                    "\"response\":{{\"status_code\":{status},\"request_id\":{request_id},\"body\":"
                );
                to.extend_from_slice(head.as_bytes());
                write_body(body, to);
                to.extend_from_slice(b"},\"error\":null}\n");
            }
            Outcome::Error { kind, message } => {
                let error = json!({"code": kind.name(), "message": message});
                to.extend_from_slice(format!("\"response\":null,\"error\":{error}}}\n").as_bytes());
            }
        }
    }
}

/// The provider's id of a request.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-request-id")?.to_str().ok()
}

/// JSON on one line as it came, other text as a string, anything else in base64.
fn write_body(body: &[u8], to: &mut Vec<u8>) {
    match std::str::from_utf8(body) {
        Ok(text) if is_json(text) => {
            let text = text.trim();
            // Inside a value, line ends stand only between its parts.
            let flat =
                text.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte });
            to.extend(flat);
        }
        Ok(text) => to.extend_from_slice(Value::from(text).to_string().as_bytes()),
        Err(_) => {
            to.extend_from_slice(b"{\"base64\":\"");
            base64(body, to);
            to.extend_from_slice(b"\"}");
        }
    }
}

fn is_json(text: &str) -> bool {
    let mut reader = Reader::new(text);
    reader.skip().and_then(|()| reader.end()).is_ok()
}

fn base64(bytes: &[u8], to: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = word >> (18 - 6 * place) & 63;
            to.push(if place > chunk.len() { b'=' } else { DIGITS[digit as usize] });
        }
    }
}

/// A line of an output, as far as going on needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Whose answer it is.
    pub(crate) custom_id: String,
    /// What went wrong; `None` for an answer.
    pub(crate) kind: Option<Kind>,
}

/// Reads a line of an output; `None` when it is none.
pub(crate) fn read(line: &[u8]) -> Option<Written> {
    let text = std::str::from_utf8(line).ok()?;
    let mut reader = Reader::new(text);
    let (mut first, mut custom_id, mut response, mut error) = (true, None, None, None);
    while let Some(key) = reader.key(&mut first).ok()? {
        if key.is("custom_id") {
            custom_id = Some(reader.string().ok()?.text()?.into_owned());
        } else if key.is("response") {
            response = Some(reader.raw().ok()?);
        } else if key.is("error") {
            error = Some(reader.raw().ok()?);
        } else {
            reader.skip().ok()?;
        }
    }
    reader.end().ok()?;
    let kind = kind_of(response?, error?).ok()?;
    Some(Written { custom_id: custom_id?, kind })
}

/// The model and the tokens of a written answer, for what it cost.
pub(crate) fn used(line: &[u8]) -> Option<(String, Usage)> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        response: Option<Response<'a>>,
    }
    #[derive(Deserialize)]
    struct Response<'a> {
        #[serde(borrow)]
        body: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct Body<'a> {
        model: String,
        #[serde(borrow)]
        usage: &'a RawValue,
    }
    let body = serde_json::from_slice::<Line<'_>>(line).ok()?.response?.body.get();
    let Body { model, usage } = serde_json::from_str(body).ok()?;
    Some((model, usage::of_member(usage.get())?))
}

/// What a line's response or error means; the error: it has neither.
fn kind_of(response: &str, error: &str) -> Result<Option<Kind>, NoOutcome> {
    if response == "null" {
        let error: Value = serde_json::from_str(error).map_err(|_| NoOutcome)?;
        let code = error.get("code").and_then(Value::as_str).ok_or(NoOutcome)?;
        return Ok(Some(code.parse().unwrap_or(Kind::Unknown)));
    }
    let (status, body) = status_and_body(response).ok_or(NoOutcome)?;
    if status < 400 {
        return Ok(None);
    }
    let body = body.as_bytes();
    let answer = Answer { status: Some(status), headers: &NoHeaders, body, stream: false };
    Ok(Some(classify(&answer).map_or(Kind::Unknown, |verdict| verdict.failure.kind)))
}

/// A line that is no line of an output.
struct NoOutcome;

fn status_and_body(response: &str) -> Option<(u16, &str)> {
    let mut reader = Reader::new(response);
    let (mut first, mut status, mut body) = (true, None, "");
    while let Some(key) = reader.key(&mut first).ok()? {
        if key.is("status_code") {
            status = reader.number().ok()?.parse().ok();
        } else if key.is("body") {
            body = reader.raw().ok()?;
        } else {
            reader.skip().ok()?;
        }
    }
    Some((status?, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::ids::id_of;

    fn written(outcome: &Outcome, custom_id: &str) -> String {
        let mut to = Vec::new();
        outcome.write(custom_id, &id_of(custom_id), &mut to);
        String::from_utf8(to).unwrap()
    }

    fn response(status: u16, body: &[u8], kind: Option<Kind>) -> Outcome {
        let status = StatusCode::from_u16(status).unwrap();
        Outcome::Response {
            status,
            request_id: "req_1".to_owned(),
            body: Bytes::copy_from_slice(body),
            kind,
        }
    }

    #[test]
    fn every_outcome_is_one_line_in_the_vendors_form_and_is_read_back() {
        let limit = br#"{"error":{"message":"Rate limit reached for requests","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
        let gone = Outcome::Error { kind: Kind::Connection, message: "no \"way\"\n".to_owned() };
        let cases = [
            (response(200, b"{\n  \"a\": \"b\\n\"\r\n}\n", None), None),
            (response(200, b"plain\ntext", None), None),
            (response(200, &[0xff, 0, 1, 2], None), None),
            (response(429, limit, Some(Kind::RateLimitRequests)), Some(Kind::RateLimitRequests)),
            (gone, Some(Kind::Connection)),
        ];
        for (outcome, kind) in cases {
            let line = written(&outcome, "a \"quoted\" id");
            assert!(line.ends_with('\n') && line.matches('\n').count() == 1, "{line}");
            let value: Value = serde_json::from_str(&line).unwrap();
            assert!(value["id"].as_str().unwrap().starts_with("batch_req_"), "{line}");
            assert_eq!(value.as_object().unwrap().len(), 4, "{line}");
            let read = read(line.trim_end().as_bytes()).unwrap();
            assert_eq!((read.custom_id.as_str(), read.kind), ("a \"quoted\" id", kind), "{line}");
            assert_eq!(outcome.kind(), kind);
        }
    }

    #[test]
    fn bodies_stay_what_they_are() {
        let body = |body: &[u8]| {
            let line = written(&response(200, body, None), "x");
            serde_json::from_str::<Value>(&line).unwrap()["response"]["body"].clone()
        };
        assert_eq!(body(b"{\"n\":1.10}"), json!({"n": 1.10}));
        assert_eq!(body(b"not {json"), json!("not {json"));
        assert_eq!(body(&[0xff]), json!({"base64": "/w=="}));
        assert_eq!(body(&[0xff, 0xee, 0x00, 0x01, 0x02]), json!({"base64": "/+4AAQI="}));
    }

    #[test]
    fn what_is_no_line_of_an_output_is_not_taken_for_one() {
        for line in [
            "",
            "{",
            "{}",
            "[]",
            r#"{"custom_id":"a","response":null,"error":null}"#,
            r#"{"custom_id":"a"}"#,
        ] {
            assert_eq!(read(line.as_bytes()), None, "{line}");
        }
    }
}
