//! What waits for the writer, and who wakes it.
//!
//! The writer is woken by the first job after a rest and then gathers for a few milliseconds, so
//! that under load nobody wakes it at all. In the mode `process` the journal has each hold before
//! it is told; in the mode `strict` nothing is gathered, because callers wait for the disk.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_core::store::{Durability, Entry, LedgerTrouble, Written};

use super::Job;
use super::journal::Journal;

/// How long the writer gathers entries that nobody waits for.
const GATHER: Duration = Duration::from_millis(8);

/// Jobs on their way from callers to the writer.
pub(super) struct Inbox {
    state: Mutex<State>,
    come: Condvar,
    durability: Durability,
}

struct State {
    jobs: Vec<Job>,
    writer: Writer,
    /// Somebody waits for one of the jobs.
    urgent: bool,
    closed: bool,
    journal: Journal,
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

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("durability", &self.durability).finish_non_exhaustive()
    }
}

impl Inbox {
    pub(super) fn new(journal: Journal, durability: Durability) -> Inbox {
        let jobs = Vec::new();
        let writer = Writer::Working;
        let state = State { jobs, writer, urgent: false, closed: false, journal };
        Inbox { state: Mutex::new(state), come: Condvar::new(), durability }
    }

    /// Takes a hold; it is told when it is as durable as the mode says.
    ///
    /// # Errors
    ///
    /// The journal cannot be written; the hold was not taken.
    pub(super) fn hold(&self, entry: Entry, written: Written) -> Result<(), LedgerTrouble> {
        let mut state = self.lock();
        let later = match self.durability {
            Durability::Strict => Some(written),
            Durability::Process => {
                let number = state.journal.note(&entry);
                state.journal.write().map_err(|error| LedgerTrouble::Failing {
                    why: format!("its journal: {error}; free space on the disk of the store"),
                })?;
                self.push(state, Job::Entry(number, entry, None));
                written(Ok(()));
                return Ok(());
            }
            Durability::Batched => {
                written(Ok(()));
                None
            }
        };
        self.push(state, Job::Entry(0, entry, later));
        Ok(())
    }

    /// Takes an entry that nobody waits for.
    pub(super) fn entry(&self, entry: Entry) {
        let mut state = self.lock();
        let number = match self.durability {
            Durability::Process => state.journal.note(&entry),
            Durability::Strict | Durability::Batched => 0,
        };
        self.push(state, Job::Entry(number, entry, None));
    }

    /// Takes a job whose end somebody waits for.
    pub(super) fn urgent(&self, job: Job) {
        let mut state = self.lock();
        state.urgent = true;
        self.push(state, job);
    }

    /// No more jobs will come.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.come.notify_one();
    }

    fn push(&self, mut state: MutexGuard<'_, State>, job: Job) {
        state.jobs.push(job);
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

    /// Waits for jobs, at most so long, and puts them into `jobs`, which is empty. `folded` is the
    /// number of the last entry that SQLite has. `false`: no more will come.
    pub(super) fn take(&self, jobs: &mut Vec<Job>, folded: u64, most: Option<Duration>) -> bool {
        let mut state = self.lock();
        state.writer = Writer::Resting;
        let idle = |state: &mut State| state.jobs.is_empty() && !state.closed;
        state = match most {
            None => self.come.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner),
            Some(most) => self.rest(state, most, idle),
        };
        if self.durability != Durability::Strict && !state.jobs.is_empty() {
            state.writer = Writer::Gathering;
            state = self.rest(state, GATHER, |state| !state.urgent && !state.closed);
        }
        state.writer = Writer::Working;
        state.urgent = false;
        state.journal.turn(folded);
        std::mem::swap(&mut state.jobs, jobs);
        !(state.closed && jobs.is_empty())
    }

    /// The end: everything is in SQLite.
    pub(super) fn done(&self) {
        self.lock().journal.clear();
    }

    fn rest<'s>(
        &self,
        state: MutexGuard<'s, State>,
        most: Duration,
        idle: impl Fn(&mut State) -> bool,
    ) -> MutexGuard<'s, State> {
        let rested = self.come.wait_timeout_while(state, most, idle);
        rested.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
