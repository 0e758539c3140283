//! Every shape of an error body, and shapes that are none.

use super::*;

fn read(body: &str) -> ErrorBody {
    ErrorBody::read(body.as_bytes())
}

#[test]
fn the_parts_of_each_shape_are_found() {
    // (body, message, code, type)
    let rows: [(&str, &str, Option<&str>, Option<&str>); 9] = [
        (
            r#"{"error":{"message":"m","type":"t","code":"c","param":"p"}}"#,
            "m",
            Some("c"),
            Some("t"),
        ),
        (
            r#"[{"error":{"message":"m","code":400,"status":"INVALID_ARGUMENT"}}]"#,
            "m",
            Some("400"),
            Some("INVALID_ARGUMENT"),
        ),
        (r#"{"error":"Unauthorized"}"#, "Unauthorized", None, None),
        (
            r#"{"object":"error","message":"m","type":"rate_limited","code":"1300"}"#,
            "m",
            Some("1300"),
            Some("rate_limited"),
        ),
        (r#"{"detail":"Not Found"}"#, "Not Found", None, None),
        (
            r#"{"detail":[{"loc":["body","messages",0,"role"],"msg":"Field required","type":"missing"}]}"#,
            "Field required",
            None,
            None,
        ),
        (
            "<html><head><title>502 Bad Gateway</title><style>p{}</style></head><body>nginx</body></html>",
            "502 Bad Gateway nginx",
            None,
            None,
        ),
        ("upstream connect error", "upstream connect error", None, None),
        (r#"{"error":{"code":503,"message":"Loading mod"#, "Loading mod", None, None),
    ];
    for (body, message, code, kind) in rows {
        let said = read(body);
        assert_eq!(said.message.as_deref(), Some(message), "{body}");
        assert_eq!(said.code.as_deref(), code, "{body}");
        assert_eq!(said.r#type.as_deref(), kind, "{body}");
    }
    assert_eq!(read("  \n").shape, Shape::Empty);
    let fast =
        read(r#"{"detail":[{"loc":["body","messages",0,"role"],"msg":"m","type":"missing"}]}"#);
    assert_eq!(fast.param.as_deref(), Some("messages[0].role"));
}

#[test]
fn what_is_wrapped_in_text_is_read_as_well() {
    for body in [
        r#"{"error":{"message":"{\n \"error\": {\"code\": 429, \"status\": \"RESOURCE_EXHAUSTED\", \"message\": \"m\"}}","code":500}}"#,
        r#"{"error":{"message":"Error code: 429 - {'error': {'code': 429, 'message': 'm', 'status': 'RESOURCE_EXHAUSTED'}}"}}"#,
        "relay said: {'error': {'code': 429, 'status': 'RESOURCE_EXHAUSTED', 'message': 'm'",
    ] {
        let said = read(body);
        assert_eq!(said.status, Some(429), "{body}");
        assert!(said.names.iter().any(|name| name == "RESOURCE_EXHAUSTED"), "{body}: {said:?}");
    }
}

#[test]
fn delays_in_fields_are_read() {
    let google = r#"{"error":{"code":429,"details":[{"@type":"RetryInfo","retryDelay":"38.5s"}]}}"#;
    assert_eq!(read(google).delay, Some(Duration::from_millis(38_500)));
    let plan = r#"{"error":{"type":"usage_limit_reached","resets_in_seconds":1200}}"#;
    assert_eq!(read(plan).delay, Some(Duration::from_mins(20)));
}

#[test]
fn echoes_of_the_callers_input_are_not_taken_for_words_of_the_error() {
    let said = read(
        r#"{"detail":[{"type":"missing","msg":"m","input":{"message":"rate limit reached"}}]}"#,
    );
    assert!(!said.words.say(&crate::words::Phrase::of("rate limit")), "{said:?}");
}

#[test]
fn deep_long_and_broken_bodies_are_bounded() {
    let deep = "[".repeat(200_000);
    let long = format!(r#"{{"error":{{"message":"{}"}}}}"#, "x ".repeat(500_000));
    let wide = format!("[{}]", r#"{"message":"m"},"#.repeat(100_000));
    for body in [deep, long, wide] {
        let said = read(&body);
        assert!(said.texts.len() <= KEPT_MAX && said.names.len() <= KEPT_MAX);
        assert!(said.message.as_deref().unwrap_or_default().len() <= 4096);
    }
}

#[test]
fn a_stream_tells_its_error_and_its_end() {
    let done = "data: {\"choices\":[{\"delta\":{}}]}\n\ndata: [DONE]\n\n";
    assert_eq!(read_stream(done.as_bytes()).1, Ending::Complete);
    let open = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
    assert_eq!(read_stream(open.as_bytes()).1, Ending::Open);
    assert_eq!(read_stream(b"data: {garbage}\n\ndata: x\n\n").1, Ending::Garbled);
    assert_eq!(read_stream(b"{\"error\":{}}").1, Ending::NotAStream);
    for failed in [
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"m\",\"code\":\"server_error\"}}\n\n",
        "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"m\"}}}\n\n",
        "data: {\"error\":{\"message\":\"m\",\"code\":\"server_error\"}}\n\ndata: [DONE]\n\n",
    ] {
        let (said, _) = read_stream(failed.as_bytes());
        let said = said.expect(failed);
        assert_eq!(said.code.as_deref(), Some("server_error"), "{failed}");
    }
    let long = format!(
        "{}{}",
        "data: {\"choices\":[]}\n\n".repeat(20_000),
        "data: {\"error\":{\"message\":\"last\"}}\n\n"
    );
    let (said, _) = read_stream(long.as_bytes());
    assert_eq!(said.and_then(|said| said.message).as_deref(), Some("last"));
}
