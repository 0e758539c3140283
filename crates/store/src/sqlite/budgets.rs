//! Budgets in the store's file.

use mainstay_core::money::Usd;
use mainstay_core::money::budget::{Alert, Every, Owner};
use mainstay_core::store::{
    BudgetAlert, BudgetOf, BudgetRecord, BudgetStore, NewBudget, StoreError, UnixMillis, key_id,
    public_of_id,
};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{Change, Fault, Sqlite, alerts, one_key, rows, tick};
use crate::ledger::tables;
use crate::{describe, model};

impl BudgetStore for Sqlite {
    fn set_budget(&self, new: NewBudget, now: UnixMillis) -> Result<BudgetRecord, StoreError> {
        model::check_budget(&new)?;
        self.change("set a budget", move |change| {
            let (org, owner) = owner(change, &new.of)?;
            let since = tables::slot_start(now);
            let mut record = BudgetRecord {
                id: 0,
                baseline: Usd::ZERO,
                org,
                owner,
                amount: new.amount,
                credits: Usd::ZERO,
                every: new.every,
                zone: new.zone.into(),
                hard: new.hard,
                alerts: new.alerts.into(),
                since,
                created_at: now,
                removed: false,
            };
            let old = find(change, &record.owner, &record.org, Some(new.every))?;
            match &old {
                Some(BudgetRecord { id, since, baseline, created_at, .. }) => {
                    let (id, since, created_at) = (*id, *since, *created_at);
                    record = BudgetRecord { id, since, baseline: *baseline, created_at, ..record };
                }
                None => record.baseline = spent(change, &record, since)?,
            }
            let set = put(change, record)?;
            note(change, now, "budget.set", old.as_ref(), &set)?;
            Ok(set)
        })
    }

    fn raise_budget(
        &self,
        of: &BudgetOf,
        every: Option<Every>,
        by: Usd,
        now: UnixMillis,
    ) -> Result<BudgetRecord, StoreError> {
        let of = of.clone();
        self.change("raise a budget", move |change| {
            let old = named(change, &of, every)?;
            let new = put(change, model::raised(old.clone(), by)?)?;
            note(change, now, "budget.raise", Some(&old), &new)?;
            Ok(new)
        })
    }

    fn remove_budget(
        &self,
        of: &BudgetOf,
        every: Option<Every>,
        now: UnixMillis,
    ) -> Result<BudgetRecord, StoreError> {
        let of = of.clone();
        self.change("remove a budget", move |change| {
            let old = named(change, &of, every)?;
            let new = put(change, BudgetRecord { removed: true, ..old.clone() })?;
            note(change, now, "budget.remove", Some(&old), &new)?;
            Ok(new)
        })
    }

    fn budget_owner(&self, of: &BudgetOf) -> Result<(Box<str>, Owner), StoreError> {
        let of = of.clone();
        self.ask("find a budget's owner", move |connection| owner(connection, &of))
    }

