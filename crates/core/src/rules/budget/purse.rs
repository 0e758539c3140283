//! One budget with what is spent and held of it.

use alloc::boxed::Box;

use super::types::{Alert, Calendar, Over, Owner, Period, Rule, Why};
use crate::money::Usd;
use crate::store::UnixMillis;

/// One budget with what is spent and held of it in its period.
#[derive(Clone, Debug)]
pub(super) struct Purse {
    rule: Rule,
    period: Period,
    settled: Usd,
    held: Usd,
    /// How many alerts of the rule were told of in this period.
    told: usize,
    /// Changes with each period and each budget in this place, so that a holding of another one is
    /// not taken for one of this.
    turn: u32,
    /// What was spent before it was put in place is known.
    ready: bool,
    live: bool,
}

/// A budget as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurseView {
    /// The budget.
    pub rule: Rule,
    /// The period it is in.
    pub period: Period,
    /// Spent in the period.
    pub settled: Usd,
    /// Held by calls under way.
    pub held: Usd,
}

impl Purse {
    pub(super) fn new(rule: Rule, turn: u32, now: UnixMillis, calendar: &dyn Calendar) -> Purse {
        let period = calendar.period(&rule, now);
        Purse {
            rule,
            period,
            settled: Usd::ZERO,
            held: Usd::ZERO,
            told: 0,
            turn,
            ready: false,
            live: true,
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.rule.id
    }

    pub(super) fn turn(&self) -> u32 {
        self.turn
    }

    pub(super) fn next_turn(&self) -> u32 {
        self.turn.wrapping_add(1)
    }

    pub(super) fn period(&self) -> Period {
        self.period
    }

    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    pub(super) fn is_hard(&self) -> bool {
        self.rule.hard
    }

    /// Whether `rule` counts the same calls in the same periods.
    pub(super) fn is_same_account(&self, rule: &Rule) -> bool {
        let ours = &self.rule;
        ours.owner == rule.owner
            && ours.every == rule.every
            && ours.zone == rule.zone
            && ours.since == rule.since
    }

    pub(super) fn change(&mut self, rule: Rule) {
        self.rule = rule;
        // With more room an alert may come again; with less the next cost tells of it.
        self.told = self.told.min(self.passed());
    }

    /// Begins a new period when the time has come. Holdings of the old one are let go: what they
    /// cost belongs to it.
    pub(super) fn roll(&mut self, now: UnixMillis, calendar: &dyn Calendar) {
        if self.period.end.is_none_or(|end| now < end) {
            return;
        }
        self.period = calendar.period(&self.rule, now);
        (self.settled, self.held, self.told) = (Usd::ZERO, Usd::ZERO, 0);
        self.turn = self.next_turn();
        // Nothing can have been spent in a period that has just begun.
        self.ready = true;
    }

    pub(super) fn has_room(&self, amount: Usd) -> Result<(), Box<Over>> {
        let after = self.settled.plus(self.held).and_then(|sum| sum.plus(amount));
        let why = match after {
            Some(_) if self.rule.hard && !self.ready => Why::NotReady,
            Some(after) if !self.rule.hard || after <= self.rule.limit => return Ok(()),
            Some(_) | None => Why::Spent,
        };
        Err(Box::new(Over {
            why,
            rule: self.rule.clone(),
            settled: self.settled,
            held: self.held,
            asked: amount,
            resets: self.period.end,
        }))
    }

    /// Holds an amount there is room for; gives the mark to find it again by.
    pub(super) fn take(&mut self, amount: Usd, place: usize) -> (u32, u32) {
        self.hold_more(amount);
        (u32::try_from(place).unwrap_or(u32::MAX), self.turn)
    }

    pub(super) fn hold_more(&mut self, amount: Usd) {
        self.held = self.held.plus(amount).unwrap_or(Usd::MAX);
    }

    pub(super) fn give_back(&mut self, amount: Usd) {
        self.held = self.held.minus(amount).unwrap_or(Usd::ZERO);
    }

    /// Adds what a call cost that was admitted at `at`, and tells of an alert that this passed.
    pub(super) fn spend(&mut self, cost: Usd, at: UnixMillis) -> Option<Alert> {
        if !self.period.holds(at) {
            return None;
        }
        self.settled = self.settled.plus(cost).unwrap_or(Usd::MAX);
        self.alert()
    }

    /// The highest alert that is passed and was not told of.
    fn alert(&mut self) -> Option<Alert> {
        let passed = self.passed();
        if passed <= self.told || !self.ready {
            return None;
        }
        self.told = passed;
        Some(Alert {
            rule: self.rule.id,
            owner: self.rule.owner.clone(),
            percent: self.rule.alerts[passed - 1],
            since: self.period.start,
            settled: self.settled,
            limit: self.rule.limit,
        })
    }

    /// How many alerts are behind what is spent.
    fn passed(&self) -> usize {
        let behind = |percent: &&u8| {
            let mark = self.rule.limit.percent(u32::from(**percent));
            mark.is_some_and(|mark| self.settled >= mark && self.settled > Usd::ZERO)
        };
        self.rule.alerts.iter().take_while(behind).count()
    }

    /// Adds what was spent before. What that has passed may have been told of by a process that has
    /// ended, or not: who hears of alerts tells them apart.
    pub(super) fn loaded(&mut self, period: Period, spent: Usd) -> Option<Alert> {
        if self.ready || self.period != period {
            return None;
        }
        self.settled = self.settled.plus(spent).unwrap_or(Usd::MAX);
        self.ready = true;
        self.alert()
    }

    pub(super) fn reload(&mut self) -> Option<Period> {
        if self.ready {
            return None;
        }
        // What was settled in the meantime is in the sum that is asked for next.
        self.settled = Usd::ZERO;
        Some(self.period)
    }

    /// Ends the budget; the place may be used again.
    pub(super) fn retire(&mut self) -> Owner {
        self.live = false;
        self.turn = self.next_turn();
        self.rule.owner.clone()
    }

    pub(super) fn view(&self) -> PurseView {
        PurseView {
            rule: self.rule.clone(),
            period: self.period,
            settled: self.settled,
            held: self.held,
        }
    }
}
