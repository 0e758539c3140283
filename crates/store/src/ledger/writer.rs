//! The thread that writes: batches, rules of entries, sums.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mainstay_core::money::Usd;
use mainstay_core::store::{Durability, EntryKind, LedgerTrouble, ReservationId, SpentOf, Written};
use rusqlite::{Connection, Result};

use super::inbox::Taken;
use super::journal::{self, Entries, Noted};
use super::record::Record;
use super::since::Since;
use super::tables::{self, Last, Names};
use super::way::Way;
use super::{Job, Shared, disk, replay};
use crate::failpoint::failpoint;

/// Most entries of a batch, while all can be written.
const BATCH_MAX: usize = 4_096;
/// Memory for entries that is kept for the next ones, in bytes.
const PENDING_KEPT: usize = 1 << 20;
/// Longest wait for the disk to have what was written.
const SYNCED_MAX: Duration = Duration::from_secs(5);
/// Time between two tries to write what could not be written.
const AGAIN_EVERY: Duration = Duration::from_millis(100);
/// In the mode `process`: time between two batches, while nobody waits for one and not much is there. The
/// journal has what is not in a batch yet.
const BATCH_EVERY: Duration = Duration::from_millis(100);
/// Entries worth a batch before that, where the core is not wanted all the time: the shorter a turn, the
/// fewer calls wait for it, and they have been caught up with when the next one comes.
const BATCH_GOOD: usize = 1_024;
/// How many more batches have to be crowded than not that tell a core that is wanted all the time from
/// one that somebody else had for a moment.
const CROWDED_FROM: u32 = 8;
/// Most that are counted: as many others end it.
const CROWDED_MOST: u32 = 2 * CROWDED_FROM;
/// Pages of SQLite's log from which on the writer moves them itself, should nobody else: 64 MiB.
const LOG_PAGES: u32 = 16_384;

/// The thread that writes.
pub(super) struct Writer {
    connection: Connection,
    shared: Arc<Shared>,
    names: Names,
    known: Known,
    /// Reservations without a terminal entry, by the batch of their hold.
    open: HashMap<ReservationId, i64, ByNumber>,
    /// How many of them each batch has, and how many the next one will have.
    open_in: BTreeMap<i64, u32>,
    open_next: u32,
    /// Entries that keep the rules and are not written, as they were noted.
    pending: Vec<u8>,
    /// The names of the last of them.
    pending_names: Vec<u8>,
    count: usize,
    /// Memory for the records of a batch.
    blob: Vec<u8>,
    /// Who waits for them.
    waiters: Vec<Written>,
    last: Last,
    /// The journal could not be brought to the disk.
    failing: bool,
    /// When a batch was written last.
    written: Since,
    /// Batches during which others kept the core for long, less those during which they did not.
    crowded: u32,
}

impl Writer {
    /// A writer over tables without open reservations, whose last batch is this one.
    pub(super) fn new(connection: Connection, shared: Arc<Shared>, last: Last) -> Result<Writer> {
        let full = shared.settings.durability == Durability::Strict;
        connection.pragma_update(None, "synchronous", if full { "FULL" } else { "NORMAL" })?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        let names = Names::load(&connection)?;
        Ok(Writer {
            connection,
            shared,
            names,
            known: Known::default(),
            open: HashMap::default(),
            open_in: BTreeMap::new(),
            open_next: 0,
            pending: Vec::new(),
            pending_names: Vec::new(),
            count: 0,
            blob: Vec::new(),
            waiters: Vec::new(),
            last,
            failing: false,
            written: Since::now(),
            crowded: 0,
        })
    }

