//! What is on this machine: the configuration, the store's file, and the disk below it.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;

use mainstay_core::store::StoreError;
use mainstay_gateway::config::{Config, ConfigFault, Severity, StoreUrl, check_files, size_text};
use mainstay_store::{Inspected, PostgresInspected, inspect, inspect_postgres};

use super::finding::Finding;

/// Free space below which somebody should look, bytes.
const SPACE_MIN: u64 = 256 << 20;
/// What is written to see whether anything can be.
const TRIAL_BYTES: usize = 64 << 10;

/// A configuration that cannot be used.
pub(super) fn refused(faults: &[ConfigFault]) -> Vec<Finding> {
    faults.iter().map(|fault| config_fault(fault, fault.line.is_none())).collect()
}

/// A configuration that can, with what it warns of.
pub(super) fn config(config: &Config) -> Vec<Finding> {
    let name = config.file.as_ref().map_or_else(
        || "no file; what the environment says and defaults".to_owned(),
        |path| path.display().to_string(),
    );
    let (providers, routes) = (config.providers.len(), config.routes.len());
    let mut found =
        vec![Finding::ok("config", format!("{name}: providers {providers}, routes {routes}"))];
    found.extend(check_files(config).iter().map(|fault| config_fault(fault, true)));
    let told = config.warnings.iter().filter(|fault| fault.severity != Severity::Note);
    found.extend(told.map(|fault| config_fault(fault, false).only_a_warning()));
    found
}

fn config_fault(fault: &ConfigFault, around: bool) -> Finding {
    let place = fault.place();
    let what = format!("{place}: {}", fault.what);
    let finding = Finding::failed("config", what, fault.why.clone(), &[&fault.fix]);
    if around { finding.around() } else { finding }
}

/// The store and its disk. A store that does not come back in `limit` is told so.
pub(super) fn store(config: &Config, limit: Duration) -> Vec<Finding> {
    match &config.store.url {
        StoreUrl::Sqlite(path) => vec![database(path, limit), disk(&folder(path))],
        // What is written on this machine is then written in the working directory.
        StoreUrl::Postgres(url) => {
            vec![server(inspect_postgres(url.expose(), limit)), disk(Path::new("."))]
        }
    }
}

fn server(seen: Result<PostgresInspected, StoreError>) -> Finding {
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => return unopened(&error),
    };
    let PostgresInspected { at, server, schema, current, bytes, tls, writable, findings } = seen;
    if !writable {
        let what = format!("PostgreSQL at {at} takes no changes");
        let cause = "It is a standby, or was set to read only.";
        let fix = [
            "Name the primary in `store.url`, or all servers with `target_session_attrs=read-write`.",
        ];
        return Finding::failed("database", what, cause, &fix).around();
    }
    if let Some(first) = findings.first() {
        let what = format!("PostgreSQL at {at}: {first}");
        let cause = "Another program or a person has changed the tables.";
        let fix =
            ["`mainstay store verify` lists everything; restore what is wrong from a backup."];
        return Finding::failed("database", what, cause, &fix).around();
    }
    let size = size_text(bytes);
    let tables = match (schema, current) {
        (0, _) => "tables are made at the first start".to_owned(),
        (_, true) => format!("tables {schema}"),
        (_, false) => format!("tables {schema}, brought up to date at the next start"),
    };
    let way = if tls { "TLS" } else { "without TLS" };
    Finding::ok("database", format!("PostgreSQL {server} at {at} ({way}): {size}, {tables}"))
}

fn folder(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.map_or_else(|| PathBuf::from("."), Path::to_owned)
}

