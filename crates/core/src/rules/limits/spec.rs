//! What a limit allows.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use super::bucket::Rate;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// What a limit allows; what is absent is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitSpec {
    /// Requests per minute.
    pub rpm: Option<u64>,
    /// Tokens per minute, prompt and answer together.
    pub tpm: Option<u64>,
    /// Requests per day of 24 hours.
    pub rpd: Option<u64>,
    /// Calls at once.
    pub concurrency: Option<u64>,
    /// How much may come at once: what a rate gives in this time, at least one. `None`: a whole
    /// window's worth.
    pub burst: Option<Duration>,
    /// Only counts and tells; never refuses.
    pub shadow: bool,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Requests per minute.
    RequestsPerMinute,
    /// Tokens per minute.
    TokensPerMinute,
    /// Requests per day.
    RequestsPerDay,
    /// Calls at once.
    Concurrency,
}

impl Measure {
    /// All of them.
    pub const ALL: [Measure; 4] = [
        Measure::RequestsPerMinute,
        Measure::TokensPerMinute,
        Measure::RequestsPerDay,
        Measure::Concurrency,
    ];

    /// The stable name, as configuration, command line and headers write it.
    pub const fn name(self) -> &'static str {
        match self {
            Measure::RequestsPerMinute => "rpm",
            Measure::TokensPerMinute => "tpm",
            Measure::RequestsPerDay => "rpd",
            Measure::Concurrency => "concurrency",
        }
    }
}

/// A limit whose values make no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotALimit(String);

impl fmt::Display for NotALimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for NotALimit {}

impl LimitSpec {
    /// Largest number of any measure.
    pub const VALUE_MAX: u64 = 1_000_000_000_000;
    /// Shortest burst.
    pub const BURST_MIN: Duration = Duration::from_millis(1);
    /// Longest burst: a day's.
    pub const BURST_MAX: Duration = DAY;

    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        Measure::ALL.into_iter().all(|measure| self.value(measure).is_none())
    }

    /// The number of one measure.
    pub fn value(&self, measure: Measure) -> Option<u64> {
        match measure {
            Measure::RequestsPerMinute => self.rpm,
            Measure::TokensPerMinute => self.tpm,
            Measure::RequestsPerDay => self.rpd,
            Measure::Concurrency => self.concurrency,
        }
    }

    /// Checks ranges: numbers 1 to [`LimitSpec::VALUE_MAX`], burst 1 ms to a day.
    ///
    /// # Errors
    ///
    /// Which value is out of its range, and what would do.
    pub fn check(&self) -> Result<(), NotALimit> {
        for measure in Measure::ALL {
            let max = Self::VALUE_MAX;
            if self.value(measure).is_some_and(|value| !(1..=max).contains(&value)) {
                let name = measure.name();
                return Err(NotALimit(format!("`{name}` is a number from 1 to {max}")));
            }
        }
        let range = Self::BURST_MIN..=Self::BURST_MAX;
        if self.burst.is_some_and(|burst| !range.contains(&burst)) {
            return Err(NotALimit(String::from("`burst` is a time from 1ms to 1d")));
        }
        Ok(())
    }

    /// The rate of a measure that has one.
    pub(in crate::rules) fn rate(&self, measure: Measure) -> Option<Rate> {
        let (limit, window) = match measure {
            Measure::RequestsPerMinute => (self.rpm?, MINUTE),
            Measure::TokensPerMinute => (self.tpm?, MINUTE),
            Measure::RequestsPerDay => (self.rpd?, DAY),
            Measure::Concurrency => return None,
        };
        Some(Rate::new(limit, window, self.burst))
    }
}
