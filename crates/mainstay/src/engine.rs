//! The engine: providers, routes and everything learnt about them; makes a [`Walk`] of each call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use mainstay_core::dice::Dice;
use mainstay_core::plan::{Candidate, Facts, Handle, Plan};
use mainstay_core::policy::{Policy, Strategy};
use mainstay_core::rules::breaker::{Advice, Effect, State, Word};
use mainstay_core::rules::pacer::PacerSnapshot;
use mainstay_core::time::Moment;
use mainstay_core::validate::Level;
use mainstay_core::wire::repeat::{is_repeatable, only_answers};
use mainstay_core::wire::stream::Family;
use mainstay_tokens::models::Window;

use crate::call::{Call, CallBody, Pin, TargetLook};
use crate::clock::Clock;
use crate::directory::{Directory, Edition, KnownModels, Leg, Way};
use crate::spec::{EngineSpec, ProviderSpec};
use crate::targets::{Account, Registry, Shared, Target};
use crate::upstream::Upstream;
use crate::walk::Walk;

/// Decides where calls go and keeps what was learnt. Shared by all threads.
#[derive(Debug)]
pub struct Engine {
    clock: Clock,
    directory: ArcSwap<Directory>,
    registry: Registry,
    calls: AtomicU64,
    seed: u64,
}

/// Targets of a call, before it starts.
pub(crate) struct Candidates {
    pub(crate) targets: Vec<Candidate<Shared>>,
    pub(crate) policy: Arc<Policy>,
}

/// What an engine was told, as of one moment. Not to be kept.
#[derive(Debug)]
pub struct View(Guard<Arc<Directory>>);

impl View {
    /// As [`Engine::validation`].
    pub fn validation(&self, model: Option<&str>) -> Level {
        let View(directory) = self;
        let route = model.and_then(|model| directory.route(model));
        route.map_or(&directory.policy, |way| &way.policy).validate.level
    }
}

/// What is known of a target before it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The provider's name for the model.
    pub model: String,
    /// Its context window and output limit; `None` when nobody knows them.
    pub window: Option<Window>,
}

/// State of one target, for metrics and people.
#[derive(Clone, Debug)]
pub struct TargetSnapshot {
    /// The provider's name.
    pub provider: String,
    /// Which of its credentials, from 0.
    pub credential: usize,
    /// The model; `None` for endpoints without one.
    pub model: Option<String>,
    /// The circuit breaker.
    pub circuit: State,
    /// Attempts under way.
    pub in_flight: u32,
    /// What is left of the retry budget.
    pub retry_budget: u32,
    /// Retries that the budget denied.
    pub retries_denied: u64,
    /// It has answered before, so that its model exists.
    pub answered: bool,
    /// The pacer. Targets that count against one limit show the same one.
    pub pacer: PacerSnapshot,
}

/// What is to be told to other processes of one target's circuit.
#[derive(Clone, Copy, Debug)]
pub struct CircuitNews<'a> {
    /// The provider's name.
    pub provider: &'a str,
    /// Which of its credentials, from 0.
    pub credential: usize,
    /// The model; `None` for endpoints without one.
    pub model: Option<&'a str>,
    /// What is to be told.
    pub advice: Advice,
}

impl TargetSnapshot {
    /// Whether the circuit lets every call pass.
    pub fn is_closed(&self) -> bool {
        self.circuit == State::Closed
    }
}

impl Engine {
    /// An engine over what the configuration names.
    pub fn new(spec: EngineSpec) -> Arc<Engine> {
        let clock = Clock::new();
        Arc::new(Engine {
            clock,
            directory: ArcSwap::from_pointee(Directory::of(spec)),
            registry: Registry::new(clock),
            calls: AtomicU64::new(0),
            seed: entropy(),
        })
    }

    /// The engine's clock; [`Call::arrived`] is a moment on it.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The time on the engine's clock.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Takes new providers, routes and policies. Calls under way keep the old ones; what was learnt
    /// about limits stays with providers whose caps did not change.
    pub fn reload(&self, spec: EngineSpec) {
        self.directory.store(Arc::new(Directory::of(spec)));
    }

