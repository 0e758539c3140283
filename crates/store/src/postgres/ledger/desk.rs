//! Where the link is told what to do: what waits for it, and how it fares.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_core::store::{LeaseHolder, SpentOf, Summed};

/// What waits for the link, and how it fares.
#[derive(Default)]
pub(super) struct Desk {
    state: Mutex<State>,
    come: Condvar,
}

#[derive(Default)]
struct State {
    holder: Option<Arc<dyn LeaseHolder>>,
    /// A call waits for money.
    hurry: bool,
    sums: Vec<(SpentOf, Summed)>,
    flushes: Vec<SyncSender<()>>,
    closed: bool,
    trouble: Option<String>,
    refused: u64,
}

/// What the link is to do in a turn.
pub(super) struct Work {
    pub(super) holder: Option<Arc<dyn LeaseHolder>>,
    pub(super) sums: Vec<(SpentOf, Summed)>,
    pub(super) flushes: Vec<SyncSender<()>>,
    /// This is the last turn.
    pub(super) closed: bool,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("trouble", &self.lock().trouble).finish_non_exhaustive()
    }
}

impl Desk {
    pub(super) fn attach(&self, holder: Arc<dyn LeaseHolder>) {
        self.lock().holder = Some(holder);
    }

    pub(super) fn hurry(&self) {
        self.change(|state| state.hurry = true);
    }

    pub(super) fn sum(&self, of: SpentOf, summed: Summed) {
        self.change(|state| state.sums.push((of, summed)));
    }

    pub(super) fn flush(&self, done: SyncSender<()>) {
        self.change(|state| state.flushes.push(done));
    }

    pub(super) fn close(&self) {
        self.change(|state| state.closed = true);
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    /// Notes how the last turn went; `true` when it went otherwise than the one before.
    pub(super) fn note(&self, trouble: Option<String>, refused: u64) -> bool {
        let mut state = self.lock();
        let changed = state.trouble.is_some() != trouble.is_some();
        state.trouble = trouble;
        state.refused += refused;
        changed
    }

    pub(super) fn refused(&self) -> u64 {
        self.lock().refused
    }

    /// Waits for work, at most so long.
    pub(super) fn next(&self, most: Duration) -> Work {
        let state = self.lock();
        let idle = |state: &mut State| {
            !state.hurry && !state.closed && state.sums.is_empty() && state.flushes.is_empty()
        };
        let waited = self.come.wait_timeout_while(state, most, idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.hurry = false;
        Work {
            holder: state.holder.clone(),
            sums: std::mem::take(&mut state.sums),
            flushes: std::mem::take(&mut state.flushes),
            closed: state.closed,
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.come.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
