//! Calls that wait for a circuit: who is woken, and until when the others wait.

use super::*;
use crate::rules::breaker::{Outcome, WOKEN};
use crate::shared::Wake;

fn open(world: &World) {
    let now = world.now;
    world.cells[0].target(|t| {
        for _ in 0..5 {
            let pass = t.breaker.acquire(0, now).expect("closed");
            let failed = Outcome::Failure { timed_out: false, asked: None };
            t.record(pass, failed, &mut Dice::new(1), now);
        }
    });
}

fn waits(world: &World, plan: &mut Plan<Cell>) -> Moment {
    match plan.step(world.now) {
        Step::Wait { until, on: On::Circuit { track: 0, attempts: 0 } } => until,
        step => panic!("waits for no circuit: {step:?}"),
    }
}

fn woken(world: &World) -> Wake {
    world.cells[0].target(|t| core::mem::take(&mut t.circuit_wake))
}

#[test]
fn a_probe_that_failed_wakes_a_few_who_probe_when_the_circuit_is_ready_again() {
    let mut world = World::new(1, Policy::default());
    open(&world);
    let mut probe = world.plan(facts(false));
    let [mut next, mut other] = [(); 2].map(|()| world.plan(facts(false)));
    let ready = waits(&world, &mut probe);
    waits(&world, &mut next);
    waits(&world, &mut other);
    world.now = ready;
    let start = world.started(&mut probe);
    assert_eq!(start.role, Role::Probe);
    let lease = waits(&world, &mut next);
    assert!(lease.since(world.now) >= Duration::from_secs(10), "{lease:?}");
    woken(&world);
    world.fails(&mut probe, start.slot, verdict(Kind::ServiceUnavailable, true, None));
    assert_eq!(woken(&world), Wake::Few, "not everybody for one place");
    let ready = waits(&world, &mut next);
    assert!(ready.since(world.now) <= Duration::from_secs(1), "{ready:?}, and not its lease");
    world.now = ready;
    let start = world.started(&mut other);
    woken(&world);
    other.saw(Seen::Finished { slot: start.slot, tokens: None }, world.now);
    assert_eq!(woken(&world), Wake::Everybody, "the circuit closed");
}

#[test]
fn of_thousands_who_wait_few_look_at_once_and_all_within_their_patience() {
    let mut policy = Policy::default();
    policy.retry.patience = Duration::from_secs(20);
    let world = World::new(1, policy);
    open(&world);
    let mut plans: Vec<Plan<Cell>> = (0..10_000).map(|_| world.plan(facts(false))).collect();
    let looks: Vec<Moment> = plans.iter_mut().map(|plan| waits(&world, plan)).collect();
    let first = looks.iter().filter(|look| **look == looks[0]).count();
    assert_eq!(first, WOKEN as usize + 1, "those who look as soon as it is ready");
    let second = looks[0] + Duration::from_secs(1);
    let soon = looks.iter().filter(|look| **look <= second).count();
    assert!((500..=1200).contains(&soon), "{soon} look within a second");
    let last = looks.iter().max().expect("some");
    assert!(last.since(world.now) <= Duration::from_secs(20), "{last:?}");
    let again = waits(&world, &mut plans[9_999]);
    assert_eq!(again, looks[0], "who is woken may be the next probe");
}
