//! What other gateways say of the same target: advice, never an order.
//!
//! A circuit that opened elsewhere makes this one look for itself: one probe decides, and the others
//! wait for it. Who probes first is settled among the gateways by whoever hands the advice in. A
//! circuit that has lately seen the target work, and not fail since, knows better and stays closed.

use super::{Breaker, Inner, OPEN_BASE_MAX};
use crate::time::Moment;

/// What another gateway says of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Its circuit opened. `probe_at`: when this gateway may find out for itself; far moments count
    /// as five seconds from now.
    Opened {
        /// See [`Advice::Opened`].
        probe_at: Moment,
    },
    /// Its probe succeeded.
    Closed,
}

impl Breaker {
    /// Takes advice in. Whether it changed anything.
    pub fn advise(&mut self, advice: Advice, now: Moment) -> bool {
        match (advice, self.inner) {
            (Advice::Opened { probe_at }, Inner::Closed { in_a_row }) => {
                let knows_better = in_a_row == 0 && self.window.counts(now).0 > 0;
                if knows_better || !self.policy.enabled {
                    return false;
                }
                self.generation = self.generation.wrapping_add(1);
                let until = probe_at.max(now).min(now + OPEN_BASE_MAX);
                self.inner = Inner::Open { until, timeouts: 0 };
                self.advised = true;
                true
            }
            // What it found out by itself is worth more than what others found.
            (Advice::Closed, Inner::Open { until, timeouts }) if self.advised && until > now => {
                self.inner = Inner::Open { until: now, timeouts };
                true
            }
            (Advice::Opened { .. }, Inner::Open { .. } | Inner::HalfOpen { .. })
            | (
                Advice::Closed,
                Inner::Open { .. } | Inner::Closed { .. } | Inner::HalfOpen { .. },
            ) => false,
        }
    }

    /// Whether it is open by advice and has found out nothing for itself yet.
    pub fn is_advised(&self) -> bool {
        self.advised && !matches!(self.inner, Inner::Closed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;
    use crate::policy::BreakerPolicy;
    use crate::rules::breaker::{Change, Outcome, Peek, State};
    use core::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);
    const FAILED: Outcome = Outcome::Failure { timed_out: false, asked: None };
    const WELL: Outcome = Outcome::Success { took: Duration::from_millis(100) };

    fn start() -> Moment {
        Moment::from_millis(1_000_000)
    }

    fn after(outcomes: &[Outcome]) -> Breaker {
        let mut breaker = Breaker::new(&BreakerPolicy::default());
        for outcome in outcomes {
            let pass = breaker.acquire(0, start()).expect("closed");
            breaker.record(pass, *outcome, &mut Dice::new(1), start());
        }
        breaker
    }

    fn opened(at: Moment) -> Advice {
        Advice::Opened { probe_at: at }
    }

    #[test]
    fn whoever_has_seen_it_work_and_not_fail_since_knows_better() {
        for (seen, taken) in [
            (&[][..], true),
            (&[WELL], false),
            (&[FAILED], true),
            (&[WELL, FAILED], true),
            (&[FAILED, WELL], false),
            (&[WELL, Outcome::Neutral], false),
        ] {
            let mut breaker = after(seen);
            assert_eq!(breaker.advise(opened(start()), start()), taken, "{seen:?}");
            assert_eq!(breaker.state() == State::Open, taken);
        }
        let mut long_ago = after(&[WELL]);
        let later = start() + SECOND * 60;
        assert!(long_ago.advise(opened(later), later), "what was seen a minute ago says nothing");
    }

    #[test]
    fn advice_lets_one_probe_decide_and_both_ends_are_the_usual_ones() {
        for (outcome, state) in [(WELL, State::Closed), (FAILED, State::Open)] {
            let mut breaker = after(&[FAILED]);
            assert!(breaker.advise(opened(start()), start()));
            assert_eq!(breaker.peek(start()), Peek::Probe);
            let probe = breaker.acquire(0, start()).expect("one may go");
            assert!(probe.is_probe() && breaker.is_advised());
            assert!(breaker.acquire(0, start()).is_err(), "one, not two");
            let change = breaker.record(probe, outcome, &mut Dice::new(1), start());
            assert_eq!(breaker.state(), state);
            assert!(!breaker.is_advised(), "it knows for itself now");
            assert_eq!(change == Some(Change::Closed), state == State::Closed);
        }
    }

    #[test]
    fn a_late_result_from_before_the_advice_changes_nothing() {
        let mut breaker = after(&[FAILED]);
        let late = breaker.acquire(0, start()).expect("closed");
        assert!(breaker.advise(opened(start()), start()));
        assert_eq!(breaker.record(late, WELL, &mut Dice::new(1), start()), None);
        assert_eq!(breaker.state(), State::Open);
    }

    #[test]
    fn nobody_waits_longer_than_five_seconds_for_the_probe_of_another() {
        let mut breaker = after(&[]);
        assert!(breaker.advise(opened(Moment::FAR), start()));
        assert!(matches!(breaker.peek(start() + SECOND * 4), Peek::Open { .. }));
        assert_eq!(breaker.peek(start() + SECOND * 5), Peek::Probe);
    }

    #[test]
    fn good_news_ends_a_wait_that_advice_began_and_no_other() {
        let mut advised = after(&[]);
        assert!(advised.advise(opened(start() + SECOND), start()));
        assert!(advised.advise(Advice::Closed, start()));
        assert_eq!(advised.peek(start()), Peek::Probe);

        let mut own = after(&[FAILED; 5]);
        assert_eq!(own.state(), State::Open);
        assert!(!own.advise(Advice::Closed, start()), "it found out for itself");
        assert!(!own.advise(opened(start()), start()), "and needs no advice");
        assert!(!after(&[]).advise(Advice::Closed, start()));
    }

    #[test]
    fn a_breaker_that_is_switched_off_takes_no_advice() {
        let mut breaker =
            Breaker::new(&BreakerPolicy { enabled: false, ..BreakerPolicy::default() });
        assert!(!breaker.advise(opened(start()), start()));
        assert_eq!(breaker.peek(start()), Peek::Closed);
    }
}
