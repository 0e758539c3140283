//! What is remembered about organizations, projects and keys, and what a store can be asked.
//!
//! Records and the [`Store`] trait only: SQLite and memory implement it in `mainstay-store`. Every
//! change raises the store's *epoch* by one, so a running gateway asks for what changed since the
//! epoch it knows. No secret is here: a record holds the hash of one.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::keys::PublicPart;

mod budgets;
mod leases;
mod ledger;
mod limits;
mod members;
mod nodes;
mod objects;
mod replays;
mod requests;
mod scope;
mod usage;
pub use budgets::{ALERTS_MAX, BudgetAlert, BudgetOf, BudgetRecord, BudgetStore, NewBudget};
pub use leases::{LeaseHolder, Leases, OrgClaim};
pub use ledger::{
    Basis, Durability, Entry, EntryKind, FURTHER_MAX, HoldNumber, Ledger, LedgerState,
    LedgerTrouble, Recovery, ReservationId, SpentOf, Summed, Written,
};
pub use limits::{Change, LimitLevel, LimitPatch, LimitRecord, LimitStore, Subject, TierLimit};
pub use members::{
    AuditEntry, AuditStore, Group, Member, MemberStore, NotARole, Role, User, role_in,
};
pub use nodes::NodeStore;
pub use objects::{ObjectRecord, ObjectStore};
pub use replays::{Replay, ReplayPlace, ReplayStore, ReplaysKept};
pub use requests::{
    AttemptNote, FailureNote, LimitNote, RequestBatch, RequestFilter, RequestId, RequestRecord,
    RequestStore, RequestsKept, StateNote, StatusFilter,
};
pub use scope::{NotAScope, Scope, Scopes};
pub use usage::{UsageRow, UsageStore};

/// Wall-clock time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The time `after` later; saturates.
    #[must_use]
    pub fn plus(self, after: Duration) -> UnixMillis {
        UnixMillis(self.0.saturating_add(u64::try_from(after.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The time `before` earlier; saturates.
    #[must_use]
    pub fn minus(self, before: Duration) -> UnixMillis {
        UnixMillis(self.0.saturating_sub(u64::try_from(before.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// `org-…`; the first one is [`DEFAULT_ORG`].
    pub id: Box<str>,
    /// Unique, 1 to 64 characters.
    pub name: Box<str>,
    /// When it was made.
    pub created_at: UnixMillis,
}

/// A project of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// `proj_…`; the first one is [`DEFAULT_PROJECT`].
    pub id: Box<str>,
    /// Its organization's id.
    pub org: Box<str>,
    /// Unique within the organization, 1 to 64 characters.
    pub name: Box<str>,
    /// When it was made.
    pub created_at: UnixMillis,
}

/// Id of the organization that always exists.
pub const DEFAULT_ORG: &str = "org-default";
/// Id of the project that always exists; keys made without a project live there.
pub const DEFAULT_PROJECT: &str = "proj_default";

/// A key without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Finds it; its id is `key_` and this.
    pub public: PublicPart,
    /// SHA-256 of the secret part.
    pub digest: Digest,
    /// For people; 1 to 64 characters, not unique.
    pub name: Box<str>,
    /// Its project's id.
    pub project: Box<str>,
    /// Its organization's id.
    pub org: Box<str>,
    /// The user's id on whose behalf it is used; none for a service key.
    pub user: Option<Box<str>>,
    /// What it may be used for.
    pub scopes: Scopes,
    /// Models it may use, `*` at the end matches any rest; empty: all.
    pub models: Box<[Box<str>]>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// From then on it is expired.
    pub expires_at: Option<UnixMillis>,
    /// When it was revoked.
    pub revoked_at: Option<UnixMillis>,
    /// When and by which key it was replaced, and until when it still works.
    pub rotated: Option<Rotated>,
}

/// A key's replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// When it was replaced.
    pub at: UnixMillis,
    /// The old key works before this.
    pub grace_until: UnixMillis,
    /// The key that took its place.
    pub successor: PublicPart,
}

impl KeyRecord {
    /// The key's id: `key_` and the public part.
    pub fn id(&self) -> String {
        key_id(self.public)
    }

    /// The state at `now`. A revoked key is revoked whatever else holds, then comes expiry.
    pub fn state(&self, now: UnixMillis) -> KeyState {
        if self.revoked_at.is_some() {
            return KeyState::Revoked;
        }
        if self.expires_at.is_some_and(|end| now >= end) {
            return KeyState::Expired;
        }
        match self.rotated {
            None => KeyState::Active,
            Some(rotated) if now < rotated.grace_until => {
                KeyState::Grace { until: rotated.grace_until }
            }
            Some(_) => KeyState::Rotated,
        }
    }

    /// Whether the key may be used with `model`.
    pub fn allows_model(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| model_fits(pattern, model))
    }
}

/// Whether `model` is what `pattern` names; a `*` at the pattern's end matches any rest.
pub fn model_fits(pattern: &str, model: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => model.starts_with(start),
        None => pattern == model,
    }
}

/// The id of the key with this public part.
pub fn key_id(public: PublicPart) -> String {
    KeyId::of(public).as_str().to_owned()
}

/// A key's id, `key_` and its public part, in memory of its own size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId([u8; 4 + PublicPart::LENGTH]);

impl KeyId {
    /// The id of the key with this public part.
    pub fn of(public: PublicPart) -> KeyId {
        let mut id = *b"key_............";
        id[4..].copy_from_slice(public.bytes());
        KeyId(id)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default() // always ASCII
    }
}

/// The public part in a key's id, with or without `key_`.
pub fn public_of_id(id: &str) -> Option<PublicPart> {
    id.strip_prefix("key_").unwrap_or(id).parse().ok()
}

/// What a key is good for at a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It works.
    Active,
    /// Replaced, and still works until then.
    Grace {
        /// The end of the grace period.
        until: UnixMillis,
    },
    /// Replaced; the grace period is over.
    Rotated,
    /// Its time is over.
    Expired,
    /// Withdrawn.
    Revoked,
}

impl KeyState {
    /// Whether a call may be made with it.
    pub fn usable(self) -> bool {
        match self {
            KeyState::Active | KeyState::Grace { .. } => true,
            KeyState::Rotated | KeyState::Expired | KeyState::Revoked => false,
        }
    }

    /// The stable name, as `key list` and the admin API show it.
    pub fn name(self) -> &'static str {
        match self {
            KeyState::Active => "active",
            KeyState::Grace { .. } => "grace",
            KeyState::Rotated => "rotated",
            KeyState::Expired => "expired",
            KeyState::Revoked => "revoked",
        }
    }
}

