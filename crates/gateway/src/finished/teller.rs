//! The thread that tells of finished calls: log, ears, store.
//!
//! Workers never wait for it, and never wake it: it takes what they have put down every [`LOOK_EVERY`],
//! the sooner the more there is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, yield_now};
use std::time::Duration;

use mainstay_core::store::{RequestBatch, RequestRecord, RequestsKept, Store};
use mainstay_core::time::Moment;
use mainstay_store::requests::{self, merge};

use super::sums::{Sum, Sums};
use super::told::{Desk, News, TellTo, Told, What, named};
use super::{TargetName, line};
use crate::behind;
use crate::fault::ServeError;
use crate::metrics::Tallies;
use crate::otel::Traced;
use crate::shared::Shared;

/// Most time between two looks into the queues.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The least.
const LOOK_SOON: Duration = Duration::from_millis(4);
/// Calls that a look is to find: what is told of them is small by then, and each look is a change of
/// threads.
const MANY: u32 = 1_024;
/// Time between two writes to the store, while less than [`BATCH_MAX`] is there.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// The same while less than [`BATCH_MIN`] is there.
const WRITE_FEW_EVERY: Duration = Duration::from_secs(2);
/// Records worth a write of their own after a second: a store over a network is asked by the calls there
/// are and not by the clock.
const BATCH_MIN: u64 = 200;
/// Records that are worth a write before its time.
const BATCH_MAX: u64 = 1_000;
/// Records that wait for a store that fails; the oldest beyond are dropped and counted.
const PENDING_MAX: u64 = 20_000;
/// Memory for records that is kept for the next ones, in bytes: a batch of whole ones.
const BATCH_KEPT: usize = 512 * 1024;

/// Whoever else wants to know of calls that are over. Told on the teller's thread, in the order of
/// their ends; what takes long there delays the log and the records, not the calls.
pub(crate) trait Ear: Send {
    /// Calls are over that were answered by their first attempt, or without any; of those that are not
    /// traced this is all that is told.
    fn answered(&mut self, _calls: u64, _target: Option<TargetName<'_>>) {}
    /// Any other call is over.
    fn finished(&mut self, _call: &RequestRecord) {}
    /// A call is over that has a place in a trace; told after [`Ear::finished`].
    fn traced(&mut self, _call: &RequestRecord, _traced: &Traced) {}
    /// At least about ten times a second, whether there were calls or not.
    fn tick(&mut self) {}
}

/// How telling goes, for metrics, and a way to hurry it.
#[derive(Debug)]
pub(crate) struct TellerState {
    orders: Sender<Order>,
    desks: Vec<Arc<Desk>>,
    /// Calls that were not told of because too many waited, and records that the store did not take.
    pub(crate) dropped: AtomicU64,
    /// Records written.
    pub(crate) written: AtomicU64,
    /// Records that wait to be written.
    pub(crate) waiting: AtomicU64,
    /// Why the store does not take records, while it does not.
    trouble: Mutex<Option<String>>,
}

impl TellerState {
    /// Waits until every call that is over by now is told of and written, at most two seconds.
    pub(crate) fn flush(&self) {
        const MOST: Duration = Duration::from_secs(2);
        let (done, over) = sync_channel(1);
        if self.orders.send(Order::Flush(done)).is_ok() {
            let _ = over.recv_timeout(MOST);
        }
    }

    /// What all workers have counted of finished calls.
    pub(crate) fn tallies(&self) -> Tallies {
        let mut all = Tallies::default();
        for desk in &self.desks {
            desk.add_to(&mut all);
        }
        all
    }

    /// Why the store does not take records, while it does not.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Where workers put things down, until the thread starts.
#[derive(Debug)]
pub(crate) struct TellerPlan {
    state: Arc<TellerState>,
    inbox: Receiver<Order>,
}

impl TellerPlan {
    /// For `count` workers, each with room for `queue_max` calls; `keeps`: of their records.
    pub(crate) fn new(count: usize, queue_max: usize, keeps: bool) -> (TellerPlan, Vec<TellTo>) {
        let (orders, inbox) = channel();
        let desk = |_| Arc::new(Desk::new(queue_max, keeps, count == 1));
        let state = Arc::new(TellerState {
            orders,
            desks: (0..count).map(desk).collect(),
            dropped: AtomicU64::new(0),
            written: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            trouble: Mutex::new(None),
        });
        let tell = |desk: &Arc<Desk>| TellTo { desk: desk.clone(), state: state.clone() };
        let ways = state.desks.iter().map(tell).collect();
        (TellerPlan { state, inbox }, ways)
    }

