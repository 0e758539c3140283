//! Circuit breaker: leave a failing target alone, and find out cheaply when it is well again.
//!
//! ```text
//!   Closed ── failures in a row, or their share ──▶ Open ── its time is over, somebody asks ──▶ HalfOpen
//!     ▲                                              ▲                                             │
//!     │                                              └── the probe failed, or gave its slot back ──┤
//!     └──────────────────────────── the probe succeeded ───────────────────────────────────────────┘
//! ```
//!
//! * One probe at a time. It has a lease: one whose caller vanished stops counting when the lease
//!   is over, and another may go.
//! * Every opening and every probe starts a new generation; a result of an older one changes
//!   nothing, because what an old attempt has to tell says nothing about the target today.
//! * The probe goes to the waiting call with the fewest attempts behind it. Nobody waits for a
//!   better candidate longer than [`GRACE`].
//! * The circuit stays open for the time in which ten first attempts recently started, so that
//!   probes are at most a tenth of the traffic and a busy target is found well within a second.
//!   Only probes that time out double it: waiting long is right for a target that swallows calls,
//!   and wrong for one that refuses at once.
//! * Several gateways count their failures together and take turns at probing, by what they tell each
//!   other ([`Advice`]).
//! * A failure that opens it and names a time keeps it open until then, at most for the longest open
//!   time: nobody probes earlier than the target itself asked for.
//!
//! Not this file's business: what counts as a failure (`classify`), who is asked next (the plan),
//! how traffic comes back after closing (the pacer's start ramp).

mod advice;
mod others;
mod turn;
mod waiting;
mod window;

#[cfg(test)]
mod tests;

use crate::dice::Dice;
use crate::policy::{BreakerPolicy, OpenFor};
use crate::time::Moment;
use advice::News;
pub use advice::{Advice, Effect, Word};
use core::time::Duration;
use others::Others;
use turn::Turn;
use waiting::Waiting;
use window::{Starts, Window};

/// How long the best waiting call may keep others from probing after the circuit became ready.
pub const GRACE: Duration = Duration::from_millis(50);
/// Shortest and longest adaptive open time before any doubling.
pub const OPEN_MIN: Duration = Duration::from_millis(500);
/// See [`OPEN_MIN`].
pub const OPEN_BASE_MAX: Duration = Duration::from_secs(5);
/// Shortest and longest lease of a probe; between them it is [`LEASE_TIMES`] the time that recent
/// successes took.
pub const LEASE_MIN: Duration = Duration::from_secs(10);
/// See [`LEASE_MIN`].
pub const LEASE_MAX: Duration = Duration::from_secs(120);
/// See [`LEASE_MIN`].
pub const LEASE_TIMES: u32 = 4;

/// Waiting calls that look at the circuit after each probe, the next of which is one of them.
pub const WOKEN: u32 = 16;
/// With more than these, how much later each looks by itself: a thousand looks a second in all.
const LOOK_EACH: Duration = Duration::from_millis(1);
/// The earliest that is, while a probe is out.
const LOOK_LEAST: Duration = Duration::from_secs(1);

/// What a call would be told if it wanted to attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peek {
    /// Attempts pass.
    Closed,
    /// The open time is over: one probe may go.
    Probe,
    /// No attempt passes; look again at `until`.
    Open {
        /// End of the open time, or of the lease of the probe that is out.
        until: Moment,
    },
}

/// The three states, for metrics and people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Attempts pass.
    Closed,
    /// None passes.
    Open,
    /// One probe is out.
    HalfOpen,
}

impl State {
    /// Every state.
    pub const ALL: [State; 3] = [State::Closed, State::Open, State::HalfOpen];

    /// The stable name, as metrics and records carry it.
    pub const fn name(self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::Open => "open",
            State::HalfOpen => "half_open",
        }
    }
}

/// Leave to make one attempt; spent by [`Breaker::record`]. Counts only in its own generation.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an attempt that was admitted must be recorded"]
pub struct Pass {
    generation: u32,
    probe: bool,
}

impl Pass {
    /// Whether this attempt is the probe of a half-open circuit.
    pub fn is_probe(&self) -> bool {
        self.probe
    }
}

/// How an admitted attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It worked; `took` is the time to the first content.
    Success {
        /// Time to the first content.
        took: Duration,
    },
    /// It failed by the target's fault.
    Failure {
        /// No answer came within a time limit.
        timed_out: bool,
        /// The wait that the target asked for.
        asked: Option<Duration>,
    },
    /// It tells nothing about the target: client fault, 429, cancelled, never sent.
    Neutral,
}

/// A change of state that [`Breaker::record`] made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It opened for this long.
    Opened {
        /// How long no attempt passes.
        open: Duration,
    },
    /// A probe succeeded and it closed.
    Closed,
    /// A probe failed and it opened again for this long.
    Reopened {
        /// How long no attempt passes.
        open: Duration,
    },
}

/// What the state owns. `timeouts` counts probes in a row that timed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inner {
    Closed { in_a_row: u32 },
    Open { until: Moment, timeouts: u32 },
    HalfOpen { lease_end: Moment, timeouts: u32 },
}

