//! Records of requests: a list with filters, and one with its timeline and what it means.

use http::Method;
use mainstay_core::failure::Kind;
use mainstay_core::store::{RequestFilter, RequestId, StatusFilter, UnixMillis};
use serde_json::{Value, json};

use super::super::reply::Problem;
use super::{Ask, Route, Shape};
use crate::bundle::{Sources, make};
use crate::config::duration;
use crate::explained::{detail, summary, targets};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/mainstay/requests",
        id: "request.list",
        about: "List records of requests that are over, newest first.",
        query: &[
            ("key", "Only of the key with this id."),
            ("project", "Only of the project with this id."),
            ("org", "Only of the organization with this id."),
            ("model", "Only of this model, as callers or providers name it."),
            ("provider", "Only those that this provider was asked for last."),
            ("kind", "Only those that failed in this way, such as `rate_limit_tokens`."),
            ("status", "Only with this status, such as `429` or `5xx`."),
            ("since", "Only those that arrived then or later: RFC 3339, or how long ago: `1h`."),
        ],
        body: &[],
        answer: Shape::Page("Request"),
        run: list,
    },
    Route {
        method: Method::GET,
        path: "/mainstay/requests/{id}",
        id: "request.show",
        about: "Show a request's record: its timeline, what it means and what to do.",
        query: &[],
        body: &[],
        answer: Shape::One("RequestDetail"),
        run: show,
    },
    Route {
        method: Method::GET,
        path: "/mainstay/requests/{id}/report",
        id: "request.report",
        about: "Make the support bundle of a request: a zip file without keys, prompts and answers.",
        query: &[("with_content", "`true`: with the request's body, where it was kept.")],
        body: &[],
        answer: Shape::Zip(report),
        run: show,
    },
];

fn list(ask: &Ask<'_>) -> Result<Value, Problem> {
    let limit = ask.limit()?;
    let filter = filter(ask)?;
    ask.shared.telling.flush();
    if let Some(after) = filter.after
        && ask.store.request(after)?.is_none()
    {
        return Err(Problem::value("after", "`after` is the id of no record that is kept."));
    }
    let mut found = ask.store.requests(&filter, limit + 1)?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().map(|record| record.id.to_string());
    let data: Vec<Value> = found.iter().map(summary).collect();
    Ok(json!({"object": "list", "data": data, "has_more": has_more, "last_id": last}))
}

fn show(ask: &Ask<'_>) -> Result<Value, Problem> {
    let id = id("id", ask.segment(0))?;
    ask.shared.telling.flush();
    let record = ask.store.request(id)?.ok_or_else(|| super::super::reply::no_record(id))?;
    let settings = ask.shared.settings();
    let help = record.provider.as_deref().and_then(|name| settings.helps.get(name)).copied();
    Ok(detail(&record, help))
}

fn report(ask: &Ask<'_>) -> Result<Vec<u8>, Problem> {
    let id = id("id", ask.segment(0))?;
    ask.shared.telling.flush();
    let record = ask.store.request(id)?.ok_or_else(|| super::super::reply::no_record(id))?;
    let settings = ask.shared.settings();
    Ok(make(&Sources {
        record: &record,
        help: record.provider.as_deref().and_then(|name| settings.helps.get(name)).copied(),
        config: Some(&settings.outline),
        limits: Some(targets(&ask.shared.engine.snapshot())),
        log: Some(ask.shared.tail.lines()),
        with_content: ask.query.get("with_content").is_some_and(|text| text == "true"),
        now: ask.now,
        secrets: &settings.secrets.0,
    }))
}

fn filter(ask: &Ask<'_>) -> Result<RequestFilter, Problem> {
    let text = |name: &str| ask.query.get(name).cloned();
    let kind = |text: &String| {
        text.parse::<Kind>().map_err(|_| {
            Problem::value("kind", format!("There is no kind `{text}`; docs/errors.md has all 37."))
        })
    };
    let status = |text: &String| {
        let message = "`status` is a number from 100 to 599, or a class such as `5xx`.";
        StatusFilter::parse(text).ok_or_else(|| Problem::value("status", message))
    };
    Ok(RequestFilter {
        key: text("key"),
        project: text("project"),
        org: text("org"),
        model: text("model"),
        provider: text("provider"),
        kind: ask.query.get("kind").map(kind).transpose()?,
        status: ask.query.get("status").map(status).transpose()?,
        since: ask.query.get("since").map(|text| since(text, ask.now)).transpose()?,
        after: ask.query.get("after").map(|text| id("after", text)).transpose()?,
    })
}

fn since(text: &str, now: UnixMillis) -> Result<UnixMillis, Problem> {
    if let Some(ago) = duration(text) {
        return Ok(now.minus(ago));
    }
    let read = text.parse::<jiff::Timestamp>().ok();
    let millis = read.and_then(|stamp| u64::try_from(stamp.as_millisecond()).ok());
    let message = "`since` is a time such as 2026-11-28T10:00:00Z, or how long ago, such as 1h.";
    millis.map(UnixMillis).ok_or_else(|| Problem::value("since", message))
}

fn id(field: &str, text: &str) -> Result<RequestId, Problem> {
    RequestId::parse(text).ok_or_else(|| {
        Problem::value(
            field,
            "A request's id is `req_` and 32 hexadecimal digits, from x-request-id.",
        )
    })
}
