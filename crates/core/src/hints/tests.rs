//! Hints read from headers and prose of many providers.

use super::*;
use core::time::Duration;

#[expect(clippy::unnecessary_wraps, reason = "every reading it is compared with is an Option")]
fn secs(seconds: f64) -> Option<Duration> {
    Some(Duration::from_secs_f64(seconds))
}

#[test]
fn durations_in_every_known_form_are_read() {
    for (text, seconds) in [
        ("12ms", 0.012),
        ("1s", 1.0),
        ("1.2s", 1.2),
        ("6m0s", 360.0),
        ("1h30m0s", 5400.0),
        ("2m59.56s", 179.56),
        ("114h18m0s", 411_480.0),
        ("90", 90.0),
        (" 1.5 ", 1.5),
        ("86400", 86_400.0),
    ] {
        assert_eq!(duration(text), secs(seconds), "{text}");
    }
}

#[test]
fn nonsense_counts_as_absent() {
    let absurd = "9".repeat(400);
    for text in [
        "",
        "-1",
        "0",
        "0s",
        "nan",
        "inf",
        "infinity",
        "1e9",
        "+5",
        "s",
        "5x",
        "..",
        "1.2.3",
        "0x10",
        "1s1s1s1s1s1s1s",
        "99999999999999",
        &absurd,
        "٣s",
        "5 5",
        "s5",
    ] {
        assert_eq!(duration(text), None, "{text}");
        assert_eq!(server_wait(&[("retry-after", text)], None, None), None, "{text}");
        assert_eq!(server_wait(&[("retry-after-ms", text)], None, None), None, "{text}");
    }
}

#[test]
fn the_wait_follows_the_fixed_order() {
    let all = [("retry-after", "7"), ("retry-after-ms", "1500")];
    assert_eq!(server_wait(&all, Some("try again in 20s"), None), secs(1.5));
    // A zero in the finer header says nothing; the coarser one holds.
    let zero = [("retry-after", "1"), ("retry-after-ms", "0")];
    assert_eq!(server_wait(&zero, None, None), secs(1.0));
    assert_eq!(
        server_wait(&crate::headers::NoHeaders, Some("try again in 1m3s"), None),
        secs(63.0)
    );
    assert_eq!(longest_header_wait(&all, None), secs(7.0));
}

#[test]
fn dates_are_read_against_the_servers_own_clock() {
    let date = "Sat, 21 Nov 2026 12:00:00 GMT";
    let headers = [("retry-after", "Sat, 21 Nov 2026 12:00:30 GMT"), ("date", date)];
    assert_eq!(server_wait(&headers, None, Some(Duration::from_secs(5))), secs(30.0));
    assert_eq!(server_wait(&[headers[0]], None, http_date(date)), secs(30.0));
    assert_eq!(server_wait(&[headers[0]], None, None), None);
    // In the past: no wait.
    let late = [("retry-after", date), ("date", "Sat, 21 Nov 2026 12:00:30 GMT")];
    assert_eq!(server_wait(&late, None, None), None);
}

#[test]
fn all_three_http_dates_and_rfc_3339_agree() {
    let expected = Some(Duration::from_secs(784_111_777));
    for text in [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ] {
        assert_eq!(http_date(text), expected, "{text}");
    }
    for text in [
        "1994-11-06T08:49:37Z",
        "1994-11-06T08:49:37.123456Z",
        "1994-11-06T09:49:37+01:00",
        "1994-11-06 08:49:37 UTC",
    ] {
        assert_eq!(rfc3339(text), expected, "{text}");
    }
    assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(Duration::ZERO));
    assert_eq!(rfc3339("2000-02-29T00:00:00Z"), Some(Duration::from_hours(264_384)));
    for text in ["", "Sun", "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1900 08:49:37 GMT", "日"]
    {
        assert_eq!(http_date(text), None, "{text}");
        assert_eq!(rfc3339(text), None, "{text}");
    }
}

#[test]
fn prose_names_its_wait() {
    for (text, seconds) in [
        ("Please try again in 174ms. Visit x", 0.174),
        ("Please try again in 1m26.4s.", 86.4),
        ("please retry in 18.403s.", 18.403),
        ("Please retry after 86400 seconds.", 86_400.0),
        ("please try again after 1 seconds", 1.0),
        ("Wait for 5 minutes and 30 seconds before the next call", 330.0),
        ("quota will reset after 3h12m", 11_520.0),
        ("\"retryDelay\": \"38s\"", 38.0),
        ("\"resets_in_seconds\": 1200,", 1200.0),
        ("Retry-After: 30", 30.0),
        ("retry_after_ms=250", 0.25),
        ("请求过于频繁，请 15 秒后重试", 15.0),
        ("请2分钟后再试", 120.0),
        ("try again in about 2 hours", 7200.0),
        ("available again in 1 hour, 5 minutes", 3900.0),
    ] {
        assert_eq!(text_wait(text), secs(seconds), "{text}");
    }
    for text in [
        "please try again later",
        "wait a moment",
        "resets in 2026-11-21",
        "try again in 5 tries",
        "retry after 12:30",
        "3 seconds of audio",
        "",
    ] {
        assert_eq!(text_wait(text), None, "{text}");
    }
}

