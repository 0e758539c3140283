//! The desk: everything the administration can tell and do. The JSON API and the console ask here, so
//! that there is one way to the store and one form of each answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{Method, StatusCode};
use mainstay_core::store::{Store, UnixMillis};
use mainstay_core::time::Moment;
use serde_json::{Value, json};

use crate::meter::totals;
use crate::shared::Shared;
use crate::sharing::Reason;

use super::api::{self, Ask, Found, Route, Shape};
use super::providers::providers;
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
            "/mainstay/providers" => Some(providers(&self.shared.engine)),
            "/mainstay/traffic" => Some(self.traffic()),
            "/mainstay/config" => Some(Value::clone(&self.shared.settings().outline)),
            _ => None,
        }
    }

    fn traffic(&self) -> Value {
        let meters = self.shared.meters.iter().map(AsRef::as_ref);
        self.shared.history.report(self.shared.wall.now(), totals(meters))
    }

    /// The time by the wall clock.
    pub(crate) fn now(&self) -> UnixMillis {
        self.shared.wall.now()
    }

    /// The time on a clock that nobody sets.
    pub(crate) fn moment(&self) -> Moment {
        self.shared.engine.now()
    }

    /// Answers as the JSON API would.
    pub(crate) fn ask(&self, question: Question) -> Result<Value, Problem> {
        let Question { method, path, query, body } = question;
        if let Some(value) = (method == Method::GET).then(|| self.look(&path)).flatten() {
            return Ok(value);
        }
        let Found::Route(route, segments) = api::find(&method, &path) else {
            return Err(nothing_at(&path));
        };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.run(route, segments, query, body.as_bytes())
    }

    /// The file that the JSON API would answer with.
    pub(crate) fn fetch(&self, question: Question) -> Result<Vec<u8>, Problem> {
        let Question { method, path, query, body: _ } = question;
        match api::find(&method, &path) {
            Found::Route(Route { answer: Shape::Zip(make), .. }, segments) => {
                self.file(*make, segments, query)
            }
            Found::Route(..) | Found::OtherMethods(_) | Found::Nothing => Err(nothing_at(&path)),
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
        let answer = self.with_ask(path, query, body, route.run)?;
        if route.method != Method::GET {
            // What was changed is noticed at once, and told to other gateways.
            self.shared.stale.notify_one();
        }
        Ok(answer)
    }

    /// Makes the file that a route of the API is about.
    pub(super) fn file(
        &self,
        make: fn(&Ask<'_>) -> Result<Vec<u8>, Problem>,
        path: Vec<String>,
        query: BTreeMap<String, String>,
    ) -> Result<Vec<u8>, Problem> {
        self.with_ask(path, query, &[], make)
    }

    fn with_ask<T>(
        &self,
        path: Vec<String>,
        query: BTreeMap<String, String>,
        body: &[u8],
        work: fn(&Ask<'_>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let Some(store) = &self.store else {
            let message = "This gateway has no store, so there is nothing to administrate.";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(Problem::new(status, "service_unavailable", message));
        };
        let shared = &*self.shared;
        let (now, moment) = (shared.wall.now(), shared.engine.now());
        let (limits, tiers) = (&shared.admission.limits, &shared.settings().tiers);
        work(&Ask { store: &**store, path, query, body, now, moment, limits, tiers, shared })
    }

    /// What holds only in part at the moment, a sentence or two each.
    pub(crate) fn degraded(&self) -> Vec<&'static str> {
        self.shared.degraded.reasons().map(Reason::meaning).collect()
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

    fn traces(&self) -> Value {
        let spans = &self.shared.spans;
        let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        json!({
            "enabled": self.shared.settings().otel.is_some(),
            "exported": get(&spans.exported),
            "dropped": get(&spans.dropped),
            "failed": get(&spans.failed),
            "trouble": spans.trouble(),
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
            "degraded": self.shared.degraded.report(),
            "shared": self.shared.sharing.as_ref().map(|sharing| sharing.report()),
            "workers": self.shared.meters.len(),
            "in_flight": sum(crate::meter::Meter::in_flight),
            "admitted": self.shared.admission.open(),
            "connections": sum(crate::meter::Meter::open_connections),
            "held_body_bytes": self.shared.held.bytes(),
            "records": self.records(),
            "traces": self.traces(),
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

fn nothing_at(path: &str) -> Problem {
    let message = format!("There is no {path} here.");
    Problem::new(StatusCode::NOT_FOUND, "not_found", message)
}

/// What is asked, in the terms of the JSON API.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    method: Method,
    path: String,
    query: BTreeMap<String, String>,
    body: Value,
}

impl Question {
    /// Asks to be told; `path` in segments, after `/mainstay`.
    pub(crate) fn get(path: &[&str]) -> Question {
        Question::new(Method::GET, path, Value::Null)
    }

    /// Asks for a change.
    pub(crate) fn post(path: &[&str], body: Value) -> Question {
        Question::new(Method::POST, path, body)
    }

    /// Asks to take something away.
    pub(crate) fn delete(path: &[&str], body: Value) -> Question {
        Question::new(Method::DELETE, path, body)
    }

    /// The same with a parameter.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Question {
        self.query.insert(name.to_owned(), value.to_owned());
        self
    }

    fn new(method: Method, path: &[&str], body: Value) -> Question {
        let path = path
            .iter()
            .fold("/mainstay".to_owned(), |path, segment| path + "/" + &api::encode(segment));
        Question { method, path, query: BTreeMap::new(), body }
    }
}
