//! The ledger of several gateways: journals that are brought over once, leases of one budget.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay_core::money::Usd;
use mainstay_core::money::budget::account::Told;
use mainstay_core::money::budget::{Books, Calendar, Every, Period, Rule, Who, Why};
use mainstay_core::store::{
    Basis, BudgetOf, BudgetStore, Entry, EntryKind, KeyRecord, LeaseHolder, Leases, Ledger,
    NewBudget, OrgClaim, ReservationId, SpentOf, Store, StoreError, UnixMillis, UsageStore,
};
use mainstay_core::wire::usage::Usage;
use mainstay_store::testing::postgres::{Own, fresh_url};
use mainstay_store::{GaveUp, LeasedLedger, LedgerSettings, LedgerTables, Postgres, SqliteLedger};
use tempfile::TempDir;

use crate::ground::{NOW, named, open, patiently, sql, until_it_works};

/// A store with a key, and folders for gateways.
struct World {
    url: String,
    store: Postgres,
    key: Arc<KeyRecord>,
    folder: TempDir,
}

impl World {
    fn new(url: String) -> World {
        let store = open(&url).unwrap();
        let key = Arc::new(store.create_key(named("k"), NOW).unwrap());
        World { url, store, key, folder: tempfile::tempdir().unwrap() }
    }

    fn open(&self, name: &str) -> Result<LeasedLedger, StoreError> {
        let wait = Duration::from_millis(100);
        let settings = LedgerSettings { lock_wait: wait, ..LedgerSettings::default() };
        let folder = self.folder.path().join(name);
        patiently(|| LeasedLedger::open(&self.url, &folder, settings))
    }

    fn entry(&self, kind: EntryKind, id: u8, amount: i128) -> Entry {
        Entry {
            kind,
            reservation: ReservationId([id; 16]),
            at: NOW,
            key: Some(Arc::clone(&self.key)),
            model: "m".into(),
            amount: Usd::from_pico(amount),
            usage: Usage { input: 10, output: 5, cached: 2 },
            basis: Basis::default(),
        }
    }

    /// A call from its hold to its end.
    fn call(&self, ledger: &dyn Ledger, id: u8, cost: i128) {
        held(ledger, self.entry(EntryKind::Hold, id, 500));
        ledger.end(&self.entry(EntryKind::Settle, id, cost));
    }

    fn verified(&self) -> mainstay_store::Verified {
        patiently(|| LedgerTables::open(&self.url)?.verify()).unwrap()
    }

    /// All entries: kind and amount.
    fn entries(&self) -> Vec<(&'static str, i128)> {
        let entries = || {
            let mut rows = Vec::new();
            let tables = LedgerTables::open(&self.url)?;
            tables.export(&mut |row| rows.push((row.kind.name(), row.amount.pico())))?;
            Ok(rows)
        };
        patiently(entries).unwrap()
    }

    fn budget(&self, amount: i128) -> Rule {
        let new = NewBudget {
            of: BudgetOf::Key(self.key.id()),
            amount: Usd::from_pico(amount),
            every: Every::Total,
            zone: "UTC".to_owned(),
            hard: true,
            alerts: Vec::new(),
        };
        self.store.set_budget(new, NOW).unwrap().rule()
    }
}

fn held(ledger: &dyn Ledger, entry: Entry) {
    let mut waits = None;
    let noted = ledger.hold(&entry, &mut || {
        let (tell, told) = channel();
        waits = Some(told);
        Box::new(move |done| tell.send(done).unwrap_or_default())
    });
    ledger.hand_over(noted.unwrap()).unwrap();
    if let Some(told) = waits {
        told.recv_timeout(Duration::from_secs(60)).unwrap().unwrap();
    }
}

