//! The support bundle: secrets are planted wherever a call has room for one, and none is found.

mod support;

use std::io::Write;

use serde_json::json;
use support::console::{get, log_in};
use support::provider::{Provider, json as answer};
use support::{Caller, Front, Reply, TOKEN, front};

/// In each secret, so that any part of one is found.
const MARK: &str = "PlAnTeD";

fn admin(front: &Front, path: &str) -> Reply {
    let mut caller = Caller::to(front.gateway.admin_addr());
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    caller.send(head.as_bytes());
    caller.answer()
}

/// A provider that repeats everything it was sent in its error.
fn parrot() -> Provider {
    Provider::new(|seen, stream| {
        let said = String::from_utf8_lossy(&seen.body).into_owned();
        let key = seen.header("authorization").unwrap_or_default();
        let body = json!({"error": {
            "message": format!("cannot take this from {key}: {said}"),
            "type": "invalid_request_error", "param": "messages", "code": "invalid_value",
        }});
        let bytes = answer("400 Bad Request", "x-request-id: req_theirs\r\n", &body.to_string());
        stream.write_all(bytes.as_bytes()).is_ok()
    })
}

fn planted_call(front: &Front) -> Reply {
    let body = json!({
        "model": "gpt-4o",
        "temperature": 0.5,
        "user": format!("{MARK}-user@example.org"),
        "messages": [
            {"role": "system", "content": format!("{MARK} system words")},
            {"role": "user", "content": [{"type": "text", "text": format!("short {MARK}")}],
             "name": format!("{MARK}_name")},
        ],
        "metadata": {format!("{MARK}_key"): format!("{MARK}_value")},
        "tools": [{"type": "function", "function": {"name": format!("{MARK}_tool"),
            "description": format!("{MARK} does"), "parameters": {"type": "object",
            "properties": {format!("{MARK}_property"): {"type": "string"}}}}}],
        "stop": [format!("{MARK}_stop")],
    });
    let more = format!(
        "cookie: session={MARK}\r\nx-api-key: {MARK}\r\n\
         idempotency-key: {MARK}\r\nx-custom: {MARK}\r\nreferer: https://x/{MARK}\r\nuser-agent: OpenAI/Python 2.1\r\n"
    );
    front.raw(&front.post_bytes("/v1/chat/completions", &more, &body.to_string()))
}

fn configuration() -> String {
    format!(
        "[server]\ncors = [\"https://{MARK}.example\"]\n[admin]\ntoken = \"{MARK}-admin-token-0123\"\n\
         [[provider]]\nname = \"spare\"\nbase_url = \"https://spare.example/v1\"\napi_key = \"{MARK}-spare-key\"\n\
         models = [\"x\"]\nproxy = \"http://u:{MARK}@proxy.example:1\"\nheaders = {{ x-team = \"{MARK}\" }}\n"
    )
}

#[test]
fn no_planted_secret_is_in_a_bundle_or_a_record() {
    let provider = parrot();
    let front = front(provider.addr, &configuration());
    let reply = planted_call(&front);
    assert_eq!(reply.status, 400, "{}", String::from_utf8_lossy(&reply.body));
    assert!(String::from_utf8_lossy(&reply.body).contains(MARK), "the parrot has spoken");
    let id = reply.header("x-request-id").unwrap().to_owned();
    let bundle = admin(&front, &format!("/mainstay/requests/{id}/report"));
    assert_eq!(bundle.status, 200);
    assert_eq!(bundle.header("content-type"), Some("application/zip"));
    let record = admin(&front, &format!("/mainstay/requests/{id}"));
    for (what, bytes) in [("bundle", &bundle.body), ("record", &record.body)] {
        let text = String::from_utf8_lossy(bytes);
        // Nothing is compressed, so that a look at the bytes is a look at the texts.
        for secret in [MARK, &front.key, "sk-upstream-secret", TOKEN] {
            let place = text.find(secret).map(|at| &text[at.saturating_sub(200)..at]);
            assert_eq!(place, None, "{secret} is in the {what}");
        }
    }
    let text = String::from_utf8_lossy(&bundle.body);
    for there in [
        "manifest.json",
        "report.txt",
        "request.json",
        "config.json",
        "limits.json",
        "log.txt",
        "Request id (provider): req_theirs",
        "Error code: invalid_value",
        "Error message: cannot take this from",
        "OpenAI/Python 2.1",
        "https://spare.example/v1",
        "left_out",
        id.as_str(),
    ] {
        assert!(text.contains(there), "{there} is missing");
    }
}

