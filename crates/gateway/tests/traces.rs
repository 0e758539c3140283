//! Traces of a running gateway: the caller's trace goes on to the provider, and a receiver gets a
//! server span for the call and a client span for each attempt, in the protocol's own form.
#![cfg(unix)]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use mainstay_gateway::config::{Environment, parse};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use support::{Front, start};

const LONG: Duration = Duration::from_secs(20);
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const SECRET: &str = "a prompt that no span may hold";

/// Answers each request by its head and body, and tells what came.
fn serve(
    answer: impl Fn(usize) -> String + Send + Sync + 'static,
) -> (SocketAddr, mpsc::Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (tell, told) = mpsc::channel();
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (answer, tell, count) = (Arc::clone(&answer), tell.clone(), Arc::clone(&count));
            std::thread::spawn(move || {
                while let Some(request) = read(&mut stream) {
                    let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    let _ = tell.send(request);
                    if stream.write_all(answer(number).as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, told)
}

fn read(stream: &mut impl Read) -> Option<(String, Vec<u8>)> {
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(at) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&seen[..at]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = length.map_or(0, |text| text.parse::<usize>().expect("a length"));
            if seen.len() >= at + 4 + length {
                return Some((head, seen.split_off(at + 4)));
            }
        }
        match stream.read(&mut buffer) {
            Ok(read @ 1..) => seen.extend_from_slice(&buffer[..read]),
            Ok(_) | Err(_) => return None,
        }
    }
}

/// A provider that fails once and then answers.
fn provider() -> (SocketAddr, mpsc::Receiver<(String, Vec<u8>)>) {
    serve(|number| {
        let (status, body) = if number == 0 {
            (
                "503 Service Unavailable",
                r#"{"error":{"message":"overloaded","type":"server_error"}}"#,
            )
        } else {
            (
                "200 OK",
                r#"{"id":"c","object":"chat.completion","model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":3,"total_tokens":14}}"#,
            )
        };
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    })
}

fn gateway(upstream: SocketAddr, variables: &[(&str, &str)]) -> Front {
    let text = format!(
        "[policy.retry]\ntransient_base = \"1ms\"\ntransient_cap = \"1ms\"\n\
         [[provider]]\nname = \"up\"\nbase_url = \"http://{upstream}/v1\"\napi_key = \"sk-upstream-secret\"\n"
    );
    let environment = Environment::from_pairs(variables.iter().copied());
    start(&parse("test.toml", &text, &environment).expect("a sound configuration"), |_| {})
}

fn ask(front: &Front, more: &str) -> u16 {
    let body =
        format!(r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"{SECRET}"}}]}}"#);
    post(front, "/v1/chat/completions", more, &body)
}

fn post(front: &Front, path: &str, more: &str, body: &str) -> u16 {
    let mut caller = front.connect();
    caller.send(&front.post_bytes(path, more, body));
    caller.answer().status
}

/// The spans of one call to a provider that answers with this body, as events or whole.
fn spans_of(path: &str, request: &str, kind: &str, answer: &str) -> Vec<Span> {
    let (receiver, batches) = serve(|_| "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned());
    let whole = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{answer}",
        answer.len()
    );
    let (upstream, _requests) = serve(move |_| whole.clone());
    let endpoint = format!("http://{receiver}");
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let front = gateway(upstream, &variables);
    assert_eq!(post(&front, path, "", request), 200, "{request}");
    let (_, body) = batches.recv_timeout(LONG).expect("a batch");
    assert!(!String::from_utf8_lossy(&body).contains(SECRET), "contents stay off");
    let batch = ExportTraceServiceRequest::decode(&*body).expect("the protocol's own form");
    let spans = batch.resource_spans[0].scope_spans[0].spans.clone();
    assert_eq!(spans.len(), 2, "a call and its attempt");
    spans
}

fn real(span: &Span, key: &str) -> Option<f64> {
    let value = value(span, key)?;
    let Any::DoubleValue(number) = value else { panic!("{key} is no number: {value:?}") };
    Some(*number)
}

fn texts(span: &Span, key: &str) -> Vec<String> {
    let Some(Any::ArrayValue(array)) = value(span, key) else { return Vec::new() };
    let text = |any: &AnyValue| match &any.value {
        Some(Any::StringValue(text)) => text.clone(),
        other => panic!("{key} has {other:?}"),
    };
    array.values.iter().map(text).collect()
}

