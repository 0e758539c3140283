//! The ledger through deaths, full disks, damage and clocks that step back.

use std::sync::mpsc::{Receiver, channel};

use mainstay_core::money::Usd;
use mainstay_core::store::{
    Basis, EntryKind, KeyRecord, NewKey, ReservationId, Scopes, Store as _,
};
use mainstay_core::wire::usage::Usage;
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

use super::*;
use crate::Sqlite;

const DAY: u64 = 86_400_000;
const NOON: UnixMillis = UnixMillis(20_000 * DAY + DAY / 2);
/// How long is waited for what must come: only a failure takes as long.
const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    folder: TempDir,
    key: Arc<KeyRecord>,
}

impl World {
    fn new() -> World {
        let folder = tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("s.db")).unwrap();
        let text = crate::mint().unwrap();
        let new = NewKey {
            public: text.public(),
            digest: crate::digest(text.secret().as_bytes()),
            name: "k".to_owned(),
            project: None,
            user: None,
            scopes: Scopes::default(),
            models: Vec::new(),
            expires_at: None,
        };
        let key = Arc::new(store.create_key(new, NOON).unwrap());
        World { folder, key }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("s.db")
    }

    fn open(&self, durability: Durability) -> SqliteLedger {
        let settings =
            LedgerSettings { durability, lock_wait: Duration::ZERO, ..LedgerSettings::default() };
        SqliteLedger::open(&self.path(), settings).unwrap()
    }

    fn entry(&self, kind: EntryKind, id: u8, amount: i128) -> Entry {
        Entry {
            kind,
            reservation: ReservationId([id; 16]),
            at: NOON,
            key: Some(Arc::clone(&self.key)),
            model: "m".into(),
            amount: Usd::from_pico(amount),
            usage: Usage { input: 10, output: 5, cached: 2 },
            basis: Basis::default(),
        }
    }

    fn verified(&self) -> Verified {
        LedgerFile::open(&self.path()).unwrap().verify().unwrap()
    }

    /// What a process leaves behind that is killed at this instant.
    fn killed(&self) -> World {
        let folder = tempdir().unwrap();
        // The journal first: what is brought over meanwhile is in both.
        for end in [".ledger-journal-0", ".ledger-journal-1", "", "-wal"] {
            let from = format!("{}{end}", self.path().display());
            std::fs::copy(from, folder.path().join(format!("s.db{end}"))).unwrap();
        }
        World { folder, key: Arc::clone(&self.key) }
    }
}

type Told = Receiver<Result<(), LedgerTrouble>>;

fn hold(ledger: &SqliteLedger, entry: Entry) -> Result<Told, LedgerTrouble> {
    let (tell, told) = channel();
    let mut waits = false;
    let noted = ledger.hold(&entry, &mut || {
        waits = true;
        let tell = tell.clone();
        Box::new(move |result| tell.send(result).unwrap_or_default())
    })?;
    ledger.hand_over(noted)?;
    if !waits {
        tell.send(Ok(())).unwrap();
    }
    Ok(told)
}

fn held(ledger: &SqliteLedger, entry: Entry) {
    hold(ledger, entry).unwrap().recv_timeout(PATIENCE).unwrap().unwrap();
}

fn spent(ledger: &SqliteLedger, world: &World, from: u64, to: Option<u64>) -> i128 {
    let of = SpentOf {
        org: world.key.org.clone(),
        project: None,
        key: Some(world.key.id().into()),
        from: UnixMillis(from),
        to: to.map(UnixMillis),
    };
    let (tell, told) = channel();
    ledger.spent(of, Box::new(move |sum| tell.send(sum).unwrap_or_default()));
    told.recv_timeout(PATIENCE).unwrap().unwrap().pico()
}

