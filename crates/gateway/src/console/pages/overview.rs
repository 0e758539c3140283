//! The overview: what is going on, and what somebody should look at.

use askama::Template;
use serde_json::Value;

use crate::admin::{Problem, Question};

use super::super::format::{self, about_millis, clock, count};
use super::super::frame::Frame;
use super::super::read::{self, items, maybe, text};
use super::super::svg::{Chart, Line, Stack, lines, rail, stacks};
use super::super::visit::{Page, Visit};
use super::super::words::many;
use super::budgets::shares;
use super::keys::base_url;

/// Bars of an hour: one a minute.
const MINUTES: usize = 60;
/// Kinds of failures shown.
const KINDS_MAX: usize = 8;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    live: Live,
}

/// What brings itself up to date.
#[derive(Template)]
#[template(path = "overview_live.html")]
struct Live {
    attention: Vec<Attention>,
    /// Nothing was asked since the start.
    quiet: bool,
    base_url: String,
    tiles: Vec<Tile>,
    traffic: Chart,
    first_content: Option<Chart>,
    kinds: Vec<KindBar>,
    cost: Chart,
    costs: bool,
}

struct Attention {
    tone: &'static str,
    text: String,
    path: String,
    action: &'static str,
}

struct Tile {
    name: &'static str,
    value: String,
    unit: String,
    note: String,
    tone: &'static str,
}

struct KindBar {
    kind: String,
    count: u64,
    bar: String,
}

/// A minute of traffic.
#[derive(Clone, Debug, Default)]
struct Minute {
    name: String,
    succeeded: u64,
    refused: u64,
    failed: u64,
    left: u64,
    attempts: u64,
}

impl Minute {
    fn all(&self) -> u64 {
        self.succeeded + self.refused + self.failed + self.left
    }
}

/// The page.
pub(super) fn page(visit: &Visit<'_>) -> Result<Page, Problem> {
    let live = gather(visit)?;
    Page::html(&Overview { frame: Frame::new(visit, "Overview", "overview"), live })
}

/// What brings itself up to date.
pub(super) fn live(visit: &Visit<'_>) -> Result<Page, Problem> {
    Page::part(&gather(visit)?)
}

fn gather(visit: &Visit<'_>) -> Result<Live, Problem> {
    let status = visit.ask(Question::get(&["status"]))?;
    let traffic = visit.ask(Question::get(&["traffic"]))?;
    let hour = minutes(items(&traffic, "points"));
    let days = visit.list(Question::get(&["usage"]).with("by", "day").with("since", "14d"))?;
    let kinds = items(&traffic, "kinds");
    let longest = kinds.first().map_or(0, |one| read::count(one, "count"));
    let bar = |one: &Value| KindBar {
        kind: text(one, "kind"),
        count: read::count(one, "count"),
        bar: rail("failed", read::count(one, "count"), longest),
    };
    let asked: u64 = hour.iter().map(Minute::all).sum();
    Ok(Live {
        attention: attention(visit, &status)?,
        quiet: asked == 0 && days.is_empty(),
        base_url: base_url(visit),
        tiles: tiles(&status, &hour, &traffic, &days, visit),
        traffic: drawn(&hour),
        first_content: first_content(items(&traffic, "points")),
        kinds: kinds.iter().take(KINDS_MAX).map(bar).collect(),
        costs: !days.is_empty(),
        cost: cost(&days, visit),
    })
}

/// The last hour by minutes, the oldest first; minutes of which nothing is known are empty.
fn minutes(points: &[Value]) -> Vec<Minute> {
    const POINTS: usize = 6;
    let mut all: Vec<Minute> = points
        .rchunks(POINTS)
        .map(|part| {
            let sum = |name: &str| part.iter().map(|one| read::count(one, name)).sum();
            Minute {
                name: part.last().map_or(String::new(), |one| clock(&text(one, "at"))),
                succeeded: sum("succeeded"),
                refused: sum("refused"),
                failed: sum("failed"),
                left: sum("left"),
                attempts: sum("attempts"),
            }
        })
        .collect();
    all.resize_with(MINUTES, Minute::default);
    all.reverse();
    all
}

fn drawn(hour: &[Minute]) -> Chart {
    let stack = |minute: &Minute| {
        let Minute { name, succeeded, refused, failed, left, attempts: _ } = minute;
        Stack {
            name: name.clone(),
            parts: vec![
                ("ok", *succeeded as f64),
                ("left", *left as f64),
                ("refused", *refused as f64),
                ("failed", *failed as f64),
            ],
            words: format!(
                "{name}: {succeeded} answered, {refused} refused, {failed} failed, {left} left"
            ),
        }
    };
    let bars: Vec<Stack> = hour.iter().map(stack).collect();
    let all: u64 = hour.iter().map(Minute::all).sum();
    let title = format!("{} in the last hour, by minute", many(all, "request", "requests"));
    let mut chart = stacks(&title, &bars, format::short);
    chart.xs = ["60 min ago", "30 min ago", "now"].map(str::to_owned).to_vec();
    chart
}

fn first_content(points: &[Value]) -> Option<Chart> {
    let value = |one: &Value, name: &str| one["first_content_ms"][name].as_f64();
    let line = |class, name: &str| Line {
        class,
        values: points.iter().map(|one| value(one, name)).collect(),
    };
    let both = [line("", "p50"), line("second", "p95")];
    if both.iter().all(|line| line.values.iter().all(Option::is_none)) {
        return None;
    }
    let names: Vec<String> = points.iter().map(|one| clock(&text(one, "at"))).collect();
    let title = "Time to first content in the last hour, median and 95th percentile";
    Some(lines(title, &names, &both, about_millis))
}

