#![expect(clippy::wildcard_enum_match_arm, reason = "a test names the answer it wants")]
use super::super::{Ask, Grant, Place, Polled, Refusal, RefusedBy, Ticket};
use super::*;
use crate::hints::{Dimension, RateHints};
use crate::policy::Limits;
use crate::rules::lease::Parts;
use alloc::format;
use alloc::vec::Vec;

fn at(ms: u64) -> Moment {
    Moment::from_millis(1_000_000 + ms)
}

fn ask(latest_ms: u64) -> Ask {
    Ask { tokens: 100, latest: at(latest_ms), bytes: 1000, front: false }
}

fn headers(limit: u64, remaining: u64) -> RateHints {
    let reset = Some(Duration::from_millis(1));
    let seen = Dimension { limit: Some(limit), remaining: Some(remaining), reset, window: None };
    RateHints { requests: Some(seen), ..RateHints::default() }
}

/// Others that want so many calls a second, and have as many under way and waiting.
fn others(nodes: u64, calls: u64, at_once: u64) -> Others {
    Others { nodes, sums: [calls * 1_000, 0, at_once, at_once, 0, 0, 0], ..Others::default() }
}

fn go(pacer: &mut Pacer, now: Moment) -> Grant {
    match pacer.ask(ask(600_000), now) {
        Place::Go(grant) => grant,
        other => panic!("{other:?}"),
    }
}

fn wait(pacer: &mut Pacer, now: Moment) -> (Ticket, Moment) {
    match pacer.ask(ask(600_000), now) {
        Place::Wait { ticket, until, .. } => (ticket, until),
        other => panic!("{other:?}"),
    }
}

/// One of `nodes` nodes that was told a limit of requests a minute by an answer, and has nothing saved up.
fn told(nodes: u32, limit: u64) -> Pacer {
    let mut pacer = Pacer::new(&Limits::default(), at(0));
    pacer.among(nodes, 0.0, at(0));
    let first = go(&mut pacer, at(0));
    pacer.succeeded(first, None, &headers(limit, 0), at(1));
    pacer
}

fn part(pacer: &Pacer, now: Moment) -> f64 {
    pacer.snapshot(now).limits[REQUESTS].map_or(0.0, |limit| limit.part)
}

#[test]
fn what_went_in_the_last_second_is_counted() {
    let mut meter = Meter::default();
    for ms in 0..3_000 {
        meter.add(1.0, at(ms));
    }
    assert!((900.0..=1100.0).contains(&meter.sum(at(3_000))), "{}", meter.sum(at(3_000)));
    assert!(meter.sum(at(3_500)) < 700.0);
    assert!(meter.sum(at(6_000)) < f64::EPSILON, "long ago");
    meter.add(1.0, at(60_000));
    assert!((meter.sum(at(60_000)) - 1.0).abs() < 1e-9, "nothing of long ago comes back");
}

#[test]
fn where_there_is_enough_each_has_what_it_wants_and_an_even_part_of_the_rest() {
    let mut pacer = told(2, 1200);
    // One call a second here, nine there, of twenty.
    pacer.heard_others(others(1, 9, 0), at(500));
    assert!((part(&pacer, at(500)) - 6.0 / 20.0).abs() < 0.02, "{}", part(&pacer, at(500)));
    assert!((pacer.snapshot(at(500)).limits[REQUESTS].unwrap().per_minute - 1200.0).abs() < 1e-6);
}

#[test]
fn where_there_is_not_parts_are_as_what_is_wanted_and_make_one_whole() {
    let mut place = Parts::default();
    let mut nodes: Vec<Pacer> = (0..4).map(|_| told(4, 600)).collect();
    for (index, pacer) in nodes.iter_mut().enumerate() {
        (0..=10 * index).for_each(|_| {
            wait(pacer, at(2));
        });
    }
    for round in 1..4 {
        for (index, pacer) in nodes.iter_mut().enumerate() {
            let now = at(round * 1_000);
            let wants = pacer.tells(now).unwrap();
            let told = place.serve(&format!("{index}"), &wants, 3_000_000, round * 1_000_000);
            pacer.heard_others(told, now);
        }
    }
    let parts: Vec<f64> = nodes.iter().map(|pacer| part(pacer, at(3_000))).collect();
    let all: f64 = parts.iter().sum();
    assert!((all - 1.0).abs() < 0.05, "{parts:?}");
    assert!(parts.windows(2).all(|pair| pair[0] < pair[1]), "{parts:?}");
    assert!((parts[3] - 31.0 / 64.0).abs() < 0.05, "{parts:?}");
}

