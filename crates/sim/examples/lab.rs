//! The laboratory's runner.
//!
//! `--seeds N` plays N random scenes and ends with 1 when a promise was broken; `--from S` starts
//! at another seed than 1; `--seed S` replays one and shows everything; `--judged` plays the judged
//! scenes and prints their scores.
#![expect(clippy::print_stdout, reason = "it is for people")]

use mainstay_sim::lab::{self, Run, Scene};
use std::process::ExitCode;
use std::time::SystemTime;

const JUDGED: [&str; 7] = ["rpm", "tpm", "noheaders", "hintonly", "flaky", "outage", "concurrency"];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| -> Option<u64> {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)?.parse().ok()
    };
    if args.iter().any(|arg| arg == "--judged") {
        judged();
        return ExitCode::SUCCESS;
    }
    if let Some(seed) = number("--seed") {
        return replay(seed);
    }
    let Some(seeds) = number("--seeds") else {
        println!("usage: lab --seeds N [--from S] | --seed S | --judged");
        return ExitCode::from(2);
    };
    swarm(number("--from").unwrap_or(1), seeds)
}

fn judged() {
    for name in JUDGED {
        let (mut low, mut sum, mut worst, mut lost): (f64, f64, f64, u32) = (9.0, 0.0, 0.0, 0);
        for seed in 1..=20 {
            let Some(scene) = Scene::judged(name) else { continue };
            let scene = Scene { seed, ..scene };
            let run = lab::play(&scene);
            let score = lab::score(&scene, &run.tally);
            low = low.min(score);
            sum += score;
            lost += scene.jobs - run.tally.answered;
            worst = worst.max(lab::own_attempts(&scene, &run.tally));
        }
        let mean = sum / 20.0;
        println!("{name:12} score {mean:.3}, lowest {low:.3}; attempts ≤ {worst:.3}; lost {lost}");
    }
}

fn swarm(from: u64, seeds: u64) -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "how fast it is, for people")]
    let now = SystemTime::now;
    let (start, mut events, mut bad) = (now(), 0, 0);
    for seed in from..from + seeds {
        let scene = Scene::swarm(seed);
        let run = lab::play(&scene);
        events += run.tally.events;
        if run.accusations.is_empty() {
            continue;
        }
        bad += 1;
        let invariant = run.accusations[0].invariant;
        accuse(seed, &run);
        let small = scene.shrunk(invariant);
        let left = lab::play(&small);
        println!("  smallest: {small:?}");
        println!("  there: {:?}", left.accusations.first());
        if bad >= 5 {
            break;
        }
    }
    let seconds = start.elapsed().unwrap_or_default().as_secs_f64();
    let rate = events as f64 / seconds.max(1e-9);
    println!("{seeds} seeds, {bad} broken, {events} events, {rate:.0} a second");
    if bad > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn accuse(seed: u64, run: &Run) {
    for found in run.accusations.iter().take(3) {
        println!("seed {seed}: invariant {} broken: {}", found.invariant, found.what);
    }
    println!("  replay: cargo xtask lab --seed {seed}");
}

fn replay(seed: u64) -> ExitCode {
    let scene = Scene::swarm(seed);
    println!("{scene:?}");
    let run = lab::watch(&scene, |seconds, note| println!("{seconds:10.4} {note:?}"));
    println!("{:?}", run.tally);
    accuse(seed, &run);
    if run.accusations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
