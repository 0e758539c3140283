//! What `docs/providers.md` says of each provider's errors and limits is understood: one answer of
//! each, in its own shape. Bodies and headers: the sources named there, 2026-11.

use mainstay_core::classify::{Answer, classify};
use mainstay_core::failure::Kind;
use mainstay_core::hints::{Dimension, RateHints, rate_hints, server_wait};
use std::time::Duration;

/// Provider, status, headers, body, and the kind that it means.
type Row = (&'static str, u16, &'static [(&'static str, &'static str)], &'static str, Kind);

const ROWS: &[Row] = &[
    (
        "azure",
        429,
        &[("retry-after", "45")],
        r#"{"error":{"code":"429","message":"Your requests to gpt-4o have exceeded the token rate limit for your current AIServices S0 pricing tier. Please retry after 45 seconds."}}"#,
        Kind::RateLimitTokens,
    ),
    (
        "groq",
        429,
        &[("retry-after", "6")],
        r#"{"error":{"message":"Rate limit reached for model `x` in organization `org_1` service tier `on_demand` on tokens per minute (TPM): Limit 15000, Used 11972, Requested 4351. Please try again in 5.289s.","type":"tokens","code":"rate_limit_exceeded"}}"#,
        Kind::RateLimitTokens,
    ),
    (
        "mistral",
        429,
        &[],
        r#"{"object":"error","message":"Rate limit exceeded","type":"rate_limited","param":null,"code":"1300","raw_status_code":429}"#,
        Kind::RateLimitOther,
    ),
    (
        "mistral",
        422,
        &[],
        r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","max_completion_tokens"],"msg":"Extra inputs are not permitted","input":32000}]},"type":"invalid_request_error","param":null,"code":null}"#,
        Kind::UnsupportedParameter,
    ),
    (
        "openrouter",
        402,
        &[],
        r#"{"error":{"code":402,"message":"Insufficient credits. Add more using https://openrouter.ai/credits"}}"#,
        Kind::InsufficientQuota,
    ),
    (
        "gemini",
        400,
        &[],
        r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]"#,
        Kind::IncorrectApiKey,
    ),
    (
        "gemini",
        503,
        &[],
        r#"[{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}]"#,
        Kind::Overloaded,
    ),
    (
        "anthropic",
        529,
        &[],
        r#"{"error":{"code":"overloaded_error","message":"Overloaded","type":"overloaded_error","param":null}}"#,
        Kind::Overloaded,
    ),
    (
        "deepseek",
        402,
        &[],
        r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#,
        Kind::InsufficientQuota,
    ),
    (
        "deepseek",
        400,
        &[],
        r#"{"error":{"message":"deepseek-reasoner does not support the parameter `presence_penalty`","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#,
        Kind::UnsupportedParameter,
    ),
    (
        "xai",
        400,
        &[],
        r#"{"code":"Client specified an invalid argument","error":"Argument not supported on this model: presencePenalty"}"#,
        Kind::UnsupportedParameter,
    ),
    (
        "xai",
        400,
        &[],
        r#"{"code":"400","error":"Argument not supported: include"}"#,
        Kind::UnsupportedParameter,
    ),
    (
        "xai",
        400,
        &[],
        r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***xx. You can obtain an API key from https://console.x.ai."}"#,
        Kind::IncorrectApiKey,
    ),
    (
        "xai",
        429,
        &[],
        r#"{"code":"Some resource has been exhausted","error":"Your team 16f2151a-40f4-4a80-8ad0-cae00c27e8dd has either used all available credits or reached its monthly spending limit. To continue making API requests, please purchase more credits or raise your spending limit."}"#,
        // It does not say which of the two; both are about money.
        Kind::BillingLimit,
    ),
    (
        "together",
        403,
        &[],
        r#"{"error":{"message":"Input token count + `max_tokens` parameter must be less than the context length of the model being queried.","type":"invalid_request_error","param":"max_tokens","code":null}}"#,
        Kind::ContextLengthExceeded,
    ),
    (
        "sglang",
        400,
        &[],
        r#"{"object":"error","message":"The input (40000 tokens) is longer than the model's context length (32768 tokens).","type":"BadRequestError","param":null,"code":400}"#,
        Kind::ContextLengthExceeded,
    ),
    ("vllm", 401, &[], r#"{"error":"Unauthorized"}"#, Kind::InvalidAuthentication),
    (
        "vllm",
        404,
        &[],
        r#"{"error":{"message":"The model `x` does not exist.","type":"NotFoundError","param":"model","code":404}}"#,
        Kind::ModelNotFound,
    ),
    (
        "llamacpp",
        503,
        &[],
        r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#,
        Kind::ServiceUnavailable,
    ),
    (
        "llamacpp",
        400,
        &[],
        r#"{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error","n_prompt_tokens":5000,"n_ctx":4096}}"#,
        Kind::ContextLengthExceeded,
    ),
    (
        "ollama",
        404,
        &[],
        r#"{"error":{"message":"model \"x\" not found, try pulling it first","type":"not_found_error","param":null,"code":null}}"#,
        Kind::ModelNotFound,
    ),
    (
        "litellm",
        400,
        &[],
        r#"{"error":{"message":"Budget has been exceeded! Current cost: 12.0, Max budget: 10.0","type":"budget_exceeded","param":null,"code":"400"}}"#,
        Kind::BillingLimit,
    ),
];

fn owned(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn errors_in_each_providers_shape_are_classified() {
    for (provider, status, headers, body, want) in ROWS {
        let headers = owned(headers);
        let answer = Answer {
            status: Some(*status),
            headers: &headers,
            body: body.as_bytes(),
            stream: false,
        };
        let verdict =
            classify(&answer).unwrap_or_else(|| panic!("{provider} {status} is no error"));
        assert_eq!(verdict.failure.kind, *want, "{provider} {status}: {body}");
    }
}

#[test]
fn limits_in_each_providers_headers_are_read_with_their_units() {
    let at = |headers: &[(&str, &str)]| -> RateHints {
        rate_hints(&owned(headers), Some(Duration::from_secs(1_800_000_000)))
    };
    let shown = |dimension: Option<Dimension>| {
        dimension.map(|d| (d.limit, d.remaining, d.reset.map(|reset| reset.as_millis())))
    };
    let openai = at(&[
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-remaining-requests", "59"),
        ("x-ratelimit-reset-requests", "1s"),
    ]);
    assert_eq!(shown(openai.requests), Some((Some(60), Some(59), Some(1_000))));
    let azure = at(&[
        ("x-ratelimit-remaining-tokens", "900"),
        ("x-ratelimit-limit-tokens", "1000"),
        ("x-ratelimit-reset-tokens", "6"),
    ]);
    assert_eq!(shown(azure.tokens), Some((Some(1_000), Some(900), Some(6_000))));
    let uncounted = at(&[
        ("x-ratelimit-limit-requests", "-1"),
        ("x-ratelimit-remaining-requests", "-1"),
        ("x-ratelimit-reset-requests", "0"),
    ]);
    assert_eq!(shown(uncounted.requests), None);
    let groq = at(&[
        ("x-ratelimit-limit-tokens", "15000"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "2m59.56s"),
    ]);
    assert_eq!(shown(groq.tokens), Some((Some(15_000), Some(0), Some(179_560))));
    let mistral = at(&[
        ("x-ratelimit-limit-req-minute", "60"),
        ("x-ratelimit-remaining-req-minute", "3"),
        ("x-ratelimit-tokens-query-cost", "17"),
    ]);
    assert_eq!(
        (shown(mistral.requests), mistral.query_cost),
        (Some((Some(60), Some(3), None)), Some(17))
    );
    let together = at(&[
        ("x-ratelimit-limit", "60"),
        ("x-ratelimit-remaining", "5"),
        ("x-tokenlimit-limit", "1000"),
        ("x-tokenlimit-remaining", "10"),
    ]);
    assert_eq!(shown(together.requests), Some((Some(60), Some(5), None)));
    assert_eq!(shown(together.tokens), Some((Some(1_000), Some(10), None)));
    let openrouter = at(&[
        ("x-ratelimit-limit", "20"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1800000030000"),
    ]);
    assert_eq!(shown(openrouter.requests), Some((Some(20), Some(0), Some(30_000))));
    let anthropic = at(&[
        ("anthropic-ratelimit-output-tokens-limit", "8000"),
        ("anthropic-ratelimit-output-tokens-remaining", "0"),
        ("anthropic-ratelimit-output-tokens-reset", "2027-01-15T08:00:30Z"),
    ]);
    assert_eq!(
        shown(anthropic.output_tokens).map(|shown| (shown.0, shown.1)),
        Some((Some(8_000), Some(0)))
    );
    assert_eq!(
        server_wait(&owned(&[("retry-after", "86400")]), None, None),
        Some(Duration::from_hours(24))
    );
}

#[test]
fn openai_s_names_may_come_with_anthropic_s_times() {
    let headers = owned(&[
        ("x-ratelimit-limit-requests", "50"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "2027-01-15T08:00:30Z"),
    ]);
    let requests = rate_hints(&headers, Some(Duration::from_secs(1_800_000_000))).requests;
    let shown = requests.map(|d| (d.limit, d.remaining, d.reset));
    assert_eq!(shown, Some((Some(50), Some(0), Some(Duration::from_secs(30)))));
}
