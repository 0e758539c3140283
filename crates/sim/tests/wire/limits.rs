//! Limits per time and of calls at once, as a client meets them.

use crate::faults::until;
use crate::raw::{KEY, begun, chat, chat_body, connect, request, start, stats};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

#[tokio::test]
async fn a_burst_is_granted_up_to_the_bucket_and_refused_with_the_time_until_it_fits() {
    // One is given back in ten seconds: the time the test takes adds nothing.
    let sim = start("limits = { rpm = 6, burst = \"50s\" }").await;
    let mut granted = 0;
    for _ in 0..8 {
        let seen = chat(sim.addr(), "m", false, &[]).await;
        assert_eq!(seen.header("x-ratelimit-limit-requests").as_deref(), Some("6"));
        if seen.status() == 200 {
            granted += 1;
            continue;
        }
        assert_eq!(seen.status(), 429);
        let ms: u64 = seen.header("retry-after-ms").unwrap().parse().unwrap();
        assert!((1..=10_000).contains(&ms), "{ms}");
        assert_eq!(seen.header("retry-after"), Some(ms.div_ceil(1_000).to_string()));
        assert_eq!(seen.header("x-ratelimit-remaining-requests").as_deref(), Some("0"));
    }
    assert_eq!(granted, 5);
    let counted = stats(sim.addr()).await;
    assert_eq!(
        (counted["granted"].as_u64(), counted["refused"]["requests"].as_u64()),
        (Some(5), Some(3))
    );
}

#[tokio::test]
async fn waiting_as_told_is_enough() {
    let sim = start("limits = { rpm = 1200, burst = \"100ms\" }").await;
    let (mut granted, mut refused) = (0, 0);
    while granted < 12 {
        let seen = chat(sim.addr(), "m", false, &[]).await;
        if seen.status() == 200 {
            granted += 1;
        } else {
            refused += 1;
            let ms = seen.header("retry-after-ms").unwrap().parse().unwrap();
            tokio::time::sleep(Duration::from_millis(ms)).await;
            assert_eq!(chat(sim.addr(), "m", false, &[]).await.status(), 200);
            granted += 1;
        }
    }
    assert!(refused > 0);
}

#[tokio::test]
async fn each_model_has_its_own_limit_unless_they_share_one() {
    for (per, other) in [("model", 200), ("all", 429)] {
        let sim =
            start(&format!("limits_per = \"{per}\"\nlimits = {{ rpm = 1, burst = \"60s\" }}"))
                .await;
        assert_eq!(chat(sim.addr(), "a", false, &[]).await.status(), 200);
        assert_eq!(chat(sim.addr(), "a", false, &[]).await.status(), 429);
        assert_eq!(chat(sim.addr(), "b", false, &[]).await.status(), other, "{per}");
    }
}

#[tokio::test]
async fn places_come_back_when_answers_end_and_when_clients_leave() {
    let sim = start("limits = { concurrency = 1 }\nlatency = { token = \"10s\" }").await;
    let mut stream = connect(sim.addr()).await;
    let text = request("POST /v1/chat/completions", &[KEY], &chat_body("m", true), true);
    stream.write_all(text.as_bytes()).await.unwrap();
    begun(&mut stream).await;

    let seen = chat(sim.addr(), "m", false, &[]).await;
    assert_eq!(seen.json()["error"]["code"], "concurrent_limit_exceeded");

    drop(stream);
    until(async || chat(sim.addr(), "m", false, &[]).await.status() == 200).await;
    let counted = stats(sim.addr()).await;
    assert_eq!(
        (counted["client_gone"].as_u64(), counted["in_flight_max"].as_u64()),
        (Some(1), Some(1))
    );
}

#[tokio::test]
async fn a_window_of_context_is_checked_with_the_allowed_output() {
    let sim = start("context_window = 100").await;
    let body = |max: u32| {
        format!(
            r#"{{"model":"m","max_tokens":{max},"messages":[{{"role":"user","content":"12345678"}}]}}"#
        )
    };
    let ask = async |max| {
        crate::raw::send(sim.addr(), "POST /v1/chat/completions", &[KEY], &body(max)).await
    };
    assert_eq!(ask(98).await.status(), 200);
    let seen = ask(99).await;
    assert_eq!(seen.status(), 400);
    let error = &seen.json()["error"];
    assert_eq!(
        (&error["code"], &error["param"]),
        (&"context_length_exceeded".into(), &"messages".into())
    );
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("you requested 101 tokens (2 in the messages, 99 in the completion)")
    );
}
