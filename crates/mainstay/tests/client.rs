//! The client as programs use it, against the simulator.
#![expect(
    clippy::unwrap_used,
    reason = "the tests' own ground: what is missing there fails the test"
)]

use std::time::Duration;

use mainstay::client::{Body, Form};
use mainstay::failure::Kind;
use mainstay::policy::{LimitGroup, Limits, Sharing};
use mainstay::{Client, Error};
use mainstay_sim::Sim;
use serde_json::{Value, json};

mod simulated;

use simulated::sim;

fn client(sim: &Sim) -> Client {
    Client::builder().base_url(&sim.base_url()).key("sk-test-secret").build().unwrap()
}

fn asking(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "prompt-secret in 9 words"}]})
}

fn is_sound<T: Send + Sync + 'static>(_: &T) {}
fn may_move<T: Send>(value: T) -> T {
    value
}

#[tokio::test]
async fn resources_answer_as_values_and_as_types_of_ones_own() {
    #[derive(serde::Deserialize)]
    struct Own {
        choices: Vec<Choice>,
    }
    #[derive(serde::Deserialize)]
    struct Choice {
        finish_reason: String,
    }
    let sim = sim("").await;
    let client = client(&sim);
    is_sound(&client);
    let answer = may_move(client.chat().create(&asking("gpt-4o"))).await.unwrap();
    assert_eq!(answer["object"], "chat.completion");
    let own: Own = client.chat().create_as(&asking("gpt-4o")).await.unwrap();
    assert_eq!(own.choices[0].finish_reason, "stop");
    let input = json!({"model": "gpt-4o", "input": "hi"});
    assert_eq!(client.responses().create(&input).await.unwrap()["object"], "response");
    let embedded = json!({"model": "text-embedding-3-small", "input": ["a", "b"]});
    let embedded = client.embeddings().create(&embedded).await.unwrap();
    assert_eq!(embedded["data"].as_array().unwrap().len(), 2);
    let legacy = json!({"model": "gpt-3.5-turbo-instruct", "prompt": "hi"});
    assert_eq!(client.completions().create(&legacy).await.unwrap()["object"], "text_completion");
    assert_eq!(client.models().list().await.unwrap()["object"], "list");
    assert_eq!(client.models().get("gpt-4o").await.unwrap()["id"], "gpt-4o");
    let raw = client.raw(http::Method::GET, "/models", Body::Empty).await.unwrap();
    assert!(raw.status == 200 && raw.request_id().is_some() && raw.trace.attempts == 1);
}

#[tokio::test]
async fn every_kind_arrives_as_the_class_of_the_sdks_and_tells_no_secret() {
    let sim = sim("retry_after = \"10ms\"").await;
    let client = Client::builder()
        .base_url(&sim.base_url())
        .key("sk-test-secret")
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap();
    for kind in [
        Kind::IncorrectApiKey,
        Kind::UnsupportedRegion,
        Kind::InsufficientQuota,
        Kind::InvalidValue,
        Kind::ContextLengthExceeded,
        Kind::ModelNotFound,
        Kind::Conflict,
        Kind::UnprocessableEntity,
        Kind::InternalError,
    ] {
        let error = client.chat().create(&asking(&format!("sim-{kind}"))).await.unwrap_err();
        assert_eq!((error.kind(), error.class()), (kind, kind.class()), "{error}");
        assert!(error.status().is_some() && error.attempts() >= 1, "{kind}: {error:?}");
        assert!(error.request_id().is_some() && !error.records().is_empty(), "{kind}");
        assert!(std::error::Error::source(&error).is_some(), "{kind}");
        assert_eq!(error.explain().kind, kind);
        let told = format!("{error} {error:?}");
        assert!(!told.contains("test-secret") && !told.contains("prompt-secret"), "{told}");
    }
}

#[tokio::test]
async fn what_a_provider_would_refuse_is_not_sent() {
    let sim = sim("").await;
    let error = client(&sim).chat().create(&json!({"model": "gpt-4o"})).await.unwrap_err();
    assert!(matches!(&error, Error::BadRequest(_)), "{error:?}");
    assert_eq!((error.param(), error.attempts()), (Some("messages"), 0));
    assert!(error.to_string().contains("was not sent"), "{error}");
}

#[tokio::test]
async fn a_stream_gives_every_event_and_is_whole_when_it_ends_without_an_error() {
    let sim = sim("").await;
    let client = client(&sim);
    let events = may_move(client.chat().stream(&asking("gpt-4o"))).await.unwrap();
    is_movable(&events);
    let text = events.text().await.unwrap();
    assert!(text.starts_with("Heard 24 bytes") && text.ends_with("w9"), "{text}");
    let mut events =
        client.responses().stream(&json!({"model": "gpt-4o", "input": "hi"})).await.unwrap();
    let (mut text, mut last) = (String::new(), None);
    while let Some(chunk) = events.next().await {
        let chunk = chunk.unwrap();
        text += chunk.text().unwrap_or_default();
        last = chunk.event;
    }
    assert!(text.starts_with("Heard 2 bytes"), "{text}");
    assert_eq!(last.as_deref(), Some("response.completed"));
    assert!(events.used().is_some() && events.trace().attempts == 1);
}

