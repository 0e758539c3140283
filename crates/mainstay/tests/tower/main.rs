//! The layers over a service of a script: what tower's contract asks of them, and what each rule does
//! alone.
#![expect(
    clippy::unwrap_used,
    reason = "the tests' own ground: what is missing there fails the test"
)]

mod contract;
mod layers;
mod rules;
mod script;