#[test]
fn what_was_settled_is_summed_by_key_model_and_time() {
    let world = World::new();
    let ledger = world.open(Durability::Process);
    for (id, amount) in [(1, 100), (2, 50)] {
        held(&ledger, world.entry(EntryKind::Hold, id, 500));
        ledger.end(&world.entry(EntryKind::Settle, id, amount));
    }
    held(&ledger, world.entry(EntryKind::Hold, 3, 500));
    ledger.further(&world.entry(EntryKind::Exposure, 3, 9));
    ledger.end(&world.entry(EntryKind::Release, 3, 0));
    assert_eq!(spent(&ledger, &world, 0, None), 150);
    assert_eq!(spent(&ledger, &world, NOON.0 + DAY, None), 0);
    assert_eq!(spent(&ledger, &world, NOON.0 - DAY, Some(NOON.0)), 0);
    let mut file = LedgerFile::open(&world.path()).unwrap();
    let mut rows = Vec::new();
    file.usage(UnixMillis(0), None, &mut |row| rows.push(row)).unwrap();
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((&*row.key, &*row.model), (&*world.key.id(), "m"));
    assert_eq!((row.requests, row.input, row.cached, row.output), (2, 20, 4, 10));
    assert_eq!(row.cost, Usd::from_pico(150));
    let mut kinds = Vec::new();
    file.export(&mut |row| kinds.push(row.kind.name())).unwrap();
    assert_eq!(kinds, ["hold", "settle", "hold", "settle", "hold", "exposure", "release"]);
    let found = file.verify().unwrap();
    assert!(found.is_sound(), "{found:?}");
    assert_eq!((found.ended, found.open, found.settled), (3, 0, Usd::from_pico(150)));
}

#[test]
fn a_hold_that_was_told_survives_a_kill_and_is_charged_once() {
    for durability in [Durability::Process, Durability::Strict] {
        let world = World::new();
        let ledger = world.open(durability);
        held(&ledger, world.entry(EntryKind::Hold, 1, 70));
        held(&ledger, world.entry(EntryKind::Hold, 2, 30));
        ledger.further(&world.entry(EntryKind::Hold, 1, 5));
        ledger.end(&world.entry(EntryKind::Settle, 2, 11));
        spent(&ledger, &world, 0, None); // a barrier: all of it is written
        let left = world.killed();
        assert_eq!(left.verified().open, 1);
        let again = left.open(durability);
        assert_eq!(again.recovered(), Recovered { reservations: 1, held: Usd::from_pico(75) });
        assert_eq!(spent(&again, &left, 0, None), 86);
        drop(again);
        let third = left.open(durability);
        assert_eq!(third.recovered(), Recovered::default(), "nothing is charged twice");
        assert_eq!(spent(&third, &left, 0, None), 86);
        let found = left.verified();
        assert!(found.is_sound() && found.open == 0, "{found:?}");
    }
}

#[test]
fn whoever_holds_is_told_later_only_where_the_disk_is_waited_for() {
    for durability in [Durability::Process, Durability::Batched, Durability::Strict] {
        let world = World::new();
        let ledger = world.open(durability);
        let mut asked = 0;
        let written = &mut || -> Written {
            asked += 1;
            Box::new(|_| {})
        };
        let noted = ledger.hold(&world.entry(EntryKind::Hold, 1, 70), written).unwrap();
        ledger.hand_over(noted).unwrap();
        assert_eq!(asked, usize::from(durability == Durability::Strict), "{durability:?}");
    }
}

#[test]
fn a_hold_survives_a_kill_at_the_very_moment_it_is_told() {
    let world = World::new();
    let ledger = world.open(Durability::Process);
    let told = hold(&ledger, world.entry(EntryKind::Hold, 1, 70)).unwrap();
    assert_eq!(told.try_recv(), Ok(Ok(())), "it is told without a change of threads");
    ledger.end(&world.entry(EntryKind::Settle, 1, 7));
    held(&ledger, world.entry(EntryKind::Hold, 2, 30));
    let left = world.killed();
    let again = left.open(Durability::Process);
    assert_eq!(again.recovered(), Recovered { reservations: 1, held: Usd::from_pico(30) });
    held(&again, left.entry(EntryKind::Hold, 3, 5));
    let twice = left.killed();
    let third = twice.open(Durability::Strict);
    assert_eq!(third.recovered(), Recovered { reservations: 1, held: Usd::from_pico(5) });
    assert_eq!(spent(&third, &twice, 0, None), 42, "by key, as if nothing had happened");
    let found = twice.verified();
    assert!(found.is_sound() && found.open == 0 && found.ended == 3, "{found:?}");
    drop(third);
    assert_eq!(twice.open(Durability::Process).recovered(), Recovered::default());
}

