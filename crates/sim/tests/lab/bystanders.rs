//! Invariants 8 and 13 as named checks, and that they can fail; replay and shrinking.

use mainstay_core::policy::{HedgePolicy, OpenFor};
use mainstay_sim::judge::Accusation;
use mainstay_sim::lab::{
    self, Counting, Neighbour, ProviderScene, Run, Scene, Telling, Traffic, console, report,
};
use std::time::Duration;

/// `cargo xtask lab --seeds N` checks every scene so.
#[test]
fn neighbours_and_denied_extras_move_nothing_in_a_swarm_of_random_scenes() {
    for seed in 1..=24 {
        let run = lab::check(&Scene::swarm(seed));
        assert_eq!(run.accusations, [], "replay: cargo xtask lab --seed {seed}");
    }
}

/// The comparison sees what it is for: a neighbour on the same target is noticed.
#[test]
fn a_neighbour_on_the_same_target_would_be_noticed() {
    let scene = Scene {
        providers: vec![ProviderScene { rpm: 600.0, ..ProviderScene::default() }],
        ..Scene::default()
    };
    let neighbour = Neighbour {
        providers: vec![ProviderScene {
            concurrency: 2,
            error_rate: 0.3,
            ..ProviderScene::default()
        }],
        traffic: Traffic::Workers(32),
        jobs: 200,
    };
    let alone = lab::play(&scene);
    let beside = lab::play(&Scene { neighbour: Some(neighbour), ..scene.clone() });
    assert_eq!(alone.tally.digest, beside.tally.digest, "on targets of his own he moves nothing");
    assert!(beside.tally.events > alone.tally.events, "he was there");
    let crowded = lab::play(&Scene {
        providers: vec![ProviderScene { others: 0.2, ..scene.providers[0].clone() }],
        ..scene
    });
    assert_ne!(alone.tally.digest, crowded.tally.digest, "on the same target he is felt");
}

/// Hedges that the budget pays for are extra; those it denies leave no trace.
#[test]
fn an_extra_that_is_denied_changes_no_attempt_of_anybody() {
    let slow = ProviderScene { latency: (0.5, 3.0), initial: 1.0, ..ProviderScene::default() };
    let scene = |capacity, enabled| {
        let mut scene = Scene {
            providers: vec![slow.clone(), slow.clone()],
            traffic: Traffic::Workers(16),
            streams: 1.0,
            timer_late: Duration::ZERO,
            ..Scene::default()
        };
        scene.policy.retry.budget_capacity = capacity;
        scene.policy.hedge = HedgePolicy { enabled, delay: Some(Duration::from_millis(100)) };
        lab::play(&scene)
    };
    let (off, denied, paid) = (scene(0, false), scene(0, true), scene(500, true));
    assert_eq!(off.tally.digest, denied.tally.digest);
    assert_eq!(off.tally.attempts, denied.tally.attempts);
    assert!(paid.tally.attempts > off.tally.attempts, "with a budget there are extras");
}

fn told(args: &[&str]) -> (u8, String) {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let mut out = Vec::new();
    let code = console(&args, &|| 1.0, &mut out).expect("a vector takes everything");
    (code, String::from_utf8(out).expect("UTF-8"))
}

/// Invariant 13, by the command that people use.
#[test]
fn a_seed_is_replayed_to_the_last_byte() {
    let (code, first) = told(&["--seed", "7"]);
    assert_eq!((code, &first), (0, &told(&["--seed", "7"]).1));
    assert!(first.lines().count() > 200, "everything that happened is shown");
    assert!(first.contains("Came {") && first.contains("Sent {") && first.contains("Tally {"));
    assert_ne!(first, told(&["--seed", "8"]).1);
    assert_eq!(told(&["--seed"]).0, 2, "a seed is a number");
}

#[test]
fn a_swarm_says_how_many_scenes_it_played_and_how_many_were_broken() {
    let (code, said) = told(&["--seeds", "2", "--from", "40"]);
    assert_eq!(code, 0);
    assert!(said.starts_with("2 seeds, 0 broken, "), "{said}");
    let count = |said: &str, at: usize| -> u64 {
        let number = said.split(", ").nth(at).and_then(|part| part.split(' ').next());
        number.and_then(|number| number.parse().ok()).expect("a number")
    };
    assert!(count(&said, 3) > 2 * count(&said, 2), "twins are played: {said}");
    let (code, plain) = told(&["--seeds", "2", "--from", "40", "--plain"]);
    assert_eq!((code, count(&plain, 2)), (0, count(&said, 2)));
    assert_eq!(count(&plain, 3), count(&plain, 2), "no twins: {plain}");
}

/// A scene whose promise is broken: here by a wish that is no rule, so that nothing need be broken
/// to see the way from an accusation to the smallest scene.
#[test]
fn a_failing_scene_becomes_the_smallest_that_still_fails() {
    let scene = Scene {
        providers: vec![
            ProviderScene {
                silent_rate: 0.3,
                error_rate: 0.3,
                others: 0.5,
                ..ProviderScene::default()
            },
            ProviderScene {
                counting: Counting::Window,
                telling: Telling::Text,
                ..ProviderScene::default()
            },
        ],
        streams: 0.5,
        leavers: 0.1,
        jumps: vec![(6.0, 90.0)],
        ..Scene::default()
    };
    let some_fault = |scene: &Scene| lab::play(scene).tally.faults > 0;
    assert!(some_fault(&scene));
    let small = scene.shrunk(&some_fault);
    assert!(some_fault(&small), "it still fails");
    assert!(small.jobs < 12, "{} calls are needed to meet a fault of 60 %", small.jobs);
    assert_eq!(small.providers.len(), 1);
    assert_eq!((small.jumps.len(), small.providers[0].others), (0, 0.0));
    assert_eq!((small.streams, small.leavers), (0.0, 0.0), "what is not needed is gone");
}

/// What a broken promise looks like to people: the invariant, the line that replays it, the
/// smallest scene.
#[test]
fn a_broken_promise_is_told_with_a_line_to_replay_it_and_its_smallest_scene() {
    let mut scene = Scene { seed: 81, jobs: 40, ..Scene::default() };
    scene.policy.breaker.open = OpenFor::Fixed(Duration::from_secs(1));
    let broken = Accusation { invariant: 5, at: 0, what: "call 3 ended 2s late".to_owned() };
    let run = Run { accusations: vec![broken], ..lab::play(&scene) };
    let mut out = Vec::new();
    report(&scene, &run, &mut out).expect("a vector takes everything");
    let said = String::from_utf8(out).expect("UTF-8");
    assert!(said.contains("seed 81: invariant 5 broken: call 3 ended 2s late"), "{said}");
    assert!(said.contains("  replay: cargo xtask lab --seed 81\n"), "{said}");
    assert!(said.contains("  smallest: Scene {"), "{said}");
}
