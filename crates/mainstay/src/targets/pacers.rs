//! Whose limits a target counts against: one pacer for each key and model, unless the configuration
//! or the provider's answers say that several count together.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use mainstay_core::policy::{Limits, Shared};
use mainstay_core::rules::lease::{Others, Wants};
use mainstay_core::rules::pacer::{PART_LIFE, Pacer, Ticket};
use mainstay_core::store::model_fits;
use mainstay_core::time::Moment;

use super::{CELLS_MAX, lock};
use crate::clock::Clock;
use crate::fields::Fields;
use crate::spec::ProviderSpec;

/// What has one pacer: an account, and which of its models.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PacerKey {
    account: Whose,
    models: Models,
}

/// Whose limits they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Whose {
    /// Those of one key of a provider.
    Key { provider: String, credential: usize },
    /// Those of all keys of a provider.
    Provider(String),
    /// Those of all providers of a pool.
    Pool(String),
    /// Those of a project that answers from this host have named.
    Told { host: String, organization: String, project: String },
}

/// Which models count together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Models {
    /// One, or calls without any.
    One(Option<String>),
    /// A group, by its place among the provider's.
    Group(usize),
    /// All.
    All,
}

impl PacerKey {
    /// What a target shares its pacer by, and the caps of that.
    pub(super) fn of(
        provider: &ProviderSpec,
        credential: usize,
        model: Option<&str>,
    ) -> (PacerKey, Limits) {
        let sharing = &provider.sharing;
        let account = match (&sharing.pool, sharing.shared) {
            (Some(pool), _) => Whose::Pool(pool.clone()),
            (None, Shared::Keys | Shared::All) => Whose::Provider(provider.name.clone()),
            (None, Shared::Told | Shared::Apart | Shared::Models) => {
                Whose::Key { provider: provider.name.clone(), credential }
            }
        };
        let (models, limits) = models(provider, model);
        (PacerKey { account, models }, limits)
    }

    /// Whether answers have named it.
    fn is_told(&self) -> bool {
        matches!(self.account, Whose::Told { .. })
    }

    /// Whether answers can change it: several keys, and nothing set about them.
    pub(super) fn may_be_told(provider: &ProviderSpec) -> bool {
        let sharing = &provider.sharing;
        let open = sharing.shared == Shared::Told && sharing.pool.is_none();
        open && provider.credentials.len() > 1
    }

    /// What an answer names: an organization and a project. The vendor counts by both ("Rate limits
    /// are defined at the organization level and at the project level", rate limit guide, read
    /// 2026-11), so one of the two alone tells nothing.
    pub(super) fn told(
        provider: &ProviderSpec,
        model: Option<&str>,
        headers: &Fields,
    ) -> Option<PacerKey> {
        /// Longest name that is believed.
        const NAME_MAX: usize = 256;
        let named = |name: &str| {
            let text = headers.text(name)?.trim();
            (1..=NAME_MAX).contains(&text.len()).then(|| text.to_owned())
        };
        let organization = named("openai-organization")?;
        let project = named("openai-project")?;
        let host = provider.destination.host.clone();
        let account = Whose::Told { host, organization, project };
        Some(PacerKey { account, models: models(provider, model).0 })
    }
}

/// The models that count together with this one, and their caps.
fn models(provider: &ProviderSpec, model: Option<&str>) -> (Models, Limits) {
    let all = provider.limits;
    let fits = |models: &[String], model| models.iter().any(|one| model_fits(one, model));
    let group = model.and_then(|model| {
        provider.sharing.groups.iter().position(|group| fits(&group.models, model))
    });
    if let Some(place) = group {
        let own = provider.sharing.groups[place].limits;
        let limits = Limits {
            rpm: own.rpm.or(all.rpm),
            tpm: own.tpm.or(all.tpm),
            concurrency: own.concurrency.or(all.concurrency),
        };
        return (Models::Group(place), limits);
    }
    let models = match provider.sharing.shared {
        Shared::Models | Shared::All => Models::All,
        Shared::Told | Shared::Apart | Shared::Keys => Models::One(model.map(str::to_owned)),
    };
    (models, all)
}

/// Every pacer that exists, by what shares it.
pub(super) struct Pacers {
    clock: Clock,
    known: Mutex<HashMap<PacerKey, Arc<PacerCell>>>,
}

impl Pacers {
    pub(super) fn new(clock: Clock) -> Pacers {
        Pacers { clock, known: Mutex::new(HashMap::new()) }
    }

    /// The pacer of a name, with what it has learnt as long as its caps are the same.
    pub(super) fn of(&self, key: PacerKey, limits: Limits) -> Arc<PacerCell> {
        let mut known = lock(&self.known);
        if let Some(found) = known.get(&key).filter(|found| found.limits == limits) {
            return Arc::clone(found);
        }
        let cell = Arc::new(PacerCell::new(self.clock, limits));
        keep(&mut known, key, &cell);
        cell
    }

