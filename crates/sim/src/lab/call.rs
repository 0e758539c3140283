//! One call's way through the rules, as short as it can be said: choose a target whose circuit lets
//! pass, wait at its pacer, send, and after a failure pay for a retry and back off.

use super::note::{How, Note};
use super::provider::Ending;
use super::scene::Scene;
use super::world::{Attempt, Target, World, is_target_failure};
use mainstay_core::dice::Dice;
use mainstay_core::hints::RateHints;
use mainstay_core::rules::backoff;
use mainstay_core::rules::breaker::{Change, Outcome, Peek};
use mainstay_core::rules::pacer::{Ask, Grant, Place, Polled, Ticket};
use mainstay_core::rules::retry_budget::Denied;
use mainstay_core::time::Moment;

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    New,
    /// For a circuit's probe.
    Circuit {
        target: usize,
        ranked: u32,
    },
    /// In a pacer's queue.
    Queue {
        target: usize,
        ticket: Ticket,
    },
    /// After a failure; `paid` once the retry budget granted it.
    Backoff {
        paid: bool,
    },
    Flight {
        attempt: u32,
    },
    Over,
}

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) tokens: u64,
    estimate: u64,
    leaves_after: Option<f64>,
    deadline: Moment,
    patience_end: Option<Moment>,
    /// Attempts that count, and all.
    attempts: u32,
    sent: u32,
    /// It was refused upstream and waits that out.
    front: bool,
    /// The target whose retry budget counts it, and what its retry cost.
    member: Option<usize>,
    paid: Option<u32>,
    phase: Phase,
    step: u32,
}

impl Call {
    pub(super) fn new(scene: &Scene, dice: &mut Dice) -> Call {
        let mut between = |(low, high): (f64, f64)| low + (high - low) * dice.draw();
        let tokens = between(scene.tokens).max(1.0);
        let estimate = (tokens * between(scene.estimate)).max(1.0);
        let leaves = between((0.0, 1.0)) < scene.leavers;
        let leaves_after = leaves.then(|| between((0.0, 20.0)));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least 1")]
        let (tokens, estimate) = (tokens as u64, estimate as u64);
        Call {
            tokens,
            estimate,
            leaves_after,
            deadline: Moment::FAR,
            patience_end: None,
            attempts: 0,
            sent: 0,
            front: false,
            member: None,
            paid: None,
            phase: Phase::New,
            step: 0,
        }
    }
}