    /// How telling goes.
    pub(crate) fn state(&self) -> Arc<TellerState> {
        Arc::clone(&self.state)
    }

    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(crate) fn start(
        self,
        shared: Arc<Shared>,
        store: Option<Arc<dyn Store>>,
        ears: Vec<Box<dyn Ear>>,
    ) -> Result<Teller, ServeError> {
        let TellerPlan { state, inbox } = self;
        let own = Arc::clone(&state);
        let step_back = behind::how_far(state.desks.len());
        let mut work = Work {
            shared,
            store,
            ears,
            state,
            spare: Told::default(),
            pending: RequestBatch::default(),
            refused: 0,
            written: Moment::ZERO,
            sums: Sums::default(),
        };
        let thread = std::thread::Builder::new()
            .name("teller".to_owned())
            .spawn(move || {
                mainstay_store::step_back(step_back);
                work.run(&inbox);
            })
            .map_err(|error| ServeError::runtime(&error))?;
        Ok(Teller { state: own, thread: Some(thread) })
    }
}

/// The running thread. Dropping it tells of what is left and ends it.
#[derive(Debug)]
pub(crate) struct Teller {
    state: Arc<TellerState>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Order {
    /// Tell of everything there is, then answer.
    Flush(SyncSender<()>),
    End,
}

impl Drop for Teller {
    fn drop(&mut self) {
        let _ = self.state.orders.send(Order::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How long to wait for about [`MANY`] calls, where so many came in this time.
fn next_look(time: Duration, found: u64) -> Duration {
    let found = u32::try_from(found).unwrap_or(u32::MAX).max(1);
    (time * MANY / found).clamp(LOOK_SOON, LOOK_EVERY)
}

/// For how many calls memory is kept after so many: after a flood no more than there is use for, and
/// enough to be neither given back nor grown again with each look that finds more than the one before.
fn kept(count: u64) -> usize {
    usize::try_from(count.saturating_mul(4)).unwrap_or(usize::MAX).max(MANY as usize)
}

struct Work {
    shared: Arc<Shared>,
    store: Option<Arc<dyn Store>>,
    ears: Vec<Box<dyn Ear>>,
    state: Arc<TellerState>,
    /// Empty memory for the next worker that is asked.
    spare: Told,
    /// Records to be written.
    pending: RequestBatch,
    /// Of these, those that the store did not take.
    refused: u64,
    /// When they were written last.
    written: Moment,
    /// Calls that did not succeed, to be told together.
    sums: Sums,
}

impl Work {
    fn run(&mut self, inbox: &Receiver<Order>) {
        let mut pause = LOOK_EVERY;
        loop {
            let order = inbox.recv_timeout(pause);
            pause = next_look(pause, self.look());
            self.sums.due(self.shared.engine.now()).iter().for_each(Sum::write);
            for ear in &mut self.ears {
                ear.tick();
            }
            match order {
                Err(RecvTimeoutError::Timeout) => {
                    if self.is_due() {
                        self.write();
                    }
                }
                Ok(Order::Flush(done)) => {
                    self.write();
                    let _ = done.send(());
                }
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => {
                    self.sums.rest(self.shared.engine.now()).iter().for_each(Sum::write);
                    self.write();
                    return;
                }
            }
        }
    }

    /// Whether what waits is to be written now.
    fn is_due(&self) -> bool {
        let few = self.pending.len() < BATCH_MIN;
        let rest = if few { WRITE_FEW_EVERY } else { WRITE_EVERY };
        self.shared.engine.now().since(self.written) >= rest
    }

    /// Takes what workers have put down and tells of it; how many calls that were.
    fn look(&mut self) -> u64 {
        let state = Arc::clone(&self.state);
        let desks = &state.desks;
        let (mut news, mut parts, mut calls) = (Vec::new(), Vec::new(), 0);
        let keeps = self.store.is_some() && self.shared.settings().records.enabled;
        for desk in desks {
            desk.keep(keeps);
            let mut told = desk.take(std::mem::take(&mut self.spare));
            calls += told.calls;
            if desks.len() == 1 {
                self.pending.append(&told.batch);
                self.tell(told.news.drain(..));
            } else {
                news.append(&mut told.news);
                parts.push((std::mem::take(&mut told.batch), std::mem::take(&mut told.ends)));
            }
            told.clear(BATCH_KEPT, kept(told.calls));
            self.spare = told;
        }
        if desks.len() > 1 && calls > 0 {
            merge(&mut self.pending, &parts);
            news.sort_by_key(|one| one.end);
            self.tell(news.into_iter());
        }
        if calls > 0 {
            self.keep();
        }
        calls
    }

    /// Tells the log and the ears.
    fn tell(&mut self, news: impl Iterator<Item = News>) {
        let shared = Arc::clone(&self.shared);
        let bodies = shared.settings().log.bodies;
        let now = shared.engine.now();
        for one in news {
            match one.what {
                What::Answered { calls, target } => {
                    for ear in &mut self.ears {
                        ear.answered(calls, named(target.as_ref()));
                    }
                }
                What::Call { record, traced } => {
                    line::write(&record, bodies);
                    if let Some(sum) = self.sums.call(&record, now) {
                        sum.write();
                    }
                    for ear in &mut self.ears {
                        ear.finished(&record);
                        if let Some(traced) = &traced {
                            ear.traced(&record, traced);
                        }
                    }
                }
            }
        }
    }

    /// Writes the records that are there, if they are many, and sees that they do not become too many.
    fn keep(&mut self) {
        if self.pending.len().saturating_sub(self.refused) >= BATCH_MAX {
            // Calls on the same core wait for neither longer than for one.
            yield_now();
            self.write();
            yield_now();
        }
        let over = requests::shorten(&mut self.pending, PENDING_MAX);
        self.refused = self.refused.saturating_sub(over);
        self.state.dropped.fetch_add(over, Ordering::Relaxed);
        self.state.waiting.store(self.pending.len(), Ordering::Relaxed);
    }

    fn write(&mut self) {
        self.written = self.shared.engine.now();
        let Some(store) = self.store.as_ref().filter(|_| !self.pending.is_empty()) else { return };
        let settings = self.shared.settings();
        let kept =
            RequestsKept { count_max: settings.records.count_max, age_max: settings.records.keep };
        let done = store.keep_requests(&self.pending, kept, self.shared.wall.now());
        let mut trouble = self.state.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match done {
            Ok(()) => {
                self.state.written.fetch_add(self.pending.len(), Ordering::Relaxed);
                self.pending.clear(BATCH_KEPT);
                self.refused = 0;
                self.state.waiting.store(0, Ordering::Relaxed);
                if trouble.take().is_some() {
                    tracing::info!("records of requests are written again");
                }
            }
            Err(error) if trouble.is_none() => {
                self.refused = self.pending.len();
                tracing::warn!(%error, fix = error.fix(), "could not write records of requests; they wait");
                *trouble = Some(error.to_string());
            }
            Err(error) => {
                self.refused = self.pending.len();
                *trouble = Some(error.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_comes_when_about_as_many_calls_are_there_as_it_is_to_find() {
        let next = |millis, found| next_look(Duration::from_millis(millis), found).as_millis();
        let looks = [(100, 0), (100, 1_024), (100, 10_240), (10, 1_024), (10, 512), (4, u64::MAX)];
        assert_eq!(looks.map(|(millis, found)| next(millis, found)), [100, 100, 10, 10, 20, 4]);
    }

    #[test]
    fn memory_is_kept_for_more_calls_than_a_look_found_and_not_for_all_of_a_flood_before() {
        assert_eq!([0, 150, 3_000, 20_000].map(kept), [1_024, 1_024, 12_000, 80_000]);
    }
}
