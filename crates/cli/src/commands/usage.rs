//! `mainstay usage`: what was used and what it cost, from the ledger.

use std::collections::BTreeMap;

use clap::{Args as Group, ValueEnum};
use mainstay_core::money::Usd;
use mainstay_core::store::{Store, UnixMillis};
use mainstay_gateway::config::duration;
use mainstay_gateway::shapes;
use mainstay_store::{LedgerFile, UsageRow};
use serde_json::{Value, json};

use crate::args::At;
use crate::clock::now;
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

pub(crate) const USAGE: &str = "Examples:
  mainstay usage
  mainstay usage --by model --since 7d
  mainstay usage --by day --csv > usage.csv
  mainstay usage --by key --json

Costs are what was settled; calls under way are not in it. Days are those of UTC.";

#[derive(Debug, Group)]
pub(crate) struct UsageArgs {
    /// What a line is about
    #[arg(long, value_name = "WHAT", default_value = "key")]
    by: By,
    /// Only what began so long ago or later, such as 24h or 30d; absent: everything
    #[arg(long, value_name = "DURATION")]
    since: Option<String>,
    /// Print comma-separated values with a head
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    Key,
    Project,
    Org,
    Model,
    Day,
}

#[derive(Default)]
struct Sum {
    requests: u64,
    input: u64,
    cached: u64,
    output: u64,
    cost: Usd,
}

pub(super) fn run(args: &UsageArgs, show: &mut Show) -> Result<Exit, Trouble> {
    let from = from(args.since.as_deref())?;
    let store = super::store(&args.at)?;
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    LedgerFile::open(&super::store_path(&args.at)?)?.usage(from, None, &mut |row| {
        add(sums.entry(id(args.by, &row)).or_default(), &row);
    })?;
    let names = names(args.by, &*store)?;
    if args.csv {
        show.line("id,name,requests,input_tokens,output_tokens,cost_usd")?;
    }
    for (id, sum) in &sums {
        let name = names.get(id).map_or(id.as_str(), String::as_str);
        let value = object(id, name, sum);
        if args.csv {
            let fields = [quoted(id), quoted(name)].join(",");
            let Sum { requests, input, output, cost, cached: _ } = sum;
            show.line(&format!("{fields},{requests},{input},{output},{cost}"))?;
        } else {
            show.either(&value, &line(name, sum))?;
        }
    }
    Ok(Exit::Worked)
}

fn from(since: Option<&str>) -> Result<UnixMillis, Trouble> {
    let Some(text) = since else { return Ok(UnixMillis(0)) };
    let since = duration(text).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        let what = format!("`--since` is `{shown}`");
        Trouble::usage(what, "it is a duration", "write one such as 24h or 30d")
    })?;
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    Ok(UnixMillis(now().0.saturating_sub(millis)))
}

fn id(by: By, row: &UsageRow) -> String {
    match by {
        By::Key => row.key.clone(),
        By::Project => row.project.clone(),
        By::Org => row.org.clone(),
        By::Model => row.model.clone(),
        By::Day => shapes::time(row.from).chars().take(10).collect(),
    }
}

fn add(sum: &mut Sum, row: &UsageRow) {
    sum.requests = sum.requests.saturating_add(row.requests);
    sum.input = sum.input.saturating_add(row.input);
    sum.cached = sum.cached.saturating_add(row.cached);
    sum.output = sum.output.saturating_add(row.output);
    sum.cost = sum.cost.plus(row.cost).unwrap_or(Usd::MAX);
}

fn names(by: By, store: &dyn Store) -> Result<BTreeMap<String, String>, Trouble> {
    let pair = |id: &str, name: &str| (id.to_owned(), name.to_owned());
    Ok(match by {
        By::Key => store.keys()?.iter().map(|key| (key.id(), key.name.to_string())).collect(),
        By::Project => store.projects()?.iter().map(|one| pair(&one.id, &one.name)).collect(),
        By::Org => store.organizations()?.iter().map(|one| pair(&one.id, &one.name)).collect(),
        By::Model | By::Day => BTreeMap::new(),
    })
}

fn object(id: &str, name: &str, sum: &Sum) -> Value {
    json!({
        "id": id,
        "name": name,
        "requests": sum.requests,
        "input_tokens": sum.input,
        "cached_input_tokens": sum.cached,
        "output_tokens": sum.output,
        "cost_usd": sum.cost.to_string(),
    })
}

fn line(name: &str, sum: &Sum) -> String {
    let Sum { requests, input, output, cost, cached: _ } = sum;
    format!("{name:<28} {requests:>9} requests {input:>12} in {output:>12} out {cost:>16} USD")
}

/// A field of comma-separated values. A leading sign that a spreadsheet would take for a formula is
/// kept from being one.
fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::quoted;

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
