//! What gateways tell each other of the same target: advice, never an order.
//!
//! ```text
//!   Closed    two failures in a row ──▶ Failing ──▶ others count them with their own row
//!             the target works again ──▶ Works ──▶ not any more
//!   Open      ──▶ Opened ──▶ who has seen it fail last: opens too
//!                            who has seen it work last: remembers it for its next failure
//!                            who has seen nothing: lets one call find out
//!   HalfOpen  ──▶ Probes ──▶ Reopened ──▶ the others put their probes off
//!                       └──▶ Closed ──▶ the others find out at once
//! ```
//!
//! Whoever sees the target work, and not fail since, stays closed whatever others say; nobody closes
//! without a success of its own. What is told is bounded: once for a row of failures, and such a row
//! once in [`TELL_EVERY`]; once for an opening and a closing; twice for a probe.

use super::others::ROW_MIN;
use super::{Breaker, Inner, OPEN_MIN};
use crate::dice::Dice;
use crate::time::Moment;
use core::time::Duration;

/// Between two rows of failures that are told of, at least.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How long who has only heard of an open circuit leaves the first probe to another gateway that
/// has only heard of it as well.
const FIRST_PROBE: Duration = Duration::from_secs(1);

/// What a gateway says of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// So many attempts in a row failed, and its circuit is closed yet.
    Failing {
        /// How many, two at least.
        in_a_row: u32,
    },
    /// It told of so many, and the target has worked since.
    Works {
        /// How many it told of.
        in_a_row: u32,
    },
    /// Its circuit opened by what it saw itself.
    Opened {
        /// The time in which ten first attempts come to it; `None`: nothing is known of it.
        ten: Option<Duration>,
    },
    /// A probe of its is on its way.
    Probes,
    /// That probe failed.
    Reopened {
        /// When its next one comes.
        open: Duration,
    },
    /// That probe succeeded.
    Closed,
}

/// Advice, and who gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// What is said.
    pub advice: Advice,
    /// The gateway that says it, as a number that no other one has.
    pub from: u64,
    /// How many gateways there are, ours counted.
    pub among: u32,
}

/// What advice changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that anybody who waits would notice.
    Nothing,
    /// The circuit opened, or is ready for a probe earlier than it was.
    Moved,
    /// The circuit opened though nothing is known here but the word of another. One of the gateways
    /// in that case should probe first: see [`Breaker::probe_first`].
    ByWord,
}

/// What is to be told to others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct News {
    waits: Option<Advice>,
    /// It came since somebody asked whether there is any.
    fresh: bool,
    /// Failures that were told of in this row.
    row: u32,
    told_at: Option<Moment>,
}

impl Breaker {
    /// Takes in what another gateway says.
    pub fn advise(&mut self, word: Word, dice: &mut Dice, now: Moment) -> Effect {
        if !self.policy.enabled {
            return Effect::Nothing;
        }
        if let Advice::Opened { ten } = word.advice {
            self.others.opened(ten, now);
        }
        match self.inner {
            Inner::Closed { in_a_row } => self.advise_closed(word, in_a_row, dice, now),

            Inner::Open { until, timeouts } => {
                let Some(at) = self.next_probe(word, dice, now) else { return Effect::Nothing };
                self.inner = Inner::Open { until: at, timeouts };
                if at < until { Effect::Moved } else { Effect::Nothing }
            }

            Inner::HalfOpen { lease_end, timeouts } => {
                if word.advice != Advice::Closed {
                    return Effect::Nothing;
                }
                // A probe from before the target was well may be silent for long.
                let at = self.turn.after_success(now);
                self.inner = Inner::HalfOpen { lease_end: at.min(lease_end), timeouts };
                if at < lease_end { Effect::Moved } else { Effect::Nothing }
            }
        }
    }

