//! What a look at a request costs. Bounds: a 21 KB chat of 50 messages and 20 tools 60 µs, a chat of
//! 1 KB 3 µs, and no allocation for a sound body (the `alloc` rows stay empty; `tests/allocations.rs`
//! holds it). `cargo xtask cost` counts the instructions of the same.

mod bodies;

use bodies::{large, small};
use divan::{AllocProfiler, Bencher, black_box};
use mainstay_core::validate::{Level, validate};
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_core::wire::request::peek;

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench(args = [Level::Lenient, Level::Strict])]
fn validate_large(bencher: Bencher<'_, '_>, level: Level) {
    let body = large();
    assert!(validate(Endpoint::Chat, level, &body).is_sound());
    bencher.bench_local(|| validate(Endpoint::Chat, level, black_box(&body)));
}

#[divan::bench(args = [Level::Lenient, Level::Strict])]
fn validate_small(bencher: Bencher<'_, '_>, level: Level) {
    let body = small();
    assert!(validate(Endpoint::Chat, level, &body).is_sound());
    bencher.bench_local(|| validate(Endpoint::Chat, level, black_box(&body)));
}

#[divan::bench]
fn peek_large(bencher: Bencher<'_, '_>) {
    let body = large();
    bencher.bench_local(|| peek(black_box(&body), Endpoint::Chat).is_ok());
}

#[divan::bench]
fn peek_small(bencher: Bencher<'_, '_>) {
    let body = small();
    bencher.bench_local(|| peek(black_box(&body), Endpoint::Chat).is_ok());
}
