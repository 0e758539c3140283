//! Policies through real sockets: what they do by default, what each key of the configuration
//! changes, and that every front does the same.
#![expect(clippy::disallowed_methods, reason = "real sockets are timed by a real clock")]

#[path = "../support/mod.rs"]
mod support;

mod bystanders;
mod fronts;
mod kinds;
mod knobs;
mod models;
mod once;
mod outage;
mod plain_http;
mod reload;
mod script;
mod sharing;
mod words;
