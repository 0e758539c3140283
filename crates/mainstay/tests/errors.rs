//! Errors as programs meet them, from the simulator: one variant for each class that the official
//! SDKs raise, and every kind told with cause and fix and without a secret.
#![expect(
    clippy::unwrap_used,
    reason = "the tests' own ground: what is missing there fails the test"
)]

use std::error::Error as _;
use std::time::Duration;

use mainstay::failure::{Class, Kind};
use mainstay::policy::{Policy, RetryPolicy};
use mainstay::{Client, Error};
use mainstay_sim::Sim;
use serde_json::{Value, json};

mod simulated;

use simulated::sim;

/// How long a call takes at most that is never answered.
const LITTLE: Duration = Duration::from_millis(1500);

/// One attempt a call, and none that waits for long.
fn client(sim: &Sim) -> Client {
    let retry = RetryPolicy {
        attempts_max: 1,
        attempts_per_call_max: 1,
        wait_max: Duration::ZERO,
        patience: Duration::ZERO,
        ..RetryPolicy::default()
    };
    let mut policy = Policy { retry, ..Policy::default() };
    policy.breaker.enabled = false;
    let client = Client::builder().base_url(&sim.base_url()).key("sk-test-secret");
    client.policy(policy).timeout(Duration::from_secs(20)).build().unwrap()
}

fn asking(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "prompt-secret in 9 words"}]})
}

struct Row {
    /// What the simulator is asked to do.
    model: &'static str,
    class: Class,
    /// The variant that a program matches on.
    is: fn(&Error) -> bool,
    status: Option<u16>,
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { model: "sim-incorrect_api_key", class: Class::AuthenticationError, is: |e| matches!(e, Error::Authentication(_)), status: Some(401) },
    Row { model: "sim-invalid_value", class: Class::BadRequestError, is: |e| matches!(e, Error::BadRequest(_)), status: Some(400) },
    Row { model: "sim-conflict", class: Class::ConflictError, is: |e| matches!(e, Error::Conflict(_)), status: Some(409) },
    Row { model: "sim-internal_error", class: Class::InternalServerError, is: |e| matches!(e, Error::InternalServer(_)), status: Some(500) },
    Row { model: "sim-model_not_found", class: Class::NotFoundError, is: |e| matches!(e, Error::NotFound(_)), status: Some(404) },
    Row { model: "sim-unsupported_region", class: Class::PermissionDeniedError, is: |e| matches!(e, Error::PermissionDenied(_)), status: Some(403) },
    Row { model: "sim-insufficient_quota", class: Class::RateLimitError, is: |e| matches!(e, Error::RateLimit(_)), status: Some(429) },
    Row { model: "sim-unprocessable_entity", class: Class::UnprocessableEntityError, is: |e| matches!(e, Error::UnprocessableEntity(_)), status: Some(422) },
    Row { model: "sim-connection", class: Class::APIConnectionError, is: |e| matches!(e, Error::Connection(_)), status: None },
    Row { model: "sim-slow", class: Class::APITimeoutError, is: |e| matches!(e, Error::Timeout(_)), status: None },
];

#[tokio::test]
async fn each_class_of_the_sdks_is_a_variant_with_everything_it_knows() {
    let sim = sim("").await;
    let client = client(&sim);
    for row in ROWS {
        let little = row.class == Class::APITimeoutError;
        let client = if little { client.within(LITTLE) } else { client.clone() };
        let error = client.chat().create(&asking(row.model)).await.unwrap_err();
        assert!((row.is)(&error), "{}: {error:?}", row.model);
        assert_eq!((error.class(), error.status()), (row.class, row.status), "{}", row.model);
        assert_eq!(error.retryable(), error.kind().retryable(), "{}", row.model);
        assert_eq!((error.attempts(), error.records().len()), (1, 1), "{}", row.model);
        assert_eq!(error.explain().kind, error.kind(), "{}", row.model);
        // What the provider said is the source; where nobody answered there is none.
        assert_eq!(error.source().is_some(), row.status.is_some(), "{}", row.model);
        assert_eq!(error.request_id().is_some(), row.status.is_some(), "{}", row.model);
    }
    let classes: Vec<Class> = ROWS.iter().map(|row| row.class).collect();
    assert!(Kind::ALL.iter().all(|kind| classes.contains(&kind.class())), "a class has no row");
}

#[tokio::test]
async fn code_param_and_wait_are_the_providers() {
    let sim = sim("retry_after = \"700ms\"").await;
    let client = client(&sim);
    let error = client.chat().create(&asking("sim-invalid_value")).await.unwrap_err();
    assert!(error.code().is_some() && error.param().is_some(), "{error:?}");
    let error = client.chat().create(&asking("sim-rate_limit_other")).await.unwrap_err();
    assert_eq!(error.code(), Some("rate_limit_exceeded"));
    let wait = error.retry_after().unwrap();
    assert!(wait > Duration::from_millis(500) && wait <= Duration::from_millis(700), "{wait:?}");
    assert!(error.to_string().contains("trying again in 0."), "{error}");
}

#[tokio::test]
async fn every_kind_says_what_why_and_what_to_do_and_nothing_secret() {
    let sim = sim("retry_after = \"10ms\"").await;
    let client = client(&sim).within(LITTLE);
    for kind in Kind::ALL {
        let error = match client.chat().create(&asking(&format!("sim-{kind}"))).await {
            Err(error) => error,
            Ok(answer) => panic!("{kind} was answered: {answer}"),
        };
        let told = error.to_string();
        let (what, rest) = told.split_once("\n  why: ").unwrap_or_else(|| panic!("{told}"));
        assert!(!what.is_empty() && rest.contains("\n  fix: "), "{kind}: {told}");
        let sources: Vec<String> = std::iter::successors(error.source(), |&error| error.source())
            .map(ToString::to_string)
            .collect();
        let all = format!("{told} {error:?} {sources:?}");
        assert!(!all.contains("test-secret") && !all.contains("prompt-secret"), "{kind}: {all}");
    }
}
