//! The plan of one call: a state machine that decides every step from the door to the last byte.
//!
//! ```text
//!            ┌────────────── failed, may be tried again ──────────────┐
//!            ▼                                                        │
//!   Choose ──▶ (Rest | Circuit) ──▶ Queue ──▶ Start ──▶ live attempt ─┤
//!     │         backoff, hint,      pacer                 │  ╲        │
//!     │         open circuit                              │   ╲ silent: one more beside it
//!     ▼                                                   ▼    ▼
//!   Failed                                  first content: Deliver ──▶ Answered | Broken
//! ```
//!
//! The plan reads no clock and does no IO: whoever walks it asks [`Plan::step`] what to do, does
//! it, and reports with [`Plan::saw`] what came of it. Shared state (circuit breaker, retry
//! budget, pacer of each target) is reached through a [`Handle`], under whatever lock its owner
//! uses. At most two attempts are live at once.

mod after;
mod choose;
mod effect;
mod live;
mod recover;
mod types;

#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::classify::Verdict;
use crate::dice::Dice;
use crate::policy::Policy;
use crate::rules::pacer::Ticket;
use crate::time::Moment;

pub use types::{Candidate, Cause, Ending, Facts, Final, Handle, On, Role, Seen, Start, Step, Why};

use types::{Live, Track};

/// Live attempts at once, at most.
pub const SLOTS: usize = 2;

/// The plan of one call. See the module for its states.
#[derive(Debug)]
pub struct Plan<H: Handle> {
    facts: Facts,
    policy: Arc<Policy>,
    tracks: Vec<Track<H>>,
    slots: [Option<Live>; SLOTS],
    seek: Seek,
    /// The slot whose answer is the caller's.
    committed: Option<usize>,
    /// It has not been handed over: until then a failure can still be mended unseen.
    deliver: Option<usize>,
    /// Attempts that count: no probes, no refusals that were waited out.
    counted: u32,
    /// Everything that was sent.
    sent: u32,
    /// Since when the call has been waiting for a circuit, with no other target left.
    circuit_since: Option<Moment>,
    /// The track that shall be tried next when it can be.
    prefer: Option<usize>,
    /// The track that shall be tried next only when no other can be.
    avoid: Option<usize>,
    /// When a second attempt beside the silent first one may be looked for; `None`: no more.
    beside_at: Option<Moment>,
    dice: Dice,
    last: Option<(usize, Verdict)>,
    /// Since when the wait before the next attempt has lasted, and for what.
    waiting: Option<(Moment, Cause)>,
    /// The answer broke after its first byte was delivered and is being told a second time.
    recovering: Option<crate::failure::Kind>,
    /// What was delivered of it can be gone on from.
    continuable: bool,
    /// Attempts that must be dropped before anything else happens.
    cancel: Vec<usize>,
}

/// What the plan is doing about the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seek {
    /// Choose a target.
    Choose,
    /// A chosen target rests until then.
    Rest { until: Moment },
    /// In a pacer's queue.
    Queue { track: usize, ticket: Ticket, until: Moment },
    /// Every target left has an open circuit; `looked`: it was looked at since the wait began.
    Circuit { track: usize, until: Moment, looked: bool },
    /// Nothing is sought: an attempt is live.
    Idle,
    /// The end was reached; `step` tells it once.
    Over(OverAs),
}

/// How a call ended, kept small; [`Plan::step`] makes an [`Ending`] of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OverAs {
    Answered,
    Broken {
        kind: crate::failure::Kind,
    },
    Failed {
        why: Why,
        retry_after: Option<Duration>,
    },
    /// The ending was told.
    Told,
}

impl<H: Handle> Plan<H> {
    /// A plan for a call over `candidates`, in the order they shall be tried. An empty list fails
    /// at the first step.
    pub fn new(
        facts: Facts,
        policy: Arc<Policy>,
        candidates: Vec<Candidate<H>>,
        dice: Dice,
    ) -> Plan<H> {
        Plan {
            facts,
            policy,
            tracks: candidates.into_iter().map(Track::new).collect(),
            slots: [None, None],
            seek: Seek::Choose,
            committed: None,
            deliver: None,
            counted: 0,
            sent: 0,
            circuit_since: None,
            prefer: None,
            avoid: None,
            beside_at: None,
            dice,
            last: None,
            waiting: None,
            recovering: None,
            continuable: false,
            cancel: Vec::new(),
        }
    }

