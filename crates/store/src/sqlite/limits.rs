//! Limits in SQLite.

use std::time::Duration;

use mainstay_core::rules::limits::LimitSpec;
use mainstay_core::store::{
    LimitLevel, LimitPatch, LimitRecord, LimitStore, StoreError, Subject, TierLimit, UnixMillis,
};
use rusqlite::{Connection, Params, Result, Row, Transaction, params};

use super::{Change, Fault, Sqlite, one_key, rows, tick};
use crate::describe;
use crate::model::limits::{self, Rows};

/// The table, a step of the migrations. A limit that was removed keeps its row, without numbers, so
/// that running gateways hear of it and a later one goes on with its id.
pub(super) const TABLE: &str = "
CREATE TABLE rate_limit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL CHECK (kind IN ('organization', 'project', 'key')),
  subject TEXT NOT NULL,
  model TEXT NOT NULL,
  rpm INTEGER,
  tpm INTEGER,
  rpd INTEGER,
  concurrency INTEGER,
  burst_ms INTEGER,
  shadow INTEGER NOT NULL,
  tier TEXT,
  changed INTEGER NOT NULL,
  UNIQUE (kind, subject, model)
) STRICT;
CREATE INDEX rate_limit_changed ON rate_limit (changed);
";

/// What counts as used of requests per day, a step of the migrations.
pub(super) const LEVELS: &str = "
CREATE TABLE limit_level (id INTEGER PRIMARY KEY, used INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
";

/// The rows, within a transaction.
pub(super) struct Table<'c> {
    pub(super) change: &'c Change<'c>,
    pub(super) now: UnixMillis,
}

const COLUMNS: &str = "SELECT id, kind, subject, model, rpm, tpm, rpd, concurrency, burst_ms,
    shadow, tier FROM rate_limit";

impl Rows for Table<'_> {
    type Error = Fault;

    fn of(&self, subject: &Subject) -> Result<Vec<LimitRecord>, Fault> {
        let filter = "WHERE kind = ?1 AND subject = ?2 ORDER BY id";
        Ok(select(self.change, filter, [subject.what(), &place(subject)])?)
    }

    fn put(&mut self, record: LimitRecord) -> Result<LimitRecord, Fault> {
        const SQL: &str = "
            INSERT INTO rate_limit (kind, subject, model, rpm, tpm, rpd, concurrency, burst_ms,
                                    shadow, tier, changed)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
            ON CONFLICT (kind, subject, model) DO UPDATE SET
              rpm = excluded.rpm, tpm = excluded.tpm, rpd = excluded.rpd,
              concurrency = excluded.concurrency, burst_ms = excluded.burst_ms,
              shadow = excluded.shadow, tier = excluded.tier, changed = excluded.changed
            RETURNING id";
        let spec = &record.spec;
        let values = params![
            record.subject.what(),
            place(&record.subject),
            record.model.as_deref().unwrap_or_default(),
            spec.rpm.map(number),
            spec.tpm.map(number),
            spec.rpd.map(number),
            spec.concurrency.map(number),
            spec.burst.map(|burst| i64::try_from(burst.as_millis()).unwrap_or(i64::MAX)),
            spec.shadow,
            record.tier,
            tick(self.change)?,
        ];
        let id: i64 = self.change.query_row(SQL, values, |row| row.get(0))?;
        Ok(LimitRecord { id: id.unsigned_abs(), ..record })
    }

    fn note(&mut self, verb: &str, old: &LimitRecord, new: &LimitRecord) -> Result<(), Fault> {
        let (before, after) = (describe::limit(old), describe::limit(new));
        self.change.note_down(self.now, verb, &new.subject.id(), before, after)
    }
}

/// The subject as the table writes it.
fn place(subject: &Subject) -> String {
    match subject {
        Subject::Organization(id) | Subject::Project(id) => id.to_string(),
        Subject::Key(public) => public.as_str().to_owned(),
    }
}

fn resolved(change: &Transaction<'_>, subject: &Subject) -> Result<Subject, Fault> {
    if let Subject::Key(public) = subject {
        one_key(change, *public)?;
    }
    let (organizations, projects) = (rows::organizations(change, 0)?, rows::projects(change, 0)?);
    Ok(limits::resolve(subject, &organizations, &projects)?)
}

fn select(from: &Connection, filter: &str, values: impl Params) -> Result<Vec<LimitRecord>> {
    let mut query = from.prepare(&format!("{COLUMNS} {filter}"))?;
    query.query_map(values, read)?.collect()
}

