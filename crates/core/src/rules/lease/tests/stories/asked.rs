//! What is asked in one moment, once more and otherwise.

use super::*;

#[test]
fn what_a_node_holds_follows_how_many_there_are_in_the_same_moment_too() {
    let mut group = Group::new(0);
    let view = |nodes| View {
        nodes,
        reach: Reach::Ask,
        reply_max: REPLY_MAX,
        now: Moment::from_millis(7),
    };
    let want = |group: &mut Group, nodes| {
        let mut shares = [Share::new(1, rpm(16_000))];
        let need = Need { tokens: 0, count_refused: false };
        assert_eq!(group.admit(&mut shares, need, view(nodes)), Err(Stopped::Asks));
        let message = group.message(view(nodes)).unwrap();
        group.lost(message.number);
        let Wish::Rate(ask) = message.asks[0].wish else { panic!("{message:?}") };
        // 3.75 ms a unit; the one that waits is beside what is held.
        (ask.want - 3_750) / 3_750
    };
    assert_eq!(want(&mut group, 1), 1_000);
    assert_eq!(want(&mut group, 4), 250);
    assert_eq!(want(&mut group, 1), 1_000);
}

#[test]
fn tokens_that_are_left_are_those_of_the_tightest_limit_that_is_no_shadow() {
    let tpm = |tpm, shadow| LimitSpec { tpm: Some(tpm), shadow, ..rpm(6_000) };
    let mut town = Town::new(2, &[tpm(50_000, false), tpm(30_000, false), tpm(100, true), rpm(60)]);
    for turn in 0..200_u32 {
        let (node, view) = ((turn % 2) as usize, town.view(Reach::Ask));
        let shares = town.shares();
        let stands = town.nodes[node].standing(&shares, view).tokens.unwrap();
        assert_eq!(town.nodes[node].tokens_left(&shares, view), Some(stands.remaining));
        assert_eq!(stands.limit, 30_000);
        let ended = town.call(node, u64::from(turn * 7));
        town.pass(0.7);
        if let Ok(shares) = ended {
            town.end(node, shares, Some(u64::from(turn * 3)));
        }
    }
    let shares = [Share::new(3, rpm(60)), Share::new(2, tpm(100, true))];
    let view = town.view(Reach::Ask);
    assert_eq!(town.nodes[0].tokens_left(&shares, view), None);
}
