//! From one machine to many: a SQLite store copied into PostgreSQL.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mainstay_core::failure::{Kind, Origin};
use mainstay_core::money::Usd;
use mainstay_core::money::budget::Every;
use mainstay_core::store::{
    Basis, BudgetOf, Change, DEFAULT_ORG, Entry, EntryKind, FailureNote, Group, Ledger, LimitLevel,
    LimitPatch, NewBudget, NewKey, ObjectRecord, Replay, ReplayPlace, ReplaysKept, RequestFilter,
    RequestId, RequestRecord, RequestsKept, ReservationId, Role, Scopes, Store, StoreError,
    Subject, UnixMillis,
};
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_core::wire::usage::Usage;
use mainstay_store::requests::batch_of;
use mainstay_store::testing::postgres::fresh_url;
use mainstay_store::{
    LeasedLedger, LedgerFile, LedgerSettings, Sqlite, SqliteLedger, verify_postgres_ledger,
};

use crate::ground::{NOW, named, open};

/// Something in every table.
fn fill(store: &dyn Store) {
    let store = store.acting("test");
    store.create_organization("acme", NOW).expect("the test's own ground");
    store.create_project("acme", "web", NOW).expect("the test's own ground");
    store.create_user("ann", NOW).expect("the test's own ground");
    store
        .set_member(&Group::Org("acme".into()), "ann", Role::Owner, NOW)
        .expect("the test's own ground");
    let new = NewKey {
        project: Some("web".to_owned()),
        user: Some("ann".to_owned()),
        scopes: Scopes::from_text("chat,read_only").expect("the test's own ground"),
        models: vec!["gpt-*".to_owned(), "ü\"".to_owned()],
        expires_at: Some(NOW.plus(Duration::from_secs(9))),
        ..named("mine")
    };
    let key = store.create_key(new, NOW).expect("the test's own ground");
    let next = named("next");
    store
        .rotate_key(key.public, (next.public, next.digest), Duration::from_secs(5), NOW)
        .expect("the test's own ground");
    let patch = LimitPatch { rpm: Change::To(5), shadow: Some(true), ..LimitPatch::default() };
    store
        .set_limit(&Subject::Key(next.public), Some("gpt-*"), &patch, NOW)
        .expect("the test's own ground");
    store
        .set_limit(&Subject::Organization(DEFAULT_ORG.into()), None, &patch, NOW)
        .expect("the test's own ground");
    store
        .remove_limit(&Subject::Organization(DEFAULT_ORG.into()), None, NOW)
        .expect("the test's own ground");
    store
        .put_levels(&[LimitLevel { id: 1, used: 3, at: NOW }], NOW)
        .expect("the test's own ground");
    let budget = NewBudget {
        of: BudgetOf::Project("web".to_owned()),
        amount: Usd::parse("5.25").expect("the test's own ground"),
        every: Every::Month,
        zone: "UTC".to_owned(),
        hard: true,
        alerts: vec![50, 90],
    };
    store.set_budget(budget, NOW).expect("the test's own ground");
    assert!(store.note_once("first", "run").expect("the test's own ground"));
    let headers = vec![("a".into(), b"\xff".as_slice().into())];
    let replay = Replay {
        fingerprint: [1; 32],
        status: 201,
        headers,
        body: Some(b"\x00\xff".to_vec()),
        until: NOW.plus(Duration::from_secs(99)),
    };
    store
        .keep_replay(ReplayPlace([2; 32]), replay, ReplaysKept::default(), NOW)
        .expect("the test's own ground");
    let object = ObjectRecord {
        family: "files".into(),
        id: "f".into(),
        project: "p".into(),
        provider: "up".into(),
        credential: 3,
        made_at: NOW,
        adopted: false,
    };
    store.put_objects(&[object]).expect("the test's own ground");
    let (first, second) = (batch_of([record(1), record(2)]), batch_of([record(3)]));
    store.keep_requests(&first, RequestsKept::default(), NOW).expect("the test's own ground");
    store.keep_requests(&second, RequestsKept::default(), NOW).expect("the test's own ground");
}

fn record(number: u8) -> RequestRecord {
    RequestRecord {
        id: RequestId([number; 16]),
        at: NOW,
        key: None,
        key_name: "a".into(),
        org: "o".into(),
        project: "p".into(),
        endpoint: Endpoint::Chat,
        model: None,
        served: None,
        provider: None,
        stream: false,
        status: 503,
        failed: Some(FailureNote::new(Kind::Overloaded, Origin::Provider)),
        took: Duration::from_millis(7),
        waited: Duration::ZERO,
        first_content: None,
        overhead: Duration::ZERO,
        attempts_sent: 1,
        usage: None,
        counted: false,
        cost: None,
        sdk_retry: 0,
        attempts: Vec::new(),
    }
}

