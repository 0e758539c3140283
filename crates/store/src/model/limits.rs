//! The rules of remembered limits. Every store runs this text.

use std::time::Duration;

use mainstay_core::rules::limits::LimitSpec;
use mainstay_core::store::{
    LimitLevel, LimitPatch, LimitRecord, Organization, Project, StoreError, Subject, TierLimit,
    UnixMillis,
};

/// Most limits one subject may have.
const PER_SUBJECT_MAX: usize = 100;

/// Where the rows of limits are.
pub(crate) trait Rows {
    type Error: From<StoreError>;

    /// The limits of a subject, removed ones included.
    fn of(&self, subject: &Subject) -> Result<Vec<LimitRecord>, Self::Error>;
    /// Writes a limit over the one with its id; id 0 is a new one. Gives it as it was written.
    fn put(&mut self, record: LimitRecord) -> Result<LimitRecord, Self::Error>;
    /// Puts a change on record.
    fn note(&mut self, verb: &str, old: &LimitRecord, new: &LimitRecord)
    -> Result<(), Self::Error>;
}

/// How long something may be left of a level: two of its windows, since a limit may have been exceeded
/// by as much as it allows.
const LEVEL_KEPT: Duration = Duration::from_hours(48);

/// Whether nothing is left of a level.
pub(crate) fn is_over(level: &LimitLevel, now: UnixMillis) -> bool {
    level.at.plus(LEVEL_KEPT) < now
}

/// The time before which nothing is left of a level.
pub(crate) fn levels_from(now: UnixMillis) -> UnixMillis {
    UnixMillis(now.0.saturating_sub(u64::try_from(LEVEL_KEPT.as_millis()).unwrap_or(u64::MAX)))
}

/// The subject with its id in the place of a name. Keys are not looked for here.
pub(crate) fn resolve(
    subject: &Subject,
    organizations: &[Organization],
    projects: &[Project],
) -> Result<Subject, StoreError> {
    match subject {
        Subject::Organization(wanted) => {
            let mut all = organizations.iter();
            let found = all.find(|org| org.id == *wanted || org.name == *wanted);
            let found = found.ok_or_else(|| super::absent("organization", wanted))?;
            Ok(Subject::Organization(found.id.clone()))
        }
        Subject::Project(wanted) => {
            let found = super::find_project(projects.iter(), Some(wanted))?;
            Ok(Subject::Project(found.id.clone()))
        }
        Subject::Key(public) => Ok(Subject::Key(*public)),
    }
}

pub(crate) fn set<R: Rows>(
    rows: &mut R,
    subject: &Subject,
    model: Option<&str>,
    patch: &LimitPatch,
) -> Result<LimitRecord, R::Error> {
    let model = pattern(model)?;
    let mut all = rows.of(subject)?;
    let old = all.iter().position(|row| row.model == model).map(|at| all.swap_remove(at));
    if old.is_none() && all.len() >= PER_SUBJECT_MAX {
        let why = format!("a subject has at most {PER_SUBJECT_MAX} limits; remove one");
        return Err(StoreError::Invalid { why }.into());
    }
    let old = old.unwrap_or_else(|| fresh(subject, model));
    let spec = checked(patch.apply(&old.spec))?;
    write(rows, "limit.set", &old, LimitRecord { spec, tier: None, ..old.clone() })
}

/// Writes a limit and puts it on record.
fn write<R: Rows>(
    rows: &mut R,
    verb: &str,
    old: &LimitRecord,
    new: LimitRecord,
) -> Result<LimitRecord, R::Error> {
    let new = rows.put(new)?;
    rows.note(verb, old, &new)?;
    Ok(new)
}

pub(crate) fn remove<R: Rows>(
    rows: &mut R,
    subject: &Subject,
    model: Option<&str>,
) -> Result<LimitRecord, R::Error> {
    let model = pattern(model)?;
    let all = rows.of(subject)?;
    let old = all.into_iter().find(|row| row.model == model && !row.spec.is_empty());
    let old = old.ok_or_else(|| {
        let of = model.as_deref().map(|model| format!(" for `{model}`")).unwrap_or_default();
        StoreError::Absent { what: "limit", id: format!("{}{of}", subject.id()) }
    })?;
    write(rows, "limit.remove", &old, emptied(&old))?;
    Ok(old)
}

pub(crate) fn set_tier<R: Rows>(
    rows: &mut R,
    subject: &Subject,
    tier: &str,
    limits: &[TierLimit],
) -> Result<Vec<LimitRecord>, R::Error> {
    let tier = super::name(tier)?;
    let all = rows.of(subject)?;
    for old in all.iter().filter(|old| old.tier.is_some()) {
        if limits.iter().all(|new| new.model != old.model) {
            write(rows, "limit.remove", old, emptied(old))?;
        }
    }
    let mut made = Vec::with_capacity(limits.len());
    for limit in limits {
        let model = pattern(limit.model.as_deref())?;
        let old = all.iter().find(|row| row.model == model).cloned();
        let old = old.unwrap_or_else(|| fresh(subject, model));
        let spec = checked(limit.spec)?;
        let new = LimitRecord { spec, tier: Some(tier.clone()), ..old.clone() };
        made.push(write(rows, "limit.set", &old, new)?);
    }
    Ok(made)
}

/// Gives a key that takes another's place its limits.
pub(crate) fn inherit<R: Rows>(rows: &mut R, old: &Subject, new: &Subject) -> Result<(), R::Error> {
    for row in rows.of(old)? {
        if !row.spec.is_empty() {
            rows.put(LimitRecord { id: 0, subject: new.clone(), ..row })?;
        }
    }
    Ok(())
}

fn emptied(old: &LimitRecord) -> LimitRecord {
    LimitRecord { spec: LimitSpec::default(), tier: None, ..old.clone() }
}

fn fresh(subject: &Subject, model: Option<Box<str>>) -> LimitRecord {
    let (subject, spec) = (subject.clone(), LimitSpec::default());
    LimitRecord { id: 0, subject, model, spec, tier: None }
}

fn checked(spec: LimitSpec) -> Result<LimitSpec, StoreError> {
    spec.check().map_err(|error| StoreError::Invalid { why: error.to_string() })?;
    if spec.burst.is_some_and(|burst| burst.subsec_nanos() % 1_000_000 != 0) {
        let why = "`burst` is a whole number of milliseconds".to_owned();
        return Err(StoreError::Invalid { why });
    }
    Ok(spec)
}

fn pattern(model: Option<&str>) -> Result<Option<Box<str>>, StoreError> {
    let Some(model) = model else { return Ok(None) };
    let name = model.strip_suffix('*').unwrap_or(model);
    if model.is_empty() || model.len() > 256 || name.contains('*') {
        let why = "a model has 1 to 256 bytes, and a `*` at its end only".to_owned();
        return Err(StoreError::Invalid { why });
    }
    Ok(Some(model.into()))
}
