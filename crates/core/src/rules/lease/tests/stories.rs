//! What is promised, story by story.

use alloc::format;
use alloc::vec::Vec;
use std::time::Duration;

use super::super::super::limits::{Fits, LimitSpec, Measure, Need, Refusal, Share};
use super::super::*;
use super::REPLY_MAX;
use crate::time::Moment;

mod asked;

/// Nodes around one book, and limits that apply to every call.
struct Town {
    nodes: Vec<Group>,
    book: Book,
    specs: Vec<LimitSpec>,
    now: Moment,
    away: bool,
    messages: u32,
    /// Calls that waited for a message.
    waited: u32,
    count_refused: bool,
}

impl Town {
    fn new(nodes: usize, specs: &[LimitSpec]) -> Town {
        Town {
            nodes: (0..nodes).map(|_| Group::new(0)).collect(),
            book: Book::default(),
            specs: specs.to_vec(),
            now: Moment::from_millis(1_000),
            away: false,
            messages: 0,
            waited: 0,
            count_refused: false,
        }
    }

    fn view(&self, reach: Reach) -> View {
        View { nodes: self.nodes.len() as u64, reach, reply_max: REPLY_MAX, now: self.now }
    }

    fn pass(&mut self, seconds: f64) {
        self.now = self.now + Duration::from_secs_f64(seconds);
    }

    fn shares(&self) -> Vec<Share> {
        (0..).zip(&self.specs).map(|(id, spec)| Share::new(id, *spec)).collect()
    }

    /// Sends what a node has to say, and brings the reply.
    fn talk(&mut self, node: usize) {
        let view = self.view(Reach::Ask);
        while let Some(message) = self.nodes[node].message(view) {
            self.messages += 1;
            if self.away {
                self.nodes[node].lost(message.number);
                return;
            }
            let now = self.now.as_nanos() / 1_000;
            let reply = self.book.serve(&format!("n{node}"), &message, now);
            self.nodes[node].told(message.number, &reply, view);
        }
    }

    fn call(&mut self, node: usize, tokens: u64) -> Result<Vec<Share>, Refusal> {
        let need = Need { tokens, count_refused: self.count_refused };
        let mut shares = self.shares();
        let first = self.view(if self.away { Reach::Away } else { Reach::Ask });
        let mut admitted = self.nodes[node].admit(&mut shares, need, first);
        if admitted == Err(Stopped::Asks) {
            self.waited += 1;
            self.talk(node);
            let last = self.view(if self.away { Reach::Away } else { Reach::Last });
            admitted = self.nodes[node].admit(&mut shares, need, last);
        }
        self.talk(node);
        match admitted {
            Ok(()) => Ok(shares),
            Err(Stopped::Refused(refusal)) => Err(refusal),
            Err(Stopped::Asks) => panic!("a call that has waited is not asked to wait again"),
        }
    }

    fn end(&mut self, node: usize, mut shares: Vec<Share>, used: Option<u64>) {
        let view = self.view(Reach::Ask);
        self.nodes[node].settle(&mut shares, used, view);
    }

    fn tick(&mut self, node: usize) {
        let (specs, view) = (self.specs.clone(), self.view(Reach::Ask));
        let known = |id: u64| specs.get(usize::try_from(id).ok()?).copied();
        self.nodes[node].sweep(usize::MAX, view, known);
        self.talk(node);
    }

    /// Calls until one is refused.
    fn hammer(&mut self, node: usize, tokens: u64) -> u64 {
        let admitted = (0..100_000).take_while(|_| self.call(node, tokens).is_ok()).count();
        u64::try_from(admitted).unwrap()
    }

    fn used(&self, node: usize, measure: Measure) -> u64 {
        let view = self.view(Reach::Ask);
        let mut readings = self.nodes[node].read(0, &self.specs[0], view);
        readings.find(|reading| reading.measure == measure).unwrap().used
    }
}

fn rpm(limit: u64) -> LimitSpec {
    LimitSpec { rpm: Some(limit), ..LimitSpec::default() }
}

fn seconds(refusal: &Refusal) -> f64 {
    let Fits::After(wait) = refusal.fits else { panic!("{refusal:?}") };
    wait.as_secs_f64()
}

#[test]
fn at_steady_load_few_messages_carry_many_calls_and_no_call_waits() {
    let mut town = Town::new(4, &[rpm(60_000)]);
    for node in 0..4 {
        town.call(node, 0).unwrap();
    }
    (town.messages, town.waited) = (0, 0);
    for turn in 0..40_000 {
        town.call(turn % 4, 0).unwrap();
        town.pass(0.001_25);
    }
    assert!(town.messages <= 800, "{} messages for 40,000 calls", town.messages);
    assert_eq!(town.waited, 0, "leases come before they are needed");
}

