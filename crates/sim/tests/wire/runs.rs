//! Assistants, threads and runs, and chats that are gone on with.

use crate::raw::{End, KEY, Seen, send, start};
use serde_json::{Value, json};
use std::net::SocketAddr;

async fn post(addr: SocketAddr, path: &str, body: &Value) -> Seen {
    send(addr, &format!("POST /v1{path}"), &[KEY], &body.to_string()).await
}

async fn get(addr: SocketAddr, path: &str) -> Value {
    send(addr, &format!("GET /v1{path}"), &[KEY], "").await.json()
}

/// An assistant and a thread with one message of the user's.
async fn set_up(addr: SocketAddr) -> (String, String) {
    let assistant = post(addr, "/assistants", &json!({ "model": "m" })).await.json();
    let message = json!({ "role": "user", "content": "in 6 words" });
    let thread = post(addr, "/threads", &json!({ "messages": [message] })).await.json();
    let id = |value: &Value| value["id"].as_str().expect("it has an id").to_owned();
    (id(&assistant), id(&thread))
}

/// Names and data of the events, in order.
fn events(seen: &Seen) -> Vec<(String, Value)> {
    let (body, _) = seen.body();
    body.split("\n\n")
        .filter_map(|event| {
            let (name, data) = event.strip_prefix("event: ")?.split_once("\ndata: ")?;
            Some((name.to_owned(), serde_json::from_str(data).unwrap_or(Value::Null)))
        })
        .collect()
}

#[tokio::test]
async fn a_run_streams_its_events_in_order_and_is_stored() {
    let sim = start("").await;
    let (assistant, thread) = set_up(sim.addr()).await;
    let ask = json!({ "assistant_id": assistant, "stream": true });
    let seen = post(sim.addr(), &format!("/threads/{thread}/runs"), &ask).await;
    let events = events(&seen);
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..3], ["thread.run.created", "thread.run.queued", "thread.run.in_progress"]);
    assert_eq!(names[names.len() - 2..], ["thread.run.completed", "done"]);
    let said: String = events
        .iter()
        .filter_map(|(_, data)| data.pointer("/delta/content/0/text/value")?.as_str())
        .collect();
    assert_eq!(said, "Heard 10 bytes: w4 w5 w6");
    assert_eq!(events[events.len() - 2].1["usage"]["completion_tokens"], 6);

    let runs = get(sim.addr(), &format!("/threads/{thread}/runs")).await;
    assert_eq!(runs["data"].as_array().unwrap().len(), 1);
    assert_eq!(runs["data"][0]["status"], "completed");
    let messages = get(sim.addr(), &format!("/threads/{thread}/messages")).await;
    assert_eq!(messages["data"][0]["content"][0]["text"]["value"], said, "the newest first");
}

#[tokio::test]
async fn a_thread_and_its_run_are_made_by_one_request() {
    let sim = start("").await;
    let (assistant, _) = set_up(sim.addr()).await;
    let thread = json!({ "messages": [{ "role": "user", "content": "hi" }] });
    let ask = json!({ "assistant_id": assistant, "thread": thread, "stream": true });
    let seen = post(sim.addr(), "/threads/runs", &ask).await;
    assert_eq!(events(&seen)[0].0, "thread.created");
    let whole = json!({ "assistant_id": assistant, "thread": thread });
    let run = post(sim.addr(), "/threads/runs", &whole).await.json();
    assert_eq!((&run["object"], &run["status"]), (&json!("thread.run"), &json!("queued")));
    let wrong = json!({ "assistant_id": "asst_none", "thread": thread });
    assert_eq!(post(sim.addr(), "/threads/runs", &wrong).await.status(), 404);
}

#[tokio::test]
async fn runs_fail_as_the_vendor_s_do() {
    for (fault, last) in [("finish_error", "thread.run.failed"), ("error_mid_stream", "error")] {
        let sim = start(&format!("[[fault]]\nfault = \"{fault}\"\nendpoints = [\"runs\"]\n")).await;
        let (assistant, thread) = set_up(sim.addr()).await;
        let ask = json!({ "assistant_id": assistant, "stream": true });
        let seen = post(sim.addr(), &format!("/threads/{thread}/runs"), &ask).await;
        let events = events(&seen);
        let found = events.iter().find(|(name, _)| name == last);
        let (_, data) = found.unwrap_or_else(|| panic!("{fault}: {events:?}"));
        assert!(data["message"].is_string() || data["last_error"]["message"].is_string());
        let runs = get(sim.addr(), &format!("/threads/{thread}/runs")).await;
        assert_eq!(
            runs["data"][0]["status"], "failed",
            "a run is made even if it comes to no good"
        );
    }
}

#[tokio::test]
async fn a_run_that_was_cut_was_made_all_the_same() {
    let sim = start("[[fault]]\nfault = \"cut_rst\"\nfirst = 1\n").await;
    let (assistant, thread) = set_up(sim.addr()).await;
    let ask = json!({ "assistant_id": assistant, "stream": true });
    let path = format!("/threads/{thread}/runs");
    assert_eq!(post(sim.addr(), &path, &ask).await.end, End::Reset);
    post(sim.addr(), &path, &ask).await;
    let runs = get(sim.addr(), &path).await;
    assert_eq!(runs["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_chat_that_ends_with_the_assistant_s_words_is_treated_as_the_scenario_says() {
    let ask = json!({ "model": "m", "messages": [
        { "role": "user", "content": "in 6 words" },
        { "role": "assistant", "content": "Heard 10 by" },
    ] });
    for (scenario, want) in [
        ("", Some("Heard 10 bytes: w4 w5 w6")),
        ("[answer]\nprefill = \"continue\"\n", Some("tes: w4 w5 w6")),
        ("[answer]\nprefill = \"refuse\"\n", None),
    ] {
        let sim = start(scenario).await;
        let seen = post(sim.addr(), "/chat/completions", &ask).await;
        assert_eq!(seen.status(), if want.is_some() { 200 } else { 400 });
        assert_eq!(seen.json()["choices"][0]["message"]["content"].as_str(), want, "{scenario}");
    }
}
