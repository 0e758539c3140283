//! The sixteen faults through a gateway and sockets on both sides: what a caller sees who knows
//! nothing of us, byte by byte.

use std::time::Duration;

use crate::gate::{Gates, Heard, gates, gates_with, settings, unhurried};
use crate::sdk::{self, SDKS};
use crate::world::{APIS, Api, counted, holds, one_is_good, paced, paced_secs};

/// Sixty words, so that a cut after forty is in the middle.
const ASKED: &str = "tell me something in 60 words";
/// Pieces come one by one, as a model makes them.
const PACE: &str = "[latency]\ntoken = \"2ms\"\n";
/// A reset takes along what nobody has read yet: a reader who is late by a few tokens has the others.
const EASY_PACE: &str = "[latency]\ntoken = \"10ms\"\n";
/// What machines that do other work at the same time may add.
const SLACK: Duration = Duration::from_millis(700);
/// Longest wait for what must come.
const A_MINUTE: Duration = Duration::from_secs(60);

fn canonical(api: Api) -> String {
    let words = crate::world::words(60);
    match api {
        Api::Chat | Api::Completions | Api::Responses | Api::Run => {
            format!("Heard {} bytes:{words}", ASKED.len())
        }
        Api::ChatTool | Api::ResponsesTool => unreachable!("they answer otherwise"),
    }
}

async fn play(gates: &Gates, name: &str, api: Api) -> Heard {
    let heard = gates.gate.stream(api, ASKED).await;
    println!(
        "{name} {api:?}: {:.2} s, head after {:.2} s, longest silence {:.2} s, primary {}, fallback {}",
        heard.took.as_secs_f64(),
        heard.head_after.as_secs_f64(),
        heard.silence.as_secs_f64(),
        counted(&gates.primary, "attempts").await,
        counted(&gates.fallback, "attempts").await,
    );
    heard
}

/// One stream with one id, the whole text, properly ended, labelled by us.
#[track_caller]
fn whole(api: Api, heard: &Heard) {
    assert_eq!(heard.status, 200, "{api:?}: {}", heard.text());
    assert!(heard.header("content-type").starts_with("text/event-stream"), "{:?}", heard.headers);
    assert!(heard.header("x-request-id").starts_with("req_"), "{:?}", heard.headers);
    assert!(!heard.header("x-mainstay-provider").is_empty(), "{:?}", heard.headers);
    assert!(!heard.header("x-mainstay-attempts").is_empty(), "{:?}", heard.headers);
    assert!(!heard.is_cut(), "{api:?}: cut after {}", heard.text());
    for sdk in SDKS {
        let read = sdk::read(sdk, &heard.body, false);
        assert!(read.looks_whole(), "{api:?} {sdk:?}: {read:?}\n{}", heard.text());
        assert_eq!(read.text(), canonical(api), "{api:?} {sdk:?}");
        assert_eq!(read.ids.len(), 1, "{api:?} {sdk:?}: {:?}", read.ids);
        assert!(!api.has_marker() || read.marker, "{api:?} {sdk:?}: the marker is there");
    }
    let markers = heard.text().matches("[DONE]").count();
    assert_eq!(markers, usize::from(api.has_marker()), "{api:?}: one marker");
}

/// Status 200, then an error that both SDKs raise on as the last event, no marker, and a cut.
#[track_caller]
pub(crate) fn broken(api: Api, heard: &Heard) {
    assert_eq!(heard.status, 200, "{api:?}: {}", heard.text());
    assert!(heard.is_cut(), "{api:?}: the connection is not cut: {}", heard.text());
    for sdk in SDKS {
        let read = sdk::read(sdk, &heard.body, true);
        assert_eq!(read.raised, Some("APIError"), "{api:?} {sdk:?}: {}", heard.text());
        assert!(!read.marker && !read.finished, "{api:?} {sdk:?}: {}", heard.text());
    }
    let text = heard.text();
    let last = text.trim_end().rsplit("\n\n").next().expect("an event");
    let data = last.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
    let value: serde_json::Value = serde_json::from_str(data).expect("JSON");
    for key in ["message", "type", "param", "code"] {
        assert!(value["error"].get(key).is_some(), "{api:?}: no {key} in {value}");
    }
}

