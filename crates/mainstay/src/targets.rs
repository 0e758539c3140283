//! What calls share: one cell a target (provider, credential, model), and one a pacer, which
//! several targets may have together; each behind its own lock that is held for the length of one
//! rule and never across an await.

mod pacers;
mod waiters;

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use arc_swap::ArcSwap;
use http::uri::PathAndQuery;
use mainstay_core::plan::Handle;
use mainstay_core::policy::Policy;
use mainstay_core::rules::breaker::{Advice, State};
use mainstay_core::rules::pacer::{Pacer, Ticket};
use mainstay_core::shared::{TargetState, Wake};
use mainstay_core::time::Moment;

use crate::call::TargetLook;
use crate::clock::Clock;
use crate::dispatch::TargetHeaders;
use crate::fields::Fields;
use crate::spec::ProviderSpec;
pub use pacers::Account;
use pacers::{PacerCell, PacerKey, Pacers};
pub(crate) use waiters::Place;
use waiters::Waiters;

/// A lock whose holder cannot leave a half-done rule behind: rules do not panic, and if one did,
/// its target goes on with what it had.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One target's shared state, and where it is.
pub(crate) struct Target {
    pub(crate) provider: Arc<ProviderSpec>,
    /// Its name, for records.
    pub(crate) provider_name: Arc<str>,
    /// Index into the provider's credentials.
    pub(crate) credential: usize,
    /// The model it is asked for; `None` for endpoints without one.
    pub(crate) model: Option<Arc<str>>,
    /// Its context window in tokens, where it is known.
    pub(crate) window: Option<u64>,
    /// Headers that its calls get, our credential among them.
    pub(crate) headers: TargetHeaders,
    /// The path of its first call, as the caller named it and as it is sent.
    pub(crate) path: OnceLock<(Box<str>, PathAndQuery)>,
    state: Mutex<TargetState>,
    circuit: Mutex<Waiters>,
    ear: Arc<Ear>,
    /// The pacer of calls that begin; one that is under way stays with the one it began with.
    pacer: ArcSwap<PacerCell>,
    pacers: Arc<Pacers>,
    /// An answer may still name the account whose limits its key counts against.
    may_be_told: AtomicBool,
    /// It refused a request because the tokens used were asked for in it.
    refuses_usage: AtomicBool,
}

impl Target {
    /// `provider/model`, for people.
    pub(crate) fn name(&self) -> String {
        match &self.model {
            Some(model) => format!("{}/{model}", self.provider.name),
            None => self.provider.name.clone(),
        }
    }

    /// Whether it may be asked for the tokens used.
    pub(crate) fn tells_usage(&self) -> bool {
        !self.refuses_usage.load(Ordering::Relaxed)
    }

    /// It is not asked for the tokens used again.
    pub(crate) fn spare_usage(&self) {
        self.refuses_usage.store(true, Ordering::Relaxed);
    }

    /// Wakes this task when it should look at the circuit again.
    pub(crate) fn wake_on_circuit(&self, attempts: u32, waker: &Waker) -> Place {
        let (place, missed) = lock(&self.circuit).join(attempts, waker);
        // It may have closed since the plan looked.
        if missed || lock(&self.state).breaker.state() == State::Closed {
            waker.wake_by_ref();
        }
        place
    }

    /// What is to be told to others of the circuit.
    pub(crate) fn tell(&self) -> Option<Advice> {
        lock(&self.state).breaker.tell()
    }

    /// Forgets who looks at the circuit himself, or waits for it no more.
    pub(crate) fn forget_circuit(&self, place: Place) {
        let waker = lock(&self.circuit).leave(place);
        drop(waker);
    }

    /// Learns from the head of an answer whose limits its key counts against.
    pub(crate) fn heard(&self, headers: &Fields) {
        if !self.may_be_told.load(Ordering::Relaxed) {
            return;
        }
        let model = self.model.as_deref();
        let Some(key) = PacerKey::told(&self.provider, model, headers) else { return };
        self.may_be_told.store(false, Ordering::Relaxed);
        self.pacer.store(self.pacers.join(key, self.pacer.load_full()));
    }

    /// What is known of it.
    pub(crate) fn state(&self, now: Moment) -> TargetLook {
        self.look(|state, pacer| TargetLook {
            circuit: state.breaker.state(),
            in_flight: state.in_flight,
            retry_budget: state.budget.level(),
            pacer: pacer.snapshot(now),
        })
    }

