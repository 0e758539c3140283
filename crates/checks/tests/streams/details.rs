//! What else is promised of streams, each promise through real sockets.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use mainstay_core::failure::Kind;
use mainstay_core::policy::{Policy, Recovery};
use mainstay_sim::Sim;

use crate::sdk::{self, SDKS, Sdk};
use crate::world::{
    APIS, Api, World, counted, holds, one_is_good, pair, policy, provider, sim, world,
};

const ASKED: &str = "say it in 12 words";

/// One provider without a fallback.
async fn lone(scenario: &str, policy: &Policy) -> (Sim, World<mainstay::http::HttpUpstream>) {
    let sim = sim(scenario).await;
    let world = world(vec![provider("primary", sim.addr().port())], policy);
    (sim, world)
}

#[tokio::test]
async fn two_hundred_faults_through_sockets_end_whole() {
    let faults = ["cut_fin", "cut_rst", "error_mid_stream", "malformed_event", "no_finish"];
    let mut played = 0;
    for api in APIS {
        let (_sim, sound) = lone("", &policy()).await;
        let got = sound.run(sound.call(api, "gpt-4o", ASKED, true)).await.expect("sound");
        let canonical = sdk::read(Sdk::Python, &got.body, false);
        for fault in faults {
            for after in 0..14 {
                let scenario = format!(
                    "[latency]\ntoken = \"1ms\"\n[[fault]]\nfault = \"{fault}\"\nafter = {after}\n"
                );
                let pair = pair(&scenario, "").await;
                let got = pair.world.run(pair.world.call(api, "gpt-4o", ASKED, true)).await;
                let got = got.expect("the fallback answers");
                for sdk in SDKS {
                    let read = sdk::read(sdk, &got.body, got.cut.is_some());
                    let place = format!("{api:?} {fault} after {after}, {sdk:?}");
                    assert!(read.looks_whole(), "{place}: {}", got.text());
                    assert_eq!(read.text(), canonical.text(), "{place}");
                    assert_eq!(read.ids.len(), 1, "{place}");
                }
                played += 1;
            }
        }
    }
    assert!(played >= 200, "{played}");
}

#[tokio::test]
async fn a_body_that_is_no_stream_gets_a_real_status() {
    let mut once = policy();
    once.retry.attempts_per_call_max = 1;
    for (fault, kind) in [
        ("error_in_200", Kind::Overloaded),
        ("html_200", Kind::MalformedResponse),
        ("empty_body", Kind::StreamInterrupted),
        ("error_first_event", Kind::Overloaded),
    ] {
        for api in APIS {
            let (_sim, world) = lone(&format!("[[fault]]\nfault = \"{fault}\"\n"), &once).await;
            let refusal = world.run(world.call(api, "gpt-4o", ASKED, true)).await.err();
            let refusal = refusal.unwrap_or_else(|| panic!("{api:?} {fault}: no refusal"));
            assert_eq!(refusal.failure.kind, kind, "{api:?} {fault}");
        }
    }
}

/// Where nobody tells it again, a stream that breaks is told as the failure that it is.
#[tokio::test]
async fn each_way_to_break_after_the_first_content_has_its_kind() {
    let mut plain = policy();
    plain.stream.recovery = Recovery::Error;
    for (fault, kind) in [
        ("cut_fin", Kind::StreamInterrupted),
        ("cut_rst", Kind::StreamInterrupted),
        ("no_finish", Kind::StreamInterrupted),
        ("stall", Kind::RequestTimeout),
        ("error_mid_stream", Kind::Overloaded),
        ("finish_error", Kind::InternalError),
    ] {
        for api in APIS {
            // Pieces come one by one, so that the first of them is delivered before the break.
            let scenario = format!(
                "[latency]\ntoken = \"10ms\"\n[[fault]]\nfault = \"{fault}\"\nafter = 4\nfor = \"60s\"\n"
            );
            let (_sim, world) = lone(&scenario, &plain).await;
            let got = world.run(world.call(api, "gpt-4o", ASKED, true)).await.expect("a head");
            // A response that failed names its reason; a `finish_reason` of "error" names none.
            let named = fault == "finish_error" && api == Api::Responses;
            let kind = if named { Kind::Overloaded } else { kind };
            assert_eq!(got.cut, Some(kind), "{api:?} {fault}: {}", got.text());
            assert_eq!(got.trace.records[0].kind, Some(kind), "{api:?} {fault}");
        }
    }
}

