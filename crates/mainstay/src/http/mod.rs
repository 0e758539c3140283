//! The transport over HTTP: a pool of connections, TLS, proxies; no retries and no timers but the
//! one for connecting.
//!
//! Connections are driven by the attempts that use them, so an [`HttpUpstream`] is best used from
//! one thread each; from several threads it is correct too.

mod attempt;
mod body;
mod connect;
mod h1;
mod pool;
mod settings;

pub use attempt::HttpAttempt;
pub use settings::HttpSettings;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::upstream::{AttemptRequest, Destination, Upstream};
use pool::{Common, Site};

/// Sends attempts over HTTP/1.1 and keeps connections for later ones.
pub struct HttpUpstream {
    common: Arc<Common>,
    /// As many as the configuration names; those without connections are dropped when one is added.
    sites: Mutex<Vec<Arc<Site>>>,
}

/// Counts since the start, and the unused connections of this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpStats {
    /// Connections opened.
    pub opened: u64,
    /// Attempts that found an open connection.
    pub reused: u64,
    /// Unused connections kept.
    pub idle: usize,
}

impl HttpUpstream {
    /// A transport without connections.
    pub fn new(settings: HttpSettings) -> Self {
        let common = Common { settings, opened: AtomicU64::new(0), reused: AtomicU64::new(0) };
        Self { common: Arc::new(common), sites: Mutex::default() }
    }

    /// What was opened and reused so far, and what is idle.
    pub fn stats(&self) -> HttpStats {
        HttpStats {
            opened: self.common.opened.load(Ordering::Relaxed),
            reused: self.common.reused.load(Ordering::Relaxed),
            idle: self.sites().iter().map(|site| site.idle_connections()).sum(),
        }
    }

    /// The site of a destination. Usually the very same `Arc` comes again, which is found without
    /// comparing names.
    fn site(&self, destination: &Arc<Destination>) -> Arc<Site> {
        let mut sites = self.sites();
        let found = sites
            .iter()
            .find(|site| Arc::ptr_eq(&site.destination, destination))
            .or_else(|| sites.iter().find(|site| site.destination == *destination));
        if let Some(site) = found {
            return Arc::clone(site);
        }
        sites.retain(|site| Arc::strong_count(site) > 1 || site.idle_connections() > 0);
        let site = Arc::new(Site::new(Arc::clone(destination), Arc::clone(&self.common)));
        sites.push(Arc::clone(&site));
        site
    }

    fn sites(&self) -> MutexGuard<'_, Vec<Arc<Site>>> {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for HttpUpstream {
    fn default() -> Self {
        Self::new(HttpSettings::default())
    }
}

impl Upstream for HttpUpstream {
    type Attempt = HttpAttempt;

    fn start(&self, request: AttemptRequest) -> HttpAttempt {
        HttpAttempt::new(self.site(&request.destination), request)
    }
}

impl std::fmt::Debug for HttpUpstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HttpUpstream({:?})", self.stats())
    }
}
