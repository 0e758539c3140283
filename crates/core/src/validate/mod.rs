//! Validation: what a provider would refuse is known before it is sent.

pub mod fault;

pub use fault::Fault;
