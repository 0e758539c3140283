//! Policies through real sockets: what they do by default, what each key of the configuration
//! changes, and that every front does the same.

#[path = "../support/mod.rs"]
mod support;

mod bystanders;
mod fronts;
mod knobs;
mod models;
mod outage;
mod reload;
mod script;
