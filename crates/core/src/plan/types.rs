//! The plan's vocabulary: what it is told, what it answers, and what it keeps of each target and
//! live attempt.

use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

use crate::classify::Verdict;
use crate::failure::Kind;
use crate::hints::RateHints;
use crate::rules::breaker::Pass;
use crate::rules::pacer::{Grant, Pacer, Ticket};
use crate::shared::TargetState;
use crate::time::Moment;

/// The door to a target's shared state. Its owner locks; the plan never holds two at once.
pub trait Handle: fmt::Debug {
    /// Runs `rule` on the target's circuit breaker, retry budget and latencies.
    fn target<R>(&self, rule: impl FnOnce(&mut TargetState) -> R) -> R;

    /// Runs `rule` on the pacer that the target's credential and model share.
    fn pacer<R>(&self, rule: impl FnOnce(&mut Pacer) -> R) -> R;
}

/// The facts of a call that a rule may know. Never its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, in any combination")]
pub struct Facts {
    /// Whether the answer is a stream of events.
    pub stream: bool,
    /// Whether the body can be sent a second time.
    pub replayable: bool,
    /// Whether asking twice does no harm ([`is_repeatable`](crate::wire::repeat::is_repeatable)). Where it
    /// is not so (a run of an assistant, a batch), nothing is sent beside an attempt, and none follows
    /// one that may have been heard.
    pub repeatable: bool,
    /// Whether a broken answer can be told a second time: its events are of a family that can be
    /// compared, and asking again changes nothing that is stored.
    pub recoverable: bool,
    /// Tokens the call may use; 0 when unknown.
    pub tokens: u64,
    /// Bytes of the body held while it waits.
    pub bytes: u64,
    /// The answer must be whole by then.
    pub deadline: Moment,
    /// The caller must have something by then, or he leaves by himself; [`Moment::FAR`] when he has
    /// not said so.
    pub answer_by: Moment,
    /// The caller's own bound on silence, less what a word of ours needs to reach him.
    pub silence_max: Option<Duration>,
}

/// A target that may answer a call.
#[derive(Clone, Debug)]
pub struct Candidate<H> {
    /// Its shared state.
    pub handle: H,
    /// Its context window in tokens; `None` (unknown) counts as large enough.
    pub window: Option<u64>,
    /// Whether it goes on from a partial assistant message.
    pub prefill: bool,
}

/// What to do next.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Send an attempt.
    Start(Start),
    /// Drop an attempt: it is no longer wanted.
    Cancel {
        /// Which.
        slot: usize,
    },
    /// This attempt's answer is the caller's: what is held of it goes out, and what follows.
    Deliver {
        /// Which.
        slot: usize,
    },
    /// Nothing to do before `until` or before something happens.
    Wait {
        /// When to ask again at the latest; [`Moment::FAR`] for never.
        until: Moment,
        /// What is waited for.
        on: On,
    },
    /// The call is over.
    Done(Ending),
}

/// An attempt to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The slot it lives in, 0 or 1.
    pub slot: usize,
    /// The candidate's index.
    pub track: usize,
    /// Why it is made.
    pub role: Role,
    /// How long was waited before it.
    pub waited: Duration,
    /// What for, the longest of several.
    pub cause: Cause,
}

/// Why an attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The call's first attempt.
    First,
    /// A further one, after a failure.
    Retry,
    /// Sent again after a rate limit was waited out.
    Resend,
    /// A circuit breaker's probe.
    Probe,
    /// A second one beside an attempt that stays silent.
    Beside,
    /// The same call told a second time, to complete an answer that broke.
    Replay,
    /// The call with what was delivered of its answer, to be gone on with.
    Continue,
}

/// What was waited for before an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    /// Nothing.
    #[default]
    None,
    /// A rate limit, in the pacer's queue.
    Limit,
    /// Backoff after a failure.
    Backoff,
    /// A delay that the provider asked for.
    Hint,
    /// An open circuit.
    Circuit,
    /// Room in the retry budget's share of calls in flight.
    Budget,
}

impl Cause {
    /// The stable name, as attempt records carry it.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::None => "",
            Cause::Limit => "limit",
            Cause::Backoff => "backoff",
            Cause::Hint => "hint",
            Cause::Circuit => "circuit",
            Cause::Budget => "budget",
        }
    }
}

/// What a wait is for, so that the walk can be woken when it may be over early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Live attempts.
    Attempts,
    /// Only time.
    Time,
    /// A place in a pacer's queue.
    Pacer {
        /// The candidate's index.
        track: usize,
        /// The place.
        ticket: Ticket,
    },
    /// A circuit breaker.
    Circuit {
        /// The candidate's index.
        track: usize,
        /// Attempts behind this call: the fewest are woken first.
        attempts: u32,
    },
}

