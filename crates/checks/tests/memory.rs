//! Memory of streams whose callers do not read: bounded for each, however much the provider has to
//! say. A process of its own, because what is measured is the process.

#![cfg(target_os = "linux")]

#[path = "streams/gate.rs"]
#[expect(dead_code, reason = "the suite of streams uses the rest")]
mod gate;
#[path = "streams/world.rs"]
#[expect(dead_code, reason = "the suite of streams uses the rest")]
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gate::Gate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Streams that nobody reads at the same time.
const STREAMS: usize = if cfg!(feature = "full") { 400 } else { 40 };
/// What each may keep in memory beside the request's body and the delivered text.
const EACH_MAX: u64 = 48 << 10;

/// An event of usual size of which five bytes are text, so that what is kept of the text hardly counts.
fn event() -> Vec<u8> {
    let filler = "x".repeat(200);
    format!(
        "data: {{\"id\":\"a\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{{\"index\":0,\
         \"delta\":{{\"content\":\" word\"}},\"finish_reason\":null}}],\"obfuscation\":\"{filler}\"}}\n\n"
    )
    .into_bytes()
}

/// Answers a request with events without end, as fast as they are taken; counts what was.
async fn pour(mut stream: TcpStream, taken: Arc<AtomicU64>) {
    let mut request = [0; 4096];
    if !matches!(stream.read(&mut request).await, Ok(1..)) {
        return;
    }
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let _ = stream.write_all(head).await;
    let events = event().repeat(16);
    while let Ok(()) = stream.write_all(&events).await {
        taken.fetch_add(events.len() as u64, Ordering::Relaxed);
    }
}

/// A provider that never stops.
async fn provider(taken: Arc<AtomicU64>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(pour(stream, Arc::clone(&taken)));
        }
    });
    addr
}

/// A caller who takes the beginning of the answer and then nothing more.
async fn caller(gate: &Gate, request: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(8 << 10).expect("a socket option");
    let mut stream = socket.connect(gate.gateway.addr()).await.expect("it listens");
    stream.write_all(request).await.expect("it reads");
    let mut some = [0; 2048];
    assert!(stream.read(&mut some).await.expect("an answer") > 0);
    stream
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("it does");
    let kib: u64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
    kib << 10
}

/// Waits until the provider is held back: nothing was taken for a while.
async fn stalled(taken: &AtomicU64) {
    let mut before = u64::MAX;
    for _ in 0..200 {
        let so_far = taken.load(Ordering::Relaxed);
        if so_far == before {
            return;
        }
        before = so_far;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    panic!("the provider is not held back: {before} bytes and more");
}

#[tokio::test]
async fn a_stream_that_is_not_read_holds_its_provider_back_and_little_memory() {
    let taken = Arc::new(AtomicU64::new(0));
    let gate = Gate::over(&[provider(Arc::clone(&taken)).await], "");
    let body = r#"{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let request = gate.post_bytes("/chat/completions", "", body);
    // What is made once is not a stream's.
    let mut callers = Vec::new();
    for _ in 0..10 {
        callers.push(caller(&gate, &request).await);
    }
    stalled(&taken).await;
    let (first, before) = (taken.load(Ordering::Relaxed), resident());
    for _ in 0..STREAMS {
        callers.push(caller(&gate, &request).await);
    }
    stalled(&taken).await;
    let count = STREAMS as u64;
    let each = resident().saturating_sub(before) / count;
    let sent = (taken.load(Ordering::Relaxed) - first) / count;
    let text = sent * 5 / event().len() as u64;
    println!(
        "{count} unread streams: {each} bytes each, {sent} bytes sent by the provider of which {text} of text"
    );
    // A list that grows has room for as much again.
    let most = EACH_MAX + 2 * text;
    assert!(each <= most, "{each} bytes a stream, {most} are promised");
    assert!(sent < 16 << 20, "{sent} bytes were taken for each caller who reads nothing");
    assert_eq!(gate.gateway.in_flight(), callers.len() as u64);
    drop(callers);
    for _ in 0..500 {
        if gate.gateway.in_flight() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} calls stay on the books", gate.gateway.in_flight());
}
