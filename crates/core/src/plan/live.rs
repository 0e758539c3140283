//! Live attempts: starting them, their timers, what they report, and how each is settled.

use core::time::Duration;

use super::types::{Cause, Handle, Live, Phase, Role, Seen, Start, Step, Throttle, Why};
use super::{OverAs, Plan, SLOTS, Seek, effect};
use crate::classify::{self, TransportFault, Verdict};
use crate::failure::{Kind, Next};
use crate::hints::{self, RateHints};
use crate::rules::breaker::{Change, Outcome, Pass};
use crate::rules::pacer::{Grant, Refusal, RefusedBy};
use crate::time::Moment;

impl<H: Handle> Plan<H> {
    /// Sends an attempt on a track whose pacer has granted it, unless budget or circuit object.
    pub(super) fn launch(&mut self, index: usize, grant: Grant, now: Moment) -> Option<Step> {
        let track = &self.tracks[index];
        let handle = &track.candidate.handle;
        let replay = self.recovering.is_some();
        let waited_out = track.throttle == Throttle::WaitedOut;
        let came_back = track.throttle == Throttle::Left;
        let retry = replay || came_back || (track.tries > 0 && !waited_out);
        let cost = if came_back && !replay {
            self.policy.retry.budget_throttled
        } else {
            self.policy.retry.budget_transient
        };
        let pass = match handle.target(|t| t.breaker.acquire(self.counted, now)) {
            Ok(pass) => pass,
            Err(until) => {
                handle.pacer(|pacer| pacer.unsent(grant, now));
                self.seek = Seek::Choose;
                if !self.others_alive(index) {
                    // Waited for here and not through another choice, so that a race of many
                    // calls for one probe cannot spin.
                    self.await_circuit(index, until, now);
                }
                return None;
            }
        };
        let mut withdrawn = None;
        if retry && !pass.is_probe() {
            if !handle.target(|t| t.budget.withdraw(cost)) {
                handle.target(|t| t.record(pass, Outcome::Neutral, &mut self.dice, now));
                handle.pacer(|pacer| pacer.unsent(grant, now));
                self.budget_denied(index, cost, now);
                return None;
            }
            withdrawn = Some(cost);
        }
        let role = match (pass.is_probe(), waited_out, self.sent) {
            _ if replay && self.continues(index) => Role::Continue,
            _ if replay => Role::Replay,
            (true, _, _) => Role::Probe,
            (false, true, _) => Role::Resend,
            (false, false, 0) => Role::First,
            (false, false, _) => Role::Retry,
        };
        Some(self.begin(index, role, grant, pass, withdrawn, now))
    }

    /// The retry budget said no. Empty means stop; a full share of the calls in flight passes.
    fn budget_denied(&mut self, index: usize, cost: u32, now: Moment) {
        /// How soon a full share is looked at again, before jitter.
        const AGAIN_MS: u64 = 50;
        self.seek = Seek::Choose;
        let empty = self.tracks[index].candidate.handle.target(|t| t.budget.level()) < cost;
        if !empty {
            let jitter = self.dice.below(AGAIN_MS);
            self.tracks[index].not_before = now + Duration::from_millis(AGAIN_MS + jitter);
            self.tracks[index].rest_cause = Cause::Budget;
            return;
        }
        self.tracks[index].gone = true;
        if !self.others_alive(index) {
            self.fail(Why::BudgetEmpty, None);
        }
    }

