//! Every kind of failure on demand, by model and by header.

use crate::raw::{End, KEY, chat, send, start, stats};
use mainstay_sim::{Acts, kinds};

/// Name, status, type, code, param, and how the message begins.
type Row =
    (&'static str, u16, &'static str, Option<&'static str>, Option<&'static str>, &'static str);

/// Status, type, code and param of each kind: the contract, written down a second time on purpose.
#[rustfmt::skip]
const CONTRACT: &[Row] = &[
    ("invalid_authentication", 401, "invalid_request_error", None, None, "You didn't provide an API key."),
    ("incorrect_api_key", 401, "invalid_request_error", Some("invalid_api_key"), None, "Incorrect API key provided: "),
    ("expired_api_key", 401, "invalid_request_error", Some("expired_api_key"), None, "The API key provided has expired."),
    ("revoked_api_key", 401, "invalid_request_error", Some("revoked_api_key"), None, "The API key provided has been revoked."),
    ("not_organization_member", 401, "invalid_request_error", None, None, "You must be a member of an organization to use the API."),
    ("ip_not_authorized", 401, "invalid_request_error", Some("ip_not_authorized"), None, "Your IP is not authorized"),
    ("unsupported_region", 403, "request_forbidden", Some("unsupported_country_region_territory"), None, "Country, region, or territory not supported"),
    ("permission_denied", 403, "invalid_request_error", Some("missing_scope"), None, "You have insufficient permissions for this operation."),
    ("model_access_denied", 403, "invalid_request_error", Some("model_not_found"), None, "Project `proj_sim` does not have access to model `sim-model_access_denied`"),
    ("rate_limit_requests", 429, "requests", Some("rate_limit_exceeded"), None, "Rate limit reached for sim-rate_limit_requests in organization org-sim on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 1s."),
    ("rate_limit_tokens", 429, "tokens", Some("rate_limit_exceeded"), None, "Rate limit reached for sim-rate_limit_tokens in organization org-sim on tokens per min (TPM): Limit 30000, Used 29912, Requested 588. Please try again in 1s."),
    ("rate_limit_other", 429, "rate_limit_error", Some("rate_limit_exceeded"), None, "Rate limit reached for"),
    ("concurrent_limit", 429, "rate_limit_error", Some("concurrent_limit_exceeded"), None, "Too many concurrent requests."),
    ("insufficient_quota", 429, "insufficient_quota", Some("insufficient_quota"), None, "You exceeded your current quota, please check your plan and billing details."),
    ("billing_limit", 429, "billing_not_active", Some("billing_not_active"), None, "Your account is not active,"),
    ("invalid_request", 400, "invalid_request_error", None, None, "We could not parse the JSON body of your request."),
    ("missing_required_field", 400, "invalid_request_error", Some("missing_required_parameter"), Some("messages"), "Missing required parameter: 'messages'."),
    ("invalid_value", 400, "invalid_request_error", Some("invalid_value"), Some("messages[0].role"), "Invalid value: 'usr'."),
    ("unsupported_parameter", 400, "invalid_request_error", Some("unsupported_parameter"), Some("max_tokens"), "Unsupported parameter: 'max_tokens'"),
    ("model_not_found", 404, "invalid_request_error", Some("model_not_found"), None, "The model `sim-model_not_found` does not exist or you do not have access to it."),
    ("context_length_exceeded", 400, "invalid_request_error", Some("context_length_exceeded"), Some("messages"), "This model's maximum context length is 128000 tokens."),
    ("content_policy", 400, "invalid_request_error", Some("invalid_prompt"), None, "Invalid prompt: your prompt was flagged"),
    ("request_too_large", 413, "server_error", None, None, "Maximum content size limit (26214400) exceeded"),
    ("not_found", 404, "invalid_request_error", None, None, "Invalid URL (POST /v1/chat/completions)"),
    ("conflict", 409, "invalid_request_error", None, None, "The resource was updated by another request."),
    ("unprocessable_entity", 422, "invalid_request_error", None, None, "The request was well-formed"),
    ("method_not_allowed", 405, "invalid_request_error", Some("method_not_supported"), None, "Not allowed to POST on /v1/chat/completions."),
    ("internal_error", 500, "server_error", None, None, "The server had an error processing your request."),
    ("overloaded", 503, "service_unavailable_error", Some("server_is_overloaded"), None, "Our servers are currently overloaded."),
    ("service_unavailable", 503, "server_error", Some("service_unavailable"), None, "The service is temporarily unavailable."),
    ("unknown", 999, "unknown_error", None, None, "The simulator was asked"),
];

#[tokio::test]
async fn each_kind_answers_the_documented_error_by_model_and_by_header() {
    let sim = start("").await;
    for (name, status, kind, code, param, message) in CONTRACT {
        let by_model = chat(sim.addr(), &format!("sim-{name}"), false, &[]).await;
        let model = format!("sim-{name}");
        let by_header = chat(sim.addr(), &model, true, &[("x-sim-error", name)]).await;
        for seen in [by_model, by_header] {
            assert_eq!(seen.status(), *status, "{name}");
            let error = &seen.json()["error"];
            assert_eq!(error["type"], *kind, "{name}");
            assert_eq!(
                (error["code"].as_str(), error["param"].as_str()),
                (*code, *param),
                "{name}"
            );
            assert!(error["message"].as_str().unwrap().starts_with(message), "{name}: {error}");
            assert_eq!(error.as_object().unwrap().len(), 4, "{name}");
            assert!(seen.header("x-request-id").unwrap().starts_with("req_"), "{name}");
            assert_eq!(
                seen.header("retry-after").is_some(),
                name.starts_with("rate_limit"),
                "{name}"
            );
        }
    }
    let counted = stats(sim.addr()).await;
    for (name, ..) in CONTRACT {
        assert_eq!(counted["kinds"][name], 2, "{name}");
    }
}

#[tokio::test]
async fn kinds_of_proxies_are_web_pages() {
    let sim = start("").await;
    for (name, status, title) in
        [("bad_gateway", 502, "502 Bad Gateway"), ("gateway_timeout", 504, "504 Gateway Time-out")]
    {
        let seen = chat(sim.addr(), "m", false, &[("x-sim-error", name)]).await;
        assert_eq!(seen.status(), status);
        assert_eq!(seen.header("content-type").as_deref(), Some("text/html"));
        assert!(seen.body().0.contains(title));
    }
}

#[tokio::test]
async fn kinds_of_the_wire_break_on_the_wire() {
    let sim = start("").await;
    let addr = sim.addr();

    let seen = chat(addr, "sim-connection", false, &[]).await;
    assert_eq!((seen.end, seen.bytes.len()), (End::Reset, 0));

    for stream in [false, true] {
        let seen = chat(addr, "sim-stream_interrupted", stream, &[]).await;
        assert_eq!((seen.status(), seen.end), (200, End::Fin));
        assert!(!seen.body().1, "the body must not look whole: {}", seen.text());
    }

    let seen = chat(addr, "sim-malformed_response", false, &[]).await;
    let (body, proper) = seen.body();
    assert!(proper && serde_json::from_str::<serde_json::Value>(&body).is_err(), "{body}");
}

#[tokio::test]
async fn a_request_timeout_is_silence_until_the_client_leaves() {
    let sim = start("").await;
    let mut stream = crate::raw::connect(sim.addr()).await;
    let request = crate::raw::request(
        "POST /v1/chat/completions",
        &[KEY],
        &crate::raw::chat_body("sim-request_timeout", false),
        false,
    );
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
    let seen = crate::raw::read(&mut stream, std::time::Duration::from_millis(150)).await;
    assert_eq!((seen.end, seen.bytes.len()), (End::Open, 0));
}

#[tokio::test]
async fn every_kind_and_fault_is_a_model_in_the_list() {
    let sim = start("").await;
    let seen = send(sim.addr(), "GET /v1/models", &[KEY], "").await;
    let list = seen.json();
    let ids: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    let names = kinds()
        .iter()
        .map(|kind| kind.name)
        .chain(mainstay_sim::Fault::ALL.iter().map(|f| f.name()));
    for name in names {
        assert!(ids.contains(&format!("sim-{name}").as_str()), "{name} is not listed");
        let one = send(sim.addr(), &format!("GET /v1/models/sim-{name}"), &[KEY], "").await;
        assert_eq!(one.json()["id"], format!("sim-{name}"));
    }
}

#[tokio::test]
async fn what_the_list_of_kinds_says_is_what_is_sent() {
    let sim = start("").await;
    for kind in kinds().iter().filter(|kind| !matches!(kind.acts, Acts::Wire(_))) {
        let seen = chat(sim.addr(), &format!("sim-{}", kind.name), false, &[]).await;
        assert_eq!(Some(seen.status()), kind.status(), "{}", kind.name);
        if kind.name != "internal_error" {
            assert_eq!(Some(seen.body().0), kind.body(), "{}", kind.name);
        }
        for (name, value) in kind.headers() {
            assert_eq!(seen.header(name).as_deref(), Some(*value), "{}", kind.name);
        }
    }
}

#[tokio::test]
async fn the_wait_of_an_error_can_be_chosen_and_can_be_absurd() {
    let sim = start("retry_after = \"7s\"").await;
    let wait = async |headers: &[(&str, &str)]| {
        let seen = chat(sim.addr(), "sim-rate_limit_requests", false, headers).await;
        let message = seen.json()["error"]["message"].as_str().unwrap().to_owned();
        (seen.header("retry-after"), seen.header("retry-after-ms"), message)
    };
    let (seconds, ms, message) = wait(&[]).await;
    assert_eq!((seconds.as_deref(), ms.as_deref()), (Some("7"), Some("7000")));
    assert!(message.contains("try again in 7s."), "{message}");

    let (seconds, ms, message) = wait(&[("x-sim-retry-after", "50ms")]).await;
    assert_eq!((seconds.as_deref(), ms.as_deref()), (Some("1"), Some("50")));
    assert!(message.contains("try again in 50ms."), "{message}");

    for odd in ["-5", "nan", "Wed, 21 Oct 2099 07:28:00 GMT", "0"] {
        let (seconds, ms, _) = wait(&[("x-sim-retry-after", odd)]).await;
        assert_eq!((seconds.as_deref(), ms), (Some(odd), None));
    }
}

#[tokio::test]
async fn a_selector_that_does_not_exist_is_refused_by_name() {
    let sim = start("").await;
    for (name, value) in
        [("x-sim-error", "overlod"), ("x-sim-fault", "stal"), ("x-sim-status", "200")]
    {
        let seen = chat(sim.addr(), "m", false, &[(name, value)]).await;
        assert_eq!(seen.status(), 400);
        assert!(seen.json()["error"]["message"].as_str().unwrap().contains(value));
    }
    assert_eq!(chat(sim.addr(), "sim-overlod", false, &[]).await.status(), 404);
    let seen = chat(sim.addr(), "m", false, &[("x-sim-status", "529")]).await;
    assert_eq!(seen.status(), 529);
}
