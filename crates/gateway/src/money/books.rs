//! The budgets of all organizations, each organization's behind a lock of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use foldhash::HashMap;
use mainstay_core::money::Usd;
use mainstay_core::money::budget::account::Told;
use mainstay_core::money::budget::{Alert, Books, Owner, Period};
use mainstay_core::store::{
    BudgetRecord, LeaseHolder, Leases, Ledger, OrgClaim, SpentOf, Store, StoreError, UnixMillis,
};
use tokio::sync::watch;

use super::Zones;

/// An organization's budgets.
pub(crate) type OrgBooks = Arc<Mutex<Books>>;

/// Alerts to be put on record, with their organization.
type Waiting = Arc<Mutex<Vec<(Box<str>, Alert)>>>;

/// Alerts that may wait; the store takes them several times a second.
const ALERTS_MAX: usize = 10_000;

/// The budgets of all organizations.
#[derive(Debug)]
pub(crate) struct AllBooks {
    /// By organizations' ids, which are the gateway's own. Those without a budget are not in it.
    books: ArcSwap<HashMap<Box<str>, OrgBooks>>,
    known: Mutex<Known>,
    /// The latest admission on record at the start: a clock that was set back since stands still.
    latest: UnixMillis,
    /// Alerts that were passed and are not on record.
    pub(super) alerts: Waiting,
    /// Where other gateways spend from the same budgets: how often leases were heard of. Calls that
    /// wait for money look again with each turn.
    turns: Option<watch::Sender<u64>>,
}

/// Budgets as the store has them.
#[derive(Debug, Default)]
struct Known {
    epoch: u64,
    records: BTreeMap<u64, BudgetRecord>,
    /// Those whose past could not be read; asked for again at the next turn.
    again: Arc<Mutex<Vec<u64>>>,
}

/// Locks, also after a panic: every change of books is complete before anything can panic.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AllBooks {
    /// `shared`: other gateways spend from the same budgets.
    pub(crate) fn new(latest: UnixMillis, shared: bool) -> AllBooks {
        let (books, known, alerts) = (ArcSwap::default(), Mutex::default(), Waiting::default());
        let turns = shared.then(|| watch::Sender::new(0));
        AllBooks { books, known, latest, alerts, turns }
    }

    /// Turns of the leases to come, where budgets are shared.
    pub(super) fn turns(&self) -> Option<watch::Receiver<u64>> {
        self.turns.as_ref().map(watch::Sender::subscribe)
    }

    fn turned(&self) {
        if let Some(turns) = &self.turns {
            turns.send_modify(|turn| *turn += 1);
        }
    }

    /// The budgets of an organization, if it has any.
    pub(crate) fn of(&self, org: &str) -> Option<OrgBooks> {
        self.books.load().get(org).cloned()
    }

    /// Notes alerts of an organization's budgets, to be put on record.
    pub(crate) fn passed(&self, org: &str, alerts: impl IntoIterator<Item = Alert>) {
        note(&self.alerts, org, alerts);
    }

    /// The time as ledger and budgets see it.
    pub(crate) fn clock(&self, now: UnixMillis) -> UnixMillis {
        now.max(self.latest)
    }

    /// Takes over what changed in a store that has this epoch, and asks the ledger for the past of new budgets.
    pub(crate) fn refresh(
        &self,
        store: &dyn Store,
        ledger: &dyn Ledger,
        epoch: u64,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let mut known = locked(&self.known);
        if epoch != known.epoch {
            let changed = store.budgets_since(known.epoch)?;
            let leases = ledger.leases().filter(|_| !changed.is_empty());
            for record in changed {
                self.take_over(&known, &record, ledger, now);
                known.records.insert(record.id, record);
            }
            known.epoch = epoch;
            // A limit that was lowered takes leases back, a raised one gives: now, not a rest later.
            leases.into_iter().for_each(Leases::hurry);
        }
        let again = std::mem::take(&mut *locked(&known.again));
        for record in again.iter().filter_map(|id| known.records.get(id)) {
            if let Some(books) = self.of(&record.org) {
                let mut open = locked(&books);
                if let Some(period) = open.reload(record.id) {
                    ask(&books, &known.again, &self.alerts, record, period, ledger);
                }
            }
        }
        Ok(())
    }

    fn take_over(
        &self,
        known: &Known,
        record: &BudgetRecord,
        ledger: &dyn Ledger,
        now: UnixMillis,
    ) {
        let books = self.of(&record.org).unwrap_or_else(|| {
            let new = match self.turns {
                Some(_) => Books::shared(self.latest),
                None => Books::new(self.latest),
            };
            let new: OrgBooks = Arc::new(Mutex::new(new));
            let mut all = HashMap::clone(&self.books.load());
            all.insert(record.org.clone(), Arc::clone(&new));
            self.books.store(Arc::new(all));
            new
        });
        let mut open = locked(&books);
        if record.removed {
            open.remove(record.id);
        } else if let Some(period) = open.set(record.rule(), self.clock(now), &Zones) {
            // Asked under the lock: what is settled later is counted here, what was settled before
            // is in the sum. What a shared budget has spent is told by its account.
            if self.turns.is_none() {
                ask(&books, &known.again, &self.alerts, record, period, ledger);
            }
        }
    }
}

