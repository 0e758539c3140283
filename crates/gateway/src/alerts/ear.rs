//! Where alerts hear of the gateway: on the teller's thread, which no call waits for.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mainstay_core::alerts::Sighting;
use mainstay_core::money::budget::Owner;
use mainstay_core::store::{RequestRecord, Store, UnixMillis};

use super::watcher::{Look, Watcher};
use crate::fault::ServeError;
use crate::finished::{Ear, TargetName};
use crate::shared::Shared;

/// Passes on what is told and looks around once a second.
pub(crate) struct AlertEar {
    watcher: Watcher,
    shared: Arc<Shared>,
    store: Option<Arc<dyn Store>>,
    /// The last of the store's alerts of budgets that was looked at.
    budgets_told: u64,
    /// What was on record before was another run's to tell.
    since: UnixMillis,
    looks: u64,
}

/// Looks between two at alerts of budgets, where the store tells of them: ten seconds.
const BUDGETS_EVERY: u64 = 10;
/// Alerts of budgets that are read at once.
const PAGE: usize = 1_000;

impl AlertEar {
    /// Starts the posting thread.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(crate) fn start(
        shared: &Arc<Shared>,
        store: Option<Arc<dyn Store>>,
    ) -> Result<AlertEar, ServeError> {
        let settings = Arc::clone(&shared.settings().alerts);
        let watcher = Watcher::start(settings, Arc::clone(&shared.alerts))?;
        let (shared, since) = (Arc::clone(shared), shared.wall.now());
        Ok(AlertEar { watcher, shared, store, budgets_told: 0, since, looks: 0 })
    }

    /// Takes in what budgets have passed. A store that cannot be read is told of by those who read keys.
    fn look_at_budgets(&mut self, now: UnixMillis) {
        let Some(store) = &self.store else { return };
        let told = self.shared.told.swap(false, Ordering::Relaxed);
        let asks = told || !store.listens() || self.looks.is_multiple_of(BUDGETS_EVERY);
        self.looks += 1;
        if !asks {
            return;
        }
        while let Ok(page) = store.alerts(self.budgets_told, PAGE) {
            for one in &page {
                self.budgets_told = self.budgets_told.max(one.id);
                if one.at >= self.since {
                    let alert = &one.alert;
                    let owner = owner(&alert.owner, &one.org);
                    let (spent, limit) = (alert.settled.to_string(), alert.limit.to_string());
                    let (owner, percent) = (&*owner, alert.percent);
                    let (spent, limit) = (&*spent, &*limit);
                    self.watcher.see(now, Sighting::Budget { owner, percent, spent, limit });
                }
            }
            if page.len() < PAGE {
                return;
            }
        }
    }

    fn look(&self) -> Look {
        Look {
            targets: self.shared.engine.snapshot(),
            records: self.shared.telling.trouble(),
            ledger: self.shared.money.ledger().and_then(|ledger| ledger.state().trouble),
        }
    }
}

impl Ear for AlertEar {
    fn finished(&mut self, call: &RequestRecord) {
        self.watcher.finished(call, self.shared.wall.now());
    }

    fn answered(&mut self, calls: u64, target: Option<TargetName<'_>>) {
        self.watcher.answered(calls, target, self.shared.wall.now());
    }

    fn tick(&mut self) {
        let now = self.shared.wall.now();
        if !self.watcher.is_due(now) {
            return;
        }
        self.watcher.change(&self.shared.settings().alerts);
        self.look_at_budgets(now);
        let look = self.look();
        self.watcher.look(&look, now);
    }
}

/// Whose a budget is, for people.
fn owner(owner: &Owner, org: &str) -> String {
    match owner {
        Owner::Organization => format!("organization `{org}`"),
        Owner::Project(id) => format!("project `{id}`"),
        Owner::Key(id) => format!("key `{id}`"),
    }
}
