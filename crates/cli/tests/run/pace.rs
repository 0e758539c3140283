//! The whole of a rate limit becomes finished work, with hardly an attempt refused.

use std::time::Instant;

use crate::rounds::{holds, one_is_good};
use crate::world::{World, chats};

/// Lines, requests a minute, seconds of burst.
fn share(scenario: &str, lines: usize, per_second: f64, burst: f64) -> (f64, f64) {
    let world = World::new(scenario);
    world.input(&chats(lines));
    let began = Instant::now();
    let done = world.run(&[]);
    let took = began.elapsed().as_secs_f64();
    assert_eq!((done.code, world.output().len()), (Some(0), lines), "{done:?}");
    let ideal = (lines as f64 - burst * per_second) / per_second;
    let attempts = world.attempts() as f64 / lines as f64;
    (ideal / took, attempts)
}

#[test]
fn a_limit_on_requests_nobody_told_of_is_used_up() {
    let scenario = "latency = { headers = \"50ms\" }\nlimits = { rpm = 6000, burst = \"100ms\", initial = 0.0 }";
    // Six seconds of work; start and end of the process, on a busy machine, are a fixed cost of it.
    one_is_good(|| {
        let (share, attempts) = share(scenario, 600, 100.0, 0.0);
        let what = format!("{share:.3} of the limit, {attempts:.3} attempts a line");
        holds(share > 0.85 && attempts < 1.10, what)
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
