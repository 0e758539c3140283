//! The world: targets with their shared state, calls, and the loop that plays what is next.

use super::call::Call;
use super::circuits::Talk;
use super::events::{Agenda, Event};
use super::gateways::Exchange;
use super::note::{Digest, Note};
use super::provider::{Account, Decision, Ending, Provider};
use super::scene::{Scene, Traffic};
use super::tenants::{self, About, Tenant, chance};
use crate::judge::Judge;
use mainstay_core::hints::RateHints;
use mainstay_core::plan::Handle;
use mainstay_core::policy::{Limits, Policy};
use mainstay_core::rules::breaker::{Peek, State};
use mainstay_core::rules::pacer::{Pacer, Ticket};
use mainstay_core::shared::{TargetState, Wake};
use mainstay_core::time::Moment;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Events after which a run counts as endless.
const EVENTS_MAX: u64 = 200_000_000;

/// What calls share about a target, behind cells: the laboratory has one thread. Targets of one
/// account have one pacer.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    state: Rc<RefCell<TargetState>>,
    pacer: Rc<RefCell<Paced>>,
}

/// A pacer, and whose ticket is whose.
#[derive(Debug)]
struct Paced {
    pacer: Pacer,
    owners: BTreeMap<Ticket, u32>,
}

impl Cell {
    fn new(policy: &Policy, limits: &Limits) -> Cell {
        let pacer = Pacer::new(limits, Moment::ZERO);
        Cell {
            state: Rc::new(RefCell::new(TargetState::new(policy))),
            pacer: Rc::new(RefCell::new(Paced { pacer, owners: BTreeMap::new() })),
        }
    }

    /// Remembers whose a ticket is.
    pub(super) fn own(&self, ticket: Ticket, call: u32) {
        self.pacer.borrow_mut().owners.insert(ticket, call);
    }

    fn owner(&self, ticket: Ticket) -> Option<u32> {
        self.pacer.borrow().owners.get(&ticket).copied()
    }
}

impl Handle for Cell {
    fn target<R>(&self, rule: impl FnOnce(&mut TargetState) -> R) -> R {
        rule(&mut self.state.borrow_mut())
    }

    fn pacer<R>(&self, rule: impl FnOnce(&mut Pacer) -> R) -> R {
        rule(&mut self.pacer.borrow_mut().pacer)
    }
}

/// One target: the provider, and what all calls share about it.
pub(super) struct Target {
    pub(super) provider: Provider,
    pub(super) cell: Cell,
    /// The state of the circuit when it was last looked at.
    pub(super) circuit: State,
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

/// What happened in a run, without the neighbour's part.
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
    /// Messages of gateways to each other's place.
    pub messages: u64,
    /// Messages of gateways to each other about circuits.
    pub words: u64,
    /// Events played.
    pub events: u64,
    /// Digest of everything seen of the scene's own calls and targets.
    pub digest: u64,
    /// The same without the waits: what was done, and when.
    pub acts: u64,
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
    pub(super) tenants: Vec<Tenant>,
    pub(super) judge: Judge,
    pub(super) tally: Tally,
    pub(super) exchange: Exchange,
    pub(super) talk: Talk,
    watch: Option<Watch<'a>>,
    digest: Digest,
    acts: Digest,
    /// The world's time, and how far our clock is ahead of it, in nanoseconds.
    pub(super) nanos: u64,
    ahead: u64,
}

pub(super) fn nanos(seconds: f64) -> u64 {
    u64::try_from(Duration::try_from_secs_f64(seconds).unwrap_or_default().as_nanos()).unwrap_or(0)
}

