//! Rate-limit headers of many providers, read into the same few dimensions.
//!
//! Which header belongs to whom stands beside its line. A provider is never guessed: names alone
//! decide, and a window is only inferred when the numbers can mean nothing else.

use super::{dates, durations, now};
use crate::headers::Headers;
use alloc::string::String;
use core::time::Duration;

/// One limit as the headers show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dimension {
    /// Most units in one window; never 0.
    pub limit: Option<u64>,
    /// Units left.
    pub remaining: Option<u64>,
    /// Time until the limit is full again. Not the time until the next call fits.
    pub reset: Option<Duration>,
    /// Length of the window, when a name says it or the numbers leave no other choice (hour or
    /// day; a shorter window is never inferred). `None`: take a minute.
    pub window: Option<Duration>,
}

/// What the headers say about limits. Absent dimensions are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateHints {
    /// Requests per minute, or per the window given.
    pub requests: Option<Dimension>,
    /// Requests per day, where it is a dimension of its own.
    pub requests_day: Option<Dimension>,
    /// Tokens, prompt and answer together.
    pub tokens: Option<Dimension>,
    /// Tokens per day, where it is a dimension of its own.
    pub tokens_day: Option<Dimension>,
    /// Prompt tokens, where they are counted apart.
    pub input_tokens: Option<Dimension>,
    /// Answer tokens, where they are counted apart.
    pub output_tokens: Option<Dimension>,
    /// Tokens of the project, below the organization's limit.
    pub project_tokens: Option<Dimension>,
    /// Tokens this call cost, as the provider counts them.
    pub query_cost: Option<u64>,
}

impl RateHints {
    /// Every dimension that counts requests.
    pub fn request_dimensions(&self) -> impl Iterator<Item = Dimension> {
        [self.requests, self.requests_day].into_iter().flatten()
    }

    /// Every dimension that counts tokens.
    pub fn token_dimensions(&self) -> impl Iterator<Item = Dimension> {
        [self.tokens, self.tokens_day, self.input_tokens, self.output_tokens, self.project_tokens]
            .into_iter()
            .flatten()
    }
}

/// Where a dimension's three values are found, first match wins for each.
struct Names {
    limit: &'static [&'static str],
    remaining: &'static [&'static str],
    reset: &'static [&'static str],
    window: Option<Duration>,
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

// Sources, read 2026-11: OpenAI rate-limit guide and Azure (…-requests, -tokens); Anthropic rate
// limits page; Mistral client-ts#169 (…-req-minute, -tokens-minute); Cerebras docs (-requests-day,
// -tokens-minute); Together (x-ratelimit-*, x-tokenlimit-*); OpenRouter (bare x-ratelimit-*).
const REQUESTS: [Names; 2] = [
    Names {
        limit: &[
            "x-ratelimit-limit-requests",
            "anthropic-ratelimit-requests-limit",
            "x-ratelimit-limit",
        ],
        remaining: &[
            "x-ratelimit-remaining-requests",
            "anthropic-ratelimit-requests-remaining",
            "x-ratelimit-remaining",
        ],
        reset: &[
            "x-ratelimit-reset-requests",
            "anthropic-ratelimit-requests-reset",
            "x-ratelimit-reset",
        ],
        window: None,
    },
    Names {
        limit: &["x-ratelimit-limit-req-minute", "x-ratelimit-limit-requests-minute"],
        remaining: &["x-ratelimit-remaining-req-minute", "x-ratelimit-remaining-requests-minute"],
        reset: &["x-ratelimit-reset-req-minute", "x-ratelimit-reset-requests-minute"],
        window: Some(MINUTE),
    },
];
const TOKENS: [Names; 2] = [
    Names {
        limit: &[
            "x-ratelimit-limit-tokens",
            "anthropic-ratelimit-tokens-limit",
            "x-tokenlimit-limit",
            "x-ratelimit-limit-tokens_usage_based",
        ],
        remaining: &[
            "x-ratelimit-remaining-tokens",
            "anthropic-ratelimit-tokens-remaining",
            "x-tokenlimit-remaining",
            "x-ratelimit-remaining-tokens_usage_based",
        ],
        reset: &[
            "x-ratelimit-reset-tokens",
            "anthropic-ratelimit-tokens-reset",
            "x-tokenlimit-reset",
            "x-ratelimit-reset-tokens_usage_based",
        ],
        window: None,
    },
    Names {
        limit: &["x-ratelimit-limit-tokens-minute", "x-ratelimitbysize-limit-minute"],
        remaining: &["x-ratelimit-remaining-tokens-minute", "x-ratelimitbysize-remaining-minute"],
        reset: &["x-ratelimit-reset-tokens-minute"],
        window: Some(MINUTE),
    },
];
const REQUESTS_DAY: [Names; 1] = [Names {
    limit: &["x-ratelimit-limit-requests-day"],
    remaining: &["x-ratelimit-remaining-requests-day"],
    reset: &["x-ratelimit-reset-requests-day"],
    window: Some(DAY),
}];
const TOKENS_DAY: [Names; 1] = [Names {
    limit: &["x-ratelimit-limit-tokens-day"],
    remaining: &["x-ratelimit-remaining-tokens-day"],
    reset: &["x-ratelimit-reset-tokens-day"],
    window: Some(DAY),
}];
const INPUT_TOKENS: [Names; 1] = [Names {
    limit: &["anthropic-ratelimit-input-tokens-limit"],
    remaining: &["anthropic-ratelimit-input-tokens-remaining"],
    reset: &["anthropic-ratelimit-input-tokens-reset"],
    window: Some(MINUTE),
}];
const OUTPUT_TOKENS: [Names; 1] = [Names {
    limit: &["anthropic-ratelimit-output-tokens-limit"],
    remaining: &["anthropic-ratelimit-output-tokens-remaining"],
    reset: &["anthropic-ratelimit-output-tokens-reset"],
    window: Some(MINUTE),
}];
const PROJECT_TOKENS: [Names; 1] = [Names {
    limit: &["x-ratelimit-limit-project-tokens"],
    remaining: &["x-ratelimit-remaining-project-tokens"],
    reset: &["x-ratelimit-reset-project-tokens"],
    window: None,
}];

