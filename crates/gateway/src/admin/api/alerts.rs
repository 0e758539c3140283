//! Alerts: what is raised, what was told, and how sending goes.

use http::Method;
use serde_json::Value;

use super::super::reply::Problem;
use super::{Ask, Route, Shape};

pub(super) const ROUTES: &[Route] = &[Route {
    method: Method::GET,
    path: "/mainstay/alerts",
    id: "alerts",
    about: "Show the alerts that are raised, the newest 200 messages, and how sending them goes.",
    query: &[],
    body: &[],
    answer: Shape::One("Alerts"),
    run: show,
}];

#[expect(clippy::unnecessary_wraps, reason = "routes may fail; this one looks at memory only")]
fn show(ask: &Ask<'_>) -> Result<Value, Problem> {
    Ok(ask.shared.alerts.object())
}
