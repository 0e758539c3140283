//! Which target is asked next, and what is waited for before it.

use core::time::Duration;

use super::types::{Cause, Handle, On, Role, Step, Throttle, Track, Why};
use super::{Plan, Seek, effect};
use crate::rules::backoff;
use crate::rules::breaker::{OPEN_BASE_MAX, Peek, State};
use crate::rules::pacer::{Ask, CALLS_MAX, Place, Polled, RefusedCause};
use crate::time::Moment;

/// Whether a track can be asked, and if not when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ready {
    Now,
    /// Its pacer would keep the call waiting this long.
    Paced(Duration),
    /// It rests: backoff or a hint.
    Resting(Moment),
    /// Its circuit is open; look again then.
    Open(Moment),
    /// It will not answer this call.
    Gone,
}

/// What `pick` found best.
enum Pick {
    Ask(usize),
    Rest { track: usize, until: Moment },
    Circuit { track: usize, until: Moment },
    Nothing,
}

impl<H: Handle> Plan<H> {
    /// Chooses a target and goes to its queue, or waits, or ends the call.
    pub(super) fn choose(&mut self, now: Moment) -> Option<Step> {
        if now >= self.limit() {
            self.fail(Why::Deadline, None);
            return None;
        }
        let max = self.attempts_allowed(now);
        if self.counted >= max {
            self.fail(Why::AttemptsUsed { max }, None);
            return None;
        }
        match self.pick(now) {
            Pick::Ask(track) => self.queue(track, now),
            Pick::Rest { track, until } => {
                self.rest(track, until, now);
                None
            }
            Pick::Circuit { track, until } => {
                self.await_circuit(track, until, now);
                None
            }
            Pick::Nothing => {
                let why = if self.tracks.is_empty() { Why::NoTarget } else { Why::NotRetryable };
                let wait = self.last.as_ref().and_then(|(_, verdict)| verdict.wait);
                self.fail(why, wait);
                None
            }
        }
    }

    /// How many attempts the call may make. One that has used them up has met its own fault more
    /// likely than chance; in a brown-out it is the other way round, and the call goes on.
    fn attempts_allowed(&self, now: Moment) -> u32 {
        let retry = &self.policy.retry;
        let Some((failed, _)) = &self.last else { return retry.attempts_per_call_max };
        if self.counted < retry.attempts_per_call_max {
            return retry.attempts_per_call_max;
        }
        let Track { candidate, tries, .. } = &self.tracks[*failed];
        let brown_out = candidate.handle.target(|t| t.breaker.fails_others(*tries, now));
        if brown_out { retry.brown_out_max() } else { retry.attempts_per_call_max }
    }

    /// The best target: the preferred one; else the first ready one with attempts left; else the
    /// one that is ready soonest. An open circuit counts by the time it may be probed.
    fn pick(&mut self, now: Moment) -> Pick {
        if let Some(track) = self.prefer.take() {
            match self.readiness(track, now) {
                Ready::Now => return Pick::Ask(track),
                Ready::Resting(until) => return Pick::Rest { track, until },
                Ready::Paced(_) | Ready::Open(_) | Ready::Gone => {}
            }
        }
        if let Some(track) = self.ready_to_continue(now).or_else(|| self.first_ready(now)) {
            return Pick::Ask(track);
        }
        self.soonest(now)
    }

    /// The first ready track: fresh ones and those with attempts left before used-up ones, and
    /// the one just left last.
    fn first_ready(&mut self, now: Moment) -> Option<usize> {
        let mut spare = None;
        for track in 0..self.tracks.len() {
            if self.readiness(track, now) != Ready::Now {
                continue;
            }
            let used_up = self.tracks[track].tries >= self.policy.retry.attempts_max;
            if !used_up && self.avoid != Some(track) {
                return Some(track);
            }
            // Among those left, one with attempts left goes before one without.
            let better = match spare {
                None => true,
                Some((_, spare_used_up)) => spare_used_up && !used_up,
            };
            if better {
                spare = Some((track, used_up));
            }
        }
        spare.map(|(track, _)| track)
    }

