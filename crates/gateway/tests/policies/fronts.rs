//! Invariant 14: the gateway, the library, its layers and the laboratory walk the same scenario by the
//! same attempts. Each story is told once, as scripts and a configuration, and played four times.
//! (The runner's share of it is `crates/cli/tests/run/fronts.rs`.)

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use mainstay::Engine;
use mainstay::call::{AttemptRecord, Call, CallBody, Trace};
use mainstay::http::{HttpSettings, HttpUpstream};
use mainstay::tower::StackLayer;
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_gateway::config::Config;
use mainstay_gateway::engine_spec;
use mainstay_sim::lab::{self, How, Note, ProviderScene, Scene, Scripted, Telling, Traffic};
use tower_layer::Layer;
use tower_service::Service;

use crate::plain_http::PlainHttp;
use crate::script::{Cast, Say, body, chat, gateway};

/// A scenario.
struct Story {
    name: &'static str,
    /// Policies, as a file has them.
    policy: &'static str,
    scripts: &'static [&'static [Say]],
    /// Context windows of the providers.
    windows: &'static [u64],
    /// Calls, one after another.
    calls: u32,
}

use Say::{Away, Failed, Faulted, Refused, TooLong};

const PLAIN: Story = Story { name: "", policy: "", scripts: &[], windows: &[], calls: 1 };
const BRITTLE: &str = "[policy.breaker]\nfailures = 2\nopen = \"300ms\"\n";

#[rustfmt::skip]
const STORIES: &[Story] = &[
    Story { name: "a clean call", scripts: &[&[]], calls: 3, ..PLAIN },
    Story { name: "faults that pass", scripts: &[&[Failed, Failed]], ..PLAIN },
    Story { name: "a limit with a time", scripts: &[&[Refused(Some(150))]], ..PLAIN },
    Story { name: "a limit without a time", scripts: &[&[Refused(None), Refused(None)]], ..PLAIN },
    Story { name: "away, another is there", scripts: &[&[Away(None)], &[]], calls: 2, ..PLAIN },
    Story { name: "faulty, another is there", scripts: &[&[Failed], &[]], ..PLAIN },
    Story { name: "faulty for good", scripts: &[&[Failed; 9], &[]], ..PLAIN },
    Story { name: "away with a time", scripts: &[&[Away(Some(400))]], ..PLAIN },
    Story { name: "a client's fault", scripts: &[&[Faulted], &[]], ..PLAIN },
    Story { name: "too long, a larger window", scripts: &[&[TooLong], &[]], windows: &[1000, 2000], ..PLAIN },
    Story { name: "too long, a smaller window", scripts: &[&[TooLong], &[]], windows: &[2000, 1000], ..PLAIN },
    Story { name: "a long limit, another is there", scripts: &[&[Refused(Some(9_000))], &[]], calls: 2, ..PLAIN },
    Story { name: "a limit beyond all patience", scripts: &[&[Refused(Some(900_000))]], ..PLAIN },
    Story { name: "no end of faults", policy: "[policy.breaker]\nfailures = 100\n[policy.retry]\ntransient_cap = \"100ms\"\n", scripts: &[&[Failed; 9]], ..PLAIN },
    Story { name: "a circuit opens and closes", policy: BRITTLE, scripts: &[&[Away(None), Away(None)]], calls: 2, ..PLAIN },
    Story { name: "a probe fails", policy: BRITTLE, scripts: &[&[Away(None), Away(None), Away(None)]], ..PLAIN },
    Story { name: "a probe is told a time", policy: BRITTLE, scripts: &[&[Away(None), Away(None), Away(Some(700))]], ..PLAIN },
    Story { name: "an open circuit, another is there", policy: BRITTLE, scripts: &[&[Away(None); 3], &[]], calls: 4, ..PLAIN },
];

/// One attempt: which target, what was waited for before it, how it ended.
type Row = (char, &'static str, &'static str);

