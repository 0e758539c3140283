//! The reliability layer for OpenAI-compatible APIs, as a library.
//!
//! An [`Engine`] knows providers and routes and keeps what was learnt about them. It makes a
//! [`Walk`] of each [`call::Call`]: attempts, waits, fallbacks, until there is an answer or a
//! [`call::Refusal`] that says why not and when to come back. The walk asks `mainstay_core`'s plan
//! what to do and does it over an [`upstream::Upstream`]; [`http::HttpUpstream`] is the real one.

pub mod answer;
pub mod call;
pub mod clock;
pub mod compose;
mod directory;
mod dispatch;
mod engine;
mod flow;
pub mod http;
pub mod http_url;
mod refusal;
pub mod spec;
mod targets;
pub mod upstream;
mod walk;
mod whole;

pub use directory::KnownModels;
pub use engine::{Engine, Reach, TargetSnapshot};
pub use walk::Walk;
pub use whole::Whole;
