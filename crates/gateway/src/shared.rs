//! What all workers share, and what each has of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};
use mainstay::Engine;
use mainstay::http::HttpUpstream;
use mainstay_core::store::UnixMillis;
use tokio::sync::Notify;

use crate::admission::Admission;
use crate::alerts::Board;
use crate::auth::KeyBook;
use crate::body::Held;
use crate::finished::{TellTo, TellerState};
use crate::history::History;
use crate::idempotency::Idempotency;
use crate::meter::Meter;
use crate::money::Money;
use crate::otel::Sent;
use crate::ownership::Objects;
use crate::settings::Settings;
use crate::sharing::{Degraded, Sharing};
use crate::tail::LogTail;

/// Shared by all threads of a gateway.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Settings as of the last reading of the configuration.
    pub(crate) settings: ArcSwap<Settings>,
    /// Decides what becomes of each call.
    pub(crate) engine: Arc<Engine>,
    /// Who may call.
    pub(crate) keys: Arc<KeyBook>,
    /// What a call takes before it may go.
    pub(crate) admission: Admission,
    /// What calls may cost and have cost.
    pub(crate) money: Arc<Money>,
    /// Requests that may come again.
    pub(crate) idempotency: Arc<Idempotency>,
    /// Whose objects are.
    pub(crate) objects: Arc<Objects>,
    /// The memory for bodies.
    pub(crate) held: Held,
    /// One for each worker.
    pub(crate) meters: Vec<Arc<Meter>>,
    /// The last log lines.
    pub(crate) tail: LogTail,
    /// Changes of keys, limits and budgets cannot be read.
    pub(crate) store_failing: AtomicBool,
    /// What holds only in part at the moment.
    pub(crate) degraded: Degraded,
    /// What this gateway has to do with others, when there are some.
    pub(crate) sharing: Option<Arc<Sharing>>,
    /// This gateway's name; no other one has it.
    pub(crate) node: Box<str>,
    /// Looks in a row that found other gateways on the store, none of which shares anything.
    pub(crate) lonely: AtomicU32,
    /// Something in the store has changed: to be read before its time.
    pub(crate) stale: Arc<Notify>,
    /// The store has told of something since alerts of budgets were looked at.
    pub(crate) told: Arc<AtomicBool>,
    /// How telling of finished calls goes.
    pub(crate) telling: Arc<TellerState>,
    /// What is told to whoever looks after this gateway.
    pub(crate) alerts: Arc<Board>,
    /// What the last hour brought.
    pub(crate) history: History,
    /// How sending of traces goes.
    pub(crate) spans: Arc<Sent>,
    /// Wall-clock time.
    pub(crate) wall: Wall,
    /// Set when a stop was asked for: not ready any more.
    pub(crate) stopping: AtomicBool,
}

impl Shared {
    /// The settings of this moment.
    pub(crate) fn settings(&self) -> Guard<Arc<Settings>> {
        self.settings.load()
    }

    /// Whether new calls are welcome.
    pub(crate) fn ready(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed)
    }
}

/// One worker's own.
#[derive(Debug)]
pub(crate) struct Worker {
    /// What all share.
    pub(crate) shared: Arc<Shared>,
    /// Its connections to providers.
    pub(crate) upstream: Arc<HttpUpstream>,
    /// Its counters.
    pub(crate) meter: Arc<Meter>,
    /// Where its finished calls are told.
    pub(crate) tell: TellTo,
}

/// Wall-clock time as of the last tick; read on the path of a call without asking the system.
#[derive(Debug)]
pub(crate) struct Wall(AtomicU64);

impl Wall {
    /// Set to the present.
    pub(crate) fn new() -> Wall {
        let wall = Wall(AtomicU64::new(0));
        wall.tick();
        wall
    }

    /// Brings it up to date. Called four times a second.
    pub(crate) fn tick(&self) {
        let millis = jiff::Timestamp::now().as_millisecond();
        self.0.store(u64::try_from(millis).unwrap_or(0), Ordering::Relaxed);
    }

    /// At most a quarter of a second behind.
    pub(crate) fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::Relaxed))
    }
}