/// The health of one target.
#[derive(Clone, Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    inner: Inner,
    generation: u32,
    /// It opened because another gateway's did.
    advised: bool,
    /// What others told, what they are to be told, and whose turn it is to probe.
    others: Others,
    news: News,
    turn: Turn,
    window: Window,
    starts: Starts,
    waiting: Waiting,
    took: Duration,
    /// The time of ten first attempts when the circuit last opened: while it is open, none start.
    /// Beyond all bounds for a target that was not called.
    ten: Duration,
}

impl Breaker {
    /// A closed breaker that knows nothing.
    pub fn new(policy: &BreakerPolicy) -> Breaker {
        Breaker {
            inner: Inner::Closed { in_a_row: 0 },
            generation: 0,
            advised: false,
            others: Others::default(),
            news: News::default(),
            turn: Turn::default(),
            window: Window::new(policy.window),
            starts: Starts::default(),
            waiting: Waiting::default(),
            took: Duration::ZERO,
            ten: OPEN_MIN,
            policy: policy.clone(),
        }
    }

    /// What an attempt would be told at `now`. Changes nothing.
    pub fn peek(&mut self, now: Moment) -> Peek {
        match self.ready_since() {
            None => Peek::Closed,
            Some(ready) if now < ready => Peek::Open { until: ready },
            Some(_) => Peek::Probe,
        }
    }

    /// As [`Breaker::peek`], for a call with `attempts` behind it: while a better candidate for the
    /// probe waits, the circuit is open for this one until its grace is over.
    pub fn peek_for(&mut self, attempts: u32, now: Moment) -> Peek {
        match self.ready_since() {
            None => Peek::Closed,
            Some(ready) => match self.may_probe(ready, attempts, now) {
                Ok(()) => Peek::Probe,
                Err(until) => Peek::Open { until },
            },
        }
    }

    /// Asks to send an attempt at this instant, for a call with `attempts_so_far` attempts behind
    /// it.
    ///
    /// # Errors
    ///
    /// The moment when it is worth asking again.
    pub fn acquire(&mut self, attempts_so_far: u32, now: Moment) -> Result<Pass, Moment> {
        let timeouts = match self.inner {
            Inner::Closed { .. } => {
                if attempts_so_far == 0 {
                    self.starts.note(now);
                }
                return Ok(Pass { generation: self.generation, probe: false });
            }
            Inner::Open { until, timeouts } => {
                self.may_probe(until, attempts_so_far, now)?;
                timeouts
            }
            Inner::HalfOpen { lease_end, timeouts } => {
                self.may_probe(lease_end, attempts_so_far, now)?;
                timeouts
            }
        };
        self.generation = self.generation.wrapping_add(1);
        self.inner = Inner::HalfOpen { lease_end: now + self.lease(), timeouts };
        self.probes(now);
        Ok(Pass { generation: self.generation, probe: true })
    }

    /// Learns how an admitted attempt went.
    pub fn record(
        &mut self,
        pass: Pass,
        outcome: Outcome,
        dice: &mut Dice,
        now: Moment,
    ) -> Option<Change> {
        if pass.generation != self.generation || !self.policy.enabled {
            return None;
        }
        if let Outcome::Success { took } = outcome {
            // Rises at once and fades by an eighth: a lease must suit the slow ones.
            self.took = took.max(self.took.saturating_sub(self.took / 8));
        }
        match (self.inner, outcome) {
            (Inner::Closed { .. }, Outcome::Success { .. }) => {
                self.window.note(true, now);
                self.inner = Inner::Closed { in_a_row: 0 };
                self.works();
                None
            }
            (Inner::Closed { in_a_row }, Outcome::Failure { asked, .. }) => {
                self.window.note(false, now);
                self.inner = Inner::Closed { in_a_row: in_a_row.saturating_add(1) };
                if !self.trips(now) {
                    self.fails_in_a_row(now);
                    return None;
                }
                Some(Change::Opened { open: self.open_first(asked, dice, now) })
            }
            (Inner::HalfOpen { .. }, Outcome::Success { .. }) => {
                self.generation = self.generation.wrapping_add(1);
                self.advised = false;
                self.window.clear();
                self.window.note(true, now);
                self.inner = Inner::Closed { in_a_row: 0 };
                self.closes();
                Some(Change::Closed)
            }
            (Inner::HalfOpen { timeouts, .. }, Outcome::Failure { timed_out, asked }) => {
                let timeouts = if timed_out { timeouts.saturating_add(1) } else { 0 };
                let by_word = self.advised;
                let open = self.open(timeouts, asked, dice, now);
                self.reopens(by_word, open);
                Some(Change::Reopened { open })
            }
            (Inner::HalfOpen { timeouts, .. }, Outcome::Neutral) => {
                self.inner = Inner::Open { until: now, timeouts };
                self.gives_back();
                None
            }
            // Open has no pass of its generation; a neutral end of an ordinary attempt says nothing.
            (Inner::Open { .. }, _) | (Inner::Closed { .. }, Outcome::Neutral) => None,
        }
    }

