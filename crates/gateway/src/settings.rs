//! Settings of the server, checked and in the types it works with. Every bound has a unit and a
//! default; [`crate::config`] reads them from a file.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mainstay_core::policy::CodeSet;
use serde_json::Value;

use crate::access::Access;
use crate::config::{AlertSettings, Config, ConfigFault, Upstream};
pub use crate::config::{
    Auth, Bodies, Expose, IdempotencySettings, LimitSettings, LogSettings, RecordSettings,
    SharedConfig, Tiers, TlsFiles,
};
use crate::help::{Help, help_at};
use crate::money::MoneyRules;
pub use crate::otel::Otel;

/// Settings of the data plane.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where callers connect. Port 0: chosen by the system.
    pub listen: SocketAddr,
    /// Worker threads, each with its own runtime, listener and upstream connections. 0: one a core.
    pub workers: usize,
    /// Who may call.
    pub auth: Auth,
    /// TLS towards callers.
    pub tls: Option<TlsFiles>,
    /// Origins that browsers may call from; `*` is any.
    pub cors: Vec<String>,
    /// How much our headers tell.
    pub expose: Expose,
    /// Which names our own refusals carry in `error.code`.
    pub codes: CodeSet,
    /// What models cost, and how much is held for a call.
    pub money: Arc<MoneyRules>,
    /// From where callers may call.
    pub access: Access,
    /// How limits of callers count.
    pub limits: LimitSettings,
    /// Named bundles of limits.
    pub tiers: Tiers,
    /// How requests that come again are told.
    pub idempotency: IdempotencySettings,
    /// What is logged.
    pub log: LogSettings,
    /// Where to turn with failures, by the provider's name.
    pub helps: BTreeMap<String, &'static Help>,
    /// How records of requests are kept.
    pub records: RecordSettings,
    /// When somebody is told of trouble, and who.
    pub alerts: Arc<AlertSettings>,
    /// Where traces go; `None` without an endpoint. Read at start only.
    pub otel: Option<Arc<Otel>>,
    /// State shared by several machines. Read at start only.
    pub shared: SharedConfig,
    /// Bounds on what callers send.
    pub bounds: Bounds,
    /// Strings that must never appear in an answer: the providers' credentials.
    pub secrets: Secrets,
    /// The whole configuration in use as JSON, secrets hidden, for people.
    pub outline: Arc<Value>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            workers: 0,
            auth: Auth::default(),
            tls: None,
            cors: Vec::new(),
            expose: Expose::default(),
            codes: CodeSet::default(),
            money: Arc::default(),
            access: Access::default(),
            limits: LimitSettings::default(),
            tiers: Tiers::default(),
            idempotency: IdempotencySettings::default(),
            log: LogSettings::default(),
            helps: BTreeMap::new(),
            records: RecordSettings::default(),
            alerts: Arc::default(),
            otel: None,
            shared: SharedConfig::default(),
            bounds: Bounds::default(),
            secrets: Secrets::default(),
            outline: Arc::default(),
        }
    }
}

impl Settings {
    /// The server's part of a configuration, with the files it names.
    ///
    /// # Errors
    ///
    /// `server.geoip_db` cannot be used.
    pub fn read(config: &Config) -> Result<Settings, ConfigFault> {
        Ok(Settings { access: Access::of(config)?, ..Settings::of(config) })
    }

    /// The server's part of a configuration, without what is in files of its own.
    pub fn of(config: &Config) -> Settings {
        let server = &config.server;
        Settings {
            listen: server.listen,
            workers: server.workers,
            auth: server.auth,
            tls: server.tls.clone(),
            cors: server.cors.clone(),
            expose: server.expose,
            codes: config.errors,
            money: Arc::new(MoneyRules::of(config)),
            access: Access::without_database(config),
            limits: config.limits,
            tiers: config.tiers.clone(),
            idempotency: config.idempotency,
            log: config.log.clone(),
            helps: helps(config),
            records: config.records.clone(),
            alerts: Arc::new(config.alerts.clone()),
            otel: Otel::of(config),
            shared: config.shared.clone(),
            bounds: Bounds {
                body_max: server.body_max,
                upload_max: server.upload_max,
                replay_max: server.replay_max,
                held_max: server.buffers_max,
                stop_time: server.drain,
                ..Bounds::default()
            },
            secrets: Secrets(
                config
                    .providers
                    .iter()
                    .flat_map(|provider| &provider.api_keys)
                    .map(|key| key.expose().to_owned())
                    .collect(),
            ),
            outline: Arc::new(config.outline()),
        }
    }
}

/// Where to turn with failures of each provider that somebody knows.
pub fn helps(config: &Config) -> BTreeMap<String, &'static Help> {
    let help = |provider: &crate::config::ProviderConfig| {
        let host = match &provider.upstream {
            Upstream::Url(url) => url.host(),
            Upstream::Simulator => return None,
        };
        Some((provider.name.clone(), help_at(host)?))
    };
    config.providers.iter().filter_map(help).collect()
}

/// Bounds on what callers send and on how long things take.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Largest JSON body, bytes, after decompression. Default 64 MiB.
    pub body_max: u64,
    /// Largest multipart or binary body, bytes; it passes through. Default 1 GiB.
    pub upload_max: u64,
    /// A multipart or binary body up to this is held, so that it can be sent again. Default 8 MiB.
    pub replay_max: u64,
    /// All bodies held at once, bytes. Default 512 MiB.
    pub held_max: u64,
    /// Longest pause inside a request body. Default 30 s.
    pub body_pause: Duration,
    /// Longest time for a whole body that is held. Default 300 s.
    pub body_time: Duration,
    /// What is read of a refused body before the answer, bytes. Default 256 MiB.
    pub drain_bytes: u64,
    /// How long a refused body is read before the answer. Default 15 s.
    pub drain_time: Duration,
    /// Time for a request's head, counted from the end of the one before it: also how long an
    /// unused connection is kept. Default 75 s.
    pub head_time: Duration,
    /// Largest request head, bytes. Default 128 KiB.
    pub head_bytes: usize,
    /// Connections at once, over all workers. Default 16,384.
    pub connections_max: usize,
    /// Time that calls in flight get to end after a stop is asked for. Default 30 s.
    pub stop_time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Bounds {
            body_max: 64 * MIB,
            upload_max: 1024 * MIB,
            replay_max: 8 * MIB,
            held_max: 512 * MIB,
            body_pause: Duration::from_secs(30),
            body_time: Duration::from_secs(300),
            drain_bytes: 256 * MIB,
            drain_time: Duration::from_secs(15),
            head_time: Duration::from_secs(75),
            head_bytes: 128 * 1024,
            connections_max: 16_384,
            stop_time: Duration::from_secs(30),
        }
    }
}

/// Strings that must never leave. `Debug` counts them only.
#[derive(Clone, Default)]
pub struct Secrets(pub Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({} hidden)", self.0.len())
    }
}
