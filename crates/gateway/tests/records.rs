//! Records of requests through real sockets: what is kept of each end of a call, and what is not.
#![expect(clippy::unwrap_used, reason = "in a test, what is absent is a failure")]

mod support;

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use support::provider::{COMPLETION, Provider, completion, json as answer};
use support::{CHAT, Caller, Front, Reply, STREAM, TOKEN, front, until};

fn admin(front: &Front, path: &str) -> Reply {
    let mut caller = Caller::to(front.gateway.admin_addr());
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    caller.send(head.as_bytes());
    caller.answer()
}

fn id(reply: &Reply) -> String {
    reply.header("x-request-id").unwrap().to_owned()
}

fn record(front: &Front, id: &str) -> Value {
    let reply = admin(front, &format!("/mainstay/requests/{id}"));
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    reply.json()
}

fn listed(front: &Front, query: &str) -> Vec<Value> {
    let reply = admin(front, &format!("/mainstay/requests{query}"));
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    reply.json()["data"].as_array().unwrap().clone()
}

#[test]
fn an_answered_call_is_on_record_with_who_asked_whom_for_what() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let reply = front.post("/v1/chat/completions", CHAT);
    assert_eq!(reply.status, 200);
    let record = record(&front, &id(&reply));
    for (field, want) in [
        ("id", json!(id(&reply))),
        ("key_name", json!("test")),
        ("org", json!("org-default")),
        ("project", json!("proj_default")),
        ("endpoint", json!("chat")),
        ("model", json!("gpt-4o")),
        ("served", json!("gpt-4o")),
        ("provider", json!("up")),
        ("stream", json!(false)),
        ("status", json!(200)),
        ("outcome", json!("answered")),
        ("kind", Value::Null),
        ("attempts", json!(1)),
        ("input_tokens", json!(1)),
        ("output_tokens", json!(1)),
        ("waited_ms", json!(0)),
        ("failure", Value::Null),
    ] {
        assert_eq!(record[field], want, "{field} of {record}");
    }
    let attempt = &record["timeline"][0];
    assert_eq!((&attempt["provider"], &attempt["status"]), (&json!("up"), &json!(200)));
    assert_eq!(attempt["state"]["circuit"], "closed", "{attempt}");
    assert!(attempt["bytes"].as_u64().unwrap() >= COMPLETION.len() as u64, "{attempt}");
    assert!(!record.to_string().contains("hello"), "no answer is kept");
}

#[test]
fn a_call_that_failed_tells_every_attempt_and_the_state_of_its_target() {
    let body =
        r#"{"error":{"message":"no room","type":"server_error","param":null,"code":"overloaded"}}"#;
    let provider =
        Provider::fixed(answer("503 Service Unavailable", "x-request-id: req_up\r\n", body));
    let more =
        "[policy.retry]\ntransient_base = \"1ms\"\nattempts_max = 2\nattempts_per_call_max = 2\n";
    let front = front(provider.addr, more);
    let reply = front.post("/v1/chat/completions", CHAT);
    let record = record(&front, &id(&reply));
    assert_eq!((&record["status"], &record["outcome"]), (&json!(503), &json!("failed")));
    assert_eq!(record["attempts"], 2, "{record}");
    let timeline = record["timeline"].as_array().unwrap();
    assert_eq!(timeline.len(), 2);
    assert_eq!(timeline[1]["wait_cause"], "backoff", "{record}");
    for attempt in timeline {
        assert_eq!((&attempt["status"], &attempt["state"]["exact"]), (&json!(503), &json!(true)));
        assert_eq!(attempt["kind"], record["kind"]);
    }
    assert!(timeline[1]["start_ms"].as_u64() >= timeline[0]["lasted_ms"].as_u64(), "{record}");
    let failure = &record["failure"];
    assert_eq!((&failure["message"], &failure["code"]), (&json!("no room"), &json!("overloaded")));
    assert_eq!(failure["upstream_request_id"], "req_up");
    assert!(!failure["steps"].as_array().unwrap().is_empty() && failure["cause"].is_string());
    let shape = failure["request"]["shape"].as_str().unwrap();
    assert!(
        shape.contains(r#""model":"gpt-4o""#) && shape.contains(r#""content":"…(2)""#),
        "{shape}"
    );
    assert_eq!(failure["request"]["headers"]["content-type"], "application/json");
    assert_eq!(failure["request"]["content_kept"], false);
}

#[test]
fn a_refusal_before_anything_was_sent_names_the_model_and_no_content() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let body =
        r#"{"model":"gpt-4o","temperature":"SeCrEt","messages":[{"role":"user","content":"hi"}]}"#;
    let refused = record(&front, &id(&front.post("/v1/chat/completions", body)));
    assert_eq!((&refused["outcome"], &refused["attempts"]), (&json!("refused"), &json!(0)));
    assert_eq!(refused["failure"]["param"], "temperature", "{refused}");
    assert!(!refused.to_string().contains("SeCrEt"), "{refused}");
    let wrong = front
        .raw(b"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-ms-wrong\r\n\r\n");
    let wrong = record(&front, &id(&wrong));
    assert_eq!((&wrong["kind"], &wrong["org"]), (&json!("incorrect_api_key"), &json!("")));
    let nowhere = record(&front, &id(&front.get("/chat/completions")));
    assert_eq!(nowhere["status"], 404);
    assert!(front.get("/healthz").status == 200);
    assert_eq!(listed(&front, "").len(), 3, "questions about health are not kept");
}

