//! Ceiling: how many calls a target takes at once, found by its refusals.
//!
//! The first refusal sets it to the calls still unanswered; a later one takes one off; two seconds
//! of being full add one, and that interval doubles with every refusal up to a minute, so that
//! looking for more costs less and less.
//!
//! A refusal while nothing of ours is unanswered means that others hold the places: no answer of
//! ours will make room, so there is a rest, twice as long each time.

use crate::time::Moment;
use core::time::Duration;

const LOOK_FIRST: Duration = Duration::from_secs(2);
const LOOK_MAX: Duration = Duration::from_secs(60);

const REST_FIRST: Duration = Duration::from_millis(100);
const REST_MAX: Duration = Duration::from_secs(60);

/// The most calls in flight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ceiling {
    /// From the configuration; `u32::MAX` without one.
    fixed: u32,
    learnt: Option<Learnt>,
    /// The last rest; zero since something of ours was unanswered at a refusal, or succeeded.
    rest: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Learnt {
    most: u32,
    look: Duration,
    full_since: Option<Moment>,
}

impl Ceiling {
    pub(super) fn new(fixed: Option<u32>) -> Ceiling {
        Ceiling { fixed: fixed.unwrap_or(u32::MAX).max(1), learnt: None, rest: Duration::ZERO }
    }

    /// The ceiling that holds; `None` when there is none.
    pub(super) fn most(&self) -> Option<u32> {
        let most = self.learnt.map_or(self.fixed, |learnt| learnt.most.min(self.fixed));
        (most < u32::MAX).then_some(most)
    }

    /// `None`: one more may go beside `in_flight`. Otherwise the moment at which, if it stays
    /// full, one more is tried; far when only an answer can make room. `places`: how many of those that
    /// the configuration allows all nodes together are this one's. What is found by refusals is its own.
    pub(super) fn full_until(
        &mut self,
        in_flight: u32,
        places: impl Fn(u32) -> u32,
        now: Moment,
    ) -> Option<Moment> {
        if self.fixed < u32::MAX && in_flight >= places(self.fixed) {
            return Some(Moment::FAR);
        }
        let learnt = self.learnt.as_mut()?;
        if in_flight < learnt.most {
            return None;
        }
        let look_at = *learnt.full_since.get_or_insert(now) + learnt.look;
        if now < look_at {
            return Some(look_at);
        }
        learnt.most = learnt.most.saturating_add(1);
        learnt.full_since = None;
        None
    }

    /// The queue is empty: being full tells nothing about what callers want.
    pub(super) fn nobody_waits(&mut self) {
        if let Some(learnt) = &mut self.learnt {
            learnt.full_since = None;
        }
    }

    /// An attempt succeeded: there was a place.
    pub(super) fn succeeded(&mut self) {
        self.rest = Duration::ZERO;
    }

    /// The target refused for too many at once while `unanswered` others were in flight. The time
    /// to stay away, zero where an answer to one of those will make room.
    pub(super) fn refused(&mut self, unanswered: u32) -> Duration {
        self.learnt = Some(match self.learnt {
            None => Learnt { most: unanswered.max(1), look: LOOK_FIRST, full_since: None },
            Some(old) => Learnt {
                most: old.most.saturating_sub(1).max(1),
                look: (old.look * 2).min(LOOK_MAX),
                full_since: None,
            },
        });
        let alone = unanswered == 0;
        self.rest =
            if alone { (self.rest * 2).clamp(REST_FIRST, REST_MAX) } else { Duration::ZERO };
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node that is alone.
    fn whole(most: u32) -> u32 {
        most
    }

    #[test]
    fn it_is_found_by_a_refusal_and_looks_for_more_ever_less_often() {
        let at = |s: u64| Moment::from_millis(s * 1000);
        let mut ceiling = Ceiling::new(None);
        assert_eq!(ceiling.full_until(5000, whole, at(0)), None);
        ceiling.refused(8);
        assert_eq!(ceiling.most(), Some(8));
        assert_eq!(ceiling.full_until(7, whole, at(0)), None);
        assert_eq!(ceiling.full_until(8, whole, at(1)), Some(at(3)));
        assert_eq!(ceiling.full_until(8, whole, at(3)), None, "two seconds full: one more");
        assert_eq!(ceiling.most(), Some(9));
        ceiling.refused(8);
        assert_eq!(ceiling.most(), Some(8));
        assert_eq!(ceiling.full_until(8, whole, at(4)), Some(at(8)), "four seconds");
        for _ in 0..20 {
            ceiling.refused(3);
        }
        assert_eq!(ceiling.most(), Some(1), "one call is always allowed");
        assert_eq!(ceiling.full_until(1, whole, at(10)), Some(at(70)), "a minute at most");
    }

    #[test]
    fn a_refusal_with_nothing_unanswered_asks_for_a_rest_twice_as_long_each_time() {
        let mut ceiling = Ceiling::new(None);
        assert_eq!(ceiling.refused(3), Duration::ZERO, "one of the three will make room");
        let rests: [u128; 4] = core::array::from_fn(|_| ceiling.refused(0).as_millis());
        assert_eq!(rests, [100, 200, 400, 800]);
        ceiling.succeeded();
        assert_eq!(ceiling.refused(0), REST_FIRST);
        for _ in 0..40 {
            ceiling.refused(0);
        }
        assert_eq!(ceiling.refused(0), REST_MAX);
    }

    #[test]
    fn the_configured_one_is_never_exceeded() {
        let mut ceiling = Ceiling::new(Some(4));
        assert_eq!(ceiling.full_until(3, whole, Moment::ZERO), None);
        assert_eq!(ceiling.full_until(4, whole, Moment::ZERO), Some(Moment::FAR));
        ceiling.refused(10);
        assert_eq!(ceiling.most(), Some(4));
    }
}
