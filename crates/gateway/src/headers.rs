//! Which headers go through, in both directions.
//!
//! Towards the provider the walk drops credentials, cookies, hop-by-hop headers and our own; here
//! goes what only a server in front of callers can know: what proxies and browsers add about the
//! caller, and the caller's organization, which is not ours.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use mainstay::Fields;
use mainstay::fields::push_number;

use crate::settings::Expose;

/// Our own request id, on every answer.
pub(crate) const REQUEST_ID: &str = "x-request-id";
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
pub(crate) const DEGRADED: &str = "x-mainstay-degraded";
/// Attempts sent.
pub(crate) const ATTEMPTS: &str = "x-mainstay-attempts";
/// The provider that answered.
pub(crate) const PROVIDER: &str = "x-mainstay-provider";
/// The model it was asked for.
pub(crate) const MODEL: &str = "x-mainstay-model";
/// Microseconds spent here, waits and the provider's time left out.
pub(crate) const OVERHEAD: &str = "x-mainstay-overhead-us";

/// Removes from the caller's headers what must not go on. `own_account` keeps the caller's
/// organization and project: with `auth = "pass"` they are the provider's to judge.
pub(crate) fn clean_request(headers: &mut Fields, own_account: bool, inflated: bool) {
    headers.retain(|name, _| match name.first() {
        Some(b'o') if account(name) => own_account,
        Some(b'c') if name == b"content-encoding" => !inflated,
        Some(_) | None => !about_the_caller(name),
    });
}

/// What proxies and browsers tell about where the caller is.
fn about_the_caller(name: &[u8]) -> bool {
    match name.first() {
        Some(b'x') => {
            name.starts_with(b"x-forwarded-") || matches!(name, b"x-real-ip" | b"x-client-ip")
        }
        Some(b'f') => name == b"forwarded",
        Some(b'v') => name == b"via",
        Some(b'o') => name == b"origin",
        Some(b'r') => name == b"referer",
        Some(b'e') => name == b"expect",
        Some(b'c') => matches!(name, b"cf-connecting-ip" | b"cf-ipcountry" | b"cf-visitor"),
        Some(_) | None => false,
    }
}

fn account(name: &[u8]) -> bool {
    matches!(name, b"openai-organization" | b"openai-project")
}

/// What becomes of one header of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Keep,
    Drop,
    /// `x-…` comes as `x-mainstay-upstream-…`.
    Ours,
}

/// What stands before the provider's own names where they are told under ours.
const UPSTREAM: &[u8] = b"x-mainstay-upstream-";

/// A header of the provider as a caller gets it.
pub(crate) struct ForCaller<'a> {
    /// What its name begins with.
    pub(crate) before: &'static [u8],
    /// The rest of its name.
    pub(crate) rest: &'a [u8],
    pub(crate) value: &'a [u8],
    /// All of its line, where the provider wrote just that.
    pub(crate) line: Option<&'a [u8]>,
}

/// Hands over the provider's headers as a caller gets them, without those that end here and with the
/// provider's ids and limits under our names.
pub(crate) fn each_for_caller(
    headers: &Fields,
    expose: Expose,
    mut tell: impl FnMut(ForCaller<'_>),
) {
    let listed = headers.named_by_connection();
    for (name, value, line) in headers.lines() {
        let fate = fate(name, expose);
        if fate == Fate::Drop || listed.iter().any(|listed| listed.as_bytes() == name) {
            continue;
        }
        tell(match (fate, name.strip_prefix(b"x-")) {
            (Fate::Ours, Some(rest)) => ForCaller { before: UPSTREAM, rest, value, line: None },
            (Fate::Keep | Fate::Ours | Fate::Drop, _) => {
                ForCaller { before: b"", rest: name, value, line }
            }
        });
    }
}

/// Puts the provider's headers into `out`, as a caller gets them.
pub(crate) fn provider_headers(headers: &Fields, expose: Expose, out: &mut HeaderMap) {
    out.reserve(headers.len());
    each_for_caller(headers, expose, |one| {
        let name = HeaderName::from_bytes(&[one.before, one.rest].concat());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(one.value)) {
            out.append(name, value);
        }
    });
}

