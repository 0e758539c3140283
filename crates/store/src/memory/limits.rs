//! Limits in memory.

use mainstay_core::store::{
    LimitLevel, LimitPatch, LimitRecord, LimitStore, Organization, Project, StoreError, Subject,
    TierLimit, UnixMillis,
};

use super::{Memory, World, after};
use crate::describe;
use crate::model::limits::{self, Rows};

/// The rows, and who changes them when.
pub(super) struct Table<'w> {
    pub(super) world: &'w mut World,
    pub(super) who: &'w str,
    pub(super) now: UnixMillis,
}

impl Rows for Table<'_> {
    type Error = StoreError;

    fn of(&self, subject: &Subject) -> Result<Vec<LimitRecord>, StoreError> {
        let rows = self.world.limits.iter().filter(|(_, row)| row.subject == *subject);
        Ok(rows.map(|(_, row)| row.clone()).collect())
    }

    fn put(&mut self, record: LimitRecord) -> Result<LimitRecord, StoreError> {
        let epoch = self.world.tick();
        let place = usize::try_from(record.id).ok().and_then(|id| id.checked_sub(1));
        if let Some(slot) = place.and_then(|place| self.world.limits.get_mut(place)) {
            *slot = (epoch, record.clone());
            return Ok(record);
        }
        let record = LimitRecord { id: self.world.limits.len() as u64 + 1, ..record };
        self.world.limits.push((epoch, record.clone()));
        Ok(record)
    }

    fn note(&mut self, verb: &str, old: &LimitRecord, new: &LimitRecord) -> Result<(), StoreError> {
        let (before, after) = (describe::limit(old), describe::limit(new));
        self.world.note_down(self.who, self.now, verb, &new.subject.id(), before, after);
        Ok(())
    }
}

impl World {
    fn subject(&self, subject: &Subject) -> Result<Subject, StoreError> {
        if let Subject::Key(public) = subject {
            self.place(*public)?;
        }
        let organizations: Vec<Organization> = after(&self.organizations, 0);
        let projects: Vec<Project> = after(&self.projects, 0);
        limits::resolve(subject, &organizations, &projects)
    }
}

impl LimitStore for Memory {
    fn set_limit(
        &self,
        subject: &Subject,
        model: Option<&str>,
        patch: &LimitPatch,
        now: UnixMillis,
    ) -> Result<LimitRecord, StoreError> {
        let mut world = self.world();
        let subject = world.subject(subject)?;
        let mut table = Table { world: &mut world, who: &self.who, now };
        limits::set(&mut table, &subject, model, patch)
    }

    fn remove_limit(
        &self,
        subject: &Subject,
        model: Option<&str>,
        now: UnixMillis,
    ) -> Result<LimitRecord, StoreError> {
        let mut world = self.world();
        let subject = world.subject(subject)?;
        let mut table = Table { world: &mut world, who: &self.who, now };
        limits::remove(&mut table, &subject, model)
    }

    fn set_tier(
        &self,
        subject: &Subject,
        tier: &str,
        tier_limits: &[TierLimit],
        now: UnixMillis,
    ) -> Result<Vec<LimitRecord>, StoreError> {
        let mut world = self.world();
        let subject = world.subject(subject)?;
        let mut table = Table { world: &mut world, who: &self.who, now };
        limits::set_tier(&mut table, &subject, tier, tier_limits)
    }

    fn limits(&self) -> Result<Vec<LimitRecord>, StoreError> {
        let mut all = after(&self.world().limits, 0);
        all.retain(|limit| !limit.spec.is_empty());
        Ok(all)
    }

    fn limits_since(&self, epoch: u64) -> Result<(u64, Vec<LimitRecord>), StoreError> {
        let world = self.world();
        Ok((world.epoch, after(&world.limits, epoch)))
    }

    fn put_levels(&self, levels: &[LimitLevel], now: UnixMillis) -> Result<(), StoreError> {
        let mut world = self.world();
        world.levels.extend(levels.iter().map(|level| (level.id, *level)));
        world.levels.retain(|_, level| !limits::is_over(level, now));
        Ok(())
    }

    fn levels(&self) -> Result<Vec<LimitLevel>, StoreError> {
        Ok(self.world().levels.values().copied().collect())
    }
}
