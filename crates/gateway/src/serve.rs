//! `mainstay serve`: from a configuration to a running gateway, until somebody asks it to stop.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mainstay_core::store::{Durability, Ledger, Recovery, Store, StoreError};
use mainstay_sim::{Sim, SimConfig};
use mainstay_store::{
    LedgerSettings, Recovered, Sqlite, SqliteLedger, open_postgres, open_postgres_ledger,
};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use crate::access::unknown_subjects;
use crate::admin::AdminSettings;
use crate::behind;
use crate::config::{Config, ConfigFault, LedgerMode, Overrides, StoreUrl};
use crate::fault::ServeError;
use crate::first_run::first_run;
use crate::gateway::{Gateway, Ground, Plan};
use crate::reload::{Reload, Watch};
use crate::settings::{Auth, Settings};
use crate::shared::Wall;
use crate::spec::engine_spec;
use crate::tail::LogTail;

/// Time between two looks whether workers have ended, which they do by a fault only.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The same while they are waited for.
const LOOK_WHILE_STOPPING: Duration = Duration::from_millis(20);

/// What a gateway is served with.
#[derive(Debug)]
pub struct ServeOptions {
    /// The configuration, the command line's settings over it.
    pub config: Config,
    /// The command line's settings, to be laid over the file again when it is read again.
    pub overrides: Overrides,
    /// Where the last log lines are kept.
    pub tail: LogTail,
    /// Whether a person sees what is said: secrets made at first start are shown to a person only.
    pub terminal: bool,
}

/// Serves until SIGTERM or SIGINT, then lets calls under way end within `server.drain`; a second
/// signal cuts them. What a person should know is said to `out` (meant for stderr).
///
/// # Errors
///
/// The surroundings do not allow it to start: exit code [`ServeError::EXIT_CODE`].
pub fn serve(options: ServeOptions, out: &mut dyn Write) -> Result<(), ServeError> {
    let ServeOptions { config, overrides, terminal, tail } = options;
    config.warnings.iter().for_each(ConfigFault::log);
    let settings = Settings::read(&config).map_err(from_fault)?;
    let ground = Ground::take(&settings, config.admin.listen)?;
    let step_back = behind::how_far(ground.workers());
    let store = open_store(&config, step_back)?;
    let nobody = unknown_subjects(&config, &*store).map_err(from_store)?;
    nobody.into_iter().next().map_or(Ok(()), |fault| Err(from_fault(fault)))?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("simulator")
        .enable_all()
        .build()
        .map_err(|error| ServeError::runtime(&error))?;
    let simulator = if config.uses_simulator() { Some(start_simulator(&runtime)?) } else { None };
    let first = first_run(&*store.acting("start"), &config, terminal, Wall::new().now())
        .map_err(from_store)?;
    let admin =
        AdminSettings { auth: first.admin.clone(), metrics_open: config.admin.metrics_open };
    let simulated = simulator.as_ref().map(Sim::addr);
    let engine = engine_spec(&config, simulated);
    let mut signals =
        runtime.block_on(async { Signals::new() }).map_err(|error| ServeError::runtime(&error))?;
    let ledger = open_ledger(&config, step_back, out)?;
    let remembered = Arc::clone(&store);
    let plan =
        Plan { settings, admin, engine, store: Some(remembered), ledger: Some(ledger), tail };
    let gateway = Gateway::start(ground, plan)?;
    let welcome = first.welcome(&config, &base(&config, gateway.addr()));
    // Where nobody listens, there is nobody to miss it.
    let _ = out
        .write_all(announcement(&config, &gateway, &welcome).as_bytes())
        .and_then(|()| out.flush());
    let mut reload = Reload::new(config, overrides, simulated, store);
    runtime.block_on(until_stopped(&gateway, &mut signals, &mut reload, out));
    gateway.stop();
    runtime.shutdown_background();
    Ok(())
}

fn open_store(config: &Config, step_back: u8) -> Result<Arc<dyn Store>, ServeError> {
    match &config.store.url {
        StoreUrl::Sqlite(path) => {
            let store = Sqlite::open(path).map_err(from_store)?;
            store.step_back(step_back).map_err(from_store)?;
            Ok(Arc::new(store))
        }
        StoreUrl::Postgres(url) => Ok(Arc::from(open_postgres(url.expose()).map_err(from_store)?)),
    }
}

fn from_fault(fault: ConfigFault) -> ServeError {
    let place = fault.place();
    let ConfigFault { what, why, fix, .. } = fault;
    ServeError { what: format!("{place}: {what}"), why, fix }
}

