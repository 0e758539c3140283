//! Bad input: each a clear error with the right status and kind, nothing sent on, the process lives.

mod support;

use std::time::Duration;

use mainstay_core::store::{Scopes, Store, UnixMillis};
use support::provider::{Provider, completion};
use support::{CHAT, Caller, Front, Reply, add_key, front, soon, until};

fn with_authorization(front: &Front, value: &[u8]) -> Reply {
    let mut bytes =
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            .to_vec();
    if !value.is_empty() {
        bytes.extend_from_slice(b"authorization: ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n{CHAT}", CHAT.len()).as_bytes());
    front.raw(&bytes)
}

#[test]
fn every_wrong_key_is_a_typed_401_and_nothing_is_sent() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let expired = add_key(&*front.store, Scopes::default(), Some(UnixMillis(1)));
    let revoked = add_key(&*front.store, Scopes::default(), None);
    let public = revoked[6..18].parse().expect("a public part");
    front.store.revoke_key(public, UnixMillis(1)).expect("revoked");
    let typo = format!("Bearer {}x", &front.key[..front.key.len() - 1]);
    let huge = format!("Bearer {}", "k".repeat(64 * 1024));
    let cases: [(&[u8], &str); 8] = [
        (b"", "invalid_authentication"),
        (b"Bearer ", "invalid_authentication"),
        (b"Basic dXNlcjpwYXNz", "invalid_authentication"),
        (b"Bearer My API Key", "incorrect_api_key"),
        (b"Bearer sk-\xff\xfe\x80", "incorrect_api_key"),
        (huge.as_bytes(), "incorrect_api_key"),
        (typo.as_bytes(), "incorrect_api_key"),
        (b"Bearer sk-proj-somebody-elses-key-0123456789", "incorrect_api_key"),
    ];
    for (value, kind) in cases {
        with_authorization(&front, value).refused(401, kind);
    }
    let kind_of = |key: &str| {
        let reply = with_authorization(&front, format!("Bearer {key}").as_bytes());
        reply.header("x-mainstay-kind").unwrap_or_default().to_owned()
    };
    until("the expired key is noticed", || kind_of(&expired) == "expired_api_key");
    until("the revoked key is noticed", || kind_of(&revoked) == "revoked_api_key");
    assert!(provider.seen().is_empty());
    assert_eq!(front.post("/v1/chat/completions", CHAT).status, 200);
}

#[test]
fn a_key_made_while_the_gateway_runs_works_within_a_second() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    soon(Duration::from_secs(1), 3, || {
        let key = add_key(&*front.store, Scopes::default(), None);
        until("the key works", || {
            with_authorization(&front, format!("Bearer {key}").as_bytes()).status == 200
        })
    });
}

#[test]
fn a_key_ends_at_its_time_without_a_word_to_the_gateway() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let now = || u64::try_from(jiff::Timestamp::now().as_millisecond()).expect("after 1970");
    soon(Duration::from_secs(1), 1, || {
        let end = now() + 4_000;
        let key = add_key(&*front.store, Scopes::default(), Some(UnixMillis(end)));
        let ask = || with_authorization(&front, format!("Bearer {key}").as_bytes());
        until("the key works", || ask().status == 200);
        until("the key has ended", || ask().status == 401);
        let late = now().checked_sub(end).expect("not before its end");
        ask().refused(401, "expired_api_key");
        Duration::from_millis(late)
    });
}