fn letter(target: usize) -> char {
    char::from(b'a' + u8::try_from(target).expect("few targets"))
}

#[test]
fn gateway_library_layers_and_laboratory_make_the_same_attempts() {
    for story in STORIES {
        let (rows, answered) = in_laboratory(story);
        let order: String = rows.iter().map(|(target, ..)| *target).collect();
        let wanted = (rows, answered);
        told_alike(story, "library", &wanted, in_library);
        told_alike(story, "layers", &wanted, in_layers);
        told_alike(story, "gateway", &(order, wanted.1.clone()), in_gateway);
        println!("{:36} {:?}", story.name, wanted.0);
    }
}

/// Time goes by in the laboratory as it is told to. Elsewhere a machine that stands still for a moment
/// may be late for a circuit that is to open or to be probed; what walks by other rules is never right.
fn told_alike<T: PartialEq + std::fmt::Debug>(
    story: &Story,
    front: &str,
    wanted: &T,
    play: fn(&Story) -> T,
) {
    const ROUNDS: usize = 3;
    let rounds: Vec<T> = std::iter::repeat_with(|| play(story))
        .take(ROUNDS)
        .take_while(|told| told != wanted)
        .collect();
    let name = story.name;
    assert!(rounds.len() < ROUNDS, "{name}: laboratory {wanted:?} and {front} {rounds:?}");
}

fn config(story: &Story, cast: &Cast) -> Config {
    let mut config = cast.config(story.policy, "");
    for (provider, window) in config.providers.iter_mut().zip(story.windows) {
        provider.windows.insert("m".to_owned(), *window);
    }
    config
}

fn in_laboratory(story: &Story) -> (Vec<Row>, Vec<bool>) {
    let scripted = |say: &Say| {
        let wait = |millis: Option<u64>| millis.map(Duration::from_millis);
        match *say {
            Failed => Scripted::Failed,
            Away(millis) => Scripted::Unavailable(wait(millis)),
            Refused(millis) => Scripted::Refused(wait(millis)),
            Faulted => Scripted::Faulted,
            TooLong => Scripted::TooLong,
            Say::Well | Say::Slow(_) | Say::Locked | Say::Stalls(_) | Say::Cut => Scripted::Well,
        }
    };
    let provider = |(index, script): (usize, &&[Say])| ProviderScene {
        initial: 1.0,
        telling: Telling::Nothing,
        latency: (0.001, 0.002),
        script: script.iter().map(scripted).collect(),
        window: story.windows.get(index).copied(),
        ..ProviderScene::default()
    };
    let scene = Scene {
        providers: story.scripts.iter().enumerate().map(provider).collect(),
        traffic: Traffic::Workers(1),
        jobs: story.calls,
        policy: config(story, &Cast::new(story.scripts)).policy,
        ..Scene::default()
    };
    let (mut rows, mut answers, mut begun) = (Vec::new(), Vec::new(), ' ');
    let mut before = "";
    let run = lab::watch(&scene, |_, note| match *note {
        Note::Sent { target, cause, .. } => (begun, before) = (letter(target), cause.name()),
        Note::Ended { how, .. } => rows.push((begun, before, ending(how))),
        Note::Done { answered, .. } => answers.push(answered),
        Note::Came { .. }
        | Note::Waits { .. }
        | Note::Delivers { .. }
        | Note::Circuit { .. }
        | Note::Retry { .. } => {}
    });
    assert_eq!(run.accusations, [], "{}", story.name);
    (rows, answers)
}

fn ending(how: How) -> &'static str {
    match how {
        How::Well { .. } => "well",
        How::Refused(_) => "refused",
        How::Failed(_) => "failed",
        How::Faulted => "at fault",
        How::TooLong => "too long",
        How::TimedOut | How::Left => "cut",
    }
}

