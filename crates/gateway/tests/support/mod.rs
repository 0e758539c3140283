//! Help for the gateway's tests: a gateway with a key, a provider made of raw sockets, and callers
//! that see every byte.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of it")]

pub(crate) mod console;
pub(crate) mod mmdb;
pub(crate) mod provider;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use mainstay_core::store::{KeyRecord, NewKey, Scope, Scopes, Store, UnixMillis};
use mainstay_gateway::config::{Config, Environment, parse};
use mainstay_gateway::first_run::first_run;
use mainstay_gateway::settings::Settings;
use mainstay_gateway::{AdminSettings, Gateway, Ground, Plan, engine_spec};
use mainstay_store::{Memory, digest, mint};
use tokio::time::Instant;

/// The administration token of every gateway here.
pub(crate) const TOKEN: &str = "test-token-0123456789";

/// A running gateway, its store, and a key with every right.
pub(crate) struct Front {
    pub(crate) gateway: Gateway,
    pub(crate) store: Arc<Memory>,
    pub(crate) key: String,
}

/// A gateway before a provider at `upstream` (`127.0.0.1:port`); `more` is added to the file.
pub(crate) fn front(upstream: SocketAddr, more: &str) -> Front {
    let text = format!(
        "{more}\n[[provider]]\nname = \"up\"\nbase_url = \"http://{upstream}/v1\"\napi_key = \"sk-upstream-secret\"\n"
    );
    start(
        &parse("test.toml", &text, &Environment::default()).expect("a sound configuration"),
        |_| {},
    )
}

/// A gateway of a configuration, its settings changed by `adjust`.
pub(crate) fn start(config: &Config, adjust: impl FnOnce(&mut Settings)) -> Front {
    start_on(Arc::new(Memory::new()), config, adjust)
}

/// A gateway over a store that others may have too.
pub(crate) fn start_on(
    store: Arc<Memory>,
    config: &Config,
    adjust: impl FnOnce(&mut Settings),
) -> Front {
    let key = add_key(&*store, Scopes::default().with(Scope::Passthrough), None);
    let mut settings = Settings::read(config).expect("files that can be used");
    settings.listen = "127.0.0.1:0".parse().expect("an address");
    settings.workers = 2;
    adjust(&mut settings);
    let first = first_run(
        &*store,
        &parse("t", &format!("[admin]\ntoken = \"{TOKEN}\""), &Environment::default())
            .expect("sound"),
        false,
        UnixMillis(0),
    );
    let admin =
        AdminSettings { auth: first.expect("a memory store works").admin, metrics_open: false };
    let ground =
        Ground::take(&settings, "127.0.0.1:0".parse().expect("an address")).expect("free ports");
    let shared: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
    let plan = Plan {
        settings,
        admin,
        engine: engine_spec(config, None),
        store: Some(shared),
        ledger: None,
        tail: mainstay_gateway::LogTail::default(),
    };
    Front { gateway: Gateway::start(ground, plan).expect("the gateway starts"), store, key }
}

/// A new key in a store.
pub(crate) fn add_key(store: &dyn Store, scopes: Scopes, expires_at: Option<UnixMillis>) -> String {
    let change = |new: &mut NewKey| (new.scopes, new.expires_at) = (scopes, expires_at);
    new_key(store, change).1
}

/// A new key of a project: its id and its text.
pub(crate) fn key_in(store: &dyn Store, project: &str) -> (String, String) {
    let (record, text) = new_key(store, |new| new.project = Some(project.to_owned()));
    (record.id(), text)
}

/// A new key in a store, as `change` makes it: its record and its text.
pub(crate) fn new_key(store: &dyn Store, change: impl FnOnce(&mut NewKey)) -> (KeyRecord, String) {
    let text = mint().expect("random bytes");
    let mut new = NewKey {
        public: text.public(),
        digest: digest(text.secret().as_bytes()),
        name: "test".to_owned(),
        project: None,
        user: None,
        scopes: Scopes::default(),
        models: Vec::new(),
        expires_at: None,
    };
    change(&mut new);
    let record = store.create_key(new, UnixMillis(0)).expect("a key");
    (record, text.expose().to_owned())
}

impl Front {
    /// A new connection.
    pub(crate) fn connect(&self) -> Caller {
        Caller::to(self.gateway.addr())
    }

    /// Sends a POST with a JSON body on a new connection and reads the answer.
    pub(crate) fn post(&self, path: &str, body: &str) -> Reply {
        let mut caller = self.connect();
        caller.send(&self.post_bytes(path, "", body));
        caller.answer()
    }

    /// A POST with the key, more header lines, and a JSON body.
    pub(crate) fn post_bytes(&self, path: &str, more: &str, body: &str) -> Vec<u8> {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n{more}\r\n{body}",
            self.key,
            body.len()
        )
        .into_bytes()
    }

    /// Sends bytes on a new connection and reads the answer.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Reply {
        let mut caller = self.connect();
        caller.send(bytes);
        caller.answer()
    }

    /// A GET with the key.
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.raw(
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", self.key)
                .as_bytes(),
        )
    }
}

