//! Callers of streams who leave, read slowly, have little patience, or come in crowds.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::gate::{Gates, gates, gates_with, hear, settings};
use crate::sdk::{self, SDKS};
use crate::world::{APIS, Api, counted, holds, one_is_good, paced, paced_secs};

/// How long both simulators take to notice `count` callers who are gone.
async fn noticed(gates: &Gates, count: u64) -> Duration {
    let left = Instant::now();
    loop {
        let primary = counted(&gates.primary, "client_gone").await;
        if primary + counted(&gates.fallback, "client_gone").await >= count {
            return left.elapsed();
        }
        assert!(left.elapsed() < Duration::from_secs(20), "nobody noticed");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until nothing of a call is held any more.
async fn all_given_back(gates: &Gates) {
    let began = Instant::now();
    let gateway = &gates.gate.gateway;
    while gateway.in_flight() > 0 || gateway.held_bytes() > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "a call stays on the books");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A call is left after some of its answer, or before any: how long until the providers know.
async fn left_after(
    gates: &Gates,
    api: Api,
    bytes: usize,
    wait: impl Future<Output = ()>,
    known: u64,
) -> Duration {
    let (path, body) = gates.gate.streamed(api, "gpt-4o", "say it in 2000 words").await;
    let mut stream = gates.gate.connect().await;
    stream.write_all(&gates.gate.post_bytes(&path, "", &body)).await.expect("it reads");
    let (mut buffer, mut read) = (vec![0; 4096], 0);
    while read < bytes {
        let piece = stream.read(&mut buffer).await.expect("an answer");
        assert!(piece > 0, "the answer ended early");
        read += piece;
    }
    wait.await;
    drop(stream);
    let took = noticed(gates, known).await;
    all_given_back(gates).await;
    took
}

#[tokio::test]
async fn a_caller_who_leaves_ends_the_providers_work_within_a_tenth_of_a_second() {
    for api in [APIS[0], APIS[1], APIS[2], Api::Run] {
        let gates = gates("[latency]\ntoken = \"20ms\"\n", "").await;
        let mut fastest = Duration::MAX;
        for known in 1..=3 {
            let took = left_after(&gates, api, 2000, async {}, known).await;
            fastest = fastest.min(took);
        }
        println!("{api:?}: the provider noticed after {fastest:?}");
        // What a busy machine adds is not ours, and not there every time.
        assert!(fastest < Duration::from_millis(100), "{api:?}: {fastest:?}");
    }
}

#[tokio::test]
async fn a_caller_who_leaves_before_the_first_content_ends_both_attempts() {
    let silent = format!("[[fault]]\nfault = \"hang\"\nfor = \"{}\"\n", paced_secs(120.0));
    // He waits until the second target is asked, too.
    let own = settings().replace("first_content = ", "first_content = \"60s\" # ");
    one_is_good(async || {
        let gates = gates_with(&silent, &silent, &own).await;
        let beside = async { while counted(&gates.fallback, "attempts").await == 0 {} };
        let took = left_after(&gates, Api::Chat, 0, beside, 2).await;
        holds(took < Duration::from_millis(500), format_args!("{took:?}"))
    })
    .await;
}

#[tokio::test]
async fn a_gateway_gives_up_before_a_caller_whose_patience_is_as_long_as_its_own() {
    let silent = format!("[[fault]]\nfault = \"hang\"\nfor = \"{}\"\n", paced_secs(120.0));
    // Shorter patience is meant to run out: nothing is taken from it.
    let patience = paced(Duration::from_secs(30)).as_secs_f64().max(5.0);
    let own =
        settings().replace("first_content = ", &format!("first_content = \"{patience}s\" # "));
    for api in [APIS[0], APIS[1], APIS[2]] {
        one_is_good(async || {
            let gates = gates_with(&silent, &silent, &own).await;
            let (path, body) = gates.gate.streamed(api, "gpt-4o", "hi").await;
            let header = format!("x-stainless-read-timeout: {patience}\r\n");
            let heard = gates.gate.post(&path, &header, &body).await;
            let after = heard.head_after.as_secs_f64();
            println!("{api:?}: {} after {after:.2} s of {patience} s", heard.status);
            assert_eq!(heard.status, 504, "{}", heard.text());
            assert_eq!(heard.header("x-mainstay-kind"), "request_timeout");
            heard.error();
            assert!(after > patience * 0.8, "{api:?}: {after} s is too early");
            holds(after < patience, format_args!("{api:?}: {after} s is later than {patience} s"))
        })
        .await;
    }
}

/// Node's SDK names a time only where its caller has set one. Its clock runs to the head of a stream,
/// and else to the end of the body.
#[tokio::test]
async fn the_time_that_nodes_sdk_names_ends_before_the_answer_and_never_within_a_stream() {
    let silent = format!("[[fault]]\nfault = \"hang\"\nfor = \"{}\"\n", paced_secs(120.0));
    let gates = gates_with(&silent, &silent, "").await;
    let (path, streamed) = gates.gate.streamed(Api::Chat, "gpt-4o", "hi").await;
    for body in [streamed.clone(), streamed.replace("\"stream\":true", "\"stream\":false")] {
        one_is_good(async || {
            let heard = gates.gate.post(&path, "x-stainless-timeout: 5\r\n", &body).await;
            let after = heard.head_after.as_secs_f64();
            assert_eq!(heard.status, 504, "{}", heard.text());
            assert_eq!(heard.header("x-should-retry"), "false");
            assert_eq!(heard.header("x-mainstay-kind"), "request_timeout");
            assert!(after >= 4.0, "{after} s of 5 s");
            holds(after < 5.0, format_args!("{after} s of 5 s"))
        })
        .await;
    }
    let stall = "[[fault]]\nfault = \"stall\"\nafter = 4\nfor = \"1500ms\"\n";
    let patient = settings().replace("idle = ", "idle = \"20s\" # ");
    let gates = gates_with(stall, stall, &patient).await;
    let (path, body) = gates.gate.streamed(Api::Chat, "gpt-4o", "say it in 12 words").await;
    let heard = gates.gate.post(&path, "x-stainless-timeout: 1\r\n", &body).await;
    assert!(sdk::read(SDKS[0], &heard.body, heard.is_cut()).looks_whole(), "{}", heard.text());
}

#[tokio::test]
async fn a_caller_with_little_patience_hears_something_while_a_stream_is_silent() {
    let stall = "[[fault]]\nfault = \"stall\"\nafter = 4\nfor = \"1500ms\"\n";
    let patient = settings().replace("idle = ", "idle = \"20s\" # ");
    one_is_good(async || {
        let gates = gates_with(stall, stall, &patient).await;
        let (path, body) = gates.gate.streamed(Api::Chat, "gpt-4o", "say it in 12 words").await;
        let heard = gates.gate.post(&path, "x-stainless-read-timeout: 2\r\n", &body).await;
        let text = heard.text();
        assert!(sdk::read(SDKS[0], &heard.body, heard.is_cut()).looks_whole(), "{text}");
        let good = heard.silence < Duration::from_millis(1500) && text.contains(": mainstay\n\n");
        holds(good, format_args!("{:?}: {text}", heard.silence))
    })
    .await;
}

// A thread for the provider, whatever the caller does meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_caller_slows_the_provider_and_misses_nothing() {
    // Far more than the buffers of all sockets between hold.
    const WORDS: usize = 60_000;
    const QUICK: &str = "[policy.timeouts]\nidle = \"2s\"\n";
    let gates = gates_with("", "", QUICK).await;
    let said = format!("say it in {WORDS} words");
    let (path, body) = gates.gate.streamed(Api::Chat, "gpt-4o", &said).await;
    let mut stream = gates.gate.connect().await;
    let began = Instant::now();
    stream.write_all(&gates.gate.post_bytes(&path, "", &body)).await.expect("it reads");
    // Twice as long as the provider may be silent.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(counted(&gates.primary, "completed").await, 0, "the provider is held back");
    let heard = hear(&mut stream, began).await;
    let read = sdk::read(SDKS[0], &heard.body, heard.is_cut());
    assert!(read.looks_whole(), "{:?}", read.raised);
    assert!(read.text().ends_with(&format!(" w{WORDS}")));
    assert_eq!(counted(&gates.fallback, "attempts").await, 0, "no timer ran out on him");
}

#[tokio::test]
async fn a_crowd_of_streams_misses_no_content() {
    let count = if cfg!(feature = "full") { 2000 } else { 150 };
    let gates = gates("[latency]\ntoken = \"200ms\"\n", "").await;
    let (path, body) = gates.gate.streamed(Api::Chat, "gpt-4o", "say it in 12 words").await;
    let bytes = gates.gate.post_bytes(&path, "", &body);
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..count {
        let (mut stream, bytes) = (gates.gate.connect().await, bytes.clone());
        callers.spawn(async move {
            stream.write_all(&bytes).await.expect("it reads");
            hear(&mut stream, Instant::now()).await
        });
    }
    while let Some(heard) = callers.join_next().await {
        let heard = heard.expect("no panic");
        let read = sdk::read(SDKS[0], &heard.body, heard.is_cut());
        assert!(read.looks_whole() && read.text().ends_with("w12"), "{}", heard.text());
    }
    assert_eq!(counted(&gates.primary, "attempts").await, count, "each was asked for once");
    all_given_back(&gates).await;
}
