//! Limits of callers: what they allow, what is used of each, and the forms to change them.

use askama::Template;
use serde_json::{Value, json};

use crate::admin::{Problem, Question};

use super::super::format::count;
use super::super::frame::Frame;
use super::super::read::{self, items, maybe, text, yes};
use super::super::svg::meter;
use super::super::visit::{Page, Visit};
use super::super::words::{self, MEASURES};
use super::names::{Choice, Names, name_owner, owners};

struct Limit {
    id: String,
    owner: String,
    what: String,
    /// The owner as forms name him: `project:ID`.
    of: String,
    model: Option<String>,
    tier: Option<String>,
    shadow: bool,
    /// How often it refused, or would have.
    refused: String,
    readings: Vec<Reading>,
    /// What it allows, to be changed: name, label, value.
    parts: Vec<(&'static str, &'static str, String)>,
    burst: String,
}

struct Reading {
    size: String,
    name: &'static str,
    left: String,
    meter: String,
}

#[derive(Template)]
#[template(path = "limits.html")]
struct Limits {
    frame: Frame,
    all: Vec<Limit>,
    owners: Vec<(&'static str, Vec<Choice>)>,
    measures: [(&'static str, &'static str); 4],
    tiers: Vec<Choice>,
    shadow: bool,
}

/// All limits, and the form for a new one.
pub(super) fn page(visit: &Visit<'_>) -> Result<Page, Problem> {
    let names = Names::ask(visit)?;
    let all = visit.list(Question::get(&["limits"]))?;
    let tiers = visit.list(Question::get(&["tiers"]))?;
    Page::html(&Limits {
        frame: Frame::new(visit, "Limits", "limits"),
        all: all.iter().map(|one| limit(one, &names)).collect(),
        owners: owners(visit, &names),
        measures: MEASURES,
        tiers: tiers.iter().map(|one| tier(one, &visit.form.text("tier"))).collect(),
        shadow: visit.form.get("shadow").is_some(),
    })
}

fn tier(value: &Value, chosen: &str) -> Choice {
    let name = text(value, "name");
    let limits = items(value, "limits").iter().map(|limit| {
        let of = maybe(limit, "model").map_or(String::new(), |model| format!(" of {model}"));
        allowed(limit).join(", ") + &of
    });
    let limits: Vec<String> = limits.collect();
    Choice { chosen: name == chosen, label: format!("{name}: {}", limits.join("; ")), value: name }
}

/// `600 requests a minute`, for each part there is.
fn allowed(limit: &Value) -> Vec<String> {
    let part = |(name, words): (&str, &str)| {
        limit[name].as_u64().map(|size| format!("{} {words}", count(size)))
    };
    MEASURES.into_iter().filter_map(part).collect()
}

fn limit(value: &Value, names: &Names) -> Limit {
    let (what, subject) = (text(value, "of"), text(value, "subject"));
    let kind = if what == "organization" { "org" } else { &*what };
    let (shadow, refused) = (yes(value, "shadow"), read::count(value, "in_the_way"));
    let verb = if shadow { "would have refused" } else { "refused" };
    Limit {
        id: text(value, "id"),
        owner: names.of(&subject),
        of: format!("{kind}:{subject}"),
        model: maybe(value, "model"),
        tier: maybe(value, "tier"),
        shadow,
        refused: format!("{verb} {}", words::many(refused, "call", "calls")),
        readings: MEASURES.into_iter().filter_map(|one| reading(value, one)).collect(),
        parts: MEASURES.map(|(name, words)| (name, words, text(value, name))).to_vec(),
        burst: text(value, "burst"),
        what,
    }
}

/// What is used of one part. A limit that was just set has no state yet.
fn reading(value: &Value, (name, words): (&'static str, &'static str)) -> Option<Reading> {
    let size = value[name].as_u64()?;
    let state = items(value, "state").iter().find(|one| text(one, "measure") == name);
    let used = state.map_or(0, |state| read::count(state, "used"));
    let left = format!("{} used", count(used));
    let share = used as f64 / (size.max(1)) as f64;
    let meter = meter(share, &format!("{words}: {left}"));
    Some(Reading { size: count(size), name: words, left, meter })
}

/// Sets a limit. A form with `whole` has all its parts, so that an empty one is taken away.
pub(super) fn set(visit: &Visit<'_>) -> Result<Page, Problem> {
    let form = &visit.form;
    let whole = form.get("whole").is_some();
    let mut body = json!({"shadow": form.get("shadow").is_some()});
    name_owner(&mut body, form);
    if let Some(model) = form.get("model") {
        body["model"] = json!(model);
    }
    for (name, _) in MEASURES {
        match form.get(name) {
            Some(text) => body[name] = json!(number(name, text)?),
            None if whole => body[name] = Value::Null,
            None => {}
        }
    }
    match form.get("burst") {
        Some(text) => body["burst"] = json!(text),
        None if whole => body["burst"] = Value::Null,
        None => {}
    }
    visit.ask(Question::post(&["limits"], body))?;
    Ok(Page::Moved("/limits?done=limit-set".to_owned()))
}

/// A whole number, with or without commas between its thousands.
fn number(name: &str, text: &str) -> Result<u64, Problem> {
    let digits: String = text.chars().filter(|c| !matches!(c, ',' | '_' | ' ')).collect();
    digits.parse().map_err(|_| {
        Problem::value(name, format!("`{name}` is a whole number such as 600, or empty."))
    })
}

/// Takes a limit away.
pub(super) fn remove(visit: &Visit<'_>) -> Result<Page, Problem> {
    visit.ask(Question::delete(&["limits", visit.segment(0)], Value::Null))?;
    Ok(Page::Moved("/limits?done=limit-removed".to_owned()))
}

/// Gives an owner the limits of a tier.
pub(super) fn give(visit: &Visit<'_>) -> Result<Page, Problem> {
    let mut body = json!({});
    name_owner(&mut body, &visit.form);
    visit.ask(Question::post(&["tiers", &visit.form.text("tier"), "give"], body))?;
    Ok(Page::Moved("/limits?done=tier-given".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_have_commas_and_nothing_else() {
        assert_eq!(number("tpm", "200,000").ok(), Some(200_000));
        for bad in ["", "-1", "1.5", "many", "18446744073709551616"] {
            let problem = number("tpm", bad).expect_err(bad);
            assert_eq!(problem.param.as_deref(), Some("tpm"));
        }
    }

    #[test]
    fn a_limit_shows_what_is_used_of_each_part() {
        let value = json!({
            "id": 7, "of": "organization", "subject": "org-a", "model": "gpt-*", "rpm": 600, "tpm": 90_000,
            "shadow": true, "in_the_way": 2,
            "state": [{"measure": "rpm", "limit": 600, "used": 540, "reset_ms": 10}],
        });
        let shown = limit(&value, &Names::default());
        assert_eq!((&*shown.of, &*shown.refused), ("org:org-a", "would have refused 2 calls"));
        let left: Vec<&str> = shown.readings.iter().map(|one| &*one.left).collect();
        assert_eq!(left, ["540 used", "0 used"]);
        assert!(shown.readings[0].meter.contains("warn"), "{}", shown.readings[0].meter);
    }
}
