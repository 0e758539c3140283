//! Real limits: requests, tokens and calls at once, by token bucket or by window, with the documented
//! headers and texts.
//!
//! Source: OpenAI rate limit guide; Groq rate limit page (`limit-requests` is per day there); recorded
//! answers of Azure (`x-ratelimit-reset-tokens` in whole seconds, code `429`), read 2026-11.

use crate::provider::answer::Answer;
use crate::provider::encode::go_duration;
use crate::provider::kinds::{Wait, error_body, wait_headers};
use std::time::Duration;

/// How a limit is metered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meter {
    /// A bucket that fills evenly.
    Continuous,
    /// A count that starts anew with each window.
    FixedWindow,
}

/// Which headers and texts go with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// All documented headers, and the wait in the text.
    OpenAi,
    /// No headers; the wait stands in the text.
    TextOnly,
    /// Neither headers nor a wait in the text.
    Silent,
    /// Whole seconds, `code` is the status.
    Azure,
    /// OpenAI's headers, where the requests are those of a day.
    Groq,
}

/// The limits of a model. Absent means: no limit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Limits {
    /// Requests a minute.
    pub(crate) rpm: Option<f64>,
    /// Tokens a minute.
    pub(crate) tpm: Option<f64>,
    /// Requests a day.
    pub(crate) rpd: Option<f64>,
    /// Calls at once.
    pub(crate) concurrency: Option<u32>,
    /// Size of a bucket, as the time it takes to fill.
    pub(crate) burst: Duration,
    /// Fill at the start, 0 to 1.
    pub(crate) initial: f64,
    pub(crate) meter: Meter,
    pub(crate) dialect: Dialect,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dimension {
    Requests,
    Tokens,
    Day,
    Concurrency,
}

impl Dimension {
    /// The name in statistics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Dimension::Requests => "requests",
            Dimension::Tokens => "tokens",
            Dimension::Day => "requests_per_day",
            Dimension::Concurrency => "concurrency",
        }
    }
}

/// A call that does not fit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Over {
    pub(crate) dimension: Dimension,
    pub(crate) limit: f64,
    pub(crate) used: f64,
    pub(crate) requested: f64,
    /// Until the same call would fit; absent where it never will.
    pub(crate) wait: Option<Duration>,
}

/// One limit and how much of it is left.
#[derive(Clone, Debug)]
struct Gauge {
    dimension: Dimension,
    limit: f64,
    period: Duration,
    meter: Meter,
    capacity: f64,
    level: f64,
    at: Duration,
}

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// Sums of fractions are not exact: less than this share of a bucket missing counts as nothing.
const DUST: f64 = 1e-9;

impl Gauge {
    fn new(dimension: Dimension, limit: f64, period: Duration, limits: &Limits) -> Gauge {
        let capacity = match limits.meter {
            Meter::Continuous if period == MINUTE => {
                (limit * limits.burst.as_secs_f64() / period.as_secs_f64()).max(1.0)
            }
            Meter::Continuous | Meter::FixedWindow => limit,
        };
        let level = capacity * limits.initial;
        Gauge { dimension, limit, period, meter: limits.meter, capacity, level, at: Duration::ZERO }
    }

    fn rate(&self) -> f64 {
        self.limit / self.period.as_secs_f64()
    }

    fn refill(&mut self, now: Duration) {
        match self.meter {
            Meter::Continuous => {
                let gained = now.saturating_sub(self.at).as_secs_f64() * self.rate();
                self.level = (self.level + gained).min(self.capacity);
            }
            Meter::FixedWindow => {
                let window = |at: Duration| at.as_nanos() / self.period.as_nanos();
                if window(now) > window(self.at) {
                    self.level = self.capacity;
                }
            }
        }
        self.at = self.at.max(now);
    }

    fn until_next_window(&self) -> Duration {
        let nanos = self.period.as_nanos() - self.at.as_nanos() % self.period.as_nanos();
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Until `amount` fits; zero if it does. An amount larger than the bucket needs a full one.
    fn wait_for(&self, amount: f64) -> Duration {
        let missing = amount.min(self.capacity) - self.level;
        if missing <= DUST * self.capacity.max(1.0) {
            return Duration::ZERO;
        }
        match self.meter {
            Meter::Continuous => rounded_up(missing / self.rate()),
            Meter::FixedWindow => self.until_next_window(),
        }
    }

    /// Until the limit is whole again.
    fn reset(&self) -> Duration {
        if self.level >= self.capacity { Duration::ZERO } else { self.wait_for(self.capacity) }
    }

    fn remaining(&self) -> f64 {
        self.level.max(0.0).floor()
    }
}

/// Whole microseconds, so that the call fits when the wait is over.
fn rounded_up(seconds: f64) -> Duration {
    Duration::try_from_secs_f64((seconds * 1e6).ceil() / 1e6).unwrap_or(Duration::MAX)
}

/// The limits of one model, and how much of them is left.
#[derive(Clone, Debug)]
pub(crate) struct Limiter {
    gauges: Vec<Gauge>,
    concurrency: Option<u32>,
    active: u32,
    dialect: Dialect,
}

impl Limiter {
    /// A limiter at the start of a scenario.
    pub(crate) fn new(limits: &Limits) -> Limiter {
        let all = [
            (Dimension::Requests, limits.rpm, MINUTE),
            (Dimension::Tokens, limits.tpm, MINUTE),
            (Dimension::Day, limits.rpd, DAY),
        ];
        let gauge = |(dimension, limit, period): (Dimension, Option<f64>, Duration)| {
            Some(Gauge::new(dimension, limit?, period, limits))
        };
        Limiter {
            gauges: all.into_iter().filter_map(gauge).collect(),
            concurrency: limits.concurrency,
            active: 0,
            dialect: limits.dialect,
        }
    }

