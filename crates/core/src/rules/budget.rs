//! Budgets: an organization, a project or a key spends at most so much, in all or in a period.
//!
//! A call *holds* what it may cost at worst before anything is sent, in every budget that applies
//! or in none. At its end it *settles* what it cost and gives the rest back. At each admission
//! `settled + held ≤ limit` for every hard budget, whoever else calls at the same time. A call that
//! costs more than it held is settled all the same: the difference is a debt, which keeps later
//! calls out.
//!
//! Spending belongs to the period in which the call was admitted, so that what a budget has settled
//! is one sum over a ledger's rows: those of its owner, admitted within the period. The end of a
//! period and the time come from outside; a clock that steps back stands still here.
//!
//! Where several gateways spend from the same budgets, what each may spend is leased from a shared
//! [`account`]: a call then asks its gateway's lease for room instead of the limit.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::money::Usd;
use crate::store::UnixMillis;

pub mod account;
mod lease;
mod purse;
mod turns;
mod types;

pub use lease::Lease;
use purse::Purse;
pub use purse::{Claim, PurseView};
pub use turns::{Pressure, REST_MAX, REST_MIN, Turns};
pub use types::{Alert, Calendar, Every, Over, Owner, Period, Rule, Settled, Who, Why};

/// The most budgets that apply to one call: one an owner and kind of period.
pub const APPLY_MAX: usize = 12;

/// All budgets of one organization, behind one lock of the shell.
#[derive(Clone, Debug, Default)]
pub struct Books {
    purses: Vec<Purse>,
    /// Places of removed budgets, to be used again.
    free: Vec<usize>,
    organization: Vec<usize>,
    projects: BTreeMap<Box<str>, Vec<usize>>,
    keys: BTreeMap<Box<str>, Vec<usize>>,
    latest: UnixMillis,
    /// Other gateways spend from the same budgets.
    shared: bool,
}

/// What one call holds. Spent by [`Books::settle`].
#[derive(Debug, PartialEq, Eq)]
pub struct Holding {
    /// When it was admitted; its spending belongs to the periods of this time.
    pub at: UnixMillis,
    /// How much it holds.
    pub amount: Usd,
    /// Places and turns of the budgets it holds in.
    on: [(u32, u32); APPLY_MAX],
    count: usize,
}

impl Books {
    /// Books whose clock has been at `latest`: earlier times count as that.
    pub fn new(latest: UnixMillis) -> Books {
        Books { latest, ..Books::default() }
    }

    /// The same for budgets that other gateways spend from too: what may be spent is leased, by
    /// [`Books::claims`] and [`Books::learn`].
    pub fn shared(latest: UnixMillis) -> Books {
        Books { latest, shared: true, ..Books::default() }
    }

    /// Holds `amount` in every budget that applies to `who`, or in none.
    ///
    /// # Errors
    ///
    /// [`Over`] names the budget that has no room, with its numbers; nothing was changed but what
    /// the time itself changes, and what leases lack.
    pub fn hold(
        &mut self,
        who: Who<'_>,
        amount: Usd,
        now: UnixMillis,
        calendar: &dyn Calendar,
    ) -> Result<Holding, Box<Over>> {
        let now = self.clock(now);
        let (places, count) = self.applying(who);
        let mut room = Ok(());
        for place in &places[..count] {
            self.purses[*place].roll(now, calendar);
            // All are asked, so that each lease hears of what it lacks; the first is told about.
            let here = self.purses[*place].has_room(amount);
            room = if room.is_ok() { here } else { room };
        }
        room?;
        let mut on = [(0, 0); APPLY_MAX];
        for (slot, place) in on.iter_mut().zip(&places[..count]) {
            *slot = self.purses[*place].take(amount, *place);
        }
        Ok(Holding { at: now, amount, on, count })
    }

    /// Holds `extra` more for a call that already holds, in every budget it holds in, or in none.
    ///
    /// # Errors
    ///
    /// As [`Books::hold`]; the holding is what it was.
    pub fn extend(&mut self, holding: &mut Holding, extra: Usd) -> Result<(), Box<Over>> {
        let on = &holding.on[..holding.count];
        for (place, turn) in on {
            if let Some(purse) = self.purse(*place) {
                purse.has_room_since(*turn, extra)?;
            }
        }
        for (place, turn) in on {
            if let Some(purse) = self.purse(*place) {
                purse.hold_more(*turn, extra);
            }
        }
        holding.amount = holding.amount.plus(extra).unwrap_or(Usd::MAX);
        Ok(())
    }

    /// Ends a call: what it held is free again, what it cost is spent. Never fails: a cost above
    /// what was held is a debt.
    pub fn settle(&mut self, who: Who<'_>, holding: Holding, cost: Usd) -> Settled {
        let on = &holding.on[..holding.count];
        for (place, turn) in on {
            if let Some(purse) = self.purse(*place) {
                purse.give_back(*turn, holding.amount);
            }
        }
        let (places, count) = self.applying(who);
        let mut settled = Settled::default();
        for place in &places[..count] {
            let alert = self.purses[*place].spend(cost, holding.at);
            settled.alerts.extend(alert);
        }
        for (place, _) in on {
            if let Some(purse) = self.purse(*place) {
                purse.forget();
            }
        }
        settled.debt = cost.minus(holding.amount).filter(|debt| *debt > Usd::ZERO);
        settled
    }

