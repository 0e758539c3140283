//! What providers and callers say in headers, and what is done about it.

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::script::{Cast, Say, body, gateway, sound};
use crate::support::provider::{Provider, completion, json};
use crate::support::{CHAT, Caller, Front, Reply, TOKEN, front, soon};

const CALL: &str = "/v1/chat/completions";

/// How often a provider is asked that fails once with this status and this word on retries, and what
/// the caller gets.
fn asked(status: &'static str, word: &'static str) -> (usize, u16) {
    let calls = AtomicU32::new(0);
    let error = r#"{"error":{"message":"as the test says","type":"server_error","param":null,"code":null}}"#;
    let provider = Provider::new(move |_, stream| {
        let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
        let answer = if first { json(status, word, error) } else { completion() };
        stream.write_all(answer.as_bytes()).is_ok()
    });
    let front = front(provider.addr, "[policy.retry]\ntransient_base = \"1ms\"\n");
    let reply = front.post(CALL, CHAT);
    (provider.seen().len(), reply.status)
}

#[test]
fn a_provider_has_the_word_on_whether_it_is_asked_again() {
    for (status, word, wanted) in [
        ("500 Internal Server Error", "", (2, 200)),
        ("500 Internal Server Error", "x-should-retry: true\r\n", (2, 200)),
        ("500 Internal Server Error", "x-should-retry: false\r\n", (1, 500)),
        ("409 Conflict", "", (1, 409)),
        ("409 Conflict", "x-should-retry: true\r\n", (2, 200)),
    ] {
        assert_eq!(asked(status, word), wanted, "{status} {word}");
    }
}

/// A GET of the administration API, or of its metrics.
fn admin(front: &Front, path: &str) -> Reply {
    let mut caller = Caller::to(front.gateway.admin_addr());
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    caller.send(head.as_bytes());
    caller.answer()
}

#[test]
fn tries_of_the_callers_own_sdk_are_counted_and_on_record() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let counted = |header: &str| {
        let reply = front.raw(&front.post_bytes(CALL, header, CHAT));
        let id = reply.header("x-request-id").expect("an id").to_owned();
        let record = admin(&front, &format!("/mainstay/requests/{id}")).json();
        let page = admin(&front, "/metrics");
        let page = String::from_utf8(page.body).expect("text");
        let line = page.lines().find_map(|line| line.strip_prefix("mainstay_sdk_retries_total "));
        (record["sdk_retry"].as_u64(), line.expect("a counter").to_owned())
    };
    assert_eq!(counted(""), (Some(0), "0".to_owned()));
    assert_eq!(counted("x-stainless-retry-count: 0\r\n"), (Some(0), "0".to_owned()));
    assert_eq!(counted("x-stainless-retry-count: 2\r\n"), (Some(2), "1".to_owned()));
    assert_eq!(counted("x-stainless-retry-count: many\r\n"), (Some(0), "1".to_owned()));
}

/// Status and time of a call to a provider that takes so many milliseconds.
fn timed(millis: u64, policy: &str, header: &str) -> (u16, Duration) {
    let cast = Cast::new(&[&[Say::Slow(millis)]]);
    let front = gateway(&cast.config(policy, ""));
    let began = Instant::now();
    let reply = front.raw(&front.post_bytes(CALL, header, &body(false)));
    (reply.status, began.elapsed())
}

#[test]
fn a_caller_may_shorten_the_time_of_a_call_and_not_lengthen_it() {
    let ours = "[policy.timeouts]\ntotal = \"150ms\"\n";
    for (policy, header) in
        [("", "x-mainstay-timeout-ms: 150\r\n"), (ours, "x-mainstay-timeout-ms: 60000\r\n")]
    {
        soon(Duration::from_millis(600), 1, || {
            let (status, took) = timed(20_000, policy, header);
            assert_eq!(status, 504);
            took
        });
    }
    for nonsense in ["0", "-5", "nan", "soon", "1e400"] {
        let (status, _) = timed(700, "", &format!("x-mainstay-timeout-ms: {nonsense}\r\n"));
        assert_eq!(status, 200, "{nonsense}");
    }
}

/// A wait that cannot end in the caller's time is not begun: he hears at once how long it would be.
#[test]
fn no_wait_begins_that_the_callers_time_does_not_allow() {
    soon(Duration::from_millis(1000), 1, || {
        let cast = Cast::new(&[&[Say::Refused(Some(4000))]]);
        let front = gateway(&cast.config("", ""));
        let began = Instant::now();
        let more = "x-mainstay-timeout-ms: 2000\r\n";
        let reply = front.raw(&front.post_bytes(CALL, more, &body(false)));
        let took = began.elapsed();
        assert_eq!((reply.status, cast.order().as_str()), (429, "a"));
        let wait = reply.header("retry-after").and_then(|n| n.parse().ok()).expect("a time");
        assert!((4_u64.saturating_sub(took.as_secs() + 1)..=4).contains(&wait), "{}", reply.head);
        took
    });
}