fn read(row: &Row<'_>) -> Result<LimitRecord> {
    let (kind, subject): (String, String) = (row.get(1)?, row.get(2)?);
    let strange = |what: String| rows::strange(2, what);
    let subject = match kind.as_str() {
        "organization" => Subject::Organization(subject.into()),
        "project" => Subject::Project(subject.into()),
        "key" => Subject::Key(subject.parse().map_err(|_| strange("no public part".to_owned()))?),
        other => return Err(strange(format!("`{other}` is no kind of subject"))),
    };
    let model: Box<str> = row.get(3)?;
    let number = |column: usize| row.get::<_, Option<i64>>(column);
    let burst = number(8)?.map(|millis| Duration::from_millis(millis.unsigned_abs()));
    Ok(LimitRecord {
        id: row.get::<_, i64>(0)?.unsigned_abs(),
        subject,
        model: (!model.is_empty()).then_some(model),
        spec: LimitSpec {
            rpm: number(4)?.map(i64::unsigned_abs),
            tpm: number(5)?.map(i64::unsigned_abs),
            rpd: number(6)?.map(i64::unsigned_abs),
            concurrency: number(7)?.map(i64::unsigned_abs),
            burst,
            shadow: row.get(9)?,
        },
        tier: row.get(10)?,
    })
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl LimitStore for Sqlite {
    fn set_limit(
        &self,
        subject: &Subject,
        model: Option<&str>,
        patch: &LimitPatch,
        now: UnixMillis,
    ) -> Result<LimitRecord, StoreError> {
        let (subject, model, patch) = (subject.clone(), model.map(str::to_owned), *patch);
        self.change("set a limit", move |change| {
            let subject = resolved(change, &subject)?;
            limits::set(&mut Table { change, now }, &subject, model.as_deref(), &patch)
        })
    }

    fn remove_limit(
        &self,
        subject: &Subject,
        model: Option<&str>,
        now: UnixMillis,
    ) -> Result<LimitRecord, StoreError> {
        let (subject, model) = (subject.clone(), model.map(str::to_owned));
        self.change("remove a limit", move |change| {
            let subject = resolved(change, &subject)?;
            limits::remove(&mut Table { change, now }, &subject, model.as_deref())
        })
    }

    fn set_tier(
        &self,
        subject: &Subject,
        tier: &str,
        tier_limits: &[TierLimit],
        now: UnixMillis,
    ) -> Result<Vec<LimitRecord>, StoreError> {
        let (subject, tier, tier_limits) = (subject.clone(), tier.to_owned(), tier_limits.to_vec());
        self.change("set a tier", move |change| {
            let subject = resolved(change, &subject)?;
            limits::set_tier(&mut Table { change, now }, &subject, &tier, &tier_limits)
        })
    }

    fn limits(&self) -> Result<Vec<LimitRecord>, StoreError> {
        self.ask("list limits", |connection| {
            let mut all = select(connection, "ORDER BY id", [])?;
            all.retain(|limit| !limit.spec.is_empty());
            Ok(all)
        })
    }

    fn limits_since(&self, epoch: u64) -> Result<(u64, Vec<LimitRecord>), StoreError> {
        let after = number(epoch);
        self.ask("read what changed in limits", move |connection| {
            let view = connection.transaction()?;
            let changed = select(&view, "WHERE changed > ?1 ORDER BY id", [after])?;
            Ok((rows::epoch(&view)?, changed))
        })
    }

    fn put_levels(&self, levels: &[LimitLevel], now: UnixMillis) -> Result<(), StoreError> {
        let levels = levels.to_vec();
        self.change("remember what is used of limits", move |change| {
            let sql = "INSERT OR REPLACE INTO limit_level (id, used, at) VALUES (?1, ?2, ?3)";
            let mut put = change.prepare(sql)?;
            for LimitLevel { id, used, at } in &levels {
                put.execute(params![number(*id), number(*used), number(at.0)])?;
            }
            let before = number(limits::levels_from(now).0);
            change.execute("DELETE FROM limit_level WHERE at < ?1", [before])?;
            Ok(())
        })
    }

    fn levels(&self) -> Result<Vec<LimitLevel>, StoreError> {
        self.ask("read what is used of limits", |connection| {
            let mut query =
                connection.prepare("SELECT id, used, at FROM limit_level ORDER BY id")?;
            let levels = query.query_map([], |row| {
                let number = |column: usize| row.get::<_, i64>(column).map(i64::unsigned_abs);
                Ok(LimitLevel { id: number(0)?, used: number(1)?, at: UnixMillis(number(2)?) })
            })?;
            Ok(levels.collect::<Result<_>>()?)
        })
    }
}
