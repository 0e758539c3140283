//! What an answer, or its absence, means: one of the kinds of failure, and whether and when the
//! same request is worth repeating.
//!
//! The way: read the body whatever its shape, then ask a table, line by line; the first line that
//! fits wins. Lines look at status, names (`type`, `code`, status words, exception names) and
//! whole-word phrases; no line looks for bare digits in prose. The provider's name is not an
//! input: the same bytes mean the same from everybody, so providers never seen are read as well.
//! Only a bounded part of the body is looked at, and no input panics.

mod access;
mod evidence;
pub mod jsonl;
mod limits;
mod requests;
mod servers;
mod statuses;
mod table;
mod transport;

use crate::failure::{Failure, Kind, Next, Origin, ProviderSaid, Scope};
use crate::headers::Headers;
use crate::hints;
use crate::mask;
use alloc::string::String;
use core::fmt;
use core::time::Duration;
use evidence::Evidence;

pub(crate) use transport::fault_in_text;
pub use transport::{TransportFault, of_transport, of_transport_text};

/// An answer as it came.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// The HTTP status; `None` when no answer came and `body` is the client's error text.
    pub status: Option<u16>,
    /// The headers.
    pub headers: &'a dyn Headers,
    /// The body, decoded. For a stream: what came of it until it ended.
    pub body: &'a [u8],
    /// `true` when the body is an event stream inside a 200.
    pub stream: bool,
}

impl fmt::Debug for Answer<'_> {
    /// Sizes only: a body may hold an answer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The failure, with what the provider said; `attempts` is 1.
    pub failure: Failure,
    /// Whether the same request, later, to the same place with the same key has a fair chance.
    pub retryable: bool,
    /// The longest delay that the answer shows anywhere. For people; see [`Verdict::wait`].
    pub delay: Option<Duration>,
    /// How long a retry has to wait at least, by the fixed order of hints: `retry-after-ms`,
    /// `retry-after`, its date, the exhausted request dimension, body fields, prose. `None` when
    /// nothing says, and when the failure is not retryable.
    pub wait: Option<Duration>,
}

/// Says what an answer means; `None` for a sound one: a status below 400 without an error in the
/// body. Meant for endpoints that answer JSON or events: a 200 with an empty body or a web page
/// is a [`Kind::MalformedResponse`].
pub fn classify(answer: &Answer<'_>) -> Option<Verdict> {
    classify_at(answer, None)
}

/// As [`classify`], with the time since 1970 for hints that are points in time. The answer's own
/// `date` header is preferred to it.
pub fn classify_at(answer: &Answer<'_>, unix_now: Option<Duration>) -> Option<Verdict> {
    let Some(status) = answer.status else {
        return Some(of_transport_text(&String::from_utf8_lossy(
            answer.body.get(..8192).unwrap_or(answer.body),
        )));
    };
    let evidence = Evidence::of(answer, status)?;
    let (kind, scope, again) = table::decide(&evidence);
    Some(verdict(answer, evidence, &Ruling { kind, scope, again }, unix_now))
}

/// What the table decided.
struct Ruling {
    kind: Kind,
    scope: Scope,
    again: bool,
}

fn verdict(
    answer: &Answer<'_>,
    evidence: Evidence,
    ruling: &Ruling,
    unix_now: Option<Duration>,
) -> Verdict {
    let &Ruling { kind, scope, again } = ruling;
    // The server's own word counts, except where a repeat needs a person first: a key, a bill
    // and a faulty request do not heal by waiting, whoever says so.
    let retryable = match hints::should_retry(answer.headers) {
        Some(false) => false,
        Some(true) => again || !needs_a_person(scope, kind),
        None => again,
    };
    let delay = longest_delay(answer, &evidence, kind, unix_now);
    let wait = if retryable { required_wait(answer, &evidence, kind, unix_now) } else { None };
    let origin = match scope {
        Scope::Request => Origin::Caller,
        Scope::Key | Scope::Model | Scope::Provider | Scope::Region | Scope::None => {
            Origin::Provider
        }
    };
    let said = evidence.said;
    let header_id = ["x-request-id", "request-id", "apim-request-id", "x-amzn-requestid"]
        .into_iter()
        .find_map(|name| answer.headers.text(name));
    let provider = ProviderSaid {
        status: answer.status,
        r#type: said.r#type,
        code: said.code,
        param: said.param,
        // What is said goes on into messages, logs and events, which others read.
        message: said.message.map(mask::text),
        request_id: header_id.map(Into::into).or(said.request_id),
    };
    let next = next(retryable, kind, scope, wait);
    Verdict {
        failure: Failure { kind, origin, scope, next, provider, attempts: 1 },
        retryable,
        delay,
        wait,
    }
}

/// Whether somebody has to act before a repeat can work.
fn needs_a_person(scope: Scope, kind: Kind) -> bool {
    match scope {
        Scope::Request => !matches!(kind, Kind::Conflict),
        Scope::Key | Scope::Region => !matches!(
            kind,
            Kind::RateLimitRequests
                | Kind::RateLimitTokens
                | Kind::RateLimitOther
                | Kind::ConcurrentLimit
        ),
        Scope::Model | Scope::Provider | Scope::None => false,
    }
}

/// What may be tried next, by what must change.
pub(crate) fn next(retryable: bool, kind: Kind, scope: Scope, wait: Option<Duration>) -> Next {
    if retryable {
        return Next::SameTarget { wait };
    }
    match (kind, scope) {
        (Kind::ContextLengthExceeded, _) => Next::LargerWindow,
        // How much it takes is each server's own bound.
        (Kind::RequestTooLarge, _) => Next::OtherTarget,
        (Kind::ContentPolicy, _) | (_, Scope::Request | Scope::Region) => Next::Nobody,
        (_, Scope::Key | Scope::Model | Scope::Provider | Scope::None) => Next::OtherTarget,
    }
}

fn longest_delay(
    answer: &Answer<'_>,
    evidence: &Evidence,
    kind: Kind,
    unix_now: Option<Duration>,
) -> Option<Duration> {
    let shown = hints::longest_header_wait(answer.headers, unix_now)
        .max(evidence.said.delay)
        .max(evidence.until(answer.headers, unix_now))
        .max(evidence.text_wait);
    if shown.is_some() || !throttled(kind) {
        return shown;
    }
    let rates = hints::rate_hints(answer.headers, unix_now);
    let exhausted = |d: &hints::Dimension| d.remaining == Some(0);
    let resets = rates.request_dimensions().chain(rates.token_dimensions()).filter(exhausted);
    resets.filter_map(|d| d.reset).filter(|reset| !reset.is_zero()).max()
}

fn required_wait(
    answer: &Answer<'_>,
    evidence: &Evidence,
    kind: Kind,
    unix_now: Option<Duration>,
) -> Option<Duration> {
    hints::header_wait(answer.headers, unix_now)
        .or_else(|| {
            let rates = hints::rate_hints(answer.headers, unix_now);
            throttled(kind).then(|| hints::exhausted_wait(&rates, 1, None)).flatten()
        })
        .or(evidence.said.delay)
        .or_else(|| evidence.until(answer.headers, unix_now))
        .or(evidence.text_wait)
}

/// Kinds that a limit per time or at once stands behind.
fn throttled(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::RateLimitRequests
            | Kind::RateLimitTokens
            | Kind::RateLimitOther
            | Kind::ConcurrentLimit
    )
}

#[cfg(test)]
mod tests;
