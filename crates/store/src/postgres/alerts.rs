//! Alerts of budgets in PostgreSQL: one row for each budget, period, percentage and limit.

use mainstay_core::money::Usd;
use mainstay_core::money::budget::Alert;
use mainstay_core::store::{ALERTS_MAX, BudgetAlert, StoreError, UnixMillis};
use tokio_postgres::Row;

use super::Postgres;
use super::budgets::{owner_of, words};
use super::ear;
use super::fault::Fault;
use super::rows::{millis, signed, strange, text, time, unsigned};

pub(super) fn raise(
    store: &Postgres,
    org: &str,
    alert: &Alert,
    now: UnixMillis,
) -> Result<Option<BudgetAlert>, StoreError> {
    const SQL: &str = "
        INSERT INTO budget_alert (at, org, budget, kind, owner, percent, since, settled, total)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING id";
    let (org, alert): (Box<str>, _) = (org.into(), alert.clone());
    // As a change, though none: whoever tells of alerts goes on from the last number he saw, and
    // with two writers at once a smaller number could become visible after a larger one.
    store.change("put an alert on record", move |change| {
        let (kind, owner) = words(&alert.owner, &org);
        let row = change.query_opt(
            SQL,
            &[
                &millis(now),
                &&*org,
                &signed(alert.rule),
                &kind,
                &owner,
                &i16::from(alert.percent),
                &millis(alert.since),
                &alert.settled.exact(),
                &alert.limit.exact(),
            ],
        )?;
        let Some(row) = row else { return Ok(None) };
        // Whoever listens looks at alerts too.
        change.query_one(ear::TELL, &[])?;
        let id: i64 = row.try_get(0)?;
        let oldest = id.saturating_sub(i64::try_from(ALERTS_MAX).unwrap_or(i64::MAX));
        change.execute("DELETE FROM budget_alert WHERE id <= $1", &[&oldest])?;
        Ok(Some(BudgetAlert { id: unsigned(id), at: now, org: org.clone(), alert }))
    })
}

pub(super) fn list(
    store: &Postgres,
    after: u64,
    most: usize,
) -> Result<Vec<BudgetAlert>, StoreError> {
    const SQL: &str = "
        SELECT id, at, org, budget, kind, owner, percent, since, settled, total
        FROM budget_alert WHERE id > $1 ORDER BY id LIMIT $2";
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    store.ask("list alerts of budgets", move |session| {
        session.query(SQL, &[&signed(after), &most])?.iter().map(read).collect()
    })
}

fn read(row: &Row) -> Result<BudgetAlert, Fault> {
    let money = |column: usize| -> Result<Usd, Fault> {
        Usd::parse(row.try_get(column)?).map_err(|_| strange("an alert has no amount"))
    };
    let percent: i16 = row.try_get(6)?;
    Ok(BudgetAlert {
        id: unsigned(row.try_get(0)?),
        at: time(row, 1)?,
        org: text(row, 2)?,
        alert: Alert {
            rule: unsigned(row.try_get(3)?),
            owner: owner_of(row.try_get(4)?, row.try_get(5)?)?,
            percent: u8::try_from(percent).map_err(|_| strange("an alert has no percentage"))?,
            since: time(row, 7)?,
            settled: money(8)?,
            limit: money(9)?,
        },
    })
}
