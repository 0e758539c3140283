//! A primary and a fallback simulator, a route over both, and calls of each family of streams.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use mainstay::Engine;
use mainstay::call::{Call, CallBody, Refusal, Trace};
use mainstay::http::{HttpSettings, HttpUpstream};
use mainstay::spec::{Credential, EngineSpec, ProviderSpec};
use mainstay::upstream::{Destination, Upstream};
use mainstay_core::failure::Kind;
use mainstay_core::policy::{Limits, Policy, ProviderKind, Route, RouteTarget, Sharing, Strategy};
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_sim::{Scenario, Sim, SimConfig};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How much faster than life the suite plays; the feature `full` plays it at its own pace.
const HASTE: u32 = if cfg!(feature = "full") { 1 } else { 20 };

/// A duration of the full profile, at the pace of this run.
pub(crate) fn paced(full: Duration) -> Duration {
    full / HASTE
}

/// The same, as scenarios write it.
pub(crate) fn paced_secs(full: f64) -> String {
    format!("{}ms", paced(Duration::from_secs_f64(full)).as_millis())
}

/// Plays until a round is good. A target that a busy machine sees to half a second late is a slow one, and is
/// overtaken by another; that says nothing of us where there is a round without it. What must hold in every
/// round panics in it.
pub(crate) async fn one_is_good(mut play: impl AsyncFnMut() -> Result<(), String>) {
    const ROUNDS: usize = 3;
    let mut bad = Vec::new();
    while bad.len() < ROUNDS {
        match play().await {
            Ok(()) => return,
            Err(why) => bad.push(why),
        }
    }
    panic!("each round: {bad:#?}");
}

/// What a round came to: `Err` with what was measured, unless it holds.
pub(crate) fn holds(holds: bool, measured: impl std::fmt::Display) -> Result<(), String> {
    if holds { Ok(()) } else { Err(measured.to_string()) }
}

/// The families of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Chat,
    ChatTool,
    Completions,
    Responses,
    ResponsesTool,
    /// A run of an assistant, which is never told twice.
    Run,
}

/// Those in which a broken answer can be completed.
pub(crate) const APIS: [Api; 3] = [Api::Chat, Api::Completions, Api::Responses];

impl Api {
    pub(crate) fn endpoint(self) -> (Endpoint, &'static str) {
        match self {
            Api::Chat | Api::ChatTool => (Endpoint::Chat, "/chat/completions"),
            Api::Completions => (Endpoint::Completions, "/completions"),
            Api::Responses | Api::ResponsesTool => (Endpoint::Responses, "/responses"),
            Api::Run => (Endpoint::Runs, "/threads/thread_sim00000002/runs"),
        }
    }

    /// Whether its streams end with `[DONE]`.
    pub(crate) fn has_marker(self) -> bool {
        match self {
            Api::Chat | Api::ChatTool | Api::Completions | Api::Run => true,
            Api::Responses | Api::ResponsesTool => false,
        }
    }

    pub(crate) fn body(self, model: &str, said: &str, stream: bool) -> serde_json::Value {
        match self {
            Api::Chat => json!({
                "model": model, "stream": stream, "messages": [{"role": "user", "content": said}],
            }),
            Api::Completions => json!({
                "model": model, "stream": stream, "prompt": said, "max_tokens": 200,
            }),
            Api::Responses => json!({"model": model, "stream": stream, "input": said}),
            Api::Run => json!({
                "assistant_id": "asst_sim00000001", "model": model, "stream": stream,
            }),
            Api::ChatTool => json!({
                "model": model, "stream": stream, "messages": [{"role": "user", "content": said}],
                "tools": [{"type": "function", "function": {"name": "look", "parameters": tool()}}],
            }),
            Api::ResponsesTool => json!({
                "model": model, "stream": stream, "input": said,
                "tools": [{"type": "function", "name": "look", "parameters": tool()}],
            }),
        }
    }
}

/// What the tool takes.
fn tool() -> serde_json::Value {
    json!({
        "type": "object", "required": ["place", "days"],
        "properties": {"place": {"type": "string"}, "days": {"type": "integer"}},
    })
}

pub(crate) async fn sim(scenario: &str) -> Sim {
    let scenario = Scenario::from_toml(scenario).expect("a sound scenario");
    Sim::start(SimConfig { listen: ([127, 0, 0, 1], 0).into(), scenario }).await.expect("a port")
}

