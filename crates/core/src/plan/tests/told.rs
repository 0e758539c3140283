//! Times that a target names, to a probe as to any other attempt, and what retries cost.

use super::*;
use crate::policy::{BreakerPolicy, OpenFor, PacerPolicy, RetryPolicy};

const SECOND: Duration = Duration::from_secs(1);

/// One failure opens a circuit for a second.
fn brittle() -> Policy {
    let open = OpenFor::Fixed(SECOND);
    Policy {
        breaker: BreakerPolicy { failures: 1, open, ..BreakerPolicy::default() },
        retry: RetryPolicy { patience: SECOND * 100, ..RetryPolicy::default() },
        ..Policy::default()
    }
}

fn away(wait: Option<Duration>) -> Verdict {
    verdict(Kind::ServiceUnavailable, true, wait)
}

#[test]
fn a_probe_that_is_told_a_time_is_not_followed_by_another_before_it() {
    let mut world = World::new(1, brittle());
    let mut plan = world.plan(facts(false));
    let first = world.started(&mut plan);
    world.fails(&mut plan, first.slot, away(None));
    let probe = world.started(&mut plan);
    assert_eq!(probe.role, Role::Probe);
    let told = world.now;
    world.fails(&mut plan, probe.slot, away(Some(SECOND * 20)));
    // Somebody else, who has heard nothing, waits as well.
    let mut other = world.plan(facts(false));
    let second = world.started(&mut other);
    assert_eq!(second.role, Role::Probe);
    assert!(world.now.since(told) >= SECOND * 20, "{:?}", world.now.since(told));
}

#[test]
fn a_failure_that_opens_the_circuit_keeps_it_open_as_long_as_it_named() {
    let mut world = World::new(1, brittle());
    let mut plan = world.plan(facts(false));
    let first = world.started(&mut plan);
    let told = world.now;
    world.fails(&mut plan, first.slot, away(Some(SECOND * 15)));
    let mut other = world.plan(facts(false));
    assert_eq!(world.started(&mut other).role, Role::Probe);
    assert!(world.now.since(told) >= SECOND * 15, "{:?}", world.now.since(told));
}

#[test]
fn an_absurd_time_keeps_a_circuit_open_for_its_longest_time_only() {
    let mut world = World::new(1, brittle());
    let mut plan = world.plan(facts(false));
    let first = world.started(&mut plan);
    let told = world.now;
    world.fails(&mut plan, first.slot, away(Some(SECOND * 86_400)));
    match world.next(&mut plan) {
        Step::Done(Ending::Failed(end)) => assert_eq!(end.retry_after, Some(SECOND * 86_400)),
        step => panic!("{step:?}"),
    }
    world.now = told + world.policy.breaker.open_max;
    let mut other = world.plan(facts(false));
    assert_eq!(world.started(&mut other).role, Role::Probe, "somebody looks whether it is true");
}

#[test]
fn coming_back_to_a_target_that_was_left_for_its_limit_is_a_retry_at_its_own_price() {
    let retry = RetryPolicy { attempts_max: 1, budget_throttled: 7, ..RetryPolicy::default() };
    let mut world = World::new(2, Policy { retry, ..Policy::default() });
    let mut plan = world.plan(facts(false));
    assert_eq!(world.started(&mut plan).track, 0);
    world.fails(&mut plan, 0, verdict(Kind::RateLimitRequests, true, None));
    let elsewhere = world.started(&mut plan);
    assert_eq!((elsewhere.track, elsewhere.role), (1, Role::Retry));
    let level = |world: &World, track: usize| world.cells[track].target(|t| t.budget.level());
    assert_eq!(level(&world, 1), 500, "a target that was not tried yet takes nothing");
    let mut elsewhere = verdict(Kind::PermissionDenied, false, None);
    elsewhere.failure.next = Next::OtherTarget;
    world.fails(&mut plan, 0, elsewhere);
    let back = world.started(&mut plan);
    assert_eq!((back.track, back.role), (0, Role::Retry));
    assert_eq!(level(&world, 0), 500 - 7);
}

