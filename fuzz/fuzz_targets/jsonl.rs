//! Any line is classified or refused, without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_core::classify::jsonl;

fuzz_target!(|line: &str| {
    let _ = jsonl::line(line);
});
