//! Brings what SQLite has written to the disk, a few milliseconds behind the writer.
//!
//! SQLite writes a commit to its log without waiting for the disk; this waits for it, for many
//! commits at once. The log is a file of its own that SQLite puts no locks on, so that it may be
//! opened a second time. Moving pages from the log to the database happens here too, off the
//! writer's path.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use mainstay_core::store::Durability;
use rusqlite::Connection;

use super::Shared;
use super::since::Since;

/// Longest time that something written is not on the disk, while the disk keeps up.
const BEHIND_MAX: Duration = Duration::from_millis(10);
/// Log size from which on its pages are moved to the database, in bytes.
const LOG_SIZE: u64 = 4 << 20;
/// Least time between two looks at that, unless there is much to move and others leave room for it.
const MOVE_EVERY: Duration = Duration::from_millis(500);
/// Bytes of entries that are much. The more are moved at once, the longer a core is kept from calls that
/// share it: after 256 KiB for 0.6 to 0.9 ms (`perf sched`, 2026-11-29).
const MUCH: u64 = 64 << 10;

/// The meeting point of writer and disk.
#[derive(Debug, Default)]
pub(super) struct Disk {
    turn: Mutex<Turn>,
    moved: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    /// How many batches were written, and are on the disk.
    written: u64,
    synced: u64,
    /// The number of the last entry of the journal that they have.
    folded: u64,
    durable: u64,
    /// Bytes of entries in all batches that were written while the core was given back soon.
    bytes: u64,
    stop: bool,
}

impl Disk {
    /// Nothing is missing up to and with this entry of the journal.
    pub(super) fn new(durable: u64) -> Disk {
        let turn = Turn { folded: durable, durable, ..Turn::default() };
        Disk { turn: Mutex::new(turn), ..Disk::default() }
    }

    /// A batch of so many bytes was written; it or one before it has the journal up to and with this
    /// entry. Where the core is wanted all the time (`crowded`), calls wait anyway, and pages are moved
    /// for less the more of them are moved at once.
    pub(super) fn written(&self, folded: u64, bytes: usize, crowded: bool) {
        self.change(|turn| {
            turn.written += 1;
            turn.folded = folded;
            turn.bytes += if crowded { 0 } else { bytes as u64 };
        });
    }

    /// The number of the last entry of the journal that SQLite has on the disk.
    pub(super) fn durable(&self) -> u64 {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner).durable
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

    /// Waits for something to do, and how it stands then.
    fn next(&self) -> Turn {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |turn: &mut Turn| turn.synced == turn.written && !turn.stop;
        let turn = self.moved.wait_while(turn, idle).unwrap_or_else(PoisonError::into_inner);
        *turn
    }
}

/// Runs until the ledger is closed.
pub(super) fn run(shared: &Shared) {
    let mut name = shared.path.as_os_str().to_owned();
    name.push("-wal");
    let log = PathBuf::from(name);
    let mut file: Option<File> = None;
    let mut mover = None;
    let mut moved = (Since::now(), 0);
    // In the mode `process` batches are written as seldom as there is use for.
    let rest = match shared.settings.durability {
        Durability::Process => Duration::ZERO,
        Durability::Strict | Durability::Batched => BEHIND_MAX / 2,
    };
    loop {
        let Turn { written, folded, bytes, stop, .. } = shared.disk.next();
        let trouble = sync(&log, &mut file).err().map(|error| {
            file = None;
            told(shared, &error)
        });
        let failed = trouble.is_some();
        shared.note(|all| all.syncing = trouble);
        if !failed {
            shared.disk.change(|turn| (turn.synced, turn.durable) = (written, folded));
        }
        if stop {
            return;
        }
        if moved.0.elapsed() > MOVE_EVERY || bytes - moved.1 >= MUCH {
            let size =
                file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |data| data.len());
            if size > LOG_SIZE {
                move_pages(shared, &mut mover);
            }
            moved = (Since::now(), bytes);
        }
        std::thread::sleep(if failed { BEHIND_MAX / 2 } else { rest });
    }
}

/// Why something could not be brought to the disk, and what to do.
pub(super) fn told(shared: &Shared, error: &std::io::Error) -> String {
    format!("{error}; see the system's log about the disk of `{}`", shared.path.display())
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
fn move_pages(shared: &Shared, mover: &mut Option<Connection>) {
    let open = || Connection::open(&shared.path);
    let moved = mover.take().map_or_else(open, Ok).and_then(|connection| {
        connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE)")?;
        Ok(connection)
    });
    match moved {
        // What it has read of the tables it need not read again.
        Ok(connection) => *mover = Some(connection),
        Err(error) => tracing::debug!(%error, "could not move the store's log into its file"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_while_the_core_is_wanted_all_the_time_hurries_nobody() {
        let disk = Disk::new(0);
        disk.written(3, 100, true);
        disk.written(7, 20, false);
        let Turn { written, folded, bytes, .. } = disk.next();
        assert_eq!((written, folded, bytes), (2, 7, 20));
    }
}
