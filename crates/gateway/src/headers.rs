//! Which headers go through, in both directions.
//!
//! Towards the provider the walk drops credentials, cookies, hop-by-hop headers and our own; here
//! goes what only a server in front of callers can know: what proxies and browsers add about the
//! caller, and the caller's organization, which is not ours.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::settings::Expose;

/// Our own request id, on every answer.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Whether the caller's SDK should try again by itself.
pub(crate) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// A wait in milliseconds; both SDKs read it before `retry-after`.
pub(crate) const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// Whose side a failure was on.
pub(crate) const ORIGIN: HeaderName = HeaderName::from_static("x-mainstay-origin");
/// What must change for the call to get on.
pub(crate) const SCOPE: HeaderName = HeaderName::from_static("x-mainstay-scope");
/// The kind of a failure.
pub(crate) const KIND: HeaderName = HeaderName::from_static("x-mainstay-kind");
/// Whose limit refused: subject, id, measure and, where it has one, the model.
pub(crate) const LIMIT: HeaderName = HeaderName::from_static("x-mainstay-limit");
/// What holds only in part at the moment.
pub(crate) const DEGRADED: HeaderName = HeaderName::from_static("x-mainstay-degraded");
/// Attempts sent.
pub(crate) const ATTEMPTS: HeaderName = HeaderName::from_static("x-mainstay-attempts");
/// The provider that answered.
pub(crate) const PROVIDER: HeaderName = HeaderName::from_static("x-mainstay-provider");
/// The model it was asked for.
pub(crate) const MODEL: HeaderName = HeaderName::from_static("x-mainstay-model");
/// Microseconds spent here, waits and the provider's time left out.
pub(crate) const OVERHEAD: HeaderName = HeaderName::from_static("x-mainstay-overhead-us");
/// The provider's own request id.
pub(crate) const UPSTREAM_ID: HeaderName =
    HeaderName::from_static("x-mainstay-upstream-request-id");

/// Removes from the caller's headers what must not go on. `own_account` keeps the caller's
/// organization and project: with `auth = "pass"` they are the provider's to judge.
pub(crate) fn clean_request(headers: &mut HeaderMap, own_account: bool, inflated: bool) {
    let mut gone: Vec<HeaderName> = Vec::new();
    for name in headers.keys() {
        if about_the_caller(name.as_str()) || (!own_account && account(name.as_str())) {
            gone.push(name.clone());
        }
    }
    if inflated {
        gone.push(header::CONTENT_ENCODING);
    }
    for name in gone {
        headers.remove(name);
    }
}

/// The headers that a `connection` header declares to end here.
fn named_in_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| {
            !name.eq_ignore_ascii_case("keep-alive") && !name.eq_ignore_ascii_case("close")
        })
        .filter_map(|name| name.parse().ok())
        .collect()
}

/// What proxies and browsers tell about where the caller is.
fn about_the_caller(name: &str) -> bool {
    match name.as_bytes().first() {
        Some(b'x') => {
            name.starts_with("x-forwarded-") || name == "x-real-ip" || name == "x-client-ip"
        }
        Some(b'f') => name == "forwarded",
        Some(b'v') => name == "via",
        Some(b'o') => name == "origin",
        Some(b'r') => name == "referer",
        Some(b'e') => name == "expect",
        Some(b'c') => matches!(name, "cf-connecting-ip" | "cf-ipcountry" | "cf-visitor"),
        Some(_) | None => false,
    }
}

fn account(name: &str) -> bool {
    name == "openai-organization" || name == "openai-project"
}

/// What becomes of one header of the provider.
enum Fate {
    Keep,
    Drop,
    Rename(HeaderName),
}

/// Moves the provider's headers into `out`, without those that end here and with the provider's
/// ids and limits under our names.
pub(crate) fn provider_headers(headers: HeaderMap, expose: Expose, out: &mut HeaderMap) {
    out.reserve(headers.len());
    let listed = named_in_connection(&headers);
    let mut current: Option<HeaderName> = None;
    for (name, value) in headers {
        if name.is_some() {
            current = name;
        }
        let Some(name) = &current else { continue };
        if listed.contains(name) {
            continue;
        }
        match fate(name.as_str(), expose) {
            Fate::Keep => drop(out.append(name.clone(), value)),
            Fate::Rename(ours) => drop(out.append(ours, value)),
            Fate::Drop => {}
        }
    }
}

