//! The administration plane, on its own port, and the ticks of the background thread.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mainstay_core::store::{Store, StoreError};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use crate::connection::Phase;
use crate::console::{self, Console};
use crate::first_run::AdminAuth;
use crate::headers;
use crate::meter::totals;
use crate::shared::Shared;
use crate::sharing::{self, Reason};

mod api;
mod desk;
mod openapi;
mod providers;
mod reply;

use api::{Found, Route, Shape};
pub(crate) use api::{encode, fit, pairs};
pub(crate) use desk::{Desk, Question};
use reply::refuse;
pub(crate) use reply::{Problem, Reply, json_reply};

/// Settings of the administration plane.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// Who may administrate.
    pub auth: AdminAuth,
    /// Whether `/metrics` needs no token.
    pub metrics_open: bool,
}

/// Paths that are no part of the API's lists.
const PAGES: &[&str] = &[
    "/healthz",
    "/livez",
    "/readyz",
    "/metrics",
    "/mainstay/status",
    "/mainstay/providers",
    "/mainstay/traffic",
    "/mainstay/config",
    "/mainstay/openapi.json",
];
/// Connections to the administration plane at once.
const CONNECTIONS_MAX: usize = 64;

/// Ticks between two writings of what is used of requests per day: a second.
const LEVELS_EVERY: u64 = 4;
/// Ticks between two looks for other gateways on the store: four seconds.
const OTHERS_EVERY: u64 = 16;
/// Ticks between two questions for changes where the store tells of them: two seconds.
const ASKED_EVERY: u64 = 8;

/// Runs until the gateway is cut.
pub(crate) async fn run(
    shared: Arc<Shared>,
    listener: StdListener,
    settings: AdminSettings,
    store: Option<Arc<dyn Store>>,
    mut phase: watch::Receiver<Phase>,
) {
    let acting = store.as_ref().map(|store| Arc::from(store.acting("token")));
    let desk = Arc::new(Desk::new(Arc::clone(&shared), acting));
    let by_console = store.as_ref().map(|store| Arc::from(store.acting("console")));
    let console = Desk::new(Arc::clone(&shared), by_console);
    let console = Arc::new(Console::new(console, settings.auth.clone()));
    let plane = Arc::new(Plane { shared: Arc::clone(&shared), settings, desk, console });
    let last = store.clone();
    tokio::select! {
        () = live_among_others(&shared) => {}
        () = accept(listener, plane) => {}
        () = tick(&shared, store) => {}
        () = write_objects(&shared) => {}
        _ = phase.wait_for(|phase| *phase == Phase::Cut) => {}
    }
    if let Some(leases) = shared.admission.limits.leases() {
        leases.leave().await;
    }
    if let Some(sharing) = &shared.sharing {
        sharing.leave().await;
    }
    if let Err(error) = shared.objects.flush(shared.wall.now()) {
        tracing::error!(%error, "records of the last objects are lost: nobody can use them");
    }
    if let Some(store) = last {
        let (limits, now) = (&shared.admission.limits, shared.engine.now());
        let told = shared.money.tell_alerts(store.as_ref(), shared.wall.now());
        if let Err(error) = told {
            tracing::error!(%error, "the last alerts of budgets are told of after the next start");
        }
        if let Err(error) = limits.remember(store.as_ref(), now, shared.wall.now()) {
            tracing::error!(%error, "the last requests are not counted in their day");
        }
    }
}

/// Writes records of objects as soon as there are some: what a kill can take is what came within one
/// writing of the disk.
async fn write_objects(shared: &Arc<Shared>) {
    loop {
        shared.objects.waited().await;
        let own = Arc::clone(shared);
        // A failure is told of, and tried again, by the ticks.
        let _ = spawn_blocking(move || own.objects.flush(own.wall.now())).await;
    }
}

/// What there is to do with other gateways, for ever.
async fn live_among_others(shared: &Arc<Shared>) {
    match &shared.sharing {
        Some(sharing) => sharing.run(shared).await,
        None => std::future::pending().await,
    }
}

