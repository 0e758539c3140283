//! Rows to records and back.

use mainstay_core::keys::PublicPart;
use mainstay_core::store::{Digest, KeyRecord, Organization, Project, Rotated, Scopes, UnixMillis};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

pub(super) fn epoch(connection: &Connection) -> Result<u64> {
    // Asked several times a second.
    let mut query = connection.prepare_cached("SELECT value FROM epoch")?;
    let epoch: i64 = query.query_row([], |row| row.get(0))?;
    Ok(u64::try_from(epoch).unwrap_or(0))
}

pub(super) fn put_organization(to: &Connection, org: &Organization, changed: i64) -> Result<()> {
    let sql = "INSERT INTO organization (id, name, created_at, changed) VALUES (?1, ?2, ?3, ?4)";
    to.execute(sql, params![org.id, org.name, millis(org.created_at), changed])?;
    Ok(())
}

pub(super) fn organizations(from: &Connection, after: i64) -> Result<Vec<Organization>> {
    let sql = "SELECT id, name, created_at FROM organization WHERE changed > ?1 ORDER BY rowid";
    let mut query = from.prepare(sql)?;
    let rows = query.query_map([after], |row| {
        Ok(Organization { id: row.get(0)?, name: row.get(1)?, created_at: time(row, 2)? })
    })?;
    rows.collect()
}

pub(super) fn put_project(to: &Connection, project: &Project, changed: i64) -> Result<()> {
    let sql =
        "INSERT INTO project (id, org, name, created_at, changed) VALUES (?1, ?2, ?3, ?4, ?5)";
    let Project { id, org, name, created_at } = project;
    to.execute(sql, params![id, org, name, millis(*created_at), changed])?;
    Ok(())
}

pub(super) fn projects(from: &Connection, after: i64) -> Result<Vec<Project>> {
    let sql = "SELECT id, org, name, created_at FROM project WHERE changed > ?1 ORDER BY rowid";
    let mut query = from.prepare(sql)?;
    let rows = query.query_map([after], |row| {
        let created_at = time(row, 3)?;
        Ok(Project { id: row.get(0)?, org: row.get(1)?, name: row.get(2)?, created_at })
    })?;
    rows.collect()
}

/// Writes a key, over the one with the same public part if there is one.
pub(super) fn put_key(to: &Connection, key: &KeyRecord, changed: i64) -> Result<()> {
    const SQL: &str = "
        INSERT INTO key (public, digest, name, project, scopes, models, created_at, expires_at,
                         revoked_at, rotated_at, grace_until, successor, changed, user)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
        ON CONFLICT (public) DO UPDATE SET
          revoked_at = excluded.revoked_at, rotated_at = excluded.rotated_at,
          grace_until = excluded.grace_until, successor = excluded.successor,
          changed = excluded.changed";
    let models = serde_json::to_string(&key.models).unwrap_or_else(|_| "[]".to_owned());
    to.prepare(SQL)?.execute(params![
        key.public.as_str(),
        key.digest.0,
        key.name,
        key.project,
        key.scopes.to_text(),
        models,
        millis(key.created_at),
        key.expires_at.map(millis),
        key.revoked_at.map(millis),
        key.rotated.map(|rotated| millis(rotated.at)),
        key.rotated.map(|rotated| millis(rotated.grace_until)),
        key.rotated.map(|rotated| rotated.successor.as_str().to_owned()),
        changed,
        key.user,
    ])?;
    Ok(())
}

const KEY: &str = "
    SELECT key.public, key.digest, key.name, key.project, project.org, key.scopes, key.models,
           key.created_at, key.expires_at, key.revoked_at, key.rotated_at, key.grace_until,
           key.successor, key.user
    FROM key JOIN project ON project.id = key.project";

pub(super) fn key(from: &Connection, public: PublicPart) -> Result<Option<KeyRecord>> {
    let mut query = from.prepare(&format!("{KEY} WHERE key.public = ?1"))?;
    query.query_row([public.as_str()], read_key).optional()
}

pub(super) fn keys(from: &Connection, after: i64) -> Result<Vec<KeyRecord>> {
    let sql = format!("{KEY} WHERE key.changed > ?1 ORDER BY key.rowid");
    let mut query = from.prepare(&sql)?;
    query.query_map([after], read_key)?.collect()
}

fn read_key(row: &Row<'_>) -> Result<KeyRecord> {
    let rotated = match (maybe_time(row, 10)?, maybe_time(row, 11)?) {
        (Some(at), Some(grace_until)) => {
            Some(Rotated { at, grace_until, successor: public(row, 12)? })
        }
        (Some(_), None) | (None, _) => None,
    };
    let scopes: String = row.get(5)?;
    let models: String = row.get(6)?;
    Ok(KeyRecord {
        public: public(row, 0)?,
        digest: Digest(row.get(1)?),
        name: row.get(2)?,
        project: row.get(3)?,
        org: row.get(4)?,
        user: row.get(13)?,
        scopes: Scopes::from_text(&scopes).map_err(|name| strange(5, name))?,
        models: serde_json::from_str(&models).map_err(|error| strange(6, error.to_string()))?,
        created_at: time(row, 7)?,
        expires_at: maybe_time(row, 8)?,
        revoked_at: maybe_time(row, 9)?,
        rotated,
    })
}

fn public(row: &Row<'_>, column: usize) -> Result<PublicPart> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| strange(column, "no public part".to_owned()))
}

pub(super) fn strange(column: usize, what: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.into())
}

pub(super) fn millis(time: UnixMillis) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

pub(super) fn time(row: &Row<'_>, column: usize) -> Result<UnixMillis> {
    Ok(UnixMillis(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0)))
}

pub(super) fn maybe_time(row: &Row<'_>, column: usize) -> Result<Option<UnixMillis>> {
    let found: Option<i64> = row.get(column)?;
    Ok(found.map(|millis| UnixMillis(u64::try_from(millis).unwrap_or(0))))
}