/// SHA-256 of a secret. `Debug` shows its first bytes only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// What a new key is to be. Names are checked by the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Its public part.
    pub public: PublicPart,
    /// SHA-256 of its secret part.
    pub digest: Digest,
    /// For people.
    pub name: String,
    /// Id or name of its project; `None`: the default one.
    pub project: Option<String>,
    /// Id or name of the user on whose behalf it is used, a member of the project; `None`: a service
    /// key.
    pub user: Option<String>,
    /// What it may be used for.
    pub scopes: Scopes,
    /// Models it may use; empty: all.
    pub models: Vec<String>,
    /// From then on it is expired.
    pub expires_at: Option<UnixMillis>,
}

/// Everything that changed after an epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The epoch these bring the reader to.
    pub epoch: u64,
    /// Keys made or changed, as they are.
    pub keys: Vec<KeyRecord>,
    /// Organizations made.
    pub organizations: Vec<Organization>,
    /// Projects made.
    pub projects: Vec<Project>,
    /// Memberships begun, changed and ended.
    pub members: Vec<Member>,
}

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// There is no such thing.
    Absent {
        /// `key`, `project`, `organization`, `user` or `member`.
        what: &'static str,
        /// What was asked for.
        id: String,
    },
    /// The name is in use.
    Taken {
        /// `project`, `organization` or `user`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The thing's state does not allow it.
    Refused {
        /// What, why and what to do, as one sentence.
        why: String,
    },
    /// A value is out of its range.
    Invalid {
        /// What, and what would do.
        why: String,
    },
    /// The store was written by a newer version.
    Newer {
        /// The version of its tables.
        found: u32,
        /// The newest version this program knows.
        known: u32,
    },
    /// File, disk or database failed.
    Surroundings {
        /// What was being done.
        what: String,
        /// What went wrong.
        why: String,
        /// What to do.
        fix: String,
    },
}

