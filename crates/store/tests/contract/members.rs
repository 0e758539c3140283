//! What every store promises about users, memberships and the record of changes.

use std::time::Duration;

use mainstay_core::store::{
    DEFAULT_ORG, DEFAULT_PROJECT, Group, NewKey, Role, Scopes, StoreError, UnixMillis,
};
use mainstay_store::{KeySnapshot, Standing, digest, mint};

use crate::ground::on_every_store;

const NOW: UnixMillis = UnixMillis(1_000_000);

fn key_of(user: Option<&str>, project: Option<&str>) -> NewKey {
    let key = mint().expect("the test's own ground");
    NewKey {
        public: key.public(),
        digest: digest(key.secret().as_bytes()),
        name: "k".to_owned(),
        project: project.map(str::to_owned),
        user: user.map(str::to_owned),
        scopes: Scopes::default(),
        models: Vec::new(),
        expires_at: None,
    }
}

fn org(name: &str) -> Group {
    Group::Org(name.into())
}

fn project(name: &str) -> Group {
    Group::Project(name.into())
}

#[test]
fn a_key_for_a_user_needs_his_membership_and_ends_with_it() {
    on_every_store(|store| {
        store.create_user("ann", NOW).unwrap();
        let refused = store.create_key(key_of(Some("ann"), None), NOW).unwrap_err();
        assert!(matches!(refused, StoreError::Refused { .. }), "{refused}");
        store.set_member(&org("default"), "ann", Role::Reader, NOW).unwrap();
        let key = store.create_key(key_of(Some("ann"), None), NOW).unwrap();
        let service = store.create_key(key_of(None, None), NOW).unwrap();
        let book = KeySnapshot::default().apply(store.changes_since(0).unwrap());
        assert_eq!(book.standing(&key), Standing::Member(Role::Reader));
        assert_eq!(book.standing(&service), Standing::Service);

        store.set_member(&org(DEFAULT_ORG), "ann", Role::Owner, NOW).unwrap();
        let book = book.apply(store.changes_since(book.epoch()).unwrap());
        assert_eq!(book.standing(&key), Standing::Member(Role::Owner));
        store.remove_member(&org("default"), "ann", NOW).unwrap();
        let book = book.apply(store.changes_since(book.epoch()).unwrap());
        assert_eq!(book.standing(&key), Standing::Outsider);
        assert_eq!(store.members(&org("default")).unwrap(), []);

        let next = mint().unwrap();
        let successor = (next.public(), digest(next.secret().as_bytes()));
        let next = store.rotate_key(key.public, successor, Duration::ZERO, NOW).unwrap();
        assert_eq!(next.user, key.user, "a new key does not get rid of its owner");
    });
}

#[test]
fn members_of_projects_come_from_the_organization_and_leave_with_it() {
    on_every_store(|store| {
        store.create_organization("acme", NOW).unwrap();
        store.create_project("acme", "web", NOW).unwrap();
        let ann = store.create_user("ann", NOW).unwrap();
        let refused = store.set_member(&project("web"), "ann", Role::Member, NOW).unwrap_err();
        assert!(refused.to_string().contains("org member add"), "{refused}");
        store.set_member(&org("acme"), &ann.id, Role::Member, NOW).unwrap();
        let refused = store.create_key(key_of(Some("ann"), Some("web")), NOW).unwrap_err();
        assert!(refused.to_string().contains("project member add"), "{refused}");
        store.set_member(&project("web"), "ann", Role::Member, NOW).unwrap();
        let key = store.create_key(key_of(Some("ann"), Some("web")), NOW).unwrap();
        assert_eq!(store.members(&project("web")).unwrap()[0].user, ann.id);

        let gone = store.remove_member(&org("acme"), "ann", NOW).unwrap();
        assert_eq!((gone.group.kind(), gone.removed_at), ("organization", Some(NOW)));
        assert_eq!(store.members(&project("web")).unwrap(), []);
        store.set_member(&org("acme"), "ann", Role::Member, NOW).unwrap();
        let book = KeySnapshot::default().apply(store.changes_since(0).unwrap());
        assert_eq!(book.standing(&key), Standing::Outsider, "coming back is not being everywhere");
    });
}

