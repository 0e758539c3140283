//! What must always hold in the laboratory, each as a named check that only watches.
//!
//! The judge sees what happens and nothing of how it was decided: it keeps its own account of
//! circuits, budgets and waits, and accuses where the account and the world disagree. Numbers are
//! those of the list of invariants in `ARCHITECTURE.md`.

use crate::lab::{How, Note, Scene};
use mainstay_core::plan::Role;
use mainstay_core::policy::Policy;
use mainstay_core::rules::breaker::{LEASE_MIN, State};
use mainstay_core::time::Moment;
use std::time::Duration;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accusation {
    /// Which invariant.
    pub invariant: u8,
    /// When, on our clock, in nanoseconds.
    pub at: u64,
    /// What happened.
    pub what: String,
}

/// Most accusations kept of one run; the first ones say what matters.
const KEPT: usize = 20;
/// What a late timer and an answer on its way may add to a deadline.
const DEADLINE_SLACK: Duration = Duration::from_millis(20);
/// Targets that a scene may have, the neighbour's included.
const TARGETS_MAX: usize = 8;

#[derive(Clone, Copy, Debug, Default)]
struct CallSeen {
    deadline: Moment,
    waits_until: Moment,
    not_before: Option<(usize, Moment)>,
    /// Of each target, when it first refused the call.
    refused: [Option<Moment>; TARGETS_MAX],
    replays: u32,
    counted: u32,
    ended: u32,
    sent: u32,
    faulted: bool,
    delivered: bool,
    done: bool,
}

#[derive(Clone, Debug)]
struct TargetSeen {
    state: State,
    until: Moment,
    probe_since: Option<Moment>,
    /// The last probe was told to come back then.
    asked_until: Moment,
    /// The end of a probe's lease was put forward: another may go beside it.
    freed: bool,
    /// When it worked last.
    well_at: Moment,
    /// Failures by its own fault since the circuit closed.
    blamed: u32,
    /// The same since the start.
    failed: u32,
    paid: u64,
    earned: u64,
}

impl TargetSeen {
    const NEW: TargetSeen = TargetSeen {
        state: State::Closed,
        until: Moment::ZERO,
        probe_since: None,
        asked_until: Moment::ZERO,
        freed: false,
        well_at: Moment::ZERO,
        blamed: 0,
        failed: 0,
        paid: 0,
        earned: 0,
    };
}

/// Watches a run.
#[derive(Clone, Debug)]
pub struct Judge {
    calls: Vec<CallSeen>,
    targets: Vec<TargetSeen>,
    accusations: Vec<Accusation>,
    now: Moment,
    jumps: bool,
    policy: Policy,
    recoverable: bool,
    /// Several gateways, who tell each other of failures.
    gateways: bool,
}

impl Judge {
    pub(crate) fn new(scene: &Scene) -> Judge {
        let (jobs, targets) = scene.sizes();
        Judge {
            calls: vec![CallSeen::default(); jobs],
            targets: vec![TargetSeen::NEW; targets],
            accusations: Vec::new(),
            now: Moment::ZERO,
            jumps: !scene.jumps.is_empty(),
            policy: scene.policy.clone(),
            recoverable: scene.recoverable,
            gateways: scene.gateways.as_ref().is_some_and(|gateways| gateways.circuits),
        }
    }

    /// What was broken, in order; empty when everything held.
    pub fn accusations(&self) -> &[Accusation] {
        &self.accusations
    }

    pub(crate) fn accuse(&mut self, invariant: u8, what: String) {
        if self.accusations.len() < KEPT {
            self.accusations.push(Accusation { invariant, at: self.now.as_nanos(), what });
        }
    }

    pub(crate) fn see(&mut self, now: Moment, note: &Note) {
        self.now = now;
        match *note {
            Note::Came { call, deadline } => self.calls[call as usize].deadline = deadline,
            Note::Waits { call, until } => self.waits(call, until),
            Note::Sent { call, target, probe, role, paid, .. } => {
                self.role(call, target, role, paid || probe);
                self.sent(call, target, probe);
            }
            Note::Delivers { call } => self.calls[call as usize].delivered = true,
            Note::Ended { call, target, probe, how } => self.ended(call, target, probe, how),
            Note::Circuit { target, state, until } => self.circuit(target, state, until),
            Note::Retry { target, cost } => self.targets[target].paid += u64::from(cost),
            Note::Done { call, answered } => self.done(call, answered),
        }
    }

