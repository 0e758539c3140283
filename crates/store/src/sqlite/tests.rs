//! The file: what is refused, what survives, who may read it.

use super::*;
use mainstay_core::store::Scopes;
use tempfile::tempdir;

fn new_key(name: &str) -> NewKey {
    let text = crate::mint().unwrap();
    NewKey {
        public: text.public(),
        digest: crate::digest(text.secret().as_bytes()),
        name: name.to_owned(),
        project: None,
        user: None,
        scopes: Scopes::default(),
        models: Vec::new(),
        expires_at: None,
    }
}

const NOW: UnixMillis = UnixMillis(1_000);

#[track_caller]
fn refused(path: &Path) -> String {
    let error = Sqlite::open(path).unwrap_err();
    format!("{error}; {}", error.fix())
}

#[test]
fn everything_is_there_after_the_file_is_opened_again() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("s.db");
    let (kept, epoch) = {
        let store = Sqlite::open(&path).unwrap();
        let mut new = new_key("one");
        new.scopes = Scopes::from_text("chat,passthrough").unwrap();
        new.models = vec!["gpt-*".to_owned(), "o\"1".to_owned()];
        new.expires_at = Some(UnixMillis(5_000));
        let key = store.create_key(new, NOW).unwrap();
        let successor = (new_key("x").public, Digest([7; 32]));
        store.rotate_key(key.public, successor, Duration::from_secs(1), NOW).unwrap();
        assert!(store.note_once("first", "run").unwrap());
        (store.keys().unwrap(), store.epoch().unwrap())
    };
    let store = Sqlite::open(&path).unwrap();
    assert_eq!(store.keys().unwrap(), kept);
    assert_eq!(store.epoch().unwrap(), epoch);
    assert_eq!(store.note("first").unwrap().as_deref(), Some("run"));
}

/// A copy of the files while the store is open is what a killed process leaves behind.
#[test]
fn what_was_acknowledged_survives_a_process_that_is_killed() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = Sqlite::open(&path).unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..5 {
        acknowledged.push(store.create_key(new_key(&format!("k{round}")), NOW).unwrap());
        let left = folder.path().join(format!("left{round}.db"));
        for end in ["", "-wal"] {
            let from = format!("{}{end}", path.display());
            std::fs::copy(from, format!("{}{end}", left.display())).unwrap();
        }
        assert_eq!(Sqlite::open(&left).unwrap().keys().unwrap(), acknowledged);
    }
}

#[test]
fn another_process_sees_changes_by_the_epoch() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("s.db");
    let (gateway, command) = (Sqlite::open(&path).unwrap(), Sqlite::open(&path).unwrap());
    let before = gateway.epoch().unwrap();
    let key = command.create_key(new_key("k"), NOW).unwrap();
    assert!(gateway.epoch().unwrap() > before);
    assert_eq!(gateway.changes_since(before).unwrap().keys, [key]);
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = Sqlite::open(&path).unwrap();
    store.create_key(new_key("k"), NOW).unwrap();
    for name in ["s.db", "s.db-wal", "s.db-shm"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_newer_store_is_refused_and_left_alone() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("s.db");
    drop(Sqlite::open(&path).unwrap());
    let raw = Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    drop(raw);
    let before = std::fs::read(&path).unwrap();
    let error = Sqlite::open(&path).unwrap_err();
    assert_eq!(error, StoreError::Newer { found: SCHEMA_VERSION + 1, known: SCHEMA_VERSION });
    assert!(error.fix().contains("newer program"));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn files_that_are_no_store_of_ours_are_refused_with_a_way_out() {
    let folder = tempdir().unwrap();
    let text = folder.path().join("text.db");
    std::fs::write(&text, "this is no database, but long enough to be taken for one".repeat(40))
        .unwrap();
    assert!(refused(&text).contains("no SQLite file"), "{}", refused(&text));

    let other = folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(refused(&other).contains("another program"), "{}", refused(&other));

    let nowhere = folder.path().join("no/such/folder/s.db");
    assert!(refused(&nowhere).contains("make the folder"), "{}", refused(&nowhere));
    assert!(refused(folder.path()).contains("could not open the store"));
}

#[test]
fn a_half_written_first_start_is_finished_by_the_next() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("s.db");
    std::fs::write(&path, "").unwrap(); // killed between making the file and its tables
    let store = Sqlite::open(&path).unwrap();
    assert_eq!(store.organizations().unwrap().len(), 1);
}

#[test]
fn two_that_open_a_new_file_at_once_both_succeed() {
    let folder = tempdir().unwrap();
    // In one round of a hundred, one saw a file half made by another where looks at it were apart.
    for round in 0..40 {
        let path = folder.path().join(format!("{round}.db"));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || {
                    Sqlite::open(&path).map(|store| store.note_once("first", "x"))
                })
            })
            .collect();
        let wrote = threads.into_iter().map(|t| t.join().unwrap().unwrap().unwrap());
        assert_eq!(wrote.filter(|&first| first).count(), 1);
    }
}
