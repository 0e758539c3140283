//! Brings what the system has to the disk, a few milliseconds behind the writer.
//!
//! SQLite writes a commit to its log without waiting for the disk; this waits for it, for many
//! commits at once. The log is a file of its own that SQLite puts no locks on, so that it may be
//! opened a second time. Moving pages from the log to the database happens here too, off the
//! writer's path.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::Shared;

/// Longest time that something written is not on the disk, while the disk keeps up.
const BEHIND_MAX: Duration = Duration::from_millis(10);
/// Log size from which on its pages are moved to the database, in bytes.
const LOG_SIZE: u64 = 4 << 20;
/// Fewest turns of at least half of [`BEHIND_MAX`] between two such moves.
const MOVE_EVERY: u32 = 100;

/// The meeting point of writer and disk.
#[derive(Debug, Default)]
pub(super) struct Disk {
    turn: Mutex<Turn>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Turn {
    written: u64,
    synced: u64,
    stop: bool,
}

impl Disk {
    /// Something was written.
    pub(super) fn written(&self) {
        self.change(|turn| turn.written += 1);
    }

    pub(super) fn stop(&self) {
        self.change(|turn| turn.stop = true);
    }

    fn change(&self, change: impl FnOnce(&mut Turn)) {
        change(&mut self.turn.lock().unwrap_or_else(PoisonError::into_inner));
        self.moved.notify_all();
    }

    /// Waits until everything written so far is on the disk, at most so long; whether it is.
    pub(super) fn wait(&self, most: Duration) -> bool {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let upto = turn.written;
        let behind = |turn: &mut Turn| turn.synced < upto && !turn.stop;
        let waited = self.moved.wait_timeout_while(turn, most, behind);
        waited.unwrap_or_else(PoisonError::into_inner).0.synced >= upto
    }

    /// Waits for something to do: how many writes there were, and whether this is the end.
    fn next(&self) -> (u64, bool) {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |turn: &mut Turn| turn.synced == turn.written && !turn.stop;
        let turn = self.moved.wait_while(turn, idle).unwrap_or_else(PoisonError::into_inner);
        (turn.written, turn.stop)
    }
}

/// Runs until the ledger is closed.
pub(super) fn run(shared: &Shared) {
    let mut name = shared.path.as_os_str().to_owned();
    name.push("-wal");
    let log = PathBuf::from(name);
    let mut file: Option<File> = None;
    let mut turns = 0;
    loop {
        let (written, stop) = shared.disk.next();
        let done = sync(&log, &mut file);
        let trouble = done.err().map(|error| {
            file = None;
            format!("{error}; see the system's log about the disk of `{}`", shared.path.display())
        });
        let failed = trouble.is_some();
        shared.note(|all| all.syncing = trouble);
        if !failed {
            shared.disk.change(|turn| turn.synced = written);
        }
        if stop {
            return;
        }
        let size = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |data| data.len());
        turns += 1;
        if size > LOG_SIZE && turns > MOVE_EVERY {
            move_pages(shared);
            turns = 0;
        }
        std::thread::sleep(BEHIND_MAX / 2);
    }
}

fn sync(log: &PathBuf, file: &mut Option<File>) -> std::io::Result<()> {
    if file.is_none() {
        *file = match File::open(log) {
            Ok(file) => Some(file),
            // No log: everything is in the database, which SQLite has synced.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
    }
    file.as_ref().map_or(Ok(()), File::sync_data)
}

/// Best effort: what is not moved here is moved by the writer when the log has grown much larger.
fn move_pages(shared: &Shared) {
    let moved = rusqlite::Connection::open(&shared.path)
        .and_then(|connection| connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE)"));
    if let Err(error) = moved {
        tracing::debug!(%error, "could not move the store's log into its file");
    }
}
