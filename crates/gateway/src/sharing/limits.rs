//! Limits of callers that all gateways share: leases of them, and who is asked when.
//!
//! Calls are admitted on what was leased, without a word to anybody. What there is to say about an
//! organization goes in one message, one at a time; a call waits for its reply only when the lease is
//! used up and nothing told so far says that it cannot fit, and at most as long as the shared store is
//! waited for. The rule is `mainstay_core::rules::lease`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay::Engine;
use mainstay_core::rules::lease::{Group, Message, Reach, Reply, View};
use mainstay_core::rules::limits::LimitSpec;
use mainstay_core::store::UnixMillis;
use mainstay_core::time::Moment;
use mainstay_store::redis::{Link, LinkError, serve_limits};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Sharing;
use crate::admission::{SHARDS, SWEPT, shard};
use crate::metrics::Page;

/// After the shared store was not reached nobody asks it about limits for this long.
const AWAY: Duration = Duration::from_secs(1);
/// Replies that fail to come in a row before it counts as not reached.
const MISSED_MAX: u32 = 3;
/// Messages under way at once; further ones wait, so that all that was put off while the shared store was
/// away does not reach it in one moment.
const UNDER_WAY_MAX: usize = 64;
/// Longest time for giving back what is leased, at the end.
const LEAVE_MAX: Duration = Duration::from_secs(1);
/// What a reply may take beyond the link's own deadline.
const SLACK: Duration = Duration::from_millis(5);

/// The leases of this gateway.
#[derive(Debug)]
pub(crate) struct Leases {
    sharing: Arc<Sharing>,
    link: Link,
    engine: Arc<Engine>,
    /// By organization, in order: few to a lock are found sooner than hashed.
    shards: [Mutex<BTreeMap<Box<str>, Cell>>; SHARDS],
    /// Above the numbers of all messages of earlier lives under the same name.
    first: u64,
    reply_max: Duration,
    under_way: Semaphore,
    /// Until when the shared store counts as not reached, in nanoseconds of the engine's clock.
    away_until: AtomicU64,
    missed: AtomicU32,
    messages: AtomicU64,
    unheard: AtomicU64,
    alone: AtomicU64,
}

/// The leases of one organization.
#[derive(Debug)]
struct Cell {
    group: Group,
    /// Told when the message under way has come to its end.
    told: Arc<Notify>,
}

/// A message under way: whatever becomes of the task that waits for its reply, the call that waits for
/// the task learns of its end.
struct Under {
    leases: Arc<Leases>,
    org: Box<str>,
    number: u64,
}

impl Drop for Under {
    fn drop(&mut self) {
        if let Some(cell) = self.leases.lock(shard(&self.org)).get_mut(&self.org) {
            // Of one whose reply has come nothing is lost.
            cell.group.lost(self.number);
            cell.told.notify_waiters();
        }
    }
}

impl Leases {
    /// Of a gateway among others; none are held yet.
    pub(crate) fn among(
        sharing: Option<&Arc<Sharing>>,
        engine: &Arc<Engine>,
        wall: UnixMillis,
    ) -> Option<Arc<Leases>> {
        let (sharing, engine) = (Arc::clone(sharing?), Arc::clone(engine));
        let link = sharing.link().clone();
        Some(Arc::new(Leases {
            reply_max: link.deadline() + SLACK,
            link,
            sharing,
            engine,
            shards: std::array::from_fn(|_| Mutex::default()),
            first: wall.0,
            under_way: Semaphore::new(UNDER_WAY_MAX),
            away_until: AtomicU64::new(0),
            missed: AtomicU32::new(0),
            messages: AtomicU64::new(0),
            unheard: AtomicU64::new(0),
            alone: AtomicU64::new(0),
        }))
    }

    /// How the world is for a call that has not waited yet, or has.
    pub(crate) fn view(&self, waited: bool, now: Moment) -> View {
        let away = now.as_nanos() < self.away_until.load(Ordering::Relaxed);
        let reach = match (away, waited) {
            (true, _) => Reach::Away,
            (false, true) => Reach::Last,
            (false, false) => Reach::Ask,
        };
        View { nodes: self.sharing.nodes().into(), reach, reply_max: self.reply_max, now }
    }

    /// Does something with the leases of an organization, and says what there is to say.
    pub(crate) fn with<R>(
        self: &Arc<Self>,
        org: &str,
        view: View,
        act: impl FnOnce(&mut Group) -> R,
    ) -> R {
        let (done, message) = {
            let mut cells = self.lock(shard(org));
            let cell = match cells.get_mut(org) {
                Some(cell) => cell,
                None => cells.entry(org.into()).or_insert_with(|| self.cell()),
            };
            let before = cell.group.alone();
            let done = act(&mut cell.group);
            let alone = cell.group.alone() - before;
            if alone > 0 {
                self.alone.fetch_add(alone, Ordering::Relaxed);
            }
            let eager = view.reach != Reach::Away && cell.group.is_eager();
            (done, eager.then(|| cell.group.message(view)).flatten())
        };
        if let Some(message) = message {
            self.send(org, message);
        }
        done
    }

