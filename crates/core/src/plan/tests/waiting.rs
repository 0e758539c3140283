//! Calls that wait for a circuit: who is woken, and until when the others wait.

use super::*;
use crate::rules::breaker::Outcome;
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
fn a_probe_that_failed_wakes_one_who_probes_when_the_circuit_is_ready_again() {
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
    assert_eq!(woken(&world), Wake::Next, "not everybody for one place");
    let ready = waits(&world, &mut next);
    assert!(ready.since(world.now) <= Duration::from_secs(1), "{ready:?}, and not its lease");
    next.abandon(world.now);
    assert_eq!(woken(&world), Wake::Next, "who leaves hands the probe on");
    world.now = waits(&world, &mut other);
    let start = world.started(&mut other);
    woken(&world);
    other.saw(Seen::Finished { slot: start.slot, tokens: None }, world.now);
    assert_eq!(woken(&world), Wake::Everybody, "the circuit closed");
}
