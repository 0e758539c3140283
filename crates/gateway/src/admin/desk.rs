//! The desk: everything the administration can tell and do. The JSON API and the console ask here, so
//! that there is one way to the store and one form of each answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::StatusCode;
use mainstay_core::store::Store;
use serde_json::{Value, json};

use crate::shared::Shared;

use super::api::{Ask, Route};
use super::reply::Problem;

/// Answers what is asked. Calls may take as long as the store does.
pub(crate) struct Desk {
    shared: Arc<Shared>,
    /// For reading, and for changes put on record as the asker's.
    store: Option<Arc<dyn Store>>,
}

impl Desk {
    /// A desk over a store; without one there is nothing to administrate.
    pub(super) fn new(shared: Arc<Shared>, store: Option<Arc<dyn Store>>) -> Desk {
        Desk { shared, store }
    }

    /// What is known without a store, by its path.
    pub(super) fn look(&self, path: &str) -> Option<Value> {
        match path {
            "/mainstay/status" => Some(self.status()),
            _ => None,
        }
    }

    /// Does what a route of the API says.
    pub(super) fn run(
        &self,
        route: &Route,
        path: Vec<String>,
        query: BTreeMap<String, String>,
        body: &[u8],
    ) -> Result<Value, Problem> {
        let Some(store) = &self.store else {
            let message = "This gateway has no store, so there is nothing to administrate.";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(Problem::new(status, "service_unavailable", message));
        };
        let shared = &*self.shared;
        let (now, moment) = (self.shared.wall.now(), self.shared.engine.now());
        let (limits, tiers) = (&self.shared.admission.limits, &self.shared.settings().tiers);
        (route.run)(&Ask { store: &**store, path, query, body, now, moment, limits, tiers, shared })
    }

    fn records(&self) -> Value {
        let telling = &self.shared.telling;
        let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        json!({
            "trouble": telling.trouble(),
            "waiting": get(&telling.waiting),
            "written": get(&telling.written),
            "dropped": get(&telling.dropped),
        })
    }

    fn status(&self) -> Value {
        let sum = |pick: fn(&crate::meter::Meter) -> u64| {
            self.shared.meters.iter().map(|meter| pick(meter)).sum::<u64>()
        };
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_s": self.shared.engine.now().as_nanos() / 1_000_000_000,
            "ready": self.shared.ready(),
            "workers": self.shared.meters.len(),
            "in_flight": sum(crate::meter::Meter::in_flight),
            "admitted": self.shared.admission.open(),
            "connections": sum(crate::meter::Meter::open_connections),
            "held_body_bytes": self.shared.held.bytes(),
            "records": self.records(),
            "ledger": self.shared.money.ledger().map(|ledger| {
                let state = ledger.state();
                json!({
                    "trouble": state.trouble,
                    "waiting": state.waiting,
                    "open": state.open,
                    "refused": state.refused,
                })
            }),
        })
    }
}
