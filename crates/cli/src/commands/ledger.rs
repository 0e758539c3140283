//! `mainstay ledger`: the entries behind the sums.

use clap::Subcommand;
use mainstay_gateway::config::{Secret, StoreUrl};
use mainstay_gateway::shapes;
use mainstay_store::{
    ExportRow, GaveUp, LedgerFile, LedgerGateway, Verified, export_postgres_ledger,
    give_up_postgres_gateway, list_postgres_gateways, verify_postgres_ledger,
};
use serde_json::json;

use crate::args::At;
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Add everything up again from the entries, and say what disagrees
    #[command(
        after_help = "Example:\n  mainstay ledger verify\n\nExit code 1 when something disagrees. A gateway may run meanwhile; its open calls are no fault."
    )]
    Verify(At),
    /// Print every entry, one JSON object a line
    #[command(after_help = "Example:\n  mainstay ledger export > ledger.jsonl")]
    Export(At),
    /// List the gateways that share PostgreSQL, and what each has leased
    #[command(
        after_help = "Example:\n  mainstay ledger gateways\n\nA gateway is heard of every two seconds. What one has leased of hard budgets is charged until it says what became of it."
    )]
    Gateways(At),
    /// Give up a lost gateway, so that others may spend what it had leased
    #[command(
        after_help = "Example:\n  mainstay ledger give-up 47a47317e1873f5bc32d814c0bd583d8641590b79eee137e\n\nOnly for a machine that will not come back: what it had spent of its lease is known to its journal alone. Should it come back, that is charged then, be it over the budget. A gateway that was heard of within a minute is refused."
    )]
    GiveUp {
        /// The gateway's name, as `mainstay ledger gateways` lists it
        #[arg(value_name = "GATEWAY")]
        gateway: String,
        #[command(flatten)]
        at: At,
    },
}

pub(super) fn run(command: &LedgerCommand, show: &mut Show) -> Result<Exit, Trouble> {
    match command {
        LedgerCommand::Verify(at) => verify(at, show),
        LedgerCommand::Export(at) => {
            let mut done = Ok(());
            let mut each = |row| {
                if done.is_ok() {
                    done = show.line(&entry(&row).to_string());
                }
            };
            match super::store_url(at)? {
                StoreUrl::Sqlite(path) => LedgerFile::open(&path)?.export(&mut each)?,
                StoreUrl::Postgres(url) => export_postgres_ledger(url.expose(), &mut each)?,
            }
            done.map(|()| Exit::Worked)
        }
        LedgerCommand::Gateways(at) => gateways(at, show),
        LedgerCommand::GiveUp { gateway, at } => give_up(gateway, at, show),
    }
}

/// The URL of a ledger that several gateways share.
fn shared(at: &At) -> Result<Secret, Trouble> {
    match super::store_url(at)? {
        StoreUrl::Postgres(url) => Ok(url),
        StoreUrl::Sqlite(path) => Err(Trouble::usage(
            format!("the ledger is in `{}`, which is one gateway's", path.display()),
            "only gateways that share a PostgreSQL lease what they may spend",
            "name the PostgreSQL in `store.url` or `DATABASE_URL`",
        )),
    }
}

fn gateways(at: &At, show: &mut Show) -> Result<Exit, Trouble> {
    for one in list_postgres_gateways(shared(at)?.expose())? {
        let LedgerGateway { mark, heard_ago, budgets, leased } = one;
        let ago = heard_ago.as_secs();
        let value = json!({
            "gateway": mark, "heard_seconds_ago": ago, "budgets": budgets,
            "leased_usd": leased.to_string(),
        });
        let text =
            format!("{mark}  heard of {ago} s ago  {leased} USD leased of {budgets} budgets");
        show.either(&value, &text)?;
    }
    Ok(Exit::Worked)
}

fn give_up(gateway: &str, at: &At, show: &mut Show) -> Result<Exit, Trouble> {
    match give_up_postgres_gateway(shared(at)?.expose(), gateway)? {
        GaveUp::Done { freed } => {
            let value = json!({"gateway": gateway, "freed_usd": freed.to_string()});
            let text = format!("gave {gateway} up: others may spend the {freed} USD it had leased");
            show.either(&value, &text)?;
            Ok(Exit::Worked)
        }
        GaveUp::Unknown => Err(Trouble::new(
            Exit::Failed,
            format!("there is no gateway `{gateway}`"),
            "none of this name has brought entries here",
            "list those there are: `mainstay ledger gateways`",
        )),
        GaveUp::Alive { heard_ago, within } => Err(Trouble::new(
            Exit::Failed,
            format!("the gateway `{gateway}` is not gone"),
            format!("it was heard of {} s ago", heard_ago.as_secs()),
            format!(
                "stop it, which gives back what it has leased; one that is lost can be given up {} s after it was last heard of",
                within.as_secs()
            ),
        )),
    }
}

fn verify(at: &At, show: &mut Show) -> Result<Exit, Trouble> {
    let found = match super::store_url(at)? {
        StoreUrl::Sqlite(path) => LedgerFile::open(&path)?.verify()?,
        StoreUrl::Postgres(url) => verify_postgres_ledger(url.expose())?,
    };
    let Verified { batches, entries, ended, open, settled, held, findings, findings_total } =
        &found;
    let sound = found.is_sound();
    let value = json!({
        "ok": sound,
        "batches": batches,
        "entries": entries,
        "reservations_ended": ended,
        "reservations_open": open,
        "settled_usd": settled.to_string(),
        "held_usd": held.to_string(),
        "findings_total": findings_total,
        "findings": findings,
    });
    let word = if sound { "the ledger is sound" } else { "the ledger is not sound" };
    let mut text = format!(
        "{word}: {entries} entries in {batches} batches; {ended} reservations ended, {open} are open; {settled} USD settled, {held} held"
    );
    for finding in findings {
        text.push_str("\n  ");
        text.push_str(finding);
    }
    show.either(&value, &text)?;
    Ok(if sound { Exit::Worked } else { Exit::Failed })
}

fn entry(row: &ExportRow) -> serde_json::Value {
    json!({
        "batch": row.batch,
        "kind": row.kind.name(),
        "request": row.reservation.to_string(),
        "at": shapes::time(row.at),
        "org": row.org,
        "project": row.project,
        "key": row.key,
        "model": row.model,
        "amount_usd": row.amount.to_string(),
        "input_tokens": row.usage.input,
        "cached_input_tokens": row.usage.cached,
        "output_tokens": row.usage.output,
        "estimated": row.basis.estimated,
        "recovered": row.basis.recovered,
        "unpriced": row.basis.unpriced,
    })
}
