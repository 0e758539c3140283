//! A prompt that certainly fits no target is refused with the numbers; any other is sent.

mod support;

use mainstay_gateway::config::{Environment, parse};
use serde_json::{Value, json};
use support::provider::{self, Provider, completion};
use support::{Front, Reply, start};

/// A gateway before a provider, with more keys for that provider and more tables behind it.
fn front(provider: &Provider, keys: &str, tables: &str) -> Front {
    let text = format!(
        "[[provider]]\nname = \"up\"\nbase_url = \"http://{}/v1\"\napi_key = \"sk-x\"\n{keys}\n{tables}",
        provider.addr
    );
    let config = parse("test.toml", &text, &Environment::default()).expect("a sound configuration");
    start(&config, |_| {})
}

/// A text of so many tokens: each word is one in every vocabulary here.
fn words(count: usize) -> String {
    " the".repeat(count)
}

fn chat(front: &Front, model: &str, words_said: usize, more: &Value) -> Reply {
    let mut body =
        json!({"model": model, "messages": [{"role": "user", "content": words(words_said)}]});
    let fields = body.as_object_mut().expect("an object");
    fields.extend(more.as_object().cloned().unwrap_or_default());
    front.post("/v1/chat/completions", &body.to_string())
}

#[test]
fn a_prompt_above_the_window_is_refused_with_what_to_cut() {
    let provider = Provider::fixed(completion());
    let front = front(&provider, "", "");
    let message = chat(&front, "gpt-4", 9_000, &json!({})).refused(400, "context_length_exceeded");
    for part in ["window is 8192", "(counted)", "Shorten the prompt by 8"] {
        assert!(message.contains(part), "{message}");
    }
    let reply = chat(&front, "gpt-4", 7_500, &json!({"max_tokens": 1_000}));
    let message = reply.refused(400, "context_length_exceeded");
    for part in
        ["window is 8192", "75", "1000 of output", "Ask for at most 6", "shorten the prompt by 3"]
    {
        assert!(message.contains(part), "{message}");
    }
    let error = &reply.json()["error"];
    assert_eq!(
        (&error["code"], &error["param"]),
        (&"context_length_exceeded".into(), &"messages".into())
    );
    let input = json!({"model": "text-embedding-3-small", "input": ["short", words(9_000)]});
    front.post("/v1/embeddings", &input.to_string()).refused(400, "context_length_exceeded");
    assert!(provider.seen().is_empty());
}

#[test]
fn a_flood_of_long_prompts_is_counted_in_turn_and_none_is_sent() {
    const CALLERS: usize = 16;
    let provider = Provider::fixed(completion());
    let front = front(&provider, "", "");
    // The first count unpacks the vocabulary.
    chat(&front, "gpt-4", 9_000, &json!({})).refused(400, "context_length_exceeded");
    let barrier = std::sync::Barrier::new(CALLERS);
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                barrier.wait();
                let reply = chat(&front, "gpt-4", 20_000, &json!({}));
                reply.refused(400, "context_length_exceeded");
            });
        }
    });
    assert!(provider.seen().is_empty());
}

#[test]
fn what_may_fit_is_sent() {
    let provider = Provider::fixed(completion());
    let front = front(&provider, "", "");
    let cases = [
        ("gpt-4", 8_100, json!({})),
        ("gpt-4", 7_000, json!({"max_tokens": 1_000})),
        ("gpt-4o", 9_000, json!({"max_tokens": 4_000})),
        ("unheard-of", 200_000, json!({"max_tokens": 4_000})),
        ("gpt-4", 9_000, json!({"transforms": ["middle-out"]})),
    ];
    for (sent, (model, words, more)) in cases.iter().enumerate() {
        let reply = chat(&front, model, *words, more);
        assert_eq!(
            reply.status,
            200,
            "{model} {words} {more}: {}",
            String::from_utf8_lossy(&reply.body)
        );
        assert_eq!(provider.seen().len(), sent + 1);
    }
    // A picture has many bytes and few tokens.
    let picture = format!("data:image/png;base64,{}", "iVBORw0KGgo".repeat(20_000));
    let body = json!({"model": "gpt-4-turbo", "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": picture}}]}]});
    assert_eq!(front.post("/v1/chat/completions", &body.to_string()).status, 200);
    let response = json!({"model": "gpt-4", "input": words(9_000), "truncation": "auto"});
    assert_eq!(front.post("/v1/responses", &response.to_string()).status, 200);
}

