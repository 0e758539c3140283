//! The rules of users and memberships, for every store.

use mainstay_core::store::{
    Group, Member, Organization, Project, Role, StoreError, UnixMillis, User, role_in,
};

use super::{absent, find_project};

/// The user with this id or name.
pub(crate) fn find_user<'u>(
    mut users: impl Iterator<Item = &'u User>,
    wanted: &str,
) -> Result<&'u User, StoreError> {
    let found = users.find(|user| &*user.id == wanted || &*user.name == wanted);
    found.ok_or_else(|| absent("user", wanted))
}

/// A group by ids, and the organization it is or belongs to.
pub(crate) fn find_group(
    wanted: &Group,
    orgs: &[Organization],
    projects: &[Project],
) -> Result<(Group, Box<str>), StoreError> {
    match wanted {
        Group::Org(name) => {
            let org = orgs.iter().find(|org| org.id == *name || org.name == *name);
            let org = org.ok_or_else(|| absent("organization", name))?;
            Ok((Group::Org(org.id.clone()), org.id.clone()))
        }
        Group::Project(name) => {
            let project = find_project(projects.iter(), Some(name))?;
            Ok((Group::Project(project.id.clone()), project.org.clone()))
        }
    }
}

/// The membership that a user gets, given those he has.
pub(crate) fn join(
    group: Group,
    org: &str,
    user: &User,
    role: Role,
    present: &[Member],
    now: UnixMillis,
) -> Result<Member, StoreError> {
    let in_org = present.iter().any(|one| {
        one.user == user.id && one.removed_at.is_none() && one.group == Group::Org(org.into())
    });
    if matches!(group, Group::Project(_)) && !in_org {
        let why = format!(
            "`{}` is no member of the organization `{org}`, and a project's members come from its organization: \
             `mainstay org member add {org} {}`",
            user.name, user.name
        );
        return Err(StoreError::Refused { why });
    }
    Ok(Member { group, user: user.id.clone(), role, since: now, removed_at: None })
}

/// The memberships that end when a user leaves a group, as they are afterwards; the group's own
/// first. Leaving an organization is leaving its projects.
pub(crate) fn leave(
    group: &Group,
    user: &User,
    present: &[Member],
    projects: &[Project],
    now: UnixMillis,
) -> Result<Vec<Member>, StoreError> {
    let goes_along = |other: &Group| match (group, other) {
        (Group::Org(org), Group::Project(id)) => {
            projects.iter().any(|project| project.id == *id && project.org == *org)
        }
        (Group::Org(_) | Group::Project(_), Group::Org(_) | Group::Project(_)) => false,
    };
    let his = |one: &&Member| one.user == user.id && one.removed_at.is_none();
    let own = present.iter().filter(his).find(|one| one.group == *group);
    let own = own.ok_or_else(|| absent("member", &user.name))?;
    let along = present.iter().filter(his).filter(|one| goes_along(&one.group));
    let ended = |one: &Member| Member { removed_at: Some(now), ..one.clone() };
    Ok(std::iter::once(own).chain(along).map(ended).collect())
}

/// Whether a key for this user may be made in a project.
pub(crate) fn may_hold_key(
    user: &User,
    project: &Project,
    present: &[Member],
) -> Result<(), StoreError> {
    let his: Vec<(Group, Role)> = present
        .iter()
        .filter(|one| one.user == user.id && one.removed_at.is_none())
        .map(|one| (one.group.clone(), one.role))
        .collect();
    if role_in(&his, &project.org, &project.id).is_some() {
        return Ok(());
    }
    let (name, org, id) = (&user.name, &project.org, &project.id);
    let why = format!(
        "`{name}` is no member of the project `{}`, so a key of his would not work there: `mainstay org member add \
         {org} {name}`, then `mainstay project member add {id} {name}`",
        project.name
    );
    Err(StoreError::Refused { why })
}

/// What a change of a membership is called in the audit log.
pub(crate) fn verb(group: &Group, joins: bool) -> &'static str {
    match (group, joins) {
        (Group::Org(_), true) => "org.member.add",
        (Group::Org(_), false) => "org.member.remove",
        (Group::Project(_), true) => "project.member.add",
        (Group::Project(_), false) => "project.member.remove",
    }
}
