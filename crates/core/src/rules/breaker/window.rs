//! What a breaker counts: outcomes of the last seconds, and when first attempts started.

use crate::time::Moment;
use core::time::Duration;

const SLOTS: usize = 10;

/// Exact counts over a ring of ten slots. A slot is known by its number on the time line, so that
/// nothing has to be advanced: a stale one is simply not counted.
#[derive(Clone, Debug)]
pub(super) struct Window {
    slot_nanos: u64,
    slots: [Slot; SLOTS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    number: u64,
    good: u32,
    bad: u32,
}

impl Window {
    pub(super) fn new(length: Duration) -> Window {
        let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        Window { slot_nanos: (nanos / SLOTS as u64).max(1), slots: [Slot::default(); SLOTS] }
    }

    pub(super) fn note(&mut self, good: bool, now: Moment) {
        let number = now.as_nanos() / self.slot_nanos;
        let index = usize::try_from(number % SLOTS as u64).unwrap_or(0);
        let slot = &mut self.slots[index];
        if slot.number != number {
            *slot = Slot { number, good: 0, bad: 0 };
        }
        if good {
            slot.good = slot.good.saturating_add(1);
        } else {
            slot.bad = slot.bad.saturating_add(1);
        }
    }

    /// Successes and failures within the window that ends at `now`.
    pub(super) fn counts(&self, now: Moment) -> (u32, u32) {
        let number = now.as_nanos() / self.slot_nanos;
        let oldest = number.saturating_sub(SLOTS as u64 - 1);
        self.slots.iter().filter(|slot| (oldest..=number).contains(&slot.number)).fold(
            (0, 0),
            |(good, bad), slot| {
                (u32::saturating_add(good, slot.good), u32::saturating_add(bad, slot.bad))
            },
        )
    }

    pub(super) fn clear(&mut self) {
        self.slots = [Slot::default(); SLOTS];
    }
}

/// When the last ten first attempts started.
#[derive(Clone, Debug, Default)]
pub(super) struct Starts {
    at: [Moment; 10],
    count: u64,
}

impl Starts {
    pub(super) fn note(&mut self, now: Moment) {
        let index = usize::try_from(self.count % 10).unwrap_or(0);
        self.at[index] = now;
        self.count += 1;
    }

    /// How long ten first attempts take to start, by the last ten or the fewer there are.
    pub(super) fn time_of_ten(&self, now: Moment) -> Duration {
        let kept = self.count.min(10);
        if kept == 0 {
            return Duration::MAX;
        }
        let oldest = if self.count > 10 {
            self.at[usize::try_from(self.count % 10).unwrap_or(0)]
        } else {
            self.at[0]
        };
        let scaled = u128::from(u64::try_from(now.since(oldest).as_nanos()).unwrap_or(u64::MAX))
            * 10
            / u128::from(kept);
        Duration::from_nanos(u64::try_from(scaled).unwrap_or(u64::MAX))
    }
}
