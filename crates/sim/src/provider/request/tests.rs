use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn chat(body: &Value) -> Result<Call, Refusal> {
    read(Api::Chat, body.to_string().as_bytes(), None)
}

fn user(text: &str) -> Value {
    json!({ "model": "m", "messages": [{ "role": "user", "content": text }] })
}

#[track_caller]
fn refused(api: Api, body: &str, code: Option<&str>, param: Option<&str>, message: &str) {
    let refusal = read(api, body.as_bytes(), None).unwrap_err();
    assert_eq!(refusal.status, 400, "{body}");
    assert_eq!((refusal.code, refusal.param.as_deref()), (code, param), "{body}");
    assert!(refusal.message.contains(message), "{body}: {}", refusal.message);
}

#[test]
fn a_prompt_is_counted_as_a_quarter_of_its_bytes() {
    assert_eq!(chat(&user("12345678")).unwrap().prompt_tokens, 2);
    assert_eq!(chat(&user("123456789")).unwrap().prompt_tokens, 3);
    assert_eq!(chat(&user("")).unwrap().prompt_tokens, 1);
    let parts = json!({ "model": "m", "messages": [
        { "role": "system", "content": "1234" },
        { "role": "user", "content": [
            { "type": "text", "text": "1234" },
            { "type": "image_url", "image_url": { "url": "https://example.com/long-address.png" } },
        ] },
    ] });
    let call = chat(&parts).unwrap();
    assert_eq!((call.prompt_tokens, call.ask.heard), (2, 4));
}

#[test]
#[rustfmt::skip]
fn what_is_wrong_is_named_as_the_provider_names_it() {
    let body = |field: &str| {
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],{field}}}"#)
    };
    let c = Api::Chat;
    refused(c, "{", None, None, "We could not parse the JSON body");
    refused(c, "[]", None, None, "We could not parse the JSON body");
    refused(c, "{}", Some("missing_required_parameter"), Some("model"), "Missing required parameter: 'model'.");
    refused(c, r#"{"model":"m"}"#, Some("missing_required_parameter"), Some("messages"), "'messages'");
    refused(c, r#"{"model":"m","messages":[]}"#, Some("empty_array"), Some("messages"), "empty array");
    refused(c, r#"{"model":1,"messages":[]}"#, Some("invalid_type"), Some("model"), "expected a string, but got an integer instead.");
    refused(c, r#"{"model":"m","messages":"x"}"#, Some("invalid_type"), Some("messages"), "expected an array of objects, but got a string");
    refused(c, r#"{"model":"m","messages":["x"]}"#, Some("invalid_type"), Some("messages[0]"), "expected an object");
    refused(c, r#"{"model":"m","messages":[{"role":"user","content":5}]}"#, Some("invalid_type"), Some("messages[0].content"), "got an integer");
    refused(c, r#"{"model":"m","messages":[{"content":"x"}]}"#, Some("missing_required_parameter"), Some("messages[0].role"), "");
    refused(c, r#"{"model":"m","messages":[{"role":"usr","content":"x"}]}"#, Some("invalid_value"), Some("messages[0].role"), "Invalid value: 'usr'.");
    refused(c, &body(r#""max_tokens":"x""#), Some("invalid_type"), Some("max_tokens"), "expected an integer, but got a string instead.");
    refused(c, &body(r#""n":130"#), Some("integer_above_max_value"), Some("n"), "Expected a value <= 128, but got 130 instead.");
    refused(c, &body(r#""n":0"#), Some("integer_below_min_value"), Some("n"), "Expected a value >= 1, but got 0 instead.");
    refused(c, &body(r#""temperature":3"#), Some("decimal_above_max_value"), Some("temperature"), "Expected a value <= 2, but got 3 instead.");
    refused(c, &body(r#""stream":"yes""#), Some("invalid_type"), Some("stream"), "expected a boolean");
    refused(Api::Responses, r#"{"model":"m"}"#, Some("missing_required_parameter"), Some("input"), "");
    refused(Api::Responses, r#"{"model":"m","input":"x","max_output_tokens":1}"#, Some("integer_below_min_value"), Some("max_output_tokens"), "Expected a value >= 16");
    refused(Api::Responses, r#"{"model":"m","input":5}"#, Some("invalid_type"), Some("input"), "");
    refused(Api::Embeddings, r#"{"model":"m","input":[]}"#, Some("empty_array"), Some("input"), "");
    refused(Api::Embeddings, r#"{"model":"m","input":{}}"#, Some("invalid_type"), Some("input"), "");
    refused(Api::Embeddings, r#"{"model":"m","input":"x","encoding_format":"hex"}"#, Some("invalid_value"), Some("encoding_format"), "");
    refused(Api::Completions, r#"{"model":"m"}"#, Some("missing_required_parameter"), Some("prompt"), "");
}

#[test]
fn a_tool_is_called_when_asked_for_and_not_after_it_has_answered() {
    let tools = json!([{ "type": "function", "function": { "name": "a" } }, { "type": "function", "function": { "name": "b" } }]);
    let task = |text: &str, choice: Value, more: Option<Value>| {
        let mut body = user(text);
        body["tools"] = tools.clone();
        body["tool_choice"] = choice;
        if let Some(more) = more {
            body["messages"].as_array_mut().unwrap().push(more);
        }
        chat(&body).unwrap().task
    };
    let call_of = |name: &str| Task::Tool { name: name.into(), arguments: "{}".into() };
    assert_eq!(task("hello", Value::Null, None), Task::Text);
    assert_eq!(task("Please call the tool", Value::Null, None), call_of("a"));
    assert_eq!(task("call the tool", json!("none"), None), Task::Text);
    assert_eq!(task("hello", json!("required"), None), call_of("a"));
    assert_eq!(
        task("hello", json!({ "type": "function", "function": { "name": "b" } }), None),
        call_of("b")
    );
    let answered = json!({ "role": "tool", "tool_call_id": "x", "content": "4 degrees" });
    assert_eq!(task("call the tool", Value::Null, Some(answered)), Task::Text);
}

#[test]
fn optional_fields_may_be_null() {
    let mut body = user("x");
    for name in [
        "n",
        "stream",
        "stream_options",
        "temperature",
        "max_tokens",
        "tools",
        "user",
        "response_format",
    ] {
        body[name] = Value::Null;
    }
    assert_eq!(chat(&body).unwrap(), chat(&user("x")).unwrap());
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for api in [Api::Chat, Api::Responses, Api::Completions, Api::Embeddings] {
            let _ = read(api, &bytes, None);
        }
    }

    #[test]
    fn no_json_makes_reading_panic(name in "(model|messages|input|prompt|n|stream|tools|tool_choice|response_format|text)", value in any_json()) {
        for api in [Api::Chat, Api::Responses, Api::Completions, Api::Embeddings] {
            let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "call the tool" }], "input": "x", "prompt": "x" });
            body[&name] = value.clone();
            let _ = read(api, body.to_string().as_bytes(), None);
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(
                "(type|role|content|function|name|parameters|format|schema)",
                inner,
                0..4
            )
            .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}
