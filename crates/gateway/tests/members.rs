//! Memberships through real sockets: what they allow, and how soon their end is noticed.
#![expect(clippy::unwrap_used, reason = "in a test, what is absent is a failure")]

mod support;

use std::time::Duration;

use mainstay_core::store::{DEFAULT_ORG, Group, MemberStore, Role, Store, UnixMillis};
use support::provider::{Provider, completion};
use support::{CHAT, Front, Reply, front, new_key, soon, until};

const NOW: UnixMillis = UnixMillis(1);

/// A gateway and a key of the user `ann`, who has this role.
fn world(provider: &Provider, role: Role) -> (Front, String) {
    let front = front(provider.addr, "");
    let org = Group::Org(DEFAULT_ORG.into());
    front.store.create_user("ann", NOW).unwrap();
    front.store.set_member(&org, "ann", role, NOW).unwrap();
    let (_, key) = new_key(&*front.store, |new| new.user = Some("ann".to_owned()));
    until("the new key", || ask(&front, &key, "GET", "/v1/models", "").status == 200);
    (front, key)
}

fn ask(front: &Front, key: &str, method: &str, path: &str, more: &str) -> Reply {
    let body = if method == "POST" { CHAT } else { "" };
    front.raw(
        format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n{more}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    )
}

const CHATS: &str = "/v1/chat/completions";

#[test]
fn a_removed_members_key_stops_within_a_second_and_a_reader_only_reads() {
    let provider = Provider::fixed(completion());
    let (front, key) = world(&provider, Role::Reader);
    let org = Group::Org(DEFAULT_ORG.into());
    ask(&front, &key, "POST", CHATS, "").refused(403, "permission_denied");
    let status = || ask(&front, &key, "POST", CHATS, "").status;
    let role = |role| front.store.set_member(&org, "ann", role, NOW).unwrap();
    soon(Duration::from_secs(1), 3, || {
        role(Role::Reader);
        until("the role that only reads", || status() == 403);
        role(Role::Member);
        until("the new role", || status() == 200)
    });
    soon(Duration::from_secs(1), 3, || {
        role(Role::Member);
        until("the beginning", || status() == 200);
        front.store.remove_member(&org, "ann", NOW).unwrap();
        until("the end", || status() == 401)
    });
    let reply = ask(&front, &key, "POST", CHATS, "");
    let message = reply.refused(401, "not_organization_member");
    assert!(message.contains("must be a member of an organization"), "{message}");
    assert_eq!(reply.json()["error"]["code"], "invalid_organization");
    assert_eq!(front.post(CHATS, CHAT).status, 200, "a service key has no owner to lose");
}

#[test]
fn a_request_for_another_organization_or_project_is_refused_and_not_sent() {
    let provider = Provider::fixed(completion());
    let (front, key) = world(&provider, Role::Member);
    front.store.create_organization("acme", NOW).unwrap();
    let sent = provider.seen().len();
    for more in [
        "OpenAI-Organization: acme\r\n",
        "OpenAI-Organization: org-default\r\nOpenAI-Organization: acme\r\n",
        "OpenAI-Project: proj_other\r\n",
    ] {
        ask(&front, &key, "POST", CHATS, more).refused(401, "not_organization_member");
    }
    assert_eq!(provider.seen().len(), sent);
    let more = "OpenAI-Organization: default\r\nOpenAI-Project: proj_default\r\n";
    assert_eq!(ask(&front, &key, "POST", CHATS, more).status, 200);
    let last = provider.seen().pop().unwrap();
    assert!(last.header("openai-organization").is_none(), "ours means nothing upstream");
}
