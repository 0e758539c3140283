//! Every kind of failure on every endpoint: before an answer, by header and by model, and inside a stream.

use crate::raw::{End, KEY, Seen, connect, read, request, send, start};
use mainstay_sim::{Acts, Fault, KindSpec, kinds};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// How long silence is listened to.
const PATIENCE: Duration = Duration::from_millis(60);
const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=b");

/// What an endpoint that runs a model is sent.
struct Call {
    path: &'static str,
    /// The name of its file, for forms.
    file: Option<&'static str>,
    /// Its fields beside `model`.
    fields: &'static str,
    /// The field that makes a stream of it.
    stream: Option<(&'static str, &'static str)>,
}

const STREAM: Option<(&str, &str)> = Some(("stream", "true"));

#[rustfmt::skip]
const CALLS: &[Call] = &[
    Call { path: "/chat/completions", file: None, fields: r#"{"messages":[{"role":"user","content":"hello in 8 words"}]}"#, stream: STREAM },
    Call { path: "/responses", file: None, fields: r#"{"input":"hello in 8 words"}"#, stream: STREAM },
    Call { path: "/completions", file: None, fields: r#"{"prompt":"hello in 8 words"}"#, stream: STREAM },
    Call { path: "/embeddings", file: None, fields: r#"{"input":"hello"}"#, stream: None },
    Call { path: "/moderations", file: None, fields: r#"{"input":"hello"}"#, stream: None },
    Call { path: "/images/generations", file: None, fields: r#"{"prompt":"a fish","partial_images":3}"#, stream: STREAM },
    Call { path: "/images/edits", file: Some("image"), fields: r#"{"prompt":"a fish","partial_images":"3"}"#, stream: STREAM },
    Call { path: "/images/variations", file: Some("image"), fields: "{}", stream: None },
    Call { path: "/audio/speech", file: None, fields: r#"{"input":"one two three","voice":"alloy"}"#, stream: Some(("stream_format", "\"sse\"")) },
    Call { path: "/audio/transcriptions", file: Some("file"), fields: "{}", stream: STREAM },
    Call { path: "/audio/translations", file: Some("file"), fields: "{}", stream: None },
];

/// What is about stored things and models. Failures on demand need no object that is there.
const STORED: &[&str] = &[
    "GET /v1/assistants",
    "POST /v1/assistants",
    "POST /v1/threads",
    "GET /v1/threads/t/messages",
    "POST /v1/threads/t/runs",
    "POST /v1/threads/runs",
    "GET /v1/threads/t/runs/r",
    "GET /v1/threads/t/runs/r/steps",
    "POST /v1/threads/t/runs/r/submit_tool_outputs",
    "POST /v1/files",
    "GET /v1/files/f/content",
    "DELETE /v1/files/f",
    "POST /v1/uploads",
    "POST /v1/uploads/u/parts",
    "POST /v1/batches",
    "GET /v1/batches/b",
    "GET /v1/vector_stores",
    "POST /v1/vector_stores/v/search",
    "POST /v1/conversations",
    "GET /v1/conversations/c/items",
    "GET /v1/chat/completions",
    "GET /v1/responses/r",
    "POST /v1/responses/r/cancel",
    "POST /v1/fine_tuning/jobs",
    "GET /v1/fine_tuning/jobs/j/events",
    "GET /v1/audio/voice_consents",
    "GET /v1/models",
];

impl Call {
    fn head(&self) -> String {
        format!("POST /v1{}", self.path)
    }

    /// Its body, and the header that names its form.
    fn body(&self, model: &str, stream: bool) -> (String, Option<(&'static str, &'static str)>) {
        let mut fields: Value = serde_json::from_str(self.fields).expect("JSON");
        fields["model"] = model.into();
        if let Some((name, value)) = self.stream.filter(|_| stream) {
            fields[name] = serde_json::from_str(value).expect("JSON");
        }
        let Some(file) = self.file else { return (fields.to_string(), None) };
        let part = |(name, value): (&String, &Value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let fields: String = fields.as_object().expect("an object").iter().map(part).collect();
        let last = format!(
            "--b\r\nContent-Disposition: form-data; name=\"{file}\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n--b--\r\n"
        );
        (fields + &last, Some(FORM))
    }

    async fn send(&self, addr: SocketAddr, model: &str, stream: bool, more: Header) -> Seen {
        let (body, form) = self.body(model, stream);
        let headers: Vec<Header> = [KEY, more].into_iter().chain(form).collect();
        sent(addr, &self.head(), &headers, &body).await
    }
}

type Header = (&'static str, &'static str);
const NO_MORE: Header = ("x-plain", "1");

/// Sends, and listens for a short time where nothing is to come.
async fn sent(addr: SocketAddr, head: &str, headers: &[Header], body: &str) -> Seen {
    let silent = headers.iter().any(|header| header.1 == "request_timeout")
        || body.contains("sim-request_timeout");
    if !silent {
        return send(addr, head, headers, body).await;
    }
    let mut stream = connect(addr).await;
    let bytes = request(head, headers, body, true);
    stream.write_all(bytes.as_bytes()).await.expect("the request is taken");
    read(&mut stream, PATIENCE).await
}

/// What was seen is what the kind is. A kind of the wire spoils whatever the endpoint answered.
#[track_caller]
fn check(at: &str, kind: &KindSpec, seen: &Seen) {
    let name = kind.name;
    match kind.acts {
        Acts::Json { status, kind, code, param, .. } => {
            assert_eq!(seen.status(), status, "{at} {name}: {}", seen.text());
            let error = &seen.json()["error"];
            assert_eq!(error["type"], kind, "{at} {name}");
            let told = (error["code"].as_str(), error["param"].as_str());
            assert_eq!(told, (code, param), "{at} {name}");
        }
        Acts::Page { status, .. } => {
            assert_eq!(seen.status(), status, "{at} {name}");
            assert_eq!(seen.header("content-type").as_deref(), Some("text/html"), "{at} {name}");
        }
        Acts::Wire(Fault::Hang) => {
            assert_eq!((seen.end, seen.bytes.len()), (End::Open, 0), "{at} {name}");
        }
        Acts::Wire(Fault::ResetBeforeHeaders) => {
            assert_eq!((seen.end, seen.bytes.len()), (End::Reset, 0), "{at} {name}");
        }
        Acts::Wire(Fault::CutFin) => {
            assert!(!seen.body().1, "{at} {name}: {}", seen.text());
        }
        // Half a sound is no text to be looked at.
        Acts::Wire(_) if at.ends_with("/speech") => assert_eq!(seen.status(), 200, "{at} {name}"),
        Acts::Wire(_) => {
            let (body, whole) = seen.body();
            assert!(whole, "{at} {name}: {body}");
            assert!(serde_json::from_str::<Value>(&body).is_err(), "{at} {name}: {body}");
        }
    }
}

#[tokio::test]
async fn every_kind_is_answered_on_every_endpoint_by_header() {
    let sim = start("").await;
    for kind in kinds() {
        let more = ("x-sim-error", kind.name);
        for call in CALLS {
            check(call.path, kind, &call.send(sim.addr(), "m", false, more).await);
        }
        for head in STORED {
            check(head, kind, &sent(sim.addr(), head, &[KEY, more], "{}").await);
        }
    }
}

#[tokio::test]
async fn every_kind_is_answered_by_every_endpoint_that_runs_a_model_by_its_name() {
    let sim = start("").await;
    for kind in kinds() {
        let model = format!("sim-{}", kind.name);
        for call in CALLS {
            check(call.path, kind, &call.send(sim.addr(), &model, false, NO_MORE).await);
        }
        let (assistant, thread) = conversation(sim.addr(), &model).await;
        let body = json!({ "assistant_id": assistant }).to_string();
        let head = format!("POST /v1/threads/{thread}/runs");
        check("runs", kind, &sent_by_run(sim.addr(), kind, &head, &body).await);
    }
}

/// The body of a run does not name the model that it waits for.
async fn sent_by_run(addr: SocketAddr, kind: &KindSpec, head: &str, body: &str) -> Seen {
    if kind.name != "request_timeout" {
        return send(addr, head, &[KEY], body).await;
    }
    let mut stream = connect(addr).await;
    let bytes = request(head, &[KEY], body, true);
    stream.write_all(bytes.as_bytes()).await.expect("the request is taken");
    read(&mut stream, PATIENCE).await
}

/// An assistant on a model, and a thread with a message.
async fn conversation(addr: SocketAddr, model: &str) -> (String, String) {
    let made = async |path: &str, body: Value| {
        let seen = send(addr, &format!("POST /v1{path}"), &[KEY], &body.to_string()).await;
        seen.json()["id"].as_str().expect("an id").to_owned()
    };
    let message = json!({ "role": "user", "content": "hello in 8 words" });
    let assistant = made("/assistants", json!({ "model": model })).await;
    (assistant, made("/threads", json!({ "messages": [message] })).await)
}

/// The error that stands in a stream, in the form of its API.
fn error_in(seen: &Seen) -> Option<Value> {
    let (body, _) = seen.body();
    let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
    let values = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let places = ["/error", "/response/error", "/last_error", ""];
    values
        .flat_map(|value| {
            places
                .into_iter()
                .filter_map(move |place| value.pointer(place).cloned())
                .collect::<Vec<_>>()
        })
        .find(|error| error["message"].is_string() && error.get("type").is_some())
}

#[tokio::test]
async fn every_kind_with_a_body_can_stand_inside_every_stream() {
    let sim = start("").await;
    let (assistant, thread) = conversation(sim.addr(), "m").await;
    let run = json!({ "assistant_id": assistant, "stream": true }).to_string();
    let run_head = format!("POST /v1/threads/{thread}/runs");
    for kind in kinds().iter().filter(|kind| matches!(kind.acts, Acts::Json { .. })) {
        let body: Value = serde_json::from_str(&kind.body().expect("it has one")).expect("JSON");
        for fault in ["error_first_event", "error_mid_stream; after=1"] {
            let order: &'static str = format!("{fault}; error={}", kind.name).leak();
            let more = ("x-sim-fault", order);
            let mut all = Vec::new();
            for call in CALLS.iter().filter(|call| call.stream.is_some()) {
                all.push((call.path, call.send(sim.addr(), "m", true, more).await));
            }
            all.push(("runs", send(sim.addr(), &run_head, &[KEY, more], &run).await));
            for (at, seen) in all {
                assert_eq!(seen.status(), 200, "{at} {order}");
                let kind = seen.header("content-type").unwrap_or_default();
                assert!(kind.starts_with("text/event-stream"), "{at} {order}: {kind}");
                let error =
                    error_in(&seen).unwrap_or_else(|| panic!("{at} {order}: {}", seen.text()));
                for field in ["message", "type", "code", "param"] {
                    assert_eq!(error[field], body["error"][field], "{at} {order} {field}");
                }
            }
        }
    }
}

#[tokio::test]
async fn each_line_of_a_batch_fails_as_its_model_says() {
    let sim = start("[objects]\nstep = \"0s\"\n").await;
    let line = |name: &str| {
        let messages = json!([{ "role": "user", "content": "hi" }]);
        let body = json!({ "model": format!("sim-{name}"), "messages": messages });
        json!({ "custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body })
            .to_string()
    };
    let lines: Vec<String> = kinds().iter().map(|kind| line(kind.name)).collect();
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
         --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n{}\r\n--b--\r\n",
        lines.join("\n")
    );
    let file = send(sim.addr(), "POST /v1/files", &[KEY, FORM], &form).await.json();
    let body = json!({ "input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h" });
    let batch = send(sim.addr(), "POST /v1/batches", &[KEY], &body.to_string()).await.json();
    let path = format!("GET /v1/batches/{}", batch["id"].as_str().expect("an id"));
    let batch = send(sim.addr(), &path, &[KEY], "").await.json();
    let many = kinds().len();
    assert_eq!(batch["request_counts"], json!({ "total": many, "completed": 0, "failed": many }));
    let errors =
        format!("GET /v1/files/{}/content", batch["error_file_id"].as_str().expect("a file"));
    let (errors, _) = send(sim.addr(), &errors, &[KEY], "").await.body();
    let told: Vec<Value> =
        errors.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for (kind, line) in kinds().iter().zip(told) {
        assert_eq!(line["custom_id"], kind.name);
        if let Acts::Json { status, code, .. } = kind.acts {
            assert_eq!(line["response"]["status_code"], status, "{}", kind.name);
            let error = &line["response"]["body"]["error"];
            assert_eq!(error["code"].as_str(), code, "{}", kind.name);
        }
    }
}
