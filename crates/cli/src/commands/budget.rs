//! `mainstay budget`: what may be spent.

use std::collections::BTreeMap;

use clap::{Args as Group, Subcommand, ValueEnum};
use mainstay_core::money::Usd;
use mainstay_core::money::budget::{Every, Owner};
use mainstay_core::store::{BudgetOf, BudgetRecord, NewBudget};
use mainstay_gateway::{budget_period, is_time_zone, shapes};
use mainstay_store::LedgerFile;
use serde_json::Value;

use crate::args::At;
use crate::clock::now;
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

#[derive(Debug, Subcommand)]
pub(crate) enum BudgetCommand {
    /// Set a budget, over the one of the same owner and period
    #[command(after_help = SET)]
    Set(Box<BudgetSet>),
    /// Add credit to a budget, for good
    #[command(
        after_help = "Example:\n  mainstay budget raise --org acme --period month --amount 50"
    )]
    Raise {
        #[command(flatten)]
        of: Of,
        /// Credit to add, in USD
        #[arg(long, value_name = "USD")]
        amount: String,
        /// Which budget, where the owner has several
        #[arg(long, value_name = "PERIOD")]
        period: Option<PeriodArg>,
        #[command(flatten)]
        at: At,
    },
    /// Show budgets, all or those of an owner, and what is spent of them
    #[command(
        after_help = "Examples:\n  mainstay budget show\n  mainstay budget show --project web --json"
    )]
    Show {
        #[command(flatten)]
        of: MaybeOf,
        #[command(flatten)]
        at: At,
    },
    /// List all budgets and what is spent of them
    #[command(after_help = "Example:\n  mainstay budget list")]
    List(At),
    /// Take a budget away
    #[command(
        after_help = "Example:\n  mainstay budget remove --key key_4fGh27KqLm3x --period day"
    )]
    Remove {
        #[command(flatten)]
        of: Of,
        /// Which budget, where the owner has several
        #[arg(long, value_name = "PERIOD")]
        period: Option<PeriodArg>,
        #[command(flatten)]
        at: At,
    },
}

const SET: &str = "Examples:
  mainstay budget set --org acme --amount 500.00 --period month --zone Europe/Berlin
  mainstay budget set --key key_4fGh27KqLm3x --amount 5.00 --period total
  mainstay budget set --project web --amount 20 --period day --soft --alerts 50,80

A hard budget refuses calls it has no room for (429 `insufficient_quota`); a soft one only tells. Every
budget that applies to a call holds: of its key, its project and its organization. A running gateway
takes a change within a second.";

