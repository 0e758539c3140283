//! Mainstay counts: text and messages to tokens, exactly or estimated with a stated error.
//!
//! - [`estimate`]: by kinds of script, one pass over bytes, and a [`estimate::Learner`] that corrects
//!   it by the usage that providers return. For the hot path.
//! - [`exact`]: the vocabularies `cl100k` and `o200k`, for the last 15 % before a limit, for the command
//!   line and where usage is missing.
//! - [`request`]: whole request bodies by the published rules for messages, tools and pictures.
//! - [`models`]: which vocabulary, context window and output limit a model has.
//! - [`fits`]: whether prompt and asked output fit a window, and what to cut if not.

pub mod estimate;
#[cfg(feature = "exact")]
pub mod exact;
pub mod fits;
pub mod image;
pub mod models;
pub mod request;