    /// What is known of models without asking anybody, and who has to be asked for the rest.
    pub fn known_models(&self) -> KnownModels {
        self.directory.load().known_models()
    }

    /// The providers' names, in the order of the configuration.
    pub fn provider_names(&self) -> Vec<String> {
        let directory = self.directory.load();
        directory.providers.iter().map(|provider| provider.name.clone()).collect()
    }

    /// The name by which callers reach a provider's model; `None` where no name leads there.
    pub fn name_of(&self, provider: &str, model: &str) -> Option<String> {
        self.directory.load().name_of(provider, model)
    }

    /// Providers that answer for a model as a caller names it, and the model each is asked for, in
    /// the order of the configuration. Empty: nobody does.
    pub fn resolve(&self, model: &str) -> Vec<(String, String)> {
        let directory = self.directory.load();
        let name = |(provider, model): (&Arc<ProviderSpec>, String)| (provider.name.clone(), model);
        directory.targets(model).into_iter().map(name).collect()
    }

    /// Whether there is nothing but one provider that answers for every model under its own name.
    pub fn has_one_open_provider(&self) -> bool {
        let directory = self.directory.load();
        let known = directory.known_models();
        known.named.is_empty() && directory.providers.len() == 1
    }

    /// How much is checked before a call for this model is sent: by its route, else by the policy of
    /// calls without one.
    pub fn validation(&self, model: Option<&str>) -> Level {
        self.view().validation(model)
    }

    /// The configuration of this moment, for several questions in a row.
    pub fn view(&self) -> View {
        View(self.directory.load())
    }

    /// What is known of the targets that a call for this model may go to.
    pub fn reach(&self, model: &str) -> Vec<Reach> {
        let directory = self.directory.load();
        let reach = |(provider, model): (&Arc<ProviderSpec>, String)| Reach {
            window: provider.window(&model),
            model,
        };
        directory.targets(model).into_iter().map(reach).collect()
    }

    /// The smallest context window that is known of any model, in tokens: what is shorter fits
    /// everywhere and needs no further look.
    pub fn smallest_window(&self) -> u64 {
        self.directory.load().smallest_window
    }

    /// Starts a call. Nothing happens before the walk is polled; dropping it gives everything back.
    pub fn call<U: Upstream>(
        self: &Arc<Self>,
        upstream: &Arc<U>,
        call: impl Into<Box<Call>>,
    ) -> Walk<U> {
        let call = call.into();
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let mut dice = Dice::new(self.seed ^ number);
        let candidates = self.candidates(&call, number, &mut dice);
        self.walk(upstream, call, candidates, dice)
    }

    fn walk<U: Upstream>(
        &self,
        upstream: &Arc<U>,
        call: Box<Call>,
        candidates: Candidates,
        dice: Dice,
    ) -> Walk<U> {
        let policy = candidates.policy;
        let facts = facts(&call, &policy);
        let plan = Plan::new(facts, Arc::clone(&policy), candidates.targets, dice);
        Walk::new(self.clock, Arc::clone(upstream), call, policy, plan)
    }

    /// Which configuration is in use: another one after each reload.
    pub fn edition(&self) -> Edition {
        self.directory.load().edition.clone()
    }

    /// Whether it is still this one.
    pub fn is_edition(&self, edition: &Edition) -> bool {
        self.directory.load().edition == *edition
    }

    /// Hands over where a call of `model` may go: the provider's name, and the model it is asked for.
    pub fn places(&self, model: Option<&str>, each: &mut dyn FnMut(&str, Option<&str>)) {
        let directory = self.directory.load();
        match model {
            None => {
                if let Some(provider) = directory.providers.first() {
                    each(&provider.name, None);
                }
            }
            Some(model) => {
                directory.each_target(model, |provider, model| each(&provider.name, Some(model)));
            }
        }
    }

