//! Several gateways and commands on one database.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_core::store::{AuditStore, ObjectRecord, ObjectStore, Store, StoreError};
use mainstay_store::testing::postgres::{Own, fresh_url};
use mainstay_store::{KeySnapshot, Postgres};

use crate::ground::{NOW, named, open, patiently, until_it_works};

#[test]
fn another_process_sees_changes_by_the_epoch() {
    let Some(url) = fresh_url() else { return };
    let (gateway, command) = (open(&url).unwrap(), open(&url).unwrap());
    let before = gateway.epoch().unwrap();
    let key = command.create_key(named("k"), NOW).unwrap();
    assert!(gateway.epoch().unwrap() > before);
    assert_eq!(gateway.changes_since(before).unwrap().keys, [key]);
}

#[test]
fn who_listens_is_told_of_each_change_by_anybody_and_after_each_loss() {
    let Some(own) = Own::start("") else { return };
    let gateway = open(&own.url()).unwrap();
    let told = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&told);
    assert!(!gateway.listens(), "nobody asked it to");
    let heard = move || {
        count.fetch_add(1, Ordering::Relaxed);
    };
    gateway.listen(Box::new(heard)).unwrap();
    let listens = || gateway.listens().then_some(()).ok_or("it does not listen");
    until_it_works(listens);
    assert_eq!(told.load(Ordering::Relaxed), 1, "what came before it listened may be new");

    let reaches = |count| match told.load(Ordering::Relaxed) {
        found if found >= count => Ok(()),
        found => Err(format!("told {found} times of {count}")),
    };
    let (command, elsewhere) =
        (open(&own.url()).unwrap(), open(&format!("{}?schema=elsewhere", own.url())).unwrap());
    elsewhere.create_key(named("k"), NOW).unwrap();
    let key = command.create_key(named("k"), NOW).unwrap();
    until_it_works(|| reaches(2));
    command.revoke_key(key.public, NOW).unwrap();
    until_it_works(|| reaches(3));
    assert_eq!(told.load(Ordering::Relaxed), 3, "of its own store only");

    own.stop();
    until_it_works(|| if gateway.listens() { Err("it thinks it listens") } else { Ok(()) });
    own.start_again();
    until_it_works(listens);
    until_it_works(|| reaches(4));
}

#[test]
fn of_two_gateways_that_make_the_same_thing_one_does() {
    let Some(url) = fresh_url() else { return };
    let stores: Vec<Postgres> = (0..3).map(|_| open(&url).unwrap()).collect();
    let made: usize = std::thread::scope(|scope| {
        let each = stores.iter().map(|store| {
            scope.spawn(|| {
                let make = |n: usize| store.create_organization(&format!("org {n}"), NOW);
                (0..10)
                    .filter(|n| match make(*n) {
                        Ok(_) => true,
                        Err(StoreError::Taken { .. }) => false,
                        Err(other) => panic!("{other}"),
                    })
                    .count()
            })
        });
        let threads: Vec<_> = each.collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(made, 10, "each name once");
    assert_eq!(stores[0].organizations().unwrap().len(), 11);
    assert_eq!(stores[1].audit(None, 100).unwrap().len(), 10, "who was refused changed nothing");
}

/// A reader who goes by epochs must not miss a change that was begun earlier and ended later.
#[test]
fn whoever_follows_the_epoch_misses_no_change_of_many_writers() {
    let Some(url) = fresh_url() else { return };
    let reader = open(&url).unwrap();
    let changes = |epoch| patiently(|| reader.changes_since(epoch)).unwrap();
    let mut snapshot = KeySnapshot::default();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|_| {
                let url = &url;
                scope.spawn(move || {
                    let store = open(url).unwrap();
                    (0..15).for_each(|_| drop(store.create_key(named("k"), NOW).unwrap()));
                })
            })
            .collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            if patiently(|| reader.epoch()).unwrap() != snapshot.epoch() {
                snapshot = snapshot.apply(changes(snapshot.epoch()));
            }
        }
    });
    snapshot = snapshot.apply(changes(snapshot.epoch()));
    assert_eq!(snapshot.len(), 45);
}

#[test]
fn gateways_that_write_the_same_objects_at_once_do_not_block_each_other() {
    let Some(url) = fresh_url() else { return };
    let object = |n: u64| ObjectRecord {
        family: "files".into(),
        id: format!("f{}", n % 50).into(),
        project: "a".into(),
        provider: "up".into(),
        credential: 0,
        made_at: NOW,
        adopted: n.is_multiple_of(3),
    };
    std::thread::scope(|scope| {
        for turn in 0..4 {
            let url = &url;
            scope.spawn(move || {
                let store = open(url).unwrap();
                for round in 0..10 {
                    let mut batch: Vec<_> = (0..100).map(object).collect();
                    batch.rotate_left((turn * 25 + round * 7) % 100);
                    store.put_objects(&batch).unwrap();
                }
            });
        }
    });
    let store = open(&url).unwrap();
    let objects = patiently(|| store.objects_of("a", "files", 1_000)).unwrap();
    let ids: BTreeSet<_> = objects.into_iter().map(|one| one.id).collect();
    assert_eq!(ids.len(), 50);
}

/// What a quiet gateway costs: each look is one execution of one prepared statement.
#[test]
fn the_epoch_is_one_question_of_one_row() {
    let Some(server) = Own::start("log_statement = 'all'") else { return };
    let store = open(&server.url()).unwrap();
    store.epoch().unwrap();
    let log = || std::fs::read_to_string(server.data().join("log.txt")).expect("a log");
    let before = log().len();
    (0..20).for_each(|_| assert!(store.epoch().unwrap() > 0));
    let asked = log();
    let asked: Vec<&str> = asked[before..].lines().collect();
    assert_eq!(asked.len(), 20, "{asked:#?}");
    assert!(asked.iter().all(|line| line.contains("SELECT value FROM epoch")), "{asked:#?}");
}
