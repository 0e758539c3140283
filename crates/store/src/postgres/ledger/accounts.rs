//! Accounts: what budgets have spent in their periods, and what of them is leased to whom.

use std::collections::BTreeMap;

use mainstay_core::money::Usd;
use mainstay_core::money::budget::account::{Line, Standing, Statement, Told, answer};
use mainstay_core::money::budget::{Owner, Period};

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::super::fault::Fault;
use super::super::session::Session;
use super::bring::{Node, amount, long, signed};
use crate::ledger::tables::{self, Place, Sums};

/// Seconds since a node was last heard of after which nobody waits for what it lacks, and it does
/// not count as one that shares.
pub(super) const GONE_AFTER: f64 = 10.0;

/// What a node tells an account, and asks of it.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// The account's number.
    pub(super) account: i64,
    pub(super) limit: Usd,
    pub(super) hard: bool,
    pub(super) statement: Statement,
}

impl Ask {
    /// Whether a lease is asked for, so that it is to be decided what is granted.
    pub(super) fn wants(&self) -> bool {
        self.statement.wish > Usd::ZERO || self.statement.need > Usd::ZERO
    }
}

/// A budget in a period, to make its account.
#[derive(Clone, Debug)]
pub(super) struct NewAccount {
    pub(super) budget: i64,
    pub(super) period: Period,
    /// Numbers of the organization and, in it, the owner.
    pub(super) org: u32,
    pub(super) owner: Owner,
    pub(super) owner_number: u32,
}

/// The account of a budget, made if it is absent: it begins with the sum over all that was settled
/// in its period. No entry comes between: whoever brings some waits, or is waited for.
pub(super) fn open(session: &Session<'_>, new: &NewAccount) -> Result<i64, Fault> {
    const FIND: &str = "SELECT id FROM ledger_account WHERE budget = $1 AND starts = $2";
    const MAKE: &str = "
        INSERT INTO ledger_account (budget, starts, ends, org, project, key, base, spent)
        SELECT $1, $2, $3, $4, $5, $6, base, (
          SELECT coalesce(sum(cost), 0) FROM ledger_usage
          WHERE slot >= $7 AND slot < $8 AND org = $4
            AND ($5::int IS NULL OR project = $5) AND ($6::int IS NULL OR key = $6)) - base
        FROM (SELECT coalesce((SELECT baseline::numeric FROM budget
                               WHERE id = $1 AND every = 'total'), 0) AS base) AS before
        ON CONFLICT (budget, starts) DO NOTHING";
    let starts = long(new.period.start.0);
    if let Some(row) = session.query_opt(FIND, &[&new.budget, &starts])? {
        return Ok(row.try_get(0)?);
    }
    let number = signed(new.owner_number);
    let (project, key) = match new.owner {
        Owner::Organization => (None, None),
        Owner::Project(_) => (Some(number), None),
        Owner::Key(_) => (None, Some(number)),
    };
    let ends = new.period.end.map(|end| long(end.0));
    let slots =
        (tables::slot_of(new.period.start), new.period.end.map_or(i64::MAX, tables::slot_of));
    session.transaction("BEGIN; LOCK TABLE ledger_usage IN SHARE MODE", |session| {
        let org = signed(new.org);
        session.execute(
            MAKE,
            &[&new.budget, &starts, &ends, &org, &project, &key, &slots.0, &slots.1],
        )?;
        Ok(session.query_one(FIND, &[&new.budget, &starts])?.try_get(0)?)
    })
}