#[tokio::test]
async fn events_are_a_stream_of_results_for_whoever_wants_one() {
    fn is_stream<S>(stream: S) -> S
    where
        S: futures_core::Stream<Item = Result<mainstay::client::Chunk, Error>> + Send + Unpin,
    {
        stream
    }
    let sim = sim("").await;
    let mut events = is_stream(client(&sim).chat().stream(&asking("gpt-4o")).await.unwrap());
    let mut text = String::new();
    let mut next = async || {
        let mut events = std::pin::Pin::new(&mut events);
        std::future::poll_fn(|cx| futures_core::Stream::poll_next(events.as_mut(), cx)).await
    };
    while let Some(chunk) = next().await {
        text += chunk.unwrap().text().unwrap_or_default();
    }
    assert!(text.starts_with("Heard 24 bytes") && text.ends_with("w9"), "{text}");
}

fn is_movable<T: Send + 'static>(_: &T) {}

/// Faults in the middle of every answer, and what they are told as.
const FAULTS: &[(&str, Kind)] = &[
    ("cut_fin", Kind::StreamInterrupted),
    ("cut_rst", Kind::StreamInterrupted),
    ("no_finish", Kind::StreamInterrupted),
    ("error_mid_stream", Kind::Overloaded),
];

#[tokio::test]
async fn a_cut_stream_ends_in_an_error_and_never_in_silence() {
    for (fault, kind) in FAULTS {
        // Every answer breaks off in the middle, told again or not.
        let slow = "latency = { token = \"15ms\" }";
        let sim = sim(&format!("{slow}\n[[fault]]\nfault = \"{fault}\"\nafter = 3\n")).await;
        let client = client(&sim).within(Duration::from_secs(20));
        let mut events = client.chat().stream(&asking("gpt-4o")).await.unwrap();
        let mut text = String::new();
        let error = loop {
            match events.next().await.expect("it does not end as if it were whole") {
                Ok(chunk) => text += chunk.text().unwrap_or_default(),
                Err(error) => break error,
            }
        };
        let all = *fault == "no_finish";
        assert!(text.starts_with("Heard") && text.ends_with("w9") == all, "{fault}: {text}");
        assert_eq!(error.kind(), *kind, "{fault}: {error}");
        assert!(events.next().await.is_none(), "nothing comes after an error");
        let told = error.to_string();
        assert!(told.contains("incomplete") && told.contains("fix: "), "{told}");
    }
}

#[tokio::test]
async fn a_time_limit_of_a_call_holds() {
    let sim = sim("latency = { headers = \"5s\" }").await;
    let client = client(&sim).within(Duration::from_millis(200));
    let error = client.chat().create(&asking("gpt-4o")).await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
}

#[tokio::test]
async fn forms_are_sent_and_paths_cannot_be_left() {
    let sim = sim("").await;
    let client = client(&sim);
    let form =
        Form::new().text("purpose", "batch").file("file", "a.jsonl", "application/jsonl", "{}");
    let file = client.files().create(form).await.unwrap();
    assert_eq!((&file["filename"], &file["purpose"]), (&json!("a.jsonl"), &json!("batch")));
    assert_eq!(file["bytes"], 2);
    let error = client.files().stored().get("../models").await.unwrap_err();
    assert_eq!(error.status(), Some(404), "{error}");
}

#[test]
fn one_client_serves_a_runtime_of_many_threads() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_all().build();
    runtime.unwrap().block_on(async {
        let sim = sim("latency = { headers = \"5ms\" }").await;
        let client = client(&sim);
        let calls: Vec<_> = (0..60)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.chat().create(&asking("gpt-4o")).await })
            })
            .collect();
        for call in calls {
            call.await.unwrap().unwrap();
        }
        assert!(client.engine().snapshot().iter().all(|target| target.in_flight == 0));
    });
}

#[test]
fn what_a_client_cannot_be_made_of_is_told_without_the_key() {
    let bad = [
        Client::builder().base_url("api.openai.com"),
        Client::builder().key("sk secret\n"),
        Client::builder().proxy("socks5://x").base_url("https://x.test/v1"),
        Client::builder().organization("\u{0}"),
    ];
    for builder in bad {
        let told = builder.build().unwrap_err().to_string();
        assert!(told.contains("fix: ") && !told.contains("secret"), "{told}");
    }
    let debug = format!("{:?}", Client::builder().key("sk-secret").proxy("http://u:secret@p:1"));
    assert!(!debug.contains("secret"), "{debug}");
}

/// Two models of a family under one limit of calls at once: the second waits for the first.
#[tokio::test]
async fn models_of_one_group_wait_in_one_queue() {
    let sim = sim("[latency]\nheaders = \"200ms\"\n").await;
    let group = LimitGroup { models: vec!["gpt-4o*".to_owned()], limits: Limits::default() };
    let client = Client::builder()
        .base_url(&sim.base_url())
        .key("sk-test-secret")
        .limits(Limits { concurrency: Some(1), ..Limits::default() })
        .sharing(Sharing { groups: vec![group], ..Sharing::default() })
        .build()
        .unwrap();
    let took = async |first, second| {
        let began = tokio::time::Instant::now();
        let (chat, first, second) = (client.chat(), asking(first), asking(second));
        let (one, other) = tokio::join!(chat.create(&first), chat.create(&second));
        assert!(one.is_ok() && other.is_ok());
        began.elapsed()
    };
    let together = took("gpt-4o", "gpt-4o-mini").await;
    assert!(together >= Duration::from_millis(400), "{together:?}");
    // What a busy machine adds is not there every time.
    let mut apart = Vec::new();
    while apart.last().is_none_or(|took| *took >= together) {
        assert!(apart.len() < 5, "{apart:?} apart, {together:?} together");
        apart.push(took("gpt-4o", "o3").await);
    }
}
