//! One call of the laboratory: a plan of `core`, and the little it takes to walk it in virtual time.

use super::note::{How, Note};
use super::provider::Ending;
use super::scene::Scene;
use super::tenants::{About, chance};
use super::verdicts;
use super::world::{Attempt, Cell, World};
use mainstay_core::dice::Dice;
use mainstay_core::hints::RateHints;
use mainstay_core::plan::{
    Candidate, Ending as End, Facts, Handle, On, Plan, Role, Seen, Start, Step,
};
use mainstay_core::rules::breaker::State;
use mainstay_core::rules::pacer::Ticket;
use mainstay_core::time::Moment;
use std::ops::Range;
use std::sync::Arc;

/// Steps of one plan without a wait between, after which it counts as endless.
const STEPS_MAX: u32 = 10_000;

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) tokens: u64,
    estimate: u64,
    /// Its tenant's targets.
    targets: Range<usize>,
    /// Which of them its plan calls 0: keys of one account take turns, as in the gateway.
    turn: usize,
    stream: bool,
    recoverable: bool,
    leaves_after: Option<f64>,
    plan: Option<Plan<Cell>>,
    /// The attempt in each slot of the plan.
    slots: [Option<u32>; 2],
    /// What it waits for; a timer of an older step is stale.
    on: Option<On>,
    step: u32,
}

impl Call {
    pub(super) fn new(scene: &Scene, targets: Range<usize>, turn: usize, dice: &mut Dice) -> Call {
        let mut between = |(low, high): (f64, f64)| low + (high - low) * dice.draw();
        let tokens = between(scene.tokens).max(1.0);
        let estimate = (tokens * between(scene.estimate)).max(1.0);
        let leaves = between((0.0, 1.0)) < scene.leavers;
        let leaves_after = leaves.then(|| between((0.0, 20.0)));
        let stream = between((0.0, 1.0)) < scene.streams;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least 1")]
        let (tokens, estimate) = (tokens as u64, estimate as u64);
        Call {
            tokens,
            estimate,
            targets,
            turn,
            stream,
            recoverable: stream && scene.recoverable,
            leaves_after,
            plan: None,
            slots: [None, None],
            on: None,
            step: 0,
        }
    }

    /// The target that its plan knows by a number.
    fn target(&self, track: usize) -> usize {
        self.targets.start + (self.turn + track) % self.targets.len()
    }

    /// The target in whose queue it waits with this ticket.
    pub(super) fn waits_at(&self, ticket: Ticket) -> Option<usize> {
        match self.on {
            Some(On::Pacer { track, ticket: own }) if own == ticket => Some(self.target(track)),
            Some(On::Pacer { .. } | On::Attempts | On::Time | On::Circuit { .. }) | None => None,
        }
    }

    /// The attempts behind it, if it waits for the circuit of this target.
    pub(super) fn waits_for_circuit(&self, target: usize) -> Option<u32> {
        match self.on {
            Some(On::Circuit { track, attempts }) => {
                (self.target(track) == target).then_some(attempts)
            }
            Some(On::Pacer { .. } | On::Attempts | On::Time) | None => None,
        }
    }
}

