//! The ledger in the store's file: what was held, spent and given back, entry by entry.
//!
//! Entries go into a journal, which survives the end of the process, and into an inbox. One thread
//! writes: it takes what has come in, puts it into one row and one transaction, and tells those who
//! wait for it; in between it brings the journal to the disk. A second thread brings what was written
//! to the disk. One
//! process at a time may write holds: which ones are left over from a process that died can only be
//! told when no other lives.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mainstay_core::store::{
    Durability, Entry, HoldNumber, Ledger, LedgerState, LedgerTrouble, Recovery, SpentOf,
    StoreError, Summed, UnixMillis, Written,
};

mod disk;
mod inbox;
mod journal;
mod reader;
pub(crate) mod record;
mod recover;
mod replay;
mod since;
pub(crate) mod tables;
pub(crate) mod verify;
mod way;
mod writer;

pub use reader::{ExportRow, LedgerFile};
pub(crate) use since::Since;
pub use verify::Verified;

/// How a ledger is kept.
#[derive(Clone, Copy, Debug)]
pub struct LedgerSettings {
    /// When an entry counts as written.
    pub durability: Durability,
    /// What is done with reservations left over from a process that died.
    pub recovery: Recovery,
    /// Entries that may wait to be written before holds are refused, 1 to 1,000,000.
    pub queue_max: usize,
    /// How long to wait for another process that has the ledger to end.
    pub lock_wait: Duration,
    /// How far its threads [step back](crate::step_back) behind others, 0 to 19; where callers wait for
    /// the disk they do not.
    pub step_back: u8,
}

impl Default for LedgerSettings {
    fn default() -> Self {
        LedgerSettings {
            durability: Durability::default(),
            recovery: Recovery::default(),
            queue_max: 65_536,
            lock_wait: Duration::from_secs(5),
            step_back: 0,
        }
    }
}

/// What was found and done when the ledger was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Reservations that had no terminal entry.
    pub reservations: usize,
    /// What they held, in all.
    pub held: mainstay_core::money::Usd,
}

/// The ledger in a store's file.
#[derive(Debug)]
pub struct SqliteLedger {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    latest: UnixMillis,
    recovered: Recovered,
    /// Held as long as this process may write holds.
    _lock: File,
}

/// What the threads of a ledger share.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    settings: LedgerSettings,
    /// Entries handed in and not written.
    waiting: AtomicUsize,
    open: AtomicUsize,
    refused: AtomicU64,
    trouble: Mutex<Trouble>,
    /// Whether something is wrong, for those who ask with every call.
    troubled: AtomicBool,
    inbox: inbox::Inbox,
    disk: disk::Disk,
}

/// What is wrong, by who notices.
#[derive(Debug, Default)]
struct Trouble {
    writing: Option<String>,
    syncing: Option<String>,
    journal: Option<String>,
}

impl Trouble {
    fn worst(&self) -> Option<&String> {
        let Trouble { writing, syncing, journal } = self;
        writing.as_ref().or(syncing.as_ref()).or(journal.as_ref())
    }
}

/// Work for the writing thread.
enum Job {
    /// Who waits for the entry that comes next.
    Tell(Written),
    Spent(SpentOf, Summed),
    /// Everything handed in before is to be on the disk; told whether it is.
    Flush(SyncSender<bool>),
    #[cfg(test)]
    Pragma(&'static str),
}

impl SqliteLedger {
    /// Opens the ledger of a store's file, ends what a process that died has left open, and starts
    /// to write.
    ///
    /// # Errors
    ///
    /// Another process has the ledger; the file cannot be read or written, or is damaged.
    pub fn open(path: &Path, settings: LedgerSettings) -> Result<SqliteLedger, StoreError> {
        let lock = lock(path, settings.lock_wait)?;
        let mut connection = crate::sqlite::open_file(path)?;
        let told = |error: rusqlite::Error| crate::sqlite::told(&error, "open the ledger", path);
        let mark = replay::run(&mut connection, path)?;
        let recovered = recover::run(&mut connection, settings.recovery, path)?;
        let last = tables::last(&connection).map_err(told)?;
        let journal = journal::Journal::start(path, mark, last.journal).map_err(unwritable)?;
        let latest = UnixMillis(last.latest);
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            settings,
            waiting: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            trouble: Mutex::new(Trouble::default()),
            troubled: AtomicBool::new(false),
            inbox: inbox::Inbox::new(journal, settings.durability),
            disk: disk::Disk::new(last.journal),
        });
        let (writing, syncing) = (Arc::clone(&shared), Arc::clone(&shared));
        let writer = writer::Writer::new(connection, writing, last).map_err(told)?;
        let by = if settings.durability == Durability::Strict { 0 } else { settings.step_back };
        let threads = vec![
            spawn("mainstay-ledger", by, move || writer.run())?,
            spawn("mainstay-disk", by, move || disk::run(&syncing))?,
        ];
        Ok(SqliteLedger { shared, threads, latest, recovered, _lock: lock })
    }

    /// What was found and done when it was opened.
    pub fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// Waits until everything handed in before is on the disk, at most so long; whether it is.
    pub(crate) fn settled(&self, most: Duration) -> bool {
        let (done, over) = sync_channel(1);
        self.shared.inbox.urgent(Job::Flush(done));
        over.recv_timeout(most).unwrap_or(false)
    }

    fn entry(&self, entry: &Entry) {
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        self.shared.inbox.entry(entry);
    }
}

