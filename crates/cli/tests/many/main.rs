//! Several gateways, one PostgreSQL, one Redis, one hard budget: gateways are killed and frozen, both servers
//! are restarted and frozen. Spending never passes the budget, the ledger verifies, every answer that a
//! caller received is paid for once, and in the end the budget is used up.
//!
//! `MAINSTAY_MANY_ROUNDS` says how many rounds of faults there are, 3 by default, 50 in the long form
//! (`cargo xtask crash --many 50`), in which what is frozen is so for ten seconds and not for two.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed; its length is set from outside"
)]

mod deaths;
#[path = "../support/money.rs"]
mod money;
mod world;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mainstay_core::dice::Dice;
use mainstay_core::money::Usd;
use world::{Outcome, World};

/// Callers that never rest.
const CALLERS: u64 = 64;
/// Gateways.
const GATEWAYS: usize = 4;
/// What the budget is raised by in a round: about a hundred calls.
const ROUND: &str = "0.04";

#[test]
fn one_budget_holds_over_several_gateways_whatever_dies() {
    let rounds: u64 =
        std::env::var("MAINSTAY_MANY_ROUNDS").ok().map_or(3, |text| text.parse().unwrap());
    let frozen = Duration::from_secs(if rounds < 10 { 2 } else { 10 });
    let Some(mut world) = World::new(GATEWAYS, ROUND, frozen) else { return };
    let mut dice = Dice::new(11);
    let mut limit = Usd::parse(ROUND).unwrap();
    for round in 0..rounds {
        if round > 0 {
            world.raise(ROUND);
            limit = limit.plus(Usd::parse(ROUND).unwrap()).unwrap();
        }
        round_of_faults(&mut world, round, &mut dice);
        let spent = world.received();
        assert!(spent <= limit, "round {round}: {spent} of {limit} were received");
    }
    world.start_the_dead();
    let refused = use_up(&world);
    let found = world.examine();
    assert!(found.settled <= limit, "{} of {limit} are settled", found.settled);
    let most = limit.percent(95).unwrap();
    assert!(found.settled >= most, "{} of {limit} are used, {found:?}", found.settled);
    world::report(&format!(
        "{rounds} rounds, {GATEWAYS} gateways, {CALLERS} callers: {} answers received and paid for, {} of {limit} USD settled ({} of it for calls of dead gateways), {refused} calls refused at the end",
        found.answers, found.settled, found.recovered,
    ));
}

/// Load while something breaks.
fn round_of_faults(world: &mut World, round: u64, dice: &mut Dice) {
    let stop = AtomicBool::new(false);
    let faults = (dice.below(6), dice.below(GATEWAYS as u64), dice.below(GATEWAYS as u64));
    let pause = Duration::from_millis(200 + dice.below(800));
    std::thread::scope(|scope| {
        for number in 0..CALLERS {
            let (stop, world) = (&stop, &*world);
            scope.spawn(move || {
                let mut dice = Dice::new(round << 16 ^ number);
                while !stop.load(Ordering::Relaxed) {
                    let outcome = world.call(&mut dice);
                    if outcome != Outcome::Answered {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                }
            });
        }
        std::thread::sleep(pause);
        let (what, first, second) = faults;
        world.kill(usize::try_from(first).unwrap());
        match what {
            0 => world.restart_postgres(),
            1 => world.freeze(usize::try_from(second).unwrap()),
            2 => world.freeze_postgres(),
            3 => world.restart_redis(),
            4 => world.freeze_redis(),
            _ => {}
        }
        std::thread::sleep(pause);
        stop.store(true, Ordering::Relaxed);
    });
    world.start_the_dead();
}

/// Calls until nothing is left of the budget: how many were refused for it.
fn use_up(world: &World) -> usize {
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS / 8)
            .map(|number| {
                scope.spawn(move || {
                    let (mut dice, mut refused) = (Dice::new(number), 0);
                    for _ in 0..400 {
                        match world.call(&mut dice) {
                            Outcome::Spent => refused += 1,
                            Outcome::Answered => refused = 0,
                            Outcome::Refused | Outcome::Broken => {}
                        }
                        if refused == 12 {
                            break;
                        }
                    }
                    refused
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    })
}
