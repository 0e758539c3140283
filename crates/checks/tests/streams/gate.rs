//! A gateway before a primary and a fallback provider, and a caller of it that sees every byte.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_core::store::{Store, UnixMillis};
use mainstay_gateway::config::{Environment, parse};
use mainstay_gateway::first_run::first_run;
use mainstay_gateway::settings::Settings;
use mainstay_gateway::{AdminSettings, Gateway, Ground, Plan, engine_spec};
use mainstay_sim::Sim;
use mainstay_store::{LedgerSettings, Sqlite, SqliteLedger};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{Api, paced, sim};

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The answer was whole by its framing; the connection may serve again.
    Whole,
    /// Closed within an answer.
    Cut,
}

/// What a caller got.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    /// The body without its framing.
    pub(crate) body: Vec<u8>,
    pub(crate) end: End,
    /// Until the status line.
    pub(crate) head_after: Duration,
    pub(crate) took: Duration,
    /// The longest time without a byte after the head.
    pub(crate) silence: Duration,
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.end == End::Cut
    }

    /// The error object of a refusal, all four keys checked.
    #[track_caller]
    pub(crate) fn error(&self) -> serde_json::Value {
        let value: serde_json::Value = serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()));
        for key in ["message", "type", "param", "code"] {
            assert!(value["error"].get(key).is_some(), "no {key} in {value}");
        }
        value["error"].clone()
    }
}

/// A gateway with a key.
pub(crate) struct Gate {
    pub(crate) gateway: Gateway,
    key: String,
    /// Where its store is.
    _folder: tempfile::TempDir,
}

/// The settings of the suite: two retries, 30 s for each silence, 600 s in all.
pub(crate) fn settings() -> String {
    settings_with(paced)
}

/// The same, at the pace of life whatever the suite's: where no silence is part of what is looked at, that of a
/// busy machine is none either.
pub(crate) fn unhurried() -> String {
    settings_with(|full| full)
}

fn settings_with(pace: impl Fn(Duration) -> Duration) -> String {
    let text = |seconds| format!("\"{}ms\"", pace(Duration::from_secs(seconds)).as_millis());
    format!(
        "[policy.retry]\nattempts_max = 3\n[policy.timeouts]\nfirst_content_soft = {}\nheaders = {s}\n\
         first_content = {s}\nidle = {s}\ntotal = \"600s\"\n",
        text(10),
        s = text(30)
    )
}

impl Gate {
    /// A gateway over providers, named `primary` and `fallback`; `more` goes into the file.
    pub(crate) fn over(providers: &[SocketAddr], more: &str) -> Gate {
        let mut text = format!("{more}\n");
        for (name, at) in ["primary", "fallback"].iter().zip(providers) {
            let prefill = more.contains("\"continue\"") && *name == "fallback";
            write!(
                text,
                "[[provider]]\nname = \"{name}\"\nbase_url = \"http://{at}/v1\"\napi_key = \"sk-{name}-0001\"\n\
                 supports = {{ prefill = {prefill} }}\n"
            ).expect("writing to a string cannot fail");
        }
        let targets = ["\"primary\"", "\"fallback/fallback-model\""][..providers.len()].join(", ");
        writeln!(text, "[[route]]\nmodel = \"gpt*\"\ntargets = [{targets}]")
            .expect("writing to a string cannot fail");
        let config = parse("suite.toml", &text, &Environment::default()).expect("sound");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mainstay.db");
        let store = Arc::new(Sqlite::open(&path).expect("a store"));
        let first = first_run(&*store, &config, true, UnixMillis(0)).expect("the store works");
        let key = first.key.expect("a first key").expose().to_owned();
        let admin = AdminSettings { auth: first.admin, metrics_open: false };
        let mut settings = Settings::of(&config);
        settings.listen = ([127, 0, 0, 1], 0).into();
        settings.workers = 1;
        let ground = Ground::take(&settings, ([127, 0, 0, 1], 0).into()).expect("free ports");
        let ledger = SqliteLedger::open(&path, LedgerSettings::default()).expect("a ledger");
        let store: Arc<dyn Store> = store;
        let plan = Plan {
            settings,
            admin,
            engine: engine_spec(&config, None),
            store: Some(store),
            // As without any configuration: what is used is asked for and kept account of.
            ledger: Some(Arc::new(ledger)),
            tail: mainstay_gateway::LogTail::default(),
        };
        Gate { gateway: Gateway::start(ground, plan).expect("it starts"), key, _folder: folder }
    }

    /// The bytes of a POST; `more` are further header lines.
    pub(crate) fn post_bytes(&self, path: &str, more: &str, body: &str) -> Vec<u8> {
        self.bytes("POST", path, more, body)
    }

