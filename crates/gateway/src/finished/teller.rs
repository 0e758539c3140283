//! The thread that tells of finished calls: log, ears, store.
//!
//! Workers never wait for it, and never wake it: it looks into their queues every
//! [`LOOK_EVERY`], the sooner the more there is. What is in a queue for long is no longer in the
//! processor's memory when it is read, and what takes its place is not there yet.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, yield_now};
use std::time::Duration;

use mainstay::call::AttemptRecord;
use mainstay_core::store::{RequestBatch, RequestRecord, RequestsKept, Store};
use mainstay_core::time::Moment;
use mainstay_store::requests;

use super::record::{Records, Targets};
use super::sums::{Sum, Sums};
use super::{Finished, line};
use crate::config::Bodies;
use crate::fault::ServeError;
use crate::metrics::Tally;
use crate::otel::Traced;
use crate::shared::Shared;

/// Most time between two looks into the queues.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The least.
const LOOK_SOON: Duration = Duration::from_millis(4);
/// Calls that a look is to find: they take about 0.2 ms, for which calls wait that share the core, and
/// are still in the processor's memory.
const MANY: u32 = 128;
/// Time between two writes to the store, while less than [`BATCH_MAX`] is there.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// The same while less than [`BATCH_MIN`] is there.
const WRITE_FEW_EVERY: Duration = Duration::from_secs(2);
/// Records worth a write of their own after a second: a store over a network is asked by the calls there
/// are and not by the clock.
const BATCH_MIN: u64 = 200;
/// Records in a batch.
const BATCH_MAX: u64 = 1_000;
/// Records that wait for a store that fails; the oldest beyond are dropped and counted.
const PENDING_MAX: u64 = 20_000;
/// Memory for records that is kept for the next ones, in bytes: a batch of usual ones.
const BATCH_KEPT: usize = 1024 * 1024;

/// Whoever else wants to know of calls that are over. Told on the teller's thread, in the order of
/// their ends; what takes long there delays the log and the records, not the calls.
pub(crate) trait Ear: Send {
    /// A call is over.
    fn finished(&mut self, call: &RequestRecord);
    /// A call is over that has a place in a trace; told after [`Ear::finished`].
    fn traced(&mut self, _call: &RequestRecord, _traced: &Traced) {}
    /// At least about ten times a second, whether there were calls or not.
    fn tick(&mut self) {}
}

/// A worker's way to the teller.
#[derive(Debug)]
pub(crate) struct TellTo {
    queue: Arc<Queue>,
    state: Arc<TellerState>,
}

