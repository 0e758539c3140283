//! How many calls of the last minutes failed, in a fixed number of parts of that time.

use core::time::Duration;

use crate::store::UnixMillis;

/// Parts of the window: a call leaves it at most a tenth of the window late.
const PARTS: usize = 10;

/// Calls and failures of a window that moves on.
#[derive(Debug)]
pub(super) struct Rate {
    /// Milliseconds of one part.
    part: u64,
    /// Number of a part since 1970, calls, failures.
    parts: [(u64, u64, u64); PARTS],
}

impl Rate {
    pub(super) fn new(window: Duration) -> Rate {
        let millis = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        Rate { part: (millis / PARTS as u64).max(1), parts: [(0, 0, 0); PARTS] }
    }

    pub(super) fn add(&mut self, now: UnixMillis, count: u64, failed: bool) {
        let number = now.0 / self.part;
        let Some(part) = self.parts.get_mut(usize::try_from(number % PARTS as u64).unwrap_or(0))
        else {
            return;
        };
        if part.0 != number {
            *part = (number, 0, 0);
        }
        part.1 = part.1.saturating_add(count);
        part.2 = part.2.saturating_add(if failed { count } else { 0 });
    }

    /// Calls and failures of the window that ends now.
    pub(super) fn sums(&self, now: UnixMillis) -> (u64, u64) {
        let newest = now.0 / self.part;
        let inside = |part: &&(u64, u64, u64)| part.0 <= newest && newest - part.0 < PARTS as u64;
        let parts = self.parts.iter().filter(inside);
        parts.fold((0, 0), |(calls, failed), part| (calls + part.1, failed + part.2))
    }
}
