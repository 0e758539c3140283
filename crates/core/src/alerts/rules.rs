//! The rules by name, and the numbers they go by.

use core::time::Duration;

use crate::failure::{Concern, Kind};

/// Why somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A budget has passed one of its percentages.
    Budget,
    /// A target's circuit breaker has not been closed for a while.
    CircuitOpen,
    /// Call after call to a target fails in the same way, after its retries.
    PermanentFailure,
    /// Too many calls fail.
    ErrorRate,
    /// A provider says that the account has no credit or has reached its limit of spending.
    QuotaExhausted,
    /// The store cannot keep what it should.
    StoreDegraded,
}

/// How urgent it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Somebody should look today.
    Warning,
    /// Calls fail, or what they cost cannot be kept.
    Critical,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has become so.
    Raised,
    /// It is still so.
    Repeated,
    /// It is over.
    Recovered,
    /// It happened; there is nothing to recover from.
    Event,
}

/// The numbers rules go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertLimits {
    /// How long a circuit is not closed before it is told. Default 30 s.
    pub circuit_after: Duration,
    /// Calls that fail in the same way at one target, none answered between. Default 3.
    pub failures: u32,
    /// Share of failed calls, percent. Default 25.
    pub error_percent: u8,
    /// Fewest calls in the window for a share to say something. Default 20.
    pub error_calls_min: u32,
    /// The window of that share. Default 5 min.
    pub error_window: Duration,
    /// How long a part of the store is in trouble before it is told. Default 10 s.
    pub store_after: Duration,
    /// How long all is well before it is told. Default 60 s.
    pub calm: Duration,
    /// How often it is told again while it lasts. Default: not at all.
    pub repeat: Option<Duration>,
}

impl Default for AlertLimits {
    fn default() -> Self {
        AlertLimits {
            circuit_after: Duration::from_secs(30),
            failures: 3,
            error_percent: 25,
            error_calls_min: 20,
            error_window: Duration::from_secs(300),
            store_after: Duration::from_secs(10),
            calm: Duration::from_secs(60),
            repeat: None,
        }
    }
}

impl AlertLimits {
    /// How long a condition lasts before it is told.
    pub(super) const fn after(&self, rule: Rule) -> Duration {
        match rule {
            Rule::CircuitOpen => self.circuit_after,
            Rule::StoreDegraded => self.store_after,
            Rule::Budget | Rule::PermanentFailure | Rule::ErrorRate | Rule::QuotaExhausted => {
                Duration::ZERO
            }
        }
    }
}

impl Rule {
    /// Every rule.
    pub const ALL: [Rule; 6] = [
        Rule::Budget,
        Rule::CircuitOpen,
        Rule::PermanentFailure,
        Rule::ErrorRate,
        Rule::QuotaExhausted,
        Rule::StoreDegraded,
    ];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Rule::Budget => "budget",
            Rule::CircuitOpen => "circuit_open",
            Rule::PermanentFailure => "permanent_failure",
            Rule::ErrorRate => "error_rate",
            Rule::QuotaExhausted => "quota_exhausted",
            Rule::StoreDegraded => "store_degraded",
        }
    }

    /// How urgent it is.
    pub const fn severity(self) -> Severity {
        match self {
            Rule::Budget | Rule::CircuitOpen => Severity::Warning,
            Rule::PermanentFailure
            | Rule::ErrorRate
            | Rule::QuotaExhausted
            | Rule::StoreDegraded => Severity::Critical,
        }
    }

    /// What to do about it.
    pub const fn fix(self) -> &'static str {
        match self {
            Rule::Budget => {
                "look at `mainstay usage`, and raise the budget (`mainstay budget raise`) before calls are refused"
            }
            Rule::CircuitOpen => {
                "look at the provider's status page and at `mainstay doctor`; calls go to other targets of the route meanwhile"
            }
            Rule::PermanentFailure => {
                "look at `mainstay explain KIND` and `mainstay doctor`: waiting does not heal this"
            }
            Rule::ErrorRate => {
                "look at the failures by kind (`/metrics`, `/mainstay/requests`) for whose side it is on"
            }
            Rule::QuotaExhausted => {
                "buy credit or raise the limit of spending at the provider, or add another target to the route"
            }
            Rule::StoreDegraded => {
                "look at the disk and the store's file: `mainstay doctor` checks both"
            }
        }
    }
}

impl Severity {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

impl Change {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Change::Raised => "raised",
            Change::Repeated => "repeated",
            Change::Recovered => "recovered",
            Change::Event => "event",
        }
    }
}

/// Whether a failure says something about a target: not what a caller's request brought on itself.
pub const fn counts(kind: Kind) -> bool {
    !matches!(kind.concern(), Concern::Request | Concern::Address)
}
