//! Start ramp: a target that was never used, or just came back, is not hit by everybody at once.
//!
//! In flight ≤ 4 × 2^(t / 250 ms) + successes since the first attempt. Four first attempts learn
//! the limits for all others; a thousand parallel first calls are through in two seconds. Nodes that send to
//! one account begin with four together, or one each.

use crate::time::Moment;
use core::time::Duration;

const FIRST: f64 = 4.0;
const DOUBLING: Duration = Duration::from_millis(250);
/// Doublings after which the ramp holds nobody back.
const DOUBLINGS_MAX: f64 = 24.0;

/// How many may be in flight soon after the start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Ramp {
    start: Option<Moment>,
    successes: u32,
    /// In flight when it was started again: others who share the limit are not held back.
    before: u32,
    over: bool,
}

impl Ramp {
    pub(super) fn restart(&mut self, in_flight: u32, now: Moment) {
        *self = Ramp { start: Some(now), successes: 0, before: in_flight, over: false };
    }

    pub(super) fn success(&mut self) {
        self.successes = self.successes.saturating_add(1);
    }

    /// When one more may go beside `in_flight`; the first question starts the ramp.
    pub(super) fn ready_at(&mut self, in_flight: u32, nodes: u32, now: Moment) -> Moment {
        if self.over {
            return now;
        }
        let start = *self.start.get_or_insert(now);
        let wanted =
            f64::from((in_flight + 1).saturating_sub(self.before.saturating_add(self.successes)));
        let elapsed = now.seconds_since(start) / DOUBLING.as_secs_f64();
        if elapsed >= DOUBLINGS_MAX {
            self.over = true;
        }
        let first = (FIRST / f64::from(nodes)).max(1.0);
        if wanted <= first || self.over {
            return now;
        }
        start + DOUBLING.mul_f64(doublings_to(wanted / first))
    }
}

/// The inverse of 2^x, straight lines between whole powers: how many doublings make `factor` ≥ 1.
fn doublings_to(factor: f64) -> f64 {
    let mut whole = 0.0;
    let mut power = 1.0;
    while power * 2.0 <= factor && whole < DOUBLINGS_MAX {
        power *= 2.0;
        whole += 1.0;
    }
    (whole + (factor / power - 1.0).clamp(0.0, 1.0)).min(DOUBLINGS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_nodes_begin_with_one_each_and_two_with_two() {
        let at = |ms: u64| Moment::from_millis(10_000 + ms);
        for (nodes, first) in [(40, 1), (2, 2)] {
            let mut ramp = Ramp::default();
            assert_eq!(ramp.ready_at(first - 1, nodes, at(0)), at(0));
            assert!(ramp.ready_at(first, nodes, at(0)) > at(0), "{nodes} nodes");
            assert_eq!(ramp.ready_at(2 * first - 1, nodes, at(0)), at(250));
        }
    }

    #[test]
    fn four_go_at_once_eight_after_a_quarter_and_a_thousand_within_two_seconds() {
        let at = |ms: u64| Moment::from_millis(10_000 + ms);
        let mut ramp = Ramp::default();
        for in_flight in 0..4 {
            assert_eq!(ramp.ready_at(in_flight, 1, at(0)), at(0));
        }
        assert!(ramp.ready_at(4, 1, at(0)) > at(0));
        assert_eq!(ramp.ready_at(7, 1, at(0)), at(250));
        assert_eq!(ramp.ready_at(1023, 1, at(0)), at(2000));
        ramp.success();
        assert_eq!(ramp.ready_at(8, 1, at(0)), at(250), "a success makes room for one more");
        assert_eq!(ramp.ready_at(1_000_000, 1, at(6000)), at(6000), "over");
        ramp.restart(0, at(7000));
        assert!(ramp.ready_at(4, 1, at(7000)) > at(7000));
        ramp.restart(100, at(9000));
        assert_eq!(ramp.ready_at(100, 1, at(9000)), at(9000), "those of others go on");
        assert!(ramp.ready_at(104, 1, at(9000)) > at(9000));
    }
}