/// Adds what was settled to every account it belongs to, and answers a node. Accounts are locked in
/// the order of their numbers.
pub(super) fn settle(
    session: &Session<'_>,
    node: Node,
    sums: &BTreeMap<Place, Sums>,
    asks: &[Ask],
) -> Result<Vec<Told>, Fault> {
    let costs = match Costs::of(sums) {
        Some(columns) => costs(&session.query(Costs::SQL, &columns.values())?)?,
        None => BTreeMap::new(),
    };
    let ids = touched(&costs, asks);
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let spent = spent(&session.query(LOCK, &[&ids])?, &costs)?;
    if let Some(added) = Added::of(&costs) {
        session.execute(Added::SQL, &added.values())?;
    }
    if asks.is_empty() {
        return Ok(Vec::new());
    }
    let nodes = nodes(&session.query(NODES, &[&GONE_AFTER])?)?;
    let leases = leases(&session.query(LEASES, &[&asked(asks), &GONE_AFTER])?)?;
    let (told, changed) = answers(node, asks, leases, &spent, nodes);
    if let Some(lines) = Lines::of(node, &changed) {
        session.execute(Lines::SQL, &lines.values())?;
    }
    Ok(told)
}

/// Every account that costs are added to or that is asked about, in order.
pub(super) fn touched(costs: &BTreeMap<i64, Usd>, asks: &[Ask]) -> Vec<i64> {
    let mut ids: Vec<i64> = costs.keys().copied().chain(asked(asks)).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The accounts that are asked about.
pub(super) fn asked(asks: &[Ask]) -> Vec<i64> {
    asks.iter().map(|ask| ask.account).collect()
}

/// Answers a node; also its leases that are others now.
pub(super) fn answers(
    node: Node,
    asks: &[Ask],
    mut leases: Leases,
    spent: &BTreeMap<i64, Usd>,
    nodes: u32,
) -> (Vec<Told>, Vec<(i64, Line)>) {
    let (mut told, mut changed) = (Vec::new(), Vec::new());
    for ask in asks {
        let lines = leases.entry(ask.account).or_default();
        let mut line = lines.get(&node.id).map(|found| found.line).unwrap_or_default();
        let before = line;
        let spent = spent.get(&ask.account).copied().unwrap_or(Usd::ZERO);
        told.push(answer(&mut line, &ask.statement, &standing(lines, node, ask, spent, nodes)));
        if line != before {
            changed.push((ask.account, line));
        }
    }
    (told, changed)
}

/// Asks what sums add to each account.
#[derive(Default)]
pub(super) struct Costs {
    names: [Vec<i32>; 3],
    at: Vec<i64>,
    cost: Vec<String>,
}

/// Sums, and the accounts they belong to.
macro_rules! new_costs {
    () => {
        "unnest($1::int[], $2::int[], $3::int[], $4::bigint[], $5::text[])
          AS new (org, project, key, at, cost)
        JOIN ledger_account AS account ON account.org = new.org
          AND (account.project IS NULL OR account.project = new.project)
          AND (account.key IS NULL OR account.key = new.key)
          AND new.at >= account.starts AND (account.ends IS NULL OR new.at < account.ends)"
    };
}

impl Costs {
    pub(super) const SQL: &str = concat!(
        "SELECT account.id, sum(new.cost::numeric)::text FROM ",
        new_costs!(),
        " GROUP BY account.id"
    );
    /// Locks the accounts of the sums and further ones, in the order of their numbers.
    pub(super) const LOCK: &str = concat!(
        "SELECT id FROM ledger_account WHERE id IN (SELECT account.id FROM ",
        new_costs!(),
        " UNION ALL SELECT unnest($6::bigint[])) ORDER BY id FOR UPDATE OF ledger_account"
    );
    /// Adds the sums to their accounts.
    pub(super) const ADD: &str = concat!(
        "UPDATE ledger_account SET spent = spent + added.cost
        FROM (SELECT account.id, sum(new.cost::numeric) AS cost FROM ",
        new_costs!(),
        " GROUP BY account.id) AS added WHERE ledger_account.id = added.id"
    );

    /// `None`: there are none.
    pub(super) fn of(sums: &BTreeMap<Place, Sums>) -> Option<Costs> {
        let column = |of: fn(&Place) -> u32| sums.keys().map(|p| signed(of(p))).collect();
        let at = sums.keys().map(|place| long(tables::start_of(place.0).0)).collect();
        let cost = sums.values().map(|sum| sum.cost.pico().to_string()).collect();
        let names = [column(|place| place.1), column(|place| place.2), column(|place| place.3)];
        (!sums.is_empty()).then_some(Costs { names, at, cost })
    }

    pub(super) fn values(&self) -> [&(dyn ToSql + Sync); 5] {
        let [org, project, key] = &self.names;
        [org, project, key, &self.at, &self.cost]
    }
}

/// What sums add to each account.
pub(super) fn costs(rows: &[Row]) -> Result<BTreeMap<i64, Usd>, Fault> {
    let one = |row: &Row| Ok((row.try_get(0)?, amount(row.try_get(1)?)?));
    rows.iter().map(one).collect()
}

/// Locks accounts.
pub(super) const LOCK: &str =
    "SELECT id, spent::text FROM ledger_account WHERE id = ANY($1) ORDER BY id FOR UPDATE";

/// What accounts have spent.
pub(super) const SPENT: &str = "SELECT id, spent::text FROM ledger_account WHERE id = ANY($1)";

/// What each account has spent when costs are added.
pub(super) fn spent(rows: &[Row], costs: &BTreeMap<i64, Usd>) -> Result<BTreeMap<i64, Usd>, Fault> {
    let one = |row: &Row| {
        let id: i64 = row.try_get(0)?;
        let cost = costs.get(&id).copied().unwrap_or(Usd::ZERO);
        Ok((id, amount(row.try_get(1)?)?.plus(cost).unwrap_or(Usd::MAX)))
    };
    rows.iter().map(one).collect()
}

/// Adds costs to accounts.
pub(super) struct Added {
    ids: Vec<i64>,
    costs: Vec<String>,
}

impl Added {
    pub(super) const SQL: &str = "
        UPDATE ledger_account SET spent = spent + new.cost::numeric
        FROM unnest($1::bigint[], $2::text[]) AS new (id, cost) WHERE ledger_account.id = new.id";

    /// `None`: there are none.
    pub(super) fn of(costs: &BTreeMap<i64, Usd>) -> Option<Added> {
        let ids = costs.keys().copied().collect();
        let texts = costs.values().map(|cost| cost.pico().to_string()).collect();
        (!costs.is_empty()).then_some(Added { ids, costs: texts })
    }

    pub(super) fn values(&self) -> [&(dyn ToSql + Sync); 2] {
        [&self.ids, &self.costs]
    }
}

/// A node's lease.
pub(super) struct Found {
    line: Line,
    /// The node was heard of a moment ago.
    alive: bool,
}

/// Leases by account and node.
pub(super) type Leases = BTreeMap<i64, BTreeMap<i32, Found>>;

/// Leases of accounts.
pub(super) const LEASES: &str = "
    SELECT account, node, granted::text, returned::text, used::text, held::text, lacks::text,
           seen > clock_timestamp() - make_interval(secs => $2)
    FROM ledger_lease JOIN ledger_node ON ledger_node.id = node WHERE account = ANY($1)";

pub(super) fn leases(rows: &[Row]) -> Result<Leases, Fault> {
    let mut leases = Leases::new();
    for row in rows {
        let of = |column: usize| -> Result<Usd, Fault> { amount(row.try_get(column)?) };
        let line =
            Line { granted: of(2)?, returned: of(3)?, used: of(4)?, held: of(5)?, lacks: of(6)? };
        let found = Found { line, alive: row.try_get(7)? };
        leases.entry(row.try_get(0)?).or_default().insert(row.try_get(1)?, found);
    }
    Ok(leases)
}

/// Nodes that were heard of a moment ago, this one included.
pub(super) const NODES: &str = "SELECT count(*) FROM ledger_node
    WHERE seen > clock_timestamp() - make_interval(secs => $1)";

pub(super) fn nodes(rows: &[Row]) -> Result<u32, Fault> {
    let count: i64 = rows.first().map_or(Ok(1), |row| row.try_get(0))?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX).max(1))
}

