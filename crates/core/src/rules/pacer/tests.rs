use super::*;
use crate::hints::{Dimension, RateHints};

fn at(ms: u64) -> Moment {
    Moment::from_millis(1_000_000 + ms)
}

fn ask(tokens: u64) -> Ask {
    Ask { tokens, latest: at(600_000), bytes: 1000, front: false }
}

fn new() -> Pacer {
    Pacer::new(&Limits::default(), at(0))
}

fn go(pacer: &mut Pacer, tokens: u64, now: Moment) -> Grant {
    match pacer.ask(ask(tokens), now) {
        Place::Go(grant) => grant,
        other => panic!("{other:?}"),
    }
}

fn wait(pacer: &mut Pacer, ask: Ask, now: Moment) -> (Ticket, Moment, WaitCause) {
    match pacer.ask(ask, now) {
        Place::Wait { ticket, until, why } => (ticket, until, why),
        other => panic!("{other:?}"),
    }
}

fn requests(limit: u64, remaining: u64, reset_ms: u64) -> RateHints {
    let reset = Some(Duration::from_millis(reset_ms));
    let seen = Dimension { limit: Some(limit), remaining: Some(remaining), reset, window: None };
    RateHints { requests: Some(seen), ..RateHints::default() }
}

fn no_hints() -> RateHints {
    RateHints::default()
}

fn refused(wait_ms: u64) -> Refusal {
    Refusal {
        dimension: RefusedBy::Requests,
        limit_per_minute: Some(1200.0),
        wait: Some(Duration::from_millis(wait_ms)),
        requested: None,
    }
}

#[test]
fn after_a_refusal_with_a_hint_the_next_goes_when_the_hint_says_and_then_at_the_rate() {
    let mut pacer = new();
    let first = go(&mut pacer, 100, at(0));
    pacer.refused(first, &refused(50), &no_hints(), at(0));
    let (ticket, until, why) = wait(&mut pacer, Ask { front: true, ..ask(100) }, at(0));
    assert!(matches!(why, WaitCause::Requests | WaitCause::Hint));
    assert!(until >= at(50) && until < at(80), "{until:?}");
    let (second, _, _) = wait(&mut pacer, ask(100), at(0));
    let Polled::Go(grant) = pacer.poll(ticket, until) else { panic!("due") };
    pacer.released(grant, until);
    assert_eq!(pacer.next_wake(until), Some(second));
    let Polled::Wait { until: next, .. } = pacer.poll(second, until) else { panic!("too early") };
    let gap = next.since(until).as_millis();
    assert!((45..=55).contains(&gap), "one at 1200 a minute is 50 ms, got {gap}");
}

#[test]
fn a_wait_that_cannot_end_in_time_is_refused_at_once_with_the_time() {
    let mut pacer = new();
    let first = go(&mut pacer, 100, at(0));
    pacer.refused(first, &refused(30_000), &no_hints(), at(0));
    match pacer.ask(Ask { latest: at(10_000), ..ask(100) }, at(0)) {
        Place::Refused { wait, why: RefusedCause::TooLate } => {
            assert!(wait >= Duration::from_secs(30) && wait < Duration::from_secs(31), "{wait:?}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(pacer.snapshot(at(0)).queued, 0);
}

#[test]
fn headers_of_a_success_tell_the_rate_and_what_is_left() {
    let mut pacer = new();
    let first = go(&mut pacer, 100, at(0));
    pacer.succeeded(first, None, &requests(1200, 2, 2_900), at(100));
    let held: Vec<Grant> = (0..2).map(|_| go(&mut pacer, 100, at(160))).collect();
    let (_, _, why) = wait(&mut pacer, ask(100), at(160));
    assert_eq!(why, WaitCause::Requests);
    for grant in held {
        pacer.released(grant, at(200));
    }
    assert_eq!(pacer.snapshot(at(200)).in_flight, 0);
}
