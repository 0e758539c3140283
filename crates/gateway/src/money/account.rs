//! One call's money: held before it, settled once after it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay::call::Trace;
use mainstay_core::money::Usd;
use mainstay_core::money::budget::{Holding, Over, Who};
use mainstay_core::store::{
    Basis, Entry, EntryKind, FURTHER_MAX, HoldNumber, KeyId, KeyRecord, LedgerTrouble,
    ReservationId, UnixMillis, Written,
};
use mainstay_core::wire::usage::Usage;
use mainstay_store::failpoint;

use super::bill::{self, Bill};
use super::books::{AllBooks, OrgBooks, locked};
use super::demand::Demand;
use super::{Money, MoneyAsk, MoneyRules, Zones, home};

/// Who pays, and the budgets of his organization.
#[derive(Debug)]
pub(super) struct Payer {
    key: Option<Arc<KeyRecord>>,
    /// The key's id, which budgets are looked up by.
    id: Option<KeyId>,
    books: Option<OrgBooks>,
}

impl Payer {
    pub(super) fn new(books: &AllBooks, key: Option<&Arc<KeyRecord>>) -> Payer {
        let books = books.of(home(key).0);
        let id = key.map(|key| KeyId::of(key.public));
        Payer { key: key.cloned(), id, books }
    }

    fn org(&self) -> &str {
        home(self.key.as_ref()).0
    }

    fn who(&self) -> Who<'_> {
        let id = self.id.as_ref();
        Who { project: home(self.key.as_ref()).1, key: id.map(KeyId::as_str) }
    }

    /// Whether a hard budget applies.
    pub(super) fn is_hard(&self) -> bool {
        self.books.as_ref().is_some_and(|books| locked(books).is_hard(self.who()))
    }
}

/// One call's money.
#[derive(Debug)]
pub(crate) struct Account {
    money: Arc<Money>,
    rules: Arc<MoneyRules>,
    payer: Payer,
    demand: Demand,
    /// What one answer may cost.
    worst: Usd,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What the ledger was told last, or is told next: its entries differ in little.
    entry: Entry,
    /// What is held, from the beginning to the end.
    open: Option<Open>,
    /// An attempt was allowed: from here on the walk tells the end.
    begun: bool,
    /// What it cost, once it is over and something was charged.
    cost: Option<Usd>,
    /// What the call took, when its caller left before an answer began.
    left: Option<Trace>,
}

#[derive(Debug)]
struct Open {
    held: Usd,
    /// Where the organization has budgets.
    holding: Option<Holding>,
    further: usize,
}

impl Account {
    pub(super) fn new(
        money: &Arc<Money>,
        payer: Payer,
        reservation: ReservationId,
        ask: &MoneyAsk<'_>,
        demand: Demand,
        worst: Usd,
    ) -> Account {
        let entry = Entry {
            kind: EntryKind::Hold,
            reservation,
            at: ask.now,
            key: payer.key.clone(),
            model: ask.call.model.clone().unwrap_or_default(),
            amount: worst,
            usage: Usage::default(),
            basis: Basis::default(),
        };
        let state = State { entry, open: None, begun: false, cost: None, left: None };
        let (money, rules) = (Arc::clone(money), Arc::clone(ask.rules));
        Account { money, rules, payer, demand, worst, state: Mutex::new(state) }
    }

    /// Whether a hard budget applies to whom it is for.
    pub(super) fn is_hard(&self) -> bool {
        self.payer.is_hard()
    }

    /// How long it may wait for a lease.
    pub(super) fn lease_wait(&self) -> Duration {
        self.rules.lease_wait
    }

    /// Holds in the budgets and in the ledger, or in neither.
    pub(super) fn begin(
        &self,
        now: UnixMillis,
        written: &mut dyn FnMut() -> Written,
    ) -> Result<Result<HoldNumber, LedgerTrouble>, Box<Over>> {
        let Some(ledger) = self.money.ledger() else { return Ok(Ok(HoldNumber::default())) };
        let mut state = locked(&self.state);
        let Some(books) = &self.payer.books else {
            state.entry.at = self.money.books.clock(now);
            let open = Open { held: self.worst, holding: None, further: 0 };
            let taken = ledger.hold(&state.entry, written);
            state.open = taken.is_ok().then_some(open);
            return Ok(taken);
        };
        let mut books = locked(books);
        let holding = books.hold(self.payer.who(), self.worst, now, &Zones)?;
        state.entry.at = holding.at;
        let taken = ledger.hold(&state.entry, written);
        if taken.is_ok() {
            state.open = Some(Open { held: self.worst, holding: Some(holding), further: 0 });
        } else {
            books.release(self.payer.who(), holding);
        }
        Ok(taken)
    }

