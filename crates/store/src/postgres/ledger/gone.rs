//! Gateways as PostgreSQL knows them, and giving one up that will not come back.
//!
//! What a gateway leases is charged until it says what became of it. One whose machine is lost with
//! its journal never does, and only people know that it is: they give it up, and what it had leased
//! may be spent by others.

use std::time::Duration;

use mainstay_core::money::Usd;

use super::super::fault::Fault;
use super::super::session::Session;
use super::bring::amount;
use crate::open::{GaveUp, LedgerGateway};

/// Heard of since is alive. Gateways are heard of every two seconds, idle or not.
const ALIVE_WITHIN: Duration = Duration::from_secs(60);

/// All gateways, the one heard of last first.
pub(super) fn gateways(session: &Session<'_>) -> Result<Vec<LedgerGateway>, Fault> {
    const SQL: &str = "
        SELECT mark, extract(epoch FROM clock_timestamp() - seen)::float8,
               count(account) FILTER (WHERE granted - returned > used),
               coalesce(sum(greatest(granted - returned - used, 0)), 0)::text
        FROM ledger_node LEFT JOIN ledger_lease ON node = id
        GROUP BY id, mark, seen ORDER BY seen DESC, mark";
    let one = |row: &tokio_postgres::Row| {
        let (ago, budgets): (f64, i64) = (row.try_get(1)?, row.try_get(2)?);
        Ok(LedgerGateway {
            mark: row.try_get(0)?,
            heard_ago: Duration::try_from_secs_f64(ago).unwrap_or_default(),
            budgets: u64::try_from(budgets).unwrap_or_default(),
            leased: amount(row.try_get(3)?)?,
        })
    };
    session.query(SQL, &[])?.iter().map(one).collect()
}

/// Ends the leases of a gateway that is gone. Its process is heard no more, should there be one: it
/// has to be started again, which brings over what it has spent and begins new leases.
pub(super) fn give_up(session: &Session<'_>, mark: &str) -> Result<GaveUp, Fault> {
    const FIND: &str = "
        SELECT id, extract(epoch FROM clock_timestamp() - seen)::float8
        FROM ledger_node WHERE mark = $1 FOR UPDATE";
    const END: &str = "
        DELETE FROM ledger_lease WHERE node = $1
        RETURNING greatest(granted - returned - used, 0)::text";
    session.transaction("BEGIN", |session| {
        let Some(row) = session.query_opt(FIND, &[&mark])? else { return Ok(GaveUp::Unknown) };
        let (id, ago): (i32, f64) = (row.try_get(0)?, row.try_get(1)?);
        let ago = Duration::try_from_secs_f64(ago).unwrap_or_default();
        if ago < ALIVE_WITHIN {
            return Ok(GaveUp::Alive { heard_ago: ago, within: ALIVE_WITHIN });
        }
        session.execute("UPDATE ledger_node SET life = life + 1 WHERE id = $1", &[&id])?;
        let mut freed = Usd::ZERO;
        for row in session.query(END, &[&id])? {
            freed = freed.plus(amount(row.try_get(0)?)?).unwrap_or(Usd::MAX);
        }
        Ok(GaveUp::Done { freed })
    })
}