async fn asked(gates: &Gates) -> (u64, u64) {
    (counted(&gates.primary, "attempts").await, counted(&gates.fallback, "attempts").await)
}

#[tokio::test]
async fn s01_a_rate_limit_with_a_hint_is_waited_out_on_the_primary() {
    async fn one(api: Api) {
        let fault = "[[fault]]\nkind = \"rate_limit_other\"\nfirst = 1\nretry_after = \"2s\"\n";
        let gates = gates_with(fault, "", &unhurried()).await;
        let heard = play(&gates, "S01", api).await;
        whole(api, &heard);
        assert_eq!(asked(&gates).await, (2, 0), "{api:?}");
        assert!(heard.took >= Duration::from_secs(2), "{:?} is earlier than the hint", heard.took);
        assert!(heard.took < Duration::from_secs(5), "{:?}", heard.took);
        assert_eq!(heard.header("x-mainstay-attempts"), "2");
    }
    tokio::join!(one(APIS[0]), one(APIS[1]), one(APIS[2]));
}

#[tokio::test]
async fn s02_to_s05_and_s12_are_mended_unseen() {
    for (name, primary, most) in [
        ("S02", "[limits]\nrpm = 1\ninitial = 0.0\ndialect = \"silent\"\n", (3, 1)),
        ("S03", "[[fault]]\nkind = \"internal_error\"\nfirst = 1\n", (2, 0)),
        ("S04", "[[fault]]\nkind = \"service_unavailable\"\n", (1, 1)),
        ("S05", "[[fault]]\nfault = \"reset_before_headers\"\nfirst = 1\n", (2, 1)),
        ("S05", "[[fault]]\nfault = \"reset_before_headers\"\n", (3, 1)),
        ("S12", "[[fault]]\nkind = \"context_length_exceeded\"\n", (1, 1)),
    ] {
        for api in APIS {
            let gates = gates_with(primary, "", &unhurried()).await;
            let heard = play(&gates, name, api).await;
            whole(api, &heard);
            let (first, second) = asked(&gates).await;
            assert!(first <= most.0 && second <= most.1, "{name} {api:?}: {first}, {second}");
            assert!(heard.took < Duration::from_secs(15), "{name} {api:?}: {:?}", heard.took);
        }
    }
}

#[tokio::test]
async fn s06_and_s07_end_in_time_with_one_attempt_at_the_silent_primary() {
    for (name, fault, time) in [("S06", "hang", 120.0), ("S07", "slow_first_token", 20.0)] {
        let fault = format!("[[fault]]\nfault = \"{fault}\"\nfor = \"{}\"\n", paced_secs(time));
        for api in APIS {
            one_is_good(async || {
                let gates = gates(&fault, "").await;
                let heard = play(&gates, name, api).await;
                whole(api, &heard);
                assert_eq!(heard.header("x-mainstay-provider"), "fallback");
                assert_eq!(heard.header("x-mainstay-model"), "fallback-model");
                let asked = asked(&gates).await;
                let most = paced(Duration::from_secs(15)).max(Duration::from_millis(1450));
                let good = asked == (1, 1) && heard.took < most;
                holds(good, format_args!("{name} {api:?}: {asked:?} in {:?}", heard.took))
            })
            .await;
        }
    }
}

#[tokio::test]
async fn s08_s09_and_s14_are_completed_by_the_fallback_in_one_stream() {
    for (name, fault) in [
        ("S08", "fault = \"cut_fin\"\nafter = 40\n".to_owned()),
        ("S14", "fault = \"cut_rst\"\nafter = 40\n".to_owned()),
        ("S09", format!("fault = \"stall\"\nafter = 40\nfor = \"{}\"\n", paced_secs(60.0))),
    ] {
        for api in APIS {
            one_is_good(async || completed_in_one_stream(name, &fault, api).await).await;
        }
    }
}

