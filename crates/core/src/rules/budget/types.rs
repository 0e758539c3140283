//! The words of budgets: owners, periods, refusals, alerts.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::money::Usd;
use crate::store::UnixMillis;

/// Whose budget it is, within an organization.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The organization.
    Organization,
    /// The project with this id.
    Project(Box<str>),
    /// The key with this id.
    Key(Box<str>),
}

/// Who calls, within an organization.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// The id of the project.
    pub project: &'a str,
    /// The id of the key; `None` when no key is asked for.
    pub key: Option<&'a str>,
}

/// How often a budget begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Every {
    /// Never.
    Total,
    /// At midnight.
    Day,
    /// At midnight before Monday.
    Week,
    /// At midnight before the first of a month.
    Month,
}

impl Every {
    /// Every kind, shortest period last.
    pub const ALL: [Every; 4] = [Every::Total, Every::Month, Every::Week, Every::Day];

    /// The stable name, as `--period` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Every::Total => "total",
            Every::Day => "day",
            Every::Week => "week",
            Every::Month => "month",
        }
    }

    /// The kind with this [`name`](Every::name).
    pub fn from_name(name: &str) -> Option<Every> {
        Every::ALL.into_iter().find(|every| every.name() == name)
    }
}

/// A stretch of time: `start ≤ t < end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first millisecond.
    pub start: UnixMillis,
    /// The first millisecond after it; `None`: it does not end.
    pub end: Option<UnixMillis>,
}

impl Period {
    /// Whether `at` is in it.
    pub fn holds(&self, at: UnixMillis) -> bool {
        at >= self.start && self.end.is_none_or(|end| at < end)
    }
}

/// Tells periods: calendars and time zones are the shell's business.
pub trait Calendar {
    /// The period of `rule` that `at` is in.
    fn period(&self, rule: &Rule, at: UnixMillis) -> Period;
}

/// A budget as it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its number, unique within a store.
    pub id: u64,
    /// Whose it is.
    pub owner: Owner,
    /// The most that may be spent in a period, credits included.
    pub limit: Usd,
    /// Whether it refuses; a soft one only tells.
    pub hard: bool,
    /// How often it begins anew.
    pub every: Every,
    /// The time zone of its days, as the IANA names it.
    pub zone: Box<str>,
    /// From when on a budget without periods counts.
    pub since: UnixMillis,
    /// Percentages of the limit to tell about, ascending.
    pub alerts: Box<[u8]>,
}

/// Why there was no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It would go above the limit.
    Spent,
    /// What was spent before is being added up; a moment later it is known.
    NotReady,
    /// It is not leased to this gateway; it may be in a moment.
    Leased,
    /// It is leased to other gateways, which may give it back.
    Elsewhere,
}

/// A budget without room for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    /// Why.
    pub why: Why,
    /// The budget.
    pub rule: Rule,
    /// Spent in the period.
    pub settled: Usd,
    /// Held by calls under way, or leased by gateways that spend from the same budget.
    pub held: Usd,
    /// What the call asked for.
    pub asked: Usd,
    /// When the period ends.
    pub resets: Option<UnixMillis>,
}

/// Part of a budget is spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The number of the budget.
    pub rule: u64,
    /// Whose it is.
    pub owner: Owner,
    /// The percentage that was passed.
    pub percent: u8,
    /// When the period began.
    pub since: UnixMillis,
    /// Spent in the period.
    pub settled: Usd,
    /// The limit.
    pub limit: Usd,
}

/// What the end of a call brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// What it cost above what it held.
    pub debt: Option<Usd>,
    /// Percentages passed, the highest a budget.
    pub alerts: Vec<Alert>,
}
