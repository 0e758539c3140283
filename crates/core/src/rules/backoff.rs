//! Backoff: how long a retry waits when nobody said for how long.
//!
//! ```text
//!   transient   U(0, d)           d = min(cap, base × 2^(retry−1))      full jitter
//!   throttled   d/2 + U(0, d/2)                                         equal jitter
//! ```
//!
//! The cap comes before the jitter, so that late retries stay spread out. A throttled call keeps a
//! floor, because a low draw of full jitter would hit the same limit again at once.
//!
//! Not this file's business: whether a retry may be made (`retry_budget`, the plan), and waits
//! that a server asked for (`hints`, the pacer).

use crate::dice::Dice;
use crate::policy::RetryPolicy;
use core::time::Duration;

/// The wait before a retry after a transient failure: between 0 and the doubled base, capped.
/// `retry` is 1 before the second attempt; 0 counts as 1.
pub fn transient(policy: &RetryPolicy, retry: u32, dice: &mut Dice) -> Duration {
    below(ceiling(policy.transient_base, policy.transient_cap, retry), dice)
}

/// The wait before a retry after a throttled attempt without a hint: between half of the doubled
/// base, capped, and all of it. `retry` is 1 before the second attempt; 0 counts as 1.
pub fn throttled(policy: &RetryPolicy, retry: u32, dice: &mut Dice) -> Duration {
    let all = ceiling(policy.throttled_base, policy.throttled_cap, retry);
    let half = all / 2;
    half + below(all.saturating_sub(half), dice)
}

/// `min(cap, base × 2^(retry−1))`.
fn ceiling(base: Duration, cap: Duration, retry: u32) -> Duration {
    let doublings = retry.saturating_sub(1).min(31);
    base.saturating_mul(1 << doublings).min(cap)
}

/// A length between zero and `most`, both possible.
fn below(most: Duration, dice: &mut Dice) -> Duration {
    let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(dice.below(nanos.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn ceilings_double_from_the_base_and_stop_at_the_cap() {
        let policy = RetryPolicy::default();
        let transient: Vec<Duration> = (1..=9)
            .map(|retry| ceiling(policy.transient_base, policy.transient_cap, retry))
            .collect();
        let want = [100, 200, 400, 800, 1600, 3200, 6400, 8000, 8000].map(ms);
        assert_eq!(transient, want);
        let throttled: Vec<Duration> = (1..=8)
            .map(|retry| ceiling(policy.throttled_base, policy.throttled_cap, retry))
            .collect();
        assert_eq!(throttled, [1, 2, 4, 8, 16, 32, 60, 60].map(|s| ms(s * 1000)));
    }

    #[test]
    fn waits_fill_their_whole_range_evenly() {
        let (policy, mut dice) = (RetryPolicy::default(), Dice::new(3));
        let (mut full, mut equal) = ([0u32; 4], [0u32; 4]);
        for _ in 0..40_000 {
            let wait = transient(&policy, 2, &mut dice).as_nanos();
            full[usize::try_from(wait * 4 / 200_000_001).unwrap()] += 1;
            let wait = throttled(&policy, 1, &mut dice).as_nanos() - 500_000_000;
            equal[usize::try_from(wait * 4 / 500_000_001).unwrap()] += 1;
        }
        for quarter in full.into_iter().chain(equal) {
            assert!((9_500..10_500).contains(&quarter), "{full:?} {equal:?}");
        }
    }

    proptest! {
        #[test]
        fn every_wait_keeps_to_its_definition(
            base in 0u64..100_000, cap in 0u64..200_000, retry in any::<u32>(), seed in any::<u64>(),
        ) {
            let policy = RetryPolicy {
                transient_base: ms(base), transient_cap: ms(cap),
                throttled_base: ms(base), throttled_cap: ms(cap),
                ..RetryPolicy::default()
            };
            let most = ms(u64::try_from(
                (u128::from(base) << retry.saturating_sub(1).min(64)).min(u128::from(cap)),
            ).unwrap());
            let mut dice = Dice::new(seed);
            prop_assert!(transient(&policy, retry, &mut dice) <= most);
            let wait = throttled(&policy, retry, &mut dice);
            prop_assert!(most / 2 <= wait && wait <= most);
        }
    }
}
