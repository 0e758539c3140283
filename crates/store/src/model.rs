//! The rules of organizations, projects and keys. Every store runs this text; none has its own.

pub(crate) mod limits;

use std::time::Duration;

use mainstay_core::keys::PublicPart;
use mainstay_core::money::Usd;
use mainstay_core::money::budget::Every;
use mainstay_core::store::{
    BudgetOf, BudgetRecord, DEFAULT_ORG, DEFAULT_PROJECT, Digest, KeyRecord, NewBudget, NewKey,
    Organization, Project, Rotated, StoreError, UnixMillis, User,
};

pub(crate) mod members;

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
    user: Option<&User>,
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
        user: user.map(|user| user.id.clone()),
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

/// Holds a budget against the rules of budgets.
pub(crate) fn check_budget(new: &NewBudget) -> Result<(), StoreError> {
    let ascending = new.alerts.windows(2).all(|two| two[0] < two[1]);
    if new.alerts.len() > 8 || !ascending || !new.alerts.iter().all(|p| (1..=100).contains(p)) {
        let why = "alerts are at most 8 percentages from 1 to 100, ascending".to_owned();
        return Err(StoreError::Invalid { why });
    }
    if new.zone.is_empty() || new.zone.len() > 64 {
        let why = "a time zone has a name such as Europe/Berlin".to_owned();
        return Err(StoreError::Invalid { why });
    }
    Ok(())
}

/// The budget with more credit.
pub(crate) fn raised(old: BudgetRecord, by: Usd) -> Result<BudgetRecord, StoreError> {
    let credits = old.credits.plus(by).filter(|sum| *sum <= Usd::MAX);
    let credits = credits.ok_or_else(|| StoreError::Invalid {
        why: "a budget's credits are at most 999,999,999,999,999 USD".to_owned(),
    })?;
    Ok(BudgetRecord { credits, ..old })
}

/// The one of this kind of period, or the only one.
pub(crate) fn one_budget(
    found: Vec<BudgetRecord>,
    every: Option<Every>,
) -> Result<Option<BudgetRecord>, StoreError> {
    let several = found.len() > 1 && every.is_none();
    if several {
        let names: Vec<&str> = found.iter().map(|one| one.every.name()).collect();
        let why =
            format!("there are several budgets ({}); name one with --period", names.join(", "));
        return Err(StoreError::Invalid { why });
    }
    Ok(found.into_iter().find(|one| every.is_none_or(|every| one.every == every)))
}

pub(crate) fn no_budget(of: &BudgetOf, every: Option<Every>) -> StoreError {
    let (BudgetOf::Organization(id) | BudgetOf::Project(id) | BudgetOf::Key(id)) = of;
    let id = every.map_or_else(|| id.clone(), |every| format!("{id} ({})", every.name()));
    absent("budget", &id)
}
