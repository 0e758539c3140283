//! Rate limits and calls at once, of all callers.
//!
//! The limits of one call are those of its organization and of a project and a key within it, so one
//! lock, chosen by the organization, covers them all. It is held for a few hundred nanoseconds and
//! never while anything is waited for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use mainstay_core::rules::lease::{Group, Stopped};
use mainstay_core::rules::limits::{
    DayLevel, LimitTable, Measure, Need, Reading, Refusal, Share, Standing,
};
use mainstay_core::store::{Store, StoreError};
use mainstay_core::time::Moment;
use mainstay_tokens::fits::must_count;

use super::book::{Book, Row};
use super::learnt::{Estimated, Learnt};
use super::{Ask, Denied, Ending, Who, tell};
use crate::ids;
use crate::sharing::Leases;

/// Locks. More than the cores of most machines, so that few callers meet.
pub(crate) const SHARDS: usize = 64;
/// States looked at for whether they can be forgotten, each tick and lock.
pub(crate) const SWEPT: usize = 2_000;

/// All limits and how much of them is used.
#[derive(Debug)]
pub(crate) struct LimitDesk {
    book: ArcSwap<Book>,
    /// The store's epoch that the book shows.
    epoch: AtomicU64,
    shards: [Mutex<LimitTable>; SHARDS],
    /// In the place of the tables, where gateways share limits.
    leases: Option<Arc<Leases>>,
    /// What estimates of prompts are worth.
    learnt: Learnt,
    /// Calls that shadows would have refused.
    over_shadows: AtomicU64,
    /// What the store remembers of requests per day.
    written: Mutex<HashMap<u64, DayLevel>>,
}

impl Default for LimitDesk {
    fn default() -> Self {
        LimitDesk {
            book: ArcSwap::default(),
            epoch: AtomicU64::new(0),
            shards: std::array::from_fn(|_| Mutex::default()),
            leases: None,
            learnt: Learnt::default(),
            over_shadows: AtomicU64::new(0),
            written: Mutex::default(),
        }
    }
}

/// What a call has taken of its limits.
#[derive(Debug, Default)]
pub(super) struct Taken {
    shard: usize,
    /// Whose the limits are, where gateways share them.
    shared: Option<Who>,
    shares: Vec<Share>,
    prompt: u64,
    /// The estimate of the prompt, and what for, where a limit on tokens applies.
    estimate: Option<(u64, Estimated)>,
    /// How the caller stands after it.
    pub(super) standing: Standing,
}

impl Taken {
    /// Whether a limit on tokens is among them.
    pub(super) fn counts_tokens(&self) -> bool {
        count_tokens(&self.shares)
    }
}

fn count_tokens(shares: &[Share]) -> bool {
    shares.iter().any(|share| share.spec.tpm.is_some())
}

/// Whether a call is refused for tokens so nearly that they must be counted before it is.
fn is_near(refusal: &Refusal) -> bool {
    let left = refusal.limit.saturating_sub(refusal.used);
    refusal.measure == Measure::TokensPerMinute && must_count(refusal.requested, left)
}

/// Whether a call fits what is left of its tokens so nearly that they must be counted before it does.
fn fits_nearly(need: Need, left: Option<u64>) -> bool {
    left.is_some_and(|left| must_count(need.tokens, left))
}

/// The state of a limit, for people.
#[derive(Clone, Debug)]
pub(super) struct LimitReport {
    /// The limit's number.
    pub(super) id: u64,
    /// Each of its measures.
    pub(super) readings: Vec<Reading>,
    /// Calls it refused since the start or, of a shadow, would have refused.
    pub(super) in_the_way: u64,
}

impl LimitDesk {
    /// With limits that are shared with other gateways.
    pub(super) fn share(&mut self, leases: Arc<Leases>) {
        self.leases = Some(leases);
    }

    /// The leases, where gateways share limits.
    pub(crate) fn leases(&self) -> Option<&Arc<Leases>> {
        self.leases.as_ref()
    }

    /// Waits for what is asked of other gateways about an organization's limits, within bounds.
    pub(crate) async fn reply(&self, who: &Who) {
        if let Some(leases) = &self.leases {
            leases.reply(who.org()).await;
        }
    }

    /// Brings the limits up to date with a store that has this epoch. Counts stay.
    ///
    /// # Errors
    ///
    /// The store failed; the limits stay as they were.
    pub(crate) fn refresh(&self, store: &dyn Store, epoch: u64) -> Result<(), StoreError> {
        let known = self.epoch.load(Ordering::Acquire);
        if epoch == known {
            return Ok(());
        }
        let (epoch, changes) = store.limits_since(known)?;
        if !changes.is_empty() {
            let next = self.book.load().after(changes);
            self.book.store(Arc::new(next));
        }
        self.epoch.store(epoch, Ordering::Release);
        Ok(())
    }

