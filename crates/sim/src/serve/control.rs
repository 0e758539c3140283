//! Everything outside `/v1`: health, counters, and changing the scenario while it plays.

use crate::provider::answer::{HttpBody, JSON};
use crate::provider::refusal::Refusal;
use crate::scenario::Scenario;
use crate::serve::World;
use crate::serve::exchange::{plain, response};
use crate::serve::paced_body::PacedBody;
use bytes::Bytes;
use http::{Method, Response};
use serde_json::json;

/// Answers a request outside `/v1`.
pub(crate) fn answer(
    method: &Method,
    path: &str,
    body: &Bytes,
    world: &World,
) -> Response<PacedBody> {
    match (method.as_str(), path) {
        ("GET" | "HEAD", "/healthz") => say(200, &json!({ "ok": true })),
        ("GET", "/sim/stats") => {
            let (play, now) = world.lock();
            let mut stats = json!(play.desk.stats);
            stats["elapsed_ms"] = json!(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
            drop(play);
            say(200, &stats)
        }
        ("POST", "/sim/reset") => {
            let scenario = Scenario::clone(world.lock().0.desk.scenario());
            world.begin(scenario);
            say(200, &json!({ "ok": true }))
        }
        ("PUT" | "POST", "/sim/scenario") => change(body, world),
        (method, "/healthz" | "/sim/stats" | "/sim/reset" | "/sim/scenario") => {
            plain(&Refusal::new(405, format!("Not allowed to {method} on {path}.")))
        }
        (method, path) => plain(&Refusal::new(404, format!("Invalid URL ({method} {path})"))),
    }
}

fn change(body: &Bytes, world: &World) -> Response<PacedBody> {
    let text = String::from_utf8_lossy(body);
    let read =
        if text.trim_start().starts_with('{') { Scenario::from_json } else { Scenario::from_toml };
    match read(&text) {
        Ok(scenario) => {
            world.begin(scenario);
            say(200, &json!({ "ok": true }))
        }
        Err(error) => {
            let said = json!({ "what": error.what, "why": error.why, "fix": error.fix, "line": error.line });
            say(400, &json!({ "error": said }))
        }
    }
}

fn say(status: u16, value: &serde_json::Value) -> Response<PacedBody> {
    let body = PacedBody::new(HttpBody::Whole(value.to_string().into()), None, None);
    response(status, JSON, Vec::new(), body)
}
