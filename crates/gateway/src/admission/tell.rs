//! Limits in words and headers.

use std::time::Duration;

use http::StatusCode;
use mainstay::fields::push_number;
use mainstay_core::failure::{Kind, Origin, Scope};
use mainstay_core::rules::limits::{Fits, Left, Measure, Refusal, Standing};
use mainstay_core::store::LimitRecord;

use crate::headers::Made;
use crate::refused::{OverLimit, Refused};

/// When to come again where only the end of another call makes room: nobody knows when that is, and
/// this is soon enough for short calls and seldom enough for long ones.
const PLACE_WAIT: Duration = Duration::from_secs(1);

/// The refusal of a limit, with its numbers.
pub(super) fn refused(
    limit: Option<&LimitRecord>,
    refusal: &Refusal,
    standing: Standing,
) -> Refused {
    let whose = limit.map_or_else(|| "the caller".to_owned(), whose);
    let of_model = limit.is_some_and(|limit| limit.model.is_some());
    let Refusal { measure, limit: allowed, used, requested, .. } = *refusal;
    let per = per(measure);
    let (kind, message, wait) = match refusal.fits {
        Fits::Never => (
            Kind::RequestTooLarge,
            format!(
                "Request too large for {whose} on {per}: Limit {allowed}, Requested {requested}. It never fits, so \
                 waiting does not help: shorten the prompt, lower the limit on the answer (`max_tokens`), or have the \
                 limit raised."
            ),
            None,
        ),
        Fits::WhenOneEnds => (
            Kind::ConcurrentLimit,
            format!(
                "Too many concurrent requests of {whose}: Limit {allowed}, {used} under way. Start the next one when \
                 one of them has ended, use fewer workers, or have the limit raised."
            ),
            Some(PLACE_WAIT),
        ),
        Fits::After(wait) => {
            let again = go_duration(wait);
            let message = format!(
                "Rate limit of {whose} on {per} is reached: Limit {allowed}, Used {used}, Requested {requested}. It \
                 fits if you try again in {again}; spread calls evenly, or have the limit raised."
            );
            (rate_kind(measure), message, Some(wait))
        }
    };
    let named = limit.map(|limit| named(limit, measure));
    let too_large = kind == Kind::RequestTooLarge;
    Refused {
        origin: Origin::Mainstay,
        scope: if of_model { Scope::Model } else { Scope::Key },
        // The vendor answers 429 to what is too large for a minute, not 413.
        // Source: OpenAI, "Request too large for … on tokens per min (TPM)", read 2026-11.
        status: too_large.then_some(StatusCode::TOO_MANY_REQUESTS),
        vendor_code: too_large.then_some("rate_limit_exceeded"),
        retry_after: wait,
        again: !too_large,
        over: Some(Box::new(OverLimit { named, standing })),
        ..Refused::caller(kind, message)
    }
}

fn rate_kind(measure: Measure) -> Kind {
    match measure {
        Measure::RequestsPerMinute | Measure::RequestsPerDay => Kind::RateLimitRequests,
        Measure::TokensPerMinute => Kind::RateLimitTokens,
        Measure::Concurrency => Kind::ConcurrentLimit,
    }
}

fn per(measure: Measure) -> &'static str {
    match measure {
        Measure::RequestsPerMinute => "requests per min (RPM)",
        Measure::TokensPerMinute => "tokens per min (TPM)",
        Measure::RequestsPerDay => "requests per day (RPD)",
        Measure::Concurrency => "calls at once",
    }
}

/// Whose limit it is, for people.
fn whose(limit: &LimitRecord) -> String {
    let subject = &limit.subject;
    let model = limit.model.as_deref().map(|model| format!(" for model `{model}`"));
    format!("{} `{}`{}", subject.what(), subject.id(), model.unwrap_or_default())
}

/// Whose limit it is, for programs: subject, id, measure and, where it has one, the model.
fn named(limit: &LimitRecord, measure: Measure) -> String {
    let mut text = format!("{} {} {}", limit.subject.what(), limit.subject.id(), measure.name());
    if let Some(model) = &limit.model {
        text.push(' ');
        text.push_str(model);
    }
    text
}

const REQUESTS: [&str; 3] =
    ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
const TOKENS: [&str; 3] =
    ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];

/// The caller's tightest limits, in the vendor's form: numbers, and the time until all is free again
/// as Go writes a duration. Source: OpenAI rate limits guide, read 2026-11.
pub(super) fn headers(standing: &Standing, headers: &mut Made) {
    for (names, left) in [(REQUESTS, standing.requests), (TOKENS, standing.tokens)] {
        let Some(Left { limit, remaining, reset }) = left else { continue };
        let [limit_name, remaining_name, reset_name] = names;
        headers.number(limit_name, limit);
        headers.number(remaining_name, remaining);
        headers.with(reset_name, |text| push_go_duration(text, reset));
    }
}

/// A duration as Go writes it, in whole milliseconds, rounded up: `0s`, `12ms`, `1.2s`, `6m0s`,
/// `1h30m0s`.
fn go_duration(time: Duration) -> String {
    let mut text = Vec::new();
    push_go_duration(&mut text, time);
    text.into_iter().map(char::from).collect()
}

fn push_go_duration(to: &mut Vec<u8>, time: Duration) {
    let above = u64::from(time.subsec_nanos().div_ceil(1_000_000));
    let millis = time.as_secs().saturating_mul(1000).saturating_add(above);
    let (seconds, rest) = (millis / 1000, millis % 1000);
    if seconds == 0 && rest > 0 {
        push_number(to, rest);
        to.extend_from_slice(b"ms");
        return;
    }
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        push_number(to, hours);
        to.push(b'h');
    }
    if hours + minutes > 0 {
        push_number(to, minutes);
        to.push(b'm');
    }
    push_number(to, seconds);
    if rest > 0 {
        to.push(b'.');
        // Three digits, without zeros at the end.
        push_number(to, 1000 + rest);
        to.remove(to.len() - 4);
        while to.last() == Some(&b'0') {
            to.pop();
        }
    }
    to.push(b's');
}

#[cfg(test)]
mod tests;
