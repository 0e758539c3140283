//! Records of calls in SQLite: a row a batch. Written and read beside the store's own thread, so that
//! keys and limits never wait for a search.

use std::sync::PoisonError;

use mainstay_core::store::{
    RequestBatch, RequestFilter, RequestId, RequestRecord, RequestStore, RequestsKept, StoreError,
    UnixMillis,
};
use rusqlite::{Connection, OptionalExtension, Result, TransactionBehavior, params};

use super::{Sqlite, told};
use crate::requests::{pieces, read};

/// The table, a step of the migrations. `upto` is the number of records up to and with this batch, so
/// that what is too much is found from the oldest end.
pub(super) const REQUESTS: &str = "
CREATE TABLE request_batch (
  seq INTEGER PRIMARY KEY,
  upto INTEGER NOT NULL,
  latest INTEGER NOT NULL,
  records BLOB NOT NULL
) STRICT;
";

impl Sqlite {
    /// Does `work` on the connection for records, which is opened at first use.
    fn on_records<T>(
        &self,
        what: &str,
        work: impl FnOnce(&mut Connection) -> Result<T>,
    ) -> std::result::Result<T, StoreError> {
        let mut place = self.desk.records.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match &mut *place {
            Some(connection) => connection,
            None => place.insert(super::open_file(&self.desk.path)?),
        };
        let done = work(connection);
        if done.is_err() {
            *place = None;
        }
        done.map_err(|error| told(&error, what, &self.desk.path))
    }
}

impl RequestStore for Sqlite {
    fn keep_requests(
        &self,
        batch: &RequestBatch,
        kept: RequestsKept,
        now: UnixMillis,
    ) -> std::result::Result<(), StoreError> {
        self.on_records("keep records of requests", |connection| {
            // The last second of records may be lost with the machine; nothing waits for the disk.
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            put(&change, batch)?;
            forget(&change, kept, now)?;
            change.commit()
        })
    }

    fn requests(
        &self,
        filter: &RequestFilter,
        limit: usize,
    ) -> std::result::Result<Vec<RequestRecord>, StoreError> {
        let connection = super::open_file(&self.desk.path)?;
        let found = search(&connection, filter, limit);
        found.map_err(|error| told(&error, "read records of requests", &self.desk.path))
    }

    fn request(&self, id: RequestId) -> std::result::Result<Option<RequestRecord>, StoreError> {
        let connection = super::open_file(&self.desk.path)?;
        let mut found = None;
        let looked = each_batch(&connection, UnixMillis(0), &mut |batch| {
            let piece = pieces(batch).find(|(one, _)| *one == id);
            found = piece.and_then(|(_, piece)| read(piece));
            found.is_none()
        });
        looked.map_err(|error| told(&error, "read records of requests", &self.desk.path))?;
        Ok(found)
    }
}

fn put(to: &Connection, batch: &RequestBatch) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let sql = "SELECT seq, upto FROM request_batch ORDER BY seq DESC LIMIT 1";
    let last: Option<(i64, i64)> =
        to.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (seq, upto) = last.unwrap_or((0, 0));
    let count = i64::try_from(batch.len()).unwrap_or(i64::MAX);
    to.prepare("INSERT INTO request_batch (seq, upto, latest, records) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            seq + 1,
            upto.saturating_add(count),
            millis(batch.latest()),
            batch.bytes()
        ])?;
    Ok(())
}

/// Forgets whole batches from the oldest end. The last one stays, so that numbers go on.
fn forget(to: &Connection, kept: RequestsKept, now: UnixMillis) -> Result<()> {
    let last = "SELECT upto FROM request_batch ORDER BY seq DESC LIMIT 1";
    let Some(upto) = to.query_row(last, [], |row| row.get::<_, i64>(0)).optional()? else {
        return Ok(());
    };
    let too_many = upto.saturating_sub(i64::try_from(kept.count_max).unwrap_or(i64::MAX));
    let too_old = millis(now.minus(kept.age_max));
    let mut query = to.prepare("SELECT seq, upto, latest FROM request_batch ORDER BY seq")?;
    let mut rows = query.query([])?;
    let mut over = 0_i64;
    while let Some(row) = rows.next()? {
        let (seq, upto_here, latest): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if upto_here == upto || (upto_here > too_many && latest >= too_old) {
            break;
        }
        over = seq;
    }
    drop(rows);
    to.prepare("DELETE FROM request_batch WHERE seq <= ?1")?.execute([over])?;
    Ok(())
}

fn search(from: &Connection, filter: &RequestFilter, limit: usize) -> Result<Vec<RequestRecord>> {
    let mut found = Vec::new();
    let mut behind = filter.after.is_none();
    each_batch(from, filter.since.unwrap_or_default(), &mut |batch| {
        let all: Vec<(RequestId, &[u8])> = pieces(batch).collect();
        for (id, piece) in all.into_iter().rev() {
            if found.len() >= limit {
                return false;
            }
            if behind {
                found.extend(read(piece).filter(|record| filter.fits(record)));
            }
            behind |= filter.after == Some(id);
        }
        true
    })?;
    Ok(found)
}

/// Hands over batches with a record of `since` or later, the newest first, as long as `each` says so.
fn each_batch(
    from: &Connection,
    since: UnixMillis,
    each: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<()> {
    let sql = "SELECT records FROM request_batch WHERE latest >= ?1 ORDER BY seq DESC";
    let mut query = from.prepare(sql)?;
    let mut rows = query.query([millis(since)])?;
    while let Some(row) = rows.next()? {
        if !each(row.get_ref(0)?.as_blob()?) {
            break;
        }
    }
    Ok(())
}

fn millis(time: UnixMillis) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}
