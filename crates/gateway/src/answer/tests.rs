use mainstay_core::policy::CodeSet;
use mainstay_core::validate::{Level, validate};
use mainstay_core::wire::endpoint::Endpoint;
use serde_json::Value;

use super::*;

fn waited(retry_after: Option<Duration>, again: bool) -> (String, Option<String>, Option<String>) {
    let mut headers = HeaderMap::new();
    wait(&mut headers, retry_after, again);
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    (text("x-should-retry").unwrap(), text("retry-after"), text("retry-after-ms"))
}

#[test]
fn a_wait_is_never_zero_and_never_left_to_sdks_when_it_is_long() {
    let s = |text: &str| Some(text.to_owned());
    assert_eq!(waited(None, false), ("false".into(), None, None));
    assert_eq!(waited(Some(Duration::ZERO), true), ("true".into(), s("1"), s("1")));
    assert_eq!(waited(Some(Duration::from_micros(1)), true), ("true".into(), s("1"), s("1")));
    assert_eq!(
        waited(Some(Duration::from_millis(1001)), false),
        ("false".into(), s("2"), s("1001"))
    );
    assert_eq!(waited(Some(Duration::from_secs(60)), true).0, "true");
    assert_eq!(waited(Some(Duration::from_millis(60_001)), true).0, "false");
}

#[test]
fn an_error_object_has_all_four_keys_for_every_kind_and_code_set() {
    for kind in Kind::ALL {
        for codes in [CodeSet::Unified, CodeSet::OpenAi] {
            let body = envelope(kind, codes, None, "quote \" and\nline");
            let value: Value = serde_json::from_slice(&body).unwrap();
            let error = value["error"].as_object().unwrap();
            for key in ["message", "type", "param", "code"] {
                assert!(error.contains_key(key), "{} misses {key}", kind.name());
            }
            assert_eq!(error["message"], "quote \" and\nline");
            assert!(error["type"].is_string());
            assert!((400..600).contains(&status_of(kind).as_u16()));
        }
    }
}

fn told(body: &str, codes: CodeSet) -> Value {
    let report = validate(Endpoint::Chat, Level::Strict, body.as_bytes());
    let bytes = refusal_body(&Refused::unsound(report), codes);
    serde_json::from_slice::<Value>(&bytes).unwrap()["error"].take()
}

#[test]
fn the_vendors_exact_code_is_given_to_those_who_asked_for_the_vendors_codes() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"x"}],"n":130,"temprature":1}"#;
    let error = told(body, CodeSet::OpenAi);
    assert_eq!((&error["param"], &error["code"]), (&"n".into(), &"integer_above_max_value".into()));
    assert_eq!(error["faults"][1]["code"], "unknown_parameter");
    let error = told(body, CodeSet::Unified);
    assert_eq!(error["code"], "invalid_value");
    assert_eq!(error["faults"][0]["code"], "invalid_value");
    assert_eq!(error["faults"][1]["param"], "temprature");
    assert!(
        error["message"].as_str().unwrap().contains("first of 2 faults; `error.faults` lists all")
    );
}

#[test]
fn one_answer_tells_so_many_faults_and_counts_the_rest() {
    let body = format!(r#"{{"model":"m","messages":[{}]}}"#, ["7"; 100].join(","));
    let error = told(&body, CodeSet::Unified);
    assert_eq!(error["faults"].as_array().unwrap().len(), 32);
    assert_eq!(error["faults_more"], 68);
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("first of 100 faults; `error.faults` lists the first 32"),
        "{message}"
    );
    let one = told(r#"{"model":"m"}"#, CodeSet::Unified);
    assert_eq!(one["faults"][0]["message"], one["message"]);
    assert!(one.get("faults_more").is_none());
}
