//! A gateway as a thing to start and stop: the threads, the sockets, and the hands on them.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use arc_swap::ArcSwap;
use mainstay::Engine;
use mainstay::http::{HttpSettings, HttpUpstream};
use mainstay::spec::EngineSpec;
use mainstay_core::store::{Ledger, Store, StoreError};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::admin::{self, AdminSettings};
use crate::admission::Admission;
use crate::alerts::AlertEar;
use crate::auth::KeyBook;
use crate::body::Held;
use crate::connection::{Host, Phase};
use crate::fault::ServeError;
use crate::finished::{Ear, TellTo, Teller, TellerPlan};
use crate::history::History;
use crate::idempotency::Idempotency;
use crate::listen::listeners;
use crate::meter::Meter;
use crate::money::Money;
use crate::otel::SpanEar;
use crate::ownership::Objects;
use crate::settings::Settings;
use crate::shared::{Shared, Wall, Worker};
use crate::sharing::{Degraded, Leases, Sharing, node_name};
use crate::tail::LogTail;
use crate::{tls, worker};

/// Everything a gateway is started with.
#[derive(Debug)]
pub struct Plan {
    /// The data plane.
    pub settings: Settings,
    /// The administration plane.
    pub admin: AdminSettings,
    /// Providers, routes and policies.
    pub engine: EngineSpec,
    /// Where keys are remembered; asked now and then for what changed. `None` with no keys.
    pub store: Option<Arc<dyn Store>>,
    /// Where money is remembered. Without it nothing is held, and budgets have no effect.
    pub ledger: Option<Arc<dyn Ledger>>,
    /// Where the last log lines are kept.
    pub tail: LogTail,
}

/// A running gateway. Dropping it cuts everything.
#[derive(Debug)]
pub struct Gateway {
    addr: SocketAddr,
    admin_addr: SocketAddr,
    shared: Arc<Shared>,
    phase: watch::Sender<Phase>,
    workers: Vec<JoinHandle<()>>,
    background: Option<JoinHandle<()>>,
    /// Ends last: it tells of what the workers have handed over.
    teller: Option<Teller>,
}

/// What each worker has of its own: the socket it listens on, and its way to tell of calls.
type Line = (TcpListener, TellTo);

/// What can be refused by the surroundings, in hand: sockets and certificates. Bound first, so that
/// nothing is made and shown once by a start that then fails.
pub struct Ground {
    sockets: Vec<TcpListener>,
    admin: TcpListener,
    tls: Option<TlsAcceptor>,
    addr: SocketAddr,
    admin_addr: SocketAddr,
}

impl Ground {
    /// Binds the ports and reads the certificate.
    ///
    /// # Errors
    ///
    /// A port is in use or not allowed; a certificate or key cannot be used.
    pub fn take(settings: &Settings, admin_listen: SocketAddr) -> Result<Ground, ServeError> {
        let tls = settings.tls.as_ref().map(tls::acceptor).transpose()?;
        let sockets = bind(settings.listen, worker_count(settings.workers), "--listen")?;
        let admin = bind(admin_listen, 1, "--admin-listen")?.pop();
        let admin = admin.ok_or_else(|| no_socket(admin_listen))?;
        let addr = address(sockets.first(), settings.listen)?;
        let admin_addr = address(Some(&admin), admin_listen)?;
        Ok(Ground { sockets, admin, tls, addr, admin_addr })
    }

    /// How many threads will carry calls.
    pub(crate) fn workers(&self) -> usize {
        self.sockets.len()
    }
}

