//! Rows to records and back.

use mainstay_core::keys::PublicPart;
use mainstay_core::store::{
    Digest, KeyRecord, Organization, Project, Rotated, Scopes, StoreError, UnixMillis,
};
use tokio_postgres::Row;

use super::ear;
use super::fault::Fault;
use super::session::Session;
use crate::model;

pub(super) fn epoch(session: &Session<'_>) -> Result<u64, Fault> {
    let row = session.query_one("SELECT value FROM epoch", &[])?;
    Ok(unsigned(row.try_get(0)?))
}

/// The next number of a change. Who listens hears of it when the change is kept.
pub(super) fn tick(session: &Session<'_>) -> Result<i64, Fault> {
    session.query_one(ear::TELL, &[])?;
    let sql = "UPDATE epoch SET value = value + 1 RETURNING value";
    Ok(session.query_one(sql, &[])?.try_get(0)?)
}

pub(super) fn put_organization(
    to: &Session<'_>,
    org: &Organization,
    changed: i64,
) -> Result<(), Fault> {
    let sql = "INSERT INTO organization (id, name, created_at, changed) VALUES ($1, $2, $3, $4)";
    to.execute(sql, &[&&*org.id, &&*org.name, &millis(org.created_at), &changed])?;
    Ok(())
}

pub(super) fn organizations(from: &Session<'_>, after: i64) -> Result<Vec<Organization>, Fault> {
    let sql = "SELECT id, name, created_at FROM organization WHERE changed > $1 ORDER BY seq";
    let rows = from.query(sql, &[&after])?;
    rows.iter()
        .map(|row| {
            let created_at = time(row, 2)?;
            Ok(Organization { id: text(row, 0)?, name: text(row, 1)?, created_at })
        })
        .collect()
}

pub(super) fn put_project(to: &Session<'_>, project: &Project, changed: i64) -> Result<(), Fault> {
    let sql =
        "INSERT INTO project (id, org, name, created_at, changed) VALUES ($1, $2, $3, $4, $5)";
    let Project { id, org, name, created_at } = project;
    to.execute(sql, &[&&**id, &&**org, &&**name, &millis(*created_at), &changed])?;
    Ok(())
}

pub(super) fn projects(from: &Session<'_>, after: i64) -> Result<Vec<Project>, Fault> {
    let sql = "SELECT id, org, name, created_at FROM project WHERE changed > $1 ORDER BY seq";
    let rows = from.query(sql, &[&after])?;
    rows.iter()
        .map(|row| {
            let (id, org, name) = (text(row, 0)?, text(row, 1)?, text(row, 2)?);
            Ok(Project { id, org, name, created_at: time(row, 3)? })
        })
        .collect()
}

/// Writes a key, over the one with the same public part if there is one.
pub(super) fn put_key(to: &Session<'_>, key: &KeyRecord, changed: i64) -> Result<(), Fault> {
    const SQL: &str = "
        INSERT INTO key (public, digest, name, project, scopes, models, created_at, expires_at,
                         revoked_at, rotated_at, grace_until, successor, changed, person)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        ON CONFLICT (public) DO UPDATE SET
          revoked_at = excluded.revoked_at, rotated_at = excluded.rotated_at,
          grace_until = excluded.grace_until, successor = excluded.successor,
          changed = excluded.changed";
    let models = serde_json::to_string(&key.models).unwrap_or_else(|_| "[]".to_owned());
    let successor = key.rotated.map(|rotated| rotated.successor.as_str().to_owned());
    to.execute(
        SQL,
        &[
            &key.public.as_str(),
            &&key.digest.0[..],
            &&*key.name,
            &&*key.project,
            &key.scopes.to_text(),
            &models,
            &millis(key.created_at),
            &key.expires_at.map(millis),
            &key.revoked_at.map(millis),
            &key.rotated.map(|rotated| millis(rotated.at)),
            &key.rotated.map(|rotated| millis(rotated.grace_until)),
            &successor,
            &changed,
            &key.user.as_deref(),
        ],
    )?;
    Ok(())
}

const KEY: &str = "
    SELECT key.public, key.digest, key.name, key.project, project.org, key.scopes, key.models,
           key.created_at, key.expires_at, key.revoked_at, key.rotated_at, key.grace_until,
           key.successor, key.person
    FROM key JOIN project ON project.id = key.project";

pub(super) fn one_key(from: &Session<'_>, public: PublicPart) -> Result<KeyRecord, Fault> {
    let found = key(from, public)?;
    Ok(found.ok_or_else(|| model::absent("key", public.as_str()))?)
}

fn key(from: &Session<'_>, public: PublicPart) -> Result<Option<KeyRecord>, Fault> {
    let sql = format!("{KEY} WHERE key.public = $1");
    from.query_opt(&sql, &[&public.as_str()])?.as_ref().map(read_key).transpose()
}

pub(super) fn insert_key(change: &Session<'_>, new: &KeyRecord) -> Result<(), Fault> {
    if key(change, new.public)?.is_some() {
        return Err(StoreError::Taken { what: "key", name: new.id() }.into());
    }
    put_key(change, new, tick(change)?)
}

pub(super) fn keys(from: &Session<'_>, after: i64) -> Result<Vec<KeyRecord>, Fault> {
    let sql = format!("{KEY} WHERE key.changed > $1 ORDER BY key.seq");
    from.query(&sql, &[&after])?.iter().map(read_key).collect()
}

fn read_key(row: &Row) -> Result<KeyRecord, Fault> {
    let rotated = match (maybe_time(row, 10)?, maybe_time(row, 11)?) {
        (Some(at), Some(grace_until)) => {
            Some(Rotated { at, grace_until, successor: public(row, 12)? })
        }
        (Some(_), None) | (None, _) => None,
    };
    let digest: &[u8] = row.try_get(1)?;
    let models: &str = row.try_get(6)?;
    let user: Option<&str> = row.try_get(13)?;
    Ok(KeyRecord {
        public: public(row, 0)?,
        digest: Digest(digest.try_into().map_err(|_| strange("a digest has another length"))?),
        name: text(row, 2)?,
        project: text(row, 3)?,
        org: text(row, 4)?,
        user: user.map(Into::into),
        scopes: Scopes::from_text(row.try_get(5)?)
            .map_err(|name| strange(&format!("`{name}` is no scope")))?,
        models: serde_json::from_str(models).map_err(|_| strange("models are no list"))?,
        created_at: time(row, 7)?,
        expires_at: maybe_time(row, 8)?,
        revoked_at: maybe_time(row, 9)?,
        rotated,
    })
}

fn public(row: &Row, column: usize) -> Result<PublicPart, Fault> {
    let text: &str = row.try_get(column)?;
    text.parse().map_err(|_| strange("a key has no public part"))
}

pub(super) fn strange(what: &str) -> Fault {
    Fault::Strange(format!("a row is not as it was written: {what}"))
}

pub(super) fn text(row: &Row, column: usize) -> Result<Box<str>, Fault> {
    Ok(row.try_get::<_, &str>(column)?.into())
}

pub(super) fn millis(time: UnixMillis) -> i64 {
    signed(time.0)
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(super) fn time(row: &Row, column: usize) -> Result<UnixMillis, Fault> {
    Ok(UnixMillis(unsigned(row.try_get(column)?)))
}

pub(super) fn maybe_time(row: &Row, column: usize) -> Result<Option<UnixMillis>, Fault> {
    let found: Option<i64> = row.try_get(column)?;
    Ok(found.map(|millis| UnixMillis(unsigned(millis))))
}
