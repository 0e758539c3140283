//! How many calls are under way at once. What a provider allows is the pacer's to find; this finds
//! how many of our own are needed to use it: more are tried while all are busy, and kept only when
//! more gets done.

use std::time::Duration;

use mainstay_core::time::Moment;

const START: usize = 64;
/// Most calls at once unless more are asked for: each takes a connection, and many systems give a
/// process 1,024 open files.
const MAX: usize = 512;
/// Shortest time between two looks.
const PERIOD_MIN: Duration = Duration::from_secs(1);
/// How much more must get done for more calls to stay.
const GAIN: f64 = 1.05;
/// How long nothing is tried after a try that gained nothing.
const REST: Duration = Duration::from_secs(20);

/// A number of calls.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    size: usize,
    fixed: bool,
    /// The size before a try, and what got done with it.
    before: Option<(usize, f64)>,
    rest_until: Moment,
    period_began: Moment,
    answered: u64,
    took: Duration,
}

impl Window {
    /// `size`: as asked for; else it is found.
    pub(crate) fn new(size: Option<usize>, now: Moment) -> Window {
        Window {
            size: size.unwrap_or(START).max(1),
            fixed: size.is_some(),
            before: None,
            rest_until: now,
            period_began: now,
            answered: 0,
            took: Duration::ZERO,
        }
    }

    /// How many calls may be under way.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// A call has its answer.
    pub(crate) fn answered(&mut self, took: Duration) {
        self.answered += 1;
        self.took += took;
    }

    /// Looks whether more are worth it; `busy`: all are, and none waits for a limit.
    pub(crate) fn look(&mut self, busy: bool, now: Moment) {
        let mean = self.took.checked_div(u32::try_from(self.answered).unwrap_or(u32::MAX));
        let period = PERIOD_MIN.max(mean.unwrap_or_default() * 2);
        let passed = now.since(self.period_began);
        if self.fixed || passed < period || self.answered == 0 {
            return;
        }
        let rate = self.answered as f64 / passed.as_secs_f64();
        (self.period_began, self.answered, self.took) = (now, 0, Duration::ZERO);
        if let Some((size, earlier)) = self.before.take()
            && rate < earlier * GAIN
        {
            self.size = size;
            self.rest_until = now + REST;
            return;
        }
        if busy && now >= self.rest_until && self.size < MAX {
            self.before = Some((self.size, rate));
            self.size = (self.size * 2).min(MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a provider that answers `most` a second at most, each call taking 0.2 s at least.
    fn settled(most: u64, size: Option<usize>) -> usize {
        let mut window = Window::new(size, Moment::ZERO);
        for second in 1..=120u64 {
            let reach = window.size() as u64 * 5;
            let done = reach.min(most);
            let took = Duration::from_secs_f64(window.size() as f64 / done as f64);
            for _ in 0..done {
                window.answered(took);
            }
            window.look(true, Moment::from_millis(second * 1000));
        }
        window.size()
    }

    #[test]
    fn more_calls_are_made_only_as_long_as_more_gets_done() {
        assert_eq!(settled(u64::MAX, None), MAX);
        let found = settled(1_000, None);
        assert!((128..=512).contains(&found), "{found} for 200 that are needed");
        assert!(settled(10, None) <= 2 * START);
        assert_eq!(settled(u64::MAX, Some(7)), 7, "as asked for");
    }

    #[test]
    fn nothing_is_tried_while_calls_wait_for_a_limit() {
        let mut window = Window::new(None, Moment::ZERO);
        for second in 1..100u64 {
            window.answered(Duration::from_millis(100));
            window.look(false, Moment::from_millis(second * 1000));
        }
        assert_eq!(window.size(), START);
    }
}
