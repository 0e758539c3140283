//! Mainstay remembers: keys, organizations, ledger and records, in SQLite or PostgreSQL; what several
//! machines share in Redis or Valkey.
//!
//! The records and the [`Store`] trait are `mainstay_core::store`'s. Here are its implementations
//! ([`Sqlite`], [`Memory`] and, by [`open_postgres`], PostgreSQL), what makes and verifies keys, and
//! the [`KeySnapshot`] that a running gateway reads on every call without asking a store.

mod behind;
mod describe;
mod failpoint;
mod ledger;
mod memory;
mod model;
mod open;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
pub mod requests;
mod secrets;
mod snapshot;
mod sqlite;
#[cfg(feature = "testing")]
pub mod testing;

pub use behind::step_back;
pub use failpoint::{FAILPOINTS, FAILPOINTS_TOGETHER, failpoint};
pub use ledger::{ExportRow, LedgerFile, LedgerSettings, Recovered, SqliteLedger, Verified};
pub use mainstay_core::store::{Store, StoreError};
pub use memory::Memory;
pub use open::{
    GaveUp, LedgerGateway, PostgresInspected, check_postgres_url, export_postgres_ledger,
    give_up_postgres_gateway, inspect_postgres, list_postgres_gateways, open_postgres,
    open_postgres_ledger, verify_postgres_ledger,
};
#[cfg(feature = "postgres")]
pub use postgres::{CopiedTable, LeasedLedger, LedgerTables, POSTGRES_SCHEMA_VERSION, Postgres};
pub use secrets::{digest, mint, random_token, same_digest};
pub use snapshot::{KeySnapshot, Standing, Verdict};
pub use sqlite::{Inspected, SCHEMA_VERSION, Sqlite, inspect};