#[test]
fn all_nodes_together_get_the_burst_and_then_the_rate() {
    let mut town = Town::new(4, &[rpm(6_000)]);
    let at_once: u64 = (0..4).map(|node| town.hammer(node, 0)).sum();
    assert!((5_500..=6_000).contains(&at_once), "{at_once} at once");
    let mut later = 0;
    for _ in 0..6_000 {
        town.pass(0.01);
        later += (0..4).map(|node| town.hammer(node, 0)).sum::<u64>();
    }
    assert!((5_700..=6_400).contains(&later), "{later} in a minute");
    assert!(at_once + later <= 12_000);
}

#[test]
fn leases_that_are_spent_late_are_within_the_burst() {
    let mut town = Town::new(2, &[rpm(6_000)]);
    for node in 0..2 {
        town.call(node, 0).unwrap();
    }
    // Nothing counts as used any more, and both still hold their leases.
    town.pass(5.0);
    let at_once: u64 = (0..2).map(|node| town.hammer(node, 0)).sum();
    assert!((5_500..=6_000).contains(&at_once), "{at_once} at once");
}

#[test]
fn of_a_small_limit_every_call_asks_for_itself_and_refusals_are_remembered() {
    let mut town = Town::new(2, &[rpm(3)]);
    for turn in 0..3 {
        town.call(turn % 2, 0).unwrap();
    }
    let refused = town.call(0, 0).unwrap_err();
    assert_eq!((refused.limit, refused.used, refused.requested), (3, 3, 1));
    let wait = seconds(&refused);
    assert!((20.0..20.1).contains(&wait), "{wait}");
    let asked = town.messages;
    for _ in 0..100 {
        assert!(town.call(0, 0).is_err());
    }
    assert_eq!(town.messages, asked, "what was told is not asked again");
    town.pass(wait + 0.001);
    assert!(town.call(0, 0).is_ok());
    assert!(town.call(1, 0).is_err());
}

#[test]
fn what_is_larger_than_the_burst_goes_when_nothing_is_used() {
    let spec = LimitSpec {
        tpm: Some(6_000),
        burst: Some(Duration::from_secs(10)),
        ..LimitSpec::default()
    };
    let mut town = Town::new(2, &[spec]);
    assert_eq!(town.call(0, 6_001).unwrap_err().fits, Fits::Never);
    town.call(0, 10).unwrap();
    assert!(town.call(1, 5_000).is_err());
    town.pass(20.0);
    town.tick(0);
    assert!(town.call(1, 5_000).is_ok());
    assert!(seconds(&town.call(0, 10).unwrap_err()) > 39.0, "it is paid back before the next");
}

#[test]
fn tokens_that_were_not_used_are_there_for_others() {
    let mut town = Town::new(2, &[LimitSpec { tpm: Some(6_000), ..LimitSpec::default() }]);
    let large = town.call(0, 5_500).unwrap();
    town.pass(0.3);
    assert!(town.call(1, 3_000).is_err());
    town.end(0, large, Some(100));
    town.tick(0);
    assert!(town.call(1, 3_000).is_err(), "a refusal is believed for a second");
    town.pass(1.1);
    assert!(town.call(1, 3_000).is_ok());
}

/// A limit of 100 tokens a second, of which 100 may come at once; a node holds none of them.
fn a_hundred_a_second() -> Town {
    let burst = Some(Duration::from_secs(1));
    Town::new(3, &[LimitSpec { tpm: Some(6_000), burst, ..LimitSpec::default() }])
}

#[test]
fn what_had_passed_when_it_was_given_back_is_not_taken_off_what_others_took_since() {
    let mut town = a_hundred_a_second();
    let first = town.call(0, 60).unwrap();
    town.pass(2.0);
    // Nothing counts as used any more, so this makes no room.
    town.end(0, first, Some(0));
    town.pass(0.2);
    town.call(1, 60).unwrap();
    town.tick(0);
    assert!(town.call(0, 60).is_err(), "120 at once of 100");
    assert_eq!(town.used(0, Measure::TokensPerMinute), 60);
}

