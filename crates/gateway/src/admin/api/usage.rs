//! What was used and what it cost.

use http::Method;
use mainstay_core::store::UnixMillis;
use serde_json::Value;

use super::super::reply::Problem;
use super::owner::{self, OF};
use super::{Ask, Route, Shape};
use crate::config::duration;
use crate::shapes;
use crate::spending::{self, UsageBy};

pub(super) const ROUTES: &[Route] = &[Route {
    method: Method::GET,
    path: "/mainstay/usage",
    id: "usage",
    about: "Add up what was settled; calls under way are not in it.",
    query: &[
        (
            "by",
            "What a line is about: `key`, `project`, `org`, `model` or `day` (of UTC); absent: `key`.",
        ),
        (
            "since",
            "Only what began so long ago or later, such as `24h` or `30d`; absent: everything.",
        ),
        OF[0],
        OF[1],
        OF[2],
    ],
    body: &[],
    answer: Shape::Page("Usage"),
    run: usage,
}];

fn usage(ask: &Ask<'_>) -> Result<Value, Problem> {
    let by = ask.query.get("by").map_or("key", String::as_str);
    let by = UsageBy::ALL.into_iter().find(|one| one.name() == by).ok_or_else(|| {
        let names = UsageBy::ALL.map(UsageBy::name).join(", ");
        Problem::value("by", format!("`by` is one of {names}."))
    })?;
    let owner = owner::asked(ask)?;
    let lines = spending::usage(ask.store, by, from(ask)?, owner.as_ref())?;
    ask.page(lines.iter().map(|line| (line.id.clone(), shapes::usage(line))).collect())
}

fn from(ask: &Ask<'_>) -> Result<UnixMillis, Problem> {
    let Some(text) = ask.query.get("since") else { return Ok(UnixMillis(0)) };
    let since = duration(text).ok_or_else(|| {
        Problem::value("since", "`since` is a duration with a unit, such as 24h or 30d.")
    })?;
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    Ok(UnixMillis(ask.now.0.saturating_sub(millis)))
}
