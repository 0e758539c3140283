//! Looks a store's file over without changing it: whether it is ours, whole, and can be written.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use mainstay_core::store::StoreError;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::open::{told, version};
use super::{Fault, SCHEMA_VERSION};

/// How long another process's write is waited for.
const BUSY_MAX: Duration = Duration::from_secs(2);

/// What was seen of a store's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// The version of its tables; older ones are brought up to date when a gateway starts.
    pub schema: u32,
    /// Whether its version is the newest this program knows.
    pub current: bool,
    /// Bytes of the file.
    pub bytes: u64,
    /// What SQLite's own check says: `Some("ok")`, else the first fault; `None`: not over in time.
    pub check: Option<String>,
}

/// Looks at a store's file; `None` when it is not there, and none is made. SQLite's check of the
/// whole file gets `limit`.
///
/// # Errors
///
/// As [`crate::Sqlite::open`]: the file is not ours, newer, or cannot be read or written.
pub fn inspect(path: &Path, limit: Duration) -> Result<Option<Inspected>, StoreError> {
    let Ok(file) = std::fs::metadata(path) else { return Ok(None) };
    let what = format!("open the store `{}`", path.display());
    let told = |error: rusqlite::Error| told(&error, &what, path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(told)?;
    connection.busy_timeout(BUSY_MAX).map_err(told)?;
    let schema = version(&connection, path).map_err(|fault| match fault {
        Fault::Rule(error) => error,
        Fault::Sqlite(error) => told(error),
    })?;
    // Takes the right to write and changes nothing.
    connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK").map_err(told)?;
    let check = checked(&connection, limit).map_err(told)?;
    let current = schema == SCHEMA_VERSION;
    Ok(Some(Inspected { schema, current, bytes: file.len(), check }))
}

/// SQLite's quick check, stopped when its time is over.
fn checked(connection: &Connection, limit: Duration) -> rusqlite::Result<Option<String>> {
    let handle = connection.get_interrupt_handle();
    let (done, over) = channel::<()>();
    let guard = std::thread::spawn(move || {
        if over.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            handle.interrupt();
        }
    });
    let found = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    drop(done);
    let _ = guard.join();
    match found {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sqlite;

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn a_file_that_is_not_there_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no.db");
        assert_eq!(inspect(&path, LIMIT).unwrap(), None);
        assert!(!path.exists());
    }

    #[test]
    fn a_store_is_seen_whole_and_one_with_overwritten_pages_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        drop(Sqlite::open(&path).unwrap());
        let seen = inspect(&path, LIMIT).unwrap().expect("it is there");
        assert!(seen.current && seen.check.as_deref() == Some("ok") && seen.bytes > 0, "{seen:?}");

        let mut bytes = std::fs::read(&path).unwrap();
        let half = bytes.len() / 2;
        bytes[half..].fill(0xAA);
        std::fs::write(&path, bytes).unwrap();
        let broken = inspect(&path, LIMIT);
        assert!(
            !matches!(&broken, Ok(Some(seen)) if seen.check.as_deref() == Some("ok")),
            "{broken:?}"
        );
    }

    #[test]
    fn a_file_of_somebody_else_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, "no database at all, and long enough to be read as a header of one")
            .unwrap();
        assert!(inspect(&path, LIMIT).is_err());
    }
}
