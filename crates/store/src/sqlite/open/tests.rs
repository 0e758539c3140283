//! Files of older programs: what each version left is brought up to date, whole, and stays.

use std::sync::Arc;
use std::time::Duration;

use mainstay_core::money::Usd;
use mainstay_core::money::budget::{Alert, Every, Owner};
use mainstay_core::store::{
    Basis, BudgetOf, BudgetStore as _, Change, DEFAULT_ORG, Durability, Entry, EntryKind, Group,
    Ledger as _, LimitLevel, LimitPatch, LimitStore as _, MemberStore as _, NewBudget, NewKey,
    ObjectRecord, ObjectStore as _, Replay, ReplayPlace, ReplayStore as _, ReplaysKept,
    RequestFilter, RequestId, RequestRecord, RequestStore as _, RequestsKept, ReservationId, Role,
    Scopes, Store as _, Subject, UnixMillis,
};
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_core::wire::usage::Usage;
use sha2::{Digest as _, Sha256};
use tempfile::tempdir;

use super::*;
use crate::requests::batch_of;
use crate::{LedgerFile, LedgerSettings, Sqlite, SqliteLedger};

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

/// A store with something in each of its tables.
fn fill(path: &Path) {
    let store = Sqlite::open(path).unwrap();
    let org = store.create_organization("acme", NOW).unwrap();
    let project = store.create_project(&org.id, "web", NOW).unwrap();
    let user = store.create_user("ann", NOW).unwrap();
    store.set_member(&Group::Org(org.id), &user.id, Role::Member, NOW).unwrap();
    store.set_member(&Group::Project(project.id.clone()), &user.id, Role::Owner, NOW).unwrap();
    let text = crate::mint().unwrap();
    let new = NewKey {
        public: text.public(),
        digest: crate::digest(text.secret().as_bytes()),
        name: "k".to_owned(),
        project: Some(project.id.to_string()),
        user: Some(user.id.to_string()),
        scopes: Scopes::from_text("chat,passthrough").unwrap(),
        models: vec!["gpt-*".to_owned()],
        expires_at: Some(NOW.plus(Duration::from_hours(1))),
    };
    let key = Arc::new(store.create_key(new, NOW).unwrap());
    let patch = LimitPatch { rpm: Change::To(9), ..LimitPatch::default() };
    let limit = store.set_limit(&Subject::Key(key.public), Some("gpt-4o"), &patch, NOW).unwrap();
    store.put_levels(&[LimitLevel { id: limit.id, used: 5, at: NOW }], NOW).unwrap();
    let (of, zone) = (BudgetOf::Organization(DEFAULT_ORG.to_owned()), "UTC".to_owned());
    let amount = Usd::parse("5.25").unwrap();
    let budget = NewBudget { of, amount, every: Every::Month, zone, hard: true, alerts: vec![80] };
    let budget = store.set_budget(budget, NOW).unwrap();
    let owner = Owner::Organization;
    let alert =
        Alert { rule: budget.id, owner, percent: 80, since: NOW, settled: amount, limit: amount };
    assert!(store.raise_alert(DEFAULT_ORG, &alert, NOW).unwrap().is_some());
    store.put_objects(&[object(&project.id)]).unwrap();
    store.keep_requests(&batch_of([request()]), RequestsKept::default(), NOW).unwrap();
    let headers = vec![("content-type".into(), b"a/b".as_slice().into())];
    let until = NOW.plus(Duration::from_hours(1));
    let replay =
        Replay { fingerprint: [7; 32], status: 200, headers, body: Some(vec![0, 1]), until };
    store.keep_replay(ReplayPlace([3; 32]), replay, ReplaysKept::default(), NOW).unwrap();
    assert!(store.note_once("first", "run").unwrap());
    spend(path, &key);
}

fn object(project: &str) -> ObjectRecord {
    ObjectRecord {
        family: "files".into(),
        id: "file-1".into(),
        project: project.into(),
        provider: "up".into(),
        credential: 1,
        made_at: NOW,
        adopted: false,
    }
}

