//! The administration API through real sockets: what it does, what it refuses, and that its document
//! tells the truth.
#![expect(clippy::unwrap_used, reason = "in a test, what is absent is a failure")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::provider::{Provider, completion};
use support::{CHAT, Caller, Front, Reply, TOKEN, front, soon, until};

fn ask(front: &Front, method: &str, path: &str, body: &str) -> Reply {
    with(front, method, path, &format!("authorization: Bearer {TOKEN}\r\n"), body)
}

fn with(front: &Front, method: &str, path: &str, more: &str, body: &str) -> Reply {
    let mut caller = Caller::to(front.gateway.admin_addr());
    let length = body.len();
    caller.send(
        format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{more}content-length: {length}\r\n\r\n{body}"
        )
        .as_bytes(),
    );
    caller.answer()
}

#[track_caller]
fn made(front: &Front, path: &str, body: &Value) -> Value {
    let reply = ask(front, "POST", path, &body.to_string());
    assert!(matches!(reply.status, 200 | 201), "{path}: {}", String::from_utf8_lossy(&reply.body));
    reply.json()
}

#[track_caller]
fn refused(reply: &Reply, status: u16, code: &str) -> String {
    assert_eq!(reply.status, status, "{}", String::from_utf8_lossy(&reply.body));
    let error = &reply.json()["error"];
    assert_eq!(error["code"], code, "{error}");
    for field in ["message", "type", "param", "code"] {
        assert!(error.as_object().unwrap().contains_key(field), "{error}");
    }
    error["message"].as_str().unwrap().to_owned()
}

/// The status of a chat with this key.
fn status_with(front: &Front, secret: &str) -> u16 {
    let text = front.post_bytes("/v1/chat/completions", "", CHAT);
    let text = String::from_utf8(text).unwrap().replace(&front.key, secret);
    front.raw(text.as_bytes()).status
}

#[test]
fn a_key_works_within_a_second_and_ends_within_another() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    soon(Duration::from_secs(1), 3, || {
        let key = made(&front, "/mainstay/keys", &json!({"name": "web"}));
        let secret = key["key"].as_str().unwrap();
        let begins = until("the key works", || status_with(&front, secret) == 200);
        let path = format!("/mainstay/keys/{}/revoke", key["id"].as_str().unwrap());
        made(&front, &path, &json!({}));
        begins.max(until("the end", || status_with(&front, secret) == 401))
    });
}

#[test]
fn an_organization_is_set_up_and_its_key_works_until_it_is_revoked() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let org = made(&front, "/mainstay/orgs", &json!({"name": "acme & co"}));
    let project = made(&front, "/mainstay/projects", &json!({"name": "web", "org": org["id"]}));
    made(&front, "/mainstay/users", &json!({"name": "ann"}));
    let member = made(
        &front,
        "/mainstay/orgs/acme%20%26%20co/members",
        &json!({"user": "ann", "role": "owner"}),
    );
    assert_eq!((&member["role"], &member["org"]), (&json!("owner"), &org["id"]));
    let wanted = json!({
        "name": "web", "project": project["id"], "user": "ann", "scopes": ["chat"],
        "models": ["gpt-*"], "expires": "30d",
    });
    let key = made(&front, "/mainstay/keys", &wanted);
    let secret = key["key"].as_str().unwrap().to_owned();
    let call = |secret: &str| status_with(&front, secret);
    until("the key works", || call(&secret) == 200);

    let id = key["id"].as_str().unwrap();
    let shown = ask(&front, "GET", &format!("/mainstay/keys/{id}"), "").json();
    assert_eq!((&shown["state"], &shown["user"]), (&json!("active"), &member["user"]));
    assert!(shown.get("key").is_none(), "a key is shown once");
    let next = made(&front, &format!("/mainstay/keys/{id}/rotate"), &json!({"grace": "0s"}));
    until("the successor works", || call(next["key"].as_str().unwrap()) == 200);
    until("the old one does not", || call(&secret) == 401);
    made(&front, &format!("/mainstay/keys/{}/revoke", next["id"].as_str().unwrap()), &json!({}));
    until("the end", || call(next["key"].as_str().unwrap()) == 401);

    let changes = ask(&front, "GET", "/mainstay/audit?limit=1000", "").json();
    let verbs: Vec<&str> = changes["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|change| change["who"] == "token")
        .map(|change| change["verb"].as_str().unwrap())
        .collect();
    let want = [
        "key.revoke",
        "key.rotate",
        "key.create",
        "org.member.add",
        "user.create",
        "project.create",
        "org.create",
    ];
    assert_eq!(verbs, want);
    let text = changes.to_string();
    assert!(!text.contains(&secret) && !text.contains(&secret[20..]), "no secret is on record");
}

