//! The thread between journal and PostgreSQL.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mainstay_core::money::budget::account::Told;
use mainstay_core::money::budget::{Owner, Pressure, REST_MAX, Turns};
use mainstay_core::store::{LeaseHolder, LedgerTrouble, OrgClaim, SpentOf, StoreError, Summed};
use tokio::time::Instant;

use super::super::lane::Lane;
use super::accounts::{self, Ask, NewAccount};
use super::bring::{self, Batch, Node};
use super::desk::{Desk, Work};
use super::numbers::Numbers;
use super::reader;
use super::spool::Spool;
use crate::failpoint::failpoint;
use crate::ledger::SqliteLedger;
use crate::ledger::record::fit;

/// Least time between two turns, so that calls that wait come together in one.
const TURN_MIN: Duration = Duration::from_millis(4);
/// How long a transaction may take.
const CALL_MAX: Duration = Duration::from_secs(3);
/// How long the journal may take to have everything on its disk.
const DISK_MAX: Duration = Duration::from_secs(3);
/// About how many entries one transaction brings over.
const ENTRIES_MAX: usize = 8_192;
/// Time after which PostgreSQL hears of a node that has nothing to tell.
const HEARD_EVERY: Duration = REST_MAX;
/// Names known by their numbers; more are asked for again.
const NAMES_MAX: usize = 100_000;
/// Accounts known by their numbers; more are asked for again.
const ACCOUNTS_MAX: usize = 100_000;
/// Time between two clearings of the journal.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// The way from the journal to PostgreSQL.
#[derive(Debug)]
pub(super) struct Link {
    lane: Lane,
    local: Arc<SqliteLedger>,
    desk: Arc<Desk>,
    spool: Spool,
    node: Node,
    /// PostgreSQL's numbers of names.
    names: HashMap<String, u32>,
    numbers: Numbers,
    /// Accounts by budget and the beginning of the period.
    accounts: HashMap<(u64, u64), i64>,
    pruned: Instant,
    /// When PostgreSQL last heard of this node.
    heard: Instant,
    turns: Turns,
    /// What presses in this turn.
    pressure: Pressure,
}

impl Link {
    /// Makes the node known, brings over what its last process has left, and ends that one's leases.
    pub(super) fn begin(
        lane: Lane,
        path: &Path,
        local: Arc<SqliteLedger>,
        desk: Arc<Desk>,
    ) -> Result<Link, StoreError> {
        let spool = Spool::open(path)?;
        let mark = spool.mark()?;
        let (node, journal) = lane.ask("make this node known", CALL_MAX, move |session| {
            const SQL: &str = "
                INSERT INTO ledger_node (mark, life, brought, digest, journal, seen)
                VALUES ($1, 1, 0, $2, $2, clock_timestamp())
                ON CONFLICT (mark) DO UPDATE
                  SET life = ledger_node.life + 1, seen = clock_timestamp()
                RETURNING id, life, brought, digest, journal";
            let row = session.query_one(SQL, &[&mark, &&[0_u8; 32][..]])?;
            let (brought, digest) = Node::stands(&row, 2)?;
            let node = Node { id: row.try_get(0)?, life: row.try_get(1)?, brought, digest };
            Ok((node, row.try_get::<_, Vec<u8>>(4)?))
        })?;
        is_known(&spool, node, &journal, path)?;
        let (names, accounts, numbers) = (HashMap::new(), HashMap::new(), Numbers::default());
        let (pruned, heard) = (Instant::now(), Instant::now());
        let (turns, pressure) = (Turns::default(), Pressure::None);
        let mut link = Link {
            lane,
            local,
            desk,
            spool,
            node,
            names,
            numbers,
            accounts,
            pruned,
            heard,
            turns,
            pressure,
        };
        let (batches, _) = link.bring_all_but_last()?;
        link.bring(batches, Vec::new())?;
        failpoint("node-before-return");
        link.lane.ask("end the last process's leases", CALL_MAX, move |session| {
            session.execute("DELETE FROM ledger_lease WHERE node = $1", &[&node.id])?;
            Ok(())
        })?;
        Ok(link)
    }

    /// Works until the desk is closed.
    pub(super) fn run(mut self) {
        loop {
            let work = self.desk.next(self.turns.rest());
            let last = work.closed;
            self.pressure = Pressure::None;
            self.turn(work);
            self.turns.note(self.pressure);
            if last {
                return;
            }
            std::thread::sleep(TURN_MIN);
        }
    }

