//! `GET /v1/models`: what can be called here, by the names that work.

use serde_json::Value;

use crate::script::{gateway, sound};
use crate::support::Front;
use crate::support::provider::{Provider, json};

fn lists(ids: &[&str]) -> Provider {
    let entry =
        |id: &&str| format!(r#"{{"id":"{id}","object":"model","created":7,"owned_by":"them"}}"#);
    let data: Vec<String> = ids.iter().map(entry).collect();
    Provider::fixed(json(
        "200 OK",
        "",
        &format!(r#"{{"object":"list","data":[{}]}}"#, data.join(",")),
    ))
}

fn fails() -> Provider {
    Provider::fixed(json("500 Internal Server Error", "", r#"{"error":{"message":"no"}}"#))
}

fn section(name: &str, provider: &Provider, more: &str) -> String {
    format!(
        "[[provider]]\nname = \"{name}\"\nbase_url = \"http://{}/v1\"\napi_key = \"k\"\n{more}\n",
        provider.addr
    )
}

const ONCE: &str = "[policy.retry]\nattempts_max = 1\nattempts_per_call_max = 1\n";

fn ids(front: &Front) -> Vec<String> {
    let list = front.get("/v1/models").json();
    let data = list["data"].as_array().expect("a list");
    data.iter().map(|entry| entry["id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn every_provider_is_asked_and_each_model_has_the_name_that_leads_to_it() {
    let (a, b, c) =
        (lists(&["one", "two"]), lists(&["two", "three"]), lists(&["llama-1", "secret"]));
    let text = format!(
        "{}{}{}{}",
        section("a", &a, "model_map = { alias = \"one\" }"),
        section("b", &b, ""),
        section("c", &c, "models = [\"llama-*\", \"fixed\"]"),
        "[[route]]\nmodel = \"best\"\ntargets = [\"a/one\", \"b/three\"]\n",
    );
    let front = gateway(&sound(&text));
    let found = ids(&front);
    assert_eq!(found, ["alias", "b/three", "b/two", "best", "fixed", "llama-1", "one", "two"]);
    // Every name can be called.
    for id in &found {
        let body = format!(r#"{{"model":"{id}","messages":[{{"role":"user","content":"hi"}}]}}"#);
        let reply = front.post("/v1/chat/completions", &body);
        assert_ne!(reply.header("x-mainstay-kind"), Some("model_not_found"), "{id}");
    }
    let one = front.get("/v1/models/b%2Fthree");
    assert_eq!((one.status, one.json()["id"].as_str()), (200, Some("b/three")));
    assert_eq!(one.json()["owned_by"], "them");
    front.get("/v1/models/three").refused(404, "model_not_found");
}

#[test]
fn a_provider_that_does_not_answer_is_left_out_and_named() {
    let (a, b) = (lists(&["one"]), fails());
    let front = gateway(&sound(&format!("{ONCE}{}{}", section("a", &a, ""), section("b", &b, ""))));
    let reply = front.get("/v1/models");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-mainstay-models-missing"), Some("b"));
    let list = reply.json();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(list["mainstay_missing"][0]["provider"], "b");
    assert_eq!(list["mainstay_missing"][0]["kind"], "internal_error");
}

#[test]
fn when_nobody_answers_and_nothing_is_known_the_list_fails() {
    let (a, b) = (fails(), fails());
    let front = gateway(&sound(&format!("{ONCE}{}{}", section("a", &a, ""), section("b", &b, ""))));
    let reply = front.get("/v1/models");
    assert_eq!((reply.status, reply.header("x-mainstay-kind")), (500, Some("internal_error")));
}

#[test]
fn one_provider_is_passed_on_untouched() {
    let bytes = r#"{"object":"list","data":[{"id":"x"}],"their":"own"}"#;
    let only = Provider::fixed(json("200 OK", "", bytes));
    let front = gateway(&sound(&section("a", &only, "")));
    let value: Value = front.get("/v1/models").json();
    assert_eq!(value.to_string(), serde_json::from_str::<Value>(bytes).expect("JSON").to_string());
}

#[test]
fn what_is_no_list_adds_nothing() {
    let a = lists(&["one"]);
    for strange in [
        "[]",
        "7",
        "{\"data\":7}",
        "{\"data\":[7,{\"id\":9},{\"x\":1}]}",
        "[{\"id\":\"bare\"}]",
        "{",
    ] {
        let b = Provider::fixed(json("200 OK", "", strange));
        let front =
            gateway(&sound(&format!("{ONCE}{}{}", section("a", &a, ""), section("b", &b, ""))));
        let expected: &[&str] =
            if strange.contains("bare") { &["b/bare", "one"] } else { &["one"] };
        assert_eq!(ids(&front), expected, "{strange}");
    }
}