    /// Starts a call without a model at this provider, and at no other. One that is not there has no
    /// target.
    pub fn call_to<U: Upstream>(
        self: &Arc<Self>,
        upstream: &Arc<U>,
        call: Call,
        provider: &str,
    ) -> Walk<U> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let directory = self.directory.load();
        let policy = Arc::clone(&directory.policy);
        let targets = directory
            .named(provider)
            .map_or_else(Vec::new, |provider| self.of_provider(provider, None, &policy, number));
        self.walk(
            upstream,
            Box::new(call),
            Candidates { targets, policy },
            Dice::new(self.seed ^ number),
        )
    }

    /// What is known of one target, if it was used.
    pub fn state_of(
        &self,
        provider: &str,
        credential: usize,
        model: Option<&str>,
    ) -> Option<TargetLook> {
        let target = self.registry.known(provider, credential, model)?;
        Some(target.0.state(self.now()))
    }

    /// The state of every target that was used.
    pub fn snapshot(&self) -> Vec<TargetSnapshot> {
        let now = self.now();
        let mut all: Vec<TargetSnapshot> = self
            .registry
            .all()
            .iter()
            .map(|target| {
                target.look(|state, pacer| TargetSnapshot {
                    provider: target.provider.name.clone(),
                    credential: target.credential,
                    model: target.model.as_deref().map(str::to_owned),
                    circuit: state.breaker.state(),
                    in_flight: state.in_flight,
                    retry_budget: state.budget.level(),
                    retries_denied: state.budget.denied(),
                    answered: state.first_content.quantile(0.5, 1).is_some(),
                    pacer: pacer.snapshot(now),
                })
            })
            .collect();
        all.sort_by(|a, b| (&a.provider, &a.model).cmp(&(&b.provider, &b.model)));
        all
    }

    /// Takes in what another gateway says of a target, and what that changed: nothing at targets that
    /// were never used, nor at circuits that know better.
    pub fn advise(
        &self,
        provider: &str,
        credential: usize,
        model: Option<&str>,
        word: Word,
    ) -> Effect {
        let now = self.now();
        let Some(target) = self.registry.known(provider, credential, model) else {
            return Effect::Nothing;
        };
        let mut dice = Dice::new(self.seed ^ now.as_nanos());
        target.target(|state| state.advise(word, &mut dice, now))
    }

    /// Of the gateways that heard the same of a target ([`Effect::ByWord`]) this one probes first.
    pub fn probe_first(&self, provider: &str, credential: usize, model: Option<&str>) {
        let now = self.now();
        if let Some(target) = self.registry.known(provider, credential, model) {
            target.target(|state| state.probe_first(now));
        }
    }

    /// Calls `heed` when there is something to tell of circuits, from within a call: it may not wait.
    /// Only the first that is given counts.
    pub fn on_circuit_news(&self, heed: impl Fn() + Send + Sync + 'static) {
        self.registry.on_circuit_news(Box::new(heed));
    }

    /// Hands over what is to be told of circuits, each once, in no order.
    pub fn circuit_news(&self, each: &mut dyn FnMut(CircuitNews<'_>)) {
        for target in self.registry.all() {
            let Some(advice) = target.tell() else { continue };
            let (provider, model) = (target.provider.name.as_str(), target.model.as_deref());
            each(CircuitNews { provider, credential: target.credential, model, advice });
        }
    }

    /// What this process has to tell `nodes` processes, itself counted, that send to the same accounts; ask
    /// ten times a second, and hand each account what the others want. `stand`: where this one stands among
    /// them, from 0 to 1, as long as nothing better is known. Alone it has nothing to tell.
    pub fn paced(&self, nodes: u32, stand: f64) -> Vec<Account> {
        self.registry.paced(nodes, stand)
    }

    /// Where a call may go: by route, by `provider/model`, by the providers that name the model,
    /// else to the first provider that takes any.
    fn candidates(&self, call: &Call, number: u64, dice: &mut Dice) -> Candidates {
        let directory = self.directory.load();
        if let Some(pin) = &call.pin {
            return self.pinned(&directory, call.model.as_deref(), pin, number);
        }
        let Some(model) = call.model.as_deref() else {
            let policy = Arc::clone(&directory.policy);
            let targets = directory.providers.first().map_or_else(Vec::new, |provider| {
                self.of_provider(provider, None, &policy, number)
            });
            return Candidates { targets, policy };
        };
        if let Some(way) = directory.route(model) {
            let targets = self.of_way(way, model, number, dice);
            return Candidates { targets, policy: Arc::clone(&way.policy) };
        }
        let policy = Arc::clone(&directory.policy);
        let found = directory.lately.of(model, || {
            let serving = directory.serving(model).into_iter();
            serving.map(|(provider, model)| self.cells(provider, Some(model), &policy)).collect()
        });
        let mut targets = Vec::with_capacity(found.iter().map(Vec::len).sum());
        for cells in &*found {
            targets.extend(turned(cells, number).cloned().map(candidate));
        }
        Candidates { targets, policy }
    }

    /// The one place of a call that is about something there.
    fn pinned(
        &self,
        directory: &Directory,
        model: Option<&str>,
        pin: &Pin,
        number: u64,
    ) -> Candidates {
        let route = model.and_then(|model| directory.route(model));
        let policy = Arc::clone(route.map_or(&directory.policy, |way| &way.policy));
        let Some(provider) = directory.named(&pin.provider) else {
            return Candidates { targets: Vec::new(), policy };
        };
        let routed = route.and_then(|way| {
            way.route
                .targets
                .iter()
                .find(|target| target.provider == pin.provider)?
                .model
                .as_deref()
        });
        let bare = model.map(|model| match model.split_once('/') {
            Some((name, rest)) if name == pin.provider => rest,
            Some(_) | None => model,
        });
        let mut targets = self.of_provider(provider, routed.or(bare), &policy, number);
        if pin.credential < targets.len() {
            targets.retain(|target| target.handle.0.credential == pin.credential);
        }
        Candidates { targets, policy }
    }

    /// The targets of a route, in the order of its strategy.
    fn of_way(
        &self,
        way: &Way,
        model: &str,
        number: u64,
        dice: &mut Dice,
    ) -> Vec<Candidate<Shared>> {
        let find = || {
            let leg = |(provider, weight, model): (&Arc<ProviderSpec>, u32, &str)| Leg {
                weight,
                cells: self.cells(provider, Some(model), &way.policy),
            };
            way.each(model).map(leg).collect()
        };
        way.with_legs(find, |legs| {
            let mut order: Vec<&Leg> = legs.iter().collect();
            match way.route.strategy {
                Strategy::Order => {}
                Strategy::Weighted => shuffle_by_weight(&mut order, dice),
                Strategy::LeastBusy => order.sort_by_cached_key(|leg| busy(&leg.cells)),
                Strategy::LowestLatency => order.sort_by_cached_key(|leg| latency(&leg.cells)),
            }
            let mut candidates = Vec::with_capacity(legs.iter().map(|leg| leg.cells.len()).sum());
            for leg in order {
                candidates.extend(turned(&leg.cells, number).cloned().map(candidate));
            }
            candidates
        })
    }

    /// A provider's targets for a model: one a credential, each call beginning with the next.
    fn of_provider(
        &self,
        provider: &Arc<ProviderSpec>,
        model: Option<&str>,
        policy: &Policy,
        number: u64,
    ) -> Vec<Candidate<Shared>> {
        let cells = self.cells(provider, model, policy);
        turned(&cells, number).cloned().map(candidate).collect()
    }

    /// A provider's cells for a model, in the order of its credentials.
    fn cells(
        &self,
        provider: &Arc<ProviderSpec>,
        model: Option<&str>,
        policy: &Policy,
    ) -> Vec<Arc<Target>> {
        let model = model.map(|model| provider.model(model));
        (0..provider.credentials.len())
            .map(|credential| self.registry.cell(provider, credential, model, policy))
            .collect()
    }
}

