//! Calls made from a path and a body, as the client and the runner have them: looked into, so that
//! the engine knows model and size, and otherwise left as they are.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, USER_AGENT};
use mainstay_core::dice::Dice;
use mainstay_core::time::Moment;
use mainstay_core::validate::Fault;
use mainstay_core::wire::endpoint::{BodyForm, Endpoint};
use mainstay_core::wire::request::peek;

use crate::call::{Call, CallBody};
use crate::fields::Fields;

/// What is told of us to providers.
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("mainstay/", env!("CARGO_PKG_VERSION")));

impl Call {
    /// A call without a body. `path` is what follows `/v1`; `arrived` is a moment on the engine's
    /// clock.
    pub fn bare(id: String, method: Method, path: String, arrived: Moment) -> Call {
        let endpoint = Endpoint::of(method.as_str(), &path);
        let mut headers = Fields::default();
        headers.insert(USER_AGENT, AGENT);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Call {
            id,
            method,
            path,
            endpoint,
            headers,
            credential: None,
            body: CallBody::Empty,
            traced: None,
            body_gone: false,
            model: None,
            model_span: None,
            usage_ask: None,
            stream: false,
            tokens: 0,
            arrived,
            timeout: None,
            read_timeout: None,
            answer_within: None,
            sdk_retry: 0,
            add_usage: false,
            pin: None,
            account: None,
        }
    }

    /// A call with a JSON body, sent byte for byte. Model, stream and size are read from it.
    ///
    /// # Errors
    ///
    /// The body is no JSON object, or its `model` or `stream` cannot be told.
    pub fn json(
        id: String,
        method: Method,
        path: String,
        body: Bytes,
        arrived: Moment,
    ) -> Result<Call, Fault> {
        let mut call = Call::bare(id, method, path, arrived);
        let look = peek(&body, call.endpoint)?;
        call.stream = look.stream;
        call.tokens = tokens(call.endpoint, body.len(), look.max_output(), look.n);
        call.model_span = look.model_span();
        call.usage_ask = look.usage_ask();
        call.model = look.model.as_deref().map(Arc::from);
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if call.stream {
            call.headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        }
        call.body = CallBody::Buffered(body);
        Ok(call)
    }
}

/// Tokens a call may use, from its size: four bytes a token is the usual ratio for English text in
/// JSON. The pacer learns what the estimate is worth.
fn tokens(endpoint: Endpoint, bytes: usize, output: Option<u64>, answers: Option<u64>) -> u64 {
    match endpoint.body_form() {
        BodyForm::Json => {
            let output = output.unwrap_or(0).saturating_mul(answers.unwrap_or(1).max(1));
            (bytes as u64).div_ceil(4).saturating_add(output)
        }
        BodyForm::JsonOrNothing | BodyForm::Multipart | BodyForm::Any => 0,
    }
}

/// A new id of a call: `req_` and 32 hexadecimal digits. Unique, not secret.
pub fn call_id(dice: &mut Dice) -> String {
    format!("req_{:016x}{:016x}", dice.bits(), dice.bits())
}

/// Dice that differ from process to process.
pub fn fresh_dice() -> Dice {
    let here = 0_u8;
    let spare = || std::ptr::from_ref(&here) as u64 ^ u64::from(std::process::id()).rotate_left(32);
    Dice::new(getrandom::u64().unwrap_or_else(|_| spare()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(body: &'static str) -> Result<Call, Fault> {
        let (id, path) = (call_id(&mut Dice::new(1)), "/chat/completions".to_owned());
        Call::json(id, Method::POST, path, Bytes::from_static(body.as_bytes()), Moment::ZERO)
    }

    #[test]
    fn a_body_is_looked_into_and_left_as_it_is() {
        let body = r#"{"model":"m","stream":true,"max_tokens":7,"n":2,"messages":[]}"#;
        let call = chat(body).unwrap();
        assert_eq!((call.model.as_deref(), call.stream), (Some("m"), true));
        assert_eq!(call.tokens, (body.len() as u64).div_ceil(4) + 14);
        assert_eq!(call.model_span.map(|span| &body[span]), Some("\"m\""));
        assert!(matches!(&call.body, CallBody::Buffered(bytes) if bytes == body.as_bytes()));
        assert_eq!(call.headers.text("accept"), Some("text/event-stream"));
        assert!(call.id.starts_with("req_") && call.id.len() == 36, "{}", call.id);
    }

    #[test]
    fn a_body_of_two_meanings_is_refused() {
        assert!(chat(r#"{"model":"a","model":"b"}"#).is_err());
        assert!(chat("[]").is_err());
    }
}