impl TellTo {
    /// Hands a finished call over; when the queue is full it is dropped and counted.
    pub(crate) fn tell(&self, call: Finished) {
        let mut calls = self.queue.calls();
        if calls.len() < self.queue.room {
            calls.push(call);
        } else {
            drop(calls);
            self.state.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Calls of one worker, in the order of their ends. The teller takes all of them at once and leaves
/// empty memory for the next, so that the lock is held for a moment on either side.
#[derive(Debug)]
struct Queue {
    calls: Mutex<Vec<Finished>>,
    room: usize,
}

impl Queue {
    fn calls(&self) -> MutexGuard<'_, Vec<Finished>> {
        // Nothing that panics is done under it.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what there is, with a memory for the next in its place.
    fn take(&self, empty: Vec<Finished>) -> Vec<Finished> {
        std::mem::replace(&mut *self.calls(), empty)
    }
}

/// How telling goes, for metrics, and a way to hurry it.
#[derive(Debug)]
pub(crate) struct TellerState {
    orders: Sender<Order>,
    /// Calls that were not told of because a queue was full, and records that the store did not take.
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

    /// Why the store does not take records, while it does not.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The queues, until the thread starts.
#[derive(Debug)]
pub(crate) struct TellerPlan {
    queues: Vec<Arc<Queue>>,
    state: Arc<TellerState>,
    inbox: Receiver<Order>,
}

impl TellerPlan {
    /// A queue for each of `count` workers, with room for `queue_max` calls.
    pub(crate) fn new(count: usize, queue_max: usize) -> (TellerPlan, Vec<TellTo>) {
        let (orders, inbox) = channel();
        let state = Arc::new(TellerState {
            orders,
            dropped: AtomicU64::new(0),
            written: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            trouble: Mutex::new(None),
        });
        let queue = |_| Arc::new(Queue { calls: Mutex::default(), room: queue_max });
        let queues: Vec<Arc<Queue>> = (0..count).map(queue).collect();
        let tell = |queue: &Arc<Queue>| TellTo { queue: queue.clone(), state: state.clone() };
        let ways = queues.iter().map(tell).collect();
        (TellerPlan { queues, state, inbox }, ways)
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
        let TellerPlan { queues, state, inbox } = self;
        let own = Arc::clone(&state);
        let mut work = Work {
            shared,
            store,
            ears,
            queues,
            state,
            calls: Vec::new(),
            records: Records::new(),
            spare: Vec::new(),
            pending: RequestBatch::default(),
            written: Moment::ZERO,
            sums: Sums::default(),
        };
        let thread = std::thread::Builder::new()
            .name("teller".to_owned())
            .spawn(move || work.run(&inbox))
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

/// Leaves no more of the request's body in a record than shall be kept.
fn cut_to(record: &mut RequestRecord, bodies: Bodies) {
    if let Some(failed) = &mut record.failed {
        failed.shape = failed.shape.take().filter(|_| bodies != Bodies::Off);
        failed.content = failed.content.take().filter(|_| bodies == Bodies::Content);
    }
}

/// How long to wait for about [`MANY`] calls, where so many came in this time.
fn next_look(time: Duration, found: usize) -> Duration {
    let found = u32::try_from(found).unwrap_or(u32::MAX).max(1);
    (time * MANY / found).clamp(LOOK_SOON, LOOK_EVERY)
}

/// For how many calls memory is kept after so many: after a flood no more than there is use for, and
/// enough to be neither given back nor grown again with each look that finds more than the one before.
fn kept(count: usize) -> usize {
    (4 * count).max(8 * MANY as usize)
}

fn tallied(shared: &Shared) -> MutexGuard<'_, Tally> {
    shared.tally.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Work {
    shared: Arc<Shared>,
    store: Option<Arc<dyn Store>>,
    ears: Vec<Box<dyn Ear>>,
    queues: Vec<Arc<Queue>>,
    state: Arc<TellerState>,
    /// Calls to be told of; empty between two looks.
    calls: Vec<Finished>,
    /// What makes their records.
    records: Records,
    /// Empty memory for the next queue that is taken.
    spare: Vec<Finished>,
    /// Records to be written.
    pending: RequestBatch,
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

    /// Tells of what is in the queues; how many calls that were.
    fn look(&mut self) -> usize {
        for queue in &self.queues {
            let mut taken = queue.take(std::mem::take(&mut self.spare));
            if self.calls.is_empty() {
                std::mem::swap(&mut self.calls, &mut taken);
            } else {
                self.calls.append(&mut taken);
            }
            taken.shrink_to(kept(self.calls.len()));
            self.spare = taken;
        }
        let count = self.calls.len();
        if count > 0 {
            // Those of one worker are in this order.
            if self.queues.len() > 1 {
                self.calls.sort_by_key(|call| call.arrived + call.took);
            }
            self.tell();
            self.calls.shrink_to(kept(count));
        }
        count
    }

    /// Tells of the calls.
    fn tell(&mut self) {
        let shared = Arc::clone(&self.shared);
        let settings = shared.settings.load_full();
        let keep = settings.records.enabled && self.store.is_some();
        let now = shared.engine.now();
        let mut targets = Targets::of(&shared.engine);
        let mut calls = std::mem::take(&mut self.calls);
        for mut call in calls.drain(..) {
            let traced = call.traced.take().map(|traced| traced.with_notes(&mut call.trace));
            let dropped = |record: &AttemptRecord| record.dropped > 0;
            if call.trace.records.iter().any(dropped) {
                tallied(&shared).dropped(&call.trace.records);
            }
            let Some(record) = self.records.of(&mut call, &mut targets) else { continue };
            tallied(&shared).finished(record);
            line::write(record, settings.log.bodies);
            if let Some(sum) = self.sums.call(record, now) {
                sum.write();
            }
            for ear in &mut self.ears {
                ear.finished(record);
                if let Some(traced) = &traced {
                    ear.traced(record, traced);
                }
            }
            if keep {
                cut_to(record, settings.records.bodies);
                requests::add(&mut self.pending, record);
                if self.pending.len().is_multiple_of(BATCH_MAX) {
                    // Calls on the same core wait for neither longer than for one.
                    yield_now();
                    self.write();
                    yield_now();
                }
            }
        }
        self.calls = calls;
        let over = requests::shorten(&mut self.pending, PENDING_MAX);
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
                self.state.waiting.store(0, Ordering::Relaxed);
                if trouble.take().is_some() {
                    tracing::info!("records of requests are written again");
                }
            }
            Err(error) if trouble.is_none() => {
                tracing::warn!(%error, fix = error.fix(), "could not write records of requests; they wait");
                *trouble = Some(error.to_string());
            }
            Err(error) => *trouble = Some(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_comes_when_about_as_many_calls_are_there_as_it_is_to_find() {
        let next = |millis, found| next_look(Duration::from_millis(millis), found).as_millis();
        let looks = [(100, 0), (100, 128), (100, 1_280), (10, 128), (10, 64), (4, usize::MAX)];
        assert_eq!(looks.map(|(millis, found)| next(millis, found)), [100, 100, 10, 10, 20, 4]);
    }

    #[test]
    fn memory_is_kept_for_more_calls_than_a_look_found_and_not_for_all_of_a_flood_before() {
        assert_eq!([0, 150, 300, 20_000].map(kept), [1_024, 1_024, 1_200, 80_000]);
    }
}
