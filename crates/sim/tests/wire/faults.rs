//! Each fault on the wire does what its sentence says.

use crate::raw::{End, KEY, Seen, chat, chat_body, connect, read, request, send, start, stats};
use mainstay_sim::Fault;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

async fn fault(addr: SocketAddr, order: &str, stream: bool) -> Seen {
    chat(addr, "m", stream, &[("x-sim-fault", order)]).await
}

#[tokio::test]
async fn each_fault_ends_the_connection_as_it_says() {
    let sim = start("").await;
    // Fault, streamed, end, status if a head comes, whether the body comes to its proper end.
    #[rustfmt::skip]
    let table = [
        ("refuse", true, End::Reset, None, false),
        ("reset_before_headers", false, End::Reset, None, false),
        ("close_before_headers", false, End::Fin, None, false),
        ("reset_after_headers", true, End::Reset, Some(200), false),
        ("reset_after_headers", false, End::Reset, Some(200), false),
        ("hang; for=100ms", false, End::Fin, None, false),
        ("cut_fin", true, End::Fin, Some(200), false),
        ("cut_rst", true, End::Reset, Some(200), false),
        ("cut_rst", false, End::Reset, Some(200), false),
        ("no_done", true, End::Fin, Some(200), true),
        ("no_finish", true, End::Fin, Some(200), true),
        ("html_502", true, End::Fin, Some(502), true),
        ("html_200", true, End::Fin, Some(200), true),
        ("error_in_200", true, End::Fin, Some(200), true),
        ("empty_body", true, End::Fin, Some(200), true),
        ("length_too_long", false, End::Fin, Some(200), false),
        ("length_too_short", false, End::Fin, Some(200), false),
        ("oversized_headers", false, End::Fin, Some(200), true),
        ("close_after_response", false, End::Fin, Some(200), true),
    ];
    for (order, stream, end, status, proper) in table {
        let seen = fault(sim.addr(), order, stream).await;
        assert_eq!(seen.end, end, "{order}");
        match status {
            None => assert!(seen.bytes.is_empty(), "{order}: {}", seen.text()),
            Some(status) => {
                assert_eq!(seen.status(), status, "{order}");
                let whole = seen.raw_body().is_empty() && seen.header("content-length").is_none();
                assert_eq!(!whole && seen.body().1, proper, "{order}: {}", seen.text());
            }
        }
    }
}

