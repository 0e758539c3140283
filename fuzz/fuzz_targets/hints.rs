//! Any text is survived by every reader of waits, and no wait is absurd.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_core::hints;

fuzz_target!(|text: &str| {
    for wait in [hints::duration(text), hints::text_wait(text)].into_iter().flatten() {
        assert!(!wait.is_zero() && wait <= hints::WAIT_BELIEVED);
    }
    let _ = hints::http_date(text);
    let _ = hints::rfc3339(text);
    let _ = hints::text_limit(text);
    let headers = [("retry-after", text), ("x-ratelimit-reset-tokens", text), ("date", text)];
    let _ = hints::server_wait(&headers, Some(text), None);
    let _ = hints::rate_hints(&headers, None);
});
