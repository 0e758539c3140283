//! Who is a member of what, as a running gateway reads it on each call.

use std::collections::HashMap;
use std::sync::Arc;

use mainstay_core::store::{Group, KeyRecord, Member, Role, role_in};

use super::KeySnapshot;

/// The memberships of each user, by user's id. Those that are over are not in it.
pub(super) type Memberships = Arc<HashMap<Box<str>, Vec<(Group, Role)>>>;

/// On whose behalf a key is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A service key: nobody's.
    Service,
    /// A member's, with this role in the key's project.
    Member(Role),
    /// Somebody's who is not, or no longer, a member of the key's project.
    Outsider,
}

impl KeySnapshot {
    /// On whose behalf this key is used.
    pub fn standing(&self, key: &KeyRecord) -> Standing {
        let Some(user) = &key.user else { return Standing::Service };
        let his = self.memberships.get(user).map(Vec::as_slice).unwrap_or_default();
        role_in(his, &key.org, &key.project).map_or(Standing::Outsider, Standing::Member)
    }
}

/// Takes changes over.
pub(super) fn apply(to: &mut Memberships, changes: Vec<Member>) {
    if changes.is_empty() {
        return;
    }
    let all = Arc::make_mut(to);
    for member in changes {
        let his = all.entry(member.user).or_default();
        his.retain(|(group, _)| *group != member.group);
        if member.removed_at.is_none() {
            his.push((member.group, member.role));
        }
    }
}
