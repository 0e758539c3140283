//! Any answer is classified without a panic, and what is final names no wait.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_core::classify::{Answer, classify};
use mainstay_core::headers::NoHeaders;

fuzz_target!(|input: (u16, bool, &[u8])| {
    let (status, stream, body) = input;
    let status = (status % 600 != 0).then_some(status % 600);
    let answer = Answer { status, headers: &NoHeaders, body, stream };
    if let Some(verdict) = classify(&answer) {
        assert!(verdict.retryable || verdict.wait.is_none());
    }
});