#[test]
fn what_the_disk_does_not_have_of_sqlite_it_has_of_the_journal() {
    let world = World::new();
    let ledger = world.open(Durability::Process);
    held(&ledger, world.entry(EntryKind::Hold, 1, 70));
    ledger.flush();
    // Nothing more is synced from here on: a machine that dies would go back to these files. The
    // disk's thread looks once more before it ends, and must not find what comes below.
    ledger.shared.disk.stop();
    until(|| ledger.threads[1].is_finished().then_some(()));
    let left = world.killed();
    for id in 2..12 {
        held(&ledger, world.entry(EntryKind::Hold, id, 70));
        ledger.end(&world.entry(EntryKind::Settle, id, 7));
        spent(&ledger, &world, 0, None); // a barrier: a batch of its own
    }
    assert_eq!(world.verified().ended, 10, "SQLite has written them");
    for end in [".ledger-journal-0", ".ledger-journal-1"] {
        let from = format!("{}{end}", world.path().display());
        std::fs::copy(from, format!("{}{end}", left.path().display())).unwrap();
    }
    assert_eq!(left.verified().ended, 0);
    let again = left.open(Durability::Process);
    assert_eq!(again.recovered(), Recovered { reservations: 1, held: Usd::from_pico(70) });
    assert_eq!(spent(&again, &left, 0, None), 140);
    let found = left.verified();
    assert!(found.is_sound() && found.open == 0 && found.ended == 11, "{found:?}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the time is what is measured")]
fn the_journal_is_synced_while_no_batch_is_written() {
    let world = World::new();
    let ledger = world.open(Durability::Process);
    let mut batches = 0;
    let began = std::time::Instant::now();
    for id in 1..=100 {
        held(&ledger, world.entry(EntryKind::Hold, id, 70));
        ledger.end(&world.entry(EntryKind::Settle, id, 7));
        std::thread::sleep(Duration::from_millis(4));
        batches = until(|| Some(world.verified().batches).filter(|first| *first > 0));
    }
    // 400 ms at least; with one in 8 ms there would be fifty and more. A slow machine takes longer.
    let tenths = u64::try_from(began.elapsed().as_millis() / 100).unwrap();
    assert!(batches <= tenths.max(19), "{batches} in {tenths} tenths of a second");
    assert_eq!(ledger.state().trouble, None);
    until(|| Some(world.verified()).filter(|all| all.ended == 100 && all.batches >= 2));
    let durable = until(|| (ledger.shared.disk.durable() == 200).then_some(200));
    assert!(ledger.shared.inbox.unsynced(durable).is_none(), "SQLite has it on the disk");
    assert!(ledger.shared.inbox.unsynced(0).is_none(), "it was synced or brought over");
}

#[cfg(target_os = "linux")]
#[test]
fn a_journal_that_cannot_be_synced_refuses_holds_until_sqlite_has_it() {
    let world = World::new();
    for end in [".ledger-journal-0", ".ledger-journal-1"] {
        let name = format!("{}{end}", world.path().display());
        // What can be written and not synced.
        std::os::unix::fs::symlink("/dev/null", name).unwrap();
    }
    let ledger = world.open(Durability::Process);
    held(&ledger, world.entry(EntryKind::Hold, 1, 70));
    let why = until(|| {
        ledger.further(&world.entry(EntryKind::Exposure, 1, 0));
        ledger.state().trouble
    });
    assert!(why.contains("about the disk"), "{why}");
    // Nothing more comes, and it ends all the same.
    until(|| ledger.state().trouble.is_none().then_some(()));
    held(&ledger, world.entry(EntryKind::Hold, 2, 70));
}

#[test]
fn what_is_noted_is_taken_in_the_order_it_came() {
    let world = World::new();
    let ledger = world.open(Durability::Strict);
    let told: Vec<Told> = (1..=50)
        .map(|id| {
            let told = hold(&ledger, world.entry(EntryKind::Hold, id, 70)).unwrap();
            ledger.end(&world.entry(EntryKind::Settle, id, i128::from(id)));
            if id % 10 == 0 {
                let want: i128 = (1..=i128::from(id)).sum();
                assert_eq!(spent(&ledger, &world, 0, None), want, "neither less nor more");
            }
            told
        })
        .collect();
    for told in told {
        told.recv_timeout(PATIENCE).unwrap().unwrap();
    }
    assert_eq!(ledger.state().refused, 0);
}

