//! Where a request goes, by method and path alone: a health check, the API, or a refusal.
//!
//! Paths are refused, never repaired: two programs that read one path in two ways is how a check
//! is passed in one and missed in the other.

use http::{Method, StatusCode, Uri, Version};
use mainstay_core::failure::Kind;
use mainstay_core::wire::endpoint::Endpoint;

use crate::refused::Refused;

mod table;

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// `/healthz` and its kin: what is asked about.
    Health(Health),
    /// The API.
    Api(ApiPath<'a>),
}

/// Which health question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Does the process live?
    Live,
    /// Shall it get traffic?
    Ready,
}

/// A path under `/v1`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ApiPath<'a> {
    /// What follows `/v1`, with the query.
    pub(crate) rest: &'a str,
    /// Which operation that is.
    pub(crate) endpoint: Endpoint,
    /// Whether the path is one that only keys with the scope `passthrough` may call.
    pub(crate) unknown: bool,
}

/// Finds where a request goes.
pub(crate) fn route<'a>(
    method: &Method,
    uri: &'a Uri,
    version: Version,
) -> Result<Route<'a>, Refused> {
    if let Some(path) = usual(method, uri) {
        return Ok(Route::Api(path));
    }
    if method == Method::CONNECT {
        return Err(malformed(
            "CONNECT is for proxies, and this is not one; send the request itself",
        ));
    }
    let absolute = uri.scheme().is_some() || uri.authority().is_some();
    if absolute && version <= Version::HTTP_11 {
        return Err(malformed(
            "the request line holds a whole URL, as sent to a proxy; set this server as the base URL, not as a proxy",
        ));
    }
    let path = uri.path();
    check_path(path)?;
    match path {
        "/healthz" | "/livez" => return health(method, Health::Live),
        "/readyz" => return health(method, Health::Ready),
        _ => {}
    }
    let whole = uri.path_and_query().map_or(path, |both| both.as_str());
    match whole.strip_prefix("/v1") {
        Some(rest) if rest.starts_with('/') && path.len() > "/v1/".len() => api(method, rest),
        Some(_) | None => Err(not_under_v1(path)),
    }
}

/// Nearly every call is one of a few, word by word, about which there is nothing to find out.
fn usual<'a>(method: &Method, uri: &'a Uri) -> Option<ApiPath<'a>> {
    if *method != Method::POST || uri.authority().is_some() {
        return None;
    }
    let whole = uri.path_and_query()?.as_str();
    let endpoint = USUAL.iter().find(|(path, _)| *path == whole)?.1;
    Some(ApiPath { rest: &whole["/v1".len()..], endpoint, unknown: false })
}

const USUAL: [(&str, Endpoint); 4] = [
    ("/v1/chat/completions", Endpoint::Chat),
    ("/v1/responses", Endpoint::Responses),
    ("/v1/embeddings", Endpoint::Embeddings),
    ("/v1/completions", Endpoint::Completions),
];

fn health<'a>(method: &Method, health: Health) -> Result<Route<'a>, Refused> {
    match *method {
        Method::GET | Method::HEAD => Ok(Route::Health(health)),
        _ => Err(wrong_method(method, "GET, HEAD")),
    }
}

fn api<'a>(method: &Method, rest: &'a str) -> Result<Route<'a>, Refused> {
    let path = rest.split('?').next().unwrap_or(rest);
    let path = path.strip_suffix('/').unwrap_or(path);
    if let Some(hint) = doubled(path) {
        return Err(not_found(hint));
    }
    let found = table::find(path);
    if let Some(methods) = found.methods
        && !methods.split(", ").any(|one| one == method.as_str())
        && !(method == Method::HEAD && methods.contains("GET"))
    {
        return Err(wrong_method(method, methods));
    }
    let endpoint = Endpoint::of(method.as_str(), path);
    Ok(Route::Api(ApiPath { rest, endpoint, unknown: !found.known }))
}

/// A base URL that already ends in what the SDK adds.
fn doubled(path: &str) -> Option<&'static str> {
    if path.starts_with("/v1/") {
        return Some("the path has /v1 twice; the base URL must end in a single /v1");
    }
    let repeats = ["/chat/completions", "/responses", "/completions", "/embeddings", "/models"]
        .iter()
        .any(|one| path.strip_prefix(one).is_some_and(|rest| rest.starts_with(one)));
    repeats.then_some(
        "the path names the endpoint twice; the base URL must end in /v1, the SDK adds the rest",
    )
}

/// Refuses what different programs read differently.
fn check_path(path: &str) -> Result<(), Refused> {
    let why = if path == "*" || !path.starts_with('/') {
        "the path does not begin with /"
    } else if path.contains("//") {
        "the path holds //"
    } else if path.contains('\\') || contains_escape(path, b"5c") {
        "the path holds a backslash"
    } else if contains_escape(path, b"2e") || contains_escape(path, b"252e") {
        "the path holds an escaped dot (%2e)"
    } else if contains_escape(path, b"00")
        || contains_escape(path, b"0a")
        || contains_escape(path, b"0d")
    {
        "the path holds an escaped control character"
    } else if dotted(path) {
        "the path holds a . or .. segment"
    } else {
        return Ok(());
    };
    Err(malformed(why))
}

fn contains_escape(path: &str, hex: &[u8]) -> bool {
    memchr::memchr_iter(b'%', path.as_bytes()).any(|at| {
        path.as_bytes()
            .get(at + 1..at + 1 + hex.len())
            .is_some_and(|two| two.eq_ignore_ascii_case(hex))
    })
}

/// Whether a segment, also one that ends at an escaped slash, is `.` or `..`.
fn dotted(path: &str) -> bool {
    path.split('/').any(|segment| {
        let mut rest = segment;
        loop {
            let end = rest.as_bytes().windows(3).position(|w| w.eq_ignore_ascii_case(b"%2f"));
            let part = end.map_or(rest, |at| &rest[..at]);
            if matches!(part, "." | "..") {
                return true;
            }
            match end {
                Some(at) => rest = &rest[at + 3..],
                None => return false,
            }
        }
    })
}

fn malformed(why: &str) -> Refused {
    Refused::caller(
        Kind::InvalidRequest,
        format!("The request was refused before it was looked at: {why}."),
    )
}

fn not_under_v1(path: &str) -> Refused {
    const LONGEST: usize = 100;
    let shown: String = path.chars().take(LONGEST).collect();
    not_found(&format!(
        "`{shown}` is not under /v1; the base URL must end in /v1, as in http://127.0.0.1:8080/v1"
    ))
}

fn not_found(why: &str) -> Refused {
    Refused::caller(Kind::NotFound, format!("There is nothing here: {why}."))
}

fn wrong_method(method: &Method, allow: &'static str) -> Refused {
    let message = format!("This path does not take {method}; it takes {allow}.");
    Refused { allow: Some(allow), ..Refused::caller(Kind::MethodNotAllowed, message) }
}

/// The answer to a WebSocket upgrade, which has no kind of its own.
pub(crate) fn no_websocket() -> Refused {
    Refused::caller(
        Kind::InvalidRequest,
        "WebSocket connections are not served here: use the HTTP form of the endpoint with \"stream\": true, \
         or connect to the provider itself for realtime sessions.",
    )
    .with_status(StatusCode::NOT_IMPLEMENTED)
}

#[cfg(test)]
mod tests;
