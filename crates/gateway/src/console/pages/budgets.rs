//! Budgets: what may be spent, what is spent, and where it leads.

use std::time::Duration;

use askama::Template;
use jiff::Timestamp;
use mainstay_core::store::UnixMillis;
use serde_json::{Value, json};

use crate::admin::{Problem, Question};

use super::super::format::{self, When, day, span, when};
use super::super::frame::Frame;
use super::super::read::{items, maybe, text, yes};
use super::super::svg::{Burn, Chart, burn, meter};
use super::super::visit::{Page, Visit};
use super::super::words::Badge;
use super::names::{Choice, Names, name_owner, owners};

struct Budget {
    id: String,
    owner: String,
    what: &'static str,
    period: String,
    state: Badge,
    hard: bool,
    spent: String,
    limit: String,
    left: String,
    credits: Option<String>,
    share: String,
    meter: String,
    resets: Option<When>,
    zone: String,
    alerts: String,
    /// Where it leads, in words.
    forecast: String,
    chart: Option<Chart>,
}

#[derive(Template)]
#[template(path = "budgets.html")]
struct Budgets {
    frame: Frame,
    all: Vec<Budget>,
    owners: Vec<(&'static str, Vec<Choice>)>,
    periods: Vec<Choice>,
    soft: bool,
}

/// All budgets, and the form for a new one.
pub(super) fn page(visit: &Visit<'_>) -> Result<Page, Problem> {
    let names = Names::ask(visit)?;
    let found = visit.list(Question::get(&["budgets"]))?;
    let budgets: Result<Vec<Budget>, Problem> =
        found.iter().map(|one| budget(one, &names, visit)).collect();
    let period = visit.form.get("period").unwrap_or("month");
    let choice = |(value, label): (&str, &str)| Choice {
        value: value.to_owned(),
        label: label.to_owned(),
        chosen: value == period,
    };
    Page::html(&Budgets {
        frame: Frame::new(visit, "Budgets", "budgets"),
        all: budgets?,
        owners: owners(visit, &names),
        periods: [
            ("day", "each day"),
            ("week", "each week"),
            ("month", "each month"),
            ("total", "in total"),
        ]
        .map(choice)
        .to_vec(),
        soft: visit.form.get("soft").is_some(),
    })
}

fn owner(value: &Value) -> (&'static str, String) {
    let of = |name| maybe(value, name);
    match (of("key"), of("project")) {
        (Some(key), _) => ("key", key),
        (None, Some(project)) => ("project", project),
        (None, None) => ("org", text(value, "org")),
    }
}

/// Name, spent part, and hardness of each budget.
pub(super) fn shares(visit: &Visit<'_>) -> Result<Vec<(String, f64, bool)>, Problem> {
    let found = visit.list(Question::get(&["budgets"]))?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let names = Names::ask(visit)?;
    let share = |one: &Value| {
        let (kind, id) = owner(one);
        let word = if kind == "org" { "organization" } else { kind };
        (format!("{word} {}", names.of(&id)), part(one), yes(one, "hard"))
    };
    Ok(found.iter().map(share).collect())
}

fn dollars(value: &Value, name: &str) -> f64 {
    format::parse(&text(value, name)).pico() as f64 / 1e12
}

/// The spent part.
fn part(value: &Value) -> f64 {
    let (spent, limit) = (dollars(value, "spent_usd"), dollars(value, "limit_usd"));
    if limit > 0.0 { spent / limit } else { 1.0 }
}

fn budget(value: &Value, names: &Names, visit: &Visit<'_>) -> Result<Budget, Problem> {
    let (kind, id) = owner(value);
    let share = part(value);
    let hard = yes(value, "hard");
    let state = match (share, hard) {
        (s, true) if s >= 1.0 => Badge { text: "spent: calls are refused".to_owned(), tone: "bad" },
        (s, false) if s >= 1.0 => Badge { text: "spent".to_owned(), tone: "warn" },
        (s, _) if s >= 0.8 => Badge { text: "nearly spent".to_owned(), tone: "warn" },
        _ => Badge { text: "on track".to_owned(), tone: "good" },
    };
    let course = Course::of(value, visit.now);
    let (state, forecast) = match &course {
        Some(course) if state.tone == "good" && course.overruns() => {
            (Badge { text: "on course to overrun".to_owned(), tone: "warn" }, course.words())
        }
        Some(course) => (state, course.words()),
        None => (state, "It has no end, so nothing is foretold.".to_owned()),
    };
    let spent_by_day = visit
        .list(Question::get(&["usage"]).with("by", "day").with("since", "32d").with(kind, &id))?;
    let credits = text(value, "credits_usd");
    let alerts: Vec<String> = items(value, "alerts").iter().map(|one| format!("{one} %")).collect();
    let shown = format!("{:.0} %", share * 100.0);
    Ok(Budget {
        id: text(value, "id"),
        owner: names.of(&id),
        what: match kind {
            "org" => "organization",
            other => other,
        },
        period: match text(value, "period").as_str() {
            "total" => "in total".to_owned(),
            other => format!("each {other}"),
        },
        state,
        hard,
        spent: format::usd(&text(value, "spent_usd")),
        limit: format::usd(&text(value, "limit_usd")),
        left: format::usd(&text(value, "left_usd")),
        credits: (format::parse(&credits).pico() > 0).then(|| format::usd(&credits)),
        meter: meter(share, &format!("{shown} spent")),
        share: shown,
        resets: maybe(value, "resets_at").map(|at| when(&at, visit.now)),
        zone: text(value, "zone"),
        alerts: alerts.join(", "),
        forecast,
        chart: course.map(|course| course.drawn(&spent_by_day)),
    })
}

/// A budget's way through its period.
struct Course {
    start: i64,
    end: i64,
    now: i64,
    spent: f64,
    limit: f64,
}

impl Course {
    /// The part of a period, in seconds, before which nothing is foretold.
    const EARLY: f64 = 0.02;

