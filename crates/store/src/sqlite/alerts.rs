//! Alerts of budgets in SQLite: one row for each budget, period, percentage and limit.

use mainstay_core::money::Usd;
use mainstay_core::money::budget::{Alert, Owner};
use mainstay_core::store::{ALERTS_MAX, BudgetAlert, StoreError, UnixMillis};
use rusqlite::types::Type;
use rusqlite::{Result, Row, params};

use super::Sqlite;
use super::budgets::words;
use super::rows::{millis, time};

/// The table, a step of the migrations.
pub(super) const TABLE: &str = "
CREATE TABLE budget_alert (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  org TEXT NOT NULL,
  budget INTEGER NOT NULL,
  kind TEXT NOT NULL,
  owner TEXT NOT NULL,
  percent INTEGER NOT NULL,
  since INTEGER NOT NULL,
  settled TEXT NOT NULL,
  total TEXT NOT NULL,
  UNIQUE (budget, since, percent, total)
) STRICT;
";

pub(super) fn raise(
    store: &Sqlite,
    org: &str,
    alert: &Alert,
    now: UnixMillis,
) -> Result<Option<BudgetAlert>, StoreError> {
    const SQL: &str = "
        INSERT INTO budget_alert (at, org, budget, kind, owner, percent, since, settled, total)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING";
    let (org, alert): (Box<str>, _) = (org.into(), alert.clone());
    store.change("put an alert on record", move |change| {
        let (kind, owner) = words(&alert.owner, &org);
        let budget = i64::try_from(alert.rule).unwrap_or(i64::MAX);
        let values = params![
            millis(now),
            org,
            budget,
            kind,
            owner,
            alert.percent,
            millis(alert.since),
            alert.settled.exact(),
            alert.limit.exact(),
        ];
        if change.execute(SQL, values)? == 0 {
            return Ok(None);
        }
        let id = change.last_insert_rowid();
        let oldest = id.saturating_sub(i64::try_from(ALERTS_MAX).unwrap_or(i64::MAX));
        change.execute("DELETE FROM budget_alert WHERE id <= ?1", [oldest])?;
        let id = u64::try_from(id).unwrap_or(0);
        Ok(Some(BudgetAlert { id, at: now, org: org.clone(), alert: alert.clone() }))
    })
}

pub(super) fn list(
    store: &Sqlite,
    after: u64,
    most: usize,
) -> Result<Vec<BudgetAlert>, StoreError> {
    const SQL: &str = "
        SELECT id, at, org, budget, kind, owner, percent, since, settled, total
        FROM budget_alert WHERE id > ?1 ORDER BY id";
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    store.ask("list alerts of budgets", move |connection| {
        // Asked every second. A limit that is bound would let SQLite plan it anew each time.
        let mut query = connection.prepare_cached(SQL)?;
        Ok(query.query_map([after], read)?.take(most).collect::<Result<_>>()?)
    })
}

fn read(row: &Row<'_>) -> Result<BudgetAlert> {
    let strange = |column: usize, what: &str| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.to_owned().into())
    };
    let money = |column: usize| {
        let text: String = row.get(column)?;
        Usd::parse(&text).map_err(|_| strange(column, "no amount"))
    };
    let number = |column: usize| row.get::<_, i64>(column).map(i64::unsigned_abs);
    let (kind, owner): (String, Box<str>) = (row.get(4)?, row.get(5)?);
    Ok(BudgetAlert {
        id: number(0)?,
        at: time(row, 1)?,
        org: row.get(2)?,
        alert: Alert {
            rule: number(3)?,
            owner: match kind.as_str() {
                "org" => Owner::Organization,
                "project" => Owner::Project(owner),
                "key" => Owner::Key(owner),
                _ => return Err(strange(4, "no kind of owner")),
            },
            percent: row.get(6)?,
            since: time(row, 7)?,
            settled: money(8)?,
            limit: money(9)?,
        },
    })
}
