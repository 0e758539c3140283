//! Limits in PostgreSQL.

use std::time::Duration;

use mainstay_core::rules::limits::LimitSpec;
use mainstay_core::store::{
    LimitLevel, LimitPatch, LimitRecord, LimitStore, StoreError, Subject, TierLimit, UnixMillis,
};
use tokio_postgres::Row;

use super::fault::Fault;
use super::rows::{signed, strange, text, time, unsigned};
use super::session::{Session, Values};
use super::{Change, Postgres, rows, tick};
use crate::describe;
use crate::model::limits::{self, Rows};

/// The rows, within a transaction.
pub(super) struct Table<'c, 's, 'l> {
    pub(super) change: &'c Change<'s, 'l>,
    pub(super) now: UnixMillis,
}

const COLUMNS: &str = "SELECT id, kind, subject, model, rpm, tpm, rpd, concurrency, burst_ms,
    shadow, tier FROM rate_limit";

impl Rows for Table<'_, '_, '_> {
    type Error = Fault;

    fn of(&self, subject: &Subject) -> Result<Vec<LimitRecord>, Fault> {
        let filter = "WHERE kind = $1 AND subject = $2 ORDER BY id";
        select(self.change, filter, &[&subject.what(), &place(subject)])
    }

    fn put(&mut self, record: LimitRecord) -> Result<LimitRecord, Fault> {
        const SQL: &str = "
            INSERT INTO rate_limit (kind, subject, model, rpm, tpm, rpd, concurrency, burst_ms,
                                    shadow, tier, changed)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            ON CONFLICT (kind, subject, model) DO UPDATE SET
              rpm = excluded.rpm, tpm = excluded.tpm, rpd = excluded.rpd,
              concurrency = excluded.concurrency, burst_ms = excluded.burst_ms,
              shadow = excluded.shadow, tier = excluded.tier, changed = excluded.changed
            RETURNING id";
        let spec = &record.spec;
        let burst = spec.burst.map(|burst| i64::try_from(burst.as_millis()).unwrap_or(i64::MAX));
        let row = self.change.query_one(
            SQL,
            &[
                &record.subject.what(),
                &place(&record.subject),
                &record.model.as_deref().unwrap_or_default(),
                &spec.rpm.map(signed),
                &spec.tpm.map(signed),
                &spec.rpd.map(signed),
                &spec.concurrency.map(signed),
                &burst,
                &spec.shadow,
                &record.tier.as_deref(),
                &tick(self.change)?,
            ],
        )?;
        Ok(LimitRecord { id: unsigned(row.try_get(0)?), ..record })
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

fn resolved(change: &Session<'_>, subject: &Subject) -> Result<Subject, Fault> {
    if let Subject::Key(public) = subject {
        rows::one_key(change, *public)?;
    }
    let (organizations, projects) = (rows::organizations(change, 0)?, rows::projects(change, 0)?);
    Ok(limits::resolve(subject, &organizations, &projects)?)
}

fn select(from: &Session<'_>, filter: &str, values: Values<'_>) -> Result<Vec<LimitRecord>, Fault> {
    from.query(&format!("{COLUMNS} {filter}"), values)?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<LimitRecord, Fault> {
    let (kind, subject): (&str, &str) = (row.try_get(1)?, row.try_get(2)?);
    let subject = match kind {
        "organization" => Subject::Organization(subject.into()),
        "project" => Subject::Project(subject.into()),
        "key" => Subject::Key(subject.parse().map_err(|_| strange("a limit is of no key"))?),
        other => return Err(strange(&format!("`{other}` is no kind of subject"))),
    };
    let model = text(row, 3)?;
    let number = |column: usize| -> Result<Option<u64>, Fault> {
        Ok(row.try_get::<_, Option<i64>>(column)?.map(unsigned))
    };
    let tier: Option<&str> = row.try_get(10)?;
    Ok(LimitRecord {
        id: unsigned(row.try_get(0)?),
        subject,
        model: (!model.is_empty()).then_some(model),
        spec: LimitSpec {
            rpm: number(4)?,
            tpm: number(5)?,
            rpd: number(6)?,
            concurrency: number(7)?,
            burst: number(8)?.map(Duration::from_millis),
            shadow: row.try_get(9)?,
        },
        tier: tier.map(Into::into),
    })
}

impl LimitStore for Postgres {
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
        self.ask("list limits", |session| {
            let mut all = select(session, "ORDER BY id", &[])?;
            all.retain(|limit| !limit.spec.is_empty());
            Ok(all)
        })
    }

    fn limits_since(&self, epoch: u64) -> Result<(u64, Vec<LimitRecord>), StoreError> {
        let after = signed(epoch);
        self.view("read what changed in limits", move |view| {
            let changed = select(view, "WHERE changed > $1 ORDER BY id", &[&after])?;
            Ok((rows::epoch(view)?, changed))
        })
    }

    fn put_levels(&self, levels: &[LimitLevel], now: UnixMillis) -> Result<(), StoreError> {
        const SQL: &str = "
            WITH gone AS (DELETE FROM limit_level WHERE at < $4 AND id <> ALL ($1))
            INSERT INTO limit_level (id, used, at)
            SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) ORDER BY 1
            ON CONFLICT (id) DO UPDATE SET used = excluded.used, at = excluded.at";
        let each = |part: fn(&LimitLevel) -> u64| -> Vec<i64> {
            levels.iter().map(|level| signed(part(level))).collect()
        };
        let (ids, used, at) = (each(|one| one.id), each(|one| one.used), each(|one| one.at.0));
        let before = signed(limits::levels_from(now).0);
        self.ask("remember what is used of limits", move |session| {
            session.execute(SQL, &[&ids, &used, &at, &before])?;
            Ok(())
        })
    }

    fn levels(&self) -> Result<Vec<LimitLevel>, StoreError> {
        self.ask("read what is used of limits", |session| {
            let rows = session.query("SELECT id, used, at FROM limit_level ORDER BY id", &[])?;
            rows.iter()
                .map(|row| {
                    let (id, used) = (unsigned(row.try_get(0)?), unsigned(row.try_get(1)?));
                    Ok(LimitLevel { id, used, at: time(row, 2)? })
                })
                .collect()
        })
    }
}