impl std::fmt::Debug for Ground {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ground")
            .field("addr", &self.addr)
            .field("admin_addr", &self.admin_addr)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

impl Gateway {
    /// Reads the keys and starts the threads.
    ///
    /// # Errors
    ///
    /// The store fails, or the system gives no threads.
    pub fn start(ground: Ground, plan: Plan) -> Result<Gateway, ServeError> {
        let Plan { settings, admin, engine, store, ledger, tail } = plan;
        let Ground { sockets, admin: admin_socket, tls, addr, admin_addr } = ground;
        let count = sockets.len();
        let (keys, mut admission) = first_look(store.as_deref())?;
        let queue_max = usize::try_from(settings.records.queue_max).unwrap_or(usize::MAX);
        let keeps = settings.records.enabled && store.is_some();
        let (teller, tell) = TellerPlan::new(count, queue_max, keeps);
        let node = node_name();
        let sharing = Sharing::open(&settings.shared, &node)?;
        let locks = sharing.as_ref().map(|sharing| sharing.locks());
        let (engine, wall) = (Engine::new(engine), Wall::new());
        if let Some(leases) = Leases::among(sharing.as_ref(), &engine, wall.now()) {
            admission.share(leases);
        }
        let shared = Arc::new(Shared {
            held: Held::new(settings.bounds.held_max),
            engine,
            keys,
            objects: Arc::new(Objects::new(store.clone())),
            admission,
            money: Money::new(ledger),
            idempotency: Idempotency::new(store.clone(), locks),
            meters: (0..count).map(|_| Arc::new(Meter::default())).collect(),
            history: History::default(),
            wall,
            tail,
            store_failing: AtomicBool::new(false),
            degraded: Degraded::default(),
            sharing,
            node: node.into(),
            lonely: AtomicU32::new(0),
            stale: Arc::default(),
            told: Arc::default(),
            telling: teller.state(),
            alerts: Arc::default(),
            spans: Arc::default(),
            stopping: AtomicBool::new(false),
            settings: ArcSwap::from_pointee(settings),
        });
        open_books(&shared, store.as_deref())?;
        resume_limits(&shared, store.as_deref())?;
        let (phase, _) = watch::channel(Phase::Running);
        let mut gateway = Gateway {
            addr,
            admin_addr,
            shared,
            phase,
            workers: Vec::with_capacity(count),
            background: None,
            teller: None,
        };
        let mut ears: Vec<Box<dyn Ear>> =
            vec![Box::new(AlertEar::start(&gateway.shared, store.clone())?)];
        if let Some(ear) = SpanEar::start(&gateway.shared)? {
            ears.push(Box::new(ear));
        }
        gateway.teller = Some(teller.start(Arc::clone(&gateway.shared), store.clone(), ears)?);
        let lines: Vec<Line> = sockets.into_iter().zip(tell).collect();
        gateway.start_threads(lines, tls, admin_socket, admin, store)?;
        Ok(gateway)
    }

    fn start_threads(
        &mut self,
        lines: Vec<Line>,
        tls: Option<TlsAcceptor>,
        admin_socket: TcpListener,
        admin: AdminSettings,
        store: Option<Arc<dyn Store>>,
    ) -> Result<(), ServeError> {
        let settings = self.shared.settings();
        let bounds = &settings.bounds;
        let connections_max = bounds.connections_max.div_ceil(lines.len().max(1));
        let host = Arc::new(Host::new(bounds, tls));
        for (index, (socket, tell)) in lines.into_iter().enumerate() {
            let runtime = runtime(Some(EVENTS_EVERY))?;
            let (shared, host, phase) =
                (Arc::clone(&self.shared), Arc::clone(&host), self.phase.subscribe());
            let work = move || {
                let worker = Arc::new(Worker {
                    meter: Arc::clone(&shared.meters[index]),
                    shared,
                    tell,
                    upstream: Arc::new(HttpUpstream::new(HttpSettings::default())),
                });
                let ended =
                    runtime.block_on(worker::run(worker, socket, host, connections_max, phase));
                if let Err(error) = ended {
                    tracing::error!(%error, "a worker stopped");
                }
            };
            self.workers.push(spawn(&format!("worker-{index}"), work)?);
        }
        let runtime = runtime(None)?;
        let (shared, phase) = (Arc::clone(&self.shared), self.phase.subscribe());
        let work = move || runtime.block_on(admin::run(shared, admin_socket, admin, store, phase));
        self.background = Some(spawn("background", work)?);
        Ok(())
    }

    /// Where callers connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where the administration plane listens.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    /// Where the state is that this gateway shares with others, if it does.
    pub fn shares(&self) -> Option<String> {
        self.shared.sharing.as_ref().map(|sharing| sharing.place())
    }

    /// Calls under way.
    pub fn in_flight(&self) -> u64 {
        self.shared.meters.iter().map(|meter| meter.in_flight()).sum()
    }

    /// Calls that have taken what they need and not given it back yet.
    pub fn admitted(&self) -> u64 {
        self.shared.admission.open()
    }

    /// The change of the store up to which limits are known.
    pub fn limits_epoch(&self) -> u64 {
        self.shared.admission.limits.epoch()
    }

    /// Bytes of request bodies held in memory.
    pub fn held_bytes(&self) -> u64 {
        self.shared.held.bytes()
    }