fn value<'s>(span: &'s Span, key: &str) -> Option<&'s Any> {
    let found = span.attributes.iter().find(|pair| pair.key == key)?;
    found.value.as_ref()?.value.as_ref()
}

fn text<'s>(span: &'s Span, key: &str) -> Option<&'s str> {
    let value = value(span, key)?;
    let Any::StringValue(text) = value else { panic!("{key} is no text: {value:?}") };
    Some(text)
}

fn whole(span: &Span, key: &str) -> Option<i64> {
    let value = value(span, key)?;
    let Any::IntValue(number) = value else { panic!("{key} is no number: {value:?}") };
    Some(*number)
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[test]
fn a_call_with_a_retry_is_one_server_span_and_two_client_spans() {
    let (receiver, batches) = serve(|_| "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned());
    let (upstream, requests) = provider();
    let endpoint = format!("http://{receiver}");
    let front = gateway(
        upstream,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue"),
            ("OTEL_SERVICE_NAME", "edge"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ],
    );
    assert_eq!(ask(&front, &format!("traceparent: {PARENT}\r\ntracestate: a=b\r\n")), 200);
    let (head, body) = batches.recv_timeout(LONG).expect("a batch");
    assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
    assert_eq!(header(&head, "content-type"), Some("application/x-protobuf"));
    assert_eq!(header(&head, "x-tenant"), Some("blue"));
    assert!(!String::from_utf8_lossy(&body).contains(SECRET), "contents stay off");
    let batch = ExportTraceServiceRequest::decode(&*body).expect("the protocol's own form");
    let spans = &batch.resource_spans[0].scope_spans[0].spans;
    assert_eq!(spans.len(), 3);
    let (call, first, second) = (&spans[0], &spans[1], &spans[2]);

    for span in spans {
        assert_eq!(hex(&span.trace_id), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(span.name, "chat gpt-4o");
        assert_eq!(text(span, "gen_ai.operation.name"), Some("chat"));
        assert_eq!(text(span, "gen_ai.request.model"), Some("gpt-4o"));
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
        assert!(span.start_time_unix_nano >= call.start_time_unix_nano);
        assert!(span.end_time_unix_nano <= call.end_time_unix_nano);
    }
    assert_eq!((call.kind, hex(&call.parent_span_id)), (2, "b7ad6b7169203331".to_owned()));
    assert_eq!(whole(call, "http.response.status_code"), Some(200));
    assert_eq!(whole(call, "mainstay.attempts"), Some(2));
    assert!(call.status.is_none() && text(call, "error.type").is_none());
    for attempt in [first, second] {
        assert_eq!((attempt.kind, &attempt.parent_span_id), (3, &call.span_id));
        assert_eq!(text(attempt, "server.address"), Some("127.0.0.1"));
        assert_eq!(whole(attempt, "server.port"), Some(i64::from(upstream.port())));
        assert_eq!(text(attempt, "gen_ai.provider.name"), Some("up"));
    }
    assert_eq!(text(first, "error.type"), Some("overloaded"));
    assert_eq!(first.status.as_ref().map(|status| status.code), Some(2));
    assert_eq!(whole(second, "gen_ai.usage.input_tokens"), Some(11));
    assert_eq!(whole(second, "gen_ai.usage.output_tokens"), Some(3));

    for attempt in [first, second] {
        let (head, _) = requests.recv_timeout(LONG).expect("an attempt");
        let sent = header(&head, "traceparent").expect("a traceparent");
        let want = format!("00-{}-{}-01", hex(&attempt.trace_id), hex(&attempt.span_id));
        assert_eq!(sent, want, "the provider hears of the attempt's own span");
        assert_eq!(header(&head, "tracestate"), Some("a=b"));
    }
}

#[test]
fn settings_and_what_an_answer_tells_of_itself_are_on_both_spans() {
    let request = format!(
        r#"{{"model":"gpt-4o","max_tokens":50,"temperature":0.5,"top_p":0.9,"n":2,"seed":7,"stop":["{SECRET}"],
        "frequency_penalty":0.1,"presence_penalty":-0.1,"reasoning_effort":"low","service_tier":"flex",
        "response_format":{{"type":"json_object"}},"messages":[{{"role":"user","content":"{SECRET}"}}]}}"#
    );
    let answer = format!(
        r#"{{"id":"chatcmpl-7","object":"chat.completion","model":"gpt-4o-2024-11-20","service_tier":"default",
        "system_fingerprint":"fp_1","choices":[{{"index":0,"message":{{"role":"assistant","content":"{SECRET}"}},
        "finish_reason":"stop"}},{{"index":1,"message":{{"role":"assistant","content":"x"}},"finish_reason":"length"}}],
        "usage":{{"prompt_tokens":11,"completion_tokens":9,"prompt_tokens_details":{{"cached_tokens":4}},
        "completion_tokens_details":{{"reasoning_tokens":5}}}}}}"#
    );
    for span in spans_of("/v1/chat/completions", &request, "application/json", &answer) {
        assert_eq!(whole(&span, "gen_ai.request.max_tokens"), Some(50));
        assert_eq!(whole(&span, "gen_ai.request.choice.count"), Some(2));
        assert_eq!(whole(&span, "gen_ai.request.seed"), Some(7));
        for (name, number) in [
            ("temperature", 0.5),
            ("top_p", 0.9),
            ("frequency_penalty", 0.1),
            ("presence_penalty", -0.1),
        ] {
            assert_eq!(real(&span, &format!("gen_ai.request.{name}")), Some(number), "{name}");
        }
        for (name, word) in [
            ("gen_ai.request.reasoning.level", "low"),
            ("gen_ai.output.type", "json"),
            ("gen_ai.response.id", "chatcmpl-7"),
            ("gen_ai.response.model", "gpt-4o-2024-11-20"),
            ("openai.api.type", "chat_completions"),
            ("openai.request.service_tier", "flex"),
            ("openai.response.service_tier", "default"),
            ("openai.response.system_fingerprint", "fp_1"),
        ] {
            assert_eq!(text(&span, name), Some(word), "{name}");
        }
        assert_eq!(texts(&span, "gen_ai.response.finish_reasons"), ["stop", "length"]);
        for (name, count) in [
            ("input_tokens", 11),
            ("output_tokens", 9),
            ("cache_read.input_tokens", 4),
            ("reasoning.output_tokens", 5),
        ] {
            assert_eq!(whole(&span, &format!("gen_ai.usage.{name}")), Some(count), "{name}");
        }
    }
}

