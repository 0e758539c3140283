//! Answers kept in SQLite.

use mainstay_core::store::{Replay, ReplayPlace, ReplayStore, ReplaysKept, StoreError, UnixMillis};
use rusqlite::{OptionalExtension, Result, Row, params};

use super::{Sqlite, rows};

/// The table, a step of the migrations. The index alone tells what may be forgotten.
pub(super) const TABLE: &str = "
CREATE TABLE replay (
  id INTEGER PRIMARY KEY,
  place BLOB NOT NULL UNIQUE CHECK (length(place) = 32),
  fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
  status INTEGER NOT NULL,
  headers TEXT NOT NULL,
  body BLOB,
  size INTEGER NOT NULL,
  until INTEGER NOT NULL
) STRICT;
CREATE INDEX replay_age ON replay (id, size);
CREATE INDEX replay_until ON replay (until);
";

impl ReplayStore for Sqlite {
    fn replay(&self, place: ReplayPlace, now: UnixMillis) -> Result<Option<Replay>, StoreError> {
        self.ask("read a kept answer", move |connection| {
            let sql = "SELECT fingerprint, status, headers, body, until FROM replay
                       WHERE place = ?1 AND until > ?2";
            let mut query = connection.prepare(sql)?;
            Ok(query.query_row(params![place.0, millis(now)], read).optional()?)
        })
    }

    fn keep_replay(
        &self,
        place: ReplayPlace,
        replay: Replay,
        kept: ReplaysKept,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.change("keep an answer", move |change| {
            change.execute(
                "DELETE FROM replay WHERE until <= ?1 OR place = ?2",
                params![millis(now), place.0],
            )?;
            let Replay { fingerprint, status, headers, body, until } = &replay;
            let size = body.as_ref().map_or(0, Vec::len);
            let headers: Vec<(&str, &[u8])> =
                headers.iter().map(|(name, value)| (&**name, &**value)).collect();
            let headers = serde_json::to_string(&headers).unwrap_or_else(|_| "[]".to_owned());
            change.execute(
                "INSERT INTO replay (place, fingerprint, status, headers, body, size, until)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    place.0,
                    fingerprint,
                    status,
                    headers,
                    body,
                    i64::try_from(size).unwrap_or(i64::MAX),
                    millis(*until)
                ],
            )?;
            change.execute(
                FORGET,
                params![kept.count_max.cast_signed(), kept.bytes_max.cast_signed()],
            )?;
            Ok(())
        })
    }
}

/// Forgets the oldest beyond a number and beyond a sum of sizes.
const FORGET: &str = "
DELETE FROM replay WHERE id IN (
  SELECT id FROM (
    SELECT id, row_number() OVER newest AS number, sum(size) OVER newest AS bytes FROM replay
    WINDOW newest AS (ORDER BY id DESC)
  ) WHERE number > ?1 OR bytes > ?2)";

fn read(row: &Row<'_>) -> Result<Replay> {
    let headers: String = row.get(2)?;
    let headers: Vec<(Box<str>, Box<[u8]>)> =
        serde_json::from_str(&headers).map_err(|error| rows::strange(2, error.to_string()))?;
    let until: i64 = row.get(4)?;
    Ok(Replay {
        fingerprint: row.get(0)?,
        status: row.get(1)?,
        headers,
        body: row.get(3)?,
        until: UnixMillis(until.unsigned_abs()),
    })
}

fn millis(time: UnixMillis) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}
