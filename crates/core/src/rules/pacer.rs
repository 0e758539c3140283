//! Pacer: turn the whole of a provider's limit into finished work, with almost no refused attempt.
//!
//! It learns limits from headers, from the text of refusals and, where neither says anything, by
//! trying; keeps a bucket for each as the provider does; and lets waiting calls go one by one, the
//! first that came first, at the moment the provider has room. A wait that cannot end in time is
//! refused at once with the time it would take.
//!
//! ```text
//!   ask ──▶ Go ───────────────────────────────┐
//!    │                                        ▼
//!    ├────▶ Wait ── poll when due, or woken ─▶ Go ──▶ succeeded · refused · released · unsent
//!    └────▶ Refused: too late, queue full     └▶ TooLate
//! ```
//!
//! For each credential and model, or the group that shares a limit. What stands between a call and
//! its attempt: the queue, the start ramp, the ceiling of calls at once, a wait that the provider
//! asked for, the limits of requests and tokens, the caps of the configuration; of all limits only this
//! node's part where several nodes send to the account.
//!
//! Not this file's business: reading headers and texts (`hints`), what a refusal means for the call
//! (the plan), and attempts while the circuit is open (`breaker`).

mod ceiling;
mod guess;
mod hold;
mod learn;
mod limit;
mod part;
mod queue;
mod ramp;
mod report;
mod silence;
mod tokens;

#[cfg(test)]
mod tests;

pub use learn::{Refusal, RefusedBy};
pub use part::PART_LIFE;
pub use queue::{BYTES_MAX, CALLS_MAX};
pub use report::{LimitSnapshot, PacerSnapshot};

use crate::policy::Limits;
use crate::time::Moment;
use ceiling::Ceiling;
use core::time::Duration;
use hold::Hold;
use limit::{Limit, Mark};
use part::Part;
use queue::{Ahead, Queue};
use ramp::Ramp;
use tokens::Ratio;

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Estimated tokens, prompt and most of the answer.
    pub tokens: u64,
    /// Starting later than this is useless.
    pub latest: Moment,
    /// Bytes kept in memory while it waits.
    pub bytes: u64,
    /// It was refused upstream and waits that out: it goes before those that never went.
    pub front: bool,
}

/// Names a place in the queue until the call goes, is refused or leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    number: u64,
    front: bool,
}

/// Why a call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitCause {
    /// Others came first.
    Queue,
    /// The target is new or just came back.
    Start,
    /// The limit on requests.
    Requests,
    /// The limit on tokens.
    Tokens,
    /// The limit on calls at once.
    Concurrency,
    /// The provider asked for a wait.
    Hint,
}

/// Why a call was refused a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedCause {
    /// The wait could not end in time.
    TooLate,
    /// Too many calls, or too many bytes, wait.
    QueueFull,
}

/// The answer to [`Pacer::ask`].
#[derive(Debug)]
pub enum Place {
    /// Send now.
    Go(Grant),
    /// Wait; poll at `until` at the latest, or when woken.
    Wait {
        /// The place in the queue.
        ticket: Ticket,
        /// When to poll.
        until: Moment,
        /// What it waits for.
        why: WaitCause,
    },
    /// No place.
    Refused {
        /// How long it would take, as far as can be told.
        wait: Duration,
        /// Why.
        why: RefusedCause,
    },
}

/// The answer to [`Pacer::poll`].
#[derive(Debug)]
pub enum Polled {
    /// Send now; the ticket is spent.
    Go(Grant),
    /// Wait on.
    Wait {
        /// When to poll.
        until: Moment,
        /// What it waits for.
        why: WaitCause,
    },
    /// The wait cannot end in time; the ticket is spent.
    TooLate {
        /// How long it would take.
        wait: Duration,
    },
}

/// Leave to send one attempt. Must be ended by exactly one of [`Pacer::succeeded`],
/// [`Pacer::refused`], [`Pacer::released`], [`Pacer::unsent`].
#[derive(Debug)]
#[must_use = "a grant counts as in flight until it is ended"]
pub struct Grant {
    sent: Moment,
    asked: u64,
    tokens: f64,
    marks: [f64; LIMITS],
}

