//! The transport over HTTP: a pool of connections, TLS, proxies; no retries and no timers but the
//! one for connecting.
//!
//! Connections are driven by the attempts that use them, so an [`HttpUpstream`] is best used from
//! one thread each; from several threads it is correct too.

mod attempt;
mod body;
mod certificate;
mod connect;
mod gate;
mod h1;
mod h2;
mod hitch;
mod inspect;
mod pool;
mod proxy;
mod settings;
mod socket;
mod tls;
mod witness;

pub use attempt::HttpAttempt;
pub use certificate::Certificate;
pub use hitch::Hitch;
pub use inspect::{Stage, TlsSeen, Way};
pub use proxy::{ProxyUrlError, no_proxy_matches, proxy_for};
pub use settings::HttpSettings;
pub use tls::{Trust, TrustError};

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cohort::Cohort;
use crate::upstream::{AttemptRequest, Destination, Upstream};
use pool::{Common, Site};

/// Sends attempts over HTTP/1.1 or, where TLS agrees on it, HTTP/2, and keeps connections for later ones.
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
    /// Attempts that were given a connection that had served before.
    pub reused: u64,
    /// Connections kept that no attempt uses.
    pub idle: usize,
}

impl HttpUpstream {
    /// A transport without connections and with authorities of its own.
    pub fn new(settings: HttpSettings) -> Self {
        Self::with_trust(settings, Trust::default())
    }

    /// A transport without connections that shares the authorities with others.
    pub fn with_trust(settings: HttpSettings, trust: Trust) -> Self {
        let (opened, reused) = (AtomicU64::new(0), AtomicU64::new(0));
        let common = Common { settings, trust, opened, reused, cohort: Cohort::default() };
        Self { common: Arc::new(common), sites: Mutex::default() }
    }

    /// The calls of this transport, for whoever has them take their steps together.
    pub fn cohort(&self) -> &Cohort {
        &self.common.cohort
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
        sites.retain(|site| Arc::strong_count(site) > 1 || !site.is_empty());
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
