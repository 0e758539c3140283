//! Looks a store in PostgreSQL over without changing it.

use std::sync::Arc;
use std::time::Duration;

use mainstay_core::store::StoreError;

use super::address::Address;
use super::fault::Fault;
use super::lane::Lane;
use super::migrate::{self, POSTGRES_SCHEMA_VERSION};
use super::session::Session;
use crate::open::PostgresInspected;

/// Looks at the store that a `postgres://` URL names, within `limit`.
pub(crate) fn inspect(url: &str, limit: Duration) -> Result<PostgresInspected, StoreError> {
    let address = Arc::new(Address::parse(url)?);
    let (schema, at) = (address.schema.clone(), address.to_string());
    let lane = Lane::start("mainstay-inspect", &address)?;
    lane.ask("look at the store", limit, move |session| look(session, &schema, at))
}

fn look(session: &Session<'_>, schema: &str, at: String) -> Result<PostgresInspected, Fault> {
    const ABOUT: &str = "
        SELECT current_setting('server_version'), pg_database_size(current_database()),
               coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
               NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off'";
    let about = session.query_one(ABOUT, &[])?;
    let version = migrate::version(session, schema)?.check()?;
    let bytes: i64 = about.try_get(1)?;
    let mut findings = Vec::new();
    if version.found > 0 {
        findings.extend(migrate::changed_steps(session)?);
        findings.extend(torn(session)?);
    }
    Ok(PostgresInspected {
        at,
        server: about.try_get(0)?,
        schema: version.found,
        current: version.found >= POSTGRES_SCHEMA_VERSION,
        bytes: u64::try_from(bytes).unwrap_or(0),
        tls: about.try_get(2)?,
        writable: about.try_get(3)?,
        findings,
    })
}

/// What rows say that cannot be: references that lead nowhere and changes from the future.
fn torn(session: &Session<'_>) -> Result<Vec<String>, Fault> {
    const CHECKS: [(&str, &str); 5] = [
        (
            "rows were changed after the last change there was",
            "SELECT count(*) FROM (
               SELECT changed FROM organization UNION ALL SELECT changed FROM project
               UNION ALL SELECT changed FROM key UNION ALL SELECT changed FROM person
               UNION ALL SELECT changed FROM member UNION ALL SELECT changed FROM rate_limit
               UNION ALL SELECT changed FROM budget) AS row
             WHERE changed > (SELECT value FROM epoch)",
        ),
        (
            "limits are of nobody",
            "SELECT count(*) FROM rate_limit AS row WHERE NOT CASE kind
               WHEN 'organization' THEN EXISTS (SELECT 1 FROM organization WHERE id = row.subject)
               WHEN 'project' THEN EXISTS (SELECT 1 FROM project WHERE id = row.subject)
               ELSE EXISTS (SELECT 1 FROM key WHERE public = row.subject) END",
        ),
        (
            "budgets are of nobody",
            "SELECT count(*) FROM budget AS row WHERE NOT CASE kind
               WHEN 'org' THEN EXISTS (SELECT 1 FROM organization WHERE id = row.owner)
               WHEN 'project' THEN EXISTS (SELECT 1 FROM project WHERE id = row.owner)
               ELSE EXISTS (SELECT 1 FROM key WHERE 'key_' || public = row.owner) END",
        ),
        (
            "keys were replaced by keys that are not there",
            "SELECT count(*) FROM key AS row WHERE successor IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM key WHERE public = row.successor)",
        ),
        (
            "batches of records count more than there were",
            "SELECT count(*) FROM request_batch WHERE upto > (SELECT upto FROM request_count)",
        ),
    ];
    let mut found = Vec::new();
    for (what, sql) in CHECKS {
        let count: i64 = session.query_one(sql, &[])?.try_get(0)?;
        if count > 0 {
            found.push(format!("{count} {what}"));
        }
    }
    Ok(found)
}
