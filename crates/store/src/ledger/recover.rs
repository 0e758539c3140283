//! What a process that died has left open is ended at the next start, once.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use mainstay_core::money::Usd;
use mainstay_core::store::{Basis, EntryKind, Recovery, ReservationId, StoreError};
use mainstay_core::wire::usage::Usage;
use rusqlite::{Connection, TransactionBehavior};

use super::Recovered;
use super::record::{Record, records};
use super::tables::{self, Last};
use crate::failpoint::failpoint;

/// Ends every reservation without a terminal entry, all in one batch.
pub(super) fn run(
    connection: &mut Connection,
    policy: Recovery,
    path: &Path,
) -> Result<Recovered, StoreError> {
    let what = "end what the last run left open in the ledger";
    let told = |error: rusqlite::Error| crate::sqlite::told(&error, what, path);
    let last = tables::last(connection).map_err(told)?;
    let open = open(connection, last.open_from, path)?;
    let mut recovered = Recovered { reservations: open.len(), held: Usd::ZERO };
    if open.is_empty() {
        return Ok(recovered);
    }
    let (mut blob, mut sums) = (Vec::new(), BTreeMap::new());
    for hold in open.values() {
        recovered.held = recovered.held.plus(hold.amount()).unwrap_or(Usd::MAX);
        let (kind, amount) = match policy {
            Recovery::Charge => (EntryKind::Settle, hold.amount),
            Recovery::Release => (EntryKind::Release, 0),
        };
        let basis = Basis { recovered: true, estimated: true, ..hold.basis };
        let end = Record { kind, amount, basis, usage: Usage::default(), ..*hold };
        end.write(&mut blob);
        tables::add(&mut sums, &end);
    }
    failpoint("recovery-before-commit");
    let change =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(told)?;
    let seq = last.seq + 1;
    let digest = tables::digest(&last.digest, seq, &blob);
    let batch = Last { seq, open_from: seq + 1, digest, ..last };
    tables::put_batch(&change, &batch, &blob).map_err(told)?;
    tables::put_sums(&change, &sums).map_err(told)?;
    change.commit().map_err(told)?;
    failpoint("recovery-after-commit");
    Ok(recovered)
}

/// Reservations without a terminal entry, with all they hold, in the order of their ids.
pub(super) fn open(
    connection: &Connection,
    from: i64,
    path: &Path,
) -> Result<BTreeMap<ReservationId, Record>, StoreError> {
    let what = "read the ledger";
    let told = |error: rusqlite::Error| crate::sqlite::told(&error, what, path);
    let damaged = |seq: i64| StoreError::Surroundings {
        what: what.to_owned(),
        why: format!("batch {seq} holds bytes that are no entry"),
        fix: format!(
            "restore `{0}` from a backup; `mainstay ledger verify` says what is damaged",
            path.display()
        ),
    };
    let mut open: HashMap<ReservationId, Record> = HashMap::new();
    let sql = "SELECT seq, records FROM ledger_batch WHERE seq >= ?1 ORDER BY seq";
    let mut query = connection.prepare(sql).map_err(told)?;
    let mut rows = query.query([from]).map_err(told)?;
    while let Some(row) = rows.next().map_err(told)? {
        let seq: i64 = row.get(0).map_err(told)?;
        let blob: Vec<u8> = row.get(1).map_err(told)?;
        for record in records(&blob) {
            let record = record.ok_or_else(|| damaged(seq))?;
            match record.kind {
                EntryKind::Hold => {
                    let add =
                        |hold: &mut Record| hold.amount = hold.amount.saturating_add(record.amount);
                    open.entry(record.reservation).and_modify(add).or_insert(record);
                }
                EntryKind::Settle | EntryKind::Release => {
                    open.remove(&record.reservation);
                }
                EntryKind::Exposure | EntryKind::Adjust => {}
            }
        }
    }
    Ok(open.into_iter().collect())
}
