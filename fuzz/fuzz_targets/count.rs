//! Any text has the vendor's count of tokens, without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/checks/examples/fuzz/targets.rs"]
#[expect(dead_code, reason = "each target runs one of the functions")]
mod targets;

// Unpacking the vocabularies is no input's time.
fuzz_target!(init: targets::counted(b"{}"), |bytes: &[u8]| targets::counted(bytes));