#[test]
fn a_journal_that_cannot_be_brought_over_twice_is_not() {
    let world = World::new();
    drop(world.open(Durability::Process));
    let mark = replay::run(&mut crate::sqlite::open_file(&world.path()).unwrap(), &world.path());
    let mut journal = journal::Journal::start(&world.path(), mark.unwrap(), 0).unwrap();
    // A second end, and an end without a beginning, break the ledger's rules.
    for (kind, id) in [
        (EntryKind::Hold, 1),
        (EntryKind::Settle, 1),
        (EntryKind::Release, 1),
        (EntryKind::Settle, 2),
    ] {
        journal.note(&world.entry(kind, id, 7));
    }
    journal.write().unwrap();
    for _ in 0..2 {
        let mut connection = crate::sqlite::open_file(&world.path()).unwrap();
        replay::run(&mut connection, &world.path()).unwrap();
        let found = world.verified();
        assert!(found.is_sound() && found.settled == Usd::from_pico(7), "{found:?}");
        assert_eq!((found.batches, found.entries), (1, 2));
    }
}

#[test]
fn leftovers_are_released_where_the_policy_says_so() {
    let world = World::new();
    let ledger = world.open(Durability::Process);
    held(&ledger, world.entry(EntryKind::Hold, 1, 70));
    let left = world.killed();
    let settings = LedgerSettings { recovery: Recovery::Release, ..LedgerSettings::default() };
    let again = SqliteLedger::open(&left.path(), settings).unwrap();
    assert_eq!(again.recovered().reservations, 1);
    assert_eq!(spent(&again, &left, 0, None), 0);
    assert!(left.verified().is_sound());
}

#[test]
fn what_is_batched_is_written_within_moments_and_when_it_is_flushed() {
    let world = World::new();
    let ledger = world.open(Durability::Batched);
    held(&ledger, world.entry(EntryKind::Hold, 1, 70));
    ledger.end(&world.entry(EntryKind::Settle, 1, 7));
    ledger.flush();
    assert_eq!(world.killed().verified().settled, Usd::from_pico(7));
}

#[test]
fn a_second_terminal_entry_is_refused() {
    let world = World::new();
    let ledger = world.open(Durability::Process);
    held(&ledger, world.entry(EntryKind::Hold, 1, 70));
    ledger.end(&world.entry(EntryKind::Settle, 1, 7));
    ledger.end(&world.entry(EntryKind::Settle, 1, 7));
    ledger.end(&world.entry(EntryKind::Release, 9, 0));
    assert_eq!(spent(&ledger, &world, 0, None), 7);
    assert_eq!((ledger.state().refused, ledger.state().open, ledger.state().waiting), (2, 0, 0));
    assert!(world.verified().is_sound());
}

#[test]
fn a_second_gateway_on_the_same_ledger_is_refused() {
    let world = World::new();
    let _first = world.open(Durability::Process);
    let settings = LedgerSettings { lock_wait: Duration::ZERO, ..LedgerSettings::default() };
    let error = SqliteLedger::open(&world.path(), settings).unwrap_err();
    assert!(error.to_string().contains("another gateway"), "{error}");
}

#[cfg(unix)]
#[test]
fn every_file_of_the_ledger_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let ledger = world.open(Durability::Process);
    held(&ledger, world.entry(EntryKind::Hold, 1, 70));
    for entry in std::fs::read_dir(world.folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
    }
}

