//! Four gateways as real processes, one Redis, one limit of tokens or of calls at once, and more callers than
//! it lets in: together they admit what one would, nearly all of it and never more.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "real processes take real time")]
#![expect(clippy::print_stdout, reason = "what was measured is shown beside what is held")]

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

#[path = "support/caller.rs"]
mod caller;
#[path = "support/process.rs"]
mod process;
#[path = "support/rounds.rs"]
mod rounds;
#[expect(dead_code, reason = "the test of pacing uses the rest")]
#[path = "support/town.rs"]
mod town;

use caller::Caller;
use rounds::{holds, one_is_good};
use town::Town;

const NODES: usize = 4;

/// A call that was admitted: when it was sent and answered, and its tokens.
#[derive(Clone, Copy)]
struct Call {
    sent: Instant,
    answered: Instant,
    tokens: f64,
}

/// Calls a gateway until it is over, with a rest after each refusal.
fn hammer(town: &Town, node: usize, rest: Duration, admitted: &Mutex<Vec<Call>>) {
    let mut caller = Caller::to(town.gateways[node].port);
    while !town.is_over() {
        let sent = Instant::now();
        let (status, head, body) = caller.chat(&town.key);
        match status {
            200 => {
                let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
                let tokens = body["usage"]["total_tokens"].as_f64().expect("a number");
                let call = Call { sent, answered: Instant::now(), tokens };
                admitted.lock().expect("no caller panicked").push(call);
                town.answered.fetch_add(1, Ordering::Relaxed);
            }
            429 => sleep(rest),
            other => panic!("{other}: {head}{body}"),
        }
    }
}

#[test]
fn tokens_are_one_limit_to_the_last_and_in_any_stretch_of_time() {
    one_is_good(tokens);
}

fn tokens() -> Result<(), String> {
    // A thousand tokens a second, two thousand at once.
    let limits = ["--tpm", "60000", "--burst", "2s"];
    let Some(town) = Town::new(NODES, "", &limits) else { return Ok(()) };
    let (rate, burst) = (1_000.0, 2_000.0);
    let admitted = Mutex::new(Vec::new());
    let rest = Duration::from_millis(10);
    let call = |town: &Town, node: usize| hammer(town, node, rest, &admitted);
    let (from, to) = town.busy(&[6; NODES], call, || {
        sleep(Duration::from_secs(5));
        let from = Instant::now();
        sleep(Duration::from_secs(15));
        (from, Instant::now())
    });
    let mut calls = admitted.into_inner().expect("no caller panicked");
    calls.sort_by_key(|call| call.sent);
    let largest = calls.iter().map(|call| call.tokens).fold(0.0, f64::max);
    for first in calls.iter().step_by(5) {
        for seconds in [0.5, 1.0, 3.0, 8.0, 20.0] {
            let end = first.sent + Duration::from_secs_f64(seconds);
            let inside =
                calls.iter().filter(|call| call.sent >= first.sent && call.answered <= end);
            let tokens: f64 = inside.map(|call| call.tokens).sum();
            let most = rate * seconds + burst + largest;
            assert!(tokens <= most, "{tokens} in {seconds} s, {most} may be");
        }
    }
    let inside = calls.iter().filter(|call| (from..to).contains(&call.answered));
    let tokens: f64 = inside.map(|call| call.tokens).sum();
    let used = tokens / to.duration_since(from).as_secs_f64() / rate;
    println!("{used:.3} of the tokens, {} calls, {largest} at most in one", calls.len());
    holds(used >= 0.95, used)
}

/// By what the provider takes alone: what gateways and callers need beside it is not counted as use. A call takes two
/// seconds, as calls of models do; of one that takes a fifth of a second the rest would be a tenth on a busy machine.
#[test]
fn calls_at_once_are_one_limit_to_the_last_place() {
    one_is_good(calls_at_once);
}

fn calls_at_once() -> Result<(), String> {
    let takes = Duration::from_secs(2);
    let limits = ["--concurrency", "32"];
    let Some(town) = Town::new(NODES, "latency = { headers = \"2s\" }", &limits) else {
        return Ok(());
    };
    let admitted = Mutex::new(Vec::new());
    let rest = Duration::from_millis(50);
    let call = |town: &Town, node: usize| hammer(town, node, rest, &admitted);
    let (from, to) = town.busy(&[16; NODES], call, || {
        sleep(Duration::from_secs(4));
        let from = town.count();
        sleep(Duration::from_secs(12));
        (from, town.count())
    });
    let seconds = to.at.duration_since(from.at).as_secs_f64();
    let calls = admitted.into_inner().expect("no caller panicked");
    let most = calls
        .iter()
        .map(|call| {
            surely_at_once(&calls, call.answered.checked_sub(takes).unwrap_or(call.sent), takes)
        })
        .max();
    assert!(most <= Some(32), "{most:?} at once");
    // Of each call the part that lies between the two moments: places were held, and used by the provider.
    let (mut held, mut used) = (0.0, 0.0);
    for call in &calls {
        let (start, end) = (call.sent.max(from.at), call.answered.min(to.at));
        let inside = end.saturating_duration_since(start).as_secs_f64();
        let whole = call.answered.duration_since(call.sent).max(takes).as_secs_f64();
        held += inside;
        used += inside * takes.as_secs_f64() / whole;
    }
    let [held, used] = [held, used].map(|sum| sum / seconds / 32.0);
    // The provider counts a call until a moment after its last byte, when its caller may have sent the next.
    println!(
        "{used:.3} of the places used by the provider, {held:.3} held, {} calls, {most:?} surely at once at most, {} by \
         the provider's count",
        calls.len(),
        to.in_flight_max
    );
    holds(used >= 0.95, used)
}

/// Calls that surely had a place at this moment: the provider took so long for each, somewhere between when it was
/// sent and when it was answered.
fn surely_at_once(calls: &[Call], at: Instant, takes: Duration) -> usize {
    calls.iter().filter(|call| call.answered <= at + takes && at <= call.sent + takes).count()
}