    /// Ends a call that cost nothing.
    pub fn release(&mut self, who: Who<'_>, holding: Holding) {
        self.settle(who, holding, Usd::ZERO);
    }

    /// Puts a budget in place, or changes the one with the same id. A changed limit, hardness or
    /// alert keeps what is spent and held. A new budget, or one with another owner or kind of period,
    /// refuses (if hard) until [`Books::loaded`] says what was spent before; the period to ask about
    /// is given back.
    pub fn set(&mut self, rule: Rule, now: UnixMillis, calendar: &dyn Calendar) -> Option<Period> {
        let now = self.clock(now);
        if let Some(place) = self.place_of(rule.id) {
            if self.purses[place].is_same_account(&rule) {
                self.purses[place].change(rule);
                return None;
            }
            self.remove(rule.id);
        }
        let place = self.free.pop().unwrap_or(self.purses.len());
        let turn = self.purses.get(place).map_or(0, Purse::next_turn);
        let owner = rule.owner.clone();
        let purse = Purse::new(rule, turn, self.shared, now, calendar);
        let period = purse.period();
        match self.purses.get_mut(place) {
            Some(retired) => *retired = purse,
            None => self.purses.push(purse),
        }
        self.list_of(&owner).push(place);
        Some(period)
    }

    /// Says what a budget had spent in `period` when it was put in place; without this a new hard
    /// budget refuses. Ignored when the budget has gone or moved on to another period.
    ///
    /// Gives the alert that this has passed, also when an earlier process has told of it.
    pub fn loaded(&mut self, id: u64, period: Period, spent: Usd) -> Option<Alert> {
        let place = self.place_of(id)?;
        self.purses[place].loaded(period, spent)
    }

    /// Begins the adding up of a new budget's past again, after it failed: the period to ask about,
    /// or `None` when it is known by this time.
    pub fn reload(&mut self, id: u64) -> Option<Period> {
        let place = self.place_of(id)?;
        self.purses[place].reload()
    }

    /// What shared budgets have to tell their accounts, ended periods with something to tell among
    /// them. `closing`: this gateway ends and gives back what it does not hold.
    pub fn claims(&mut self, closing: bool, to: &mut Vec<Claim>) {
        for purse in self.purses.iter_mut().filter(|purse| purse.is_live()) {
            purse.claims(closing, to);
        }
    }

    /// Learns how the account of a shared budget stands; gives the alert that this has passed.
    pub fn learn(&mut self, id: u64, period: Period, told: &account::Told) -> Option<Alert> {
        let place = self.place_of(id)?;
        let alert = self.purses[place].learn(period, told);
        self.purses[place].forget();
        alert
    }

    /// Takes a budget away. Calls that hold in it go on and settle in the others.
    pub fn remove(&mut self, id: u64) {
        let Some(place) = self.place_of(id) else { return };
        let owner = self.purses[place].retire();
        self.list_of(&owner).retain(|other| *other != place);
        self.free.push(place);
    }

    /// The budget with this id, as it stands at `now`.
    pub fn view(&mut self, id: u64, now: UnixMillis, calendar: &dyn Calendar) -> Option<PurseView> {
        let now = self.clock(now);
        let place = self.place_of(id)?;
        self.purses[place].roll(now, calendar);
        Some(self.purses[place].view())
    }

    /// All budgets as they stand.
    pub fn views(&self) -> impl Iterator<Item = PurseView> + '_ {
        self.purses.iter().filter(|purse| purse.is_live()).map(Purse::view)
    }

    /// Whether a hard budget applies to `who`.
    pub fn is_hard(&self, who: Who<'_>) -> bool {
        let (places, count) = self.applying(who);
        places[..count].iter().any(|place| self.purses[*place].is_hard())
    }

    /// Whether there is no budget at all.
    pub fn is_empty(&self) -> bool {
        self.purses.len() == self.free.len()
    }

    fn clock(&mut self, now: UnixMillis) -> UnixMillis {
        self.latest = self.latest.max(now);
        self.latest
    }

    fn place_of(&self, id: u64) -> Option<usize> {
        self.purses.iter().position(|purse| purse.is_live() && purse.id() == id)
    }

    fn purse(&mut self, place: u32) -> Option<&mut Purse> {
        self.purses.get_mut(usize::try_from(place).ok()?)
    }

    fn list_of(&mut self, owner: &Owner) -> &mut Vec<usize> {
        match owner {
            Owner::Organization => &mut self.organization,
            Owner::Project(id) => self.projects.entry(id.clone()).or_default(),
            Owner::Key(id) => self.keys.entry(id.clone()).or_default(),
        }
    }

    /// Places of the budgets that apply, the key's first: the nearest owner is told about first.
    fn applying(&self, who: Who<'_>) -> ([usize; APPLY_MAX], usize) {
        let key = who.key.and_then(|key| self.keys.get(key));
        let project = self.projects.get(who.project);
        let lists = [key, project, Some(&self.organization)];
        let (mut places, mut count) = ([0; APPLY_MAX], 0);
        for place in lists.into_iter().flatten().flatten().take(APPLY_MAX) {
            places[count] = *place;
            count += 1;
        }
        (places, count)
    }
}

#[cfg(test)]
mod shared_tests;
#[cfg(test)]
mod tests;
