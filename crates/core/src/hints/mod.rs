//! What an answer says about limits and waiting: headers, body fields and prose.
//!
//! Everything here reads what a stranger sent. Malformed, negative, zero, NaN and absurd values
//! count as absent; nothing panics, and every reading is linear in its input.

mod dates;
mod durations;
mod prose;
mod rates;

pub use dates::{http_date, rfc3339};
pub use durations::duration;
pub(crate) use durations::millis;
pub(crate) use prose::limit_in;
pub use prose::{Counted, TextLimit, text_limit, text_wait};
pub(crate) use prose::{REQUESTS_PER_TIME, TOKENS_PER_TIME};
pub use rates::{Dimension, RateHints, exhausted_wait, is_about_limits, rate_hints};

use crate::headers::Headers;
use core::time::Duration;

/// Longest wait believed, in any form. Anything beyond is taken as nonsense and counts as absent.
pub const WAIT_BELIEVED: Duration = Duration::from_secs(24 * 366 * 3600);

/// The wait the server asks for: `retry-after-ms`, then `retry-after` in seconds, then as an HTTP
/// date, then prose in `body_text` ("try again in 1m3s"); the first that can be read wins.
///
/// `unix_now` is the time since 1970 on the caller's clock; a `date` header of the answer is
/// preferred to it, because a date is best compared with the clock it came from. What exhausted
/// `x-ratelimit-*` dimensions mean depends on a request's cost: see [`exhausted_wait`].
pub fn server_wait(
    headers: &dyn Headers,
    body_text: Option<&str>,
    unix_now: Option<Duration>,
) -> Option<Duration> {
    header_wait(headers, unix_now).or_else(|| body_text.and_then(text_wait))
}

/// The header part of [`server_wait`].
pub fn header_wait(headers: &dyn Headers, unix_now: Option<Duration>) -> Option<Duration> {
    let millis = ["retry-after-ms", "x-ms-retry-after-ms"]
        .into_iter()
        .find_map(|name| headers.text(name).and_then(millis));
    millis.or_else(|| headers.text("retry-after").and_then(|text| after(text, headers, unix_now)))
}

/// The longest wait that the headers show anywhere, for people who want to know the worst.
pub fn longest_header_wait(headers: &dyn Headers, unix_now: Option<Duration>) -> Option<Duration> {
    let millis = ["retry-after-ms", "x-ms-retry-after-ms"]
        .into_iter()
        .filter_map(|name| headers.text(name).and_then(millis));
    let after = headers.text("retry-after").and_then(|text| after(text, headers, unix_now));
    millis.chain(after).max()
}

/// `x-should-retry`: the server's own word on whether a repeat makes sense. Only the exact
/// values count, as in the official SDKs (openai-python 3.52, openai-node 7.55, read 2026-11).
pub fn should_retry(headers: &dyn Headers) -> Option<bool> {
    match headers.text("x-should-retry")? {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// The time now, by the answer's own `date` when it has one.
pub(crate) fn now(headers: &dyn Headers, unix_now: Option<Duration>) -> Option<Duration> {
    headers.text("date").and_then(http_date).or(unix_now)
}

/// `retry-after` in any of its forms: seconds, a duration such as "6m0s", or a date.
fn after(text: &str, headers: &dyn Headers, unix_now: Option<Duration>) -> Option<Duration> {
    if let Some(wait) = duration(text) {
        return Some(wait);
    }
    believed(point(text)?.checked_sub(now(headers, unix_now)?)?)
}

/// A point in time since 1970, as an epoch (s or ms), RFC 3339 or an HTTP date.
pub(crate) fn point(text: &str) -> Option<Duration> {
    durations::epoch(text).or_else(|| rfc3339(text)).or_else(|| http_date(text))
}

/// `wait` when it is above zero and not absurd.
pub(crate) fn believed(wait: Duration) -> Option<Duration> {
    (wait > Duration::ZERO && wait <= WAIT_BELIEVED).then_some(wait)
}

#[cfg(test)]
mod tests;
