//! One transaction: entries of a node's journal, sums, what accounts have spent, and the node's
//! leases.
//!
//! Everything that a node has used of its leases is among the entries it comes with or has come with
//! before, so that no amount is ever in neither `spent` nor a lease. The row of the node is locked
//! first: a message of a process that has ended is refused, and what was brought over is not brought
//! again.

use std::collections::BTreeMap;

use mainstay_core::money::Usd;
use mainstay_core::money::budget::account::Told;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::super::fault::Fault;
use super::super::session::Session;
use super::accounts::{self, Ask};
use crate::failpoint::failpoint;
use crate::ledger::record::{Bytes, LENGTH, Record};
use crate::ledger::tables::{self, Place, Sums};

mod columns;
mod quick;

use columns::Columns;

/// A node as PostgreSQL knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) id: i32,
    /// Which of its processes speaks.
    pub(super) life: i64,
    /// The last batch of its journal that was brought over.
    pub(super) brought: i64,
    /// The digest of that batch, as PostgreSQL has it.
    pub(super) digest: [u8; 32],
}

impl Node {
    /// Where it stands, as a row of `ledger_node` says: `brought` and `digest`.
    pub(super) fn stands(row: &Row, at: usize) -> Result<(i64, [u8; 32]), Fault> {
        let digest: &[u8] = row.try_get(at + 1)?;
        let digest = digest.try_into().map_err(|_| Fault::Strange("a digest is cut".to_owned()))?;
        Ok((row.try_get(at)?, digest))
    }
}

/// A batch with the numbers of PostgreSQL for names.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) seq: i64,
    /// Its digest in the journal.
    pub(super) journal: [u8; 32],
    /// Its entries as the journal has them: records side by side, each of them sound. Digests are made of these
    /// bytes.
    pub(super) entries: Vec<u8>,
}

impl Batch {
    /// How many entries it has.
    fn len(&self) -> usize {
        self.entries().len()
    }

    pub(super) fn entries(&self) -> &[Bytes] {
        self.entries.as_chunks().0
    }

    pub(super) fn entries_mut(&mut self) -> &mut [Bytes] {
        self.entries.as_chunks_mut().0
    }

    pub(super) fn records(&self) -> impl Iterator<Item = Record> + '_ {
        self.entries().iter().filter_map(Record::read)
    }
}

/// What came of a transaction.
#[derive(Clone, Debug, Default)]
pub(super) struct Brought {
    /// The last batch that is over, and its digest.
    pub(super) upto: i64,
    pub(super) digest: [u8; 32],
    /// Entries that were refused, because their reservation had ended.
    pub(super) refused: u64,
    /// Answers to what was asked, in its order.
    pub(super) told: Vec<Told>,
}

/// Brings batches over, all that are not yet, and answers.
pub(super) fn run(
    session: &Session<'_>,
    node: Node,
    batches: &[Batch],
    asks: &[Ask],
) -> Result<Brought, Fault> {
    match quick::run(session, node, batches, asks)? {
        Some(brought) => Ok(brought),
        None => slowly(session, node, batches, asks),
    }
}

/// Step by step: an entry is refused, and what is written after it depends on which one.
fn slowly(
    session: &Session<'_>,
    node: Node,
    batches: &[Batch],
    asks: &[Ask],
) -> Result<Brought, Fault> {
    session.transaction("BEGIN", |session| {
        let row = session.query_one(LOCK, &[&node.id])?;
        let (brought, digest) = locked(&row, node)?;
        let new = follow(batches, brought)?;
        let kept = insert(session, node, &new)?;
        let sums = kept.sums();
        if let Some(columns) = SumColumns::of(node, &sums) {
            session.execute(SumColumns::SQL, &columns.values())?;
        }
        failpoint("bring-before-accounts");
        let told = accounts::settle(session, node, &sums, asks)?;
        let upto = new.last().map_or(brought, |last| last.seq);
        let (seqs, digests, digest) = kept.digests(digest);
        if let Some(last) = new.last() {
            session.execute(BATCHES, &[&node.id, &seqs, &digests])?;
            session.execute(BROUGHT, &[&node.id, &upto, &&digest[..], &&last.journal[..]])?;
        } else {
            session.execute(SEEN, &[&node.id])?;
        }
        failpoint("bring-before-commit");
        Ok(Brought { upto, digest, refused: kept.refused, told })
    })
}

/// Locks the node's row.
const LOCK: &str = "SELECT life, brought, digest FROM ledger_node WHERE id = $1 FOR UPDATE";
/// Notes what was brought over.
const BROUGHT: &str = "
    UPDATE ledger_node SET brought = $2, digest = $3, journal = $4, seen = clock_timestamp()
    WHERE id = $1";
/// Notes that the node was heard of.
const SEEN: &str = "UPDATE ledger_node SET seen = clock_timestamp() WHERE id = $1";
/// Writes digests of batches.
const BATCHES: &str =
    "INSERT INTO ledger_batch SELECT $1, * FROM unnest($2::bigint[], $3::bytea[])";

/// Of batches those that are not over; none may be missing.
fn follow(batches: &[Batch], brought: i64) -> Result<Vec<&Batch>, Fault> {
    let new: Vec<&Batch> = batches.iter().filter(|batch| batch.seq > brought).collect();
    match new.first().filter(|first| first.seq != brought + 1) {
        None => Ok(new),
        Some(first) => {
            let why = format!("batch {} follows batch {brought}: some are missing", first.seq);
            Err(Fault::Strange(why))
        }
    }
}

/// What the node's row says; refuses a process that another has followed.
fn locked(row: &Row, node: Node) -> Result<(i64, [u8; 32]), Fault> {
    let life: i64 = row.try_get(0)?;
    if life != node.life {
        let why = "another gateway has this one's journal, which was started after this one; or this one was given up (`mainstay ledger give-up`) and goes on when it is started again";
        return Err(Fault::Strange(why.to_owned()));
    }
    Node::stands(row, 1)
}