impl Ledger for SqliteLedger {
    fn hold(
        &self,
        entry: &Entry,
        written: &mut dyn FnMut() -> Written,
    ) -> Result<HoldNumber, LedgerTrouble> {
        let most = self.shared.settings.queue_max;
        if self.shared.waiting.load(Ordering::Relaxed) >= most {
            return Err(LedgerTrouble::Full { most });
        }
        if let Some(why) = self.shared.trouble() {
            return Err(LedgerTrouble::Failing { why });
        }
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        Ok(self.shared.inbox.hold(entry, written))
    }

    fn hand_over(&self, hold: HoldNumber) -> Result<(), LedgerTrouble> {
        self.shared.inbox.hand_over(hold)
    }

    fn further(&self, entry: &Entry) {
        self.entry(entry);
    }

    fn end(&self, entry: &Entry) {
        self.entry(entry);
    }

    fn spent(&self, of: SpentOf, summed: Summed) {
        self.shared.inbox.urgent(Job::Spent(of, summed));
    }

    fn state(&self) -> LedgerState {
        LedgerState {
            trouble: self.shared.trouble(),
            waiting: self.shared.waiting.load(Ordering::Relaxed),
            open: self.shared.open.load(Ordering::Relaxed),
            refused: self.shared.refused.load(Ordering::Relaxed),
        }
    }

    fn latest(&self) -> UnixMillis {
        self.latest
    }

    fn flush(&self) {
        const FLUSH_MAX: Duration = Duration::from_secs(10);
        // What could not be written by then is charged at the next start.
        let _ = self.settled(FLUSH_MAX);
    }
}

impl Drop for SqliteLedger {
    fn drop(&mut self) {
        self.shared.inbox.close();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
            // The writer comes first: the disk is needed as long as it writes.
            self.shared.disk.stop();
        }
    }
}

impl Shared {
    fn trouble(&self) -> Option<String> {
        if !self.troubled.load(Ordering::Acquire) {
            return None;
        }
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).worst().cloned()
    }

    fn note(&self, change: impl FnOnce(&mut Trouble)) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut trouble);
        self.troubled.store(trouble.worst().is_some(), Ordering::Release);
    }
}

fn spawn(
    name: &str,
    step_back: u8,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StoreError> {
    let work = move || {
        crate::step_back(step_back);
        work();
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(|error| {
        StoreError::Surroundings {
            what: "start the ledger's threads".to_owned(),
            why: error.to_string(),
            fix: "raise the limit on threads or processes".to_owned(),
        }
    })
}

fn unwritable(error: std::io::Error) -> StoreError {
    StoreError::Surroundings {
        what: "write the ledger's journal".to_owned(),
        why: error.to_string(),
        fix: "free space on the disk, and give this user the right to write in the store's folder"
            .to_owned(),
    }
}

/// Takes the lock beside the file, so that no second process takes this one's open reservations for
/// those of a dead one, or spends a budget a second time.
fn lock(path: &Path, wait: Duration) -> Result<File, StoreError> {
    const EVERY: Duration = Duration::from_millis(50);
    let mut name = path.as_os_str().to_owned();
    name.push(".ledger-lock");
    let trouble = |why: String, fix: &str| StoreError::Surroundings {
        what: "take the ledger's lock".to_owned(),
        why,
        fix: fix.to_owned(),
    };
    let rights = "give this user the right to write in the store's folder";
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    // Whoever can open it can hold it, and keep the gateway from starting.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&name).map_err(|error| trouble(error.to_string(), rights))?;
    let mut tries = wait.as_millis() / EVERY.as_millis();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(trouble(error.to_string(), rights));
            }
            Err(std::fs::TryLockError::WouldBlock) if tries == 0 => {
                let why =
                    "another gateway runs on this store, and two would each spend a whole budget";
                let fix = "end the other one, or give this one a store of its own (`store.url`)";
                return Err(trouble(why.to_owned(), fix));
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                tries -= 1;
                std::thread::sleep(EVERY);
            }
        }
    }
}

#[cfg(test)]
mod tests;
