//! The administration plane, on its own port, and the ticks of the background thread.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mainstay_core::store::Store;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::admission::limits_report;
use crate::connection::Phase;
use crate::first_run::AdminAuth;
use crate::headers;
use crate::meter::{Together, prometheus};
use crate::shared::Shared;

/// Settings of the administration plane.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// Who may administrate.
    pub auth: AdminAuth,
    /// Whether `/metrics` needs no token.
    pub metrics_open: bool,
}

/// Connections to the administration plane at once.
const CONNECTIONS_MAX: usize = 64;

/// Runs until the gateway is cut.
pub(crate) async fn run(
    shared: Arc<Shared>,
    listener: StdListener,
    settings: AdminSettings,
    store: Option<Arc<dyn Store>>,
    mut phase: watch::Receiver<Phase>,
) {
    let plane = Arc::new(Plane { shared: Arc::clone(&shared), settings });
    tokio::select! {
        () = accept(listener, plane) => {}
        () = tick(&shared, store) => {}
        _ = phase.wait_for(|phase| *phase == Phase::Cut) => {}
    }
}

/// Keeps the wall clock and the keys up to date.
async fn tick(shared: &Arc<Shared>, store: Option<Arc<dyn Store>>) {
    let mut ticks = interval(Duration::from_millis(250));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        shared.wall.tick();
        let Some(store) = &store else { continue };
        let (own, store) = (Arc::clone(shared), Arc::clone(store));
        // A store may take its time; the clock and the answers to probes must not wait for it.
        let refresh = move || {
            own.admission.limits.sweep(own.engine.now());
            own.keys.refresh(store.as_ref())?;
            own.admission.limits.refresh(store.as_ref())
        };
        let refreshed = tokio::task::spawn_blocking(refresh).await;
        let error = match refreshed {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        match (&error, failing) {
            (Some(error), false) => {
                tracing::warn!(%error, "could not read changes of keys and limits; the known ones stay in use");
            }
            (None, true) => tracing::info!("changes of keys and limits are read again"),
            (Some(_), true) | (None, false) => {}
        }
        failing = error.is_some();
    }
}

async fn accept(listener: StdListener, plane: Arc<Plane>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(seat) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let plane = Arc::clone(&plane);
                tokio::spawn(async move {
                    serve(stream, plane).await;
                    drop(seat);
                });
            }
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve(stream: TcpStream, plane: Arc<Plane>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let plane = Arc::clone(&plane);
        async move { Ok::<_, Infallible>(plane.answer(&request)) }
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
}

type Reply = Response<Full<Bytes>>;

impl Plane {
    fn answer(&self, request: &Request<Incoming>) -> Reply {
        let mut reply = self.choose(request.method(), request.uri().path(), request.headers());
        let (_, id) = crate::ids::new();
        reply.headers_mut().insert(headers::REQUEST_ID, id);
        reply
    }

    fn choose(&self, method: &Method, path: &str, headers: &HeaderMap) -> Reply {
        if !host_is_ours(headers) {
            let message = "This Host is not one of the administration plane's: use its address, or localhost.";
            return refuse(StatusCode::FORBIDDEN, "permission_denied", message);
        }
        let known = matches!(
            path,
            "/healthz"
                | "/livez"
                | "/readyz"
                | "/metrics"
                | "/mainstay/status"
                | "/mainstay/limits"
        );
        if !known {
            let message = "There is nothing here. Known paths: /healthz /livez /readyz /metrics /mainstay/status /mainstay/limits.";
            return refuse(StatusCode::NOT_FOUND, "not_found", message);
        }
        if !matches!(*method, Method::GET | Method::HEAD) {
            return refuse(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This path takes GET only.",
            );
        }
        let open = match path {
            "/healthz" | "/livez" | "/readyz" => true,
            "/metrics" => self.settings.metrics_open,
            _ => false,
        };
        if !open && !self.has_token(headers) {
            let message = "Send the administration token: `Authorization: Bearer TOKEN`. It is `admin.token` of the \
                           configuration, or was made at first start.";
            return refuse(StatusCode::UNAUTHORIZED, "invalid_api_key", message);
        }
        match path {
            "/metrics" => self.metrics(),
            "/mainstay/status" => json_reply(StatusCode::OK, &self.status()),
            "/mainstay/limits" => {
                let now = self.shared.engine.now();
                json_reply(StatusCode::OK, &limits_report(&self.shared.admission.limits, now))
            }
            "/readyz" if !self.shared.ready() => {
                json_reply(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "stopping"}))
            }
            "/readyz" => json_reply(StatusCode::OK, &json!({"status": "ready"})),
            _ => json_reply(StatusCode::OK, &json!({"status": "ok"})),
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
        let together = Together {
            held: self.shared.held.bytes(),
            admitted: self.shared.admission.open(),
            over_shadows: self.shared.admission.limits.over_shadows(),
        };
        let text = prometheus(self.shared.meters.iter().map(AsRef::as_ref), together);
        let mut reply = Response::new(Full::new(Bytes::from(text)));
        let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        reply.headers_mut().insert(header::CONTENT_TYPE, kind);
        reply
    }

    fn status(&self) -> serde_json::Value {
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
        })
    }
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

fn refuse(status: StatusCode, code: &str, message: &str) -> Reply {
    let r#type = "invalid_request_error";
    json_reply(
        status,
        &json!({"error": {"message": message, "type": r#type, "param": null, "code": code}}),
    )
}

fn json_reply(status: StatusCode, value: &serde_json::Value) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(value.to_string())));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, crate::answer::JSON);
    reply
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