#[test]
fn callers_who_leave_and_streams_that_break_are_told_apart() {
    let turn = AtomicUsize::new(0);
    let provider = Provider::new(move |_, stream| {
        let first = turn.fetch_add(1, Ordering::SeqCst) == 0;
        let event = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"}}]}\n\n";
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunk = format!("{head}{:x}\r\n{event}\r\n", event.len());
        let _ = stream.write_all(chunk.as_bytes());
        let wait = std::time::Duration::from_millis(if first { 20_000 } else { 300 });
        std::thread::sleep(wait);
        false
    });
    let front = front(provider.addr, "[policy.stream]\nrecovery = \"error\"\n");
    let mut caller = front.connect();
    caller.send(&front.post_bytes("/v1/chat/completions", "", STREAM));
    let (_, head) = caller.head();
    let left =
        head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap().to_owned();
    caller.piece();
    drop(caller);
    until("the end of the call", || front.gateway.in_flight() == 0);
    let left = record(&front, &left);
    assert_eq!((&left["status"], &left["outcome"]), (&json!(499), &json!("left")), "{left}");
    assert_eq!((&left["provider"], &left["stream"]), (&json!("up"), &json!(true)));
    assert!(left["first_content_ms"].is_u64() && left["model"] == "gpt-4o", "{left}");
    let cut = record(&front, &id(&front.post("/v1/chat/completions", STREAM)));
    assert_eq!(
        (&cut["outcome"], &cut["kind"]),
        (&json!("cut"), &json!("stream_interrupted")),
        "{cut}"
    );
}

#[test]
fn lists_are_filtered_and_paged_and_wrong_filters_are_refused() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    // The order is that of their ends, and a call ends a moment after its caller has the answer.
    let one = |_| {
        let reply = front.post("/v1/chat/completions", CHAT);
        until("the end of the call", || front.gateway.in_flight() == 0);
        id(&reply)
    };
    let mut ids: Vec<String> = (0..5).map(one).collect();
    ids.reverse();
    let bad = id(&front.post("/v1/chat/completions", "{}"));
    let of = |query: &str| -> Vec<String> {
        let all = listed(&front, query);
        all.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(of("?status=4xx").join(" "), bad);
    assert_eq!(of("?status=200&limit=2"), ids[..2]);
    assert_eq!(of(&format!("?limit=2&after={}", ids[1])), ids[2..4]);
    assert_eq!(of("?model=gpt-4o&provider=up&since=1h&project=proj_default"), ids);
    assert!(of("?key=key_000000000000").is_empty() && of("?kind=overloaded").is_empty());
    let page = admin(&front, "/mainstay/requests?limit=1").json();
    assert_eq!((&page["has_more"], &page["last_id"]), (&json!(true), &json!(bad)));
    for (query, param) in [
        ("?status=999", "status"),
        ("?kind=nonsense", "kind"),
        ("?since=yesterday", "since"),
        ("?after=req_00000000000000000000000000000000", "after"),
        ("?limit=0", "limit"),
    ] {
        let reply = admin(&front, &format!("/mainstay/requests{query}"));
        assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!(param)));
    }
    let none = admin(&front, "/mainstay/requests/req_00000000000000000000000000000000");
    assert_eq!((none.status, &none.json()["error"]["code"]), (404, &json!("not_found")));
    assert_eq!(admin(&front, "/mainstay/requests/nonsense").status, 400);
    let status = admin(&front, "/mainstay/status").json();
    assert_eq!(
        status["records"],
        json!({"trouble": null, "waiting": 0, "written": 6, "dropped": 0})
    );
}

#[test]
fn what_is_kept_follows_the_settings() {
    let body = r#"{"error":{"message":"no","type":"server_error","param":null,"code":null}}"#;
    let provider = Provider::fixed(answer("400 Bad Request", "", body));
    let kept = |settings: &str| {
        let front = front(provider.addr, settings);
        let reply = front.post("/v1/chat/completions", CHAT);
        admin(&front, &format!("/mainstay/requests/{}", id(&reply))).json()
    };
    let request = |record: &Value| record["failure"]["request"].clone();
    assert!(request(&kept(""))["shape"].is_string());
    assert!(request(&kept("[records]\nbodies = \"off\"\n"))["shape"].is_null());
    assert_eq!(request(&kept("[records]\nbodies = \"content\"\n"))["content_kept"], true);
    assert_eq!(kept("[records]\nenabled = false\n")["error"]["code"], "not_found");
}
