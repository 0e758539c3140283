//! Mainstay serves: the drop-in HTTP gateway.
//!
//! ```text
//!  connection ─▶ door: routes ─▶ auth ─▶ scopes ─▶ tenancy ─▶ body ─▶ Engine (crate `mainstay`) ─▶ answer
//!   one worker a core, each with its own runtime, socket and upstream connections
//!  admin: another port, another thread; it also keeps keys and wall clock up to date
//!         JSON API ─▶ desk ◀─ console (pages for people)
//! ```
//!
//! Not this crate's business: what is tried, retried and waited for (`mainstay`), and what a failure
//! means (`mainstay-core`).

mod access;
mod admin;
mod admission;
mod alerts;
mod answer;
mod auth;
mod behind;
mod body;
pub mod bundle;
pub mod config;
mod connection;
mod console;
mod cors;
mod door;
pub mod explained;
mod fault;
mod finished;
pub mod first_run;
mod gateway;
mod headers;
pub mod help;
mod history;
mod idempotency;
mod ids;
mod listen;
mod look;
mod meter;
mod metrics;
mod models;
mod money;
mod otel;
mod ownership;
mod recent;
mod refused;
pub mod rehearsal;
mod reload;
mod routes;
mod scopes;
mod serve;
pub mod settings;
pub mod shapes;
mod shared;
mod sharing;
mod spec;
pub mod spending;
mod tail;
mod tenancy;
mod ticket;
mod tls;
mod window;
mod worker;

pub use access::{Access, Geo, unknown_subjects};
pub use admin::AdminSettings;
pub use fault::ServeError;
pub use gateway::{Gateway, Ground, Plan};
pub use metrics::metrics_page;
pub use money::{MoneyRules, Reserve, budget_period, is_time_zone};
pub use serve::{ServeOptions, serve};
pub use spec::engine_spec;
pub use tail::{LogTail, TailWriter};