#[test]
fn what_is_given_back_makes_room_for_as_much_as_there_was_since_and_once() {
    let mut town = a_hundred_a_second();
    let (first, second) = (town.call(0, 60).unwrap(), town.call(1, 40).unwrap());
    town.pass(0.5);
    town.end(0, first, Some(0));
    town.end(1, second, Some(0));
    town.call(2, 50).unwrap();
    town.tick(0);
    assert_eq!(town.used(0, Measure::TokensPerMinute), 50, "half had passed");
    town.tick(1);
    assert_eq!(town.used(1, Measure::TokensPerMinute), 50, "the other half is given back already");
    assert!(town.call(1, 60).is_err());
    assert!(town.call(1, 50).is_ok());
}

#[test]
fn of_what_is_told_too_late_to_know_what_counted_since_nothing_is_taken_off() {
    let mut town = a_hundred_a_second();
    let first = town.call(0, 90).unwrap();
    town.pass(0.5);
    town.end(0, first, Some(0));
    // 40 counted then; in the last second never less than 60 did.
    for tokens in [50, 50, 40, 40] {
        town.call(1, tokens).unwrap();
        town.pass(0.4);
    }
    town.call(1, 40).unwrap();
    town.tick(0);
    assert_eq!(town.used(0, Measure::TokensPerMinute), 100);
}

#[test]
fn tokens_beyond_what_was_reserved_are_told_and_waited_for() {
    let mut town = Town::new(2, &[LimitSpec { tpm: Some(6_000), ..LimitSpec::default() }]);
    let small = town.call(0, 10).unwrap();
    town.end(0, small, Some(12_000));
    town.tick(0);
    assert!(town.call(1, 10).is_err(), "others learn of it");
    assert!(town.call(0, 10).is_err());
    town.pass(61.0);
    assert!(town.call(1, 10).is_ok());
}

#[test]
fn what_was_spent_is_told_again_when_the_message_is_lost() {
    let mut town = Town::new(2, &[LimitSpec { tpm: Some(6_000), ..LimitSpec::default() }]);
    let small = town.call(0, 10).unwrap();
    town.end(0, small, Some(9_000));
    town.away = true;
    town.tick(0);
    town.away = false;
    assert!(town.call(1, 10).is_ok(), "nobody has heard of it");
    town.tick(0);
    town.pass(1.1);
    town.hammer(1, 10);
    assert!(town.call(1, 10).is_err());
    assert!(town.used(1, Measure::TokensPerMinute) >= 6_000);
}

#[test]
fn without_the_place_a_node_spends_its_lease_and_then_four_fifths_of_its_part() {
    let mut town = Town::new(4, &[rpm(6_000)]);
    for node in 0..4 {
        town.call(node, 0).unwrap();
    }
    town.away = true;
    let leased: u64 = (0..4).map(|node| town.hammer(node, 0)).sum();
    assert!((300..=6_000 / 16).contains(&leased), "{leased} were leased");
    let mut alone = 0;
    for _ in 0..6_000 {
        town.pass(0.01);
        alone += (0..4).map(|node| town.hammer(node, 0)).sum::<u64>();
    }
    assert!((4_700..=4_800).contains(&alone), "{alone} in a minute alone");
    // Back again: what was admitted meanwhile counts, so that nothing comes in a rush.
    town.away = false;
    town.pass(0.1);
    for node in 0..4 {
        let _ = town.call(node, 0);
        town.tick(node);
    }
    let back: u64 = (0..4).map(|node| town.hammer(node, 0)).sum();
    assert!(back < 1_300, "{back} at once after the return");
}

#[test]
fn a_call_larger_than_the_burst_is_paid_back_first_also_when_the_place_is_away() {
    let burst = Some(Duration::from_secs(1));
    let spec = LimitSpec { tpm: Some(600), burst, ..LimitSpec::default() };
    let mut town = Town::new(2, &[spec]);
    town.call(0, 100).unwrap();
    town.away = true;
    town.pass(2.0);
    assert!(town.call(0, 1).is_err());
    town.pass(7.0);
    assert!(town.call(0, 1).is_err());
    town.pass(0.5);
    assert!(town.call(0, 1).is_ok());
    // One that goes without the place is told when it is back, as far as it is not paid back.
    town.pass(10.0);
    town.call(0, 100).unwrap();
    town.pass(3.0);
    town.away = false;
    town.tick(0);
    assert_eq!(town.used(0, Measure::TokensPerMinute), 70);
    town.pass(6.0);
    assert!(town.call(1, 5).is_err());
    town.pass(0.6);
    assert!(town.call(1, 5).is_ok());
}