    fn budgets_since(&self, epoch: u64) -> Result<Vec<BudgetRecord>, StoreError> {
        let after = i64::try_from(epoch).unwrap_or(i64::MAX);
        self.ask("list budgets", move |connection| {
            let sql = format!("{SELECT} WHERE changed > ?1 ORDER BY id");
            let mut query = connection.prepare(&sql)?;
            Ok(query.query_map([after], read)?.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn raise_alert(
        &self,
        org: &str,
        alert: &Alert,
        now: UnixMillis,
    ) -> Result<Option<BudgetAlert>, StoreError> {
        alerts::raise(self, org, alert, now)
    }

    fn alerts(&self, after: u64, most: usize) -> Result<Vec<BudgetAlert>, StoreError> {
        alerts::list(self, after, most)
    }
}

/// Puts a change on record, under the owner's id.
fn note(
    change: &Change<'_>,
    now: UnixMillis,
    verb: &str,
    old: Option<&BudgetRecord>,
    new: &BudgetRecord,
) -> Result<(), Fault> {
    let (_, owner) = words(&new.owner, &new.org);
    change.note_down(now, verb, owner, old.and_then(describe::budget), describe::budget(new))
}

/// Gives a key's successor budgets like its own, so that changing a key frees nobody of a limit.
pub(super) fn copy_to_successor(
    change: &Transaction<'_>,
    old: &str,
    new: &str,
    now: UnixMillis,
) -> Result<(), Fault> {
    let sql = format!("{SELECT} WHERE kind = 'key' AND owner = ?1 AND removed = 0 ORDER BY id");
    let found: Vec<BudgetRecord> =
        change.prepare(&sql)?.query_map([old], read)?.collect::<rusqlite::Result<_>>()?;
    for record in found {
        put(
            change,
            BudgetRecord {
                id: 0,
                owner: Owner::Key(new.into()),
                since: tables::slot_start(now),
                baseline: Usd::ZERO,
                created_at: now,
                ..record
            },
        )?;
    }
    Ok(())
}

const SELECT: &str = "
    SELECT id, org, kind, owner, amount, credits, every, zone, hard, alerts, since, baseline,
           created_at, removed
    FROM budget";

/// Who is meant: the organization's id and the owner within it.
fn owner(from: &Connection, of: &BudgetOf) -> Result<(Box<str>, Owner), Fault> {
    match of {
        BudgetOf::Organization(wanted) => {
            let all = rows::organizations(from, 0)?;
            let by_id = all.iter().find(|org| *org.id == **wanted);
            let org = by_id.or_else(|| all.iter().find(|org| *org.name == **wanted));
            let org = org.ok_or_else(|| model::absent("organization", wanted))?;
            Ok((org.id.clone(), Owner::Organization))
        }
        BudgetOf::Project(wanted) => {
            let all = rows::projects(from, 0)?;
            let project = model::find_project(all.iter(), Some(wanted))?;
            Ok((project.org.clone(), Owner::Project(project.id.clone())))
        }
        BudgetOf::Key(wanted) => {
            let public = public_of_id(wanted).ok_or_else(|| model::absent("key", wanted))?;
            let key = one_key(from, public)?;
            Ok((key.org.clone(), Owner::Key(key_id(public).into())))
        }
    }
}

fn named(from: &Connection, of: &BudgetOf, every: Option<Every>) -> Result<BudgetRecord, Fault> {
    let (org, owner) = owner(from, of)?;
    Ok(find(from, &owner, &org, every)?.ok_or_else(|| model::no_budget(of, every))?)
}

/// The owner's budget: of that kind of period, or the only one.
fn find(
    from: &Connection,
    owner: &Owner,
    org: &str,
    every: Option<Every>,
) -> Result<Option<BudgetRecord>, Fault> {
    let (kind, id) = words(owner, org);
    let sql = format!("{SELECT} WHERE kind = ?1 AND owner = ?2 AND removed = 0 ORDER BY id");
    let mut query = from.prepare(&sql)?;
    let found: Vec<BudgetRecord> =
        query.query_map([kind, id], read)?.collect::<rusqlite::Result<_>>()?;
    Ok(model::one_budget(found, every)?)
}

fn put(change: &Transaction<'_>, mut record: BudgetRecord) -> Result<BudgetRecord, Fault> {
    const SQL: &str = "
        INSERT INTO budget (id, org, kind, owner, amount, credits, every, zone, hard, alerts, since,
                            baseline, created_at, removed, changed)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
        ON CONFLICT (id) DO UPDATE SET
          amount = excluded.amount, credits = excluded.credits, zone = excluded.zone,
          hard = excluded.hard, alerts = excluded.alerts, removed = excluded.removed,
          changed = excluded.changed
        RETURNING id";
    let changed = tick(change)?;
    let (kind, owner) = words(&record.owner, &record.org);
    let millis = |time: UnixMillis| i64::try_from(time.0).unwrap_or(i64::MAX);
    let fresh = record.id == 0;
    let id: i64 = change.prepare(SQL)?.query_row(
        params![
            (!fresh).then(|| i64::try_from(record.id).unwrap_or(i64::MAX)),
            record.org,
            kind,
            owner,
            record.amount.exact(),
            record.credits.exact(),
            record.every.name(),
            record.zone,
            record.hard,
            &record.alerts[..],
            millis(record.since),
            record.baseline.pico().to_string(),
            millis(record.created_at),
            record.removed,
            changed,
        ],
        |row| row.get(0),
    )?;
    record.id = u64::try_from(id).unwrap_or(0);
    Ok(record)
}

pub(super) fn words<'r>(owner: &'r Owner, org: &'r str) -> (&'static str, &'r str) {
    match owner {
        Owner::Organization => ("org", org),
        Owner::Project(id) => ("project", id),
        Owner::Key(id) => ("key", id),
    }
}

/// What the owner had spent in the slot in which his budget is made: it counts from its making on.
fn spent(from: &Connection, record: &BudgetRecord, since: UnixMillis) -> Result<Usd, Fault> {
    let number = |name: &str| -> rusqlite::Result<Option<u32>> {
        let sql = "SELECT id FROM ledger_name WHERE name = ?1";
        from.query_row(sql, [name], |row| row.get(0)).optional()
    };
    let Some(org) = number(&record.org)? else { return Ok(Usd::ZERO) };
    let (project, key) = match &record.owner {
        Owner::Organization => (None, None),
        Owner::Project(id) => (Some(number(id)?), None),
        Owner::Key(id) => (None, Some(number(id)?)),
    };
    let mut sum = Usd::ZERO;
    tables::each_sum(from, tables::slot_of(since)..i64::MAX, &mut |place, sums| {
        let fits = place.1 == org
            && project.is_none_or(|project| project == Some(place.2))
            && key.is_none_or(|key| key == Some(place.3));
        if fits {
            sum = sum.plus(sums.cost).unwrap_or(Usd::MAX);
        }
    })?;
    Ok(sum)
}

fn read(row: &Row<'_>) -> rusqlite::Result<BudgetRecord> {
    let strange = |column: usize, what: &str| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.to_owned().into())
    };
    let money = |column: usize| {
        let text: String = row.get(column)?;
        Usd::parse(&text).map_err(|_| strange(column, "no amount"))
    };
    let time = |column: usize| -> rusqlite::Result<UnixMillis> {
        Ok(UnixMillis(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0)))
    };
    let (kind, owner): (String, Box<str>) = (row.get(2)?, row.get(3)?);
    let every: String = row.get(6)?;
    let alerts: Vec<u8> = row.get(9)?;
    let baseline: String = row.get(11)?;
    let id: i64 = row.get(0)?;
    Ok(BudgetRecord {
        id: u64::try_from(id).unwrap_or(0),
        org: row.get(1)?,
        owner: match kind.as_str() {
            "org" => Owner::Organization,
            "project" => Owner::Project(owner),
            "key" => Owner::Key(owner),
            _ => return Err(strange(2, "no kind of owner")),
        },
        amount: money(4)?,
        credits: money(5)?,
        every: Every::from_name(&every).ok_or_else(|| strange(6, "no kind of period"))?,
        zone: row.get(7)?,
        hard: row.get(8)?,
        alerts: alerts.into(),
        since: time(10)?,
        baseline: Usd::from_pico(baseline.parse().map_err(|_| strange(11, "no amount"))?),
        created_at: time(12)?,
        removed: row.get(13)?,
    })
}