    /// 5: no wait begins that cannot end in time.
    fn waits(&mut self, call: u32, until: Moment) {
        let seen = &mut self.calls[call as usize];
        seen.waits_until = until;
        let deadline = seen.deadline;
        if until > deadline + Duration::from_nanos(1) {
            self.accuse(5, format!("call {call} waits until after its deadline"));
        }
    }

    /// 1: what is extra is paid for; 4: an answer is told a second time once at most; 6: refusals
    /// of a target are waited out for `wait_max` together.
    fn role(&mut self, call: u32, target: usize, role: Role, paid: bool) {
        let now = self.now;
        let seen = &mut self.calls[call as usize];
        let refused = seen.refused.get(target).copied().flatten();
        seen.replays += u32::from(role == Role::Replay);
        let again = role == Role::Replay && seen.replays > 1;
        if matches!(role, Role::Beside | Role::Replay | Role::Continue) && !paid {
            self.accuse(1, format!("call {call}: {role:?} was not paid for"));
        }
        if again {
            self.accuse(4, format!("call {call} was told a third time"));
        }
        if role == Role::Resend
            && refused.is_some_and(|since| now > since + self.policy.retry.wait_max)
        {
            self.accuse(6, format!("call {call} waited out refusals beyond `wait_max`"));
        }
    }

    fn sent(&mut self, call: u32, target: usize, probe: bool) {
        let now = self.now;
        let seen = self.calls[call as usize];
        if seen.faulted || seen.done {
            self.accuse(3, format!("call {call} was sent again after a final end"));
        }
        if seen.delivered && !(seen.replays > 0 && self.recoverable) {
            self.accuse(4, format!("call {call} was sent again after its answer began"));
        }
        if now > seen.deadline {
            self.accuse(5, format!("call {call} was sent after its deadline"));
        }
        if let Some((at, not_before)) = seen.not_before
            && at == target
            && now < not_before
        {
            let early = not_before.since(now);
            self.accuse(6, format!("call {call} went {early:?} earlier than the hint"));
        }
        let seen = &mut self.calls[call as usize];
        seen.sent += 1;
        seen.not_before = None;
        if seen.sent > seen.ended + 2 {
            self.accuse(1, format!("call {call} has three attempts in flight"));
        }
        self.sent_to(call, target, probe);
    }

    /// 2: a circuit half-opens only when its open time is over.
    fn circuit(&mut self, target: usize, state: State, until: Moment) {
        let now = self.now;
        let seen = &mut self.targets[target];
        let leased = state == State::HalfOpen && seen.state == State::HalfOpen;
        let early = state == State::HalfOpen && !leased && now < seen.until;
        let opened = seen.state == State::Closed && state == State::Open;
        // So many in a row open it, or half of twenty.
        let breaker = &self.policy.breaker;
        let enough = breaker.failures.min(breaker.ratio_min / 2);
        let innocent = opened && !self.gateways && seen.blamed < enough;
        // What others say opens nothing that works here.
        let works = opened && seen.blamed == 0 && now < seen.well_at + breaker.window / 2;
        seen.freed = leased;
        if state == State::Closed {
            seen.blamed = 0;
        }
        (seen.state, seen.until) = (state, until);
        if innocent || works || opened && self.blamed_together() < enough {
            self.accuse(3, format!("target {target}'s circuit opened without its fault"));
        }
        if early {
            self.accuse(2, format!("target {target} was probed while open"));
        }
    }

    /// Failures of all targets, whoever had them.
    fn blamed_together(&self) -> u32 {
        self.targets.iter().fold(0, |sum, target| sum.saturating_add(target.failed))
    }