/// How a budget stands for a node: what others have of it. The lease of a node that is gone stays
/// charged in full, because what it has spent of it is in its journal only.
fn standing(
    lines: &BTreeMap<i32, Found>,
    node: Node,
    ask: &Ask,
    spent: Usd,
    nodes: u32,
) -> Standing {
    let (mut leased, mut idle) = (Usd::ZERO, Usd::ZERO);
    let (mut wanted, mut wanted_before) = (false, false);
    for (id, found) in lines.iter().filter(|(id, _)| **id != node.id) {
        leased = leased.plus(found.line.outstanding()).unwrap_or(Usd::MAX);
        if found.alive {
            idle = idle.plus(found.line.idle()).unwrap_or(Usd::MAX);
            let lacks = found.line.lacks > Usd::ZERO;
            (wanted, wanted_before) = (wanted || lacks, wanted_before || (lacks && *id < node.id));
        }
    }
    let (limit, hard) = (ask.limit, ask.hard);
    Standing { limit, spent, leased, idle, wanted, wanted_before, nodes, hard }
}

/// Writes a node's leases.
pub(super) struct Lines {
    node: i32,
    ids: Vec<i64>,
    amounts: [Vec<String>; 5],
}

impl Lines {
    pub(super) const SQL: &str = "
        INSERT INTO ledger_lease
        SELECT account, $1, granted::numeric, returned::numeric, used::numeric, held::numeric,
               lacks::numeric
        FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
          AS new (account, granted, returned, used, held, lacks)
        ON CONFLICT (account, node) DO UPDATE SET
          granted = excluded.granted, returned = excluded.returned, used = excluded.used,
          held = excluded.held, lacks = excluded.lacks";
    /// Takes over what a node says and asks nothing with, as [`account`](mainstay_core::money::budget::account)
    /// hears it: numbers only rise, and what is held is what was said last.
    pub(super) const HEAR: &str = "
        INSERT INTO ledger_lease AS known
        SELECT account, $1, granted::numeric, returned::numeric, used::numeric, held::numeric,
               lacks::numeric
        FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
          AS new (account, granted, returned, used, held, lacks)
        ON CONFLICT (account, node) DO UPDATE SET
          granted = greatest(known.granted, excluded.granted),
          returned = greatest(known.returned, excluded.returned),
          used = greatest(known.used, excluded.used),
          held = CASE WHEN excluded.used >= known.used AND excluded.returned >= known.returned
                 THEN excluded.held ELSE known.held END,
          lacks = excluded.lacks
        WHERE (known.granted, known.returned, known.used, known.held, known.lacks)
          IS DISTINCT FROM (excluded.granted, excluded.returned, excluded.used, excluded.held,
                            excluded.lacks)";