    fn of(value: &Value, now: UnixMillis) -> Option<Course> {
        let at = |name: &str| text(value, name).parse::<Timestamp>().ok().map(Timestamp::as_second);
        let (start, end) = (at("starts_at")?, at("resets_at")?);
        let now = i64::try_from(now.0 / 1_000).ok()?.clamp(start, end);
        Some(Course {
            start,
            end,
            now,
            spent: dollars(value, "spent_usd"),
            limit: dollars(value, "limit_usd"),
        })
    }

    fn part(&self, at: i64) -> f64 {
        (at - self.start) as f64 / ((self.end - self.start).max(1) as f64)
    }

    /// What will be spent at the end, if it goes on as it did since the beginning.
    fn forecast(&self) -> Option<f64> {
        let part = self.part(self.now);
        (part >= Course::EARLY && self.spent > 0.0).then(|| self.spent / part)
    }

    fn overruns(&self) -> bool {
        self.forecast().is_some_and(|sum| sum > self.limit)
    }

    fn words(&self) -> String {
        let Some(sum) = self.forecast() else {
            return if self.spent > 0.0 {
                "The period has only begun; nothing is foretold yet.".to_owned()
            } else {
                "Nothing is spent in this period.".to_owned()
            };
        };
        let most = if sum >= 1.0 { format!("${sum:.2}") } else { format::short_usd(sum) };
        if self.spent >= self.limit {
            return format!("At this pace {most} would be spent by the end of the period.");
        }
        if sum <= self.limit {
            return format!("At this pace about {most} will be spent by the end of the period.");
        }
        let rate = self.spent / ((self.now - self.start).max(1) as f64);
        let left =
            Duration::try_from_secs_f64((self.limit - self.spent) / rate).unwrap_or_default();
        let left = span(left.as_secs());
        format!("At this pace it is spent in {left}; by the end of the period it would be {most}.")
    }

