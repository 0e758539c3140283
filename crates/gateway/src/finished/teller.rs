//! The thread that tells of finished calls: log, ears, store.
//!
//! Workers never wait for it, and never wake it: it looks into their queues every
//! [`LOOK_EVERY`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mainstay_core::store::{RequestRecord, RequestsKept, Store};

use super::{Finished, line, record};
use crate::config::Bodies;
use crate::fault::ServeError;
use crate::otel::Traced;
use crate::shared::Shared;

/// How often the queues are looked into.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Looks between two writes to the store, while less than [`BATCH_MAX`] is there.
const LOOKS_PER_WRITE: u32 = 10;
/// Records in a batch.
const BATCH_MAX: usize = 2_000;
/// Records that wait for a store that fails; the oldest beyond are dropped and counted.
const PENDING_MAX: usize = 20_000;

/// Whoever else wants to know of calls that are over. Told on the teller's thread, in the order of
/// their ends; what takes long there delays the log and the records, not the calls.
pub(crate) trait Ear: Send {
    /// A call is over.
    fn finished(&mut self, call: &RequestRecord);
    /// A call is over that has a place in a trace; told after [`Ear::finished`].
    fn traced(&mut self, _call: &RequestRecord, _traced: &Traced) {}
    /// About ten times a second, whether there were calls or not.
    fn tick(&mut self) {}
}

/// A worker's way to the teller.
#[derive(Debug)]
pub(crate) struct TellTo {
    queue: SyncSender<Finished>,
    state: Arc<TellerState>,
}

impl TellTo {
    /// Hands a finished call over; when the queue is full it is dropped and counted.
    pub(crate) fn tell(&self, call: Finished) {
        if self.queue.try_send(call).is_err() {
            self.state.dropped.fetch_add(1, Ordering::Relaxed);
        }
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
    queues: Vec<Receiver<Finished>>,
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
        let pairs = (0..count).map(|_| sync_channel(queue_max));
        let (senders, queues): (Vec<_>, Vec<_>) = pairs.unzip();
        let tell = |queue| TellTo { queue, state: Arc::clone(&state) };
        let ways = senders.into_iter().map(tell).collect();
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
        let mut work = Work { shared, store, ears, queues, state, pending: Vec::new(), looks: 0 };
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

/// A record with no more of the request's body than shall be kept.
fn within(mut record: RequestRecord, bodies: Bodies) -> RequestRecord {
    if let Some(failed) = &mut record.failed {
        failed.shape = failed.shape.take().filter(|_| bodies != Bodies::Off);
        failed.content = failed.content.take().filter(|_| bodies == Bodies::Content);
    }
    record
}

struct Work {
    shared: Arc<Shared>,
    store: Option<Arc<dyn Store>>,
    ears: Vec<Box<dyn Ear>>,
    queues: Vec<Receiver<Finished>>,
    state: Arc<TellerState>,
    /// Records to be written.
    pending: Vec<RequestRecord>,
    looks: u32,
}

impl Work {
    fn run(&mut self, inbox: &Receiver<Order>) {
        loop {
            let order = inbox.recv_timeout(LOOK_EVERY);
            self.look();
            for ear in &mut self.ears {
                ear.tick();
            }
            match order {
                Err(RecvTimeoutError::Timeout) => {
                    self.looks += 1;
                    if self.looks >= LOOKS_PER_WRITE || self.pending.len() >= BATCH_MAX {
                        self.write();
                    }
                }
                Ok(Order::Flush(done)) => {
                    self.write();
                    let _ = done.send(());
                }
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => {
                    self.write();
                    return;
                }
            }
        }
    }

    /// Tells of what is in the queues.
    fn look(&mut self) {
        let settings = self.shared.settings.load_full();
        let keep = settings.records.enabled && self.store.is_some();
        let mut calls: Vec<Finished> =
            self.queues.iter().flat_map(|queue| queue.try_iter().take(BATCH_MAX)).collect();
        if calls.is_empty() {
            return;
        }
        calls.sort_by_key(|call| call.arrived + call.took);
        let now = self.shared.engine.snapshot();
        let mut tally = self.shared.tally.lock().unwrap_or_else(PoisonError::into_inner);
        for call in calls {
            let traced = call.traced;
            tally.dropped(&call.trace.records);
            let Some(record) = record::of(call, &now) else { continue };
            tally.finished(&record);
            line::write(&record, settings.log.bodies);
            for ear in &mut self.ears {
                ear.finished(&record);
                if let Some(traced) = &traced {
                    ear.traced(&record, traced);
                }
            }
            if keep {
                self.pending.push(within(record, settings.records.bodies));
            }
        }
        let over = self.pending.len().saturating_sub(PENDING_MAX);
        if over > 0 {
            self.pending.drain(..over);
            self.state.dropped.fetch_add(over as u64, Ordering::Relaxed);
        }
        self.state.waiting.store(self.pending.len() as u64, Ordering::Relaxed);
    }

    fn write(&mut self) {
        self.looks = 0;
        let Some(store) = self.store.as_ref().filter(|_| !self.pending.is_empty()) else { return };
        let settings = self.shared.settings();
        let kept =
            RequestsKept { count_max: settings.records.count_max, age_max: settings.records.keep };
        let count = self.pending.len() as u64;
        let done = store.keep_requests(self.pending.clone(), kept, self.shared.wall.now());
        let mut trouble = self.state.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match done {
            Ok(()) => {
                self.pending.clear();
                self.state.written.fetch_add(count, Ordering::Relaxed);
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
