//! The walk of a call over the real transport against the simulator: answers, streams, retries
//! and refusals, as a user of the library meets them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use mainstay::Engine;
use mainstay::call::{Call, CallBody, Refusal, Trace};
use mainstay::http::{HttpSettings, HttpUpstream};
use mainstay::spec::{Credential, EngineSpec, ProviderSpec};
use mainstay::upstream::Destination;
use mainstay_core::failure::Kind;
use mainstay_core::policy::{Limits, Policy, ProviderKind, Route, RouteTarget, Sharing, Strategy};
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_sim::{Scenario, Sim, SimConfig};
use serde_json::{Value, json};

async fn sim(scenario: &str) -> Sim {
    let scenario = Scenario::from_toml(scenario).expect("a sound scenario");
    Sim::start(SimConfig { listen: ([127, 0, 0, 1], 0).into(), scenario }).await.expect("a port")
}

fn provider(name: &str, sim: &Sim) -> ProviderSpec {
    ProviderSpec {
        name: name.to_owned(),
        kind: ProviderKind::OpenAi,
        destination: Arc::new(Destination {
            tls: false,
            host: "127.0.0.1".to_owned(),
            port: sim.addr().port(),
            proxy: None,
            ca_file: None,
        }),
        path_prefix: "/v1".to_owned(),
        credentials: vec![Credential::new("sk-test")],
        headers: Vec::new(),
        api_version: None,
        model_map: BTreeMap::new(),
        windows: BTreeMap::new(),
        models: None,
        limits: Limits::default(),
        sharing: Sharing::default(),
        prefill: false,
        omit: Vec::new(),
        rename: Vec::new(),
    }
}

struct World {
    engine: Arc<Engine>,
    upstream: Arc<HttpUpstream>,
}

fn world(providers: Vec<ProviderSpec>, routes: Vec<Route>) -> World {
    let spec = EngineSpec { providers, routes, policy: Policy::default() };
    World {
        engine: Engine::new(spec),
        upstream: Arc::new(HttpUpstream::new(HttpSettings::default())),
    }
}

fn route(model: &str, providers: &[&str], policy: Policy) -> Route {
    Route {
        model: model.to_owned(),
        targets: providers
            .iter()
            .map(|p| RouteTarget { provider: (*p).to_owned(), model: None, weight: 1 })
            .collect(),
        strategy: Strategy::Order,
        policy,
    }
}

fn chat(world: &World, model: &str, stream: bool) -> Call {
    let body = json!({
        "model": model, "stream": stream, "messages": [{"role": "user", "content": "hello"}],
    });
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().expect("ascii"));
    Call {
        id: "req_test".to_owned(),
        method: Method::POST,
        path: "/chat/completions".to_owned(),
        endpoint: Endpoint::Chat,
        headers: headers.into(),
        credential: None,
        body: CallBody::Buffered(Bytes::from(body.to_string())),
        model: Some(model.into()),
        model_span: None,
        usage_ask: None,
        stream,
        tokens: 50,
        arrived: world.engine.now(),
        timeout: None,
        read_timeout: None,
        answer_within: None,
        sdk_retry: 0,
        add_usage: false,
        pin: None,
        account: None,
        traced: None,
        body_gone: false,
    }
}

/// The beginning of an answer.
#[derive(Debug)]
struct Head {
    status: StatusCode,
    length: Option<u64>,
    trace: Trace,
}

async fn run(world: &World, call: Call) -> Result<(Head, String), Box<Refusal>> {
    let walk = world.engine.call(&world.upstream, call);
    let (head, body) = tokio::time::timeout(Duration::from_secs(20), walk.answer())
        .await
        .expect("an end within 20 s")?;
    let head = Head { status: head.status, length: head.length, trace: body.trace().clone() };
    let bytes = body.collect().await.expect("a whole body").to_bytes();
    Ok((head, String::from_utf8(bytes.to_vec()).expect("UTF-8")))
}

#[tokio::test]
async fn a_chat_call_is_answered_whole_with_its_length_known() {
    let sim = sim("").await;
    let world = world(vec![provider("sim", &sim)], vec![]);
    let (head, body) = run(&world, chat(&world, "gpt-4o", false)).await.expect("an answer");
    assert_eq!(head.status, 200);
    assert_eq!(head.length, Some(body.len() as u64));
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!((head.trace.attempts, head.trace.provider.as_deref()), (1, Some("sim")));
}

#[tokio::test]
async fn a_stream_is_delivered_to_its_marker() {
    let sim = sim("").await;
    let world = world(vec![provider("sim", &sim)], vec![]);
    let (head, body) = run(&world, chat(&world, "gpt-4o", true)).await.expect("an answer");
    assert_eq!(head.length, None);
    assert!(body.ends_with("data: [DONE]\n\n"), "{body}");
    assert!(body.contains("\"finish_reason\":\"stop\""), "{body}");
}

#[tokio::test]
async fn a_final_failure_is_sent_once_and_passed_on_as_it_came() {
    let sim = sim("").await;
    let world = world(vec![provider("sim", &sim)], vec![]);
    let refusal = run(&world, chat(&world, "sim-insufficient_quota", false)).await.unwrap_err();
    assert_eq!(refusal.failure.kind, Kind::InsufficientQuota);
    assert_eq!(refusal.trace.attempts, 1);
    let answer = refusal.provider_answer.expect("the provider's own words");
    assert_eq!(answer.status, 429);
    assert!(String::from_utf8_lossy(&answer.body).contains("insufficient_quota"));
}