/// Keeps the wall clock and the keys up to date.
async fn tick(shared: &Arc<Shared>, store: Option<Arc<dyn Store>>) {
    let mut ticks = interval(Duration::from_millis(250));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    if let Some(store) = &store {
        sharing::follow(shared, store.as_ref());
    }
    for turn in 1_u64.. {
        let told = tokio::select! {
            _ = ticks.tick() => false,
            () = shared.stale.notified() => true,
        };
        note_time(shared);
        let Some(store) = &store else { continue };
        // Gateways that tell each other what changes need not ask as often.
        if shared.sharing.is_some() && !told && turn % 2 == 1 {
            continue;
        }
        let (own, store) = (Arc::clone(shared), Arc::clone(store));
        let refresh = move || {
            own.admission.limits.sweep(own.engine.now());
            // Asked once for keys and limits, and seldom where the store tells: over a network it is what
            // a quiet gateway costs.
            let asks = told || failing || turn % ASKED_EVERY == 0 || !store.listens();
            let epoch = if asks { store.epoch()? } else { own.keys.snapshot().epoch() };
            let news = own.keys.refresh(store.as_ref(), epoch)?;
            own.objects.flush(own.wall.now())?;
            own.admission.limits.refresh(store.as_ref(), epoch)?;
            if turn % LEVELS_EVERY == 0 {
                own.admission.limits.remember(store.as_ref(), own.engine.now(), own.wall.now())?;
            }
            if own.sharing.is_none() && turn % OTHERS_EVERY == 0 {
                sharing::look_for_others(&own, store.as_ref())?;
            }
            own.money.refresh(store.as_ref(), epoch, own.wall.now())?;
            own.money.tell_alerts(store.as_ref(), own.wall.now())?;
            Ok::<_, StoreError>(news)
        };
        let refreshed = beside_clock(shared, &mut ticks, spawn_blocking(refresh)).await;
        let error = match refreshed {
            Ok(Ok(news)) => {
                if let (Some(sharing), Some(news)) = (&shared.sharing, news) {
                    sharing.tell(&news).await;
                }
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        match (&error, failing) {
            (Some(error), false) => {
                tracing::warn!(%error, "could not read changes of keys, limits and budgets; the known ones stay in use");
            }
            (None, true) => tracing::info!("changes of keys, limits and budgets are read again"),
            (Some(_), true) | (None, false) => {}
        }
        failing = error.is_some();
        shared.store_failing.store(failing, Ordering::Relaxed);
        note_trouble(shared, failing);
        shared.alerts.keys(error);
    }
}

/// Waits for the store, which may take its time; the clock does not wait for it.
async fn beside_clock<T>(
    shared: &Shared,
    ticks: &mut Interval,
    mut work: JoinHandle<T>,
) -> Result<T, JoinError> {
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = ticks.tick() => note_time(shared),
        }
    }
}

fn note_time(shared: &Shared) {
    shared.wall.tick();
    let meters = shared.meters.iter().map(AsRef::as_ref);
    shared.history.tick(shared.wall.now(), || totals(meters));
}

/// What of the store's trouble everybody should see.
fn note_trouble(shared: &Shared, failing: bool) {
    let now = shared.wall.now();
    shared.degraded.set(Reason::StoreAway, failing, now);
    let ledger = shared.money.ledger().is_some_and(|ledger| {
        let away = ledger.leases().is_some_and(|leases| leases.trouble().is_some());
        away || ledger.state().trouble.is_some()
    });
    shared.degraded.set(Reason::LedgerAway, ledger, now);
}

