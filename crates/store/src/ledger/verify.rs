//! Adds everything up again from the entries, and says what disagrees.

use std::collections::{BTreeMap, HashMap, HashSet};

use mainstay_core::money::Usd;
use mainstay_core::store::{EntryKind, ReservationId, UnixMillis};
use rusqlite::{Connection, Result};

use super::record::{LENGTH, Record};
use super::tables::{self, Place, Sums};

/// Findings that are told; more are only counted.
const FINDINGS_MAX: usize = 100;

/// What an examination of a ledger found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Batches read.
    pub batches: u64,
    /// Entries read.
    pub entries: u64,
    /// Reservations that have ended.
    pub ended: u64,
    /// Reservations without a terminal entry: calls under way while a gateway runs, or left over
    /// from one that died, which the next start ends.
    pub open: u64,
    /// What was spent, in all.
    pub settled: Usd,
    /// What open reservations hold.
    pub held: Usd,
    /// What disagrees, one sentence each, at most 100.
    pub findings: Vec<String>,
    /// How many disagreements there are.
    pub findings_total: u64,
}

impl Verified {
    /// Whether nothing disagrees.
    pub fn is_sound(&self) -> bool {
        self.findings_total == 0
    }

    pub(crate) fn find(&mut self, what: impl FnOnce() -> String) {
        self.findings_total += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(what());
        }
    }
}

/// Reads every batch of a consistent view of the tables.
pub(crate) fn run(view: &Connection) -> Result<Verified> {
    let mut audit = Audit::default();
    let sql = "SELECT seq, open_from, digest, records FROM ledger_batch ORDER BY seq";
    let mut query = view.prepare(sql)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let blob = row.get_ref(3)?.as_blob()?;
        audit.batch(row.get(0)?, row.get(1)?, &row.get(2)?, blob);
    }
    audit.compare(view)?;
    Ok(audit.close())
}

/// Goes through the entries of one ledger in their order.
#[derive(Default)]
pub(crate) struct Audit {
    found: Verified,
    seq: i64,
    digest: [u8; 32],
    open_from: i64,
    /// Holds of open reservations: admitted at, amount, batch.
    open: HashMap<ReservationId, (UnixMillis, Usd, i64)>,
    ended: HashSet<ReservationId>,
    sums: BTreeMap<Place, Sums>,
}

impl Audit {
    /// A batch: its number, the oldest batch with an open reservation, its digest and its records.
    pub(crate) fn batch(&mut self, seq: i64, open_from: i64, digest: &[u8; 32], blob: &[u8]) {
        self.found.batches += 1;
        if seq != self.seq + 1 {
            let before = self.seq;
            self.found.find(|| format!("batch {seq} follows batch {before}: rows are missing"));
        }
        if tables::digest(&self.digest, seq, blob) != *digest {
            self.found.find(|| format!("batch {seq} is not what was written: its digest differs"));
        }
        (self.seq, self.digest, self.open_from) = (seq, *digest, open_from);
        for (index, bytes) in blob.chunks(LENGTH).enumerate() {
            self.found.entries += 1;
            match bytes.try_into().ok().and_then(Record::read) {
                Some(record) => self.entry(seq, &record),
                None => self.found.find(|| format!("entry {index} of batch {seq} cannot be read")),
            }
        }
    }

    fn entry(&mut self, seq: i64, record: &Record) {
        let id = record.reservation;
        let said = |what: &str| format!("{id}: {} in batch {seq} {what}", record.kind.name());
        if record.amount < 0 && record.kind != EntryKind::Adjust {
            self.found.find(|| said("is below zero"));
        }
        match record.kind {
            EntryKind::Hold if self.ended.contains(&id) => {
                self.found.find(|| said("comes after the terminal entry"));
            }
            EntryKind::Hold => {
                let hold = self.open.entry(id).or_insert((record.at, Usd::ZERO, seq));
                hold.1 = hold.1.plus(record.amount()).unwrap_or(Usd::MAX);
            }
            EntryKind::Exposure if !self.open.contains_key(&id) => {
                self.found.find(|| said("belongs to no open reservation"));
            }
            EntryKind::Settle | EntryKind::Release => match self.open.remove(&id) {
                None if self.ended.contains(&id) => {
                    self.found.find(|| said("is a second terminal entry"));
                }
                None => self.found.find(|| said("has no hold")),
                Some((at, _, _)) => {
                    if at != record.at {
                        self.found.find(|| said("names another time of admission than its hold"));
                    }
                    self.ended.insert(id);
                }
            },
            EntryKind::Exposure | EntryKind::Adjust => {}
        }
        if matches!(record.kind, EntryKind::Settle | EntryKind::Adjust) {
            self.found.settled = self.found.settled.plus(record.amount()).unwrap_or(Usd::MAX);
        }
        tables::add(&mut self.sums, record);
    }

    /// Holds the derived table against sums over the entries.
    fn compare(&mut self, view: &Connection) -> Result<()> {
        let mut derived = BTreeMap::new();
        tables::each_sum(view, i64::MIN..i64::MAX, &mut |place, sums| {
            derived.insert(place, sums);
        })?;
        self.hold_against(derived);
        Ok(())
    }

    /// Holds sums that are kept against those over the entries, which are given back.
    pub(crate) fn hold_against(
        &mut self,
        mut derived: BTreeMap<Place, Sums>,
    ) -> BTreeMap<Place, Sums> {
        let sums = std::mem::take(&mut self.sums);
        for (place, sum) in &sums {
            match derived.remove(place) {
                Some(kept) if kept == *sum => {}
                kept => self.found.find(|| {
                    let (slot, ..) = place;
                    let kept = kept.unwrap_or_default();
                    format!(
                        "the sum for {place:?} is kept as {} USD in {} requests, its entries give {} in {} (slot from {} ms)",
                        kept.cost, kept.requests, sum.cost, sum.requests, tables::start_of(*slot).0
                    )
                }),
            }
        }
        for (place, kept) in derived {
            self.found.find(|| format!("the sum for {place:?}, {} USD, has no entries", kept.cost));
        }
        sums
    }

    /// What was found.
    pub(crate) fn close(mut self) -> Verified {
        let oldest = self.open.values().map(|(_, _, seq)| *seq).min();
        if let Some(oldest) = oldest.filter(|oldest| *oldest < self.open_from) {
            let from = self.open_from;
            self.found.find(|| {
                format!("batch {oldest} has an open reservation, though the last batch says that none before {from} has")
            });
        }
        self.found.ended = self.ended.len() as u64;
        self.found.open = self.open.len() as u64;
        let held = self
            .open
            .values()
            .fold(Usd::ZERO, |sum, (_, held, _)| sum.plus(*held).unwrap_or(Usd::MAX));
        self.found.held = held;
        self.found
    }
}
