//! Rules put to callers: whose they are, in which order they speak, and what is not known.

use http::{HeaderName, HeaderValue};
use mainstay_core::store::{NewKey, Scopes, Store, UnixMillis};
use mainstay_store::{Memory, digest, mint};

use super::*;
use crate::config::{Environment, parse};

const NOW: UnixMillis = UnixMillis(1);

struct World {
    store: Memory,
    key: KeyRecord,
}

fn world() -> World {
    let store = Memory::new();
    store.create_organization("acme", NOW).unwrap();
    store.create_project("acme", "web", NOW).unwrap();
    let key = new_key(&store, "web");
    World { store, key }
}

fn new_key(store: &Memory, project: &str) -> KeyRecord {
    let text = mint().unwrap();
    let new = NewKey {
        public: text.public(),
        digest: digest(text.secret().as_bytes()),
        name: "k".to_owned(),
        project: Some(project.to_owned()),
        user: None,
        scopes: Scopes::default(),
        models: Vec::new(),
        expires_at: None,
    };
    store.create_key(new, NOW).unwrap()
}

impl World {
    fn book(&self) -> KeySnapshot {
        KeySnapshot::default().apply(self.store.changes_since(0).unwrap())
    }

    fn ask(
        &self,
        key: &KeyRecord,
        text: &str,
        peer: &str,
        headers: &[(&'static str, &str)],
    ) -> Option<Refused> {
        let text = text.replace("KEY", &self.key.id());
        let server =
            "[server]\ntrusted_proxies = [\"10.0.0.0/8\"]\ncountry_header = \"cf-ipcountry\"\n";
        let config = parse("t", &format!("{server}{text}"), &Environment::default()).unwrap();
        let mut map = Fields::default();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let access = Access::without_database(&config);
        access.check(key, &self.book(), &map, Some(peer.parse().unwrap())).err()
    }
}

#[test]
fn a_rule_holds_for_its_organization_project_or_key_and_for_nobody_else() {
    let world = world();
    let other = new_key(&world.store, "default");
    for subject in ["org = \"acme\"", "project = \"web\"", "key = \"KEY\""] {
        let rule = format!("[[access]]\n{subject}\ncidr_deny = [\"192.0.2.0/24\"]");
        let refused = world.ask(&world.key, &rule, "192.0.2.9", &[]).expect(subject);
        assert_eq!(refused.kind, Kind::IpNotAuthorized);
        assert!(refused.message.contains("192.0.2.9"), "{}", refused.message);
        assert!(world.ask(&world.key, &rule, "192.0.3.9", &[]).is_none(), "{subject}");
        assert!(world.ask(&other, &rule, "192.0.2.9", &[]).is_none(), "{subject}");
    }
    let by_id = format!("[[access]]\norg = \"{}\"\ncidr_allow = []", world.key.org);
    assert!(
        world.ask(&world.key, &by_id, "192.0.2.9", &[]).is_some(),
        "an empty list allows nobody"
    );
}

#[test]
fn the_one_that_took_a_keys_place_is_under_its_rules() {
    let world = world();
    let next = mint().unwrap();
    let successor = (next.public(), digest(next.secret().as_bytes()));
    let next = world
        .store
        .rotate_key(world.key.public, successor, std::time::Duration::ZERO, NOW)
        .unwrap();
    let rule = "[[access]]\nkey = \"KEY\"\ncidr_deny = [\"192.0.2.0/24\"]";
    assert!(world.ask(&next, rule, "192.0.2.9", &[]).is_some());
}

type Headers<'h> = &'h [(&'static str, &'h str)];

#[test]
fn countries_are_told_by_trusted_proxies_and_unknown_ones_are_xx() {
    let world = world();
    let allow = "[[access]]\norg = \"acme\"\ncountries_allow = [\"DE\"]";
    let deny = "[[access]]\norg = \"acme\"\ncountries_deny = [\"KP\"]";
    let deny_unknown = "[[access]]\norg = \"acme\"\ncountries_deny = [\"XX\"]";
    let (proxy, stranger) = ("10.0.0.1", "192.0.2.1");
    let told = |code: &'static str| [("cf-ipcountry", code)];
    let cases: [(&str, &str, Headers<'_>, bool); 12] = [
        (allow, proxy, &told("DE"), true),
        (allow, proxy, &told("de"), true),
        (allow, proxy, &told("FR"), false),
        (allow, proxy, &[], false),
        (allow, proxy, &told("Germany"), false),
        (allow, stranger, &told("DE"), false),
        (allow, proxy, &[("cf-ipcountry", "DE"), ("cf-ipcountry", "DE")], false),
        (deny, proxy, &told("KP"), false),
        (deny, proxy, &told("DE"), true),
        (deny, stranger, &told("KP"), true),
        (deny_unknown, stranger, &told("DE"), false),
        (deny_unknown, proxy, &told("DE"), true),
    ];
    for (rule, peer, headers, let_in) in cases {
        let refused = world.ask(&world.key, rule, peer, headers);
        assert_eq!(refused.is_none(), let_in, "{rule} {peer} {headers:?}");
        if let Some(refused) = refused {
            assert_eq!((refused.kind, refused.scope), (Kind::UnsupportedRegion, Scope::Region));
        }
    }
}

#[test]
fn every_rule_must_let_a_call_in_and_an_unknown_address_is_in_no_list() {
    let world = world();
    let rules = "[[access]]\norg = \"acme\"\ncidr_allow = [\"192.0.2.0/24\"]\n\
                 [[access]]\nproject = \"web\"\ncidr_deny = [\"192.0.2.8\"]";
    let ask =
        |address: &str| world.ask(&world.key, rules, "10.0.0.1", &[("x-forwarded-for", address)]);
    assert!(ask("192.0.2.7").is_none());
    assert!(ask("192.0.2.8").is_some() && ask("192.0.3.7").is_some());
    let unknown = ask("unknown").unwrap();
    assert!(unknown.message.contains("X-Forwarded-For"), "{}", unknown.message);
    let deny = "[[access]]\norg = \"acme\"\ncidr_deny = [\"192.0.2.8\"]";
    assert!(world.ask(&world.key, deny, "10.0.0.1", &[("x-forwarded-for", "_hidden")]).is_some());
}

#[test]
fn a_rule_about_nobody_is_found() {
    let world = world();
    world.store.create_organization("other", NOW).unwrap();
    world.store.create_project("other", "web", NOW).unwrap();
    let text = "[[access]]\norg = \"acme\"\ncidr_deny = []\n[[access]]\norg = \"nobody\"\ncidr_deny = []\n\
                [[access]]\nproject = \"web\"\ncidr_deny = []\n[[access]]\nkey = \"key_000000000000\"\ncidr_deny = []";
    let config = parse("t", text, &Environment::default()).unwrap();
    let faults = unknown_subjects(&config, &world.store).unwrap();
    let lines: Vec<_> = faults.iter().map(|fault| fault.line.unwrap()).collect();
    assert_eq!(lines, [4, 7, 10], "{faults:?}");
    assert!(faults[1].what.contains("2 of that name"), "{}", faults[1].what);
}
