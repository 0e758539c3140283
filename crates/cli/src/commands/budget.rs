//! `mainstay budget`: what may be spent.

use std::collections::BTreeMap;

use clap::{Args as Group, Subcommand, ValueEnum};
use mainstay_core::money::Usd;
use mainstay_core::money::budget::{Every, Owner};
use mainstay_core::store::{BudgetRecord, NewBudget, Store};
use mainstay_gateway::{budget_period, is_time_zone, shapes, spending};
use serde_json::Value;

use super::owner::{MaybeOf, Of};
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
    /// List the percentages that budgets have passed, each once for a period
    #[command(
        after_help = "Examples:\n  mainstay budget alerts\n  mainstay budget alerts --after 17 --json"
    )]
    Alerts {
        /// Only those after the one with this id
        #[arg(long, value_name = "ID", default_value_t = 0)]
        after: u64,
        /// How many, 1 to 10000
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
        most: u16,
        #[command(flatten)]
        at: At,
    },
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

fn all(at: &At, show: &mut Show) -> Result<(), Trouble> {
    let store = super::store(at)?;
    let mut found = store.budgets_since(0)?;
    found.retain(|record| !record.removed);
    tell(&found, &*store, show)
}

pub(super) fn run(command: &BudgetCommand, show: &mut Show) -> Result<Exit, Trouble> {
    match command {
        BudgetCommand::Set(args) => set(args, show)?,
        BudgetCommand::Raise { of, amount, period, at } => {
            let (by, every) = (usd("--amount", amount)?, period.map(PeriodArg::every));
            let store = super::store(at)?;
            let raised = store.raise_budget(of.owner(), every, by, now())?;
            tell(&[raised], &*store, show)?;
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
            tell(&found, &*store, show)?;
        }
        BudgetCommand::Alerts { after, most, at } => {
            for raised in super::store(at)?.alerts(*after, usize::from(*most))? {
                let value = shapes::alert(&raised);
                show.either(&value, &alert_line(&value))?;
            }
        }
        BudgetCommand::Remove { of, period, at } => {
            let every = period.map(PeriodArg::every);
            let store = super::store(at)?;
            let removed = store.remove_budget(of.owner(), every, now())?;
            let spent = spending::spent(&*store, std::slice::from_ref(&removed), now())?;
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
        of: args.of.owner().clone(),
        amount: usd("--amount", &args.amount)?,
        every: args.period.every(),
        zone: args.zone.clone(),
        hard: !args.soft,
        alerts,
    };
    let store = super::store(&args.at)?;
    let made = store.set_budget(new, now())?;
    tell(&[made], &*store, show)
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

fn tell(records: &[BudgetRecord], store: &dyn Store, show: &mut Show) -> Result<(), Trouble> {
    let spent = spending::spent(store, records, now())?;
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

fn alert_line(value: &Value) -> String {
    let text = |name: &str| value[name].as_str().unwrap_or("").to_owned();
    format!(
        "{:<6} {} {:<22} {:>3} %  spent {:>10} of {:>10} USD since {}",
        value["id"],
        text("at"),
        owner(value),
        value["percent"],
        text("spent_usd"),
        text("limit_usd"),
        text("since")
    )
}

/// The id of whom it belongs to.
fn owner(value: &Value) -> &str {
    let ids = ["key", "project", "org"].iter().filter_map(|name| value[name].as_str());
    ids.map(str::trim).find(|id| !id.is_empty()).unwrap_or_default()
}

fn line(value: &Value) -> String {
    let text = |name: &str| value[name].as_str().unwrap_or("").to_owned();
    let resets = value["resets_at"].as_str().map_or(String::new(), |at| format!("  resets {at}"));
    let hard = if value["hard"] == true { "hard" } else { "soft" };
    format!(
        "{:<22} {:<6} {hard}  spent {:>10} of {:>10} USD{resets}",
        owner(value),
        text("period"),
        text("spent_usd"),
        text("limit_usd")
    )
}