/// Writing stops, calls are refused with the reason; what had been handed in is written once it can
/// be, and nothing is lost or doubled.
fn survives(stop: &'static str, go: &'static str, words: &str) {
    let world = World::new();
    let ledger = world.open(Durability::Process);
    held(&ledger, world.entry(EntryKind::Hold, 1, 70));
    ledger.shared.inbox.urgent(Job::Pragma(stop));
    ledger.end(&world.entry(EntryKind::Settle, 1, 7));
    // Large names make the file grow beyond the pages it has. The journal has it before anybody
    // notices that it cannot be brought over.
    let large = Entry { model: "m".repeat(200_000).into(), ..world.entry(EntryKind::Hold, 2, 30) };
    let taken = hold(&ledger, large).is_ok();
    let why = until(|| ledger.state().trouble);
    assert!(why.contains(words), "{why}");
    assert!(hold(&ledger, world.entry(EntryKind::Hold, 3, 1)).is_err(), "refused at once");
    if taken {
        ledger.end(&world.entry(EntryKind::Release, 2, 0));
    }
    let (tell, told) = channel();
    let of = SpentOf { org: "x".into(), project: None, key: None, from: NOON, to: None };
    ledger.spent(of, Box::new(move |sum| tell.send(sum.is_err()).unwrap_or_default()));
    assert!(told.recv().unwrap(), "a sum without what waits would be wrong");
    let left = world.killed();
    ledger.shared.inbox.urgent(Job::Pragma(go));
    until(|| ledger.state().trouble.is_none().then_some(()));
    held(&ledger, world.entry(EntryKind::Hold, 4, 1));
    ledger.end(&world.entry(EntryKind::Settle, 4, 1));
    assert_eq!(spent(&ledger, &world, 0, None), 8);
    let found = world.verified();
    assert!(
        found.is_sound() && found.open == 0 && found.ended == 2 + u64::from(taken),
        "{found:?}"
    );
    // Had it been killed in the middle of it, nothing would be lost either.
    let again = left.open(Durability::Process);
    assert_eq!(spent(&again, &left, 0, None), 7);
}

/// Waits for what other threads bring about.
fn until<T>(mut there: impl FnMut() -> Option<T>) -> T {
    for _ in 0..PATIENCE.as_millis() / 10 {
        if let Some(found) = there() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it does not come about");
}

#[test]
fn a_full_disk_refuses_holds_and_loses_nothing() {
    survives("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000", "free space");
}

#[test]
fn a_file_that_cannot_be_written_refuses_holds_and_loses_nothing() {
    survives("PRAGMA query_only = ON", "PRAGMA query_only = OFF", "the right to write");
}

#[test]
fn a_full_queue_refuses_holds_and_takes_terminal_entries() {
    let world = World::new();
    let settings = LedgerSettings { queue_max: 2, ..LedgerSettings::default() };
    let ledger = SqliteLedger::open(&world.path(), settings).unwrap();
    held(&ledger, world.entry(EntryKind::Hold, 1, 70));
    spent(&ledger, &world, 0, None); // a barrier: nothing waits any more
    let (go, wait) = channel::<()>();
    let of = SpentOf { org: "x".into(), project: None, key: None, from: NOON, to: None };
    ledger.spent(of, Box::new(move |_| assert!(wait.recv().is_err())));
    let waiting: Vec<Told> =
        (2..4).map(|id| hold(&ledger, world.entry(EntryKind::Hold, id, 1)).unwrap()).collect();
    let refused = hold(&ledger, world.entry(EntryKind::Hold, 4, 1)).map(drop);
    assert_eq!(refused, Err(LedgerTrouble::Full { most: 2 }));
    ledger.end(&world.entry(EntryKind::Settle, 1, 7));
    drop(go);
    for told in waiting {
        told.recv_timeout(PATIENCE).unwrap().unwrap();
    }
    assert_eq!(spent(&ledger, &world, 0, None), 7);
}

#[test]
fn a_clock_that_steps_back_changes_no_sum_and_is_noticed() {
    let world = World::new();
    let ledger = world.open(Durability::Process);
    held(&ledger, world.entry(EntryKind::Hold, 1, 70));
    let early = UnixMillis(NOON.0 - DAY);
    held(&ledger, Entry { at: early, ..world.entry(EntryKind::Hold, 2, 30) });
    ledger.end(&world.entry(EntryKind::Settle, 1, 7));
    ledger.end(&Entry { at: early, ..world.entry(EntryKind::Settle, 2, 3) });
    assert_eq!(spent(&ledger, &world, 0, None), 10);
    assert_eq!(spent(&ledger, &world, 0, Some(NOON.0)), 3);
    drop(ledger);
    assert_eq!(world.open(Durability::Process).latest(), NOON, "budgets go on from there");
    assert!(world.verified().is_sound());
}

fn two_batches() -> World {
    let world = World::new();
    let ledger = world.open(Durability::Process);
    for id in [1, 2] {
        held(&ledger, world.entry(EntryKind::Hold, id, 70));
        ledger.end(&world.entry(EntryKind::Settle, id, 7));
        spent(&ledger, &world, 0, None); // a barrier: a batch of its own
    }
    drop(ledger);
    world
}

#[test]
fn what_was_changed_behind_its_back_is_found() {
    for (sql, words) in [
        ("UPDATE ledger_batch SET records = zeroblob(length(records)) WHERE seq = 1", "digest"),
        ("DELETE FROM ledger_batch WHERE seq = 1", "rows are missing"),
        ("UPDATE ledger_usage SET cost_pico = cost_pico + 1", "entries give"),
        ("DELETE FROM ledger_usage", "entries give"),
        (
            "INSERT INTO ledger_usage SELECT slot + 1, org, project, key, model, 1, 1, 1, 1, 1, 1 FROM ledger_usage",
            "has no entries",
        ),
    ] {
        let world = two_batches();
        assert!(world.verified().is_sound());
        let raw = rusqlite::Connection::open(world.path()).unwrap();
        raw.execute_batch(sql).unwrap();
        let found = world.verified();
        assert!(found.findings.iter().any(|one| one.contains(words)), "{sql}: {found:?}");
    }
}

#[test]
fn a_damaged_page_is_told_of_in_words() {
    let world = two_batches();
    drop(world.open(Durability::Process));
    let raw = rusqlite::Connection::open(world.path()).unwrap();
    raw.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let page: i64 = raw
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'ledger_batch'", [], |row| {
            row.get(0)
        })
        .unwrap();
    drop(raw);
    let mut bytes = std::fs::read(world.path()).unwrap();
    let at = usize::try_from((page - 1) * 4_096).unwrap();
    bytes[at..at + 4_096].fill(0xA5);
    std::fs::write(world.path(), bytes).unwrap();
    let settings = LedgerSettings::default();
    let error = SqliteLedger::open(&world.path(), settings).unwrap_err();
    assert!(error.fix().contains("backup"), "{error}; {}", error.fix());
    assert!(LedgerFile::open(&world.path()).unwrap().verify().is_err());
}

