//! What goes through, in both directions, and what does not: headers, errors, streams.

mod support;

use std::io::Write;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use support::provider::{COMPLETION, Provider, completion, json};
use support::{CHAT, STREAM, front};
use tokio::time::Instant;

#[test]
fn the_callers_secrets_and_place_stay_here_and_the_rest_goes_on_untouched() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let more = "cookie: a=b\r\nx-mainstay-timeout-ms: 60000\r\nx-sim-error: overloaded\r\nx-forwarded-for: 10.0.0.1\r\n\
                openai-organization: org-default\r\nconnection: keep-alive, x-hop\r\nx-hop: 1\r\nopenai-beta: v2\r\n\
                x-stainless-lang: python\r\nidempotency-key: k1\r\naccept-encoding: gzip\r\n";
    let body = r#"{ "model" : "gpt-4o","messages":[{"role":"user","content":"h\u0069"}],  "unknown":1.50 }"#;
    assert_eq!(front.raw(&front.post_bytes("/v1/chat/completions?a=%20b", more, body)).status, 200);
    let seen = &provider.seen()[0];
    assert!(seen.head.starts_with("post /v1/chat/completions?a=%20b http/1.1"), "{}", seen.head);
    assert_eq!(seen.body, body.as_bytes(), "the body goes on byte by byte");
    assert_eq!(seen.header("authorization"), Some("bearer sk-upstream-secret"));
    assert_eq!(seen.header("host"), Some(provider.addr.to_string().as_str()));
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    for gone in [
        "cookie",
        "x-mainstay-timeout-ms",
        "x-sim-error",
        "x-forwarded-for",
        "openai-organization",
        "x-hop",
    ] {
        assert_eq!(seen.header(gone), None, "{gone} in {}", seen.head);
    }
    for (kept, value) in
        [("openai-beta", "v2"), ("x-stainless-lang", "python"), ("idempotency-key", "k1")]
    {
        assert_eq!(seen.header(kept), Some(value), "{}", seen.head);
    }
    assert!(!seen.head.contains(&front.key.to_ascii_lowercase()), "the caller's key went on");
}

#[test]
fn an_answer_carries_our_headers_and_the_providers_under_other_names() {
    let more = "x-request-id: req_theirs\r\nx-ratelimit-remaining-requests: 7\r\nset-cookie: a=b\r\n\
                openai-organization: org-ours\r\nopenai-processing-ms: 12\r\n";
    let provider = Provider::fixed(json("200 OK", more, COMPLETION));
    let front = front(provider.addr, "");
    let reply = front.post("/v1/chat/completions", CHAT);
    assert_eq!((reply.status, reply.body.as_slice()), (200, COMPLETION.as_bytes()));
    assert_ne!(reply.header("x-request-id"), Some("req_theirs"));
    for (name, value) in [
        ("x-mainstay-upstream-request-id", "req_theirs"),
        ("x-mainstay-upstream-ratelimit-remaining-requests", "7"),
        ("openai-processing-ms", "12"),
        ("x-mainstay-provider", "up"),
        ("x-mainstay-model", "gpt-4o"),
        ("x-mainstay-attempts", "1"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name} in {}", reply.head);
    }
    // In microseconds; what a busy machine adds is not in each.
    let overhead = || {
        let reply = front.post("/v1/chat/completions", CHAT);
        let text = reply.header("x-mainstay-overhead-us").expect("a number").to_owned();
        text.parse::<u64>().expect("a number")
    };
    assert!((0..5).any(|_| overhead() < 1_000_000));
    for gone in
        ["set-cookie", "openai-organization", "x-ratelimit-remaining-requests", "x-mainstay-kind"]
    {
        assert_eq!(reply.header(gone), None, "{gone} in {}", reply.head);
    }
}

#[test]
fn little_is_told_where_little_shall_be_told() {
    let more = "x-request-id: req_theirs\r\nx-ratelimit-remaining-requests: 7\r\n";
    let provider = Provider::fixed(json("200 OK", more, COMPLETION));
    let front = front(provider.addr, "[server]\nexpose = \"minimal\"\n");
    let reply = front.post("/v1/chat/completions", CHAT);
    assert!(reply.header("x-request-id").is_some());
    for word in
        ["x-mainstay-provider", "x-mainstay-attempts", "x-mainstay-model", "upstream", "req_theirs"]
    {
        assert!(!reply.head.contains(word), "{word} in {}", reply.head);
    }
}

