//! The rules over shared state, one file a promise. Each is plain data with a few methods that
//! take the time and the dice as arguments: no lock, no clock, no log, so that the laboratory
//! plays them and a shell wraps them in one mutex a target.

pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod latency;
pub mod lease;
pub mod limits;
pub mod pacer;
pub mod retry_budget;
