//! The page of metrics: every metric is on it and in the documentation, and callers make no labels.
#![expect(clippy::unwrap_used, reason = "in a test, what is absent is a failure")]

mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mainstay_core::store::{Change, DEFAULT_PROJECT, LimitPatch, LimitStore, Subject, UnixMillis};
use mainstay_gateway::config::{Environment, parse};
use support::provider::{COMPLETION, Provider, completion, json};
use support::{CHAT, Caller, Front, STREAM, TOKEN, front, start, until};

const CHATS: &str = "/v1/chat/completions";
const OVERLOADED: &str =
    r#"{"error":{"message":"no room","type":"server_error","param":null,"code":"overloaded"}}"#;

fn page(front: &Front) -> String {
    // The counts beside the path are a moment behind; a list of records waits for them.
    let ask = |path: &str| {
        let mut caller = Caller::to(front.gateway.admin_addr());
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
        );
        caller.send(head.as_bytes());
        caller.answer()
    };
    ask("/mainstay/requests");
    let reply = ask("/metrics");
    assert_eq!(reply.status, 200);
    String::from_utf8(reply.body).unwrap()
}

#[test]
fn every_metric_is_documented_and_every_documented_one_is_there() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    front.post("/v1/chat/completions", CHAT);
    let page = page(&front);
    let told: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let docs = mainstay_gateway::metrics_page();
    let documented: BTreeSet<&str> =
        docs.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert!(told.is_subset(&documented), "{:?}", told.difference(&documented));
    // Without a ledger or other gateways there is nothing to tell of them.
    let elsewhere = |name: &&str| {
        [
            "mainstay_ledger_",
            "mainstay_budget_",
            "mainstay_lease",
            "mainstay_admitted_alone_",
            "mainstay_pacing_",
        ]
        .iter()
        .any(|start| name.starts_with(start))
    };
    let missing: Vec<&str> =
        documented.difference(&told).copied().filter(|name| !elsewhere(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let known = told.contains(name) || family.is_some_and(|family| told.contains(family));
        assert!(known, "{line}");
    }
}

#[test]
fn the_metrics_page_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    let wanted = mainstay_gateway::metrics_page();
    if std::env::var_os("MAINSTAY_WRITE_DOCS").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    let hint = "run `cargo xtask docs` to write docs/metrics.md";
    assert!(std::fs::read_to_string(path).unwrap_or_default() == wanted, "{hint}");
}

#[test]
fn what_a_call_did_is_counted_and_a_made_up_model_is_no_label() {
    let provider = Provider::new(|seen, stream| {
        let body = String::from_utf8_lossy(&seen.body).into_owned();
        let missing = r#"{"error":{"message":"no such model","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#;
        let answer =
            if body.contains("gpt-4o") { completion() } else { json("404 Not Found", "", missing) };
        stream.write_all(answer.as_bytes()).is_ok()
    });
    let front = front(provider.addr, "");
    for _ in 0..3 {
        assert_eq!(front.post("/v1/chat/completions", CHAT).status, 200);
    }
    let made_up = CHAT.replace("gpt-4o", "made-up-by-me");
    assert_eq!(front.post("/v1/chat/completions", &made_up).status, 404);
    let page = page(&front);
    for line in [
        r#"mainstay_requests_total{endpoint="chat",status="2xx"} 3"#,
        r#"mainstay_requests_total{endpoint="chat",status="4xx"} 1"#,
        r#"mainstay_failures_total{kind="model_not_found"} 1"#,
        "mainstay_attempts_total 4",
        r#"mainstay_provider_attempts_total{provider="up",outcome="answered"} 3"#,
        r#"mainstay_provider_attempts_total{provider="up",outcome="model_not_found"} 1"#,
        r#"mainstay_tokens_total{provider="up",direction="output"} 3"#,
        r#"mainstay_first_content_seconds_count{provider="up"} 3"#,
        r#"mainstay_circuit_state{provider="up",credential="0",model="gpt-4o",state="closed"} 1"#,
        r#"mainstay_circuit_state{provider="up",credential="0",model="other",state="closed"} 1"#,
        "mainstay_records_written_total 4",
        "mainstay_records_dropped_total 0",
    ] {
        assert!(page.lines().any(|one| one == line), "{line} is not in\n{page}");
    }
    assert!(!page.contains("made-up-by-me"), "{page}");
}

