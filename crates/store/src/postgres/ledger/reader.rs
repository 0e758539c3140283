//! Reading the ledger in PostgreSQL beside gateways that write it: usage, sums, export.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mainstay_core::money::Usd;
use mainstay_core::store::{ReservationId, SpentOf, StoreError, UnixMillis, UsageRow};
use mainstay_core::wire::usage::Usage;
use tokio_postgres::Row;

use super::super::address::Address;
use super::super::fault::Fault;
use super::super::lane::Lane;
use super::super::session::Session;
use super::bring::amount;
use super::{gone, verify};
use crate::ledger::record::{Record, basis_of, kind_of};
use crate::ledger::{ExportRow, Verified, tables};
use crate::open::{GaveUp, LedgerGateway};

/// How long a page of entries may take.
const PAGE_TIME: Duration = Duration::from_secs(30);
/// How long adding everything up again may take.
const VERIFY_MAX: Duration = Duration::from_secs(3_600);
/// Entries read at once.
const PAGE: i64 = 20_000;

/// The ledger of several gateways, to be read.
#[derive(Debug)]
pub struct LedgerTables {
    lane: Lane,
}

impl LedgerTables {
    /// The ledger in the database that a `postgres://` URL names.
    ///
    /// # Errors
    ///
    /// The URL is none. The server is reached when something is asked.
    pub fn open(url: &str) -> Result<LedgerTables, StoreError> {
        let address = Arc::new(Address::parse(url)?);
        Ok(LedgerTables { lane: Lane::start("mainstay-ledger", &address)? })
    }

    /// Hands over every entry, gateway by gateway, in the order they were written.
    ///
    /// # Errors
    ///
    /// The server is not reached, or holds what is no entry.
    pub fn export(&self, each: &mut dyn FnMut(ExportRow)) -> Result<(), StoreError> {
        let what = "read the ledger";
        let names = self.lane.ask(what, PAGE_TIME, names)?;
        let name = |number: u32| names.get(&number).cloned().unwrap_or_default();
        let mut after = (0, 0, -1);
        loop {
            let page = self.lane.ask(what, PAGE_TIME, move |session| page(session, after))?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.0;
            for ((_, batch, _), record) in &page {
                each(ExportRow {
                    batch: *batch,
                    kind: record.kind,
                    reservation: record.reservation,
                    at: record.at,
                    org: name(record.org),
                    project: name(record.project),
                    key: name(record.key),
                    model: name(record.model),
                    amount: record.amount(),
                    usage: record.usage,
                    basis: record.basis,
                });
            }
        }
    }

    /// All gateways that ever had a journal here, the one heard of last first.
    ///
    /// # Errors
    ///
    /// The server is not reached.
    pub fn gateways(&self) -> Result<Vec<LedgerGateway>, StoreError> {
        self.lane.ask("list gateways", PAGE_TIME, gone::gateways)
    }

    /// Gives a gateway up whose journal is lost: others may spend what it had leased. What it has
    /// spent of that is charged should it come back, be it over the budget.
    ///
    /// # Errors
    ///
    /// The server is not reached.
    pub fn give_up(&self, mark: &str) -> Result<GaveUp, StoreError> {
        let mark = mark.to_owned();
        self.lane.ask("give a gateway up", PAGE_TIME, move |session| gone::give_up(session, &mark))
    }

    /// Adds everything up again from the entries, and says what disagrees.
    ///
    /// # Errors
    ///
    /// The server is not reached.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        self.lane.ask("verify the ledger", VERIFY_MAX, |session| {
            session.transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", verify::run)
        })
    }
}

/// Where an entry stands: node, batch, place.
pub(super) type Stands = (i32, i64, i32);

/// Entries behind `after`, in their order; none at the end.
pub(super) fn page(session: &Session<'_>, after: Stands) -> Result<Vec<(Stands, Record)>, Fault> {
    const SQL: &str = "
        SELECT node, batch, place, kind, flags, org, project, key, model, reservation, at, amount,
               input, cached, output
        FROM ledger_entry WHERE (node, batch, place) > ($1, $2, $3)
        ORDER BY node, batch, place LIMIT $4";
    let rows = session.query(SQL, &[&after.0, &after.1, &after.2, &PAGE])?;
    rows.iter()
        .map(|row| Ok(((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?), record(row)?)))
        .collect()
}