#[test]
fn a_providers_own_error_passes_with_secrets_masked() {
    let body = r#"{"error":{"message":"The file is not one of organization org-AbCdEf0123456789 (key sk-upstream-secret)","type":"invalid_request_error","param":null,"code":null},"more":1}"#;
    let provider = Provider::fixed(json(
        "422 Unprocessable Entity",
        "set-cookie: a=b\r\nretry-after: 0\r\n",
        body,
    ));
    let front = front(provider.addr, "");
    let reply = front.post("/v1/chat/completions", CHAT);
    assert_eq!(reply.status, 422);
    let text = String::from_utf8(reply.body.clone()).expect("text");
    assert!(text.contains("The file is not one of organization org-*** (key ***)"), "{text}");
    assert!(text.ends_with(r#""more":1}"#), "{text}");
    assert_eq!(reply.header("x-should-retry"), Some("false"));
    assert_eq!(reply.header("x-mainstay-origin"), Some("caller"), "{}", reply.head);
    assert!(reply.header("x-mainstay-kind").is_some() && reply.header("set-cookie").is_none());
    assert_ne!(reply.header("retry-after"), Some("0"));
    assert_eq!(provider.seen().len(), 1);
}

#[test]
fn a_web_page_or_nothing_in_place_of_an_error_becomes_an_error_object() {
    let page = "<html><title>502 Bad Gateway</title></html>";
    for (status, body) in [("403 Forbidden", page), ("404 Not Found", "")] {
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let provider = Provider::fixed(answer);
        let reply = front(provider.addr, "").post("/v1/chat/completions", CHAT);
        let kind = reply.header("x-mainstay-kind").unwrap_or_default().to_owned();
        let message = reply.refused(status[..3].parse().expect("a status"), &kind);
        assert!(message.contains("`up`") && message.contains(&status[..3]), "{message}");
    }
}

#[test]
fn a_refused_credential_of_ours_does_not_blame_the_caller() {
    let body = r#"{"error":{"message":"Incorrect API key provided: sk-upst******cret.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
    let provider = Provider::fixed(json("401 Unauthorized", "", body));
    let front = front(provider.addr, "");
    let message = front.post("/v1/chat/completions", CHAT).refused(502, "bad_gateway");
    assert!(message.contains("`up`") && !message.contains("sk-upst"), "{message}");
}

#[test]
fn with_pass_the_callers_key_goes_up_and_the_providers_401_comes_back() {
    let body = r#"{"error":{"message":"Incorrect API key provided: sk-callers-own-key.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
    let provider = Provider::fixed(json("401 Unauthorized", "", body));
    let mut front = front(provider.addr, "[server]\nauth = \"pass\"\n");
    front.key = "sk-callers-own-key".to_owned();
    let reply = front.post("/v1/chat/completions", CHAT);
    assert_eq!((reply.status, reply.body.as_slice()), (401, body.as_bytes()));
    assert_eq!(provider.seen()[0].header("authorization"), Some("bearer sk-callers-own-key"));
}

#[test]
fn a_provider_that_is_not_there_is_a_502_in_our_words() {
    // Where nobody listens, and nobody who asks for any port comes to.
    let closed = "127.0.0.1:1".parse().expect("an address");
    let front = front(closed, "[policy.retry]\nattempts_per_call_max = 2\nattempts_max = 2\n");
    let reply = front.post("/v1/chat/completions", CHAT);
    reply.refused(502, "connection");
    assert_eq!(reply.header("x-should-retry"), Some("false"));
    assert_eq!(reply.header("x-mainstay-origin"), Some("network"));
}

#[test]
fn events_come_through_one_by_one_without_delay() {
    const EVENTS: usize = 20;
    // An event is sent when the caller has the one before it: what is held back never comes.
    let (go, gone) = mpsc::channel();
    let gone = Mutex::new(gone);
    let provider = Provider::new(move |_, stream| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n";
        let mut fine = stream.write_all(head.as_bytes()).is_ok();
        for word in 0..EVENTS {
            let event = format!(
                "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"role\":\"assistant\",\"content\":\"{word}\"}},\"finish_reason\":null}}]}}\n\n"
            );
            fine &= stream.write_all(event.as_bytes()).is_ok();
            let gone = gone.lock().expect("nobody panics with it");
            fine &= gone.recv_timeout(Duration::from_secs(20)).is_ok();
        }
        let end = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        let _ = fine && stream.write_all(end.as_bytes()).is_ok();
        false
    });
    let front = front(provider.addr, "");
    let mut caller = front.connect();
    caller.send(&front.post_bytes("/v1/chat/completions", "", STREAM));
    let (status, head) = caller.head();
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/event-stream; charset=utf-8"), "{head}");
    let (mut text, mut came, mut asked, mut times) = (String::new(), 0, Instant::now(), Vec::new());
    while !text.ends_with("0\r\n\r\n") {
        let piece = caller.piece();
        assert!(!piece.is_empty(), "the stream was cut: {text}");
        text.push_str(&String::from_utf8_lossy(&piece));
        while came < text.matches("\"content\"").count() {
            came += 1;
            times.push(asked.elapsed());
            asked = Instant::now();
            go.send(()).expect("the provider waits for it");
        }
    }
    assert!(text.contains("data: [DONE]\n\n"), "{text}");
    assert_eq!(came, EVENTS);
    // A delay by rule is in each of them; one by a busy machine is not.
    let fastest = times.iter().skip(1).min().expect("some came");
    assert!(*fastest < Duration::from_millis(20), "{times:?}");
}

#[test]
fn a_stream_that_breaks_never_ends_as_if_it_were_whole() {
    let provider = Provider::new(|_, stream| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let event = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"half\"},\"finish_reason\":null}]}\n\n";
        let _ = stream.write_all(format!("{head}{:x}\r\n{event}\r\n", event.len()).as_bytes());
        std::thread::sleep(Duration::from_millis(50));
        false
    });
    let front = front(provider.addr, "[policy.stream]\nrecovery = \"error\"\n");
    let mut caller = front.connect();
    caller.send(&front.post_bytes("/v1/chat/completions", "", STREAM));
    let (status, _) = caller.head();
    assert_eq!(status, 200);
    let mut text = String::new();
    loop {
        let piece = caller.piece();
        if piece.is_empty() || text.ends_with("0\r\n\r\n") {
            break;
        }
        text.push_str(&String::from_utf8_lossy(&piece));
        if text.ends_with("0\r\n\r\n") {
            break;
        }
    }
    let clean_end = text.ends_with("0\r\n\r\n");
    assert!(text.contains("\"error\"") || !clean_end, "half an answer ended cleanly: {text}");
    assert!(!text.contains("[DONE]"), "{text}");
}

