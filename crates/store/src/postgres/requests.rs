//! Records of calls in PostgreSQL: a row a batch, from all gateways.
//!
//! The database looks for what is asked in the bytes of a batch, so that a search carries over the
//! network only batches that may have it; what is in them is read and judged here.

use std::time::Duration;

use mainstay_core::store::{
    RequestBatch, RequestFilter, RequestId, RequestRecord, RequestStore, RequestsKept, StoreError,
    UnixMillis,
};

use super::fault::Fault;
use super::rows::{millis, signed};
use super::session::Session;
use super::{CALL_MAX, Postgres};
use crate::requests::{Piece, pieces, read};

/// How long a search may take.
const SEARCH_MAX: Duration = Duration::from_secs(30);
/// Batches that one step of a search brings.
const PAGE: i64 = 16;

impl RequestStore for Postgres {
    fn keep_requests(
        &self,
        batch: &RequestBatch,
        kept: RequestsKept,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let (blob, latest) = (batch.bytes().to_vec(), batch.latest());
        let count = i64::try_from(batch.len()).unwrap_or(i64::MAX);
        let most = i64::try_from(kept.count_max).unwrap_or(i64::MAX);
        let too_old = millis(now.minus(kept.age_max));
        self.desk.records.ask("keep records of requests", CALL_MAX, move |session| {
            if count == 0 {
                session.execute(FORGET, &[&most, &too_old])?;
            } else {
                let latest = millis(latest);
                session.execute(KEEP, &[&count, &latest, &blob, &most, &too_old])?;
            }
            Ok(())
        })
    }

    fn requests(
        &self,
        filter: &RequestFilter,
        limit: usize,
    ) -> Result<Vec<RequestRecord>, StoreError> {
        let filter = filter.clone();
        self.desk.records.ask("search records of requests", SEARCH_MAX, move |session| {
            session.transaction(super::READ, |session| search(session, &filter, limit))
        })
    }

    fn request(&self, id: RequestId) -> Result<Option<RequestRecord>, StoreError> {
        self.desk.records.ask("read a record of a request", SEARCH_MAX, move |session| {
            let found = batch_with(session, id)?;
            Ok(found.and_then(|(_, batch)| {
                let piece = pieces(&batch).find(|one| one.id() == id)?;
                read(piece)
            }))
        })
    }
}

/// One statement: counts, keeps, and forgets whole batches from the oldest end. The batch that comes
/// with it is not among those that it sees, and stays.
const KEEP: &str = "
    WITH counted AS (
      UPDATE request_count SET upto = upto + $1 RETURNING upto
    ), kept AS (
      INSERT INTO request_batch (upto, latest, records) SELECT upto, $2::bigint, $3::bytea FROM counted
    )
    DELETE FROM request_batch WHERE upto < coalesce(
      (SELECT min(one.upto) FROM request_batch AS one, counted
       WHERE one.upto > counted.upto - $4 AND one.latest >= $5),
      (SELECT upto FROM counted))";

/// The same without a batch: the last one stays.
const FORGET: &str = "
    DELETE FROM request_batch WHERE upto < coalesce(
      (SELECT min(one.upto) FROM request_batch AS one, request_count AS counted
       WHERE one.upto > counted.upto - $1 AND one.latest >= $2),
      (SELECT max(upto) FROM request_batch))";

/// The batch with this record.
fn batch_with(session: &Session<'_>, id: RequestId) -> Result<Option<(i64, Vec<u8>)>, Fault> {
    // Bytes of one record may look like another one's id; the reader tells them apart.
    let sql = "SELECT upto, records FROM request_batch WHERE position($1::bytea IN records) > 0
               ORDER BY upto DESC";
    for row in session.query(sql, &[&&id.0[..]])? {
        let (upto, batch): (i64, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
        if pieces(&batch).any(|one| one.id() == id) {
            return Ok(Some((upto, batch)));
        }
    }
    Ok(None)
}

fn search(
    session: &Session<'_>,
    filter: &RequestFilter,
    limit: usize,
) -> Result<Vec<RequestRecord>, Fault> {
    const SQL: &str = "
        SELECT upto, records FROM request_batch
        WHERE upto < $1 AND latest >= $2 AND NOT EXISTS (
          SELECT 1 FROM unnest($3::bytea[]) AS wanted WHERE position(wanted IN records) = 0)
        ORDER BY upto DESC LIMIT $4";
    let mut found = Vec::new();
    let mut below = i64::MAX;
    if let Some(after) = filter.after {
        let Some((upto, batch)) = batch_with(session, after)? else { return Ok(found) };
        let before = pieces(&batch).take_while(|one| one.id() != after);
        take(before.collect(), filter, limit, &mut found);
        below = upto;
    }
    let (since, wanted) = (signed(filter.since.unwrap_or_default().0), wanted(filter));
    while found.len() < limit {
        let rows = session.query(SQL, &[&below, &since, &wanted, &PAGE])?;
        let Some(last) = rows.last() else { break };
        below = last.try_get(0)?;
        for row in &rows {
            let batch: &[u8] = row.try_get(1)?;
            take(pieces(batch).collect(), filter, limit, &mut found);
        }
    }
    Ok(found)
}

/// Takes what fits of a batch, the newest first, until there is enough.
fn take(
    batch: Vec<Piece<'_>>,
    filter: &RequestFilter,
    limit: usize,
    found: &mut Vec<RequestRecord>,
) {
    let fitting = batch.into_iter().rev().filter_map(read).filter(|record| filter.fits(record));
    found.extend(fitting.take(limit.saturating_sub(found.len())));
}

/// Texts that every batch with a fitting record has in its bytes.
fn wanted(filter: &RequestFilter) -> Vec<&[u8]> {
    let RequestFilter { key, project, org, model, provider, kind, .. } = filter;
    [key, project, org, model, provider]
        .into_iter()
        .flatten()
        .map(String::as_bytes)
        .chain(kind.iter().map(|kind| kind.name().as_bytes()))
        .collect()
}