    /// `None`: none is another one now.
    pub(super) fn of(node: Node, changed: &[(i64, Line)]) -> Option<Lines> {
        let column = |of: fn(&Line) -> Usd| -> Vec<String> {
            changed.iter().map(|(_, line)| of(line).pico().to_string()).collect()
        };
        let amounts = [
            column(|line| line.granted),
            column(|line| line.returned),
            column(|line| line.used),
            column(|line| line.held),
            column(|line| line.lacks),
        ];
        let ids = changed.iter().map(|(id, _)| *id).collect();
        (!changed.is_empty()).then_some(Lines { node: node.id, ids, amounts })
    }

    /// What asks say. `None`: nothing that an account without this node's lease does not know.
    pub(super) fn said(node: Node, asks: &[Ask]) -> Option<Lines> {
        let line = |ask: &Ask| {
            let Statement { granted, returned, used, held, .. } = ask.statement;
            (ask.account, Line { granted, returned, used, held, lacks: Usd::ZERO })
        };
        let lines: Vec<(i64, Line)> =
            asks.iter().map(line).filter(|(_, line)| *line != Line::default()).collect();
        Lines::of(node, &lines)
    }

    pub(super) fn values(&self) -> [&(dyn ToSql + Sync); 7] {
        let [granted, returned, used, held, lacks] = &self.amounts;
        [&self.node, &self.ids, granted, returned, used, held, lacks]
    }
}
