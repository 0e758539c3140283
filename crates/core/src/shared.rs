//! What calls to the same target share, as one value that a shell keeps behind one lock.
//!
//! A lock is held for one method, never across a wait. The pacer is apart, because several targets
//! may share one (a group of keys or models under one limit).

use core::time::Duration;

use crate::dice::Dice;
use crate::policy::Policy;
use crate::rules::breaker::{self, Breaker, Change, Effect, Outcome, Pass, Word};
use crate::rules::latency::Latency;
use crate::rules::retry_budget::RetryBudget;
use crate::time::Moment;

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
    /// Who of those who wait for the circuit should look again; whoever keeps the state wakes them
    /// and clears it.
    pub circuit_wake: Wake,
}

/// Who of the calls that wait for a circuit should look at it again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wake {
    /// Nobody.
    #[default]
    Nobody,
    /// The [`Wake::FEW`] with the fewest attempts behind them, of these those that came first: one of
    /// them is the next probe. Thousands that look after each probe would keep the machine from all
    /// else; the others look by themselves, at [`Breaker::look_at`].
    Few,
    /// All: the circuit closed.
    Everybody,
}

impl Wake {
    /// How many are woken for one probe: so many that one of them still wants it.
    pub const FEW: usize = breaker::WOKEN as usize;
}

impl TargetState {
    /// A target that nothing is known about.
    pub fn new(policy: &Policy) -> TargetState {
        TargetState {
            breaker: Breaker::new(&policy.breaker),
            budget: RetryBudget::new(&policy.retry),
            first_content: Latency::default(),
            in_flight: 0,
            circuit_wake: Wake::Nobody,
        }
    }

    /// The 95th percentile of the time to the first content, once twenty are known.
    pub fn slow_start(&self) -> Option<Duration> {
        const SAMPLES_MIN: u32 = 20;
        self.first_content.quantile(0.95, SAMPLES_MIN)
    }

    /// Tells the circuit breaker how an attempt went, and notices when that concerns calls that
    /// wait for it: a probe that ends in any way frees its slot or changes the state.
    pub fn record(
        &mut self,
        pass: Pass,
        outcome: Outcome,
        dice: &mut Dice,
        now: Moment,
    ) -> Option<Change> {
        let probe = pass.is_probe();
        let change = self.breaker.record(pass, outcome, dice, now);
        let wake = match change {
            Some(Change::Closed) => Wake::Everybody,
            Some(Change::Opened { .. } | Change::Reopened { .. }) => Wake::Few,
            None if probe => Wake::Few,
            None => Wake::Nobody,
        };
        self.circuit_wake = self.circuit_wake.max(wake);
        change
    }

    /// Tells the circuit breaker what another gateway says; see [`Breaker::advise`].
    pub fn advise(&mut self, word: Word, dice: &mut Dice, now: Moment) -> Effect {
        let effect = self.breaker.advise(word, dice, now);
        let wake = match effect {
            Effect::Nothing => Wake::Nobody,
            Effect::Moved | Effect::ByWord => Wake::Few,
        };
        self.circuit_wake = self.circuit_wake.max(wake);
        effect
    }

    /// Tells it that it probes first; see [`Breaker::probe_first`].
    pub fn probe_first(&mut self, now: Moment) {
        if self.breaker.probe_first(now) {
            self.circuit_wake = self.circuit_wake.max(Wake::Few);
        }
    }
}
