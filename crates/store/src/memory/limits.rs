//! Limits in memory.

use mainstay_core::store::{
    LimitPatch, LimitRecord, LimitStore, Organization, Project, StoreError, Subject, TierLimit,
};

use super::{Memory, World, after};
use crate::model::limits::{self, Rows};

impl Rows for World {
    type Error = StoreError;

    fn of(&self, subject: &Subject) -> Result<Vec<LimitRecord>, StoreError> {
        let rows = self.limits.iter().filter(|(_, row)| row.subject == *subject);
        Ok(rows.map(|(_, row)| row.clone()).collect())
    }

    fn put(&mut self, record: LimitRecord) -> Result<LimitRecord, StoreError> {
        let epoch = self.tick();
        let place = usize::try_from(record.id).ok().and_then(|id| id.checked_sub(1));
        if let Some(slot) = place.and_then(|place| self.limits.get_mut(place)) {
            *slot = (epoch, record.clone());
            return Ok(record);
        }
        let record = LimitRecord { id: self.limits.len() as u64 + 1, ..record };
        self.limits.push((epoch, record.clone()));
        Ok(record)
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
    ) -> Result<LimitRecord, StoreError> {
        let mut world = self.world();
        let subject = world.subject(subject)?;
        limits::set(&mut *world, &subject, model, patch)
    }

    fn remove_limit(
        &self,
        subject: &Subject,
        model: Option<&str>,
    ) -> Result<LimitRecord, StoreError> {
        let mut world = self.world();
        let subject = world.subject(subject)?;
        limits::remove(&mut *world, &subject, model)
    }

    fn set_tier(
        &self,
        subject: &Subject,
        tier: &str,
        tier_limits: &[TierLimit],
    ) -> Result<Vec<LimitRecord>, StoreError> {
        let mut world = self.world();
        let subject = world.subject(subject)?;
        limits::set_tier(&mut *world, &subject, tier, tier_limits)
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
}
