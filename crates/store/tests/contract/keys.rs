//! What every store promises. The same stories run on each of them.

use std::time::Duration;

use mainstay_core::keys::PublicPart;
use mainstay_core::store::{
    DEFAULT_ORG, DEFAULT_PROJECT, Digest, KeyState, NewKey, Scopes, StoreError, UnixMillis,
};
use mainstay_store::{KeySnapshot, digest, mint};

use crate::ground::on_every_store;

const NOW: UnixMillis = UnixMillis(1_000_000);

fn later(seconds: u64) -> UnixMillis {
    NOW.plus(Duration::from_secs(seconds))
}

fn fresh() -> (PublicPart, Digest) {
    let key = mint().expect("the test's own ground");
    (key.public(), digest(key.secret().as_bytes()))
}

fn named(name: &str) -> NewKey {
    let (public, digest) = fresh();
    NewKey {
        public,
        digest,
        name: name.to_owned(),
        project: None,
        user: None,
        scopes: Scopes::default(),
        models: Vec::new(),
        expires_at: None,
    }
}

#[test]
fn a_new_store_has_the_default_organization_and_project() {
    on_every_store(|store| {
        assert_eq!(&*store.organizations().unwrap()[0].id, DEFAULT_ORG);
        assert_eq!(&*store.projects().unwrap()[0].id, DEFAULT_PROJECT);
        assert!(store.keys().unwrap().is_empty());
        let all = store.changes_since(0).unwrap();
        assert_eq!((all.organizations.len(), all.projects.len()), (1, 1));
        assert_eq!(all.epoch, store.epoch().unwrap());
    });
}

#[test]
fn a_key_is_found_as_it_was_made() {
    on_every_store(|store| {
        let mut new = named("mine");
        new.scopes = Scopes::from_text("chat,read_only").unwrap();
        new.models = vec!["gpt-4o".into(), "o*".into()];
        new.expires_at = Some(later(9));
        let made = store.create_key(new.clone(), NOW).unwrap();
        assert_eq!(store.key(new.public).unwrap(), made);
        assert_eq!(store.keys().unwrap(), std::slice::from_ref(&made));
        assert_eq!((&*made.project, &*made.org), (DEFAULT_PROJECT, DEFAULT_ORG));
        assert_eq!((made.digest, made.created_at), (new.digest, NOW));
        assert_eq!(made.state(later(8)), KeyState::Active);
        assert_eq!(made.state(later(9)), KeyState::Expired);
        assert!(
            made.allows_model("o1") && made.allows_model("gpt-4o") && !made.allows_model("gpt-4")
        );
    });
}

#[test]
fn names_and_times_out_of_range_are_refused() {
    on_every_store(|store| {
        for name in ["", " x", "a\nb", &"x".repeat(65)] {
            assert!(matches!(store.create_key(named(name), NOW), Err(StoreError::Invalid { .. })));
            assert!(matches!(
                store.create_organization(name, NOW),
                Err(StoreError::Invalid { .. })
            ));
        }
        let past = NewKey { expires_at: Some(NOW), ..named("k") };
        assert!(matches!(store.create_key(past, NOW), Err(StoreError::Invalid { .. })));
        assert!(store.keys().unwrap().is_empty());
    });
}

#[test]
fn a_public_part_belongs_to_one_key() {
    on_every_store(|store| {
        let first = store.create_key(named("a"), NOW).unwrap();
        let again = NewKey { public: first.public, ..named("b") };
        assert!(matches!(store.create_key(again, NOW), Err(StoreError::Taken { .. })));
        assert_eq!(store.key(first.public).unwrap(), first);
        let onto =
            store.rotate_key(first.public, (first.public, first.digest), Duration::ZERO, NOW);
        assert!(onto.is_err());
        assert_eq!(store.key(first.public).unwrap(), first, "a refused rotation changes nothing");
    });
}

#[test]
fn a_revoked_key_stays_revoked_from_the_first_time() {
    on_every_store(|store| {
        let key = store.create_key(named("k"), NOW).unwrap();
        let revoked = store.revoke_key(key.public, later(1)).unwrap();
        assert_eq!(revoked.state(later(1)), KeyState::Revoked);
        let epoch = store.epoch().unwrap();
        assert_eq!(store.revoke_key(key.public, later(2)).unwrap(), revoked);
        assert_eq!(store.epoch().unwrap(), epoch, "a second time changes nothing");
        let rotation = store.rotate_key(key.public, fresh(), Duration::ZERO, later(3));
        assert!(matches!(rotation, Err(StoreError::Refused { .. })));
    });
}

