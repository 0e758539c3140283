//! The first look at any bytes agrees with another parser, without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/checks/examples/fuzz/targets.rs"]
#[expect(dead_code, reason = "each target runs one of the functions")]
mod targets;

fuzz_target!(|bytes: &[u8]| targets::peeked(bytes));
