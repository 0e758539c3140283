//! The console on the administration port: who comes in, what is obeyed, what is kept out.

mod support;

use support::provider::{Provider, completion};
use support::{Caller, Front, Reply, TOKEN, front};

/// What a browser sends with a form of this page.
fn send(front: &Front, method: &str, path: &str, more: &str, body: &str) -> Reply {
    let mut caller = Caller::to(front.gateway.admin_addr());
    let (host, length) = (front.gateway.admin_addr(), body.len());
    caller.send(
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\n{more}content-length: {length}\r\n\r\n{body}"
        )
        .as_bytes(),
    );
    caller.answer()
}

fn form(front: &Front, path: &str, cookie: &str, body: &str) -> Reply {
    let origin = format!("origin: http://{}\r\ncookie: {cookie}\r\n", front.gateway.admin_addr());
    send(front, "POST", path, &origin, body)
}

fn get(front: &Front, path: &str, cookie: &str) -> Reply {
    send(front, "GET", path, &format!("cookie: {cookie}\r\n"), "")
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

/// Logs in; the session's cookie, and the token of its forms.
fn log_in(front: &Front) -> (String, String) {
    let reply = form(front, "/login", "", &format!("admin-token={TOKEN}"));
    assert_eq!((reply.status, reply.header("location")), (303, Some("/")));
    let cookie = reply.header("set-cookie").expect("a session").to_owned();
    assert!(cookie.contains("httponly") && cookie.contains("samesite=strict"), "{cookie}");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    let page = text(&get(front, "/keys", &cookie));
    let token =
        page.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    (cookie, token.expect("a form").to_owned())
}

#[test]
fn a_key_is_made_shown_once_and_revoked_by_forms() {
    let front = front(Provider::fixed(completion()).addr, "");
    let (cookie, token) = log_in(&front);
    let made = form(
        &front,
        "/keys",
        &cookie,
        &format!("token={token}&name=web+%26+co&scopes=chat&expires=30d"),
    );
    assert_eq!((made.status, made.header("cache-control")), (200, Some("no-store")));
    let page = text(&made);
    let secret =
        page.split("id=\"secret\">").nth(1).and_then(|rest| rest.split('<').next()).unwrap();
    assert!(secret.starts_with("sk-ms-") && page.contains("web &#38; co"), "{page}");
    let list = text(&get(&front, "/keys", &cookie));
    assert!(!list.contains(secret) && list.contains("web &#38; co"));
    let id = list.split("/keys/key_").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let revoked =
        form(&front, &format!("/keys/key_{id}/revoke"), &cookie, &format!("token={token}"));
    assert_eq!(revoked.status, 303);
    assert!(text(&get(&front, &format!("/keys/key_{id}"), &cookie)).contains("revoked"));
    let changes = text(&get(&front, "/settings", &cookie));
    assert!(changes.contains("key.revoke") && changes.contains("<td>console</td>"), "{changes}");
}

#[test]
fn forms_of_other_pages_and_other_sessions_change_nothing() {
    let front = front(Provider::fixed(completion()).addr, "");
    let (cookie, token) = log_in(&front);
    let (_, other) = log_in(&front);
    let body = format!("token={token}&name=stolen");
    assert_eq!(form(&front, "/keys", &cookie, &format!("token={other}&name=stolen")).status, 403);
    assert_eq!(form(&front, "/keys", &cookie, "name=stolen").status, 403);
    let bare = send(&front, "POST", "/keys", &format!("cookie: {cookie}\r\n"), &body);
    assert_eq!(bare.status, 403, "a browser names the origin of a form");
    for origin in ["origin: null", "origin: http://127.0.0.1:1", "origin: https://evil.example"] {
        let more = format!("{origin}\r\ncookie: {cookie}\r\n");
        assert_eq!(send(&front, "POST", "/keys", &more, &body).status, 403, "{origin}");
    }
    assert!(!text(&get(&front, "/keys", &cookie)).contains("stolen"));
    assert_eq!(form(&front, "/keys", &cookie, &body).status, 200, "the same form from here");
}

#[test]
fn without_a_session_there_is_the_door_and_nothing_else() {
    let front = front(Provider::fixed(completion()).addr, "");
    for (path, to) in [("/", "/login"), ("/keys?a=b", "/login?to=%2Fkeys%3Fa%3Db")] {
        let reply = get(&front, path, "mainstay-console-1=x");
        let found = reply.header("location").map(str::to_ascii_lowercase);
        assert_eq!((reply.status, found), (303, Some(to.to_ascii_lowercase())));
    }
    assert_eq!(get(&front, "/live/overview", "").status, 401);
    let login = get(&front, "/login", "");
    let policy = login.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let token_as_bearer = format!("authorization: Bearer {TOKEN}\r\n");
    assert_eq!(send(&front, "GET", "/keys", &token_as_bearer, "").status, 303);
    assert_eq!(send(&front, "GET", "/mainstay/keys", &token_as_bearer, "").status, 200);
}

#[test]
fn too_many_wrong_tokens_bring_a_wait_and_do_not_close_the_api() {
    let front = front(Provider::fixed(completion()).addr, "");
    for _ in 0..4 {
        assert_eq!(form(&front, "/login", "", "admin-token=wrong").status, 401);
    }
    let fifth = form(&front, "/login", "", "admin-token=wrong");
    assert_eq!((fifth.status, fifth.header("retry-after")), (429, Some("30")));
    let right = form(&front, "/login", "", &format!("admin-token={TOKEN}"));
    assert_eq!((right.status, right.header("set-cookie")), (429, None));
    assert!(text(&right).contains("The next try is possible in"), "{}", text(&right));
    let bearer = format!("authorization: Bearer {TOKEN}\r\n");
    assert_eq!(send(&front, "GET", "/mainstay/status", &bearer, "").status, 200);
}

#[test]
fn pages_and_files_are_found_and_large_forms_are_not_read() {
    let front = front(Provider::fixed(completion()).addr, "");
    let (cookie, token) = log_in(&front);
    for path in [
        "/",
        "/requests",
        "/providers",
        "/alerts",
        "/usage",
        "/budgets",
        "/keys",
        "/organizations",
        "/errors",
        "/settings",
    ] {
        let reply = get(&front, path, &cookie);
        assert_eq!(reply.status, 200, "{path}: {}", text(&reply));
        assert!(text(&reply).contains("aria-current=\"page\""), "{path}");
    }
    let page = text(&get(&front, "/", &cookie));
    let css =
        page.split("href=\"/console.css").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let file = get(&front, &format!("/console.css{css}"), "");
    assert!(file.header("cache-control").unwrap().contains("immutable"));
    assert_eq!(get(&front, "/console.css", "").header("cache-control"), Some("no-cache"));
    assert_eq!(get(&front, "/errors/no-such-kind", &cookie).status, 404);
    assert_eq!(get(&front, "/keys/key_000000000000", &cookie).status, 404);
    let body = format!("token={token}&name={}", "x".repeat(70_000));
    assert_eq!(form(&front, "/keys", &cookie, &body).status, 413);
}
