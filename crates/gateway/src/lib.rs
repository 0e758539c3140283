//! Mainstay serves: the drop-in HTTP gateway.

pub mod config;
pub mod first_run;
