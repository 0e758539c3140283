//! Budgets and usage in memory. There is no ledger here, so nothing is ever spent.

use mainstay_core::money::Usd;
use mainstay_core::money::budget::{Alert, Every, Owner};
use mainstay_core::store::{
    ALERTS_MAX, BudgetAlert, BudgetOf, BudgetRecord, BudgetStore, KeyRecord, NewBudget, StoreError,
    UnixMillis, UsageRow, UsageStore, public_of_id,
};

use super::{Memory, World, after};
use crate::{describe, model};

impl World {
    fn owner(&self, of: &BudgetOf) -> Result<(Box<str>, Owner), StoreError> {
        match of {
            BudgetOf::Organization(wanted) => {
                let mut all = self.organizations.iter().map(|(_, org)| org);
                let org = all.find(|org| *org.id == **wanted || *org.name == **wanted);
                let org = org.ok_or_else(|| model::absent("organization", wanted))?;
                Ok((org.id.clone(), Owner::Organization))
            }
            BudgetOf::Project(wanted) => {
                let all = self.projects.iter().map(|(_, project)| project);
                let project = model::find_project(all, Some(wanted))?;
                Ok((project.org.clone(), Owner::Project(project.id.clone())))
            }
            BudgetOf::Key(wanted) => {
                let public = public_of_id(wanted).ok_or_else(|| model::absent("key", wanted))?;
                let key = &self.keys[self.place(public)?].1;
                Ok((key.org.clone(), Owner::Key(key.id().into())))
            }
        }
    }

    pub(super) fn budgets_of(&self, org: &str, owner: &Owner) -> Vec<BudgetRecord> {
        let all = self.budgets.iter().map(|(_, budget)| budget);
        all.filter(|one| !one.removed && *one.org == *org && one.owner == *owner).cloned().collect()
    }

    fn named_budget(
        &self,
        of: &BudgetOf,
        every: Option<Every>,
    ) -> Result<BudgetRecord, StoreError> {
        let (org, owner) = self.owner(of)?;
        let found = model::one_budget(self.budgets_of(&org, &owner), every)?;
        found.ok_or_else(|| model::no_budget(of, every))
    }

    pub(super) fn put_budget(&mut self, record: BudgetRecord) -> BudgetRecord {
        let epoch = self.tick();
        self.budgets.retain(|(_, one)| one.id != record.id);
        self.budgets.push((epoch, record.clone()));
        record
    }

    /// Gives a key's successor budgets like its own.
    pub(super) fn copy_budgets(&mut self, old: &str, new: &KeyRecord, now: UnixMillis) {
        for budget in self.budgets_of(&new.org, &Owner::Key(old.into())) {
            let (id, owner) = (self.budgets.len() as u64 + 1, Owner::Key(new.id().into()));
            let (since, created_at) = (now, now);
            self.put_budget(BudgetRecord { id, owner, since, created_at, ..budget });
        }
    }

    /// Puts a change of a budget on record, under its owner's id.
    fn note_budget(
        &mut self,
        who: &str,
        now: UnixMillis,
        verb: &str,
        old: Option<&BudgetRecord>,
        new: &BudgetRecord,
    ) {
        let owner = match &new.owner {
            Owner::Organization => &new.org,
            Owner::Project(id) | Owner::Key(id) => id,
        };
        let (before, after) = (old.and_then(describe::budget), describe::budget(new));
        self.note_down(who, now, verb, owner, before, after);
    }
}

impl BudgetStore for Memory {
    fn set_budget(&self, new: NewBudget, now: UnixMillis) -> Result<BudgetRecord, StoreError> {
        model::check_budget(&new)?;
        let mut world = self.world();
        let (org, owner) = world.owner(&new.of)?;
        let old = model::one_budget(world.budgets_of(&org, &owner), Some(new.every))?;
        let next = world.budgets.len() as u64 + 1;
        let (id, since) = old.as_ref().map_or((next, now), |old| (old.id, old.since));
        let created_at = old.as_ref().map_or(now, |old| old.created_at);
        let NewBudget { of: _, amount, every, zone, hard, alerts } = new;
        let set = world.put_budget(BudgetRecord {
            id,
            org,
            owner,
            amount,
            credits: Usd::ZERO,
            every,
            zone: zone.into(),
            hard,
            alerts: alerts.into(),
            since,
            baseline: Usd::ZERO,
            created_at,
            removed: false,
        });
        world.note_budget(&self.who, now, "budget.set", old.as_ref(), &set);
        Ok(set)
    }

    fn raise_budget(
        &self,
        of: &BudgetOf,
        every: Option<Every>,
        by: Usd,
        now: UnixMillis,
    ) -> Result<BudgetRecord, StoreError> {
        let mut world = self.world();
        let old = world.named_budget(of, every)?;
        let raised = world.put_budget(model::raised(old.clone(), by)?);
        world.note_budget(&self.who, now, "budget.raise", Some(&old), &raised);
        Ok(raised)
    }

    fn remove_budget(
        &self,
        of: &BudgetOf,
        every: Option<Every>,
        now: UnixMillis,
    ) -> Result<BudgetRecord, StoreError> {
        let mut world = self.world();
        let old = world.named_budget(of, every)?;
        let removed = world.put_budget(BudgetRecord { removed: true, ..old.clone() });
        world.note_budget(&self.who, now, "budget.remove", Some(&old), &removed);
        Ok(removed)
    }

    fn budget_owner(&self, of: &BudgetOf) -> Result<(Box<str>, Owner), StoreError> {
        self.world().owner(of)
    }

    fn budgets_since(&self, epoch: u64) -> Result<Vec<BudgetRecord>, StoreError> {
        Ok(after(&self.world().budgets, epoch))
    }

    fn raise_alert(
        &self,
        org: &str,
        alert: &Alert,
        now: UnixMillis,
    ) -> Result<Option<BudgetAlert>, StoreError> {
        let mut world = self.world();
        let same = |one: &&BudgetAlert| {
            let (a, b) = (&one.alert, alert);
            (a.rule, a.since, a.percent, a.limit) == (b.rule, b.since, b.percent, b.limit)
        };
        if world.alerts.iter().any(|one| same(&one)) {
            return Ok(None);
        }
        let id = world.alerts.back().map_or(1, |last| last.id + 1);
        if world.alerts.len() >= ALERTS_MAX {
            world.alerts.pop_front();
        }
        let raised = BudgetAlert { id, at: now, org: org.into(), alert: alert.clone() };
        world.alerts.push_back(raised.clone());
        Ok(Some(raised))
    }

    fn alerts(&self, after: u64, most: usize) -> Result<Vec<BudgetAlert>, StoreError> {
        let world = self.world();
        Ok(world.alerts.iter().filter(|one| one.id > after).take(most).cloned().collect())
    }
}

impl UsageStore for Memory {
    fn usage(
        &self,
        _from: UnixMillis,
        _to: Option<UnixMillis>,
        _each: &mut dyn FnMut(UsageRow),
    ) -> Result<(), StoreError> {
        Ok(())
    }
}
