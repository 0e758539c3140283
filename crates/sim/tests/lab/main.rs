//! The laboratory's own promises, and those of the rules that it proves.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test names the notes it counts")]
#![expect(clippy::print_stdout, reason = "what was measured is shown beside what is held")]

mod bystanders;
mod circuits;
mod gateways;
mod marks;
mod outage;
mod turns;

use mainstay_core::plan::Role;
use mainstay_core::policy::{HedgePolicy, Policy, RetryPolicy};
use mainstay_sim::lab::{self, How, Note, ProviderScene, Scene, Telling, Traffic};
use std::time::Duration;

/// A short swarm; `cargo xtask lab --seeds N` plays more.
#[test]
fn no_promise_is_broken_in_a_swarm_of_random_scenes() {
    for seed in 1..=60 {
        let run = lab::play(&Scene::swarm(seed));
        assert_eq!(run.accusations, [], "replay: cargo xtask lab --seed {seed}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 1..=10 {
        let scene = Scene::swarm(seed);
        assert_eq!(lab::play(&scene), lab::play(&scene), "seed {seed}");
    }
    let digests: std::collections::BTreeSet<u64> =
        (1..=10).map(|seed| lab::play(&Scene::swarm(seed)).tally.digest).collect();
    assert_eq!(digests.len(), 10, "different seeds are different runs");
}

/// Least score and most own attempts a job, in the mean of five seeds: chance decides how many
/// faults an oracle would have met.
#[track_caller]
fn judged(name: &str, score_min: f64, attempts_max: f64) {
    let (mut scores, mut attempts) = (0.0, 0.0);
    for seed in 1..=5 {
        let scene = Scene { seed, ..Scene::judged(name).expect("a known name") };
        let run = lab::play(&scene);
        assert_eq!(run.accusations, [], "{name} seed {seed}");
        assert_eq!(run.tally.failed, 0, "{name} seed {seed}: no job is lost");
        scores += lab::score(&scene, &run.tally) / 5.0;
        attempts += lab::own_attempts(&scene, &run.tally) / 5.0;
    }
    assert!(scores >= score_min, "{name}: score {scores}");
    assert!(attempts <= attempts_max, "{name}: {attempts} attempts a job");
}

#[test]
fn almost_all_of_a_limit_becomes_work_with_almost_no_refused_attempt() {
    for name in ["rpm", "tpm", "hintonly", "flaky", "outage"] {
        judged(name, 0.97, 1.10);
    }
}

#[test]
fn a_limit_that_nobody_tells_is_found_by_trying() {
    judged("noheaders", 0.93, 1.25);
    judged("concurrency", 0.93, 1.25);
}

#[test]
fn other_rates_and_sizes_hold_as_well() {
    for telling in [Telling::Headers, Telling::Text] {
        for (rpm, jobs) in [(300.0, 300), (6000.0, 2000)] {
            for (capacity_s, initial) in [(1.0, 0.0), (6.0, 1.0), (60.0, 0.0)] {
                let provider =
                    ProviderScene { rpm, capacity_s, initial, telling, ..ProviderScene::default() };
                let scene = Scene { providers: vec![provider], jobs, ..Scene::default() };
                let run = lab::play(&scene);
                let score = lab::score(&scene, &run.tally);
                let attempts = lab::own_attempts(&scene, &run.tally);
                assert!(
                    score >= 0.97 && attempts <= 1.10 && run.tally.failed == 0,
                    "{telling:?} {rpm} a minute, {capacity_s} s, {initial}: {score} {attempts}"
                );
            }
        }
    }
}

#[test]
fn a_limit_shared_with_others_is_found_and_used() {
    let provider = ProviderScene { rpm: 1200.0, others: 0.5, ..ProviderScene::default() };
    let scene = Scene { providers: vec![provider], ..Scene::default() };
    let run = lab::play(&scene);
    assert_eq!(run.tally.failed, 0);
    assert!(lab::score(&scene, &run.tally) >= 0.85);
    assert!(lab::own_attempts(&scene, &run.tally) <= 1.25);
}

/// Invariant 15: no metastability.
#[test]
fn a_total_outage_loses_no_call_and_ends_within_seconds() {
    let provider = ProviderScene { outages: vec![(10.0, 70.0, false)], ..ProviderScene::default() };
    let scene = Scene {
        providers: vec![ProviderScene { initial: 1.0, ..provider }],
        traffic: Traffic::Rate(200.0),
        jobs: 20_000,
        policy: Policy {
            retry: RetryPolicy { patience: Duration::from_secs(90), ..RetryPolicy::default() },
            ..Policy::default()
        },
        ..Scene::default()
    };
    let (mut came, mut answered) = (0_u32, 0_u32);
    let run = lab::watch(&scene, |seconds, note| match note {
        Note::Came { .. } if seconds < 75.0 => came += 1,
        Note::Ended { how: How::Well { .. }, .. } if seconds < 75.0 => answered += 1,
        _ => {}
    });
    assert_eq!(run.accusations, []);
    assert_eq!(run.tally.failed, 0, "no call is lost");
    let calls = f64::from(scene.jobs);
    assert!(run.tally.attempts as f64 <= 1.1 * calls, "{} attempts", run.tally.attempts);
    let share = f64::from(answered) / f64::from(came);
    assert!(share >= 0.99, "five seconds after the return {answered} of {came} were answered");
}

/// Invariant 3: a client's fault says nothing about the target.
#[test]
fn faults_of_clients_move_neither_circuit_nor_pacer() {
    let provider = ProviderScene { fault_rate: 0.9, ..ProviderScene::default() };
    let provider = ProviderScene { initial: 1.0, ..provider };
    // Four callers: the start ramp holds nobody back.
    let scene =
        Scene { providers: vec![provider], traffic: Traffic::Workers(4), ..Scene::default() };
    let (mut moved, mut waited, mut faults) = (0, 0, 0);
    let run = lab::watch(&scene, |_, note| match note {
        Note::Circuit { .. } => moved += 1,
        Note::Waits { .. } => waited += 1,
        Note::Ended { how: How::Faulted, .. } => faults += 1,
        _ => {}
    });
    assert_eq!(run.accusations, []);
    assert!(faults > 400, "{faults} of 500 calls were at fault");
    assert_eq!((moved, waited), (0, 0));
    assert_eq!(run.tally.attempts, u64::from(scene.jobs), "each is sent once");
}

/// Invariant 4, and the bound on what it costs.
#[test]
fn a_stream_that_broke_is_told_a_second_time_once_and_inside_the_budget() {
    let provider = ProviderScene { reset_rate: 0.3, initial: 1.0, ..ProviderScene::default() };
    let scene = Scene {
        providers: vec![provider.clone(), provider],
        traffic: Traffic::Workers(4),
        streams: 1.0,
        recoverable: true,
        ..Scene::default()
    };
    let (mut replays, mut paid_for) = (0_u32, 0_u32);
    let run = lab::watch(&scene, |_, note| {
        if let Note::Sent { role: Role::Replay, paid, .. } = note {
            replays += 1;
            paid_for += u32::from(*paid);
        }
    });
    assert_eq!(run.accusations, []);
    assert!(replays > 20, "{replays} replays");
    // A probe is paid by the circuit; everything else by the budget.
    assert!(paid_for * 2 > replays, "{paid_for} of {replays} were paid for");
    let once = lab::play(&Scene { recoverable: false, ..scene });
    assert!(run.tally.answered > once.tally.answered, "replays complete answers");
}

/// Hedging: extras only where somebody is silent, and never a third.
#[test]
fn a_second_attempt_is_made_beside_a_silent_one_only_when_wanted() {
    let slow = ProviderScene { latency: (1.0, 3.0), initial: 1.0, ..ProviderScene::default() };
    let quick = ProviderScene { latency: (0.01, 0.02), ..slow.clone() };
    for (hedge, wanted) in [(None, false), (Some(Duration::from_millis(100)), true)] {
        let scene = Scene {
            providers: vec![slow.clone(), quick.clone()],
            traffic: Traffic::Workers(4),
            streams: 1.0,
            policy: Policy {
                hedge: HedgePolicy { enabled: hedge.is_some(), delay: hedge },
                ..Policy::default()
            },
            ..Scene::default()
        };
        let mut beside = 0;
        let run = lab::watch(&scene, |_, note| {
            beside += u32::from(matches!(note, Note::Sent { role: Role::Beside, .. }));
        });
        assert_eq!(run.accusations, []);
        assert_eq!(run.tally.failed, 0, "an extra harms nobody");
        assert_eq!(beside > 0, wanted, "{beside} extras with {hedge:?}");
        assert!(beside <= (500 + 500) / 14, "{beside} extras: what 500 and one a success pay for");
    }
}
