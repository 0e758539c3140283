//! The reliability layer for OpenAI-compatible APIs, as a library.
//!
//! [`Client`] is the way in: five lines, and every call has retries under a budget, circuit breakers,
//! pacing before the 429, fallback, timeouts and streams that end whole or in a typed [`Error`].
//! Its documentation begins with an example that runs; the guide is `docs/library.md`.
//!
//! Below it, an [`Engine`] knows providers and routes and keeps what was learnt about them. It makes a
//! [`Walk`] of each [`call::Call`]: attempts, waits, fallbacks, until there is an answer or a
//! [`call::Refusal`] that says why not and when to come back. The walk asks `mainstay_core`'s plan
//! what to do and does it over an [`upstream::Upstream`]; [`http::HttpUpstream`] is the real one.

pub mod answer;
pub mod call;
pub mod client;
pub mod clock;
pub mod cohort;
pub mod compose;
mod directory;
mod dispatch;
mod engine;
mod error;
pub mod fields;
mod flow;
pub mod http;
pub mod http_url;
pub mod probe;
mod queue;
mod refusal;
pub mod spec;
mod targets;
pub mod tower;
pub mod upstream;
mod walk;
mod whole;

pub use client::Client;
pub use directory::{Edition, KnownModels};
pub use engine::{CircuitNews, Engine, Reach, TargetSnapshot, View};
pub use error::{Details, Error, Said};
pub use fields::Fields;
pub use mainstay_core::wire::endpoint;
pub use mainstay_core::{catalogue, failure, policy, validate};
pub use mainstay_tokens as tokens;
pub use targets::Account as PacedAccount;
pub use walk::Walk;
pub use whole::Whole;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/library.md")]
mod guide {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/from-try-except.md")]
mod from_try_except {}
