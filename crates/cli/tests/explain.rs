//! One request, explained and reported: from its record in a store to what a person reads.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use mainstay_core::failure::{Kind, Origin, Scope};
use mainstay_core::money::Usd;
use mainstay_core::store::{
    AttemptNote, FailureNote, LimitNote, RequestId, RequestRecord, RequestStore, RequestsKept,
    StateNote, UnixMillis,
};
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_store::Sqlite;
use mainstay_store::requests::batch_of;

const ID: &str = "req_07070707070707070707070707070707";

fn attempt(start: u64, lasted: u64, waited: u64, kind: Option<Kind>) -> AttemptNote {
    let state = StateNote {
        exact: true,
        circuit: "closed".into(),
        in_flight: 2,
        queued: 1,
        ceiling: None,
        retry_budget: 486,
        hold: Duration::ZERO,
        limits: vec![LimitNote {
            name: "requests".into(),
            per_minute: 1200.0,
            level: 3.0,
            told: true,
        }],
    };
    AttemptNote {
        provider: "openai".into(),
        credential: 0,
        model: Some("gpt-4o".into()),
        start: Duration::from_millis(start),
        waited: Duration::from_millis(waited),
        cause: if waited > 0 { "backoff".into() } else { "".into() },
        took: Duration::from_millis(lasted / 2),
        lasted: Duration::from_millis(lasted),
        status: Some(503),
        kind,
        bytes: 100,
        usage: None,
        state: Some(state),
    }
}

fn record() -> RequestRecord {
    RequestRecord {
        id: RequestId([7; 16]),
        at: UnixMillis(1_700_000_000_123),
        key: Some("key_0123456789ab".into()),
        key_name: "web".into(),
        org: "org-default".into(),
        project: "proj_default".into(),
        endpoint: Endpoint::Chat,
        model: Some("gpt-4o".into()),
        served: Some("gpt-4o".into()),
        provider: Some("openai".into()),
        stream: true,
        status: 503,
        failed: Some(FailureNote {
            scope: Some(Scope::Provider),
            code: Some("overloaded".into()),
            message: Some("no room\nfor you".into()),
            retry_after: Some(Duration::from_millis(1500)),
            ..FailureNote::new(Kind::Overloaded, Origin::Provider)
        }),
        took: Duration::from_millis(1000),
        waited: Duration::from_millis(400),
        first_content: None,
        overhead: Duration::from_micros(90),
        attempts_sent: 2,
        usage: None,
        counted: false,
        cost: Some(Usd::ZERO),
        sdk_retry: 0,
        attempts: vec![
            attempt(0, 200, 0, Some(Kind::Overloaded)),
            attempt(600, 400, 400, Some(Kind::Overloaded)),
        ],
    }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("the test's own ground");
    let store = Sqlite::open(&folder.path().join("mainstay.db")).expect("a store");
    let kept = RequestsKept::default();
    store
        .keep_requests(&batch_of([record()]), kept, UnixMillis(1_700_000_001_000))
        .expect("it is kept");
    let config = "[[provider]]\nname = \"openai\"\nkind = \"openai\"\napi_key = \"sk-planted-secret-0001\"\n";
    std::fs::write(folder.path().join("mainstay.toml"), config).expect("the test's own ground");
    folder
}

fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.args(args).env_clear().env("NO_COLOR", "1").current_dir(folder);
    command.output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_request_is_drawn_with_what_happened_why_and_what_to_do() {
    let folder = folder();
    let done = run(folder.path(), &["explain", ID]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let out = text(&done.stdout);
    for line in [
        "req_07070707070707070707070707070707  2023-11-14T22:13:20.123Z",
        "chat gpt-4o, streamed, by key web (key_0123456789ab), proj_default, org-default",
        "failed with 503 (overloaded, the provider's side) after 2 attempts and 1000 ms; openai was asked last",
        "  1  openai/gpt-4o  ####====                                  503 overloaded, 200 ms",
        "  2  openai/gpt-4o          ................########========  503 overloaded, 400 ms",
        "                    waited 400 ms before it: backoff",
        "  told: no room\\nfor you",
        "  code: overloaded",
        "What to do",
        "  It is worth trying again after 1500 ms.",
        "The provider's state: https://status.openai.com",
        "Its support: https://help.openai.com",
    ] {
        assert!(out.lines().any(|one| one == line), "{line:?} is not in\n{out}");
    }
    assert!(out.contains("requests 1200/min of which 3 left"), "{out}");
    let json = run(folder.path(), &["explain", ID, "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!((&value["id"], &value["outcome"]), (&ID.into(), &"failed".into()));
    assert_eq!(value["timeline"][1]["wait_cause"], "backoff");
    assert_eq!(value["help"]["support"], "https://help.openai.com");
}

#[test]
fn a_request_that_is_not_on_record_is_a_failure_with_a_way_out() {
    let folder = folder();
    let none = run(folder.path(), &["explain", "req_00000000000000000000000000000000"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none.stderr).contains("no record of req_0000"), "{}", text(&none.stderr));
}

#[test]
fn a_report_is_a_zip_file_without_secrets() {
    let folder = folder();
    let done = run(folder.path(), &["report", ID, "-o", "out.zip", "--json"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let bytes = std::fs::read(folder.path().join("out.zip")).expect("the file is there");
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(told["bytes"], bytes.len());
    let zip = text(&bytes);
    assert!(zip.contains("Time (UTC): 2023-11-14T22:13:20.123Z") && zip.contains("left_out"));
    assert!(zip.contains("made without a running gateway"));
    assert!(!zip.contains("sk-planted"), "a credential is in the bundle");
}
