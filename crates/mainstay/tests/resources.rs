//! Every resource of the client: which request each verb makes, and that the provider's answer comes
//! back as it is. The transport writes down what it is given.
#![expect(
    clippy::unwrap_used,
    reason = "the tests' own ground: what is missing there fails the test"
)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use mainstay::client::Form;
use mainstay::upstream::{
    AnswerHead, Attempt, AttemptEvent, AttemptRequest, RequestBody, Upstream,
};
use mainstay::{Client, Error};
use serde_json::{Value, json};

/// Answers every request with a JSON object of its own, or with sound.
#[derive(Clone, Default)]
struct Recorder {
    seen: Arc<Mutex<Vec<Seen>>>,
}

#[derive(Clone, Debug)]
struct Seen {
    line: String,
    kind: String,
    body: Bytes,
}

struct Told(VecDeque<AttemptEvent>);

const SOUND: &[u8] = b"\x00\xffsound";

impl Upstream for Recorder {
    type Attempt = Told;

    fn start(&self, request: AttemptRequest) -> Told {
        let body = match request.body {
            RequestBody::Full(bytes) => bytes,
            RequestBody::Empty => Bytes::new(),
            RequestBody::Stream { .. } => panic!("the client keeps its bodies"),
        };
        let kind = request
            .headers
            .get("content-type")
            .map_or("", |kind| std::str::from_utf8(kind).unwrap());
        let line = format!("{} {}", request.method, request.path);
        let raw = line.ends_with("/content") || line.ends_with("/speech");
        let (media, answer) = if raw {
            ("application/octet-stream", Bytes::from_static(SOUND))
        } else {
            ("application/json", Bytes::from(json!({ "asked": line }).to_string()))
        };
        self.seen.lock().unwrap().push(Seen { line, kind: kind.to_owned(), body });
        let mut headers = HeaderMap::new();
        headers.insert("content-type", media.parse().unwrap());
        let head = AnswerHead { status: StatusCode::OK, headers: headers.into() };
        let events = [
            AttemptEvent::Sending { reused: false },
            AttemptEvent::Head(head),
            AttemptEvent::Data(answer),
            AttemptEvent::End,
        ];
        Told(events.into())
    }
}

impl Attempt for Told {
    fn poll_event(&mut self, _: &mut Context<'_>) -> Poll<AttemptEvent> {
        Poll::Ready(self.0.pop_front().unwrap())
    }
}

struct World {
    recorder: Recorder,
    client: Client<Recorder>,
}

impl World {
    fn new() -> World {
        let recorder = Recorder::default();
        let client = Client::builder().key("sk-any").build_over(recorder.clone()).unwrap();
        World { recorder, client }
    }

    fn last(&self) -> Seen {
        self.recorder.seen.lock().unwrap().last().unwrap().clone()
    }

    /// The answer is the one of this request, and its body is what was given.
    #[track_caller]
    fn asked(&self, answer: Result<Value, Error>, line: &str, body: Option<&Value>) {
        assert_eq!(answer.unwrap(), json!({ "asked": line }));
        let seen = self.last();
        match body {
            Some(body) => {
                assert_eq!(seen.kind, "application/json", "{line}");
                assert_eq!(serde_json::from_slice::<Value>(&seen.body).unwrap(), *body, "{line}");
            }
            None => assert!(seen.body.is_empty(), "{line}"),
        }
    }

    #[track_caller]
    fn sent_form(&self, line: &str, parts: &[&str]) {
        let seen = self.last();
        assert_eq!(seen.line, line);
        assert!(seen.kind.starts_with("multipart/form-data; boundary="), "{}", seen.kind);
        let text = String::from_utf8_lossy(&seen.body);
        for part in parts {
            assert!(text.contains(part), "{line}: {part} is not in {text}");
        }
    }
}

#[tokio::test]
async fn images_are_made_from_json_and_changed_by_forms() {
    let world = World::new();
    let images = world.client.images();
    let body = json!({"model": "gpt-image-1", "prompt": "a lighthouse", "n": 2});
    world.asked(images.generate(&body).await, "POST /v1/images/generations", Some(&body));
    let form = || {
        Form::new().text("model", "gpt-image-1").text("prompt", "at night").file(
            "image",
            "a.png",
            "image/png",
            &b"\x89PNG"[..],
        )
    };
    images.edit(form()).await.unwrap();
    let parts = ["name=\"prompt\"\r\n\r\nat night", "name=\"image\"; filename=\"a.png\"", "PNG"];
    world.sent_form("POST /v1/images/edits", &parts);
    images.vary(form()).await.unwrap();
    world.sent_form("POST /v1/images/variations", &parts);
    let error = images.generate(&json!({"model": "gpt-image-1"})).await.unwrap_err();
    assert_eq!((error.param(), error.attempts()), (Some("prompt"), 0), "{error}");
}

