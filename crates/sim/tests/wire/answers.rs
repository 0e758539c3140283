//! Sound answers of every endpoint, read byte by byte.

use crate::raw::{KEY, Seen, chat, chat_body, connect, read, request, send, start, stats};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

fn events(seen: &Seen) -> Vec<Value> {
    let (body, proper) = seen.body();
    assert!(proper);
    let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).expect("an event is JSON"))
        .collect()
}

async fn post(addr: std::net::SocketAddr, path: &str, body: &Value) -> Seen {
    send(addr, &format!("POST {path}"), &[KEY], &body.to_string()).await
}

#[tokio::test]
async fn a_stream_says_the_same_as_the_whole_answer() {
    let sim = start("").await;
    let whole = chat(sim.addr(), "m", false, &[]).await.json();
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(text, "Heard 16 bytes: w4 w5 w6 w7 w8");

    let seen = chat(sim.addr(), "m", true, &[]).await;
    let events = events(&seen);
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    let said: String =
        events.iter().filter_map(|e| e["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(said, text);
    assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "stop");
    assert!(seen.body().0.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn usage_is_consistent_and_comes_in_its_own_chunk_when_asked_for() {
    let sim = start("").await;
    let mut body = json!({ "model": "m", "stream": true, "n": 2, "max_tokens": 5,
        "messages": [{ "role": "user", "content": "12345678" }] });
    body["stream_options"] = json!({ "include_usage": true });
    let streamed = events(&post(sim.addr(), "/v1/chat/completions", &body).await);
    let last = streamed.last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["prompt_tokens"], 2);
    assert_eq!(last["usage"]["completion_tokens"], 10);
    assert_eq!(last["usage"]["total_tokens"], 12);
    let lengths = streamed.iter().filter(|e| e["choices"][0]["finish_reason"] == "length").count();
    assert_eq!(lengths, 2);

    body["stream"] = json!(false);
    let whole = post(sim.addr(), "/v1/chat/completions", &body).await.json();
    assert_eq!(whole["usage"], last["usage"]);
}

#[tokio::test]
async fn a_responses_stream_is_numbered_and_complete() {
    let sim = start("").await;
    let body = json!({ "model": "m", "stream": true, "input": "in 4 words" });
    let seen = post(sim.addr(), "/v1/responses", &body).await;
    let events = events(&seen);
    let numbers: Vec<u64> = events.iter().map(|e| e["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    let names: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    let delta = "response.output_text.delta";
    #[rustfmt::skip]
    assert_eq!(names, ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
        delta, delta, delta, delta,
        "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"]);
    let last = &events.last().unwrap()["response"];
    assert_eq!(last["output"][0]["content"][0]["text"], "Heard 10 bytes: w4");
    assert_eq!(last["usage"]["total_tokens"], 3 + 4);
    for event in seen.body().0.split_terminator("\n\n") {
        let (name, data) = event.split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn a_cut_response_is_incomplete_and_says_why() {
    let sim = start("").await;
    let body = json!({ "model": "m", "input": "in 40 words", "max_output_tokens": 16 });
    let whole = post(sim.addr(), "/v1/responses", &body).await.json();
    assert_eq!(whole["status"], "incomplete");
    assert_eq!(whole["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(whole["usage"]["output_tokens"], 16);
}

#[tokio::test]
async fn tools_are_called_in_both_apis_and_both_forms() {
    let sim = start("").await;
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let tools =
        json!([{ "type": "function", "function": { "name": "weather", "parameters": schema } }]);
    let mut body = json!({ "model": "m", "tools": tools, "messages": [{ "role": "user", "content": "call the tool" }] });
    let whole = post(sim.addr(), "/v1/chat/completions", &body).await.json();
    let call = &whole["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(*call, json!({ "name": "weather", "arguments": r#"{"city":"simulated"}"# }));
    assert_eq!(whole["choices"][0]["finish_reason"], "tool_calls");

    body["stream"] = json!(true);
    let streamed = events(&post(sim.addr(), "/v1/chat/completions", &body).await);
    let parts = streamed.iter().filter_map(|e| {
        e["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str()
    });
    assert_eq!(parts.collect::<String>(), r#"{"city":"simulated"}"#);

    let tools = json!([{ "type": "function", "name": "weather", "parameters": schema }]);
    let body = json!({ "model": "m", "tools": tools, "input": "call the tool", "stream": true });
    let streamed = events(&post(sim.addr(), "/v1/responses", &body).await);
    let item = &streamed.last().unwrap()["response"]["output"][0];
    assert_eq!(
        (&item["name"], &item["arguments"]),
        (&json!("weather"), &json!(r#"{"city":"simulated"}"#))
    );
}

#[tokio::test]
async fn json_is_answered_where_json_is_asked_for() {
    let sim = start("").await;
    let schema = json!({ "type": "object", "properties": { "age": { "type": "integer" } } });
    let format = json!({ "type": "json_schema", "json_schema": { "name": "p", "schema": schema } });
    for (format, want) in [
        (json!({ "type": "json_object" }), json!({ "answer": "simulated" })),
        (format, json!({ "age": 1 })),
    ] {
        let body = json!({ "model": "m", "response_format": format, "messages": [{ "role": "user", "content": "x" }] });
        let whole = post(sim.addr(), "/v1/chat/completions", &body).await.json();
        let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), want);
    }
}

#[tokio::test]
async fn embeddings_come_as_numbers_or_as_base64() {
    let sim = start("").await;
    let mut body = json!({ "model": "m", "input": ["a", "b"], "dimensions": 3 });
    let numbers = post(sim.addr(), "/v1/embeddings", &body).await.json();
    assert_eq!(numbers["data"].as_array().unwrap().len(), 2);
    assert_eq!(numbers["data"][1]["embedding"].as_array().unwrap().len(), 3);
    body["encoding_format"] = json!("base64");
    let coded = post(sim.addr(), "/v1/embeddings", &body).await.json();
    // Three floats are twelve bytes, sixteen letters.
    assert_eq!(coded["data"][0]["embedding"].as_str().unwrap().len(), 16);
}

#[tokio::test]
async fn keys_paths_and_methods_are_checked_in_the_vendors_words() {
    let sim = start("keys = [\"sk-good-0123456789\"]").await;
    let body = chat_body("m", false);
    let ask = async |head: &str, key: Option<&str>| {
        let value = key.map(|key| format!("Bearer {key}"));
        let headers: Vec<(&str, &str)> =
            value.iter().map(|value| ("authorization", value.as_str())).collect();
        let seen = send(sim.addr(), head, &headers, &body).await;
        let error = seen.json()["error"].clone();
        (
            seen.status(),
            error["code"].as_str().map(str::to_owned),
            error["message"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let chat = "POST /v1/chat/completions";
    assert_eq!(ask(chat, Some("sk-good-0123456789")).await.0, 200);
    let (status, code, message) = ask(chat, None).await;
    assert_eq!((status, code), (401, None));
    assert!(message.starts_with("You didn't provide an API key."));
    let (status, code, message) = ask(chat, Some("sk-bad-0123456789")).await;
    assert_eq!((status, code.as_deref()), (401, Some("invalid_api_key")));
    assert!(message.contains("sk-b************6789"), "{message}");
    let (status, _, message) = ask("POST /v1/chats", Some("sk-good-0123456789")).await;
    assert_eq!((status, message.as_str()), (404, "Invalid URL (POST /v1/chats)"));
    let (status, code, _) = ask("GET /v1/embeddings", Some("sk-good-0123456789")).await;
    assert_eq!((status, code.as_deref()), (405, Some("method_not_supported")));
    assert_eq!(ask("DELETE /v1/models/gpt-4o", Some("sk-good-0123456789")).await.0, 405);
    assert_eq!(ask("POST /elsewhere", None).await.0, 404);
}

#[tokio::test]
async fn connections_are_kept_and_a_large_body_is_refused_without_a_reset() {
    let sim = start("body_max = 1000").await;
    let mut stream = connect(sim.addr()).await;
    for close in [false, true] {
        let text = request("POST /v1/chat/completions", &[KEY], &chat_body("m", false), close);
        stream.write_all(text.as_bytes()).await.unwrap();
    }
    let seen = read(&mut stream, Duration::from_secs(5)).await;
    assert_eq!(seen.text().matches("HTTP/1.1 200 OK").count(), 2);

    let seen = send(sim.addr(), "POST /v1/chat/completions", &[KEY], &"x".repeat(3_000_000)).await;
    assert_eq!(seen.status(), 413);
    assert_eq!(
        seen.json()["error"]["message"],
        "Maximum content size limit (1000) exceeded (3000000 bytes read)"
    );
}

#[tokio::test]
async fn users_request_ids_and_retries_are_counted() {
    let sim = start("").await;
    let body = r#"{"model":"m","user":"job-7","messages":[{"role":"user","content":"x"}]}"#;
    let headers = [KEY, ("x-client-request-id", "call-1"), ("x-stainless-retry-count", "2")];
    for _ in 0..3 {
        send(sim.addr(), "POST /v1/chat/completions", &headers, body).await;
    }
    let counted = stats(sim.addr()).await;
    assert_eq!(counted["users"]["job-7"], 3);
    assert_eq!(counted["request_ids"]["call-1"], 3);
    assert_eq!(counted["retry_counts"]["2"], 3);
    assert_eq!((&counted["attempts"], &counted["completed"]), (&json!(3), &json!(3)));
    assert_eq!(counted["attempted_at_ms"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_is_answered_to_its_end_is_billed_by_model() {
    let sim = start("").await;
    let addr = sim.addr();
    let usage = chat(addr, "gpt-4o", false, &[]).await.json()["usage"].clone();
    chat(addr, "gpt-4o", true, &[]).await;
    chat(addr, "gpt-4o", false, &[("x-sim-error", "overloaded")]).await;
    for (path, body) in [
        ("/images/generations", json!({ "model": "gpt-image-1", "prompt": "a fish", "n": 3 })),
        ("/audio/speech", json!({ "model": "tts-1", "input": "héé", "voice": "alloy" })),
        ("/moderations", json!({ "input": "fine" })),
    ] {
        let seen = post(addr, &format!("/v1{path}"), &body).await;
        assert_eq!(seen.status(), 200, "{path}: {}", seen.text());
    }
    let billed = &stats(addr).await["billed"];
    let of = |model: &str, what: &str| billed[model][what].as_u64().unwrap();
    let twice = |name: &str| 2 * usage[name].as_u64().unwrap();
    assert_eq!(of("gpt-4o", "answers"), 2, "an error costs nothing: {billed}");
    assert_eq!(of("gpt-4o", "input_tokens"), twice("prompt_tokens"));
    assert_eq!(of("gpt-4o", "output_tokens"), twice("completion_tokens"));
    assert_eq!((of("gpt-image-1", "images"), of("tts-1", "characters")), (3, 3));
    let answers = billed.as_object().unwrap().values().map(|bill| bill["answers"].as_u64());
    assert_eq!(answers.flatten().sum::<u64>(), 4, "moderations are free: {billed}");
}