/// Opens the ledger of the store, and says what the last run left open.
fn open_ledger(
    config: &Config,
    step_back: u8,
    out: &mut dyn Write,
) -> Result<Arc<dyn Ledger>, ServeError> {
    let settings = LedgerSettings {
        durability: match config.store.ledger {
            LedgerMode::Process => Durability::Process,
            LedgerMode::Strict => Durability::Strict,
            LedgerMode::Batched => Durability::Batched,
        },
        recovery: if config.budget.charge_leftovers { Recovery::Charge } else { Recovery::Release },
        queue_max: usize::try_from(config.budget.queue_max).unwrap_or(usize::MAX),
        step_back,
        ..LedgerSettings::default()
    };
    let (ledger, recovered): (Arc<dyn Ledger>, Recovered) = match &config.store.url {
        StoreUrl::Sqlite(path) => {
            let ledger = SqliteLedger::open(path, settings).map_err(from_store)?;
            let recovered = ledger.recovered();
            (Arc::new(ledger), recovered)
        }
        StoreUrl::Postgres(url) => {
            let opened = open_postgres_ledger(url.expose(), &config.store.journal, settings);
            let (ledger, recovered) = opened.map_err(from_store)?;
            (Arc::from(ledger), recovered)
        }
    };
    let Recovered { reservations, held } = recovered;
    if reservations > 0 {
        let done = if config.budget.charge_leftovers { "charged" } else { "released" };
        let text = format!(
            "the last run ended without settling {reservations} calls: the {held} USD they held are {done}"
        );
        let _ = writeln!(out, "{text}");
        tracing::warn!(reservations, %held, done, "calls of the last run were ended");
    }
    Ok(ledger)
}

fn from_store(error: StoreError) -> ServeError {
    ServeError {
        fix: error.fix(),
        what: error.to_string(),
        why: "the store is needed for keys".to_owned(),
    }
}

fn start_simulator(runtime: &Runtime) -> Result<Sim, ServeError> {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    runtime.block_on(Sim::start(SimConfig { listen, ..SimConfig::default() })).map_err(|error| {
        ServeError {
            what: "could not start the built-in simulator".to_owned(),
            why: error.to_string(),
            fix: "set OPENAI_API_KEY or name a provider in the configuration".to_owned(),
        }
    })
}

/// The address as a URL that works on this machine.
fn base(config: &Config, addr: SocketAddr) -> String {
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    match addr.ip() {
        ip if ip.is_unspecified() => format!("{scheme}://127.0.0.1:{}", addr.port()),
        _ => format!("{scheme}://{addr}"),
    }
}

fn announcement(config: &Config, gateway: &Gateway, welcome: &str) -> String {
    let providers: Vec<&str> = config.providers.iter().map(|one| one.name.as_str()).collect();
    let mut text = format!(
        "mainstay {} serves {}/v1 (administration: http://{}), providers: {}\n",
        env!("CARGO_PKG_VERSION"),
        base(config, gateway.addr()),
        gateway.admin_addr(),
        providers.join(", ")
    );
    match config.server.auth {
        Auth::Keys => {}
        Auth::Open => text += "auth = \"open\": whoever reaches the port may call, without a key\n",
        Auth::Pass => text += "auth = \"pass\": callers bring the provider's key\n",
    }
    if let Some(place) = gateway.shares() {
        text.extend(["shared with other gateways: ", &place, "\n"]);
    }
    text + welcome
}

/// The signals that ask for an end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn until_stopped(
    gateway: &Gateway,
    signals: &mut Signals,
    reload: &mut Reload,
    out: &mut dyn Write,
) {
    let mut watch = Watch::of(reload.file());
    loop {
        match next_event(gateway, signals, &mut watch).await {
            Happened::Stop => break,
            Happened::Over => return,
            Happened::Changed => reload.again(gateway),
        }
    }
    let under_way = gateway.in_flight();
    gateway.begin_stop();
    let _ = writeln!(out, "stopping: {under_way} calls under way; a second signal cuts them");
    tokio::select! {
        () = signals.next() => gateway.cut(),
        () = over(gateway, LOOK_WHILE_STOPPING) => {}
    }
}

/// What a running gateway is to attend to.
enum Happened {
    Stop,
    Over,
    Changed,
}

async fn next_event(gateway: &Gateway, signals: &mut Signals, watch: &mut Watch) -> Happened {
    tokio::select! {
        _ = signals.hangup.recv() => Happened::Changed,
        () = watch.changed() => Happened::Changed,
        () = over(gateway, LOOK_EVERY) => Happened::Over,
        _ = signals.terminate.recv() => Happened::Stop,
        _ = signals.interrupt.recv() => Happened::Stop,
    }
}

/// Until every worker has ended; how often that is looked at.
async fn over(gateway: &Gateway, every: Duration) {
    while !gateway.is_over() {
        sleep(every).await;
    }
}