/// Whose it is: exactly one.
#[derive(Debug, Group)]
#[group(required = true, multiple = false)]
pub(crate) struct Of {
    /// Id or name of an organization
    #[arg(long, value_name = "ORG")]
    org: Option<String>,
    /// Id or name of a project
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// Id of a key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

/// Whose it is, if only one's is asked for.
#[derive(Debug, Group)]
#[group(multiple = false)]
pub(crate) struct MaybeOf {
    /// Id or name of an organization
    #[arg(long, value_name = "ORG")]
    org: Option<String>,
    /// Id or name of a project
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// Id of a key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

#[derive(Debug, Group)]
pub(crate) struct BudgetSet {
    #[command(flatten)]
    of: Of,
    /// What may be spent in a period, in USD
    #[arg(long, value_name = "USD")]
    amount: String,
    /// How often it begins anew
    #[arg(long, value_name = "PERIOD", default_value = "month")]
    period: PeriodArg,
    /// The time zone of its days, as the IANA names it
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: String,
    /// Only tell, never refuse
    #[arg(long)]
    soft: bool,
    /// Percentages of the budget to tell about
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "80,100")]
    alerts: Vec<u8>,
    #[command(flatten)]
    at: At,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PeriodArg {
    Total,
    Day,
    Week,
    Month,
}

impl PeriodArg {
    fn every(self) -> Every {
        match self {
            PeriodArg::Total => Every::Total,
            PeriodArg::Day => Every::Day,
            PeriodArg::Week => Every::Week,
            PeriodArg::Month => Every::Month,
        }
    }
}

impl MaybeOf {
    fn owner(&self) -> Option<BudgetOf> {
        let org = self.org.clone().map(BudgetOf::Organization);
        let project = || self.project.clone().map(BudgetOf::Project);
        org.or_else(project).or_else(|| self.key.clone().map(BudgetOf::Key))
    }
}

impl Of {
    fn owner(&self) -> BudgetOf {
        let absent = String::new();
        match (&self.org, &self.project, &self.key) {
            (Some(org), _, _) => BudgetOf::Organization(org.clone()),
            (None, Some(project), _) => BudgetOf::Project(project.clone()),
            (None, None, key) => BudgetOf::Key(key.as_ref().unwrap_or(&absent).clone()),
        }
    }
}

fn all(at: &At, show: &mut Show) -> Result<(), Trouble> {
    let mut found = super::store(at)?.budgets_since(0)?;
    found.retain(|record| !record.removed);
    tell(&found, at, show)
}

pub(super) fn run(command: &BudgetCommand, show: &mut Show) -> Result<Exit, Trouble> {
    match command {
        BudgetCommand::Set(args) => set(args, show)?,
        BudgetCommand::Raise { of, amount, period, at } => {
            let (by, every) = (usd("--amount", amount)?, period.map(PeriodArg::every));
            let raised = super::store(at)?.raise_budget(&of.owner(), every, by)?;
            tell(&[raised], at, show)?;
        }
        BudgetCommand::List(at) => all(at, show)?,
        BudgetCommand::Show { of, at } => {
            let Some(owner) = of.owner() else {
                all(at, show)?;
                return Ok(Exit::Worked);
            };
            let store = super::store(at)?;
            let found = owned(store.budgets_since(0)?, &store.budget_owner(&owner)?);
            if found.is_empty() {
                return Err(Trouble::new(
                    Exit::Failed,
                    "there is no budget",
                    "the owner has none of his own",
                    "set one with `mainstay budget set`, or see all with `mainstay budget list`",
                ));
            }
            tell(&found, at, show)?;
        }
        BudgetCommand::Remove { of, period, at } => {
            let every = period.map(PeriodArg::every);
            let removed = super::store(at)?.remove_budget(&of.owner(), every)?;
            let spent = spent(std::slice::from_ref(&removed), at)?;
            let value = object(&removed, &spent);
            show.either(&value, &format!("{} is removed", line(&value)))?;
        }
    }
    Ok(Exit::Worked)
}

fn set(args: &BudgetSet, show: &mut Show) -> Result<(), Trouble> {
    if !is_time_zone(&args.zone) {
        return Err(Trouble::usage(
            format!("there is no time zone `{}`", args.zone.chars().take(64).collect::<String>()),
            "zones have names such as Europe/Berlin",
            "take a name of the IANA's database, or UTC",
        ));
    }
    let mut alerts = args.alerts.clone();
    alerts.sort_unstable();
    alerts.dedup();
    let new = NewBudget {
        of: args.of.owner(),
        amount: usd("--amount", &args.amount)?,
        every: args.period.every(),
        zone: args.zone.clone(),
        hard: !args.soft,
        alerts,
    };
    let made = super::store(&args.at)?.set_budget(new, now())?;
    tell(&[made], &args.at, show)
}

fn owned(mut records: Vec<BudgetRecord>, (org, owner): &(Box<str>, Owner)) -> Vec<BudgetRecord> {
    records.retain(|one| !one.removed && one.org == *org && one.owner == *owner);
    records
}

fn usd(flag: &str, text: &str) -> Result<Usd, Trouble> {
    Usd::parse(text).map_err(|why| {
        let shown: String = text.chars().take(40).collect();
        Trouble::usage(
            format!("`{flag}` is `{shown}`"),
            why.to_string(),
            "write an amount such as 5.00",
        )
    })
}

fn tell(records: &[BudgetRecord], at: &At, show: &mut Show) -> Result<(), Trouble> {
    let spent = spent(records, at)?;
    for record in records {
        let value = object(record, &spent);
        show.either(&value, &line(&value))?;
    }
    Ok(())
}

fn object(record: &BudgetRecord, spent: &BTreeMap<u64, Usd>) -> Value {
    let spent = spent.get(&record.id).copied().unwrap_or(Usd::ZERO);
    shapes::budget(record, budget_period(record, now()), spent)
}

/// What is spent of each in its period, by the ledger.
fn spent(records: &[BudgetRecord], at: &At) -> Result<BTreeMap<u64, Usd>, Trouble> {
    let mut sums: BTreeMap<u64, Usd> = BTreeMap::new();
    let periods: Vec<_> = records.iter().map(|record| budget_period(record, now())).collect();
    let Some(from) = periods.iter().map(|period| period.start).min() else { return Ok(sums) };
    for record in records.iter().filter(|record| record.every == Every::Total) {
        let before = Usd::from_pico(record.baseline.pico().saturating_neg());
        sums.insert(record.id, before);
    }
    LedgerFile::open(&super::store_path(at)?)?.usage(from, None, &mut |row| {
        for (record, period) in records.iter().zip(&periods) {
            let mine = *row.org == *record.org
                && match &record.owner {
                    Owner::Organization => true,
                    Owner::Project(id) => *row.project == **id,
                    Owner::Key(id) => *row.key == **id,
                };
            if mine && period.holds(row.from) {
                let sum = sums.entry(record.id).or_default();
                *sum = sum.plus(row.cost).unwrap_or(Usd::MAX);
            }
        }
    })?;
    Ok(sums)
}

fn line(value: &Value) -> String {
    let text = |name: &str| value[name].as_str().unwrap_or("").to_owned();
    let owner = ["key", "project", "org"].iter().map(|name| text(name)).find(|id| !id.is_empty());
    let resets = value["resets_at"].as_str().map_or(String::new(), |at| format!("  resets {at}"));
    let hard = if value["hard"] == true { "hard" } else { "soft" };
    format!(
        "{:<22} {:<6} {hard}  spent {:>10} of {:>10} USD{resets}",
        owner.unwrap_or_default(),
        text("period"),
        text("spent_usd"),
        text("limit_usd")
    )
}
