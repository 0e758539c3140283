//! Brings the tables up to date, whoever comes first, while programs of older versions go on.
//!
//! Steps are numbered files, never changed and only added to. A step only adds, so that programs of
//! the version before go on working beside it: each step says from which version on. A program
//! meets newer tables during a rolling update; it works with them if they say that it may, and
//! refuses them otherwise.

use mainstay_core::store::StoreError;
use sha2::{Digest as _, Sha256};

use super::address::Address;
use super::fault::Fault;
use super::rows;
use super::session::Session;
use crate::model;

/// A step.
struct Step {
    name: &'static str,
    sql: &'static str,
    /// The oldest program that can go on when this step is done, by the newest step it knows.
    works_from: u32,
}

/// Newest version of the tables in PostgreSQL this program knows.
pub const POSTGRES_SCHEMA_VERSION: u32 = 2;

/// Every step, in order; the first one is number 1.
const STEPS: [Step; POSTGRES_SCHEMA_VERSION as usize] = [
    Step { name: "base", sql: include_str!("migrations/0001_base.sql"), works_from: 1 },
    Step { name: "ledger", sql: include_str!("migrations/0002_ledger.sql"), works_from: 1 },
];

/// Makes who comes second wait for who comes first.
const LOCK: &str = "SELECT pg_advisory_xact_lock($1)";

/// The version of the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    /// The newest step done; 0: there are no tables.
    pub(super) found: u32,
    /// The oldest program that may use them.
    pub(super) works_from: u32,
}

impl Version {
    /// Refuses tables that this program must not use.
    pub(super) fn check(self) -> Result<Version, StoreError> {
        if self.works_from > POSTGRES_SCHEMA_VERSION {
            return Err(StoreError::Newer { found: self.found, known: POSTGRES_SCHEMA_VERSION });
        }
        Ok(self)
    }

    /// Whether steps are missing.
    pub(super) fn is_older(self) -> bool {
        self.found < POSTGRES_SCHEMA_VERSION
    }
}

/// Does the missing steps, all or none, and tells the version before.
pub(super) fn run(session: &Session<'_>, schema: &str) -> Result<Version, Fault> {
    let version = version(session, schema)?.check()?;
    if !version.is_older() {
        return Ok(version);
    }
    session.transaction("BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0", |session| {
        session.execute(LOCK, &[&lock_of(schema)])?;
        // Another process may have done it while this one waited for the lock.
        let version = self::version(session, schema)?.check()?;
        if version.found == 0 {
            begin(session, schema)?;
        }
        for (number, step) in (1_u32..).zip(STEPS).skip(version.found as usize) {
            session.batch(step.sql)?;
            let digest = digest(step.sql);
            let (number, works_from) = (i64::from(number), i64::from(step.works_from));
            session.execute(
                "INSERT INTO schema_version (version, name, works_from, digest) VALUES ($1, $2, $3, $4)",
                &[&number, &step.name, &works_from, &digest],
            )?;
        }
        if version.found == 0 {
            rows::put_organization(session, &model::default_organization(), 1)?;
            rows::put_project(session, &model::default_project(), 1)?;
        }
        Ok(version)
    })
}

/// Makes the schema and the record of steps.
fn begin(session: &Session<'_>, schema: &str) -> Result<(), Fault> {
    // Asking first, so that a user without the right to make schemas may be given one.
    if !has_schema(session, schema)? {
        session.batch(&format!("CREATE SCHEMA {schema}"))?;
    }
    session.batch(
        "CREATE TABLE schema_version (
           version BIGINT PRIMARY KEY,
           name TEXT NOT NULL,
           works_from BIGINT NOT NULL,
           digest BYTEA NOT NULL,
           done_at TIMESTAMPTZ NOT NULL DEFAULT now()
         )",
    )
}

fn has_schema(session: &Session<'_>, schema: &str) -> Result<bool, Fault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)";
    Ok(session.query_one(sql, &[&schema])?.try_get(0)?)
}

/// The version of the tables; refuses a schema that is another program's.
pub(super) fn version(session: &Session<'_>, schema: &str) -> Result<Version, Fault> {
    let sql = "SELECT count(*) FILTER (WHERE relname = 'schema_version'), count(*)
               FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
               WHERE nspname = $1 AND relkind IN ('r', 'p', 'v', 'm', 'f')";
    let row = session.query_one(sql, &[&schema])?;
    let (ours, tables): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    if ours == 0 {
        return if tables == 0 { Ok(Version::default()) } else { Err(foreign(schema).into()) };
    }
    let sql = "SELECT coalesce(max(version), 0), coalesce(max(works_from), 0) FROM schema_version";
    let row = session.query_one(sql, &[])?;
    let number = |column: usize| -> Result<u32, Fault> {
        Ok(u32::try_from(row.try_get::<_, i64>(column)?).unwrap_or(u32::MAX))
    };
    Ok(Version { found: number(0)?, works_from: number(1)? })
}

fn foreign(schema: &str) -> StoreError {
    StoreError::Surroundings {
        what: "open the store".to_owned(),
        why: format!("the schema `{schema}` of the database has the tables of another program"),
        fix: "name another with `?schema=NAME` in `store.url`, or another database".to_owned(),
    }
}

/// Steps that were done with another text than this program's.
pub(super) fn changed_steps(session: &Session<'_>) -> Result<Vec<String>, Fault> {
    let rows =
        session.query("SELECT version, name, digest FROM schema_version ORDER BY version", &[])?;
    let mut changed = Vec::new();
    for row in rows {
        let (number, name): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
        let found: Vec<u8> = row.try_get(2)?;
        let step = usize::try_from(number - 1).ok().and_then(|at| STEPS.get(at));
        if step.is_some_and(|step| digest(step.sql) != found) {
            changed
                .push(format!("step {number} ({name}) of the tables was done with another text"));
        }
    }
    Ok(changed)
}

/// The number of a schema's lock: one database may have several.
fn lock_of(schema: &str) -> i64 {
    let digest = Sha256::digest(format!("mainstay {schema}").as_bytes());
    let (head, _) = digest.split_first_chunk::<8>().expect("a digest has 32 bytes");
    i64::from_be_bytes(*head)
}

fn digest(sql: &str) -> Vec<u8> {
    Sha256::digest(sql.as_bytes()).to_vec()
}

/// What is said of tables that are older and cannot be brought up to date by who opens them.
pub(super) fn explained(error: StoreError, address: &Address) -> StoreError {
    if let StoreError::Surroundings { what, why, fix } = &error
        && why.contains("(42501)")
    {
        let fix = format!(
            "run `mainstay store migrate` once with a user who may create tables in {address}; {fix}"
        );
        return StoreError::Surroundings { what: what.clone(), why: why.clone(), fix };
    }
    error
}
