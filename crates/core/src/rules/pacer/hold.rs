//! Hold: the provider asked for a wait, so nothing goes before it is over.
//!
//! A wait beyond [`LONG`] is a daily limit or nonsense. Calls are refused at once with the time; but
//! one is let through after 1, 2, 4 … 10 minutes to see whether it is still true, so that a strange
//! header never blocks a target for a day.

use crate::time::Moment;
use core::time::Duration;

const LONG: Duration = Duration::from_secs(2 * 60);
const LOOK_FIRST: Duration = Duration::from_secs(60);
const LOOK_MAX: Duration = Duration::from_secs(10 * 60);

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Hold {
    set: Moment,
    end: Moment,
    look: Moment,
    every: Duration,
    /// One went to look since the last refusal that counted: the next refusal is its answer, not
    /// that of others who were under way when the first came.
    looked: bool,
}

impl Hold {
    /// When the next attempt may go.
    pub(super) fn ready_at(&self) -> Moment {
        self.look.min(self.end)
    }

    /// When the provider said that it is over.
    pub(super) fn end(&self) -> Moment {
        self.end
    }

    pub(super) fn asked(&mut self, wait: Duration, now: Moment) {
        let end = now + wait;
        let later = end > self.end;
        if wait <= LONG && later {
            *self = Hold { set: now, end, look: end, ..Hold::default() };
        }
        if wait <= LONG {
            return;
        }
        if later {
            (self.set, self.end) = (now, end);
        }
        if self.looked || self.every.is_zero() {
            self.every = (self.every * 2).clamp(LOOK_FIRST, LOOK_MAX);
            self.look = now + self.every;
            self.looked = false;
        }
    }

    /// An attempt goes; the next look is an interval away.
    pub(super) fn went(&mut self, now: Moment) {
        if now < self.end {
            self.look = now + self.every;
            self.looked = true;
        }
    }

    /// An attempt sent at `sent` succeeded: a hold set before that is not true.
    pub(super) fn succeeded(&mut self, sent: Moment) {
        if sent >= self.set {
            *self = Hold::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(86_400);

    /// Minutes after which a look is let through, when each is refused with this wait.
    fn looks(wait: impl Fn(Moment) -> Duration) -> [u128; 7] {
        let (mut hold, mut now) = (Hold::default(), Moment::from_millis(5000));
        hold.asked(wait(now), now);
        core::array::from_fn(|_| {
            let before = now;
            now = hold.ready_at();
            hold.went(now);
            hold.asked(wait(now), now);
            now.since(before).as_millis() / 60_000
        })
    }

    #[test]
    fn a_wait_of_a_day_is_looked_at_after_one_two_four_and_every_ten_minutes() {
        assert_eq!(looks(|_| DAY), [1, 2, 4, 8, 10, 10, 10], "named anew each time");
        let end = Moment::from_millis(5000) + DAY;
        assert_eq!(looks(|now| end.since(now)), [1, 2, 4, 8, 10, 10, 10], "one end");
    }

    #[test]
    fn many_who_are_refused_at_once_put_the_first_look_off_no_further() {
        let (mut hold, now) = (Hold::default(), Moment::from_millis(5000));
        for n in 0..32 {
            hold.asked(DAY, now + Duration::from_millis(n));
        }
        assert_eq!(hold.ready_at(), now + MINUTE);
    }

    #[test]
    fn a_short_wait_is_kept_to_its_end_and_a_long_one_ends_with_a_success_sent_after_it() {
        let (mut hold, now) = (Hold::default(), Moment::from_millis(5000));
        hold.asked(MINUTE * 2, now);
        assert_eq!((hold.ready_at(), hold.end()), (now + MINUTE * 2, now + MINUTE * 2));
        hold.asked(MINUTE, now);
        assert_eq!(hold.ready_at(), now + MINUTE * 2, "a shorter one takes nothing back");
        hold.asked(DAY, now);
        assert_eq!((hold.ready_at(), hold.end()), (now + MINUTE, now + DAY));
        hold.succeeded(Moment::from_millis(4999));
        assert_eq!(hold.end(), now + DAY, "it was sent before");
        hold.succeeded(now + MINUTE);
        assert_eq!(hold.ready_at(), Moment::ZERO);
    }
}