fn in_library(story: &Story) -> (Vec<Row>, Vec<bool>) {
    let cast = Cast::new(story.scripts);
    let engine = Engine::new(engine_spec(&config(story, &cast), None));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let traces = Arc::new(Mutex::new(Vec::new()));
    let mut answers = Vec::new();
    runtime.expect("a runtime").block_on(async {
        let upstream = Arc::new(HttpUpstream::new(HttpSettings::default()));
        for _ in 0..story.calls {
            match engine.call(&upstream, library_call(&engine)).answer().await {
                Ok((_, mut answer)) => {
                    while answer.frame().await.is_some() {}
                    traces.lock().expect("no panic").push(answer.trace().clone());
                    answers.push(true);
                }
                Err(refusal) => {
                    traces.lock().expect("no panic").push(refusal.trace);
                    answers.push(false);
                }
            }
        }
    });
    let traces = traces.lock().expect("no panic");
    (traces.iter().flat_map(|trace| rows(&trace.records)).collect(), answers)
}

/// The library's layers around an HTTP client that knows nothing of them.
fn in_layers(story: &Story) -> (Vec<Row>, Vec<bool>) {
    let cast = Cast::new(story.scripts);
    let spec = engine_spec(&config(story, &cast), None);
    let layer = StackLayer::new().policy(spec.policy);
    let layer = spec.providers.into_iter().fold(layer, StackLayer::provider);
    let layer = spec.routes.into_iter().fold(layer, StackLayer::route);
    let (mut made, mut answers) = (Vec::new(), Vec::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut stack = layer.layer(PlainHttp);
        for _ in 0..story.calls {
            let request = Request::post("/v1/chat/completions");
            let request = request.header("content-type", "application/json");
            let request = request.body(Full::from(body(false))).expect("a request");
            match stack.call(request).await {
                Ok(answer) => {
                    answers.push(answer.status().is_success());
                    let of_head = answer.extensions().get::<Trace>().cloned();
                    let mut body = answer.into_body();
                    while body.frame().await.is_some() {}
                    let trace = body.trace().or(of_head).expect("every answer has its trace");
                    made.extend(rows(&trace.records));
                }
                Err(error) => {
                    answers.push(false);
                    made.extend(rows(error.records()));
                }
            }
        }
    });
    (made, answers)
}

fn rows(records: &[AttemptRecord]) -> Vec<Row> {
    let how = |status: Option<u16>, kind: &str| match (status, kind) {
        (Some(200), _) => "well",
        (Some(429), _) => "refused",
        (_, "context_length_exceeded") => "too long",
        (Some(400), _) => "at fault",
        _ => "failed",
    };
    let row = |record: &AttemptRecord| {
        let kind = record.kind.map_or("", |kind| kind.name());
        let target = record.provider.chars().next().expect("a name");
        (target, record.wait_cause, how(record.status, kind))
    };
    records.iter().map(row).collect()
}

fn library_call(engine: &Engine) -> Call {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().expect("ascii"));
    Call {
        id: "req_test".to_owned(),
        method: Method::POST,
        path: "/chat/completions".to_owned(),
        endpoint: Endpoint::Chat,
        headers: headers.into(),
        credential: None,
        body: CallBody::Buffered(Bytes::from(body(false))),
        model: Some("m".into()),
        model_span: None,
        usage_ask: None,
        stream: false,
        tokens: 50,
        arrived: engine.now(),
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

fn in_gateway(story: &Story) -> (String, Vec<bool>) {
    let cast = Cast::new(story.scripts);
    let front = gateway(&config(story, &cast));
    let mut told = 0;
    let replies: Vec<bool> = (0..story.calls)
        .map(|_| {
            let reply = chat(&front, false);
            let attempts =
                reply.header("x-mainstay-attempts").and_then(|n| n.parse::<usize>().ok());
            told += attempts.unwrap_or_else(|| panic!("{}: {}", story.name, reply.head));
            reply.status == 200
        })
        .collect();
    assert_eq!(told, cast.told().len(), "{}: attempts told and made", story.name);
    (cast.order(), replies)
}