    /// A ready track that goes on with a partial answer; the one that broke it only if no other does.
    fn ready_to_continue(&self, now: Moment) -> Option<usize> {
        let ready =
            |track: &usize| self.continues(*track) && self.readiness(*track, now) == Ready::Now;
        let mut found = (0..self.tracks.len()).filter(ready);
        let first = found.next()?;
        if self.avoid == Some(first) { found.next().or(Some(first)) } else { Some(first) }
    }

    fn soonest(&mut self, now: Moment) -> Pick {
        let mut best: Option<(Moment, Pick)> = None;
        for track in 0..self.tracks.len() {
            let (at, pick) = match self.readiness(track, now) {
                Ready::Gone => continue,
                Ready::Now => (now, Pick::Ask(track)),
                Ready::Paced(wait) => (now + wait, Pick::Ask(track)),
                Ready::Resting(until) => (until, Pick::Rest { track, until }),
                Ready::Open(until) => (until, Pick::Circuit { track, until }),
            };
            if best.as_ref().is_none_or(|(found, _)| at < *found) {
                best = Some((at, pick));
            }
        }
        best.map_or(Pick::Nothing, |(_, pick)| pick)
    }

    fn readiness(&self, index: usize, now: Moment) -> Ready {
        let track = &self.tracks[index];
        if track.gone {
            return Ready::Gone;
        }
        if let Peek::Open { until } =
            track.candidate.handle.target(|t| t.breaker.peek_for(self.counted, now))
        {
            return Ready::Open(until);
        }
        if track.not_before > now {
            return Ready::Resting(track.not_before);
        }
        if self.policy.pacer.enabled && self.others_alive(index) {
            let wait = track.candidate.handle.pacer(|p| p.estimate(self.facts.tokens, now));
            if wait > self.policy.fallback.wait_max {
                return Ready::Paced(wait);
            }
        }
        Ready::Now
    }

    /// Whether any other track may still answer this call.
    pub(super) fn others_alive(&self, index: usize) -> bool {
        self.tracks.iter().enumerate().any(|(other, track)| other != index && !track.gone)
    }

    /// Whether another track could be asked at once.
    pub(super) fn other_ready(&self, index: usize, now: Moment) -> bool {
        (0..self.tracks.len()).any(|other| {
            other != index
                && self.tracks[other].tries < self.policy.retry.attempts_max
                && self.readiness(other, now) == Ready::Now
        })
    }

    /// Lets a track rest, unless that cannot end in time.
    fn rest(&mut self, track: usize, until: Moment, now: Moment) {
        let wait = until.since(now);
        let max = self.limit().since(now).min(self.policy.retry.wait_max);
        if wait > max {
            self.fail(Why::WaitTooLong { wait, max }, Some(wait));
            return;
        }
        self.note_wait(self.tracks[track].rest_cause, now);
        self.prefer = Some(track);
        self.seek = Seek::Rest { until };
    }

    /// Waits for a circuit as long as patience and the deadline allow.
    pub(super) fn await_circuit(&mut self, track: usize, until: Moment, now: Moment) {
        let Some(patience) = self.patience_with(track, now) else {
            self.fail(Why::AttemptsUsed { max: self.tracks[track].tries }, None);
            return;
        };
        let since = *self.circuit_since.get_or_insert(now);
        let last = (since + patience).min(self.limit());
        // A probe that is out may come back any moment; its lease is only the longest it may take.
        let handle = &self.tracks[track].candidate.handle;
        let (probing, look) = handle.target(|t| (t.breaker.state(), t.breaker.look_at(until, now)));
        let until = if probing == State::HalfOpen { until.min(last) } else { until };
        if until > last || now >= last {
            let opens_in = until.since(now);
            self.fail(Why::CircuitOpen { opens_in }, Some(opens_in));
            return;
        }
        self.note_wait(Cause::Circuit, now);
        self.tracks[track].candidate.handle.target(|t| t.breaker.start_waiting(self.counted));
        self.seek = Seek::Circuit { track, until: look.min(last), looked: false };
    }

