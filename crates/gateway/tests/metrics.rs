//! The page of metrics: every metric is on it and in the documentation, and callers make no labels.
#![expect(clippy::unwrap_used, reason = "in a test, what is absent is a failure")]

mod support;

use std::collections::BTreeSet;

use support::provider::{Provider, completion};
use support::{CHAT, Caller, Front, STREAM, TOKEN, front};

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
        let answer = if body.contains("gpt-4o") {
            completion()
        } else {
            support::provider::json("404 Not Found", "", missing)
        };
        std::io::Write::write_all(stream, answer.as_bytes()).is_ok()
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