    fn advise_closed(&mut self, word: Word, in_a_row: u32, dice: &mut Dice, now: Moment) -> Effect {
        match word.advice {
            Advice::Failing { in_a_row } => {
                // No row of others opens it alone.
                let failures = in_a_row.min(self.policy.failures.saturating_sub(1));
                self.others.row(failures, word.among, now);
                Effect::Nothing
            }
            Advice::Works { in_a_row } => {
                let failures = in_a_row.min(self.policy.failures.saturating_sub(1));
                self.others.row_ended(failures);
                Effect::Nothing
            }
            Advice::Closed => {
                self.others = super::Others::default();
                Effect::Nothing
            }
            Advice::Opened { .. } if in_a_row > 0 => {
                self.open_first(None, dice, now);
                Effect::Moved
            }
            Advice::Opened { .. } if self.window.counts(now).0 == 0 => {
                self.generation = self.generation.wrapping_add(1);
                self.ten = self.starts.time_of_ten(now);
                self.inner = Inner::Open { until: now + FIRST_PROBE, timeouts: 0 };
                self.advised = true;
                Effect::ByWord
            }
            Advice::Opened { .. } | Advice::Probes | Advice::Reopened { .. } => Effect::Nothing,
        }
    }

    /// When an open circuit is ready for a probe, by what another gateway says.
    fn next_probe(&mut self, word: Word, dice: &mut Dice, now: Moment) -> Option<Moment> {
        match word.advice {
            Advice::Closed => Some(self.turn.after_success(now)),
            // Who knows nothing but what he heard finds out, whoever else does.
            Advice::Probes | Advice::Reopened { .. } if self.advised => None,
            Advice::Probes => Some(self.turn.wait_for_probe(now)),
            Advice::Reopened { open } => Some(self.turn.after_probe(word.from, open, dice, now)),
            Advice::Failing { .. } | Advice::Works { .. } | Advice::Opened { .. } => None,
        }
    }

    /// Of the gateways that only heard of an open circuit this one probes first. Whether that
    /// changed anything.
    pub fn probe_first(&mut self, now: Moment) -> bool {
        let Inner::Open { until, timeouts } = self.inner else { return false };
        if !self.advised || until <= now {
            return false;
        }
        self.inner = Inner::Open { until: now, timeouts };
        true
    }

    /// What is to be told to other gateways, once. Only what came last: it says all that matters.
    pub fn tell(&mut self) -> Option<Advice> {
        self.news.waits.take()
    }

    /// Whether something is to be told since this was asked last.
    pub fn has_news(&mut self) -> bool {
        core::mem::take(&mut self.news.fresh)
    }

    /// Whether it is open by advice and has found out nothing for itself yet.
    pub fn is_advised(&self) -> bool {
        self.advised && !matches!(self.inner, Inner::Closed { .. })
    }

    fn say(&mut self, advice: Advice) {
        (self.news.waits, self.news.fresh) = (Some(advice), true);
    }

    /// A success while closed: whatever was told of failures is over.
    pub(super) fn works(&mut self) {
        if self.others.have_told() {
            self.others = super::Others::default();
        }
        let in_a_row = core::mem::take(&mut self.news.row);
        if in_a_row > 0 {
            self.say(Advice::Works { in_a_row });
        }
    }

    /// A failure that did not open it.
    pub(super) fn fails_in_a_row(&mut self, now: Moment) {
        let Inner::Closed { in_a_row } = self.inner else { return };
        let lately = self.news.told_at.is_some_and(|at| now < at + TELL_EVERY);
        if in_a_row < ROW_MIN || self.news.row > 0 || lately {
            return;
        }
        (self.news.row, self.news.told_at) = (in_a_row, Some(now));
        self.say(Advice::Failing { in_a_row });
    }

    pub(super) fn opens(&mut self) {
        self.news.row = 0;
        self.say(Advice::Opened { ten: Some(self.ten) });
    }

    pub(super) fn probes(&mut self, now: Moment) {
        self.turn.probes(now);
        if !self.advised {
            self.say(Advice::Probes);
        }
    }

    pub(super) fn reopens(&mut self, by_word: bool, open: Duration) {
        self.say(if by_word {
            Advice::Opened { ten: Some(self.ten) }
        } else {
            Advice::Reopened { open }
        });
    }

    /// A probe ended and says nothing: somebody else may have one sooner.
    pub(super) fn gives_back(&mut self) {
        if !self.advised {
            self.say(Advice::Reopened { open: OPEN_MIN });
        }
    }

    pub(super) fn closes(&mut self) {
        self.others = super::Others::default();
        self.say(Advice::Closed);
    }
}

#[cfg(test)]
mod tests;
