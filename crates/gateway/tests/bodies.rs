//! Bodies: large, packed, streamed, slow; memory stays within bounds.

mod support;

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use mainstay_gateway::config::{Environment, parse};
use support::provider::{Provider, completion};
use support::{CHAT, Front, front, soon, start, until};
use tokio::time::Instant;

fn head(front: &Front, path: &str, more: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{more}\r\n", front.key)
        .into_bytes()
}

const JSON: &str = "content-type: application/json\r\n";

#[test]
fn a_hundred_megabytes_are_refused_while_memory_stays_free() {
    const LENGTH: usize = 100 << 20;
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let mut caller = front.connect();
    caller.send(&head(
        &front,
        "/v1/chat/completions",
        &format!("{JSON}content-length: {LENGTH}\r\n"),
    ));
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        caller.send(&piece);
        assert_eq!(front.gateway.held_bytes(), 0);
    }
    let message = caller.answer().refused(413, "request_too_large");
    assert!(message.contains("104,857,600") && message.contains("67,108,864"), "{message}");
    assert!(provider.seen().is_empty());
}

#[test]
fn chunks_beyond_the_limit_are_refused_when_they_pass_it() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "[server]\nbody_max = \"1MiB\"\n");
    let mut caller = front.connect();
    caller.send(&head(
        &front,
        "/v1/chat/completions",
        &format!("{JSON}transfer-encoding: chunked\r\n"),
    ));
    let piece = [b"10000\r\n".to_vec(), vec![b'x'; 0x10000], b"\r\n".to_vec()].concat();
    for _ in 0..40 {
        caller.send(&piece);
        assert!(front.gateway.held_bytes() <= 1 << 20);
    }
    caller.send(b"0\r\n\r\n");
    caller.answer().refused(413, "request_too_large");
    until("all is given back", || front.gateway.held_bytes() == 0);
}

#[test]
fn leave_to_send_is_not_given_for_a_body_that_will_be_refused() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let mut caller = front.connect();
    let more = format!("{JSON}expect: 100-continue\r\ncontent-length: {}\r\n", 100 << 20);
    caller.send(&head(&front, "/v1/chat/completions", &more));
    caller.answer().refused(413, "request_too_large");
    let mut caller = front.connect();
    let more = format!("{JSON}expect: 100-continue\r\ncontent-length: {}\r\n", CHAT.len());
    caller.send(&head(&front, "/v1/chat/completions", &more));
    let leave = caller.piece();
    assert!(leave.starts_with(b"HTTP/1.1 100"), "{leave:?}");
    caller.send(CHAT.as_bytes());
    assert_eq!(caller.answer().status, 200);
}

#[test]
fn a_full_memory_for_bodies_is_told_with_a_wait_and_an_invitation() {
    let provider = Provider::fixed(completion());
    let config = format!(
        "[server]\nbody_max = \"1MiB\"\nbuffers_max = \"1MiB\"\n[[provider]]\nname = \"up\"\nbase_url = \"http://{}/v1\"\napi_key = \"x\"\n",
        provider.addr
    );
    let front = start(&parse("t", &config, &Environment::default()).expect("sound"), |_| {});
    let more = format!("{JSON}content-length: {}\r\n", 900 << 10);
    let mut first = front.connect();
    first.send(&head(&front, "/v1/chat/completions", &more));
    first.send(&vec![b' '; 800 << 10]);
    until("the first body is held", || front.gateway.held_bytes() >= 700 << 10);
    let mut second = front.connect();
    second.send(&head(&front, "/v1/chat/completions", &more));
    second.send(&vec![b' '; 900 << 10]);
    let reply = second.answer();
    reply.refused(503, "service_unavailable");
    assert_eq!(reply.header("x-should-retry"), Some("true"));
    assert!(reply.header("retry-after").is_some_and(|wait| wait != "0"));
    drop(first);
    until("all is given back", || front.gateway.held_bytes() == 0);
}

#[test]
fn a_packed_body_is_unpacked_within_bounds() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let pack = |data: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(data).expect("memory");
        encoder.finish().expect("memory")
    };
    let send = |coding: &str, body: &[u8]| {
        let more =
            format!("{JSON}content-encoding: {coding}\r\ncontent-length: {}\r\n", body.len());
        let mut bytes = head(&front, "/v1/chat/completions", &more);
        bytes.extend_from_slice(body);
        front.raw(&bytes)
    };
    assert_eq!(send("gzip", &pack(CHAT.as_bytes())).status, 200);
    let seen = &provider.seen()[0];
    assert_eq!((seen.body.as_slice(), seen.header("content-encoding")), (CHAT.as_bytes(), None));
    send("gzip", &pack(&vec![b' '; 70 << 20])).refused(413, "request_too_large");
    send("gzip", b"\x1f\x8b\x08 no").refused(400, "invalid_request");
    send("zpaq", CHAT.as_bytes()).refused(415, "invalid_request");
    assert_eq!(provider.seen().len(), 1);
}

#[test]
fn an_upload_passes_through_without_being_held() {
    const LENGTH: usize = 24 << 20;
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let mut caller = front.connect();
    let kind = "content-type: multipart/form-data; boundary=b\r\n";
    caller.send(&head(&front, "/v1/files", &format!("{kind}content-length: {LENGTH}\r\n")));
    let piece = vec![7_u8; 1 << 20];
    let mut most = 0;
    for _ in 0..LENGTH >> 20 {
        caller.send(&piece);
        most = most.max(front.gateway.held_bytes());
    }
    assert_eq!(caller.answer().status, 200);
    assert!(most <= 1 << 20, "of a body above the limit for replay only the head is held: {most}");
    let seen = &provider.seen()[0];
    assert_eq!(seen.body.len(), LENGTH);
    assert_eq!(seen.header("content-length"), Some(LENGTH.to_string().as_str()));
    assert_eq!(seen.header("content-type"), Some("multipart/form-data; boundary=b"));
}

#[test]
fn a_small_upload_in_chunks_is_held_and_sent_whole() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let mut caller = front.connect();
    let more = "content-type: multipart/form-data; boundary=b\r\ntransfer-encoding: chunked\r\n";
    caller.send(&head(&front, "/v1/audio/transcriptions", more));
    let form = "--b\r\ncontent-disposition: form-data; name=file; filename=f\r\n\r\nhello world\r\n--b--\r\n";
    for half in [&form[..80], &form[80..], ""] {
        caller.send(format!("{:x}\r\n{half}\r\n", half.len()).as_bytes());
    }
    assert_eq!(caller.answer().status, 200);
    assert_eq!(provider.seen()[0].body, form.as_bytes());
}

#[test]
fn a_body_that_stands_still_is_refused_in_time() {
    let provider = Provider::fixed(completion());
    let config = format!(
        "[[provider]]\nname = \"up\"\nbase_url = \"http://{}/v1\"\napi_key = \"x\"\n",
        provider.addr
    );
    let front = start(&parse("t", &config, &Environment::default()).expect("sound"), |settings| {
        settings.bounds.body_pause = Duration::from_millis(150);
        settings.bounds.drain_time = Duration::from_millis(150);
    });
    let more = format!("{JSON}content-length: 500\r\n");
    soon(Duration::from_secs(2), 1, || {
        let mut caller = front.connect();
        caller.send(&head(&front, "/v1/chat/completions", &more));
        caller.send(b"{\"model\":");
        let began = Instant::now();
        caller.answer().refused(408, "request_timeout");
        began.elapsed()
    });
    assert!(provider.seen().is_empty());
}
