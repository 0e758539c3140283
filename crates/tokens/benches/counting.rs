//! What counting costs beside `tiktoken-rs`, in one run. Bounds: on English prose 1.5 times as fast,
//! and linear on text made to be slow (the three sizes of `hard` differ by 4, so do their times). Both
//! are told in words at the end; `cargo xtask cost` holds the same in instructions.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

mod texts;

use std::time::Duration;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use mainstay_tokens::{estimate, exact, models::Vocabulary};
use texts::{hard, prose};

fn main() {
    exact::warm(Vocabulary::O200k);
    divan::main();
    if !std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        ratios();
    }
}

/// Both counters in turn, so that what else the machine does meets both: the least time of each.
fn ratios() {
    let theirs = tiktoken_rs::o200k_base_singleton();
    let ours = |text: &str| exact::count(Vocabulary::O200k, text);
    let text = prose();
    let (mut us, mut them) = (Duration::MAX, Duration::MAX);
    for _ in 0..200 {
        us = us.min(timed(|| ours(&text)));
        them = them.min(timed(|| theirs.count_ordinary(&text)));
    }
    let times = them.as_secs_f64() / us.as_secs_f64();
    println!("prose: {us:?}, tiktoken-rs {them:?}: {times:.2} times as fast, 1.5 are promised");
    let least = |size: usize| {
        let text = hard(size);
        (0..50).map(|_| timed(|| ours(&text))).min().unwrap_or_default()
    };
    let (small, large) = (least(16 << 10), least(64 << 10));
    let times = large.as_secs_f64() / small.as_secs_f64();
    println!("hard: 16 KiB {small:?}, 64 KiB {large:?}: {times:.2} times as long, 4 is linear");
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn timed(work: impl FnOnce() -> usize) -> Duration {
    let began = std::time::Instant::now();
    black_box(work());
    began.elapsed()
}

#[divan::bench]
fn prose_exact(bencher: Bencher<'_, '_>) {
    let text = prose();
    bencher
        .counter(BytesCount::of_str(&text))
        .bench_local(|| exact::count(Vocabulary::O200k, black_box(&text)));
}

#[divan::bench]
fn prose_tiktoken(bencher: Bencher<'_, '_>) {
    let text = prose();
    let theirs = tiktoken_rs::o200k_base_singleton();
    bencher
        .counter(BytesCount::of_str(&text))
        .bench_local(|| theirs.count_ordinary(black_box(&text)));
}

#[divan::bench]
fn prose_estimate(bencher: Bencher<'_, '_>) {
    let text = prose();
    bencher
        .counter(BytesCount::of_str(&text))
        .bench_local(|| estimate::tokens(Some(Vocabulary::O200k), black_box(text.as_bytes())));
}

#[divan::bench(args = [4096, 16384, 65536])]
fn hard_exact(bencher: Bencher<'_, '_>, size: usize) {
    let text = hard(size);
    bencher
        .counter(BytesCount::of_str(&text))
        .bench_local(|| exact::count(Vocabulary::O200k, black_box(&text)));
}

#[divan::bench(args = [4096, 16384, 65536], sample_count = 10)]
fn hard_tiktoken(bencher: Bencher<'_, '_>, size: usize) {
    let text = hard(size);
    let theirs = tiktoken_rs::o200k_base_singleton();
    bencher
        .counter(BytesCount::of_str(&text))
        .bench_local(|| theirs.count_ordinary(black_box(&text)));
}
