//! What was used and what it cost.

use askama::Template;
use jiff::ToSpan;
use jiff::civil::Date;
use mainstay_core::money::Usd;
use mainstay_core::store::UnixMillis;
use serde_json::Value;

use crate::admin::{Problem, Question, encode};

use super::super::format::{self, count};
use super::super::frame::Frame;
use super::super::read::{self, text};
use super::super::svg::{Chart, Stack, rail, stacks};
use super::super::visit::{Page, Visit};
use super::names::{Choice, Names, choices};

const BYS: [(&str, &str); 5] = [
    ("model", "Model"),
    ("project", "Project"),
    ("key", "Key"),
    ("org", "Organization"),
    ("day", "Day"),
];
const SINCES: [(&str, &str, usize); 3] =
    [("7d", "7 days", 7), ("30d", "30 days", 30), ("90d", "90 days", 90)];

#[derive(Template)]
#[template(path = "usage.html")]
struct Usage {
    frame: Frame,
    by_name: &'static str,
    sinces: Vec<Choice>,
    bys: Vec<Choice>,
    projects: Vec<Choice>,
    lines: Vec<Line>,
    requests: String,
    tokens: String,
    cost: String,
    exact: String,
    chart: Chart,
    csv: String,
    /// Whose usage it is, if only one's is shown.
    of: Option<String>,
}

struct Line {
    name: String,
    id: String,
    requests: String,
    input: String,
    cached: String,
    output: String,
    cost: String,
    exact: String,
    bar: String,
}