#[tokio::test]
async fn sound_is_given_as_bytes_and_taken_as_a_form() {
    let world = World::new();
    let audio = world.client.audio();
    let body = json!({"model": "tts-1", "voice": "alloy", "input": "hello"});
    assert_eq!(audio.speech(&body).await.unwrap(), SOUND);
    assert_eq!(world.last().line, "POST /v1/audio/speech");
    let form =
        || Form::new().text("model", "whisper-1").file("file", "a.wav", "audio/wav", &b"RIFF"[..]);
    let answer = audio.transcribe(form()).await.unwrap();
    let wanted = json!({"asked": "POST /v1/audio/transcriptions"});
    assert_eq!(answer.json::<Value>().unwrap(), wanted);
    let parts = ["name=\"model\"\r\n\r\nwhisper-1", "filename=\"a.wav\"", "RIFF"];
    world.sent_form("POST /v1/audio/transcriptions", &parts);
    audio.translate(form()).await.unwrap();
    world.sent_form("POST /v1/audio/translations", &parts);
    let error = audio.speech(&json!({"model": "tts-1", "voice": "x"})).await.unwrap_err();
    assert_eq!((error.param(), error.attempts()), (Some("input"), 0), "{error}");
}

#[tokio::test]
async fn files_are_stored_listed_read_and_taken_away() {
    let world = World::new();
    let files = world.client.files();
    let form =
        Form::new().text("purpose", "batch").file("file", "a.jsonl", "application/jsonl", "{}");
    files.create(form).await.unwrap();
    world.sent_form("POST /v1/files", &["name=\"purpose\"\r\n\r\nbatch", "filename=\"a.jsonl\""]);
    assert_eq!(files.content("file-1").await.unwrap(), SOUND);
    assert_eq!(world.last().line, "GET /v1/files/file-1/content");
    let stored = files.stored();
    world.asked(stored.list("purpose=batch").await, "GET /v1/files?purpose=batch", None);
    world.asked(stored.get("file-1").await, "GET /v1/files/file-1", None);
    world.asked(stored.delete("file-1").await, "DELETE /v1/files/file-1", None);
}

#[tokio::test]
async fn batches_are_begun_looked_at_and_given_up() {
    let world = World::new();
    let batches = world.client.batches();
    let body = json!({
        "input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h",
    });
    world.asked(batches.create(&body).await, "POST /v1/batches", Some(&body));
    world.asked(batches.stored().get("batch_1").await, "GET /v1/batches/batch_1", None);
    world.asked(batches.stored().list("").await, "GET /v1/batches", None);
    world.asked(batches.cancel("batch_1").await, "POST /v1/batches/batch_1/cancel", None);
}

#[tokio::test]
async fn moderations_and_models_answer() {
    let world = World::new();
    let body = json!({"model": "omni-moderation-latest", "input": "some text"});
    world.asked(
        world.client.moderations().create(&body).await,
        "POST /v1/moderations",
        Some(&body),
    );
    world.asked(world.client.models().list().await, "GET /v1/models", None);
    world.asked(world.client.models().get("gpt-4o").await, "GET /v1/models/gpt-4o", None);
    let error = world.client.moderations().create(&json!({})).await.unwrap_err();
    assert_eq!((error.param(), error.attempts()), (Some("input"), 0), "{error}");
}

#[tokio::test]
async fn assistants_threads_messages_and_runs_have_their_paths() {
    let world = World::new();
    let (assistants, threads) = (world.client.assistants(), world.client.threads());
    let body = json!({"model": "gpt-4o", "name": "helper"});
    world.asked(assistants.create(&body).await, "POST /v1/assistants", Some(&body));
    world.asked(assistants.get("asst_1").await, "GET /v1/assistants/asst_1", None);
    let name = json!({"name": "other"});
    world.asked(
        assistants.update("asst_1", &name).await,
        "POST /v1/assistants/asst_1",
        Some(&name),
    );
    world.asked(assistants.list("limit=2").await, "GET /v1/assistants?limit=2", None);
    world.asked(assistants.delete("asst_1").await, "DELETE /v1/assistants/asst_1", None);

    let empty = json!({});
    world.asked(threads.create(&empty).await, "POST /v1/threads", Some(&empty));
    let message = json!({"role": "user", "content": "hello"});
    let path = "POST /v1/threads/thread_1/messages";
    world.asked(threads.within("thread_1", "messages", &message).await, path, Some(&message));
    let run = json!({"assistant_id": "asst_1"});
    let path = "POST /v1/threads/thread_1/runs";
    world.asked(threads.within("thread_1", "runs", &run).await, path, Some(&run));
    let error = threads.within("thread_1", "runs", &json!({})).await.unwrap_err();
    assert_eq!((error.param(), error.attempts()), (Some("assistant_id"), 0), "{error}");
}

#[tokio::test]
async fn stored_responses_are_looked_at_and_taken_away() {
    let world = World::new();
    let body = json!({"model": "gpt-4o", "input": "hello"});
    world.asked(world.client.responses().create(&body).await, "POST /v1/responses", Some(&body));
    let stored = world.client.responses().stored();
    world.asked(stored.get("resp_1").await, "GET /v1/responses/resp_1", None);
    world.asked(stored.act("resp_1", "cancel").await, "POST /v1/responses/resp_1/cancel", None);
    world.asked(stored.delete("resp_1").await, "DELETE /v1/responses/resp_1", None);
}