fn fate(name: &str, expose: Expose) -> Fate {
    match name.as_bytes().first() {
        Some(b'x') => fate_of_x(name, expose),
        // Names of one connection or one origin: the provider's, not ours.
        Some(b'a') if name == "alt-svc" || name.starts_with("access-control-") => Fate::Drop,
        Some(b'c') if matches!(name, "connection" | "content-length") => Fate::Drop,
        Some(b'k') if name == "keep-alive" => Fate::Drop,
        Some(b'n') if name == "nel" => Fate::Drop,
        Some(b'o') if matches!(name, "openai-organization" | "openai-project") => Fate::Drop,
        Some(b'p') if name.starts_with("proxy-") => Fate::Drop,
        Some(b'r') if matches!(name, "retry-after" | "retry-after-ms" | "report-to") => Fate::Drop,
        Some(b's') if matches!(name, "set-cookie" | "strict-transport-security" | "server") => {
            Fate::Drop
        }
        Some(b't') if matches!(name, "te" | "trailer" | "transfer-encoding") => Fate::Drop,
        Some(b'u') if name == "upgrade" => Fate::Drop,
        Some(b'w') if name == "www-authenticate" => Fate::Drop,
        Some(_) | None => Fate::Keep,
    }
}

fn fate_of_x(name: &str, expose: Expose) -> Fate {
    if name == "x-request-id" {
        return match expose {
            Expose::All => Fate::Rename(UPSTREAM_ID),
            Expose::Minimal => Fate::Drop,
        };
    }
    if let Some(rest) = name.strip_prefix("x-ratelimit-") {
        return match expose {
            Expose::All => limit_name(rest).map_or(Fate::Drop, Fate::Rename),
            Expose::Minimal => Fate::Drop,
        };
    }
    let ours =
        name.starts_with("x-mainstay-") || name == "x-should-retry" || name == "x-powered-by";
    if ours { Fate::Drop } else { Fate::Keep }
}

/// The name that a provider's limit has in our answers; the usual six cost nothing.
fn limit_name(rest: &str) -> Option<HeaderName> {
    let name = match rest {
        "limit-requests" => "x-mainstay-upstream-ratelimit-limit-requests",
        "limit-tokens" => "x-mainstay-upstream-ratelimit-limit-tokens",
        "remaining-requests" => "x-mainstay-upstream-ratelimit-remaining-requests",
        "remaining-tokens" => "x-mainstay-upstream-ratelimit-remaining-tokens",
        "reset-requests" => "x-mainstay-upstream-ratelimit-reset-requests",
        "reset-tokens" => "x-mainstay-upstream-ratelimit-reset-tokens",
        other => return format!("x-mainstay-upstream-ratelimit-{other}").parse().ok(),
    };
    Some(HeaderName::from_static(name))
}

/// Headers whose values are made one behind the other in one piece of memory.
#[derive(Debug)]
pub(crate) struct Made {
    text: Vec<u8>,
    /// Each name, and where its value ends.
    lines: Vec<(HeaderName, usize)>,
}

impl Made {
    /// None yet, with room for those of an answer.
    pub(crate) fn new() -> Made {
        Made { text: Vec::with_capacity(192), lines: Vec::with_capacity(12) }
    }

    /// One with a number.
    pub(crate) fn number(&mut self, name: HeaderName, number: u64) {
        self.with(name, |text| push_number(text, number));
    }

    /// One with text that may hold anything; what HTTP does not allow becomes `?`.
    pub(crate) fn text(&mut self, name: HeaderName, value: &str) {
        self.with(name, |text| text.extend(safe(value)));
    }

    /// One with what `write` adds: visible ASCII and nothing else.
    pub(crate) fn with(&mut self, name: HeaderName, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.text);
        self.lines.push((name, self.text.len()));
    }

    /// Puts them among others, in place of their namesakes.
    pub(crate) fn put_into(self, headers: &mut HeaderMap) {
        let text = Bytes::from(self.text);
        let mut start = 0;
        for (name, end) in self.lines {
            if let Ok(value) = HeaderValue::from_maybe_shared(text.slice(start..end)) {
                headers.insert(name, value);
            }
            start = end;
        }
    }
}

/// Adds a number in digits.
pub(crate) fn push_number(to: &mut Vec<u8>, number: u64) {
    let (mut digits, mut rest) = ([b'0'; 20], number);
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    to.extend_from_slice(&digits[start..]);
}

/// A number as a header value.
pub(crate) fn number(number: u64) -> HeaderValue {
    HeaderValue::from(number)
}

/// Text as a header can hold it, of bounded length.
fn safe(text: &str) -> impl Iterator<Item = u8> {
    const LONGEST: usize = 256;
    text.bytes()
        .take(LONGEST)
        .map(|byte| if byte.is_ascii_graphic() || byte == b' ' { byte } else { b'?' })
}

/// A header value for text that may hold anything; what HTTP does not allow becomes `?`.
pub(crate) fn value_of(text: &str) -> HeaderValue {
    let safe: Vec<u8> = safe(text).collect();
    HeaderValue::from_maybe_shared(Bytes::from(safe)).unwrap_or(HeaderValue::from_static("?"))
}

#[cfg(test)]
mod tests;
