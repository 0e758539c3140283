//! A rate as leases see it: what one unit takes, what may count as used, and what nodes may hold.

use core::time::Duration;

use super::super::limits::{LimitSpec, Measure, Rate};
use super::group::View;
use crate::time::Moment;

/// The share of a burst that is set aside for what nodes hold: one in this many.
const HELD: u64 = 16;
/// Units that a node's share of it has at least; else every call asks for itself.
const HELD_MIN: u64 = 4;
/// Longest time that a lease is kept unspent: a sixth of the window.
const LIFE_OF_WINDOW: u64 = 6;
/// The same for long windows: a lease of a day's limit outlives short troubles.
const LIFE_MAX_US: u64 = 600_000_000;
/// What a node admits of its part of a limit by itself: four fifths.
const ALONE: (u64, u64) = (4, 5);

/// A limit on a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// Units a window allows, at least 1.
    pub(super) limit: u64,
    /// The window in microseconds.
    window: u64,
    /// What may come at once, in microseconds of the rate.
    burst: u64,
}

impl Pace {
    pub(super) fn of(spec: &LimitSpec, measure: Measure) -> Option<Pace> {
        spec.rate(measure).map(|rate| Pace::new(&rate))
    }

    fn new(rate: &Rate) -> Pace {
        let (limit, window) = (rate.limit, rate.window_us());
        let burst = u128::from(rate.burst()) * u128::from(window);
        Pace { limit, window, burst: small(burst.div_ceil(u128::from(limit))) }
    }

    /// Units, in the fine measure of leases: units times the window's microseconds.
    pub(super) fn cost(&self, units: u64) -> u128 {
        u128::from(units) * u128::from(self.window)
    }

    /// The time that the rate takes to give this, rounded up.
    pub(super) fn time_up(&self, fine: u128) -> u64 {
        small(fine.div_ceil(u128::from(self.limit)))
    }

    /// The same, rounded down.
    pub(super) fn time_down(&self, fine: u128) -> u64 {
        small(fine / u128::from(self.limit))
    }

    /// What the rate gives in this time.
    pub(super) fn fine(&self, micros: u64) -> u128 {
        u128::from(micros) * u128::from(self.limit)
    }

    /// Whole units that the rate gives in this time.
    pub(super) fn units_down(&self, micros: u64) -> u64 {
        small(self.fine(micros) / u128::from(self.window))
    }

    /// The same, a begun one whole.
    pub(super) fn units_up(&self, micros: u64) -> u64 {
        small(self.fine(micros).div_ceil(u128::from(self.window)))
    }

    /// What one node may hold unspent.
    pub(super) fn hold(&self, nodes: u64) -> u64 {
        let share = self.burst / HELD / nodes.max(1);
        if self.fine(share) < self.cost(HELD_MIN) { 0 } else { share }
    }

    /// What may count as used: the burst without what nodes may hold, and without what is granted and
    /// not spent before its reply has come. Of a burst too small to be held in pieces nothing is set
    /// aside: there a reply's time is a small part of a unit.
    pub(super) fn room(&self, view: View) -> u64 {
        match self.hold(view.nodes).saturating_mul(view.nodes.max(1)) {
            0 => self.burst,
            aside => {
                let burst = self.burst - aside.min(self.burst);
                burst - super::micros(view.reply_max).min(burst / 2)
            }
        }
    }

    /// What may come at once.
    pub(super) fn burst(&self) -> u64 {
        self.burst
    }

    /// How long a lease is kept unspent.
    pub(super) fn life(&self) -> Duration {
        Duration::from_micros((self.window / LIFE_OF_WINDOW).min(LIFE_MAX_US))
    }

    /// What units take of a node's own part of the rate, when it is alone.
    pub(super) fn alone(&self, units: u64, nodes: u64) -> u64 {
        let (part, whole) = ALONE;
        let fine = self.cost(units) * u128::from(nodes.max(1)) * u128::from(whole);
        small(fine.div_ceil(u128::from(self.limit) * u128::from(part)))
    }
}

/// Microseconds from one moment to a later one.
pub(super) fn between(earlier: Moment, later: Moment) -> u64 {
    super::micros(later.since(earlier))
}

fn small(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