    /// Puts a live attempt into a free slot.
    pub(super) fn begin(
        &mut self,
        index: usize,
        role: Role,
        grant: Grant,
        pass: Pass,
        withdrawn: Option<u32>,
        now: Moment,
    ) -> Step {
        let slot = usize::from(self.slots[0].is_some());
        let track = &mut self.tracks[index];
        if role != Role::Probe {
            self.counted += 1;
            track.tries += 1;
        }
        track.throttle = Throttle::None;
        self.sent += 1;
        let first = self.sent == 1;
        track.candidate.handle.target(|t| {
            t.in_flight += 1;
            t.budget.start_call();
        });
        let due = now + self.patience_of_answer();
        self.slots[slot] = Some(Live {
            track: index,
            role,
            grant: Some(grant),
            pass: Some(pass),
            withdrawn,
            started: now,
            reached: false,
            phase: Phase::Sent,
            due,
        });
        let again = matches!(role, Role::Replay | Role::Continue);
        if (first || role != Role::Beside) && !again {
            self.beside_at = self.beside_due(index, now);
        }
        self.prefer = None;
        self.avoid = None;
        if role != Role::Probe {
            // A probe that fails is part of the same wait.
            self.circuit_since = None;
        }
        self.seek = Seek::Idle;
        let (waited, cause) = match self.waiting.take() {
            Some((since, cause)) => (now.since(since), cause),
            None => (Duration::ZERO, Cause::None),
        };
        Step::Start(Start { slot, track: index, role, waited, cause })
    }

    /// When a second attempt may be started beside a silent one.
    fn beside_due(&self, index: usize, now: Moment) -> Option<Moment> {
        let twice = self.facts.replayable && self.facts.repeatable;
        if !self.facts.stream || !twice || self.tracks.len() < 2 {
            return None;
        }
        let handle = &self.tracks[index].candidate.handle;
        let p95 = handle.target(|t| t.slow_start());
        let soft = self.policy.timeouts.first_content_soft;
        let soft = p95.map_or(soft, |p95| soft.max(p95 * 3));
        let hedge = if self.policy.hedge.enabled { self.policy.hedge.delay.or(p95) } else { None };
        Some(now + hedge.map_or(soft, |hedge| hedge.min(soft)))
    }

    /// How long the answer's beginning may take.
    fn patience_of_answer(&self) -> Duration {
        let timeouts = &self.policy.timeouts;
        let limit = if self.facts.stream { timeouts.first_content } else { timeouts.headers };
        self.facts.silence_max.map_or(limit, |silence| silence.min(limit))
    }

    fn patience_of_silence(&self) -> Duration {
        let idle = self.policy.timeouts.idle;
        self.facts.silence_max.map_or(idle, |silence| silence.min(idle))
    }

    /// The next moment at which a timer of the call or of a live attempt runs out.
    pub(super) fn next_timer(&self) -> Moment {
        let mut next = self.limit();
        for live in self.slots.iter().flatten() {
            next = next.min(live.due);
        }
        let lone = self.slots.iter().flatten().count() == 1;
        match self.beside_at {
            Some(at) if lone && self.committed.is_none() => next.min(at),
            Some(_) | None => next,
        }
    }

    /// Ends what ran out of time.
    pub(super) fn expire(&mut self, now: Moment) {
        if now >= self.limit() && !matches!(self.seek, Seek::Over(_)) {
            self.out_of_time(now);
            return;
        }
        for slot in 0..SLOTS {
            let Some(live) = &self.slots[slot] else { continue };
            if now < live.due {
                continue;
            }
            if live.phase == Phase::Terminal {
                self.cancel.push(slot);
                self.finished(slot, None, now);
                continue;
            }
            let fault = match (live.phase, self.facts.stream) {
                (Phase::Content | Phase::Terminal, _) | (Phase::Head, false) => {
                    TransportFault::IdleTimeout
                }
                (Phase::Sent | Phase::Head, true) => TransportFault::FirstContentTimeout,
                (Phase::Sent, false) => TransportFault::HeadersTimeout,
            };
            self.tracks[live.track].silent = true;
            self.cancel.push(slot);
            self.failed(slot, classify::of_transport(fault), &RateHints::default(), now);
        }
    }

