//! Several gateways as real processes with one Redis, one provider, the same keys and limits. Each has a copy of
//! one store: SQLite serves one gateway at a time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use mainstay_sim::{Scenario, Sim, SimConfig};
use mainstay_store::testing::redis::RedisServer;

use crate::caller::Caller;
use crate::process::{Gateway, TOKEN, mainstay, new_key, until};

/// Gateways, and what they stand on.
pub(crate) struct Town {
    _folders: Vec<tempfile::TempDir>,
    pub(crate) redis: Mutex<RedisServer>,
    pub(crate) gateways: Vec<Gateway>,
    sim: Sim,
    _runtime: tokio::runtime::Runtime,
    pub(crate) key: String,
    pub(crate) answered: AtomicU64,
    stop: AtomicBool,
}

/// What the provider has counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) at: Instant,
    pub(crate) granted: u64,
    pub(crate) refused: u64,
    pub(crate) answered: u64,
    pub(crate) in_flight_max: u64,
}

impl Town {
    /// So many gateways before a provider of this scenario; `limits`: of the key's organization, as `limit set`
    /// takes them. `None` without Redis.
    pub(crate) fn new(nodes: usize, scenario: &str, limits: &[&str]) -> Option<Town> {
        let redis = RedisServer::start()?;
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
        let scenario = Scenario::from_toml(scenario).expect("a sound scenario");
        let listen = "127.0.0.1:0".parse().expect("an address");
        let sim = runtime.block_on(Sim::start(SimConfig { listen, scenario })).expect("a port");
        let folder = tempfile::tempdir().expect("a directory");
        // Of a busy machine Redis may have no time for longer than the usual 20 ms.
        let config = format!(
            "[shared]\ndeadline = \"500ms\"\n[admin]\ntoken = \"{TOKEN}\"\n[[provider]]\nname = \"up\"\nbase_url = \"{}\"\napi_key = \"sk-x\"\n",
            sim.base_url()
        );
        std::fs::write(folder.path().join("mainstay.toml"), config).expect("written");
        let (_, key) = new_key(folder.path());
        if !limits.is_empty() {
            mainstay(folder.path(), &[&["limit", "set", "--org", "default"], limits].concat());
        }
        let copy = |_| {
            let own = tempfile::tempdir().expect("a directory");
            for file in ["mainstay.toml", "mainstay.db"] {
                std::fs::copy(folder.path().join(file), own.path().join(file)).expect("a copy");
            }
            own
        };
        let folders: Vec<tempfile::TempDir> = (0..nodes).map(copy).collect();
        let start =
            |own: &tempfile::TempDir| Gateway::start(own.path(), &redis.url(), "serves http").0;
        let gateways: Vec<Gateway> = folders.iter().map(start).collect();
        until("all know of each other", || {
            gateways.iter().all(|one| one.metric("mainstay_nodes") == nodes as u64)
        });
        Some(Town {
            _folders: folders,
            redis: Mutex::new(redis),
            gateways,
            sim,
            _runtime: runtime,
            key,
            answered: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        })
    }

    /// What the provider has counted up to now.
    pub(crate) fn count(&self) -> Counted {
        let answered = self.answered.load(Ordering::Relaxed);
        let mut caller = Caller::to(self.sim.addr().port());
        let (_, _, body) = caller.ask("GET /sim/stats HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let counted: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let refused = counted["refused"].as_object().into_iter().flatten();
        Counted {
            at: Instant::now(),
            granted: counted["granted"].as_u64().expect("a number"),
            refused: refused.filter_map(|(_, count)| count.as_u64()).sum(),
            answered,
            in_flight_max: counted["in_flight_max"].as_u64().expect("a number"),
        }
    }

    /// Whether callers are to stop.
    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// So many callers at each gateway, each of which calls until it is over, while something is watched.
    pub(crate) fn busy<R>(
        &self,
        callers: &[usize],
        call: impl Fn(&Town, usize) + Sync,
        watch: impl FnOnce() -> R,
    ) -> R {
        self.stop.store(false, Ordering::Relaxed);
        let call = &call;
        std::thread::scope(|scope| {
            for (node, callers) in callers.iter().enumerate() {
                (0..*callers).for_each(|_| {
                    scope.spawn(move || call(self, node));
                });
            }
            let seen = watch();
            self.stop.store(true, Ordering::Relaxed);
            seen
        })
    }
}
