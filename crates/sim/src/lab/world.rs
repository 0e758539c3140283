//! The world: targets with their shared state, calls, and the loop that plays what is next.

use super::call::Call;
use super::events::{Agenda, Event};
use super::note::{Digest, Note};
use super::provider::{Decision, Ending, Provider};
use super::scene::{Scene, Traffic};
use crate::judge::Judge;
use mainstay_core::dice::Dice;
use mainstay_core::hints::RateHints;
use mainstay_core::plan::Handle;
use mainstay_core::policy::{Limits, Policy};
use mainstay_core::rules::breaker::{Peek, State};
use mainstay_core::rules::pacer::{Pacer, Ticket};
use mainstay_core::shared::TargetState;
use mainstay_core::time::Moment;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Events after which a run counts as endless.
const EVENTS_MAX: u64 = 200_000_000;

/// What calls share about a target, behind a cell: the laboratory has one thread.
#[derive(Clone, Debug)]
pub(super) struct Cell(Rc<RefCell<(TargetState, Pacer)>>);

impl Handle for Cell {
    fn target<R>(&self, rule: impl FnOnce(&mut TargetState) -> R) -> R {
        rule(&mut self.0.borrow_mut().0)
    }

    fn pacer<R>(&self, rule: impl FnOnce(&mut Pacer) -> R) -> R {
        rule(&mut self.0.borrow_mut().1)
    }
}

/// One target: the provider, and what all calls share about it.
pub(super) struct Target {
    pub(super) provider: Provider,
    pub(super) cell: Cell,
    /// Whose ticket is whose.
    pub(super) owners: BTreeMap<Ticket, u32>,
    /// The state of the circuit when it was last looked at.
    circuit: State,
}

/// One sending of a call.
pub(super) struct Attempt {
    pub(super) call: u32,
    pub(super) target: usize,
    pub(super) slot: usize,
    pub(super) probe: bool,
    pub(super) first: bool,
    /// What its retry cost, if a success gives it back.
    pub(super) refund: u32,
    pub(super) hints: RateHints,
    decision: Option<Decision>,
}

impl Attempt {
    pub(super) fn new(
        call: u32,
        target: usize,
        slot: usize,
        probe: bool,
        first: bool,
        refund: u32,
    ) -> Attempt {
        let hints = RateHints::default();
        Attempt { call, target, slot, probe, first, refund, hints, decision: None }
    }
}

/// What happened in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Calls answered.
    pub answered: u32,
    /// Calls that failed.
    pub failed: u32,
    /// Calls whose caller left.
    pub left: u32,
    /// Attempts that reached a provider.
    pub attempts: u64,
    /// Attempts that the provider failed by its own fault after letting them in.
    pub faults: u64,
    /// Attempts refused with a 429.
    pub refused: u64,
    /// Tokens that jobs cost.
    pub tokens: f64,
    /// Seconds until the last call ended.
    pub seconds: f64,
    /// Events played.
    pub events: u64,
    /// Digest of everything seen.
    pub digest: u64,
}

/// Is shown everything as it happens: seconds since the start, and what.
pub(super) type Watch<'a> = &'a mut dyn FnMut(f64, &Note);

pub(super) struct World<'a> {
    pub(super) scene: &'a Scene,
    pub(super) policy: Arc<Policy>,
    pub(super) targets: Vec<Target>,
    pub(super) calls: Vec<Call>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) agenda: Agenda,
    pub(super) dice: Dice,
    pub(super) judge: Judge,
    pub(super) tally: Tally,
    watch: Option<Watch<'a>>,
    digest: Digest,
    /// The world's time, and how far our clock is ahead of it, in nanoseconds.
    nanos: u64,
    ahead: u64,
    next_call: u32,
}

fn nanos(seconds: f64) -> u64 {
    u64::try_from(Duration::try_from_secs_f64(seconds).unwrap_or_default().as_nanos()).unwrap_or(0)
}

