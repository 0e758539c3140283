//! Deaths at each named place on the way from a gateway's journal to PostgreSQL, under load and at the
//! start that follows: the ledger verifies, every answer that was received is paid for once, and the
//! budget is never passed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mainstay_core::dice::Dice;
use mainstay_core::money::Usd;
use mainstay_store::FAILPOINTS_TOGETHER;

use crate::world::{Outcome, World, report};

/// Callers of both gateways while one of them is to die.
const CALLERS: u64 = 8;
/// How often a place is passed before the death: some turns of the way to PostgreSQL, under load. Turns are
/// up to two seconds apart.
const PASSES: u32 = 6;
/// What the budget is: more than all these calls cost.
const BUDGET: &str = "5";
/// Longest time until a gateway under load comes to a place.
const LIFE_MAX: Duration = Duration::from_secs(30);

#[test]
fn a_death_at_each_place_on_the_way_to_postgresql_is_recovered_from() {
    let Some(world) = World::new(2, BUDGET, Duration::ZERO) else { return };
    let limit = Usd::parse(BUDGET).unwrap();
    let mut recovered = Usd::ZERO;
    for (seed, place) in (0..).zip(FAILPOINTS_TOGETHER) {
        world.kill(0);
        if place != "node-before-return" {
            world.start_to_die(0, &format!("{place}:{PASSES}"));
            assert!(world.serves(0), "{place}: it dies under load, not before");
            load_until(&world, seed, || world.is_dead(0));
            world.start_the_dead();
            recovered = examined(&world, limit, recovered, place);
        }
        // What is learnt of leases is learnt by a gateway that serves.
        if place != "bring-before-learn" {
            let (until, enough) =
                (Instant::now() + Duration::from_millis(700), world.answers() + 20);
            load_until(&world, seed, || Instant::now() > until && world.answers() >= enough);
            world.kill(0);
            world.start_to_die(0, place);
            assert!(!world.serves(0), "{place}: it dies before it serves");
            world.start_the_dead();
            recovered = examined(&world, limit, recovered, place);
        }
    }
    let answers = world.examine().answers;
    assert!(answers > 50 && recovered > Usd::ZERO, "{answers}, {recovered}: the load was felt");
    report(&format!(
        "{} places of death, {answers} answers received and paid for, {recovered} USD settled for calls of dead gateways",
        FAILPOINTS_TOGETHER.len()
    ));
}

/// The ledger against what was received. What was recovered before is not charged again.
fn examined(world: &World, limit: Usd, before: Usd, place: &str) -> Usd {
    let found = world.examine();
    assert!(found.settled <= limit, "{place}: {} of {limit} are settled", found.settled);
    assert!(found.recovered >= before, "{place}: {} after {before}", found.recovered);
    found.recovered
}

fn load_until(world: &World, seed: u64, over: impl Fn() -> bool) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 0..CALLERS {
            let stop = &stop;
            scope.spawn(move || {
                let mut dice = Dice::new(seed << 16 ^ number);
                while !stop.load(Ordering::Relaxed) {
                    if world.call(&mut dice) != Outcome::Answered {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
            });
        }
        let until = Instant::now() + LIFE_MAX;
        while !over() {
            if Instant::now() > until {
                stop.store(true, Ordering::Relaxed);
                panic!("it lives on");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        stop.store(true, Ordering::Relaxed);
    });
}