    /// Reads the circuit, the budget and the latencies.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&TargetState) -> R) -> R {
        read(&lock(&self.state))
    }

    /// Reads the shared state, for metrics and people.
    pub(crate) fn look<R>(&self, read: impl FnOnce(&mut TargetState, &Pacer) -> R) -> R {
        let cell = self.pacer.load();
        cell.look(|pacer| read(&mut lock(&self.state), pacer))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("provider", &self.provider.name)
            .field("credential", &self.credential)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// A target as a plan holds it, with its pacer of the moment when the call first asked for it: what
/// that granted is given back to it. Most calls ask for no more than one of their targets.
#[derive(Debug)]
pub(crate) struct Shared(pub(crate) Arc<Target>, OnceLock<Arc<PacerCell>>);

impl Shared {
    pub(crate) fn new(target: Arc<Target>) -> Shared {
        Shared(target, OnceLock::new())
    }

    fn pacer_cell(&self) -> &PacerCell {
        self.1.get_or_init(|| self.0.pacer.load_full())
    }

    /// Wakes this task when its place in the queue may have come.
    pub(crate) fn wake_on_pacer(&self, ticket: Ticket, waker: &Waker) {
        self.pacer_cell().wake_on(ticket, waker);
    }

    /// Forgets a place that is given up or used.
    pub(crate) fn forget_ticket(&self, ticket: Ticket) {
        self.pacer_cell().forget(ticket);
    }
}

impl Handle for Shared {
    fn target<R>(&self, rule: impl FnOnce(&mut TargetState) -> R) -> R {
        let (result, wake, news) = {
            let mut state = lock(&self.0.state);
            let result = rule(&mut state);
            (result, std::mem::take(&mut state.circuit_wake), state.breaker.has_news())
        };
        if news && let Some(heed) = self.0.ear.get() {
            heed();
        }
        if wake != Wake::Nobody {
            let woken = lock(&self.0.circuit).woken(wake);
            woken.into_iter().for_each(Waker::wake);
        }
        result
    }

    fn pacer<R>(&self, rule: impl FnOnce(&mut Pacer) -> R) -> R {
        self.pacer_cell().apply(rule)
    }
}

/// Who wants to know at once that there is something to tell of a circuit.
type Heed = Box<dyn Fn() + Send + Sync>;
type Ear = OnceLock<Heed>;

/// Finds the cell of a target, makes it at first use, and keeps it as long as anybody may need
/// what it has learnt.
pub(crate) struct Registry {
    pacers: Arc<Pacers>,
    ear: Arc<Ear>,
    cells: Mutex<HashMap<Key, Arc<Target>>>,
}

/// Provider, credential, model. Callers choose models, so their number is bounded.
#[derive(Clone, Debug)]
struct Key {
    provider: Arc<str>,
    credential: usize,
    model: Option<Arc<str>>,
}

/// What a cell is found by, whoever owns the names: looking for one copies none.
trait Sought {
    fn names(&self) -> (&str, usize, Option<&str>);
}

impl Sought for Key {
    fn names(&self) -> (&str, usize, Option<&str>) {
        (&self.provider, self.credential, self.model.as_deref())
    }
}

impl Sought for (&str, usize, Option<&str>) {
    fn names(&self) -> (&str, usize, Option<&str>) {
        *self
    }
}

impl PartialEq for dyn Sought + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.names() == other.names()
    }
}

impl Eq for dyn Sought + '_ {}

impl Hash for dyn Sought + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.names().hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.names() == other.names()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.names().hash(state);
    }
}

impl<'a> Borrow<dyn Sought + 'a> for Key {
    fn borrow(&self) -> &(dyn Sought + 'a) {
        self
    }
}

/// Cells kept at most. Beyond it, idle ones are dropped: what they had learnt is learnt again.
const CELLS_MAX: usize = 4096;

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    pub(crate) fn new(clock: Clock) -> Registry {
        let ear = Arc::new(Ear::new());
        Registry { pacers: Arc::new(Pacers::new(clock)), ear, cells: Mutex::new(HashMap::new()) }
    }

    /// Who is told that there is news of a circuit.
    pub(crate) fn on_circuit_news(&self, heed: Heed) {
        // One who came second hears nothing; the engine says so.
        let _ = self.ear.set(heed);
    }

    /// The cell of one target.
    pub(crate) fn cell(
        &self,
        provider: &Arc<ProviderSpec>,
        credential: usize,
        model: Option<&str>,
        policy: &Policy,
    ) -> Arc<Target> {
        let sought = (provider.name.as_str(), credential, model);
        let mut cells = lock(&self.cells);
        if let Some(found) = cells.get(&sought as &dyn Sought)
            && Arc::ptr_eq(&found.provider, provider)
        {
            return Arc::clone(found);
        }
        if cells.len() >= CELLS_MAX {
            cells.retain(|_, cell| Arc::strong_count(cell) > 1);
        }
        let cell = Arc::new(self.make(provider, credential, model, policy));
        let (provider, model) = (Arc::clone(&cell.provider_name), cell.model.clone());
        cells.insert(Key { provider, credential, model }, Arc::clone(&cell));
        cell
    }

    /// A new cell. After a reload it goes on with what the pacer of its name had learnt.
    fn make(
        &self,
        provider: &Arc<ProviderSpec>,
        credential: usize,
        model: Option<&str>,
        policy: &Policy,
    ) -> Target {
        let (key, limits) = PacerKey::of(provider, credential, model);
        Target {
            provider: Arc::clone(provider),
            provider_name: provider.name.as_str().into(),
            credential,
            model: model.map(Into::into),
            window: model.and_then(|model| provider.window(model)).map(|window| window.context),
            headers: TargetHeaders::of(provider, credential),
            path: OnceLock::new(),
            state: Mutex::new(TargetState::new(policy)),
            circuit: Mutex::new(Waiters::default()),
            ear: Arc::clone(&self.ear),
            may_be_told: AtomicBool::new(PacerKey::may_be_told(provider)),
            refuses_usage: AtomicBool::new(false),
            pacer: ArcSwap::new(self.pacers.of(key, limits)),
            pacers: Arc::clone(&self.pacers),
        }
    }

    /// The cell of one target, if it was used.
    pub(crate) fn known(
        &self,
        provider: &str,
        credential: usize,
        model: Option<&str>,
    ) -> Option<Shared> {
        let sought = (provider, credential, model);
        lock(&self.cells).get(&sought as &dyn Sought).map(|cell| Shared::new(Arc::clone(cell)))
    }

    /// What this process has to tell others about what it sends.
    pub(crate) fn paced(&self, nodes: u32, stand: f64) -> Vec<Account> {
        self.pacers.told(nodes, stand)
    }

    /// Every cell that exists, in no order.
    pub(crate) fn all(&self) -> Vec<Arc<Target>> {
        lock(&self.cells).values().cloned().collect()
    }
}