    /// 2: nothing is sent while a circuit is open, and one probe at a time.
    fn sent_to(&mut self, call: u32, target: usize, probe: bool) {
        let now = self.now;
        let seen = &mut self.targets[target];
        let (state, other, asked_until) = (seen.state, seen.probe_since, seen.asked_until);
        let other = other.filter(|_| !seen.freed);
        if probe {
            (seen.probe_since, seen.freed) = (Some(now), false);
        }
        let right = if probe { State::HalfOpen } else { State::Closed };
        if state != right {
            self.accuse(2, format!("call {call} was sent to target {target}, which is {state:?}"));
        }
        if probe && now < asked_until {
            let early = asked_until.since(now);
            self.accuse(
                6,
                format!("target {target} was probed {early:?} before the time it named"),
            );
        }
        if probe && other.is_some_and(|since| now < since + LEASE_MIN) {
            self.accuse(2, format!("two probes at target {target}"));
        }
    }

    fn ended(&mut self, call: u32, target: usize, probe: bool, how: How) {
        let now = self.now;
        self.calls[call as usize].ended += 1;
        if probe {
            self.targets[target].probe_since = None;
        }
        // A refusal beside an attempt that goes on is not waited out.
        let seen = &mut self.calls[call as usize];
        if let (How::Refused(_), true) = (how, seen.sent == seen.ended)
            && let Some(since) = seen.refused.get_mut(target)
        {
            since.get_or_insert(now);
        }
        match how {
            How::Well { first, refund } => {
                self.targets[target].well_at = now;
                self.targets[target].earned += u64::from(first) + u64::from(refund);
            }
            How::Refused(Some(wait)) => {
                self.calls[call as usize].not_before = Some((target, now + wait));
            }
            How::Failed(_) | How::TimedOut => {
                if let How::Failed(Some(wait)) = how {
                    self.asked(call, target, probe, wait);
                }
                self.targets[target].blamed += 1;
                self.targets[target].failed += 1;
                self.count(call, probe);
            }
            How::Faulted => self.calls[call as usize].faulted = true,
            How::Refused(None) | How::TooLong | How::Left => {}
        }
    }

    /// A failure named a time: this call does not go there earlier, and after a probe nobody does.
    fn asked(&mut self, call: u32, target: usize, probe: bool, wait: Duration) {
        let until = self.now + wait;
        self.calls[call as usize].not_before = Some((target, until));
        if probe {
            let until = until.min(self.now + self.policy.breaker.open_max);
            self.targets[target].asked_until = until;
        }
    }

    /// 1: a call has so many attempts at most; refusals waited out and probes are counted apart. More,
    /// and again a number at most, only where a target has failed others too.
    fn count(&mut self, call: u32, probe: bool) {
        let most = self.targets.iter().map(|target| target.failed).max().unwrap_or(0);
        let seen = &mut self.calls[call as usize];
        seen.counted += u32::from(!probe);
        let counted = seen.counted;
        let alone = most <= counted;
        let retry = &self.policy.retry;
        let max = if alone { retry.attempts_per_call_max } else { retry.brown_out_max() };
        if counted > max {
            self.accuse(1, format!("call {call} had more than {max} attempts"));
        }
    }

    /// 10: exactly one end for each call, and 5: in time.
    fn done(&mut self, call: u32, _answered: bool) {
        let now = self.now;
        let seen = &mut self.calls[call as usize];
        let again = core::mem::replace(&mut seen.done, true);
        let (deadline, sent, ended) = (seen.deadline, seen.sent, seen.ended);
        if again {
            self.accuse(10, format!("call {call} ended twice"));
        }
        if sent != ended {
            self.accuse(7, format!("call {call} is over and an attempt of it is not"));
        }
        if now > deadline + DEADLINE_SLACK && !self.jumps {
            self.accuse(5, format!("call {call} ended {:?} late", now.since(deadline)));
        }
    }

    /// Everything is over.
    pub(crate) fn close(&mut self) {
        for target in 0..self.targets.len() {
            let (paid, earned) = (self.targets[target].paid, self.targets[target].earned);
            let had = u64::from(self.policy.retry.budget_capacity);
            if paid > had + earned {
                let what = format!("target {target} paid {paid} for retries, had {had} + {earned}");
                self.accuse(1, what);
            }
        }
        for call in 0..self.calls.len() {
            let seen = self.calls[call];
            if !seen.done && seen.deadline > Moment::ZERO {
                self.accuse(10, format!("call {call} never ended"));
            }
        }
    }
}