#[test]
fn lists_come_in_pages() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    for number in 0..5 {
        made(&front, "/mainstay/users", &json!({"name": format!("u{number}")}));
    }
    let mut names = Vec::new();
    let mut after = String::new();
    loop {
        let page = ask(&front, "GET", &format!("/mainstay/users?limit=2{after}"), "").json();
        let users = page["data"].as_array().unwrap();
        assert!(users.len() <= 2);
        names.extend(users.iter().map(|user| user["name"].as_str().unwrap().to_owned()));
        if page["has_more"] == false {
            break;
        }
        after = format!("&after={}", page["last_id"].as_str().unwrap());
    }
    assert_eq!(names, ["u0", "u1", "u2", "u3", "u4"]);
    for query in ["limit=0", "limit=1001", "limit=x", "after=nobody"] {
        let reply = ask(&front, "GET", &format!("/mainstay/users?{query}"), "");
        refused(&reply, 400, "invalid_value");
    }
    let audit = ask(&front, "GET", "/mainstay/audit?limit=2", "").json();
    assert_eq!((audit["data"].as_array().unwrap().len(), &audit["has_more"]), (2, &json!(true)));
}

#[test]
fn what_cannot_be_done_says_why() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let post = |path: &str, body: &str| ask(&front, "POST", path, body);
    refused(&post("/mainstay/orgs", "{\"name\":\"default\"}"), 409, "conflict");
    refused(&post("/mainstay/orgs", "{\"name\":\" \"}"), 400, "invalid_value");
    let message = refused(&post("/mainstay/orgs", "{\"nam\":\"x\"}"), 400, "invalid_request");
    assert!(message.contains("nam"), "{message}");
    refused(&post("/mainstay/orgs", "no json"), 400, "invalid_request");
    refused(&post("/mainstay/projects", "{\"name\":\"x\",\"org\":\"nobody\"}"), 404, "not_found");
    refused(&post("/mainstay/keys", "{\"name\":\"x\",\"scopes\":[\"all\"]}"), 400, "invalid_value");
    refused(&post("/mainstay/keys", "{\"name\":\"x\",\"expires\":\"soon\"}"), 400, "invalid_value");
    refused(&ask(&front, "GET", "/mainstay/keys/sk-ms-x", ""), 400, "invalid_value");
    refused(&ask(&front, "GET", "/mainstay/keys/key_000000000000", ""), 404, "not_found");
    refused(&ask(&front, "DELETE", "/mainstay/orgs", ""), 405, "method_not_allowed");
    refused(&ask(&front, "GET", "/mainstay/nothing", ""), 404, "not_found");
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(300_000));
    refused(&post("/mainstay/orgs", &long), 413, "request_too_large");
    for more in ["", "authorization: Bearer wrong\r\n"] {
        let reply = with(&front, "POST", "/mainstay/orgs", more, "{\"name\":\"x\"}");
        refused(&reply, 401, "invalid_api_key");
    }
    let orgs = ask(&front, "GET", "/mainstay/orgs", "").json();
    assert_eq!(orgs["data"].as_array().unwrap().len(), 1, "nothing of this was done");
}

#[test]
fn every_path_of_the_document_is_served_with_the_methods_it_names_and_no_other() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let document = ask(&front, "GET", "/mainstay/openapi.json", "").json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 12, "{}", paths.len());
    let text = document.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "no schema {name}");
    }
    for (path, operations) in paths {
        let asked =
            path.split('/').map(|segment| if segment.starts_with('{') { "x" } else { segment });
        let asked = asked.collect::<Vec<_>>().join("/");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            // An unfit body keeps the calls from changing anything.
            let reply = ask(&front, method, &asked, "[]");
            let named = operations.get(method.to_ascii_lowercase()).is_some();
            assert_eq!(reply.status != 405, named, "{method} {path}: {}", reply.status);
            let nowhere = reply.status == 404
                && reply.json()["error"]["message"].as_str().unwrap().contains("nothing here");
            assert!(!nowhere, "{method} {path} is documented and not there");
        }
    }
    let open: Vec<&str> = paths
        .iter()
        .filter(|(_, operations)| operations["get"]["security"] == json!([]))
        .map(|(path, _)| path.as_str())
        .collect();
    assert_eq!(open, ["/healthz", "/livez", "/readyz"]);
}
