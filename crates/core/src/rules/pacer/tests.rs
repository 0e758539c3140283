#![expect(clippy::wildcard_enum_match_arm, reason = "a test names the answer it wants")]
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
fn a_lone_call_refused_for_too_many_at_once_is_not_sent_again_at_once() {
    let mut pacer = new();
    let none = Refusal { dimension: RefusedBy::Concurrent, wait: None, ..refused(0) };
    let mut now = at(0);
    for _ in 0..6 {
        let lone = go(&mut pacer, 100, now);
        pacer.refused(lone, &none, &no_hints(), now);
        let (ticket, until, _) = wait(&mut pacer, Ask { front: true, ..ask(100) }, now);
        pacer.leave(ticket);
        now = until;
    }
    assert!(now >= at(100 + 200 + 400 + 800 + 1600 + 3200), "{now:?}");
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

/// A daily limit, or nonsense: nobody is parked for hours, everybody is told the time, and a call in
/// a while finds out whether it is still so.
#[test]
fn a_wait_of_a_day_parks_nobody_and_is_looked_at() {
    const DAY: Duration = Duration::from_secs(86_400);
    let mut pacer = new();
    let first = go(&mut pacer, 100, at(0));
    pacer.refused(first, &refused(86_400_000), &no_hints(), at(0));
    let soon = |now| Ask { latest: at(now + 30_000), ..ask(100) };
    let told = |pacer: &mut Pacer, now| match pacer.ask(soon(now), at(now)) {
        Place::Refused { wait, why: RefusedCause::TooLate } => wait,
        other => panic!("{other:?}"),
    };
    let wait = told(&mut pacer, 1000);
    assert!(wait.abs_diff(DAY) < Duration::from_secs(2), "{wait:?}");
    assert_eq!(pacer.snapshot(at(1000)).queued, 0);
    // After a minute one goes to look, and no other.
    let look = go(&mut pacer, 100, at(60_500));
    told(&mut pacer, 60_600);
    pacer.succeeded(look, None, &no_hints(), at(61_000));
    let next = go(&mut pacer, 100, at(61_500));
    pacer.released(next, at(61_600));
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

#[test]
fn strange_headers_change_nothing() {
    let mut pacer = new();
    for n in 0..5 {
        let grant = go(&mut pacer, 100, at(n * 100));
        pacer.succeeded(grant, None, &requests(1200, 50, 500), at(n * 100 + 50));
    }
    let known = |pacer: &Pacer| pacer.snapshot(at(600)).limits[0].map(|limit| limit.per_minute);
    assert_eq!(known(&pacer), Some(1200.0));
    for (limit, remaining) in [(1, 0), (u64::MAX, u64::MAX), (0, 5), (1_000_000_000_000_000, 0)] {
        let grant = go(&mut pacer, 100, at(600));
        pacer.succeeded(grant, Some(u64::MAX), &requests(limit, remaining, u64::MAX), at(601));
        assert_eq!(known(&pacer), Some(1200.0), "limit {limit}");
    }
    let grant = go(&mut pacer, 100, at(700));
    let odd = Refusal { limit_per_minute: Some(f64::NAN), ..Refusal::default() };
    pacer.refused(grant, &odd, &no_hints(), at(701));
    assert_eq!(known(&pacer), Some(1200.0));
}

#[test]
fn a_limit_that_changed_is_believed_when_it_repeats() {
    let mut pacer = new();
    for n in 0..20u64 {
        let limit = if n < 5 { 1200 } else { 600 };
        let grant = go(&mut pacer, 100, at(n * 200));
        pacer.succeeded(grant, None, &requests(limit, 50, 500), at(n * 200 + 50));
    }
    let limit = pacer.snapshot(at(5000)).limits[0].unwrap();
    assert!((limit.per_minute - 600.0).abs() < 1e-6 && limit.told);
}

#[test]
fn the_queue_has_bounds_in_calls_and_in_bytes() {
    let limits = Limits { concurrency: Some(1), ..Limits::default() };
    let mut pacer = Pacer::new(&limits, at(0));
    let held = go(&mut pacer, 1, at(0));
    let mut waiting = 0;
    while let Place::Wait { .. } = pacer.ask(ask(1), at(0)) {
        waiting += 1;
    }
    assert!((CALLS_MAX - 2..CALLS_MAX).contains(&waiting), "{waiting}");
    let front = Ask { front: true, ..ask(1) };
    assert!(matches!(pacer.ask(front, at(0)), Place::Wait { .. }), "a refused one comes back");

    let mut pacer = Pacer::new(&limits, at(0));
    pacer.released(held, at(0));
    let _held = go(&mut pacer, 1, at(0));
    let large = Ask { bytes: BYTES_MAX / 4, ..ask(1) };
    let waiting = (0..10).filter(|_| matches!(pacer.ask(large, at(0)), Place::Wait { .. })).count();
    assert_eq!(waiting, 4);
    assert_eq!(pacer.snapshot(at(0)).queued_bytes, BYTES_MAX);
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Move {
        Ask { tokens: u64, patience_ms: u64, front: bool },
        Poll,
        Leave(usize),
        Succeed(usize, Option<u64>),
        Refuse(usize, Option<u64>),
        Release(usize),
        Unsent(usize),
        Pass(u64),
        Restart,
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let one = prop_oneof![
            4 => (1u64..5000, 1u64..200_000, any::<bool>())
                .prop_map(|(tokens, patience_ms, front)| Move::Ask { tokens, patience_ms, front }),
            4 => Just(Move::Poll),
            1 => (0usize..64).prop_map(Move::Leave),
            2 => (0usize..64, proptest::option::of(0u64..10_000))
                .prop_map(|(n, used)| Move::Succeed(n, used)),
            1 => (0usize..64, proptest::option::of(0u64..10_000_000))
                .prop_map(|(n, wait)| Move::Refuse(n, wait)),
            1 => (0usize..64).prop_map(Move::Release),
            1 => (0usize..64).prop_map(Move::Unsent),
            3 => (0u64..3000).prop_map(Move::Pass),
            1 => Just(Move::Restart),
        ];
        proptest::collection::vec(one, 0..200)
    }

    proptest! {
        /// Whatever happens: no wait beyond the latest start, nothing is left over, no panic. And whoever
        /// asks who is to be woken moves nobody's turn.
        #[test]
        fn every_grant_and_ticket_comes_to_an_end(moves in moves()) {
            let mut pacer = new();
            let mut now = 0;
            let (mut grants, mut tickets): (Vec<Grant>, Vec<(Ticket, Moment)>) = (vec![], vec![]);
            for what in moves {
                match what {
                    Move::Ask { tokens, patience_ms, front } => {
                        let latest = at(now + patience_ms);
                        match pacer.ask(Ask { tokens, latest, bytes: 1, front }, at(now)) {
                            Place::Go(grant) => grants.push(grant),
                            Place::Wait { ticket, until, .. } => {
                                prop_assert!(until <= latest);
                                tickets.push((ticket, latest));
                            }
                            Place::Refused { .. } => {}
                        }
                    }
                    Move::Poll => {
                        let mut kept = vec![];
                        for (ticket, latest) in tickets.drain(..) {
                            match pacer.poll(ticket, at(now)) {
                                Polled::Go(grant) => {
                                    prop_assert!(at(now) <= latest);
                                    grants.push(grant);
                                }
                                Polled::Wait { until, .. } => {
                                    prop_assert!(until > at(now));
                                    prop_assert!(until <= latest + Duration::from_nanos(1));
                                    kept.push((ticket, latest));
                                }
                                Polled::TooLate { .. } => {}
                            }
                        }
                        tickets = kept;
                    }
                    Move::Leave(n) if !tickets.is_empty() => {
                        pacer.leave(tickets.remove(n % tickets.len()).0);
                    }
                    Move::Succeed(n, used) if !grants.is_empty() => {
                        let grant = grants.swap_remove(n % grants.len());
                        pacer.succeeded(grant, used, &requests(600, 3, 100), at(now));
                    }
                    Move::Refuse(n, wait) if !grants.is_empty() => {
                        let grant = grants.swap_remove(n % grants.len());
                        let wait = wait.map(Duration::from_millis);
                        let refusal = Refusal { wait, ..refused(0) };
                        pacer.refused(grant, &refusal, &no_hints(), at(now));
                    }
                    Move::Release(n) if !grants.is_empty() => {
                        pacer.released(grants.swap_remove(n % grants.len()), at(now));
                    }
                    Move::Unsent(n) if !grants.is_empty() => {
                        pacer.unsent(grants.swap_remove(n % grants.len()), at(now));
                    }
                    Move::Pass(ms) => now += ms,
                    Move::Restart => pacer.restart(at(now)),
                    _ => {}
                }
                let before = (pacer.limits.clone(), pacer.ramp, pacer.ceiling);
                let _ = pacer.next_wake(at(now));
                prop_assert!((pacer.limits.clone(), pacer.ramp, pacer.ceiling) == before);
                let seen = pacer.snapshot(at(now));
                prop_assert_eq!(seen.in_flight as usize, grants.len());
                prop_assert_eq!(seen.queued as usize, tickets.len());
            }
            for grant in grants { pacer.released(grant, at(now)); }
            for (ticket, _) in tickets { pacer.leave(ticket); }
            let seen = pacer.snapshot(at(now));
            prop_assert_eq!((seen.in_flight, seen.queued, seen.queued_bytes), (0, 0, 0));
        }

        /// A cap holds in every window: at most what refills in it and one second saved up. And
        /// the first that came goes first.
        #[test]
        fn a_cap_holds_in_every_window_and_the_queue_is_fair(
            rpm in 30u64..6000, gaps in proptest::collection::vec(0u64..200, 1..150),
        ) {
            let limits = Limits { rpm: Some(rpm), ..Limits::default() };
            let mut pacer = Pacer::new(&limits, at(0));
            let (mut now, mut went): (u64, Vec<u64>) = (0, vec![]);
            let mut line: std::collections::VecDeque<Ticket> = std::collections::VecDeque::new();
            for gap in gaps {
                now += gap;
                while let Some(first) = line.front() {
                    if let Some(last) = line.back().filter(|last| *last != first) {
                        let waits = matches!(pacer.poll(*last, at(now)), Polled::Wait { .. });
                        prop_assert!(waits);
                    }
                    let Polled::Go(grant) = pacer.poll(*first, at(now)) else { break };
                    pacer.released(grant, at(now));
                    went.push(now);
                    line.pop_front();
                }
                match pacer.ask(ask(1), at(now)) {
                    Place::Go(grant) => {
                        prop_assert!(line.is_empty(), "nobody overtakes");
                        pacer.released(grant, at(now));
                        went.push(now);
                    }
                    Place::Wait { ticket, .. } => line.push_back(ticket),
                    Place::Refused { .. } => {}
                }
            }
            let rate = rpm as f64 / 60.0;
            for (index, start) in went.iter().enumerate() {
                for (more, end) in went[index..].iter().enumerate() {
                    let most = rate.max(1.2 + 0.004 * rate) + rate * (end - start) as f64 / 1000.0;
                    prop_assert!((more + 1) as f64 <= most + 1e-6, "{} in {} ms", more + 1, end - start);
                }
            }
        }
    }
}

/// Seeds 2679 and 6970 of the laboratory: who asked and left again woke the head of the queue, because
/// the same moment came out a nanosecond earlier. Of the second limit it lies between two nanoseconds.
#[test]
fn who_asks_and_leaves_wakes_nobody_whose_time_stays() {
    for (limit, step, steps) in [(77, 1_234_567, 400), (24_576, 12_345, 500)] {
        let mut pacer = new();
        let first = go(&mut pacer, 100, at(0));
        pacer.succeeded(first, None, &requests(limit, 0, 46_753), at(0));
        let (_, until, _) = wait(&mut pacer, ask(100), at(0));
        assert!(
            until > at(0) + Duration::from_nanos(steps * step) && until < at(2000),
            "{until:?}"
        );
        for step in (1..steps).map(|n| n * step) {
            let now = at(0) + Duration::from_nanos(step);
            let (passing, _, _) = wait(&mut pacer, ask(100), now);
            pacer.leave(passing);
            assert_eq!(pacer.next_wake(now), None, "{limit}: woken after {step} ns");
        }
    }
}

/// Seed 5497 of the laboratory: to look who is to be woken raised the number of calls at once.
#[test]
fn to_look_who_is_to_be_woken_tries_no_further_call_at_once() {
    let mut pacer = new();
    let mut grants: Vec<Grant> = (0..4).map(|_| go(&mut pacer, 100, at(0))).collect();
    let too_many = Refusal {
        dimension: RefusedBy::Concurrent,
        limit_per_minute: None,
        wait: None,
        requested: None,
    };
    pacer.refused(grants.remove(0), &too_many, &no_hints(), at(0));
    // All three places are taken, and the rate lets nobody go for many seconds.
    pacer.observe(&grants[0], &requests(6, 0, 60_000), at(5));
    let (head, until, _) = wait(&mut pacer, ask(100), at(10));
    assert!(until > at(12_000), "{until:?}");
    for ms in (20..12_000).step_by(20) {
        let _ = pacer.next_wake(at(ms));
    }
    assert_eq!(pacer.ceiling.most(), Some(3), "nobody has asked");
    assert!(matches!(pacer.poll(head, until), Polled::Go(_)));
    assert_eq!(pacer.ceiling.most(), Some(4));
}

#[test]
fn thousands_in_the_queue_look_again_a_few_thousand_times_a_second_and_the_first_in_time() {
    let mut pacer = new();
    let _grants: Vec<Grant> = (0..4).map(|_| go(&mut pacer, 100, at(0))).collect();
    let (head, ..) = wait(&mut pacer, ask(100), at(0));
    let mut last = 0.0;
    let mut a_second = 0.0;
    for _ in 0..5000 {
        let (ticket, until, _) = wait(&mut pacer, ask(100), at(0));
        let Polled::Wait { until: again, .. } = pacer.poll(ticket, at(0)) else { panic!("waits") };
        assert_eq!(again, until);
        last = until.seconds_since(at(0));
        a_second += 1.0 / last;
    }
    assert!(a_second < 5000.0, "{a_second} looks a second");
    assert!(last <= 20.0, "{last} s until the last looks again");
    let Polled::Go(first) = pacer.poll(head, at(1000)) else { panic!("the ramp lets it go") };
    assert!(pacer.next_wake(at(1000)).is_some_and(|next| next > head), "and the next is woken");
    pacer.released(first, at(1000));
}

/// A cap of few calls a minute holds the second call, not the first.
#[test]
fn the_first_call_under_a_cap_goes_at_once_and_the_next_as_the_cap_says() {
    for rpm in [1, 6, 60, 61] {
        let limits = Limits { rpm: Some(rpm), ..Limits::default() };
        let mut pacer = Pacer::new(&limits, at(0));
        let first = go(&mut pacer, 100, at(0));
        pacer.released(first, at(1));
        let (_, until, why) = wait(&mut pacer, ask(100), at(1));
        assert_eq!(why, WaitCause::Requests);
        let (gap, exact) = (until.since(at(0)).as_secs_f64(), 60.0 / rpm as f64);
        assert!(
            (gap - exact).abs() <= 0.02 * exact + 0.01,
            "{rpm} a minute: {gap} s, not {exact} s"
        );
    }
}