impl<'a> World<'a> {
    pub(super) fn new(scene: &'a Scene, watch: Option<Watch<'a>>) -> World<'a> {
        let policy = scene.policy.clone();
        let mut targets: Vec<Target> = Vec::new();
        for (index, provider) in tenants::providers(scene).enumerate() {
            let dice = chance(scene.seed, About::Provider, index as u64, 0);
            let (mut account, mut cell) =
                (Rc::new(RefCell::new(Account::new(provider))), Cell::new(&policy, &scene.limits));
            // The scene's own targets come first; a neighbour's are his alone.
            let together = scene.shared || scene.gateways.is_some();
            if let Some(first) = targets.first().filter(|_| together)
                && index < scene.targets()
            {
                account = first.provider.account();
                if scene.gateways.is_none() {
                    cell.pacer = Rc::clone(&first.cell.pacer);
                }
            }
            let cut_off = scene.gateways.iter().flat_map(|gateways| &gateways.cut_off);
            let mut provider = provider.clone();
            provider.outages.extend(
                cut_off
                    .filter(|(gateway, ..)| *gateway as usize == index)
                    .map(|(_, from, to)| (*from, *to, false)),
            );
            let provider = Provider::new(&provider, account, dice);
            targets.push(Target { provider, cell, circuit: State::Closed });
        }
        let tenants = tenants::tenants(scene);
        World {
            judge: Judge::new(scene),
            scene,
            policy: Arc::new(policy),
            targets,
            calls: tenants::calls(scene, &tenants),
            attempts: Vec::new(),
            agenda: Agenda::default(),
            tenants,
            tally: Tally::default(),
            exchange: Exchange::default(),
            talk: Talk::default(),
            watch,
            digest: Digest::default(),
            acts: Digest::default(),
            nanos: 0,
            ahead: 1_000_000_000_000,
        }
    }

    /// Plays the scene to its end.
    pub(super) fn play(mut self) -> (Tally, Judge) {
        for (at, by) in &self.scene.jumps {
            self.agenda.plan(nanos(*at), Event::Jump { nanos: nanos(*by) });
        }
        self.meet();
        for tenant in 0..self.tenants.len() {
            self.open_doors(tenant);
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
        self.tally.acts = self.acts.value();
        (self.tally, self.judge)
    }

    /// Plans the first calls of a tenant, or all of them where they come by themselves.
    fn open_doors(&mut self, tenant: usize) {
        let Tenant { traffic, calls, .. } = self.tenants[tenant].clone();
        match traffic {
            Traffic::Workers(workers) => {
                for _ in calls.take(workers as usize) {
                    self.new_call(tenant, 0);
                }
            }
            Traffic::Rate(rate) => {
                let mut dice = chance(self.scene.seed, About::Arrivals, tenant as u64, 0);
                let mut at = 0.0;
                for _ in calls {
                    at += -(1.0 - dice.draw()).ln() / rate;
                    self.new_call(tenant, nanos(at));
                }
            }
        }
    }

    /// Which tenant a call belongs to.
    pub(super) fn tenant_of(&self, call: u32) -> usize {
        usize::from(!self.tenants[0].calls.contains(&call))
    }

    /// Whether a note is about the scene's own calls and targets.
    fn is_own(&self, note: &Note) -> bool {
        match *note {
            Note::Came { call, .. }
            | Note::Waits { call, .. }
            | Note::Sent { call, .. }
            | Note::Delivers { call }
            | Note::Ended { call, .. }
            | Note::Done { call, .. } => self.tenant_of(call) == 0,
            Note::Circuit { target, .. } | Note::Retry { target, .. } => {
                self.tenants[0].targets.contains(&target)
            }
        }
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
            Event::Tell { gateway } => self.tell(gateway),
            Event::Told { gateway } => self.told(gateway),
            Event::Word { gateway, word } => self.hear(gateway, word),
        }
    }

    /// Our clock.
    pub(super) fn now(&self) -> Moment {
        Moment::from_nanos(self.nanos + self.ahead)
    }

    pub(super) fn seconds(&self) -> f64 {
        self.nanos as f64 / 1e9
    }

    pub(super) fn see(&mut self, note: Note) {
        let now = self.now();
        if let Some(watch) = &mut self.watch {
            watch(self.nanos as f64 / 1e9, &note);
        }
        if self.is_own(&note) {
            self.digest.add(now, &note);
            if !matches!(note, Note::Waits { .. }) {
                self.acts.add(now, &note);
            }
        }
        self.judge.see(now, &note);
    }

    /// A timer of ours, somewhat late as timers are.
    pub(super) fn timer_at(&mut self, until: Moment, call: u32, step: u32) {
        let most = u64::try_from(self.scene.timer_late.as_nanos()).unwrap_or(0);
        let late = chance(self.scene.seed, About::Timer, call.into(), until.as_nanos()).below(most);
        let due = until.as_nanos().saturating_sub(self.ahead).max(self.nanos);
        self.agenda.plan(due.saturating_add(late), Event::Timer { call, step });
    }

    /// A task that is woken runs some microseconds later.
    pub(super) fn wake_at(&mut self, call: u32, step: u32) {
        let dice = &mut chance(self.scene.seed, About::Wake, call.into(), self.nanos);
        let soon = self.nanos + dice.below(50_000);
        self.agenda.plan(soon, Event::Timer { call, step });
    }

    fn new_call(&mut self, tenant: usize, at: u64) {
        let Some(whose) = self.tenants.get_mut(tenant) else { return };
        if !whose.calls.contains(&whose.next) {
            return;
        }
        let number = whose.next;
        whose.next += 1;
        if tenant == 0 {
            self.tally.tokens += self.calls[number as usize].tokens as f64;
        }
        self.agenda.plan(at, Event::Arrive { call: number });
    }

    /// A call is over: a caller of a closed loop takes its next job.
    pub(super) fn call_over(&mut self, call: u32, answered: bool) {
        let tenant = self.tenant_of(call);
        if tenant == 0 {
            self.tally.seconds = self.seconds();
            self.tally.answered += u32::from(answered);
            self.tally.failed += u32::from(!answered);
        }
        if matches!(self.tenants[tenant].traffic, Traffic::Workers(_)) {
            self.new_call(tenant, self.nanos);
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
        attempt.decision = Some(decision);
        let call = attempt.call;
        self.agenda.plan(self.nanos + nanos(decision.after), Event::Finish { attempt: number });
        if self.tenant_of(call) == 0 {
            self.count(decision);
        }
    }

    fn count(&mut self, decision: Decision) {
        self.tally.attempts += 1;
        match decision.ending {
            Ending::Failed | Ending::Cut => self.tally.faults += 1,
            Ending::Silent if decision.active => self.tally.faults += 1,
            Ending::Refused(_) => self.tally.refused += 1,
            Ending::Success { .. }
            | Ending::Unavailable(_)
            | Ending::Silent
            | Ending::Faulted
            | Ending::TooLong => {}
        }
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
            | Ending::Unavailable(_)
            | Ending::Faulted
            | Ending::TooLong => nanos(provider.between(provider.scene().network)),
        };
        self.agenda.plan(self.nanos + way, Event::Answer { attempt: number });
    }

    fn answer(&mut self, number: u32) {
        let attempt = &self.attempts[number as usize];
        let Some(decision) = attempt.decision else { return };
        self.answered(number, decision.ending);
    }

    /// Whether a call waits with this ticket at the pacer of this cell.
    fn waits_for(&self, call: u32, cell: &Cell, ticket: Ticket) -> bool {
        let place = self.calls[call as usize].waits_at(ticket);
        place.is_some_and(|target| Rc::ptr_eq(&self.targets[target].cell.pacer, &cell.pacer))
    }

    /// Sees what changed at a tenant's targets, and wakes those who wait for it.
    pub(super) fn settle(&mut self, tenant: usize) {
        self.watch_circuits(tenant);
        self.say();
        let now = self.now();
        let Tenant { targets, calls, .. } = self.tenants[tenant].clone();
        for target in targets {
            let cell = self.targets[target].cell.clone();
            let wake = cell.target(|state| std::mem::take(&mut state.circuit_wake));
            for id in self.woken(wake, target, &calls) {
                self.wake(id);
            }
            let Some(ticket) = cell.pacer(|pacer| pacer.next_wake(now)) else { continue };
            match cell.owner(ticket).filter(|id| self.waits_for(*id, &cell, ticket)) {
                Some(id) => self.wake(id),
                None => self.judge.accuse(7, format!("{ticket:?} waits and belongs to nobody")),
            }
        }
    }

    /// Who of a tenant's calls that wait for a circuit are to look at it.
    fn woken(&self, wake: Wake, target: usize, calls: &Range<u32>) -> Vec<u32> {
        let most = match wake {
            Wake::Nobody => return Vec::new(),
            Wake::Few => Wake::FEW,
            Wake::Everybody => usize::MAX,
        };
        let waiting =
            |id: u32| self.calls[id as usize].waits_for_circuit(target).map(|ranks| (ranks, id));
        let mut woken: Vec<(u32, u32)> = calls.clone().filter_map(waiting).collect();
        if most < woken.len() {
            woken.sort_unstable();
            woken.truncate(most);
        }
        woken.into_iter().map(|(_, id)| id).collect()
    }

    /// Tells the judge of circuits that changed.
    pub(super) fn watch_circuits(&mut self, tenant: usize) {
        let now = self.now();
        for target in self.tenants[tenant].targets.clone() {
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