#[test]
fn who_hears_nothing_keeps_to_an_even_part_and_who_is_alone_has_all() {
    let mut pacer = told(4, 1200);
    let (ticket, _) = wait(&mut pacer, at(2));
    assert!((part(&pacer, at(2)) - 0.25).abs() < 1e-9, "nobody told it anything yet");
    pacer.heard_others(others(3, 0, 0), at(3));
    assert!((part(&pacer, at(3)) - 0.25).abs() < 1e-9, "perhaps the others have not told yet");
    pacer.heard_others(others(3, 0, 0), at(1_003));
    assert!(part(&pacer, at(1_003)) > 0.25, "the others want nothing");
    let _ = pacer.poll(ticket, at(4_003));
    assert!((part(&pacer, at(4_003)) - 0.25).abs() < 1e-9, "what it heard is too old");
    pacer.heard_others(others(3, 0, 0), at(4_100));
    assert!((part(&pacer, at(4_100)) - 0.25).abs() < 1e-9, "the place is back and knows nobody");
    pacer.among(1, 0.0, at(5_000));
    assert!((part(&pacer, at(5_000)) - 1.0).abs() < 1e-9);
    assert_eq!(pacer.tells(at(6_000)), None, "there is nobody to tell");
}

#[test]
fn a_call_that_comes_to_an_idle_node_among_busy_ones_has_a_place_at_once() {
    let mut pacer = told(40, 1200);
    pacer.heard_others(others(39, 100, 100), at(2_500));
    assert!(part(&pacer, at(2_500)) < 0.01, "it wants nothing");
    // A hundred wait elsewhere for twenty a second: five seconds is what any call waits.
    match pacer.ask(ask(2_500 + 8_000), at(2_500)) {
        Place::Wait { until, .. } => {
            assert!(until.since(at(2_500)) < Duration::from_secs(7), "{until:?}");
        }
        other => panic!("{other:?}"),
    }
}

/// One of two nodes, told that the other takes thirty calls a second for the whole.
fn found_elsewhere() -> (Pacer, Others) {
    let mut pacer = Pacer::new(&Limits::default(), at(0));
    pacer.among(2, 0.0, at(0));
    let mut found = others(1, 10, 5);
    (found.sums[4], found.known[0]) = (30_000, 1);
    pacer.heard_others(found, at(1));
    (pacer, found)
}

/// Calls a second that it takes for the whole.
fn whole(pacer: &Pacer) -> f64 {
    pacer.snapshot(at(1)).limits[REQUESTS].unwrap().per_minute / 60.0
}

#[test]
fn a_rate_that_was_found_elsewhere_is_taken_over_and_one_found_twice_is_a_mean() {
    let (mut pacer, mut found) = found_elsewhere();
    assert!((whole(&pacer) - 30.0).abs() < 0.1, "{}", whole(&pacer));
    found.sums[4] = 10_000;
    pacer.heard_others(found, at(2));
    assert!((whole(&pacer) - 20.0).abs() < 0.1, "{}", whole(&pacer));
    let mut sure = told(2, 1200);
    sure.heard_others(found, at(2));
    assert!((whole(&sure) - 20.0).abs() < 0.1, "what the provider names stands");
}

/// What other nodes are refused says what the whole is too large by, once for each second of refusals.
#[test]
fn what_others_are_refused_at_is_taken_off_a_rate_found_by_trying() {
    let (mut pacer, mut found) = found_elsewhere();
    found.sums[6] = 10_000;
    pacer.heard_others(found, at(500));
    assert!((whole(&pacer) - 20.0).abs() < 0.1, "ten of thirty are too much: {}", whole(&pacer));
    found.sums[4] = 20_000;
    pacer.heard_others(found, at(1_000));
    assert!((whole(&pacer) - 20.0).abs() < 0.1, "it is told again: {}", whole(&pacer));
    found.sums[6] = 1_000;
    pacer.heard_others(found, at(2_500));
    assert!((whole(&pacer) - 19.5).abs() < 0.1, "half of little: {}", whole(&pacer));
    let mut sure = told(2, 1200);
    sure.heard_others(found, at(2_500));
    assert!((whole(&sure) - 20.0).abs() < 0.1, "what the provider names stands");
}