    /// Looks at the leases of an organization.
    pub(crate) fn look<R>(&self, org: &str, at: impl FnOnce(&mut Group) -> R) -> R {
        match self.lock(shard(org)).get_mut(org) {
            Some(cell) => at(&mut cell.group),
            None => at(&mut Group::default()),
        }
    }

    /// Waits for the reply to what is being said about an organization; at most for the longest time of a
    /// reply.
    pub(crate) async fn reply(&self, org: &str) {
        let told = {
            let cells = self.lock(shard(org));
            let Some(cell) = cells.get(org).filter(|cell| cell.group.is_waiting()) else { return };
            // Made under the lock, so that nobody tells between the look and the wait.
            Arc::clone(&cell.told).notified_owned()
        };
        // In vain or not: the call looks again.
        let _ = timeout(self.reply_max, told).await;
    }

    /// Forgets what nobody uses and says what is to be said at leisure. Called with every tick.
    pub(crate) fn sweep(self: &Arc<Self>, spec_of: impl Fn(u64) -> Option<LimitSpec>) {
        for index in 0..SHARDS {
            let view = self.view(false, self.engine.now());
            let mut messages: Vec<(Box<str>, Message)> = Vec::new();
            self.lock(index).retain(|org, cell| {
                cell.group.sweep(SWEPT, view, &spec_of);
                if view.reach != Reach::Away {
                    let message = cell.group.message(view);
                    messages.extend(message.map(|message| (org.clone(), message)));
                }
                !cell.group.is_empty()
            });
            for (org, message) in messages {
                self.send(&org, message);
            }
        }
    }

    /// Gives back all that is not in use, and waits until that is said.
    pub(crate) async fn leave(self: &Arc<Self>) {
        let mut said = JoinSet::new();
        for index in 0..SHARDS {
            let view = self.view(false, self.engine.now());
            for (org, cell) in self.lock(index).iter_mut() {
                cell.group.leave();
                if let Some(message) = cell.group.message(view) {
                    let (leases, number) = (Arc::clone(self), message.number);
                    said.spawn(talk(Under { leases, org: org.clone(), number }, message));
                }
            }
        }
        let all = async { while said.join_next().await.is_some() {} };
        // What is not said by then fades by itself.
        let _ = timeout(LEAVE_MAX, all).await;
    }

    /// The leases of each organization that has some, for people.
    pub(crate) fn each(&self, mut see: impl FnMut(&Group)) {
        for index in 0..SHARDS {
            self.lock(index).values().for_each(|cell| see(&cell.group));
        }
    }

    /// Puts its numbers on the page of metrics.
    pub(crate) fn metrics(&self, page: &mut Page) {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        page.one("mainstay_lease_messages_total", get(&self.messages));
        page.one("mainstay_lease_unheard_total", get(&self.unheard));
        page.one("mainstay_admitted_alone_total", get(&self.alone));
    }

    fn cell(&self) -> Cell {
        Cell { group: Group::new(self.first), told: Arc::default() }
    }

    fn send(self: &Arc<Self>, org: &str, message: Message) {
        let under = Under { leases: Arc::clone(self), org: org.into(), number: message.number };
        // Where there is no runtime any more nothing is said.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(talk(under, message));
        }
    }

    /// Says a message and takes in its reply. What there is to say after it.
    async fn exchange(&self, org: &str, message: Message) -> Option<Message> {
        let answer = match self.under_way.acquire().await {
            Ok(_turn) => {
                self.messages.fetch_add(1, Ordering::Relaxed);
                serve_limits(&self.link, self.sharing.node(), org, &message).await
            }
            Err(_) => Err(LinkError::Full),
        };
        let now = self.engine.now();
        self.heard(&answer, now);
        let view = self.view(false, now);
        let mut cells = self.lock(shard(org));
        let cell = cells.get_mut(org)?;
        match answer {
            Ok(reply) => cell.group.told(message.number, &reply, view),
            Err(_) => cell.group.lost(message.number),
        }
        cell.told.notify_waiters();
        let eager = view.reach != Reach::Away && cell.group.is_eager();
        eager.then(|| cell.group.message(view)).flatten()
    }

    fn heard(&self, answer: &Result<Reply, LinkError>, now: Moment) {
        let missed = match answer {
            Ok(_) => {
                self.missed.store(0, Ordering::Relaxed);
                return;
            }
            // It is gone, and the link says so.
            Err(LinkError::Down(_) | LinkError::Lost) => MISSED_MAX,
            Err(
                LinkError::Timeout(_)
                | LinkError::Full
                | LinkError::Refused(_)
                | LinkError::ApartKeys(_),
            ) => self.missed.fetch_add(1, Ordering::Relaxed) + 1,
        };
        self.unheard.fetch_add(1, Ordering::Relaxed);
        if missed >= MISSED_MAX {
            let until = now + AWAY;
            self.away_until.store(until.as_nanos(), Ordering::Relaxed);
        }
    }

    fn lock(&self, index: usize) -> MutexGuard<'_, BTreeMap<Box<str>, Cell>> {
        // Every change of a group is complete before anything can panic.
        self.shards[index % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says a message, and all there is to say after it.
async fn talk(mut under: Under, message: Message) {
    let mut next = Some(message);
    while let Some(message) = next {
        under.number = message.number;
        next = under.leases.exchange(&under.org, message).await;
    }
}
