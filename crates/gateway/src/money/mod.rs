//! Money: what a call may cost is held before it is sent, what it cost is settled at its end.
//!
//! ```text
//!  admit ─▶ demand (worst case) ─▶ books (budgets, one lock an organization) ─▶ ledger (hold)
//!                                        ▲                                          ▲
//!  end of the call ─▶ bill (price × usage of each attempt) ─── settle ──────────────┘
//! ```
//!
//! A call holds in every budget that applies to it and in the ledger, or it is refused and holds
//! nothing. Whatever ends it, its [`Account`] settles once: the walk tells it, also when the caller
//! leaves, and a call that never became a walk is released by its [`MoneyHold`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay::Engine;
use mainstay::call::Call;
use mainstay_core::money::Usd;
use mainstay_core::store::{
    DEFAULT_ORG, DEFAULT_PROJECT, KeyRecord, LeaseHolder, Leases, Ledger, ReservationId, Store,
    StoreError, UnixMillis,
};

use crate::auth::Caller;
use crate::metrics::Page;
use crate::refused::Refused;

mod account;
mod bill;
mod books;
mod calendar;
mod dearest;
mod demand;
mod pledge;
mod rules;
mod words;

pub(crate) use account::MoneyHold;
use account::{Account, Payer};
pub(crate) use books::AllBooks;
use books::locked;
pub(crate) use calendar::Zones;
pub use calendar::{budget_period, is_time_zone};
pub(crate) use demand::Asked;
use demand::Metering;
pub(crate) use pledge::Pledge;
pub use rules::{MoneyRules, Reserve};

/// Everything about money that all workers share.
#[derive(Debug)]
pub(crate) struct Money {
    ledger: Option<Arc<dyn Ledger>>,
    books: Arc<AllBooks>,
    counts: Counts,
}

/// Counters of metrics.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Calls refused because a budget has no room.
    pub(crate) over: AtomicU64,
    /// Calls refused because the ledger could not take their hold.
    pub(crate) unwritten: AtomicU64,
    /// Calls that went on without an entry, because no hard budget applied.
    pub(crate) unrecorded: AtomicU64,
    /// Calls that cost more than they held.
    pub(crate) debts: AtomicU64,
    /// Budgets that passed one of their alerts.
    pub(crate) alerts: AtomicU64,
    /// Calls that waited for a lease.
    pub(crate) lease_waits: AtomicU64,
    /// Calls that waited for a lease in vain, or could not.
    pub(crate) unleased: AtomicU64,
}

/// What a call is admitted by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MoneyAsk<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) call: &'a Call,
    pub(crate) asked: &'a Asked,
    pub(crate) rules: &'a Arc<MoneyRules>,
    pub(crate) engine: &'a Engine,
    pub(crate) now: UnixMillis,
}

impl Money {
    /// Money over a ledger; without one nothing is counted.
    pub(crate) fn new(ledger: Option<Arc<dyn Ledger>>) -> Arc<Money> {
        let latest = ledger.as_ref().map_or(UnixMillis(0), |ledger| ledger.latest());
        let leases = ledger.as_ref().and_then(|ledger| ledger.leases());
        let books = Arc::new(AllBooks::new(latest, leases.is_some()));
        if let Some(leases) = leases {
            leases.attach(Arc::clone(&books) as Arc<dyn LeaseHolder>);
        }
        Arc::new(Money { ledger, books, counts: Counts::default() })
    }

    /// The way to budgets that other gateways spend from too, if there are any.
    pub(crate) fn leases(&self) -> Option<&dyn Leases> {
        self.ledger.as_ref().and_then(|ledger| ledger.leases())
    }