    /// The change of the store up to which limits are known.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Takes a call's part of every limit that applies to it, or of none.
    pub(super) fn admit(&self, ask: &Ask<'_>) -> Result<Taken, Denied> {
        let book = self.book.load();
        if book.is_empty() {
            return Ok(Taken::default());
        }
        let mut shares = book.shares(ask.who, ask.call.model.as_deref());
        if shares.is_empty() {
            return Ok(Taken::default());
        }
        let metered = count_tokens(&shares);
        let learnt = ask.call.model.as_deref().filter(|_| metered);
        let learnt = learnt.map(|model| self.learnt.correct(model, ask.prompt));
        let corrected = learnt.as_ref().map_or(ask.prompt, |(_, corrected)| *corrected);
        let prompt = ask.counted.unwrap_or(corrected);
        let tokens = ask.call.tokens.saturating_sub(ask.prompt).saturating_add(prompt);
        let sure = !metered || ask.counted.is_some() || ask.prompt == 0;
        let need = Need { tokens, count_refused: ask.count_refused };
        let (admitted, standing) = self.take(ask, &mut shares, need, sure);
        match admitted {
            Ok(()) => {
                self.count_shadows(&book, &shares);
                let estimate = learnt.map(|(of, _)| (ask.prompt, of));
                let shared = self.leases.as_ref().map(|_| ask.who.clone());
                let shard = shard(ask.who.org());
                Ok(Taken { shard, shared, shares, prompt, estimate, standing })
            }
            Err(Halt::Refused(refusal)) => {
                let row = shares.get(refusal.index).and_then(|share| book.row(share.id));
                if let Some(row) = row {
                    row.count();
                }
                let refused = tell::refused(row.map(|row| &row.record), &refusal, standing);
                Err(Denied::Refused(Box::new(refused)))
            }
            Err(Halt::Doubtful) => Err(Denied::Doubtful),
            Err(Halt::Asks) => Err(Denied::Asks),
        }
    }

    /// Takes of the tables, or of the leases.
    fn take(
        &self,
        ask: &Ask<'_>,
        shares: &mut [Share],
        need: Need,
        sure: bool,
    ) -> (Result<(), Halt>, Standing) {
        let org = ask.who.org();
        if let Some(leases) = &self.leases {
            let view = leases.view(ask.waited, ask.now);
            return leases.with(org, view, |group| {
                let left = if sure { None } else { group.tokens_left(shares, view) };
                if fits_nearly(need, left) {
                    return (Err(Halt::Doubtful), Standing::default());
                }
                let taken = attempt(need, sure, |need| group.admit(shares, need, view));
                (taken, group.standing(shares, view))
            });
        }
        let mut table = self.lock(shard(org));
        let left = if sure { None } else { table.standing(shares, ask.now).tokens };
        if fits_nearly(need, left.map(|left| left.remaining)) {
            return (Err(Halt::Doubtful), Standing::default());
        }
        let taken = attempt(need, sure, |need| {
            table.admit(shares, need, ask.now).map_err(Stopped::Refused)
        });
        (taken, table.standing(shares, ask.now))
    }

    fn count_shadows(&self, book: &Book, shares: &[Share]) {
        for share in shares.iter().filter(|share| share.is_over()) {
            self.over_shadows.fetch_add(1, Ordering::Relaxed);
            if let Some(row) = book.row(share.id) {
                row.count();
            }
        }
    }

    /// Gives back what was not used.
    pub(super) fn settle(&self, mut taken: Taken, ending: Ending<'_>, now: Moment) {
        if taken.shares.is_empty() {
            return;
        }
        self.learn(&taken, &ending);
        let used = used(taken.prompt, ending);
        match (&self.leases, &taken.shared) {
            (Some(leases), Some(who)) => {
                let view = leases.view(true, now);
                let shares = &mut taken.shares;
                leases.with(who.org(), view, |group| group.settle(shares, used, view));
            }
            (None, _) | (_, None) => self.lock(taken.shard).settle(&mut taken.shares, used, now),
        }
    }

    /// What a provider says that a prompt was, is what its estimate was worth.
    fn learn(&self, taken: &Taken, ending: &Ending<'_>) {
        let (Some((estimate, of)), Ending::Walked { used: Some(used), .. }) =
            (&taken.estimate, ending)
        else {
            return;
        };
        if !used.counted {
            self.learnt.observe(of, *estimate, used.usage.input);
        }
    }

    /// How somebody stands whose call was refused before its model was known.
    pub(crate) fn standing(&self, who: &Who, now: Moment) -> Standing {
        let book = self.book.load();
        if book.is_empty() {
            return Standing::default();
        }
        let shares = book.shares(who, None);
        if let Some(leases) = &self.leases {
            let view = leases.view(true, now);
            return leases.look(who.org(), |group| group.standing(&shares, view));
        }
        self.lock(shard(who.org())).standing(&shares, now)
    }

