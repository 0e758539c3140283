//! The console on the administration port: who comes in, what is obeyed, what is kept out.

mod support;

use support::console::{form, get, log_in, send, text};
use support::provider::{Provider, completion};
use support::{TOKEN, front, until};

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

/// The bars of the overview are by the same counters as the metrics, up to the moment it is made.
#[test]
fn the_overview_agrees_with_metrics_and_records_at_once() {
    let front = front(Provider::fixed(completion()).addr, "");
    let (cookie, _) = log_in(&front);
    let bearer = format!("authorization: Bearer {TOKEN}\r\n");
    for count in 1..=3 {
        let refused = front.post("/v1/chat/completions", "{\"model\":7}");
        let kind = refused.header("x-mainstay-kind").expect("a kind");
        let list = || text(&send(&front, "GET", "/mainstay/requests", &bearer, ""));
        let kept = format!("\"kind\":\"{kind}\"");
        until("the call is on record", || list().matches(&kept).count() == count);
        let page = text(&send(&front, "GET", "/metrics", &bearer, ""));
        let metric = format!("mainstay_failures_total{{kind=\"{kind}\"}} {count}\n");
        assert!(page.contains(&metric), "{metric}");
        let live = text(&get(&front, "/live/overview", &cookie));
        let bar = live.split(&format!("<code>{kind}</code>")).nth(1).expect("a bar");
        let told = bar.split("<span>").nth(1).and_then(|rest| rest.split('<').next());
        assert_eq!(told, Some(&*count.to_string()), "{live}");
        assert!(live.contains(&format!("0 failed, {count} refused")), "{live}");
    }
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
        "/limits",
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

#[test]
fn members_are_added_given_another_role_and_removed_by_forms() {
    let front = front(Provider::fixed(completion()).addr, "");
    let (cookie, token) = log_in(&front);
    let sent = |path: &str, fields: &str| {
        form(&front, path, &cookie, &format!("token={token}&{fields}")).status
    };
    assert_eq!(sent("/organizations/users", "user=ann+%26+co"), 303);
    assert_eq!(sent("/organizations/users", "user=ann+%26+co"), 409, "the name is taken");
    let page = text(&get(&front, "/organizations", &cookie));
    assert!(page.contains("ann &#38; co"), "{page}");
    let user = page.split("<code>user-").nth(1).and_then(|rest| rest.split('<').next()).unwrap();
    let user = format!("user-{user}");
    let members = "/organizations/org-default/members";
    assert!(text(&get(&front, members, &cookie)).contains("It has no member"));
    assert_eq!(sent(members, &format!("user={user}&role=boss")), 400);
    assert_eq!(sent(members, &format!("user={user}&role=reader")), 303);
    let page = text(&get(&front, members, &cookie));
    assert!(page.contains("<option value=\"reader\" selected>"), "{page}");
    assert_eq!(sent(members, &format!("user={user}&role=owner")), 303);
    let page = text(&get(&front, members, &cookie));
    assert!(page.contains("<option value=\"owner\" selected>"), "{page}");
    let of_project = text(&get(&front, "/projects/proj_default/members", &cookie));
    assert!(of_project.contains("Owners of the organization"), "{of_project}");
    assert_eq!(sent(&format!("{members}/{user}/remove"), ""), 303);
    assert!(text(&get(&front, members, &cookie)).contains("It has no member"));
    assert_eq!(sent(&format!("{members}/{user}/remove"), ""), 404, "he is gone already");
    assert_eq!(get(&front, "/organizations/org-none/members", &cookie).status, 404);
    let changes = text(&get(&front, "/settings", &cookie));
    assert!(changes.contains("org.member.add") && changes.contains("org.member.remove"));
}

#[test]
fn limits_are_set_changed_in_whole_and_removed_by_forms() {
    let tier = "[[tier]]\nname = \"small\"\nrpm = 7\n";
    let front = front(Provider::fixed(completion()).addr, tier);
    let (cookie, token) = log_in(&front);
    let sent =
        |path: &str, fields: &str| form(&front, path, &cookie, &format!("token={token}&{fields}"));
    let page = || text(&get(&front, "/limits", &cookie));
    assert!(page().contains("No limit is set") && page().contains("small: 7 requests a minute"));
    let owner = "owner=project:proj_default";
    let faulty = sent("/limits", &format!("{owner}&rpm=many&tpm=9000"));
    assert_eq!(faulty.status, 400);
    let faulty = text(&faulty);
    assert!(faulty.contains("is a whole number") && faulty.contains("value=\"9000\""), "{faulty}");
    assert_eq!(sent("/limits", &format!("{owner}&rpm=600&tpm=90,000&model=gpt-*")).status, 303);
    assert!(page().contains("600 requests a minute") && page().contains("90,000 tokens a minute"));
    // A part that is empty stays, unless the form has all of them.
    assert_eq!(sent("/limits", &format!("{owner}&rpm=500&model=gpt-*")).status, 303);
    assert!(page().contains("500 requests a minute") && page().contains("90,000 tokens a minute"));
    let whole = format!("{owner}&rpm=500&model=gpt-*&whole=1&shadow=1");
    assert_eq!(sent("/limits", &whole).status, 303);
    assert!(!page().contains("90,000 tokens") && page().contains("only counts"));
    assert_eq!(sent("/limits", "rpm=5").status, 400, "nobody is named");
    let id = page();
    let id = id.split("/limits/").find_map(|rest| rest.split_once("/remove")).unwrap().0.to_owned();
    assert_eq!(sent("/limits/tiers", &format!("{owner}&tier=small")).status, 303);
    assert!(page().contains("of the tier small"));
    assert_eq!(sent(&format!("/limits/{id}/remove"), "").status, 303);
    assert_eq!(sent(&format!("/limits/{id}/remove"), "").status, 404);
    assert!(page().contains("7 requests a minute") && !page().contains("500 requests a minute"));
}
