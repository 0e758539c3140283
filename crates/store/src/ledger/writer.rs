//! The thread that writes: batches, rules of entries, sums.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mainstay_core::keys::PublicPart;
use mainstay_core::money::Usd;
use mainstay_core::store::{
    DEFAULT_ORG, DEFAULT_PROJECT, Durability, Entry, EntryKind, KeyRecord, LedgerTrouble,
    ReservationId, SpentOf, Written,
};
use rusqlite::{Connection, Result, TransactionBehavior};

use super::record::Record;
use super::tables::{self, Last, Names};
use super::{Job, Shared};
use crate::failpoint::failpoint;

/// Most entries of a batch, while all can be written.
const BATCH_MAX: usize = 4_096;
/// Time between two tries to write what could not be written.
const AGAIN_EVERY: Duration = Duration::from_millis(100);
/// Pages of SQLite's log from which on the writer moves them itself, should nobody else: 64 MiB.
const LOG_PAGES: u32 = 16_384;

/// The thread that writes.
pub(super) struct Writer {
    connection: Connection,
    shared: Arc<Shared>,
    names: Names,
    keys: HashMap<PublicPart, (u32, u32, u32)>,
    /// Reservations without a terminal entry, by the batch of their hold; 0: not written yet.
    open: HashMap<ReservationId, i64>,
    /// How many of them each batch has.
    open_in: BTreeMap<i64, u32>,
    pending: Vec<Pending>,
    /// The number of the last entry that SQLite has.
    folded: u64,
}

struct Pending {
    number: u64,
    entry: Entry,
    written: Option<Written>,
}

impl Writer {
    /// A writer over tables without open reservations.
    pub(super) fn new(connection: Connection, shared: Arc<Shared>, folded: u64) -> Result<Writer> {
        let full = shared.settings.durability == Durability::Strict;
        connection.pragma_update(None, "synchronous", if full { "FULL" } else { "NORMAL" })?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        let names = Names::load(&connection)?;
        Ok(Writer {
            connection,
            shared,
            names,
            keys: HashMap::new(),
            open: HashMap::new(),
            open_in: BTreeMap::new(),
            pending: Vec::new(),
            folded,
        })
    }