/// What the walk saw.
#[derive(Debug)]
pub enum Seen<'a> {
    /// A sound head arrived (2xx).
    Head {
        /// Which attempt.
        slot: usize,
        /// What its headers tell of limits.
        hints: &'a RateHints,
    },
    /// The request begins to leave: from here on the target may have heard it.
    Sending {
        /// Which attempt.
        slot: usize,
    },
    /// A head that announces an error; its body follows.
    ErrorHead {
        /// Which attempt.
        slot: usize,
    },
    /// The stream's terminal event arrived; only its framing may still end.
    Terminal {
        /// Which attempt.
        slot: usize,
    },
    /// The caller took nothing of what there was for so long. A timer of silence that ran meanwhile
    /// goes on where it stood.
    CallerAway {
        /// How long.
        time: Duration,
    },
    /// Content arrived: for a stream, an event that carries some; else bytes of the body.
    Content {
        /// Which attempt.
        slot: usize,
    },
    /// The answer can only be passed on as it comes (binary, or larger than is held).
    PassThrough {
        /// Which attempt.
        slot: usize,
    },
    /// The answer is whole and sound.
    Finished {
        /// Which attempt.
        slot: usize,
        /// Tokens used, when the answer says so.
        tokens: Option<u64>,
    },
    /// The attempt failed.
    Failed {
        /// Which attempt.
        slot: usize,
        /// What it means.
        verdict: Verdict,
        /// What its headers tell of limits.
        hints: &'a RateHints,
    },
}

/// How a call ended.
#[derive(Debug, PartialEq)]
pub enum Ending {
    /// The answer is whole.
    Answered,
    /// The answer broke off after its first byte was delivered.
    Broken {
        /// What happened.
        kind: Kind,
    },
    /// There is no answer.
    Failed(Box<Final>),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Final {
    /// Why nothing further is tried.
    pub why: Why,
    /// When it is worth trying again, when that is known.
    pub retry_after: Option<Duration>,
    /// The last failure, and the candidate it happened on.
    pub last: Option<(usize, Verdict)>,
    /// Attempts sent.
    pub attempts: u32,
}

/// Why nothing further is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The failure is final as the call stands.
    NotRetryable,
    /// As many attempts as allowed were made.
    AttemptsUsed {
        /// The limit.
        max: u32,
    },
    /// The body was passed through once and cannot be sent again.
    NotReplayable,
    /// What was asked for may have been done, and must not be done twice.
    NotRepeatable,
    /// The retry budget of the target is empty.
    BudgetEmpty,
    /// The next wait would be longer than allowed.
    WaitTooLong {
        /// How long it would be.
        wait: Duration,
        /// The longest allowed, by `wait_max` or what is left of the deadline.
        max: Duration,
    },
    /// Too many calls wait already.
    QueueFull,
    /// Every target left has an open circuit, longer than patience lasts.
    CircuitOpen {
        /// When the first of them may be probed, from the moment of refusal.
        opens_in: Duration,
    },
    /// The deadline came.
    Deadline,
    /// There is no target to try.
    NoTarget,
    /// An invariant of ours was broken.
    Fault,
}

/// What is done about a refusal by a rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Throttle {
    /// There was none since the last attempt.
    None,
    /// It is waited out at the head of the queue.
    WaitedOut,
    /// The target was left for another one: to come back is a retry.
    Left,
}

/// What a plan keeps of one candidate.
#[derive(Debug)]
pub(super) struct Track<H> {
    pub(super) candidate: Candidate<H>,
    /// Counted attempts on it.
    pub(super) tries: u32,
    /// Failures that call for backoff.
    pub(super) failures: u32,
    /// Not before then, and why.
    pub(super) not_before: Moment,
    pub(super) rest_cause: Cause,
    /// Will not answer this call.
    pub(super) gone: bool,
    /// What was done about its last refusal by a rate limit.
    pub(super) throttle: Throttle,
    /// Refusals by a rate limit, and when the first of them came.
    pub(super) refusals: u32,
    pub(super) refused_since: Option<Moment>,
    /// Stayed silent until a timer ended it.
    pub(super) silent: bool,
    /// Was asked to go on with a partial answer, and did not.
    pub(super) refuses_prefill: bool,
}

impl<H> Track<H> {
    pub(super) fn new(candidate: Candidate<H>) -> Track<H> {
        Track {
            candidate,
            tries: 0,
            failures: 0,
            not_before: Moment::ZERO,
            rest_cause: Cause::None,
            gone: false,
            throttle: Throttle::None,
            refusals: 0,
            refused_since: None,
            silent: false,
            refuses_prefill: false,
        }
    }

    /// Counts a refusal by a rate limit; the time since the first one.
    pub(super) fn note_refusal(&mut self, now: Moment) -> Duration {
        self.refusals = self.refusals.saturating_add(1);
        now.since(*self.refused_since.get_or_insert(now))
    }
}

/// A live attempt.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) track: usize,
    pub(super) role: Role,
    pub(super) grant: Option<Grant>,
    pub(super) pass: Option<Pass>,
    /// What was withdrawn from the retry budget for it.
    pub(super) withdrawn: Option<u32>,
    pub(super) started: Moment,
    /// The target may have heard of it.
    pub(super) reached: bool,
    pub(super) phase: Phase,
    /// When its current timer runs out.
    pub(super) due: Moment,
}

/// How far a live attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No sound head yet.
    Sent,
    /// A head, no content.
    Head,
    /// Content has come.
    Content,
    /// The terminal event has come.
    Terminal,
}
