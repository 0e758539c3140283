//! The real clock, and the only place of the library that reads it.

use std::time::Duration;

use mainstay_core::time::Moment;

/// A monotonic clock that starts at zero when it is made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: tokio::time::Instant,
}

impl Clock {
    /// A clock that starts here. Under tokio's paused time it stands still with it.
    pub fn new() -> Clock {
        Clock { start: tokio::time::Instant::now() }
    }

    /// Time since the clock's start.
    pub fn now(&self) -> Moment {
        let elapsed = tokio::time::Instant::now().duration_since(self.start);
        Moment::ZERO + elapsed
    }

    /// The same point as tokio's timers count it.
    pub fn instant(&self, moment: Moment) -> tokio::time::Instant {
        /// Timers beyond this are as good as never; tokio cannot represent all of `u64`.
        const FAR: Duration = Duration::from_secs(86_400 * 365);
        self.start + Duration::from_nanos(moment.as_nanos()).min(FAR)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Clock::new()
    }
}

/// Time since 1970 by the system's clock; `None` when that stands before 1970. For dates in
/// headers and records, never for measuring.
#[expect(clippy::disallowed_methods, reason = "this file is where clocks are read")]
pub fn unix_now() -> Option<Duration> {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()
}
