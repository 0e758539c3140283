//! What stops a piece of work, and what an error of PostgreSQL means to a person.

use std::error::Error as _;
use std::time::Duration;

use mainstay_core::store::StoreError;
use tokio_postgres::error::SqlState;

use super::address::Address;

/// What stops a piece of work.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The store's own rules.
    Rule(StoreError),
    /// PostgreSQL, or the way to it.
    Server(tokio_postgres::Error),
    /// Its deadline.
    Late,
    /// The connection was lost, or the deadline came, while the end of a transaction was confirmed.
    Unknown,
    /// What was read is not what was written.
    Strange(String),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Rule(error)
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Fault {
        Fault::Server(error)
    }
}

impl Fault {
    /// What it means for who asked.
    pub(super) fn told(self, what: &str, address: &Address, limit: Duration) -> StoreError {
        match self {
            Fault::Rule(error) => error,
            Fault::Server(error) => told(&error, what, address),
            Fault::Late => late(what, address, limit),
            Fault::Unknown => StoreError::Surroundings {
                what: what.to_owned(),
                why: format!(
                    "PostgreSQL at {address} was lost while it confirmed; whether it was done is not known"
                ),
                fix: "look whether it was done, and if not, do it again".to_owned(),
            },
            Fault::Strange(why) => StoreError::Surroundings {
                what: what.to_owned(),
                why,
                fix: "see whether another program changed the tables: `mainstay store verify`"
                    .to_owned(),
            },
        }
    }
}

/// No answer in time.
pub(super) fn late(what: &str, address: &Address, limit: Duration) -> StoreError {
    StoreError::Surroundings {
        what: what.to_owned(),
        why: format!("PostgreSQL at {address} gave no answer within {} ms", limit.as_millis()),
        fix: format!("see whether {address} is up, reachable and not overloaded"),
    }
}

/// What an error means to a person. Texts of the server may quote values of a row, so of those only
/// the ones about the connection are shown in full.
pub(super) fn told(error: &tokio_postgres::Error, what: &str, address: &Address) -> StoreError {
    let told =
        |why: String, fix: String| StoreError::Surroundings { what: what.to_owned(), why, fix };
    let Some(from_server) = error.as_db_error() else {
        let why = format!("PostgreSQL at {address}: {}", chain(error));
        return told(why, format!("start PostgreSQL, or correct `store.url`; it is {address} now"));
    };
    let message = from_server.message();
    let code = from_server.code();
    told(format!("PostgreSQL at {address} says: {message} ({})", code.code()), fix(code, address))
}

/// What to do about an error with this code.
fn fix(code: &SqlState, address: &Address) -> String {
    let fix = match code.code() {
        "28P01" | "28000" => {
            "correct user and password in `store.url`, or the server's pg_hba.conf"
        }
        "3D000" => "make the database with `createdb`, or correct its name in `store.url`",
        "42501" => {
            "give the user the right: CREATE on the database for `mainstay store migrate`, and to read and write the \
             tables of the schema for everything else"
        }
        "53300" => {
            "raise `max_connections` of the server: each gateway takes up to 5, each command 1"
        }
        "57P03" | "57P01" | "57P02" => "wait: the server is starting or stopping",
        "25006" => {
            "name the primary, or several hosts with `target_session_attrs=read-write`: this server only reads"
        }
        "53100" | "53200" => "give the server more disk or memory",
        "57014" | "55P03" => {
            "see what keeps the server busy: `SELECT * FROM pg_stat_activity WHERE state <> 'idle'`"
        }
        "40P01" | "40001" => "do it again: two changes were in each other's way",
        "26000" => "connect without PgBouncer, or put it in session mode: statements are prepared",
        "3F000" | "42P01" | "42703" => "bring the tables up to date: `mainstay store migrate`",
        _ => return format!("see the log of the server at {address}"),
    };
    fix.to_owned()
}

/// An error and what is behind it; no URL and no password is in any of them.
fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(one) = behind {
        let next = one.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        behind = one.source();
    }
    text
}

/// Whether the connection cannot be used any more.
pub(super) fn is_lost(error: &tokio_postgres::Error) -> bool {
    let Some(from_server) = error.as_db_error() else { return true };
    matches!(from_server.code().code(), "57P01" | "57P02" | "57P03" | "57P05" | "25006")
}
