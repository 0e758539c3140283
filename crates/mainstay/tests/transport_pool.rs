//! Promises of the pool: bounds hold, ages end, many attempts at once are no problem.

mod transport_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mainstay::http::{HttpSettings, HttpUpstream};
use mainstay::upstream::Upstream;
use mainstay_core::classify::TransportFault;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::time::Instant;
use transport_support::*;

/// A server that answers each request after `pause` with the number of its connection.
async fn numbered(pause: Duration) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let open = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&open);
    let address = server(move |mut socket, number| {
        let count = Arc::clone(&count);
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            while read_request(&mut socket).await.is_some() {
                tokio::time::sleep(pause).await;
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n{number:04}");
                if socket.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
            }
            count.fetch_sub(1, Ordering::SeqCst);
        }
    })
    .await;
    (address, open)
}

#[tokio::test]
async fn a_thousand_attempts_at_once_all_end() {
    a_thousand_twice().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_attempts_at_once_all_end_on_several_threads() {
    a_thousand_twice().await;
}

async fn a_thousand_twice() {
    let (address, open) = numbered(Duration::from_millis(20)).await;
    let upstream = Arc::new(HttpUpstream::default());
    let destination = to(address);
    for _ in 0..2 {
        let all: Vec<_> = (0..1_000)
            .map(|_| tokio::spawn(play(upstream.start(post(&destination, "x")))))
            .collect();
        for one in all {
            assert_eq!(one.await.expect("plays").answer().0, 200);
        }
    }
    let stats = upstream.stats();
    assert!(stats.idle <= 1_000, "{stats:?}");
    assert_eq!(stats.opened + stats.reused, 2_000, "{stats:?}");
    // What is closed behind one burst is made anew for the next, which costs several calls.
    assert!(stats.reused >= 900, "the second thousand reuses what was kept: {stats:?}");
    eventually("only kept ones are open", || open.load(Ordering::SeqCst) == stats.idle).await;
}

#[tokio::test]
async fn no_more_unused_connections_are_kept_than_are_asked_for() {
    let (address, open) = numbered(Duration::from_millis(20)).await;
    let settings = HttpSettings { idle_connections_max: 10, ..HttpSettings::default() };
    let upstream = Arc::new(HttpUpstream::new(settings));
    let destination = to(address);
    let all: Vec<_> =
        (0..50).map(|_| tokio::spawn(play(upstream.start(post(&destination, "x"))))).collect();
    for one in all {
        assert_eq!(one.await.expect("plays").answer().0, 200);
    }
    assert_eq!(upstream.stats().idle, 10);
    eventually("only kept ones are open", || open.load(Ordering::SeqCst) == 10).await;
}

#[tokio::test]
async fn an_unused_connection_ends_with_its_time() {
    let (address, open) = numbered(Duration::ZERO).await;
    let idle_max = Duration::from_millis(200);
    let upstream = HttpUpstream::new(HttpSettings { idle_max, ..HttpSettings::default() });
    let destination = to(address);
    let start = Instant::now();
    send(&upstream, get(&destination)).await.answer();
    eventually("closed without another attempt", || open.load(Ordering::SeqCst) == 0).await;
    assert!(start.elapsed() >= idle_max.mul_f32(0.85), "not before: {:?}", start.elapsed());
    assert_eq!(upstream.stats().idle, 0);
    // And once more, after the sweep has ended.
    send(&upstream, get(&destination)).await.answer();
    eventually("closed again", || open.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn the_last_used_connection_serves_first() {
    // The first two connections are told when to give their first answer.
    let (asked, go) = (Arc::new(AtomicUsize::new(0)), Arc::new([Notify::new(), Notify::new()]));
    let (count, gates) = (Arc::clone(&asked), Arc::clone(&go));
    let address = server(move |mut socket, number| {
        let (count, gates) = (Arc::clone(&count), Arc::clone(&gates));
        async move {
            let mut first = true;
            while read_request(&mut socket).await.is_some() {
                count.fetch_add(1, Ordering::SeqCst);
                if let Some(gate) = gates.get(number).filter(|_| std::mem::take(&mut first)) {
                    gate.notified().await;
                }
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n{number:04}");
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        }
    })
    .await;
    let upstream = HttpUpstream::default();
    let destination = to(address);
    let mut under_way = Vec::new();
    for number in 1..=2 {
        under_way.push(tokio::spawn(play(upstream.start(get(&destination)))));
        eventually("it is asked", || asked.load(Ordering::SeqCst) == number).await;
    }
    let mut answers = Vec::new();
    for (one, gate) in under_way.into_iter().zip(go.iter()) {
        gate.notify_one();
        answers.push(one.await.expect("it plays"));
    }
    let [a, b] = &answers[..] else { panic!("two") };
    assert_ne!(a.answer(), b.answer(), "two connections");
    for _ in 0..3 {
        assert_eq!(send(&upstream, get(&destination)).await.answer(), b.answer());
    }
}

#[tokio::test]
async fn a_limit_of_connections_holds_and_lets_all_through() {
    let (address, open) = numbered(Duration::from_millis(5)).await;
    let settings = HttpSettings { connections_max: Some(3), ..HttpSettings::default() };
    let upstream = Arc::new(HttpUpstream::new(settings));
    let destination = to(address);
    let all: Vec<_> =
        (0..60).map(|_| tokio::spawn(play(upstream.start(get(&destination))))).collect();
    let mut most = 0;
    for one in all {
        assert_eq!(one.await.expect("plays").answer().0, 200);
        most = most.max(open.load(Ordering::SeqCst));
    }
    assert!(most <= 3, "{most}");
    assert_eq!(upstream.stats().opened, 3);
}

#[tokio::test]
async fn waiting_for_a_connection_ends_with_the_connect_timeout() {
    let (address, _) = numbered(Duration::from_secs(5)).await;
    let settings = HttpSettings { connections_max: Some(1), ..HttpSettings::default() };
    let upstream = HttpUpstream::new(settings);
    let destination = to(address);
    let mut first = upstream.start(get(&destination));
    next(&mut first).await;
    let mut request = get(&destination);
    request.connect_timeout = Duration::from_millis(50);
    let told = send(&upstream, request).await;
    assert_eq!(told.fault, Some(TransportFault::ConnectTimeout));
    assert!(told.sending.is_empty());
    drop(first);
    assert!(!send_briefly(&upstream, &destination).await, "leave to connect was given back");
}

/// Whether an attempt fails while connecting; its answer is not waited for.
async fn send_briefly(
    upstream: &HttpUpstream,
    destination: &Arc<mainstay::upstream::Destination>,
) -> bool {
    let mut attempt = upstream.start(get(destination));
    matches!(next(&mut attempt).await, mainstay::upstream::AttemptEvent::Fault(_))
}

#[tokio::test]
async fn attempts_of_equal_destinations_share_connections_and_others_do_not() {
    let (address, _) = numbered(Duration::ZERO).await;
    let upstream = HttpUpstream::default();
    send(&upstream, get(&to(address))).await.answer();
    send(&upstream, get(&to(address))).await.answer();
    assert_eq!(upstream.stats().opened, 1);
    let mut other = (*to(address)).clone();
    other.host = "localhost".to_owned();
    send(&upstream, get(&Arc::new(other))).await.answer();
    assert_eq!(upstream.stats().opened, 2);
}

/// A library may be used from one runtime after the other.
#[test]
fn connections_of_a_runtime_that_ended_are_not_used() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    let servers = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let (address, _) = servers.block_on(numbered(Duration::ZERO));
    let idle_max = Duration::from_millis(100);
    let upstream = HttpUpstream::new(HttpSettings { idle_max, ..HttpSettings::default() });
    for _ in 0..3 {
        let runtime = runtime().expect("a runtime");
        runtime.block_on(async { send(&upstream, get(&to(address))).await.answer() });
    }
    assert_eq!(upstream.stats().opened, 3);
    let last = runtime().expect("a runtime");
    last.block_on(async {
        send(&upstream, get(&to(address))).await.answer();
        eventually("the sweep works again", || upstream.stats().idle == 0).await;
    });
}
