//! One budget with what is spent and held of it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::account::{Statement, Told};
use super::lease::Lease;
use super::types::{Alert, Calendar, Over, Owner, Period, Rule, Why};
use crate::money::Usd;
use crate::store::UnixMillis;

/// Ended periods that are kept for calls that still hold in them; more cannot be while calls take
/// less than this many days.
const PAST_MAX: usize = 8;

/// One budget with what is spent and held of it in its period.
#[derive(Clone, Debug)]
pub(super) struct Purse {
    rule: Rule,
    now: Stretch,
    /// Ended periods in which calls under way still hold.
    past: Vec<Stretch>,
    /// How many alerts of the rule were told of in this period.
    told: usize,
    /// What was spent before it was put in place is known.
    ready: bool,
    live: bool,
}

/// One period of a budget.
#[derive(Clone, Debug)]
struct Stretch {
    period: Period,
    settled: Usd,
    held: Usd,
    /// How many calls hold in it.
    calls: usize,
    /// Changes with each period and each budget in this place, so that a holding of another one is
    /// not taken for one of this.
    turn: u32,
    /// What may be spent here, where other gateways spend from the same budget.
    lease: Option<Lease>,
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

/// What a budget tells the account that it shares with other gateways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The budget.
    pub rule: Rule,
    /// The period.
    pub period: Period,
    /// What is told and asked for.
    pub statement: Statement,
}

impl Purse {
    /// A budget with nothing in it. `shared`: other gateways spend from it too.
    pub(super) fn new(
        rule: Rule,
        turn: u32,
        shared: bool,
        now: UnixMillis,
        calendar: &dyn Calendar,
    ) -> Purse {
        let period = calendar.period(&rule, now);
        let now = Stretch::new(period, turn, shared);
        Purse { rule, now, past: Vec::new(), told: 0, ready: false, live: true }
    }

    pub(super) fn id(&self) -> u64 {
        self.rule.id
    }

    pub(super) fn next_turn(&self) -> u32 {
        self.now.turn.wrapping_add(1)
    }

    pub(super) fn period(&self) -> Period {
        self.now.period
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

    /// Begins a new period when the time has come. The old one is kept as long as calls hold in it:
    /// what they cost belongs to it, and a further attempt of theirs asks it for room.
    pub(super) fn roll(&mut self, now: UnixMillis, calendar: &dyn Calendar) {
        if self.now.period.end.is_none_or(|end| now < end) {
            return;
        }
        let period = calendar.period(&self.rule, now);
        let new = Stretch::new(period, self.next_turn(), self.now.lease.is_some());
        let old = core::mem::replace(&mut self.now, new);
        if !old.is_over() {
            if self.past.len() == PAST_MAX {
                self.past.remove(0);
            }
            self.past.push(old);
        }
        self.told = 0;
        // Nothing can have been spent in a period that has just begun.
        self.ready = true;
    }

    /// Whether `amount` may be held in the present period.
    pub(super) fn has_room(&mut self, amount: Usd) -> Result<(), Box<Over>> {
        let ready = self.ready;
        self.now.has_room(&self.rule, ready, amount)
    }

    /// Whether a call that holds since `turn` may hold `extra` more; yes, when what it holds in is
    /// another budget by this time.
    pub(super) fn has_room_since(&mut self, turn: u32, extra: Usd) -> Result<(), Box<Over>> {
        if turn == self.now.turn {
            return self.has_room(extra);
        }
        let old = self.past.iter_mut().find(|old| old.turn == turn);
        old.map_or(Ok(()), |old| old.has_room(&self.rule, true, extra))
    }

    /// Holds an amount there is room for; gives the mark to find it again by.
    pub(super) fn take(&mut self, amount: Usd, place: usize) -> (u32, u32) {
        self.now.calls += 1;
        self.now.hold(amount);
        (u32::try_from(place).unwrap_or(u32::MAX), self.now.turn)
    }

    /// Holds more for a call that holds since `turn`.
    pub(super) fn hold_more(&mut self, turn: u32, extra: Usd) {
        if let Some(stretch) = self.since(turn) {
            stretch.hold(extra);
        }
    }

    /// A call that holds since `turn` has ended.
    pub(super) fn give_back(&mut self, turn: u32, amount: Usd) {
        if let Some(stretch) = self.since(turn) {
            stretch.held = stretch.held.minus(amount).unwrap_or(Usd::ZERO);
            stretch.calls = stretch.calls.saturating_sub(1);
        }
    }

    fn since(&mut self, turn: u32) -> Option<&mut Stretch> {
        let mut all = core::iter::once(&mut self.now).chain(&mut self.past);
        all.find(|stretch| stretch.turn == turn)
    }

    /// Forgets ended periods that nobody holds in any more.
    pub(super) fn forget(&mut self) {
        self.past.retain(|old| !old.is_over());
    }

    /// Adds what a call cost that was admitted at `at`, and tells of an alert that this passed.
    pub(super) fn spend(&mut self, cost: Usd, at: UnixMillis) -> Option<Alert> {
        if let Some(old) = self.past.iter_mut().find(|old| old.period.holds(at)) {
            old.spend(cost);
            return None;
        }
        if !self.now.period.holds(at) {
            return None;
        }
        self.now.spend(cost);
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
            since: self.now.period.start,
            settled: self.now.settled,
            limit: self.rule.limit,
        })
    }

    /// How many alerts are behind what is spent.
    fn passed(&self) -> usize {
        let settled = self.now.settled;
        let behind = |percent: &&u8| {
            let mark = self.rule.limit.percent(u32::from(**percent));
            mark.is_some_and(|mark| settled >= mark && settled > Usd::ZERO)
        };
        self.rule.alerts.iter().take_while(behind).count()
    }

    /// Adds what was spent before. What that has passed may have been told of by a process that has
    /// ended, or not: who hears of alerts tells them apart.
    pub(super) fn loaded(&mut self, period: Period, spent: Usd) -> Option<Alert> {
        if self.ready || self.now.period != period {
            return None;
        }
        self.now.settled = self.now.settled.plus(spent).unwrap_or(Usd::MAX);
        self.ready = true;
        self.alert()
    }

    pub(super) fn reload(&mut self) -> Option<Period> {
        if self.ready {
            return None;
        }
        // What was settled in the meantime is in the sum that is asked for next.
        self.now.settled = Usd::ZERO;
        Some(self.now.period)
    }

    /// What is to be told to the accounts of this budget. `closing`: this gateway ends.
    pub(super) fn claims(&mut self, closing: bool, to: &mut Vec<Claim>) {
        let hard = self.rule.hard;
        let now = core::iter::once((&mut self.now, closing || !hard));
        for (stretch, closing) in now.chain(self.past.iter_mut().map(|old| (old, true))) {
            let Some(lease) = stretch.lease.as_mut().filter(|lease| lease.has_news()) else {
                continue;
            };
            let statement = lease.statement(stretch.held, closing);
            to.push(Claim { rule: self.rule.clone(), period: stretch.period, statement });
        }
    }

    /// Learns how the account of `period` stands.
    pub(super) fn learn(&mut self, period: Period, told: &Told) -> Option<Alert> {
        let is_now = self.now.period == period;
        let old = self.past.iter_mut().find(|old| old.period == period);
        let stretch = if is_now { &mut self.now } else { old? };
        stretch.settled = told.spent;
        stretch.lease.as_mut()?.learn(told);
        self.ready |= is_now;
        if is_now { self.alert() } else { None }
    }

    /// Ends the budget; the place may be used again.
    pub(super) fn retire(&mut self) -> Owner {
        self.live = false;
        self.now.turn = self.next_turn();
        self.past.clear();
        self.rule.owner.clone()
    }

    pub(super) fn view(&self) -> PurseView {
        PurseView {
            rule: self.rule.clone(),
            period: self.now.period,
            settled: self.now.settled,
            held: self.now.held,
        }
    }
}