struct Asked {
    by: (&'static str, &'static str),
    since: (&'static str, &'static str, usize),
    owner: Option<(&'static str, String)>,
}

fn asked(visit: &Visit<'_>) -> Asked {
    let by = visit.query.get("by").unwrap_or("model");
    let since = visit.query.get("since").unwrap_or("30d");
    let owner = ["project", "key", "org"]
        .into_iter()
        .find_map(|name| visit.query.get(name).map(|id| (name, id.to_owned())));
    Asked {
        by: BYS.into_iter().find(|(name, _)| *name == by).unwrap_or(BYS[0]),
        since: SINCES.into_iter().find(|(name, ..)| *name == since).unwrap_or(SINCES[1]),
        owner,
    }
}

impl Asked {
    fn question(&self, by: &str) -> Question {
        let question = Question::get(&["usage"]).with("by", by).with("since", self.since.0);
        match &self.owner {
            Some((name, id)) => question.with(name, id),
            None => question,
        }
    }
}

/// The page.
pub(super) fn page(visit: &Visit<'_>) -> Result<Page, Problem> {
    let asked = asked(visit);
    let (by, by_name) = asked.by;
    let mut found = visit.list(asked.question(by))?;
    let days = visit.list(asked.question("day"))?;
    if by != "day" {
        found.sort_by_key(|one| std::cmp::Reverse(format::parse(&text(one, "cost_usd"))));
    }
    let sum = |name: &str| found.iter().map(|one| read::count(one, name)).sum::<u64>();
    let cost = found.iter().fold(Usd::ZERO, |sum, one| {
        sum.plus(format::parse(&text(one, "cost_usd"))).unwrap_or(Usd::MAX)
    });
    let names = Names::ask(visit)?;
    let (since, _, many) = asked.since;
    let owner = asked.owner.as_ref().map(|(name, id)| format!("&{name}={}", encode(id)));
    let project = asked.owner.as_ref().filter(|(name, _)| *name == "project");
    let label = |one: &Value| format!("{} / {}", names.of(&text(one, "org")), text(one, "name"));
    Page::html(&Usage {
        frame: Frame::new(visit, "Usage", "usage"),
        by_name,
        bys: BYS.iter().map(|(value, label)| choice(value, label, by)).collect(),
        sinces: SINCES.iter().map(|(value, label, _)| choice(value, label, since)).collect(),
        projects: choices(&names.projects, project.map_or("", |(_, id)| id), label),
        lines: lines(&found),
        requests: count(sum("requests")),
        tokens: count(sum("input_tokens") + sum("output_tokens")),
        cost: format::amount(cost),
        exact: cost.to_string(),
        chart: stacks("Cost of each day", &bars(&days, many, visit.now), format::short_usd),
        csv: format!("/usage.csv?by={by}&since={since}{}", owner.unwrap_or_default()),
        of: asked.owner.map(|(name, id)| format!("{name} {}", names.of(&id))),
    })
}

fn choice(value: &str, label: &str, chosen: &str) -> Choice {
    Choice { value: value.to_owned(), label: label.to_owned(), chosen: value == chosen }
}

fn lines(found: &[Value]) -> Vec<Line> {
    let micros = |one: &Value| {
        let pico = format::parse(&text(one, "cost_usd")).pico().max(0);
        u64::try_from(pico / 1_000_000).unwrap_or(u64::MAX)
    };
    let longest = found.iter().map(micros).max().unwrap_or(0);
    let line = |one: &Value| {
        let number = |name: &str| count(read::count(one, name));
        let (id, name) = (text(one, "id"), text(one, "name"));
        Line {
            name: if name.is_empty() { "(none named)".to_owned() } else { name.clone() },
            id: if id == name { String::new() } else { id },
            requests: number("requests"),
            input: number("input_tokens"),
            cached: number("cached_input_tokens"),
            output: number("output_tokens"),
            cost: format::usd(&text(one, "cost_usd")),
            exact: text(one, "cost_usd"),
            bar: rail("ok", micros(one), longest),
        }
    };
    found.iter().map(line).collect()
}

/// A bar for each of the last `many` days, those without usage among them.
pub(super) fn bars(days: &[Value], many: usize, now: UnixMillis) -> Vec<Stack> {
    let today: Date = crate::shapes::time(now)[..10].parse().unwrap_or_default();
    let back = i64::try_from(many).unwrap_or(0) - 1;
    (0..=back)
        .rev()
        .filter_map(|ago| today.checked_sub(ago.days()).ok())
        .map(|date| {
            let date = date.to_string();
            let found = days.iter().find(|day| text(day, "id") == date);
            let cost = found.map_or_else(String::new, |day| text(day, "cost_usd"));
            let requests = found.map_or(0, |day| read::count(day, "requests"));
            let dollars = format::parse(&cost).pico() as f64 / 1e12;
            let name = format::day(&date);
            let words = format!("{name}: {} for {} requests", format::usd(&cost), count(requests));
            Stack { name, parts: vec![("ok", dollars.max(0.0))], words }
        })
        .collect()
}

/// The same as comma-separated values, in the columns of `mainstay usage --csv`.
pub(super) fn csv(visit: &Visit<'_>) -> Result<Page, Problem> {
    let asked = asked(visit);
    let mut out = "id,name,requests,input_tokens,output_tokens,cost_usd\n".to_owned();
    for one in visit.list(asked.question(asked.by.0))? {
        let fields = [quoted(&text(&one, "id")), quoted(&text(&one, "name"))];
        let numbers =
            ["requests", "input_tokens", "output_tokens", "cost_usd"].map(|name| text(&one, name));
        out += &fields.into_iter().chain(numbers).collect::<Vec<_>>().join(",");
        out.push('\n');
    }
    let (name, bytes) = ("usage.csv".to_owned(), out.into_bytes());
    Ok(Page::File { name, kind: "text/csv; charset=utf-8", bytes })
}

/// A field of comma-separated values, and no formula of a spreadsheet.
fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn days_without_usage_have_a_bar_too() {
        let days = [json!({"id": "2026-11-27", "cost_usd": "1.50", "requests": 3})];
        let bars = bars(&days, 3, UnixMillis(1_795_862_042_000));
        assert_eq!(bars.len(), 3);
        let total: f64 = bars.iter().flat_map(|bar| bar.parts.iter().map(|(_, size)| size)).sum();
        assert!(total == 0.0 || (total - 1.5).abs() < 1e-9, "{bars:?}");
    }

    #[test]
    fn a_field_of_csv_is_one_field_and_no_formula() {
        for (text, field) in [
            ("web", "web"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "'=1+1"),
        ] {
            assert_eq!(quoted(text), field);
        }
    }
}
