//! The ledger of several gateways: each keeps a journal of its own and brings it to PostgreSQL.
//!
//! ```text
//!   call ─▶ journal (a ledger in this node's file: a hold survives its process, without a network)
//!              │ every 2 s, every 250 ms while something presses, at once when a call waits for money
//!              ▼
//!   one transaction: entries · sums · what budgets have spent · this node's leases
//! ```
//!
//! Whatever happens to a transaction, the next one goes on from what PostgreSQL has: batches of a
//! journal have numbers, and a reservation ends once, by constraint. While PostgreSQL is away the
//! journal grows, and hard budgets are spent as far as they are leased.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

use mainstay_core::store::{
    Entry, HoldNumber, LeaseHolder, Leases, Ledger, LedgerState, LedgerTrouble, SpentOf,
    StoreError, Summed, UnixMillis, Written,
};

mod accounts;
mod bring;
mod desk;
mod gone;
mod link;
mod numbers;
mod reader;
mod spool;
mod verify;

use desk::Desk;
use link::Link;
pub use reader::LedgerTables;
pub(super) use reader::{spent, usage};

use super::address::Address;
use super::lane::Lane;
use crate::ledger::{LedgerSettings, Recovered, SqliteLedger};

/// The file of the journal in its folder.
const FILE: &str = "ledger.db";
/// How long the end of a gateway waits for PostgreSQL.
const FLUSH_MAX: Duration = Duration::from_secs(10);

/// A node's ledger: its journal, and the way to PostgreSQL.
#[derive(Debug)]
pub struct LeasedLedger {
    local: Arc<SqliteLedger>,
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

impl LeasedLedger {
    /// Opens the journal in `folder`, which is made when it is absent, ends what a process that died
    /// has left open, brings everything to PostgreSQL, gives back what that process had leased, and
    /// starts to work.
    ///
    /// # Errors
    ///
    /// Another process has the journal; it is not the one that PostgreSQL knows; PostgreSQL is not
    /// reached.
    pub fn open(
        url: &str,
        folder: &Path,
        settings: LedgerSettings,
    ) -> Result<LeasedLedger, StoreError> {
        let address = Arc::new(Address::parse(url)?);
        let path = journal(folder)?;
        let local =
            Arc::new(SqliteLedger::open(&path, settings).map_err(|error| taken(error, folder))?);
        let desk = Arc::new(Desk::default());
        let lane = Lane::start("mainstay-money", &address)?;
        let link = Link::begin(lane, &path, Arc::clone(&local), Arc::clone(&desk))?;
        let thread = std::thread::Builder::new()
            .name("mainstay-leases".to_owned())
            .spawn(move || link.run())
            .map_err(|error| StoreError::Surroundings {
                what: "start the ledger's threads".to_owned(),
                why: error.to_string(),
                fix: "raise the limit on threads or processes".to_owned(),
            })?;
        Ok(LeasedLedger { local, desk, thread: Some(thread) })
    }

    /// Brings the whole ledger of a SQLite store to PostgreSQL, where it is from then on one of a
    /// gateway that is no more. What it had left open is ended first, as at a start. May be done
    /// again when it was not done to its end.
    ///
    /// # Errors
    ///
    /// A gateway runs on the file; it cannot be read; PostgreSQL is not reached.
    pub fn copy(url: &str, file: &Path, settings: LedgerSettings) -> Result<(), StoreError> {
        let address = Arc::new(Address::parse(url)?);
        let local = Arc::new(SqliteLedger::open(file, settings)?);
        let lane = Lane::start("mainstay-money", &address)?;
        Link::begin(lane, file, local, Arc::new(Desk::default())).map(drop)
    }

    /// What was found and done when it was opened.
    pub fn recovered(&self) -> Recovered {
        self.local.recovered()
    }
}

impl Ledger for LeasedLedger {
    fn hold(
        &self,
        entry: &Entry,
        written: &mut dyn FnMut() -> Written,
    ) -> Result<HoldNumber, LedgerTrouble> {
        self.local.hold(entry, written)
    }

    fn hand_over(&self, hold: HoldNumber) -> Result<(), LedgerTrouble> {
        self.local.hand_over(hold)
    }

    fn further(&self, entry: &Entry) {
        self.local.further(entry);
    }

    fn end(&self, entry: &Entry) {
        self.local.end(entry);
    }

    fn spent(&self, of: SpentOf, summed: Summed) {
        self.desk.sum(of, summed);
    }

    fn state(&self) -> LedgerState {
        let state = self.local.state();
        LedgerState { refused: state.refused + self.desk.refused(), ..state }
    }

    fn latest(&self) -> UnixMillis {
        self.local.latest()
    }

    /// Brings everything to PostgreSQL too, and gives back what is leased and not held.
    fn flush(&self) {
        self.local.flush();
        let (done, over) = sync_channel(1);
        self.desk.flush(done);
        // What could not be brought over by then is at the next start.
        let _ = over.recv_timeout(FLUSH_MAX);
    }

    fn leases(&self) -> Option<&dyn Leases> {
        Some(self)
    }
}

impl Leases for LeasedLedger {
    fn attach(&self, holder: Arc<dyn LeaseHolder>) {
        self.desk.attach(holder);
    }

    fn hurry(&self) {
        self.desk.hurry();
    }

    fn trouble(&self) -> Option<String> {
        self.desk.trouble()
    }
}

impl Drop for LeasedLedger {
    fn drop(&mut self) {
        self.desk.close();
        if let Some(thread) = self.thread.take() {
            // A panic there has been logged by it.
            let _ = thread.join();
        }
    }
}

/// A lock that another process has is told about as what it is here.
fn taken(error: StoreError, folder: &Path) -> StoreError {
    let StoreError::Surroundings { what, why, fix } = error else { return error };
    if !why.starts_with("another gateway") {
        return StoreError::Surroundings { what, why, fix };
    }
    let why = format!("another gateway has the journal in `{}`", folder.display());
    let fix = "end the other one, or give this one a folder of its own (`store.journal`)";
    StoreError::Surroundings { what, why, fix: fix.to_owned() }
}

/// The file of the journal; its folder is made for this user only.
fn journal(folder: &Path) -> Result<PathBuf, StoreError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| StoreError::Surroundings {
        what: format!("make the folder of the journal, `{}`", folder.display()),
        why: error.to_string(),
        fix: "give this user the right to write there, or name another folder (`store.journal`)"
            .to_owned(),
    })?;
    Ok(folder.join(FILE))
}
