//! What is stored: files, runs that take time, batches, vector stores, kept answers, jobs.

use crate::raw::{KEY, Seen, chat_body, send, start};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// States that follow at once, so that each look finds the end.
const AT_ONCE: &str = "[objects]\nstep = \"0s\"\n";

async fn ask(addr: SocketAddr, head: &str, body: &Value) -> Seen {
    let (method, path) = head.split_once(' ').expect("a method and a path");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    send(addr, &format!("{method} /v1{path}"), &[KEY], &body).await
}

async fn told(addr: SocketAddr, head: &str, body: &Value) -> Value {
    let seen = ask(addr, head, body).await;
    assert_eq!(seen.status(), 200, "{head}: {}", seen.text());
    seen.json()
}

async fn get(addr: SocketAddr, path: &str) -> Value {
    told(addr, &format!("GET {path}"), &Value::Null).await
}

fn id(value: &Value) -> String {
    value["id"].as_str().unwrap_or_else(|| panic!("no id in {value}")).to_owned()
}

/// Sends a form: fields, and one file.
async fn form(addr: SocketAddr, path: &str, fields: &[(&str, &str)], file: (&str, &str)) -> Seen {
    let part = |(name, value): &(&str, &str)| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let (name, content) = file;
    let last = format!(
        "--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f.txt\"\r\n\r\n{content}\r\n--b--\r\n"
    );
    let body: String = fields.iter().map(part).chain([last]).collect();
    let kind = ("content-type", "multipart/form-data; boundary=b");
    send(addr, &format!("POST /v1{path}"), &[KEY, kind], &body).await
}

async fn upload(addr: SocketAddr, purpose: &str, content: &str) -> String {
    let seen = form(addr, "/files", &[("purpose", purpose)], ("file", content)).await;
    assert_eq!(seen.status(), 200, "{}", seen.text());
    id(&seen.json())
}

