//! People, and what they may do in organizations and projects.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::str::FromStr;

use super::{DEFAULT_PROJECT, StoreError, UnixMillis};

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// `user-…`.
    pub id: Box<str>,
    /// Unique, 1 to 64 characters.
    pub name: Box<str>,
    /// When it was made.
    pub created_at: UnixMillis,
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Everything; in an organization, in each of its projects too.
    Owner,
    /// Calls of every kind.
    Member,
    /// Only calls that change nothing: `GET` and `HEAD`.
    Reader,
}

impl Role {
    /// Every role, the strongest first.
    pub const ALL: [Role; 3] = [Role::Owner, Role::Member, Role::Reader];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Member => "member",
            Role::Reader => "reader",
        }
    }
}

/// The text is not the name of a [`Role`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotARole;

impl FromStr for Role {
    type Err = NotARole;

    fn from_str(text: &str) -> Result<Role, NotARole> {
        Role::ALL.into_iter().find(|role| role.name() == text).ok_or(NotARole)
    }
}

/// What somebody is a member of: asked for by id or name, on record by id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// An organization.
    Org(Box<str>),
    /// A project.
    Project(Box<str>),
}

impl Group {
    /// `organization` or `project`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Group::Org(_) => "organization",
            Group::Project(_) => "project",
        }
    }

    /// Its id or name.
    pub fn id(&self) -> &str {
        match self {
            Group::Org(id) | Group::Project(id) => id,
        }
    }
}

/// A membership, also one that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Of what.
    pub group: Group,
    /// The user's id.
    pub user: Box<str>,
    /// What he may do.
    pub role: Role,
    /// Since when, or since when with this role.
    pub since: UnixMillis,
    /// When it ended.
    pub removed_at: Option<UnixMillis>,
}

/// The role that somebody with these memberships has in a project of an organization; `None`: he is
/// no member there.
///
/// An owner of the organization owns its projects. Others need a membership of the project, but for
/// [`DEFAULT_PROJECT`], which every member of its organization is in. Without the organization a
/// membership of its project counts for nothing.
pub fn role_in<'m>(
    memberships: impl IntoIterator<Item = &'m (Group, Role)>,
    org: &str,
    project: &str,
) -> Option<Role> {
    let (mut in_org, mut in_project) = (None, None);
    for (group, role) in memberships {
        match group {
            Group::Org(id) if **id == *org => in_org = Some(*role),
            Group::Project(id) if **id == *project => in_project = Some(*role),
            Group::Org(_) | Group::Project(_) => {}
        }
    }
    match in_org? {
        Role::Owner => Some(Role::Owner),
        role if project == DEFAULT_PROJECT => Some(in_project.unwrap_or(role)),
        Role::Member | Role::Reader => in_project,
    }
}

/// Where people and their memberships are remembered.
pub trait MemberStore {
    /// Makes a user.
    fn create_user(&self, name: &str, now: UnixMillis) -> Result<User, StoreError>;
    /// All users, oldest first.
    fn users(&self) -> Result<Vec<User>, StoreError>;

    /// Makes a user (by id or name) a member, or gives a member another role. Who joins a project
    /// must be in its organization.
    fn set_member(
        &self,
        group: &Group,
        user: &str,
        role: Role,
        now: UnixMillis,
    ) -> Result<Member, StoreError>;
    /// Ends a membership; that of an organization takes those of its projects along. His keys there
    /// stop working.
    fn remove_member(
        &self,
        group: &Group,
        user: &str,
        now: UnixMillis,
    ) -> Result<Member, StoreError>;
    /// The members of an organization or project, by user's id; without those who left.
    fn members(&self, group: &Group) -> Result<Vec<Member>, StoreError>;
}

/// A change on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Counts up.
    pub id: u64,
    /// When.
    pub at: UnixMillis,
    /// Who did it: `cli:NAME`, `token` or `start`.
    pub who: String,
    /// What was done: `key.create`, `org.member.remove`, ….
    pub verb: String,
    /// The id of what it was done to.
    pub subject: String,
    /// What it was before, as JSON without secrets; times are milliseconds since 1970.
    pub before: Option<String>,
    /// What it is since.
    pub after: Option<String>,
}

/// Where changes are on record. A store writes the record in the same transaction as the change.
pub trait AuditStore {
    /// The newest entries, newest first; with `before`, those with a smaller id. At most `most`.
    fn audit(&self, before: Option<u64>, most: usize) -> Result<Vec<AuditEntry>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn org(role: Role) -> (Group, Role) {
        (Group::Org("o".into()), role)
    }

    fn project(id: &str, role: Role) -> (Group, Role) {
        (Group::Project(id.into()), role)
    }

    #[test]
    fn a_role_in_a_project_needs_the_organization_and_the_project() {
        let asked = |memberships: &[(Group, Role)]| role_in(memberships, "o", "p");
        let cases = [
            (vec![], None),
            (vec![org(Role::Member)], None),
            (vec![org(Role::Reader)], None),
            (vec![org(Role::Owner)], Some(Role::Owner)),
            (vec![project("p", Role::Owner)], None),
            (vec![org(Role::Member), project("q", Role::Member)], None),
            (vec![org(Role::Member), project("p", Role::Reader)], Some(Role::Reader)),
            (vec![org(Role::Reader), project("p", Role::Member)], Some(Role::Member)),
            (vec![org(Role::Owner), project("p", Role::Reader)], Some(Role::Owner)),
        ];
        for (memberships, want) in cases {
            assert_eq!(asked(&memberships), want, "{memberships:?}");
        }
    }

    #[test]
    fn every_member_is_in_the_default_project() {
        let asked = |memberships: &[(Group, Role)]| role_in(memberships, "o", DEFAULT_PROJECT);
        assert_eq!(asked(&[org(Role::Member)]), Some(Role::Member));
        let narrowed = [org(Role::Member), project(DEFAULT_PROJECT, Role::Reader)];
        assert_eq!(asked(&narrowed), Some(Role::Reader));
        assert_eq!(asked(&[]), None);
    }

    #[test]
    fn roles_read_back_as_written() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert_eq!("boss".parse::<Role>(), Err(NotARole));
    }
}
