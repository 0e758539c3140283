//! The script against the rule, on a real server.

use std::sync::LazyLock;
use std::time::Duration;

use mainstay_core::dice::Dice;
use mainstay_core::rules::lease::Book;
use mainstay_core::rules::limits::Measure;
use tokio::time::Instant;

use super::super::testing::{open, timed};
use super::*;
use crate::testing::redis::RedisServer;

static TIMED: LazyLock<Script> = LazyLock::new(|| timed(&LIMITS, "timed limits/2"));

/// Says it to the script, at a time of the test or the server's own.
async fn say(
    link: &Link,
    node: &str,
    org: &str,
    message: &Message,
    now: Option<u64>,
) -> (Reply, Option<u64>) {
    let (keys, mut args) = words(node, org, message);
    args.extend(now.map(|now| now.to_string()));
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let args: Vec<&[u8]> = args.iter().map(String::as_bytes).collect();
    let script: &'static Script = if now.is_some() { &TIMED } else { &LIMITS };
    let value = link.script(script, &keys, &args).await.expect("an answer");
    let told = value.items()[0].as_int().and_then(|time| u64::try_from(time).ok());
    (read(message, &value).expect("it makes sense"), told)
}

/// Any message that a node may send, and some that none would.
struct Chance {
    dice: Dice,
    number: u64,
}

impl Chance {
    fn pick(&mut self, of: &[u64]) -> u64 {
        of[usize::try_from(self.dice.below(of.len() as u64)).expect("an index")]
    }

    fn amount(&mut self) -> u64 {
        let most = self.pick(&[1, 10, 5_000, 60_000_000, 90_000_000_000, 1 << 50]);
        self.dice.below(most)
    }

    fn message(&mut self) -> Message {
        let asks = (0..=self.dice.below(3)).map(|_| self.ask()).collect();
        let again = self.dice.below(8) == 0;
        let number = if again { self.dice.below(self.number + 1) } else { self.number + 1 };
        self.number = self.number.max(number);
        Message { number, nodes: 1 + self.dice.below(40), asks }
    }

    fn ask(&mut self) -> Ask {
        let id = self.dice.below(3);
        if self.dice.below(3) == 0 {
            let in_use = self.dice.below(6);
            let need = in_use + self.dice.below(2);
            let places = PlacesAsk {
                limit: self.pick(&[0, 1, 3, 10, 64]),
                in_use,
                need,
                want: need + self.dice.below(9),
                life: self.pick(&[1, 30_000_000]),
            };
            return Ask { id, measure: Measure::Concurrency, wish: Wish::Places(places) };
        }
        let need = if self.dice.below(2) == 0 { 0 } else { self.amount() };
        let rate = RateAsk {
            limit: self.pick(&[1, 7, 60, 1_000, 1_000_000_000_000]),
            room: self.amount(),
            back: if self.dice.below(2) == 0 { 0 } else { self.amount() },
            age: self.pick(&[0, 25_000, 124_999, 125_000, 400_000, 874_999, 875_000, 1 << 50]),
            spent: if self.dice.below(4) == 0 { self.amount() } else { 0 },
            need,
            want: need.max(self.amount()),
            count: self.dice.below(30),
            floor: self.amount(),
        };
        let measure = [Measure::RequestsPerMinute, Measure::TokensPerMinute];
        let measure = measure[usize::from(self.dice.below(2) == 0)];
        Ask { id, measure, wish: Wish::Rate(rate) }
    }
}

#[tokio::test]
async fn the_script_says_what_the_rule_says_at_any_time() {
    let Some(server) = RedisServer::start() else { return };
    let link = open(&server).await;
    let (mut granted, mut refused, mut stale) = (0, 0, 0);
    for seed in 0..150 {
        let mut chance = Chance { dice: Dice::new(seed), number: 0 };
        let (org, mut book) = (format!("org-{seed}"), Book::default());
        let mut now: u64 = 1_700_000_000_000_000;
        for step in 0..25 {
            let jump = chance.amount() % 100_000_000;
            // Clocks of servers go back, too.
            now = if chance.dice.below(6) == 0 { now - jump } else { now + jump };
            let node = ["a", "b", "c"][usize::try_from(chance.dice.below(3)).expect("an index")];
            let message = chance.message();
            let ours = book.serve(node, &message, now);
            let (theirs, _) = say(&link, node, &org, &message, Some(now)).await;
            assert_eq!(theirs, ours, "seed {seed}, step {step}: {message:?}");
            match ours {
                Reply::Stale(_) => stale += 1,
                Reply::Told(told) => {
                    for told in told {
                        match told {
                            Told::Rate(RateTold { granted: 0, .. }) => refused += 1,
                            Told::Rate(_) => granted += 1,
                            Told::Places(_) => {}
                        }
                    }
                }
            }
        }
    }
    // Nothing of it is rare, or the test would show little.
    assert!(granted > 500 && refused > 500 && stale > 100, "{granted} {refused} {stale}");
}

#[tokio::test]
async fn the_script_goes_by_the_servers_time_and_keeps_what_it_knows_for_two_days() {
    let Some(server) = RedisServer::start() else { return };
    let link = open(&server).await;
    let (mut chance, mut book) = (Chance { dice: Dice::new(7), number: 0 }, Book::default());
    let mut before = 0;
    for _ in 0..300 {
        let message = chance.message();
        let (theirs, now) = say(&link, "a", "o", &message, None).await;
        let now = now.unwrap_or(before);
        assert!(now >= before, "the same clock for every message");
        before = now;
        assert_eq!(theirs, book.serve("a", &message, now), "{message:?}");
    }
    for key in ["{o}:limits:v2:0:rpm", "{o}:limits:v2:0:concurrency"] {
        let left = server.ask(&format!("PTTL {key}")).expect("an answer");
        let left: i64 = left.trim_start_matches(':').trim().parse().expect("a number");
        assert!(left > 47 * 3_600_000 || left == -2, "{key}: {left}");
    }
}

#[tokio::test]
async fn a_server_that_began_anew_is_told_the_script_and_believes_the_nodes() {
    let Some(mut server) = RedisServer::start() else { return };
    let link = open(&server).await;
    let rate = |count, floor| RateAsk {
        limit: 60,
        room: 60_000_000,
        need: 1_000_000,
        want: 1_000_000,
        count,
        floor,
        ..RateAsk::default()
    };
    let message = |number, ask| Message {
        number,
        nodes: 1,
        asks: vec![Ask { id: 1, measure: Measure::RequestsPerMinute, wish: Wish::Rate(ask) }],
    };
    let first = serve_limits(&link, "a", "o", &message(1, rate(0, 0))).await.expect("an answer");
    assert!(
        matches!(first, Reply::Told(told) if matches!(told[0], Told::Rate(one) if one.granted == 1_000_000))
    );
    server.kill();
    server.run();
    let began = Instant::now();
    let told = loop {
        match serve_limits(&link, "a", "o", &message(2, rate(9, 60_000_000))).await {
            Ok(Reply::Told(told)) => break told,
            Ok(Reply::Stale(last)) => panic!("it has heard {last}"),
            Err(error) => assert!(began.elapsed() < Duration::from_secs(20), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let Told::Rate(told) = told[0] else { panic!("{told:?}") };
    assert_eq!((told.granted, told.count), (0, 10), "what a node knows is used up stays so");
}
