use mainstay_core::classify::{Answer, classify};
use mainstay_core::hints;
use mainstay_core::rules::limits::LimitSpec;
use mainstay_core::store::Subject;

use super::*;

fn record(model: Option<&str>) -> LimitRecord {
    LimitRecord {
        id: 1,
        subject: Subject::Organization("org-default".into()),
        model: model.map(Into::into),
        spec: LimitSpec::default(),
        tier: None,
    }
}

fn refusal(measure: Measure, fits: Fits) -> Refusal {
    Refusal { index: 0, measure, limit: 30_000, used: 29_990, requested: 400, fits }
}

/// A gateway behind a gateway, and any client that reads texts, understands our refusals.
#[test]
fn our_own_words_are_classified_as_what_they_are() {
    let wait = Fits::After(Duration::from_millis(780));
    for (measure, fits, kind) in [
        (Measure::RequestsPerMinute, wait, Kind::RateLimitRequests),
        (Measure::RequestsPerDay, wait, Kind::RateLimitRequests),
        (Measure::TokensPerMinute, wait, Kind::RateLimitTokens),
        (Measure::TokensPerMinute, Fits::Never, Kind::RequestTooLarge),
        (Measure::Concurrency, Fits::WhenOneEnds, Kind::ConcurrentLimit),
    ] {
        for model in [None, Some("gpt-4o")] {
            let told = refused(Some(&record(model)), &refusal(measure, fits), Standing::default());
            assert_eq!(told.kind, kind);
            let body = serde_json::json!({"error": {"message": told.message, "type": null}});
            let body = body.to_string();
            let answer = Answer {
                status: Some(429),
                headers: &mainstay_core::headers::NoHeaders,
                body: body.as_bytes(),
                stream: false,
            };
            let verdict = classify(&answer).expect("a refusal is a failure");
            assert_eq!(verdict.failure.kind, kind, "{body}");
            if fits == wait {
                let read = hints::text_wait(&told.message);
                assert_eq!(read, Some(Duration::from_millis(780)), "{body}");
            }
        }
    }
}

#[test]
fn what_never_fits_is_not_tried_again() {
    let fits = Fits::Never;
    let told =
        refused(Some(&record(None)), &refusal(Measure::TokensPerMinute, fits), Standing::default());
    assert_eq!((told.again, told.retry_after), (false, None));
    assert_eq!(told.status, Some(StatusCode::TOO_MANY_REQUESTS));
    for number in ["30000", "400"] {
        assert!(told.message.contains(number), "{}", told.message);
    }
}

#[test]
fn a_limit_of_a_model_says_that_another_model_would_do() {
    let fits = Fits::After(Duration::from_secs(20));
    let rpm = refusal(Measure::RequestsPerMinute, fits);
    let told = refused(Some(&record(Some("gpt-4o"))), &rpm, Standing::default());
    assert_eq!(told.scope, Scope::Model);
    let named = told.over.and_then(|over| over.named);
    assert_eq!(named.as_deref(), Some("organization org-default rpm gpt-4o"));
    let told = refused(Some(&record(None)), &rpm, Standing::default());
    assert_eq!((told.scope, told.origin), (Scope::Key, Origin::Mainstay));
    assert_eq!(told.retry_after, Some(Duration::from_secs(20)));
}

#[test]
fn durations_are_written_as_go_writes_them_and_read_back() {
    for (nanos, text) in [
        (0, "0s"),
        (1, "1ms"),
        (12_000_000, "12ms"),
        (999_000_001, "1s"),
        (1_200_000_000, "1.2s"),
        (60_000_000_000, "1m0s"),
        (360_000_000_000, "6m0s"),
        (61_005_000_000, "1m1.005s"),
        (5_400_000_000_000, "1h30m0s"),
        (86_400_000_000_000, "24h0m0s"),
    ] {
        let time = Duration::from_nanos(nanos);
        assert_eq!(go_duration(time), text);
        if nanos > 1_000_000 {
            let read = hints::duration(text).expect("it is a duration");
            let above = read.checked_sub(time).expect("it is rounded up");
            assert!(above < Duration::from_millis(1), "{text}");
        }
    }
}
