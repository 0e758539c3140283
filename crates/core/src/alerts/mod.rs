//! Alerts: when somebody should be told, once, and when it is over again.
//!
//! ```text
//!             bad for `after`                        well for `calm`
//!   quiet ───────────────────▶ raised ── every `repeat` ──▶ repeated
//!     ▲                           │
//!     └───────── recovered ◀──────┘
//! ```
//!
//! A condition is a rule and what it is about (a target, a part of the store). What is seen of calls,
//! circuits and stores is handed in with the time; what is to be told comes out. The gateway sends it.
//! Budgets are events: the store has put each on record once, so each is told as it comes.
//!
//! Not this file's business: who is told, and how often sending is tried.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use crate::failure::Kind;
use crate::store::UnixMillis;

mod rate;
mod rules;

pub use rules::{AlertLimits, Change, Rule, Severity, counts};

use rate::Rate;

/// Conditions watched at once. Beyond it the one that is quiet and was seen longest ago is forgotten;
/// when all are raised, new ones are not watched.
pub const CONDITIONS_MAX: usize = 1_000;
/// Notices remembered for the administration.
pub const RECENT_MAX: usize = 200;
/// Longest subject and detail, in bytes: parts of both are foreign.
pub const TEXT_MAX: usize = 200;
/// A raised condition of which nothing was seen for so long is over: nobody calls that target any more.
pub const SILENCE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub enum Sighting<'a> {
    /// Calls ended.
    Calls {
        /// So many.
        count: u64,
        /// They failed, and not by their callers' fault.
        failed: bool,
    },
    /// A call is through with a target: it was answered, or gave the target up after its retries.
    Target {
        /// The provider's name.
        provider: &'a str,
        /// The model asked for.
        model: Option<&'a str>,
        /// How its last attempt there failed; `None`: it was answered.
        kind: Option<Kind>,
    },
    /// A target's circuit breaker.
    Circuit {
        /// `provider/model`, with the credential where there are several.
        target: &'a str,
        /// It is not closed.
        open: bool,
    },
    /// A part of the store.
    Store {
        /// `keys`, `records` or `ledger`.
        part: &'a str,
        /// Why it does not do what it should.
        trouble: Option<&'a str>,
    },
    /// A budget has passed one of its percentages.
    Budget {
        /// Whose.
        owner: &'a str,
        /// The percentage.
        percent: u8,
        /// Spent in the period, USD.
        spent: &'a str,
        /// The limit, USD.
        limit: &'a str,
    },
}

/// Something to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its number, ascending from 1 in one process.
    pub id: u64,
    /// When it became known.
    pub at: UnixMillis,
    /// By which rule.
    pub rule: Rule,
    /// What it is about.
    pub subject: String,
    /// What changed.
    pub change: Change,
    /// Since when it has been so.
    pub since: UnixMillis,
    /// What happened, in a line with numbers.
    pub what: String,
}

/// A condition that is raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    /// By which rule.
    pub rule: Rule,
    /// What it is about.
    pub subject: String,
    /// Since when it has been so.
    pub since: UnixMillis,
    /// When it was told first.
    pub raised: UnixMillis,
    /// What happened, in a line with numbers.
    pub what: String,
}

/// All conditions and what was told of them.
#[derive(Debug)]
pub struct Alerts {
    limits: AlertLimits,
    conditions: BTreeMap<(Rule, String), Condition>,
    rate: Rate,
    recent: VecDeque<Notice>,
    /// Not handed out yet.
    fresh: Vec<Notice>,
    last: u64,
    /// Conditions that were not watched because there were too many.
    overlooked: u64,
}

/// One condition.
#[derive(Debug)]
struct Condition {
    bad: bool,
    /// When `bad` last changed.
    changed: UnixMillis,
    /// When anything was seen of it.
    seen: UnixMillis,
    raised: Option<Raised>,
    /// Failures of one kind without a success between.
    streak: (Option<Kind>, u32),
    detail: String,
}

#[derive(Clone, Copy, Debug)]
struct Raised {
    since: UnixMillis,
    at: UnixMillis,
    told: UnixMillis,
}

impl Alerts {
    /// Nothing seen, nothing raised.
    pub fn new(limits: AlertLimits) -> Alerts {
        let rate = Rate::new(limits.error_window);
        Alerts {
            limits,
            conditions: BTreeMap::new(),
            rate,
            recent: VecDeque::new(),
            fresh: Vec::new(),
            last: 0,
            overlooked: 0,
        }
    }