fn tiles(
    status: &Value,
    hour: &[Minute],
    traffic: &Value,
    days: &[Value],
    visit: &Visit<'_>,
) -> Vec<Tile> {
    let last = hour.last().map_or(0, Minute::all);
    let all: u64 = hour.iter().map(Minute::all).sum();
    let failed: u64 = hour.iter().map(|minute| minute.failed).sum();
    let refused: u64 = hour.iter().map(|minute| minute.refused).sum();
    let attempts: u64 = hour.iter().map(|minute| minute.attempts).sum();
    let share = failed as f64 / all.max(1) as f64;
    let tone = match share {
        s if s >= 0.05 => "bad",
        s if s >= 0.01 => "warn",
        _ => "",
    };
    let today = crate::shapes::time(visit.now);
    let today = days.iter().find(|day| today.starts_with(&text(day, "id")));
    let cost = today.map_or_else(|| "0".to_owned(), |day| text(day, "cost_usd"));
    let requests = today.map_or(0, |day| read::count(day, "requests"));
    let mut tiles = vec![
        tile("Requests", count(last), "a minute", format!("{} in the last hour", count(all)), ""),
        tile(
            "Failed",
            format!("{:.1} %", share * 100.0),
            "",
            format!("{} failed, {} refused", count(failed), count(refused)),
            tone,
        ),
        tile(
            "In flight",
            count(read::count(status, "in_flight")),
            "",
            many(read::count(status, "connections"), "connection", "connections"),
            "",
        ),
    ];
    let newest = items(traffic, "points")
        .iter()
        .rev()
        .find(|one| one["first_content_ms"]["p50"].is_number());
    if let Some(newest) = newest {
        let of =
            |name: &str| about_millis(newest["first_content_ms"][name].as_f64().unwrap_or(0.0));
        tiles.push(tile(
            "Time to first content",
            of("p50"),
            "median",
            format!("{} at the 95th percentile", of("p95")),
            "",
        ));
    }
    tiles.push(tile("Attempts", count(attempts), "", per_call(attempts, all), ""));
    tiles.push(tile(
        "Spent today",
        format::usd(&cost),
        "",
        many(requests, "settled request", "settled requests"),
        "",
    ));
    tiles
}

fn per_call(attempts: u64, calls: u64) -> String {
    if calls == 0 {
        return "sent in the last hour".to_owned();
    }
    format!("{:.2} for each request", attempts as f64 / calls as f64)
}

fn tile(name: &'static str, value: String, unit: &str, note: String, tone: &'static str) -> Tile {
    Tile { name, value, unit: unit.to_owned(), note, tone }
}

fn cost(days: &[Value], visit: &Visit<'_>) -> Chart {
    let bars = super::usage::bars(days, 14, visit.now);
    stacks("Cost of each of the last 14 days", &bars, format::short_usd)
}

/// What somebody should look at, the gravest first.
fn attention(visit: &Visit<'_>, status: &Value) -> Result<Vec<Attention>, Problem> {
    let mut all = Vec::new();
    if let Some(trouble) = maybe(&status["ledger"], "trouble") {
        let text = format!("The ledger cannot be written: {trouble}");
        all.push(Attention {
            tone: "bad",
            text,
            path: "/settings".to_owned(),
            action: "See the settings",
        });
    }
    let providers = visit.ask(Question::get(&["providers"]))?;
    for provider in items(&providers, "data") {
        let open = items(provider, "targets").iter().filter(|one| text(one, "circuit") != "closed");
        let open: Vec<String> =
            open.map(|one| maybe(one, "model").unwrap_or_else(|| "no model".to_owned())).collect();
        if !open.is_empty() {
            let name = text(provider, "name");
            let text = format!("{name} is failing: the circuit is open for {}.", open.join(", "));
            all.push(Attention {
                tone: "bad",
                text,
                path: format!("/providers#{name}"),
                action: "See the provider",
            });
        }
    }
    for (name, share, hard) in shares(visit)? {
        if share < 0.8 {
            continue;
        }
        let tone = if share >= 1.0 && hard { "bad" } else { "warn" };
        let effect = match (share >= 1.0, hard) {
            (true, true) => "; calls are refused",
            (true, false) => "; it is soft and only tells",
            (false, _) => "",
        };
        let text = format!("{:.0} % of the budget of {name} is spent{effect}.", share * 100.0);
        all.push(Attention { tone, text, path: "/budgets".to_owned(), action: "See the budgets" });
    }
    all.sort_by_key(|one| one.tone != "bad");
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_hour_has_sixty_minutes_and_the_newest_is_the_last() {
        let point = |n: u64| json!({"at": "2026-11-28T10:31:02Z", "succeeded": n, "failed": 1});
        let points: Vec<Value> = (0..13).map(point).collect();
        let hour = minutes(&points);
        assert_eq!(hour.len(), MINUTES);
        let last: Vec<(u64, u64)> =
            hour[57..].iter().map(|one| (one.succeeded, one.failed)).collect();
        assert_eq!(last, [(0, 1), (1 + 2 + 3 + 4 + 5 + 6, 6), (7 + 8 + 9 + 10 + 11 + 12, 6)]);
        assert_eq!(hour[0].all(), 0);
    }
}
