//! Limits: set, listed with what is used of them, removed; and the tiers of the configuration.

use std::collections::HashMap;
use std::time::Duration;

use http::Method;
use mainstay_core::store::{BudgetOf, Change, LimitPatch, LimitRecord, StoreError, Subject};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::super::reply::Problem;
use super::owner::{self, KEY, OF, ORG, PROJECT};
use super::{Ask, Field, Route, Shape};
use crate::config::{Tier, duration};
use crate::shapes;

const fn field(name: &'static str, kind: &'static str, about: &'static str) -> Field {
    Field { name, required: false, kind, about }
}

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/mainstay/limits",
        id: "limit.list",
        about: "List limits, oldest first, with what is used of each.",
        query: &OF,
        body: &[],
        answer: Shape::Page("Limit"),
        run: list,
    },
    Route {
        method: Method::POST,
        path: "/mainstay/limits",
        id: "limit.set",
        about: "Set a limit, or change parts of one. Absent parts stay; null takes a part away.",
        query: &[],
        body: &[
            ORG,
            PROJECT,
            KEY,
            field(
                "model",
                "string",
                "Models it counts, together; `*` at the end matches any rest; absent: all.",
            ),
            field("rpm", "count", "Requests per minute."),
            field("tpm", "count", "Tokens per minute, prompt and answer."),
            field("rpd", "count", "Requests per day."),
            field("concurrency", "count", "Calls at once."),
            field(
                "burst",
                "maybe",
                "What a rate gives in this time may come at once, such as `10s`; null: a whole window's.",
            ),
            field("shadow", "boolean", "Only count and tell, never refuse."),
        ],
        answer: Shape::One("Limit"),
        run: set,
    },
    Route {
        method: Method::DELETE,
        path: "/mainstay/limits/{id}",
        id: "limit.remove",
        about: "Remove a limit.",
        query: &[],
        body: &[],
        answer: Shape::One("Limit"),
        run: remove,
    },
    Route {
        method: Method::GET,
        path: "/mainstay/tiers",
        id: "tier.list",
        about: "List the tiers of the configuration: named bundles of limits.",
        query: &[],
        body: &[],
        answer: Shape::Page("Tier"),
        run: |ask| {
            ask.page(ask.tiers.all.iter().map(|one| (one.name.clone(), shown(one))).collect())
        },
    },
    Route {
        method: Method::POST,
        path: "/mainstay/tiers/{tier}/give",
        id: "tier.give",
        about: "Give an owner the limits of a tier, in the place of those of his earlier tier.",
        query: &[],
        body: &[ORG, PROJECT, KEY],
        answer: Shape::Page("Limit"),
        run: give,
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitFields {
    org: Option<String>,
    project: Option<String>,
    key: Option<String>,
    model: Option<String>,
    #[serde(default, deserialize_with = "part")]
    rpm: Change<u64>,
    #[serde(default, deserialize_with = "part")]
    tpm: Change<u64>,
    #[serde(default, deserialize_with = "part")]
    rpd: Change<u64>,
    #[serde(default, deserialize_with = "part")]
    concurrency: Change<u64>,
    #[serde(default, deserialize_with = "part")]
    burst: Change<String>,
    shadow: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whose {
    org: Option<String>,
    project: Option<String>,
    key: Option<String>,
}

/// A part that is there: null takes it away.
fn part<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Change<T>, D::Error> {
    Ok(Option::deserialize(from)?.map_or(Change::Clear, Change::To))
}

fn list(ask: &Ask<'_>) -> Result<Value, Problem> {
    let wanted = owner::asked(ask)?.map(owner::subject).transpose()?;
    let mut all = ask.store.limits()?;
    all.retain(|limit| wanted.as_ref().is_none_or(|wanted| limit.subject == *wanted));
    let mut states: HashMap<u64, Value> = ask.limits.states(ask.moment).collect();
    let items = all.iter().map(|limit| {
        let mut shown = shapes::limit(limit);
        // One that was made within the last quarter of a second has no state yet.
        let state =
            states.remove(&limit.id).unwrap_or_else(|| json!({"in_the_way": 0, "state": []}));
        shown["in_the_way"] = state["in_the_way"].clone();
        shown["state"] = state["state"].clone();
        (limit.id.to_string(), shown)
    });
    let items = items.collect();
    ask.page(items)
}

fn set(ask: &Ask<'_>) -> Result<Value, Problem> {
    let fields: LimitFields = ask.fields()?;
    let patch = LimitPatch {
        rpm: fields.rpm,
        tpm: fields.tpm,
        rpd: fields.rpd,
        concurrency: fields.concurrency,
        burst: burst(fields.burst)?,
        shadow: fields.shadow,
    };
    if patch == LimitPatch::default() {
        let message = "A limit has at least one of `rpm`, `tpm`, `rpd` and `concurrency`.";
        return Err(Problem::value("rpm", message));
    }
    let subject = subject(ask, &owner::named(fields.org, fields.project, fields.key)?)?;
    let set = ask.store.set_limit(&subject, fields.model.as_deref(), &patch, ask.now)?;
    Ok(shapes::limit(&set))
}

fn burst(text: Change<String>) -> Result<Change<Duration>, Problem> {
    Ok(match text {
        Change::Keep => Change::Keep,
        Change::Clear => Change::Clear,
        Change::To(text) => Change::To(duration(&text).ok_or_else(|| {
            Problem::value("burst", "`burst` is a duration with a unit, such as 10s or 1m.")
        })?),
    })
}

fn remove(ask: &Ask<'_>) -> Result<Value, Problem> {
    let id = ask.segment(0);
    let mut all = ask.store.limits()?.into_iter();
    let absent = || StoreError::Absent { what: "limit", id: id.chars().take(40).collect() };
    let found = all.find(|limit| limit.id.to_string() == id).ok_or_else(absent)?;
    let LimitRecord { subject, model, .. } = &found;
    Ok(shapes::limit(&ask.store.remove_limit(subject, model.as_deref(), ask.now)?))
}

fn give(ask: &Ask<'_>) -> Result<Value, Problem> {
    let Whose { org, project, key } = ask.fields()?;
    let tier = super::tier(ask, ask.segment(0))?;
    let subject = subject(ask, &owner::named(org, project, key)?)?;
    let given = ask.store.set_tier(&subject, &tier.name, &tier.limits, ask.now)?;
    ask.page(given.iter().map(|limit| (limit.id.to_string(), shapes::limit(limit))).collect())
}

fn subject(ask: &Ask<'_>, of: &BudgetOf) -> Result<Subject, Problem> {
    owner::subject(ask.store.budget_owner(of)?)
}

fn shown(tier: &Tier) -> Value {
    let limits = tier.limits.iter().map(|limit| {
        let mut shown = shapes::limit_spec(&limit.spec);
        shown["model"] = json!(limit.model);
        shown
    });
    json!({"name": tier.name, "limits": limits.collect::<Vec<_>>()})
}