    /// Takes other limits; what is raised stays so until it is well by them.
    pub fn change(&mut self, limits: AlertLimits) {
        if limits.error_window != self.limits.error_window {
            self.rate = Rate::new(limits.error_window);
        }
        self.limits = limits;
    }

    /// Takes in what was seen.
    pub fn see(&mut self, now: UnixMillis, sighting: Sighting<'_>) {
        match sighting {
            Sighting::Calls { count, failed } => self.rate.add(now, count, failed),
            Sighting::Target { provider, model, kind } => {
                self.see_target(now, provider, model, kind);
            }
            Sighting::Circuit { target, open } => {
                self.set(now, Rule::CircuitOpen, target, open, "");
            }
            Sighting::Store { part, trouble } => {
                let detail = trouble.unwrap_or_default();
                self.set(now, Rule::StoreDegraded, part, trouble.is_some(), detail);
            }
            Sighting::Budget { owner, percent, spent, limit } => {
                let what =
                    format!("the budget of {owner} has passed {percent} %: {spent} of {limit} USD");
                self.tell(now, Rule::Budget, cut(owner), Change::Event, now, what);
            }
        }
    }

    /// What is to be told at this time. To be called about once a second.
    pub fn tick(&mut self, now: UnixMillis) -> Vec<Notice> {
        let AlertLimits { error_percent, error_calls_min, .. } = self.limits;
        let (calls, failed) = self.rate.sums(now);
        let bad = calls >= u64::from(error_calls_min)
            && failed * 100 >= calls * u64::from(error_percent)
            && failed > 0;
        let detail = format!("{failed} of {calls}");
        self.set(now, Rule::ErrorRate, "calls", bad, &detail);
        let keys: Vec<(Rule, String)> = self.conditions.keys().cloned().collect();
        for (rule, subject) in keys {
            self.advance(now, rule, subject);
        }
        core::mem::take(&mut self.fresh)
    }

    /// What is raised, the oldest first.
    pub fn active(&self) -> Vec<Active> {
        let raised = self.conditions.iter().filter_map(|((rule, subject), condition)| {
            let raised = condition.raised?;
            Some(Active {
                rule: *rule,
                subject: subject.clone(),
                since: raised.since,
                raised: raised.at,
                what: self.what(*rule, subject, condition, Change::Raised),
            })
        });
        let mut active: Vec<Active> = raised.collect();
        active.sort_by_key(|one| one.raised);
        active
    }

    /// What was told, the newest first; at most [`RECENT_MAX`].
    pub fn recent(&self) -> impl Iterator<Item = &Notice> {
        self.recent.iter().rev()
    }

    /// How many conditions were not watched because there were too many.
    pub const fn overlooked(&self) -> u64 {
        self.overlooked
    }

    fn see_target(
        &mut self,
        now: UnixMillis,
        provider: &str,
        model: Option<&str>,
        kind: Option<Kind>,
    ) {
        let quota = matches!(kind, Some(Kind::InsufficientQuota | Kind::BillingLimit));
        if quota || kind.is_none() {
            let detail = kind.map_or("", Kind::name);
            self.set(now, Rule::QuotaExhausted, provider, quota, detail);
        }
        if kind.is_some_and(|kind| !counts(kind)) {
            return;
        }
        if kind.is_none() && !self.watches(Rule::PermanentFailure) {
            return; // Nothing to be healed, as with most calls.
        }
        let target = match model {
            Some(model) => format!("{provider}/{model}"),
            None => provider.to_owned(),
        };
        let failures_max = self.limits.failures;
        let Some(condition) = self.condition(now, Rule::PermanentFailure, &target, kind.is_some())
        else {
            return;
        };
        condition.streak = match (kind, condition.streak) {
            (None, _) => (None, 0),
            (Some(kind), (Some(same), count)) if kind == same => {
                (Some(kind), count.saturating_add(1))
            }
            (Some(kind), _) => (Some(kind), 1),
        };
        let (kind, count) = condition.streak;
        let detail = kind.map_or_else(String::new, |kind| format!("{count} calls: {kind}"));
        // Another kind in between begins a new count and heals nothing.
        let bad = count >= failures_max || (count > 0 && condition.raised.is_some());
        self.set(now, Rule::PermanentFailure, &target, bad, &detail);
    }

    /// Notes how a condition is.
    fn set(&mut self, now: UnixMillis, rule: Rule, subject: &str, bad: bool, detail: &str) {
        let Some(condition) = self.condition(now, rule, subject, bad) else { return };
        condition.seen = now;
        if condition.bad != bad {
            condition.bad = bad;
            condition.changed = now;
        }
        if bad {
            condition.detail = cut(detail);
        }
    }

