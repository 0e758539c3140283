//! Checks one chat once, for a tool that counts instructions: `validating 21k|1k lenient|strict`.
//!
//! `cargo xtask cost` runs it under callgrind, which counts what [`measured`] does and nothing else.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

#[path = "../benches/bodies/mod.rs"]
mod bodies;

use std::hint::black_box;
use std::process::ExitCode;

use mainstay_core::validate::{Level, validate};
use mainstay_core::wire::endpoint::Endpoint;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (body, level) = match words[..] {
        ["21k", level] => (bodies::large(), Level::from_name(level)),
        ["1k", level] => (bodies::small(), Level::from_name(level)),
        _ => (Vec::new(), None),
    };
    let Some(level) = level else {
        println!("usage: validating 21k|1k lenient|strict");
        return ExitCode::from(2);
    };
    // What is found out about the processor at first use does not count.
    let first = checked(&body, level);
    println!("{} bytes, sound: {}", body.len(), first && measured(&body, level));
    if first { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is counted.
#[inline(never)]
fn measured(body: &[u8], level: Level) -> bool {
    checked(body, level)
}

#[inline(never)]
fn checked(body: &[u8], level: Level) -> bool {
    black_box(validate(Endpoint::Chat, level, black_box(body))).is_sound()
}
