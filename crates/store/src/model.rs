//! The rules of organizations, projects and keys. Every store runs this text; none has its own.

pub(crate) mod limits;

use std::time::Duration;

use mainstay_core::keys::PublicPart;
use mainstay_core::store::{
    DEFAULT_ORG, DEFAULT_PROJECT, Digest, KeyRecord, NewKey, Organization, Project, Rotated,
    StoreError, UnixMillis,
};

/// Most models a key may name.
const MODELS_MAX: usize = 1_000;
/// Longest grace period of a rotated key.
const GRACE_MAX: Duration = Duration::from_hours(366 * 24);

pub(crate) fn default_organization() -> Organization {
    let created_at = UnixMillis::default();
    Organization { id: DEFAULT_ORG.into(), name: "default".into(), created_at }
}

pub(crate) fn default_project() -> Project {
    let created_at = UnixMillis::default();
    Project {
        id: DEFAULT_PROJECT.into(),
        org: DEFAULT_ORG.into(),
        name: "default".into(),
        created_at,
    }
}

/// A name for people: 1 to 64 characters, none of them a control character, no blank at its ends.
pub(crate) fn name(text: &str) -> Result<Box<str>, StoreError> {
    let length = text.chars().count();
    if (1..=64).contains(&length) && text.trim() == text && !text.chars().any(char::is_control) {
        return Ok(text.into());
    }
    let why =
        format!("a name has 1 to 64 characters and no blank at its ends; this one has {length}");
    Err(StoreError::Invalid { why })
}

/// A fresh id with this prefix and twelve random letters and digits.
pub(crate) fn fresh_id(prefix: &str) -> Result<Box<str>, StoreError> {
    Ok(format!("{prefix}{}", crate::mint()?.public()).into())
}

pub(crate) fn key(
    new: NewKey,
    project: &Project,
    now: UnixMillis,
) -> Result<KeyRecord, StoreError> {
    if new.models.len() > MODELS_MAX || new.models.iter().any(|m| m.is_empty() || m.len() > 256) {
        let why = format!("a key names at most {MODELS_MAX} models of 1 to 256 bytes");
        return Err(StoreError::Invalid { why });
    }
    if new.expires_at.is_some_and(|end| end <= now) {
        let why = "a new key cannot expire in the past".to_owned();
        return Err(StoreError::Invalid { why });
    }
    Ok(KeyRecord {
        public: new.public,
        digest: new.digest,
        name: name(&new.name)?,
        project: project.id.clone(),
        org: project.org.clone(),
        scopes: new.scopes,
        models: new.models.into_iter().map(String::into_boxed_str).collect(),
        created_at: now,
        expires_at: new.expires_at,
        revoked_at: None,
        rotated: None,
    })
}

/// Revokes; `false` when it was revoked already.
pub(crate) fn revoke(key: &mut KeyRecord, now: UnixMillis) -> bool {
    let first = key.revoked_at.is_none();
    key.revoked_at.get_or_insert(now);
    first
}

/// Marks `old` as replaced and gives its successor, which has its settings.
pub(crate) fn rotate(
    old: &mut KeyRecord,
    (public, digest): (PublicPart, Digest),
    grace: Duration,
    now: UnixMillis,
) -> Result<KeyRecord, StoreError> {
    let state = old.state(now);
    if !state.usable() || old.rotated.is_some() {
        let state = if old.rotated.is_some() { "rotated already" } else { state.name() };
        let why = format!("key `{}` is {state}, and only an active key can be rotated", old.id());
        return Err(StoreError::Refused { why });
    }
    if grace > GRACE_MAX {
        let why = "a grace period is at most 366 days".to_owned();
        return Err(StoreError::Invalid { why });
    }
    old.rotated = Some(Rotated { at: now, grace_until: now.plus(grace), successor: public });
    Ok(KeyRecord { public, digest, created_at: now, rotated: None, ..old.clone() })
}

pub(crate) fn absent(what: &'static str, id: &str) -> StoreError {
    StoreError::Absent { what, id: id.chars().take(80).collect() }
}

/// The one with this id or, among those of all organizations, this name.
pub(crate) fn find_project<'p>(
    projects: impl Iterator<Item = &'p Project> + Clone,
    wanted: Option<&str>,
) -> Result<&'p Project, StoreError> {
    let wanted = wanted.unwrap_or(DEFAULT_PROJECT);
    if let Some(project) = projects.clone().find(|project| &*project.id == wanted) {
        return Ok(project);
    }
    let mut named = projects.filter(|project| &*project.name == wanted);
    let first = named.next().ok_or_else(|| absent("project", wanted))?;
    if named.next().is_some() {
        let why = format!("several organizations have a project `{wanted}`; name it by its id");
        return Err(StoreError::Invalid { why });
    }
    Ok(first)
}