    fn out_of_time(&mut self, now: Moment) {
        self.leave();
        if self.deliver.take().is_some() {
            self.committed = None;
        }
        let mut silent = None;
        for slot in 0..SLOTS {
            if let Some(live) = self.slots[slot].take() {
                silent = Some(live.track);
                self.cancel.push(slot);
                self.release(live, now);
            }
        }
        if self.committed.is_some() || self.recovering.is_some() {
            self.seek = Seek::Over(OverAs::Broken { kind: Kind::RequestTimeout });
            return;
        }
        if let Some(track) = silent {
            self.last = Some((track, classify::of_transport(TransportFault::TotalTimeout)));
        }
        self.fail(Why::Deadline, None);
    }

    /// Learns what came of a step.
    pub fn saw(&mut self, seen: Seen<'_>, now: Moment) {
        match seen {
            Seen::Sending { slot } => self.reached(slot),
            Seen::Head { slot, hints } => self.head(slot, hints, now),
            Seen::ErrorHead { slot } => self.error_head(slot, now),
            Seen::Content { slot } => self.content(slot, now),
            Seen::Terminal { slot } => {
                self.content(slot, now);
                self.terminal(slot, now);
            }
            Seen::CallerAway { time } => self.excuse(time),
            Seen::PassThrough { slot } => {
                self.content(slot, now);
                self.commit(slot, now);
            }
            Seen::Finished { slot, tokens } => self.finished(slot, tokens, now),
            Seen::Failed { slot, verdict, hints } => self.failed(slot, verdict, hints, now),
        }
    }

    /// The caller took nothing for a while: silence that he made is not the target's.
    fn excuse(&mut self, time: Duration) {
        for live in self.slots.iter_mut().flatten() {
            match live.phase {
                Phase::Content | Phase::Terminal => live.due = live.due + time,
                Phase::Sent | Phase::Head => {}
            }
        }
    }

    fn reached(&mut self, slot: usize) {
        if let Some(live) = self.slots[slot].as_mut() {
            live.reached = true;
        }
    }

    fn head(&mut self, slot: usize, hints: &RateHints, now: Moment) {
        let stream = self.facts.stream;
        let answer = self.patience_of_answer();
        let Some(live) = self.slots[slot].as_mut() else { return };
        live.phase = Phase::Head;
        live.reached = true;
        if !stream {
            // Some servers send the head at once and the body when the work is done.
            live.due = now + answer;
        }
        let handle = &self.tracks[live.track].candidate.handle;
        if let Some(grant) = &live.grant {
            handle.pacer(|pacer| pacer.observe(grant, hints, now));
        }
    }

    /// The body of an error must follow its head soon: nobody waits minutes for an explanation.
    fn error_head(&mut self, slot: usize, now: Moment) {
        const ERROR_BODY: Duration = Duration::from_secs(5);
        let silence = self.patience_of_silence();
        if let Some(live) = self.slots[slot].as_mut() {
            live.due = now + silence.min(ERROR_BODY);
        }
    }

    /// A stream that has told its end is whole; its framing gets a moment to end too, so that the
    /// connection can serve again.
    fn terminal(&mut self, slot: usize, now: Moment) {
        const LINGER: Duration = Duration::from_secs(1);
        if let Some(live) = self.slots[slot].as_mut() {
            live.phase = Phase::Terminal;
            live.due = now + LINGER;
        }
    }

    fn content(&mut self, slot: usize, now: Moment) {
        let idle = self.patience_of_silence();
        let Some(live) = self.slots[slot].as_mut() else { return };
        match live.phase {
            // Content after what looked like the end: there is more to come.
            Phase::Terminal | Phase::Content => {
                live.phase = Phase::Content;
                live.due = now + idle;
                return;
            }
            Phase::Sent | Phase::Head => {}
        }
        live.due = now + idle;
        live.phase = Phase::Content;
        let took = now.since(live.started);
        let pass = live.pass.take();
        let track = live.track;
        self.well(track, pass, took, now);
        if self.facts.stream && self.committed.is_none() {
            self.commit(slot, now);
        }
    }