async fn completed_in_one_stream(name: &str, fault: &str, api: Api) -> Result<(), String> {
    let primary = format!("{EASY_PACE}[[fault]]\n{fault}");
    let gates = gates(&primary, "[answer]\nprefill = \"refuse\"\n").await;
    let heard = play(&gates, name, api).await;
    whole(api, &heard);
    let asked = asked(&gates).await;
    let late = heard.head_after >= paced(Duration::from_secs(10));
    holds(asked == (1, 1) && !late, format_args!("{name} {api:?}: {asked:?}, once each"))?;
    let text = heard.text();
    assert!(text.contains(": mainstay: recovered by fallback/fallback-model\n\n"));
    let models = sdk::read(SDKS[0], &heard.body, false).models;
    assert_eq!(models.last().map(String::as_str), Some("fallback-model"), "{models:?}");
    let kept_alive = heard.silence < Duration::from_secs(5) + SLACK;
    holds(kept_alive, format_args!("{name} {api:?}: {:?} without a byte", heard.silence))
}

#[tokio::test]
async fn s10_and_s11_do_no_harm() {
    let malformed = format!("{PACE}[[fault]]\nfault = \"malformed_event\"\nafter = 40\n");
    for (name, primary) in
        [("S10", malformed.as_str()), ("S11", "[[fault]]\nfault = \"no_done\"\n")]
    {
        for api in APIS {
            let gates = gates(primary, "").await;
            let heard = play(&gates, name, api).await;
            whole(api, &heard);
        }
    }
}

#[tokio::test]
async fn s13_a_refusal_on_grounds_of_content_is_the_provider_s_own_and_final() {
    for api in APIS {
        let fault = "[[fault]]\nkind = \"content_policy\"\n";
        let gates = gates_with(fault, "", &unhurried()).await;
        let heard = play(&gates, "S13", api).await;
        assert_eq!(heard.status, 400);
        assert_eq!(heard.header("content-type"), "application/json");
        assert_eq!(heard.header("x-mainstay-kind"), "content_policy");
        assert_eq!(heard.header("x-should-retry"), "false");
        assert_eq!(heard.error()["code"], "invalid_prompt");
        assert_eq!(asked(&gates).await, (1, 0));
    }
}

#[tokio::test]
async fn s15_a_primary_that_is_back_is_used_again() {
    tokio::join!(used_again(APIS[0]), used_again(APIS[1]), used_again(APIS[2]));
}

/// Sees that it is, soon. How soon says nothing of us in a round in which the machine was slow.
async fn used_again(api: Api) {
    const ROUNDS: usize = 3;
    let mut times = Vec::new();
    while times.len() < ROUNDS {
        let (late, most) = again_after_an_outage(api).await;
        if late < most {
            return;
        }
        times.push((late, most));
    }
    panic!("{api:?}: used again so late, and so late at most, in each round: {times:?}");
}

/// Asks now and then through an outage of the primary, until it is the primary that answers: how long
/// after its return it was asked, and how long it may take.
async fn again_after_an_outage(api: Api) -> (Duration, Duration) {
    let outage = format!("[[fault]]\nfault = \"refuse\"\nto = \"{}\"\n", paced_secs(60.0));
    let gates = gates(&outage, "").await;
    let began = tokio::time::Instant::now();
    let back = began + paced(Duration::from_secs(60));
    let (mut again, mut turn) = (None, Duration::ZERO);
    while again.is_none() {
        let asked = tokio::time::Instant::now();
        assert!(asked - began < paced(Duration::from_secs(120)).max(A_MINUTE), "{api:?}: never");
        let heard = gates.gate.stream(api, ASKED).await;
        whole(api, &heard);
        if heard.header("x-mainstay-provider") == "primary" {
            again = Some(asked);
        }
        tokio::time::sleep(paced(Duration::from_secs(3))).await;
        turn = turn.max(asked.elapsed());
    }
    let late = again.expect("it was used").saturating_duration_since(back);
    println!("S15 {api:?}: {:.2} s after its return", late.as_secs_f64());
    // Who asks when it may be used again is one turn late at most, and turns are long on a busy machine.
    (late, paced(Duration::from_secs(15)).max(Duration::from_secs(2)) + turn)
}