#[test]
fn azure_gets_its_key_in_its_own_header() {
    let provider = Provider::fixed(completion());
    let front = gateway(&sound(&format!(
        "[[provider]]\nname = \"a\"\nkind = \"azure\"\nbase_url = \"http://{}/openai\"\napi_key = \"k\"\napi_version = \"1\"\n",
        provider.addr
    )));
    assert_eq!(front.post(CALL, &body(false)).status, 200);
    let seen = &provider.seen()[0];
    assert_eq!((seen.header("api-key"), seen.header("authorization")), (Some("k"), None));
    assert!(seen.head.starts_with("post /openai/deployments/m/chat/completions?api-version=1 "));
}

/// Until both are known each is asked three times; from then on the quicker one goes first, and the
/// other one when it fails.
#[test]
fn by_lowest_latency_the_quicker_target_is_asked_first_once_both_are_known() {
    // On a machine that stands still for a moment the other one may be the quicker.
    let orders: Vec<String> = std::iter::repeat_with(by_lowest_latency)
        .take(5)
        .take_while(|order| *order != RIGHT)
        .collect();
    assert!(orders.len() < 5, "{orders:?}");
}

const RIGHT: &str = "aaabbbbbba";

/// The order in which a slow target and a quick one are asked, which fails in the end.
fn by_lowest_latency() -> String {
    let quick = [Say::Well, Say::Well, Say::Well, Say::Well, Say::Well, Say::Away(None)];
    let cast = Cast::new(&[&[Say::Slow(120); 20], &quick]);
    let route =
        "[[route]]\nmodel = \"m\"\nstrategy = \"lowest_latency\"\ntargets = [\"a\", \"b\"]\n";
    let front = gateway(&sound(&format!("{}{route}", cast.sections(""))));
    for _ in 0..9 {
        assert_eq!(front.post(CALL, &body(false)).status, 200);
    }
    cast.order()
}

/// What nobody was asked for is refused in our own words: why, and when to come back.
#[test]
fn a_refusal_of_ours_says_why_and_when_to_come_back() {
    let cast = Cast::new(&[&[Say::Away(None)]]);
    let policy =
        "[policy.retry]\npatience = \"0s\"\n[policy.breaker]\nfailures = 1\nopen = \"20s\"\n";
    let front_open = gateway(&cast.config(policy, ""));
    assert_eq!(front_open.post(CALL, &body(false)).status, 503);
    let refused = front_open.post(CALL, &body(false));
    let message = refused.refused(503, "service_unavailable");
    assert!(message.contains("circuit breaker is open and will be probed in"), "{message}");
    let wait: u64 = refused.header("retry-after").and_then(|n| n.parse().ok()).expect("a time");
    assert!((1..=22).contains(&wait), "{wait} s");
    assert_eq!(cast.order(), "a", "nobody was asked");

    // Two a second, of which one second may be saved up.
    let cast = Cast::new(&[&[]]);
    let limits = "limits = { rpm = 120 }\n";
    let front_full = gateway(&cast.config("[policy.retry]\nwait_max = \"20ms\"\n", limits));
    let (mut sent, mut refused) = (0, None);
    soon(Duration::from_millis(450), 1, || {
        // Ten are more than it takes, unless they take long.
        let (reply, took) = std::iter::repeat_with(|| {
            let began = Instant::now();
            let reply = front_full.post(CALL, &body(false));
            sent += usize::from(reply.status == 200);
            (reply, began.elapsed())
        })
        .take(100)
        .find(|(reply, _)| reply.status != 200)
        .expect("a hundred are more than it takes");
        refused = Some(reply);
        took
    });
    let refused = refused.expect("the last one");
    let message = refused.refused(429, "rate_limit_other");
    assert!(message.contains("would fit in") && message.contains("wait_max"), "{message}");
    assert_eq!(refused.header("retry-after"), Some("1"), "{}", refused.head);
    assert_eq!(cast.told().len(), sent, "it was not sent");
}

#[test]
fn when_every_target_rests_the_first_that_is_ready_is_waited_for_if_time_allows() {
    let cast = Cast::new(&[&[Say::Away(Some(6000))], &[Say::Away(Some(300))]]);
    let front_patient = gateway(&cast.config("", ""));
    let began = Instant::now();
    assert_eq!(front_patient.post(CALL, &body(false)).status, 200);
    assert_eq!(cast.order(), "abb");
    let took = began.elapsed();
    assert!((300..5000).contains(&took.as_millis()), "{took:?}");

    soon(Duration::from_millis(1000), 1, || {
        let cast = Cast::new(&[&[Say::Away(Some(9000))], &[Say::Away(Some(5000))]]);
        let front_hurried = gateway(&cast.config("", ""));
        let began = Instant::now();
        let more = "x-mainstay-timeout-ms: 2000\r\n";
        let reply = front_hurried.raw(&front_hurried.post_bytes(CALL, more, &body(false)));
        let took = began.elapsed();
        assert_eq!((reply.status, cast.order().as_str()), (503, "ab"));
        let wait: u64 = reply.header("retry-after").and_then(|n| n.parse().ok()).expect("a time");
        assert!((4_u64.saturating_sub(took.as_secs())..=9).contains(&wait), "{wait} s");
        took
    });
}
