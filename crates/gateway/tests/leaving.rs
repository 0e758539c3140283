//! Ends: callers who leave, gateways that stop, and a thousand connections at once.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use support::provider::{Provider, completion};
use support::{CHAT, Caller, Front, STREAM, front, soon, until};
use tokio::time::Instant;

/// A provider that takes a request and says nothing until the connection ends.
fn silent() -> Provider {
    Provider::new(|_, stream| {
        wait_for_the_end(stream);
        false
    })
}

fn wait_for_the_end(stream: &mut std::net::TcpStream) {
    let mut byte = [0];
    loop {
        match stream.read(&mut byte) {
            Ok(0) => return,
            Err(error) if error.kind() != ErrorKind::Interrupted => return,
            Ok(_) | Err(_) => {}
        }
    }
}

#[test]
fn a_caller_who_leaves_while_waiting_takes_his_attempt_along() {
    let provider = silent();
    let front = front(provider.addr, "");
    soon(Duration::from_millis(100), 1, || {
        let before = provider.seen().len();
        let mut caller = front.connect();
        caller.send(&front.post_bytes("/v1/chat/completions", "", CHAT));
        until("the attempt arrives", || provider.seen().len() > before);
        assert_eq!(provider.open(), 1);
        drop(caller);
        until("the attempt ends", || provider.open() == 0)
    });
    until("the call is off the books", || front.gateway.in_flight() == 0);
    assert_eq!(front.gateway.admitted(), 0);
}

#[test]
fn a_caller_who_leaves_in_a_stream_takes_it_along() {
    let provider = Provider::new(|_, stream| {
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        let event = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
        let _ = stream.write_all(format!("{head}{event}").as_bytes());
        wait_for_the_end(stream);
        false
    });
    let front = front(provider.addr, "");
    soon(Duration::from_millis(100), 1, || {
        let mut caller = front.connect();
        caller.send(&front.post_bytes("/v1/chat/completions", "", STREAM));
        assert_eq!(caller.head().0, 200);
        drop(caller);
        until("the attempt ends", || provider.open() == 0)
    });
    until("the call is off the books", || front.gateway.in_flight() == 0);
    assert_eq!(front.gateway.admitted(), 0);
}

/// A provider whose answer takes a while.
fn slow(pause: Duration) -> Provider {
    Provider::new(move |_, stream| {
        std::thread::sleep(pause);
        stream.write_all(completion().as_bytes()).is_ok()
    })
}

/// A provider that answers when it is told to.
fn gated() -> (Provider, Sender<()>) {
    let (go, gone) = channel();
    let gone = Mutex::new(gone);
    let provider = Provider::new(move |_, stream| {
        let told = gone.lock().expect("no panic").recv_timeout(Duration::from_secs(60)).is_ok();
        told && stream.write_all(completion().as_bytes()).is_ok()
    });
    (provider, go)
}

#[test]
fn a_stop_lets_calls_under_way_end_and_takes_no_new_ones() {
    let (provider, go) = gated();
    let front = front(provider.addr, "");
    let addr = front.gateway.addr();
    let mut idle = front.connect();
    idle.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(idle.answer().status, 200);
    let mut caller = front.connect();
    caller.send(&front.post_bytes("/v1/chat/completions", "", CHAT));
    until("the attempt arrives", || provider.seen().len() == 1);
    front.gateway.begin_stop();
    assert!(idle.piece().is_empty(), "an unused connection ends without waiting for the call");
    until("no new caller gets in", || std::net::TcpStream::connect(addr).is_err());
    go.send(()).expect("the provider waits");
    let reply = caller.answer();
    assert_eq!(reply.status, 200);
    assert!(caller.piece().is_empty(), "the connection ends after its answer");
    let began = Instant::now();
    front.gateway.stop();
    // A third of the time that calls under way would have.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn a_stop_waits_no_longer_than_it_was_told() {
    let provider = silent();
    let front = front(provider.addr, "[server]\ndrain = \"200ms\"\n");
    let mut caller = front.connect();
    caller.send(&front.post_bytes("/v1/chat/completions", "", CHAT));
    until("the attempt arrives", || provider.seen().len() == 1);
    let began = Instant::now();
    front.gateway.stop();
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(10), "{took:?}");
    assert!(caller.piece().is_empty());
}

#[test]
fn a_half_closed_connection_is_no_leak() {
    let provider = slow(Duration::from_millis(50));
    let front = front(provider.addr, "");
    let mut caller = front.connect();
    caller.send(&front.post_bytes("/v1/chat/completions", "", CHAT));
    caller.stream.shutdown(Shutdown::Write).expect("a socket option");
    let _ = caller.piece();
    until("the call is off the books", || front.gateway.in_flight() == 0);
    assert_eq!(front.gateway.admitted(), 0);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let mut caller = front.connect();
    let mut three = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".to_vec();
    three.extend(front.post_bytes("/v1/chat/completions", "", CHAT));
    three.extend_from_slice(b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n");
    caller.send(&three);
    let statuses: Vec<u16> = (0..3).map(|_| caller.answer().status).collect();
    assert_eq!(statuses, [200, 200, 404]);
}

#[test]
fn a_thousand_connections_live_side_by_side() {
    const MANY: usize = 1_000;
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let mut callers: Vec<Caller> = (0..MANY).map(|_| front.connect()).collect();
    for round in 0..2 {
        for caller in &mut callers {
            caller.send(&ask(&front, round));
        }
        for caller in &mut callers {
            assert_eq!(caller.answer().status, 200);
        }
    }
    drop(callers);
    until("all calls are off the books", || front.gateway.in_flight() == 0);
}

fn ask(front: &Front, round: usize) -> Vec<u8> {
    match round {
        0 => b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        _ => format!(
            "GET /v1/files?n={round} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
            front.key
        )
        .into_bytes(),
    }
}
