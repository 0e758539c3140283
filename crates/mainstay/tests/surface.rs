//! Every resource of the client, against the simulator: whole pieces of work, as a program does them.
//! (Which request each verb makes is in `resources.rs`.)
#![expect(
    clippy::unwrap_used,
    reason = "the tests' own ground: what is missing there fails the test"
)]

use std::time::Duration;

use http::Method;
use mainstay::Client;
use mainstay::client::{Body, Form};
use mainstay_sim::Sim;
use serde_json::{Value, json};

mod simulated;

use simulated::sim;

struct World {
    client: Client,
    _sim: Sim,
}

async fn world() -> World {
    let sim = sim("[objects]\nstep = \"1ms\"\n").await;
    let client = Client::builder().base_url(&sim.base_url()).key("sk-any").build().unwrap();
    World { client, _sim: sim }
}

fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap_or_else(|| panic!("no id: {object}"))
}

/// Looks until the object has this status.
async fn until(status: &str, mut look: impl AsyncFnMut() -> Value) -> Value {
    for _ in 0..500 {
        let seen = look().await;
        if seen["status"] == status {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never became {status}");
}

#[tokio::test]
async fn text_is_made_whole_and_in_pieces_by_all_three_endpoints() {
    let World { client, _sim } = world().await;
    let hello = json!([{"role": "user", "content": "hello"}]);
    let chat = json!({"model": "gpt-4o", "messages": hello});
    let response = json!({"model": "gpt-4o", "input": "hello"});
    let legacy = json!({"model": "gpt-3.5-turbo-instruct", "prompt": "hello"});

    let whole = client.chat().create(&chat).await.unwrap();
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    assert!(text.starts_with("Heard 5 bytes"), "{text}");
    assert_eq!(client.chat().stream(&chat).await.unwrap().text().await.unwrap(), text);

    let whole = client.responses().create(&response).await.unwrap();
    assert_eq!(whole["output"][0]["content"][0]["text"], *text);
    assert_eq!(client.responses().stream(&response).await.unwrap().text().await.unwrap(), text);

    let whole = client.completions().create(&legacy).await.unwrap();
    let legacy_text = whole["choices"][0]["text"].as_str().unwrap().to_owned();
    assert!(legacy_text.contains("Heard 5 bytes"), "{legacy_text}");
    let streamed = client.completions().stream(&legacy).await.unwrap().text().await.unwrap();
    assert_eq!(streamed, legacy_text);
}

#[tokio::test]
async fn numbers_verdicts_and_models_are_told() {
    let World { client, _sim } = world().await;
    let request = json!({"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 8});
    let embedded = client.embeddings().create(&request).await.unwrap();
    let vectors = embedded["data"].as_array().unwrap();
    assert_eq!(vectors.len(), 2);
    assert_eq!(vectors[1]["embedding"].as_array().unwrap().len(), 8);

    let flagged = async |text: &str| {
        let request = json!({"model": "omni-moderation-latest", "input": text});
        client.moderations().create(&request).await.unwrap()["results"][0]["flagged"].clone()
    };
    assert_eq!((flagged("a walk").await, flagged("violence").await), (json!(false), json!(true)));

    let models = client.models().list().await.unwrap();
    assert!(models["data"].as_array().unwrap().len() > 30, "{models}");
    assert_eq!(client.models().get("gpt-4o").await.unwrap()["id"], "gpt-4o");
}

#[tokio::test]
async fn pictures_are_made_edited_and_varied() {
    let World { client, _sim } = world().await;
    let picture = |answer: Value| {
        let one = answer["data"][0].clone();
        one["b64_json"]
            .as_str()
            .or_else(|| one["url"].as_str())
            .is_some_and(|text| !text.is_empty())
    };
    let request = json!({"model": "gpt-image-1", "prompt": "a lighthouse"});
    assert!(picture(client.images().generate(&request).await.unwrap()));
    let form = |model: &str| {
        Form::new().text("model", model).text("prompt", "at night").file(
            "image",
            "a.png",
            "image/png",
            &b"\x89PNG\r\n\x1a\n"[..],
        )
    };
    assert!(picture(client.images().edit(form("gpt-image-1")).await.unwrap()));
    assert!(picture(client.images().vary(form("dall-e-2")).await.unwrap()));
}

#[tokio::test]
async fn what_is_spoken_can_be_written_down_and_translated() {
    let World { client, _sim } = world().await;
    let request = json!({"model": "tts-1", "voice": "alloy", "input": "hello"});
    let sound = client.audio().speech(&request).await.unwrap();
    assert!(sound.starts_with(b"RIFF") && sound.len() > 44, "{} bytes", sound.len());
    let form = || {
        let form = Form::new().text("model", "whisper-1");
        form.file("file", "a.wav", "audio/wav", sound.clone())
    };
    let size = sound.len().to_string();
    for answer in [client.audio().transcribe(form()).await, client.audio().translate(form()).await]
    {
        let told: Value = answer.unwrap().json().unwrap();
        assert!(told["text"].as_str().unwrap().contains(&size), "{told} of {size} bytes");
    }
}

#[tokio::test]
async fn a_file_goes_through_a_batch_of_the_vendors_own_and_comes_back() {
    let World { client, _sim } = world().await;
    let line = json!({
        "custom_id": "one", "method": "POST", "url": "/v1/chat/completions",
        "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]},
    });
    let text = format!("{line}\n");
    let form = Form::new().text("purpose", "batch");
    let form = form.file("file", "in.jsonl", "application/jsonl", text.clone());
    let (files, batches) = (client.files(), client.batches());
    let file = files.create(form).await.unwrap();
    assert_eq!(files.content(id(&file)).await.unwrap(), text);
    assert_eq!(files.stored().get(id(&file)).await.unwrap()["filename"], "in.jsonl");

    let request = json!({
        "input_file_id": id(&file), "endpoint": "/v1/chat/completions", "completion_window": "24h",
    });
    let begun = batches.create(&request).await.unwrap();
    let done = until("completed", async || batches.stored().get(id(&begun)).await.unwrap()).await;
    let output = files.content(done["output_file_id"].as_str().unwrap()).await.unwrap();
    let output: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(
        (&output["custom_id"], &output["response"]["status_code"]),
        (&json!("one"), &json!(200))
    );
    assert_eq!(batches.cancel(id(&done)).await.unwrap_err().status(), Some(409), "it is done");

    let listed = batches.stored().list("limit=1").await.unwrap();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    assert_eq!(files.stored().delete(id(&file)).await.unwrap()["deleted"], true);
    let gone = files.stored().get(id(&file)).await.unwrap_err();
    assert_eq!(gone.status(), Some(404));
}

#[tokio::test]
async fn an_assistant_answers_in_a_thread() {
    let World { client, _sim } = world().await;
    let (assistants, threads) = (client.assistants(), client.threads());
    let made = assistants.create(&json!({"model": "gpt-4o", "name": "helper"})).await.unwrap();
    let renamed = assistants.update(id(&made), &json!({"name": "other"})).await.unwrap();
    assert_eq!((&renamed["name"], id(&renamed)), (&json!("other"), id(&made)));
    assert_eq!(assistants.get(id(&made)).await.unwrap()["name"], "other");
    assert_eq!(assistants.list("limit=5").await.unwrap()["data"].as_array().unwrap().len(), 1);

    let thread = threads.create(&json!({})).await.unwrap();
    let message = json!({"role": "user", "content": "hello"});
    threads.within(id(&thread), "messages", &message).await.unwrap();
    let run = json!({"assistant_id": id(&made)});
    let run = threads.within(id(&thread), "runs", &run).await.unwrap();
    let path = format!("/threads/{}/runs/{}", id(&thread), id(&run));
    let look = async || {
        client.raw(Method::GET, &path, Body::Empty).await.unwrap().json::<Value>().unwrap()
    };
    until("completed", look).await;
    let path = format!("/threads/{}/messages", id(&thread));
    let messages = client.raw(Method::GET, &path, Body::Empty).await.unwrap();
    let messages: Value = messages.json().unwrap();
    let first = &messages["data"][0];
    assert_eq!(first["role"], "assistant", "{messages}");
    assert!(first["content"][0]["text"]["value"].as_str().unwrap().contains("Heard 5 bytes"));
    assert_eq!(threads.delete(id(&thread)).await.unwrap()["deleted"], true);
    assert_eq!(assistants.delete(id(&made)).await.unwrap()["deleted"], true);
}

#[tokio::test]
async fn responses_are_kept_looked_at_and_taken_away() {
    let World { client, _sim } = world().await;
    let made = client.responses().create(&json!({"model": "gpt-4o", "input": "hi"})).await.unwrap();
    let stored = client.responses().stored();
    assert_eq!(id(&stored.get(id(&made)).await.unwrap()), id(&made));
    assert_eq!(stored.delete(id(&made)).await.unwrap()["deleted"], true);
    assert_eq!(stored.get(id(&made)).await.unwrap_err().status(), Some(404));
}

#[tokio::test]
async fn what_has_no_method_of_its_own_is_a_raw_call() {
    let World { client, _sim } = world().await;
    let body = json!({"name": "shelf"}).to_string().into();
    let made = client.raw(Method::POST, "/vector_stores", Body::Json(body)).await.unwrap();
    assert_eq!((made.status.as_u16(), made.trace.attempts), (200, 1));
    let made: Value = made.json().unwrap();
    let path = format!("/vector_stores/{}", id(&made));
    let seen: Value = client.raw(Method::GET, &path, Body::Empty).await.unwrap().json().unwrap();
    assert_eq!(seen["name"], "shelf");
}