#[tokio::test]
async fn a_failure_that_passes_is_tried_again() {
    let sim = sim("[[fault]]\nkind = \"internal_error\"\nfirst = 2\n").await;
    let world = world(vec![provider("sim", &sim)], vec![]);
    let (head, _) = run(&world, chat(&world, "gpt-4o", false)).await.expect("an answer");
    assert_eq!(head.trace.attempts, 3);
    assert_eq!(head.trace.records[0].kind, Some(Kind::InternalError));
    assert_eq!(head.trace.records[1].wait_cause, "backoff");
}

#[tokio::test]
async fn a_failure_that_stays_ends_after_the_attempts_a_call_may_make() {
    let sim = sim("").await;
    let policy = Policy {
        breaker: mainstay_core::policy::BreakerPolicy { failures: 100, ..Default::default() },
        ..Policy::default()
    };
    let world = world(vec![provider("sim", &sim)], vec![route("sim-*", &["sim"], policy)]);
    let refusal = run(&world, chat(&world, "sim-internal_error", false)).await.unwrap_err();
    assert_eq!(refusal.failure.kind, Kind::InternalError);
    assert_eq!(refusal.trace.attempts, 6);
}

#[tokio::test]
async fn an_overloaded_target_is_left_for_the_next() {
    let bad = sim("[[fault]]\nkind = \"overloaded\"\nshare = 1.0\n").await;
    let good = sim("").await;
    let world = world(
        vec![provider("bad", &bad), provider("good", &good)],
        vec![route("gpt-4o", &["bad", "good"], Policy::default())],
    );
    let (head, _) = run(&world, chat(&world, "gpt-4o", false)).await.expect("an answer");
    assert_eq!(head.trace.provider.as_deref(), Some("good"));
    assert_eq!(head.trace.attempts, 2);
}

#[tokio::test]
async fn a_model_nobody_serves_is_named() {
    let sim = sim("").await;
    let mut only = provider("sim", &sim);
    only.models = Some(vec!["gpt-4o".to_owned()]);
    let world = world(vec![only], vec![]);
    let refusal = run(&world, chat(&world, "gpt-9", false)).await.unwrap_err();
    assert_eq!(refusal.failure.kind, Kind::ModelNotFound);
    assert!(refusal.message.expect("our own words").contains("gpt-9"));
}

#[tokio::test]
async fn a_limit_is_waited_out_and_not_counted_as_an_attempt() {
    let sim = sim("[limits]\nrpm = 1200\nburst = \"0.05s\"\n").await;
    let world = Arc::new(world(vec![provider("sim", &sim)], vec![]));
    let calls = (0..60).map(|_| {
        let world = Arc::clone(&world);
        async move { run(&world, chat(&world, "gpt-4o", false)).await }
    });
    let mut tasks = tokio::task::JoinSet::new();
    calls.for_each(|call| drop(tasks.spawn(call)));
    while let Some(done) = tasks.join_next().await {
        done.expect("no panic").expect("every call is answered");
    }
}

/// The text that a caller puts together from a stream of chunks, and the ids he sees.
fn told(stream: &str) -> (String, Vec<String>) {
    let (mut text, mut ids) = (String::new(), Vec::new());
    for data in stream.split("data: ").skip(1) {
        let Ok(chunk) = serde_json::from_str::<Value>(data.split("\n\n").next().expect("one"))
        else {
            continue;
        };
        text += chunk.pointer("/choices/0/delta/content").and_then(Value::as_str).unwrap_or("");
        ids.extend(chunk["id"].as_str().map(str::to_owned));
    }
    ids.dedup();
    (text, ids)
}

#[tokio::test]
async fn a_stream_cut_in_its_middle_is_completed_exactly_by_the_next_target() {
    let whole = sim("").await;
    let plain = world(vec![provider("sim", &whole)], vec![]);
    let (_, sound) = run(&plain, chat(&plain, "gpt-4o", true)).await.expect("an answer");
    for fault in ["cut_rst", "cut_fin", "no_finish", "error_mid_stream"] {
        let broken = sim(&format!(
            "[latency]\ntoken = \"10ms\"\n[[fault]]\nfault = \"{fault}\"\nafter = 3\nshare = 1.0\n"
        ))
        .await;
        let world = world(
            vec![provider("broken", &broken), provider("whole", &whole)],
            vec![route("gpt-4o", &["broken", "whole"], Policy::default())],
        );
        let (head, mended) = run(&world, chat(&world, "gpt-4o", true)).await.expect("an answer");
        assert_eq!(head.trace.provider.as_deref(), Some("broken"), "{fault}");
        assert!(mended.contains(": mainstay: recovered by whole/gpt-4o"), "{fault}: {mended}");
        let (text, ids) = told(&mended);
        assert_eq!(text, told(&sound).0, "{fault}");
        assert_eq!(ids.len(), 1, "{fault}: one stream has one id: {ids:?}");
        assert!(mended.ends_with("data: [DONE]\n\n"), "{fault}");
    }
}

#[tokio::test]
async fn a_stream_cut_in_its_middle_ends_in_an_error_and_no_marker() {
    let sim = sim("[[fault]]\nfault = \"cut_rst\"\nafter = 3\nshare = 1.0\n").await;
    let world = world(vec![provider("sim", &sim)], vec![]);
    let walk = world.engine.call(&world.upstream, chat(&world, "gpt-4o", true));
    let (_, mut body) = walk.answer().await.expect("a head");
    let (mut text, mut cut) = (String::new(), false);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => text += &String::from_utf8_lossy(frame.data_ref().expect("data")),
            Err(_) => cut = true,
        }
    }
    assert!(cut, "the connection must be cut");
    assert!(!text.contains("[DONE]"), "{text}");
    let last = text.trim_end().rsplit("data: ").next().expect("a last event");
    let error: Value = serde_json::from_str(last).expect("JSON");
    assert!(error["error"]["message"].is_string(), "{text}");
}
