//! Mainstay remembers: keys, organizations, ledger and records in SQLite.
//!
//! The records and the [`Store`] trait are `mainstay_core::store`'s. Here are its two
//! implementations ([`Sqlite`], [`Memory`]), what makes and verifies keys, and the [`KeySnapshot`]
//! that a running gateway reads on every call without asking a store.

mod describe;
mod failpoint;
mod ledger;
mod memory;
mod model;
mod requests;
mod secrets;
mod snapshot;
mod sqlite;

pub use failpoint::failpoint;
pub use ledger::{ExportRow, LedgerFile, LedgerSettings, Recovered, SqliteLedger, Verified};
pub use mainstay_core::store::{Store, StoreError};
pub use memory::Memory;
pub use secrets::{digest, mint, random_token, same_digest};
pub use snapshot::{KeySnapshot, Standing, Verdict};
pub use sqlite::{Inspected, SCHEMA_VERSION, Sqlite, inspect};
