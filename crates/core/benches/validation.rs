//! What a look at a request costs. Bounds: a 21 KB chat of 50 messages and 20 tools 60 µs, a chat of
//! 1 KB 3 µs, and no allocation for a sound body (the `alloc` rows stay empty).

use divan::{AllocProfiler, Bencher, black_box};
use mainstay_core::validate::{Level, validate};
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_core::wire::request::peek;
use serde_json::Value;

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const PROSE: &str =
    "The boat left at dawn, and nobody asked where it was going; \"north\", said the pilot.\n";

/// Keys in the order in which people and SDKs write them.
fn chat(messages: usize, tools: usize, text: usize) -> Vec<u8> {
    let said = Value::from(PROSE.repeat(text));
    let messages: Vec<String> = (0..messages)
        .map(|i| match i % 4 {
            _ if i % 4 == 0 || i + 1 == messages => format!(r#"{{"role":"user","content":{said}}}"#),
            1 => format!(
                r#"{{"role":"assistant","content":null,"tool_calls":[{{"id":"call_{i}","type":"function","function":{{"name":"look_up","arguments":"{{\"word\":\"boat\"}}"}}}}]}}"#
            ),
            2 => format!(r#"{{"role":"tool","tool_call_id":"call_{}","content":"a vessel"}}"#, i - 1),
            _ => format!(r#"{{"role":"assistant","content":[{{"type":"text","text":{said}}}]}}"#),
        })
        .collect();
    let tools: Vec<String> = (0..tools)
        .map(|i| {
            format!(
                r#"{{"type":"function","function":{{"name":"tool_{i}","description":"Looks up one word.","parameters":{{"type":"object","properties":{{"word":{{"type":"string"}},"n":{{"type":"integer"}}}},"required":["word"],"additionalProperties":false}}}}}}"#
            )
        })
        .collect();
    let tools =
        if tools.is_empty() { String::new() } else { format!(r#","tools":[{}]"#, tools.join(",")) };
    let messages = messages.join(",");
    format!(r#"{{"model":"gpt-4o","messages":[{messages}],"temperature":0.5,"stream":true,"max_tokens":500{tools}}}"#)
        .into_bytes()
}

fn large() -> Vec<u8> {
    chat(50, 20, 6)
}

fn small() -> Vec<u8> {
    chat(1, 0, 10)
}

#[divan::bench(args = [Level::Lenient, Level::Strict])]
fn validate_large(bencher: Bencher<'_, '_>, level: Level) {
    let body = large();
    assert!(body.len() > 18_000 && validate(Endpoint::Chat, level, &body).is_sound());
    bencher.bench_local(|| validate(Endpoint::Chat, level, black_box(&body)));
}

#[divan::bench(args = [Level::Lenient, Level::Strict])]
fn validate_small(bencher: Bencher<'_, '_>, level: Level) {
    let body = small();
    assert!(validate(Endpoint::Chat, level, &body).is_sound());
    bencher.bench_local(|| validate(Endpoint::Chat, level, black_box(&body)));
}

#[divan::bench]
fn peek_large(bencher: Bencher<'_, '_>) {
    let body = large();
    bencher.bench_local(|| peek(black_box(&body), Endpoint::Chat).is_ok());
}

#[divan::bench]
fn peek_small(bencher: Bencher<'_, '_>) {
    let body = small();
    bencher.bench_local(|| peek(black_box(&body), Endpoint::Chat).is_ok());
}