    /// How long a call waits for this circuit; `None`: not at all. One that has met its share of
    /// faults may have brought them about itself; when others failed here as well it waits for the
    /// circuit once more, for as long as one is open that finds its target well again.
    fn patience_with(&self, track: usize, now: Moment) -> Option<Duration> {
        let patience = self.policy.retry.patience;
        if !self.has_shown_a_fault(track) {
            return Some(patience);
        }
        let own = self.tracks[track].tries;
        let seen = self.tracks[track].candidate.handle.target(|t| t.breaker.failures_seen(now));
        (seen > own).then_some(patience.min(OPEN_BASE_MAX))
    }

    /// Whether this call has met a fault inside the target as often as a target is tried. Then the
    /// fault may well be this request's own, and waiting for the circuit it has opened would only
    /// keep the answer from its caller. A target without room, away or silent is worth the wait.
    fn has_shown_a_fault(&self, track: usize) -> bool {
        let used_up = self.tracks[track].tries >= self.policy.retry.attempts_max;
        used_up
            && self.last.as_ref().is_some_and(|(last, verdict)| {
                let kind = verdict.failure.kind;
                *last == track && effect::blames_target(kind) && !effect::moves_on(kind)
            })
    }

    /// Looks at an awaited circuit: somebody's probe may have closed it.
    pub(super) fn circuit(
        &mut self,
        track: usize,
        until: Moment,
        looked: bool,
        now: Moment,
    ) -> Option<Step> {
        let handle = &self.tracks[track].candidate.handle;
        let peek = handle.target(|t| t.breaker.peek_for(self.counted, now));
        if let Peek::Open { until: ready } = peek
            && now < until
        {
            // Who was woken is one of those who may probe when the circuit is ready again.
            let until = if looked { until.min(ready) } else { until };
            self.seek = Seek::Circuit { track, until, looked: true };
            return Some(self.wait(until, On::Circuit { track, attempts: self.counted }));
        }
        handle.target(|t| t.breaker.stop_waiting(self.counted));
        self.seek = Seek::Choose;
        None
    }

    /// Joins the pacer's queue of a track.
    fn queue(&mut self, index: usize, now: Moment) -> Option<Step> {
        if self.keeps_out_of_the_crowd(index, now) {
            return None;
        }
        let track = &self.tracks[index];
        let front = track.throttle == Throttle::WaitedOut;
        let begun = track.refused_since.filter(|_| front).unwrap_or(now);
        let ask = Ask {
            tokens: self.facts.tokens,
            latest: self.limit().min(begun + self.policy.retry.wait_max),
            bytes: self.facts.bytes,
            front,
        };
        match self.place(index, ask, now) {
            Place::Go(grant) => self.launch(index, grant, now),
            Place::Wait { ticket, until, .. } => {
                self.note_wait(Cause::Limit, now);
                self.seek = Seek::Queue { track: index, ticket, until };
                None
            }
            Place::Refused { wait, why } => {
                self.no_place(index, wait, why, now);
                None
            }
        }
    }

    /// The pacer's word; where there is no pacing, always yes.
    fn place(&self, index: usize, ask: Ask, now: Moment) -> Place {
        let paced = self.policy.pacer.enabled;
        self.tracks[index].candidate.handle.pacer(|pacer| {
            if paced { pacer.ask(ask, now) } else { Place::Go(pacer.let_through(ask, now)) }
        })
    }

    /// When a circuit closes, everybody who waited for it comes at once. Half of the queue is left
    /// to others: whoever had the patience to wait for the circuit has it for the crowd to pass.
    fn keeps_out_of_the_crowd(&mut self, index: usize, now: Moment) -> bool {
        let Some(since) = self.circuit_since else { return false };
        let last = (since + self.policy.retry.patience).min(self.limit());
        let handle = &self.tracks[index].candidate.handle;
        if now >= last || handle.pacer(|pacer| pacer.queued()) < CALLS_MAX / 2 {
            return false;
        }
        // Longer than a first backoff: thousands look each time, and the queue lasts longer than that.
        let spread = backoff::throttled(&self.policy.retry, 2, &mut self.dice);
        self.tracks[index].not_before = last.min(now + spread);
        self.tracks[index].rest_cause = Cause::Circuit;
        self.seek = Seek::Choose;
        true
    }