async fn accept(listener: StdListener, plane: Arc<Plane>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(seat) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let plane = Arc::clone(&plane);
                tokio::spawn(async move {
                    serve(stream, peer.ip(), plane).await;
                    drop(seat);
                });
            }
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve(stream: TcpStream, peer: IpAddr, plane: Arc<Plane>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let plane = Arc::clone(&plane);
        async move { Ok::<_, Infallible>(plane.answer(request, peer).await) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(30))
        .max_buf_size(64 * 1024);
    // How a connection ends is of no interest here.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

struct Plane {
    shared: Arc<Shared>,
    settings: AdminSettings,
    /// What there is to know and to change.
    desk: Arc<Desk>,
    /// The same for people.
    console: Arc<Console>,
}

impl Plane {
    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Reply {
        let (head, body) = request.into_parts();
        let mut reply = match foreign(&head.headers) {
            Some(refused) => refused,
            None if console::owns(head.uri.path()) => self.show(head, body, peer).await,
            None => self.tell(&head, body).await,
        };
        let id = crate::ids::value(&crate::ids::new());
        reply.headers_mut().insert(headers::REQUEST_ID, id);
        reply
    }

    /// Answers a program.
    async fn tell(&self, head: &Parts, body: Incoming) -> Reply {
        let found = api::find(&head.method, head.uri.path());
        match (self.guard(head, &found), found) {
            (Some(refused), _) => refused,
            (None, Found::Route(route, path)) => self.serve(route, path, head, body).await,
            (None, Found::OtherMethods(_) | Found::Nothing) => self.look(head.uri.path()),
        }
    }

    /// Answers a person, away from the thread that answers probes.
    async fn show(&self, head: Parts, body: Incoming, peer: IpAddr) -> Reply {
        let Ok(body) = Limited::new(body, console::FORM_MAX).collect().await else {
            let message = format!("The form has more than {} bytes.", console::FORM_MAX);
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", &message);
        };
        let (console, body) = (Arc::clone(&self.console), body.to_bytes());
        let work = move || console.answer(&head, &body, peer);
        let broken = |_| {
            let message = "The page failed in a way that should not happen; see the log.";
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
        };
        spawn_blocking(work).await.unwrap_or_else(broken)
    }

    /// Why a request goes no further, if so.
    fn guard(&self, head: &Parts, found: &Found) -> Option<Reply> {
        let path = head.uri.path();
        let methods = match found {
            Found::Route(..) => None,
            Found::OtherMethods(methods) => Some(methods.join(", ")),
            Found::Nothing if !PAGES.contains(&path) => {
                let message = "There is nothing here. /mainstay/openapi.json names every path.";
                return Some(refuse(StatusCode::NOT_FOUND, "not_found", message));
            }
            Found::Nothing if matches!(head.method, Method::GET | Method::HEAD) => None,
            Found::Nothing => Some("GET".to_owned()),
        };
        if let Some(methods) = methods {
            let message = format!("This path takes {methods} only.");
            return Some(refuse(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &message));
        }
        let open = match path {
            "/healthz" | "/livez" | "/readyz" => true,
            "/metrics" => self.settings.metrics_open,
            _ => false,
        };
        if !open && !self.has_token(&head.headers) {
            let message = "Send the administration token: `Authorization: Bearer TOKEN`. It is `admin.token` of the \
                           configuration, or was made at first start.";
            return Some(refuse(StatusCode::UNAUTHORIZED, "invalid_api_key", message));
        }
        None
    }

    fn look(&self, path: &str) -> Reply {
        if let Some(value) = self.desk.look(path) {
            return json_reply(StatusCode::OK, &value);
        }
        match path {
            "/metrics" => self.metrics(),
            "/mainstay/openapi.json" => json_reply(StatusCode::OK, &openapi::document()),
            "/readyz" if !self.shared.ready() => {
                json_reply(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "stopping"}))
            }
            "/readyz" => json_reply(StatusCode::OK, &self.shared.degraded.readiness()),
            _ => json_reply(StatusCode::OK, &json!({"status": "ok"})),
        }
    }

    /// Does what a route of the API says, away from the thread that answers probes: a store may take
    /// its time.
    async fn serve(
        &self,
        route: &'static Route,
        path: Vec<String>,
        head: &Parts,
        body: Incoming,
    ) -> Reply {
        let Ok(body) = Limited::new(body, api::BODY_MAX).collect().await else {
            let message = format!("The body broke off or has more than {} bytes.", api::BODY_MAX);
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", &message);
        };
        let body = body.to_bytes();
        let query = api::read_query(head.uri.query());
        let desk = Arc::clone(&self.desk);
        let work = move || match route.answer {
            Shape::Zip(make) => desk.file(make, path, query).map(reply::zip_reply),
            Shape::One(_) | Shape::Made(_) | Shape::Page(_) => {
                let value = desk.run(route, path, query, &body)?;
                Ok(json_reply(route.answer.status(), &value))
            }
        };
        match spawn_blocking(work).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(problem)) => problem.reply(),
            Err(_) => Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal_error",
                "The change failed in a way that should not happen; see the log.",
            )
            .reply(),
        }
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        given.is_some_and(|(_, token)| self.settings.auth.admits(token.trim().as_bytes()))
    }

    fn metrics(&self) -> Reply {
        let text = crate::metrics::text(&self.shared);
        let mut reply = Response::new(Full::new(Bytes::from(text)));
        let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        reply.headers_mut().insert(header::CONTENT_TYPE, kind);
        reply
    }
}

/// The refusal of a browser that was led here under a foreign name.
fn foreign(headers: &HeaderMap) -> Option<Reply> {
    let message =
        "This Host is not one of the administration plane's: use its address, or localhost.";
    let refused = || refuse(StatusCode::FORBIDDEN, "permission_denied", message);
    (!host_is_ours(headers)).then(refused)
}

/// Whether a browser on this machine cannot have been led here under a foreign name.
fn host_is_ours(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    if host.parse::<SocketAddr>().is_ok() {
        return true;
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) && !name.is_empty() => name,
        Some(_) | None => host,
    };
    name.eq_ignore_ascii_case("localhost")
        || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_names_do_not_reach_the_administration() {
        let asked = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            host_is_ours(&headers)
        };
        for host in ["127.0.0.1:8081", "localhost:8081", "localhost", "[::1]:8081", "10.1.2.3"] {
            assert!(asked(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8081",
            "localhost.evil.example:8081",
            "127.0.0.1.evil.example",
        ] {
            assert!(!asked(host), "{host}");
        }
        assert!(!host_is_ours(&HeaderMap::new()));
    }
}