    fn turn(&mut self, work: Work) {
        let Work { holder, sums, flushes, closed } = work;
        let closing = closed || !flushes.is_empty();
        let mut done = self.settle(holder.as_ref(), closing);
        if let (Ok(refused), true) = (&done, closing) {
            // What was granted meanwhile goes back too.
            let before = *refused;
            done = self.settle(holder.as_ref(), true).map(|refused| before + refused);
        }
        let (trouble, refused) = match done {
            Ok(refused) => (None, refused),
            Err(error) => {
                self.pressure = Pressure::High;
                (Some(format!("{error}; {}", error.fix())), 0)
            }
        };
        if let (Some(_), Some(holder)) = (&trouble, &holder) {
            holder.away();
        }
        if self.desk.note(trouble.clone(), refused) {
            if let Some(why) = &trouble {
                tracing::error!(%why, "entries of the ledger are not brought to PostgreSQL; hard budgets go on as far as they are leased");
            } else {
                tracing::info!("entries of the ledger are brought to PostgreSQL");
            }
        }
        for (of, summed) in sums {
            self.sum(of, summed, trouble.as_deref());
        }
        for done in flushes {
            // Nobody waits any more.
            let _ = done.send(());
        }
        if self.pruned.elapsed() > PRUNE_EVERY {
            self.pruned = Instant::now();
            if let Err(error) = self.spool.prune(self.node.brought) {
                tracing::warn!(%error, "the journal of money could not be cleared");
            }
        }
    }

    /// Takes what budgets have to tell, brings over every entry from before that, and tells them
    /// the answers. Gives how many entries were refused.
    fn settle(
        &mut self,
        holder: Option<&Arc<dyn LeaseHolder>>,
        closing: bool,
    ) -> Result<u64, StoreError> {
        let claims = holder.map(|holder| holder.claims(closing)).unwrap_or_default();
        let behind = !claims.is_empty() || closing;
        if behind && !self.local.settled(DISK_MAX) {
            return Err(StoreError::Surroundings {
                what: "bring entries to PostgreSQL".to_owned(),
                why: "this node's journal is not on its disk".to_owned(),
                fix: "see `mainstay_ledger_failing` and the log about the disk of the journal"
                    .to_owned(),
            });
        }
        let asks = claims.iter().map(|claim| self.ask(claim)).collect::<Result<Vec<Ask>, _>>()?;
        let (batches, mut refused) = self.bring_all_but_last()?;
        if batches.is_empty() && asks.is_empty() && self.heard.elapsed() < HEARD_EVERY {
            return Ok(refused);
        }
        let (told, more) = self.bring(batches, asks)?;
        refused += more;
        failpoint("bring-before-learn");
        if let Some(holder) = holder.filter(|_| !claims.is_empty()) {
            let answers: Vec<(OrgClaim, Told)> = claims.into_iter().zip(told).collect();
            let each = answers.iter().map(|(claim, told)| Pressure::of(&claim.claim, told));
            self.pressure = each.fold(self.pressure, Pressure::max);
            holder.learn(answers);
        }
        Ok(refused)
    }

    /// Brings over what is there, until one transaction is enough for the rest, which is given.
    fn bring_all_but_last(&mut self) -> Result<(Vec<Batch>, u64), StoreError> {
        let mut refused = 0;
        loop {
            let last = self.spool.last()?;
            let batches = self.read()?;
            if batches.last().is_none_or(|batch| batch.seq >= last) {
                return Ok((batches, refused));
            }
            // More than one transaction has room for.
            self.pressure = Pressure::High;
            refused += self.bring(batches, Vec::new())?.1;
        }
    }

    fn bring(
        &mut self,
        batches: Vec<Batch>,
        asks: Vec<Ask>,
    ) -> Result<(Vec<Told>, u64), StoreError> {
        let node = self.node;
        let done = self.lane.ask("bring entries to PostgreSQL", CALL_MAX, move |session| {
            bring::run(session, node, &batches, &asks)
        });
        match done {
            Ok(brought) => {
                (self.node.brought, self.node.digest) = (brought.upto, brought.digest);
                self.heard = Instant::now();
                Ok((brought.told, brought.refused))
            }
            Err(error) => {
                // Whether it was done is known to PostgreSQL only; so is what it has lost.
                self.ask_where()?;
                Err(error)
            }
        }
    }

    fn ask_where(&mut self) -> Result<(), StoreError> {
        let id = self.node.id;
        (self.node.brought, self.node.digest) =
            self.lane.ask("ask what was brought over", CALL_MAX, move |session| {
                let sql = "SELECT brought, digest FROM ledger_node WHERE id = $1";
                Node::stands(&session.query_one(sql, &[&id])?, 0)
            })?;
        Ok(())
    }

