//! Alerts: what is raised, what was told to whom, and how telling goes.

use askama::Template;
use serde_json::Value;

use crate::admin::{Problem, Question};

use super::super::format::{When, count, prose, when};
use super::super::frame::Frame;
use super::super::read::{self, items, maybe, text, texts};
use super::super::visit::{Page, Visit};
use super::super::words::{self, Badge};

#[derive(Template)]
#[template(path = "alerts.html")]
struct Alerts {
    frame: Frame,
    active: Vec<Alert>,
    recent: Vec<Alert>,
    receivers: Vec<Receiver>,
    rules: Vec<String>,
    lost: u64,
}

struct Alert {
    rule: String,
    severity: Badge,
    subject: String,
    /// As HTML, like the fix.
    what: String,
    fix: String,
    since: When,
    at: When,
    change: Badge,
}

struct Receiver {
    name: String,
    place: String,
    delivered: String,
    failed: String,
    dropped: String,
    waiting: String,
    trouble: Option<String>,
}

/// The page.
pub(super) fn page(visit: &Visit<'_>) -> Result<Page, Problem> {
    let found = visit.ask(Question::get(&["alerts"]))?;
    let alert = |one: &Value| alert(one, visit);
    Page::html(&Alerts {
        frame: Frame::new(visit, "Alerts", "alerts"),
        active: items(&found, "active").iter().map(alert).collect(),
        recent: items(&found, "recent").iter().map(alert).collect(),
        receivers: items(&found, "receivers").iter().map(receiver).collect(),
        rules: texts(&found, "rules"),
        lost: read::count(&found, "lost"),
    })
}

fn alert(value: &Value, visit: &Visit<'_>) -> Alert {
    let at = |name: &str| when(&text(value, name), visit.now);
    let change = text(value, "change");
    Alert {
        rule: text(value, "rule"),
        severity: words::severity(&text(value, "severity")),
        subject: text(value, "subject"),
        what: prose(&text(value, "what")),
        fix: prose(&text(value, "fix")),
        since: at("since"),
        at: at("at"),
        change: words::alert_change(&change),
    }
}

fn receiver(value: &Value) -> Receiver {
    let number = |name: &str| count(read::count(value, name));
    Receiver {
        name: text(value, "name"),
        place: text(value, "place"),
        delivered: number("delivered"),
        failed: number("failed"),
        dropped: number("dropped"),
        waiting: number("waiting"),
        trouble: maybe(value, "trouble"),
    }
}