impl<'a> World<'a> {
    pub(super) fn new(scene: &'a Scene, watch: Option<Watch<'a>>) -> World<'a> {
        let mut policy = Policy::default();
        policy.retry.patience = scene.patience;
        policy.retry.wait_max = scene.wait_max;
        policy.hedge.enabled = scene.hedge.is_some();
        policy.hedge.delay = scene.hedge;
        let mut dice = Dice::new(scene.seed);
        let targets = scene
            .providers
            .iter()
            .map(|provider| Target {
                provider: Provider::new(provider, dice.bits()),
                cell: Cell(Rc::new(RefCell::new((
                    TargetState::new(&policy),
                    Pacer::new(&Limits::default(), Moment::ZERO),
                )))),
                owners: BTreeMap::new(),
                circuit: State::Closed,
            })
            .collect();
        World {
            judge: Judge::new(scene),
            scene,
            policy: Arc::new(policy),
            targets,
            calls: Vec::new(),
            attempts: Vec::new(),
            agenda: Agenda::default(),
            dice,
            tally: Tally::default(),
            watch,
            digest: Digest::default(),
            nanos: 0,
            ahead: 1_000_000_000_000,
            next_call: 0,
        }
    }

    /// Plays the scene to its end.
    pub(super) fn play(mut self) -> (Tally, Judge) {
        for (at, by) in &self.scene.jumps {
            self.agenda.plan(nanos(*at), Event::Jump { nanos: nanos(*by) });
        }
        match self.scene.traffic {
            Traffic::Workers(workers) => {
                for _ in 0..workers.min(self.scene.jobs) {
                    self.new_call(0);
                }
            }
            Traffic::Rate(rate) => {
                let mut at = 0.0;
                for _ in 0..self.scene.jobs {
                    at += -(1.0 - self.dice.draw()).ln() / rate;
                    self.new_call(nanos(at));
                }
            }
        }
        while let Some((at, event)) = self.agenda.next() {
            self.nanos = at;
            self.tally.events += 1;
            if self.tally.events > EVENTS_MAX {
                self.judge.accuse(7, "the run does not end".to_owned());
                break;
            }
            self.play_one(event);
        }
        self.inspect();
        self.tally.digest = self.digest.value();
        (self.tally, self.judge)
    }

    fn play_one(&mut self, event: Event) {
        match event {
            Event::Arrive { call } => self.arrive(call),
            Event::Timer { call, step } => self.timer(call, step),
            Event::Reach { attempt } => self.reach(attempt),
            Event::Finish { attempt } => self.finish(attempt),
            Event::Answer { attempt } => self.answer(attempt),
            Event::Leave { call } => self.leave(call),
            Event::Jump { nanos } => self.ahead += nanos,
        }
    }

    /// Our clock.
    pub(super) fn now(&self) -> Moment {
        Moment::from_nanos(self.nanos + self.ahead)
    }

    fn seconds(&self) -> f64 {
        self.nanos as f64 / 1e9
    }

    pub(super) fn see(&mut self, note: Note) {
        let now = self.now();
        if let Some(watch) = &mut self.watch {
            watch(self.nanos as f64 / 1e9, &note);
        }
        self.digest.add(now, &note);
        self.judge.see(now, &note);
    }

    /// A timer of ours, somewhat late as timers are.
    pub(super) fn timer_at(&mut self, until: Moment, call: u32, step: u32) {
        let late = self.dice.below(u64::try_from(self.scene.timer_late.as_nanos()).unwrap_or(0));
        let due = until.as_nanos().saturating_sub(self.ahead).max(self.nanos);
        self.agenda.plan(due.saturating_add(late), Event::Timer { call, step });
    }

    /// A task that is woken runs some microseconds later.
    pub(super) fn wake_at(&mut self, call: u32, step: u32) {
        let soon = self.nanos + self.dice.below(50_000);
        self.agenda.plan(soon, Event::Timer { call, step });
    }

    pub(super) fn new_call(&mut self, at: u64) {
        if self.next_call >= self.scene.jobs {
            return;
        }
        let number = self.next_call;
        self.next_call += 1;
        let call = Call::new(self.scene, &mut self.dice);
        self.tally.tokens += call.tokens as f64;
        self.calls.push(call);
        self.agenda.plan(at, Event::Arrive { call: number });
    }

    /// A caller of a closed loop takes its next job.
    pub(super) fn next_job(&mut self) {
        self.tally.seconds = self.seconds();
        if matches!(self.scene.traffic, Traffic::Workers(_)) {
            self.new_call(self.nanos);
        }
    }

    pub(super) fn leave_after(&mut self, call: u32, seconds: f64) {
        self.agenda.plan(self.nanos + nanos(seconds), Event::Leave { call });
    }

    pub(super) fn send(&mut self, attempt: Attempt) -> u32 {
        let number = u32::try_from(self.attempts.len()).unwrap_or(u32::MAX);
        let provider = &mut self.targets[attempt.target].provider;
        let way = provider.scene().network;
        let way = nanos(provider.between(way));
        self.attempts.push(attempt);
        self.agenda.plan(self.nanos + way, Event::Reach { attempt: number });
        number
    }

    fn reach(&mut self, number: u32) {
        let seconds = self.seconds();
        let attempt = &mut self.attempts[number as usize];
        let tokens = self.calls[attempt.call as usize].tokens;
        let provider = &mut self.targets[attempt.target].provider;
        let decision = provider.reach(tokens, seconds);
        self.tally.attempts += 1;
        match decision.ending {
            Ending::Failed | Ending::Cut => self.tally.faults += 1,
            Ending::Silent if decision.active => self.tally.faults += 1,
            Ending::Refused(_) => self.tally.refused += 1,
            Ending::Success { .. } | Ending::Unavailable | Ending::Silent | Ending::Faulted => {}
        }
        attempt.decision = Some(decision);
        self.agenda.plan(self.nanos + nanos(decision.after), Event::Finish { attempt: number });
    }

    fn finish(&mut self, number: u32) {
        let seconds = self.seconds();
        let attempt = &mut self.attempts[number as usize];
        let provider = &mut self.targets[attempt.target].provider;
        let Some(decision) = attempt.decision else { return };
        attempt.hints = provider.finish(decision.active, seconds);
        let way = match decision.ending {
            Ending::Silent => return, // the plan's timers end it
            Ending::Success { .. }
            | Ending::Refused(_)
            | Ending::Failed
            | Ending::Cut
            | Ending::Unavailable
            | Ending::Faulted => nanos(provider.between(provider.scene().network)),
        };
        self.agenda.plan(self.nanos + way, Event::Answer { attempt: number });
    }

    fn answer(&mut self, number: u32) {
        let attempt = &self.attempts[number as usize];
        let Some(decision) = attempt.decision else { return };
        self.answered(number, decision.ending);
    }

    /// Sees what changed at the targets, and wakes those who wait for it.
    pub(super) fn settle(&mut self) {
        self.watch_circuits();
        let now = self.now();
        for target in 0..self.targets.len() {
            let cell = self.targets[target].cell.clone();
            if cell.target(|state| std::mem::take(&mut state.circuit_moved)) {
                for id in 0..self.calls.len() {
                    if self.calls[id].waits_for_circuit(target) {
                        self.wake(u32::try_from(id).unwrap_or(u32::MAX));
                    }
                }
            }
            let Some(ticket) = cell.pacer(|pacer| pacer.next_wake(now)) else { continue };
            let owner = self.targets[target].owners.get(&ticket).copied();
            match owner.filter(|id| self.calls[*id as usize].waits_for(target, ticket)) {
                Some(id) => self.wake(id),
                None => self.judge.accuse(7, format!("{ticket:?} waits and belongs to nobody")),
            }
        }
    }

    /// Tells the judge of circuits that changed.
    pub(super) fn watch_circuits(&mut self) {
        let now = self.now();
        for target in 0..self.targets.len() {
            let cell = &self.targets[target].cell;
            let (state, peek) =
                cell.target(|state| (state.breaker.state(), state.breaker.peek(now)));
            let before = std::mem::replace(&mut self.targets[target].circuit, state);
            if before == state {
                continue;
            }
            let until = match peek {
                Peek::Open { until } => until,
                Peek::Closed | Peek::Probe => now,
            };
            self.see(Note::Circuit { target, state, until });
        }
    }

    /// Nothing may be left over when everything is over.
    fn inspect(&mut self) {
        let mut left = Vec::new();
        for (index, target) in self.targets.iter().enumerate() {
            let pacer = target.cell.pacer(|pacer| pacer.snapshot(self.now()));
            let counts = target.cell.target(|state| {
                [
                    ("calls in the retry budget", state.budget.calls()),
                    ("retries in the retry budget", state.budget.retries()),
                    ("calls waiting for the circuit", state.breaker.waiting()),
                    ("attempts in flight", state.in_flight),
                    ("grants", pacer.in_flight),
                    ("waiting calls", pacer.queued),
                ]
            });
            for (what, count) in counts {
                if count > 0 {
                    left.push(format!("target {index}: {count} {what} left over"));
                }
            }
        }
        for accusation in left {
            self.judge.accuse(7, accusation);
        }
        self.judge.close();
    }
}
