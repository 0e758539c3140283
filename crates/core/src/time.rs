//! A point on one clock, handed in by whoever has a clock. Reads none itself.
//!
//! Between the clocks of two machines only durations travel: a [`Moment`] means nothing elsewhere.

use core::ops::Add;
use core::time::Duration;

/// A point in time on the caller's monotonic clock, in nanoseconds since that clock's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The start of the clock.
    pub const ZERO: Moment = Moment(0);
    /// Later than everything; used for "no limit".
    pub const FAR: Moment = Moment(u64::MAX);

    /// A moment `nanos` nanoseconds after the clock's start.
    pub const fn from_nanos(nanos: u64) -> Moment {
        Moment(nanos)
    }

    /// A moment `millis` milliseconds after the clock's start.
    pub const fn from_millis(millis: u64) -> Moment {
        Moment(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the clock's start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub const fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Seconds from `earlier` to this, zero when it is not after it. For rates, never for money.
    pub fn seconds_since(self, earlier: Moment) -> f64 {
        self.since(earlier).as_secs_f64()
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    /// Saturates at [`Moment::FAR`].
    fn add(self, wait: Duration) -> Moment {
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        Moment(self.0.saturating_add(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_saturate_and_differences_are_never_negative() {
        assert_eq!(Moment::FAR + Duration::from_secs(1), Moment::FAR);
        assert_eq!(Moment::ZERO + Duration::MAX, Moment::FAR);
        assert_eq!(Moment::ZERO.since(Moment::from_millis(5)), Duration::ZERO);
        assert_eq!(Moment::from_millis(5).since(Moment::ZERO), Duration::from_millis(5));
    }
}