/// Reads the rate-limit headers of an answer. `unix_now` (time since 1970) is needed for resets
/// that are points in time and for answers without a `date` header; without it those are absent.
pub fn rate_hints(headers: &dyn Headers, unix_now: Option<Duration>) -> RateHints {
    let limits = Limits::of(headers);
    if limits.len == 0 {
        return RateHints::default();
    }
    let now = || now(headers, unix_now);
    let read = |names: &[Names]| names.iter().find_map(|names| dimension(&limits, names, now));
    RateHints {
        requests: read(&REQUESTS),
        requests_day: read(&REQUESTS_DAY),
        tokens: read(&TOKENS),
        tokens_day: read(&TOKENS_DAY),
        input_tokens: read(&INPUT_TOKENS),
        output_tokens: read(&OUTPUT_TOKENS),
        project_tokens: read(&PROJECT_TOKENS),
        query_cost: limits.text("x-ratelimit-tokens-query-cost").and_then(durations::count),
    }
}

/// The headers of an answer that may be about limits, set apart in one pass: looking each of some
/// forty names up among all headers costs more than everything else that is read of an answer.
struct Limits<'h> {
    headers: [(&'h str, &'h str); Limits::MOST],
    len: usize,
}

impl<'h> Limits<'h> {
    /// More than any provider sends: four dimensions with three values each, and some spare.
    const MOST: usize = 32;

