//! Whether a known key may be used for this request at all: for whom, by whom, and from where.
//!
//! Everything here is read from the snapshot of the keys, so a membership that ends takes its keys
//! along as soon as the snapshot is renewed.

use std::net::IpAddr;

use http::Method;
use mainstay::Fields;
use mainstay_core::failure::Kind;
use mainstay_core::store::{KeyRecord, Role};
use mainstay_store::{KeySnapshot, Standing};

use crate::auth::Caller;
use crate::refused::Refused;
use crate::settings::Settings;

/// Puts the request to the rules about its key, project and organization. Without a key there is
/// nobody they could be about.
pub(crate) fn check(
    book: &KeySnapshot,
    settings: &Settings,
    caller: &Caller,
    (method, headers): (&Method, &Fields),
    peer: Option<IpAddr>,
) -> Result<(), Refused> {
    let Some(key) = &caller.key else { return Ok(()) };
    check_standing(&key.record, book, method)?;
    check_names(&key.record, book, headers)?;
    settings.access.check(&key.record, book, headers, peer)
}

/// Whether the key's owner is still a member, and whether his role allows the method.
fn check_standing(key: &KeyRecord, book: &KeySnapshot, method: &Method) -> Result<(), Refused> {
    match book.standing(key) {
        Standing::Service | Standing::Member(Role::Owner | Role::Member) => Ok(()),
        Standing::Member(Role::Reader) if matches!(*method, Method::GET | Method::HEAD) => Ok(()),
        Standing::Member(Role::Reader) => Err(Refused::key(
            Kind::PermissionDenied,
            "You are a reader of this project, so your key may only read (GET). Ask an owner of the organization for \
             the role `member`, or use another key.",
        )),
        Standing::Outsider => Err(Refused::key(
            Kind::NotOrganizationMember,
            format!(
                "You must be a member of an organization to use the API: the owner of the key sk-ms-{}-… is not, or no \
                 longer, a member of its project or organization. Ask an owner there to add you, or use a key of a \
                 project that you are in.",
                key.public
            ),
        )),
    }
}

const ORGANIZATION: &str = "openai-organization";
const PROJECT: &str = "openai-project";

/// Whether the organization and project that the request names are the key's own. A foreign one and
/// one that does not exist are told in the same words: names of others are nobody's business.
fn check_names(key: &KeyRecord, book: &KeySnapshot, headers: &Fields) -> Result<(), Refused> {
    let org = || book.organization(&key.org).map(|org| &*org.name);
    let project = || book.project(&key.project).map(|project| &*project.name);
    for value in headers.all(ORGANIZATION) {
        if !names(value, &key.org, org) {
            return Err(not_his("organization", "OpenAI-Organization", value, &key.org));
        }
    }
    for value in headers.all(PROJECT) {
        if !names(value, &key.project, project) {
            return Err(not_his("project", "OpenAI-Project", value, &key.project));
        }
    }
    Ok(())
}

/// Whether a header names this thing, by id or name; an empty one names nothing and is let be.
fn names<'n>(value: &[u8], id: &str, name: impl FnOnce() -> Option<&'n str>) -> bool {
    let asked = value.trim_ascii();
    asked.is_empty()
        || asked == id.as_bytes()
        || name().is_some_and(|name| asked == name.as_bytes())
}

fn not_his(what: &str, header: &str, value: &[u8], own: &str) -> Refused {
    const LONGEST: usize = 64;
    let shown: String = value
        .iter()
        .take(LONGEST)
        .map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '?' })
        .collect();
    Refused::key(
        Kind::NotOrganizationMember,
        format!(
            "No such {what}, or this key is not of it: `{shown}` in the header {header}. The key belongs to the {what} \
             `{own}`: name that one, leave the header out, or use a key of the {what} you mean."
        ),
    )
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use mainstay_core::store::{
        DEFAULT_ORG, Group, MemberStore, NewKey, Scopes, Store, UnixMillis,
    };
    use mainstay_store::{Memory, digest, mint};

    use super::*;

    const NOW: UnixMillis = UnixMillis(1);

    fn key(store: &Memory, user: Option<&str>) -> KeyRecord {
        let text = mint().unwrap();
        let new = NewKey {
            public: text.public(),
            digest: digest(text.secret().as_bytes()),
            name: "k".to_owned(),
            project: None,
            user: user.map(str::to_owned),
            scopes: Scopes::default(),
            models: Vec::new(),
            expires_at: None,
        };
        store.create_key(new, NOW).unwrap()
    }

    fn book(store: &Memory) -> KeySnapshot {
        KeySnapshot::default().apply(store.changes_since(0).unwrap())
    }

    #[test]
    fn a_role_decides_what_a_key_may_do_and_leaving_ends_it() {
        let store = Memory::new();
        let org = Group::Org(DEFAULT_ORG.into());
        store.create_user("ann", NOW).unwrap();
        store.set_member(&org, "ann", Role::Reader, NOW).unwrap();
        let key = key(&store, Some("ann"));
        let asked = |store: &Memory, method: Method| {
            check_standing(&key, &book(store), &method).map_err(|refused| refused.kind)
        };
        assert_eq!(asked(&store, Method::GET), Ok(()));
        assert_eq!(asked(&store, Method::POST), Err(Kind::PermissionDenied));
        store.set_member(&org, "ann", Role::Member, NOW).unwrap();
        assert_eq!(asked(&store, Method::POST), Ok(()));
        store.remove_member(&org, "ann", NOW).unwrap();
        assert_eq!(asked(&store, Method::GET), Err(Kind::NotOrganizationMember));
        store.set_member(&org, "ann", Role::Owner, NOW).unwrap();
        assert_eq!(asked(&store, Method::DELETE), Ok(()));
    }

    #[test]
    fn headers_name_the_keys_own_organization_and_project_or_nothing() {
        let store = Memory::new();
        store.create_organization("acme", NOW).unwrap();
        let key = key(&store, None);
        let book = book(&store);
        let asked = |name: &'static str, value: &[u8]| {
            let mut headers = Fields::default();
            let name = HeaderName::from_static(name);
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
            check_names(&key, &book, &headers)
        };
        let (org, project) = ("openai-organization", "openai-project");
        for (name, value) in [
            (org, "org-default"),
            (org, "default"),
            (org, " default "),
            (org, ""),
            (project, "proj_default"),
            (project, "default"),
        ] {
            assert!(asked(name, value.as_bytes()).is_ok(), "{name}: {value}");
        }
        for (name, value) in [
            (org, &b"acme"[..]),
            (org, b"org-unknown"),
            (org, b"\xff\xfe"),
            (project, b"org-default"),
            (project, b"Default"),
        ] {
            let refused = asked(name, value).unwrap_err();
            assert_eq!(refused.kind, Kind::NotOrganizationMember);
        }
        let (foreign, unknown) =
            (asked(org, b"acme").unwrap_err(), asked(org, b"none").unwrap_err());
        assert_eq!(
            foreign.message.replace("acme", "x"),
            unknown.message.replace("none", "x"),
            "whether another organization exists is not told"
        );
    }
}