#[tokio::test]
async fn a_cut_stream_stops_inside_an_event() {
    let sim = start("").await;
    for order in ["cut_fin; after=2", "cut_rst; after=2"] {
        let (body, _) = fault(sim.addr(), order, true).await.body();
        assert_eq!(body.matches(r#""delta":{"content""#).count(), 2, "{body}");
        assert!(!body.ends_with("\n\n") && !body.contains("[DONE]"), "{body}");
    }
}

#[tokio::test]
async fn lengths_lie_by_as_much_as_asked() {
    let sim = start("").await;
    for (order, lie) in [("length_too_long; bytes=33", 33), ("length_too_short; bytes=33", -33)] {
        let seen = fault(sim.addr(), order, false).await;
        let told: i64 = seen.header("content-length").unwrap().parse().unwrap();
        assert_eq!(told - i64::try_from(seen.raw_body().len()).unwrap(), lie);
    }
}

#[tokio::test]
async fn slow_faults_take_their_time() {
    let sim = start("").await;
    for (order, least) in [
        ("slow_headers; for=120ms", 120),
        ("slow_first_token; for=120ms", 120),
        ("slow_drip; for=20ms", 7 * 20),
        ("stall; after=3; for=120ms", 120),
    ] {
        let seen = fault(sim.addr(), order, true).await;
        assert!(seen.took >= Duration::from_millis(least), "{order}: {:?}", seen.took);
        assert!(seen.body().0.ends_with("data: [DONE]\n\n"), "{order}");
    }
}

#[tokio::test]
async fn a_stall_happens_after_the_pieces_it_says() {
    let sim = start("").await;
    let mut stream = connect(sim.addr()).await;
    let headers = [KEY, ("x-sim-fault", "stall; after=2; for=10s")];
    let text = request("POST /v1/chat/completions", &headers, &chat_body("m", true), true);
    stream.write_all(text.as_bytes()).await.unwrap();
    let pieces = |text: &str| text.matches(r#""delta":{"content""#).count();
    let (mut text, mut end) = (String::new(), End::Open);
    until(async || {
        let seen = read(&mut stream, Duration::from_millis(50)).await;
        (text, end) = (text.clone() + &seen.text(), seen.end);
        pieces(&text) >= 2
    })
    .await;
    let rest = read(&mut stream, Duration::from_millis(200)).await;
    assert_eq!((end, rest.end, pieces(&(text + &rest.text()))), (End::Open, End::Open, 2));
    drop(stream);
    until(async || stats(sim.addr()).await["in_flight"] == 0).await;
}

#[tokio::test]
async fn comments_come_without_content() {
    let sim = start("").await;
    let (body, proper) = fault(sim.addr(), "comments_only; for=50ms", true).await.body();
    assert_eq!((body.as_str(), proper), (": keep-alive\n\n", true));
}

#[tokio::test]
async fn gzip_comes_unasked_and_is_sound() {
    let sim = start("").await;
    let seen = fault(sim.addr(), "gzip_unasked", false).await;
    assert_eq!(seen.header("content-encoding").as_deref(), Some("gzip"));
    let at = seen.bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(seen.bytes[at..at + 3], [0x1f, 0x8b, 8]);
}

#[tokio::test]
async fn a_head_can_be_as_large_as_asked() {
    let sim = start("").await;
    let seen = fault(sim.addr(), "oversized_headers; bytes=100000", false).await;
    assert_eq!(seen.header("x-sim-padding").unwrap().len(), 100_000);
}

#[tokio::test]
async fn a_connection_can_close_without_having_said_so() {
    let sim = start("").await;
    for stream in [false, true] {
        let mut connection = connect(sim.addr()).await;
        let headers = [KEY, ("x-sim-fault", "close_after_response")];
        let text = request("POST /v1/chat/completions", &headers, &chat_body("m", stream), false);
        connection.write_all(text.as_bytes()).await.unwrap();
        let seen = read(&mut connection, Duration::from_secs(5)).await;
        assert_eq!((seen.end, seen.header("connection"), seen.body().1), (End::Fin, None, true));
    }
}

#[tokio::test]
async fn garbage_is_not_http() {
    let sim = start("").await;
    let seen = fault(sim.addr(), "garbage", false).await;
    assert!(!seen.bytes.starts_with(b"HTTP") && !seen.bytes.is_empty());
    assert_eq!(seen.end, End::Fin);
}

#[tokio::test]
async fn every_fault_works_on_every_endpoint_and_the_simulator_lives() {
    let sim = start("").await;
    let bodies = [
        ("POST /v1/chat/completions", chat_body("m", true)),
        ("POST /v1/responses", r#"{"model":"m","input":"in 4 words","stream":true}"#.into()),
        ("POST /v1/responses", r#"{"model":"m","input":"in 4 words"}"#.into()),
        (
            "POST /v1/completions",
            r#"{"model":"m","prompt":"x","max_tokens":4,"stream":true}"#.into(),
        ),
        ("POST /v1/embeddings", r#"{"model":"m","input":"x","dimensions":8}"#.into()),
        ("GET /v1/models", String::new()),
    ];
    for fault in Fault::ALL {
        let order = format!("{}; for=10ms", fault.name());
        for (head, body) in &bodies {
            let seen = send(sim.addr(), head, &[KEY, ("x-sim-fault", &order)], body).await;
            assert_ne!(seen.end, End::Open, "{order} {head}");
        }
    }
    let counted = stats(sim.addr()).await;
    for fault in Fault::ALL {
        assert_eq!(counted["faults"][fault.name()], bodies.len(), "{}", fault.name());
    }
    assert_eq!(chat(sim.addr(), "m", false, &[]).await.status(), 200);
}

/// Asks again until it is so; a busy machine has its time.
pub(crate) async fn until(mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come true within twenty seconds");
}
