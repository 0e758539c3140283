//! A server that is away, comes back, or hangs. Each test has a server of its own.

use std::time::Duration;

use mainstay_core::store::{DEFAULT_PROJECT, ObjectStore, Store, StoreError};
use mainstay_store::open_postgres;
use mainstay_store::testing::postgres::Own;

use crate::ground::{NOW, named, open, patiently, timed, until_it_works};

/// What a loaded machine may add to a deadline.
const SLACK: Duration = Duration::from_secs(3);

#[test]
fn a_restart_of_the_server_is_survived_without_a_restart_here() {
    let Some(server) = Own::start("") else { return };
    let store = open(&server.url()).unwrap();
    let key = store.create_key(named("k"), NOW).unwrap();
    for _ in 0..2 {
        server.stop();
        server.start_again();
        // Nobody asked meanwhile: the lost connection is noticed before it is used.
        assert_eq!(patiently(|| store.keys()).unwrap(), std::slice::from_ref(&key));
    }

    server.stop();
    let (refused, took) = timed(|| store.create_key(named("lost"), NOW));
    let refused = refused.unwrap_err();
    assert!(matches!(refused, StoreError::Surroundings { .. }), "{refused}");
    assert!(
        refused.to_string().contains("could not make a key: PostgreSQL at 127.0.0.1:"),
        "{refused}"
    );
    assert!(took < SLACK, "{took:?}");
    server.start_again();
    assert_eq!(until_it_works(|| store.keys()), [key], "what was refused was not done");
    store.create_project("default", "p", NOW).unwrap();
}

#[test]
fn a_server_that_hangs_ends_each_call_by_its_deadline() {
    let Some(server) = Own::start("") else { return };
    let store = open(&server.url()).unwrap();
    let key = store.create_key(named("k"), NOW).unwrap();
    store.object("files", "f").unwrap();
    server.freeze();
    let ask = |what: fn(&dyn Store) -> Result<(), StoreError>, limit: u64| {
        let store = &store;
        move || {
            let (done, took) = timed(|| what(store));
            let error = done.unwrap_err();
            assert!(matches!(error, StoreError::Surroundings { .. }), "{error}");
            assert!(took < Duration::from_secs(limit) + SLACK, "{error} after {took:?}");
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(ask(|store| store.epoch().map(drop), 2));
            scope.spawn(ask(|store| store.create_key(named("lost"), NOW).map(drop), 5));
            scope.spawn(ask(|store| store.object("files", "f").map(drop), 2));
            scope.spawn(ask(|store| store.objects_of(DEFAULT_PROJECT, "files", 9).map(drop), 2));
        }
    });
    server.thaw();
    let keys = until_it_works(|| store.keys());
    assert_eq!(keys, [key], "what was told to have failed while it waited was never begun");
    store.create_key(named("again"), NOW).unwrap();
}

#[test]
fn while_the_server_is_away_asking_fails_at_once() {
    let Some(server) = Own::start("") else { return };
    let store = open(&server.url()).unwrap();
    server.stop();
    assert!(store.epoch().is_err());
    let ((), took) = timed(|| {
        for _ in 0..1_000 {
            assert!(store.epoch().is_err());
        }
    });
    assert!(took < SLACK, "{took:?} for a thousand questions");
}

#[test]
fn no_error_and_no_debug_text_has_the_password() {
    let Some(server) = Own::start("") else { return };
    let url = server.url();
    let wrong = url.replace("not%20a%20secret", "hunter2SECRET");
    let refused = open(&wrong).unwrap_err();
    let told = format!("{refused} {refused:?} {}", refused.fix());
    assert!(told.contains("28P01") && told.contains("pg_hba.conf"), "{told}");
    assert!(!told.contains("SECRET"), "{told}");
    let store = open(&url).unwrap();
    let acting = store.acting("cli:x");
    server.stop();
    let error = store.keys().unwrap_err();
    let told = format!("{store:?} {acting:?} {error} {error:?} {}", error.fix());
    assert!(!told.contains("secret") && told.contains("127.0.0.1"), "{told}");
}

#[test]
fn what_keeps_a_store_from_being_opened_is_told_with_a_way_out() {
    let nobody = open_postgres("postgres://u:SECRET@127.0.0.1:1/d").unwrap_err();
    let told = format!("{nobody}; {}", nobody.fix());
    assert!(told.contains("could not open the store") && told.contains("127.0.0.1:1/d"), "{told}");
    assert!(told.contains("start PostgreSQL") && !told.contains("SECRET"), "{told}");
    let Some(url) = mainstay_store::testing::postgres::fresh_url() else { return };
    let (base, rest) = url.rsplit_once('/').expect("a path");
    let absent = rest.split_once('?').map_or(rest, |(database, _)| database);
    let url = format!("{base}/no_such_{absent}");
    let error = open(&url).unwrap_err();
    assert!(error.fix().contains("createdb"), "{error}; {}", error.fix());
}
