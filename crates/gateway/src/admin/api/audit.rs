//! Who changed what.

use http::Method;
use serde_json::{Value, json};

use super::super::reply::Problem;
use super::{Ask, Route, Shape};
use crate::shapes;

pub(super) const ROUTES: &[Route] = &[Route {
    method: Method::GET,
    path: "/mainstay/audit",
    id: "audit.list",
    about: "List changes, newest first; `after` is the id of the last one of the page before.",
    query: &[],
    body: &[],
    answer: Shape::Page("Change"),
    run: list,
}];

fn list(ask: &Ask<'_>) -> Result<Value, Problem> {
    let limit = ask.limit()?;
    let after = ask.query.get("after").map(|text| {
        text.parse::<u64>().map_err(|_| Problem::value("after", "`after` is the id of a change."))
    });
    let mut found = ask.store.audit(after.transpose()?, limit + 1)?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().map(|entry| entry.id.to_string());
    let data: Vec<Value> = found.iter().map(shapes::change).collect();
    Ok(json!({"object": "list", "data": data, "has_more": has_more, "last_id": last}))
}
