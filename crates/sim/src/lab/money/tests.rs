use super::super::watch;
use super::*;
use std::collections::BTreeSet;

/// What a scene's money is accused of, by invariant, and how often it was felt.
fn accused(seed: u64, wrong: Wrong) -> (Vec<Accusation>, u32, usize) {
    let scene = Scene::swarm(seed);
    let mut bank = Bank::new(&scene, wrong);
    watch(&scene, |seconds, note| bank.see(seconds, note));
    let (deaths, ends) = (bank.paper.deaths(), bank.paper.rows().len());
    (bank.close(), deaths, ends)
}

#[test]
fn money_adds_up_in_a_swarm_of_scenes_with_deaths() {
    let (mut deaths, mut rows) = (0, 0);
    for seed in 0..60 {
        let (accusations, died, written) = accused(seed, Wrong::Nothing);
        assert_eq!(accusations, [], "seed {seed}");
        (deaths, rows) = (deaths + died, rows + written);
    }
    assert!(deaths > 50 && rows > 5_000, "{deaths} deaths, {rows} rows: it was felt");
}

#[test]
fn each_wrong_is_noticed_as_what_it_is() {
    for (wrong, invariant) in [
        (Wrong::EndsTwice, 10),
        (Wrong::Unlooked, 11),
        (Wrong::Rounded, 9),
        (Wrong::Unrecovered, 10),
        (Wrong::Forgetful, 9),
        (Wrong::Unwritten, 10),
    ] {
        let mut found = BTreeSet::new();
        for seed in 1..30 {
            found.extend(accused(seed, wrong).0.iter().map(|one| one.invariant));
            if found.contains(&invariant) {
                break;
            }
        }
        assert!(found.contains(&invariant), "{wrong:?}: {found:?}");
    }
}
