//! The same transaction in four ways there and back: what does not depend on each other goes in one piece.
//! It counts on no entry being refused; where one is, everything is undone and done step by step.

use std::collections::BTreeMap;

use mainstay_core::money::Usd;
use mainstay_core::money::budget::account::{Line, Told};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::{
    BATCHES, BROUGHT, Batch, Brought, Columns, Kept, LOCK, Node, SEEN, SumColumns, digests, follow,
    locked,
};
use crate::failpoint::failpoint;
use crate::postgres::fault::Fault;
use crate::postgres::ledger::accounts::{self, Added, Ask, Costs, Lines};
use crate::postgres::session::{Done, Session, Step};

/// Brings batches over and answers; `None`: an entry is refused, and nothing was done.
pub(super) fn run(
    session: &Session<'_>,
    node: Node,
    batches: &[Batch],
    asks: &[Ask],
) -> Result<Option<Brought>, Fault> {
    let done = try_it(session, node, batches, asks);
    if !matches!(done, Ok(Some(_))) {
        session.roll_back();
    }
    done
}

fn try_it(
    session: &Session<'_>,
    node: Node,
    batches: &[Batch],
    asks: &[Ask],
) -> Result<Option<Brought>, Fault> {
    let begun = session.together(&[Step::Plain("BEGIN"), Step::Rows(LOCK, &[&node.id])])?;
    let row = begun.last().and_then(|done| done.rows.first());
    let (brought, digest) =
        locked(row.ok_or_else(|| Fault::Strange("this node is not known".to_owned()))?, node)?;
    let new = follow(batches, brought)?;
    let kept = Kept::all(&new);
    let sums = kept.sums();

    let (columns, sum_columns) = (Columns::of(node, &new), SumColumns::of(node, &sums));
    let cost_columns = Costs::of(&sums);
    let count = columns.seq.len() as u64;
    let (entries, written) = (columns.values(), sum_columns.as_ref().map(SumColumns::values));
    let costs = cost_columns.as_ref().map(Costs::values);
    let mut steps = vec![Step::Count(Columns::SQL, &entries)];
    steps.extend(written.as_ref().map(|values| Step::Count(SumColumns::SQL, values)));
    steps.extend(costs.as_ref().map(|values| Step::Rows(Costs::SQL, values)));
    let done = if count > 0 { session.together(&steps)? } else { Vec::new() };
    if done.first().is_some_and(|done| done.count < count) {
        return Ok(None);
    }
    let costs = if costs.is_some() { accounts::costs(rows(done.last()))? } else { BTreeMap::new() };
    failpoint("bring-before-accounts");

    let (told, changed, added) = answer(session, node, &costs, asks)?;
    let lines = Lines::of(node, &changed);
    let upto = new.last().map_or(brought, |last| last.seq);
    let (seqs, hashes, digest) = digests(digest, &kept);
    failpoint("bring-before-commit");
    let (added, lines) = (added.as_ref().map(Added::values), lines.as_ref().map(Lines::values));
    let (digest, journal) = (&digest[..], new.last().map(|last| &last.journal[..]));
    let mut steps = Vec::new();
    steps.extend(added.as_ref().map(|values| Step::Count(Added::SQL, values)));
    steps.extend(lines.as_ref().map(|values| Step::Count(Lines::SQL, values)));
    let hashed: [Value<'_>; 3] = [&node.id, &seqs, &hashes];
    let noted: [Value<'_>; 4] = [&node.id, &upto, &digest, &journal];
    let seen: [Value<'_>; 1] = [&node.id];
    if journal.is_some() {
        steps.extend([Step::Count(BATCHES, &hashed), Step::Count(BROUGHT, &noted)]);
    } else {
        steps.push(Step::Count(SEEN, &seen));
    }
    steps.push(Step::Plain("COMMIT"));
    match session.together(&steps) {
        Ok(_) => Ok(Some(Brought { upto, refused: 0, told })),
        // It may have been done.
        Err(_) if session.is_lost() => Err(Fault::Unknown),
        Err(fault) => Err(fault),
    }
}

type Value<'v> = &'v (dyn ToSql + Sync);
type Answers = (Vec<Told>, Vec<(i64, Line)>, Option<Added>);

/// Locks accounts and answers; also leases that are others now, and what is to be added.
fn answer(
    session: &Session<'_>,
    node: Node,
    costs: &BTreeMap<i64, Usd>,
    asks: &[Ask],
) -> Result<Answers, Fault> {
    let ids = accounts::touched(costs, asks);
    if ids.is_empty() {
        return Ok((Vec::new(), Vec::new(), None));
    }
    let asked = accounts::asked(asks);
    let gone_after = accounts::GONE_AFTER;
    let lock: [Value<'_>; 1] = [&ids];
    let leases: [Value<'_>; 2] = [&asked, &gone_after];
    let alive: [Value<'_>; 1] = [&gone_after];
    let mut steps = vec![Step::Rows(accounts::LOCK, &lock)];
    if !asks.is_empty() {
        steps.push(Step::Rows(accounts::LEASES, &leases));
        steps.push(Step::Rows(accounts::NODES, &alive));
    }
    let done = session.together(&steps)?;
    let spent = accounts::spent(rows(done.first()), costs)?;
    let added = Added::of(costs);
    if asks.is_empty() {
        return Ok((Vec::new(), Vec::new(), added));
    }
    let leases = accounts::leases(rows(done.get(1)))?;
    let nodes = accounts::nodes(rows(done.get(2)))?;
    let (told, changed) = accounts::answers(node, asks, leases, &spent, nodes);
    Ok((told, changed, added))
}

fn rows(done: Option<&Done>) -> &[Row] {
    done.map_or(&[], |done| &done.rows)
}
