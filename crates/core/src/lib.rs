//! Mainstay decides here: failures, classification, policies and the plan of a call.
//!
//! No clock, no chance, no IO: time is a [`time::Moment`] and chance a [`dice::Dice`], both handed
//! in. Everything here can therefore be replayed, and the laboratory does.
#![cfg_attr(not(test), no_std)] // No clock, no IO: the compiler keeps it. Tests may use std.

extern crate alloc;

pub mod alerts;
pub mod catalogue;
pub mod classify;
pub mod dice;
pub mod failure;
pub mod headers;
pub mod hints;
pub mod keys;
pub mod mask;
pub mod money;
pub mod plan;
pub mod policy;
pub mod rules;
pub mod shared;
pub mod store;
pub mod time;
pub mod validate;
pub mod wire;
mod words;