    /// Runs until nobody can hand anything in any more.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut taken = Taken::default();
        loop {
            let waits = self.count > 0 || self.failing;
            shared.inbox.first(waits.then_some(AGAIN_EVERY));
            if self.failing {
                self.sync();
            }
            self.gather();
            if !shared.inbox.take(&mut taken, shared.disk.durable()) {
                break;
            }
            self.taken(&mut taken);
            self.commit();
            self.written = Since::now();
        }
        self.commit();
        // Best effort: SQLite does the same when the file is next opened.
        let moved = self.connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE)");
        if moved.is_ok() && self.count == 0 && shared.disk.wait(SYNCED_MAX) {
            shared.inbox.done();
        }
    }

    /// Lets entries come. What the journal has meanwhile is brought to the disk.
    fn gather(&mut self) {
        let shared = Arc::clone(&self.shared);
        let Shared { inbox, settings, waiting, .. } = &*shared;
        loop {
            inbox.gather();
            let crowded = self.crowded >= CROWDED_FROM;
            let enough = if crowded { settings.queue_max / 2 } else { BATCH_GOOD };
            let many = waiting.load(Ordering::Relaxed) >= enough.min(settings.queue_max / 2);
            if settings.durability != Durability::Process || many || inbox.presses() {
                return;
            }
            let rest = BATCH_EVERY.saturating_sub(self.written.elapsed());
            if rest.is_zero() {
                return;
            }
            if !self.sync() {
                inbox.more(rest);
            }
        }
    }

    /// Brings to the disk what of the journal it has neither there nor in SQLite; whether there was
    /// something.
    fn sync(&mut self) -> bool {
        let Shared { inbox, disk, .. } = &*self.shared;
        let found = inbox.unsynced(disk.durable());
        let error = found.as_ref().and_then(|unsynced| unsynced.sync().err());
        if error.is_some() {
            inbox.still_unsynced();
        }
        if error.is_some() || self.failing {
            self.failing = error.is_some();
            let trouble = error.map(|error| disk::told(&self.shared, &error));
            self.shared.note(|all| all.journal = trouble);
        }
        found.is_some()
    }

    /// Takes in entries and jobs, each in its place.
    fn taken(&mut self, taken: &mut Taken) {
        let mut jobs = taken.jobs.drain(..).peekable();
        let mut entries = Entries::of(&taken.entries);
        let mut way = Way::default();
        loop {
            let at = taken.entries.len() - entries.rest();
            let mut waiter = None;
            while let Some((_, job)) = jobs.next_if(|(place, _)| *place <= at) {
                if let Job::Tell(written) = job {
                    waiter = Some(written);
                } else {
                    self.job(job);
                }
            }
            let Some(entry) = entries.next() else { break };
            self.accept(&entry, waiter);
            way.give_after(self.count);
            if self.count % BATCH_MAX == BATCH_MAX - 1 {
                self.commit();
            }
        }
        drop(jobs);
        taken.entries.clear();
    }

    fn job(&mut self, job: Job) {
        match job {
            Job::Tell(_) => {}
            Job::Spent(of, summed) => {
                self.commit();
                let sum = if self.count == 0 {
                    self.sum(&of).map_err(|error| self.told(&error))
                } else {
                    Err("entries handed in before could not be written".to_owned())
                };
                summed(sum.map_err(|why| LedgerTrouble::Failing { why }));
            }
            Job::Flush(done) => {
                self.commit();
                let synced = self.shared.disk.wait(SYNCED_MAX);
                let _ = done.send(synced && self.count == 0);
            }
            #[cfg(test)]
            Job::Pragma(text) => {
                let _ = self.connection.execute_batch(text);
            }
        }
    }

    /// Holds an entry against the rules: one hold begins a reservation, one terminal entry ends it.
    fn accept(&mut self, entry: &Noted<'_>, waiter: Option<Written>) {
        let Record { reservation: id, kind, .. } = entry.record;
        let sound = match kind {
            EntryKind::Hold => {
                let next = self.last.seq + 1;
                self.open.entry(id).or_insert_with(|| {
                    self.open_next += 1;
                    next
                });
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
            entry.copy(&mut self.pending, &mut self.pending_names);
            self.count += 1;
            self.waiters.extend(waiter);
        } else {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
            tracing::error!(reservation = %id, kind = kind.name(), "an entry breaks the ledger's rules and was not written");
        }
    }

    fn closed_in(&mut self, seq: i64) {
        if seq > self.last.seq {
            self.open_next -= 1;
        } else if let Some(count) = self.open_in.get_mut(&seq) {
            *count -= 1;
            if *count == 0 {
                self.open_in.remove(&seq);
            }
        }
    }

    /// Writes what is pending, all of it or nothing, and tells those who wait.
    fn commit(&mut self) {
        self.shared.open.store(self.open.len(), Ordering::Relaxed);
        if self.count == 0 {
            return;
        }
        failpoint("ledger-before-commit");
        let written = self.write();
        self.names.over(written.is_ok());
        match written {
            Ok(batch) => {
                failpoint("ledger-after-commit");
                self.committed(batch);
            }
            Err(error) => {
                let why = self.told(&error);
                self.known.clear();
                self.shared.note(|trouble| trouble.writing = Some(why.clone()));
                // They stay pending: a reservation has its hold before its terminal entry.
                for waiter in self.waiters.drain(..) {
                    waiter(Err(LedgerTrouble::Failing { why: why.clone() }));
                }
            }
        }
    }

    fn committed(&mut self, batch: Last) {
        if self.open_next > 0 {
            self.open_in.insert(batch.seq, std::mem::take(&mut self.open_next));
        }
        self.last = batch;
        let crowded = self.crowded >= CROWDED_FROM;
        self.shared.disk.written(batch.journal, self.blob.len(), crowded);
        self.shared.note(|trouble| trouble.writing = None);
        self.shared.waiting.fetch_sub(std::mem::take(&mut self.count), Ordering::Relaxed);
        self.pending.clear();
        self.pending_names.clear();
        self.pending.shrink_to(PENDING_KEPT);
        self.blob.clear();
        self.blob.shrink_to(PENDING_KEPT);
        for waiter in self.waiters.drain(..) {
            waiter(Ok(()));
        }
    }

    fn write(&mut self) -> Result<Last> {
        let Writer { connection, names, known, pending, last, open_in, open_next, blob, .. } = self;
        let crowded = &mut self.crowded;
        let seq = last.seq + 1;
        let oldest = open_in.keys().next().copied();
        let open_from = oldest.unwrap_or(if *open_next > 0 { seq } else { seq + 1 });
        crate::sqlite::in_transaction(connection, |change| {
            blob.clear();
            let (mut sums, mut done, mut way) = (BTreeMap::new(), 0, Way::default());
            let mut batch = Last { seq, open_from, ..*last };
            for entry in Entries::of(pending) {
                let record = known.numbered(change, names, &entry)?;
                record.write(blob);
                tables::add(&mut sums, &record);
                batch.latest = batch.latest.max(record.at.0);
                batch.journal = batch.journal.max(entry.number);
                done += 1;
                way.give_after(done);
            }
            batch.digest = tables::digest_in_pieces(&last.digest, seq, blob, || way.give());
            tables::put_batch(change, &batch, blob)?;
            tables::put_sums(change, &sums)?;
            if done > Way::ENTRIES {
                way.give();
            }
            *crowded = if way.is_crowded() {
                (*crowded + 1).min(CROWDED_MOST)
            } else {
                crowded.saturating_sub(1)
            };
            Ok(batch)
        })
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

/// Numbers of names that have come before.
#[derive(Debug, Default)]
struct Known {
    /// Organization, project, key, model.
    numbers: HashMap<Box<[u8]>, [u32; 4]>,
    /// The last that was asked for: entries of one key and model often come together.
    last: (Vec<u8>, [u32; 4]),
}

impl Known {
    /// Names kept, each with those that stand beside it.
    const MOST: usize = 4_096;

    fn clear(&mut self) {
        *self = Known::default();
    }

    /// An entry with names as numbers.
    fn numbered(
        &mut self,
        to: &Connection,
        names: &mut Names,
        entry: &Noted<'_>,
    ) -> Result<Record> {
        if self.last.0.is_empty() || self.last.0 != entry.names {
            let known = self.numbers.get(entry.names).copied();
            let numbers = match known {
                Some(numbers) => numbers,
                None => self.learn(to, names, entry.names)?,
            };
            self.last.0.clear();
            self.last.0.extend_from_slice(entry.names);
            self.last.1 = numbers;
        }
        let [org, project, key, model] = self.last.1;
        Ok(Record { org, project, key, model, ..entry.record })
    }

    fn learn(&mut self, to: &Connection, names: &mut Names, side: &[u8]) -> Result<[u32; 4]> {
        let numbers = replay::numbers(to, names, journal::texts(side).unwrap_or_default())?;
        if self.numbers.len() >= Known::MOST {
            self.numbers.clear();
        }
        self.numbers.insert(side.into(), numbers);
        Ok(numbers)
    }
}

/// Reservations in memory by their numbers, which are random and the gateway's own.
#[derive(Clone, Copy, Debug, Default)]
struct ByNumber;

impl BuildHasher for ByNumber {
    type Hasher = Number;

    fn build_hasher(&self) -> Number {
        Number(0)
    }
}

#[derive(Debug)]
struct Number(u64);

impl Hasher for Number {
    fn write(&mut self, bytes: &[u8]) {
        // As in FxHash: with an odd factor no step loses anything.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let (words, tail) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        for word in words.iter().chain((!tail.is_empty()).then_some(&last)) {
            self.0 = (self.0.rotate_left(29) ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR);
        }
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}