/// An event that an SDK would break on is left out of the answer, and counted.
#[test]
fn an_event_that_cannot_be_read_is_left_out_and_counted() {
    let chunk = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
             \"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let word = |word: &str| chunk(&format!("{{\"content\":\"{word}\"}}"), "null");
    let end = chunk("{}", "\"stop\"");
    let body = format!(
        "{}data: <html>502</html>\n\n{}data: no sense\n\n{end}data: [DONE]\n\n",
        word("one "),
        word("two")
    );
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length";
    let provider = Provider::fixed(format!("{head}: {}\r\n\r\n{body}", body.len()));
    let front = front(provider.addr, "");
    let reply = front.post("/v1/chat/completions", STREAM);
    let told = String::from_utf8(reply.body).unwrap();
    assert_eq!(reply.status, 200, "{told}");
    assert!(told.contains("one ") && told.contains("two") && told.contains("[DONE]"), "{told}");
    assert!(!told.contains("html") && !told.contains("sense"), "{told}");
    let line = r#"mainstay_events_dropped_total{provider="up"} 2"#;
    let page = page(&front);
    assert!(page.lines().any(|one| one == line), "{page}");
}

/// The value of a line of the page, as it is written.
#[track_caller]
fn value<'p>(page: &'p str, name: &str) -> &'p str {
    let found = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("{name} is not in\n{page}"))
}

#[track_caller]
fn number(page: &str, name: &str) -> f64 {
    value(page, name).parse().unwrap()
}

/// Answers each request by its number, from 0.
fn scripted(answer: impl Fn(usize) -> String + Send + Sync + 'static) -> Provider {
    let turn = AtomicUsize::new(0);
    Provider::new(move |_, stream| {
        stream.write_all(answer(turn.fetch_add(1, Ordering::SeqCst)).as_bytes()).is_ok()
    })
}

