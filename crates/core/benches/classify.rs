//! What it costs to say what a failed answer means. Bounds: typical answers (up to 1 KiB) 20 µs,
//! hostile ones of 64 KiB 2 ms: a gateway meets failures in storms, and reads each of them.

use divan::{Bencher, black_box};
use mainstay_core::classify::{Answer, classify};
use serde_json::json;

#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

fn measure(bencher: Bencher<'_, '_>, status: Option<u16>, body: &str) {
    let headers =
        [("content-type", "application/json"), ("retry-after", "2"), ("x-request-id", "req_1")];
    let answer = Answer { status, headers: &headers, body: body.as_bytes(), stream: false };
    assert!(classify(&answer).is_some(), "every body here is a failure");
    bencher.bench_local(|| classify(black_box(&answer)));
}

#[divan::bench]
fn a_rate_limit(bencher: Bencher<'_, '_>) {
    let body = json!({"error": {"message": "Rate limit reached for gpt-4o in organization org-1 on tokens per min (TPM): \
        Limit 30000, Used 29500, Requested 1200. Please try again in 1.4s. Visit the account page to learn more.",
        "type": "tokens", "param": null, "code": "rate_limit_exceeded"}});
    measure(bencher, Some(429), &body.to_string());
}

#[divan::bench]
fn a_server_error(bencher: Bencher<'_, '_>) {
    let body = json!({"error": {"message": "The server had an error while processing your request. Sorry about that! You \
        can retry your request, or contact us through our help center if the error persists.",
        "type": "server_error", "param": null, "code": null}});
    measure(bencher, Some(500), &body.to_string());
}

#[divan::bench]
fn a_bad_parameter(bencher: Bencher<'_, '_>) {
    let body = json!({"error": {"message": "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, \
        but got 99.0 instead.", "type": "invalid_request_error", "param": "temperature", "code": "decimal_above_max_value"}});
    measure(bencher, Some(400), &body.to_string());
}

#[divan::bench]
fn a_page_of_a_gateway(bencher: Bencher<'_, '_>) {
    let page = "<html>\r\n<head><title>500 Internal Server Error</title></head>\r\n<body>\r\n<center>\
        <h1>500 Internal Server Error</h1></center>\r\n<hr><center>nginx/1.24.0</center>\r\n</body>\r\n</html>\r\n";
    measure(bencher, Some(500), page);
}

#[divan::bench]
fn a_relay_around_a_kilobyte(bencher: Bencher<'_, '_>) {
    let inner = json!({"error": {"code": 503, "status": "UNAVAILABLE", "details": [],
        "message": "Something went wrong while the answer was written down; the people in charge have been told. ".repeat(7)}});
    let body = json!({"error": {"message": format!("relay.InternalServerError: upstream said {inner}"), "code": "500"}});
    measure(bencher, Some(500), &body.to_string());
}

/// Sixty-four kibibytes made to be slow: words that begin many phrases, nested, or broken.
#[divan::bench(args = ["words", "messages", "nesting", "broken", "page", "waits"])]
fn hostile(bencher: Bencher<'_, '_>, shape: &str) {
    let words =
        "model token key limit not request the tokens quota exceeded is invalid of rate a max "
            .repeat(800);
    let body = match shape {
        "words" => json!({"error": {"message": words}}).to_string(),
        "messages" => {
            let list: Vec<_> = (0..48).map(|n| json!({"message": format!("{n} {}", words.get(..1300).unwrap_or_default())})).collect();
            json!({ "errors": list }).to_string()
        }
        "nesting" => format!("{}1{}", "{\"error\":[".repeat(6_000), "]}".repeat(200)),
        "broken" => format!("{{\"error\":{{\"message\":\"{words}"),
        "page" => format!("<html><body>{}</body></html>", "<p>limit &amp; model</p>".repeat(2600)),
        _ => json!({"error": {"message": "try again in 5s wait limit 5 used retry after ".repeat(1300)}}).to_string(),
    };
    measure(bencher, Some(500), body.get(..65_536).unwrap_or(&body));
}

#[divan::bench]
fn a_transport_text(bencher: Bencher<'_, '_>) {
    let text = "error sending request for url (https://api.example.test/v1/chat/completions): client error (Connect): \
        dns error: failed to lookup address information: Name or service not known";
    measure(bencher, None, text);
}
