//! The overview: what is going on, and what somebody should look at.

use askama::Template;
use mainstay_core::store::UnixMillis;
use serde_json::Value;

use crate::admin::{Problem, Question};

use super::super::format::{self, about_millis, clock, count, prose};
use super::super::frame::Frame;
use super::super::read::{self, items, maybe, text};
use super::super::svg::{self, Chart, Stack, lines, rail, stacks};
use super::super::visit::{Page, Visit};
use super::super::words::many;
use super::budgets::shares;
use super::keys::base_url;
use super::requests::{Line, line};

/// Bars of an hour: one a minute.
const MINUTES: usize = 60;
/// Kinds of failures shown.
const KINDS_MAX: usize = 8;
/// Failures shown.
const FAILURES_MAX: usize = 6;
/// Requests looked at for the time to first content and for the last failures.
const RECENT: &str = "500";
/// Words below an hour.
const HOUR: [&str; 3] = ["60 min ago", "30 min ago", "now"];

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
    failures: Vec<Line>,
    kinds: Vec<KindBar>,
    cost: Chart,
    costs: bool,
}

struct Attention {
    tone: &'static str,
    /// As HTML.
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
    let recent =
        visit.ask(Question::get(&["requests"]).with("since", "1h").with("limit", RECENT))?;
    let recent = items(&recent, "data").to_vec();
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
        tiles: tiles(&status, &hour, &recent, &days, visit),
        traffic: drawn(&hour),
        first_content: first_content(&recent, visit.now),
        failures: recent
            .iter()
            .filter(|one| one["kind"].is_string())
            .take(FAILURES_MAX)
            .map(|one| line(one, visit))
            .collect(),
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
    chart.xs = HOUR.map(str::to_owned).to_vec();
    chart
}

/// Median and 95th percentile of each of the last sixty minutes; `None` when nothing was answered.
fn first_content(recent: &[Value], now: UnixMillis) -> Option<Chart> {
    let mut minutes: Vec<Vec<u64>> = vec![Vec::new(); MINUTES];
    for one in recent {
        let Some(time) = one["first_content_ms"].as_u64() else { continue };
        let Some(ago) = minutes_ago(&text(one, "at"), now) else { continue };
        if let Some(minute) = MINUTES.checked_sub(ago + 1).and_then(|place| minutes.get_mut(place))
        {
            minute.push(time);
        }
    }
    if minutes.iter().all(Vec::is_empty) {
        return None;
    }
    let line = |class, percent| svg::Line {
        class,
        values: minutes.iter().map(|one| percentile(one, percent)).collect(),
    };
    let title = "Time to first content in the last hour, median and 95th percentile";
    let names = vec![String::new(); MINUTES];
    let both = [line("", 50), line("second", 95)];
    let mut chart = lines(title, &names, &both, about_millis);
    chart.xs = HOUR.map(str::to_owned).to_vec();
    Some(chart)
}

fn minutes_ago(stamp: &str, now: UnixMillis) -> Option<usize> {
    let at = stamp.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    let ago = now.0.saturating_sub(u64::try_from(at).ok()?);
    usize::try_from(ago / 60_000).ok()
}

/// The value below which so many of a hundred lie.
fn percentile(values: &[u64], percent: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).map(|value| *value as f64)
}

fn tiles(
    status: &Value,
    hour: &[Minute],
    recent: &[Value],
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
    let times: Vec<u64> =
        recent.iter().filter_map(|one| one["first_content_ms"].as_u64()).collect();
    if let (Some(half), Some(most)) = (percentile(&times, 50), percentile(&times, 95)) {
        let note = format!("median; 95 % within {}", about_millis(most));
        tiles.push(tile("Time to first content", about_millis(half), "", note, ""));
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
    let alerts = visit.ask(Question::get(&["alerts"]))?;
    // Circuits and budgets have lines of their own below.
    let own = |one: &&Value| !matches!(one["rule"].as_str(), Some("circuit_open" | "budget"));
    for one in items(&alerts, "active").iter().filter(own) {
        let tone = if text(one, "severity") == "critical" { "bad" } else { "warn" };
        let what = text(one, "what");
        all.push(Attention {
            tone,
            text: what,
            path: "/alerts".to_owned(),
            action: "See the alerts",
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
    for one in &mut all {
        one.text = prose(&one.text);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn percentiles_are_values_that_came() {
        let times: Vec<u64> = (1..=20).rev().collect();
        assert_eq!((percentile(&times, 50), percentile(&times, 95)), (Some(10.0), Some(19.0)));
        assert_eq!((percentile(&[7], 95), percentile(&[], 50)), (Some(7.0), None));
    }

    #[test]
    fn a_time_to_first_content_stands_in_its_minute() {
        let now = UnixMillis(1_795_862_042_000);
        let at = |ago_s: u64| crate::shapes::time(UnixMillis(now.0 - ago_s * 1_000));
        let recent = [
            json!({"at": at(30), "first_content_ms": 40}),
            json!({"at": at(3_570), "first_content_ms": 80}),
            json!({"at": at(4_000), "first_content_ms": 9_000}),
            json!({"at": at(10), "first_content_ms": null}),
        ];
        let chart = first_content(&recent, now).expect("two were answered");
        assert_eq!(chart.ys[0], "80 ms", "what is older than an hour does not count");
        assert!(first_content(&recent[3..], now).is_none());
    }

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
