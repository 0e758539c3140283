//! The budgets of all organizations, each organization's behind a lock of its own.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use mainstay_core::money::Usd;
use mainstay_core::money::budget::{Books, Owner, Period};
use mainstay_core::store::{BudgetRecord, Ledger, SpentOf, Store, StoreError, UnixMillis};

use super::Zones;

/// An organization's budgets.
pub(crate) type OrgBooks = Arc<Mutex<Books>>;

/// The budgets of all organizations.
#[derive(Debug)]
pub(crate) struct AllBooks {
    /// Organizations without a budget are not in it.
    books: ArcSwap<HashMap<Box<str>, OrgBooks>>,
    known: Mutex<Known>,
    /// The latest admission on record at the start: a clock that was set back since stands still.
    latest: UnixMillis,
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
    pub(crate) fn new(latest: UnixMillis) -> AllBooks {
        AllBooks { books: ArcSwap::default(), known: Mutex::default(), latest }
    }

    /// The budgets of an organization, if it has any.
    pub(crate) fn of(&self, org: &str) -> Option<OrgBooks> {
        self.books.load().get(org).cloned()
    }

    /// The time as ledger and budgets see it.
    pub(crate) fn clock(&self, now: UnixMillis) -> UnixMillis {
        now.max(self.latest)
    }

    /// Takes over what changed in the store, and asks the ledger for the past of new budgets.
    pub(crate) fn refresh(
        &self,
        store: &dyn Store,
        ledger: &dyn Ledger,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let mut known = locked(&self.known);
        let epoch = store.epoch()?;
        if epoch != known.epoch {
            for record in store.budgets_since(known.epoch)? {
                self.take_over(&known, &record, ledger, now);
                known.records.insert(record.id, record);
            }
            known.epoch = epoch;
        }
        let again = std::mem::take(&mut *locked(&known.again));
        for record in again.iter().filter_map(|id| known.records.get(id)) {
            if let Some(books) = self.of(&record.org) {
                let mut open = locked(&books);
                if let Some(period) = open.reload(record.id) {
                    ask(&books, &known.again, record, period, ledger);
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
            let new: OrgBooks = Arc::new(Mutex::new(Books::new(self.latest)));
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
            // is in the sum.
            ask(&books, &known.again, record, period, ledger);
        }
    }
}

fn ask(
    books: &OrgBooks,
    again: &Arc<Mutex<Vec<u64>>>,
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
    ledger.spent(
        of,
        Box::new(move |sum| match sum {
            Ok(sum) => {
                let spent = sum.minus(before).unwrap_or(sum);
                locked(&books).loaded(id, period, spent);
            }
            Err(trouble) => {
                tracing::warn!(budget = id, %trouble, "what a budget has spent could not be added up; it is tried again");
                locked(&again).push(id);
            }
        }),
    );
}