impl StoreError {
    /// What to do about it.
    pub fn fix(&self) -> String {
        match self {
            StoreError::Absent { what, .. } => {
                let command = match *what {
                    "organization" => "org",
                    "member" => "org member",
                    what => what,
                };
                alloc::format!("list what exists: `mainstay {command} list`")
            }
            StoreError::Taken { what, .. } => {
                alloc::format!("use the existing {what}, or another name")
            }
            StoreError::Refused { .. } => String::from("see `mainstay key show ID` for its state"),
            StoreError::Invalid { .. } => String::from("change the value and try again"),
            StoreError::Newer { .. } => {
                String::from("use the newer program, or restore the backup made before the upgrade")
            }
            StoreError::Surroundings { fix, .. } => fix.clone(),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Absent { what, id } => write!(f, "there is no {what} `{id}`"),
            StoreError::Taken { what, name } => {
                write!(f, "the name `{name}` is taken by another {what}")
            }
            StoreError::Refused { why } | StoreError::Invalid { why } => f.write_str(why),
            StoreError::Newer { found, known } => write!(
                f,
                "the store's tables have version {found}, this program knows versions up to {known}"
            ),
            StoreError::Surroundings { what, why, fix: _ } => write!(f, "could not {what}: {why}"),
        }
    }
}

impl core::error::Error for StoreError {}

/// Where organizations, projects and keys are remembered.
///
/// Calls block until the answer is durable; they are for administration, never on a call's path,
/// which reads a snapshot. Every change raises [`Store::epoch`] by at least one, and is put on record
/// under the name of who [`Store::acting`] says.
pub trait Store:
    MemberStore
    + AuditStore
    + ObjectStore
    + LimitStore
    + BudgetStore
    + ReplayStore
    + RequestStore
    + UsageStore
    + NodeStore
    + Send
    + Sync
    + fmt::Debug
{
    /// The same store, for changes made by `who`: `cli:NAME`, `token`, `start`.
    fn acting(&self, who: &str) -> Box<dyn Store>;
    /// The number of the last change. Cheap: a running gateway asks several times a second.
    fn epoch(&self) -> Result<u64, StoreError>;
    /// Has `told` called soon after each change that anybody makes, while [`Store::listens`]; it may be
    /// called for nothing, and must not block. A store that does not hear of changes by itself never
    /// calls it. Of two calls the first one counts.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    fn listen(&self, told: Box<dyn Fn() + Send + Sync>) -> Result<(), StoreError> {
        drop(told);
        Ok(())
    }
    /// Whether it hears of changes at this moment, as far as it knows: one in a while may be missed
    /// all the same, so a gateway asks for the epoch now and then.
    fn listens(&self) -> bool {
        false
    }
    /// Everything that changed after `epoch`; 0 gives everything.
    fn changes_since(&self, epoch: u64) -> Result<Changes, StoreError>;

    /// Makes an organization.
    fn create_organization(&self, name: &str, now: UnixMillis) -> Result<Organization, StoreError>;
    /// All organizations, oldest first.
    fn organizations(&self) -> Result<Vec<Organization>, StoreError>;

    /// Makes a project in the organization with this id or name.
    fn create_project(&self, org: &str, name: &str, now: UnixMillis)
    -> Result<Project, StoreError>;
    /// All projects, oldest first.
    fn projects(&self) -> Result<Vec<Project>, StoreError>;

    /// Makes a key.
    fn create_key(&self, new: NewKey, now: UnixMillis) -> Result<KeyRecord, StoreError>;
    /// One key.
    fn key(&self, public: PublicPart) -> Result<KeyRecord, StoreError>;
    /// All keys, oldest first.
    fn keys(&self) -> Result<Vec<KeyRecord>, StoreError>;
    /// Withdraws a key for good. A second time changes nothing.
    fn revoke_key(&self, public: PublicPart, now: UnixMillis) -> Result<KeyRecord, StoreError>;
    /// Replaces a usable, not yet replaced key by `successor` with the same settings; the old one
    /// works for `grace` more. Gives the new record.
    fn rotate_key(
        &self,
        public: PublicPart,
        successor: (PublicPart, Digest),
        grace: Duration,
        now: UnixMillis,
    ) -> Result<KeyRecord, StoreError>;

    /// A remembered small value.
    fn note(&self, name: &str) -> Result<Option<String>, StoreError>;
    /// Remembers a small value unless the name has one. `true` when it was written: of several
    /// processes that start at once exactly one gets `true`.
    fn note_once(&self, name: &str, value: &str) -> Result<bool, StoreError>;
}
