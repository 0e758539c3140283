//! What was used and what is spent of budgets, added up from the ledger: for the command line and the
//! administration API.

use std::collections::BTreeMap;

use mainstay_core::money::Usd;
use mainstay_core::money::budget::{Every, Owner};
use mainstay_core::store::{BudgetRecord, Store, StoreError, UnixMillis, UsageRow};

use crate::money::budget_period;
use crate::shapes;

/// What a line of usage is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageBy {
    /// A key.
    Key,
    /// A project.
    Project,
    /// An organization.
    Org,
    /// A model.
    Model,
    /// A day of UTC.
    Day,
}

impl UsageBy {
    /// Every kind, in the order of the enum.
    pub const ALL: [UsageBy; 5] =
        [UsageBy::Key, UsageBy::Project, UsageBy::Org, UsageBy::Model, UsageBy::Day];

    /// The stable name, as `--by` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            UsageBy::Key => "key",
            UsageBy::Project => "project",
            UsageBy::Org => "org",
            UsageBy::Model => "model",
            UsageBy::Day => "day",
        }
    }

    fn id(self, row: &UsageRow) -> String {
        match self {
            UsageBy::Key => row.key.clone(),
            UsageBy::Project => row.project.clone(),
            UsageBy::Org => row.org.clone(),
            UsageBy::Model => row.model.clone(),
            UsageBy::Day => shapes::time(row.from).chars().take(10).collect(),
        }
    }

    fn names(self, store: &dyn Store) -> Result<BTreeMap<String, String>, StoreError> {
        let pair = |id: &str, name: &str| (id.to_owned(), name.to_owned());
        Ok(match self {
            UsageBy::Key => store.keys()?.iter().map(|key| pair(&key.id(), &key.name)).collect(),
            UsageBy::Project => store.projects()?.iter().map(|p| pair(&p.id, &p.name)).collect(),
            UsageBy::Org => store.organizations()?.iter().map(|o| pair(&o.id, &o.name)).collect(),
            UsageBy::Model | UsageBy::Day => BTreeMap::new(),
        })
    }
}

/// A line of usage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageLine {
    /// What it is about: an id, a model's name or a day.
    pub id: String,
    /// Its name for people; the id, where it has none.
    pub name: String,
    /// Calls that were settled.
    pub requests: u64,
    /// Input tokens, cached ones included.
    pub input: u64,
    /// Input tokens that were cached.
    pub cached: u64,
    /// Output tokens.
    pub output: u64,
    /// What it cost.
    pub cost: Usd,
}

/// What was settled in quarters of an hour that begin at `from` or later, by `by`, ascending by id;
/// only of `owner`, if one is named: an organization's id and who in it.
///
/// # Errors
///
/// The store failed.
pub fn usage(
    store: &dyn Store,
    by: UsageBy,
    from: UnixMillis,
    owner: Option<&(Box<str>, Owner)>,
) -> Result<Vec<UsageLine>, StoreError> {
    let mut lines: BTreeMap<String, UsageLine> = BTreeMap::new();
    store.usage(from, None, &mut |row| {
        if owner.is_none_or(|(org, owner)| is_of(&row, org, owner)) {
            add(lines.entry(by.id(&row)).or_default(), &row);
        }
    })?;
    let mut names = by.names(store)?;
    let named = lines.into_iter().map(|(id, line)| {
        let name = names.remove(&id).unwrap_or_else(|| id.clone());
        UsageLine { id, name, ..line }
    });
    Ok(named.collect())
}

fn add(line: &mut UsageLine, row: &UsageRow) {
    line.requests = line.requests.saturating_add(row.requests);
    line.input = line.input.saturating_add(row.input);
    line.cached = line.cached.saturating_add(row.cached);
    line.output = line.output.saturating_add(row.output);
    line.cost = line.cost.plus(row.cost).unwrap_or(Usd::MAX);
}

/// What is spent of each budget in the period that `now` is in, by the budget's number.
///
/// # Errors
///
/// The store failed.
pub fn spent(
    store: &dyn Store,
    budgets: &[BudgetRecord],
    now: UnixMillis,
) -> Result<BTreeMap<u64, Usd>, StoreError> {
    let mut sums: BTreeMap<u64, Usd> = BTreeMap::new();
    let periods: Vec<_> = budgets.iter().map(|budget| budget_period(budget, now)).collect();
    let Some(from) = periods.iter().map(|period| period.start).min() else { return Ok(sums) };
    for budget in budgets.iter().filter(|budget| budget.every == Every::Total) {
        let before = Usd::from_pico(budget.baseline.pico().saturating_neg());
        sums.insert(budget.id, before);
    }
    store.usage(from, None, &mut |row| {
        for (budget, period) in budgets.iter().zip(&periods) {
            if is_of(&row, &budget.org, &budget.owner) && period.holds(row.from) {
                let sum = sums.entry(budget.id).or_default();
                *sum = sum.plus(row.cost).unwrap_or(Usd::MAX);
            }
        }
    })?;
    Ok(sums)
}

fn is_of(row: &UsageRow, org: &str, owner: &Owner) -> bool {
    row.org == org
        && match owner {
            Owner::Organization => true,
            Owner::Project(id) => *row.project == **id,
            Owner::Key(id) => *row.key == **id,
        }
}
