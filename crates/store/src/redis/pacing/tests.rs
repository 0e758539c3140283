//! The script against the rule, on a real server.

use std::sync::LazyLock;

use mainstay_core::dice::Dice;
use mainstay_core::rules::lease::Parts;

use super::super::testing::{open, timed};
use super::*;
use crate::testing::redis::RedisServer;

static TIMED: LazyLock<Script> = LazyLock::new(|| timed(&PACING, "timed pacing/2"));

fn any_wants(dice: &mut Dice) -> Wants {
    let mut number = |most: u64| if dice.below(4) == 0 { 0 } else { dice.below(most) };
    Wants {
        calls: number(10_000_000),
        tokens: number(1 << 50),
        at_once: number(1_000),
        in_flight: number(1_000),
        calls_limit: number(1_000_000),
        tokens_limit: number(1 << 41),
        refused: number(1_000),
    }
}

#[tokio::test]
async fn the_script_says_what_the_rule_says_at_any_time() {
    let Some(server) = RedisServer::start() else { return };
    let link = open(&server).await;
    let life = Duration::from_secs(3);
    let (mut heard, mut forgotten) = (0, 0);
    for seed in 0..100 {
        let mut dice = Dice::new(seed);
        let (account, mut parts) = (format!("account {seed}"), Parts::default());
        let mut now: u64 = 1_700_000_000_000_000;
        for step in 0..40 {
            let most = if dice.below(5) == 0 { 20_000_000 } else { 900_000 };
            let jump = dice.below(most);
            now = if dice.below(9) == 0 { now - jump } else { now + jump };
            let node = ["a", "b", "c", "d"][usize::try_from(dice.below(4)).expect("an index")];
            let wants = if dice.below(6) == 0 { Wants::default() } else { any_wants(&mut dice) };
            let ours = parts.serve(node, &wants, 3_000_000, now);
            let (key, mut args) = words(node, &account, &wants, life);
            args.push(now.to_string());
            let args: Vec<&[u8]> = args.iter().map(String::as_bytes).collect();
            let value = link.script(&TIMED, &[&key], &args).await.expect("an answer");
            assert_eq!(read(&value), Some(ours), "seed {seed}, step {step}: {wants:?}");
            heard += ours.nodes;
            forgotten += u64::from(ours.nodes == 0);
        }
    }
    // Nothing of it is rare, or the test would show little.
    assert!(heard > 1_000 && forgotten > 200, "{heard} {forgotten}");
}

#[tokio::test]
async fn what_nodes_told_is_gone_when_nobody_tells_any_more() {
    let Some(server) = RedisServer::start() else { return };
    let link = open(&server).await;
    let wants = Wants { calls: 7_000, at_once: 2, ..Wants::default() };
    // Long beside what a busy machine may take from one message to the next.
    let life = Duration::from_secs(3);
    let tell =
        async |node: &str| serve_pacing(&link, node, "one", &wants, life).await.expect("an answer");
    assert_eq!(tell("b").await.nodes, 0);
    let told = tell("a").await;
    assert_eq!((told.nodes, told.calls(), told.before), (1, 7_000, 0));
    assert_eq!(tell("c").await.before, 4);
    for _ in 0..60 {
        if server.ask("DBSIZE").expect("an answer").trim() == ":0" {
            break;
        }
        tokio::time::sleep(life / 10).await;
    }
    assert_eq!(server.ask("DBSIZE").expect("an answer").trim(), ":0");
    assert_eq!(tell("a").await.nodes, 0);
}
