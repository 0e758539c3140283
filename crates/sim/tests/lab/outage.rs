//! What thousands who wait for a provider cost the machine that they wait on: each wait that begins is
//! a turn of a task, and turns are what serves whoever comes next.

use mainstay_sim::lab::{self, How, Note, ProviderScene, Scene, Traffic};
use std::time::Duration;

/// When the provider goes and comes back, in seconds.
const AWAY: (f64, f64) = (10.0, 70.0);

/// A minute's outage under 200 calls a second whose callers have the patience for it.
fn scene(seed: u64, silent: bool) -> Scene {
    let provider = ProviderScene {
        outages: vec![(AWAY.0, AWAY.1, silent)],
        initial: 1.0,
        latency: (0.02, 0.06),
        ..ProviderScene::default()
    };
    let (providers, traffic) = (vec![provider], Traffic::Rate(200.0));
    let mut scene = Scene { seed, providers, traffic, jobs: 17_000, ..Scene::default() };
    scene.policy.retry.patience = Duration::from_secs(90);
    scene
}

/// While all were woken for each probe, each call began sixty waits.
const WAITS_MAX: f64 = 20.0;

#[test]
fn twelve_thousand_who_wait_begin_few_waits_and_are_answered_within_five_seconds() {
    for seed in 1..=3 {
        let scene = scene(seed, false);
        let mut came = vec![0.0_f64; scene.jobs as usize];
        let (mut last, mut waits) = (0.0_f64, 0_u32);
        let run = lab::watch(&scene, |seconds, note| match *note {
            Note::Came { call, .. } => came[call as usize] = seconds,
            Note::Waits { .. } => waits += 1,
            Note::Ended { call, how: How::Well { .. }, .. } if came[call as usize] < AWAY.1 => {
                last = last.max(seconds - AWAY.1);
            }
            _ => {}
        });
        assert_eq!(run.accusations, [], "seed {seed}");
        assert_eq!(run.tally.failed, 0, "seed {seed}: no call is lost");
        let waits = f64::from(waits) / f64::from(scene.jobs);
        println!("a minute away: {waits:.1} waits a call, the last answered after {last:.2} s");
        assert!(last <= 5.0, "answered {last} s after the return");
        assert!(waits <= WAITS_MAX, "{waits} waits a call");
    }
}

/// Probes time out, and each takes as long as that.
#[test]
fn who_waits_for_a_silent_provider_begins_few_waits_as_well() {
    let mut scene = scene(1, true);
    scene.policy.timeouts.headers = Duration::from_secs(3);
    let mut waits = 0_u32;
    let run = lab::watch(&scene, |_, note| waits += u32::from(matches!(note, Note::Waits { .. })));
    assert_eq!(run.accusations, []);
    let waits = f64::from(waits) / f64::from(scene.jobs);
    println!("a minute of silence: {waits:.1} waits a call, {} calls lost", run.tally.failed);
    assert!(waits <= WAITS_MAX, "{waits} waits a call");
}
