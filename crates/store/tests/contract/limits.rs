//! What every store promises of limits. The same stories run on each of them.

use std::time::Duration;

use mainstay_core::rules::limits::LimitSpec;
use mainstay_core::store::{
    Change::{Clear, To},
    DEFAULT_ORG, DEFAULT_PROJECT, LimitLevel, LimitPatch, NewKey, Scopes, Store, StoreError,
    Subject, TierLimit, UnixMillis,
};
use mainstay_store::{digest, mint};

use crate::ground::on_every_store;

const NOW: UnixMillis = UnixMillis(1_000_000);

fn org(id: &str) -> Subject {
    Subject::Organization(id.into())
}

fn rpm(rpm: u64) -> LimitPatch {
    LimitPatch { rpm: To(rpm), ..LimitPatch::default() }
}

fn key(store: &dyn Store) -> mainstay_core::keys::PublicPart {
    let key = mint().expect("random bytes");
    let new = NewKey {
        public: key.public(),
        digest: digest(key.secret().as_bytes()),
        name: "k".to_owned(),
        project: None,
        user: None,
        scopes: Scopes::default(),
        models: Vec::new(),
        expires_at: None,
    };
    store.create_key(new, NOW).expect("a sound key").public
}

#[test]
fn a_limit_is_found_as_it_was_set_and_changes_part_by_part() {
    on_every_store(|store| {
        let all = LimitPatch {
            rpm: To(10),
            tpm: To(20_000),
            rpd: To(300),
            concurrency: To(4),
            burst: To(Duration::from_millis(1500)),
            shadow: Some(true),
        };
        let set = store.set_limit(&org("default"), Some("gpt-*"), &all, NOW).unwrap();
        assert_eq!(set.subject, org(DEFAULT_ORG), "a name is resolved to its id");
        assert_eq!(store.limits().unwrap(), std::slice::from_ref(&set));
        let part = LimitPatch { tpm: Clear, shadow: Some(false), ..rpm(11) };
        let changed = store.set_limit(&org(DEFAULT_ORG), Some("gpt-*"), &part, NOW).unwrap();
        assert_eq!(changed.id, set.id, "it keeps its number");
        let spec = LimitSpec { rpm: Some(11), tpm: None, shadow: false, ..set.spec };
        assert_eq!(changed.spec, spec);
        let other = store.set_limit(&org(DEFAULT_ORG), None, &rpm(5), NOW).unwrap();
        assert_ne!(other.id, set.id);
        assert_eq!(store.limits().unwrap(), [changed, other]);
    });
}

#[test]
fn a_removed_limit_is_gone_from_the_list_and_told_among_the_changes() {
    on_every_store(|store| {
        let project = Subject::Project(DEFAULT_PROJECT.into());
        let set = store.set_limit(&project, None, &rpm(5), NOW).unwrap();
        let (epoch, changes) = store.limits_since(0).unwrap();
        assert_eq!((epoch, changes), (store.epoch().unwrap(), vec![set.clone()]));
        assert_eq!(store.remove_limit(&project, None, NOW).unwrap(), set);
        assert!(store.limits().unwrap().is_empty());
        let (later, changes) = store.limits_since(epoch).unwrap();
        assert!(later > epoch && changes[0].id == set.id && changes[0].spec.is_empty());
        assert!(store.limits_since(later).unwrap().1.is_empty());
        let again = store.remove_limit(&project, None, NOW);
        assert!(matches!(again, Err(StoreError::Absent { what: "limit", .. })));
        assert_eq!(store.set_limit(&project, None, &rpm(6), NOW).unwrap().id, set.id);
    });
}

#[test]
fn unknown_subjects_and_values_out_of_range_are_refused_and_nothing_changes() {
    on_every_store(|store| {
        let epoch = store.epoch().unwrap();
        let nobody = [
            (org("nobody"), "organization"),
            (Subject::Project("nothing".into()), "project"),
            (Subject::Key(mint().unwrap().public()), "key"),
        ];
        for (subject, kind) in nobody {
            let refused = store.set_limit(&subject, None, &rpm(1), NOW);
            assert!(matches!(refused, Err(StoreError::Absent { what, .. }) if what == kind));
        }
        let odd = LimitPatch { burst: To(Duration::from_nanos(1_500_000)), ..rpm(1) };
        for (model, patch) in [
            (None, rpm(0)),
            (None, rpm(u64::MAX)),
            (None, odd),
            (Some(""), rpm(1)),
            (Some("a*b"), rpm(1)),
        ] {
            let refused = store.set_limit(&org(DEFAULT_ORG), model, &patch, NOW);
            assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{model:?} {patch:?}");
        }
        assert_eq!(store.epoch().unwrap(), epoch);
    });
}