/// Cells of a provider in turn: each call begins with the next.
fn turned(cells: &[Arc<Target>], number: u64) -> impl Iterator<Item = &Arc<Target>> {
    let first = usize::try_from(number).unwrap_or(0).checked_rem(cells.len()).unwrap_or(0);
    let (behind, ahead) = cells.split_at(first);
    ahead.iter().chain(behind)
}

fn candidate(target: Arc<Target>) -> Candidate<Shared> {
    let (window, prefill) = (target.window, target.provider.prefill);
    Candidate { window, prefill, handle: Shared::new(target) }
}

fn facts(call: &Call, policy: &Policy) -> Facts {
    let (replayable, bytes) = match &call.body {
        CallBody::Empty => (true, 0),
        CallBody::Buffered(bytes) => (true, bytes.len() as u64),
        CallBody::Streamed { .. } => (false, 0),
    };
    let total = match (policy.timeouts.total, call.timeout) {
        (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
        (ours, theirs) => ours.or(theirs),
    };
    // Assistants' runs change what is stored; stored and background responses would be made twice,
    // which harms nobody but the bill, so they are told again like any other.
    let recoverable = match Family::of(call.endpoint) {
        Family::Completions | Family::Responses => call.stream && replayable,
        Family::Assistants | Family::Media | Family::Other => false,
    };
    // A second run would answer a second time in the same thread, a second batch do all its work again.
    let repeatable = only_answers(call.endpoint) || is_repeatable(call.method.as_str(), &call.path);
    let silence_max = call.read_timeout.map(with_room);
    let answer_within =
        [silence_max, call.answer_within.map(with_room)].into_iter().flatten().min();
    Facts {
        stream: call.stream,
        replayable,
        repeatable,
        recoverable,
        tokens: call.tokens,
        bytes,
        deadline: total.map_or(Moment::FAR, |total| call.arrived + total),
        answer_by: answer_within.map_or(Moment::FAR, |within| call.arrived + within),
        silence_max,
    }
}

/// A caller's patience, less what our word needs to reach him before it ends: a tenth of it, at most
/// one second. From a short one nothing is taken: it is meant to run out, his clock began before
/// ours, and his SDK then raises the class for timeouts that he is waiting for.
fn with_room(patience: Duration) -> Duration {
    const SHORT: Duration = Duration::from_secs(5);
    const ROOM_MAX: Duration = Duration::from_secs(1);
    let room = if patience < SHORT { Duration::ZERO } else { (patience / 10).min(ROOM_MAX) };
    patience.saturating_sub(room)
}

/// Draws an order in which heavier targets come first more often.
fn shuffle_by_weight(order: &mut [&Leg], dice: &mut Dice) {
    let mut total: u64 = order.iter().map(|leg| u64::from(leg.weight)).sum();
    for start in 0..order.len() {
        let mut draw = dice.below(total);
        let chosen = order[start..].iter().position(|leg| {
            let hit = draw < u64::from(leg.weight);
            draw = draw.saturating_sub(u64::from(leg.weight));
            hit
        });
        order.swap(start, start + chosen.unwrap_or(0));
        total -= u64::from(order[start].weight);
    }
}

fn busy(cells: &[Arc<Target>]) -> u32 {
    cells.iter().map(|target| target.read(|state| state.in_flight)).sum()
}

/// The middle of recent times to the first content; a target nothing is known of goes first, so
/// that it becomes known.
fn latency(cells: &[Arc<Target>]) -> Duration {
    const SAMPLES_MIN: u32 = 3;
    let middle =
        |target: &Arc<Target>| target.read(|state| state.first_content.quantile(0.5, SAMPLES_MIN));
    cells.iter().filter_map(middle).min().unwrap_or(Duration::ZERO)
}

/// A seed that differs from process to process. Jitter needs no secret; without entropy the
/// engine still works.
fn entropy() -> u64 {
    getrandom::u64().unwrap_or(0x6D61_696E_7374_6179)
}
