//! The sixteen faults, one primary and one fallback: the whole canonical answer in fifteen, and a
//! clean error for a refusal on grounds of content.
//!
//! The list is that of a public scorecard of gateways, read 2026-09.

use std::time::Duration;

use mainstay_core::failure::Kind;

use crate::sdk::{self, Read, SDKS, Sdk};
use crate::world::{
    APIS, Api, Got, Pair, counted, holds, one_is_good, paced, paced_secs, pair, pair_with, policy,
    provider, sim, world,
};

/// Sixty words, so that a cut after forty is in the middle.
const ASKED: &str = "tell me something in 60 words";
/// What a call may take at most whose length is no matter here.
const ANY: Duration = Duration::from_secs(60);
/// Pieces come one by one, as a model makes them.
const PACE: &str = "[latency]\ntoken = \"2ms\"\n";

/// The text that both simulators tell when nothing goes wrong.
async fn canonical(api: Api) -> Read {
    let sound = sim("").await;
    let world = world(vec![provider("primary", sound.addr().port())], &policy());
    let got = world.run(world.call(api, "gpt-4o", ASKED, true)).await.expect("an answer");
    let read = sdk::read(Sdk::Python, &got.body, got.cut.is_some());
    assert!(read.looks_whole() && read.text().ends_with("w60"), "{read:?}");
    read
}

async fn play(pair: &Pair, api: Api) -> Got {
    let call = pair.world.call(api, "gpt-4o", ASKED, true);
    pair.world.run(call).await.unwrap_or_else(|refusal| panic!("{api:?}: {refusal:?}"))
}

/// One stream, one id, the whole text, for the eyes of both SDKs.
async fn whole(api: Api, got: &Got) {
    let canonical = canonical(api).await;
    for sdk in SDKS {
        let read = sdk::read(sdk, &got.body, got.cut.is_some());
        assert!(read.looks_whole(), "{api:?} {sdk:?}: {read:?}\n{}", got.text());
        assert_eq!(read.text(), canonical.text(), "{api:?} {sdk:?}");
        assert_eq!(read.ids.len(), 1, "{api:?} {sdk:?}: {:?}", read.ids);
        assert!(!api.has_marker() || read.marker, "{api:?} {sdk:?}: the marker is there");
    }
}

fn on(got: &Got, provider: &str) -> usize {
    got.trace.records.iter().filter(|record| &*record.provider == provider).count()
}

fn note(scenario: &str, api: Api, got: &Got) {
    println!(
        "{scenario} {api:?}: {:.2} s, primary {}, fallback {}",
        got.took.as_secs_f64(),
        on(got, "primary"),
        on(got, "fallback")
    );
}

/// A fault of the primary is mended with so many attempts at it and at the fallback, and within a time.
async fn mended(scenario: &str, fault: &str, api: Api, attempts: (usize, usize), most: Duration) {
    one_is_good(async || {
        let pair = pair(fault, "").await;
        let got = play(&pair, api).await;
        note(scenario, api, &got);
        whole(api, &got).await;
        let asked = (on(&got, "primary"), on(&got, "fallback"));
        let good = asked == attempts && got.took < most;
        holds(good, format_args!("{scenario} {api:?}: {asked:?} in {:?}", got.took))
    })
    .await;
}

#[tokio::test]
async fn s01_a_rate_limit_with_a_hint_is_waited_out_on_the_primary() {
    let hint = Duration::from_secs(2);
    let fault = "[[fault]]\nkind = \"rate_limit_other\"\nfirst = 1\nretry_after = \"2s\"\n";
    one_is_good(async || {
        let pair = pair(fault, "").await;
        let got = play(&pair, Api::Chat).await;
        note("S01", Api::Chat, &got);
        whole(Api::Chat, &got).await;
        let asked = (on(&got, "primary"), on(&got, "fallback"));
        let early = asked.0 > 1 && got.took < hint;
        assert!(!early, "{:?} is earlier than the hint", got.took);
        let good = asked == (2, 0) && got.took < hint + Duration::from_secs(3);
        holds(good, format_args!("{asked:?} in {:?}", got.took))
    })
    .await;
}