fn record(row: &Row) -> Result<Record, Fault> {
    let small = |column: usize| -> Result<u8, Fault> {
        Ok(u8::try_from(row.try_get::<_, i16>(column)?).unwrap_or(u8::MAX))
    };
    let name = |column: usize| -> Result<u32, Fault> {
        Ok(u32::try_from(row.try_get::<_, i32>(column)?).unwrap_or(u32::MAX))
    };
    let count = |column: usize| -> Result<u64, Fault> {
        Ok(u64::try_from(row.try_get::<_, i64>(column)?).unwrap_or(u64::MAX))
    };
    let strange = || Fault::Strange("a row of ledger_entry is no entry".to_owned());
    let reservation: &[u8] = row.try_get(9)?;
    Ok(Record {
        kind: kind_of(small(3)?).ok_or_else(strange)?,
        basis: basis_of(small(4)?).ok_or_else(strange)?,
        org: name(5)?,
        project: name(6)?,
        key: name(7)?,
        model: name(8)?,
        reservation: ReservationId(reservation.try_into().map_err(|_| strange())?),
        at: UnixMillis(count(10)?),
        amount: row.try_get(11)?,
        usage: Usage { input: count(12)?, cached: count(13)?, output: count(14)? },
    })
}

/// The names by their numbers.
pub(super) fn names(session: &Session<'_>) -> Result<HashMap<u32, String>, Fault> {
    let mut names = HashMap::new();
    for row in session.query("SELECT id, name FROM ledger_name", &[])? {
        let id: i32 = row.try_get(0)?;
        names.insert(u32::try_from(id).unwrap_or(0), row.try_get(1)?);
    }
    Ok(names)
}

/// What was settled in quarters of an hour that begin at `from` or later and before `to`, oldest
/// first.
pub(crate) fn usage(
    session: &Session<'_>,
    from: UnixMillis,
    to: Option<UnixMillis>,
) -> Result<Vec<UsageRow>, Fault> {
    const SQL: &str = "
        SELECT slot, org, project, key, model, sum(requests)::bigint, sum(input)::bigint,
               sum(cached)::bigint, sum(output)::bigint, sum(cost)::text
        FROM ledger_usage WHERE slot >= $1 AND slot < $2
        GROUP BY slot, org, project, key, model ORDER BY slot, org, project, key, model";
    let names = names(session)?;
    let slots = (tables::slot_of(from), to.map_or(i64::MAX, tables::slot_of));
    let rows = session.query(SQL, &[&slots.0, &slots.1])?;
    let read = |row: &Row| -> Result<UsageRow, Fault> {
        let name = |column: usize| -> Result<String, Fault> {
            let id: i32 = row.try_get(column)?;
            Ok(u32::try_from(id).ok().and_then(|id| names.get(&id)).cloned().unwrap_or_default())
        };
        let count = |column: usize| -> Result<u64, Fault> {
            Ok(u64::try_from(row.try_get::<_, i64>(column)?).unwrap_or(0))
        };
        Ok(UsageRow {
            from: tables::start_of(row.try_get(0)?),
            org: name(1)?,
            project: name(2)?,
            key: name(3)?,
            model: name(4)?,
            requests: count(5)?,
            input: count(6)?,
            cached: count(7)?,
            output: count(8)?,
            cost: amount(row.try_get(9)?)?,
        })
    };
    rows.iter().map(read).collect()
}

/// A sum over settlements.
pub(crate) fn spent(session: &Session<'_>, of: &SpentOf) -> Result<Usd, Fault> {
    const SQL: &str = "
        SELECT coalesce(sum(cost), 0)::text FROM ledger_usage
        WHERE slot >= $1 AND slot < $2
          AND org = (SELECT id FROM ledger_name WHERE name = $3)
          AND ($4::text IS NULL OR project = (SELECT id FROM ledger_name WHERE name = $4))
          AND ($5::text IS NULL OR key = (SELECT id FROM ledger_name WHERE name = $5))";
    let slots = (tables::slot_of(of.from), of.to.map_or(i64::MAX, tables::slot_of));
    let row = session.query_one(
        SQL,
        &[&slots.0, &slots.1, &&*of.org, &of.project.as_deref(), &of.key.as_deref()],
    )?;
    amount(row.try_get(0)?)
}
