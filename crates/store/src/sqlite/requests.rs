//! Records of calls in SQLite: a row a batch. Written and read beside the store's own thread, so that
//! keys and limits never wait for a search.

use std::sync::PoisonError;

use mainstay_core::store::{
    RequestBatch, RequestFilter, RequestId, RequestRecord, RequestStore, RequestsKept, StoreError,
    UnixMillis,
};
use rusqlite::blob::ZeroBlob;
use rusqlite::{Connection, OptionalExtension, Result, params};

use super::{Sqlite, told};
use crate::requests::{Piece, pieces, read};

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
        let connection = if let Some(connection) = &mut *place {
            connection
        } else {
            let connection = super::open_file(&self.desk.path)?;
            // The last second of records may be lost with the machine; nothing waits for the disk.
            let eased = connection.pragma_update(None, "synchronous", "NORMAL");
            eased.map_err(|error| told(&error, what, &self.desk.path))?;
            place.insert(connection)
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
            super::in_transaction(connection, |change| {
                let upto = put(change, batch)?;
                forget(change, upto, kept, now)
            })
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
            found = pieces(batch).find(|one| one.id() == id).and_then(read);
            found.is_none()
        });
        looked.map_err(|error| told(&error, "read records of requests", &self.desk.path))?;
        Ok(found)
    }
}

/// Writes a batch; gives how many records there were, with these, since the first one.
fn put(to: &Connection, batch: &RequestBatch) -> Result<i64> {
    let sql = "SELECT seq, upto FROM request_batch ORDER BY seq DESC LIMIT 1";
    let mut last = to.prepare_cached(sql)?;
    let last: Option<(i64, i64)> =
        last.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (seq, before) = last.unwrap_or((0, 0));
    if batch.is_empty() {
        return Ok(before);
    }
    let upto = before.saturating_add(i64::try_from(batch.len()).unwrap_or(i64::MAX));
    let sql = "INSERT INTO request_batch (seq, upto, latest, records) VALUES (?1, ?2, ?3, ?4)";
    // Room is made and filled where it is: given as a value, a batch is copied twice on its way, through
    // memory that calls on the same core had theirs in.
    let room = ZeroBlob(batch.bytes().len() as u64);
    to.prepare_cached(sql)?.execute(params![seq + 1, upto, millis(batch.latest()), room])?;
    let mut room = to.blob_open("main", "request_batch", "records", seq + 1, false)?;
    room.write_all_at(batch.bytes(), 0)?;
    room.close()?;
    Ok(upto)
}

/// Forgets whole batches from the oldest end. The last one stays, so that numbers go on.
fn forget(to: &Connection, upto: i64, kept: RequestsKept, now: UnixMillis) -> Result<()> {
    let too_many = upto.saturating_sub(i64::try_from(kept.count_max).unwrap_or(i64::MAX));
    let too_old = millis(now.minus(kept.age_max));
    let sql = "SELECT seq, upto, latest FROM request_batch ORDER BY seq";
    let mut query = to.prepare_cached(sql)?;
    let mut rows = query.query([])?;
    let mut over = None;
    while let Some(row) = rows.next()? {
        let (seq, upto_here, latest): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if upto_here == upto || (upto_here > too_many && latest >= too_old) {
            break;
        }
        over = Some(seq);
    }
    drop(rows);
    if let Some(over) = over {
        to.prepare_cached("DELETE FROM request_batch WHERE seq <= ?1")?.execute([over])?;
    }
    Ok(())
}

fn search(from: &Connection, filter: &RequestFilter, limit: usize) -> Result<Vec<RequestRecord>> {
    let mut found = Vec::new();
    let mut behind = filter.after.is_none();
    each_batch(from, filter.since.unwrap_or_default(), &mut |batch| {
        let all: Vec<Piece<'_>> = pieces(batch).collect();
        for piece in all.into_iter().rev() {
            if found.len() >= limit {
                return false;
            }
            if behind {
                found.extend(read(piece).filter(|record| filter.fits(record)));
            }
            behind |= filter.after == Some(piece.id());
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
