//! A client that hides nothing: it keeps every byte and tells how the connection ended.

use mainstay_sim::{Scenario, Sim, SimConfig};
use serde_json::Value;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Fin,
    Reset,
    /// Still open when the client lost patience.
    Open,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: End,
    pub(crate) took: Duration,
}

pub(crate) async fn start(scenario: &str) -> Sim {
    let scenario = Scenario::from_toml(scenario).expect("the scenario of the test is sound");
    let listen = "127.0.0.1:0".parse().expect("a literal address");
    Sim::start(SimConfig { listen, scenario }).await.expect("a free port can be listened on")
}

pub(crate) async fn connect(addr: SocketAddr) -> TcpStream {
    TcpStream::connect(addr).await.expect("the simulator accepts")
}

/// Reads until the connection ends or `patience` is over.
pub(crate) async fn read(stream: &mut TcpStream, patience: Duration) -> Seen {
    let began = Instant::now();
    let mut bytes = Vec::new();
    let reading = async {
        let mut buffer = vec![0; 16_384];
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) => return End::Fin,
                Ok(read) => bytes.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return End::Reset,
                Err(error) => panic!("reading failed: {error}"),
            }
        }
    };
    let end = tokio::time::timeout(patience, reading).await.unwrap_or(End::Open);
    Seen { bytes, end, took: began.elapsed() }
}

/// Waits until something came back; it stays open.
pub(crate) async fn begun(stream: &mut TcpStream) {
    let mut some = [0; 1_024];
    let reading = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut some));
    let read = reading.await.expect("an answer begins").expect("it can be read");
    assert!(read > 0, "it ended before it began");
}

/// Sends a request on a connection of its own and reads to the end of that.
pub(crate) async fn send(
    addr: SocketAddr,
    head: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Seen {
    let mut stream = connect(addr).await;
    stream
        .write_all(request(head, headers, body, true).as_bytes())
        .await
        .expect("the request is taken");
    read(&mut stream, Duration::from_secs(30)).await
}

pub(crate) fn request(head: &str, headers: &[(&str, &str)], body: &str, close: bool) -> String {
    let mut text = format!("{head} HTTP/1.1\r\nhost: sim\r\ncontent-length: {}\r\n", body.len());
    if close {
        text.push_str("connection: close\r\n");
    }
    for (name, value) in headers {
        text.extend([*name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    text.push_str(body);
    text
}

pub(crate) const KEY: (&str, &str) = ("authorization", "Bearer sk-test");

pub(crate) fn chat_body(model: &str, stream: bool) -> String {
    format!(
        r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"hello in 8 words"}}]}}"#
    )
}

/// A chat with some more headers.
pub(crate) async fn chat(
    addr: SocketAddr,
    model: &str,
    stream: bool,
    headers: &[(&str, &str)],
) -> Seen {
    let mut all = vec![KEY];
    all.extend(headers);
    send(addr, "POST /v1/chat/completions", &all, &chat_body(model, stream)).await
}

pub(crate) async fn stats(addr: SocketAddr) -> Value {
    send(addr, "GET /sim/stats", &[], "").await.json()
}

impl Seen {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn status(&self) -> u16 {
        let text = self.text();
        let code = text.split(' ').nth(1).unwrap_or_else(|| panic!("no status line in {text:?}"));
        code.parse().expect("a status is a number")
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let text = self.text();
        let head = text.split("\r\n\r\n").next()?;
        let fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
            .next()
    }

    /// The body as it stands on the wire, chunk sizes included.
    pub(crate) fn raw_body(&self) -> String {
        self.text().split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }

    /// The body without chunk sizes, and whether it came to its proper end.
    pub(crate) fn body(&self) -> (String, bool) {
        let raw = self.raw_body();
        if self.header("transfer-encoding").is_none() {
            let length: usize =
                self.header("content-length").expect("a length").parse().expect("a number");
            return (raw.clone(), raw.len() == length);
        }
        let (mut rest, mut whole) = (raw.as_str(), String::new());
        loop {
            let Some((size, after)) = rest.split_once("\r\n") else { return (whole, false) };
            let size = usize::from_str_radix(size, 16).expect("a chunk size");
            if size == 0 {
                return (whole, after == "\r\n");
            }
            whole.push_str(&after[..size.min(after.len())]);
            let Some(next) = after.get(size + 2..) else { return (whole, false) };
            rest = next;
        }
    }

    pub(crate) fn json(&self) -> Value {
        let (body, proper) = self.body();
        assert!(proper, "the body is cut: {}", self.text());
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }
}