#[derive(Clone, Debug)]
enum Act {
    Hold(u8),
    More(u8),
    Settle(u8, u16),
    Release(u8),
    Restart,
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => (0u8..20).prop_map(Act::Hold),
        1 => (0u8..20).prop_map(Act::More),
        4 => (0u8..20, any::<u16>()).prop_map(|(id, cost)| Act::Settle(id, cost)),
        2 => (0u8..20).prop_map(Act::Release),
        1 => Just(Act::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn every_story_verifies_and_sums_up(acts in proptest::collection::vec(any_act(), 1..60)) {
        let world = World::new();
        let mut ledger = world.open(Durability::Process);
        let (mut settled, mut open) = (0i128, std::collections::BTreeMap::new());
        let mut used = std::collections::BTreeSet::new();
        for act in acts {
            match act {
                Act::Hold(id) if used.insert(id) => {
                    held(&ledger, world.entry(EntryKind::Hold, id, 100));
                    open.insert(id, 100);
                }
                Act::More(id) if open.contains_key(&id) => {
                    ledger.further(&world.entry(EntryKind::Hold, id, 10));
                    open.entry(id).and_modify(|held| *held += 10);
                }
                Act::Settle(id, cost) => {
                    ledger.end(&world.entry(EntryKind::Settle, id, i128::from(cost)));
                    if open.remove(&id).is_some() {
                        settled += i128::from(cost);
                    }
                }
                Act::Release(id) => {
                    ledger.end(&world.entry(EntryKind::Release, id, 0));
                    open.remove(&id);
                }
                Act::Restart => {
                    drop(ledger);
                    ledger = world.open(Durability::Process);
                    settled += std::mem::take(&mut open).into_values().sum::<i128>();
                }
                Act::Hold(_) | Act::More(_) => {}
            }
        }
        prop_assert_eq!(spent(&ledger, &world, 0, None), settled);
        let found = world.verified();
        prop_assert!(found.is_sound(), "{:?}", found);
        prop_assert_eq!(found.open, open.len() as u64);
        prop_assert_eq!(found.held, Usd::from_pico(open.into_values().sum()));
    }
}