const REQUESTS: usize = 0;
const REQUESTS_DAY: usize = 1;
const TOKENS: usize = 2;
const TOKENS_DAY: usize = 3;
const PROJECT_TOKENS: usize = 4;
const CAP_REQUESTS: usize = 5;
const CAP_TOKENS: usize = 6;
const LIMITS: usize = 7;

const fn counts_tokens(index: usize) -> bool {
    matches!(index, TOKENS | TOKENS_DAY | PROJECT_TOKENS | CAP_TOKENS)
}

/// Tokens of a call nobody has seen yet.
const TOKENS_GUESS: f64 = 500.0;
/// Shortest time after which a call that is not the first in the queue looks at its chances again.
const RECHECK: Duration = Duration::from_millis(100);
/// As much longer for each call before it: a call is woken when its turn comes, and thousands that
/// look ten times a second would keep the machine from serving the first.
const RECHECK_EACH: Duration = Duration::from_millis(2);

/// The pacer of one credential and model, or of a group that shares a limit.
#[derive(Clone, Debug)]
pub struct Pacer {
    limits: [Limit; LIMITS],
    ramp: Ramp,
    ceiling: Ceiling,
    hold: Hold,
    queue: Queue,
    in_flight: u32,
    ratio: Ratio,
    part: Part,
    /// Mean seconds from grant to end.
    took: f64,
    /// What the head of the queue was last told: its ticket and when to poll.
    told: Option<(Ticket, Moment)>,
}

impl Pacer {
    /// A pacer that knows only the caps of the configuration.
    pub fn new(limits: &Limits, now: Moment) -> Pacer {
        let unknown = |index| Limit::unknown(if counts_tokens(index) { TOKENS_GUESS } else { 1.0 });
        let mut all: [Limit; LIMITS] = core::array::from_fn(unknown);
        all[CAP_REQUESTS] = Limit::cap(limits.rpm, 1.0, now);
        all[CAP_TOKENS] = Limit::cap(limits.tpm, TOKENS_GUESS, now);
        Pacer {
            limits: all,
            ramp: Ramp::default(),
            ceiling: Ceiling::new(limits.concurrency),
            hold: Hold::default(),
            queue: Queue::default(),
            in_flight: 0,
            ratio: Ratio::default(),
            part: Part::default(),
            took: 0.0,
            told: None,
        }
    }

    /// Asks to send an attempt: now, later or not at all.
    pub fn ask(&mut self, ask: Ask, now: Moment) -> Place {
        self.reckon(1, ask.tokens, now);
        if self.queue.is_empty() {
            let (at, why) = self.ready(ask.tokens, now);
            if at <= now && now <= ask.latest {
                return Place::Go(self.grant(ask, false, now));
            }
            return self.stand(ask, at, why, now);
        }
        let ahead = self.queue.before_new(ask.front);
        let at = self.estimate_at(ahead, ask.tokens, now);
        self.stand(ask, at, WaitCause::Queue, now)
    }

    /// Leave to send at once, whatever the limits: where there is to be no pacing.
    pub fn let_through(&mut self, ask: Ask, now: Moment) -> Grant {
        self.grant(ask, false, now)
    }

    /// Takes a place in the queue for a call that can go at about `at`.
    fn stand(&mut self, ask: Ask, at: Moment, why: WaitCause, now: Moment) -> Place {
        let told = self.wait_told(at, now);
        let sure = self.surely(at, self.queue.before_new(ask.front), ask.tokens, now);
        if sure > ask.latest && at != Moment::FAR || now > ask.latest {
            return Place::Refused { wait: told, why: RefusedCause::TooLate };
        }
        if !self.queue.takes(&ask, self.in_flight) {
            return Place::Refused { wait: told, why: RefusedCause::QueueFull };
        }
        let ticket = self.queue.join(ask);
        let head = self.queue.head().is_some_and(|(head, _)| head == ticket);
        let ahead = self.queue.before(ticket);
        let until = if head { at } else { at.max(now + recheck(ahead)) }.min(ask.latest);
        if head {
            self.told = Some((ticket, until));
        }
        Place::Wait { ticket, until, why }
    }