    /// Calls that shadows would have refused, a call once for each.
    pub(crate) fn over_shadows(&self) -> u64 {
        self.over_shadows.load(Ordering::Relaxed)
    }

    /// Forgets what nobody uses. Called with every tick.
    pub(crate) fn sweep(&self, now: Moment) {
        let book = self.book.load();
        let spec_of = |id: u64| book.row(id).map(|row| row.record.spec);
        if let Some(leases) = &self.leases {
            leases.sweep(spec_of);
            return;
        }
        for index in 0..SHARDS {
            let mut table = self.lock(index);
            if !table.is_empty() {
                table.sweep(SWEPT, now, spec_of);
            }
        }
    }

    /// The state of all limits. For people; not on a call's path.
    pub(super) fn report(&self, now: Moment) -> Vec<LimitReport> {
        let book = self.book.load();
        if let Some(leases) = &self.leases {
            return leased(&book, leases, now);
        }
        let mut places = HashMap::new();
        for index in 0..SHARDS {
            places.extend(self.lock(index).ids().map(|id| (id, index)));
        }
        book.rows()
            .map(|row| {
                // What has no state is as good as new under any lock.
                let place = places.get(&row.record.id).copied().unwrap_or(0);
                let table = self.lock(place);
                let readings = table.read(row.record.id, &row.record.spec, now).collect();
                let in_the_way = row.in_the_way.load(Ordering::Relaxed);
                LimitReport { id: row.record.id, readings, in_the_way }
            })
            .collect()
    }

    /// The same for metrics: the number, each measure, and the calls it refused.
    pub(crate) fn in_numbers(&self, now: Moment) -> Vec<(String, Vec<Reading>, u64)> {
        let all = self.report(now).into_iter();
        all.map(|one| (one.id.to_string(), one.readings, one.in_the_way)).collect()
    }

    /// The limits as they are known.
    pub(super) fn book(&self) -> Arc<Book> {
        self.book.load_full()
    }

    /// What the store remembers of requests per day.
    pub(super) fn written(&self) -> MutexGuard<'_, HashMap<u64, DayLevel>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock(&self, shard: usize) -> MutexGuard<'_, LimitTable> {
        // Every change of a table is complete before anything can panic.
        self.shards[shard % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why something is not taken.
enum Halt {
    Refused(Refusal),
    Doubtful,
    Asks,
}

/// Takes, with `take`. What is refused for an estimate near the limit is asked once more, with a count.
fn attempt(
    need: Need,
    sure: bool,
    mut take: impl FnMut(Need) -> Result<(), Stopped>,
) -> Result<(), Halt> {
    let first = Need { count_refused: need.count_refused && sure, ..need };
    let mut taken = take(first);
    if let (Err(Stopped::Refused(refusal)), false) = (&taken, sure) {
        if is_near(refusal) {
            return Err(Halt::Doubtful);
        }
        if need.count_refused {
            taken = take(need);
        }
    }
    taken.map_err(|stopped| match stopped {
        Stopped::Refused(refusal) => Halt::Refused(refusal),
        Stopped::Asks => Halt::Asks,
    })
}

/// The state of all limits by what this gateway was told of it.
fn leased(book: &Book, leases: &Leases, now: Moment) -> Vec<LimitReport> {
    let view = leases.view(true, now);
    let mut known: HashMap<u64, Vec<Reading>> = HashMap::new();
    leases.each(|group| {
        for id in group.ids() {
            let Some(row) = book.row(id) else { continue };
            known.insert(id, group.read(id, &row.record.spec, view).collect());
        }
    });
    let report = |row: &Arc<Row>| {
        let (id, spec) = (row.record.id, &row.record.spec);
        let unused = || Group::default().read(id, spec, view).collect();
        let readings = known.remove(&id).unwrap_or_else(unused);
        LimitReport { id, readings, in_the_way: row.in_the_way.load(Ordering::Relaxed) }
    };
    book.rows().map(report).collect()
}

/// Which lock the limits of an organization, its projects and its keys are under.
pub(crate) fn shard(org: &str) -> usize {
    usize::try_from(ids::number(org) % SHARDS as u64).unwrap_or(0)
}

/// Tokens that count for the caller: those of the answer he got, whatever attempts it took. `None`:
/// not known, so that what was reserved stays.
fn used(prompt: u64, ending: Ending<'_>) -> Option<u64> {
    let (trace, used) = match ending {
        Ending::Walked { trace, used } => (trace, used),
        // A provider has most likely read the prompt.
        Ending::Dropped => return Some(prompt),
    };
    match used {
        Some(used) if used.counted && used.usage.input == 0 => {
            Some(prompt.saturating_add(used.usage.output))
        }
        Some(used) => Some(used.usage.total()),
        None if trace.records.iter().all(|record| record.kind.is_some()) => Some(0),
        None => None,
    }
}

#[cfg(test)]
mod tests;
