//! What waits for the writer, and who wakes it.
//!
//! The writer is woken by the first job after a rest and then gathers for a few milliseconds, so
//! that under load nobody wakes it at all. In the mode `process` the journal has each hold before
//! its call goes on; in the mode `strict` nothing is gathered, because callers wait for the disk.
//!
//! Entries lie here as bytes, as the journal has them: whoever calls has no work left, and the writer
//! has nothing to give back.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_core::store::{Durability, Entry, HoldNumber, LedgerTrouble, Written};

use super::Job;
use super::journal::{Journal, Unsynced};

/// How long the writer gathers entries that nobody waits for.
const GATHER: Duration = Duration::from_millis(8);

/// Jobs on their way from callers to the writer.
pub(super) struct Inbox {
    state: Mutex<State>,
    come: Condvar,
    durability: Durability,
}

struct State {
    /// With the entries.
    journal: Journal,
    /// What else there is to do, each with the place among the entries' bytes where it comes.
    jobs: Vec<(usize, Job)>,
    writer: Writer,
    /// Somebody waits for one of the jobs.
    urgent: bool,
    closed: bool,
}

/// What the writer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    Working,
    /// It waits for a first job.
    Resting,
    /// It lets more jobs come.
    Gathering,
}

/// What the writer takes.
#[derive(Default)]
pub(super) struct Taken {
    /// Entries, one behind the other.
    pub(super) entries: Vec<u8>,
    /// Jobs and where among the entries they come.
    pub(super) jobs: Vec<(usize, Job)>,
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// Something came, or somebody waits.
    Come,
    /// The time is over.
    Late,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("durability", &self.durability).finish_non_exhaustive()
    }
}

impl Inbox {
    pub(super) fn new(journal: Journal, durability: Durability) -> Inbox {
        let jobs = Vec::new();
        let writer = Writer::Working;
        let state = State { journal, jobs, writer, urgent: false, closed: false };
        Inbox { state: Mutex::new(state), come: Condvar::new(), durability }
    }

    /// Takes a hold. Where the disk is waited for, `written` says who is told that it has it.
    pub(super) fn hold(&self, entry: &Entry, written: &mut dyn FnMut() -> Written) -> HoldNumber {
        let mut state = self.lock();
        let mut noted = HoldNumber::default();
        match self.durability {
            Durability::Strict => {
                let at = state.journal.noted();
                state.jobs.push((at, Job::Tell(written())));
                state.journal.pass(entry);
            }
            Durability::Process => noted = HoldNumber(state.journal.note(entry)),
            Durability::Batched => state.journal.pass(entry),
        }
        self.wake(state);
        noted
    }

    /// The journal has this hold when it returns, and what else was noted.
    ///
    /// # Errors
    ///
    /// The journal cannot be written.
    pub(super) fn hand_over(&self, hold: HoldNumber) -> Result<(), LedgerTrouble> {
        if hold == HoldNumber::default() {
            return Ok(());
        }
        self.lock().journal.hand_over(hold.0).map_err(|error| LedgerTrouble::Failing {
            why: format!("its journal: {error}; free space on the disk of the store"),
        })
    }

    /// Takes an entry that nobody waits for.
    pub(super) fn entry(&self, entry: &Entry) {
        let mut state = self.lock();
        match self.durability {
            Durability::Process => drop(state.journal.note(entry)),
            Durability::Strict | Durability::Batched => state.journal.pass(entry),
        }
        self.wake(state);
    }

    /// Takes a job whose end somebody waits for; it comes after the entries that are there.
    pub(super) fn urgent(&self, job: Job) {
        let mut state = self.lock();
        state.urgent = true;
        let at = state.journal.noted();
        state.jobs.push((at, job));
        self.wake(state);
    }

    /// No more jobs will come.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.come.notify_one();
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let wake = match state.writer {
            Writer::Working => false,
            Writer::Resting => true,
            Writer::Gathering => state.urgent,
        };
        if wake {
            state.writer = Writer::Working;
        }
        drop(state);
        if wake {
            self.come.notify_one();
        }
    }

    /// Waits for a first job, at most so long.
    pub(super) fn first(&self, most: Option<Duration>) -> Woken {
        let idle = |state: &mut State| {
            state.journal.noted() == 0 && state.jobs.is_empty() && !state.closed
        };
        self.wait(Writer::Resting, most, idle)
    }

    /// Lets jobs come for a while, unless somebody waits for one.
    pub(super) fn gather(&self) -> Woken {
        if self.durability == Durability::Strict {
            return Woken::Late;
        }
        self.wait(Writer::Gathering, Some(GATHER), |state| !state.urgent && !state.closed)
    }

    /// Waits until more comes than there is, at most so long.
    pub(super) fn more(&self, most: Duration) -> Woken {
        let (entries, jobs) = {
            let state = self.lock();
            (state.journal.noted(), state.jobs.len())
        };
        self.wait(Writer::Resting, Some(most), |state| {
            (state.journal.noted(), state.jobs.len()) == (entries, jobs) && !state.closed
        })
    }

    /// Whether somebody waits, or no more will come.
    pub(super) fn presses(&self) -> bool {
        let state = self.lock();
        state.urgent || state.closed
    }

    /// What of the journal the disk may not have, everything noted included. `durable` is the number
    /// of the last entry that SQLite has on the disk.
    pub(super) fn unsynced(&self, durable: u64) -> Option<Unsynced> {
        let mut state = self.lock();
        // Best effort: its holds have been written, and the rest is tried again.
        let _ = state.journal.write();
        state.journal.unsynced(durable)
    }

    /// It could not be synced.
    pub(super) fn still_unsynced(&self) {
        self.lock().journal.still_unsynced();
    }

    /// Puts what there is into `to`, which is empty; `durable` as with [`Inbox::unsynced`]. `false`:
    /// there is nothing, and no more will come.
    pub(super) fn take(&self, to: &mut Taken, durable: u64) -> bool {
        let mut state = self.lock();
        state.writer = Writer::Working;
        state.urgent = false;
        state.journal.take(&mut to.entries, durable);
        std::mem::swap(&mut state.jobs, &mut to.jobs);
        !(state.closed && to.entries.is_empty() && to.jobs.is_empty())
    }

    /// The end: SQLite has everything on the disk.
    pub(super) fn done(&self) {
        self.lock().journal.clear();
    }

    fn wait(
        &self,
        writer: Writer,
        most: Option<Duration>,
        idle: impl Fn(&mut State) -> bool,
    ) -> Woken {
        let mut state = self.lock();
        state.writer = writer;
        let woken = match most {
            None => {
                state = self.come.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
                Woken::Come
            }
            Some(most) => {
                let waited = self.come.wait_timeout_while(state, most, idle);
                let (rested, over) = waited.unwrap_or_else(PoisonError::into_inner);
                state = rested;
                if over.timed_out() { Woken::Late } else { Woken::Come }
            }
        };
        state.writer = Writer::Working;
        woken
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
