//! How long the way to shared accounts rests between two turns.
//!
//! Short while something presses: a call waits for money, another gateway does, or a budget is so far
//! used up that one soon might. Otherwise each rest is twice the one before, up to a bound, so that
//! what is asked follows what there is to say and not the clock. What is lost by a long rest is that
//! sums are seen later; whoever cannot wait hurries the next turn.

use core::time::Duration;

use super::account::Told;
use super::purse::Claim;
use crate::money::Usd;

/// The rest while something presses.
pub const REST_MIN: Duration = Duration::from_millis(250);
/// The longest rest: also how late sums over gateways are at most.
pub const REST_MAX: Duration = Duration::from_secs(2);
/// How many times what is leased has to be free for nothing to press. A lease at most doubles in a
/// turn, and is what a gateway uses in some ten: where less is free a call may soon have to wait for
/// what others give back, which they do with their turns.
const EASE: i128 = 8;

/// How much presses, of the least to the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Nothing.
    #[default]
    None,
    /// A lease was asked for ahead of need: it lasts some turns of this length, and no longer ones.
    Ahead,
    /// Somebody waits, or soon might.
    High,
}

impl Pressure {
    /// What a budget's claim and its answer say.
    pub fn of(claim: &Claim, told: &Told) -> Pressure {
        if !claim.rule.hard {
            return Pressure::None;
        }
        let waits = claim.statement.need > Usd::ZERO || told.wanted;
        if waits || told.free.pico() < told.leased.pico().saturating_mul(EASE) {
            Pressure::High
        } else if claim.statement.wish > Usd::ZERO {
            Pressure::Ahead
        } else {
            Pressure::None
        }
    }
}

/// The rest before the next turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turns(Duration);

impl Default for Turns {
    fn default() -> Turns {
        Turns(REST_MIN)
    }
}

impl Turns {
    /// How long to rest now, unless somebody hurries.
    pub fn rest(self) -> Duration {
        self.0
    }

    /// Notes what pressed in a turn.
    pub fn note(&mut self, pressure: Pressure) {
        self.0 = match pressure {
            Pressure::None => (self.0 * 2).min(REST_MAX),
            Pressure::Ahead => self.0,
            Pressure::High => REST_MIN,
        };
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;

    use super::super::account::Statement;
    use super::super::types::{Every, Owner, Period, Rule};
    use super::*;
    use crate::store::UnixMillis;

    fn claim(hard: bool, need: i128, wish: i128) -> Claim {
        let statement = Statement {
            need: Usd::from_pico(need),
            wish: Usd::from_pico(wish),
            ..Statement::default()
        };
        let rule = Rule {
            id: 1,
            owner: Owner::Organization,
            limit: Usd::from_pico(100),
            hard,
            alerts: Box::default(),
            every: Every::Total,
            zone: "UTC".into(),
            since: UnixMillis(0),
        };
        Claim { rule, period: Period { start: UnixMillis(0), end: None }, statement }
    }

    fn told(free: i128, leased: i128, wanted: bool) -> Told {
        let (free, leased) = (Usd::from_pico(free), Usd::from_pico(leased));
        Told { leased, free, wanted, ..Told::default() }
    }

    #[test]
    fn who_waits_or_soon_might_presses() {
        for (claim, told, pressure) in [
            (claim(true, 0, 0), told(80, 10, false), Pressure::None),
            (claim(true, 0, 1), told(80, 10, false), Pressure::Ahead),
            (claim(true, 1, 1), told(80, 10, false), Pressure::High),
            (claim(true, 0, 0), told(80, 10, true), Pressure::High),
            (claim(true, 0, 0), told(79, 10, false), Pressure::High),
            (claim(true, 0, 0), told(0, 0, false), Pressure::None),
            (claim(false, 0, 0), told(0, 10, true), Pressure::None),
        ] {
            assert_eq!(Pressure::of(&claim, &told), pressure, "{claim:?} {told:?}");
        }
    }

    #[test]
    fn rests_grow_to_their_bound_and_are_short_again_at_once() {
        let mut turns = Turns::default();
        let mut rests = [None, None, Some(Pressure::Ahead), None, None, None].map(|pressure| {
            turns.note(pressure.unwrap_or_default());
            turns.rest().as_millis()
        });
        assert_eq!(rests, [500, 1_000, 1_000, 2_000, 2_000, 2_000]);
        turns.note(Pressure::High);
        rests[0] = turns.rest().as_millis();
        assert_eq!(rests[0], REST_MIN.as_millis());
    }
}
