//! Promises that one run cannot show: the same scene is played again with one thing changed that
//! must not matter, and every difference is an accusation.
//!
//! * 8, neighbours: another tenant on targets of his own, in the worst of moods, comes to the same
//!   machine; nothing of the scene's own calls moves, to the last event.
//! * 8, denied extras: hedges are wanted and the retry budget denies every one; no attempt that is
//!   not extra goes at another time or to another target than without the wish.
//! * 13, replay: the same scene gives the same run.

use super::fleet;
use super::money::{Bank, Wrong};
use super::scene::{Neighbour, ProviderScene, Scene, Traffic};
use super::{Run, play, watch};
use crate::judge::Accusation;
use std::time::Duration;

/// Plays a scene with its money, its twins, and the fleet of its seed: everything it can be accused of. A twin gives what
/// it shows, and how many events it took.
pub fn check(scene: &Scene) -> Run {
    let mut bank = Bank::new(scene, Wrong::Nothing);
    let mut run = watch(scene, |seconds, note| bank.see(seconds, note));
    let twins = [replayed(scene, &run), neighbours(scene, &run), denied_extras(scene)];
    for (accusation, events) in twins {
        run.events += events;
        run.accusations.extend(accusation);
    }
    run.accusations.extend(bank.close());
    let fleet = fleet::check(scene.seed);
    run.events += fleet.events;
    run.accusations.extend(fleet.accusations);
    run
}

fn accusation(invariant: u8, what: String) -> Accusation {
    Accusation { invariant, at: 0, what }
}

/// 13: the same seed gives a byte-identical trace.
fn replayed(scene: &Scene, run: &Run) -> (Option<Accusation>, u64) {
    let again = play(scene);
    let what = || format!("played again it gave {:?}, not {:?}", again.tally, run.tally);
    ((again != *run).then(|| accusation(13, what())), again.events)
}

/// 8: one tenant or target never affects another.
fn neighbours(scene: &Scene, alone: &Run) -> (Option<Accusation>, u64) {
    let beside = play(&Scene { neighbour: Some(worst(scene.jobs)), ..scene.clone() });
    let what = || format!("beside a neighbour {:?}, alone {:?}", beside.tally, alone.tally);
    ((!alike(alone, &beside)).then(|| accusation(8, what())), beside.events)
}

/// 8: a denied extra never harms the primary. To look after an extra is another timer, and that alone
/// must not look like harm: timers are on time here, the clock does not jump under those that wait,
/// and calls come one by one, so that no two deadlines fall on the same instant.
fn denied_extras(scene: &Scene) -> (Option<Accusation>, u64) {
    let mut plain = scene.clone();
    plain.timer_late = Duration::ZERO;
    plain.jumps.clear();
    if let Traffic::Workers(workers) = plain.traffic {
        plain.traffic = Traffic::Rate(f64::from(workers));
    }
    plain.policy.retry.budget_capacity = 0;
    plain.policy.hedge.enabled = false;
    let mut wanted = plain.clone();
    wanted.policy.hedge.enabled = true;
    wanted.policy.hedge.delay = Some(Duration::from_millis(20));
    let (without, with) = (play(&plain), play(&wanted));
    let what =
        || format!("with extras that were denied {:?}, without {:?}", with.tally, without.tally);
    ((!alike(&without, &with)).then(|| accusation(8, what())), without.events + with.events)
}

/// Whether the scene's own part is the same; how many events it took is the world's business.
fn alike(one: &Run, other: &Run) -> bool {
    let mut tally = other.tally;
    tally.events = one.tally.events;
    tally == one.tally
}

/// A neighbour for whom everything goes wrong: silence, faults, refusals that tell nothing, more
/// callers than there is room for.
fn worst(jobs: u32) -> Neighbour {
    let bad = ProviderScene {
        rpm: 300.0,
        concurrency: 2,
        error_rate: 0.3,
        reset_rate: 0.1,
        silent_rate: 0.1,
        fault_rate: 0.2,
        telling: super::Telling::Nothing,
        outages: vec![(1.0, 4.0, true), (5.0, 9.0, false)],
        ..ProviderScene::default()
    };
    Neighbour {
        providers: vec![bad.clone(), bad],
        traffic: Traffic::Workers(64),
        jobs: jobs.min(100),
    }
}
