//! Four gateways as real processes, one Redis, one provider with a limit: together they use the limit as one
//! would, with few attempts refused; and still do while Redis is gone, and after.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "real processes take real time")]
#![expect(clippy::print_stdout, reason = "what was measured is shown beside what is held")]

use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;

#[path = "support/caller.rs"]
mod caller;
#[path = "support/process.rs"]
mod process;
#[path = "support/rounds.rs"]
mod rounds;
#[path = "support/town.rs"]
mod town;

use caller::Caller;
use rounds::{holds, one_is_good};
use town::{Counted, Town};

const NODES: usize = 4;
/// Twenty calls a second.
const LIMIT: &str = "limits = { rpm = 1200, burst = \"3s\", initial = 0.0 }";
const RATE: f64 = 20.0;

/// Calls a gateway until it is over. Nothing may fail: the provider only limits.
fn call(town: &Town, node: usize) {
    let mut caller = Caller::to(town.gateways[node].port);
    while !town.is_over() {
        let (status, head, body) = caller.chat(&town.key);
        assert_eq!(status, 200, "{head}{body}");
        town.answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// What was used of the limit between two counts, from 0 to 1, and attempts a call.
fn marks(what: &str, from: Counted, to: Counted) -> (f64, f64) {
    let seconds = to.at.duration_since(from.at).as_secs_f64();
    let calls = (to.answered - from.answered) as f64;
    let (granted, refused) = (to.granted - from.granted, to.refused - from.refused);
    let (used, attempts) = (calls / seconds / RATE, (granted + refused) as f64 / calls);
    println!(
        "{what}: {used:.3} of the limit, {attempts:.3} attempts a call, in {seconds:.1} s, {} at once at most",
        to.in_flight_max
    );
    (used, attempts)
}

#[test]
fn four_gateways_use_one_providers_limit_as_one_would() {
    one_is_good(with_without_and_with_redis);
}

fn with_without_and_with_redis() -> Result<(), String> {
    let Some(town) = Town::new(NODES, LIMIT, &[]) else { return Ok(()) };
    let seconds = Duration::from_secs;
    let redis = || town.redis.lock().expect("nobody panicked");
    let [start, warm, end, without, back] = town.busy(&[8; NODES], call, || {
        let [start, warm, end] = [0, 5, 20].map(|time| {
            sleep(seconds(time));
            town.count()
        });
        redis().kill();
        sleep(seconds(8));
        let without = town.count();
        redis().run();
        sleep(seconds(5));
        [start, warm, end, without, town.count()]
    });
    let (_, first) = marks("the first seconds", start, warm);
    let (used, attempts) = marks("with Redis", warm, end);
    let (alone, attempts_alone) = marks("without Redis", end, without);
    marks("after its return", without, back);
    // Messages do not grow with calls: twice a second from each where calls wait.
    let messages: u64 =
        town.gateways.iter().map(|one| one.metric("mainstay_pacing_messages_total")).sum();
    println!("{messages} messages of {NODES} gateways");
    assert!((20..=500).contains(&messages), "{messages} messages");
    holds(used >= 0.95 && attempts <= 1.15, format_args!("{used} {attempts}"))?;
    holds(first <= 2.0, format_args!("{first} attempts a call while nobody knew the limit"))?;
    // All are equally busy, so an even part is the whole.
    let few = alone >= 0.90 && attempts_alone <= 1.15;
    holds(few, format_args!("{alone} {attempts_alone}"))
}

#[test]
fn the_gateway_that_is_called_has_what_the_others_do_not_use() {
    one_is_good(one_busy);
}

fn one_busy() -> Result<(), String> {
    let Some(town) = Town::new(NODES, LIMIT, &[]) else { return Ok(()) };
    let (from, to) = town.busy(&[16, 0, 1, 0], call, || {
        sleep(Duration::from_secs(6));
        let from = town.count();
        sleep(Duration::from_secs(14));
        (from, town.count())
    });
    let (used, attempts) = marks("one busy, one nearly idle, two idle", from, to);
    holds(used >= 0.95 && attempts <= 1.15, format_args!("{used} {attempts}"))
}