#[test]
fn windows_of_the_configuration_win_over_the_table() {
    let provider = Provider::fixed(completion());
    let windows = "windows = { \"gpt-4\" = 20000, \"own\" = 1000, \"gpt-4o\" = 5000 }\nmodel_map = { \"mine\" = \"own\" }";
    let front = front(&provider, windows, "");
    assert_eq!(chat(&front, "gpt-4", 9_000, &json!({})).status, 200);
    chat(&front, "gpt-4o", 6_000, &json!({})).refused(400, "context_length_exceeded");
    // The vocabulary of these is not known: the provider decides.
    assert_eq!(chat(&front, "own", 6_000, &json!({})).status, 200);
    assert_eq!(chat(&front, "mine", 6_000, &json!({})).status, 200);
}

#[test]
fn strict_refuses_what_is_estimated_far_beyond_and_too_much_output() {
    let provider = Provider::fixed(completion());
    let strict = "[policy.validate]\nlevel = \"strict\"\n";
    let front = front(&provider, "windows = { \"own\" = 4000 }", strict);
    assert_eq!(chat(&front, "own", 4_200, &json!({})).status, 200);
    let message = chat(&front, "own", 8_000, &json!({})).refused(400, "context_length_exceeded");
    assert!(message.contains("(estimated)"), "{message}");
    let message =
        chat(&front, "gpt-4o", 100, &json!({"max_tokens": 16_385})).refused(400, "invalid_value");
    assert!(message.contains("16385") && message.contains("at most 16384"), "{message}");
}

#[test]
fn a_route_is_as_wide_as_its_widest_target() {
    let provider = Provider::fixed(completion());
    let route = |model: &str, targets: &str| {
        format!("[[route]]\nmodel = \"{model}\"\ntargets = [{targets}]\n")
    };
    let tables = route("wide", "\"up/gpt-4\", \"up/gpt-4o\"")
        + &route("open", "\"up/gpt-4\", \"up/unheard-of\"")
        + &route("narrow", "\"up/gpt-4\", \"up/gpt-3.5-turbo-instruct\"")
        + &route("off", "\"up/gpt-4\"")
        + "policy = { validate = { level = \"off\" } }\n";
    let front = front(&provider, "", &tables);
    for (model, sent) in [("wide", true), ("open", true), ("narrow", false), ("off", true)] {
        let reply = chat(&front, model, 9_000, &json!({}));
        assert_eq!(reply.status == 200, sent, "{model}");
    }
}

#[test]
fn windows_of_presets_decide_where_a_prompt_that_was_too_long_goes_next() {
    let too_long = || {
        let body = r#"{"error":{"message":"Please reduce the length of the messages or completion.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
        Provider::fixed(provider::json("400 Bad Request", "", body))
    };
    let table = |kind: &str, at: &Provider| {
        format!(
            "[[provider]]\nkind = \"{kind}\"\nbase_url = \"http://{}/v1\"\napi_key = \"k\"\n",
            at.addr
        )
    };
    let (small, large) = (too_long(), Provider::fixed(completion()));
    let tables = table("groq", &small) + &table("gemini", &large);
    for (targets, status) in [
        ("\"groq/llama-3.3-70b-versatile\", \"gemini/gemini-3.5-flash\"", 200),
        ("\"groq/llama-3.3-70b-versatile\", \"groq/qwen/qwen3.8-27b\"", 400),
        ("\"groq/llama-3.3-70b-versatile\", \"gemini/unheard-of\"", 200),
    ] {
        let route = format!("[[route]]\nmodel = \"m\"\ntargets = [{targets}]\n");
        let config = parse("test.toml", &(tables.clone() + &route), &Environment::default());
        let front = start(&config.expect("a sound configuration"), |_| {});
        assert_eq!(chat(&front, "m", 10, &json!({})).status, status, "{targets}");
    }
    assert_eq!(large.seen().len(), 2);
    assert_eq!(small.seen().len(), 3, "a window that is no larger is not tried");
}