    /// Ends it, once: what was charged is settled, or all of it is given back.
    fn end(&self, bill: &Bill, model: Option<&str>) {
        let Some(ledger) = self.money.ledger() else { return };
        let mut state = locked(&self.state);
        let State { entry, open, cost, .. } = &mut *state;
        let Some(open) = open.take() else { return };
        *cost = bill.charged.then_some(bill.cost);
        failpoint("money-before-settle");
        if bill.exposure > Usd::ZERO {
            (entry.kind, entry.amount) = (EntryKind::Exposure, bill.exposure);
            ledger.further(entry);
        }
        entry.kind = if bill.charged { EntryKind::Settle } else { EntryKind::Release };
        (entry.amount, entry.usage) = (bill.cost, bill.usage);
        entry.basis = Basis {
            estimated: bill.estimated,
            unpriced: bill.unpriced && bill.charged,
            recovered: false,
        };
        if let Some(model) = model.filter(|model| bill.charged && **model != *entry.model) {
            entry.model = model.into();
        }
        let Some((books, holding)) = self.payer.books.as_ref().zip(open.holding) else {
            ledger.end(entry);
            return;
        };
        let mut books = locked(books);
        let settled = books.settle(self.payer.who(), holding, bill.cost);
        // Under the lock, so that a budget's sum over the ledger has it or counts it itself.
        ledger.end(entry);
        drop(books);
        if let Some(debt) = settled.debt {
            self.money.counts.debts.fetch_add(1, Ordering::Relaxed);
            let reservation = entry.reservation;
            tracing::warn!(%reservation, %debt, "a call cost more than it held");
        }
        if !settled.alerts.is_empty() {
            self.money.books.passed(self.payer.org(), settled.alerts);
        }
    }

    /// Holds more when attempts before this one were, or may be, billed too.
    fn covers(&self, entry: &mut Entry, open: &mut Open, trace: &Trace, live: usize) -> bool {
        let before = bill::of(&self.rules, &self.demand, trace, false, Usd::ZERO).cost;
        let still = i128::try_from(live + 1).unwrap_or(i128::MAX);
        let rest = self.worst.pico().checked_mul(still).map(Usd::from_pico);
        let need = rest.and_then(|rest| rest.plus(before)).unwrap_or(Usd::MAX);
        let Some(extra) = need.minus(open.held).filter(|extra| *extra > Usd::ZERO) else {
            return true;
        };
        let Some((books, holding)) = self.payer.books.as_ref().zip(open.holding.as_mut()) else {
            return true;
        };
        // Further entries are bounded; the exposure needs one of them.
        if open.further + 1 >= FURTHER_MAX || locked(books).extend(holding, extra).is_err() {
            return false;
        }
        open.further += 1;
        open.held = need;
        (entry.kind, entry.amount) = (EntryKind::Hold, extra);
        if let Some(ledger) = self.money.ledger() {
            ledger.further(entry);
        }
        true
    }
}

impl mainstay::call::Account for Account {
    fn may_start(&self, trace: &Trace, live: usize) -> bool {
        let mut state = locked(&self.state);
        if !std::mem::replace(&mut state.begun, true) {
            failpoint("money-before-attempt");
        }
        let State { entry, open, .. } = &mut *state;
        match open {
            Some(open) => trace.records.is_empty() || self.covers(entry, open, trace, live),
            // It has ended: nothing more is to be sent.
            None => false,
        }
    }

    fn over(&self, trace: &Trace, whole: bool) {
        let bill = bill::of(&self.rules, &self.demand, trace, whole, self.worst);
        self.end(&bill, trace.model.as_deref());
    }

    fn left(&self, trace: Trace) {
        locked(&self.state).left = Some(trace);
    }
}

/// Kept by the request's record; gives everything back if the call never was handed on.
#[derive(Debug)]
pub(crate) struct MoneyHold(Arc<Account>);

impl MoneyHold {
    pub(super) fn new(account: Arc<Account>) -> MoneyHold {
        MoneyHold(account)
    }

    /// What the call cost, once it is over; `None` when nothing was charged.
    pub(crate) fn cost(&self) -> Option<Usd> {
        locked(&self.0.state).cost
    }

    /// What a call took whose caller left before an answer began.
    pub(crate) fn left_trace(&self) -> Option<Trace> {
        locked(&self.0.state).left.take()
    }

    /// Whether a hard budget applies.
    pub(super) fn is_hard(&self) -> bool {
        self.0.is_hard()
    }

    /// The account, for the walk.
    pub(crate) fn account(&self) -> Arc<dyn mainstay::call::Account> {
        Arc::clone(&self.0) as Arc<dyn mainstay::call::Account>
    }
}

impl Drop for MoneyHold {
    fn drop(&mut self) {
        if !locked(&self.0.state).begun {
            self.0.end(&Bill::default(), None);
        }
    }
}