#[tokio::test]
async fn whole_answers_that_are_cut_wrong_in_length_or_an_error_are_asked_for_again() {
    for fault in [
        "cut_fin",
        "cut_rst",
        "length_too_long",
        "length_too_short",
        "malformed_event",
        "error_in_200",
        "empty_body",
        "error_first_event",
        "reset_after_headers",
    ] {
        for api in APIS {
            let (_sim, world) =
                lone(&format!("[[fault]]\nfault = \"{fault}\"\nfirst = 1\n"), &policy()).await;
            let got = world.run(world.call(api, "gpt-4o", ASKED, false)).await;
            let got = got.unwrap_or_else(|refusal| panic!("{api:?} {fault}: {refusal:?}"));
            assert_eq!(got.trace.attempts, 2, "{api:?} {fault}");
            let answer: serde_json::Value = serde_json::from_slice(&got.body).expect("JSON");
            assert!(answer["error"].is_null() && answer["usage"].is_object(), "{api:?} {fault}");
        }
    }
}

#[tokio::test]
async fn comments_are_no_content_and_leave_a_real_status_possible() {
    let mut quick = policy();
    quick.timeouts.first_content = Duration::from_millis(1500);
    quick.retry.attempts_per_call_max = 1;
    one_is_good(async || {
        let (_sim, world) = lone("[[fault]]\nfault = \"comments_only\"\n", &quick).await;
        let began = Instant::now();
        let refusal = world.run(world.call(Api::Chat, "gpt-4o", ASKED, true)).await.err();
        assert_eq!(refusal.expect("a refusal").failure.kind, Kind::RequestTimeout);
        holds(began.elapsed() < Duration::from_secs(3), format_args!("{:?}", began.elapsed()))
    })
    .await;
}

#[tokio::test]
async fn a_caller_with_little_patience_is_kept_alive_while_a_stream_is_silent() {
    let mut patient = policy();
    patient.timeouts.idle = Duration::from_secs(20);
    let scenario = "[[fault]]\nfault = \"stall\"\nfor = \"1500ms\"\n";
    one_is_good(async || {
        let (_sim, world) = lone(scenario, &patient).await;
        let mut call = world.call(Api::Chat, "gpt-4o", ASKED, true);
        call.read_timeout = Some(Duration::from_secs(2));
        let answer = world.engine.call(&world.upstream, call).answer().await;
        let (_, mut body) = answer.expect("a head");
        let (mut longest, mut last) = (Duration::ZERO, Instant::now());
        let mut text = Vec::new();
        while let Some(frame) = body.frame().await {
            longest = longest.max(last.elapsed());
            last = Instant::now();
            text.extend_from_slice(frame.expect("whole").data_ref().expect("data"));
        }
        assert!(sdk::read(Sdk::Node, &text, false).looks_whole());
        let alive = longest < Duration::from_millis(1200);
        holds(alive, format_args!("{longest:?} without a sign of life"))
    })
    .await;
}

#[tokio::test]
async fn a_caller_who_leaves_ends_the_provider_s_work_within_a_tenth_of_a_second() {
    one_is_good(known_after_he_left).await;
}

