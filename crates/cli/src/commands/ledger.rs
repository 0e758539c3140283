//! `mainstay ledger`: the entries behind the sums.

use clap::Subcommand;
use mainstay_gateway::config::StoreUrl;
use mainstay_gateway::shapes;
use mainstay_store::{
    ExportRow, LedgerFile, Verified, export_postgres_ledger, verify_postgres_ledger,
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
