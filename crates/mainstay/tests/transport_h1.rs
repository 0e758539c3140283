//! Promises of the transport over plain HTTP/1.1: reuse, truthful ends, nothing sent twice.

mod transport_support;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use mainstay::http::HttpUpstream;
use mainstay::upstream::{AttemptEvent, BodyBroken, RequestBody, Upstream};
use mainstay_core::classify::TransportFault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use transport_support::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A server that answers any number of requests on each connection and counts both.
async fn steady() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&connections);
    let address = server(move |mut socket, _| {
        seen.fetch_add(1, Ordering::SeqCst);
        async move {
            while read_request(&mut socket).await.is_some() {
                if socket.write_all(OK).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    (address, connections)
}

#[tokio::test]
async fn a_connection_serves_one_attempt_after_the_other() {
    let (address, connections) = steady().await;
    let upstream = HttpUpstream::default();
    let destination = to(address);
    for number in 0..5 {
        let told = send(&upstream, post(&destination, "hello")).await;
        assert_eq!(told.answer(), (200, "ok".into()));
        assert_eq!(told.sending, [number > 0], "the first opens, the others reuse");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    let stats = upstream.stats();
    assert_eq!((stats.opened, stats.reused, stats.idle), (1, 4, 1));
}

#[tokio::test]
async fn the_request_arrives_as_it_was_given() {
    let address = server(|mut socket, _| async move {
        let (head, body) = read_request(&mut socket).await.expect("a request");
        let seen = format!("{head}|{}", String::from_utf8_lossy(&body));
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{seen}", seen.len());
        let _ = socket.write_all(answer.as_bytes()).await;
    })
    .await;
    let upstream = HttpUpstream::default();
    let mut request = post(&to(address), "{}");
    request
        .headers
        .insert(http::HeaderName::from_static("x-mine"), http::HeaderValue::from_static("yes"));
    request.headers.insert(
        http::HeaderName::from_static("content-length"),
        http::HeaderValue::from_static("999"),
    );
    request.headers.insert(
        http::HeaderName::from_static("transfer-encoding"),
        http::HeaderValue::from_static("chunked"),
    );
    request
        .headers
        .insert(http::HeaderName::from_static("host"), http::HeaderValue::from_static("elsewhere"));
    let (_, seen) = send(&upstream, request).await.answer();
    assert!(seen.starts_with("post /v1/chat/completions?x=y http/1.1\r\n"), "{seen}");
    assert!(seen.contains(&format!("\r\nhost: {address}\r\n")), "{seen}");
    assert!(seen.contains("\r\nx-mine: yes\r\n"), "{seen}");
    assert!(seen.contains("\r\ncontent-length: 2\r\n"), "{seen}");
    assert!(!seen.contains("transfer-encoding") && !seen.contains("elsewhere"), "{seen}");
    assert!(seen.ends_with("|{}"), "{seen}");
}

#[tokio::test]
async fn an_empty_post_states_its_length_and_a_get_states_none() {
    for (method, states) in [(Method::POST, true), (Method::GET, false), (Method::DELETE, false)] {
        let address = server(|mut socket, _| async move {
            let (head, _) = read_request(&mut socket).await.expect("a request");
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{head}", head.len());
            let _ = socket.write_all(answer.as_bytes()).await;
        })
        .await;
        let upstream = HttpUpstream::default();
        let told = send(&upstream, request(&to(address), method.clone(), RequestBody::Empty)).await;
        assert_eq!(told.answer().1.contains("content-length: 0"), states, "{method}");
    }
}

#[tokio::test]
async fn each_unsound_answer_is_a_fault_of_its_kind() {
    use TransportFault::{CutMidBody, MalformedHttp, ResetBeforeAnswer};
    let many = "x-a: 1\r\n".repeat(300);
    let many = format!("HTTP/1.1 200 OK\r\n{many}content-length: 0\r\n\r\n");
    let wide = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(200_000));
    let cases: &[(&str, &[u8], TransportFault)] = &[
        ("closed before a byte", b"", ResetBeforeAnswer),
        ("closed within the head", b"HTTP/1.1 200 OK\r\ncontent-le", ResetBeforeAnswer),
        ("closed after an interim answer", b"HTTP/1.1 100 Continue\r\n\r\n", ResetBeforeAnswer),
        ("length not reached", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", CutMidBody),
        ("length, no body", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", CutMidBody),
        (
            "no last chunk",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
            CutMidBody,
        ),
        ("chunk cut", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nok", CutMidBody),
        (
            "last chunk unfinished",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
            CutMidBody,
        ),
        (
            "chunk size garbage",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok\r\n",
            MalformedHttp,
        ),
        ("not HTTP", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", MalformedHttp),
        ("status no number", b"HTTP/1.1 abc OK\r\n\r\n", MalformedHttp),
        ("status beyond", b"HTTP/1.1 600 Odd\r\ncontent-length: 0\r\n\r\n", MalformedHttp),
        (
            "upgrade not asked for",
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            MalformedHttp,
        ),
        (
            "two lengths",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
            MalformedHttp,
        ),
        ("too many headers", many.as_bytes(), MalformedHttp),
        ("too wide a header", wide.as_bytes(), MalformedHttp),
    ];
    for (case, answer, want) in cases {
        let address = answers_once(Bytes::copy_from_slice(answer)).await;
        let upstream = HttpUpstream::default();
        let told = send(&upstream, post(&to(address), "{}")).await;
        assert_eq!(told.fault, Some(*want), "{case}: {told:?}");
        assert_eq!(told.sending, [false], "{case}");
        assert_eq!(upstream.stats().idle, 0, "{case}: not kept");
    }
}

#[tokio::test]
async fn each_sound_answer_ends() {
    let cases: &[(&str, &[u8], (u16, &str))] = &[
        ("length", OK, (200, "ok")),
        ("chunks", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", (200, "ok")),
        ("chunks and trailers", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-t: 1\r\n\r\n", (200, "ok")),
        ("until the close", b"HTTP/1.1 200 OK\r\n\r\nok", (200, "ok")),
        ("none", b"HTTP/1.1 204 No Content\r\n\r\n", (204, "")),
        ("interim answers before", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 429 Slow\r\ncontent-length: 2\r\n\r\nno", (429, "no")),
        ("an error", b"HTTP/1.1 599 Odd\r\ncontent-length: 0\r\n\r\n", (599, "")),
    ];
    for (case, answer, (status, body)) in cases {
        let address = answers_once(Bytes::copy_from_slice(answer)).await;
        let told = send(&HttpUpstream::default(), post(&to(address), "{}")).await;
        assert_eq!(told.answer(), (*status, (*body).to_owned()), "{case}");
    }
}

#[tokio::test]
async fn an_idle_connection_that_died_is_replaced_unseen() {
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    let address = server(move |mut socket, _| {
        let seen = Arc::clone(&seen);
        async move {
            read_request(&mut socket).await.expect("a request");
            seen.fetch_add(1, Ordering::SeqCst);
            let _ = socket.write_all(OK).await;
        }
    })
    .await;
    let upstream = HttpUpstream::default();
    let destination = to(address);
    for number in 1..=20 {
        let told = send(&upstream, post(&destination, "x")).await;
        assert_eq!(told.answer(), (200, "ok".into()), "attempt {number}");
        // The close reaches this side; the pool must notice by itself.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(requests.load(Ordering::SeqCst), 20, "each sent once");
}

/// The other end closes while the request is on its way: some attempts fail, none is repeated.
#[tokio::test]
async fn a_request_that_may_have_left_is_never_sent_again() {
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    let address = server(move |mut socket, _| {
        let seen = Arc::clone(&seen);
        async move {
            // One answer, then the next request is read and thrown away with the connection.
            for answer in [OK, b""] {
                if read_request(&mut socket).await.is_none() {
                    return;
                }
                seen.fetch_add(1, Ordering::SeqCst);
                let _ = socket.write_all(answer).await;
            }
        }
    })
    .await;
    let upstream = HttpUpstream::default();
    let destination = to(address);
    for number in 0..10 {
        let told = send(&upstream, post(&destination, "x")).await;
        let want = (number % 2 == 1).then_some(TransportFault::ResetBeforeAnswer);
        assert_eq!(told.fault, want, "attempt {number}");
        assert_eq!(told.sending.len(), 1);
    }
    assert_eq!(requests.load(Ordering::SeqCst), 10);
}

#[tokio::test]
async fn a_dropped_attempt_closes_its_connection_at_once() {
    for part in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsome"] {
        soon(Duration::from_millis(100), async || closed_after_a_drop(part).await).await;
    }
}

/// How long after an attempt that got so much of an answer was dropped its connection is closed.
async fn closed_after_a_drop(part: &'static [u8]) -> Duration {
    let (closed, mut on_close) = tokio::sync::mpsc::unbounded_channel();
    let address = server(move |mut socket, _| {
        let closed = closed.clone();
        async move {
            read_request(&mut socket).await.expect("a request");
            let _ = socket.write_all(part).await;
            let _ = socket.read(&mut [0; 8]).await;
            let _ = closed.send(Instant::now());
        }
    })
    .await;
    let upstream = HttpUpstream::default();
    let mut attempt = upstream.start(post(&to(address), "x"));
    assert!(matches!(next(&mut attempt).await, AttemptEvent::Sending { reused: false }));
    let wait = if part.is_empty() { Duration::from_millis(50) } else { PATIENCE };
    let more = tokio::time::timeout(wait, next(&mut attempt)).await;
    assert_eq!(more.is_ok(), !part.is_empty());
    let dropped = Instant::now();
    drop(attempt);
    let closed = on_close.recv().await.expect("the server saw the end");
    assert_eq!(upstream.stats().idle, 0);
    closed.duration_since(dropped)
}

#[tokio::test]
async fn a_connection_nothing_was_sent_on_is_kept() {
    let (address, connections) = steady().await;
    let upstream = HttpUpstream::default();
    let destination = to(address);
    send(&upstream, get(&destination)).await.answer();
    let mut attempt = upstream.start(get(&destination));
    assert!(matches!(next(&mut attempt).await, AttemptEvent::Sending { reused: true }));
    drop(attempt);
    assert_eq!(upstream.stats().idle, 1);
    send(&upstream, get(&destination)).await.answer();
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_cannot_be_reached_is_a_fault_before_sending() {
    // Nobody listens there, and nobody who asks for any port comes to.
    let address = "127.0.0.1:1".parse().expect("an address");
    let upstream = HttpUpstream::default();
    let told = send(&upstream, get(&to(address))).await;
    assert_eq!(told.fault, Some(TransportFault::Refused));
    assert!(told.sending.is_empty(), "nothing was sent");

    // Longer than a label may be: fails without asking any network.
    let no_label = "x".repeat(64);
    for (host, want) in [
        (&*no_label, TransportFault::Dns),
        ("not a host name", TransportFault::BadAddress),
        ("", TransportFault::BadAddress),
    ] {
        let mut destination = (*to(address)).clone();
        destination.host = host.to_owned();
        let told = send(&upstream, get(&Arc::new(destination))).await;
        assert_eq!(told.fault, Some(want), "{host:?}");
        assert!(told.sending.is_empty());
    }
}

#[tokio::test]
async fn an_early_answer_to_a_large_upload_is_delivered() {
    const REFUSAL: &[u8] =
        b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig";
    let address = server(|mut socket, _| async move {
        let mut some = [0; 1024];
        let _ = socket.read(&mut some).await;
        let _ = socket.write_all(REFUSAL).await;
        // Reading on for a while, as a server does that wants its answer to be read.
        tokio::time::sleep(Duration::from_millis(300)).await;
    })
    .await;
    let upstream = HttpUpstream::default();
    let told = send(&upstream, post(&to(address), vec![b'x'; 64 << 20])).await;
    assert_eq!(told.answer(), (413, "big".into()));
    assert_eq!(upstream.stats().idle, 0, "the upload is not finished: not kept");
}

/// The server that refuses a large upload and closes with half of it unread resets the connection;
/// what it said before arrives all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_answer_survives_a_hasty_close() {
    const REFUSAL: &[u8] = b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig";
    let address = server(|mut socket, _| async move {
        let mut some = [0; 1024];
        let _ = socket.read(&mut some).await;
        let _ = socket.write_all(REFUSAL).await;
    })
    .await;
    for _ in 0..80 {
        let upstream = HttpUpstream::default();
        let told = send(&upstream, post(&to(address), vec![b'x'; 16 << 20])).await;
        assert_eq!(told.answer(), (413, "big".into()));
    }
}

/// The source is asked for more only as fast as the provider takes it.
#[tokio::test]
async fn a_streamed_upload_waits_for_the_provider() {
    const PIECE: usize = 64 * 1024;
    const PIECES: usize = 512;
    for length in [None, Some((PIECE * PIECES) as u64)] {
        let go = Arc::new(tokio::sync::Notify::new());
        let gate = Arc::clone(&go);
        let address = server(move |mut socket, _| {
            let gate = Arc::clone(&gate);
            async move {
                gate.notified().await;
                let (head, body) = read_request(&mut socket).await.expect("a request");
                let chunked = head.contains("transfer-encoding: chunked");
                let payload: usize = body.iter().map(|b| usize::from(*b == b'x')).sum();
                let text = format!("{chunked} {payload}");
                let answer =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len());
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        })
        .await;
        let pulled = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&pulled);
        let pieces = (0..PIECES).map(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(Frame::data(Bytes::from(vec![b'x'; PIECE])))
        });
        let body = Pieces(pieces).boxed_unsync();
        let upstream = HttpUpstream::default();
        let body = RequestBody::Stream { body, length };
        let attempt = upstream.start(request(&to(address), Method::POST, body));
        let playing = tokio::spawn(play(attempt));
        eventually("some are pulled", || pulled.load(Ordering::SeqCst) > 0).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let early = pulled.load(Ordering::SeqCst);
        assert!(early < PIECES / 2, "{early} of {PIECES} pulled before it was read");
        go.notify_one();
        let told = playing.await.expect("plays");
        assert_eq!(told.answer().1, format!("{} {}", length.is_none(), PIECE * PIECES));
    }
}

struct Pieces<I>(I);

impl<I> Body for Pieces<I>
where
    I: Iterator<Item = Result<Frame<Bytes>, BodyBroken>> + Unpin,
{
    type Data = Bytes;
    type Error = BodyBroken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        Poll::Ready(self.0.next())
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_or_is_not_as_long_as_stated_is_no_request() {
    let piece = || Ok(Frame::data(Bytes::from_static(b"12345")));
    let cases = [
        ("broken", vec![piece(), Err(BodyBroken)], None),
        ("too short", vec![piece()], Some(6)),
        ("too long", vec![piece(), piece()], Some(6)),
    ];
    for (case, pieces, length) in cases {
        let (address, _) = steady().await;
        let body = Pieces(pieces.into_iter()).boxed_unsync();
        let body = RequestBody::Stream { body, length };
        let upstream = HttpUpstream::default();
        let told = send(&upstream, request(&to(address), Method::POST, body)).await;
        assert_eq!(told.fault, Some(TransportFault::Other), "{case}");
        assert_eq!(upstream.stats().idle, 0, "{case}");
    }
}
