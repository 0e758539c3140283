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
            Some(burst) => share(limit, nanos(burst), window_ns).clamp(1, limit),
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
        div_ceil(self.used, rate.window)
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
    Duration::from_nanos(div_ceil(scaled, rate.limit))
}

/// What a limit gives in a part of its window. Every look at a limit asks: a division of 128 bits is a
/// function of some length, one of 64 an instruction.
fn share(limit: u64, part: u64, window: u64) -> u64 {
    const MICRO: u64 = 1_000;
    let whole = part.is_multiple_of(MICRO) && window.is_multiple_of(MICRO);
    let (part, window) = if whole { (part / MICRO, window / MICRO) } else { (part, window) };
    if let Some(product) = limit.checked_mul(part) {
        return product / window;
    }
    let share = u128::from(limit) * u128::from(part) / u128::from(window);
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// Rounded up; as in [`share`], usual numbers have 64 bits.
fn div_ceil(number: u128, by: u64) -> u64 {
    match u64::try_from(number) {
        Ok(number) => number.div_ceil(by),
        Err(_) => u64::try_from(number.div_ceil(u128::from(by))).unwrap_or(u64::MAX),
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn short_divisions_are_those_of_128_bits(
            limit in 1_u64.., part in any::<u64>(), window in 1_u64.., bits in 0_u32..64, number in any::<u128>(),
        ) {
            let low = |number: u64| (number >> bits).max(1);
            for (limit, part, window) in [(limit, part, window), (low(limit), low(part), low(window))] {
                for thousand in [1, 1_000] {
                    let (part, window) = (part.saturating_mul(thousand), window.saturating_mul(thousand));
                    let exact = u128::from(limit) * u128::from(part) / u128::from(window);
                    prop_assert_eq!(share(limit, part, window), u64::try_from(exact).unwrap_or(u64::MAX));
                }
                let number = number >> (2 * bits);
                let exact = number.div_ceil(u128::from(limit));
                prop_assert_eq!(div_ceil(number, limit), u64::try_from(exact).unwrap_or(u64::MAX));
            }
        }
    }
}