    /// What to do at `now`. Called again after every [`Plan::saw`], when a wait is over, and when
    /// whoever is waited for may have moved.
    pub fn step(&mut self, now: Moment) -> Step {
        // Each round either returns or moves to another state; the bound only guards against a
        // fault of ours, which then fails the call instead of spinning.
        const ROUNDS_MAX: u32 = 256;
        for _ in 0..ROUNDS_MAX {
            if let Some(slot) = self.cancel.pop() {
                return Step::Cancel { slot };
            }
            self.expire(now);
            if let Some(slot) = self.cancel.pop() {
                return Step::Cancel { slot };
            }
            if let Some(slot) = self.deliver.take() {
                return Step::Deliver { slot };
            }
            if let Some(step) = self.advance(now) {
                return step;
            }
        }
        debug_assert!(false, "a plan must settle within {ROUNDS_MAX} rounds: {:?}", self.seek);
        self.seek = Seek::Over(OverAs::Told);
        Step::Done(Ending::Failed(Box::new(self.report(Why::Fault, None))))
    }

    /// One round: `None` when the state moved on and must be looked at again.
    fn advance(&mut self, now: Moment) -> Option<Step> {
        match self.seek {
            Seek::Choose => self.choose(now),
            Seek::Rest { until } if now < until => Some(self.wait(until, On::Time)),
            Seek::Rest { .. } => {
                self.seek = Seek::Choose;
                None
            }
            Seek::Queue { track, ticket, .. } => self.queued(track, ticket, now),
            Seek::Circuit { track, until, looked } => self.circuit(track, until, looked, now),
            Seek::Idle => match self.start_beside(now) {
                Some(start) => Some(start),
                None => Some(self.wait(Moment::FAR, On::Attempts)),
            },
            Seek::Over(end) => Some(self.tell(end)),
        }
    }

    /// Waits for `until` or the next timer, whichever is first.
    fn wait(&self, until: Moment, on: On) -> Step {
        Step::Wait { until: until.min(self.next_timer()), on }
    }

    fn tell(&mut self, end: OverAs) -> Step {
        self.seek = Seek::Over(OverAs::Told);
        Step::Done(match end {
            OverAs::Answered | OverAs::Told => Ending::Answered,
            OverAs::Broken { kind } => Ending::Broken { kind },
            OverAs::Failed { why, retry_after } => {
                Ending::Failed(Box::new(self.report(why, retry_after)))
            }
        })
    }

    fn report(&self, why: Why, retry_after: Option<Duration>) -> Final {
        Final {
            why,
            retry_after,
            last: self.last.as_ref().map(|(track, verdict)| (*track, verdict.clone())),
            attempts: self.sent,
        }
    }

    /// The call's end: its deadline, and as long as the caller has nothing, his patience.
    fn limit(&self) -> Moment {
        let begun = self.committed.is_some() || self.recovering.is_some();
        if begun { self.facts.deadline } else { self.facts.deadline.min(self.facts.answer_by) }
    }

    fn fail(&mut self, why: Why, retry_after: Option<Duration>) {
        // Once bytes have left there is no other ending than a broken answer.
        self.seek = Seek::Over(match self.recovering {
            Some(kind) => OverAs::Broken { kind },
            None => OverAs::Failed { why, retry_after },
        });
    }

    /// Whether a broken answer is being told a second time.
    pub fn is_recovering(&self) -> bool {
        self.recovering.is_some() && !matches!(self.seek, Seek::Over(_))
    }

    /// Whether the answer that is delivered is whole.
    pub fn is_whole(&self) -> bool {
        self.seek == Seek::Over(OverAs::Answered)
    }

    /// The shared state of a candidate, by its place in the order they were given in.
    ///
    /// # Panics
    ///
    /// There is no such candidate: a step or an ending names the places there are.
    pub fn handle(&self, track: usize) -> &H {
        &self.tracks[track].candidate.handle
    }

    /// How many candidates there are.
    pub fn candidates(&self) -> usize {
        self.tracks.len()
    }

    /// Attempts sent so far, probes and refusals that were waited out included.
    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// Leaves the queue or the circuit that is waited at, if any.
    fn leave(&mut self) {
        match self.seek {
            Seek::Queue { track, ticket, .. } => {
                self.tracks[track].candidate.handle.pacer(|pacer| pacer.leave(ticket));
            }
            Seek::Circuit { track, .. } => {
                let handle = &self.tracks[track].candidate.handle;
                handle.target(|t| t.breaker.stop_waiting(self.counted));
            }
            Seek::Choose | Seek::Rest { .. } | Seek::Idle | Seek::Over(_) => {}
        }
    }

    /// The caller is gone, or nobody will walk this plan any further: gives everything back.
    /// Called by `Drop`, so that no way out can forget it.
    pub fn abandon(&mut self, now: Moment) {
        self.leave();
        for slot in 0..SLOTS {
            if let Some(live) = self.slots[slot].take() {
                self.release(live, now);
            }
        }
        self.seek = Seek::Over(OverAs::Told);
    }
}