/// Posts JSON to a simulator.
pub(crate) async fn post(sim: &Sim, path: &str, body: &str) -> String {
    let length = body.len();
    ask(
        sim,
        &format!(
            "POST /v1/{path} HTTP/1.1\r\nhost: sim\r\nauthorization: Bearer k\r\n\
             content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        ),
    )
    .await
}

/// Sends bytes to a simulator; the answer's body.
async fn ask(sim: &Sim, request: &str) -> String {
    let mut socket = tokio::net::TcpStream::connect(sim.addr()).await.expect("it listens");
    socket.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("it answers");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    body.to_owned()
}

/// The numbered words of an answer of so many words.
pub(crate) fn words(count: usize) -> String {
    (4..=count).fold(String::new(), |text, n| text + " w" + &n.to_string())
}

/// A counter of a simulator's.
pub(crate) async fn counted(sim: &Sim, field: &str) -> u64 {
    let json = ask(sim, "GET /sim/stats HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\r\n").await;
    let stats: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    stats[field].as_u64().unwrap_or_else(|| panic!("no counter {field} in {json}"))
}

pub(crate) fn provider(name: &str, port: u16) -> ProviderSpec {
    ProviderSpec {
        name: name.to_owned(),
        kind: ProviderKind::OpenAi,
        destination: Arc::new(Destination {
            tls: false,
            host: "127.0.0.1".to_owned(),
            port,
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

/// The settings of the suite: two retries, 30 s for each silence, 600 s in all.
pub(crate) fn policy() -> Policy {
    let mut policy = Policy::default();
    policy.retry.attempts_max = 3;
    policy.timeouts.first_content_soft = paced(policy.timeouts.first_content_soft);
    policy.timeouts.first_content = paced(Duration::from_secs(30));
    policy.timeouts.idle = paced(Duration::from_secs(30));
    policy.timeouts.headers = paced(Duration::from_secs(30));
    policy.timeouts.total = Some(Duration::from_secs(600));
    policy
}

/// An engine over providers, with one route for every model through all of them.
pub(crate) struct World<U: Upstream> {
    pub(crate) engine: Arc<Engine>,
    pub(crate) upstream: Arc<U>,
}

pub(crate) fn engine(providers: Vec<ProviderSpec>, policy: &Policy) -> Arc<Engine> {
    let target = |provider: &ProviderSpec| RouteTarget {
        provider: provider.name.clone(),
        model: (provider.name != "primary").then(|| format!("{}-model", provider.name)),
        weight: 1,
    };
    let route = Route {
        model: "*".to_owned(),
        targets: providers.iter().map(target).collect(),
        strategy: Strategy::Order,
        policy: policy.clone(),
    };
    Engine::new(EngineSpec { providers, routes: vec![route], policy: policy.clone() })
}

pub(crate) fn world(providers: Vec<ProviderSpec>, policy: &Policy) -> World<HttpUpstream> {
    World {
        engine: engine(providers, policy),
        upstream: Arc::new(HttpUpstream::new(HttpSettings::default())),
    }
}

/// Two simulators and the world over both.
pub(crate) struct Pair {
    #[expect(dead_code, reason = "it answers as long as it is held")]
    pub(crate) primary: Sim,
    pub(crate) fallback: Sim,
    pub(crate) world: World<HttpUpstream>,
}

pub(crate) async fn pair(primary: &str, fallback: &str) -> Pair {
    pair_with(primary, fallback, &policy()).await
}

pub(crate) async fn pair_with(primary: &str, fallback: &str, policy: &Policy) -> Pair {
    let (primary, fallback) = (sim(primary).await, sim(fallback).await);
    let providers = vec![
        provider("primary", primary.addr().port()),
        provider("fallback", fallback.addr().port()),
    ];
    Pair { world: world(providers, policy), primary, fallback }
}

/// What a caller got of a call.
pub(crate) struct Got {
    /// The call's record when its answer began.
    pub(crate) begun: Trace,
    pub(crate) body: Vec<u8>,
    /// The connection was cut, and why.
    pub(crate) cut: Option<Kind>,
    /// The call's record at its end.
    pub(crate) trace: Trace,
    pub(crate) took: Duration,
}

impl Got {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl<U: Upstream> World<U> {
    pub(crate) fn call(&self, api: Api, model: &str, said: &str, stream: bool) -> Call {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json".parse().expect("ascii"));
        let (endpoint, path) = api.endpoint();
        let body = api.body(model, said, stream).to_string();
        let quoted = format!("\"{model}\"");
        let at = body.find(&quoted).expect("the model is in the body");
        Call {
            id: "req_test".to_owned(),
            method: Method::POST,
            path: path.to_owned(),
            endpoint,
            headers: headers.into(),
            credential: None,
            model_span: Some(at..at + quoted.len()),
            usage_ask: None,
            body: CallBody::Buffered(Bytes::from(body)),
            model: Some(model.into()),
            stream,
            tokens: 50,
            arrived: self.engine.now(),
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

    /// Makes a call and takes everything that comes of it.
    pub(crate) async fn run(&self, call: Call) -> Result<Got, Box<Refusal>> {
        const LONGEST: Duration = Duration::from_secs(610);
        let work = async {
            let began = Instant::now();
            let (_, mut answer) = self.engine.call(&self.upstream, call).answer().await?;
            let begun = answer.trace().clone();
            let (mut body, mut cut) = (Vec::new(), None);
            while let Some(frame) = answer.frame().await {
                match frame {
                    Ok(frame) => body.extend_from_slice(frame.data_ref().expect("data")),
                    Err(broken) => cut = Some(broken.kind),
                }
            }
            let trace = answer.trace().clone();
            Ok(Got { begun, body, cut, trace, took: began.elapsed() })
        };
        tokio::time::timeout(LONGEST, work).await.expect("an end in bounded time")
    }
}
