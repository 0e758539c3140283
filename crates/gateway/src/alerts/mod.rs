//! Alerts, the doing: what is seen of calls, circuits, budgets and the store goes to the rules in
//! `mainstay_core::alerts`; what they say is posted to receivers by a thread of its own and shown to
//! the administration. No call waits for any of it.
//!
//! ```text
//!  finished calls ─┐
//!  circuits ───────┼─▶ Watcher (once a second) ─▶ rules ─▶ notices ─┬─▶ Board (administration)
//!  budgets, store ─┘                                               └─▶ one queue and task a receiver
//! ```

mod ear;
mod message;
mod post;
mod watcher;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mainstay_core::alerts::{Active, Notice, Rule};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::config::AlertSettings;
use crate::fault::ServeError;
use crate::shapes;
use post::{Desk, Line};

pub(crate) use ear::AlertEar;

/// Orders that may wait for the posting thread.
const ORDERS_MAX: usize = 1_024;
/// How long what waits may still be sent when the gateway ends.
const LAST_TIME: Duration = Duration::from_secs(2);

/// What the administration sees of alerts.
#[derive(Debug, Default)]
pub(crate) struct Board {
    seen: Mutex<Seen>,
    /// Why keys, limits and budgets are not read; set by who reads them.
    keys: Mutex<Option<String>>,
    /// Notices that found the posting thread's queue full.
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Seen {
    active: Vec<Active>,
    recent: Vec<Notice>,
    desks: Vec<Arc<Desk>>,
    overlooked: u64,
}

impl Board {
    /// Notes whether keys, limits and budgets can be read.
    pub(crate) fn keys(&self, trouble: Option<String>) {
        *lock(&self.keys) = trouble;
    }

    /// Active and recent alerts and how sending goes, as JSON.
    pub(crate) fn object(&self) -> Value {
        let seen = lock(&self.seen);
        let active = |one: &Active| {
            json!({
                "rule": one.rule.name(),
                "severity": one.rule.severity().name(),
                "subject": one.subject,
                "since": shapes::time(one.since),
                "raised_at": shapes::time(one.raised),
                "what": one.what,
                "fix": one.rule.fix(),
            })
        };
        let recent = |one: &Notice| {
            json!({
                "id": one.id,
                "at": shapes::time(one.at),
                "rule": one.rule.name(),
                "severity": one.rule.severity().name(),
                "change": one.change.name(),
                "subject": one.subject,
                "since": shapes::time(one.since),
                "what": one.what,
                "fix": one.rule.fix(),
            })
        };
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let receiver = |desk: &Arc<Desk>| {
            json!({
                "name": desk.name,
                "place": desk.place,
                "delivered": get(&desk.delivered),
                "failed": get(&desk.failed),
                "dropped": get(&desk.dropped),
                "waiting": get(&desk.waiting),
                "trouble": *lock(&desk.trouble),
            })
        };
        json!({
            "object": "alerts",
            "active": seen.active.iter().map(active).collect::<Vec<_>>(),
            "recent": seen.recent.iter().map(recent).collect::<Vec<_>>(),
            "receivers": seen.desks.iter().map(receiver).collect::<Vec<_>>(),
            "rules": Rule::ALL.map(Rule::name),
            "lost": get(&self.lost) + seen.overlooked,
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the posting thread is asked.
#[derive(Debug)]
enum Order {
    Tell(Notice),
    /// Other receivers; what waits for the earlier ones is still sent.
    Receivers(Arc<AlertSettings>),
}

/// The running thread. Dropping it ends it; what waits has two seconds to go.
#[derive(Debug)]
pub(crate) struct Posting {
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Posting {
    /// Starts the thread; `source` tells this run of this gateway from others.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    fn start(
        board: Arc<Board>,
        source: Arc<str>,
        waits: post::Waits,
    ) -> Result<Posting, ServeError> {
        let (orders, mut inbox) = mpsc::channel(ORDERS_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ServeError::runtime(&error))?;
        let work = async move {
            let mut lines: Vec<Line> = Vec::new();
            while let Some(order) = inbox.recv().await {
                match order {
                    Order::Tell(notice) => lines.iter().for_each(|line| line.tell(&notice)),
                    Order::Receivers(settings) => {
                        let start = |one| Line::start(one, settings.queue_max, &source, waits);
                        lines = settings.receivers.iter().map(start).collect();
                        let desks = lines.iter().map(|line| Arc::clone(&line.desk)).collect();
                        lock(&board.seen).desks = desks;
                    }
                }
            }
            let waiting =
                || lines.iter().map(|line| line.desk.waiting.load(Ordering::Relaxed)).sum::<u64>();
            let _ = tokio::time::timeout(LAST_TIME, async {
                while waiting() != 0 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
            .await;
        };
        let thread = std::thread::Builder::new()
            .name("alerts".to_owned())
            .spawn(move || {
                runtime.block_on(work);
                runtime.shutdown_background();
            })
            .map_err(|error| ServeError::runtime(&error))?;
        Ok(Posting { orders: Some(orders), thread: Some(thread) })
    }

    /// Hands an order over; `false` when the thread cannot keep up.
    fn order(&self, order: Order) -> bool {
        self.orders.as_ref().is_some_and(|orders| orders.try_send(order).is_ok())
    }
}

impl Drop for Posting {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
