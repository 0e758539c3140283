//! What a provider would refuse never leaves: it is answered here with everything that is wrong.

mod support;

use serde_json::Value;
use support::front;
use support::provider::{Provider, completion};

/// The error object of a refusal that sent nothing.
fn error(reply: &support::Reply) -> Value {
    reply.json()["error"].take()
}

fn params(error: &Value) -> Vec<&str> {
    let faults = error["faults"].as_array().expect("faults");
    faults.iter().map(|fault| fault["param"].as_str().unwrap_or("")).collect()
}

#[test]
fn all_faults_are_told_and_nothing_is_sent() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let body = r#"{"messages":[{"content":"hi"},{"role":"user","content":7}],"n":"2"}"#;
    let reply = front.post("/v1/chat/completions", body);
    let message = reply.refused(400, "missing_required_field");
    assert!(message.contains("'model'") && message.contains("first of 4 faults"), "{message}");
    let error = error(&reply);
    assert_eq!(error["param"], "model");
    assert_eq!(params(&error), ["model", "messages[0].role", "messages[1].content", "n"]);
    assert!(error["faults"].as_array().expect("faults").iter().all(|fault| {
        fault["code"].is_string() && fault["message"].as_str().is_some_and(|text| text.len() > 20)
    }));
    assert!(provider.seen().is_empty());
}

#[test]
fn a_model_of_the_wrong_type_does_not_hide_the_other_faults() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let reply = front.post("/v1/chat/completions", r#"{"model":5,"messages":[],"stream":"yes"}"#);
    reply.refused(400, "invalid_value");
    assert_eq!(params(&error(&reply)), ["model", "messages", "stream"]);
    let twice = front.post("/v1/chat/completions", r#"{"model":"a","Model":"b","messages":[]}"#);
    twice.refused(400, "invalid_value");
    assert_eq!(params(&error(&twice)), ["model", "messages"]);
    assert!(provider.seen().is_empty());
}

#[test]
fn each_route_has_its_level() {
    let provider = Provider::fixed(completion());
    let routes = ["strict", "off", "lenient"].map(|level| {
        format!(
            "[[route]]\nmodel = \"{level}-*\"\ntargets = [\"up\"]\n\
             policy = {{ validate = {{ level = \"{level}\" }} }}\n"
        )
    });
    let front = front(provider.addr, &routes.concat());
    let call = |model: &str, rest: &str| {
        front.post("/v1/chat/completions", &format!(r#"{{"model":"{model}","messages":{rest}}}"#))
    };
    let odd = r#"[{"role":"user","content":"x"}],"temperature":9,"top_k":3"#;
    let broken = r#""none""#;
    for (model, odd_passes, broken_passes) in [
        ("strict-1", false, false),
        ("lenient-1", true, false),
        ("off-1", true, true),
        ("elsewhere", true, false),
    ] {
        assert_eq!(call(model, odd).status == 200, odd_passes, "{model}");
        assert_eq!(call(model, broken).status == 200, broken_passes, "{model}");
    }
    assert_eq!(params(&error(&call("strict-1", odd))), ["temperature", "top_k"]);
    assert_eq!(provider.seen().len(), 4);
}