    /// The target answers: its circuit breaker and latencies learn so at the first content,
    /// because a stream may go on for minutes.
    fn well(&mut self, track: usize, pass: Option<Pass>, took: Duration, now: Moment) {
        let dice = &mut self.dice;
        let handle = &self.tracks[track].candidate.handle;
        let closed = handle.target(|t| {
            t.first_content.record(took);
            let pass = pass?;
            let outcome = Outcome::Success { took };
            t.record(pass, outcome, dice, now).filter(|change| *change == Change::Closed)
        });
        if closed.is_some() {
            handle.pacer(|pacer| pacer.restart(now));
        }
    }

    /// This slot's answer is the caller's; any other live attempt is dropped.
    fn commit(&mut self, slot: usize, now: Moment) {
        if self.committed.is_some() {
            return;
        }
        self.committed = Some(slot);
        self.beside_at = None;
        let other = 1 - slot;
        if let Some(live) = self.slots[other].take() {
            self.cancel.push(other);
            self.lose(live, now);
        }
        self.deliver = Some(slot);
        self.seek = Seek::Idle;
    }

    /// Settles an attempt that lost to the one beside it. One that stayed silent beyond its soft
    /// limit has shown that its target does not answer; a hedge's loser has shown nothing.
    fn lose(&mut self, mut live: Live, now: Moment) {
        let silent_for = now.since(live.started);
        let slow = live.role != Role::Beside
            && matches!(live.phase, Phase::Sent | Phase::Head)
            && silent_for >= self.policy.timeouts.first_content_soft;
        if slow && let Some(pass) = live.pass.take() {
            let dice = &mut self.dice;
            let handle = &self.tracks[live.track].candidate.handle;
            let outcome = Outcome::Failure { timed_out: true, asked: None };
            handle.target(|t| t.record(pass, outcome, dice, now));
        }
        self.release(live, now);
    }

    fn finished(&mut self, slot: usize, tokens: Option<u64>, now: Moment) {
        let Some(mut live) = self.slots[slot].take() else { return };
        if matches!(live.phase, Phase::Sent | Phase::Head) {
            let took = now.since(live.started);
            let pass = live.pass.take();
            self.well(live.track, pass, took, now);
        }
        self.settle(live, Settle::Success { tokens }, now);
        let other = 1 - slot;
        if let Some(loser) = self.slots[other].take() {
            self.cancel.push(other);
            self.lose(loser, now);
        }
        if self.committed.is_none() {
            self.deliver = Some(slot);
            self.committed = Some(slot);
        }
        self.seek = Seek::Over(OverAs::Answered);
    }

    /// An attempt failed: settles it, then looks for what may still answer the call.
    fn failed(&mut self, slot: usize, verdict: Verdict, hints: &RateHints, now: Moment) {
        let Some(live) = self.slots[slot].take() else { return };
        let (index, role) = (live.track, live.role);
        let done = live.reached && !self.facts.repeatable && may_be_done(&verdict);
        let kind = verdict.failure.kind;
        let how = match effect::throttled(kind) {
            Some(dimension) => {
                Settle::Throttled { refusal: refusal_of(dimension, &verdict), hints }
            }
            None if effect::blames_target(kind) => {
                Settle::Failure { timed_out: kind == Kind::RequestTimeout, asked: verdict.wait }
            }
            None => Settle::Neutral,
        };
        self.settle(live, how, now);
        self.last = Some((index, verdict));
        if self.deliver == Some(slot) {
            // Nothing of it has left: as good as never begun.
            self.deliver = None;
            self.committed = None;
        }
        if self.committed == Some(slot) {
            self.broke(index, kind);
            return;
        }
        if self.recovering.is_some() && role == Role::Continue {
            self.not_continued(index);
            return;
        }
        if let Some(kind) = self.recovering {
            // One second telling, no more.
            self.seek = Seek::Over(OverAs::Broken { kind });
            return;
        }
        if self.slots.iter().any(Option::is_some) {
            // The one beside it may still answer; after a final word nothing further is sent. A time
            // that was named holds for whatever comes later.
            if let Some((_, Verdict { wait: Some(wait), .. })) = &self.last {
                self.tracks[index].not_before = now + *wait;
                self.tracks[index].rest_cause = Cause::Hint;
            }
            let nobody = |(_, verdict): &(usize, Verdict)| verdict.failure.next == Next::Nobody;
            let is_final = self.last.as_ref().is_some_and(nobody);
            for track in &mut self.tracks {
                track.gone |= is_final;
            }
            return;
        }
        if done {
            self.fail(Why::NotRepeatable, None);
            return;
        }
        self.after_failure(index, role, now);
    }

