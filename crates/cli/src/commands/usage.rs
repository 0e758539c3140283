//! `mainstay usage`: what was used and what it cost, from the ledger.

use clap::{Args as Group, ValueEnum};
use mainstay_core::store::UnixMillis;
use mainstay_gateway::config::duration;
use mainstay_gateway::shapes;
use mainstay_gateway::spending::{self, UsageBy, UsageLine};

use super::owner::MaybeOf;
use crate::args::At;
use crate::clock::now;
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

pub(crate) const USAGE: &str = "Examples:
  mainstay usage
  mainstay usage --by model --since 7d
  mainstay usage --by day --csv > usage.csv
  mainstay usage --by model --org acme --json

Costs are what was settled; calls under way are not in it. Days are those of UTC.";

#[derive(Debug, Group)]
pub(crate) struct UsageArgs {
    /// What a line is about
    #[arg(long, value_name = "WHAT", default_value = "key")]
    by: By,
    /// Only what began so long ago or later, such as 24h or 30d; absent: everything
    #[arg(long, value_name = "DURATION")]
    since: Option<String>,
    #[command(flatten)]
    of: MaybeOf,
    /// Print comma-separated values with a head
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    at: At,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    Key,
    Project,
    Org,
    Model,
    Day,
}

impl By {
    fn what(self) -> UsageBy {
        match self {
            By::Key => UsageBy::Key,
            By::Project => UsageBy::Project,
            By::Org => UsageBy::Org,
            By::Model => UsageBy::Model,
            By::Day => UsageBy::Day,
        }
    }
}

pub(super) fn run(args: &UsageArgs, show: &mut Show) -> Result<Exit, Trouble> {
    let from = from(args.since.as_deref())?;
    let store = super::store(&args.at)?;
    let owner = args.of.owner().map(|of| store.budget_owner(&of)).transpose()?;
    let lines = spending::usage(&*store, args.by.what(), from, owner.as_ref())?;
    if args.csv {
        show.line("id,name,requests,input_tokens,output_tokens,cost_usd")?;
    }
    for one in &lines {
        if args.csv {
            let fields = [quoted(&one.id), quoted(&one.name)].join(",");
            let UsageLine { requests, input, output, cost, .. } = one;
            show.line(&format!("{fields},{requests},{input},{output},{cost}"))?;
        } else {
            show.either(&shapes::usage(one), &line(one))?;
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

fn line(line: &UsageLine) -> String {
    let UsageLine { name, requests, input, output, cost, .. } = line;
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