#[test]
fn after_a_long_absence_only_the_last_moments_are_paid_for() {
    let spec = LimitSpec { burst: Some(Duration::from_secs(2)), ..rpm(1_200) };
    let mut town = Town::new(4, &[spec]);
    let round = |town: &mut Town| {
        town.pass(0.05);
        (0..4).map(|node| town.hammer(node, 0)).sum::<u64>()
    };
    for _ in 0..40 {
        round(&mut town);
    }
    town.away = true;
    for turn in 0..400 {
        round(&mut town);
        if turn % 5 == 0 {
            (0..4).for_each(|node| town.tick(node));
        }
    }
    town.away = false;
    // Two bursts' time at most: what was admitted in it takes 3.2 s to be given.
    let waited: u64 = (0..40).map(|_| round(&mut town)).sum();
    let later: u64 = (0..80).map(|_| round(&mut town)).sum();
    assert!(waited <= 70 && (76..=84).contains(&later), "{waited} in 2 s, {later} in the next 4");
}

#[test]
fn a_place_that_forgot_is_told_what_had_counted() {
    let mut town = Town::new(2, &[rpm(60)]);
    let used: u64 = (0..2).map(|node| town.hammer(node, 0)).sum();
    assert!(used >= 59, "{used}");
    town.book = Book::default();
    town.pass(2.0);
    let again: u64 = (0..2).map(|node| town.hammer(node, 0)).sum();
    assert!(again <= 3, "{again} of a limit that was used up two seconds ago");
}

#[test]
fn what_comes_twice_or_late_counts_for_nothing() {
    let spec = rpm(60_000);
    let (mut node, mut book) = (Group::new(7), Book::default());
    let view = |millis: u64| View {
        nodes: 2,
        reach: Reach::Ask,
        reply_max: REPLY_MAX,
        now: Moment::from_millis(millis),
    };
    let need = Need { tokens: 0, count_refused: false };
    let mut shares = [Share::new(0, spec)];
    assert_eq!(node.admit(&mut shares, need, view(0)), Err(Stopped::Asks));
    let message = node.message(view(0)).unwrap();
    assert_eq!(message.number, 8);
    let reply = book.serve("a", &message, 1);
    let before = book.clone();
    assert_eq!(book.serve("a", &message, 2), Reply::Stale(8), "twice");
    assert_eq!(book, before);
    node.lost(8);
    node.told(8, &reply, view(1));
    assert_eq!(node.admit(&mut shares, need, view(1)), Err(Stopped::Asks), "given up before");
    let message = node.message(view(1)).unwrap();
    let reply = book.serve("a", &message, 3);
    node.told(9, &reply, view(2));
    assert_eq!(node.admit(&mut shares, need, view(2)), Ok(()));
}

#[test]
fn a_node_that_begins_anew_with_low_numbers_goes_on_above_its_old_ones() {
    let mut town = Town::new(1, &[rpm(600)]);
    for _ in 0..30 {
        town.call(0, 0).unwrap();
        town.pass(1.0);
    }
    town.nodes[0] = Group::new(0);
    assert!(town.call(0, 0).is_err(), "its first message is taken for an old one");
    town.pass(0.01);
    assert!(town.call(0, 0).is_ok());
}

#[test]
fn places_are_held_by_nodes_and_given_back() {
    let spec = LimitSpec { concurrency: Some(3), ..LimitSpec::default() };
    let mut town = Town::new(2, &[spec]);
    let first = town.call(0, 0).unwrap();
    let second = town.call(0, 0).unwrap();
    let third = town.call(1, 0).unwrap();
    let refused = town.call(1, 0).unwrap_err();
    assert_eq!(refused.fits, Fits::WhenOneEnds);
    assert_eq!((refused.measure, refused.limit, refused.used), (Measure::Concurrency, 3, 3));
    // A place that a call of the same node leaves is there at once.
    town.end(1, third, None);
    let third = town.call(1, 0).unwrap();
    // One that a call of another leaves is there when it was given back.
    town.end(0, first, None);
    town.pass(1.1);
    town.tick(0);
    town.call(1, 0).unwrap();
    assert!(town.call(1, 0).is_err());
    town.end(0, second, None);
    town.end(1, third, None);
}

#[test]
fn a_dead_nodes_places_come_back_after_their_time() {
    let spec = LimitSpec { concurrency: Some(2), ..LimitSpec::default() };
    let mut town = Town::new(2, &[spec]);
    town.call(0, 0).unwrap();
    town.call(0, 0).unwrap();
    assert!(town.call(1, 0).is_err());
    for _ in 0..40 {
        town.pass(0.7);
        town.tick(1);
        assert!(town.call(1, 0).is_err(), "they are held for thirty seconds");
    }
    town.pass(3.0);
    assert!(town.call(1, 0).is_ok());
}

