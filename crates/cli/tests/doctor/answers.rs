//! What answers: keys, portals, clocks, models, silence.

use std::time::Duration;

use crate::world::{KEY, answer, answers, look, models, provider, request, server};

const JSON: &str = "content-type: application/json\r\n";

fn config(answer: String, more: &str) -> String {
    provider(&format!("http://{}/v1", answers(answer)), more)
}

#[test]
fn a_sound_setup_ends_with_zero() {
    let said = look(&config(models(""), ""), &[]);
    assert_eq!(said.code, 0, "{said:#?}");
    for (check, state) in [
        ("config", "ok"),
        ("database", "ok"),
        ("disk", "ok"),
        ("key", "ok"),
        ("proxy", "ok"),
        ("tcp", "ok"),
        ("answer", "ok"),
        ("auth", "ok"),
        ("models", "ok"),
        ("latency", "ok"),
        ("stream", "skipped"),
    ] {
        assert_eq!(said.of(check).0, state, "{check}: {said:#?}");
    }
}

#[test]
fn a_wrong_key_is_explained_and_not_shown() {
    let body = format!(
        r#"{{"error":{{"message":"Incorrect API key provided: {KEY}.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}}}"#
    );
    let said = look(&config(answer("401 Unauthorized", JSON, &body), ""), &[]);
    said.check("auth", "failed", "key 1: incorrect_api_key (401)");
    said.only_these_failed(&["auth"]);
    assert_eq!(said.code, 1);
}

#[test]
fn each_key_is_tried() {
    let address = server(|mut stream| {
        while let Some(asked) = request(&mut stream) {
            let answer = if asked.contains("Bearer sk-good") || asked.contains("bearer sk-good") {
                models("")
            } else {
                let body = r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","code":"invalid_api_key"}}"#;
                answer("401 Unauthorized", JSON, body)
            };
            if std::io::Write::write_all(&mut stream, answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    let config = format!(
        "[[provider]]\nname = \"up\"\nbase_url = \"http://{address}/v1\"\napi_keys = [\"sk-good-1234567890\", \"sk-gone-1234567890\"]\n"
    );
    let said = look(&config, &[]);
    said.check("auth", "ok", "key 1 is accepted");
    said.check("auth", "failed", "key 2: incorrect_api_key");
    assert_eq!(said.code, 1);
}

#[test]
fn a_typo_in_a_key_of_ours_is_seen_without_asking() {
    let key = mainstay_store::mint().unwrap();
    let whole = key.expose();
    let typo = whole.replacen("sk-ms-", "sk-ms-x", 1);
    let text = config(models(""), "");
    let said = look(&text.replace(KEY, whole), &[]);
    said.check("key", "ok", "its checksum fits");
    let said = look(&text.replace(KEY, &typo), &[]);
    said.check("key", "failed", "its checksum does not fit");
    assert_eq!(said.code, 1);
}

#[test]
fn a_captive_portal_is_no_api() {
    let page = "<html><head><title>Guest Wi-Fi</title></head><body>Log in</body></html>";
    let html = "content-type: text/html\r\n";
    let said = look(&config(answer("200 OK", html, page), ""), &[]);
    said.check("answer", "failed", "a web page (200): Guest Wi-Fi");
    assert_eq!(said.code, 3);
    let moved = answer("302 Found", "location: http://portal.test/login\r\n", "");
    let said = look(&config(moved, ""), &[]);
    said.check("answer", "failed", "redirect (302) to http://portal.test/login");
    assert_eq!(said.code, 3);
}

#[test]
fn a_skewed_clock_is_told() {
    let said = look(&config(models("date: Tue, 02 Jan 2024 03:04:05 GMT\r\n"), ""), &[]);
    said.check("clock", "failed", "ahead of the provider's");
    assert_eq!(said.code, 3);
}

#[test]
fn a_model_that_is_not_listed_is_a_warning() {
    let said = look(&config(models(""), "models = [\"gpt-4o\", \"gpt-4oo\"]"), &[]);
    said.check("models", "warning", "`gpt-4oo`");
    assert_eq!(said.code, 0);
}

#[test]
fn a_provider_in_trouble_is_the_surroundings() {
    let body =
        r#"{"error":{"message":"The engine is currently overloaded","type":"server_error"}}"#;
    let said = look(&config(answer("503 Service Unavailable", JSON, body), ""), &[]);
    said.check("auth", "failed", "overloaded (503)");
    assert_eq!(said.code, 3);
}

#[test]
fn silence_ends_in_the_time_given() {
    let address = server(|mut stream| {
        let _ = request(&mut stream);
        let _ = request(&mut stream); // stands until the other end goes
    });
    let provider = |n: u32| {
        format!(
            "[[provider]]\nname = \"p{n}\"\nbase_url = \"http://{address}/v1\"\napi_key = \"{KEY}\"\nmodels = [\"m{n}\"]\n"
        )
    };
    let providers = (0..8).map(provider).collect::<Vec<_>>().concat();
    // What a look takes on this machine when nothing is waited for.
    let usual = look(&config(models(""), ""), &[]).took;
    let said = look(&providers, &["--timeout", "2s"]);
    said.check("answer", "failed", "connected, and no answer came in 2");
    // Eight at once, each check two seconds: one after the other they would take sixteen.
    let most = Duration::from_secs(10) + 2 * usual;
    assert!(said.took < most, "{:?} of {most:?}", said.took);
    assert_eq!(said.code, 3);
}
