//! One rate: how much counts as used, exactly.

use core::time::Duration;

use crate::time::Moment;

/// A limit per window.
#[derive(Clone, Copy, Debug)]
pub(in crate::rules) struct Rate {
    /// Units a window allows, at least 1.
    pub(in crate::rules) limit: u64,
    /// The window in nanoseconds, at least 1.
    window: u64,
    /// Units that may come at once, 1 to `limit`.
    burst: u64,
}

impl Rate {
    pub(super) fn new(limit: u64, window: Duration, burst: Option<Duration>) -> Rate {
        let window_ns = nanos(window).max(1);
        let limit = limit.max(1);
        let burst = match burst {
            None => limit,
            Some(burst) => {
                let share = u128::from(limit) * u128::from(nanos(burst)) / u128::from(window_ns);
                u64::try_from(share).unwrap_or(u64::MAX).clamp(1, limit)
            }
        };
        Rate { limit, window: window_ns, burst }
    }

    /// The window in whole microseconds.
    pub(in crate::rules) fn window_us(&self) -> u64 {
        self.window / 1_000
    }

    /// Units that may come at once, 1 to the limit.
    pub(in crate::rules) fn burst(&self) -> u64 {
        self.burst
    }

    /// What is left of an exact level after a time in which nothing came.
    pub(super) fn faded(&self, used: u128, after: Duration) -> u128 {
        used.saturating_sub(after.as_nanos().saturating_mul(u128::from(self.limit)))
    }

    fn scaled(&self, units: u64) -> u128 {
        u128::from(units) * u128::from(self.window)
    }
}

/// How much of a rate counts as used. Nothing, for a new one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    /// Units times the window's nanoseconds: each nanosecond takes `limit` off, without a rest.
    used: u128,
    at: Moment,
}

impl Bucket {
    /// Lets time pass. A clock that went back takes nothing off.
    pub(super) fn flow(&mut self, rate: &Rate, now: Moment) {
        if now <= self.at {
            return;
        }
        let passed = now.since(self.at).as_nanos();
        self.used = self.used.saturating_sub(passed.saturating_mul(u128::from(rate.limit)));
        self.at = now;
    }

    /// How long until `units` more fit; zero: at once. `None`: never.
    pub(super) fn wait(&self, units: u64, rate: &Rate) -> Option<Duration> {
        if units > rate.limit {
            return None;
        }
        let room = rate.scaled(rate.burst.saturating_sub(units));
        let over = self.used.saturating_sub(room);
        Some(time(over, rate))
    }

    pub(super) fn take(&mut self, units: u64, rate: &Rate) {
        self.used = self.used.saturating_add(rate.scaled(units));
    }

    pub(super) fn give(&mut self, units: u64, rate: &Rate) {
        self.used = self.used.saturating_sub(rate.scaled(units));
    }

    /// Takes as much as there is of `units`.
    pub(super) fn take_what_is_left(&mut self, units: u64, rate: &Rate) {
        let full = rate.scaled(rate.burst).max(self.used);
        self.take(units, rate);
        self.used = self.used.min(full);
    }

    /// Units that count as used, a begun one whole.
    pub(super) fn used(&self, rate: &Rate) -> u64 {
        u64::try_from(self.used.div_ceil(u128::from(rate.window))).unwrap_or(u64::MAX)
    }

    /// Units that would fit at once.
    pub(super) fn remaining(&self, rate: &Rate) -> u64 {
        rate.burst.saturating_sub(self.used(rate))
    }

    /// Time until nothing counts as used.
    pub(super) fn reset(&self, rate: &Rate) -> Duration {
        time(self.used, rate)
    }

    pub(super) fn is_full(&self) -> bool {
        self.used == 0
    }

    /// How much counts as used, exactly: units times the window's nanoseconds.
    pub(super) fn exact(&self) -> u128 {
        self.used
    }

    /// Takes what counted as used `ago`, as much of it as is left by this time.
    pub(super) fn resume(&mut self, units: u64, ago: Duration, rate: &Rate) {
        self.used = self.used.saturating_add(rate.faded(rate.scaled(units), ago));
    }

    pub(super) fn forget(&mut self) {
        self.used = 0;
    }
}

/// How long the rate takes to give this much, rounded up.
fn time(scaled: u128, rate: &Rate) -> Duration {
    let nanos = scaled.div_ceil(u128::from(rate.limit));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
