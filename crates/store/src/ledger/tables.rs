//! The ledger's rows: names, batches, sums.
//!
//! `ledger_batch` is the truth: one row a batch, each with a digest over itself and the one before,
//! so that a row that was changed or taken out shows. `ledger_usage` is derived from it: sums for
//! each quarter of an hour, key and model. All time zones in use are off by whole quarters, so that
//! days, weeks and months of any zone are sums of these.

use std::collections::{BTreeMap, HashMap};

use mainstay_core::money::Usd;
use mainstay_core::store::{EntryKind, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Result, params};
use sha2::{Digest as _, Sha256};

use super::record::Record;

/// A step of the store's migrations.
pub(crate) const TABLES: &str = "
CREATE TABLE ledger_name (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE ledger_batch (
  seq INTEGER PRIMARY KEY,
  latest INTEGER NOT NULL,
  open_from INTEGER NOT NULL,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  records BLOB NOT NULL CHECK (length(records) % 80 = 0)
) STRICT;
CREATE TABLE ledger_usage (
  slot INTEGER NOT NULL,
  org INTEGER NOT NULL,
  project INTEGER NOT NULL,
  key INTEGER NOT NULL,
  model INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  input INTEGER NOT NULL,
  cached INTEGER NOT NULL,
  output INTEGER NOT NULL,
  cost_usd INTEGER NOT NULL,
  cost_pico INTEGER NOT NULL CHECK (cost_pico BETWEEN 0 AND 999999999999),
  PRIMARY KEY (slot, org, project, key, model)
) STRICT, WITHOUT ROWID;
CREATE TABLE budget (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  org TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('org', 'project', 'key')),
  owner TEXT NOT NULL,
  amount TEXT NOT NULL,
  credits TEXT NOT NULL,
  every TEXT NOT NULL,
  zone TEXT NOT NULL,
  hard INTEGER NOT NULL,
  alerts BLOB NOT NULL,
  since INTEGER NOT NULL,
  baseline TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  removed INTEGER NOT NULL DEFAULT 0,
  changed INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX budget_owner ON budget (kind, owner, every) WHERE removed = 0;
CREATE INDEX budget_changed ON budget (changed);
";

/// A step of the store's migrations: how far a batch has brought the journal over.
pub(crate) const JOURNAL: &str =
    "ALTER TABLE ledger_batch ADD COLUMN journal INTEGER NOT NULL DEFAULT 0";

/// Pico-USD of one USD.
const ONE: i128 = 1_000_000_000_000;
/// Milliseconds of a slot: a quarter of an hour.
const SLOT: u64 = 900_000;

/// The slot of a time.
pub(crate) fn slot_of(at: UnixMillis) -> i64 {
    i64::try_from(at.0 / SLOT).unwrap_or(i64::MAX)
}

/// The first millisecond of the slot of a time.
pub(crate) fn slot_start(at: UnixMillis) -> UnixMillis {
    UnixMillis(at.0 / SLOT * SLOT)
}

/// The beginning of a slot.
pub(crate) fn start_of(slot: i64) -> UnixMillis {
    UnixMillis(u64::try_from(slot).unwrap_or(0).saturating_mul(SLOT))
}

/// Names as numbers, known ones in memory.
#[derive(Debug, Default)]
pub(crate) struct Names {
    numbers: HashMap<Box<str>, u32>,
    /// Made in a transaction that is not over.
    fresh: HashMap<Box<str>, u32>,
}

/// What stands for names that are too many: callers may name any model.
const OTHERS: &str = "…";
/// Names that have a number of their own.
const NAMES_MAX: usize = 1 << 20;

impl Names {
    pub(crate) fn load(from: &Connection) -> Result<Names> {
        let mut query = from.prepare("SELECT name, id FROM ledger_name")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Names { numbers: rows.collect::<Result<_>>()?, fresh: HashMap::new() })
    }

    pub(crate) fn known(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).or_else(|| self.fresh.get(name)).copied()
    }

    /// The number of a name, made in this transaction when it is new.
    pub(crate) fn number(&mut self, to: &Connection, name: &str) -> Result<u32> {
        if let Some(number) = self.known(name) {
            return Ok(number);
        }
        if self.numbers.len() >= NAMES_MAX && name != OTHERS {
            return self.number(to, OTHERS);
        }
        to.prepare("INSERT INTO ledger_name (name) VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([name])?;
        let number: u32 = to
            .prepare("SELECT id FROM ledger_name WHERE name = ?1")?
            .query_row([name], |row| row.get(0))?;
        self.fresh.insert(name.into(), number);
        Ok(number)
    }

    /// The number of a model; 0 for none.
    pub(crate) fn model(&mut self, to: &Connection, name: &str) -> Result<u32> {
        if name.is_empty() { Ok(0) } else { self.number(to, name) }
    }

    /// The transaction was kept, or was not.
    pub(crate) fn over(&mut self, kept: bool) {
        let fresh = self.fresh.drain();
        if kept {
            self.numbers.extend(fresh);
        }
    }
}

/// The names by their numbers.
pub(crate) fn names(from: &Connection) -> Result<HashMap<u32, String>> {
    let mut query = from.prepare("SELECT id, name FROM ledger_name")?;
    query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// A batch without its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) seq: i64,
    pub(crate) latest: u64,
    /// No batch before this one has a reservation that is open.
    pub(crate) open_from: i64,
    pub(crate) digest: [u8; 32],
    /// The number of the last entry of the journal that it or a batch before it has.
    pub(crate) journal: u64,
}