#[test]
fn the_limit_in_a_message_is_read_with_its_dimension() {
    let said = text_limit(
        "Rate limit reached for gpt-4.1 in organization org-x on tokens per min (TPM): Limit 30000, \
         Used 18928, Requested 11159. Please try again in 174ms.",
    );
    let expected = TextLimit {
        counted: Counted::Tokens,
        limit: Some(30_000),
        used: Some(18_928),
        requested: Some(11_159),
        window: Some(Duration::from_mins(1)),
        wait: secs(0.174),
    };
    assert_eq!(said, Some(expected));
    assert!(!expected.never_fits());
    let large = text_limit("too large on tokens per min (TPM): Limit 30000, Requested 31538.");
    assert!(large.is_some_and(|limit| limit.never_fits()));
    let day = text_limit("on requests per day (RPD): Limit 200, Used 200, Requested 1.");
    let day = day.expect("a limit is named");
    assert_eq!((day.counted, day.window), (Counted::Requests, Some(Duration::from_hours(24))));
    let anthropic =
        text_limit("exceed your organization's rate limit of 40,000 input tokens per minute");
    assert_eq!(anthropic.and_then(|limit| limit.limit), Some(40_000));
    let old = text_limit("on requests per min. Limit: 3 / min. Please try again in 20s.");
    assert_eq!(old.and_then(|limit| limit.limit), Some(3));
    assert_eq!(text_limit("The server had an error"), None);
}

#[test]
fn headers_of_each_provider_become_the_same_dimensions() {
    let openai = [
        ("x-ratelimit-limit-requests", "500"),
        ("x-ratelimit-remaining-requests", "499"),
        ("x-ratelimit-reset-requests", "120ms"),
        ("x-ratelimit-limit-tokens", "30,000"),
        ("x-ratelimit-remaining-tokens", "29000"),
        ("x-ratelimit-reset-tokens", "2s"),
    ];
    let hints = rate_hints(&openai, None);
    let requests = hints.requests.expect("requests are counted");
    assert_eq!((requests.limit, requests.remaining), (Some(500), Some(499)));
    assert_eq!((requests.reset, requests.window), (secs(0.12), None));
    assert_eq!(hints.tokens.and_then(|d| d.limit), Some(30_000));

    let groq = [
        ("x-ratelimit-limit-requests", "14400"),
        ("x-ratelimit-remaining-requests", "14370"),
        ("x-ratelimit-reset-requests", "2m59.56s"),
    ];
    let window = rate_hints(&groq, None).requests.and_then(|d| d.window);
    assert_eq!(window, Some(Duration::from_hours(24)), "Groq counts requests per day");
    let fixed = [
        ("x-ratelimit-limit-requests", "1000"),
        ("x-ratelimit-remaining-requests", "999"),
        ("x-ratelimit-reset-requests", "60"),
    ];
    let window = rate_hints(&fixed, None).requests.and_then(|d| d.window);
    assert_eq!(window, None, "the end of a fixed minute is no day");

    let mistral = [
        ("x-ratelimit-limit-req-minute", "60"),
        ("x-ratelimit-remaining-req-minute", "0"),
        ("x-ratelimit-limit-tokens-minute", "500000"),
        ("x-ratelimit-tokens-query-cost", "42"),
    ];
    let hints = rate_hints(&mistral, None);
    assert_eq!(hints.requests.and_then(|d| d.remaining), Some(0));
    assert_eq!((hints.tokens.and_then(|d| d.limit), hints.query_cost), (Some(500_000), Some(42)));
    assert_eq!(exhausted_wait(&hints, 1, None), secs(1.0));

    let anthropic = [
        ("date", "Sat, 21 Nov 2026 12:00:00 GMT"),
        ("anthropic-ratelimit-input-tokens-limit", "40000"),
        ("anthropic-ratelimit-input-tokens-remaining", "0"),
        ("anthropic-ratelimit-input-tokens-reset", "2026-11-21T12:00:45Z"),
    ];
    let hints = rate_hints(&anthropic, None);
    assert_eq!(hints.input_tokens.and_then(|d| d.reset), secs(45.0));
    assert_eq!(exhausted_wait(&hints, 1, Some(20_000)), secs(30.0));
    assert_eq!(hints.exhausted(), "input tokens");

    let router = [
        ("x-ratelimit-limit", "20"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1795262430000"),
    ];
    let now = secs(1_795_262_400.0);
    assert_eq!(rate_hints(&router, now).requests.and_then(|d| d.reset), secs(30.0));
    let together = [("x-tokenlimit-limit", "1000"), ("x-tokenlimit-remaining", "10")];
    assert_eq!(rate_hints(&together, None).tokens.and_then(|d| d.remaining), Some(10));
    let cerebras = [
        ("x-ratelimit-remaining-requests-day", "0"),
        ("x-ratelimit-reset-requests-day", "33011.3"),
    ];
    assert_eq!(exhausted_wait(&rate_hints(&cerebras, None), 1, None), secs(33_011.3));
}

#[test]
fn limits_that_are_not_counted_are_absent() {
    let azure = [
        ("x-ratelimit-limit-requests", "-1"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "0"),
        ("x-ratelimit-remaining-tokens", "NaN"),
        ("x-ratelimit-limit-tokens", "99999999999999999999"),
    ];
    let hints = rate_hints(&azure, None);
    assert!(hints.is_empty(), "{hints:?}");
    assert_eq!(exhausted_wait(&hints, 1, Some(1)), None);
}

#[test]
fn only_the_exact_words_of_x_should_retry_count() {
    assert_eq!(should_retry(&[("x-should-retry", "true")]), Some(true));
    assert_eq!(should_retry(&[("x-should-retry", "false")]), Some(false));
    assert_eq!(should_retry(&[("x-should-retry", "False")]), None);
    assert_eq!(should_retry(&crate::headers::NoHeaders), None);
}
