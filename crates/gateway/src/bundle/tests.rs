use std::time::Duration;

use mainstay_core::failure::{Kind, Origin};
use mainstay_core::store::{FailureNote, RequestId};
use mainstay_core::wire::endpoint::Endpoint;

use super::*;

fn record() -> RequestRecord {
    RequestRecord {
        id: RequestId([7; 16]),
        at: UnixMillis(1_700_000_000_123),
        key: Some("key_abc".into()),
        key_name: "mine".into(),
        org: "org-default".into(),
        project: "proj_default".into(),
        endpoint: Endpoint::Chat,
        model: Some("gpt-4o".into()),
        served: Some("gpt-4o".into()),
        provider: Some("up".into()),
        stream: false,
        status: 503,
        failed: Some(FailureNote {
            message: Some("no room".into()),
            code: Some("overloaded".into()),
            content: Some("{\"messages\":\"the words\"}".into()),
            ..FailureNote::new(Kind::Overloaded, Origin::Provider)
        }),
        took: Duration::from_millis(40),
        waited: Duration::ZERO,
        first_content: None,
        overhead: Duration::ZERO,
        attempts_sent: 1,
        usage: None,
        counted: false,
        cost: None,
        sdk_retry: 0,
        attempts: Vec::new(),
    }
}

fn sources<'a>(record: &'a RequestRecord, config: &'a Value, secrets: &'a [String]) -> Sources<'a> {
    Sources {
        record,
        help: None,
        config: Some(config),
        limits: Some(json!([])),
        log: Some(vec![
            format!("WARN failed id={}", record.id),
            "WARN failed id=req_00000000000000000000000000000000 of somebody else".to_owned(),
            "INFO the circuit of up opened; key our-own-credential".to_owned(),
        ]),
        with_content: false,
        now: UnixMillis(1_700_000_001_000),
        secrets,
    }
}

#[test]
fn a_bundle_has_what_is_on_the_list_and_nothing_else() {
    let record = record();
    let config = json!({
        "server": {"auth": "keys", "tls": {"key": "/PLANTED/server.key"}, "cors": ["PLANTED"]},
        "admin": {"token": "PLANTED"},
        "provider": [{"name": "up", "base_url": "https://up.example/v1", "api_keys": ["PLANTED"], "proxy": "PLANTED"}],
        "shared": {"url": "redis://:PLANTED@h"},
    });
    let secrets = ["our-own-credential".to_owned()];
    let text = String::from_utf8_lossy(&make(&sources(&record, &config, &secrets))).into_owned();
    assert!(text.starts_with("PK\u{3}\u{4}"));
    for there in [
        "manifest.json",
        "2023-11-14T22:13:20.123Z",
        "no room",
        "overloaded",
        "https://up.example/v1",
        "the circuit of up opened; key ***",
        "--with-content was not given",
    ] {
        assert!(text.contains(there), "{there} is missing");
    }
    for gone in ["PLANTED", "our-own-credential", "somebody else", "the words"] {
        assert!(!text.contains(gone), "{gone} is in it");
    }
}

#[test]
fn contents_are_in_it_only_when_asked_for_and_kept() {
    let (mut record, config) = (record(), json!({}));
    let mut with = sources(&record, &config, &[]);
    with.with_content = true;
    assert!(String::from_utf8_lossy(&make(&with)).contains("the words"));
    record.failed = None;
    let mut with = sources(&record, &config, &[]);
    with.with_content = true;
    assert!(String::from_utf8_lossy(&make(&with)).contains("it was not kept"));
}
