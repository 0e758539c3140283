//! Any query is looked up without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_core::catalogue;

fuzz_target!(|query: &str| {
    let _ = catalogue::find(query);
});