#[test]
fn a_subject_has_a_bounded_number_of_limits() {
    on_every_store(|store| {
        for number in 0..100 {
            store.set_limit(&org(DEFAULT_ORG), Some(&format!("m{number}")), &rpm(1), NOW).unwrap();
        }
        let one_more = store.set_limit(&org(DEFAULT_ORG), Some("m"), &rpm(1), NOW);
        assert!(matches!(one_more, Err(StoreError::Invalid { .. })));
        assert!(store.set_limit(&org(DEFAULT_ORG), Some("m7"), &rpm(2), NOW).is_ok());
    });
}

#[test]
fn a_tier_takes_the_place_of_the_earlier_one_and_of_nothing_else() {
    on_every_store(|store| {
        let limit = |model: Option<&str>, rpm| TierLimit {
            model: model.map(Into::into),
            spec: LimitSpec { rpm: Some(rpm), ..LimitSpec::default() },
        };
        let own = store.set_limit(&org(DEFAULT_ORG), Some("mine"), &rpm(9), NOW).unwrap();
        let free = [limit(None, 3), limit(Some("gpt-4o"), 1)];
        store.set_tier(&org("default"), "free", &free, NOW).unwrap();
        let paid = [limit(None, 500), limit(Some("o1"), 50)];
        store.set_tier(&org("default"), "paid", &paid, NOW).unwrap();
        let all = store.limits().unwrap();
        let told: Vec<_> = all
            .iter()
            .map(|limit| (limit.model.as_deref(), limit.spec.rpm, limit.tier.as_deref()))
            .collect();
        let mine = (Some("mine"), Some(9), None);
        let paid = Some("paid");
        assert_eq!(told, [mine, (None, Some(500), paid), (Some("o1"), Some(50), paid)]);
        assert_eq!(all[0], own);
        let by_hand = store.set_limit(&org(DEFAULT_ORG), None, &rpm(600), NOW).unwrap();
        assert_eq!(by_hand.tier, None, "set by hand, it is no tier's any more");
    });
}

#[test]
fn every_change_of_a_limit_is_put_on_record() {
    on_every_store(|store| {
        let store = store.acting("test");
        store.set_limit(&org(DEFAULT_ORG), None, &rpm(5), NOW).unwrap();
        store.set_limit(&org(DEFAULT_ORG), None, &rpm(6), NOW).unwrap();
        store.remove_limit(&org(DEFAULT_ORG), None, NOW).unwrap();
        let entries = store.audit(None, 10).unwrap();
        let told: Vec<_> = entries
            .iter()
            .map(|entry| {
                assert_eq!((&*entry.who, &*entry.subject), ("test", DEFAULT_ORG));
                (&*entry.verb, entry.before.is_some(), entry.after.is_some())
            })
            .collect();
        let set = "limit.set";
        assert_eq!(told, [("limit.remove", true, false), (set, true, true), (set, false, true)]);
    });
}

#[test]
fn the_successor_of_a_key_has_its_limits() {
    on_every_store(|store| {
        let old = key(store);
        let set = store.set_limit(&Subject::Key(old), None, &rpm(7), NOW).unwrap();
        let fresh = mint().unwrap();
        let successor = (fresh.public(), digest(fresh.secret().as_bytes()));
        store.rotate_key(old, successor, Duration::ZERO, NOW).unwrap();
        let all = store.limits().unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((&all[1].subject, all[1].spec), (&Subject::Key(fresh.public()), set.spec));
    });
}

#[test]
fn levels_are_remembered_for_as_long_as_something_is_left_of_them() {
    on_every_store(|store| {
        let epoch = store.epoch().unwrap();
        let level = |id: u64, used: u64, at: UnixMillis| LimitLevel { id, used, at };
        store.put_levels(&[level(1, 5, NOW), level(2, 7, NOW)], NOW).unwrap();
        let later = NOW.plus(Duration::from_hours(47));
        store.put_levels(&[level(2, 9, later)], later).unwrap();
        assert_eq!(store.levels().unwrap(), [level(1, 5, NOW), level(2, 9, later)]);
        let last = NOW.plus(Duration::from_hours(49));
        store.put_levels(&[], last).unwrap();
        assert_eq!(store.levels().unwrap(), [level(2, 9, later)]);
        assert_eq!(store.epoch().unwrap(), epoch, "gateways do not read limits again for it");
    });
}