    fn of(headers: &'h dyn Headers) -> Limits<'h> {
        let mut limits = Limits { headers: [("", ""); Limits::MOST], len: 0 };
        headers.each(&mut |name, value| {
            if limits.len < Limits::MOST
                && is_about_limits(name.as_bytes())
                && let Ok(value) = core::str::from_utf8(value)
            {
                limits.headers[limits.len] = (name, value.trim());
                limits.len += 1;
            }
        });
        limits
    }

    fn text(&self, name: &str) -> Option<&'h str> {
        let among = self.headers.iter().take(self.len);
        among.copied().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Whether a header's name begins like those that [`rate_hints`] reads; without one there are no hints.
pub fn is_about_limits(name: &[u8]) -> bool {
    let begins =
        |begin: &[u8]| name.get(..begin.len()).is_some_and(|name| name.eq_ignore_ascii_case(begin));
    match name.first() {
        Some(b'x' | b'X') => begins(b"x-ratelimit") || begins(b"x-tokenlimit"),
        Some(b'a' | b'A') => begins(b"anthropic-ratelimit"),
        Some(_) | None => false,
    }
}

/// How long until a call of this cost fits, by the exhausted dimensions: the longest of
/// `min(reset, (cost − remaining) / limit × window)`. `None` when no dimension is too low, or
/// none says enough.
pub fn exhausted_wait(hints: &RateHints, requests: u64, tokens: Option<u64>) -> Option<Duration> {
    let of_requests = hints.request_dimensions().filter_map(|d| until_fits(d, requests));
    let cost = tokens.unwrap_or(0);
    let of_tokens = hints.token_dimensions().filter_map(|d| until_fits(d, cost));
    of_requests.chain(of_tokens).max()
}

fn until_fits(dimension: Dimension, cost: u64) -> Option<Duration> {
    let missing = cost.checked_sub(dimension.remaining?).filter(|missing| *missing > 0)?;
    let window = dimension.window.unwrap_or(MINUTE).as_secs_f64();
    let refill = dimension.limit.and_then(|limit| {
        let share = missing.min(limit) as f64 / limit as f64;
        Duration::try_from_secs_f64(share * window).ok()
    });
    match (refill, dimension.reset) {
        (Some(refill), Some(reset)) => Some(refill.min(reset)),
        (refill, reset) => refill.or(reset),
    }
    .filter(|wait| !wait.is_zero())
}

fn dimension(
    limits: &Limits<'_>,
    names: &Names,
    now: impl Fn() -> Option<Duration>,
) -> Option<Dimension> {
    let first = |names: &[&str]| names.iter().find_map(|name| limits.text(name));
    let limit = first(names.limit).and_then(durations::count).filter(|limit| *limit > 0);
    // Azure sends limit -1, remaining -1, reset 0 where it does not count (openai-dotnet#838):
    // a negative limit says that the zero beside it means nothing.
    let counted = first(names.limit).is_none() || limit.is_some();
    let remaining = first(names.remaining).and_then(durations::count).filter(|_| counted);
    let reset = first(names.reset).and_then(|text| reset(text, &now)).filter(|_| counted);
    if limit.is_none() && remaining.is_none() && reset.is_none() {
        return None;
    }
    let window = names.window.or_else(|| long_window(limit?, remaining?, reset?));
    Some(Dimension { limit, remaining, reset, window })
}

/// A reset as a length (`6m0s`, `30`), an epoch (s or ms) or RFC 3339.
fn reset(text: &str, now: impl Fn() -> Option<Duration>) -> Option<Duration> {
    if let Some(until) = durations::epoch(text).or_else(|| dates::rfc3339(text)) {
        return Some(until.saturating_sub(now()?)).filter(|wait| *wait <= super::WAIT_BELIEVED);
    }
    durations::length(text)
}

/// The window of a limit that refills evenly: `reset × limit / (limit − remaining)`. Groq counts
/// requests per day under the usual names (console.groq.com/docs/rate-limits, read 2026-11); the
/// numbers show it. Only an hour and a day are believed, and only from a reset longer than any
/// minute: servers with fixed windows send the time to the window's end, whatever was used.
fn long_window(limit: u64, remaining: u64, reset: Duration) -> Option<Duration> {
    if reset <= Duration::from_secs(90) {
        return None;
    }
    let used = limit.checked_sub(remaining).filter(|used| *used > 0)?;
    let window = reset.as_secs_f64() * limit as f64 / used as f64;
    match window {
        w if (1800.0..=7200.0).contains(&w) => Some(Duration::from_secs(3600)),
        w if (43_200.0..=172_800.0).contains(&w) => Some(DAY),
        _ => None,
    }
}

impl RateHints {
    /// `true` when nothing was found.
    pub fn is_empty(&self) -> bool {
        *self == RateHints::default()
    }

    /// One line for logs and `explain`: the dimensions that have no room left.
    pub fn exhausted(&self) -> String {
        let named = [
            ("requests", self.requests),
            ("requests per day", self.requests_day),
            ("tokens", self.tokens),
            ("tokens per day", self.tokens_day),
            ("input tokens", self.input_tokens),
            ("output tokens", self.output_tokens),
            ("project tokens", self.project_tokens),
        ];
        let mut line = String::new();
        for (name, dimension) in named {
            if dimension.is_some_and(|d| d.remaining == Some(0)) {
                if !line.is_empty() {
                    line.push_str(", ");
                }
                line.push_str(name);
            }
        }
        line
    }
}
