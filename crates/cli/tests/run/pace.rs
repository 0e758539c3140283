//! The whole of a rate limit becomes finished work, with hardly an attempt refused.

use std::time::Instant;

use crate::rounds::{holds, one_is_good};
use crate::world::{World, chats};

/// Seconds that a run over so many lines took, and attempts a line.
fn run(scenario: &str, lines: usize) -> (f64, f64) {
    let world = World::new(scenario);
    world.input(&chats(lines));
    let began = Instant::now();
    let done = world.run(&[]);
    let took = began.elapsed().as_secs_f64();
    assert_eq!((done.code, world.output().len()), (Some(0), lines), "{done:?}");
    (took, world.attempts() as f64 / lines as f64)
}

#[test]
fn a_limit_on_requests_nobody_told_of_is_used_up() {
    const LATENCY: &str = "latency = { headers = \"50ms\" }\n";
    let limited = format!("{LATENCY}limits = {{ rpm = 6000, burst = \"100ms\", initial = 0.0 }}");
    one_is_good(|| {
        // What the process and its lines cost on this machine where nothing is limited.
        let (cost, _) = run(LATENCY, 600);
        let (took, attempts) = run(&limited, 600);
        let most = 600.0 / 100.0 / 0.85 + cost;
        let what = format!("{took:.2} s of {most:.2} s, {attempts:.3} attempts a line");
        holds(took < most && attempts < 1.10, what)
    });
}

#[test]
fn caps_of_the_caller_hold() {
    let world = World::new("");
    world.input(&chats(40));
    let began = Instant::now();
    let done = world.run(&["--rpm", "1200"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    // 20 a second; a cap may give a burst of its own at the start.
    assert!(began.elapsed().as_secs_f64() > 1.0, "{:?}", began.elapsed());
    let world = World::new("latency = { headers = \"50ms\" }");
    world.input(&chats(40));
    assert_eq!(world.run(&["--concurrency", "3"]).code, Some(0));
    assert!(world.stats()["in_flight_max"].as_u64().unwrap() <= 3);
}

#[test]
fn a_cap_on_tokens_holds() {
    let world = World::new("");
    world.input(&chats(100));
    let began = Instant::now();
    let done = world.run(&["--tpm", "9000"]);
    let took = began.elapsed().as_secs_f64();
    assert_eq!((done.code, world.output().len()), (Some(0), 100), "{done:?}");
    let summary = done.summary();
    let tokens = |field: &str| summary[field].as_f64().unwrap();
    // 150 a second; a cap may give a burst of its own at the start.
    let ideal = (tokens("input_tokens") + tokens("output_tokens")) / 150.0;
    assert!(ideal > 3.0, "{summary}: too few tokens to tell");
    assert!(took > ideal - 1.0, "{took:.1} s for what is worth {ideal:.1} s");
}
