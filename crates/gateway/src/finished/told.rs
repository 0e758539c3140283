//! What a worker has to tell: put down where a call ends, while all that is known of it is at hand, and
//! taken by the teller a little later, all at once.
//!
//! Of a call that was answered by its first attempt the teller needs no more than that there was one.
//! Any other call goes to it as a whole.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainstay::call::AttemptRecord;
use mainstay_core::store::{RequestBatch, RequestRecord};
use mainstay_core::time::Moment;
use tracing::Level;

use super::maker::{Maker, same};
use super::teller::TellerState;
use super::{Finished, TargetName};
use crate::config::Bodies;
use crate::metrics::{Tallies, Tally};
use crate::otel::Traced;
use crate::shared::Shared;

/// News that are looked through for one to which a call can be added.
const ALIKE_MAX: usize = 8;

/// A worker's way to the teller.
#[derive(Debug)]
pub(crate) struct TellTo {
    pub(super) desk: Arc<Desk>,
    pub(super) state: Arc<TellerState>,
}

impl TellTo {
    /// Counts a call that is over and puts down what there is to tell of it. When too much waits it is
    /// counted, and what there is to tell is dropped.
    pub(crate) fn tell(&self, shared: &Shared, mut call: Finished) {
        let plain = call.is_plain() && !tracing::enabled!(Level::DEBUG);
        let mut desk = self.desk.lock();
        desk.tally.finished(&call);
        if desk.told.calls >= self.desk.room {
            drop(desk);
            self.state.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let Inner { maker, told, .. } = &mut *desk;
        let (before, end) = (told.batch.len(), call.arrived + call.took);
        let keep = self.desk.keeps.load(Ordering::Relaxed);
        let batch = keep.then_some(&mut told.batch);
        told.calls += 1;
        if plain {
            if let Some(batch) = batch {
                maker.plain(&mut call, &shared.engine, batch);
            }
            told.news_of(&call, end);
        } else {
            let bodies = shared.settings().records.bodies;
            let to = batch.map(|batch| (batch, bodies));
            if let Some(record) = maker.whole(&mut call, &shared.engine, to) {
                let traced = call.traced.take().map(|traced| traced.with_notes(&mut call.trace));
                told.news.push(News { end, what: What::Call { record, traced } });
            }
        }
        if !self.desk.alone && told.batch.len() > before {
            told.ends.push(end);
        }
    }
}

/// Where a worker puts things down.
#[derive(Debug)]
pub(super) struct Desk {
    inner: Mutex<Inner>,
    /// Calls that may wait here.
    room: u64,
    /// Records are kept.
    keeps: AtomicBool,
    /// No other worker's calls have to be put in order with these.
    alone: bool,
}

#[derive(Debug, Default)]
struct Inner {
    tally: Tally,
    maker: Maker,
    told: Told,
}

/// What was told since the teller looked last.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Calls.
    pub(super) calls: u64,
    /// Their records.
    pub(super) batch: RequestBatch,
    /// The end of each of these, where there are other workers.
    pub(super) ends: Vec<Moment>,
    /// What the log and the ears are told.
    pub(super) news: Vec<News>,
}

/// Something to tell.
#[derive(Debug)]
pub(super) struct News {
    /// When it ended; of several calls the last one.
    pub(super) end: Moment,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// Calls that were answered by the first attempt.
    Answered { calls: u64, target: Option<(Arc<str>, Option<Arc<str>>)> },
    /// Any other call.
    Call { record: Box<RequestRecord>, traced: Option<Box<Traced>> },
}

impl Desk {
    /// With room for so many calls. `keeps`: of their records; `alone`: there is one worker.
    pub(super) fn new(room: usize, keeps: bool, alone: bool) -> Desk {
        Desk { inner: Mutex::default(), room: room as u64, keeps: AtomicBool::new(keeps), alone }
    }

    /// Whether records are to be kept from now on.
    pub(super) fn keep(&self, keeps: bool) {
        self.keeps.store(keeps, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // What would be half done after a panic is a count at most.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what there is, with an empty one in its place: the lock is held for a moment.
    pub(super) fn take(&self, empty: Told) -> Told {
        let mut desk = self.lock();
        desk.maker.begin_batch();
        std::mem::replace(&mut desk.told, empty)
    }

    /// Adds what this worker has counted.
    pub(super) fn add_to(&self, all: &mut Tallies) {
        self.lock().tally.add_to(all);
    }
}

impl Told {
    /// A call that was answered.
    fn news_of(&mut self, call: &Finished, end: Moment) {
        let target = call.trace.records.first().map(|one| (&one.provider, &one.model));
        let alike = self.news.iter_mut().rev().take(ALIKE_MAX);
        for news in alike {
            // The order of other calls and those before them stays.
            let What::Answered { calls, target: other } = &mut news.what else { break };
            let is_same = match (&*other, target) {
                (Some(other), Some(target)) => {
                    same(Some(&other.0), Some(target.0))
                        && same(other.1.as_ref(), target.1.as_ref())
                }
                (None, None) => true,
                _ => false,
            };
            if is_same {
                *calls += 1;
                news.end = end;
                return;
            }
        }
        let target = target.map(|(provider, model)| (provider.clone(), model.clone()));
        self.news.push(News { end, what: What::Answered { calls: 1, target } });
    }

    /// Forgets all of it and keeps memory for about as many calls.
    pub(super) fn clear(&mut self, bytes: usize, calls: usize) {
        self.calls = 0;
        self.batch.clear(bytes);
        self.ends.clear();
        self.ends.shrink_to(calls);
        self.news.clear();
        self.news.shrink_to(calls);
    }
}

impl Finished {
    /// Whether it was answered by its first attempt, or without any, and nobody follows it.
    fn is_plain(&self) -> bool {
        let trace = &self.trace;
        let quiet = self.failed.is_none() && self.traced.is_none() && self.status < 400;
        let sound = |one: &AttemptRecord| one.kind.is_none() && one.status.is_some();
        let attempts = trace.attempts as usize;
        quiet && attempts <= 1 && attempts == trace.records.len() && trace.records.iter().all(sound)
    }
}

/// Leaves no more of the request's body in a record than shall be kept.
pub(super) fn cut_to(record: &mut RequestRecord, bodies: Bodies) {
    if let Some(failed) = &mut record.failed {
        failed.shape = failed.shape.take().filter(|_| bodies != Bodies::Off);
        failed.content = failed.content.take().filter(|_| bodies == Bodies::Content);
    }
}

/// The target's name, for those who listen.
pub(super) fn named(target: Option<&(Arc<str>, Option<Arc<str>>)>) -> Option<TargetName<'_>> {
    let (provider, model) = target?;
    Some(TargetName { provider, model: model.as_deref() })
}