    /// Takes one call with this many tokens, all limits or none of them.
    ///
    /// # Errors
    ///
    /// The limit that makes it wait longest.
    pub(crate) fn admit(&mut self, tokens: u64, now: Duration) -> Result<(), Over> {
        if let Some(most) = self.concurrency.filter(|&most| self.active >= most) {
            let (limit, used) = (f64::from(most), f64::from(self.active));
            return Err(Over {
                dimension: Dimension::Concurrency,
                limit,
                used,
                requested: 1.0,
                wait: None,
            });
        }
        let cost = |dimension| if dimension == Dimension::Tokens { tokens as f64 } else { 1.0 };
        let mut worst: Option<Over> = None;
        for gauge in &mut self.gauges {
            gauge.refill(now);
            let requested = cost(gauge.dimension);
            let never = requested > gauge.limit;
            let wait = gauge.wait_for(requested);
            let longer = worst.as_ref().is_none_or(|over| over.wait.is_some_and(|w| w < wait));
            if never || (!wait.is_zero() && longer) {
                worst = Some(Over {
                    dimension: gauge.dimension,
                    limit: gauge.limit,
                    used: (gauge.limit - gauge.level).clamp(0.0, gauge.limit).floor(),
                    requested,
                    wait: (!never).then_some(wait),
                });
            }
        }
        if let Some(over) = worst {
            return Err(over);
        }
        for gauge in &mut self.gauges {
            gauge.level -= cost(gauge.dimension);
        }
        self.active += 1;
        Ok(())
    }

    /// Gives back the place of a call that is over.
    pub(crate) fn leave(&mut self) {
        self.active = self.active.saturating_sub(1);
    }

    /// The headers that tell how much is left, on every answer.
    pub(crate) fn headers(&mut self, now: Duration) -> Vec<(&'static str, String)> {
        let mut headers = Vec::with_capacity(6);
        for gauge in &mut self.gauges {
            gauge.refill(now);
            let Some([limit, remaining, reset]) = header_names(self.dialect, gauge.dimension)
            else {
                continue;
            };
            let after = match self.dialect {
                Dialect::Azure => gauge.reset().as_secs_f64().ceil().to_string(),
                Dialect::OpenAi | Dialect::Groq | Dialect::TextOnly | Dialect::Silent => {
                    go_duration(gauge.reset())
                }
            };
            headers.push((limit, gauge.limit.floor().to_string()));
            headers.push((remaining, gauge.remaining().to_string()));
            headers.push((reset, after));
        }
        headers
    }

    /// The answer to a call that does not fit.
    pub(crate) fn refuse(&self, over: &Over, model: &str) -> Answer {
        let mut answer = match self.dialect {
            Dialect::Azure => azure_refusal(over),
            Dialect::OpenAi | Dialect::Groq | Dialect::TextOnly | Dialect::Silent => {
                openai_refusal(over, model, self.dialect)
            }
        };
        let told = matches!(self.dialect, Dialect::OpenAi | Dialect::Groq | Dialect::Azure);
        if let Some(wait) = over.wait.filter(|_| told) {
            answer.headers = wait_headers(&Wait::For(wait));
        }
        answer
    }
}

fn header_names(dialect: Dialect, dimension: Dimension) -> Option<[&'static str; 3]> {
    let requests = [
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ];
    let tokens =
        ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];
    match dimension {
        _ if matches!(dialect, Dialect::TextOnly | Dialect::Silent) => None,
        Dimension::Tokens => Some(tokens),
        Dimension::Requests => (dialect != Dialect::Groq).then_some(requests),
        Dimension::Day => (dialect == Dialect::Groq).then_some(requests),
        Dimension::Concurrency => None,
    }
}

fn openai_refusal(over: &Over, model: &str, dialect: Dialect) -> Answer {
    let (kind, what) = match over.dimension {
        Dimension::Requests => ("requests", "requests per min (RPM)"),
        Dimension::Tokens => ("tokens", "tokens per min (TPM)"),
        Dimension::Day => ("requests", "requests per day (RPD)"),
        Dimension::Concurrency => {
            let message = "Too many concurrent requests. Please try again later.";
            let code = Some("concurrent_limit_exceeded");
            return Answer::json(429, error_body(message, Some("rate_limit_error"), None, code));
        }
    };
    let (limit, used, requested) = (over.limit, over.used, over.requested);
    let visit = "Visit https://platform.openai.com/account/rate-limits to learn more.";
    let whose = format!("for {model} in organization org-sim on {what}");
    let message = match (over.wait, dialect) {
        (None, _) => format!(
            "Request too large {whose}: Limit {limit}, Requested {requested}. The input or output tokens must be reduced in order to run successfully. {visit}"
        ),
        (Some(_), Dialect::Silent) => format!("Rate limit reached {whose}."),
        (Some(wait), _) => format!(
            "Rate limit reached {whose}: Limit {limit}, Used {used}, Requested {requested}. Please try again in {}. {visit}",
            go_duration(wait)
        ),
    };
    Answer::json(429, error_body(&message, Some(kind), None, Some("rate_limit_exceeded")))
}

fn azure_refusal(over: &Over) -> Answer {
    let what = if over.dimension == Dimension::Tokens { "token" } else { "call" };
    let again = over.wait.map_or_else(String::new, |wait| {
        format!(" Please retry after {} seconds.", wait.as_secs_f64().ceil().max(1.0))
    });
    let message = format!(
        "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded {what} rate limit of your current OpenAI S0 pricing tier.{again} Please go here: https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit."
    );
    let message = crate::provider::encode::quoted(&message);
    Answer::json(429, format!(r#"{{"error":{{"code":"429","message":{message}}}}}"#))
}

#[cfg(test)]
mod tests;