/// A chat call without a stream.
pub(crate) const CHAT: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;
/// A chat call with a stream.
pub(crate) const STREAM: &str =
    r#"{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

/// One connection of a caller.
pub(crate) struct Caller {
    pub(crate) stream: TcpStream,
    rest: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Caller {
    pub(crate) fn to(addr: SocketAddr) -> Caller {
        let stream = TcpStream::connect(addr).expect("the gateway listens");
        stream.set_read_timeout(Some(Duration::from_secs(120))).expect("a socket option");
        stream.set_nodelay(true).expect("a socket option");
        Caller { stream, rest: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the gateway reads");
    }

    /// The next piece of bytes; empty at the end.
    pub(crate) fn piece(&mut self) -> Vec<u8> {
        if !self.rest.is_empty() {
            return std::mem::take(&mut self.rest);
        }
        let mut buffer = vec![0; 64 * 1024];
        let read = self.stream.read(&mut buffer).unwrap_or(0);
        buffer.truncate(read);
        buffer
    }

    /// Status line and headers.
    pub(crate) fn head(&mut self) -> (u16, String) {
        let mut data = Vec::new();
        loop {
            if let Some(end) = data.windows(4).position(|four| four == b"\r\n\r\n") {
                self.rest = data.split_off(end + 4);
                let head = String::from_utf8_lossy(&data).to_ascii_lowercase();
                let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
                let status = status.unwrap_or_else(|| panic!("no status in {head:?}"));
                if status == 100 {
                    data = std::mem::take(&mut self.rest);
                    continue;
                }
                return (status, head);
            }
            let piece = self.piece();
            assert!(
                !piece.is_empty(),
                "the connection ended within a head: {:?}",
                String::from_utf8_lossy(&data)
            );
            data.extend_from_slice(&piece);
        }
    }

    /// A whole answer.
    pub(crate) fn answer(&mut self) -> Reply {
        let (status, head) = self.head();
        let length = header(&head, "content-length").and_then(|text| text.parse::<usize>().ok());
        let mut body = std::mem::take(&mut self.rest);
        let chunked = header(&head, "transfer-encoding").is_some();
        loop {
            let whole = match length {
                Some(length) => body.len() >= length,
                None if chunked => body.ends_with(b"0\r\n\r\n"),
                None => false,
            };
            if whole || status == 204 {
                break;
            }
            let piece = self.piece();
            if piece.is_empty() {
                break;
            }
            body.extend_from_slice(&piece);
        }
        if let Some(length) = length {
            self.rest = body.split_off(length.min(body.len()));
        }
        Reply { status, head, body: if chunked { dechunked(&body) } else { body } }
    }
}

impl Reply {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// Checks status and kind, and everything every refusal has. Gives the message.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, kind: &str) -> String {
        assert_eq!(self.status, status, "{} {}", self.head, String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("x-mainstay-kind"), Some(kind), "{}", self.head);
        assert!(
            self.header("x-request-id").is_some_and(|id| id.starts_with("req_")),
            "{}",
            self.head
        );
        assert!(self.header("x-should-retry").is_some(), "{}", self.head);
        assert_eq!(self.header("content-type"), Some("application/json"));
        let value = self.json();
        let error = value["error"].as_object().expect("an error object");
        for key in ["message", "type", "param", "code"] {
            assert!(error.contains_key(key), "no {key} in {value}");
        }
        error["message"].as_str().expect("a message").to_owned()
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found == name).then(|| value.trim())
    })
}

fn dechunked(mut data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = data.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&data[..end])
            .ok()
            .and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let Some(size) = size.filter(|size| *size > 0 && end + 2 + size <= data.len()) else {
            break;
        };
        out.extend_from_slice(&data[end + 2..end + 2 + size]);
        data = &data[(end + 4 + size).min(data.len())..];
    }
    out
}

/// Waits until something holds, half a minute at most: how long it takes where much else is done is
/// no part of what is asked.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what} does not come about");
        std::thread::sleep(Duration::from_millis(2));
    }
    began.elapsed()
}

/// Holds what happens to a time, in so many rounds of five. A wait by rule is in every round; what a busy
/// machine adds is not.
#[track_caller]
pub(crate) fn soon(most: Duration, enough: usize, mut round: impl FnMut() -> Duration) {
    const ROUNDS: usize = 5;
    let mut times = Vec::new();
    while times.len() < ROUNDS {
        times.push(round());
        if times.iter().filter(|took| **took < most).count() >= enough {
            return;
        }
    }
    panic!("less than {most:?} in fewer than {enough} of {times:?}");
}
