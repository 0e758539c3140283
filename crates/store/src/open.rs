//! PostgreSQL by its URL, whether this build knows it or not.

use std::path::Path;
use std::time::Duration;

use mainstay_core::money::Usd;
use mainstay_core::store::{Ledger, Store, StoreError};

use crate::{ExportRow, LedgerSettings, Recovered, Verified};

/// What was seen of a store in PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresInspected {
    /// Host, port and database.
    pub at: String,
    /// The server's version, as it says it.
    pub server: String,
    /// The version of the tables; 0: there are none yet.
    pub schema: u32,
    /// Whether that is the newest this program knows.
    pub current: bool,
    /// Bytes of the database.
    pub bytes: u64,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Whether the server takes changes; a standby does not.
    pub writable: bool,
    /// What is not as it should be, each as a sentence.
    pub findings: Vec<String>,
}

/// Opens the store that a `postgres://` URL names, as `Postgres::open` does. Without the feature
/// `postgres` there is none.
///
/// # Errors
///
/// The URL is none, the server is not reached or does not let us in, the tables are newer than this
/// program may use, or this build knows no PostgreSQL.
pub fn open_postgres(url: &str) -> Result<Box<dyn Store>, StoreError> {
    #[cfg(feature = "postgres")]
    {
        Ok(Box::new(crate::Postgres::open(url)?))
    }
    #[cfg(not(feature = "postgres"))]
    {
        let _ = url;
        Err(unknown())
    }
}

/// Opens the ledger of one of several gateways: its journal in `folder`, brought to the database that
/// a `postgres://` URL names. Tells what a process that died had left open.
///
/// # Errors
///
/// Another process has the journal, or it is not the one the database knows; otherwise as
/// [`open_postgres`].
pub fn open_postgres_ledger(
    url: &str,
    folder: &Path,
    settings: LedgerSettings,
) -> Result<(Box<dyn Ledger>, Recovered), StoreError> {
    #[cfg(feature = "postgres")]
    {
        let ledger = crate::postgres::LeasedLedger::open(url, folder, settings)?;
        let recovered = ledger.recovered();
        Ok((Box::new(ledger), recovered))
    }
    #[cfg(not(feature = "postgres"))]
    {
        let _ = (url, folder, settings);
        Err(unknown())
    }
}

/// Adds the ledger of all gateways up again from its entries, and says what disagrees.
///
/// # Errors
///
/// As [`open_postgres`].
pub fn verify_postgres_ledger(url: &str) -> Result<Verified, StoreError> {
    #[cfg(feature = "postgres")]
    {
        crate::postgres::LedgerTables::open(url)?.verify()
    }
    #[cfg(not(feature = "postgres"))]
    {
        let _ = url;
        Err(unknown())
    }
}

/// A gateway as the ledger of all of them knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerGateway {
    /// The name that its journal has, for ever.
    pub mark: String,
    /// How long ago it was heard of; two seconds at most while it lives.
    pub heard_ago: Duration,
    /// Budgets that it has leased something of.
    pub budgets: u64,
    /// What it may spend of them without asking.
    pub leased: Usd,
}

/// What came of giving a gateway up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// So much may be spent by others.
    Done {
        /// What it had leased.
        freed: Usd,
    },
    /// There is no such gateway.
    Unknown,
    /// It was heard of too short a time ago to be gone.
    Alive {
        /// How long ago.
        heard_ago: Duration,
        /// From when on one counts as gone.
        within: Duration,
    },
}

/// All gateways that ever brought something to the store that a `postgres://` URL names.
///
/// # Errors
///
/// As [`open_postgres`].
pub fn list_postgres_gateways(url: &str) -> Result<Vec<LedgerGateway>, StoreError> {
    #[cfg(feature = "postgres")]
    {
        crate::postgres::LedgerTables::open(url)?.gateways()
    }
    #[cfg(not(feature = "postgres"))]
    {
        let _ = url;
        Err(unknown())
    }
}

/// Gives a gateway up that is gone for good with its journal: others may spend what it had leased.
///
/// # Errors
///
/// As [`open_postgres`].
pub fn give_up_postgres_gateway(url: &str, mark: &str) -> Result<GaveUp, StoreError> {
    #[cfg(feature = "postgres")]
    {
        crate::postgres::LedgerTables::open(url)?.give_up(mark)
    }
    #[cfg(not(feature = "postgres"))]
    {
        let _ = (url, mark);
        Err(unknown())
    }
}

/// Hands over every entry of all gateways, gateway by gateway, in the order they were written.
///
/// # Errors
///
/// As [`open_postgres`].
pub fn export_postgres_ledger(
    url: &str,
    each: &mut dyn FnMut(ExportRow),
) -> Result<(), StoreError> {
    #[cfg(feature = "postgres")]
    {
        crate::postgres::LedgerTables::open(url)?.export(each)
    }
    #[cfg(not(feature = "postgres"))]
    {
        let _ = (url, each);
        Err(unknown())
    }
}

/// Looks at the store that a `postgres://` URL names, within `limit`, without changing it.
///
/// # Errors
///
/// As [`open_postgres`].
pub fn inspect_postgres(url: &str, limit: Duration) -> Result<PostgresInspected, StoreError> {
    #[cfg(feature = "postgres")]
    {
        crate::postgres::inspect(url, limit)
    }
    #[cfg(not(feature = "postgres"))]
    {
        let _ = (url, limit);
        Err(unknown())
    }
}

/// What is wrong with a `postgres://` URL, as far as can be told without reaching the server.
///
/// # Errors
///
/// It is none, a parameter of it is not known, or this build knows no PostgreSQL.
pub fn check_postgres_url(url: &str) -> Result<(), StoreError> {
    #[cfg(feature = "postgres")]
    {
        crate::postgres::check_url(url)
    }
    #[cfg(not(feature = "postgres"))]
    {
        let _ = url;
        Err(unknown())
    }
}

#[cfg(not(feature = "postgres"))]
fn unknown() -> StoreError {
    StoreError::Surroundings {
        what: "open the store".to_owned(),
        why: "`store.url` names PostgreSQL, which this build does not know".to_owned(),
        fix: "build with the feature `postgres`, or write `url = \"sqlite:mainstay.db\"`"
            .to_owned(),
    }
}
