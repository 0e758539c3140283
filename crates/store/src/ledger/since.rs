//! How long ago something was, for the threads that keep a ledger and whoever opens a file: they rest by
//! the time that has gone by, and nothing they write depends on it.

use std::time::{Duration, Instant};

/// A moment that is past.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Since(Instant);

impl Since {
    #[expect(clippy::disallowed_methods, reason = "nobody who waits here has a clock handed in")]
    pub(crate) fn now() -> Since {
        Since(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
