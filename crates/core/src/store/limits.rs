//! Rate limits as they are remembered: whose, for which model, and how much.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::{StoreError, UnixMillis, key_id};
use crate::keys::PublicPart;
use crate::rules::limits::LimitSpec;

/// Whom a limit is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// An organization, by its id: everything its projects and keys do.
    Organization(Box<str>),
    /// A project, by its id.
    Project(Box<str>),
    /// A key.
    Key(PublicPart),
}

impl Subject {
    /// `organization`, `project` or `key`.
    pub fn what(&self) -> &'static str {
        match self {
            Subject::Organization(_) => "organization",
            Subject::Project(_) => "project",
            Subject::Key(_) => "key",
        }
    }

    /// Its id: `org-…`, `proj_…` or `key_…`.
    pub fn id(&self) -> String {
        match self {
            Subject::Organization(id) | Subject::Project(id) => String::from(&**id),
            Subject::Key(public) => key_id(*public),
        }
    }
}

/// One limit: of a subject, for all models or for those that a pattern names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitRecord {
    /// Its number. It keeps it for good, so that counts outlive changes.
    pub id: u64,
    /// Whom it is about.
    pub subject: Subject,
    /// Models it counts, together; `*` at the end matches any rest. `None`: all.
    pub model: Option<Box<str>>,
    /// What it allows; empty when it was removed.
    pub spec: LimitSpec,
    /// The tier it came from, when it came from one.
    pub tier: Option<Box<str>>,
}

/// What becomes of one part of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is taken away.
    Clear,
    /// It becomes this.
    To(T),
}

impl<T> Change<T> {
    fn apply(self, old: Option<T>) -> Option<T> {
        match self {
            Change::Keep => old,
            Change::Clear => None,
            Change::To(new) => Some(new),
        }
    }
}

/// A change of a limit, part by part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitPatch {
    /// Requests per minute.
    pub rpm: Change<u64>,
    /// Tokens per minute.
    pub tpm: Change<u64>,
    /// Requests per day.
    pub rpd: Change<u64>,
    /// Calls at once.
    pub concurrency: Change<u64>,
    /// How much time's worth may come at once, in whole milliseconds.
    pub burst: Change<Duration>,
    /// Whether it only watches; `None`: as before.
    pub shadow: Option<bool>,
}

impl LimitPatch {
    /// What `spec` becomes.
    pub fn apply(&self, spec: &LimitSpec) -> LimitSpec {
        LimitSpec {
            rpm: self.rpm.apply(spec.rpm),
            tpm: self.tpm.apply(spec.tpm),
            rpd: self.rpd.apply(spec.rpd),
            concurrency: self.concurrency.apply(spec.concurrency),
            burst: self.burst.apply(spec.burst),
            shadow: self.shadow.unwrap_or(spec.shadow),
        }
    }
}

/// A limit of a tier: for which models, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierLimit {
    /// Models it counts, together; `None`: all.
    pub model: Option<Box<str>>,
    /// What it allows.
    pub spec: LimitSpec,
}

/// How much of a limit's requests per day counted as used at a time, so that a restart does not give
/// the day anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitLevel {
    /// The limit's number.
    pub id: u64,
    /// Requests.
    pub used: u64,
    /// When.
    pub at: UnixMillis,
}

/// Where limits are remembered. Every change raises the store's epoch and is put on record.
///
/// In a subject an organization or project may be given by its name in the place of its id, as
/// long as the name is no other one's.
pub trait LimitStore {
    /// Changes the limit of a subject for these models, making it when there is none. A limit that
    /// has no number left is removed.
    ///
    /// # Errors
    ///
    /// There is no such subject, or a value is out of its range.
    fn set_limit(
        &self,
        subject: &Subject,
        model: Option<&str>,
        patch: &LimitPatch,
        now: UnixMillis,
    ) -> Result<LimitRecord, StoreError>;

    /// Removes the limit of a subject for these models. Gives what it was.
    ///
    /// # Errors
    ///
    /// There is no such subject, or no such limit.
    fn remove_limit(
        &self,
        subject: &Subject,
        model: Option<&str>,
        now: UnixMillis,
    ) -> Result<LimitRecord, StoreError>;

    /// Gives a subject the limits of a tier, in the place of those of its earlier tier. Limits that
    /// were set one by one stay, except where the tier has one for the same models.
    ///
    /// # Errors
    ///
    /// There is no such subject, or a value is out of its range.
    fn set_tier(
        &self,
        subject: &Subject,
        tier: &str,
        limits: &[TierLimit],
        now: UnixMillis,
    ) -> Result<Vec<LimitRecord>, StoreError>;

    /// All limits, oldest first, removed ones left out.
    ///
    /// # Errors
    ///
    /// The store failed.
    fn limits(&self) -> Result<Vec<LimitRecord>, StoreError>;

    /// The store's epoch, and every limit that changed after `epoch`, removed ones included.
    ///
    /// # Errors
    ///
    /// The store failed.
    fn limits_since(&self, epoch: u64) -> Result<(u64, Vec<LimitRecord>), StoreError>;

    /// Remembers levels, each over the one of the same limit, and forgets those older than a day: of
    /// them nothing is left. Raises no epoch and is not put on record.
    ///
    /// # Errors
    ///
    /// The store failed.
    fn put_levels(&self, levels: &[LimitLevel], now: UnixMillis) -> Result<(), StoreError>;

    /// Levels that are remembered, by the limit's number.
    ///
    /// # Errors
    ///
    /// The store failed.
    fn levels(&self) -> Result<Vec<LimitLevel>, StoreError>;
}