fn request() -> RequestRecord {
    RequestRecord {
        id: RequestId([4; 16]),
        at: NOW,
        key: Some("key_a".into()),
        key_name: "k".into(),
        org: "acme".into(),
        project: "web".into(),
        endpoint: Endpoint::Chat,
        model: Some("gpt-4o".into()),
        served: None,
        provider: Some("up".into()),
        stream: true,
        status: 200,
        failed: None,
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

/// A call that was paid for, and one that the end of the process leaves open.
fn spend(path: &Path, key: &Arc<mainstay_core::store::KeyRecord>) {
    let settings = LedgerSettings { durability: Durability::Strict, ..LedgerSettings::default() };
    let ledger = SqliteLedger::open(path, settings).unwrap();
    let entry = |kind, id, pico| Entry {
        kind,
        reservation: ReservationId([id; 16]),
        at: NOW,
        key: Some(Arc::clone(key)),
        model: "gpt-4o".into(),
        amount: Usd::from_pico(pico),
        usage: Usage { input: 10, output: 5, cached: 2 },
        basis: Basis::default(),
    };
    for id in [1, 2] {
        let (tell, told) = std::sync::mpsc::channel();
        let mut written = || -> mainstay_core::store::Written {
            let tell = tell.clone();
            Box::new(move |done| tell.send(done).unwrap_or_default())
        };
        let noted = ledger.hold(&entry(EntryKind::Hold, id, 900), &mut written).unwrap();
        ledger.hand_over(noted).unwrap();
        told.recv_timeout(Duration::from_secs(20)).unwrap().unwrap();
    }
    ledger.end(&entry(EntryKind::Settle, 1, 700));
    ledger.flush();
}

/// Names of tables, without SQLite's own, and of a table's columns.
fn names(of: &Connection, sql: &str) -> Vec<String> {
    let mut query = of.prepare(sql).unwrap();
    query.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

fn tables(of: &Connection, schema: &str) -> Vec<String> {
    let sql = format!(
        "SELECT name FROM {schema}.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
    );
    names(of, &sql)
}

fn columns(of: &Connection, schema: &str, table: &str) -> String {
    let sql = format!("SELECT '\"' || name || '\"' FROM {schema}.pragma_table_info('{table}')");
    names(of, &sql).join(", ")
}

/// The rows of a table's columns as one text.
fn rows(of: &Connection, table: &str, columns: &str) -> Vec<String> {
    let quoted: Vec<String> =
        columns.split(", ").map(|column| format!("quote({column})")).collect();
    names(of, &format!("SELECT {} FROM \"{table}\" ORDER BY 1", quoted.join(" || ',' || ")))
}

/// A file as the program of that version would have left it: its own steps, and of what is in
/// `full` all that its tables have room for.
fn left_by(version: u32, full: &Path, path: &Path) {
    let raw = Connection::open(path).unwrap();
    for step in MIGRATIONS.iter().take(version as usize) {
        raw.execute_batch(step).unwrap();
    }
    // Tables are filled one by one, whoever refers to whom.
    raw.pragma_update(None, "foreign_keys", false).unwrap();
    raw.execute("ATTACH ?1 AS full", [full.to_str().unwrap()]).unwrap();
    raw.execute_batch("DELETE FROM epoch").unwrap();
    for table in tables(&raw, "main") {
        let columns = columns(&raw, "main", &table);
        let sql =
            format!("INSERT INTO \"{table}\" ({columns}) SELECT {columns} FROM full.\"{table}\"");
        raw.execute_batch(&sql).unwrap();
    }
    raw.execute_batch("DETACH full").unwrap();
    raw.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
    raw.pragma_update(None, "user_version", version).unwrap();
}

/// What the tables are, word for word.
fn schema(of: &Connection) -> Vec<String> {
    names(of, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
}

#[test]
fn the_file_of_every_older_version_is_brought_up_to_date_with_all_that_is_in_it() {
    let folder = tempdir().unwrap();
    let full = folder.path().join("full.db");
    fill(&full);
    let now = Connection::open(&full).unwrap();
    for table in tables(&now, "main") {
        let all = rows(&now, &table, &columns(&now, "main", &table));
        assert!(!all.is_empty(), "nothing in {table}: this test shows nothing of it");
    }
    for version in 1..SCHEMA_VERSION {
        let path = folder.path().join(format!("v{version}.db"));
        left_by(version, &full, &path);
        let before: Vec<_> = {
            let raw = Connection::open(&path).unwrap();
            let of = |table: String| {
                let columns = columns(&raw, "main", &table);
                (rows(&raw, &table, &columns), table, columns)
            };
            tables(&raw, "main").into_iter().map(of).collect()
        };
        let store = Sqlite::open(&path).unwrap();
        let raw = Connection::open(&path).unwrap();
        let known: u32 = raw.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(known, SCHEMA_VERSION, "from version {version}");
        assert_eq!(schema(&raw), schema(&now), "from version {version}");
        assert_eq!(names(&raw, "PRAGMA integrity_check"), ["ok"], "from version {version}");
        assert!(names(&raw, "SELECT \"table\" FROM pragma_foreign_key_check").is_empty());
        for (rows_before, table, columns) in before {
            assert_eq!(rows(&raw, &table, &columns), rows_before, "{table} from {version}");
        }
        works(&store, &path, version);
    }
}

/// What the program reads of a file that was brought up from `version`.
fn works(store: &Sqlite, path: &Path, version: u32) {
    let key = store.keys().unwrap().pop().unwrap();
    assert_eq!((&*key.name, &*key.models), ("k", &["gpt-*".into()][..]));
    assert_eq!(store.organizations().unwrap().len(), 2);
    assert_eq!(store.limits().unwrap().len(), usize::from(version >= 2));
    let project = store.projects().unwrap().pop().unwrap();
    let objects = store.objects_of(&project.id, "files", 9).unwrap();
    assert_eq!(objects.len(), usize::from(version >= 6));
    let requests = store.requests(&RequestFilter::default(), 9).unwrap();
    assert_eq!(requests.len(), usize::from(version >= 7));
    // The ledger goes on where the old one ended: what was left open is settled, once.
    drop(SqliteLedger::open(path, LedgerSettings::default()).unwrap());
    let found = LedgerFile::open(path).unwrap().verify().unwrap();
    assert!(found.is_sound(), "from version {version}: {found:?}");
    let ended = if version >= 3 { 2 } else { 0 };
    assert_eq!((found.ended, found.open), (ended, 0), "from version {version}");
}

/// Other programs have files that these steps made: a step is never changed, only added to.
#[test]
fn steps_that_were_released_are_as_they_were() {
    const RELEASED: [&str; 10] = [
        "6ae5d6c19754b2e2",
        "083061e8a3ed9ee1",
        "51edf479756823e8",
        "c01fc828acf23122",
        "9f1faf07000f6299",
        "1394f0054512ce3f",
        "3259c66b94f88125",
        "c1c69cfcf1f6f3f1",
        "6cdbf394c784b7ee",
        "4cb64f9d3b96e49e",
    ];
    let digests = MIGRATIONS.iter().map(|step| {
        let digest = Sha256::digest(step.as_bytes());
        let short = digest.first_chunk().map_or(0, |short| u64::from_be_bytes(*short));
        format!("{short:016x}")
    });
    let digests: Vec<String> = digests.take(RELEASED.len()).collect();
    assert_eq!(digests, RELEASED, "a step is not what it was: add another one instead");
}

/// A step that fails leaves the file as its own program can still read it.
#[test]
fn a_file_that_cannot_be_brought_up_to_date_stays_as_it_was() {
    let folder = tempdir().unwrap();
    let full = folder.path().join("full.db");
    fill(&full);
    let path = folder.path().join("old.db");
    left_by(4, &full, &path);
    let raw = Connection::open(&path).unwrap();
    // In the way of a step that comes after others that succeed.
    raw.execute_batch("CREATE TABLE request_batch (x)").unwrap();
    let before = schema(&raw);
    let error = Sqlite::open(&path).unwrap_err();
    assert!(error.to_string().contains("request_batch"), "{error}");
    let known: u32 = raw.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!((known, schema(&raw)), (4, before));
    raw.execute_batch("DROP TABLE request_batch").unwrap();
    drop(raw);
    assert_eq!(Sqlite::open(&path).unwrap().keys().unwrap().len(), 1);
}
