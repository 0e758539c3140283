//! Budgets as a store remembers them.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::{StoreError, UnixMillis};
use crate::money::Usd;
use crate::rules::budget::{Alert, Every, Owner, Rule};

/// A budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetRecord {
    /// Its number.
    pub id: u64,
    /// The organization it belongs to, or whose project or key it limits.
    pub org: Box<str>,
    /// Whose it is.
    pub owner: Owner,
    /// What may be spent in a period.
    pub amount: Usd,
    /// What was added by raising it, for good.
    pub credits: Usd,
    /// How often it begins anew.
    pub every: Every,
    /// The time zone of its days, as the IANA names it.
    pub zone: Box<str>,
    /// Whether it refuses; a soft one only tells.
    pub hard: bool,
    /// Percentages of the limit to tell about, ascending, 1 to 100.
    pub alerts: Box<[u8]>,
    /// From when on a budget without periods counts, to the quarter of an hour.
    pub since: UnixMillis,
    /// What had been spent since then when it was made, and does not count.
    pub baseline: Usd,
    /// When it was made.
    pub created_at: UnixMillis,
    /// It was taken away.
    pub removed: bool,
}

impl BudgetRecord {
    /// The limit of a period; what does not fit counts as the largest amount.
    pub fn limit(&self) -> Usd {
        self.amount.plus(self.credits).map_or(Usd::MAX, |sum| sum.min(Usd::MAX))
    }

    /// The rule it stands for.
    pub fn rule(&self) -> Rule {
        Rule {
            id: self.id,
            owner: self.owner.clone(),
            limit: self.limit(),
            hard: self.hard,
            every: self.every,
            zone: self.zone.clone(),
            since: self.since,
            alerts: self.alerts.clone(),
        }
    }
}

/// What a budget is to be. One owner has at most one budget for each kind of period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBudget {
    /// Whose: an organization, project or key, by id or name.
    pub of: BudgetOf,
    /// What may be spent in a period.
    pub amount: Usd,
    /// How often it begins anew.
    pub every: Every,
    /// The time zone of its days; its name was checked.
    pub zone: String,
    /// Whether it refuses.
    pub hard: bool,
    /// Percentages to tell about.
    pub alerts: Vec<u8>,
}

/// Whose budget is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BudgetOf {
    /// An organization, by id or name.
    Organization(String),
    /// A project, by id or name.
    Project(String),
    /// A key, by id.
    Key(String),
}

/// A budget has passed one of its percentages: told once for each period, percentage and limit,
/// whatever restarts come between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetAlert {
    /// Its number, ascending: whoever tells of alerts goes on from the last one he told of.
    pub id: u64,
    /// When it was noticed.
    pub at: UnixMillis,
    /// The organization's id.
    pub org: Box<str>,
    /// What was passed.
    pub alert: Alert,
}

/// Most alerts that are kept; older ones are forgotten.
pub const ALERTS_MAX: usize = 100_000;

/// Where budgets are remembered. Every change raises the store's epoch and is put on record.
pub trait BudgetStore {
    /// Sets a budget, over the one of the same owner and kind of period if there is one: what is
    /// spent stays spent, credits are gone.
    fn set_budget(&self, new: NewBudget, now: UnixMillis) -> Result<BudgetRecord, StoreError>;
    /// Adds credit to a budget.
    fn raise_budget(
        &self,
        of: &BudgetOf,
        every: Option<Every>,
        by: Usd,
        now: UnixMillis,
    ) -> Result<BudgetRecord, StoreError>;
    /// Takes a budget away.
    fn remove_budget(
        &self,
        of: &BudgetOf,
        every: Option<Every>,
        now: UnixMillis,
    ) -> Result<BudgetRecord, StoreError>;
    /// Who is meant: the organization's id and the owner within it.
    fn budget_owner(&self, of: &BudgetOf) -> Result<(Box<str>, Owner), StoreError>;
    /// Budgets that changed after `epoch`, removed ones among them; 0 gives all.
    fn budgets_since(&self, epoch: u64) -> Result<Vec<BudgetRecord>, StoreError>;
    /// Puts an alert on record, unless it is there: the record when it is new. The newest
    /// [`ALERTS_MAX`] are kept. Raises no epoch.
    fn raise_alert(
        &self,
        org: &str,
        alert: &Alert,
        now: UnixMillis,
    ) -> Result<Option<BudgetAlert>, StoreError>;
    /// Alerts with a higher number than `after`, oldest first, at most `most`.
    fn alerts(&self, after: u64, most: usize) -> Result<Vec<BudgetAlert>, StoreError>;
}