async fn known_after_he_left() -> Result<(), String> {
    let (sim, world) = lone("[latency]\ntoken = \"20ms\"\n", &policy()).await;
    let call = world.call(Api::Chat, "gpt-4o", "say it in 500 words", true);
    let (_, mut body) = world.engine.call(&world.upstream, call).answer().await.expect("a head");
    for _ in 0..10 {
        body.frame().await.expect("a frame").expect("data");
    }
    let used = body.used().expect("the tokens so far are known");
    assert!(used.counted && used.usage.output >= 5, "{used:?}");
    drop(body);
    let left = Instant::now();
    while counted(&sim, "client_gone").await == 0 {
        assert!(left.elapsed() < Duration::from_secs(20), "the provider never noticed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = left.elapsed();
    println!("the provider noticed after {took:?}");
    let held: u32 = world.engine.snapshot().iter().map(|target| target.in_flight).sum();
    assert_eq!(held, 0, "permits are back");
    holds(took < Duration::from_millis(500), format_args!("{took:?}"))
}

#[tokio::test]
async fn a_slow_caller_is_waited_for_and_no_timer_runs_out_on_him() {
    let mut quick = policy();
    quick.timeouts.idle = Duration::from_millis(1500);
    let (_sim, world) = lone("[latency]\ntoken = \"1ms\"\n", &quick).await;
    let call = world.call(Api::Chat, "gpt-4o", "say it in 400 words", true);
    let (_, mut body) = world.engine.call(&world.upstream, call).answer().await.expect("a head");
    let (mut text, mut frames) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        text.extend_from_slice(frame.expect("no timer").data_ref().expect("data"));
        frames += 1;
        if frames % 150 == 0 {
            // Nothing at all runs while he is away.
            std::thread::sleep(Duration::from_secs(2));
        }
    }
    assert!(sdk::read(Sdk::Python, &text, false).text().ends_with("w400"));
}

#[tokio::test]
async fn usage_is_asked_for_on_the_caller_s_behalf_and_taken_out_again() {
    for api in [Api::Chat, Api::Completions] {
        let (_sim, world) = lone("", &policy()).await;
        let mut call = world.call(api, "gpt-4o", ASKED, true);
        call.add_usage = true;
        let got = world.run(call).await.expect("an answer");
        let used = got.trace.used.expect("known");
        assert!(!used.counted && used.usage.output > 0 && used.usage.input > 0, "{used:?}");
        let read = sdk::read(Sdk::Python, &got.body, false);
        assert_eq!(read.usage, None, "{api:?}: {}", got.text());
        assert!(!got.text().contains("\"choices\":[]"), "{api:?}: {}", got.text());
        assert!(read.looks_whole() && read.marker);
    }
}

#[tokio::test]
async fn where_no_usage_comes_the_delivered_text_is_counted() {
    for api in APIS {
        let (_sim, world) = lone("[[fault]]\nfault = \"missing_usage\"\n", &policy()).await;
        let got = world.run(world.call(api, "gpt-4o", ASKED, true)).await.expect("an answer");
        let used = got.trace.used.expect("counted");
        assert!(used.counted && (12..60).contains(&used.usage.output), "{api:?}: {used:?}");
    }
}

#[tokio::test]
async fn without_recovery_a_broken_stream_ends_in_an_error_at_once() {
    let mut plain = policy();
    plain.stream.recovery = Recovery::Error;
    let broken = sim("[[fault]]\nfault = \"cut_rst\"\n").await;
    let sound = sim("").await;
    let providers =
        vec![provider("primary", broken.addr().port()), provider("fallback", sound.addr().port())];
    let world = world(providers, &plain);
    for api in APIS {
        let got = world.run(world.call(api, "gpt-4o", ASKED, true)).await.expect("a head");
        for sdk in SDKS {
            let read = sdk::read(sdk, &got.body, got.cut.is_some());
            assert_eq!(read.raised, Some("APIError"), "{api:?} {sdk:?}");
        }
    }
    assert_eq!(counted(&sound, "attempts").await, 0);
}

#[tokio::test]
async fn a_second_telling_that_differs_ends_in_an_error_and_adds_nothing() {
    let broken = "[latency]\ntoken = \"2ms\"\n[[fault]]\nfault = \"cut_rst\"\nafter = 6\n";
    let pair = pair(broken, "[answer]\ntext = \"Heard something else entirely\"\n").await;
    for api in APIS {
        let got =
            pair.world.run(pair.world.call(api, "gpt-4o", ASKED, true)).await.expect("a head");
        for sdk in SDKS {
            let read = sdk::read(sdk, &got.body, got.cut.is_some());
            assert_eq!(read.raised, Some("APIError"), "{api:?} {sdk:?}: {}", got.text());
            assert!(!got.text().contains("entirely") && !got.text().contains("[DONE]"));
        }
    }
}

#[tokio::test]
async fn many_streams_at_once_miss_no_content() {
    let count: u32 = if cfg!(feature = "full") { 2000 } else { 100 };
    let (_sim, world) = lone("[latency]\ntoken = \"200ms\"\n", &Policy::default()).await;
    let before = resident();
    let mut streams = Vec::new();
    for _ in 0..count {
        let call = world.call(Api::Chat, "gpt-4o", ASKED, true);
        streams.push(world.engine.call(&world.upstream, call).answer().await.expect("a head").1);
        if streams.len() == count as usize / 2 {
            println!("{} streams: {} KiB more", streams.len(), resident().saturating_sub(before));
        }
    }
    let mut reading = tokio::task::JoinSet::new();
    for mut body in streams {
        reading.spawn(async move {
            let mut text = Vec::new();
            while let Some(frame) = body.frame().await {
                text.extend_from_slice(frame.expect("whole").data_ref().expect("data"));
            }
            text
        });
    }
    while let Some(text) = reading.join_next().await {
        let text = text.expect("no panic");
        assert!(sdk::read(Sdk::Python, &text, false).text().ends_with("w12"));
    }
}

/// Resident memory of this process (simulator included), in KiB; 0 where it cannot be read.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}
