//! Opens the file: who may read it, which version its tables have, and what an error means.

use std::path::Path;
use std::time::Duration;

use mainstay_core::store::StoreError;
use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};

use super::{BUSY_MAX, Fault, alerts, limits, members, objects, replays, requests, rows};
use crate::ledger::Since;
use crate::model;

/// Newest version of the tables this program knows.
pub const SCHEMA_VERSION: u32 = 10;

/// Marks a file as ours: `MSTY` in ASCII, in SQLite's own field for it.
const APPLICATION_ID: i32 = 0x4D53_5459;

/// Oldest SQLite used: 3.51.3 fixed a race in WAL that could corrupt a file.
/// Source: SQLite release notes 3.51.3, read 2026-11.
const SQLITE_MIN: i32 = 3_051_003;

/// Each step brings the tables one version on. Steps are never changed, only added.
const MIGRATIONS: [&str; SCHEMA_VERSION as usize] = [
    "
CREATE TABLE epoch (one INTEGER PRIMARY KEY CHECK (one = 1), value INTEGER NOT NULL) STRICT;
INSERT INTO epoch VALUES (1, 1);
CREATE TABLE note (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE organization (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  changed INTEGER NOT NULL
) STRICT;
CREATE TABLE project (
  id TEXT PRIMARY KEY,
  org TEXT NOT NULL REFERENCES organization (id),
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  UNIQUE (org, name)
) STRICT;
CREATE TABLE key (
  public TEXT PRIMARY KEY CHECK (length(public) = 12),
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  name TEXT NOT NULL,
  project TEXT NOT NULL REFERENCES project (id),
  scopes TEXT NOT NULL,
  models TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER,
  rotated_at INTEGER,
  grace_until INTEGER,
  successor TEXT,
  changed INTEGER NOT NULL,
  CHECK ((rotated_at IS NULL) = (successor IS NULL)),
  CHECK ((rotated_at IS NULL) = (grace_until IS NULL))
) STRICT;
CREATE INDEX key_changed ON key (changed);
",
    limits::TABLE,
    crate::ledger::tables::TABLES,
    members::MEMBERS,
    replays::TABLE,
    objects::OBJECTS,
    requests::REQUESTS,
    crate::ledger::tables::JOURNAL,
    limits::LEVELS,
    alerts::TABLE,
];

/// Time between two tries to open a file that others are at.
const AGAIN_EVERY: Duration = Duration::from_millis(20);

pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    if rusqlite::version_number() < SQLITE_MIN {
        return Err(StoreError::Surroundings {
            what: "use this build's SQLite".to_owned(),
            why: format!("it is {}, and 3.51.3 is the oldest that is safe", rusqlite::version()),
            fix: "build with the bundled SQLite".to_owned(),
        });
    }
    let what = format!("open the store `{}`", path.display());
    create(path).map_err(|error| StoreError::Surroundings {
        what: what.clone(),
        why: error.to_string(),
        fix: "make the folder, give yourself the right to write in it, or set `store.url`"
            .to_owned(),
    })?;
    let began = Since::now();
    loop {
        match prepared(path) {
            Ok(connection) => return Ok(connection),
            Err(Fault::Rule(error)) => return Err(error),
            Err(Fault::Sqlite(error)) if is_busy(&error) && began.elapsed() < BUSY_MAX => {
                std::thread::sleep(AGAIN_EVERY);
            }
            Err(Fault::Sqlite(error)) => return Err(told(&error, &what, path)),
        }
    }
}

/// A connection to a file that is there, with our tables in it.
fn prepared(path: &Path) -> Result<Connection, Fault> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_MAX)?;
    let version = version(&connection, path)?;
    prepare(&connection)?;
    migrate(&mut connection, version)?;
    Ok(connection)
}

/// Whether others are at the file: several that make a new one at once meet at the change to WAL, where
/// SQLite does not wait.
fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Makes the file, so that only its owner can read it; SQLite gives its side files the same mode.
fn create(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// The version of the tables; refuses files that are not ours or newer than this program.
pub(super) fn version(connection: &Connection, path: &Path) -> Result<u32, Fault> {
    // All of one moment: another process may be making the file's tables.
    let look = connection.unchecked_transaction()?;
    let number = |name: &str| look.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (found, application) = (number("user_version")?, number("application_id")?);
    let sql = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = look.query_row(sql, [], |row| row.get(0))?;
    drop(look);
    if application != APPLICATION_ID && (application != 0 || found != 0 || tables > 0) {
        let fix = "set `store.url` to a file of its own, such as \"sqlite:mainstay.db\"";
        return Err(Fault::Rule(StoreError::Surroundings {
            what: format!("open the store `{}`", path.display()),
            why: "it is the database of another program".to_owned(),
            fix: fix.to_owned(),
        }));
    }
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    if found > SCHEMA_VERSION {
        return Err(Fault::Rule(StoreError::Newer { found, known: SCHEMA_VERSION }));
    }
    Ok(found)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)
}

/// All missing steps in one transaction: the tables are of the old version or of the new one.
fn migrate(connection: &mut Connection, version: u32) -> rusqlite::Result<()> {
    if version == SCHEMA_VERSION {
        return Ok(());
    }
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have done it while this one waited for the lock.
    let version: u32 = change.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for step in MIGRATIONS.iter().skip(version as usize) {
        change.execute_batch(step)?;
    }
    if version == 0 {
        rows::put_organization(&change, &model::default_organization(), 1)?;
        rows::put_project(&change, &model::default_project(), 1)?;
    }
    change.execute(&format!("PRAGMA application_id = {APPLICATION_ID}"), params![])?;
    change.execute(&format!("PRAGMA user_version = {SCHEMA_VERSION}"), params![])?;
    change.commit()
}

/// What an error of SQLite means to a person.
pub(crate) fn told(error: &rusqlite::Error, what: &str, path: &Path) -> StoreError {
    let file = path.display();
    let fix = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            format!("`{file}` is no SQLite file: move it away, or set `store.url` to another")
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            format!("give this user the right to write `{file}` and its folder")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => format!(
            "another program has held `{file}` for {} s: end it, and try again",
            BUSY_MAX.as_secs()
        ),
        Some(ErrorCode::DiskFull) => "free space on its disk; nothing was half written".to_owned(),
        Some(ErrorCode::DatabaseCorrupt) => {
            format!("restore `{file}` from a backup; `sqlite3 {file} .recover` may save its rows")
        }
        Some(ErrorCode::SystemIoFailure) => {
            format!("see the system's log about the disk of `{file}`")
        }
        Some(_) | None => {
            format!("see that `{file}` is whole: `sqlite3 {file} 'PRAGMA integrity_check'`")
        }
    };
    StoreError::Surroundings { what: what.to_owned(), why: error.to_string(), fix }
}

#[cfg(test)]
mod tests;
