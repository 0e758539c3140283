//! Calls from browsers: which origins may, and what the answers say about it.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use mainstay::Fields;
use mainstay_core::failure::Kind;

use crate::refused::Refused;

/// Headers of ours that a browser lets its page read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "x-request-id, retry-after, retry-after-ms, x-should-retry, x-mainstay-kind, x-mainstay-origin, x-mainstay-scope, \
     x-mainstay-attempts, x-mainstay-provider, x-mainstay-model, x-mainstay-upstream-request-id, x-mainstay-overhead-us",
);

/// The origin of a request, when it is one that may call.
pub(crate) fn allowed(origins: &[String], headers: &Fields) -> Option<HeaderValue> {
    if origins.is_empty() {
        return None;
    }
    let origin = headers.get("origin")?;
    let allows = |one: &String| one == "*" || origin.eq_ignore_ascii_case(one.as_bytes());
    if origins.iter().any(allows) { HeaderValue::from_bytes(origin).ok() } else { None }
}

/// Adds what a browser needs to hand the answer to its page.
pub(crate) fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}

/// Whether a request asks for leave to send another one.
pub(crate) fn is_preflight(method: &Method, headers: &Fields) -> bool {
    method == Method::OPTIONS
        && headers.contains("origin")
        && headers.contains("access-control-request-method")
}

/// The headers of a preflight's answer, 204.
pub(crate) fn leave(
    origins: &[String],
    asked: &Fields,
) -> Result<(StatusCode, HeaderMap), Refused> {
    const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, DELETE, PATCH, PUT");
    const SECONDS: HeaderValue = HeaderValue::from_static("600");
    if allowed(origins, asked).is_none() {
        return Err(not_allowed());
    }
    let mut headers = HeaderMap::with_capacity(6);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, SECONDS);
    let names = asked.get("access-control-request-headers").map(HeaderValue::from_bytes);
    if let Some(Ok(names)) = names {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
    }
    Ok((StatusCode::NO_CONTENT, headers))
}

/// The refusal of a call from a page of another origin.
pub(crate) fn not_allowed() -> Refused {
    Refused::key(
        Kind::PermissionDenied,
        "Pages of this origin may not call here. Add the origin to `server.cors` if they should.",
    )
}
