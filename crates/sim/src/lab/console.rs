//! The laboratory's command line, as a function: `cargo xtask lab` is this and a clock.

use super::{Run, Scene, check, own_attempts, play, score, watch};
use std::io::{self, Write};
use std::ops::Range;

const JUDGED: [&str; 7] = ["rpm", "tpm", "noheaders", "hintonly", "flaky", "outage", "concurrency"];

/// Failing seeds after which a swarm stops: the first ones say what matters.
const BROKEN_MAX: u32 = 5;

/// Does what the arguments say and writes what people want to see. The exit code: 0 when every
/// promise held, 1 when one was broken, 2 for arguments that make no sense. `seconds` is any clock,
/// to tell how fast it was.
///
/// `--seeds N` plays N random scenes with all their twins; `--from S` starts at another seed than 1;
/// `--plain` leaves the twins out, to see how fast the laboratory itself is; `--seed S` replays one and
/// shows everything; `--judged` plays the judged scenes, twenty seeds each (`--from S`: others), and prints
/// scores.
///
/// # Errors
///
/// `out` cannot be written to.
pub fn console(args: &[String], seconds: &dyn Fn() -> f64, out: &mut dyn Write) -> io::Result<u8> {
    let number = |name: &str| -> Option<u64> {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)?.parse().ok()
    };
    let from = number("--from").unwrap_or(1);
    if args.iter().any(|arg| arg == "--judged") {
        return judged(from, out);
    }
    if let Some(seed) = number("--seed") {
        return replay(&Scene::swarm(seed), out);
    }
    let Some(seeds) = number("--seeds") else {
        writeln!(
            out,
            "usage: lab --seeds N [--from S] [--plain] | --seed S | --judged [--from S]"
        )?;
        return Ok(2);
    };
    let play = if args.iter().any(|arg| arg == "--plain") { play } else { check };
    swarm(from..from.saturating_add(seeds), play, seconds, out)
}

fn judged(from: u64, out: &mut dyn Write) -> io::Result<u8> {
    for name in JUDGED {
        let (mut low, mut sum, mut worst, mut lost): (f64, f64, f64, u32) = (9.0, 0.0, 0.0, 0);
        for seed in from..from.saturating_add(20) {
            let Some(scene) = Scene::judged(name) else { continue };
            let scene = Scene { seed, ..scene };
            let run = play(&scene);
            let score = score(&scene, &run.tally);
            low = low.min(score);
            sum += score;
            lost += scene.jobs - run.tally.answered;
            worst = worst.max(own_attempts(&scene, &run.tally));
        }
        let mean = sum / 20.0;
        writeln!(
            out,
            "{name:12} score {mean:.3}, lowest {low:.3}; attempts ≤ {worst:.3}; lost {lost}"
        )?;
    }
    Ok(0)
}

fn swarm(
    seeds: Range<u64>,
    play: fn(&Scene) -> Run,
    seconds: &dyn Fn() -> f64,
    out: &mut dyn Write,
) -> io::Result<u8> {
    let (start, mut events, mut all, mut bad) = (seconds(), 0, 0, 0);
    let count = seeds.end - seeds.start;
    for seed in seeds {
        let scene = Scene::swarm(seed);
        let run = play(&scene);
        events += run.tally.events;
        all += run.events;
        if run.accusations.is_empty() {
            continue;
        }
        bad += 1;
        report(&scene, &run, out)?;
        if bad >= BROKEN_MAX {
            break;
        }
    }
    let took = (seconds() - start).max(1e-9);
    let rate = all as f64 / took;
    writeln!(
        out,
        "{count} seeds, {bad} broken, {events} events, {all} with those of twins, in {took:.1} s: {rate:.0} a second"
    )?;
    Ok(u8::from(bad > 0))
}

/// What is wrong with a scene, the line that replays it, and the smallest scene that is wrong in
/// the same way.
///
/// # Errors
///
/// `out` cannot be written to.
pub fn report(scene: &Scene, run: &Run, out: &mut dyn Write) -> io::Result<()> {
    accuse(scene.seed, run, out)?;
    let Some(first) = run.accusations.first() else { return Ok(()) };
    let guilty =
        |run: &Run| run.accusations.iter().find(|a| a.invariant == first.invariant).cloned();
    let small = scene.shrunk(&|scene| guilty(&check(scene)).is_some());
    writeln!(out, "  smallest: {small:?}")?;
    writeln!(out, "  there: {:?}", guilty(&check(&small)))
}

fn accuse(seed: u64, run: &Run, out: &mut dyn Write) -> io::Result<()> {
    for found in run.accusations.iter().take(3) {
        writeln!(out, "seed {seed}: invariant {} broken: {}", found.invariant, found.what)?;
    }
    if run.accusations.is_empty() {
        return Ok(());
    }
    writeln!(out, "  replay: cargo xtask lab --seed {seed}")
}

/// Plays a scene and writes down everything that happens.
fn replay(scene: &Scene, out: &mut dyn Write) -> io::Result<u8> {
    writeln!(out, "{scene:?}")?;
    let mut wrote = Ok(());
    watch(scene, |seconds, note| {
        if wrote.is_ok() {
            wrote = writeln!(out, "{seconds:10.4} {note:?}");
        }
    });
    wrote?;
    let run = check(scene);
    writeln!(out, "{:?}", run.tally)?;
    accuse(scene.seed, &run, out)?;
    Ok(u8::from(!run.accusations.is_empty()))
}
