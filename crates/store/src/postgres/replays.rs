//! Answers kept in PostgreSQL, for whichever gateway is asked again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mainstay_core::store::{Replay, ReplayPlace, ReplayStore, ReplaysKept, StoreError, UnixMillis};
use tokio_postgres::Row;

use super::fault::Fault;
use super::rows::{millis, strange, time};
use super::{CALL_MAX, Postgres};

/// How long a call waits to learn whether its answer is kept.
const LOOK_MAX: Duration = Duration::from_secs(2);
/// Bytes a second with which a large answer travels at least.
const BYTES_PER_SECOND: usize = 4 << 20;
/// The sum of all answers is looked at when a gateway has kept so many more, or one that takes
/// more than [`LARGE_PART`] of it: it is a walk over all of them. The bounds may be passed by as much for each gateway.
const LOOK_EVERY: u64 = 64;
/// See [`LOOK_EVERY`]: one such part.
const LARGE_PART: u64 = 256;

const KEEP: &str = "
    INSERT INTO replay (place, fingerprint, status, headers, body, size, until)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// Forgets the oldest beyond a number and beyond a sum of sizes.
const FORGET: &str = "
    DELETE FROM replay WHERE id IN (
      SELECT id FROM (
        SELECT id, row_number() OVER newest AS number, sum(size) OVER newest AS bytes FROM replay
        WINDOW newest AS (ORDER BY id DESC)
      ) AS all_of_them WHERE number > $1 OR bytes > $2::bigint)";

impl ReplayStore for Postgres {
    fn replay(&self, place: ReplayPlace, now: UnixMillis) -> Result<Option<Replay>, StoreError> {
        self.desk.calls.ask("read a kept answer", LOOK_MAX, move |session| {
            let sql = "SELECT fingerprint, status, headers, body, until FROM replay
                       WHERE place = $1 AND until > $2";
            let row = session.query_opt(sql, &[&&place.0[..], &millis(now)])?;
            row.as_ref().map(read).transpose()
        })
    }

    fn keep_replay(
        &self,
        place: ReplayPlace,
        replay: Replay,
        kept: ReplaysKept,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let size = replay.body.as_ref().map_or(0, Vec::len);
        let turn = self.desk.kept.fetch_add(1, Ordering::Relaxed);
        let look = turn.is_multiple_of(LOOK_EVERY) || size as u64 >= kept.bytes_max / LARGE_PART;
        let limit = CALL_MAX + Duration::from_secs((size / BYTES_PER_SECOND) as u64);
        self.desk.calls.ask("keep an answer", limit, move |session| {
            session.transaction("BEGIN", |session| {
                let over = "DELETE FROM replay WHERE until <= $1 OR place = $2";
                session.execute(over, &[&millis(now), &&place.0[..]])?;
                let Replay { fingerprint, status, headers, body, until } = &replay;
                let headers: Vec<(&str, &[u8])> =
                    headers.iter().map(|(name, value)| (&**name, &**value)).collect();
                let headers = serde_json::to_string(&headers).unwrap_or_else(|_| "[]".to_owned());
                session.execute(
                    KEEP,
                    &[
                        &&place.0[..],
                        &&fingerprint[..],
                        &i32::from(*status),
                        &headers,
                        &body.as_deref(),
                        &i64::try_from(size).unwrap_or(i64::MAX),
                        &millis(*until),
                    ],
                )?;
                if look {
                    let most = [kept.count_max, kept.bytes_max].map(u64::cast_signed);
                    session.execute(FORGET, &[&most[0], &most[1]])?;
                }
                Ok(())
            })
        })
    }
}

fn read(row: &Row) -> Result<Replay, Fault> {
    let (fingerprint, status): (&[u8], i32) = (row.try_get(0)?, row.try_get(1)?);
    let headers: &str = row.try_get(2)?;
    let headers: Vec<(Box<str>, Box<[u8]>)> =
        serde_json::from_str(headers).map_err(|_| strange("headers are no list"))?;
    Ok(Replay {
        fingerprint: fingerprint.try_into().map_err(|_| strange("a fingerprint is too short"))?,
        status: u16::try_from(status).map_err(|_| strange("a status is none"))?,
        headers,
        body: row.try_get(3)?,
        until: time(row, 4)?,
    })
}
