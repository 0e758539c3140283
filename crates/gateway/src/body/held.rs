//! The memory for request bodies: one bound for the process, given out by what really arrived.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::refused::{Refused, grouped};

/// All bodies held at once.
#[derive(Clone, Debug)]
pub(crate) struct Held(Arc<Account>);

#[derive(Debug)]
struct Account {
    now: AtomicU64,
    max: u64,
}

/// One body's share. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    account: Arc<Account>,
    bytes: u64,
}

impl Held {
    /// With a bound in bytes.
    pub(crate) fn new(max: u64) -> Held {
        Held(Arc::new(Account { now: AtomicU64::new(0), max }))
    }

    /// An empty share.
    pub(crate) fn hold(&self) -> Hold {
        Hold { account: Arc::clone(&self.0), bytes: 0 }
    }

    /// Bytes held at the moment.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.now.load(Ordering::Relaxed)
    }
}

impl Hold {
    /// Takes `more` bytes.
    ///
    /// # Errors
    ///
    /// All memory for bodies is taken. The caller may try again soon.
    pub(crate) fn grow(&mut self, more: usize) -> Result<(), Refused> {
        const WAIT: Duration = Duration::from_secs(2);
        let more = more as u64;
        let before = self.account.now.fetch_add(more, Ordering::Relaxed);
        self.bytes += more;
        if before.saturating_add(more) <= self.account.max {
            return Ok(());
        }
        Err(Refused::full(
            format!(
                "The memory for request bodies is full: {} of {} bytes are held for other calls. Nothing was sent; try \
                 again in {} s.",
                grouped(before - (self.bytes - more).min(before)),
                grouped(self.account.max),
                WAIT.as_secs()
            ),
            WAIT,
        ))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.account.now.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_never_outlives_its_hold_and_the_bound_is_kept() {
        let held = Held::new(100);
        let mut first = held.hold();
        first.grow(60).unwrap();
        let mut second = held.hold();
        let refused = second.grow(41).unwrap_err();
        assert!(refused.again && refused.retry_after.is_some());
        drop(second);
        assert_eq!(held.bytes(), 60);
        held.hold().grow(40).unwrap();
        drop(first);
        assert_eq!(held.bytes(), 0);
    }
}