fn fate(name: &[u8], expose: Expose) -> Fate {
    match name.first() {
        Some(b'x') => fate_of_x(name, expose),
        // Names of one connection or one origin: the provider's, not ours.
        Some(b'a') if name == b"alt-svc" || name.starts_with(b"access-control-") => Fate::Drop,
        Some(b'c') if matches!(name, b"connection" | b"content-length") => Fate::Drop,
        Some(b'k') if name == b"keep-alive" => Fate::Drop,
        Some(b'n') if name == b"nel" => Fate::Drop,
        Some(b'o') if matches!(name, b"openai-organization" | b"openai-project") => Fate::Drop,
        Some(b'p') if name.starts_with(b"proxy-") => Fate::Drop,
        Some(b'r') if matches!(name, b"retry-after" | b"retry-after-ms" | b"report-to") => {
            Fate::Drop
        }
        Some(b's') if matches!(name, b"set-cookie" | b"strict-transport-security" | b"server") => {
            Fate::Drop
        }
        Some(b't') if matches!(name, b"te" | b"trailer" | b"transfer-encoding") => Fate::Drop,
        Some(b'u') if name == b"upgrade" => Fate::Drop,
        Some(b'w') if name == b"www-authenticate" => Fate::Drop,
        Some(_) | None => Fate::Keep,
    }
}

fn fate_of_x(name: &[u8], expose: Expose) -> Fate {
    if name == b"x-request-id" || name.starts_with(b"x-ratelimit-") {
        return match expose {
            Expose::All => Fate::Ours,
            Expose::Minimal => Fate::Drop,
        };
    }
    let ours =
        name.starts_with(b"x-mainstay-") || name == b"x-should-retry" || name == b"x-powered-by";
    if ours { Fate::Drop } else { Fate::Keep }
}

/// Headers that are made as they are written, one line behind the other: most go out just so.
#[derive(Debug)]
pub(crate) struct Made {
    lines: Vec<u8>,
}

impl Made {
    /// None yet, with room for those of an answer.
    pub(crate) fn new() -> Made {
        Made { lines: Vec::with_capacity(512) }
    }

    /// One with a number.
    pub(crate) fn number(&mut self, name: &'static str, number: u64) {
        self.with(name, |line| push_number(line, number));
    }

    /// One with text that may hold anything; what HTTP does not allow becomes `?`.
    pub(crate) fn text(&mut self, name: &'static str, value: &str) {
        self.with(name, |line| {
            if value.len() <= LONGEST && value.bytes().all(is_safe) {
                line.extend_from_slice(value.as_bytes());
            } else {
                line.extend(safe(value));
            }
        });
    }

    /// One with what `write` adds: visible ASCII and nothing else.
    pub(crate) fn with(&mut self, name: &'static str, write: impl FnOnce(&mut Vec<u8>)) {
        self.lines.extend_from_slice(name.as_bytes());
        self.lines.extend_from_slice(b": ");
        write(&mut self.lines);
        self.lines.extend_from_slice(b"\r\n");
    }

    /// One whose value is there already.
    pub(crate) fn value(&mut self, name: &'static str, value: &HeaderValue) {
        self.with(name, |line| line.extend_from_slice(value.as_bytes()));
    }

    /// All of them, as they go out.
    pub(crate) fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// Puts them among others, in place of their namesakes.
    pub(crate) fn put_into(self, headers: &mut HeaderMap) {
        // A value has no line end in it.
        for line in self.lines.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let Some(colon) = memchr::memchr(b':', line) else { continue };
            let value = HeaderValue::from_bytes(line.get(colon + 2..).unwrap_or_default());
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&line[..colon]), value) {
                headers.insert(name, value);
            }
        }
    }
}

/// The headers of an answer as a provider gave them, and what is to be done to them before the caller gets
/// them. Where an answer is written to its connection right away, it is done as they are written,
/// without a map in between.
#[derive(Debug)]
pub(crate) struct Rewrite {
    /// The provider's.
    pub(crate) theirs: Fields,
    /// What of the provider is shown.
    pub(crate) expose: Expose,
    /// Headers of ours, none of which the provider's can have.
    pub(crate) made: Made,
    /// The length of the body, where it is known.
    pub(crate) length: Option<u64>,
}

impl Rewrite {
    /// Puts them among the headers of the answer.
    pub(crate) fn apply(self, headers: &mut HeaderMap) {
        headers.reserve(self.theirs.len() + 12);
        provider_headers(&self.theirs, self.expose, headers);
        if let Some(length) = self.length {
            headers.insert(header::CONTENT_LENGTH, number(length));
        }
        self.made.put_into(headers);
    }
}

/// A number as a header value.
pub(crate) fn number(number: u64) -> HeaderValue {
    HeaderValue::from(number)
}

/// Bytes of a text that a header is given.
const LONGEST: usize = 256;

/// Text as a header can hold it, of bounded length.
fn safe(text: &str) -> impl Iterator<Item = u8> {
    text.bytes().take(LONGEST).map(|byte| if is_safe(byte) { byte } else { b'?' })
}

fn is_safe(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// A header value for text that may hold anything; what HTTP does not allow becomes `?`.
pub(crate) fn value_of(text: &str) -> HeaderValue {
    let safe: Vec<u8> = safe(text).collect();
    HeaderValue::from_maybe_shared(Bytes::from(safe)).unwrap_or(HeaderValue::from_static("?"))
}

#[cfg(test)]
mod tests;
