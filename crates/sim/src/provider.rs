//! A provider of the OpenAI kind, written from its documentation alone.
//!
//! Nothing here reads a clock, draws chance from outside or touches a socket: time comes in as the
//! [`Duration`](std::time::Duration) since the scenario began, chance from a seeded dice. It must not
//! know any other crate of ours, so that the two readings of the wire check each other.

pub(crate) mod answer;
pub(crate) mod audio;
pub(crate) mod bill;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod conclude;
pub(crate) mod desk;
pub(crate) mod dice;
pub(crate) mod embeddings;
pub(crate) mod encode;
pub(crate) mod form;
pub(crate) mod images;
pub(crate) mod kinds;
pub(crate) mod limits;
pub(crate) mod look;
pub(crate) mod models;
pub(crate) mod moderations;
pub(crate) mod refusal;
pub(crate) mod request;
pub(crate) mod responses;
pub(crate) mod runs;
pub(crate) mod sample;
pub(crate) mod shelf;
pub(crate) mod speech;
