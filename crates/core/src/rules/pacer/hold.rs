//! Hold: the provider asked for a wait, so nothing goes before it is over.
//!
//! A wait beyond [`LONG`] is a daily limit or nonsense. Calls are refused at once with the whole
//! time; but one is let through from time to time to see whether it is still true, so that a
//! strange header never blocks a target for a day.

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
        if end <= self.end {
            return;
        }
        self.set = now;
        self.end = end;
        if wait <= LONG {
            self.look = end;
            self.every = Duration::ZERO;
        } else {
            self.every = (self.every * 2).clamp(LOOK_FIRST, LOOK_MAX);
            self.look = now + self.every;
        }
    }

    /// An attempt goes; the next look is an interval away.
    pub(super) fn went(&mut self, now: Moment) {
        if now < self.end {
            self.look = now + self.every;
        }
    }

    /// An attempt sent at `sent` succeeded: a hold set before that is not true.
    pub(super) fn succeeded(&mut self, sent: Moment) {
        if sent >= self.set {
            *self = Hold::default();
        }
    }
}
