//! The laboratory: the rules of `core` in a world of virtual time, where everything that can go
//! wrong does, a million events a second, and the same seed gives the same run.
//!
//! ```text
//!   Scene ──▶ World: callers ── rules ── providers' models ──▶ notes ──▶ Judge: accusations
//!                     ▲            agenda of events    │          └─────▶ digest
//!                     └────────────────────────────────┘
//! ```
//!
//! The providers' models have real limiters and share no code with the rules. The judge sees only
//! what happened.

mod call;
mod circuits;
mod console;
mod events;
mod fleet;
mod gateways;
mod money;
mod note;
mod provider;
mod scene;
mod swarm;
mod tenants;
mod twins;
mod verdicts;
mod world;

pub use console::{console, report};
pub use note::{How, Note};
pub use scene::{
    Counting, Gateways, Later, Neighbour, ProviderScene, Scene, Scripted, Telling, Traffic,
};
pub use twins::check;
pub use world::Tally;

use crate::judge::Accusation;
use world::World;

/// A run and what was wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// What happened.
    pub tally: Tally,
    /// Events played, those of twins too.
    pub events: u64,
    /// Broken promises.
    pub accusations: Vec<Accusation>,
}

/// Plays a scene to its end.
pub fn play(scene: &Scene) -> Run {
    run(World::new(scene, None))
}

/// As [`play`], and shows everything as it happens: seconds since the start, and what.
pub fn watch(scene: &Scene, mut watch: impl FnMut(f64, &Note)) -> Run {
    run(World::new(scene, Some(&mut watch)))
}

fn run(world: World<'_>) -> Run {
    let (tally, judge) = world.play();
    Run { tally, events: tally.events, accusations: judge.accusations().to_vec() }
}

/// Share of the jobs answered times how near the time came to an oracle's; 1 is perfect.
pub fn score(scene: &Scene, tally: &Tally) -> f64 {
    let done = f64::from(tally.answered) / f64::from(scene.jobs);
    done * (scene.ideal_s(tally.tokens) / tally.seconds).min(1.0)
}

/// Attempts a job, without those the provider failed by its own fault.
pub fn own_attempts(scene: &Scene, tally: &Tally) -> f64 {
    (tally.attempts - tally.faults) as f64 / f64::from(scene.jobs)
}