#[tokio::test]
async fn s16_the_model_that_answered_and_its_usage_are_named() {
    for api in APIS {
        let gates = gates_with("[[fault]]\nkind = \"overloaded\"\n", "", &unhurried()).await;
        let (path, body) = gates.gate.streamed(api, "gpt-4o", ASKED).await;
        let wish = "\"stream\":true,\"stream_options\":{\"include_usage\":true}";
        let body = body
            .replace("\"stream\":true", if api.has_marker() { wish } else { "\"stream\":true" });
        let heard = gates.gate.post(&path, "", &body).await;
        whole(api, &heard);
        let read = sdk::read(SDKS[0], &heard.body, false);
        assert_eq!(read.models, ["fallback-model"], "{api:?}");
        assert!(read.usage.is_some_and(|total| total >= 60), "{api:?}: {:?}", read.usage);
        assert_eq!(heard.header("x-mainstay-provider"), "fallback");
        assert_eq!(heard.header("x-mainstay-model"), "fallback-model");
        assert_eq!(heard.header("x-mainstay-attempts"), "2");
    }
}

#[tokio::test]
async fn before_the_first_content_a_failure_of_all_has_a_real_status() {
    for (fault, status) in [
        ("kind = \"overloaded\"", 503),
        ("fault = \"html_200\"", 502),
        ("fault = \"error_first_event\"", 503),
        ("fault = \"reset_after_headers\"", 502),
    ] {
        for api in [APIS[0], APIS[1], APIS[2], Api::Run] {
            let only = if api == Api::Run { "endpoints = [\"runs\"]\n" } else { "" };
            let fault = format!("[[fault]]\n{fault}\n{only}");
            // With one target an open circuit is waited at; that is another test's matter.
            let little = "[policy.retry]\npatience = \"100ms\"\n";
            let settings = settings().replace("[policy.retry]\n", little);
            let gates = gates_with(&fault, &fault, &settings).await;
            let heard = play(&gates, "all away", api).await;
            assert_eq!(heard.status, status, "{api:?} {fault}: {}", heard.text());
            assert_eq!(heard.header("x-should-retry"), "false", "{api:?} {fault}");
            assert!(!heard.is_cut());
            heard.error();
        }
    }
}

#[tokio::test]
async fn after_it_a_stream_that_nobody_can_complete_ends_in_an_error_and_a_cut() {
    let silent = format!("fault = \"stall\"\nfor = \"{}\"\n", paced_secs(60.0));
    let cut = "fault = \"cut_rst\"\nafter = 40\n";
    // Whoever is late with his first content is silent later, and not overtaken.
    let first = "first_content = \"20s\"\nfirst_content_soft = \"19s\" # ";
    let settings = settings().replace("first_content = ", "# ");
    let settings = settings.replace("first_content_soft = ", first);
    for fault in [cut, "fault = \"error_mid_stream\"\n", silent.as_str()] {
        for api in [APIS[0], APIS[1], APIS[2], Api::Run] {
            let only = if api == Api::Run { "endpoints = [\"runs\"]\n" } else { "" };
            let fault = format!("{EASY_PACE}[[fault]]\n{fault}{only}");
            let other = "[answer]\ntext = \"Heard something else\"\n";
            let gates = gates_with(&fault, other, &settings).await;
            let heard = play(&gates, "broken", api).await;
            broken(api, &heard);
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
        "html_200",
        "reset_after_headers",
    ] {
        for api in APIS {
            let primary = format!("[[fault]]\nfault = \"{fault}\"\nfirst = 1\n");
            let gates = gates_with(&primary, "", &unhurried()).await;
            let (_, path) = api.endpoint();
            let body = api.body("gpt-4o", ASKED, false).to_string();
            let heard = gates.gate.post(path, "", &body).await;
            assert_eq!(heard.status, 200, "{api:?} {fault}: {}", heard.text());
            assert!(!heard.is_cut(), "{api:?} {fault}");
            assert_eq!(heard.header("x-mainstay-attempts"), "2", "{api:?} {fault}");
            let answer: serde_json::Value = serde_json::from_slice(&heard.body).expect("JSON");
            assert!(answer["error"].is_null() && answer["usage"].is_object(), "{api:?} {fault}");
        }
    }
}
