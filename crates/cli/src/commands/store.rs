//! `mainstay store`: the store itself, as whoever runs the database sees it.

use std::path::Path;
use std::time::Duration;

use clap::{Args as Group, Subcommand};
#[cfg(feature = "postgres")]
use mainstay_core::store::Recovery;
use mainstay_gateway::config::StoreUrl;
#[cfg(feature = "postgres")]
use mainstay_store::LedgerSettings;
use mainstay_store::{
    Inspected, PostgresInspected, SCHEMA_VERSION, Sqlite, inspect, inspect_postgres, open_postgres,
};
use serde_json::{Value, json};

use crate::args::At;
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

/// How long looking at a store may take.
const LOOK_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Make a store's tables, or bring older ones up to date
    #[command(
        after_help = "Examples:\n  mainstay store migrate\n  mainstay store migrate --url postgres://owner@db/mainstay\n\nGateways do it by themselves when they start. With PostgreSQL it may be done beforehand by a user who\nmay create tables, so that the gateways' own user needs no such right. Gateways of the version before\ngo on working."
    )]
    Migrate(Which),
    /// Say whether a store is whole
    #[command(
        after_help = "Example:\n  mainstay store verify --json\n\nExit code 1 when something is wrong. `mainstay ledger verify` adds up the money."
    )]
    Verify(Which),
    /// Copy a SQLite store into an empty one in PostgreSQL
    #[command(
        after_help = "Example:\n  mainstay store copy --from sqlite:mainstay.db --to postgres://mainstay@db/mainstay\n\nStop the gateway first: what it writes meanwhile is not copied. All of it is copied, or nothing."
    )]
    Copy(CopyArgs),
}

/// Which store.
#[derive(Debug, Group)]
pub(crate) struct Which {
    /// The store, `sqlite:PATH` or `postgres://…`; absent: the one that the configuration names, which
    /// keeps a password out of the list of processes
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    at: At,
}

#[derive(Debug, Group)]
pub(crate) struct CopyArgs {
    /// The store to copy, `sqlite:PATH`
    #[arg(long, value_name = "URL")]
    from: String,
    /// The store to copy to, `postgres://…`; absent: the one that the configuration names, which keeps
    /// a password out of the list of processes
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    #[command(flatten)]
    at: At,
}

pub(super) fn run(command: &StoreCommand, show: &mut Show) -> Result<Exit, Trouble> {
    match command {
        StoreCommand::Migrate(which) => {
            migrate(&named("--url", which.url.as_deref(), &which.at)?, show)
        }
        StoreCommand::Verify(which) => {
            verify(&named("--url", which.url.as_deref(), &which.at)?, show)
        }
        StoreCommand::Copy(args) => copy(args, show),
    }
}

/// The store that a flag names, else the configuration.
fn named(flag: &str, url: Option<&str>, at: &At) -> Result<StoreUrl, Trouble> {
    match url {
        Some(url) => StoreUrl::parse(url).ok_or_else(|| {
            Trouble::usage(
                format!("`{flag}` names no store"),
                "stores are SQLite files and PostgreSQL databases",
                format!("write `{flag} sqlite:PATH` or `{flag} postgres://USER@HOST/DATABASE`"),
            )
        }),
        None => Ok(super::load(at.config.as_deref())?.store.url),
    }
}

fn migrate(url: &StoreUrl, show: &mut Show) -> Result<Exit, Trouble> {
    let (before, after) = match url {
        StoreUrl::Sqlite(path) => {
            let before = inspect(path, Duration::ZERO)?.map_or(0, |seen| seen.schema);
            drop(Sqlite::open(path)?);
            (before, SCHEMA_VERSION)
        }
        StoreUrl::Postgres(url) => {
            let before = inspect_postgres(url.expose(), LOOK_MAX)?.schema;
            drop(open_postgres(url.expose())?);
            (before, inspect_postgres(url.expose(), LOOK_MAX)?.schema)
        }
    };
    let text = match before {
        0 => format!("made the tables, version {after}"),
        same if same == after => format!("the tables have version {after} already"),
        older => format!("brought the tables from version {older} to {after}"),
    };
    show.either(&json!({"before": before, "after": after}), &text)?;
    Ok(Exit::Worked)
}