/// Entries that are new.
struct Kept {
    batches: Vec<(i64, Vec<Record>)>,
    refused: u64,
}

impl Kept {
    /// As if none of them were refused.
    fn all(new: &[&Batch]) -> Kept {
        let batches = new.iter().map(|batch| (batch.seq, batch.records().collect()));
        Kept { batches: batches.collect(), refused: 0 }
    }

    fn sums(&self) -> BTreeMap<Place, Sums> {
        let mut sums = BTreeMap::new();
        for record in self.batches.iter().flat_map(|(_, records)| records) {
            tables::add(&mut sums, record);
        }
        sums
    }

    /// Numbers and digests of batches, and the last of these.
    fn digests(&self, before: [u8; 32]) -> (Vec<i64>, Vec<Vec<u8>>, [u8; 32]) {
        let batches = self.batches.iter().map(|(seq, records)| {
            let mut blob = Vec::with_capacity(records.len() * LENGTH);
            for record in records {
                record.write(&mut blob);
            }
            (*seq, blob)
        });
        digests(before, batches)
    }
}

/// Writes entries. One that ends a reservation which has ended is left out: never counted twice.
fn insert(session: &Session<'_>, node: Node, new: &[&Batch]) -> Result<Kept, Fault> {
    let mut kept = Kept::all(new);
    let columns = Columns::of(node, new.iter().copied(), |_| {});
    let count = columns.len();
    if count == 0 {
        return Ok(kept);
    }
    let written = session.execute(Columns::SQL, &columns.values())?;
    kept.refused = (count as u64).saturating_sub(written);
    if kept.refused > 0 {
        keep_written(session, node, &mut kept)?;
    }
    Ok(kept)
}

/// Takes out of `kept` what was not written.
fn keep_written(session: &Session<'_>, node: Node, kept: &mut Kept) -> Result<(), Fault> {
    let sql = "SELECT place FROM ledger_entry WHERE node = $1 AND batch = $2";
    for (seq, records) in &mut kept.batches {
        let rows = session.query(sql, &[&node.id, seq])?;
        let mut places = std::collections::HashSet::new();
        for row in rows {
            places.insert(row.try_get::<_, i32>(0)?);
        }
        let mut place = -1;
        records.retain(|record| {
            place += 1;
            let is_there = places.contains(&place);
            if !is_there {
                tracing::error!(reservation = %record.reservation, kind = record.kind.name(), "a reservation was to end a second time; this end was left out");
            }
            is_there
        });
    }
    Ok(())
}

/// Numbers and digests of batches, each with its records' bytes, and the last digest.
fn digests<B: AsRef<[u8]>>(
    before: [u8; 32],
    batches: impl Iterator<Item = (i64, B)>,
) -> (Vec<i64>, Vec<Vec<u8>>, [u8; 32]) {
    let (mut seqs, mut digests, mut digest) = (Vec::new(), Vec::new(), before);
    for (seq, records) in batches {
        digest = tables::digest(&digest, seq, records.as_ref());
        seqs.push(seq);
        digests.push(digest.to_vec());
    }
    (seqs, digests, digest)
}

/// Sums, column by column.
struct SumColumns {
    node: i32,
    slots: Vec<i64>,
    names: [Vec<i32>; 4],
    counts: [Vec<i64>; 4],
    costs: Vec<String>,
}

impl SumColumns {
    const SQL: &'static str = "
        INSERT INTO ledger_usage
        SELECT slot, org, project, key, model, $1, requests, input, cached, output, cost::numeric
        FROM unnest($2::bigint[], $3::int[], $4::int[], $5::int[], $6::int[], $7::bigint[],
          $8::bigint[], $9::bigint[], $10::bigint[], $11::text[])
          AS new (slot, org, project, key, model, requests, input, cached, output, cost)
        ON CONFLICT (slot, org, project, key, model, node) DO UPDATE SET
          requests = ledger_usage.requests + excluded.requests,
          input = ledger_usage.input + excluded.input,
          cached = ledger_usage.cached + excluded.cached,
          output = ledger_usage.output + excluded.output,
          cost = ledger_usage.cost + excluded.cost";

    /// `None`: there are none.
    fn of(node: Node, sums: &BTreeMap<Place, Sums>) -> Option<SumColumns> {
        let name = |of: fn(&Place) -> u32| sums.keys().map(|p| signed(of(p))).collect();
        let count = |of: fn(&Sums) -> i64| sums.values().map(of).collect();
        (!sums.is_empty()).then(|| SumColumns {
            node: node.id,
            slots: sums.keys().map(|place| place.0).collect(),
            names: [
                name(|place| place.1),
                name(|place| place.2),
                name(|place| place.3),
                name(|place| place.4),
            ],
            counts: [
                count(|sum| sum.requests),
                count(|sum| sum.input),
                count(|sum| sum.cached),
                count(|sum| sum.output),
            ],
            costs: sums.values().map(|sum| sum.cost.pico().to_string()).collect(),
        })
    }

    fn values(&self) -> [&(dyn ToSql + Sync); 11] {
        let [org, project, key, model] = &self.names;
        let [requests, input, cached, output] = &self.counts;
        let costs = &self.costs;
        [&self.node, &self.slots, org, project, key, model, requests, input, cached, output, costs]
    }
}

pub(super) fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(super) fn long(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// An amount as PostgreSQL writes it.
pub(super) fn amount(text: &str) -> Result<Usd, Fault> {
    let pico = text.parse().map_err(|_| Fault::Strange(format!("`{text}` is no amount")))?;
    Ok(Usd::from_pico(pico))
}
