//! What an attempt costs this side: CPU time and turns of its task, over kept connections to a
//! server on another thread. `cargo run --release -p mainstay --example transport_cost`; Linux,
//! whose `/proc` tells a thread's CPU time.
#![expect(clippy::print_stdout, reason = "a measuring tool prints what it measured")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use mainstay::http::HttpUpstream;
use mainstay::upstream::{
    Attempt, AttemptEvent, AttemptRequest, Destination, RequestBody, Upstream,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ATTEMPTS: u64 = 100_000;
const AT_ONCE: u64 = 32;
const BODY: &[u8] = &[b'x'; 1_024];

fn main() -> std::io::Result<()> {
    for chunks in [0, 20] {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            runtime()?.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let _ = tell.send(listener.local_addr()?);
                serve(listener, chunks).await
            })
        });
        let address = told.recv().map_err(std::io::Error::other)?;
        runtime()?.block_on(measure(address, chunks))?;
    }
    Ok(())
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn measure(address: SocketAddr, chunks: usize) -> std::io::Result<()> {
    let upstream = Arc::new(HttpUpstream::default());
    let destination = Arc::new(Destination {
        tls: false,
        host: address.ip().to_string(),
        port: address.port(),
        proxy: None,
        ca_file: None,
    });
    let attempts = if chunks == 0 { ATTEMPTS } else { ATTEMPTS / 10 };
    let before = cpu_time()?;
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (upstream, destination) = (Arc::clone(&upstream), Arc::clone(&destination));
            tokio::spawn(async move {
                let mut turns = 0;
                for _ in 0..attempts / AT_ONCE {
                    turns += play(upstream.start(request(&destination))).await;
                }
                turns
            })
        })
        .collect();
    let mut turns = 0;
    for task in tasks {
        turns += task.await.map_err(std::io::Error::other)?;
    }
    let spent = cpu_time()?.saturating_sub(before);
    let each = spent.as_secs_f64() * 1e6 / attempts as f64;
    let turns = turns as f64 / attempts as f64;
    println!("{chunks} chunks: {each:.2} µs CPU and {turns:.2} turns an attempt; {upstream:?}");
    Ok(())
}

/// Plays an attempt to its end; how often its task was polled meanwhile.
async fn play(mut attempt: impl Attempt) -> u64 {
    let mut turns = 0;
    std::future::poll_fn(|cx| {
        turns += 1;
        loop {
            match std::task::ready!(attempt.poll_event(cx)) {
                AttemptEvent::Sending { .. } | AttemptEvent::Head(_) | AttemptEvent::Data(_) => {}
                AttemptEvent::End | AttemptEvent::Fault(_) => {
                    return std::task::Poll::Ready(());
                }
            }
        }
    })
    .await;
    turns
}

fn request(destination: &Arc<Destination>) -> AttemptRequest {
    let mut headers = HeaderMap::new();
    for name in ["authorization", "content-type", "accept", "user-agent", "accept-encoding"] {
        headers.insert(name, http::HeaderValue::from_static("something of usual length"));
    }
    AttemptRequest {
        destination: Arc::clone(destination),
        method: Method::POST,
        path: PathAndQuery::from_static("/v1/chat/completions"),
        headers: headers.into(),
        body: RequestBody::Full(Bytes::from_static(BODY)),
        connect_timeout: Duration::from_secs(5),
    }
}

async fn serve(listener: TcpListener, chunks: usize) -> std::io::Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(answer(socket, chunks));
    }
}

/// Answers each request: at once, or in chunks a turn of the server apart.
async fn answer(mut socket: TcpStream, chunks: usize) -> std::io::Result<()> {
    let mut seen = Vec::with_capacity(8 * 1024);
    loop {
        seen.clear();
        while !seen.ends_with(BODY) {
            if socket.read_buf(&mut seen).await? == 0 {
                return Ok(());
            }
        }
        if chunks == 0 {
            let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_1\r\ncontent-length: 1024\r\n\r\n";
            socket.write_all(&[&head[..], BODY].concat()).await?;
            continue;
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
        for _ in 0..chunks {
            tokio::time::sleep(Duration::from_millis(1)).await;
            socket.write_all(b"10\r\ndata: 123456789\n\r\n").await?;
        }
        socket.write_all(b"0\r\n\r\n").await?;
    }
}

/// CPU time of this thread.
fn cpu_time() -> std::io::Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| std::io::Error::other("no schedstat"))
}
