//! Providers: whether their circuits are closed, what was learnt of their limits, who waits.

use askama::Template;
use serde_json::Value;

use crate::admin::{Problem, Question};

use super::super::format::{millis, short};
use super::super::frame::Frame;
use super::super::read::{count, items, maybe, text, yes};
use super::super::svg::meter;
use super::super::visit::{Page, Visit};
use super::super::words::{self, Badge};
use super::requests::{Line, line};

/// Failures shown of each.
const FAILURES_MAX: usize = 4;
/// Requests of the last day looked at for them.
const RECENT: &str = "500";

#[derive(Template)]
#[template(path = "providers.html")]
struct Providers {
    frame: Frame,
    live: Live,
}

#[derive(Template)]
#[template(path = "providers_live.html")]
struct Live {
    providers: Vec<Provider>,
}

struct Provider {
    name: String,
    state: Badge,
    address: String,
    kind: String,
    targets: Vec<Target>,
    failures: Vec<Line>,
}

struct Target {
    model: String,
    credential: u64,
    circuit: Badge,
    in_flight: String,
    queued: u64,
    hold: Option<String>,
    retry_budget: u64,
    limits: Vec<Limit>,
}

struct Limit {
    name: String,
    size: String,
    source: &'static str,
    left: String,
    meter: String,
}

/// The page.
pub(super) fn page(visit: &Visit<'_>) -> Result<Page, Problem> {
    let live = gather(visit)?;
    Page::html(&Providers { frame: Frame::new(visit, "Providers", "providers"), live })
}

/// What brings itself up to date.
pub(super) fn live(visit: &Visit<'_>) -> Result<Page, Problem> {
    Page::part(&gather(visit)?)
}

fn gather(visit: &Visit<'_>) -> Result<Live, Problem> {
    let found = visit.ask(Question::get(&["providers"]))?;
    let config = visit.ask(Question::get(&["config"]))?;
    let recent =
        visit.ask(Question::get(&["requests"]).with("since", "24h").with("limit", RECENT))?;
    let mut providers: Vec<Provider> =
        items(&found, "data").iter().map(|one| provider(one, &config)).collect();
    for provider in &mut providers {
        let of_it = items(&recent, "data").iter().filter(|one| {
            text(one, "provider") == provider.name
                && matches!(one["origin"].as_str(), Some("provider" | "network"))
        });
        provider.failures = of_it.take(FAILURES_MAX).map(|one| line(one, visit)).collect();
    }
    Ok(Live { providers })
}

fn provider(value: &Value, config: &Value) -> Provider {
    let name = text(value, "name");
    let configured = items(config, "provider").iter().find(|one| text(one, "name") == name);
    let targets = items(value, "targets");
    let open = targets.iter().filter(|one| text(one, "circuit") != "closed").count();
    let state = match (targets.len(), open) {
        (0, _) => Badge { text: "not used yet".to_owned(), tone: "" },
        (_, 0) => Badge { text: "answering".to_owned(), tone: "good" },
        (all, open) if all == open => Badge { text: "failing".to_owned(), tone: "bad" },
        (all, open) => Badge { text: format!("{open} of {all} targets failing"), tone: "warn" },
    };
    Provider {
        state,
        address: configured.map_or(String::new(), |one| text(one, "base_url")),
        kind: configured.map_or(String::new(), |one| text(one, "kind")),
        targets: targets.iter().map(target).collect(),
        failures: Vec::new(),
        name,
    }
}

fn target(value: &Value) -> Target {
    let hold = count(value, "hold_ms");
    let in_flight = count(value, "in_flight");
    Target {
        model: maybe(value, "model").unwrap_or_else(|| "calls without a model".to_owned()),
        credential: count(value, "credential") + 1,
        circuit: words::circuit(&text(value, "circuit")),
        in_flight: match value["ceiling"].as_u64() {
            Some(ceiling) => format!("{in_flight} of at most {ceiling}"),
            None => in_flight.to_string(),
        },
        queued: count(value, "queued"),
        hold: (hold > 0).then(|| millis(hold)),
        retry_budget: count(value, "retry_budget"),
        limits: items(value, "limits").iter().map(limit).collect(),
    }
}

fn limit(value: &Value) -> Limit {
    let (name, told) = (text(value, "name"), yes(value, "told"));
    let number = |name: &str| value[name].as_f64().unwrap_or(0.0);
    let day = name.ends_with("_day");
    let size = number("per_minute") * if day { 1_440.0 } else { 1.0 };
    let (level, share) = (number("level"), number("level") / size.max(1e-9));
    let left = if level < 0.0 {
        format!("{} over", short(-level))
    } else {
        format!("{} at hand", short(level))
    };
    let name = words::limit_name(&name);
    Limit {
        size: short(size),
        source: if told { "told" } else { "found by trying" },
        meter: meter(1.0 - share, &format!("{name}: {left}")),
        left,
        name,
    }
}