impl World<'_> {
    fn call(&mut self, call: u32) -> &mut Call {
        &mut self.calls[call as usize]
    }

    pub(super) fn arrive(&mut self, call: u32) {
        let deadline = self.now() + self.scene.deadline;
        self.call(call).deadline = deadline;
        self.see(Note::Came { call, deadline });
        if let Some(seconds) = self.call(call).leaves_after {
            self.leave_after(call, seconds);
        }
        self.go(call);
    }

    pub(super) fn timer(&mut self, id: u32, step: u32) {
        let call = &self.calls[id as usize];
        if call.step != step {
            return;
        }
        match call.phase {
            Phase::Circuit { .. } | Phase::Backoff { paid: true } => self.go(id),
            Phase::Backoff { paid: false } => self.pay(id),
            Phase::Queue { target, ticket } => self.poll(id, target, ticket),
            Phase::New | Phase::Flight { .. } | Phase::Over => {}
        }
    }

    /// Puts the call to sleep until `until` or until woken.
    fn sleep(&mut self, id: u32, phase: Phase, until: Moment) {
        let call = self.call(id);
        call.phase = phase;
        call.step += 1;
        let step = call.step;
        self.see(Note::Waits { call: id, until });
        self.timer_at(until, id, step);
    }

    fn leave_circuit(&mut self, id: u32) {
        if let Phase::Circuit { target, ranked } = self.call(id).phase {
            self.targets[target].state.breaker.stop_waiting(ranked);
            self.call(id).phase = Phase::New;
        }
    }

    /// Looks for a target and asks it.
    fn go(&mut self, id: u32) {
        self.leave_circuit(id);
        let now = self.now();
        let call = self.call(id).clone();
        if now >= call.deadline {
            return self.done(id, false);
        }
        let mut earliest: Option<(Moment, usize)> = None;
        let peeks: Vec<Peek> =
            self.targets.iter_mut().map(|target| target.state.breaker.peek(now)).collect();
        for (index, peek) in peeks.iter().enumerate() {
            if let Peek::Open { until } = peek {
                if earliest.is_none_or(|(at, _)| *until < at) {
                    earliest = Some((*until, index));
                }
                continue;
            }
            let another = peeks[index + 1..].iter().any(|peek| !matches!(peek, Peek::Open { .. }));
            let pacer = &mut self.targets[index].pacer;
            let moves_on = pacer.estimate(call.estimate, now) > self.policy.fallback.wait_max;
            if another && moves_on {
                continue;
            }
            let latest = call.deadline.min(now + self.policy.retry.wait_max);
            let ask =
                Ask { tokens: call.estimate, latest, bytes: call.tokens * 4, front: call.front };
            match pacer.ask(ask, now) {
                Place::Go(grant) => {
                    self.join(id, index);
                    return self.send_or_wait(id, index, grant);
                }
                Place::Wait { ticket, until, .. } => {
                    self.join(id, index);
                    self.targets[index].owners.insert(ticket, id);
                    self.sleep(id, Phase::Queue { target: index, ticket }, until);
                    return self.wake(index);
                }
                Place::Refused { .. } => {}
            }
        }
        match earliest {
            Some((until, index)) => self.wait_for_circuit(id, index, until),
            None => self.done(id, false),
        }
    }

    /// Counts the call at this target's retry budget, and no more at another's.
    fn join(&mut self, id: u32, target: usize) {
        let call = self.call(id);
        if call.member == Some(target) {
            return;
        }
        let (old, paid) = (call.member.replace(target), call.paid.take());
        if let Some(old) = old {
            let budget = &mut self.targets[old].state.budget;
            if let Some(cost) = paid {
                budget.finish(cost, false);
            }
            budget.end_call(false);
        }
        self.targets[target].state.budget.start_call();
    }

    fn wait_for_circuit(&mut self, id: u32, target: usize, until: Moment) {
        let now = self.now();
        let patience = self.policy.retry.patience;
        let call = self.call(id);
        let end = *call.patience_end.get_or_insert(now + patience);
        if until >= call.deadline.min(end) {
            return self.done(id, false);
        }
        let ranked = call.attempts;
        self.targets[target].state.breaker.start_waiting(ranked);
        self.sleep(id, Phase::Circuit { target, ranked }, until);
    }

    fn poll(&mut self, id: u32, target: usize, ticket: Ticket) {
        let now = self.now();
        match self.targets[target].pacer.poll(ticket, now) {
            Polled::Go(grant) => {
                self.targets[target].owners.remove(&ticket);
                self.send_or_wait(id, target, grant);
            }
            Polled::Wait { until, .. } => {
                self.sleep(id, Phase::Queue { target, ticket }, until);
                self.wake(target);
            }
            Polled::TooLate { .. } => {
                self.targets[target].owners.remove(&ticket);
                self.wake(target);
                self.done(id, false);
            }
        }
    }

    /// Tells the head of a pacer's queue to look again.
    fn wake(&mut self, target: usize) {
        let now = self.now();
        let Some(ticket) = self.targets[target].pacer.next_wake(now) else { return };
        let Some(owner) = self.targets[target].owners.get(&ticket).copied() else {
            return self.judge.accuse(7, format!("{ticket:?} is in the queue and has no owner"));
        };
        let call = self.call(owner);
        call.step += 1;
        let step = call.step;
        self.timer_at(now, owner, step);
    }

    /// The instant of sending: the circuit has the last word.
    fn send_or_wait(&mut self, id: u32, target: usize, grant: Grant) {
        let now = self.now();
        let attempts = self.call(id).attempts;
        match self.targets[target].state.breaker.acquire(attempts, now) {
            Err(until) => {
                self.targets[target].pacer.unsent(grant, now);
                self.wake(target);
                self.wait_for_circuit(id, target, until);
            }
            Ok(pass) => {
                self.targets[target].state.in_flight += 1;
                self.wake(target);
                let probe = pass.is_probe();
                let call = self.call(id);
                let first = call.sent == 0;
                call.sent += 1;
                call.front = false;
                call.step += 1;
                self.see(Note::Sent { call: id, target, probe });
                let attempt = self.send(Attempt::new(id, target, now, grant, pass, first));
                self.call(id).phase = Phase::Flight { attempt };
            }
        }
    }

    /// An attempt ended, for whatever reason: everyone who counts it learns it once.
    pub(super) fn answered(&mut self, number: u32, ending: Ending) {
        let now = self.now();
        let attempt = &mut self.attempts[number as usize];
        let (id, target, probe, first) =
            (attempt.call, attempt.target, attempt.probe, attempt.first);
        let took = now.since(attempt.sent);
        let hints = attempt.hints;
        let (Some(grant), Some(pass)) = (attempt.grant.take(), attempt.pass.take()) else { return };
        let Target { state, pacer, .. } = &mut self.targets[target];
        state.in_flight -= 1;
        let (how, outcome) = match ending {
            Ending::Success { tokens } => {
                pacer.succeeded(grant, Some(tokens), &hints, now);
                state.first_content.record(took);
                let refund = self.calls[id as usize].paid.unwrap_or(0);
                (How::Well { first, refund }, Outcome::Success { took })
            }
            Ending::Refused(refusal) => {
                pacer.refused(grant, &refusal, &hints, now);
                (How::Refused(refusal.wait), Outcome::Neutral)
            }
            Ending::Failed | Ending::Unavailable => {
                pacer.released(grant, now);
                (How::Failed, Outcome::Failure { timed_out: false })
            }
            Ending::Silent => {
                pacer.released(grant, now);
                (How::TimedOut, Outcome::Failure { timed_out: true })
            }
            Ending::Faulted => {
                pacer.released(grant, now);
                (How::Faulted, Outcome::Neutral)
            }
        };
        let change = state.breaker.record(pass, outcome, &mut self.dice, now);
        self.see(Note::Ended { call: id, target, probe, how });
        self.changed(target, change, probe);
        self.wake(target);
        self.next_step(id, target, probe, how);
    }

    /// A circuit changed, or its probe gave the slot back: those who wait for it look again.
    fn changed(&mut self, target: usize, change: Option<Change>, probe: bool) {
        if let Some(change) = change {
            self.see(Note::Circuit { target, change });
            if change == Change::Closed {
                let now = self.now();
                self.targets[target].pacer.restart(now);
            }
        }
        if change.is_none() && !probe {
            return;
        }
        let now = self.now();
        for id in 0..self.calls.len() {
            if matches!(self.calls[id].phase, Phase::Circuit { target: of, .. } if of == target) {
                self.calls[id].step += 1;
                let step = self.calls[id].step;
                self.timer_at(now, u32::try_from(id).unwrap_or(u32::MAX), step);
            }
        }
    }

    fn next_step(&mut self, id: u32, target: usize, probe: bool, how: How) {
        match how {
            How::Well { .. } => self.done(id, true),
            How::Faulted | How::Left => self.done(id, false),
            How::Refused(_) => {
                self.call(id).front = true;
                self.go(id);
            }
            How::Failed | How::TimedOut => {
                debug_assert!(is_target_failure(how), "the arm says so");
                let max = self.policy.retry.attempts_per_call_max;
                let call = self.call(id);
                call.attempts += u32::from(!probe);
                let (attempts, paid) = (call.attempts, call.paid.take());
                if let Some(cost) = paid {
                    self.targets[target].state.budget.finish(cost, false);
                }
                if attempts >= max {
                    return self.done(id, false);
                }
                self.pay(id);
            }
        }
    }

    /// Pays for a retry and backs off; when too many are under way, asks again later.
    fn pay(&mut self, id: u32) {
        let cost = self.policy.retry.budget_transient;
        let call = self.call(id);
        let (Some(target), attempts) = (call.member, call.attempts) else { return };
        let granted = self.targets[target].state.budget.try_withdraw(cost);
        let wait = backoff::transient(&self.policy.retry, attempts.max(1), &mut self.dice);
        let until = self.now() + wait;
        if granted == Err(Denied::Spent) || until >= self.call(id).deadline {
            if granted.is_ok() {
                self.targets[target].state.budget.finish(cost, true);
            }
            return self.done(id, false);
        }
        if granted.is_ok() {
            self.call(id).paid = Some(cost);
            self.see(Note::Retry { target, cost });
        }
        self.sleep(id, Phase::Backoff { paid: granted.is_ok() }, until);
    }

    /// The caller leaves, wherever its call stands.
    pub(super) fn leave(&mut self, id: u32) {
        let now = self.now();
        match self.call(id).phase {
            Phase::Over => return,
            Phase::Queue { target, ticket } => {
                self.targets[target].pacer.leave(ticket);
                self.targets[target].owners.remove(&ticket);
                self.wake(target);
            }
            Phase::Flight { attempt } => {
                let attempt = &mut self.attempts[attempt as usize];
                let (target, probe) = (attempt.target, attempt.probe);
                let (grant, pass) = (attempt.grant.take(), attempt.pass.take());
                if let (Some(grant), Some(pass)) = (grant, pass) {
                    let target = &mut self.targets[target];
                    target.state.in_flight -= 1;
                    target.pacer.released(grant, now);
                    target.state.breaker.record(pass, Outcome::Neutral, &mut self.dice, now);
                }
                self.see(Note::Ended { call: id, target, probe, how: How::Left });
                self.changed(target, None, probe);
                self.wake(target);
            }
            Phase::New | Phase::Circuit { .. } | Phase::Backoff { .. } => {}
        }
        self.tally.left += 1;
        self.done(id, false);
    }

    fn done(&mut self, id: u32, answered: bool) {
        self.leave_circuit(id);
        let call = self.call(id);
        call.phase = Phase::Over;
        call.step += 1;
        let (member, paid, first) = (call.member.take(), call.paid.take(), call.sent == 1);
        if let Some(target) = member {
            let budget = &mut self.targets[target].state.budget;
            if let Some(cost) = paid {
                budget.finish(cost, answered);
            }
            budget.end_call(answered && first);
        }
        self.see(Note::Done { call: id, answered });
        if answered {
            self.tally.answered += 1;
        } else {
            self.tally.failed += 1;
        }
        self.next_job();
    }
}

impl Attempt {
    fn new(
        call: u32,
        target: usize,
        sent: Moment,
        grant: Grant,
        pass: mainstay_core::rules::breaker::Pass,
        first: bool,
    ) -> Attempt {
        let probe = pass.is_probe();
        Attempt {
            call,
            target,
            sent,
            probe,
            grant: Some(grant),
            pass: Some(pass),
            first,
            decision: None,
            hints: RateHints::default(),
        }
    }
}