    /// Puts alerts on record that budgets have passed. Each is told once, whatever restarts come
    /// between. Blocks; for the background thread.
    ///
    /// # Errors
    ///
    /// The store failed; they are put on record the next time.
    pub(crate) fn tell_alerts(&self, store: &dyn Store, now: UnixMillis) -> Result<(), StoreError> {
        let mut waiting = std::mem::take(&mut *locked(&self.books.alerts)).into_iter();
        while let Some((org, alert)) = waiting.next() {
            match store.raise_alert(&org, &alert, now) {
                Ok(None) => {}
                Ok(Some(raised)) => {
                    self.counts.alerts.fetch_add(1, Ordering::Relaxed);
                    let (budget, percent) = (alert.rule, alert.percent);
                    tracing::warn!(alert = raised.id, budget, percent, spent = %alert.settled, limit = %alert.limit, "a budget passed an alert");
                }
                Err(error) => {
                    locked(&self.books.alerts).extend(std::iter::once((org, alert)).chain(waiting));
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Learns of budgets that changed in a store that has this epoch.
    ///
    /// # Errors
    ///
    /// The store failed; the known budgets stay.
    pub(crate) fn refresh(
        &self,
        store: &dyn Store,
        epoch: u64,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        match &self.ledger {
            Some(ledger) => self.books.refresh(store, ledger.as_ref(), epoch, now),
            None => Ok(()),
        }
    }

    /// The ledger, if there is one.
    pub(crate) fn ledger(&self) -> Option<&Arc<dyn Ledger>> {
        self.ledger.as_ref()
    }

    /// Adds its metrics to a page for Prometheus.
    pub(crate) fn metrics(&self, page: &mut Page) {
        let Some(ledger) = &self.ledger else { return };
        let (state, counts) = (ledger.state(), &self.counts);
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        for (name, value) in [
            ("mainstay_budget_refusals_total", get(&counts.over)),
            ("mainstay_budget_alerts_total", get(&counts.alerts)),
            ("mainstay_budget_debts_total", get(&counts.debts)),
            ("mainstay_ledger_refusals_total", get(&counts.unwritten)),
            ("mainstay_ledger_unrecorded_total", get(&counts.unrecorded)),
            ("mainstay_ledger_violations_total", state.refused),
            ("mainstay_ledger_waiting", number(state.waiting)),
            ("mainstay_ledger_open", number(state.open)),
            ("mainstay_ledger_failing", u64::from(state.trouble.is_some())),
            ("mainstay_lease_waits_total", get(&counts.lease_waits)),
            ("mainstay_lease_refusals_total", get(&counts.unleased)),
            (
                "mainstay_leases_failing",
                u64::from(ledger.leases().is_some_and(|leases| leases.trouble().is_some())),
            ),
        ] {
            page.one(name, value);
        }
    }

    /// What the call may cost, and who pays. `None`: it costs nothing, or nobody counts.
    ///
    /// # Errors
    ///
    /// A hard budget applies, and the cost cannot be told.
    pub(crate) fn account(
        self: &Arc<Self>,
        ask: &MoneyAsk<'_>,
    ) -> Result<Option<Arc<Account>>, Refused> {
        if self.ledger.is_none() {
            return Ok(None);
        }
        let payer = Payer::new(&self.books, ask.caller.key.as_ref().map(|key| &key.record));
        let demand = match demand::of(ask) {
            Metering::Free => return Ok(None),
            Metering::Unmetered(why) if payer.is_hard() => {
                return Err(words::unmetered(ask.call, why));
            }
            Metering::Unmetered(_) => return Ok(None),
            Metering::Metered(demand) => demand,
        };
        let Some(reservation) = ReservationId::of_request(&ask.call.id) else { return Ok(None) };
        let price = dearest::price(ask);
        if price.is_none() && payer.is_hard() {
            return Err(words::unpriced(ask.call));
        }
        let worst = match price.unwrap_or_default().cost(&demand.worst) {
            Ok(worst) => worst,
            Err(_) if payer.is_hard() => return Err(words::too_dear(ask.call)),
            Err(_) => Usd::ENTRY_MAX,
        };
        Ok(Some(Arc::new(Account::new(self, payer, reservation, ask, demand, worst))))
    }
}

/// Organization and project of a key, or the default ones.
fn home(key: Option<&Arc<KeyRecord>>) -> (&str, &str) {
    key.map_or((DEFAULT_ORG, DEFAULT_PROJECT), |key| (&*key.org, &*key.project))
}