#[tokio::test]
async fn s02_a_rate_limit_that_stays_and_names_no_time_is_left_for_the_fallback() {
    let scenario = "[limits]\nrpm = 1\ninitial = 0.0\ndialect = \"silent\"\n";
    let pair = pair(scenario, "").await;
    let got = play(&pair, Api::Chat).await;
    note("S02", Api::Chat, &got);
    whole(Api::Chat, &got).await;
    assert_eq!(got.begun.provider.as_deref(), Some("fallback"));
    assert!(got.took < Duration::from_secs(15), "{:?}", got.took);
}

#[tokio::test]
async fn s03_an_error_that_passes_is_tried_again() {
    one_is_good(async || {
        let pair = pair("[[fault]]\nkind = \"internal_error\"\nfirst = 1\n", "").await;
        let got = play(&pair, Api::Chat).await;
        note("S03", Api::Chat, &got);
        whole(Api::Chat, &got).await;
        holds(got.trace.attempts == 2, format_args!("{} attempts", got.trace.attempts))
    })
    .await;
}

#[tokio::test]
async fn s04_a_provider_that_is_away_is_left_for_the_fallback() {
    let away = "[[fault]]\nkind = \"service_unavailable\"\n";
    mended("S04", away, Api::Chat, (1, 1), ANY).await;
}

#[tokio::test]
async fn s05_a_reset_before_the_head_is_mended_unseen() {
    for first in ["first = 1\n", ""] {
        let fault = format!("[[fault]]\nfault = \"reset_before_headers\"\n{first}");
        let pair = pair(&fault, "").await;
        let got = play(&pair, Api::Chat).await;
        note("S05", Api::Chat, &got);
        whole(Api::Chat, &got).await;
    }
}

#[tokio::test]
async fn s06_a_provider_that_says_nothing_costs_one_attempt_and_little_time() {
    let fault = format!("[[fault]]\nfault = \"hang\"\nfor = \"{}\"\n", paced_secs(120.0));
    for api in APIS {
        let most = paced(Duration::from_secs(15)).max(Duration::from_millis(1250));
        mended("S06", &fault, api, (1, 1), most).await;
    }
}

#[tokio::test]
async fn s07_a_late_first_token_is_overtaken() {
    let fault =
        format!("[[fault]]\nfault = \"slow_first_token\"\nfor = \"{}\"\n", paced_secs(20.0));
    for api in APIS {
        let most = paced(Duration::from_secs(15)).max(Duration::from_millis(1250));
        mended("S07", &fault, api, (1, 1), most).await;
    }
}

#[tokio::test]
async fn s08_a_stream_that_is_cut_is_completed_by_the_fallback() {
    for fault in ["cut_fin", "cut_rst"] {
        let fault = format!("{PACE}[[fault]]\nfault = \"{fault}\"\nafter = 40\n");
        for api in APIS {
            mended("S08", &fault, api, (1, 1), ANY).await;
        }
    }
}

#[tokio::test]
async fn s09_a_stream_that_stalls_is_completed_elsewhere_and_never_by_the_silent_target() {
    let fault =
        format!("{PACE}[[fault]]\nfault = \"stall\"\nafter = 40\nfor = \"{}\"\n", paced_secs(60.0));
    for api in APIS {
        mended("S09", &fault, api, (1, 1), ANY).await;
    }
}

#[tokio::test]
async fn s09_a_silent_target_without_another_ends_in_an_error() {
    let fault = format!("[[fault]]\nfault = \"stall\"\nfor = \"{}\"\n", paced_secs(60.0));
    let only = sim(&fault).await;
    let world = world(vec![provider("primary", only.addr().port())], &policy());
    for api in APIS {
        let got = world.run(world.call(api, "gpt-4o", ASKED, true)).await.expect("a head");
        note("S09 alone", api, &got);
        broken(api, &got);
        assert_eq!(on(&got, "primary"), 1, "a silent target is not asked again");
    }
}

/// Both SDKs raise, and nothing says that the answer is done.
fn broken(api: Api, got: &Got) {
    for sdk in SDKS {
        let read = sdk::read(sdk, &got.body, got.cut.is_some());
        assert_eq!(read.raised, Some("APIError"), "{api:?} {sdk:?}: {}", got.text());
        assert!(!read.marker && !read.finished, "{api:?} {sdk:?}: {}", got.text());
    }
    assert!(got.cut.is_some(), "{api:?}: the connection is cut");
}

