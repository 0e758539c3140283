//! Whatever comes in: no panic, bounded results, and rules that hold for every answer.

use mainstay_core::catalogue;
use mainstay_core::classify::{Answer, Verdict, classify, jsonl, of_transport_text};
use mainstay_core::failure::{Kind, Next, ProviderSaid};
use mainstay_core::hints;
use mainstay_core::wire::error_body::ErrorBody;
use proptest::prelude::*;
use std::time::{Duration, Instant};

const ROWS: &str = include_str!("data/answers.jsonl");

type Pairs = Vec<(String, String)>;

fn headers() -> impl Strategy<Value = Pairs> {
    let name = prop::sample::select(vec![
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
        "date",
        "content-type",
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-tokens",
        "anthropic-ratelimit-tokens-reset",
    ]);
    let value = prop_oneof![
        "[0-9]{1,25}",
        "-?[0-9]{1,4}(\\.[0-9]{1,4})?(ms|s|m|h)?",
        "(Sun|Mon), [0-9]{2} (Nov|Xyz) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})?",
        "true|false|nan|inf|-inf|1e400",
        any::<String>(),
    ];
    prop::collection::vec((name.prop_map(String::from), value), 0..6)
}

fn body_of(row: usize) -> Vec<u8> {
    let lines: Vec<&str> = ROWS.lines().collect();
    let row: serde_json::Value =
        serde_json::from_str(lines[row % lines.len()]).expect("a row is JSON");
    row["body"].as_str().unwrap_or_default().as_bytes().to_vec()
}

/// What holds for every verdict.
fn check(verdict: &Verdict) {
    let failure = &verdict.failure;
    let said = &failure.provider;
    assert!(said.message.as_deref().unwrap_or_default().len() <= ProviderSaid::MESSAGE_MAX);
    for wait in [verdict.wait, verdict.delay].into_iter().flatten() {
        assert!(wait > Duration::ZERO && wait <= hints::WAIT_BELIEVED, "{wait:?}");
    }
    if !verdict.retryable {
        assert_eq!(verdict.wait, None);
    }
    match failure.next {
        Next::SameTarget { wait } => {
            assert!(verdict.retryable);
            assert_eq!(wait, verdict.wait);
        }
        Next::OtherTarget | Next::LargerWindow | Next::Nobody => assert!(!verdict.retryable),
    }
    let final_kinds = [
        Kind::IncorrectApiKey,
        Kind::InvalidAuthentication,
        Kind::ExpiredApiKey,
        Kind::RevokedApiKey,
        Kind::InsufficientQuota,
        Kind::BillingLimit,
        Kind::ContentPolicy,
        Kind::ContextLengthExceeded,
        Kind::RequestTooLarge,
    ];
    assert!(!(verdict.retryable && final_kinds.contains(&failure.kind)), "{}", failure.kind);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic_and_break_no_rule(
        status in prop::option::of(100u16..=999),
        headers in headers(),
        body in prop::collection::vec(any::<u8>(), 0..600),
        stream: bool,
    ) {
        let answer = Answer { status, headers: &headers, body: &body, stream };
        if let Some(verdict) = classify(&answer) {
            check(&verdict);
        }
    }

    #[test]
    fn damaged_real_bodies_never_panic_and_break_no_rule(
        row in any::<usize>(),
        status in prop::sample::select(vec![200u16, 400, 401, 403, 404, 429, 500, 503]),
        headers in headers(),
        cut in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte: u8,
        stream: bool,
    ) {
        let mut body = body_of(row);
        if !body.is_empty() {
            let at = at.index(body.len());
            body[at] = byte;
            body.truncate(cut.index(body.len()) + 1);
        }
        let answer = Answer { status: Some(status), headers: &headers, body: &body, stream };
        if let Some(verdict) = classify(&answer) {
            check(&verdict);
        }
    }

    #[test]
    fn an_error_status_is_always_a_failure(status in 400u16..=599, body in prop::collection::vec(any::<u8>(), 0..200)) {
        let answer = Answer { status: Some(status), headers: &Pairs::new(), body: &body, stream: false };
        prop_assert!(classify(&answer).is_some());
    }

    #[test]
    fn texts_and_queries_of_any_kind_are_survived(text: String) {
        check(&of_transport_text(&text));
        let _ = hints::text_limit(&text);
        let _ = hints::duration(&text);
        let _ = hints::http_date(&text);
        let _ = hints::rfc3339(&text);
        let _ = jsonl::line(&text);
        let _ = catalogue::find(&text);
    }

    #[test]
    fn what_is_written_as_a_wait_is_read_as_that_wait(seconds in 1u64..200_000, millis in 1u64..1000) {
        let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let forms = [
            format!("{hours}h{minutes}m{rest}s"),
            format!("{seconds}"),
            format!("{seconds}s"),
            format!("{}ms", seconds * 1000),
        ];
        for form in &forms {
            prop_assert_eq!(hints::duration(form), Some(Duration::from_secs(seconds)), "{}", form);
        }
        let text = format!("Rate limited. Please try again in {seconds}.{millis:03}s. Visit a page.");
        let wait = hints::text_wait(&text).expect("a wait");
        let expected = Duration::from_secs(seconds) + Duration::from_millis(millis);
        prop_assert!(wait.abs_diff(expected) < Duration::from_millis(2), "{:?}", wait);
    }

    #[test]
    fn a_wait_is_never_earlier_than_the_hint(
        millis in 1u64..600_000,
        text in "[a-z ]{0,40}",
    ) {
        let headers: Pairs = vec![("retry-after-ms".into(), millis.to_string())];
        let body = format!(r#"{{"error":{{"message":"{text}","code":"rate_limit_exceeded"}}}}"#);
        let answer = Answer { status: Some(429), headers: &headers, body: body.as_bytes(), stream: false };
        let verdict = classify(&answer).expect("a failure");
        if verdict.retryable {
            prop_assert_eq!(verdict.wait, Some(Duration::from_millis(millis)));
        }
    }
}

/// Bodies made to be slow: deep, repetitive, full of quotes, of anchors and of half phrases.
#[test]
#[expect(clippy::disallowed_methods, reason = "a cost is measured; nothing decides by it")]
fn hostile_bodies_cost_no_more_than_their_bounded_prefix() {
    let units = [
        "[",
        "{\"a\":",
        "\"",
        "'",
        "\\",
        "'a':",
        "\"message\":\"",
        "<",
        "<script",
        "again in ",
        "wait ",
        "limit ",
        "model not ",
        "key is not ",
        "data: ",
        "data: {\n",
        "后",
        "秒后",
        "1m",
        "error code: ",
        "concurrent ",
        "RateLimitError ",
        "{\"error\":{\"message\":\"",
        "¶ ",
        "a ",
        "\u{feff}",
    ];
    for unit in units {
        let body = unit.repeat(512 * 1024 / unit.len());
        for stream in [false, true] {
            let headers = Pairs::new();
            let answer =
                Answer { status: Some(429), headers: &headers, body: body.as_bytes(), stream };
            let begun = Instant::now();
            assert!(classify(&answer).is_some());
            let spent = begun.elapsed();
            // Milliseconds when optimised; the bound only has to catch quadratic work.
            assert!(spent < Duration::from_secs(5), "{unit:?} took {spent:?}");
        }
        let _ = ErrorBody::read(body.as_bytes());
    }
}
