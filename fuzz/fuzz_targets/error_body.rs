//! Any body is read without a panic, and what is kept of it is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_core::failure::ProviderSaid;
use mainstay_core::wire::error_body::ErrorBody;

fuzz_target!(|body: &[u8]| {
    let said = ErrorBody::read(body);
    assert!(said.message.unwrap_or_default().len() <= ProviderSaid::MESSAGE_MAX);
});
