//! The same transaction in one way there and back, or in two where a lease is asked for: all that needs
//! no answer goes in one piece, its end included. It counts on the node standing where it was left and on
//! no entry being refused; otherwise the database undoes everything, and it is done step by step.

use std::collections::BTreeMap;

use mainstay_core::money::Usd;
use mainstay_core::money::budget::account::{Line, Told};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use super::{BATCHES, Batch, Brought, Columns, Node, SumColumns, digests};
use crate::failpoint::failpoint;
use crate::ledger::tables;
use crate::postgres::fault::Fault;
use crate::postgres::ledger::accounts::{self, Ask, Costs, Lines};
use crate::postgres::session::{Done, Session, Step};

/// Locks the node's row and notes what is brought over; fails when it says otherwise than was thought.
const NOTE: &str = "
    WITH noted AS (
      UPDATE ledger_node SET brought = $5, digest = $6, journal = coalesce($7, journal),
                             seen = clock_timestamp()
      WHERE id = $1 AND life = $2 AND brought = $3 AND digest = $4 RETURNING id)
    SELECT 1 / count(*) FROM noted";

type Value<'v> = &'v (dyn ToSql + Sync);

/// Brings batches over and answers; `None`: something is otherwise than was thought, and nothing was done.
pub(super) fn run(
    session: &Session<'_>,
    node: Node,
    batches: &[Batch],
    asks: &[Ask],
) -> Result<Option<Brought>, Fault> {
    if batches.first().is_some_and(|first| first.seq != node.brought + 1) {
        return Ok(None);
    }
    let done = try_it(session, node, batches, asks);
    if done.is_err() {
        session.roll_back();
    }
    match done {
        Ok(brought) => Ok(Some(brought)),
        Err(fault) if is_otherwise(&fault) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// The node's row was not found as it was thought to be, or an entry ends what has ended.
fn is_otherwise(fault: &Fault) -> bool {
    let Fault::Server(error) = fault else { return false };
    let is = |code: SqlState| error.code() == Some(&code);
    is(SqlState::DIVISION_BY_ZERO) || is(SqlState::UNIQUE_VIOLATION)
}

fn try_it(
    session: &Session<'_>,
    node: Node,
    batches: &[Batch],
    asks: &[Ask],
) -> Result<Brought, Fault> {
    let blobs = batches.iter().map(|batch| (batch.seq, &batch.entries));
    let (seqs, hashes, digest) = digests(node.digest, blobs);
    let upto = batches.last().map_or(node.brought, |last| last.seq);
    let (before, after) = (&node.digest[..], &digest[..]);
    let journal = batches.last().map(|last| &last.journal[..]);
    let noted: [Value<'_>; 7] =
        [&node.id, &node.life, &node.brought, &before, &upto, &after, &journal];
    let mut steps = vec![Step::Plain("BEGIN"), Step::Rows(NOTE, &noted)];

    let mut sums = BTreeMap::new();
    let columns = Columns::of(node, batches, |record| tables::add(&mut sums, record));
    let (entries, hashed): (_, [Value<'_>; 3]) = (columns.values(), [&node.id, &seqs, &hashes]);
    if !batches.is_empty() {
        steps.extend([Step::Write(Columns::ALL, &entries), Step::Write(BATCHES, &hashed)]);
    }
    let written = SumColumns::of(node, &sums);
    let written = written.as_ref().map(SumColumns::values);
    steps.extend(written.as_ref().map(|values| Step::Write(SumColumns::SQL, values)));

    // After the sums: an account that is opened meanwhile has waited for them, or they for it.
    let (costs, asked) = (Costs::of(&sums), accounts::asked(asks));
    let costs = costs.unwrap_or_default();
    let added = costs.values();
    let [org, project, key, at, cost] = added;
    let locked: [Value<'_>; 6] = [org, project, key, at, cost, &asked];
    if !(sums.is_empty() && asks.is_empty()) {
        steps.push(Step::Rows(Costs::LOCK, &locked));
    }
    if !sums.is_empty() {
        steps.push(Step::Write(Costs::ADD, &added));
    }

    let said = Lines::said(node, asks).filter(|_| !asks.iter().any(Ask::wants));
    let said = said.as_ref().map(Lines::values);
    steps.extend(said.as_ref().map(|values| Step::Write(Lines::HEAR, values)));
    let told = answer(session, node, steps, asks)?;
    Ok(Brought { upto, digest, refused: 0, told })
}

/// Does the steps, answers what was asked, and ends the transaction: with the steps, unless a lease that is
/// granted is to be written first.
fn answer(
    session: &Session<'_>,
    node: Node,
    steps: Vec<Step<'_>>,
    asks: &[Ask],
) -> Result<Vec<Told>, Fault> {
    let wants = asks.iter().any(Ask::wants);
    let (asked, gone_after) = (accounts::asked(asks), accounts::GONE_AFTER);
    let (of, alive): ([Value<'_>; 1], [Value<'_>; 1]) = ([&asked], [&gone_after]);
    let leased: [Value<'_>; 2] = [&asked, &gone_after];
    let mut steps = steps;
    let at = steps.len();
    if !asks.is_empty() {
        steps.push(Step::Rows(accounts::SPENT, &of));
        steps.push(Step::Rows(accounts::LEASES, &leased));
        steps.push(Step::Rows(accounts::NODES, &alive));
    }
    failpoint("bring-before-accounts");
    let done = if wants { session.together(&steps)? } else { ended(session, steps)? };
    if asks.is_empty() {
        return Ok(Vec::new());
    }
    let spent = accounts::spent(rows(done.get(at)), &BTreeMap::<i64, Usd>::new())?;
    let leases = accounts::leases(rows(done.get(at + 1)))?;
    let nodes = accounts::nodes(rows(done.get(at + 2)))?;
    let (told, changed): (_, Vec<(i64, Line)>) =
        accounts::answers(node, asks, leases, &spent, nodes);
    if wants {
        let lines = Lines::of(node, &changed);
        let lines = lines.as_ref().map(Lines::values);
        let written = lines.as_ref().map(|values| Step::Write(Lines::SQL, values));
        ended(session, written.into_iter().collect())?;
    }
    Ok(told)
}

/// Does the last steps and ends the transaction.
fn ended(session: &Session<'_>, mut steps: Vec<Step<'_>>) -> Result<Vec<Done>, Fault> {
    failpoint("bring-before-commit");
    steps.push(Step::Plain("COMMIT"));
    match session.together(&steps) {
        // It may have been done.
        Err(_) if session.is_lost() => Err(Fault::Unknown),
        done => done,
    }
}

fn rows(done: Option<&Done>) -> &[Row] {
    done.map_or(&[], Vec::as_slice)
}