/// A call may have brought its faults about itself. When others failed here too, it is not to
/// blame: it waits for the circuit as they do.
#[test]
fn a_call_whose_target_fails_others_as_well_waits_for_the_circuit() {
    for others in [0, 4] {
        let breaker = BreakerPolicy { failures: 3 + others, ..BreakerPolicy::default() };
        let mut world = World::new(1, Policy { breaker, ..Policy::default() });
        for _ in 0..others {
            let mut other = world.plan(facts(false));
            world.started(&mut other);
            world.fails(&mut other, 0, verdict(Kind::InternalError, true, None));
            other.abandon(world.now);
        }
        let mut plan = world.plan(facts(false));
        for _ in 0..3 {
            world.started(&mut plan);
            world.fails(&mut plan, 0, verdict(Kind::InternalError, true, None));
        }
        assert_eq!(world.cells[0].target(|t| t.breaker.state()), State::Open);
        let waits = matches!(world.next(&mut plan), Step::Start(Start { role: Role::Probe, .. }));
        assert_eq!(waits, others > 0, "{others} failures of others");
    }
}

#[test]
fn a_time_named_to_an_attempt_beside_another_is_kept() {
    let hedge = crate::policy::HedgePolicy { enabled: true, delay: Some(SECOND) };
    let mut world = World::new(2, Policy { hedge, ..Policy::default() });
    let mut plan = world.plan(facts(true));
    world.started(&mut plan);
    let beside = world.started(&mut plan);
    assert_eq!((beside.role, beside.track), (Role::Beside, 1));
    let told = world.now;
    world.fails(&mut plan, beside.slot, away(Some(SECOND * 18)));
    world.fails(&mut plan, 0, away(None));
    for _ in 0..3 {
        let next = world.started(&mut plan);
        let early = next.track == 1 && world.now.since(told) < SECOND * 18;
        assert!(!early, "asked {:?} after it was told 18 s", world.now.since(told));
        world.fails(&mut plan, next.slot, away(None));
    }
}

/// With the pacer off nothing queues, and a refusal by a rate limit is an attempt like any other.
#[test]
fn without_a_pacer_a_rate_limit_is_waited_out_by_backoff_and_counts() {
    let pacer = PacerPolicy { enabled: false };
    let mut world = World::new(1, Policy { pacer, ..Policy::default() });
    let mut plan = world.plan(facts(false));
    world.started(&mut plan);
    let asked = Duration::from_millis(2500);
    for (retry, hint) in [None, Some(asked), None, None, None].into_iter().enumerate() {
        let before = world.now;
        world.fails(&mut plan, 0, verdict(Kind::RateLimitRequests, true, hint));
        let start = world.started(&mut plan);
        let waited = world.now.since(before);
        let base = Duration::from_secs(1 << retry);
        assert_eq!((start.role, plan.sent()), (Role::Retry, 2 + u32::try_from(retry).unwrap()));
        let (least, most) = ((base / 2).max(hint.unwrap_or_default()), base.max(asked));
        assert!(least <= waited && waited <= most, "{retry}: {waited:?}");
    }
    world.fails(&mut plan, 0, verdict(Kind::RateLimitRequests, true, None));
    match world.next(&mut plan) {
        Step::Done(Ending::Failed(end)) => assert_eq!(end.why, Why::AttemptsUsed { max: 6 }),
        step => panic!("{step:?}"),
    }
    assert_eq!(world.held(), 0);
}

#[test]
fn without_a_pacer_a_thousand_first_calls_go_at_once() {
    let pacer = PacerPolicy { enabled: false };
    let mut world = World::new(1, Policy { pacer, ..Policy::default() });
    let begun = world.now;
    let mut plans: Vec<_> = (0..1000).map(|_| world.plan(facts(false))).collect();
    for plan in &mut plans {
        world.started(plan);
    }
    assert_eq!((world.now, world.held()), (begun, 2000));
}

/// A conflict that may pass is no failure of the target, so it neither opens nor closes the circuit.
#[test]
fn probes_that_show_nothing_of_the_target_are_attempts_with_backoff() {
    let mut world = World::new(1, brittle());
    let mut plan = world.plan(facts(false));
    let first = world.started(&mut plan);
    world.fails(&mut plan, first.slot, away(None));
    let begun = world.now;
    for probes in 0..10 {
        match world.next(&mut plan) {
            Step::Start(start) => {
                assert_eq!(start.role, Role::Probe);
                world.fails(&mut plan, start.slot, verdict(Kind::Conflict, true, None));
            }
            Step::Done(Ending::Failed(end)) => {
                assert_eq!((end.why, probes), (Why::AttemptsUsed { max: 6 }, 5));
                assert!(world.now.since(begun) > SECOND, "the circuit, and no backoff");
                return;
            }
            step => panic!("{step:?}"),
        }
    }
    panic!("probes without end");
}