#[test]
fn long_calls_keep_their_places() {
    let spec = LimitSpec { concurrency: Some(2), ..LimitSpec::default() };
    let mut town = Town::new(2, &[spec]);
    town.call(0, 0).unwrap();
    town.call(0, 0).unwrap();
    for _ in 0..600 {
        town.pass(0.25);
        town.tick(0);
        town.tick(1);
        assert!(town.call(1, 0).is_err());
    }
}

#[test]
fn a_node_alone_admits_its_part_of_the_places() {
    let spec = LimitSpec { concurrency: Some(10), ..LimitSpec::default() };
    let mut town = Town::new(4, &[spec]);
    town.away = true;
    assert_eq!((0..4).map(|node| town.hammer(node, 0)).sum::<u64>(), 8);
    let spec = LimitSpec { concurrency: Some(1), ..LimitSpec::default() };
    let mut town = Town::new(4, &[spec]);
    town.away = true;
    assert_eq!(town.hammer(0, 0), 1, "nobody is shut out");
}

#[test]
fn a_shadow_counts_and_never_refuses_and_nobody_waits_for_it() {
    let mut town = Town::new(2, &[LimitSpec { shadow: true, ..rpm(6) }, rpm(600)]);
    let mut over = Vec::new();
    for turn in 0..20 {
        over.push(town.call(turn % 2, 0).unwrap()[0].is_over());
        town.tick(turn % 2);
    }
    let counted = over.iter().filter(|over| !**over).count();
    assert!((6..=8).contains(&counted), "{counted} of a limit of six");
    assert!(over[12..].iter().all(|over| *over));
}

#[test]
fn nothing_is_taken_of_one_limit_when_another_refuses() {
    let mut town = Town::new(2, &[rpm(60), rpm(2)]);
    town.call(0, 0).unwrap();
    town.call(1, 0).unwrap();
    for _ in 0..30 {
        let refused = town.call(0, 0).unwrap_err();
        assert_eq!((refused.index, refused.limit), (1, 2));
    }
    assert!(town.used(0, Measure::RequestsPerMinute) <= 5);
}

#[test]
fn a_changed_limit_keeps_what_was_counted() {
    let mut town = Town::new(2, &[rpm(100)]);
    for turn in 0..80 {
        town.call(turn % 2, 0).unwrap();
    }
    town.specs[0].rpm = Some(200);
    let more: u64 = (0..2).map(|node| town.hammer(node, 0)).sum();
    assert!((105..=120).contains(&more), "{more} more of 200 after 80");
    town.specs[0].rpm = Some(50);
    let wait = seconds(&town.call(0, 0).unwrap_err());
    assert!(wait > 120.0, "{wait}");
}

#[test]
fn a_node_that_stops_gives_back_what_it_holds() {
    let mut town = Town::new(2, &[rpm(60_000)]);
    town.call(0, 0).unwrap();
    let held = town.used(0, Measure::RequestsPerMinute);
    town.pass(0.3);
    town.tick(0);
    town.nodes[0].leave();
    town.talk(0);
    town.call(1, 0).unwrap();
    let before = town.nodes[1].read(0, &town.specs[0], town.view(Reach::Ask)).next().unwrap();
    assert!(held <= 1 && before.used <= 2, "{held} {before:?}: leases are no use");
    let all: u64 = town.hammer(1, 0);
    assert!(all >= 56_000, "{all}");
}

#[test]
fn what_nobody_uses_is_forgotten() {
    let mut town = Town::new(2, &[rpm(600), LimitSpec { concurrency: Some(5), ..rpm(60) }]);
    for turn in 0..10 {
        let shares = town.call(turn % 2, 0).unwrap();
        town.end(turn % 2, shares, None);
    }
    for _ in 0..120 {
        town.pass(1.0);
        town.tick(0);
        town.tick(1);
    }
    assert!(town.nodes.iter().all(Group::is_empty), "{:?}", town.nodes);
}

#[test]
fn refused_requests_count_only_where_something_is_leased() {
    let tight = LimitSpec { tpm: Some(10), ..LimitSpec::default() };
    let mut town = Town::new(1, &[rpm(6_000), tight]);
    town.count_refused = true;
    town.call(0, 10).unwrap();
    for _ in 0..20 {
        assert!(town.call(0, 10).is_err());
    }
    assert!(town.used(0, Measure::RequestsPerMinute) >= 15);
}