    /// Runs until nobody can hand anything in any more.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut jobs = Vec::new();
        loop {
            let most = (!self.pending.is_empty()).then_some(AGAIN_EVERY);
            if !shared.inbox.take(&mut jobs, self.folded, most) {
                break;
            }
            for job in jobs.drain(..) {
                self.job(job);
                if self.pending.len() % BATCH_MAX == BATCH_MAX - 1 {
                    self.commit();
                }
            }
            self.commit();
        }
        self.commit();
        // Best effort: SQLite does the same when the file is next opened.
        let moved = self.connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE)");
        if moved.is_ok() && self.pending.is_empty() {
            shared.inbox.done();
        }
    }

    fn job(&mut self, job: Job) {
        match job {
            Job::Entry(number, entry, written) => self.accept(number, entry, written),
            Job::Spent(of, summed) => {
                self.commit();
                let sum = if self.pending.is_empty() {
                    self.sum(&of).map_err(|error| self.told(&error))
                } else {
                    Err("entries handed in before could not be written".to_owned())
                };
                summed(sum.map_err(|why| LedgerTrouble::Failing { why }));
            }
            Job::Flush(done) => {
                self.commit();
                let synced = self.shared.disk.wait(Duration::from_secs(5));
                let _ = done.send(synced && self.pending.is_empty());
            }
            #[cfg(test)]
            Job::Pragma(text) => {
                let _ = self.connection.execute_batch(text);
            }
        }
    }

    /// Holds an entry against the rules: one hold begins a reservation, one terminal entry ends it.
    fn accept(&mut self, number: u64, entry: Entry, written: Option<Written>) {
        let id = entry.reservation;
        let sound = match entry.kind {
            EntryKind::Hold => {
                self.open.entry(id).or_insert(0);
                true
            }
            EntryKind::Exposure => self.open.contains_key(&id),
            EntryKind::Settle | EntryKind::Release => match self.open.remove(&id) {
                Some(seq) => {
                    self.closed_in(seq);
                    true
                }
                None => false,
            },
            EntryKind::Adjust => true,
        };
        if sound {
            self.pending.push(Pending { number, entry, written });
        } else {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
            tracing::error!(reservation = %id, kind = entry.kind.name(), "an entry breaks the ledger's rules and was not written");
        }
        self.shared.open.store(self.open.len(), Ordering::Relaxed);
    }

    fn closed_in(&mut self, seq: i64) {
        if let Some(count) = self.open_in.get_mut(&seq) {
            *count -= 1;
            if *count == 0 {
                self.open_in.remove(&seq);
            }
        }
    }

    /// Writes what is pending, all of it or nothing, and tells those who wait.
    fn commit(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        failpoint("ledger-before-commit");
        let written = self.write();
        self.names.over(written.is_ok());
        match written {
            Ok(seq) => {
                failpoint("ledger-after-commit");
                self.shared.disk.written();
                self.shared.note(|trouble| trouble.writing = None);
                self.shared.waiting.fetch_sub(self.pending.len(), Ordering::Relaxed);
                self.committed(seq);
            }
            Err(error) => {
                let why = self.told(&error);
                self.keys.clear();
                self.shared.note(|trouble| trouble.writing = Some(why.clone()));
                // They stay pending: a reservation has its hold before its terminal entry.
                for waiter in self.pending.iter_mut().filter_map(|one| one.written.take()) {
                    waiter(Err(LedgerTrouble::Failing { why: why.clone() }));
                }
            }
        }
    }

    fn committed(&mut self, seq: i64) {
        let last = self.pending.last().map_or(0, |last| last.number);
        self.folded = self.folded.max(last);
        for one in self.pending.drain(..) {
            let new = one.entry.kind == EntryKind::Hold;
            if let Some(at) =
                self.open.get_mut(&one.entry.reservation).filter(|at| new && **at == 0)
            {
                *at = seq;
                *self.open_in.entry(seq).or_default() += 1;
            }
            if let Some(written) = one.written {
                written(Ok(()));
            }
        }
    }

    fn write(&mut self) -> Result<i64> {
        let Writer { connection, names, keys, pending, open, open_in, .. } = self;
        let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let last = tables::last(&change)?;
        let mut blob = Vec::with_capacity(pending.len() * super::record::LENGTH);
        let mut sums = BTreeMap::new();
        let mut latest = last.latest;
        let seq = last.seq + 1;
        let mut still_open = false;
        for Pending { entry, .. } in pending.iter() {
            let record = numbered(&change, names, keys, entry)?;
            record.write(&mut blob);
            tables::add(&mut sums, &record);
            latest = latest.max(entry.at.0);
            still_open |= open.contains_key(&entry.reservation);
        }
        let oldest = open_in.keys().next().copied();
        let batch = Last {
            seq,
            latest,
            open_from: oldest.unwrap_or(if still_open { seq } else { seq + 1 }),
            digest: tables::digest(&last.digest, seq, &blob),
            journal: pending.last().map_or(0, |last| last.number).max(last.journal),
        };
        tables::put_batch(&change, &batch, &blob)?;
        tables::put_sums(&change, &sums)?;
        change.commit()?;
        Ok(seq)
    }

    fn sum(&mut self, of: &SpentOf) -> Result<Usd> {
        let number = |name: &str| self.names.known(name);
        let Some(org) = number(&of.org) else { return Ok(Usd::ZERO) };
        let (project, key) = (of.project.as_deref().map(number), of.key.as_deref().map(number));
        let slots = tables::slot_of(of.from)..of.to.map_or(i64::MAX, tables::slot_of);
        let mut sum = Usd::ZERO;
        tables::each_sum(&self.connection, slots, &mut |place, sums| {
            let fits = place.1 == org
                && project.is_none_or(|project| project == Some(place.2))
                && key.is_none_or(|key| key == Some(place.3));
            if fits {
                sum = sum.plus(sums.cost).unwrap_or(Usd::MAX);
            }
        })?;
        Ok(sum)
    }

    fn told(&self, error: &rusqlite::Error) -> String {
        let told = crate::sqlite::told(error, "write the ledger", &self.shared.path);
        format!("{told}; {}", told.fix())
    }
}

/// An entry with names as numbers.
fn numbered(
    to: &Connection,
    names: &mut Names,
    keys: &mut HashMap<PublicPart, (u32, u32, u32)>,
    entry: &Entry,
) -> Result<Record> {
    let (org, project, key) = match &entry.key {
        Some(key) => {
            if let Some(known) = keys.get(&key.public) {
                *known
            } else {
                let numbers = key_numbers(to, names, key)?;
                keys.insert(key.public, numbers);
                numbers
            }
        }
        None => (names.number(to, DEFAULT_ORG)?, names.number(to, DEFAULT_PROJECT)?, 0),
    };
    let model = names.model(to, &entry.model)?;
    Ok(Record { org, project, key, model, ..Record::unnamed(entry) })
}

fn key_numbers(to: &Connection, names: &mut Names, key: &KeyRecord) -> Result<(u32, u32, u32)> {
    let (org, project) = (names.number(to, &key.org)?, names.number(to, &key.project)?);
    Ok((org, project, names.number(to, &key.id())?))
}