#[test]
fn what_nobody_said_is_on_no_span_and_what_is_no_setting_neither() {
    let request = format!(
        r#"{{"model":"gpt-4o","n":1,"service_tier":"{SECRET}","messages":[{{"role":"user","content":"hi"}}]}}"#
    );
    let answer =
        r#"{"object":"chat.completion","choices":[{"index":0,"message":{"content":"x"}}]}"#;
    let spans = spans_of("/v1/chat/completions", &request, "application/json", answer);
    for span in &spans {
        let keys: Vec<&str> = span.attributes.iter().map(|pair| &*pair.key).collect();
        let odd = keys.iter().filter(|key| {
            let known = ["gen_ai.request.model", "gen_ai.request.stream", "gen_ai.response.model"];
            let known = known.contains(key) || **key == "openai.api.type";
            !known
                && ["gen_ai.request.", "gen_ai.response.", "openai."]
                    .iter()
                    .any(|p| key.starts_with(p))
        });
        assert_eq!(odd.count(), 0, "{keys:?}");
    }
    assert_eq!(text(&spans[0], "gen_ai.response.model"), Some("gpt-4o"), "the one that was asked");
    assert_eq!(text(&spans[1], "gen_ai.response.model"), None, "it did not say");
}

#[test]
fn a_stream_tells_what_a_whole_answer_tells() {
    let request = format!(
        r#"{{"model":"gpt-4o","stream":true,"max_completion_tokens":9,"messages":[{{"role":"user","content":"{SECRET}"}}]}}"#
    );
    let chunk = |rest: &str| {
        format!("data: {{\"id\":\"chatcmpl-8\",\"model\":\"gpt-4o-2024-11-20\",{rest}}}\n\n")
    };
    let word = chunk(&format!(
        r#""choices":[{{"index":0,"delta":{{"content":"{SECRET}"}},"finish_reason":null}}]"#
    ));
    let events = [
        chunk(r#""choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}]"#),
        word.repeat(5),
        chunk(r#""choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]"#),
        chunk(
            r#""choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":2}}"#,
        ),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat();
    for span in spans_of("/v1/chat/completions", &request, "text/event-stream", &events) {
        assert_eq!(text(&span, "gen_ai.response.id"), Some("chatcmpl-8"));
        assert_eq!(text(&span, "gen_ai.response.model"), Some("gpt-4o-2024-11-20"));
        assert_eq!(texts(&span, "gen_ai.response.finish_reasons"), ["tool_calls"]);
        assert_eq!(whole(&span, "gen_ai.request.max_tokens"), Some(9));
        assert_eq!(whole(&span, "gen_ai.usage.output_tokens"), Some(5));
    }
    let request =
        format!(r#"{{"model":"gpt-4o","stream":true,"input":"{SECRET}","conversation":"conv_1"}}"#);
    let events = [
        r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","model":"gpt-4o-x","status":"in_progress"}}"#.to_owned(),
        format!(r#"{{"type":"response.output_text.delta","sequence_number":1,"item_id":"msg_1","delta":"{SECRET}"}}"#),
        r#"{"type":"response.incomplete","sequence_number":2,"response":{"id":"resp_1","model":"gpt-4o-x","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"usage":{"input_tokens":3,"output_tokens":5}}}"#.to_owned(),
    ];
    let events = events.map(|data| {
        let name = data.split('"').nth(3).expect("a type");
        format!("event: {name}\ndata: {data}\n\n")
    });
    let events = events.concat();
    for span in spans_of("/v1/responses", &request, "text/event-stream", &events) {
        assert_eq!(text(&span, "gen_ai.response.id"), Some("resp_1"));
        assert_eq!(text(&span, "gen_ai.response.model"), Some("gpt-4o-x"));
        assert_eq!(text(&span, "gen_ai.conversation.id"), Some("conv_1"));
        assert_eq!(text(&span, "openai.api.type"), Some("responses"));
        assert_eq!(texts(&span, "gen_ai.response.finish_reasons"), ["max_output_tokens"]);
    }
}

#[test]
fn what_is_not_sampled_is_said_upstream_and_not_exported() {
    let (receiver, batches) = serve(|_| "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned());
    let (upstream, requests) = provider();
    let endpoint = format!("http://{receiver}");
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "1")];
    let front = gateway(upstream, &variables);
    let unsampled = PARENT.replace("-01", "-00");
    assert_eq!(ask(&front, &format!("traceparent: {unsampled}\r\n")), 200);
    let (head, _) = requests.recv_timeout(LONG).expect("an attempt");
    let sent = header(&head, "traceparent").expect("a traceparent");
    assert!(sent.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && sent.ends_with("-00"));
    // A sampled call behind it comes alone.
    assert_eq!(ask(&front, ""), 200);
    let (_, body) = batches.recv_timeout(LONG).expect("a batch");
    let batch = ExportTraceServiceRequest::decode(&*body).expect("the protocol's own form");
    let call = &batch.resource_spans[0].scope_spans[0].spans[0];
    assert_ne!(hex(&call.trace_id), "0af7651916cd43dd8448eb211c80319c");
    let id = text(call, "mainstay.request.id").expect("our id");
    assert_eq!(id.strip_prefix("req_"), Some(&*hex(&call.trace_id)), "the id is the trace's");
    assert!(call.parent_span_id.is_empty());
}

#[test]
fn without_an_endpoint_a_callers_trace_passes_on_untouched() {
    let (upstream, requests) = provider();
    let front = gateway(upstream, &[]);
    assert_eq!(ask(&front, &format!("traceparent: {PARENT}\r\n")), 200);
    let (head, _) = requests.recv_timeout(LONG).expect("an attempt");
    assert_eq!(header(&head, "traceparent"), Some(PARENT));
}

#[test]
fn a_receiver_that_takes_nothing_costs_no_call_anything() {
    // It accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (upstream, _requests) = provider();
    let endpoint = format!("http://{}", silent.local_addr().expect("an address"));
    let front = gateway(
        upstream,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
            ("OTEL_BSP_SCHEDULE_DELAY", "1"),
        ],
    );
    for _ in 0..20 {
        assert_eq!(ask(&front, ""), 200);
    }
    let status = || {
        let mut caller = support::Caller::to(front.gateway.admin_addr());
        let head = "GET /mainstay/status HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer";
        caller.send(format!("{head} {}\r\n\r\n", support::TOKEN).as_bytes());
        let status: serde_json::Value =
            serde_json::from_slice(&caller.answer().body).expect("JSON");
        status["traces"]["dropped"].as_u64().expect("a count")
    };
    let mut tries = 0;
    while status() < 10 {
        tries += 1;
        assert!(tries < 200, "what does not fit is dropped and counted");
        std::thread::sleep(Duration::from_millis(50));
    }
    let start = tokio::time::Instant::now();
    drop(front);
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}
