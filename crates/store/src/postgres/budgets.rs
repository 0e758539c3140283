//! Budgets in PostgreSQL.

use mainstay_core::money::Usd;
use mainstay_core::money::budget::{Alert, Every, Owner};
use mainstay_core::store::{
    BudgetAlert, BudgetOf, BudgetRecord, BudgetStore, NewBudget, SpentOf, StoreError, UnixMillis,
    UsageRow, UsageStore, key_id, public_of_id,
};
use tokio_postgres::Row;

use super::fault::Fault;
use super::rows::{millis, signed, strange, text, time, unsigned};
use super::session::{Session, Values};
use super::{Change, Postgres, alerts, ledger, rows, tick};
use crate::ledger::tables;
use crate::{describe, model};

impl BudgetStore for Postgres {
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
            if let Some(BudgetRecord { id, since, baseline, created_at, .. }) = &old {
                let (id, since, created_at) = (*id, *since, *created_at);
                record = BudgetRecord { id, since, baseline: *baseline, created_at, ..record };
            } else {
                record.baseline = spent(change, &record)?;
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
        self.view("find a budget's owner", move |view| owner(view, &of))
    }

    fn budgets_since(&self, epoch: u64) -> Result<Vec<BudgetRecord>, StoreError> {
        let after = signed(epoch);
        self.ask("list budgets", move |session| {
            select(session, "WHERE changed > $1 ORDER BY id", &[&after])
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

/// What had been spent since the quarter of an hour in which a budget is made.
fn spent(change: &Change<'_, '_>, new: &BudgetRecord) -> Result<Usd, Fault> {
    let (project, key) = match &new.owner {
        Owner::Organization => (None, None),
        Owner::Project(id) => (Some(id.clone()), None),
        Owner::Key(id) => (None, Some(id.clone())),
    };
    let of = SpentOf { org: new.org.clone(), project, key, from: new.since, to: None };
    ledger::spent(change, &of)
}

/// Puts a change on record, under the owner's id.
fn note(
    change: &Change<'_, '_>,
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
    change: &Session<'_>,
    old: &str,
    new: &str,
    now: UnixMillis,
) -> Result<(), Fault> {
    let filter = "WHERE kind = 'key' AND owner = $1 AND NOT removed ORDER BY id";
    for record in select(change, filter, &[&old])? {
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

fn select(
    from: &Session<'_>,
    filter: &str,
    values: Values<'_>,
) -> Result<Vec<BudgetRecord>, Fault> {
    from.query(&format!("{SELECT} {filter}"), values)?.iter().map(read).collect()
}

/// Who is meant: the organization's id and the owner within it.
fn owner(from: &Session<'_>, of: &BudgetOf) -> Result<(Box<str>, Owner), Fault> {
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
            let key = rows::one_key(from, public)?;
            Ok((key.org.clone(), Owner::Key(key_id(public).into())))
        }
    }
}

fn named(from: &Session<'_>, of: &BudgetOf, every: Option<Every>) -> Result<BudgetRecord, Fault> {
    let (org, owner) = owner(from, of)?;
    Ok(find(from, &owner, &org, every)?.ok_or_else(|| model::no_budget(of, every))?)
}

/// The owner's budget: of that kind of period, or the only one.
fn find(
    from: &Session<'_>,
    owner: &Owner,
    org: &str,
    every: Option<Every>,
) -> Result<Option<BudgetRecord>, Fault> {
    let (kind, id) = words(owner, org);
    let filter = "WHERE kind = $1 AND owner = $2 AND NOT removed ORDER BY id";
    Ok(model::one_budget(select(from, filter, &[&kind, &id])?, every)?)
}

/// Writes a budget over the one with its id; id 0 is a new one.
fn put(change: &Session<'_>, mut record: BudgetRecord) -> Result<BudgetRecord, Fault> {
    const NEW: &str = "
        INSERT INTO budget (org, kind, owner, amount, credits, every, zone, hard, alerts, since,
                            baseline, created_at, removed, changed)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        RETURNING id";
    const OLD: &str = "
        UPDATE budget SET amount = $2, credits = $3, zone = $4, hard = $5, alerts = $6, removed = $7,
                          changed = $8
        WHERE id = $1";
    let changed = tick(change)?;
    let (amount, credits) = (record.amount.exact(), record.credits.exact());
    let BudgetRecord { zone, hard, alerts, removed, .. } = &record;
    if record.id > 0 {
        let values: Values<'_> = &[
            &signed(record.id),
            &amount,
            &credits,
            &&**zone,
            hard,
            &&alerts[..],
            removed,
            &changed,
        ];
        change.execute(OLD, values)?;
        return Ok(record);
    }
    let (kind, owner) = words(&record.owner, &record.org);
    let row = change.query_one(
        NEW,
        &[
            &&*record.org,
            &kind,
            &owner,
            &amount,
            &credits,
            &record.every.name(),
            &&**zone,
            hard,
            &&alerts[..],
            &millis(record.since),
            &record.baseline.pico().to_string(),
            &millis(record.created_at),
            removed,
            &changed,
        ],
    )?;
    record.id = unsigned(row.try_get(0)?);
    Ok(record)
}

pub(super) fn words<'r>(owner: &'r Owner, org: &'r str) -> (&'static str, &'r str) {
    match owner {
        Owner::Organization => ("org", org),
        Owner::Project(id) => ("project", id),
        Owner::Key(id) => ("key", id),
    }
}

/// What [`words`] tells, read back.
pub(super) fn owner_of(kind: &str, id: &str) -> Result<Owner, Fault> {
    match kind {
        "org" => Ok(Owner::Organization),
        "project" => Ok(Owner::Project(id.into())),
        "key" => Ok(Owner::Key(id.into())),
        _ => Err(strange(&format!("`{kind}` is no kind of owner"))),
    }
}

fn read(row: &Row) -> Result<BudgetRecord, Fault> {
    let money = |column: usize| -> Result<Usd, Fault> {
        Usd::parse(row.try_get(column)?).map_err(|_| strange("a budget has no amount"))
    };
    let (alerts, baseline): (&[u8], &str) = (row.try_get(9)?, row.try_get(11)?);
    let baseline = baseline.parse().map_err(|_| strange("a budget has no baseline"))?;
    Ok(BudgetRecord {
        id: unsigned(row.try_get(0)?),
        org: text(row, 1)?,
        owner: owner_of(row.try_get(2)?, row.try_get(3)?)?,
        amount: money(4)?,
        credits: money(5)?,
        every: Every::from_name(row.try_get(6)?)
            .ok_or_else(|| strange("a budget has no period"))?,
        zone: text(row, 7)?,
        hard: row.try_get(8)?,
        alerts: alerts.into(),
        since: time(row, 10)?,
        baseline: Usd::from_pico(baseline),
        created_at: time(row, 12)?,
        removed: row.try_get(13)?,
    })
}

impl UsageStore for Postgres {
    fn usage(
        &self,
        from: UnixMillis,
        to: Option<UnixMillis>,
        each: &mut dyn FnMut(UsageRow),
    ) -> Result<(), StoreError> {
        let found = self.view("read what was used", move |view| ledger::usage(view, from, to))?;
        found.into_iter().for_each(each);
        Ok(())
    }
}
