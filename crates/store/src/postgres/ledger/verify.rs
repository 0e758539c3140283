//! Adds everything up again from the entries in PostgreSQL, and says what disagrees.

use std::collections::BTreeMap;

use mainstay_core::money::Usd;

use super::super::fault::Fault;
use super::super::session::Session;
use super::bring::amount;
use super::reader::page;
use crate::ledger::Verified;
use crate::ledger::record::Record;
use crate::ledger::tables::{self, Place, Sums};
use crate::ledger::verify::Audit;

/// Sums by node.
type Kept = BTreeMap<i32, BTreeMap<Place, Sums>>;

/// Reads every entry of a consistent view of the tables.
pub(super) fn run(session: &Session<'_>) -> Result<Verified, Fault> {
    let mut kept = usage(session)?;
    let mut entries = Entries { session, rest: Vec::new().into_iter(), after: (0, 0, -1) };
    let (mut found, mut sums) = (Verified::default(), BTreeMap::new());
    let mut next = entries.next()?;
    for (node, batches) in batches(session)? {
        let mut audit = Audit::default();
        for (seq, digest) in batches {
            let mut blob = Vec::new();
            while let Some((_, record)) = next.filter(|(at, _)| *at == (node, seq)) {
                record.write(&mut blob);
                next = entries.next()?;
            }
            // No batch says which reservations are open: the tables are asked by node and number.
            audit.batch(seq, 0, &digest, &blob);
        }
        add(&mut sums, audit.hold_against(kept.remove(&node).unwrap_or_default()));
        merge(&mut found, node, audit.close());
    }
    if let Some((at, _)) = next {
        found.find(|| format!("node {}: entries of batch {} have no batch", at.0, at.1));
    }
    for node in kept.keys() {
        found.find(|| format!("node {node}: sums are kept and no entries"));
    }
    accounts(session, &sums, &mut found)?;
    Ok(found)
}

/// Numbers and digests of batches, by node.
type Batches = BTreeMap<i32, Vec<(i64, [u8; 32])>>;

/// An entry with its node and batch.
type Next = ((i32, i64), Record);

/// Entries one by one, page by page.
struct Entries<'s, 'l> {
    session: &'s Session<'l>,
    rest: std::vec::IntoIter<((i32, i64, i32), Record)>,
    after: (i32, i64, i32),
}

impl Entries<'_, '_> {
    fn next(&mut self) -> Result<Option<Next>, Fault> {
        if self.rest.len() == 0 {
            self.rest = page(self.session, self.after)?.into_iter();
        }
        let Some((at, record)) = self.rest.next() else { return Ok(None) };
        self.after = at;
        Ok(Some(((at.0, at.1), record)))
    }
}

/// Batches and their digests, by node, in their order.
fn batches(session: &Session<'_>) -> Result<Batches, Fault> {
    let mut found = Batches::new();
    let sql = "SELECT node, seq, digest FROM ledger_batch ORDER BY node, seq";
    for row in session.query(sql, &[])? {
        let digest: &[u8] = row.try_get(2)?;
        let digest = digest.try_into().unwrap_or([0; 32]);
        found.entry(row.try_get(0)?).or_default().push((row.try_get(1)?, digest));
    }
    Ok(found)
}

fn usage(session: &Session<'_>) -> Result<Kept, Fault> {
    const SQL: &str = "
        SELECT node, slot, org, project, key, model, requests, input, cached, output, cost::text
        FROM ledger_usage";
    let mut kept = Kept::new();
    for row in session.query(SQL, &[])? {
        let name = |column: usize| -> Result<u32, Fault> {
            Ok(u32::try_from(row.try_get::<_, i32>(column)?).unwrap_or(0))
        };
        let place = (row.try_get(1)?, name(2)?, name(3)?, name(4)?, name(5)?);
        let sums = Sums {
            requests: row.try_get(6)?,
            input: row.try_get(7)?,
            cached: row.try_get(8)?,
            output: row.try_get(9)?,
            cost: amount(row.try_get(10)?)?,
        };
        kept.entry(row.try_get(0)?).or_default().insert(place, sums);
    }
    Ok(kept)
}

fn add(all: &mut BTreeMap<Place, Usd>, sums: BTreeMap<Place, Sums>) {
    for (place, sum) in sums {
        let cost = all.entry(place).or_default();
        *cost = cost.plus(sum.cost).unwrap_or(Usd::MAX);
    }
}

fn merge(all: &mut Verified, node: i32, one: Verified) {
    all.batches += one.batches;
    all.entries += one.entries;
    all.ended += one.ended;
    all.open += one.open;
    all.settled = all.settled.plus(one.settled).unwrap_or(Usd::MAX);
    all.held = all.held.plus(one.held).unwrap_or(Usd::MAX);
    let untold = one.findings_total - one.findings.len() as u64;
    for finding in one.findings {
        all.find(|| format!("node {node}: {finding}"));
    }
    all.findings_total += untold;
}

/// Holds what accounts have spent against sums over entries.
fn accounts(
    session: &Session<'_>,
    sums: &BTreeMap<Place, Usd>,
    found: &mut Verified,
) -> Result<(), Fault> {
    const SQL: &str = "
        SELECT id, budget, starts, ends, org, project, key, base::text, spent::text
        FROM ledger_account ORDER BY id";
    for row in session.query(SQL, &[])? {
        let (starts, ends): (i64, Option<i64>) = (row.try_get(2)?, row.try_get(3)?);
        let (org, project, key): (i32, Option<i32>, Option<i32>) =
            (row.try_get(4)?, row.try_get(5)?, row.try_get(6)?);
        let is = |number: u32, wanted: i32| i64::from(number) == i64::from(wanted);
        let counts = |place: &Place| {
            let at = i64::try_from(tables::start_of(place.0).0).unwrap_or(i64::MAX);
            at >= starts
                && ends.is_none_or(|ends| at < ends)
                && is(place.1, org)
                && project.is_none_or(|project| is(place.2, project))
                && key.is_none_or(|key| is(place.3, key))
        };
        let mine = sums.iter().filter(|(place, _)| counts(place));
        let sum = mine.fold(Usd::ZERO, |sum, (_, cost)| sum.plus(*cost).unwrap_or(Usd::MAX));
        let (base, spent) = (amount(row.try_get(7)?)?, amount(row.try_get(8)?)?);
        let wanted = sum.minus(base).unwrap_or(Usd::MAX);
        if spent != wanted {
            let (account, budget): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            found.find(|| {
                format!("account {account} of budget {budget} has {spent} USD spent, its entries give {wanted}")
            });
        }
    }
    Ok(())
}
