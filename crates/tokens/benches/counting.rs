//! What counting costs beside `tiktoken-rs`, in one run. Bounds: on English prose 1.5 times as fast,
//! and linear on text made to be slow (the three sizes of `hard` differ by 4, so do their times).

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use mainstay_tokens::{estimate, exact, models::Vocabulary};

const PROSE: &str = "The boat left the harbour before dawn, and nobody on the pier could say where it was going. Some \
    thought that the captain had gone north to look for herring; others remembered the letter and kept quiet. ";

fn main() {
    exact::warm(Vocabulary::O200k);
    divan::main();
}

fn prose() -> String {
    PROSE.repeat(40)
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

/// One word without an end, of letters that merge in many ways.
fn hard(size: usize) -> String {
    (0..size).map(|i| char::from(b'a' + u8::try_from(i * i % 7).unwrap_or(0))).collect()
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