    /// Looks at a waiting call again. A ticket that is spent gives `TooLate` with no wait.
    pub fn poll(&mut self, ticket: Ticket, now: Moment) -> Polled {
        let Some(ask) = self.queue.get(ticket) else {
            return Polled::TooLate { wait: Duration::ZERO };
        };
        self.reckon(0, 0, now);
        let head = self.queue.head().is_some_and(|(head, _)| head == ticket);
        let (at, why) = if head {
            self.ready(ask.tokens, now)
        } else {
            let ahead = self.queue.before(ticket);
            let at = self.estimate_at(ahead, ask.tokens, now);
            (at.max(now + recheck(ahead)), WaitCause::Queue)
        };
        let sure = self.surely(at, self.queue.before(ticket), ask.tokens, now);
        let late = sure > ask.latest && at != Moment::FAR;
        if now > ask.latest || (late && (head || now >= ask.latest)) {
            self.leave(ticket);
            return Polled::TooLate { wait: self.wait_told(at, now) };
        }
        if head && at <= now {
            self.queue.leave(ticket);
            self.told = None;
            return Polled::Go(self.grant(ask, true, now));
        }
        // One nanosecond after the latest start the poll can say that it is too late.
        let until = at.min(ask.latest + Duration::from_nanos(1)).max(now + Duration::from_nanos(1));
        if head {
            self.told = Some((ticket, until));
        }
        Polled::Wait { until, why }
    }

    /// A waiting call gives up. Harmless for a spent ticket.
    pub fn leave(&mut self, ticket: Ticket) {
        self.queue.leave(ticket);
        if self.queue.is_empty() {
            self.told = None;
            self.ceiling.nobody_waits();
        }
    }

    /// About how long a new call of this many tokens would wait.
    pub fn estimate(&self, tokens: u64, now: Moment) -> Duration {
        let at = self.estimate_at(self.queue.before_new(false), tokens, now);
        self.wait_told(at, now)
    }

    /// The head of the queue, if it should poll before the moment it was last told. Ask after every
    /// other method, and wake the owner of the ticket; each change gives it once.
    pub fn next_wake(&mut self, now: Moment) -> Option<Ticket> {
        /// What rounding moves is no earlier time: the same limit, asked at another moment, differs by
        /// nanoseconds.
        const EARLIER_MIN: Duration = Duration::from_micros(1);
        let (head, ask) = self.queue.head()?;
        if let Some((ticket, until)) = self.told
            && ticket == head
            && (until <= now || self.look(ask.tokens, now).max(now) + EARLIER_MIN >= until)
        {
            return None;
        }
        self.told = Some((head, now));
        Some(head)
    }

    /// Starts the ramp again: the circuit breaker closed.
    pub fn restart(&mut self, now: Moment) {
        self.ramp.restart(self.in_flight, now);
    }

    /// Attempts granted and not ended.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Calls that wait.
    pub fn queued(&self) -> u32 {
        self.queue.len()
    }

    /// When a call at the head of the queue may go, for somebody else who wants to know. What it needs is saved
    /// up for, and one more is tried beside a full number, when it asks itself: whoever looks moves nothing.
    fn look(&mut self, tokens: u64, now: Moment) -> Moment {
        let before = (self.limits.clone(), self.ramp, self.ceiling);
        let (at, _) = self.ready(tokens, now);
        (self.limits, self.ramp, self.ceiling) = before;
        at
    }