    /// The state, without looking at the time.
    pub fn state(&self) -> State {
        match self.inner {
            Inner::Closed { .. } => State::Closed,
            Inner::Open { .. } => State::Open,
            Inner::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// A call with `attempts` behind it waits for this circuit. Pair with [`Breaker::stop_waiting`].
    pub fn start_waiting(&mut self, attempts: u32) {
        self.waiting.join(attempts);
    }

    /// It does so no more, on whatever way out.
    pub fn stop_waiting(&mut self, attempts: u32) {
        self.waiting.leave(attempts);
    }

    /// Calls that wait for this circuit.
    pub fn waiting(&self) -> u32 {
        self.waiting.count()
    }

    /// When a call that begins to wait for this circuit, open until `ready`, looks at it without being
    /// woken. Where many wait, the few that are woken suffice for the next probe; should none of them
    /// want it any more, one of the others looks soon.
    pub fn look_at(&self, ready: Moment, now: Moment) -> Moment {
        let Some(more) = self.waiting.count().checked_sub(WOKEN) else { return ready };
        let turn = LOOK_EACH.saturating_mul(more);
        match self.inner {
            Inner::HalfOpen { .. } => now + turn.max(LOOK_LEAST),
            Inner::Open { .. } | Inner::Closed { .. } => ready + turn,
        }
    }

    /// When a probe may go; `None` while closed.
    fn ready_since(&self) -> Option<Moment> {
        match self.inner {
            Inner::Closed { .. } => None,
            Inner::Open { until, .. } => Some(until),
            Inner::HalfOpen { lease_end, .. } => Some(lease_end),
        }
    }

    /// Whether this call may be the probe of a circuit that is ready since `ready`.
    fn may_probe(&self, ready: Moment, attempts: u32, now: Moment) -> Result<(), Moment> {
        if now < ready {
            return Err(ready);
        }
        let grace_end = ready + GRACE;
        if now < grace_end && self.waiting.has_better_than(attempts) {
            return Err(grace_end);
        }
        Ok(())
    }

    /// Failures in the window: how many attempts, of whatever call, the target failed lately.
    pub fn failures_seen(&self, now: Moment) -> u32 {
        self.window.counts(now).1
    }

    /// Whether the target is in a brown-out, as a call sees it that met `own` of the failures: of what
    /// others have had from it lately a tenth and more failed, and most was answered.
    pub fn fails_others(&self, own: u32, now: Moment) -> bool {
        /// Outcomes of others at least, for a share of them to mean anything.
        const SEEN_MIN: u32 = 20;
        let (good, bad) = self.window.counts(now);
        let bad = bad.saturating_sub(own);
        let seen = good.saturating_add(bad);
        seen >= SEEN_MIN && bad >= seen / 10 && bad < good
    }

    fn trips(&self, now: Moment) -> bool {
        let in_a_row = match self.inner {
            Inner::Closed { in_a_row } => in_a_row,
            Inner::Open { .. } | Inner::HalfOpen { .. } => 0,
        };
        let (good, bad) = self.window.counts(now);
        let all = good + bad;
        let share = all >= self.policy.ratio_min.max(1)
            && f64::from(bad) >= self.policy.ratio * f64::from(all);
        let together = self.others.confirm(in_a_row, self.policy.failures, now);
        in_a_row >= self.policy.failures.max(1) || share || together
    }

    /// Opens a closed one by findings of its own, and says for how long.
    fn open_first(&mut self, asked: Option<Duration>, dice: &mut Dice, now: Moment) -> Duration {
        self.ten = self.starts.time_of_ten(now);
        self.opens();
        self.open(0, asked, dice, now)
    }

    /// Opens, and says for how long.
    fn open(
        &mut self,
        timeouts: u32,
        asked: Option<Duration>,
        dice: &mut Dice,
        now: Moment,
    ) -> Duration {
        let open = match self.policy.open {
            OpenFor::Fixed(open) => open,
            OpenFor::Adaptive => {
                let ten = self.others.ten_with(self.ten).clamp(OPEN_MIN, OPEN_BASE_MAX);
                let doubled = ten.saturating_mul(1 << timeouts.min(16));
                let nanos =
                    u64::try_from(doubled.min(self.policy.open_max).as_nanos()).unwrap_or(u64::MAX);
                // ±10 %, so that many gateways do not probe in step.
                let tenth = nanos / 10;
                Duration::from_nanos(nanos - tenth + dice.below(2 * tenth + 1))
            }
        };
        let asked = asked.unwrap_or_default().min(self.policy.open_max);
        let open = open.max(asked);
        self.generation = self.generation.wrapping_add(1);
        self.advised = false;
        self.turn.begin(now + open, dice);
        self.inner = Inner::Open { until: now + open, timeouts };
        open
    }

    fn lease(&self) -> Duration {
        self.took.saturating_mul(LEASE_TIMES).clamp(LEASE_MIN, LEASE_MAX)
    }
}