impl World<'_> {
    pub(super) fn arrive(&mut self, id: u32) {
        let deadline = self.now() + self.scene.deadline;
        let call = &self.calls[id as usize];
        let facts = Facts {
            stream: call.stream,
            replayable: true,
            repeatable: true,
            recoverable: call.recoverable,
            tokens: call.estimate,
            bytes: call.tokens * 4,
            deadline,
            answer_by: Moment::FAR,
            silence_max: None,
        };
        let candidate = |track: usize| {
            let target = &self.targets[call.target(track)];
            let window = target.provider.scene().window;
            Candidate { handle: target.cell.clone(), window, prefill: false }
        };
        let candidates = (0..call.targets.len()).map(candidate).collect();
        let dice = chance(self.scene.seed, About::Plan, id.into(), 0);
        let leaves_after = call.leaves_after;
        let plan = Plan::new(facts, Arc::clone(&self.policy), candidates, dice);
        self.calls[id as usize].plan = Some(plan);
        self.see(Note::Came { call: id, deadline });
        if let Some(seconds) = leaves_after {
            self.leave_after(id, seconds);
        }
        self.walk(id);
    }

    pub(super) fn timer(&mut self, id: u32, step: u32) {
        if self.calls[id as usize].step == step {
            self.walk(id);
        }
    }

    /// Wakes a call before its time.
    pub(super) fn wake(&mut self, id: u32) {
        let call = &mut self.calls[id as usize];
        call.step += 1;
        let step = call.step;
        self.wake_at(id, step);
    }

    /// Does what the plan says until it waits or is over.
    fn walk(&mut self, id: u32) {
        let now = self.now();
        let tenant = self.tenant_of(id);
        self.calls[id as usize].on = None;
        for _ in 0..STEPS_MAX {
            let before = self.budgets(id);
            let Some(plan) = &mut self.calls[id as usize].plan else { return };
            match plan.step(now) {
                Step::Start(start) => self.start(id, start, &before),
                Step::Cancel { slot } => {
                    if let Some(attempt) = self.calls[id as usize].slots[slot].take() {
                        self.over(attempt, How::TimedOut);
                    }
                }
                Step::Deliver { .. } => self.see(Note::Delivers { call: id }),
                Step::Done(ending) => return self.done(id, matches!(ending, End::Answered)),
                Step::Wait { until, on } => {
                    self.sleep(id, until, on);
                    return self.settle(tenant);
                }
            }
        }
        self.judge.accuse(7, format!("call {id} does not settle"));
        self.done(id, false);
    }

    /// Retries under way at each of a call's targets, and what is left in their budgets.
    fn budgets(&self, id: u32) -> [(u32, u32); 4] {
        let mut budgets = [(0, 0); 4];
        let own = self.calls[id as usize].targets.clone();
        for (budget, target) in budgets.iter_mut().zip(&self.targets[own]) {
            *budget = target.cell.target(|state| (state.budget.retries(), state.budget.level()));
        }
        budgets
    }

    fn start(&mut self, id: u32, start: Start, before: &[(u32, u32); 4]) {
        let call = &self.calls[id as usize];
        let (target, first_target) = (call.target(start.track), call.targets.start);
        let (retries, level) = self.targets[target]
            .cell
            .target(|state| (state.budget.retries(), state.budget.level()));
        let (retries_before, level_before) =
            before.get(target - first_target).copied().unwrap_or_default();
        let paid = retries > retries_before;
        let cost = if paid { level_before.saturating_sub(level) } else { 0 };
        if paid {
            self.see(Note::Retry { target, cost });
        }
        // An attempt beside another can be the probe too; nothing else goes through a half-open one.
        let state = self.targets[target].cell.target(|state| state.breaker.state());
        let probe = start.role == Role::Probe || state == State::HalfOpen;
        // The circuit half-opened by this step: the judge hears of it before the attempt goes.
        self.watch_circuits(self.tenant_of(id));
        let cause = start.cause;
        self.see(Note::Sent { call: id, target, probe, role: start.role, cause, paid });
        let first = self.calls[id as usize].plan.as_ref().is_some_and(|plan| plan.sent() == 1);
        let refund = if start.role == Role::Beside { 0 } else { cost };
        let attempt = Attempt::new(id, target, start.slot, probe, first, refund);
        let number = self.send(attempt);
        self.calls[id as usize].slots[start.slot] = Some(number);
    }

    fn sleep(&mut self, id: u32, until: Moment, on: On) {
        let call = &mut self.calls[id as usize];
        call.step += 1;
        call.on = Some(on);
        let step = call.step;
        if let On::Pacer { track, ticket } = on {
            let target = call.target(track);
            self.targets[target].cell.own(ticket, id);
        }
        if on != On::Attempts {
            self.see(Note::Waits { call: id, until });
        }
        if until < Moment::FAR {
            self.timer_at(until, id, step);
        }
    }

    /// What a provider did with an attempt arrives.
    pub(super) fn answered(&mut self, number: u32, ending: Ending) {
        let attempt = &self.attempts[number as usize];
        let (id, slot, hints) = (attempt.call, attempt.slot, attempt.hints);
        let (first, refund) = (attempt.first, attempt.refund);
        if self.calls[id as usize].slots[slot] != Some(number) {
            return; // dropped before
        }
        let now = self.now();
        let call = &mut self.calls[id as usize];
        let stream = call.stream;
        let Some(plan) = &mut call.plan else { return };
        let how = match ending {
            Ending::Success { tokens } => {
                plan.saw(Seen::Head { slot, hints: &hints }, now);
                if stream {
                    plan.saw(Seen::Content { slot }, now);
                    plan.saw(Seen::Terminal { slot }, now);
                }
                plan.saw(Seen::Finished { slot, tokens: Some(tokens) }, now);
                How::Well { first, refund }
            }
            Ending::Cut => {
                if stream {
                    plan.saw(Seen::Head { slot, hints: &hints }, now);
                    plan.saw(Seen::Content { slot }, now);
                    self.walk(id); // what came is delivered before the cut is noticed
                }
                self.saw_failure(id, slot, verdicts::cut(), &RateHints::default(), now);
                How::Failed(None)
            }
            Ending::Refused(refusal) => {
                self.saw_failure(id, slot, verdicts::refused(&refusal), &hints, now);
                How::Refused(refusal.wait)
            }
            Ending::Failed => {
                self.saw_failure(id, slot, verdicts::internal(), &hints, now);
                How::Failed(None)
            }
            Ending::Unavailable(wait) => {
                self.saw_failure(id, slot, verdicts::unavailable(wait), &hints, now);
                How::Failed(wait)
            }
            Ending::TooLong => {
                self.saw_failure(id, slot, verdicts::too_long(), &hints, now);
                How::TooLong
            }
            Ending::Faulted => {
                self.saw_failure(id, slot, verdicts::faulted(), &hints, now);
                How::Faulted
            }
            Ending::Silent => return,
        };
        self.calls[id as usize].slots[slot] = None;
        self.over(number, how);
        self.walk(id);
    }

    fn saw_failure(
        &mut self,
        id: u32,
        slot: usize,
        verdict: mainstay_core::classify::Verdict,
        hints: &RateHints,
        now: Moment,
    ) {
        if let Some(plan) = &mut self.calls[id as usize].plan {
            plan.saw(Seen::Failed { slot, verdict, hints }, now);
        }
    }

    /// An attempt is over for us.
    fn over(&mut self, number: u32, how: How) {
        let attempt = &self.attempts[number as usize];
        let (call, target, probe) = (attempt.call, attempt.target, attempt.probe);
        self.see(Note::Ended { call, target, probe, how });
    }

    /// The caller leaves, wherever its call stands.
    pub(super) fn leave(&mut self, id: u32) {
        if self.calls[id as usize].plan.is_some() {
            self.tally.left += u32::from(self.tenant_of(id) == 0);
            self.done(id, false);
        }
    }

    fn done(&mut self, id: u32, answered: bool) {
        let now = self.now();
        let call = &mut self.calls[id as usize];
        call.step += 1;
        call.on = None;
        let live = call.slots.map(|slot| slot);
        call.slots = [None, None];
        if let Some(mut plan) = call.plan.take() {
            plan.abandon(now);
        }
        for attempt in live.into_iter().flatten() {
            self.over(attempt, How::Left);
        }
        self.see(Note::Done { call: id, answered });
        self.settle(self.tenant_of(id));
        self.call_over(id, answered);
    }
}
