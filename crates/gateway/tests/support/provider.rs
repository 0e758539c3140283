//! A provider made of raw sockets: it reads one request after another and answers with the bytes it
//! was told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Request line and headers, lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        super::header(&self.head, name)
    }
}

/// What it counts and remembers.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) seen: Mutex<Vec<Seen>>,
    pub(crate) open: AtomicUsize,
}

/// A running provider; its threads end with the test.
pub(crate) struct Provider {
    pub(crate) addr: SocketAddr,
    pub(crate) log: Arc<Log>,
}

/// What to do with a request: write to the connection; `false` ends it.
pub(crate) type Answer = dyn Fn(&Seen, &mut TcpStream) -> bool + Send + Sync;

impl Provider {
    /// A provider that answers by `answer`.
    pub(crate) fn new(
        answer: impl Fn(&Seen, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let (log, answer) = (Arc::new(Log::default()), Arc::new(answer));
        let shared = Arc::clone(&log);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                std::thread::spawn(move || {
                    log.open.fetch_add(1, Ordering::SeqCst);
                    serve(stream, &log, &*answer);
                    log.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Provider { addr, log }
    }

    /// A provider that gives every request the same answer.
    pub(crate) fn fixed(bytes: impl Into<Vec<u8>>) -> Provider {
        let bytes = bytes.into();
        Provider::new(move |_, stream| stream.write_all(&bytes).is_ok())
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.log.seen.lock().expect("no panic").clone()
    }

    /// Connections that are open.
    pub(crate) fn open(&self) -> usize {
        self.log.open.load(Ordering::SeqCst)
    }
}

fn serve(stream: TcpStream, log: &Log, answer: &Answer) {
    let _ = stream.set_nodelay(true);
    let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
    let Ok(mut out) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    while let Some(seen) = read(&mut reader) {
        log.seen.lock().expect("no panic").push(seen.clone());
        if !answer(&seen, &mut out) {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line.to_ascii_lowercase());
    }
    let seen = Seen { head, body: Vec::new() };
    let mut body = Vec::new();
    if let Some(length) = seen.header("content-length").and_then(|text| text.parse().ok()) {
        body.resize(length, 0);
        reader.read_exact(&mut body).ok()?;
    } else if seen.header("transfer-encoding").is_some() {
        read_chunks(reader, &mut body)?;
    }
    Some(Seen { body, ..seen })
}

fn read_chunks(reader: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> Option<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut piece = vec![0; size + 2];
        reader.read_exact(&mut piece).ok()?;
        if size == 0 {
            return Some(());
        }
        body.extend_from_slice(&piece[..size]);
    }
}

/// A sound JSON answer with more header lines.
pub(crate) fn json(status: &str, more: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{more}\r\n{body}",
        body.len()
    )
}

/// A sound chat completion.
pub(crate) const COMPLETION: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

/// A sound answer to a chat call.
pub(crate) fn completion() -> String {
    json("200 OK", "", COMPLETION)
}
