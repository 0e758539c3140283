//! Mainstay breaks: a provider that misbehaves on purpose.
//!
//! [`Sim`] serves the OpenAI API on a real port: sound answers, real limits, every kind of failure on
//! demand ([`kinds`]) and faults on the wire ([`Fault`]) by a [`Scenario`]. `docs/simulator.md` is its manual.
//!
//! `provider/` decides, without clock or socket; `fault/` spoils answers; `serve` plays them.

mod fault;
pub mod judge;
pub mod lab;
mod provider;
mod scenario;
mod serve;
mod stats;

pub use fault::Fault;
pub use provider::kinds::{Acts, KindSpec, kinds};
pub use scenario::{Scenario, ScenarioError};
pub use serve::{Sim, SimConfig, SimError};
