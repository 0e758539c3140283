//! The tables: made once, additive, refused when they are too new or another's.

use std::time::Duration;

use mainstay_core::store::{Store, StoreError};
use mainstay_store::testing::postgres::fresh_url;
use mainstay_store::{POSTGRES_SCHEMA_VERSION, inspect_postgres};

use crate::ground::{NOW, named, open, schema, sql};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn many_that_open_a_new_database_at_once_all_succeed() {
    let Some(url) = fresh_url() else { return };
    let wrote: usize = std::thread::scope(|scope| {
        let open = || open(&url).unwrap().note_once("first", "x").unwrap();
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(open)).collect();
        threads.into_iter().filter(|_| true).map(|t| usize::from(t.join().unwrap())).sum()
    });
    assert_eq!(wrote, 1);
    let steps = sql(&url, "SELECT count(*) FROM schema_version");
    assert_eq!(steps, [POSTGRES_SCHEMA_VERSION.to_string()], "each step once");
    assert_eq!(sql(&url, "SELECT count(*) FROM organization"), ["1"]);
}

#[test]
fn tables_that_this_program_must_not_use_are_refused_and_left_alone() {
    let Some(url) = fresh_url() else { return };
    drop(open(&url).unwrap());
    sql(&url, "INSERT INTO schema_version VALUES (900, 'later', 900, '\\x00')");
    let error = open(&url).unwrap_err();
    assert_eq!(error, StoreError::Newer { found: 900, known: POSTGRES_SCHEMA_VERSION });
    assert!(error.fix().contains("newer program"), "{}", error.fix());
    assert_eq!(inspect_postgres(&url, LIMIT).unwrap_err(), error);
}

/// A rolling update: the new version has done its step, and gateways of this version go on and may
/// even start again.
#[test]
fn a_step_that_only_adds_lets_this_version_go_on_beside_the_next() {
    let Some(url) = fresh_url() else { return };
    let running = open(&url).unwrap();
    let key = running.create_key(named("k"), NOW).unwrap();
    assert_eq!(running.keys().unwrap().len(), 1, "its statements are prepared");
    let step = format!(
        "ALTER TABLE key ADD COLUMN later TEXT NOT NULL DEFAULT 'x';
         CREATE TABLE later (id BIGINT);
         INSERT INTO schema_version VALUES ({}, 'later', 1, '\\x00')",
        POSTGRES_SCHEMA_VERSION + 1
    );
    sql(&url, &step);
    assert_eq!(running.keys().unwrap(), std::slice::from_ref(&key));
    running.revoke_key(key.public, NOW).unwrap();
    let again = open(&url).unwrap();
    again.create_key(named("other"), NOW).unwrap();
    assert_eq!(running.keys().unwrap().len(), 2);
    assert!(inspect_postgres(&url, LIMIT).unwrap().current);
}

#[test]
fn the_schema_of_another_program_is_refused() {
    let Some(url) = fresh_url() else { return };
    let name = schema(&url);
    sql(&url, &format!("CREATE SCHEMA {name}; CREATE TABLE {name}.theirs (x INT)"));
    let error = open(&url).unwrap_err();
    assert!(error.to_string().contains("another program"), "{error}");
    assert!(error.fix().contains("?schema=NAME"), "{}", error.fix());
    assert_eq!(sql(&url, "SELECT count(*) FROM theirs"), ["0"]);
}

#[test]
fn a_user_without_the_right_to_make_tables_uses_those_that_an_owner_made() {
    let Some(url) = fresh_url() else { return };
    let name = schema(&url);
    let (_, place) = url.rsplit_once('@').expect("a host");
    let role = format!("r_{name}");
    sql(&url, &format!("CREATE ROLE {role} LOGIN PASSWORD 'x'"));
    let theirs = format!("postgres://{role}:x@{place}");
    let refused = open(&theirs).unwrap_err();
    assert!(refused.fix().contains("mainstay store migrate"), "{refused}; {}", refused.fix());
    drop(open(&url).unwrap());
    let rights = format!(
        "GRANT USAGE ON SCHEMA {name} TO {role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {name} TO {role};
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA {name} TO {role}"
    );
    sql(&url, &rights);
    let store = open(&theirs).unwrap();
    store.create_key(named("k"), NOW).unwrap();
    assert_eq!(store.keys().unwrap().len(), 1);
}

#[test]
fn what_was_done_to_the_tables_behind_our_back_is_found() {
    let Some(url) = fresh_url() else { return };
    let before = inspect_postgres(&url, LIMIT).unwrap();
    assert_eq!((before.schema, before.current), (0, false));
    let store = open(&url).unwrap();
    let old = store.create_key(named("k"), NOW).unwrap();
    let fresh = named("next");
    store.rotate_key(old.public, (fresh.public, fresh.digest), LIMIT, NOW).unwrap();
    let seen = inspect_postgres(&url, LIMIT).unwrap();
    assert!(seen.current && seen.writable && seen.bytes > 0, "{seen:?}");
    assert_eq!(seen.findings, Vec::<String>::new());
    assert!(seen.server.starts_with(|first: char| first.is_ascii_digit()), "{seen:?}");
    sql(&url, "UPDATE schema_version SET digest = '\\x00' WHERE version = 1");
    sql(&url, "UPDATE epoch SET value = 1");
    sql(&url, "DELETE FROM key WHERE rotated_at IS NULL");
    let found = inspect_postgres(&url, LIMIT).unwrap().findings;
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].contains("step 1") && found[1].contains("last change"), "{found:?}");
}