    /// Whether anything is known of a rule.
    fn watches(&self, rule: Rule) -> bool {
        let first = self.conditions.range((rule, String::new())..).next();
        first.is_some_and(|((first, _), _)| *first == rule)
    }

    /// The condition; made when it is `wanted`.
    fn condition(
        &mut self,
        now: UnixMillis,
        rule: Rule,
        subject: &str,
        wanted: bool,
    ) -> Option<&mut Condition> {
        if !wanted && !self.watches(rule) {
            return None;
        }
        let key = (rule, cut(subject));
        if !self.conditions.contains_key(&key) {
            if !wanted || !self.make_room() {
                return None;
            }
            let condition = Condition {
                bad: false,
                changed: now,
                seen: now,
                raised: None,
                streak: (None, 0),
                detail: String::new(),
            };
            self.conditions.insert(key.clone(), condition);
        }
        self.conditions.get_mut(&key)
    }

    fn make_room(&mut self) -> bool {
        if self.conditions.len() < CONDITIONS_MAX {
            return true;
        }
        let quiet = self.conditions.iter().filter(|(_, condition)| condition.raised.is_none());
        let oldest = quiet.min_by_key(|(_, condition)| condition.seen).map(|(key, _)| key.clone());
        if let Some(key) = oldest {
            return self.conditions.remove(&key).is_some();
        }
        self.overlooked = self.overlooked.saturating_add(1);
        false
    }

    /// Moves one condition on.
    fn advance(&mut self, now: UnixMillis, rule: Rule, subject: String) {
        let key = (rule, subject);
        let limits = self.limits;
        let Some(condition) = self.conditions.get_mut(&key) else { return };
        let so_long = since(condition.changed, now);
        let silent = since(condition.seen, now) >= SILENCE_MAX;
        let change = match condition.raised {
            None if condition.bad && so_long >= limits.after(rule) => {
                let since = condition.changed;
                condition.raised = Some(Raised { since, at: now, told: now });
                Change::Raised
            }
            // A count that has begun is kept: failures may come far apart.
            None if silent
                || (!condition.bad && condition.streak.1 == 0 && so_long >= limits.calm) =>
            {
                self.conditions.remove(&key);
                return;
            }
            Some(_) if silent || (!condition.bad && so_long >= limits.calm) => Change::Recovered,
            Some(raised)
                if condition.bad
                    && limits.repeat.is_some_and(|repeat| since(raised.told, now) >= repeat) =>
            {
                condition.raised = Some(Raised { told: now, ..raised });
                Change::Repeated
            }
            None | Some(_) => return,
        };
        let began = condition.raised.map_or(now, |raised| raised.since);
        let Some(condition) = self.conditions.get(&key) else { return };
        let what = self.what(rule, &key.1, condition, change);
        if change == Change::Recovered {
            self.conditions.remove(&key);
        }
        self.tell(now, rule, key.1, change, began, what);
    }

    fn tell(
        &mut self,
        at: UnixMillis,
        rule: Rule,
        subject: String,
        change: Change,
        since: UnixMillis,
        what: String,
    ) {
        self.last += 1;
        let notice = Notice { id: self.last, at, rule, subject, change, since, what };
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(notice.clone());
        self.fresh.push(notice);
    }

    fn what(&self, rule: Rule, subject: &str, condition: &Condition, change: Change) -> String {
        let detail = condition.detail.as_str();
        if change == Change::Recovered {
            return if condition.bad {
                format!("nothing more was seen of `{subject}` for 24 h ({})", rule.name())
            } else {
                format!("`{subject}` is well again ({})", rule.name())
            };
        }
        match rule {
            Rule::CircuitOpen => {
                let after = self.limits.circuit_after.as_secs();
                format!("the circuit of `{subject}` has not been closed for {after} s")
            }
            Rule::PermanentFailure => {
                format!("`{subject}` keeps failing after its retries ({detail})")
            }
            Rule::ErrorRate => {
                let window = self.limits.error_window.as_secs();
                format!("{detail} calls of the last {window} s failed")
            }
            Rule::QuotaExhausted => {
                format!("the quota of provider `{subject}` is used up ({detail})")
            }
            Rule::StoreDegraded => format!("the store cannot keep {subject}: {detail}"),
            Rule::Budget => detail.to_string(),
        }
    }
}

fn since(then: UnixMillis, now: UnixMillis) -> Duration {
    Duration::from_millis(now.0.saturating_sub(then.0))
}

/// A foreign text, cut at a character's edge and without control characters.
fn cut(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut out = String::new();
    for letter in clean {
        if out.len() + letter.len_utf8() > TEXT_MAX {
            break;
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests;