    /// When a call at the head of the queue may go, and what holds it.
    fn ready(&mut self, tokens: u64, now: Moment) -> (Moment, WaitCause) {
        let mut ready = (now, WaitCause::Queue);
        let mut later = |at: Moment, why| {
            if at > ready.0 {
                ready = (at, why);
            }
        };
        later(self.ramp.ready_at(self.in_flight, self.part.nodes(), now), WaitCause::Start);
        later(self.hold.ready_at(), WaitCause::Hint);
        let cost = self.ratio.cost(tokens);
        for (index, limit) in self.limits.iter_mut().enumerate() {
            if limit.rate() > 0.0 {
                let (cost, why) = if counts_tokens(index) {
                    (cost, WaitCause::Tokens)
                } else {
                    (1.0, WaitCause::Requests)
                };
                later(after(limit.ready_in(cost, now), now), why);
            }
        }
        let own = self.at_once();
        let places = |most| self.part.places(most, own.max(self.in_flight + 1), now);
        if let Some(until) = self.ceiling.full_until(self.in_flight, places, now) {
            later(until, WaitCause::Concurrency);
        }
        ready
    }

    /// About when a call with these ahead of it can go.
    fn estimate_at(&self, ahead: Ahead, tokens: u64, now: Moment) -> Moment {
        let requests = ahead.calls as f64 + 1.0;
        let tokens = self.ratio.cost(ahead.tokens.saturating_add(tokens));
        let mut seconds: f64 = 0.0;
        let assumed = self.part.is_assumed(now);
        for (index, limit) in self.limits.iter().enumerate() {
            let cost = if counts_tokens(index) { tokens } else { requests };
            let of_whole = if assumed { limit.part() } else { 1.0 };
            seconds = seconds.max(limit.time_for(cost, now) * of_whole);
        }
        if let Some(most) = self.ceiling.most() {
            // Half of what the mean says: a refusal must not rest on calls being slow by chance.
            let own = self.at_once();
            let most = if assumed { most } else { self.part.places(most, own, now) }.max(1);
            let rounds = (requests + f64::from(self.in_flight)) / f64::from(most) - 1.0;
            seconds = seconds.max(rounds * self.took / 2.0);
        }
        after(seconds, now).max(self.hold.ready_at())
    }

    /// When a call that can go at about `at` can go for sure: what of it rests on this node's part is left
    /// out as long as that part is an assumption.
    fn surely(&self, at: Moment, ahead: Ahead, tokens: u64, now: Moment) -> Moment {
        if self.part.is_assumed(now) { self.estimate_at(ahead, tokens, now).min(at) } else { at }
    }

    /// The wait to name in a refusal: all of what the provider asked for.
    fn wait_told(&self, at: Moment, now: Moment) -> Duration {
        if at == Moment::FAR {
            return Duration::try_from_secs_f64(self.took).unwrap_or_default();
        }
        at.max(self.hold.end()).since(now)
    }

    fn grant(&mut self, ask: Ask, limited: bool, now: Moment) -> Grant {
        let tokens = self.ratio.cost(ask.tokens);
        let mut marks = [0.0; LIMITS];
        for (index, limit) in self.limits.iter_mut().enumerate() {
            marks[index] = limit.spent();
            limit.take(if counts_tokens(index) { tokens } else { 1.0 }, limited, now);
        }
        self.hold.went(now);
        self.part.went(tokens, now);
        self.in_flight += 1;
        Grant { sent: now, asked: ask.tokens, tokens, marks }
    }
}

impl Grant {
    /// When it was given.
    pub fn sent(&self) -> Moment {
        self.sent
    }

    fn cost(&self, index: usize) -> f64 {
        if counts_tokens(index) { self.tokens } else { 1.0 }
    }

    fn mark(&self, index: usize) -> Mark {
        Mark { at: self.sent, spent: self.marks[index] }
    }
}

/// After how long a call that is not the first looks again.
fn recheck(ahead: Ahead) -> Duration {
    RECHECK.max(RECHECK_EACH * u32::try_from(ahead.calls).unwrap_or(CALLS_MAX).min(CALLS_MAX))
}

/// `seconds` after `now`; what cannot be told is far.
fn after(seconds: f64, now: Moment) -> Moment {
    if seconds <= 0.0 {
        return now;
    }
    Duration::try_from_secs_f64(seconds).map_or(Moment::FAR, |wait| now + wait)
}
