use super::*;

fn map(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
        .collect()
}

fn names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn what_a_caller_says_about_his_connection_or_place_stays_here() {
    let headers = map(&[
        ("x-forwarded-for", "10.0.0.1"),
        ("via", "1.1 corp"),
        ("openai-organization", "org-mine"),
        ("content-encoding", "gzip"),
        ("openai-beta", "assistants=v2"),
        ("idempotency-key", "k"),
    ]);
    let mut headers = Fields::from(headers);
    let mut with_account = headers.clone();
    clean_request(&mut headers, false, true);
    assert_eq!(names(&headers.to_map()), ["idempotency-key", "openai-beta"]);
    clean_request(&mut with_account, true, false);
    assert!(with_account.contains("openai-organization"));
    assert!(with_account.contains("content-encoding"));
}

#[test]
fn a_providers_limits_and_id_come_under_our_names_and_its_cookies_not_at_all() {
    let provider = map(&[
        ("content-type", "application/json"),
        ("x-request-id", "req_theirs"),
        ("x-ratelimit-remaining-requests", "9"),
        ("x-ratelimit-reset-project-tokens", "1s"),
        ("set-cookie", "__cf_bm=1"),
        ("openai-organization", "our-org"),
        ("openai-processing-ms", "12"),
        ("x-should-retry", "true"),
        ("retry-after", "0"),
        ("alt-svc", "h3=\":443\""),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("x-mainstay-kind", "forged"),
    ]);
    let provider = Fields::from(provider);
    let mut out = HeaderMap::new();
    provider_headers(&provider, Expose::All, &mut out);
    assert_eq!(
        names(&out),
        [
            "content-type",
            "openai-processing-ms",
            "x-mainstay-upstream-ratelimit-remaining-requests",
            "x-mainstay-upstream-ratelimit-reset-project-tokens",
            "x-mainstay-upstream-request-id",
        ]
    );
    let mut out = HeaderMap::new();
    provider_headers(&provider, Expose::Minimal, &mut out);
    assert_eq!(names(&out), ["content-type", "openai-processing-ms"]);
}

#[test]
fn every_text_becomes_a_header_value() {
    assert_eq!(value_of("gpt-4o"), "gpt-4o");
    assert_eq!(value_of("a\r\nb: c"), "a??b: c");
    assert_eq!(value_of(&"x".repeat(10_000)).len(), 256);
    assert_eq!(value_of("通"), "???");
}

#[test]
fn numbers_are_written_as_they_are() {
    for count in [0, 7, 10, 999, 1_000, u64::MAX] {
        assert_eq!(number(count), count.to_string().as_str());
    }
}
