//! Users, memberships and the audit log in memory.

use mainstay_core::store::{
    AuditEntry, AuditStore, Group, Member, MemberStore, Role, StoreError, UnixMillis, User,
};
use serde_json::Value;

use super::{Memory, World, after};
use crate::{describe, model};

/// Entries of the audit log kept; the oldest go first.
const AUDIT_MAX: usize = 100_000;

impl World {
    /// Puts a change on record.
    pub(super) fn note_down(
        &mut self,
        who: &str,
        now: UnixMillis,
        verb: &str,
        subject: &str,
        before: Option<Value>,
        after: Option<Value>,
    ) {
        let id = self.audit.back().map_or(1, |last| last.id + 1);
        let text = |value: Option<Value>| value.map(|value| value.to_string());
        if self.audit.len() >= AUDIT_MAX {
            self.audit.pop_front();
        }
        self.audit.push_back(AuditEntry {
            id,
            at: now,
            who: who.to_owned(),
            verb: verb.to_owned(),
            subject: subject.to_owned(),
            before: text(before),
            after: text(after),
        });
    }

    pub(super) fn present(&self) -> Vec<Member> {
        after(&self.members, 0)
    }

    fn find_group(&self, wanted: &Group) -> Result<(Group, Box<str>), StoreError> {
        let (orgs, projects) = (after(&self.organizations, 0), after(&self.projects, 0));
        model::members::find_group(wanted, &orgs, &projects)
    }

    fn find_user(&self, wanted: &str) -> Result<User, StoreError> {
        model::members::find_user(self.users.iter().map(|(_, user)| user), wanted).cloned()
    }

    fn put_member(&mut self, member: &Member) {
        let epoch = self.tick();
        let same = |one: &Member| one.group == member.group && one.user == member.user;
        match self.members.iter_mut().find(|(_, one)| same(one)) {
            Some(place) => *place = (epoch, member.clone()),
            None => self.members.push((epoch, member.clone())),
        }
    }
}

impl MemberStore for Memory {
    fn create_user(&self, name: &str, now: UnixMillis) -> Result<User, StoreError> {
        let user =
            User { id: model::fresh_id("user-")?, name: model::name(name)?, created_at: now };
        let mut world = self.world();
        if world.users.iter().any(|(_, other)| other.name == user.name) {
            return Err(StoreError::Taken { what: "user", name: user.name.into() });
        }
        let epoch = world.tick();
        world.users.push((epoch, user.clone()));
        world.note_down(&self.who, now, "user.create", &user.id, None, Some(describe::user(&user)));
        Ok(user)
    }

    fn users(&self) -> Result<Vec<User>, StoreError> {
        Ok(after(&self.world().users, 0))
    }

    fn set_member(
        &self,
        group: &Group,
        user: &str,
        role: Role,
        now: UnixMillis,
    ) -> Result<Member, StoreError> {
        let mut world = self.world();
        let user = world.find_user(user)?;
        let (group, org) = world.find_group(group)?;
        let present = world.present();
        let before = present
            .iter()
            .find(|one| one.group == group && one.user == user.id && one.removed_at.is_none());
        let member = model::members::join(group, &org, &user, role, &present, now)?;
        world.put_member(&member);
        let (verb, before) =
            (model::members::verb(&member.group, true), before.map(describe::member));
        let after = Some(describe::member(&member));
        world.note_down(&self.who, now, verb, member.group.id(), before, after);
        Ok(member)
    }

    fn remove_member(
        &self,
        group: &Group,
        user: &str,
        now: UnixMillis,
    ) -> Result<Member, StoreError> {
        let mut world = self.world();
        let user = world.find_user(user)?;
        let (group, _) = world.find_group(group)?;
        let (present, projects) = (world.present(), after(&world.projects, 0));
        let ended = model::members::leave(&group, &user, &present, &projects, now)?;
        for member in &ended {
            world.put_member(member);
            let before = Member { removed_at: None, ..member.clone() };
            let (before, after) = (describe::member(&before), describe::member(member));
            let verb = model::members::verb(&member.group, false);
            world.note_down(&self.who, now, verb, member.group.id(), Some(before), Some(after));
        }
        ended.into_iter().next().ok_or_else(|| model::absent("member", &user.name))
    }

    fn members(&self, group: &Group) -> Result<Vec<Member>, StoreError> {
        let world = self.world();
        let (group, _) = world.find_group(group)?;
        let mut found = world.present();
        found.retain(|one| one.group == group && one.removed_at.is_none());
        found.sort_by(|a, b| a.user.cmp(&b.user));
        Ok(found)
    }
}

impl AuditStore for Memory {
    fn audit(&self, before: Option<u64>, most: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let world = self.world();
        let newest = world.audit.iter().rev();
        let older = newest.filter(|entry| before.is_none_or(|id| entry.id < id));
        Ok(older.take(most).cloned().collect())
    }
}
