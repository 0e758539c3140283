//! What the official SDKs send: the bodies of the Python SDK's own suite and of every method of the Node
//! SDK, recorded on 2026-11-21 (openai-python 3.52.0, openai-node 7.55.0) by `crates/checks/sdk/record`,
//! their texts in our words.

use mainstay_core::failure::Kind;
use mainstay_core::validate::form::{FormBody, FormLook, validate_form};
use mainstay_core::validate::{Level, Report, validate};
use mainstay_core::wire::endpoint::Endpoint;
use serde_json::Value;

const BODIES: &str = include_str!("../data/sdk_bodies.jsonl");
/// Bodies of the Python suite that leave out what the service asks for: `{}` as a response and the like.
const WITHOUT_REQUIRED_MAX: usize = 9;

fn report(row: &Value, level: Level) -> Report {
    let text = |name: &str| row[name].as_str().expect("a text");
    let endpoint = Endpoint::of("POST", text("path"));
    let (kind, body) = (text("type"), text("body").as_bytes());
    if kind.starts_with("multipart/") {
        let body = FormBody { content_type: Some(kind), bytes: body, whole: true, length: None };
        return validate_form(endpoint, level, &FormLook::read(body));
    }
    validate(endpoint, level, body)
}

#[test]
fn nothing_that_an_official_sdk_sends_is_refused_without_reason() {
    let rows: Vec<Value> =
        BODIES.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    for (sdk, least) in [("python", 55), ("node", 60)] {
        let count = rows.iter().filter(|row| row["sdk"] == sdk).count();
        assert!(count >= least, "{count} bodies of {sdk}");
    }
    let mut strict = Vec::new();
    for row in &rows {
        let known = Endpoint::of("POST", row["path"].as_str().unwrap_or_default());
        assert_ne!(known, Endpoint::Other, "{row}");
        let lenient = report(row, Level::Lenient);
        assert!(lenient.is_sound(), "{row}: {lenient:?}");
        let report = report(row, Level::Strict);
        let only_missing = |kind: Kind| kind == Kind::MissingRequiredField;
        assert!(report.faults.iter().all(|fault| only_missing(fault.kind)), "{row}: {report:?}");
        if !report.is_sound() {
            strict.push(row);
        }
    }
    assert!(strict.len() <= WITHOUT_REQUIRED_MAX, "{strict:#?}");
    assert!(strict.iter().all(|row| row["sdk"] == "python"), "{strict:#?}");
}
