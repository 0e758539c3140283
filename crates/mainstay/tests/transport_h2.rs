//! Promises of the transport over HTTP/2: one connection for all, its limits kept, resets exact.

mod transport_support;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mainstay::http::{HttpSettings, HttpUpstream};
use mainstay::upstream::{AttemptEvent, Destination, Upstream};
use mainstay_core::classify::TransportFault;
use tokio::sync::Notify;
use transport_support::tls::{Authority, tls_server};
use transport_support::*;

type Answer = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

/// What a server over HTTP/2 has seen.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    open: AtomicUsize,
    open_most: AtomicUsize,
    reset: AtomicUsize,
}

/// Counts a stream as open while it lives, and as reset when it ends unfinished.
struct Open {
    seen: Arc<Seen>,
    finished: bool,
}

impl Open {
    fn new(seen: &Arc<Seen>) -> Self {
        let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
        seen.open_most.fetch_max(open, Ordering::SeqCst);
        Self { seen: Arc::clone(seen), finished: false }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.seen.open.fetch_sub(1, Ordering::SeqCst);
        if !self.finished {
            self.seen.reset.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A server with at most `streams` at once that lets `answer` answer.
async fn h2_server<F, Fut>(streams: u32, answer: F) -> (Authority, Arc<Destination>, Arc<Seen>)
where
    F: Fn(Request<Incoming>, Open) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Answer> + Send + 'static,
{
    let authority = Authority::new();
    let seen = Arc::new(Seen::default());
    let shared = Arc::clone(&seen);
    let acceptor = authority.acceptor("localhost", &["h2", "http/1.1"]);
    let address = tls_server(acceptor, move |socket, _| {
        let (seen, answer) = (Arc::clone(&shared), answer.clone());
        async move {
            seen.connections.fetch_add(1, Ordering::SeqCst);
            let service = service_fn(move |request| {
                let open = Open::new(&seen);
                let answer = answer(request, open);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .max_concurrent_streams(streams)
                .serve_connection(TokioIo::new(socket), service)
                .await;
        }
    })
    .await;
    let destination = authority.to("localhost", address);
    (authority, destination, seen)
}

async fn echo(request: Request<Incoming>, mut open: Open) -> Answer {
    let line = format!("{} {} {:?}", request.method(), request.uri(), request.version());
    let body = request.into_body().collect().await.expect("a body").to_bytes();
    tokio::time::sleep(Duration::from_millis(20)).await;
    open.finished = true;
    let text = format!("{line} {}", String::from_utf8_lossy(&body));
    Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync())
}

#[tokio::test]
async fn many_attempts_share_one_connection_from_the_first_on() {
    let (_authority, destination, seen) = h2_server(500, echo).await;
    let upstream = HttpUpstream::default();
    let all: Vec<_> = (0..100)
        .map(|n| tokio::spawn(play(upstream.start(post(&destination, format!("{n}"))))))
        .collect();
    for (n, one) in all.into_iter().enumerate() {
        let (status, text) = one.await.expect("plays").answer();
        let port = destination.port;
        assert_eq!(status, 200);
        assert_eq!(
            text,
            format!("POST https://localhost:{port}/v1/chat/completions?x=y HTTP/2.0 {n}")
        );
    }
    assert_eq!(seen.connections.load(Ordering::SeqCst), 1);
    let stats = upstream.stats();
    assert_eq!((stats.opened, stats.reused, stats.idle), (1, 99, 1));
}

#[tokio::test]
async fn the_other_ends_limit_of_streams_opens_further_connections() {
    let (_authority, destination, seen) = h2_server(5, echo).await;
    let upstream = HttpUpstream::default();
    // The limit arrives with the first answer.
    send(&upstream, get(&destination)).await.answer();
    let all: Vec<_> =
        (0..20).map(|_| tokio::spawn(play(upstream.start(get(&destination))))).collect();
    for one in all {
        assert_eq!(one.await.expect("plays").answer().0, 200);
    }
    let connections = seen.connections.load(Ordering::SeqCst);
    assert!((2..=5).contains(&connections), "{connections}");
}

#[tokio::test]
async fn a_dropped_attempt_resets_its_stream_and_no_other() {
    async fn endless(request: Request<Incoming>, open: Open) -> Answer {
        if request.method() == http::Method::GET {
            return echo(request, open).await;
        }
        if request.headers().contains_key("x-silent") {
            std::future::pending::<()>().await;
        }
        Response::new(Endless(open).boxed_unsync())
    }
    let (_authority, destination, seen) = h2_server(100, endless).await;
    let upstream = HttpUpstream::default();
    for silent in [true, false] {
        // What a busy machine adds is not ours: a small call beside it, which rests for 20 ms, shows how
        // much that is. What the other end has sent until it knows is the work of many such calls.
        let mut rounds = Vec::new();
        let soon = |(took, call): &(Duration, Duration)| {
            let work = call.saturating_sub(Duration::from_millis(20));
            *took < Duration::from_millis(100) + work * 20
        };
        while !rounds.last().is_some_and(soon) {
            assert!(rounds.len() < 5, "the reset, and a small call: {rounds:?}");
            let took = reset_after(&upstream, &destination, &seen, silent).await;
            let start = tokio::time::Instant::now();
            send(&upstream, get(&destination)).await.answer();
            rounds.push((took, start.elapsed()));
        }
    }
    send(&upstream, get(&destination)).await.answer();
    assert_eq!(seen.connections.load(Ordering::SeqCst), 1, "the connection lives on");
}

/// How long after an attempt was dropped, before its head or within its body, the other end knows.
async fn reset_after(
    upstream: &HttpUpstream,
    destination: &Arc<Destination>,
    seen: &Seen,
    silent: bool,
) -> Duration {
    let mut request = post(destination, "x");
    if silent {
        let value = http::HeaderValue::from_static("1");
        request.headers.insert(http::HeaderName::from_static("x-silent"), value);
    }
    let before = seen.reset.load(Ordering::SeqCst);
    let mut attempt = upstream.start(request);
    assert!(matches!(next(&mut attempt).await, AttemptEvent::Sending { .. }));
    if silent {
        // What was not there yet cannot be seen to go.
        let there = eventually("the request is there", || seen.open.load(Ordering::SeqCst) > 0);
        tokio::select! {
            head = next(&mut attempt) => panic!("a head: {head:?}"),
            () = there => {}
        }
    } else {
        assert!(matches!(next(&mut attempt).await, AttemptEvent::Head(_)));
        assert!(matches!(next(&mut attempt).await, AttemptEvent::Data(_)));
    }
    drop(attempt);
    let start = tokio::time::Instant::now();
    eventually("reset", || seen.reset.load(Ordering::SeqCst) == before + 1).await;
    start.elapsed()
}

/// A body that never ends; `Open` goes with it.
struct Endless(#[expect(dead_code, reason = "dropped with the body")] Open);

impl Body for Endless {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 1024])))))
    }
}