#[test]
fn a_redirect_is_not_followed() {
    let other = Provider::fixed(completion());
    let place = format!("location: http://{}/v1/stolen\r\n", other.addr);
    let provider = Provider::fixed(json("302 Found", &place, "{}"));
    let front =
        front(provider.addr, "[policy.retry]\nattempts_max = 1\nattempts_per_call_max = 1\n");
    let reply = front.post("/v1/chat/completions", CHAT);
    assert!(reply.status >= 300, "{}", reply.head);
    assert_eq!((provider.seen().len(), other.seen().len()), (1, 0));
}

#[test]
fn bytes_of_any_kind_arrive_whole_and_a_range_as_the_part_it_names() {
    const SOUND: &[u8] = b"RIFF\x00\x01\x02\xff\xfe one two three";
    let provider = Provider::new(|seen, stream| {
        let (status, more, body) = match seen.header("range") {
            Some("bytes=2-5") => {
                ("206 Partial Content", "content-range: bytes 2-5/22\r\n", &SOUND[2..6])
            }
            Some(_) => ("416 Range Not Satisfiable", "content-range: bytes */22\r\n", &SOUND[..0]),
            None => ("200 OK", "", SOUND),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: audio/mpeg\r\ncontent-length: {}\r\n{more}\r\n",
            body.len()
        );
        // In one piece, so that head, body and end are there at once.
        stream.write_all(&[head.as_bytes(), body].concat()).is_ok()
    });
    let front = front(provider.addr, "");
    let speech = r#"{"model":"tts-1","input":"x","voice":"alloy"}"#;
    let reply = front.post("/v1/audio/speech", speech);
    assert_eq!((reply.status, reply.body.as_slice()), (200, SOUND));
    assert_eq!(reply.header("content-length"), Some(SOUND.len().to_string().as_str()));
    let ask = |range: &str| {
        let get = format!(
            "GET /v1/files/file-1/content HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nrange: {range}\r\n\r\n",
            front.key
        );
        front.raw(get.as_bytes())
    };
    let part = ask("bytes=2-5");
    assert_eq!((part.status, part.body.as_slice()), (206, &SOUND[2..6]));
    assert_eq!(part.header("content-range"), Some("bytes 2-5/22"));
    let beyond = ask("bytes=99-");
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */22")));
}

#[test]
fn a_body_is_fitted_to_a_provider_that_refuses_or_renames_fields() {
    let ours = Provider::fixed(completion());
    let theirs = Provider::fixed(completion());
    let more = format!(
        "[[provider]]\nkind = \"mistral\"\nbase_url = \"http://{}/v1\"\napi_key = \"k\"\nmodels = [\"mistral-*\"]\n",
        theirs.addr
    );
    let front = front(ours.addr, &more);
    let body = |model: &str| {
        format!(
            r#"{{"model":"{model}", "store":false,"max_completion_tokens":7,"messages":[{{"role":"user","content":"hi"}}],"temperature":1.50}}"#
        )
    };
    assert_eq!(front.post("/v1/chat/completions", &body("mistral-small")).status, 200);
    let fitted = r#"{"model":"mistral-small","max_tokens":7,"messages":[{"role":"user","content":"hi"}],"temperature":1.50}"#;
    assert_eq!(String::from_utf8_lossy(&theirs.seen()[0].body), fitted);
    assert_eq!(front.post("/v1/chat/completions", &body("gpt-4o")).status, 200);
    assert_eq!(
        String::from_utf8_lossy(&ours.seen()[0].body),
        body("gpt-4o"),
        "others get it as it came"
    );
}