/// Everything that a store tells.
fn told(store: &dyn Store) -> Vec<String> {
    let all = RequestFilter::default();
    let place = ReplayPlace([2; 32]);
    vec![
        format!("{:?}", store.changes_since(0).expect("the test's own ground")),
        format!("{:?}", store.limits_since(0).expect("the test's own ground")),
        format!("{:?}", store.levels().expect("the test's own ground")),
        format!("{:?}", store.budgets_since(0).expect("the test's own ground")),
        format!("{:?}", store.users().expect("the test's own ground")),
        format!("{:?}", store.audit(None, 1_000).expect("the test's own ground")),
        format!(
            "{:?} {:?}",
            store.note("first").expect("the test's own ground"),
            store.note("x").expect("the test's own ground")
        ),
        format!(
            "{:?}",
            store
                .replay(place, NOW)
                .expect("the test's own ground")
                .map(|one| (one.headers, one.body))
        ),
        format!("{:?}", store.objects_of("p", "files", 9).expect("the test's own ground")),
        format!("{:?}", store.requests(&all, 99).expect("the test's own ground")),
        format!("{:?}", store.alerts(0, 9).expect("the test's own ground")),
    ]
}

#[test]
fn a_copy_tells_what_the_original_tells_and_goes_on_from_there() {
    let Some(url) = fresh_url() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.db");
    let original = Sqlite::open(&path).unwrap();
    fill(&original);
    let copy = open(&url).unwrap();
    let copied = copy.copy_from(&path).unwrap();
    for table in &copied {
        assert!(table.rows > 0 || table.table == "budget_alert", "{table:?}");
    }
    for (theirs, ours) in told(&original).iter().zip(told(&copy)) {
        assert_eq!(*theirs, ours);
    }
    fill_more(&copy);
    let again = copy.copy_from(&path).unwrap_err();
    assert!(matches!(again, StoreError::Refused { .. }), "{again}");
    assert_eq!(copy.organizations().unwrap().len(), 3, "a refused copy changes nothing");
}

/// Numbers go on behind those that were copied.
fn fill_more(copy: &dyn Store) {
    let epoch = copy.epoch().expect("the test's own ground");
    copy.create_organization("later", NOW).expect("the test's own ground");
    assert_eq!(copy.epoch().expect("the test's own ground"), epoch + 1);
    let patch = LimitPatch { rpm: Change::To(5), ..LimitPatch::default() };
    let limit = copy
        .set_limit(&Subject::Project("web".into()), None, &patch, NOW)
        .expect("the test's own ground");
    assert_eq!(limit.id, 3);
    copy.keep_requests(&batch_of([record(4)]), RequestsKept::default(), NOW)
        .expect("the test's own ground");
    assert_eq!(
        copy.requests(&RequestFilter::default(), 9).expect("the test's own ground").len(),
        4
    );
}

/// Calls of a gateway that was stopped, one of them left open as by a kill.
fn spend(path: &Path) {
    let key = Sqlite::open(path).expect("a store").create_key(named("payer"), NOW).expect("a key");
    let key = Arc::new(key);
    let ledger = SqliteLedger::open(path, LedgerSettings::default()).expect("a ledger");
    let entry = |kind: EntryKind, id: u16, pico: i128| Entry {
        kind,
        reservation: ReservationId({
            let mut bytes = [7; 16];
            bytes[..2].copy_from_slice(&id.to_be_bytes());
            bytes
        }),
        at: NOW.plus(Duration::from_secs(u64::from(id) * 60)),
        key: Some(Arc::clone(&key)),
        model: if id.is_multiple_of(2) { "gpt-4o".into() } else { "".into() },
        amount: Usd::from_pico(pico),
        usage: Usage { input: 10, output: 5, cached: 2 },
        basis: Basis::default(),
    };
    for id in 0..200 {
        let noted = ledger.hold(&entry(EntryKind::Hold, id, 900), &mut || Box::new(|_| {}));
        ledger.hand_over(noted.expect("room")).expect("a disk");
        match id % 3 {
            _ if id == 77 => {}
            0 => ledger.end(&entry(EntryKind::Release, id, 0)),
            _ => ledger.end(&entry(EntryKind::Settle, id, 1_000_000_000_007)),
        }
    }
    ledger.flush();
}

fn usage(store: &dyn Store) -> BTreeSet<String> {
    let mut rows = BTreeSet::new();
    store
        .usage(UnixMillis(0), None, &mut |row| {
            rows.insert(format!("{row:?}"));
        })
        .expect("usage");
    rows
}

#[test]
fn the_ledger_is_copied_entry_by_entry_and_adds_up() {
    let Some(url) = fresh_url() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.db");
    spend(&path);
    let copy = open(&url).unwrap();
    let running = SqliteLedger::open(&path, LedgerSettings::default()).unwrap();
    let settings = LedgerSettings { lock_wait: Duration::ZERO, ..LedgerSettings::default() };
    let refused = LeasedLedger::copy(&url, &path, settings).unwrap_err();
    assert!(refused.to_string().contains("another gateway runs"), "{refused}");
    drop(running);
    // A second time adds nothing: what broke off is done again from the beginning.
    LeasedLedger::copy(&url, &path, settings).unwrap();
    LeasedLedger::copy(&url, &path, settings).unwrap();
    copy.copy_from(&path).unwrap();
    let theirs = LedgerFile::open(&path).unwrap().verify().unwrap();
    let ours = verify_postgres_ledger(&url).unwrap();
    assert!(theirs.is_sound() && ours.is_sound(), "{theirs:?} {ours:?}");
    assert_eq!((ours.entries, ours.ended, ours.open), (theirs.entries, theirs.ended, 0));
    assert_eq!((ours.ended, ours.settled), (200, theirs.settled), "what was left open is charged");
    let wanted = usage(&Sqlite::open(&path).unwrap());
    assert!(wanted.len() > 2, "{wanted:?}");
    assert_eq!(usage(&copy), wanted);
}