    /// Settles and drops an attempt without teaching anybody anything: neutral for the circuit
    /// breaker, a place back for the pacer.
    pub(super) fn release(&mut self, live: Live, now: Moment) {
        self.settle(live, Settle::Neutral, now);
    }

    /// Gives back everything a live attempt held, and teaches what it has shown. The only place
    /// where an attempt's grant, pass and withdrawal end.
    fn settle(&mut self, mut live: Live, how: Settle<'_>, now: Moment) {
        let dice = &mut self.dice;
        let first = self.sent == 1;
        let handle = &self.tracks[live.track].candidate.handle;
        let success = matches!(how, Settle::Success { .. });
        let outcome = match &how {
            Settle::Failure { timed_out, asked } => {
                Outcome::Failure { timed_out: *timed_out, asked: *asked }
            }
            Settle::Success { .. } => Outcome::Success { took: now.since(live.started) },
            Settle::Throttled { .. } | Settle::Neutral => Outcome::Neutral,
        };
        handle.target(|t| {
            if let Some(pass) = live.pass.take() {
                t.record(pass, outcome, dice, now);
            }
            if let Some(cost) = live.withdrawn.take() {
                // What was started beside another is never refunded. A telling that completed a broken
                // answer is: a fallback that is asked for nothing else earns nothing, and would
                // complete no more for ever once its budget is spent.
                let refund = live.role != Role::Beside;
                t.budget.finish(cost, success && refund);
            }
            t.in_flight = t.in_flight.saturating_sub(1);
            t.budget.end_call(success && first);
        });
        let Some(grant) = live.grant.take() else { return };
        handle.pacer(|pacer| match how {
            Settle::Success { tokens } => {
                pacer.succeeded(grant, tokens, &RateHints::default(), now);
            }
            Settle::Throttled { refusal, hints } => pacer.refused(grant, &refusal, hints, now),
            Settle::Failure { .. } | Settle::Neutral => pacer.released(grant, now),
        });
    }
}

/// Whether a failure leaves it open that the target has done what it was asked for. A refusal with
/// its reason has not begun; a fault within may have come after the work.
fn may_be_done(verdict: &Verdict) -> bool {
    // Source: RFC 9110 15.5 and 15.6.4; 529 is what Anthropic and others send when overloaded.
    !matches!(verdict.failure.provider.status, Some(400..=499 | 503 | 529))
}

/// How an attempt is settled.
enum Settle<'a> {
    Success { tokens: Option<u64> },
    Throttled { refusal: Refusal, hints: &'a RateHints },
    Failure { timed_out: bool, asked: Option<Duration> },
    Neutral,
}

/// What a pacer learns from a refusal.
fn refusal_of(dimension: RefusedBy, verdict: &Verdict) -> Refusal {
    let said = verdict.failure.provider.message.as_deref().and_then(hints::text_limit);
    Refusal {
        dimension,
        limit_per_minute: said.and_then(|said| said.per_minute()),
        wait: verdict.wait,
        requested: said.and_then(|said| said.requested),
    }
}