/// A body that gives one piece and breaks when that has left.
struct Broken(Option<Pin<Box<tokio::time::Sleep>>>);

impl Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if let Some(pause) = &mut self.0 {
            std::task::ready!(pause.as_mut().poll(cx));
            return Poll::Ready(Some(Err(std::io::Error::other("broken"))));
        }
        self.0 = Some(Box::pin(tokio::time::sleep(Duration::from_millis(30))));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"half")))))
    }
}

#[tokio::test]
async fn a_stream_that_is_reset_is_cut() {
    async fn broken(_: Request<Incoming>, mut open: Open) -> Answer {
        open.finished = true;
        Response::new(Broken(None).boxed_unsync())
    }
    let (_authority, destination, _) = h2_server(100, broken).await;
    let told = send(&HttpUpstream::default(), post(&destination, "x")).await;
    assert_eq!(told.fault, Some(TransportFault::CutMidBody));
    assert_eq!(told.status, Some(200));
}

#[tokio::test]
async fn a_connection_that_is_closed_is_replaced() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("localhost", &["h2"]);
    let end = Arc::new(Notify::new());
    let ended = Arc::clone(&end);
    let address = tls_server(acceptor, move |socket, _| {
        let ended = Arc::clone(&ended);
        async move {
            let service = service_fn(|_| async {
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"ok"))))
            });
            let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(socket), service);
            let mut serving = std::pin::pin!(serving);
            tokio::select! {
                _ = serving.as_mut() => return,
                () = ended.notified() => {}
            }
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    })
    .await;
    let upstream = HttpUpstream::default();
    let destination = authority.to("localhost", address);
    for _ in 0..3 {
        assert_eq!(send(&upstream, post(&destination, "x")).await.answer(), (200, "ok".into()));
        end.notify_one();
        eventually("it is known to be closed", || upstream.stats().idle == 0).await;
    }
    assert_eq!(upstream.stats().opened, 3);
}

#[tokio::test]
async fn an_unused_connection_ends_with_its_time() {
    let (_authority, destination, _) = h2_server(100, echo).await;
    let idle_max = Duration::from_millis(150);
    let upstream = HttpUpstream::new(HttpSettings { idle_max, ..HttpSettings::default() });
    send(&upstream, get(&destination)).await.answer();
    assert_eq!(upstream.stats().idle, 1);
    eventually("closed", || upstream.stats().idle == 0).await;
}

#[tokio::test]
async fn a_large_body_flows_both_ways() {
    let (_authority, destination, _) = h2_server(100, echo).await;
    let upstream = HttpUpstream::default();
    let body = "x".repeat(5 << 20);
    let told = send(&upstream, post(&destination, body.clone())).await;
    assert!(told.answer().1.ends_with(&body));
}