impl LeaseHolder for AllBooks {
    fn claims(&self, closing: bool) -> Vec<OrgClaim> {
        let (mut all, mut claims) = (Vec::new(), Vec::new());
        for (org, books) in self.books.load().iter() {
            locked(books).claims(closing, &mut claims);
            all.extend(claims.drain(..).map(|claim| OrgClaim { org: org.clone(), claim }));
        }
        all
    }

    fn learn(&self, answers: Vec<(OrgClaim, Told)>) {
        for (OrgClaim { org, claim }, told) in answers {
            if let Some(books) = self.of(&org) {
                let alert = locked(&books).learn(claim.rule.id, claim.period, &told);
                self.passed(&org, alert);
            }
        }
        self.turned();
    }

    fn away(&self) {
        self.turned();
    }
}

fn note(waiting: &Waiting, org: &str, alerts: impl IntoIterator<Item = Alert>) {
    let mut waiting = locked(waiting);
    for alert in alerts {
        if waiting.len() >= ALERTS_MAX {
            tracing::error!(
                budget = alert.rule,
                "alerts cannot be put on record, so this one is lost"
            );
            continue;
        }
        waiting.push((org.into(), alert));
    }
}

fn ask(
    books: &OrgBooks,
    again: &Arc<Mutex<Vec<u64>>>,
    alerts: &Waiting,
    record: &BudgetRecord,
    period: Period,
    ledger: &dyn Ledger,
) {
    let (project, key) = match &record.owner {
        Owner::Organization => (None, None),
        Owner::Project(id) => (Some(id.clone()), None),
        Owner::Key(id) => (None, Some(id.clone())),
    };
    let (from, to) = (period.start, period.end);
    let of = SpentOf { org: record.org.clone(), project, key, from, to };
    // What had been spent when it was made does not count against a budget without periods.
    let before = if period.end.is_none() { record.baseline } else { Usd::ZERO };
    let (books, again, id) = (Arc::clone(books), Arc::clone(again), record.id);
    let (alerts, org) = (Arc::clone(alerts), record.org.clone());
    ledger.spent(
        of,
        Box::new(move |sum| match sum {
            Ok(sum) => {
                let spent = sum.minus(before).unwrap_or(sum);
                let alert = locked(&books).loaded(id, period, spent);
                note(&alerts, &org, alert);
            }
            Err(trouble) => {
                tracing::warn!(budget = id, %trouble, "what a budget has spent could not be added up; it is tried again");
                locked(&again).push(id);
            }
        }),
    );
}
