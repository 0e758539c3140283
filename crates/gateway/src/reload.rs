//! A running gateway takes its configuration again: on SIGHUP and when the file changes. What cannot
//! be used never replaces what works; what needs a restart is named.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mainstay_core::store::Store;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::sleep;

use crate::access::unknown_subjects;
use crate::config::{self, Config, ConfigFault, Environment, Overrides};
use crate::gateway::Gateway;
use crate::settings::Settings;
use crate::spec::engine_spec;

/// The configuration in use, and how to read it again.
pub(crate) struct Reload {
    started: Config,
    current: Config,
    overrides: Overrides,
    simulator: Option<SocketAddr>,
    store: Arc<dyn Store>,
    /// Age and size of the database of countries: a new file under the old name is a change.
    countries: Option<(SystemTime, u64)>,
}

impl Reload {
    /// Begins with the configuration that the gateway was started with.
    pub(crate) fn new(
        config: Config,
        overrides: Overrides,
        simulator: Option<SocketAddr>,
        store: Arc<dyn Store>,
    ) -> Reload {
        let countries = age_and_size(&config);
        Reload { started: config.clone(), current: config, overrides, simulator, store, countries }
    }

    /// The file it is read from.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.started.file.as_deref()
    }

    /// Reads the file; puts it to use if it is sound and differs from what is in use.
    pub(crate) fn again(&mut self, gateway: &Gateway) {
        let Some(file) = self.file() else {
            tracing::warn!("there is no configuration file to read again: it was started without");
            return;
        };
        let read = config::load(Some(file), &Environment::capture());
        let config = match read.and_then(|config| config.with_overrides(&self.overrides)) {
            Ok(config) => config,
            Err(faults) => {
                faults.iter().for_each(ConfigFault::log);
                tracing::error!(
                    faults = faults.len(),
                    "the configuration cannot be used; the earlier one stays"
                );
                return;
            }
        };
        let countries = age_and_size(&config);
        if config == self.current && countries == self.countries {
            tracing::info!("the configuration was read again: nothing changed");
            return;
        }
        if config.uses_simulator() && self.simulator.is_none() {
            tracing::error!(
                "the simulator is added by a restart only; the earlier configuration stays"
            );
            return;
        }
        let Some(settings) = self.settings(&config) else { return };
        config.warnings.iter().for_each(ConfigFault::log);
        for name in restart_needed(&self.started, &config) {
            tracing::warn!("`{name}` changed; it takes effect at the next start");
        }
        gateway.reload(settings, engine_spec(&config, self.simulator));
        let (providers, routes) = (config.providers.len(), config.routes.len());
        tracing::info!(providers, routes, "the configuration was read again and is in use");
        self.current = config;
        self.countries = countries;
    }

    /// The server's settings, if what they name outside the file exists.
    fn settings(&self, config: &Config) -> Option<Settings> {
        let nobody = unknown_subjects(config, &*self.store);
        let unusable = match (Settings::read(config), nobody) {
            (Ok(settings), Ok(faults)) if faults.is_empty() => return Some(settings),
            (Err(fault), _) => vec![fault],
            (Ok(_), Ok(faults)) => faults,
            (Ok(_), Err(error)) => {
                tracing::error!(%error, "access rules could not be looked up; the earlier configuration stays");
                return None;
            }
        };
        unusable.iter().for_each(ConfigFault::log);
        tracing::error!("the configuration cannot be used; the earlier one stays");
        None
    }
}

fn age_and_size(config: &Config) -> Option<(SystemTime, u64)> {
    let file = std::fs::metadata(config.server.geoip_db.as_deref()?).ok()?;
    Some((file.modified().ok()?, file.len()))
}

/// Settings that differ and are read at start only.
fn restart_needed(old: &Config, new: &Config) -> Vec<&'static str> {
    let (a, b) = (&old.server, &new.server);
    [
        ("server.listen", a.listen != b.listen),
        ("server.workers", a.workers != b.workers),
        ("server.tls", a.tls != b.tls),
        ("server.buffers_max", a.buffers_max != b.buffers_max),
        ("admin", old.admin != new.admin),
        ("store", old.store != new.store),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

/// Tells when a file may have changed.
pub(crate) struct Watch {
    changes: Receiver<()>,
    _watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Watches the file's directory, because editors put a new file in the place of the old one.
    /// Without a file, or where the system cannot watch, it never tells anything.
    pub(crate) fn of(file: Option<&Path>) -> Watch {
        let (tell, changes) = mpsc::channel(1);
        let Some(file) = file else { return Watch { changes, _watcher: None } };
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            Some(_) | None => PathBuf::from("."),
        };
        let name = file.file_name().map(ToOwned::to_owned);
        let told = move |event: notify::Result<Event>| {
            // `..data` is what mounted volumes exchange. A full channel has a word waiting already.
            let ours = |path: &PathBuf| {
                path.file_name() == name.as_deref()
                    || path.file_name().is_some_and(|n| n == "..data")
            };
            if event
                .is_ok_and(|event| changes_something(event.kind) && event.paths.iter().any(ours))
            {
                let _ = tell.try_send(());
            }
        };
        let watcher = notify::recommended_watcher(told).and_then(|mut watcher| {
            watcher.watch(&folder, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "the configuration is not watched; SIGHUP has it read again");
        }
        Watch { changes, _watcher: watcher.ok() }
    }

    /// Until the file may have changed and has been left alone for a moment. Never ends when nothing
    /// is watched.
    pub(crate) async fn changed(&mut self) {
        const REST: Duration = Duration::from_millis(200);
        if self.changes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        sleep(REST).await;
        while self.changes.try_recv().is_ok() {}
    }
}

fn changes_something(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(_))
}