    fn drawn(&self, days: &[Value]) -> Chart {
        let mut spent = vec![(0.0, 0.0)];
        let mut sum = 0.0;
        for one in days {
            let midnight = format!("{}T00:00:00Z", text(one, "id"));
            let Ok(midnight) = midnight.parse::<Timestamp>().map(Timestamp::as_second) else {
                continue;
            };
            let end = midnight + 86_400;
            if end <= self.start || midnight >= self.now {
                continue;
            }
            let before = self.part(midnight.max(self.start));
            if spent.last().is_some_and(|(at, _)| *at < before) {
                spent.push((before, sum));
            }
            sum += dollars(one, "cost_usd");
            spent.push((self.part(end.min(self.now)), f64::min(sum, self.spent)));
        }
        spent.push((self.part(self.now), self.spent));
        let title = format!("${:.2} of ${:.2} spent. {}", self.spent, self.limit, self.words());
        let stamp = |at: i64| Timestamp::from_second(at).map_or(String::new(), |at| at.to_string());
        let hours = self.end - self.start <= 2 * 86_400;
        let name = |at: i64| if hours { format::clock(&stamp(at)) } else { day(&stamp(at)) };
        let xs = vec![name(self.start), name(self.end)];
        let burn_down = Burn {
            spent,
            now: self.part(self.now),
            limit: self.limit,
            forecast: self.forecast(),
            xs,
        };
        burn(&title, &burn_down)
    }
}

/// Sets a budget.
pub(super) fn set(visit: &Visit<'_>) -> Result<Page, Problem> {
    let form = &visit.form;
    let mut body = json!({
        "amount_usd": form.text("amount_usd"),
        "period": form.text("period"),
        "hard": form.get("soft").is_none(),
    });
    name_owner(&mut body, form);
    if let Some(zone) = form.get("zone") {
        body["zone"] = json!(zone);
    }
    visit.ask(Question::post(&["budgets"], body))?;
    Ok(Page::Moved("/budgets?done=budget-set".to_owned()))
}

/// Adds credit to a budget.
pub(super) fn raise(visit: &Visit<'_>) -> Result<Page, Problem> {
    let body = json!({"amount_usd": visit.form.text("amount_usd")});
    visit.ask(Question::post(&["budgets", visit.segment(0), "raise"], body))?;
    Ok(Page::Moved("/budgets?done=budget-raised".to_owned()))
}

/// Takes a budget away.
pub(super) fn remove(visit: &Visit<'_>) -> Result<Page, Problem> {
    visit.ask(Question::delete(&["budgets", visit.segment(0)], Value::Null))?;
    Ok(Page::Moved("/budgets?done=budget-removed".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(part: i64, spent: f64) -> Course {
        Course { start: 0, end: 1_000_000, now: part * 10_000, spent, limit: 100.0 }
    }

    #[test]
    fn the_forecast_goes_on_as_it_did_and_says_nothing_too_early() {
        assert_eq!(course(1, 5.0).forecast(), None);
        assert_eq!(course(50, 0.0).forecast(), None);
        assert!(!course(50, 49.0).overruns());
        assert!(course(50, 51.0).overruns());
        assert!(
            course(50, 60.0).words().contains("it is spent in 3 d 20 h"),
            "{}",
            course(50, 60.0).words()
        );
        assert!(course(50, 40.0).words().contains("about $80.00"));
    }

    #[test]
    fn the_drawing_never_shows_more_than_is_spent() {
        let days = [
            json!({"id": "1970-01-01", "cost_usd": "30.00"}),
            json!({"id": "1970-01-04", "cost_usd": "99.00"}),
            json!({"id": "1970-01-30", "cost_usd": "7.00"}),
        ];
        let chart = course(50, 40.0).drawn(&days);
        assert!(chart.svg.contains("$40.00 of $100.00 spent"), "{}", chart.svg);
        assert!(!chart.svg.contains("NaN"));
    }
}