    /// Looks after a place in a queue.
    pub(super) fn queued(
        &mut self,
        index: usize,
        ticket: crate::rules::pacer::Ticket,
        now: Moment,
    ) -> Option<Step> {
        let handle = &self.tracks[index].candidate.handle;
        // No queueing behind an open circuit: it may be open for longer than the queue is long.
        if matches!(handle.target(|t| t.breaker.peek(now)), Peek::Open { .. }) {
            handle.pacer(|pacer| pacer.leave(ticket));
            self.seek = Seek::Choose;
            return None;
        }
        match handle.pacer(|pacer| pacer.poll(ticket, now)) {
            Polled::Go(grant) => self.launch(index, grant, now),
            Polled::Wait { until, .. } => {
                self.seek = Seek::Queue { track: index, ticket, until };
                Some(self.wait(until, On::Pacer { track: index, ticket }))
            }
            Polled::TooLate { wait } => {
                self.no_place(index, wait, RefusedCause::TooLate, now);
                None
            }
        }
    }

    /// A pacer cannot let the call go in time: another target, or the end with the time.
    fn no_place(&mut self, index: usize, wait: Duration, why: RefusedCause, now: Moment) {
        self.seek = Seek::Choose;
        self.tracks[index].gone = true;
        if self.others_alive(index) {
            return;
        }
        let max = self.limit().since(now).min(self.policy.retry.wait_max);
        match why {
            RefusedCause::TooLate => self.fail(Why::WaitTooLong { wait, max }, Some(wait)),
            RefusedCause::QueueFull => self.fail(Why::QueueFull, Some(wait)),
        }
    }

    /// Remembers that the call waits, and for what; the first cause of a wait is kept.
    pub(super) fn note_wait(&mut self, cause: Cause, now: Moment) {
        if self.waiting.is_none() {
            self.waiting = Some((now, cause));
        }
    }

    /// Finds a second attempt to make beside one that stays silent.
    pub(super) fn start_beside(&mut self, now: Moment) -> Option<Step> {
        /// How soon is looked again when no other target was ready.
        const AGAIN: Duration = Duration::from_secs(1);
        let due = self.beside_at?;
        if now < due || self.committed.is_some() {
            return None;
        }
        let silent = self.slots.iter().flatten().next().map(|live| live.track)?;
        let twice = self.facts.replayable && self.facts.repeatable;
        if self.slots.iter().all(Option::is_some) || !twice {
            return None;
        }
        self.beside_at = Some(now + AGAIN);
        let other = (0..self.tracks.len()).find(|&other| {
            other != silent
                && self.tracks[other].tries < self.policy.retry.attempts_max
                && self.readiness(other, now) == Ready::Now
        })?;
        self.launch_beside(other, now)
    }

    fn launch_beside(&mut self, other: usize, now: Moment) -> Option<Step> {
        let handle = &self.tracks[other].candidate.handle;
        let cost = self.policy.retry.budget_transient;
        if !handle.target(|t| t.budget.withdraw(cost)) {
            return None;
        }
        // It never queues: an extra must not delay anybody's first attempt.
        let ask = Ask { tokens: self.facts.tokens, latest: now, bytes: 0, front: false };
        let grant = match self.place(other, ask, now) {
            Place::Go(grant) => grant,
            Place::Wait { ticket, .. } => {
                handle.pacer(|pacer| pacer.leave(ticket));
                handle.target(|t| t.budget.finish(cost, false));
                return None;
            }
            Place::Refused { .. } => {
                handle.target(|t| t.budget.finish(cost, false));
                return None;
            }
        };
        if let Ok(pass) = handle.target(|t| t.breaker.acquire(self.counted, now)) {
            self.beside_at = None;
            return Some(self.begin(other, Role::Beside, grant, pass, Some(cost), now));
        }
        handle.pacer(|pacer| pacer.unsent(grant, now));
        handle.target(|t| t.budget.finish(cost, false));
        None
    }
}
