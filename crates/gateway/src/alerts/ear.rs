//! Where alerts hear of the gateway: on the teller's thread, which no call waits for.

use std::sync::Arc;

use mainstay_core::store::RequestRecord;

use super::watcher::{Look, Watcher};
use crate::fault::ServeError;
use crate::finished::Ear;
use crate::shared::Shared;

/// Passes on what is told and looks around once a second.
pub(crate) struct AlertEar {
    watcher: Watcher,
    shared: Arc<Shared>,
}

impl AlertEar {
    /// Starts the posting thread.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(crate) fn start(shared: &Arc<Shared>) -> Result<AlertEar, ServeError> {
        let settings = Arc::clone(&shared.settings().alerts);
        let watcher = Watcher::start(settings, Arc::clone(&shared.alerts))?;
        Ok(AlertEar { watcher, shared: Arc::clone(shared) })
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

    fn tick(&mut self) {
        let now = self.shared.wall.now();
        if !self.watcher.is_due(now) {
            return;
        }
        self.watcher.change(&self.shared.settings().alerts);
        let look = self.look();
        self.watcher.look(&look, now);
    }
}
