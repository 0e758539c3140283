//! What the laboratory saw, as plain data: the judge reads it, and its digest is the run's identity.

use mainstay_core::plan::{Cause, Role};
use mainstay_core::rules::breaker::State;
use mainstay_core::time::Moment;
use std::time::Duration;

/// One observation. Times are on our clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Note {
    /// A call came.
    Came {
        /// Which.
        call: u32,
        /// When it must be over.
        deadline: Moment,
    },
    /// A call waits.
    Waits {
        /// Which.
        call: u32,
        /// Until when at most.
        until: Moment,
    },
    /// An attempt was sent.
    Sent {
        /// Of which call.
        call: u32,
        /// To which target.
        target: usize,
        /// As the probe of a half-open circuit.
        probe: bool,
        /// Why it is made.
        role: Role,
        /// What was waited for before it.
        cause: Cause,
        /// The retry budget paid for it.
        paid: bool,
    },
    /// An answer begins to go to the caller.
    Delivers {
        /// Of which call.
        call: u32,
    },
    /// An attempt ended.
    Ended {
        /// Of which call.
        call: u32,
        /// At which target.
        target: usize,
        /// As a probe.
        probe: bool,
        /// How.
        how: How,
    },
    /// A circuit changed.
    Circuit {
        /// Whose.
        target: usize,
        /// What it is from here on.
        state: State,
        /// While open or half-open: until when.
        until: Moment,
    },
    /// A retry was paid for.
    Retry {
        /// At which target.
        target: usize,
        /// What it cost.
        cost: u32,
    },
    /// A call is over.
    Done {
        /// Which.
        call: u32,
        /// Whether it was answered.
        answered: bool,
    },
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Answered; whether this was the call's first attempt.
    Well {
        /// No other attempt of the call came before.
        first: bool,
        /// What its retry had cost, which it gets back.
        refund: u32,
    },
    /// Refused with a 429, and the wait it asked for.
    Refused(Option<Duration>),
    /// Failed, and the wait it asked for.
    Failed(Option<Duration>),
    /// No answer within its time.
    TimedOut,
    /// The request was at fault.
    Faulted,
    /// The prompt does not fit into the target's window.
    TooLong,
    /// The caller left.
    Left,
}

/// A running digest of everything seen, word by word; only for comparing runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Digest(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    pub(super) fn add(&mut self, now: Moment, note: &Note) {
        let mut words = [now.as_nanos(), 0, 0, 0];
        let how = |how: How| match how {
            How::Well { first, refund } => u64::from(first) << 32 | u64::from(refund) << 8,
            How::Refused(wait) => 1 | wait.map_or(0, |wait| u64::from(wait.subsec_nanos()) << 8),
            How::Failed(wait) => 2 | wait.map_or(0, |wait| u64::from(wait.subsec_nanos()) << 8),
            How::TimedOut => 3,
            How::Faulted => 4,
            How::Left => 5,
            How::TooLong => 6,
        };
        match *note {
            Note::Came { call, deadline } => {
                words[1..].copy_from_slice(&[1, call.into(), deadline.as_nanos()]);
            }
            Note::Waits { call, until } => {
                words[1..].copy_from_slice(&[2, call.into(), until.as_nanos()]);
            }
            Note::Sent { call, target, probe, role, cause, paid } => words[1..].copy_from_slice(&[
                3 | (role as u64) << 8 | (cause as u64) << 16,
                call.into(),
                (target as u64) << 2 | u64::from(probe) << 1 | u64::from(paid),
            ]),
            Note::Ended { call, target, probe, how: end } => words[1..].copy_from_slice(&[
                4 | (target as u64) << 8 | u64::from(probe) << 40,
                call.into(),
                how(end),
            ]),
            Note::Delivers { call } => words[1..].copy_from_slice(&[8, call.into(), 0]),
            Note::Circuit { target, state, until } => {
                let state = match state {
                    State::Closed => 0,
                    State::Open => 1,
                    State::HalfOpen => 2,
                };
                words[1..].copy_from_slice(&[5 | state << 8, target as u64, until.as_nanos()]);
            }
            Note::Retry { target, cost } => {
                words[1..].copy_from_slice(&[6, target as u64, cost.into()]);
            }
            Note::Done { call, answered } => {
                words[1..].copy_from_slice(&[7, call.into(), answered.into()]);
            }
        }
        for word in words {
            self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            self.0 ^= self.0 >> 29;
        }
    }

    pub(super) fn value(self) -> u64 {
        self.0
    }
}