fn verify(url: &StoreUrl, show: &mut Show) -> Result<Exit, Trouble> {
    let seen = match url {
        StoreUrl::Sqlite(path) => seen_in_file(path)?,
        StoreUrl::Postgres(url) => seen_in_server(inspect_postgres(url.expose(), LOOK_MAX)?),
    };
    let sound = seen.findings.is_empty();
    let Seen { at, schema, current, bytes, findings } = seen;
    let value = json!({
        "ok": sound, "store": at, "schema": schema, "current": current, "bytes": bytes,
        "findings": findings,
    });
    let word = if sound { "is sound" } else { "is not sound" };
    let older = if current { "" } else { ", brought up to date by `mainstay store migrate`" };
    let mut text = format!("{at} {word}: tables {schema}{older}");
    for finding in &findings {
        text.push_str("\n  ");
        text.push_str(finding);
    }
    show.either(&value, &text)?;
    Ok(if sound { Exit::Worked } else { Exit::Failed })
}

/// What both kinds of stores tell of themselves.
struct Seen {
    at: String,
    schema: u32,
    current: bool,
    bytes: u64,
    findings: Vec<String>,
}

fn seen_in_file(path: &Path) -> Result<Seen, Trouble> {
    let at = path.display().to_string();
    let seen = inspect(path, LOOK_MAX)?.ok_or_else(|| {
        let why = "a file that is not there is made at the first start, not here";
        Trouble::new(Exit::Failed, format!("there is no store `{at}`"), why, "correct the path")
    })?;
    let Inspected { schema, current, bytes, check } = seen;
    let finding = match check {
        Some(check) if check == "ok" => None,
        Some(fault) => Some(fault),
        None => Some(format!("SQLite's own check was not over in {} s", LOOK_MAX.as_secs())),
    };
    Ok(Seen { at, schema, current, bytes, findings: finding.into_iter().collect() })
}

fn seen_in_server(seen: PostgresInspected) -> Seen {
    let PostgresInspected { at, schema, current, bytes, mut findings, writable, .. } = seen;
    if schema == 0 {
        findings.push("there are no tables yet: `mainstay store migrate` makes them".to_owned());
    }
    if !writable {
        findings
            .push("the server takes no changes: it is a standby, or set to read only".to_owned());
    }
    Seen { at, schema, current, bytes, findings }
}

#[cfg(feature = "postgres")]
fn copy(args: &CopyArgs, show: &mut Show) -> Result<Exit, Trouble> {
    let from = named("--from", Some(&args.from), &args.at)?;
    let to = named("--to", args.to.as_deref(), &args.at)?;
    let (StoreUrl::Sqlite(from), StoreUrl::Postgres(to)) = (from, to) else {
        return Err(Trouble::usage(
            "only a SQLite store can be copied, and only to PostgreSQL",
            "that is the way from one machine to many",
            "write `--from sqlite:mainstay.db --to postgres://USER@HOST/DATABASE`",
        ));
    };
    if !from.exists() {
        let what = format!("there is no store `{}`", from.display());
        return Err(Trouble::new(Exit::Failed, what, "nothing can be copied", "correct `--from`"));
    }
    let store = mainstay_store::Postgres::open(to.expose())?;
    let charge = super::load(args.at.config.as_deref())?.budget.charge_leftovers;
    let recovery = if charge { Recovery::Charge } else { Recovery::Release };
    let settings = LedgerSettings { recovery, ..LedgerSettings::default() };
    // First, because it may be done again: a copy that breaks off here has not used the store.
    mainstay_store::LeasedLedger::copy(to.expose(), &from, settings)?;
    let copied = store.copy_from(&from)?;
    let total: u64 = copied.iter().map(|table| table.rows).sum();
    let tables: serde_json::Map<String, Value> =
        copied.iter().map(|one| (one.table.to_owned(), json!(one.rows))).collect();
    let mut text = vec![format!("copied {total} rows of {}", from.display())];
    let filled = copied.iter().filter(|one| one.rows > 0);
    text.extend(filled.map(|one| format!("  {:<16} {}", one.table, one.rows)));
    let text = text.join("\n");
    show.either(&json!({"rows": total, "tables": tables}), &text)?;
    Ok(Exit::Worked)
}

#[cfg(not(feature = "postgres"))]
fn copy(args: &CopyArgs, _show: &mut Show) -> Result<Exit, Trouble> {
    named("--from", Some(&args.from), &args.at)?;
    named("--to", args.to.as_deref(), &args.at)?;
    let why = "this build knows no PostgreSQL";
    let fix = "build with the feature `postgres`";
    Err(Trouble::new(Exit::Surroundings, "the store cannot be copied", why, fix))
}