/// Brings everything to PostgreSQL. One turn may be late where much else is done.
fn flushed(ledger: &LeasedLedger) {
    until_it_works(|| {
        ledger.flush();
        ledger.trouble().map_or(Ok(()), Err)
    });
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().flatten() {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn what_several_gateways_settle_is_one_ledger() {
    let Some(url) = fresh_url() else { return };
    let world = World::new(url);
    let (first, second) = (world.open("1").unwrap(), world.open("2").unwrap());
    world.call(&first, 1, 100);
    world.call(&second, 2, 50);
    held(&second, world.entry(EntryKind::Hold, 3, 70));
    second.further(&world.entry(EntryKind::Exposure, 3, 9));
    second.end(&world.entry(EntryKind::Release, 3, 0));
    flushed(&first);
    flushed(&second);
    let mut rows = Vec::new();
    world.store.usage(UnixMillis(0), None, &mut |row| rows.push(row)).unwrap();
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((&*row.key, &*row.model, &*row.org), (&*world.key.id(), "m", &*world.key.org));
    assert_eq!((row.requests, row.input, row.cached, row.output), (2, 20, 4, 10));
    assert_eq!(row.cost, Usd::from_pico(150));
    let (tell, told) = channel();
    let org = world.key.org.clone();
    let of = SpentOf { org, project: None, key: None, from: UnixMillis(0), to: None };
    first.spent(of, Box::new(move |sum| tell.send(sum).unwrap_or_default()));
    let sum = told.recv_timeout(Duration::from_secs(60)).unwrap().unwrap();
    assert_eq!(sum, Usd::from_pico(150));
    let found = world.verified();
    assert!(found.is_sound(), "{found:?}");
    assert_eq!((found.ended, found.open, found.settled), (3, 0, Usd::from_pico(150)));
    assert_eq!(world.entries().len(), 7);
}

#[test]
fn the_ledger_of_a_sqlite_store_is_brought_over_once() {
    let Some(url) = fresh_url() else { return };
    let world = World::new(url);
    let (file, settings) = (world.folder.path().join("s.db"), LedgerSettings::default());
    let sqlite = SqliteLedger::open(&file, settings).unwrap();
    world.call(&sqlite, 1, 100);
    held(&sqlite, world.entry(EntryKind::Hold, 2, 40));
    drop(sqlite);
    for _ in 0..2 {
        LeasedLedger::copy(&world.url, &file, settings).unwrap();
        let found = world.verified();
        assert!(found.is_sound(), "{found:?}");
        assert_eq!((found.settled, found.open), (Usd::from_pico(140), 0));
    }
}

#[test]
fn a_reservation_ends_once_whichever_gateway_says_so() {
    let Some(url) = fresh_url() else { return };
    let world = World::new(url);
    let (first, second) = (world.open("1").unwrap(), world.open("2").unwrap());
    world.call(&first, 1, 100);
    flushed(&first);
    world.call(&second, 1, 70);
    world.call(&second, 2, 5);
    flushed(&second);
    assert_eq!((first.state().refused, second.state().refused), (0, 1));
    let found = world.verified();
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.settled, Usd::from_pico(105), "it is not counted either");
}

#[test]
fn a_process_that_is_followed_by_another_is_heard_no_more() {
    let Some(url) = fresh_url() else { return };
    let world = World::new(url);
    let old = world.open("1").unwrap();
    world.call(&old, 1, 10);
    held(&old, world.entry(EntryKind::Hold, 2, 40));
    flushed(&old);
    // As if the machine had been cloned: same journal, two processes.
    copy(&world.folder.path().join("1"), &world.folder.path().join("2"));
    let new = world.open("2").unwrap();
    assert_eq!(new.recovered().reservations, 1);
    world.call(&old, 3, 1_000);
    until_it_works(|| {
        old.flush();
        let trouble = old.trouble().unwrap_or_default();
        let heard_no_more = trouble.contains("another gateway has this one's journal");
        if heard_no_more { Ok(()) } else { Err(trouble) }
    });
    flushed(&new);
    let found = world.verified();
    assert!(found.is_sound(), "{found:?}");
    assert_eq!((found.settled, found.open), (Usd::from_pico(50), 0), "what was held is charged");
}

#[test]
fn one_folder_is_one_gateways_and_an_older_copy_of_it_is_refused() {
    let Some(url) = fresh_url() else { return };
    let world = World::new(url);
    let ledger = world.open("1").unwrap();
    let error = world.open("1").unwrap_err();
    assert!(error.to_string().contains("another gateway has the journal"), "{error}");
    assert!(error.fix().contains("store.journal"), "{}", error.fix());
    world.call(&ledger, 1, 10);
    flushed(&ledger);
    copy(&world.folder.path().join("1"), &world.folder.path().join("old"));
    world.call(&ledger, 2, 10);
    drop(ledger);
    let error = world.open("old").unwrap_err();
    assert!(error.to_string().contains("older copy"), "{error}");
    drop(world.open("1").unwrap());
}

#[test]
fn whatever_is_changed_in_the_tables_shows() {
    let Some(url) = fresh_url() else { return };
    let world = World::new(url);
    let rule = world.budget(1_000);
    let gateway = Gateway::new(&world, "1", &rule);
    gateway.spends(&world, 1, 100);
    flushed(&gateway.ledger);
    assert!(world.verified().is_sound(), "{:?}", world.verified());
    for (change, back) in [
        (
            "UPDATE ledger_entry SET amount = amount - 1 WHERE kind = 3",
            "UPDATE ledger_entry SET amount = amount + 1 WHERE kind = 3",
        ),
        ("UPDATE ledger_usage SET cost = cost - 1", "UPDATE ledger_usage SET cost = cost + 1"),
        (
            "UPDATE ledger_account SET spent = spent - 1",
            "UPDATE ledger_account SET spent = spent + 1",
        ),
        ("UPDATE ledger_batch SET seq = seq + 1", "UPDATE ledger_batch SET seq = seq - 1"),
    ] {
        sql(&world.url, change);
        assert!(!world.verified().is_sound(), "{change}");
        sql(&world.url, back);
        assert!(world.verified().is_sound(), "{back}");
    }
}

/// No days: all budgets here are for good.
struct Forever;

impl Calendar for Forever {
    fn period(&self, rule: &Rule, _at: UnixMillis) -> Period {
        Period { start: rule.since, end: None }
    }
}

/// A gateway's budgets and its ledger.
struct Gateway {
    ledger: LeasedLedger,
    budgets: Arc<Budgets>,
}

#[derive(Debug)]
struct Budgets {
    books: Mutex<Books>,
    org: Box<str>,
    /// How often accounts have answered.
    turns: AtomicU64,
}

impl LeaseHolder for Budgets {
    fn claims(&self, closing: bool) -> Vec<OrgClaim> {
        let mut claims = Vec::new();
        self.books.lock().unwrap().claims(closing, &mut claims);
        claims.into_iter().map(|claim| OrgClaim { org: self.org.clone(), claim }).collect()
    }

    fn learn(&self, answers: Vec<(OrgClaim, Told)>) {
        let mut books = self.books.lock().unwrap();
        for (OrgClaim { claim, .. }, told) in answers {
            let _ = books.learn(claim.rule.id, claim.period, &told);
        }
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    fn away(&self) {}
}

impl Gateway {
    fn new(world: &World, name: &str, rule: &Rule) -> Gateway {
        let ledger = world.open(name).unwrap();
        let books = Mutex::new(Books::shared(UnixMillis(0)));
        let budgets =
            Arc::new(Budgets { books, org: world.key.org.clone(), turns: AtomicU64::new(0) });
        budgets.books.lock().unwrap().set(rule.clone(), NOW, &Forever);
        ledger.attach(Arc::clone(&budgets) as Arc<dyn LeaseHolder>);
        Gateway { ledger, budgets }
    }

    /// A call that costs what it holds; why it has no room otherwise.
    fn calls(&self, world: &World, id: u8, cost: i128) -> Result<(), Why> {
        let (amount, name) = (Usd::from_pico(cost), world.key.id());
        let who = Who { project: &world.key.project, key: Some(&name) };
        let mut books = self.budgets.books.lock().unwrap();
        let holding = books.hold(who, amount, NOW, &Forever).map_err(|over| over.why)?;
        held(&self.ledger, world.entry(EntryKind::Hold, id, cost));
        books.settle(who, holding, amount);
        self.ledger.end(&world.entry(EntryKind::Settle, id, cost));
        Ok(())
    }

    /// The same, waiting for a lease; whether it came.
    fn spends(&self, world: &World, id: u8, cost: i128) -> bool {
        // A turn may have been under way when this call first asked: what it brings was said before, and
        // is no answer. The one after it is.
        let mut answers = 0;
        for _ in 0..50 {
            match self.calls(world, id, cost) {
                Ok(()) => return true,
                Err(Why::Spent) if answers >= 2 => return false,
                Err(Why::Elsewhere) => std::thread::sleep(Duration::from_millis(300)),
                Err(Why::Spent | Why::Leased | Why::NotReady) => {
                    answers += u32::from(self.turns());
                }
            }
        }
        panic!("neither a lease nor a refusal in 50 turns: {:?}", self.ledger.trouble())
    }

    /// Waits for an answer of the accounts, for ten seconds at most.
    fn turns(&self) -> bool {
        let before = self.budgets.turns.load(Ordering::Relaxed);
        self.ledger.hurry();
        for _ in 0..1_000 {
            if self.budgets.turns.load(Ordering::Relaxed) > before {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

/// Waits until what has been spent of leases has been told: it goes another way than the lease, and
/// later. Nobody knows of what a gateway has not told when it is lost.
fn used(world: &World, amount: &str) {
    until_it_works(|| match &sql(&world.url, "SELECT sum(used) FROM ledger_lease")[..] {
        [used] if used == amount => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn two_gateways_spend_one_budget_to_its_end_and_not_beyond() {
    let Some(url) = fresh_url() else { return };
    let world = World::new(url);
    let rule = world.budget(1_000);
    let gateways = [Gateway::new(&world, "1", &rule), Gateway::new(&world, "2", &rule)];
    let mut spent = 0;
    let mut id = 0;
    let mut going = [true, true];
    while going[0] || going[1] {
        for (gateway, going) in gateways.iter().zip(&mut going) {
            if *going {
                id += 1;
                *going = gateway.spends(&world, id, 35);
                spent += if *going { 35 } else { 0 };
                assert!(spent <= 1_000);
            }
        }
    }
    assert!(spent > 1_000 - 35, "{spent} of 1000 are spent, the rest is too little for a call");
    for gateway in &gateways {
        flushed(&gateway.ledger);
    }
    let found = world.verified();
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.settled.pico(), spent);
    let leased = "SELECT sum(granted - returned - used) FROM ledger_lease";
    assert_eq!(sql(&world.url, leased), ["0"], "what nobody holds is given back at the end");
}

#[test]
fn what_a_dead_gateway_had_leased_stays_charged_until_it_is_back() {
    let Some(url) = fresh_url() else { return };
    let world = World::new(url);
    let rule = world.budget(100);
    let dead = Gateway::new(&world, "1", &rule);
    assert!(dead.spends(&world, 1, 10));
    let live = Gateway::new(&world, "2", &rule);
    used(&world, "10");
    // It dies with what it has leased: nothing is said to anybody.
    copy(&world.folder.path().join("1"), &world.folder.path().join("back"));
    let leased = "SELECT coalesce(sum(greatest(granted - returned - used, 0)), 0) FROM ledger_lease
                  WHERE node = (SELECT min(id) FROM ledger_node)";
    std::mem::forget(dead);
    sql(&world.url, "UPDATE ledger_node SET life = life + 1 WHERE id = 1");
    let before: i128 = sql(&world.url, leased)[0].parse().unwrap();
    assert!(before > 0, "it has leased something");
    let mut spent = 0;
    while live.spends(&world, 2 + u8::try_from(spent).unwrap(), 1) {
        spent += 1;
    }
    assert_eq!(spent, 100 - 10 - before, "{before} of 100 are leased to the dead one");
    drop(world.open("back").unwrap());
    assert!(live.spends(&world, 200, 1), "what it had not spent is free again");
}

#[test]
fn a_gateway_that_is_lost_with_its_journal_can_be_given_up() {
    let Some(url) = fresh_url() else { return };
    let world = World::new(url);
    let rule = world.budget(100);
    let lost = Gateway::new(&world, "1", &rule);
    assert!(lost.spends(&world, 1, 10));
    let live = Gateway::new(&world, "2", &rule);
    let tables = LedgerTables::open(&world.url).unwrap();
    used(&world, "10");
    until_it_works(|| match &tables.gateways().unwrap()[..] {
        [_, one] | [one, _] if one.leased > Usd::ZERO && one.budgets == 1 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let mark = sql(&world.url, "SELECT mark FROM ledger_node ORDER BY id").remove(0);
    let done = tables.give_up(&mark).unwrap();
    assert!(matches!(done, GaveUp::Alive { heard_ago, .. } if heard_ago < Duration::from_secs(60)));
    assert_eq!(tables.give_up("nobody").unwrap(), GaveUp::Unknown);

    // It is frozen for longer than that, with what it has leased and a call that it has not told of.
    copy(&world.folder.path().join("1"), &world.folder.path().join("back"));
    std::mem::forget(lost);
    sql(
        &world.url,
        "UPDATE ledger_node SET life = life + 1, seen = seen - interval '2 minutes' WHERE id = 1",
    );
    // From here on nobody hears it; before, a turn of it may still give back.
    let leased = "SELECT greatest(granted - returned - used, 0) FROM ledger_lease JOIN ledger_node
                  ON id = node ORDER BY id LIMIT 1";
    let leased: i128 = sql(&world.url, leased)[0].parse().unwrap();
    assert_eq!(tables.give_up(&mark).unwrap(), GaveUp::Done { freed: Usd::from_pico(leased) });
    assert_eq!(tables.give_up(&mark).unwrap(), GaveUp::Done { freed: Usd::ZERO }, "once");
    let mut spent = 0;
    while live.spends(&world, 2 + u8::try_from(spent).unwrap(), 1) {
        spent += 1;
    }
    assert_eq!(spent, 100 - 10, "others have spent what it had leased");

    // Back it is charged with what it had spent, and leases nothing that is not there.
    drop(world.open("back").unwrap());
    let found = world.verified();
    assert!(found.is_sound() && found.settled >= Usd::from_pico(100), "{found:?}");
    assert!(!live.spends(&world, 250, 1));
}

#[test]
fn without_postgres_a_gateway_spends_what_it_has_leased_and_no_more() {
    let Some(own) = Own::start("") else { return };
    let world = World::new(own.url());
    let rule = world.budget(1_000);
    let gateway = Gateway::new(&world, "1", &rule);
    assert!(gateway.spends(&world, 1, 10));
    own.stop();
    let mut spent = 10;
    for id in 2..200 {
        if gateway.calls(&world, id, 10).is_ok() {
            spent += 10;
        }
    }
    assert!(spent < 1_000, "{spent} without asking");
    until_it_works(|| gateway.ledger.trouble().map(drop).ok_or("it says that all is well"));
    own.start_again();
    until_it_works(|| gateway.ledger.trouble().map_or(Ok(()), Err));
    flushed(&gateway.ledger);
    let found = world.verified();
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.settled.pico(), spent, "everything was brought over");
}
