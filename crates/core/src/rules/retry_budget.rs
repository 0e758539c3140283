//! Retry budget: retries of a target stay a small share of its work, however many calls fail.
//!
//! Backoff only moves load in time; under lasting overload with many callers only a budget keeps
//! retries from multiplying it. Two bounds hold together:
//!
//! * *tokens*: a bucket that starts full. A retry withdraws its cost, a retry that succeeds gives
//!   it back, a first attempt that succeeds adds one, a retry that fails is gone for good;
//! * *in flight*: retries under way are at most the larger of a floor and a share of the calls
//!   under way, because extra work that lasts a minute weighs more than one that lasts a second.
//!
//! An empty bucket ends the call's retries on this target. Too many in flight only means *not at
//! this instant*: the retry may ask again after its backoff.

use crate::policy::RetryPolicy;

/// Why a retry was not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The bucket does not hold the cost: no retry on this target.
    Spent,
    /// Too many retries are under way: ask again a little later.
    TooManyInFlight,
}

/// The retry budget of one target.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryBudget {
    capacity: u32,
    level: u32,
    calls: u32,
    retries: u32,
    denied: u64,
    in_flight_min: u32,
    in_flight_share: f64,
}

impl RetryBudget {
    /// A full budget.
    pub fn new(policy: &RetryPolicy) -> RetryBudget {
        RetryBudget {
            capacity: policy.budget_capacity,
            level: policy.budget_capacity,
            calls: 0,
            retries: 0,
            denied: 0,
            in_flight_min: policy.in_flight_min,
            in_flight_share: policy.in_flight_share,
        }
    }

    /// Takes `cost` out and counts one retry as under way. `false` changes nothing.
    pub fn withdraw(&mut self, cost: u32) -> bool {
        self.try_withdraw(cost).is_ok()
    }

    /// As [`RetryBudget::withdraw`], and says why not.
    ///
    /// # Errors
    ///
    /// [`Denied`]; nothing was changed.
    pub fn try_withdraw(&mut self, cost: u32) -> Result<(), Denied> {
        if self.level < cost {
            self.denied = self.denied.saturating_add(1);
            return Err(Denied::Spent);
        }
        if self.retries >= self.retries_max() {
            return Err(Denied::TooManyInFlight);
        }
        self.level -= cost;
        self.retries += 1;
        Ok(())
    }

    /// Ends one retry that was granted for `cost`; a success gives the cost back.
    pub fn finish(&mut self, cost: u32, success: bool) {
        self.retries = self.retries.saturating_sub(1);
        if success {
            self.level = self.level.saturating_add(cost).min(self.capacity);
        }
    }

    /// A call begins to use the target.
    pub fn start_call(&mut self) {
        self.calls = self.calls.saturating_add(1);
    }

    /// A call leaves the target; one whose first attempt succeeded earns one token.
    pub fn end_call(&mut self, first_attempt_success: bool) {
        self.calls = self.calls.saturating_sub(1);
        if first_attempt_success {
            self.level = self.level.saturating_add(1).min(self.capacity);
        }
    }

    /// Retries it denied because too little was left.
    pub fn denied(&self) -> u64 {
        self.denied
    }

    /// Tokens left.
    pub fn level(&self) -> u32 {
        self.level
    }

    /// Calls using the target.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// Retries under way.
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// Most retries that may be under way with the calls there are.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and takes NaN as zero"
    )]
    fn retries_max(&self) -> u32 {
        let share = (f64::from(self.calls) * self.in_flight_share) as u32;
        share.max(self.in_flight_min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn full() -> RetryBudget {
        RetryBudget::new(&RetryPolicy::default())
    }

    #[test]
    fn a_target_that_only_fails_gets_at_most_capacity_over_cost_retries() {
        let mut budget = full();
        let granted = (0..1000)
            .filter(|_| {
                let granted = budget.withdraw(14);
                if granted {
                    budget.finish(14, false);
                }
                granted
            })
            .count();
        assert_eq!(granted, 500 / 14);
        assert_eq!(budget.try_withdraw(14), Err(Denied::Spent));
        assert_eq!(budget.level(), 500 % 14);
    }

    #[test]
    fn a_retry_that_succeeds_costs_nothing() {
        let mut budget = full();
        for _ in 0..1000 {
            assert!(budget.withdraw(14));
            budget.finish(14, true);
        }
        assert_eq!(budget.level(), 500);
    }

    #[test]
    fn retries_in_flight_stay_below_a_floor_or_a_share_of_the_calls() {
        let mut budget = full();
        assert_eq!((0..9).filter(|_| budget.withdraw(1)).count(), 3, "the floor, without calls");
        for _ in 0..50 {
            budget.start_call();
        }
        assert_eq!((0..50).filter(|_| budget.withdraw(1)).count(), 7, "a fifth of fifty");
        assert_eq!(budget.try_withdraw(1), Err(Denied::TooManyInFlight));
        budget.finish(1, false);
        assert!(budget.withdraw(1));
    }

    proptest! {
        /// Beside a naive account: what was granted and never given back, against what was earned.
        #[test]
        fn the_level_is_what_went_in_less_what_went_out(
            moves in proptest::collection::vec((0u8..5, 1u32..20), 0..300),
        ) {
            let mut budget = full();
            let (mut level, mut calls, mut open) = (500u32, 0u32, Vec::new());
            for (what, cost) in moves {
                match what {
                    0 => { budget.start_call(); calls += 1; }
                    1 if calls > 0 => { budget.end_call(true); calls -= 1; level = (level + 1).min(500); }
                    2 => {
                        let share = calls / 5;
                        let fits = level >= cost && open.len() < share.max(3) as usize;
                        prop_assert_eq!(budget.withdraw(cost), fits);
                        if fits { level -= cost; open.push(cost); }
                    }
                    3 => if let Some(cost) = open.pop() { budget.finish(cost, false); },
                    4 => if let Some(cost) = open.pop() {
                        budget.finish(cost, true);
                        level = (level + cost).min(500);
                    },
                    _ => {}
                }
                prop_assert_eq!(budget.level(), level);
                prop_assert_eq!(budget.calls(), calls);
                prop_assert_eq!(budget.retries() as usize, open.len());
            }
        }
    }
}