#[test]
fn the_bundle_is_a_zip_file_that_others_can_read() {
    let provider = parrot();
    let front = front(provider.addr, "");
    let id = planted_call(&front).header("x-request-id").unwrap().to_owned();
    let bundle = admin(&front, &format!("/mainstay/requests/{id}/report"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.zip");
    std::fs::write(&path, &bundle.body).unwrap();
    let listed = std::process::Command::new("python3")
        .args(["-m", "zipfile", "-t"])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.status.success() && said.contains("Done testing"), "{listed:?}");
}

#[test]
fn contents_come_only_where_they_are_kept_and_asked_for_and_keys_never() {
    let provider = parrot();
    let front = front(provider.addr, "[records]\nbodies = \"content\"\n");
    let id = planted_call(&front).header("x-request-id").unwrap().to_owned();
    let bundle = |query: &str| {
        let reply = admin(&front, &format!("/mainstay/requests/{id}/report{query}"));
        String::from_utf8_lossy(&reply.body).into_owned()
    };
    assert!(!bundle("").contains(MARK));
    let with = bundle("?with_content=true");
    assert!(with.contains("content.json") && with.contains(&format!("{MARK} system words")));
    assert!(!with.contains(&front.key) && !with.contains("sk-upstream-secret"));
    let none = admin(&front, "/mainstay/requests/req_00000000000000000000000000000000/report");
    assert_eq!(none.status, 404);
}

#[test]
fn the_console_gives_the_same_bundle_to_a_session_and_to_nobody_else() {
    let provider = parrot();
    let front = front(provider.addr, "[records]\nbodies = \"content\"\n");
    let id = planted_call(&front).header("x-request-id").unwrap().to_owned();
    let path = format!("/requests/{id}/report");
    let (cookie, _) = log_in(&front);
    let bundle = get(&front, &path, &cookie);
    assert_eq!((bundle.status, bundle.header("content-type")), (200, Some("application/zip")));
    assert_eq!(bundle.header("cache-control"), Some("no-store"));
    let name = format!("attachment; filename=\"{id}.zip\"");
    assert_eq!(bundle.header("content-disposition"), Some(&*name));
    let of_api = admin(&front, &format!("/mainstay/requests/{id}/report"));
    // Texts are stored as they are, one after the other; the manifest has the time in it.
    let files = |reply: &Reply| {
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        text.split("PK\u{3}\u{4}").skip(2).take(3).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(files(&bundle), files(&of_api));
    for (text, name) in files(&bundle).iter().zip(["report.txt", "request.json", "config.json"]) {
        assert!(text.contains(name), "{name} is not in its place: {text}");
    }
    let secrets = |reply: &Reply| {
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        [MARK, &front.key, "sk-upstream-secret", TOKEN, &cookie].map(|one| text.contains(one))
    };
    assert_eq!(secrets(&bundle), [false; 5]);
    let with = get(&front, &format!("{path}?content=1"), &cookie);
    assert_eq!(secrets(&with), [true, false, false, false, false], "the contents, and no key");
    assert_eq!(get(&front, &path, "").status, 303, "without a session there is the door");
    let none = "/requests/req_00000000000000000000000000000000/report";
    assert_eq!(get(&front, none, &cookie).status, 404);
    assert_eq!(get(&front, "/requests/what/report", &cookie).status, 400);
}
