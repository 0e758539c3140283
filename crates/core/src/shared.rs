//! What calls to the same target share, as one value that a shell keeps behind one lock.
//!
//! A lock is held for one method, never across a wait. The pacer is apart, because several targets
//! may share one (a group of keys or models under one limit).

use crate::policy::Policy;
use crate::rules::breaker::Breaker;
use crate::rules::latency::Latency;
use crate::rules::retry_budget::RetryBudget;

/// Health, retry budget and speed of one target: a provider, a model and a credential.
#[derive(Clone, Debug)]
pub struct TargetState {
    /// Circuit breaker.
    pub breaker: Breaker,
    /// Retry budget.
    pub budget: RetryBudget,
    /// Time to the first content of successes.
    pub first_content: Latency,
    /// Attempts under way.
    pub in_flight: u32,
}

impl TargetState {
    /// A target that nothing is known about.
    pub fn new(policy: &Policy) -> TargetState {
        TargetState {
            breaker: Breaker::new(&policy.breaker),
            budget: RetryBudget::new(&policy.retry),
            first_content: Latency::default(),
            in_flight: 0,
        }
    }
}