#[tokio::test]
async fn s10_a_malformed_event_does_no_harm() {
    let fault = format!("{PACE}[[fault]]\nfault = \"malformed_event\"\nafter = 40\n");
    for api in APIS {
        let pair = pair(&fault, "").await;
        let got = play(&pair, api).await;
        note("S10", api, &got);
        whole(api, &got).await;
        let dropped: u32 = got.trace.records.iter().map(|record| record.dropped).sum();
        assert_eq!(dropped, 1, "{api:?}: it is counted");
    }
}

#[tokio::test]
async fn s11_a_missing_marker_is_added() {
    for api in APIS {
        let pair = pair("[[fault]]\nfault = \"no_done\"\n", "").await;
        let got = play(&pair, api).await;
        note("S11", api, &got);
        whole(api, &got).await;
    }
}

#[tokio::test]
async fn s12_a_prompt_too_long_for_one_fits_another() {
    let too_long = "[[fault]]\nkind = \"context_length_exceeded\"\n";
    mended("S12", too_long, Api::Chat, (1, 1), ANY).await;
}

#[tokio::test]
async fn s13_a_refusal_on_grounds_of_content_is_final() {
    // Nobody is overtaken: what is late on a busy machine is not told from what is wrong.
    let mut unhurried = policy();
    unhurried.timeouts.first_content_soft = unhurried.timeouts.total.expect("there is one");
    let pair = pair_with("[[fault]]\nkind = \"content_policy\"\n", "", &unhurried).await;
    let call = pair.world.call(Api::Chat, "gpt-4o", ASKED, true);
    let refusal = pair.world.run(call).await.err().expect("a refusal");
    assert_eq!(refusal.failure.kind, Kind::ContentPolicy);
    assert_eq!(refusal.trace.attempts, 1);
    assert_eq!(counted(&pair.fallback, "attempts").await, 0, "the fallback is never asked");
    assert_eq!(refusal.provider_answer.expect("the provider's own words").status, 400);
}

#[tokio::test]
async fn s14_a_fallback_that_takes_no_prefill_completes_a_cut_all_the_same() {
    let cut = format!("{PACE}[[fault]]\nfault = \"cut_rst\"\nafter = 40\n");
    for api in APIS {
        one_is_good(async || {
            let pair = pair(&cut, "").await;
            let got = play(&pair, api).await;
            note("S14", api, &got);
            whole(api, &got).await;
            let asked = counted(&pair.fallback, "attempts").await;
            holds(asked == 1, format_args!("{asked}: asked once, for the same as the primary"))
        })
        .await;
    }
}

#[tokio::test]
async fn s15_a_primary_that_is_back_is_used_again() {
    let outage = format!("[[fault]]\nfault = \"refuse\"\nto = \"{}\"\n", paced_secs(60.0));
    let pair = pair(&outage, "").await;
    let began = tokio::time::Instant::now();
    let back = began + paced(Duration::from_secs(60));
    let (mut again, mut turn) = (None, Duration::ZERO);
    while again.is_none() {
        let asked = tokio::time::Instant::now();
        let most = paced(Duration::from_secs(120)).max(Duration::from_secs(60));
        assert!(asked - began < most, "never again");
        let got = play(&pair, Api::Chat).await;
        whole(Api::Chat, &got).await;
        if got.begun.provider.as_deref() == Some("primary") {
            again = Some(asked);
        }
        tokio::time::sleep(paced(Duration::from_secs(3))).await;
        turn = turn.max(asked.elapsed());
    }
    let late = again.expect("it was used").saturating_duration_since(back);
    println!("S15: {:.2} s after its return", late.as_secs_f64());
    // Who asks when it may be used again is one turn late at most, and turns are long on a busy machine.
    let most = paced(Duration::from_secs(15)).max(Duration::from_secs(2)) + turn;
    assert!(late < most, "{late:?} of {most:?}");
}

#[tokio::test]
async fn s16_the_model_that_answered_and_its_usage_are_named() {
    let pair = pair("[[fault]]\nkind = \"overloaded\"\n", "").await;
    let got = play(&pair, Api::Responses).await;
    note("S16", Api::Responses, &got);
    let read = sdk::read(Sdk::Python, &got.body, false);
    assert_eq!(read.models, ["fallback-model"]);
    assert!(read.usage.is_some_and(|total| total >= 60), "{:?}", read.usage);
    assert_eq!(got.begun.provider.as_deref(), Some("fallback"));
    assert_eq!(got.begun.model.as_deref(), Some("fallback-model"));
}