    fn bytes(&self, method: &str, path: &str, more: &str, body: &str) -> Vec<u8> {
        format!(
            "{method} /v1{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n{more}\r\n{body}",
            self.key,
            body.len()
        )
        .into_bytes()
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.gateway.addr()).await.expect("it listens");
        stream.set_nodelay(true).expect("a socket option");
        stream
    }

    pub(crate) async fn post(&self, path: &str, more: &str, body: &str) -> Heard {
        self.send(&self.post_bytes(path, more, body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> serde_json::Value {
        let heard = self.send(&self.bytes("GET", path, "", "")).await;
        serde_json::from_slice(&heard.body).unwrap_or_else(|_| panic!("{}", heard.text()))
    }

    async fn send(&self, bytes: &[u8]) -> Heard {
        const LONGEST: Duration = Duration::from_secs(610);
        let began = Instant::now();
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.expect("it reads");
        let reading = hear(&mut stream, began);
        tokio::time::timeout(LONGEST, reading).await.expect("an end in bounded time")
    }

    /// A streamed call.
    pub(crate) async fn stream(&self, api: Api, said: &str) -> Heard {
        let (path, body) = self.streamed(api, "gpt-4o", said).await;
        self.post(&path, "", &body).await
    }

    /// Path and body of a streamed call; a run needs its thread first.
    pub(crate) async fn streamed(&self, api: Api, model: &str, said: &str) -> (String, String) {
        if api != Api::Run {
            let (_, path) = api.endpoint();
            return (path.to_owned(), api.body(model, said, true).to_string());
        }
        let (assistant, thread) = self.thread(said).await;
        let body = serde_json::json!({"assistant_id": assistant, "stream": true});
        (format!("/threads/{thread}/runs"), body.to_string())
    }

    /// Ids of an assistant and of a thread where the user has said something.
    pub(crate) async fn thread(&self, said: &str) -> (String, String) {
        let id = |heard: &Heard| {
            let value: serde_json::Value = serde_json::from_slice(&heard.body).expect("JSON");
            value["id"].as_str().unwrap_or_else(|| panic!("no id in {value}")).to_owned()
        };
        let assistant = self.post("/assistants", "", r#"{"model":"gpt-4o"}"#).await;
        let messages = serde_json::json!({"messages": [{"role": "user", "content": said}]});
        let thread = self.post("/threads", "", &messages.to_string()).await;
        (id(&assistant), id(&thread))
    }
}

/// Two simulators and a gateway over both.
pub(crate) struct Gates {
    pub(crate) primary: Sim,
    pub(crate) fallback: Sim,
    pub(crate) gate: Gate,
}

pub(crate) async fn gates(primary: &str, fallback: &str) -> Gates {
    gates_with(primary, fallback, &settings()).await
}

pub(crate) async fn gates_with(primary: &str, fallback: &str, settings: &str) -> Gates {
    let (primary, fallback) = (sim(primary).await, sim(fallback).await);
    let gate = Gate::over(&[primary.addr(), fallback.addr()], settings);
    Gates { primary, fallback, gate }
}

/// Reads one answer: to its end by its framing, or to the end of the connection.
pub(crate) async fn hear(stream: &mut TcpStream, began: Instant) -> Heard {
    let (mut raw, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    let (mut head_after, mut silence, mut last) = (None, Duration::ZERO, Instant::now());
    loop {
        let read = match stream.read(&mut buffer).await {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("reading failed: {error}"),
        };
        raw.extend_from_slice(&buffer[..read]);
        if head_after.is_some() {
            silence = silence.max(last.elapsed());
        } else if !raw.is_empty() {
            head_after = Some(began.elapsed());
        }
        last = Instant::now();
        let rest = raw.len() > (64 << 10) && !raw.ends_with(b"0\r\n\r\n");
        if rest && read > 0 {
            // Far from its end, and costly to look at each time.
            continue;
        }
        let Some(mut heard) = take_apart(&raw, read == 0) else {
            assert!(read > 0, "closed without an answer");
            continue;
        };
        if heard.end == End::Whole || read == 0 {
            heard.head_after = head_after.unwrap_or_default();
            heard.took = began.elapsed();
            heard.silence = silence;
            return heard;
        }
    }
}

/// Status, headers and what has come of the body; `None` before the head is there.
fn take_apart(raw: &[u8], over: bool) -> Option<Heard> {
    let end = raw.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&raw[..end]).expect("a head is text");
    let status = head.split(' ').nth(1)?.parse().expect("a status");
    let headers: BTreeMap<String, String> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let rest = &raw[end + 4..];
    let (body, whole) = match headers.get("content-length").map(|text| text.parse::<usize>()) {
        Some(length) => {
            let length = length.expect("a number");
            (rest[..rest.len().min(length)].to_vec(), rest.len() >= length)
        }
        None if headers.contains_key("transfer-encoding") => dechunked(rest),
        None => (rest.to_vec(), over),
    };
    let end = if whole { End::Whole } else { End::Cut };
    let zero = Duration::ZERO;
    Some(Heard { status, headers, body, end, head_after: zero, took: zero, silence: zero })
}

/// A chunked body without its framing, and whether the last chunk has come.
fn dechunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..line]).expect("a size is text");
        let size = usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("no size: {size:?}"));
        let data = &rest[line + 2..];
        if size == 0 {
            return (body, data.starts_with(b"\r\n"));
        }
        body.extend_from_slice(&data[..data.len().min(size)]);
        if data.len() < size + 2 {
            break;
        }
        rest = &data[size + 2..];
    }
    (body, false)
}