    /// What this process has to tell others that send to the same accounts, `nodes` in all; `stand`: see
    /// [`Pacer::among`].
    pub(super) fn told(&self, nodes: u32, stand: f64) -> Vec<Account> {
        let mut cells: Vec<(PacerKey, Arc<PacerCell>)> = Vec::new();
        {
            let known = lock(&self.known);
            let named =
                |by_answers: bool| known.iter().filter(move |(key, _)| key.is_told() == by_answers);
            let mut seen = HashSet::new();
            // Of two names of one pacer that which answers gave is the same everywhere.
            for (key, cell) in named(true).chain(named(false)) {
                if seen.insert(Arc::as_ptr(cell)) {
                    cells.push((key.clone(), Arc::clone(cell)));
                }
            }
        }
        let now = self.clock.now();
        let tell = |(key, cell): (PacerKey, Arc<PacerCell>)| {
            let wants = cell.apply(|pacer| {
                pacer.among(nodes, stand, now);
                pacer.tells(now)
            })?;
            Some(Account { name: format!("{key:?}"), wants, cell })
        };
        cells.into_iter().filter_map(tell).collect()
    }

    /// The pacer of an account that an answer has named: that of the first key that named it.
    pub(super) fn join(&self, key: PacerKey, own: Arc<PacerCell>) -> Arc<PacerCell> {
        let mut known = lock(&self.known);
        if let Some(found) = known.get(&key).filter(|found| found.limits == own.limits) {
            return Arc::clone(found);
        }
        keep(&mut known, key, &own);
        own
    }
}

impl fmt::Debug for Pacers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pacers").finish_non_exhaustive()
    }
}

/// An account of a provider, and what this process wants of it; see [`crate::Engine::paced`].
#[derive(Debug)]
pub struct Account {
    /// What every process with the same configuration calls it.
    pub name: String,
    /// What is wanted.
    pub wants: Wants,
    cell: Arc<PacerCell>,
}

impl Account {
    /// How long what is told of it holds.
    pub const LIFE: Duration = PART_LIFE;

    /// Takes in what all others want of it.
    pub fn heard(&self, others: Others) {
        let now = self.cell.clock.now();
        self.cell.apply(|pacer| pacer.heard_others(others, now));
    }
}

/// Keeps a pacer; when there are too many, those that no target has are forgotten.
fn keep(known: &mut HashMap<PacerKey, Arc<PacerCell>>, key: PacerKey, cell: &Arc<PacerCell>) {
    if known.len() >= CELLS_MAX {
        known.retain(|_, cell| Arc::strong_count(cell) > 1);
    }
    known.insert(key, Arc::clone(cell));
}

/// A pacer and the calls in its queue.
pub(crate) struct PacerCell {
    clock: Clock,
    limits: Limits,
    inner: Mutex<Paced>,
}

struct Paced {
    pacer: Pacer,
    wakers: BTreeMap<Ticket, Waker>,
    /// Was to be woken before its owner had left a waker: it is woken when it does.
    missed: Option<Ticket>,
}

impl Paced {
    /// The waker of the call that should look at its place again.
    fn next_waker(&mut self, now: Moment) -> Option<Waker> {
        let head = self.pacer.next_wake(now)?;
        let waker = self.wakers.remove(&head);
        self.missed = if waker.is_none() { Some(head) } else { None };
        waker
    }
}

impl PacerCell {
    fn new(clock: Clock, limits: Limits) -> PacerCell {
        let pacer = Pacer::new(&limits, clock.now());
        let inner = Mutex::new(Paced { pacer, wakers: BTreeMap::new(), missed: None });
        PacerCell { clock, limits, inner }
    }

    /// Runs a rule, and wakes the call whose turn that may have made it.
    pub(super) fn apply<R>(&self, rule: impl FnOnce(&mut Pacer) -> R) -> R {
        let (result, waker) = {
            let mut paced = lock(&self.inner);
            let result = rule(&mut paced.pacer);
            let waker =
                if paced.pacer.queued() == 0 { None } else { paced.next_waker(self.clock.now()) };
            (result, waker)
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }

    /// Reads it, for metrics and people.
    pub(super) fn look<R>(&self, read: impl FnOnce(&Pacer) -> R) -> R {
        read(&lock(&self.inner).pacer)
    }

    /// Wakes this task when its place in the queue may have come.
    pub(super) fn wake_on(&self, ticket: Ticket, waker: &Waker) {
        let mut paced = lock(&self.inner);
        if paced.missed == Some(ticket) {
            paced.missed = None;
            waker.wake_by_ref();
            return;
        }
        match paced.wakers.get_mut(&ticket) {
            Some(known) => known.clone_from(waker),
            None => {
                paced.wakers.insert(ticket, waker.clone());
            }
        }
    }

    /// Forgets a place that is given up or used.
    pub(super) fn forget(&self, ticket: Ticket) {
        lock(&self.inner).wakers.remove(&ticket);
    }
}

impl fmt::Debug for PacerCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacerCell").field("limits", &self.limits).finish_non_exhaustive()
    }
}
