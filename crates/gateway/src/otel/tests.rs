//! Promises of traces, read by OpenTelemetry's own types.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue};
use opentelemetry_proto::tonic::trace::v1::Span as Read;
use prost::Message as _;

use super::proto::{Kind, Span, Value, request};

fn any_text(text: &str) -> AnyValue {
    AnyValue { value: Some(Any::StringValue(text.to_owned())) }
}

fn span() -> Span {
    Span {
        trace_id: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
        id: 0xb7ad_6b71_6920_3331,
        parent: Some(7),
        name: "chat gpt-4o".to_owned(),
        kind: Kind::Client,
        start: 1_795_860_000_000_000_001,
        end: u64::MAX,
        attributes: vec![
            ("text", Value::Text("héllo".to_owned())),
            ("flag", Value::Flag(true)),
            ("whole", Value::Whole(i64::MAX)),
            ("below", Value::Whole(-1)),
            ("real", Value::Real(0.25)),
            ("texts", Value::Texts(vec!["stop".to_owned(), "length".to_owned()])),
        ],
        error: Some("overloaded".to_owned()),
    }
}

fn read(bytes: &[u8]) -> (Vec<(String, String)>, Vec<Read>) {
    let mut all =
        ExportTraceServiceRequest::decode(bytes).expect("the protocol's own types read it");
    let all = all.resource_spans.remove(0);
    let text = |value: Option<Any>| match value {
        Some(Any::StringValue(text)) => text,
        other => panic!("no text: {other:?}"),
    };
    let attributes = all.resource.expect("a resource").attributes;
    let pairs = attributes.into_iter().map(|pair| (pair.key, text(pair.value.unwrap().value)));
    let pairs = pairs.collect();
    assert_eq!(all.scope_spans[0].scope.as_ref().expect("a scope").name, "mainstay");
    (pairs, all.scope_spans[0].spans.clone())
}

#[test]
fn what_is_written_is_read_by_the_protocols_own_types() {
    let resource = vec![("service.name".to_owned(), "edge".to_owned())];
    let (pairs, spans) =
        read(&request(&resource, &[span(), Span { parent: None, error: None, ..span() }]));
    assert_eq!(pairs, resource);
    let one = &spans[0];
    assert_eq!(one.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes());
    assert_eq!(one.span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    assert_eq!(one.parent_span_id, 7_u64.to_be_bytes());
    assert_eq!((&*one.name, one.kind, one.flags), ("chat gpt-4o", 3, 1));
    assert_eq!(
        (one.start_time_unix_nano, one.end_time_unix_nano),
        (1_795_860_000_000_000_001, u64::MAX)
    );
    let values: Vec<Any> =
        one.attributes.iter().map(|pair| pair.value.clone().unwrap().value.unwrap()).collect();
    let want = [
        Any::StringValue("héllo".to_owned()),
        Any::BoolValue(true),
        Any::IntValue(i64::MAX),
        Any::IntValue(-1),
        Any::DoubleValue(0.25),
        Any::ArrayValue(ArrayValue { values: ["stop", "length"].map(any_text).to_vec() }),
    ];
    assert_eq!(values, want);
    let status = one.status.as_ref().expect("a status");
    assert_eq!((&*status.message, status.code), ("overloaded", 2));
    assert!(spans[1].status.is_none() && spans[1].parent_span_id.is_empty());
}
