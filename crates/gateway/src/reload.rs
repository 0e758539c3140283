//! A running gateway takes its configuration again: on SIGHUP and when the file changes. What cannot
//! be used never replaces what works; what needs a restart is named.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mainstay_core::store::Store;
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
        ("shared", old.shared != new.shared),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

/// Tells when a file has changed.
///
/// It is looked at twice a second. Events of the system would come sooner, but they come for the
/// whole directory, and the store's files are usually in it: each write to the ledger would wake us.
/// Looking also works for mounted volumes that exchange links, and on file systems without events.
pub(crate) struct Watch {
    file: Option<PathBuf>,
    known: Looks,
}

/// What tells one state of a file from another; all zero when there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Looks {
    device: u64,
    inode: u64,
    length: u64,
    written: (i64, i64),
}

impl Looks {
    fn of(file: &Path) -> Looks {
        let Ok(found) = std::fs::metadata(file) else { return Looks::default() };
        Looks {
            device: found.dev(),
            inode: found.ino(),
            length: found.len(),
            written: (found.mtime(), found.mtime_nsec()),
        }
    }
}

impl Watch {
    /// Begins with the file as it is.
    pub(crate) fn of(file: Option<&Path>) -> Watch {
        let known = file.map(Looks::of).unwrap_or_default();
        Watch { file: file.map(Path::to_owned), known }
    }

    /// Until the file has changed and has been left alone for a moment. Never ends without a file.
    pub(crate) async fn changed(&mut self) {
        const PACE: Duration = Duration::from_millis(500);
        const REST: Duration = Duration::from_millis(200);
        let Some(file) = self.file.clone() else { return std::future::pending().await };
        loop {
            sleep(PACE).await;
            let mut seen = looks(&file).await;
            if seen == self.known {
                continue;
            }
            // Written in pieces, or removed for a moment before the new one takes its place.
            loop {
                sleep(REST).await;
                let now = looks(&file).await;
                if now == seen {
                    break;
                }
                seen = now;
            }
            self.known = seen;
            return;
        }
    }
}

/// Off this thread: a file system that hangs must not keep a stop from being noticed.
async fn looks(file: &Path) -> Looks {
    let file = file.to_owned();
    tokio::task::spawn_blocking(move || Looks::of(&file)).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    #[tokio::test]
    async fn a_change_is_told_once_however_it_is_made_and_neighbours_tell_nothing() {
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("mainstay.toml");
        let write = |path: &Path, text: &str| std::fs::write(path, text).expect("written");
        write(&file, "a");
        let mut watch = Watch::of(Some(&file));
        let soon = Duration::from_secs(10);

        write(&file, "b, in place");
        timeout(soon, watch.changed()).await.expect("a change in place is told");

        let new = folder.path().join("new");
        write(&new, "c, by another file");
        std::fs::rename(&new, &file).expect("moved");
        timeout(soon, watch.changed()).await.expect("a new file in its place is told");

        write(&folder.path().join("mainstay.db"), "a neighbour");
        let told = timeout(Duration::from_millis(1500), watch.changed()).await;
        assert!(told.is_err(), "nothing changed, and told is told");
    }

    #[tokio::test]
    async fn without_a_file_nothing_is_ever_told() {
        let told = timeout(Duration::from_millis(50), Watch::of(None).changed()).await;
        assert!(told.is_err());
    }
}
