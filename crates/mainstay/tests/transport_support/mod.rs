//! Help for the transport's tests: small servers, and an attempt played to its end.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of it")]

pub(crate) mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use mainstay::upstream::{
    Attempt, AttemptEvent, AttemptRequest, Destination, RequestBody, RequestHeaders, Upstream,
};
use mainstay_core::classify::TransportFault;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What an attempt told, in order.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) sending: Vec<bool>,
    pub(crate) status: Option<u16>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) ended: bool,
    pub(crate) fault: Option<TransportFault>,
}

impl Told {
    /// Status and body of an answer that ended cleanly.
    #[track_caller]
    pub(crate) fn answer(&self) -> (u16, String) {
        assert!(self.ended && self.fault.is_none(), "no clean end: {self:?}");
        (self.status.expect("a head"), String::from_utf8_lossy(&self.body).into_owned())
    }
}

pub(crate) async fn next(attempt: &mut impl Attempt) -> AttemptEvent {
    std::future::poll_fn(|cx| attempt.poll_event(cx)).await
}

/// Longest wait for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Plays an attempt to its end.
pub(crate) async fn play(attempt: impl Attempt) -> Told {
    let all = tokio::time::timeout(PATIENCE, play_untimed(attempt));
    all.await.expect("the attempt ends")
}

async fn play_untimed(mut attempt: impl Attempt) -> Told {
    let mut told = Told::default();
    loop {
        match next(&mut attempt).await {
            AttemptEvent::Sending { reused } => {
                assert!(told.status.is_none(), "sending comes before the head");
                told.sending.push(reused);
            }
            AttemptEvent::Head(head) => {
                assert!(told.status.is_none(), "one head");
                told.status = Some(head.status.as_u16());
                told.headers = head.headers.to_map();
            }
            AttemptEvent::Data(data) => {
                assert!(told.status.is_some() && !data.is_empty(), "data follows the head");
                told.body.extend_from_slice(&data);
            }
            AttemptEvent::End => {
                told.ended = true;
                return told;
            }
            AttemptEvent::Fault(fault) => {
                told.fault = Some(fault);
                return told;
            }
        }
    }
}

pub(crate) fn to(address: SocketAddr) -> Arc<Destination> {
    Arc::new(Destination {
        tls: false,
        host: address.ip().to_string(),
        port: address.port(),
        proxy: None,
        ca_file: None,
    })
}

pub(crate) fn get(destination: &Arc<Destination>) -> AttemptRequest {
    request(destination, Method::GET, RequestBody::Empty)
}

pub(crate) fn post(destination: &Arc<Destination>, body: impl Into<Bytes>) -> AttemptRequest {
    request(destination, Method::POST, RequestBody::Full(body.into()))
}

pub(crate) fn request(
    destination: &Arc<Destination>,
    method: Method,
    body: RequestBody,
) -> AttemptRequest {
    AttemptRequest {
        destination: Arc::clone(destination),
        method,
        path: PathAndQuery::from_static("/v1/chat/completions?x=y"),
        headers: RequestHeaders::default(),
        body,
        connect_timeout: Duration::from_secs(5),
    }
}

pub(crate) async fn send(upstream: &impl Upstream, request: AttemptRequest) -> Told {
    play(upstream.start(request)).await
}

/// A server that runs `serve(socket, number of the connection from 0)` for each connection.
pub(crate) async fn server<F, Fut>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream, usize) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let count = AtomicUsize::new(0);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, count.fetch_add(1, Ordering::SeqCst)));
        }
    });
    address
}

/// A server that gives this answer to every connection's first request and closes.
pub(crate) async fn answers_once(answer: impl Into<Bytes>) -> SocketAddr {
    let answer = answer.into();
    server(move |mut socket, _| {
        let answer = answer.clone();
        async move {
            if read_request(&mut socket).await.is_some() {
                let _ = socket.write_all(&answer).await;
                let _ = socket.shutdown().await;
            }
        }
    })
    .await
}

/// Head and body of the next request, `None` when the connection ended before one.
pub(crate) async fn read_request(
    socket: &mut (impl AsyncRead + Unpin),
) -> Option<(String, Vec<u8>)> {
    let mut seen = Vec::new();
    let head_end = loop {
        if let Some(at) = seen.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(&mut seen).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&seen[..head_end]).to_ascii_lowercase();
    let mut body = seen.split_off(head_end);
    if head.contains("transfer-encoding: chunked") {
        while !body.ends_with(b"0\r\n\r\n") {
            if socket.read_buf(&mut body).await.ok()? == 0 {
                return None;
            }
        }
    } else {
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.trim().parse().expect("a length"));
        while body.len() < length {
            if socket.read_buf(&mut body).await.ok()? == 0 {
                return None;
            }
        }
    }
    Some((head, body))
}

/// Holds what happens to a time, in one round of five. A wait by rule is in every round; what a busy
/// machine adds is not.
pub(crate) async fn soon(most: Duration, mut round: impl AsyncFnMut() -> Duration) {
    const ROUNDS: usize = 5;
    let mut times = Vec::new();
    while times.len() < ROUNDS {
        let took = round().await;
        if took < most {
            return;
        }
        times.push(took);
    }
    panic!("less than {most:?} in no round: {times:?}");
}

/// Waits until it holds, for twenty seconds at most.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..4_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never came true: {what}");
}