    /// Batches that were not brought over, with PostgreSQL's numbers for names.
    fn read(&mut self) -> Result<Vec<Batch>, StoreError> {
        let mut batches = self.spool.read(self.node.brought, ENTRIES_MAX)?;
        if self.numbers.len() > NAMES_MAX {
            self.numbers.clear();
        }
        let unknown = self.numbers.unknown(&batches);
        if !unknown.is_empty() {
            let texts = self.spool.names(&unknown)?;
            self.number(&texts)?;
            let known = |text: &String| self.names.get(text).copied();
            // A name that the journal itself does not know is none.
            let found =
                unknown.iter().zip(&texts).map(|(own, text)| (*own, known(text).unwrap_or(0)));
            self.numbers.extend(found);
        }
        for batch in &mut batches {
            self.numbers.put(batch.entries_mut());
            batch.entries_mut().iter_mut().for_each(fit);
        }
        Ok(batches)
    }

    /// Sees to it that all these names are known by their numbers.
    fn number(&mut self, names: &[String]) -> Result<(), StoreError> {
        if self.names.len() > NAMES_MAX {
            self.names.clear();
        }
        let mut new: Vec<String> = names
            .iter()
            .filter(|name| !name.is_empty() && !self.names.contains_key(*name))
            .cloned()
            .collect();
        // In one order, so that two nodes with the same new names do not wait for each other.
        new.sort_unstable();
        new.dedup();
        if new.is_empty() {
            return Ok(());
        }
        let found = self.lane.ask("number the ledger's names", CALL_MAX, move |session| {
            let sql = "INSERT INTO ledger_name (name) SELECT unnest($1::text[])
                       ON CONFLICT DO NOTHING";
            session.execute(sql, &[&new])?;
            let sql = "SELECT name, id FROM ledger_name WHERE name = ANY($1)";
            let mut found = Vec::new();
            for row in session.query(sql, &[&new])? {
                let id: i32 = row.try_get(1)?;
                found.push((row.try_get::<_, String>(0)?, u32::try_from(id).unwrap_or(0)));
            }
            Ok(found)
        })?;
        self.names.extend(found);
        Ok(())
    }

    /// What a budget tells, addressed to its account.
    fn ask(&mut self, claim: &OrgClaim) -> Result<Ask, StoreError> {
        let OrgClaim { org, claim } = claim;
        let place = (claim.rule.id, claim.period.start.0);
        let account = match self.accounts.get(&place) {
            Some(known) => *known,
            None => self.open(org, claim)?,
        };
        let (limit, hard) = (claim.rule.limit, claim.rule.hard);
        Ok(Ask { account, limit, hard, statement: claim.statement })
    }

    fn open(
        &mut self,
        org: &str,
        claim: &mainstay_core::money::budget::Claim,
    ) -> Result<i64, StoreError> {
        let owner = match &claim.rule.owner {
            Owner::Organization => org,
            Owner::Project(id) | Owner::Key(id) => id,
        };
        self.number(&[org.to_owned(), owner.to_owned()])?;
        let number = |name: &str| self.names.get(name).copied().unwrap_or(0);
        let new = NewAccount {
            budget: bring::long(claim.rule.id),
            period: claim.period,
            org: number(org),
            owner: claim.rule.owner.clone(),
            owner_number: number(owner),
        };
        let account = self.lane.ask("open a budget's account", CALL_MAX, move |session| {
            accounts::open(session, &new)
        })?;
        if self.accounts.len() > ACCOUNTS_MAX {
            self.accounts.clear();
        }
        self.accounts.insert((claim.rule.id, claim.period.start.0), account);
        Ok(account)
    }

    fn sum(&self, of: SpentOf, summed: Summed, trouble: Option<&str>) {
        let found = match trouble {
            Some(why) => Err(why.to_owned()),
            None => self
                .lane
                .ask("add up what was spent", CALL_MAX, move |session| reader::spent(session, &of))
                .map_err(|error| format!("{error}; {}", error.fix())),
        };
        summed(found.map_err(|why| LedgerTrouble::Failing { why }));
    }
}

/// Refuses a journal that is not the one PostgreSQL has entries of.
fn is_known(spool: &Spool, node: Node, journal: &[u8], path: &Path) -> Result<(), StoreError> {
    if node.brought == 0 || spool.digest(node.brought)?.is_some_and(|digest| digest[..] == *journal)
    {
        return Ok(());
    }
    Err(StoreError::Surroundings {
        what: "go on with this node's journal of money".to_owned(),
        why: format!(
            "PostgreSQL has {} batches of it, and `{}` has others: it is an older copy",
            node.brought,
            path.display()
        ),
        fix: "bring back the newest file, or move its folder away and start with an empty one: what the old one had \
              leased then stays charged"
            .to_owned(),
    })
}
