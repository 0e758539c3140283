//! Counts the tokens of one text once, for a tool that counts instructions:
//! `counting prose|hard-16k|hard-64k|spaces-64k exact|estimate|tiktoken`.
//!
//! `cargo xtask cost` runs it under callgrind, which counts what [`measured`] does and nothing else.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

#[path = "../benches/texts/mod.rs"]
mod texts;

use std::hint::black_box;
use std::process::ExitCode;

use mainstay_tokens::{estimate, exact, models::Vocabulary};

#[derive(Clone, Copy)]
enum Way {
    Exact,
    Estimate,
    Tiktoken,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (text, way) = match words[..] {
        ["prose", way] => (texts::prose(), way),
        ["hard-16k", way] => (texts::hard(16 << 10), way),
        ["hard-64k", way] => (texts::hard(64 << 10), way),
        ["spaces-64k", way] => (" ".repeat(64 << 10), way),
        _ => (String::new(), ""),
    };
    let way = match way {
        "exact" => Way::Exact,
        "estimate" => Way::Estimate,
        "tiktoken" => Way::Tiktoken,
        _ => {
            println!("usage: counting prose|hard-16k|hard-64k|spaces-64k exact|estimate|tiktoken");
            return ExitCode::from(2);
        }
    };
    // Unpacking a vocabulary at first use does not count.
    counted("a word or two", way);
    println!("{} bytes, {} tokens", text.len(), measured(&text, way));
    ExitCode::SUCCESS
}

/// What is counted.
#[inline(never)]
fn measured(text: &str, way: Way) -> usize {
    counted(text, way)
}

#[inline(never)]
fn counted(text: &str, way: Way) -> usize {
    let text = black_box(text);
    black_box(match way {
        Way::Exact => exact::count(Vocabulary::O200k, text),
        Way::Tiktoken => tiktoken_rs::o200k_base_singleton().count_ordinary(text),
        Way::Estimate => {
            let tokens = estimate::tokens(Some(Vocabulary::O200k), text.as_bytes());
            usize::try_from(tokens).unwrap_or(usize::MAX)
        }
    })
}