impl Stretch {
    fn new(period: Period, turn: u32, shared: bool) -> Stretch {
        let lease = shared.then(Lease::default);
        Stretch { period, settled: Usd::ZERO, held: Usd::ZERO, calls: 0, turn, lease }
    }

    /// Nobody holds in it, and nothing of it is leased.
    fn is_over(&self) -> bool {
        self.calls == 0 && self.lease.as_ref().is_none_or(Lease::is_closed)
    }

    /// Whether `amount` more may be held. Where it is not leased, the lease is told that it lacks.
    fn has_room(&mut self, rule: &Rule, ready: bool, amount: Usd) -> Result<(), Box<Over>> {
        let after = self.settled.plus(self.held).and_then(|sum| sum.plus(amount));
        let why = match (after, &mut self.lease) {
            (None, _) => Why::Spent,
            (Some(_), _) if !rule.hard => return Ok(()),
            (Some(_), Some(lease)) if lease.told().spent > rule.limit => {
                lease.lack(amount);
                Why::Spent
            }
            (Some(_), Some(lease)) => {
                if amount <= lease.room(self.held) {
                    return Ok(());
                }
                lease.lack(amount);
                lease.lacks(amount, self.held)
            }
            (Some(_), None) if !ready => Why::NotReady,
            (Some(after), None) if after <= rule.limit => return Ok(()),
            (Some(_), None) => Why::Spent,
        };
        let elsewhere = self.lease.as_ref().map_or(Usd::ZERO, |lease| lease.told().leased);
        Err(Box::new(Over {
            why,
            rule: rule.clone(),
            settled: self.settled,
            held: self.held.max(elsewhere),
            asked: amount,
            resets: self.period.end,
        }))
    }

    fn hold(&mut self, amount: Usd) {
        self.held = self.held.plus(amount).unwrap_or(Usd::MAX);
    }

    /// What was spent of a shared budget is told by its account; of any other it is counted here.
    fn spend(&mut self, cost: Usd) {
        match &mut self.lease {
            Some(lease) => lease.spend(cost),
            None => self.settled = self.settled.plus(cost).unwrap_or(Usd::MAX),
        }
    }
}
