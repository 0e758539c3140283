//! Budgets: set, raised, listed with what is spent of them, taken away.

use http::Method;
use mainstay_core::money::Usd;
use mainstay_core::money::budget::{Every, Owner};
use mainstay_core::store::{BudgetOf, BudgetRecord, NewBudget, StoreError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::reply::Problem;
use super::owner::{self, KEY, OF, ORG, PROJECT};
use super::{Ask, Field, Route, Shape};
use crate::{budget_period, is_time_zone, shapes, spending};

const fn field(name: &'static str, kind: &'static str, about: &'static str) -> Field {
    Field { name, required: false, kind, about }
}

const AMOUNT: Field = Field {
    name: "amount_usd",
    required: true,
    kind: "string",
    about: "An amount in USD as a decimal string, such as `5.00`.",
};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/mainstay/budgets",
        id: "budget.list",
        about: "List budgets, oldest first, with what is spent of each.",
        query: &OF,
        body: &[],
        answer: Shape::Page("Budget"),
        run: list,
    },
    Route {
        method: Method::POST,
        path: "/mainstay/budgets",
        id: "budget.set",
        about: "Set a budget, over the one of the same owner and period; what is spent stays spent, credits go.",
        query: &[],
        body: &[
            ORG,
            PROJECT,
            KEY,
            AMOUNT,
            field("period", "period", "How often it begins anew; absent: `month`."),
            field(
                "zone",
                "string",
                "The time zone of its days, as the IANA names it; absent: `UTC`.",
            ),
            field("hard", "boolean", "Whether it refuses; false: it only tells. Absent: true."),
            field(
                "alerts",
                "percentages",
                "At most 8 percentages to tell about; absent: 80 and 100.",
            ),
        ],
        answer: Shape::One("Budget"),
        run: set,
    },
    Route {
        method: Method::GET,
        path: "/mainstay/budgets/{id}",
        id: "budget.show",
        about: "Show a budget and what is spent of it.",
        query: &[],
        body: &[],
        answer: Shape::One("Budget"),
        run: |ask| shown(ask, one(ask)?),
    },
    Route {
        method: Method::POST,
        path: "/mainstay/budgets/{id}/raise",
        id: "budget.raise",
        about: "Add credit to a budget, for good.",
        query: &[],
        body: &[AMOUNT],
        answer: Shape::One("Budget"),
        run: raise,
    },
    Route {
        method: Method::GET,
        path: "/mainstay/budget-alerts",
        id: "budget.alerts",
        about: "List the percentages that budgets have passed, oldest first, each told once for a period.",
        query: &[],
        body: &[],
        answer: Shape::Page("BudgetAlert"),
        run: alerts,
    },
    Route {
        method: Method::DELETE,
        path: "/mainstay/budgets/{id}",
        id: "budget.remove",
        about: "Take a budget away.",
        query: &[],
        body: &[],
        answer: Shape::One("Budget"),
        run: |ask| {
            let (of, every) = place(&one(ask)?);
            shown(ask, ask.store.remove_budget(&of, Some(every), ask.now)?)
        },
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BudgetFields {
    org: Option<String>,
    project: Option<String>,
    key: Option<String>,
    amount_usd: String,
    period: Option<String>,
    zone: Option<String>,
    hard: Option<bool>,
    alerts: Option<Vec<u8>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raise {
    amount_usd: String,
}

fn list(ask: &Ask<'_>) -> Result<Value, Problem> {
    let owner = owner::asked(ask)?;
    let mut all = ask.store.budgets_since(0)?;
    all.retain(|one| {
        let is_his = |(org, owner): &(Box<str>, Owner)| one.org == *org && one.owner == *owner;
        !one.removed && owner.as_ref().is_none_or(is_his)
    });
    all.sort_by_key(|one| one.id);
    let spent = spending::spent(ask.store, &all, ask.now)?;
    let item = |one: &BudgetRecord| {
        let spent = spent.get(&one.id).copied().unwrap_or_default();
        (one.id.to_string(), shapes::budget(one, budget_period(one, ask.now), spent))
    };
    ask.page(all.iter().map(item).collect())
}

fn set(ask: &Ask<'_>) -> Result<Value, Problem> {
    let fields: BudgetFields = ask.fields()?;
    let period = fields.period.as_deref().unwrap_or("month");
    let every = Every::from_name(period).ok_or_else(|| {
        Problem::value("period", "`period` is one of `total`, `day`, `week` and `month`.")
    })?;
    let zone = fields.zone.unwrap_or_else(|| "UTC".to_owned());
    if !is_time_zone(&zone) {
        return Err(Problem::value("zone", "`zone` is a time zone such as Europe/Berlin, or UTC."));
    }
    let mut alerts = fields.alerts.unwrap_or_else(|| vec![80, 100]);
    alerts.sort_unstable();
    alerts.dedup();
    let new = NewBudget {
        of: owner::named(fields.org, fields.project, fields.key)?,
        amount: usd(&fields.amount_usd)?,
        every,
        zone,
        hard: fields.hard.unwrap_or(true),
        alerts,
    };
    shown(ask, ask.store.set_budget(new, ask.now)?)
}

fn raise(ask: &Ask<'_>) -> Result<Value, Problem> {
    let Raise { amount_usd } = ask.fields()?;
    let (of, every) = place(&one(ask)?);
    shown(ask, ask.store.raise_budget(&of, Some(every), usd(&amount_usd)?, ask.now)?)
}

fn alerts(ask: &Ask<'_>) -> Result<Value, Problem> {
    let limit = ask.limit()?;
    let after = ask.query.get("after").map(|text| {
        text.parse::<u64>().map_err(|_| Problem::value("after", "`after` is the id of an alert."))
    });
    let mut found = ask.store.alerts(after.transpose()?.unwrap_or(0), limit + 1)?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().map(|raised| raised.id.to_string());
    let data: Vec<Value> = found.iter().map(shapes::alert).collect();
    Ok(json!({"object": "list", "data": data, "has_more": has_more, "last_id": last}))
}

/// The budget that the path names.
fn one(ask: &Ask<'_>) -> Result<BudgetRecord, Problem> {
    let id = ask.segment(0);
    let mut all = ask.store.budgets_since(0)?.into_iter();
    let found = all.find(|one| !one.removed && one.id.to_string() == id);
    let absent = || StoreError::Absent { what: "budget", id: id.chars().take(40).collect() };
    Ok(found.ok_or_else(absent)?)
}

fn place(budget: &BudgetRecord) -> (BudgetOf, Every) {
    let of = match &budget.owner {
        Owner::Organization => BudgetOf::Organization(budget.org.to_string()),
        Owner::Project(id) => BudgetOf::Project(id.to_string()),
        Owner::Key(id) => BudgetOf::Key(id.to_string()),
    };
    (of, budget.every)
}

fn shown(ask: &Ask<'_>, budget: BudgetRecord) -> Result<Value, Problem> {
    let period = budget_period(&budget, ask.now);
    let all = [budget];
    let spent = spending::spent(ask.store, &all, ask.now)?;
    let [budget] = &all;
    let spent = spent.get(&budget.id).copied().unwrap_or_default();
    Ok(shapes::budget(budget, period, spent))
}

fn usd(text: &str) -> Result<Usd, Problem> {
    Usd::parse(text).map_err(|why| {
        Problem::value("amount_usd", format!("`amount_usd` is an amount such as 5.00: {why}."))
    })
}
