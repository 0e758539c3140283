//! Each rule alone, and rules upon each other.

use std::time::Duration;

use mainstay::policy::{BreakerPolicy, Limits, OpenFor, RetryPolicy, TimeoutPolicy};
use mainstay::spec::ProviderSpec;
use mainstay::tower::{
    BreakerLayer, FallbackLayer, PacerLayer, RetryLayer, TimeoutLayer, ValidateLayer,
};
use mainstay::validate::Level;
use tower_layer::Layer;

use crate::script::{ASKED, CHAT, FAULT, Reply, Say, Scripted, ask, chat, nothing_is_left, post};

fn well(attempts: u32) -> Reply {
    (200, attempts, CHAT.into())
}

fn faulty(attempts: u32) -> Reply {
    (500, attempts, FAULT.into())
}

/// Waits between what reached the service, in milliseconds.
fn waits(service: &Scripted) -> Vec<u128> {
    let seen = service.seen();
    seen.windows(2).map(|pair| (pair[1].at - pair[0].at).as_millis()).collect()
}

#[tokio::test(start_paused = true)]
async fn retries_alone_are_attempts_with_backoff_and_know_no_circuit() {
    let service = Scripted::new(&[Say::Faulty, Say::Refused, Say::Faulty, Say::Faulty]);
    let retry = RetryPolicy { attempts_per_call_max: 3, ..RetryPolicy::default() };
    let mut stack = RetryLayer::new(retry).layer(service.clone());
    assert_eq!(ask(&mut stack, chat()).await, Ok(faulty(3)));
    assert_eq!(ask(&mut stack, chat()).await, Ok(well(2)));
    // Five failures in a row open no circuit, and fifty calls at once are not paced.
    let begun = tokio::time::Instant::now();
    let calls = (0..50).map(|_| {
        let mut stack = stack.clone();
        tokio::spawn(async move { ask(&mut stack, chat()).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), Ok(well(1)));
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn retries_alone_wait_as_a_refusal_asks_and_double_where_it_does_not() {
    let service = Scripted::new(&[Say::Limit(Some(2500)), Say::Limit(None), Say::Limit(None)]);
    let mut stack = RetryLayer::new(RetryPolicy::default()).layer(service.clone());
    assert_eq!(ask(&mut stack, chat()).await, Ok(well(4)));
    let waits = waits(&service);
    assert!((2500..2600).contains(&waits[0]), "{waits:?}");
    assert!((1000..=2000).contains(&waits[1]) && (2000..=4000).contains(&waits[2]), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_breaker_alone_never_repeats_and_opens_and_closes() {
    let service = Scripted::new(&[Say::Faulty, Say::Faulty, Say::Limit(None)]);
    let open = OpenFor::Fixed(Duration::from_secs(5));
    let breaker = BreakerPolicy { failures: 2, open, ..BreakerPolicy::default() };
    let mut stack = BreakerLayer::new(breaker).layer(service.clone());
    assert_eq!(ask(&mut stack, chat()).await, Ok(faulty(1)));
    assert_eq!(ask(&mut stack, chat()).await, Ok(faulty(1)));
    assert_eq!(ask(&mut stack, chat()).await, Err("service_unavailable"));
    assert_eq!(service.seen().len(), 2, "nothing is sent while it is open");
    tokio::time::sleep(Duration::from_secs(6)).await;
    // A refusal by a limit says nothing of the target's health, and is not repeated.
    assert_eq!(ask(&mut stack, chat()).await.unwrap().0, 429);
    assert_eq!(ask(&mut stack, chat()).await, Ok(well(1)));
    nothing_is_left(&service, &stack, 0);
}

#[tokio::test(start_paused = true)]
async fn a_pacer_alone_keeps_caps_and_waits_refusals_out_and_repeats_nothing_else() {
    let service = Scripted::new(&[Say::Faulty, Say::Limit(Some(700))]);
    let caps = Limits { rpm: Some(60), ..Limits::default() };
    let mut stack = PacerLayer::new(caps).layer(service.clone());
    assert_eq!(ask(&mut stack, chat()).await, Ok(faulty(1)));
    assert_eq!(ask(&mut stack, chat()).await, Ok(well(2)));
    assert!(waits(&service)[1] >= 700, "{:?}", waits(&service));
    let begun = tokio::time::Instant::now();
    for _ in 0..10 {
        assert_eq!(ask(&mut stack, chat()).await, Ok(well(1)));
    }
    assert!(begun.elapsed() > Duration::from_secs(8), "60 a minute: {:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn time_limits_alone_end_a_call_and_repeat_nothing() {
    let service = Scripted::new(&[Say::Faulty, Say::Slow(3_000), Say::Slow(900)]);
    let total = Some(Duration::from_secs(1));
    let timeouts = TimeoutPolicy { total, ..TimeoutPolicy::default() };
    let mut stack = TimeoutLayer::new(timeouts).layer(service.clone());
    assert_eq!(ask(&mut stack, chat()).await, Ok(faulty(1)));
    let begun = tokio::time::Instant::now();
    assert_eq!(ask(&mut stack, chat()).await, Err("request_timeout"));
    assert_eq!(begun.elapsed().as_secs(), 1);
    assert_eq!(ask(&mut stack, chat()).await, Ok(well(1)));
    nothing_is_left(&service, &stack, 0);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_alone_asks_each_provider_once_with_its_own_key() {
    let hosts: &[(&str, &[Say])] = &[("one.test", &[Say::Faulty; 2]), ("two.test", &[Say::Faulty])];
    let service = Scripted::of_hosts(hosts, 0);
    let provider = |name: &str| {
        let url = format!("http://{name}.test/v1").parse().unwrap();
        ProviderSpec::at(name, &url, &format!("sk-{name}"), None)
    };
    let mut stack =
        FallbackLayer::new(vec![provider("one"), provider("two")]).layer(service.clone());
    let mut request = post("/v1/chat/completions", ASKED);
    request.headers_mut().insert("authorization", "Bearer sk-own".parse().unwrap());
    assert_eq!(ask(&mut stack, request).await, Ok(faulty(2)));
    assert_eq!(ask(&mut stack, chat()).await, Ok(well(2)));
    let seen = service.seen();
    let went: Vec<_> = seen
        .iter()
        .map(|seen| (seen.uri.to_string(), seen.headers["authorization"].to_str().unwrap()))
        .collect();
    let at = |name: &str| format!("http://{name}.test/v1/chat/completions");
    let (one, two) = ((at("one"), "Bearer sk-one"), (at("two"), "Bearer sk-two"));
    assert_eq!(went, [one.clone(), two.clone(), one, two]);
}

#[tokio::test(start_paused = true)]
async fn validation_alone_sends_what_is_sound_and_nothing_else() {
    let service = Scripted::new(&[Say::Faulty]);
    let mut stack = ValidateLayer::new(Level::Strict).layer(service.clone());
    let uri = "http://api.test/v1/chat/completions";
    for (body, kind) in [
        (r#"{"model":"m"}"#, "missing_required_field"),
        (
            r#"{"model":"m","messages":[{"role":"user","content":"x"}],"temprature":1}"#,
            "unsupported_parameter",
        ),
        ("{", "invalid_request"),
    ] {
        assert_eq!(ask(&mut stack, post(uri, body)).await, Err(kind));
    }
    assert_eq!(service.seen().len(), 0);
    assert_eq!(ask(&mut stack, chat()).await, Ok(faulty(1)));
    // Without checks even what is no JSON is the provider's to refuse.
    let mut open = ValidateLayer::new(Level::Off).layer(service.clone());
    assert_eq!(ask(&mut open, post(uri, "{")).await, Ok(well(1)));
}

#[tokio::test(start_paused = true)]
async fn what_a_lower_layer_finds_is_understood_by_the_one_above() {
    let service = Scripted::new(&[Say::Faulty, Say::Faulty]);
    let open = OpenFor::Fixed(Duration::from_secs(3));
    let breaker = BreakerPolicy { failures: 2, open, ..BreakerPolicy::default() };
    let below = BreakerLayer::new(breaker).layer(service.clone());
    let mut stack = RetryLayer::new(RetryPolicy::default()).layer(below);
    // Two faults open the circuit; what the breaker says then has the time to come back.
    assert_eq!(ask(&mut stack, chat()).await, Ok(well(4)));
    assert!(waits(&service)[1] >= 2700, "{:?}", waits(&service));

    let service = Scripted::new(&[Say::Slow(5_000), Say::Slow(5_000)]);
    let timeouts =
        TimeoutPolicy { total: Some(Duration::from_secs(1)), ..TimeoutPolicy::default() };
    let below = TimeoutLayer::new(timeouts).layer(service.clone());
    let mut stack = RetryLayer::new(RetryPolicy::default()).layer(below);
    assert_eq!(ask(&mut stack, chat()).await, Ok(well(3)));

    let below = ValidateLayer::new(Level::Lenient).layer(service.clone());
    let mut stack = RetryLayer::new(RetryPolicy::default()).layer(below);
    let sent = service.seen().len();
    let outcome = ask(&mut stack, post("http://api.test/v1/chat/completions", "[]")).await;
    assert_eq!(outcome.unwrap().0, 400, "the one above passes it on");
    assert_eq!(service.seen().len(), sent);
}