fn database(path: &Path, limit: Duration) -> Finding {
    let (tell, told) = channel();
    let own = path.to_owned();
    std::thread::spawn(move || {
        // Nobody listens any more when the limit is over.
        let _ = tell.send(inspect(&own, limit));
    });
    // The check itself gets the limit, opening and waiting for other writers a little beside it.
    if let Ok(seen) = told.recv_timeout(limit + Duration::from_secs(3)) {
        return judged(path, seen);
    }
    let what = format!("`{}` did not answer in {} s", path.display(), limit.as_secs());
    let cause = "The disk is very slow or away, or another program holds the file.";
    let fix = ["Check the disk, and which programs have the file open (`fuser FILE`)."];
    Finding::failed("database", what, cause, &fix).around()
}

fn judged(path: &Path, seen: Result<Option<Inspected>, StoreError>) -> Finding {
    let file = path.display();
    match seen {
        Ok(None) => Finding::ok("database", format!("`{file}` is made at the first start")),
        Ok(Some(Inspected { check: Some(check), .. })) if check != "ok" => {
            let what = format!("`{file}` is damaged: {}", check.lines().next().unwrap_or_default());
            let cause = "Bytes were changed or lost: a disk fault, a copy made while it was written, a full disk.";
            let fix = [
                "Stop the gateway and restore the file from a backup.",
                "`sqlite3 FILE .recover` may save its rows.",
            ];
            Finding::failed("database", what, cause, &fix).around()
        }
        Ok(Some(Inspected { schema, current, bytes, check })) => {
            let size = size_text(bytes);
            let version = if current { "" } else { ", brought up to date at the next start" };
            let whole = if check.is_some() { "whole" } else { "too large to be checked in time" };
            Finding::ok("database", format!("`{file}`: {size}, tables {schema}{version}, {whole}"))
        }
        Err(error) => unopened(&error),
    }
}

fn unopened(error: &StoreError) -> Finding {
    let why = match error {
        StoreError::Surroundings { why, .. } => format!("The store says: {why}."),
        StoreError::Newer { .. } => "A newer version has written it.".to_owned(),
        StoreError::Absent { .. }
        | StoreError::Taken { .. }
        | StoreError::Refused { .. }
        | StoreError::Invalid { .. } => String::new(),
    };
    Finding::failed("database", error.to_string(), why, &[&error.fix()]).around()
}

/// Whether the store's folder can be written and has room.
fn disk(folder: &Path) -> Finding {
    let shown = folder.display();
    if let Err(error) = trial(folder) {
        let what = format!("nothing can be written in `{shown}`: {error}");
        let (cause, fix) = unwritable(error.kind());
        return Finding::failed("disk", what, cause, &[fix]).around();
    }
    match rustix::fs::statvfs(folder) {
        Ok(seen) => {
            let free = seen.f_bavail.saturating_mul(seen.f_frsize);
            let what = format!("{} MiB are free in `{shown}`", free >> 20);
            if free >= SPACE_MIN {
                return Finding::ok("disk", what);
            }
            let cause = "A full disk stops the ledger, and with it calls under hard budgets.";
            Finding::warning("disk", what, cause, &["Free space, or move the store: `store.url`."])
                .around()
        }
        Err(error) => Finding::ok("disk", format!("`{shown}` can be written ({error})")),
    }
}

fn unwritable(kind: ErrorKind) -> (&'static str, &'static str) {
    if matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        ("The disk is full.", "Free space, or move the store: `store.url`.")
    } else if kind == ErrorKind::ReadOnlyFilesystem {
        (
            "The file system is mounted read-only: on purpose, or because the disk has faults.",
            "Mount it writable, give the container a volume, or move the store: `store.url`.",
        )
    } else if kind == ErrorKind::NotFound {
        ("The folder does not exist.", "Make it, or correct `store.url`.")
    } else {
        (
            "The system does not allow it.",
            "Give this user the right to write there, or move the store: `store.url`.",
        )
    }
}

/// Writes a little to a file of its own, waits until it is on the disk, and takes it away.
fn trial(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".mainstay-doctor-{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).open(&path)?;
    let written = file.write_all(&vec![0; TRIAL_BYTES]).and_then(|()| file.sync_all());
    drop(file);
    std::fs::remove_file(&path)?;
    written
}
