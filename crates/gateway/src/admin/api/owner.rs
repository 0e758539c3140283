//! Whose limit, budget or usage is meant: exactly one of `org`, `project` and `key`.

use mainstay_core::money::budget::Owner;
use mainstay_core::store::{BudgetOf, Subject, public_of_id};

use super::super::reply::Problem;
use super::{Ask, Field};

const fn text(name: &'static str, about: &'static str) -> Field {
    Field { name, required: false, kind: "string", about }
}

/// A body's field that names an organization.
pub(super) const ORG: Field =
    text("org", "Id or name of an organization. Exactly one of `org`, `project` and `key`.");
/// A body's field that names a project.
pub(super) const PROJECT: Field = text("project", "Id or name of a project.");
/// A body's field that names a key.
pub(super) const KEY: Field = text("key", "Id of a key.");

/// Parameters of a query that name an owner.
pub(super) const OF: [(&str, &str); 3] = [
    ("org", "Only what is this organization's own, by id or name. At most one of the three."),
    ("project", "Only what is this project's own, by id or name."),
    ("key", "Only what is this key's own, by id."),
];

/// The owner that one of three names, if any does.
fn one(
    org: Option<String>,
    project: Option<String>,
    key: Option<String>,
) -> Result<Option<BudgetOf>, Problem> {
    let org = org.map(BudgetOf::Organization);
    let project = project.map(BudgetOf::Project);
    let mut named = [org, project, key.map(BudgetOf::Key)].into_iter().flatten();
    let first = named.next();
    match named.next() {
        None => Ok(first),
        Some(_) => Err(Problem::value("org", "Name one of `org`, `project` and `key` only.")),
    }
}

/// The owner that a body names.
pub(super) fn named(
    org: Option<String>,
    project: Option<String>,
    key: Option<String>,
) -> Result<BudgetOf, Problem> {
    one(org, project, key)?
        .ok_or_else(|| Problem::value("org", "Name one of `org`, `project` and `key`."))
}

/// The owner that a query asks for, if it does: the organization's id, and who in it.
pub(super) fn asked(ask: &Ask<'_>) -> Result<Option<(Box<str>, Owner)>, Problem> {
    let query = |name: &str| ask.query.get(name).cloned();
    let of = one(query("org"), query("project"), query("key"))?;
    Ok(of.map(|of| ask.store.budget_owner(&of)).transpose()?)
}

/// The owner as limits name him.
pub(super) fn subject((org, owner): (Box<str>, Owner)) -> Result<Subject, Problem> {
    Ok(match owner {
        Owner::Organization => Subject::Organization(org),
        Owner::Project(id) => Subject::Project(id),
        Owner::Key(id) => Subject::Key(public_of_id(&id).ok_or_else(|| {
            Problem::value("key", "A key's id is `key_` and twelve letters and digits.")
        })?),
    })
}