/// The last batch; zeros before the first.
pub(crate) fn last(from: &Connection) -> Result<Last> {
    let sql = "SELECT seq, latest, open_from, digest, journal FROM ledger_batch ORDER BY seq DESC LIMIT 1";
    let found = from
        .prepare_cached(sql)?
        .query_row([], |row| {
            let (latest, journal): (i64, i64) = (row.get(1)?, row.get(4)?);
            Ok(Last {
                seq: row.get(0)?,
                latest: u64::try_from(latest).unwrap_or(0),
                open_from: row.get(2)?,
                digest: row.get(3)?,
                journal: u64::try_from(journal).unwrap_or(0),
            })
        })
        .optional()?;
    Ok(found.unwrap_or_else(|| Last { open_from: 1, ..Last::default() }))
}

/// The digest of a batch.
pub(crate) fn digest(before: &[u8; 32], seq: i64, records: &[u8]) -> [u8; 32] {
    digest_in_pieces(before, seq, records, || ())
}

/// The same, with something done between pieces of 64 KiB.
pub(super) fn digest_in_pieces(
    before: &[u8; 32],
    seq: i64,
    records: &[u8],
    mut between: impl FnMut(),
) -> [u8; 32] {
    const PIECE: usize = 64 << 10;
    let mut hash = Sha256::new().chain_update(before).chain_update(seq.to_le_bytes());
    for (place, piece) in records.chunks(PIECE).enumerate() {
        if place > 0 {
            between();
        }
        hash.update(piece);
    }
    hash.finalize().into()
}

pub(crate) fn put_batch(to: &Connection, batch: &Last, records: &[u8]) -> Result<()> {
    let sql = "INSERT INTO ledger_batch (seq, latest, open_from, digest, records, journal) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (latest, journal) = (number(batch.latest), number(batch.journal));
    let Last { seq, open_from, digest, .. } = batch;
    to.prepare_cached(sql)?.execute(params![seq, latest, open_from, digest, records, journal])?;
    Ok(())
}

/// Whose sums, and of when: slot, organization, project, key, model.
pub(crate) type Place = (i64, u32, u32, u32, u32);

/// Sums of settlements and adjustments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) requests: i64,
    pub(crate) input: i64,
    pub(crate) cached: i64,
    pub(crate) output: i64,
    pub(crate) cost: Usd,
}

/// Adds a record to the sums it counts in.
pub(crate) fn add(sums: &mut BTreeMap<Place, Sums>, record: &Record) {
    match record.kind {
        EntryKind::Settle | EntryKind::Adjust => {}
        EntryKind::Hold | EntryKind::Exposure | EntryKind::Release => return,
    }
    let place = (slot_of(record.at), record.org, record.project, record.key, record.model);
    let sum = sums.entry(place).or_default();
    let count = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
    sum.requests = sum.requests.saturating_add(i64::from(record.kind == EntryKind::Settle));
    sum.input = sum.input.saturating_add(count(record.usage.input));
    sum.cached = sum.cached.saturating_add(count(record.usage.cached));
    sum.output = sum.output.saturating_add(count(record.usage.output));
    sum.cost = sum.cost.plus(record.amount()).unwrap_or(Usd::MAX);
}

/// Adds sums to the table. USD and pico-USD stand apart, because together they outgrow 64 bits.
pub(crate) fn put_sums(to: &Connection, sums: &BTreeMap<Place, Sums>) -> Result<()> {
    const SQL: &str = "
        INSERT INTO ledger_usage VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
        ON CONFLICT DO UPDATE SET
          requests = requests + excluded.requests,
          input = input + excluded.input,
          cached = cached + excluded.cached,
          output = output + excluded.output,
          cost_usd = cost_usd + excluded.cost_usd
                     + (cost_pico + excluded.cost_pico) / 1000000000000,
          cost_pico = (cost_pico + excluded.cost_pico) % 1000000000000";
    let mut statement = to.prepare_cached(SQL)?;
    for ((slot, org, project, key, model), sum) in sums {
        let usd = i64::try_from(sum.cost.pico().div_euclid(ONE)).unwrap_or(i64::MAX / 2);
        let pico = i64::try_from(sum.cost.pico().rem_euclid(ONE)).unwrap_or(0);
        statement.execute(params![
            slot,
            org,
            project,
            key,
            model,
            sum.requests,
            sum.input,
            sum.cached,
            sum.output,
            usd,
            pico
        ])?;
    }
    Ok(())
}

/// Hands over each row of sums with `from ≤ slot < to`, oldest first.
pub(crate) fn each_sum(
    connection: &Connection,
    slots: std::ops::Range<i64>,
    each: &mut dyn FnMut(Place, Sums),
) -> Result<()> {
    const SQL: &str = "
        SELECT slot, org, project, key, model, requests, input, cached, output, cost_usd, cost_pico
        FROM ledger_usage WHERE slot >= ?1 AND slot < ?2";
    let mut query = connection.prepare(SQL)?;
    let mut rows = query.query(params![slots.start, slots.end])?;
    while let Some(row) = rows.next()? {
        let place = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
        let usd: i64 = row.get(9)?;
        let pico: i64 = row.get(10)?;
        let sums = Sums {
            requests: row.get(5)?,
            input: row.get(6)?,
            cached: row.get(7)?,
            output: row.get(8)?,
            cost: Usd::from_pico(i128::from(usd) * ONE + i128::from(pico)),
        };
        each(place, sums);
    }
    Ok(())
}
