//! Every key, in memory: what a running gateway reads on each call.
//!
//! A snapshot does not change; [`KeySnapshot::apply`] gives the next one. Few changes to many keys
//! cost little: they lie over a shared base until they are an eighth of it.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};
use mainstay_core::keys::{KeyShape, PublicPart, check};
use mainstay_core::store::{Changes, KeyRecord, KeyState, Organization, Project, UnixMillis};

use crate::secrets::{digest, same_digest};

mod members;

use members::Memberships;
pub use members::Standing;

/// Every key, organization and project as of an epoch. Ids and public parts of keys are made here, so
/// that nobody outside can put many that hash alike into a table; he may only look for them.
#[derive(Clone, Debug, Default)]
pub struct KeySnapshot {
    epoch: u64,
    base: Arc<HashMap<PublicPart, Arc<KeyRecord>>>,
    recent: HashMap<PublicPart, Arc<KeyRecord>>,
    /// Which key each successor took the place of.
    before: Arc<HashMap<PublicPart, PublicPart>>,
    memberships: Memberships,
    organizations: Arc<HashMap<Box<str>, Organization>>,
    projects: Arc<HashMap<Box<str>, Project>>,
}

/// What a bearer string is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict<'s> {
    /// Not a key of ours, and nothing like one.
    NotOurs,
    /// A mistyped key of ours.
    Typo,
    /// Written as one of ours, but there is no such key, or its secret is another.
    Unknown,
    /// A key of ours, and what it is good for.
    Known {
        /// Its record, shared: a call keeps it for as long as it runs.
        key: &'s Arc<KeyRecord>,
        /// Its state; only a usable one lets a call in.
        state: KeyState,
    },
}

impl KeySnapshot {
    /// The epoch it shows.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many keys there are, revoked ones included.
    pub fn len(&self) -> usize {
        let fresh = self.recent.keys().filter(|public| !self.base.contains_key(public)).count();
        self.base.len() + fresh
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.base.is_empty() && self.recent.is_empty()
    }

    /// A key's record.
    pub fn find(&self, public: &PublicPart) -> Option<&KeyRecord> {
        self.shared(public).map(Arc::as_ref)
    }

    fn shared(&self, public: &PublicPart) -> Option<&Arc<KeyRecord>> {
        self.recent.get(public).or_else(|| self.base.get(public))
    }

    /// A key and those it took the place of, the newest first: what holds for one of them holds for
    /// it. At most 64.
    pub fn lineage(&self, public: PublicPart) -> impl Iterator<Item = PublicPart> {
        std::iter::successors(Some(public), |key| self.before.get(key).copied()).take(64)
    }

    /// An organization by its id.
    pub fn organization(&self, id: &str) -> Option<&Organization> {
        self.organizations.get(id)
    }

    /// A project by its id.
    pub fn project(&self, id: &str) -> Option<&Project> {
        self.projects.get(id)
    }

    /// Says what a bearer string is worth at `now`. Takes any bytes of any length.
    pub fn verify(&self, bearer: &[u8], now: UnixMillis) -> Verdict<'_> {
        let (public, secret) = match check(bearer) {
            KeyShape::NotOurs => return Verdict::NotOurs,
            KeyShape::Typo => return Verdict::Typo,
            KeyShape::WellFormed { public, secret } => (public, secret),
        };
        match self.shared(&public) {
            Some(key) if same_digest(&key.digest, &digest(secret.as_bytes())) => {
                Verdict::Known { key, state: key.state(now) }
            }
            Some(_) | None => Verdict::Unknown,
        }
    }

    /// The snapshot after these changes.
    #[must_use]
    pub fn apply(&self, changes: Changes) -> KeySnapshot {
        let mut next = self.clone();
        next.epoch = changes.epoch;
        let followed = |key: &KeyRecord| Some((key.rotated?.successor, key.public));
        if changes.keys.iter().any(|key| key.rotated.is_some()) {
            Arc::make_mut(&mut next.before).extend(changes.keys.iter().filter_map(followed));
        }
        next.recent.extend(changes.keys.into_iter().map(|key| (key.public, Arc::new(key))));
        if next.recent.len() > next.base.len() / 8 {
            let mut base = if next.base.is_empty() { HashMap::new() } else { (*next.base).clone() };
            base.extend(next.recent.drain());
            base.shrink_to_fit();
            next.base = Arc::new(base);
            next.recent = HashMap::new();
        }
        members::apply(&mut next.memberships, changes.members);
        if !changes.organizations.is_empty() {
            let added = changes.organizations.into_iter().map(|org| (org.id.clone(), org));
            Arc::make_mut(&mut next.organizations).extend(added);
        }
        if !changes.projects.is_empty() {
            let added = changes.projects.into_iter().map(|project| (project.id.clone(), project));
            Arc::make_mut(&mut next.projects).extend(added);
        }
        next
    }
}

#[cfg(test)]
mod tests;
