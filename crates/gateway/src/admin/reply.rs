//! Answers of the administration plane: JSON, errors in the envelope that SDKs know.

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use mainstay_core::store::{RequestId, StoreError};
use serde_json::{Value, json};

/// An answer.
pub(crate) type Reply = Response<Full<Bytes>>;

/// Why something was not done.
#[derive(Debug)]
pub(crate) struct Problem {
    /// The answer's status.
    pub(crate) status: StatusCode,
    /// A stable name.
    pub(crate) code: &'static str,
    /// The field or parameter at fault.
    pub(crate) param: Option<String>,
    /// What happened, why, and what to do.
    pub(crate) message: String,
}

impl Problem {
    /// A value that will not do.
    pub(crate) fn value(param: &str, message: impl Into<String>) -> Problem {
        let (status, code) = (StatusCode::BAD_REQUEST, "invalid_value");
        Problem { status, code, param: Some(param.to_owned()), message: message.into() }
    }

    /// A problem with no field of its own.
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
    ) -> Problem {
        Problem { status, code, param: None, message: message.into() }
    }

    /// The answer that tells of it.
    pub(crate) fn reply(&self) -> Reply {
        let Problem { status, code, param, message } = self;
        let r#type =
            if status.is_server_error() { "server_error" } else { "invalid_request_error" };
        let error = json!({"message": message, "type": r#type, "param": param, "code": code});
        json_reply(*status, &json!({ "error": error }))
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        let (status, code) = match &error {
            StoreError::Absent { .. } => (StatusCode::NOT_FOUND, "not_found"),
            StoreError::Taken { .. } | StoreError::Refused { .. } => {
                (StatusCode::CONFLICT, "conflict")
            }
            StoreError::Invalid { .. } => (StatusCode::BAD_REQUEST, "invalid_value"),
            StoreError::Newer { .. } | StoreError::Surroundings { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "service_unavailable")
            }
        };
        Problem::new(status, code, error.to_string())
    }
}

/// A short refusal without a field.
pub(crate) fn refuse(status: StatusCode, code: &'static str, message: &str) -> Reply {
    Problem::new(status, code, message).reply()
}

/// There is no record of this request.
pub(super) fn no_record(id: RequestId) -> Problem {
    let message = format!(
        "There is no record of `{id}`: it is under way, older than `records.keep`, beyond `records.count_max`, or of \
         another gateway's store."
    );
    Problem::new(StatusCode::NOT_FOUND, "not_found", message)
}

/// A zip file as an answer.
pub(super) fn zip_reply(bytes: Vec<u8>) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(bytes)));
    for (name, value) in [
        (header::CONTENT_TYPE, "application/zip"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"report.zip\""),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        reply.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    reply
}

/// A JSON answer.
pub(crate) fn json_reply(status: StatusCode, value: &Value) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(value.to_string())));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, crate::answer::JSON);
    let no_store = HeaderValue::from_static("no-store"); // Keys are shown once, not kept by a browser.
    reply.headers_mut().insert(header::CACHE_CONTROL, no_store);
    reply
}
