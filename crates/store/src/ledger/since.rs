//! How long ago something was, for the threads that keep a ledger: they rest by the time that has
//! gone by, and nothing they write depends on it.

use std::time::{Duration, Instant};

/// A moment that is past.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since(Instant);

impl Since {
    #[expect(clippy::disallowed_methods, reason = "these threads have no clock handed in")]
    pub(super) fn now() -> Since {
        Since(Instant::now())
    }

    pub(super) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
