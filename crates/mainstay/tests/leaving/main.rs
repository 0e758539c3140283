//! A call that is dropped, wherever it stands, leaves nothing behind: no attempt, no place in a
//! queue, no lease of a probe, nothing that keeps the next call waiting.
#![expect(
    clippy::unwrap_used,
    reason = "the tests' own ground: what is missing there fails the test"
)]

mod one;
mod two;
mod world;