#[test]
fn waits_times_and_limits_that_were_told_are_there_with_their_numbers() {
    let told = "x-ratelimit-limit-requests: 600\r\nx-ratelimit-remaining-requests: 599\r\n\
                x-ratelimit-reset-requests: 100ms\r\n";
    let asked = || {
        let provider = scripted(move |turn| match turn {
            0 => json("503 Service Unavailable", "", OVERLOADED),
            _ => json("200 OK", told, COMPLETION),
        });
        let front = front(provider.addr, "[policy.retry]\ntransient_base = \"5ms\"\n");
        assert_eq!(front.post(CHATS, CHAT).status, 200);
        page(&front)
    };
    let page = asked();
    for (name, want) in [
        (r#"mainstay_waits_total{cause="backoff"}"#, "1"),
        ("mainstay_overhead_seconds_count", "1"),
        ("mainstay_request_seconds_count", "1"),
        (r#"mainstay_first_content_seconds_count{provider="up"}"#, "1"),
        (r#"mainstay_provider_attempts_total{provider="up",outcome="overloaded"}"#, "1"),
        (
            r#"mainstay_target_limit_per_minute{provider="up",credential="0",model="gpt-4o",limit="requests"}"#,
            "600",
        ),
    ] {
        assert_eq!(value(&page, name), want, "{name}");
    }
    let waited = |page: &str| number(page, r#"mainstay_wait_seconds_total{cause="backoff"}"#);
    assert!(waited(&page) > 0.0, "{page}");
    // What a busy machine adds is not there every time.
    assert!((0..5).any(|_| waited(&asked()) < 0.1));
    let level = r#"mainstay_target_limit_level{provider="up",credential="0",model="gpt-4o",limit="requests"}"#;
    let level = number(&page, level);
    assert!((500.0..=600.0).contains(&level), "{level}");
}

#[test]
fn an_open_circuit_and_retries_denied_are_there() {
    let failing = || {
        scripted(|turn| match turn {
            0 => completion(),
            _ => json("503 Service Unavailable", "", OVERLOADED),
        })
    };
    let provider = failing();
    let open = "[policy.breaker]\nfailures = 1\nopen = \"1h\"\n[policy.retry]\nattempts_max = 1\nattempts_per_call_max = 1\n";
    let broken = front(provider.addr, open);
    let state = |state: &str| {
        format!(
            r#"mainstay_circuit_state{{provider="up",credential="0",model="gpt-4o",state="{state}"}}"#
        )
    };
    assert_eq!(broken.post(CHATS, CHAT).status, 200);
    assert_eq!(value(&page(&broken), &state("closed")), "1");
    assert_eq!(broken.post(CHATS, CHAT).status, 503);
    let shown = page(&broken);
    assert_eq!((value(&shown, &state("closed")), value(&shown, &state("open"))), ("0", "1"));

    let provider = failing();
    let none = "[policy.breaker]\nenabled = false\n[policy.retry]\nbudget_capacity = 0\ntransient_base = \"1ms\"\n";
    let poor = front(provider.addr, none);
    assert_eq!(poor.post(CHATS, CHAT).status, 200);
    assert_eq!(poor.post(CHATS, CHAT).status, 503);
    let denied = r#"mainstay_retries_denied_total{provider="up",credential="0",model="gpt-4o"}"#;
    assert_eq!(value(&page(&poor), denied), "1");
}

#[test]
fn limits_of_callers_are_there_with_what_is_used_and_refused() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let patch = LimitPatch { rpm: Change::To(1), ..LimitPatch::default() };
    let subject = Subject::Project(DEFAULT_PROJECT.into());
    front.store.set_limit(&subject, None, &patch, UnixMillis(0)).unwrap();
    until("the gateway hears of it", || {
        front.store.limits_since(0).unwrap().0 == front.gateway.limits_epoch()
    });
    assert_eq!(front.post(CHATS, CHAT).status, 200);
    assert_eq!(front.post(CHATS, CHAT).status, 429);
    let page = page(&front);
    for name in [
        r#"mainstay_limit{id="1",measure="rpm"}"#,
        r#"mainstay_limit_used{id="1",measure="rpm"}"#,
        r#"mainstay_limit_refusals_total{id="1"}"#,
    ] {
        assert_eq!(value(&page, name), "1", "{name}");
    }
}

#[test]
fn who_waits_for_a_target_is_counted_while_he_waits() {
    let open = Arc::new(AtomicUsize::new(1));
    let gate = Arc::clone(&open);
    let provider = Provider::new(move |_, stream| {
        until("the gate opens", || gate.load(Ordering::SeqCst) > 0);
        stream.write_all(completion().as_bytes()).is_ok()
    });
    let text = format!(
        "[[provider]]\nname = \"up\"\nbase_url = \"http://{}/v1\"\napi_key = \"sk-x\"\nlimits = {{ concurrency = 1 }}\n",
        provider.addr
    );
    let front = start(&parse("t.toml", &text, &Environment::default()).unwrap(), |_| {});
    assert_eq!(front.post(CHATS, CHAT).status, 200);
    open.store(0, Ordering::SeqCst);
    let ask = || {
        let mut caller = front.connect();
        caller.send(&front.post_bytes(CHATS, "", CHAT));
        caller
    };
    let (mut first, mut second) = (ask(), ask());
    let of = |name: &str| {
        number(&page(&front), &format!(r#"{name}{{provider="up",credential="0",model="gpt-4o"}}"#))
    };
    until("one is under way and one waits", || {
        of("mainstay_target_in_flight") > 0.5 && of("mainstay_queue_calls") > 0.5
    });
    assert!(of("mainstay_queue_bytes") > 0.0);
    open.store(1, Ordering::SeqCst);
    assert_eq!((first.answer().status, second.answer().status), (200, 200));
    until("nobody waits", || of("mainstay_queue_calls") < 0.5);
}