    /// Takes new settings, providers, routes and policies. Calls under way keep the old ones. What is
    /// read at start only (addresses, workers, TLS, the memory for bodies) stays as it is.
    pub fn reload(&self, settings: Settings, engine: EngineSpec) {
        self.shared.settings.store(Arc::new(settings));
        self.shared.engine.reload(engine);
    }

    /// Takes no more calls and lets those under way come to their end. Returns at once.
    pub fn begin_stop(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.phase.send_if_modified(|phase| {
            let running = *phase == Phase::Running;
            *phase = (*phase).max(Phase::Stopping);
            running
        });
    }

    /// Cuts what is under way.
    pub fn cut(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.phase.send_replace(Phase::Cut);
    }

    /// Whether every worker has ended.
    pub fn is_over(&self) -> bool {
        self.workers.iter().all(JoinHandle::is_finished)
    }

    /// Stops in good order: waits for calls under way, at most the time of `server.drain`.
    pub fn stop(mut self) {
        self.begin_stop();
        for worker in self.workers.drain(..) {
            // A worker that panicked has said so on stderr, and has ended all the same.
            let _ = worker.join();
        }
        if let Some(ledger) = self.shared.money.ledger() {
            ledger.flush();
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.cut();
        for thread in self.workers.drain(..).chain(self.background.take()) {
            let _ = thread.join();
        }
        self.teller = None;
    }
}

/// Learns of all keys and limits before the first call comes.
fn first_look(store: Option<&dyn Store>) -> Result<(Arc<KeyBook>, Admission), ServeError> {
    let (keys, admission) = (Arc::new(KeyBook::default()), Admission::default());
    let Some(store) = store else { return Ok((keys, admission)) };
    let failed = |what: &str, error: &StoreError| ServeError {
        what: format!("could not read the {what}"),
        why: error.to_string(),
        fix: error.fix(),
    };
    let epoch = store.epoch().map_err(|error| failed("keys", &error))?;
    keys.refresh(store, epoch).map_err(|error| failed("keys", &error))?;
    admission.limits.refresh(store, epoch).map_err(|error| failed("limits", &error))?;
    Ok((keys, admission))
}

/// Learns of all budgets and what is spent of them before the first call comes.
fn open_books(shared: &Shared, store: Option<&dyn Store>) -> Result<(), ServeError> {
    let Some(store) = store else { return Ok(()) };
    let read =
        store.epoch().and_then(|epoch| shared.money.refresh(store, epoch, shared.wall.now()));
    read.map_err(|error| ServeError {
        what: "could not read the budgets".to_owned(),
        why: error.to_string(),
        fix: error.fix(),
    })?;
    if let Some(ledger) = shared.money.ledger() {
        ledger.flush();
    }
    Ok(())
}

/// Goes on with limits per day from what was remembered of them.
fn resume_limits(shared: &Shared, store: Option<&dyn Store>) -> Result<(), ServeError> {
    let Some(store) = store else { return Ok(()) };
    let (limits, now) = (&shared.admission.limits, shared.engine.now());
    limits.resume(store, now, shared.wall.now()).map_err(|error| ServeError {
        what: "could not read what is used of limits".to_owned(),
        why: error.to_string(),
        fix: error.fix(),
    })
}

fn worker_count(wanted: usize) -> usize {
    const MOST: usize = 256;
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    if wanted == 0 { cores() } else { wanted }.min(MOST)
}

fn bind(listen: SocketAddr, count: usize, flag: &str) -> Result<Vec<TcpListener>, ServeError> {
    listeners(listen, count).map_err(|error| ServeError::listen(listen, flag, &error))
}

fn address(socket: Option<&TcpListener>, wanted: SocketAddr) -> Result<SocketAddr, ServeError> {
    let socket = socket.ok_or_else(|| no_socket(wanted))?;
    socket.local_addr().map_err(|error| ServeError::listen(wanted, "--listen", &error))
}

fn no_socket(listen: SocketAddr) -> ServeError {
    ServeError::listen(listen, "--listen", &std::io::ErrorKind::AddrNotAvailable.into())
}

/// Turns that a worker's tasks have before it looks for events. Its conductor polls 16 connections in
/// one turn, so that this is as often as a runtime does that polls each by itself (61, tokio 1.54).
const EVENTS_EVERY: u32 = 4;

fn runtime(events_every: Option<u32>) -> Result<Runtime, ServeError> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all();
    if let Some(turns) = events_every {
        builder.event_interval(turns);
    }
    builder.build().map_err(|error| ServeError::runtime(&error))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, ServeError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|error| ServeError::runtime(&error))
}