#[test]
fn a_rotated_key_works_until_its_grace_is_over() {
    on_every_store(|store| {
        let mut new = named("k");
        new.models = vec!["m".into()];
        let old = store.create_key(new, NOW).unwrap();
        let grace = Duration::from_secs(60);
        let successor = fresh();
        let new = store.rotate_key(old.public, successor, grace, NOW).unwrap();
        assert_eq!((new.public, new.digest), successor);
        assert_eq!((&new.name, &new.models, &new.project), (&old.name, &old.models, &old.project));
        let old = store.key(old.public).unwrap();
        assert_eq!(old.state(later(59)), KeyState::Grace { until: later(60) });
        assert_eq!(old.state(later(60)), KeyState::Rotated);
        assert_eq!(old.rotated.unwrap().successor, new.public);
        assert_eq!(new.state(later(60)), KeyState::Active);
        assert!(store.rotate_key(old.public, fresh(), grace, NOW).is_err(), "only once");
        assert!(store.rotate_key(new.public, fresh(), grace, NOW).is_ok());
    });
}

#[test]
fn projects_belong_to_organizations_and_names_are_unique_within_one() {
    on_every_store(|store| {
        let acme = store.create_organization("acme", NOW).unwrap();
        assert!(matches!(store.create_organization("acme", NOW), Err(StoreError::Taken { .. })));
        let web = store.create_project("acme", "web", NOW).unwrap();
        assert_eq!(web.org, acme.id);
        assert!(matches!(
            store.create_project(&acme.id, "web", NOW),
            Err(StoreError::Taken { .. })
        ));
        let other = store.create_project("default", "web", NOW).unwrap();
        assert!(matches!(store.create_project("nobody", "x", NOW), Err(StoreError::Absent { .. })));

        let key = |project: &str| {
            store.create_key(NewKey { project: Some(project.to_owned()), ..named("k") }, NOW)
        };
        assert_eq!(key(&other.id).unwrap().org, DEFAULT_ORG.into());
        assert_eq!(key(&web.id).unwrap().org, acme.id);
        assert!(matches!(key("web"), Err(StoreError::Invalid { .. })), "two have that name");
        assert!(matches!(key("nothing"), Err(StoreError::Absent { .. })));
    });
}

#[test]
fn every_change_raises_the_epoch_and_is_among_the_changes() {
    on_every_store(|store| {
        let mut snapshot = KeySnapshot::default().apply(store.changes_since(0).unwrap());
        let follow = |snapshot: &KeySnapshot| {
            assert!(store.epoch().unwrap() > snapshot.epoch());
            snapshot.apply(store.changes_since(snapshot.epoch()).unwrap())
        };
        let key = store.create_key(named("k"), NOW).unwrap();
        snapshot = follow(&snapshot);
        assert_eq!(snapshot.find(&key.public), Some(&key));
        let new = store.rotate_key(key.public, fresh(), Duration::from_secs(5), NOW).unwrap();
        snapshot = follow(&snapshot);
        assert_eq!(snapshot.find(&new.public), Some(&new));
        assert!(snapshot.find(&key.public).unwrap().rotated.is_some());
        store.revoke_key(new.public, NOW).unwrap();
        snapshot = follow(&snapshot);
        assert_eq!(snapshot.find(&new.public).unwrap().state(NOW), KeyState::Revoked);
        let org = store.create_organization("o", NOW).unwrap();
        let project = store.create_project("o", "p", NOW).unwrap();
        snapshot = follow(&snapshot);
        assert_eq!(snapshot.organization(&org.id), Some(&org));
        assert_eq!(snapshot.project(&project.id), Some(&project));
        assert_eq!(snapshot.len(), 2);
    });
}

#[test]
fn a_note_is_written_once() {
    on_every_store(|store| {
        assert_eq!(store.note("a").unwrap(), None);
        assert!(store.note_once("a", "1").unwrap());
        assert!(!store.note_once("a", "2").unwrap());
        assert_eq!(store.note("a").unwrap().as_deref(), Some("1"));
    });
}

#[test]
fn what_is_not_there_is_said_to_be_absent() {
    on_every_store(|store| {
        let (nobody, _) = fresh();
        assert!(matches!(store.key(nobody), Err(StoreError::Absent { what: "key", .. })));
        assert!(matches!(store.revoke_key(nobody, NOW), Err(StoreError::Absent { .. })));
        let rotation = store.rotate_key(nobody, fresh(), Duration::ZERO, NOW);
        assert!(matches!(rotation, Err(StoreError::Absent { .. })));
    });
}