#[test]
fn nodes_that_were_told_to_wait_do_not_come_back_in_one_moment() {
    let refusal = Refusal {
        dimension: RefusedBy::Requests,
        limit_per_minute: Some(1200.0),
        wait: Some(Duration::from_millis(50)),
        requested: None,
    };
    let back = |before: u64| {
        let mut pacer = told(10, 1200);
        let heard = Others { before, ..others(9, 90, 9) };
        pacer.heard_others(heard, at(3_000));
        let grant = pacer.let_through(ask(600_000), at(3_000));
        pacer.refused(grant, &refusal, &RateHints::default(), at(3_000));
        wait(&mut pacer, at(3_000)).1
    };
    let times: Vec<Moment> = (0..10).map(back).collect();
    assert!(times.iter().all(|time| *time >= at(3_050)), "none before its hint: {times:?}");
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
}

/// Parts of `most` for nodes that have and want so many.
fn places(wanted: &[u32], most: u32, turn: u64) -> Vec<u32> {
    let all: u64 = wanted.iter().copied().map(u64::from).sum();
    let mut before = 0;
    let one = |own: &u32| {
        let sums = [0, 0, all - u64::from(*own), 0, 0, 0, 0];
        let heard = Others { nodes: wanted.len() as u64 - 1, before, turn, sums, known: [0; 2] };
        before += u64::from(*own);
        let others = Some(Heard { others: heard, at: at(0), since: at(0) });
        let nodes = u32::try_from(wanted.len()).unwrap();
        let part = Part { nodes, others, at_once: f64::from(*own), ..Part::default() };
        part.places(most, *own, at(1))
    };
    wanted.iter().map(one).collect()
}

#[test]
fn calls_at_once_are_shared_out_to_the_last_and_not_beyond() {
    for wanted in [&[4, 4, 4, 4][..], &[1, 20, 3], &[7, 1, 1, 1, 90], &[9, 9]] {
        for most in 1..16 {
            for turn in 0..20 {
                let parts = places(wanted, most, turn);
                assert_eq!(parts.iter().sum::<u32>(), most, "{wanted:?}: {parts:?}");
            }
        }
    }
    assert_eq!(places(&[1, 2], 8, 0), [8, 8], "where there is enough nobody is held");
}

#[test]
fn of_few_places_every_node_has_its_turn() {
    let mut turns = [0; 4];
    for turn in (0..160).step_by(4) {
        for (sum, part) in turns.iter_mut().zip(places(&[5, 5, 5, 5], 2, turn)) {
            *sum += part;
        }
    }
    assert_eq!(turns.iter().sum::<u32>(), 80);
    assert!(turns.iter().all(|turns| *turns >= 15), "{turns:?}");
}

#[test]
fn a_place_that_others_use_is_not_taken_although_it_is_ours() {
    let limits = Limits { concurrency: Some(4), ..Limits::default() };
    let mut pacer = Pacer::new(&limits, at(0));
    pacer.among(2, 0.0, at(0));
    pacer.heard_others(others(1, 0, 4), at(1));
    let (ticket, until) = wait(&mut pacer, at(1));
    assert_eq!(until, at(600_000), "only an answer elsewhere makes room");
    let mut fewer = Others { turn: 4, ..others(1, 0, 4) };
    fewer.sums[3] = 3;
    pacer.heard_others(fewer, at(2));
    assert_eq!(pacer.next_wake(at(2)), Some(ticket));
    assert!(matches!(pacer.poll(ticket, at(2)), Polled::Go(_)));
}

#[test]
fn it_tells_when_there_is_something_new_and_not_oftener() {
    let mut pacer = told(2, 1200);
    let first = pacer.tells(at(100)).unwrap();
    assert!(first.calls > 0 && first.calls_limit == 20_000, "{first:?}");
    let times = |pacer: &mut Pacer, from: u64, to: u64| {
        (from..to).step_by(10).filter(|ms| pacer.tells(at(*ms)).is_some()).count()
    };
    let held = pacer.let_through(ask(600_000), at(200));
    assert_eq!(times(&mut pacer, 200, 10_200), 10, "once a second while something is under way");
    let tickets: Vec<Ticket> = (0..50).map(|_| wait(&mut pacer, at(10_200)).0).collect();
    assert!(pacer.tells(at(10_210)).is_some(), "fifty calls are news");
    assert_eq!(times(&mut pacer, 10_220, 11_200), 1, "twice a second where calls wait");
    for ticket in tickets {
        pacer.leave(ticket);
    }
    pacer.released(held, at(11_200));
    let last = (11_200..20_000).filter_map(|ms| pacer.tells(at(ms))).last();
    assert!(
        last.is_some_and(|wants| wants.is_nothing()),
        "that it wants nothing is told: {last:?}"
    );
    assert_eq!(times(&mut pacer, 20_000, 60_000), 0, "and then nothing");
}
