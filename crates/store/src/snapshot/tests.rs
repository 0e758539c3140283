//! Snapshots: what a bearer is worth, and that many keys stay cheap to look up.

use std::time::Instant;

use super::*;
use crate::secrets::mint;
use mainstay_core::store::{Digest, Scopes};

fn record(public: PublicPart, digest: Digest) -> KeyRecord {
    KeyRecord {
        public,
        digest,
        name: "k".into(),
        project: "proj_default".into(),
        org: "org-default".into(),
        user: None,
        scopes: Scopes::default(),
        models: Box::default(),
        created_at: UnixMillis(0),
        expires_at: Some(UnixMillis(1_000)),
        revoked_at: None,
        rotated: None,
    }
}

fn changes(epoch: u64, keys: Vec<KeyRecord>) -> Changes {
    Changes { epoch, keys, ..Changes::default() }
}

#[test]
fn a_bearer_is_worth_what_its_key_is() {
    let (known, stranger) = (mint().unwrap(), mint().unwrap());
    let key = record(known.public(), digest(known.secret().as_bytes()));
    let impostor = record(stranger.public(), digest(b"another secret"));
    let snapshot = KeySnapshot::default().apply(changes(1, vec![key.clone(), impostor]));
    let verdict = |bearer: &str, now| snapshot.verify(bearer.as_bytes(), UnixMillis(now));

    let key = Arc::new(key);
    let active = Verdict::Known { key: &key, state: KeyState::Active };
    assert_eq!(verdict(known.expose(), 999), active);
    let expired = Verdict::Known { key: &key, state: KeyState::Expired };
    assert_eq!(verdict(known.expose(), 1_000), expired);
    assert_eq!(verdict(stranger.expose(), 0), Verdict::Unknown, "the secret is another");
    assert_eq!(verdict(mint().unwrap().expose(), 0), Verdict::Unknown);
    assert_eq!(verdict(&known.expose()[..50], 0), Verdict::Typo);
    assert_eq!(verdict("sk-other", 0), Verdict::NotOurs);
}

#[test]
fn later_changes_win_and_earlier_snapshots_stay_as_they_were() {
    let keys: Vec<_> = (0..100).map(|_| mint().unwrap()).collect();
    let records = keys.iter().map(|k| record(k.public(), digest(k.secret().as_bytes()))).collect();
    let first = KeySnapshot::default().apply(changes(1, records));
    for (step, key) in keys.iter().enumerate() {
        let mut revoked = first.find(&key.public()).unwrap().clone();
        revoked.revoked_at = Some(UnixMillis(5));
        let next = first.apply(changes(2 + step as u64, vec![revoked]));
        assert_eq!(next.find(&key.public()).unwrap().state(UnixMillis(6)), KeyState::Revoked);
        assert_eq!(next.len(), 100);
        assert_eq!(first.find(&key.public()).unwrap().state(UnixMillis(6)), KeyState::Active);
    }
}

/// The promise is a lookup below 1 µs in a release build among a million keys; this smaller world
/// in a debug build only guards against a lookup that grows with the number of keys.
#[test]
#[expect(clippy::disallowed_methods, reason = "the time is what is measured")]
fn a_lookup_does_not_grow_with_the_number_of_keys() {
    let count = 50_000u64;
    let public = |n: u64| -> PublicPart { format!("{n:012}").parse().unwrap() };
    let keys = (0..count).map(|n| record(public(n), Digest([0; 32]))).collect();
    let snapshot = KeySnapshot::default().apply(changes(1, keys));
    let start = Instant::now();
    let found = (0..count).filter(|n| snapshot.find(&public(n * 7 % count)).is_some()).count();
    assert_eq!(found as u64, count);
    assert!(start.elapsed().as_millis() < 2_000, "{:?} for {count} lookups", start.elapsed());
}