/// Looks until the state is one of these.
async fn until(addr: SocketAddr, path: &str, states: &[&str]) -> Value {
    for _ in 0..500 {
        let value = get(addr, path).await;
        if states.iter().any(|state| value["status"] == *state) {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("{path} never came to {states:?}");
}

#[tokio::test]
async fn a_file_is_given_back_whole_by_ranges_and_until_it_is_deleted() {
    let sim = start("").await;
    let file = upload(sim.addr(), "user_data", "0123456789").await;
    let info = get(sim.addr(), &format!("/files/{file}")).await;
    assert_eq!((&info["bytes"], &info["purpose"]), (&json!(10), &json!("user_data")));
    let path = format!("/files/{file}/content");
    let whole = ask(sim.addr(), &format!("GET {path}"), &Value::Null).await;
    assert_eq!(whole.body().0, "0123456789");
    let head = format!("GET /v1{path}");
    let part = send(sim.addr(), &head, &[KEY, ("range", "bytes=2-4")], "").await;
    assert_eq!((part.status(), part.body().0.as_str()), (206, "234"));
    assert_eq!(part.header("content-range").as_deref(), Some("bytes 2-4/10"));
    let listed = get(sim.addr(), "/files?purpose=batch").await;
    assert_eq!(listed["data"], json!([]));
    told(sim.addr(), &format!("DELETE /files/{file}"), &Value::Null).await;
    assert_eq!(ask(sim.addr(), &format!("GET {path}"), &Value::Null).await.status(), 404);
    let wrong = form(sim.addr(), "/files", &[("purpose", "fun")], ("file", "x")).await;
    assert_eq!((wrong.status(), &wrong.json()["error"]["param"]), (400, &json!("purpose")));
}

#[tokio::test]
async fn an_upload_of_parts_becomes_a_file_when_its_size_is_right() {
    let sim = start("").await;
    let asked =
        json!({ "filename": "a", "purpose": "assistants", "bytes": 6, "mime_type": "text/plain" });
    let upload = id(&told(sim.addr(), "POST /uploads", &asked).await);
    let mut parts = Vec::new();
    for part in ["abc", "def"] {
        let seen = form(sim.addr(), &format!("/uploads/{upload}/parts"), &[], ("data", part)).await;
        parts.push(id(&seen.json()));
    }
    let path = format!("POST /uploads/{upload}/complete");
    let short = json!({ "part_ids": [parts[0]] });
    assert_eq!(ask(sim.addr(), &path, &short).await.status(), 400);
    let done = told(sim.addr(), &path, &json!({ "part_ids": parts })).await;
    assert_eq!((&done["status"], &done["file"]["bytes"]), (&json!("completed"), &json!(6)));
    let content = format!("GET /files/{}/content", id(&done["file"]));
    assert_eq!(ask(sim.addr(), &content, &Value::Null).await.body().0, "abcdef");
    let again = ask(sim.addr(), &format!("POST /uploads/{upload}/cancel"), &Value::Null).await;
    assert_eq!(again.status(), 400, "what is completed is not cancelled");
}

/// An assistant with one tool, and a thread whose message is `text`.
async fn conversation(addr: SocketAddr, model: &str, text: &str) -> (String, String) {
    let parameters = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let tool =
        json!({ "type": "function", "function": { "name": "weather", "parameters": parameters } });
    let assistant = json!({ "model": model, "tools": [tool], "instructions": "Be brief." });
    let assistant = id(&told(addr, "POST /assistants", &assistant).await);
    let message = json!({ "role": "user", "content": text });
    let thread = id(&told(addr, "POST /threads", &json!({ "messages": [message] })).await);
    (assistant, thread)
}

#[tokio::test]
async fn a_run_waits_for_its_tools_and_goes_on_with_what_they_say() {
    let sim = start("[objects]\nstep = \"5ms\"\n").await;
    let addr = sim.addr();
    let (assistant, thread) = conversation(addr, "m", "call the tool").await;
    let runs = format!("/threads/{thread}/runs");
    let run = told(addr, &format!("POST {runs}"), &json!({ "assistant_id": assistant })).await;
    assert_eq!((&run["status"], &run["instructions"]), (&json!("queued"), &json!("Be brief.")));
    let busy = ask(addr, &format!("POST {runs}"), &json!({ "assistant_id": assistant })).await;
    assert!(
        busy.json()["error"]["message"].as_str().unwrap().contains("already has an active run")
    );
    let path = format!("{runs}/{}", id(&run));
    let waiting = until(addr, &path, &["requires_action"]).await;
    let call = &waiting["required_action"]["submit_tool_outputs"]["tool_calls"][0];
    assert_eq!(call["function"]["arguments"], "{\"city\":\"simulated\"}");
    let submit = format!("POST {path}/submit_tool_outputs");
    assert_eq!(ask(addr, &submit, &json!({ "tool_outputs": [] })).await.status(), 400);
    let outputs = json!({ "tool_outputs": [{ "tool_call_id": call["id"], "output": "sunny" }] });
    told(addr, &submit, &outputs).await;
    let done = until(addr, &path, &["completed"]).await;
    assert!(done["usage"]["total_tokens"].as_u64() > Some(0));
    let steps = get(addr, &format!("{path}/steps?order=asc")).await;
    assert_eq!(steps["data"][0]["step_details"]["tool_calls"][0]["function"]["output"], "sunny");
    assert_eq!(steps["data"][1]["type"], "message_creation");
    let messages = get(addr, &format!("/threads/{thread}/messages")).await;
    let said = messages["data"][0]["content"][0]["text"]["value"].as_str().unwrap();
    assert!(said.starts_with("Heard 5 bytes:"), "{said}");
    assert_eq!(ask(addr, &format!("POST {path}/cancel"), &Value::Null).await.status(), 400);
}

#[tokio::test]
async fn a_run_comes_to_the_end_that_its_model_names_polled_and_streamed() {
    let sim = start(AT_ONCE).await;
    for (model, state, code) in [
        ("sim-run-server_error", "failed", Some("server_error")),
        ("sim-run-rate-limit-exceeded", "failed", Some("rate_limit_exceeded")),
        ("sim-run-invalid_prompt", "failed", Some("invalid_prompt")),
        ("sim-run-expired", "expired", None),
        ("sim-run-cancelled", "cancelled", None),
        ("sim-run-incomplete", "incomplete", None),
    ] {
        let (assistant, thread) = conversation(sim.addr(), model, "hello").await;
        let path = format!("/threads/{thread}/runs");
        let asked = json!({ "assistant_id": assistant, "stream": true });
        let streamed = ask(sim.addr(), &format!("POST {path}"), &asked).await;
        let name = format!("event: thread.run.{state}\n");
        assert!(streamed.body().0.contains(&name), "{model}: {}", streamed.body().0);
        let run =
            told(sim.addr(), &format!("POST {path}"), &json!({ "assistant_id": assistant })).await;
        let run = get(sim.addr(), &format!("{path}/{}", id(&run))).await;
        assert_eq!(
            (run["status"].as_str(), run["last_error"]["code"].as_str()),
            (Some(state), code)
        );
    }
}

#[tokio::test]
async fn a_cancelled_run_stays_cancelled() {
    let sim = start("[objects]\nstep = \"20ms\"\n").await;
    let (assistant, thread) = conversation(sim.addr(), "m", "hello").await;
    let runs = format!("/threads/{thread}/runs");
    let run =
        told(sim.addr(), &format!("POST {runs}"), &json!({ "assistant_id": assistant })).await;
    let path = format!("{runs}/{}", id(&run));
    let seen = told(sim.addr(), &format!("POST {path}/cancel"), &Value::Null).await;
    assert_eq!(seen["status"], "cancelling");
    until(sim.addr(), &path, &["cancelled"]).await;
    let messages = get(sim.addr(), &format!("/threads/{thread}/messages")).await;
    assert_eq!(messages["data"].as_array().unwrap().len(), 1, "it said nothing any more");
}

#[tokio::test]
async fn a_batch_runs_each_of_its_lines() {
    let sim = start("[objects]\nstep = \"5ms\"\n").await;
    let addr = sim.addr();
    let line = |id: &str, model: &str| {
        let body: Value = serde_json::from_str(&chat_body(model, false)).unwrap();
        json!({ "custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body })
            .to_string()
    };
    let lines = [line("a", "m"), line("b", "sim-overloaded"), line("c", "m")].join("\n");
    let input = upload(addr, "batch", &lines).await;
    let asked = json!({ "input_file_id": input, "endpoint": "/v1/chat/completions", "completion_window": "24h" });
    let batch = told(addr, "POST /batches", &asked).await;
    assert_eq!(batch["status"], "validating");
    let path = format!("/batches/{}", id(&batch));
    let batch = until(addr, &path, &["completed"]).await;
    assert_eq!(batch["request_counts"], json!({ "total": 3, "completed": 2, "failed": 1 }));
    let file = |name: &str| format!("GET /files/{}/content", batch[name].as_str().unwrap());
    let output = ask(addr, &file("output_file_id"), &Value::Null).await.body().0;
    let first: Value = serde_json::from_str(output.lines().next().unwrap()).unwrap();
    assert_eq!(first["custom_id"], "a");
    let said = &first["response"]["body"]["choices"][0]["message"]["content"];
    assert_eq!(said, "Heard 16 bytes: w4 w5 w6 w7 w8");
    let errors = ask(addr, &file("error_file_id"), &Value::Null).await.body().0;
    let error: Value = serde_json::from_str(errors.trim()).unwrap();
    assert_eq!(
        (&error["custom_id"], &error["response"]["status_code"]),
        (&json!("b"), &json!(503))
    );
    let bad = upload(addr, "batch", "no json").await;
    let asked = json!({ "input_file_id": bad, "endpoint": "/v1/chat/completions", "completion_window": "24h" });
    let batch = told(addr, "POST /batches", &asked).await;
    let batch = until(addr, &format!("/batches/{}", id(&batch)), &["failed"]).await;
    assert_eq!(batch["errors"]["data"][0]["code"], "invalid_json_line");
}

#[tokio::test]
async fn a_vector_store_finds_words_in_its_files() {
    let sim = start(AT_ONCE).await;
    let addr = sim.addr();
    let (fish, birds) = (
        upload(addr, "assistants", "about fish").await,
        upload(addr, "assistants", "about birds").await,
    );
    let store = told(addr, "POST /vector_stores", &json!({ "name": "animals" })).await;
    let path = format!("/vector_stores/{}", id(&store));
    let batch = json!({ "file_ids": [fish, birds] });
    let batch = told(addr, &format!("POST {path}/file_batches"), &batch).await;
    let batch = get(addr, &format!("{path}/file_batches/{}", id(&batch))).await;
    assert_eq!(
        (&batch["status"], &batch["file_counts"]["completed"]),
        (&json!("completed"), &json!(2))
    );
    let failing = json!({ "file_id": upload(addr, "assistants", "x").await, "attributes": { "sim": "unsupported_file" } });
    let file = told(addr, &format!("POST {path}/files"), &failing).await;
    let file = get(addr, &format!("{path}/files/{}", id(&file))).await;
    assert_eq!(file["last_error"]["code"], "unsupported_file");
    let found = told(addr, &format!("POST {path}/search"), &json!({ "query": "birds" })).await;
    assert_eq!(found["data"][0]["file_id"], json!(birds));
    assert_eq!(found["data"].as_array().unwrap().len(), 1);
    let store = get(addr, &path).await;
    assert_eq!(store["file_counts"]["total"], 3);
}

#[tokio::test]
async fn a_response_is_kept_listed_replayed_and_made_in_the_background() {
    let sim = start("[objects]\nstep = \"10ms\"\n").await;
    let addr = sim.addr();
    let asked = json!({ "model": "m", "input": "in 4 words" });
    let whole = told(addr, "POST /responses", &asked).await;
    let path = format!("/responses/{}", id(&whole));
    assert_eq!(get(addr, &path).await, whole);
    let items = get(addr, &format!("{path}/input_items")).await;
    assert_eq!(items["data"][0]["content"][0]["text"], "in 4 words");
    let replay = ask(addr, &format!("GET {path}?stream=true&starting_after=3"), &Value::Null).await;
    assert!(
        replay.body().0.starts_with("event: response.output_text.delta\n"),
        "{}",
        replay.body().0
    );
    let unkept = json!({ "model": "m", "input": "x", "store": false });
    let unkept = told(addr, "POST /responses", &unkept).await;
    assert_eq!(
        ask(addr, &format!("GET /responses/{}", id(&unkept)), &Value::Null).await.status(),
        404
    );
    let unknown = json!({ "model": "m", "input": "x", "previous_response_id": "resp_none" });
    let refused = ask(addr, "POST /responses", &unknown).await;
    assert_eq!(
        (refused.status(), &refused.json()["error"]["code"]),
        (400, &json!("previous_response_not_found"))
    );

    let asked = json!({ "model": "m", "input": "x", "background": true });
    let queued = told(addr, "POST /responses", &asked).await;
    assert_eq!(queued["status"], "queued");
    until(addr, &format!("/responses/{}", id(&queued)), &["completed"]).await;
    // One that is done before somebody comes to cancel it stays done: on a busy machine some are.
    let mut ends = Vec::new();
    while ends.last().is_none_or(|end| end != "cancelled") {
        assert!(ends.len() < 30 && ends.iter().all(|end| end == "completed"), "{ends:?}");
        let next = told(addr, "POST /responses", &asked).await;
        let cancel = format!("POST /responses/{}/cancel", id(&next));
        ends.push(told(addr, &cancel, &Value::Null).await["status"].clone());
    }
    let failing = json!({ "model": "sim-run-server_error", "input": "x" });
    let failed = told(addr, "POST /responses", &failing).await;
    assert_eq!(
        (&failed["status"], &failed["error"]["code"]),
        (&json!("failed"), &json!("server_error"))
    );
}

#[tokio::test]
async fn a_conversation_keeps_what_was_said_in_it() {
    let sim = start("").await;
    let addr = sim.addr();
    let conversation =
        id(&told(addr, "POST /conversations", &json!({ "metadata": { "a": "b" } })).await);
    let asked = json!({ "model": "m", "input": "hello", "conversation": conversation });
    told(addr, "POST /responses", &asked).await;
    let items = get(addr, &format!("/conversations/{conversation}/items?order=asc")).await;
    let roles: Vec<&str> = items["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["user", "assistant"]);
}

#[tokio::test]
async fn pictures_and_sound_come_whole_and_as_streams() {
    let sim = start("").await;
    let addr = sim.addr();
    let pictures = json!({ "model": "gpt-image-1", "prompt": "a fish", "n": 2 });
    let seen = told(addr, "POST /images/generations", &pictures).await;
    assert_eq!(seen["data"].as_array().unwrap().len(), 2);
    let streamed =
        json!({ "model": "gpt-image-1", "prompt": "a fish", "stream": true, "partial_images": 2 });
    let seen = ask(addr, "POST /images/generations", &streamed).await.body().0;
    assert_eq!(seen.matches("event: image_generation.partial_image\n").count(), 2);
    assert_eq!(seen.matches("event: image_generation.completed\n").count(), 1);
    let speech =
        json!({ "model": "tts-1", "input": "one two", "voice": "alloy", "stream_format": "sse" });
    let seen = ask(addr, "POST /audio/speech", &speech).await.body().0;
    assert!(seen.contains("speech.audio.delta") && seen.contains("speech.audio.done"));
    let heard =
        form(addr, "/audio/transcriptions", &[("model", "whisper-1")], ("file", "12345")).await;
    assert!(heard.json()["text"].as_str().unwrap().starts_with("Heard 5 bytes:"));
    let fields = [("model", "whisper-1"), ("response_format", "srt")];
    let heard = form(addr, "/audio/transcriptions", &fields, ("file", "12345")).await;
    assert!(
        heard.body().0.starts_with("1\n00:00:00,000 --> 00:00:16,000\nHeard"),
        "{}",
        heard.text()
    );
    let judged = told(addr, "POST /moderations", &json!({ "input": ["fine", "violence"] })).await;
    let flags: Vec<bool> =
        judged["results"].as_array().unwrap().iter().map(|one| one["flagged"] == true).collect();
    assert_eq!(flags, [false, true]);
}

#[tokio::test]
async fn a_job_leaves_events_checkpoints_and_a_model() {
    let sim = start(AT_ONCE).await;
    let addr = sim.addr();
    let file = upload(addr, "fine-tune", "{}").await;
    let job =
        told(addr, "POST /fine_tuning/jobs", &json!({ "model": "m", "training_file": file })).await;
    assert_eq!(job["status"], "validating_files");
    let path = format!("/fine_tuning/jobs/{}", id(&job));
    let job = get(addr, &path).await;
    assert_eq!(job["status"], "succeeded");
    assert!(job["fine_tuned_model"].as_str().unwrap().starts_with("ft:m:"));
    assert_eq!(get(addr, &format!("{path}/events")).await["data"].as_array().unwrap().len(), 4);
    assert_eq!(
        get(addr, &format!("{path}/checkpoints")).await["data"].as_array().unwrap().len(),
        2
    );
    let wrong = json!({ "model": "m", "training_file": "file-none" });
    assert_eq!(ask(addr, "POST /fine_tuning/jobs", &wrong).await.status(), 404);
}

#[tokio::test]
async fn every_family_fails_on_demand_and_by_the_scenario() {
    let scenario = "[[fault]]\nkind = \"overloaded\"\nendpoints = [\"files\"]\nfirst = 1\n";
    let sim = start(scenario).await;
    let paths = [
        "GET /v1/assistants",
        "POST /v1/threads",
        "GET /v1/files",
        "POST /v1/uploads",
        "GET /v1/batches",
        "GET /v1/vector_stores",
        "POST /v1/conversations",
        "GET /v1/chat/completions",
        "GET /v1/responses/resp_1",
        "GET /v1/fine_tuning/jobs",
        "GET /v1/audio/voice_consents",
        "POST /v1/images/generations",
        "POST /v1/audio/speech",
        "POST /v1/moderations",
    ];
    for head in paths {
        for (kind, status) in
            [("rate_limit_requests", 429), ("internal_error", 500), ("incorrect_api_key", 401)]
        {
            let seen = send(sim.addr(), head, &[("x-sim-error", kind)], "{}").await;
            assert_eq!(seen.status(), status, "{head} {kind}");
        }
        let cut =
            send(sim.addr(), head, &[KEY, ("x-sim-fault", "reset_before_headers")], "{}").await;
        assert!(cut.bytes.is_empty(), "{head}: {}", cut.text());
    }
    let first = ask(sim.addr(), "GET /files", &Value::Null).await;
    assert_eq!(first.status(), 503, "the scenario's fault hits the family that it names");
    assert_eq!(ask(sim.addr(), "GET /files", &Value::Null).await.status(), 200);
    // What was cut on its way back was done all the same.
    let created = send(
        sim.addr(),
        "POST /v1/assistants",
        &[KEY, ("x-sim-fault", "cut_rst")],
        r#"{"model":"m"}"#,
    )
    .await;
    assert!(!created.text().ends_with('}'));
    assert_eq!(get(sim.addr(), "/assistants").await["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn ids_that_were_never_made_are_refused_or_made_up_as_the_scenario_says() {
    let sim = start("").await;
    assert_eq!(ask(sim.addr(), "GET /assistants/asst_x", &Value::Null).await.status(), 404);
    let sim = start("[objects]\nunknown = \"make_up\"\n").await;
    assert_eq!(get(sim.addr(), "/assistants/asst_x").await["id"], "asst_x");
    assert_eq!(get(sim.addr(), "/threads/t/runs/r").await["status"], "completed");
}
