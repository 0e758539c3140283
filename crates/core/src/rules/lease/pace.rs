//! A rate as leases see it: what one unit takes, what may count as used, and what nodes may hold.
//!
//! What is the same for every call, as long as the limit is and as many nodes are there, is reckoned once.

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

/// A limit on a rate, among some nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// Units a window allows, at least 1.
    pub(super) limit: u64,
    /// The window in microseconds.
    window: u64,
    /// What may come at once, in microseconds of the rate.
    burst: u64,
    /// What one node may hold unspent, and the same in the fine measure.
    hold: u64,
    hold_fine: u128,
    room: u64,
}

/// What paces depend on beside the limit: how many nodes there are, and how long a reply may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Among {
    nodes: u64,
    reply_max: Duration,
}

impl Among {
    pub(super) fn of(view: View) -> Among {
        Among { nodes: view.nodes.max(1), reply_max: view.reply_max }
    }
}

impl Pace {
    pub(super) fn of(spec: &LimitSpec, measure: Measure, among: Among) -> Option<Pace> {
        spec.rate(measure).map(|rate| Pace::new(&rate, among))
    }

    fn new(rate: &Rate, Among { nodes, reply_max }: Among) -> Pace {
        let (limit, window) = (rate.limit, rate.window_us());
        let burst = u128::from(rate.burst()) * u128::from(window);
        let burst = small(burst.div_ceil(u128::from(limit)));
        let mut pace = Pace { limit, window, burst, hold: 0, hold_fine: 0, room: burst };
        let share = burst / HELD / nodes;
        if pace.fine(share) >= pace.cost(HELD_MIN) {
            (pace.hold, pace.hold_fine) = (share, pace.fine(share));
        }
        let aside = pace.hold.saturating_mul(nodes).min(burst);
        if aside > 0 {
            let rest = burst - aside;
            pace.room = rest - super::micros(reply_max).min(rest / 2);
        }
        pace
    }

    /// Whether it is the same limit, among as many nodes or not.
    pub(super) fn is_limit_of(&self, other: &Pace) -> bool {
        (self.limit, self.window, self.burst) == (other.limit, other.window, other.burst)
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
        parts(fine, self.limit)
    }

    /// What the rate gives in this time.
    pub(super) fn fine(&self, micros: u64) -> u128 {
        u128::from(micros) * u128::from(self.limit)
    }

    /// Whole units that the rate gives in this time.
    pub(super) fn units_down(&self, micros: u64) -> u64 {
        parts(self.fine(micros), self.window)
    }

    /// The same, a begun one whole.
    pub(super) fn units_up(&self, micros: u64) -> u64 {
        small(self.fine(micros).div_ceil(u128::from(self.window)))
    }

    /// What one node may hold unspent.
    pub(super) fn hold(&self) -> u64 {
        self.hold
    }

    /// The same in the fine measure.
    pub(super) fn hold_fine(&self) -> u128 {
        self.hold_fine
    }

    /// What may count as used: the burst without what nodes may hold, and without what is granted and
    /// not spent before its reply has come. Of a burst too small to be held in pieces nothing is set
    /// aside: there a reply's time is a small part of a unit.
    pub(super) fn room(&self) -> u64 {
        self.room
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

/// Microseconds from one moment to a later one, at most [`super::Pool::DEBT_MAX`].
pub(super) fn between(earlier: Moment, later: Moment) -> u64 {
    (later.as_nanos().saturating_sub(earlier.as_nanos()) / 1_000).min(super::Pool::DEBT_MAX)
}

/// How often a whole number is in another one. Few are beyond 64 bits, and those that are not are divided by
/// one instruction.
fn parts(fine: u128, by: u64) -> u64 {
    match u64::try_from(fine) {
        Ok(fine) => fine / by,
        Err(_) => small(fine / u128::from(by)),
    }
}

fn small(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