#[test]
fn what_does_not_exist_is_named() {
    on_every_store(|store| {
        store.create_user("ann", NOW).unwrap();
        let taken = store.create_user("ann", NOW).unwrap_err();
        assert_eq!(taken, StoreError::Taken { what: "user", name: "ann".to_owned() });
        let absent = |error: StoreError| match &error {
            StoreError::Absent { what, id } => (*what, id.clone()),
            StoreError::Taken { .. }
            | StoreError::Refused { .. }
            | StoreError::Invalid { .. }
            | StoreError::Newer { .. }
            | StoreError::Surroundings { .. } => panic!("{error}"),
        };
        let set = |group: &Group, user| store.set_member(group, user, Role::Member, NOW);
        assert_eq!(absent(set(&org("x"), "ann").unwrap_err()), ("organization", "x".to_owned()));
        assert_eq!(absent(set(&org("default"), "bob").unwrap_err()), ("user", "bob".to_owned()));
        assert_eq!(absent(set(&project("y"), "ann").unwrap_err()), ("project", "y".to_owned()));
        let gone = store.remove_member(&org("default"), "ann", NOW).unwrap_err();
        assert_eq!(absent(gone), ("member", "ann".to_owned()));
        assert!(store.create_key(key_of(Some("bob"), None), NOW).is_err());
    });
}

#[test]
fn every_change_is_on_record_with_who_made_it_and_no_secret() {
    on_every_store(|store| {
        let store = store.acting("cli:ann");
        store.create_organization("acme", NOW).unwrap();
        store.create_project("acme", "web", NOW).unwrap();
        store.create_user("ann", NOW).unwrap();
        store.set_member(&org("acme"), "ann", Role::Owner, NOW).unwrap();
        store.set_member(&org("acme"), "ann", Role::Reader, NOW).unwrap();
        let new = key_of(None, Some("web"));
        let hash = format!("{:02x?}", new.digest.0);
        let key = store.create_key(new, NOW).unwrap();
        let next = mint().unwrap();
        let successor = (next.public(), digest(next.secret().as_bytes()));
        store.rotate_key(key.public, successor, Duration::from_secs(9), NOW).unwrap();
        store.revoke_key(key.public, NOW).unwrap();
        store.revoke_key(key.public, NOW).unwrap();
        store.remove_member(&org("acme"), "ann", NOW).unwrap();
        let audit = store.audit(None, 100).unwrap();
        let verbs: Vec<&str> = audit.iter().rev().map(|entry| entry.verb.as_str()).collect();
        let want = [
            "org.create",
            "project.create",
            "user.create",
            "org.member.add",
            "org.member.add",
            "key.create",
            "key.rotate",
            "key.revoke",
            "org.member.remove",
        ];
        assert_eq!(verbs, want, "a second revocation changes nothing");
        assert!(audit.iter().all(|entry| entry.who == "cli:ann" && entry.at == NOW));
        let text = format!("{audit:?}");
        let plain = hash.replace([',', ' ', '[', ']'], "");
        assert!(
            !text.contains(&hash) && !text.contains(&plain) && !text.contains(next.secret()),
            "{text}"
        );
        let role = &audit[4];
        assert!(role.before.as_deref().unwrap().contains("owner"), "{role:?}");
        assert!(role.after.as_deref().unwrap().contains("reader"), "{role:?}");
        assert_eq!(audit[1].subject, key.id());

        let page = store.audit(Some(audit[2].id), 2).unwrap();
        assert_eq!(page, audit[3..5]);
        let refused = store.create_project("nobody", "x", NOW);
        assert!(refused.is_err());
        assert_eq!(store.audit(None, 100).unwrap().len(), want.len(), "what failed is no change");
    });
}

#[test]
fn the_default_project_is_every_members() {
    on_every_store(|store| {
        store.create_user("ann", NOW).unwrap();
        store.set_member(&org("default"), "ann", Role::Member, NOW).unwrap();
        let key = store.create_key(key_of(Some("ann"), Some(DEFAULT_PROJECT)), NOW);
        assert!(key.is_ok(), "{key:?}");
    });
}
