//! The batch runner as people and crashes meet it: the real binary against the simulator.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "the tests' own ground: what is missing there fails the test"
)]
#![expect(clippy::disallowed_methods, reason = "a real process is timed by a real clock")]

mod ends;
mod fronts;
mod kill;
mod pace;
mod people;
#[path = "../support/rounds.rs"]
mod rounds;
mod world;