#[test]
fn bodies_that_are_no_sound_json_are_refused_with_the_place() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let cases = [
        ("{\"model\": \"gpt-4o\", ", 400, "invalid_request", "line 1"),
        ("hello", 400, "invalid_request", "JSON"),
        ("", 400, "invalid_request", "empty"),
        ("[]", 400, "invalid_request", "object"),
        (r#"{"messages":[]}"#, 400, "missing_required_field", "model"),
        (r#"{"model":5,"messages":[]}"#, 400, "invalid_value", "model"),
        (r#"{"model":"a","model":"b","messages":[]}"#, 400, "invalid_value", "model"),
    ];
    for (body, status, kind, word) in cases {
        let message = front.post("/v1/chat/completions", body).refused(status, kind);
        assert!(message.contains(word), "{body}: {message}");
    }
    assert!(provider.seen().is_empty());
}

#[test]
fn unknown_paths_methods_and_upgrades_are_refused_each_in_its_way() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    assert!(front.get("/nothing/here").refused(404, "not_found").contains("/v1"));
    assert!(front.post("/chat/completions", CHAT).refused(404, "not_found").contains("/v1"));
    let wrong = front.get("/v1/embeddings");
    wrong.refused(405, "method_not_allowed");
    assert_eq!(wrong.header("allow"), Some("post"));
    let upgrade = format!(
        "GET /v1/realtime?model=x HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\n\r\n",
        front.key
    );
    front.raw(upgrade.as_bytes()).refused(501, "invalid_request");
    for line in [
        "GET http://evil.example/v1/models",
        "CONNECT evil.example:443",
        "GET /v1/%2e%2e/x",
        "GET //v1/models",
    ] {
        front
            .raw(format!("{line} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())
            .refused(400, "invalid_request");
    }
    assert!(provider.seen().is_empty());
}

#[test]
fn unknown_paths_are_passed_on_for_keys_with_the_right_only() {
    let provider = Provider::fixed(completion());
    let mut front = front(provider.addr, "");
    assert_eq!(front.get("/v1/brand_new?x=%20y").status, 200);
    let seen = provider.seen();
    assert!(seen[0].head.starts_with("get /v1/brand_new?x=%20y http/1.1"), "{}", seen[0].head);
    front.key = add_key(&*front.store, Scopes::default(), None);
    until("the key is known", || front.get("/v1/brand_new").status != 401);
    front.get("/v1/brand_new").refused(404, "not_found");
    front.get("/v1/organization/users").refused(403, "permission_denied");
    assert_eq!(provider.seen().len(), 1);
}

#[test]
fn what_is_no_http_gets_a_typed_answer_all_the_same() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    front
        .raw(b"GET /v1/models HTTP/1.1\r\nhost: x\r\nno colon here\r\n\r\n")
        .refused(400, "invalid_request");
    front.raw(b"HELO example.com\r\n\r\n").refused(400, "invalid_request");
    // One of the two readers of heads takes it, the other does not.
    front.raw(b"GET /v1/<x> HTTP/1.1\r\nhost: x\r\n\r\n").refused(400, "invalid_request");
    let many = "x-bomb: x\r\n".repeat(2000);
    let bomb = format!("GET /v1/models HTTP/1.1\r\nhost: x\r\n{many}\r\n");
    front.raw(bomb.as_bytes()).refused(431, "request_too_large");
    let huge =
        format!("GET /v1/models HTTP/1.1\r\nhost: x\r\nx-bomb: {}\r\n\r\n", "x".repeat(1 << 20));
    front.raw(huge.as_bytes()).refused(431, "request_too_large");
    let path = format!("GET /v1/{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(100_000));
    front.raw(path.as_bytes()).refused(414, "request_too_large");
    assert_eq!(front.get("/healthz").status, 200);
}

#[test]
fn garbage_in_chunks_is_a_400() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    for garbage in
        ["zz\r\nhello\r\n", "-5\r\nhello\r\n", "ffffffffffffffffff\r\nx", "5\r\nhelloXX3\r\n"]
    {
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{garbage}",
            front.key
        );
        front.raw(head.as_bytes()).refused(400, "invalid_request");
    }
    assert!(provider.seen().is_empty());
}

#[test]
fn a_connection_lives_on_after_a_refusal() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let mut caller = front.connect();
    caller.send(&front.post_bytes("/v1/chat/completions", "", "not json"));
    caller.answer().refused(400, "invalid_request");
    caller.send(&front.post_bytes("/v1/chat/completions", "", CHAT));
    assert_eq!(caller.answer().status, 200);
}

#[test]
fn an_open_door_is_closed_to_pages_of_other_origins() {
    let provider = Provider::fixed(completion());
    let front =
        front(provider.addr, "[server]\nauth = \"open\"\ncors = [\"https://app.example\"]\n");
    let call = |more: &str| {
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{more}content-length: {}\r\n\r\n{CHAT}",
            CHAT.len()
        );
        front.raw(head.as_bytes())
    };
    let json = "content-type: application/json\r\n";
    assert_eq!(call(json).status, 200);
    assert_eq!(call(&format!("{json}authorization: Bearer any thing\r\n")).status, 200);
    call(&format!("{json}origin: https://evil.example\r\n")).refused(403, "permission_denied");
    call("content-type: text/plain\r\n").refused(415, "invalid_request");
    let allowed = call(&format!("{json}origin: https://app.example\r\n"));
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://app.example"));
    let preflight = "OPTIONS /v1/chat/completions HTTP/1.1\r\nhost: x\r\norigin: https://app.example\r\n\
                     access-control-request-method: POST\r\naccess-control-request-headers: authorization\r\n\r\n";
    let leave = front.raw(preflight.as_bytes());
    assert_eq!(
        (leave.status, leave.header("access-control-allow-headers")),
        (204, Some("authorization"))
    );
}

#[test]
fn the_administration_plane_asks_for_its_token_and_its_own_name() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    front.post("/v1/chat/completions", CHAT);
    let ask = |path: &str, host: &str, token: &str| {
        let mut caller = Caller::to(front.gateway.admin_addr());
        caller.send(
            format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\r\n")
                .as_bytes(),
        );
        caller.answer()
    };
    assert_eq!(ask("/metrics", "localhost", "wrong").status, 401);
    assert_eq!(ask("/metrics", "evil.example", support::TOKEN).status, 403);
    assert_eq!(ask("/livez", "127.0.0.1:1", "").status, 200);
    let text = String::from_utf8(ask("/metrics", "localhost", support::TOKEN).body).expect("text");
    assert!(text.contains("mainstay_requests_total{endpoint=\"chat\",status=\"2xx\"} 1"), "{text}");
    assert!(text.contains("mainstay_attempts_total 1"), "{text}");
    assert_eq!(ask("/mainstay/status", "localhost", support::TOKEN).json()["ready"], true);
}
