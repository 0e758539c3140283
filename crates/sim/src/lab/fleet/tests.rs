use super::*;
use mainstay_core::rules::limits::LimitSpec;
use std::time::Duration;

#[test]
fn no_fleet_admits_more_than_its_limits_whatever_goes_wrong() {
    let mut sum = FleetRun::default();
    // In the last one tokens come back after all that was used has passed.
    for seed in (0..120).chain([516]) {
        let run = check(seed);
        assert_eq!(run.accusations, [], "seed {seed}: {:?}", FleetScene::random(seed));
        sum.admitted += run.admitted;
        sum.refused += run.refused;
        sum.alone += run.alone;
        sum.messages += run.messages;
    }
    // Nothing of it is rare, or the test would show little.
    assert!(sum.admitted > 50_000 && sum.refused > 20_000, "{sum:?}");
    assert!(sum.alone > 1_000 && sum.messages > 10_000, "{sum:?}");
}

#[test]
fn the_same_seed_gives_the_same_fleet() {
    for seed in 0..10 {
        assert_eq!(check(seed), check(seed), "seed {seed}");
    }
}

#[test]
fn each_wrong_is_noticed() {
    let guilty = |scene, wrong| {
        let run = World::new(scene, wrong).play();
        run.accusations.iter().any(|found| found.invariant == 12)
    };
    for wrong in [Wrong::Free, Wrong::Selfish, Wrong::Unasked] {
        let noticed = (0..200).any(|seed| guilty(FleetScene::random(seed), wrong));
        assert!(noticed, "{wrong:?} is not noticed");
    }
}

/// A fleet whose callers want more than they may, on a good day.
fn busy(nodes: usize, spec: LimitSpec, every: u64) -> FleetScene {
    FleetScene {
        seed: 1,
        nodes,
        limits: vec![spec],
        ends: 120 * SECOND,
        every: vec![every; nodes],
        tokens: 100,
        took: SECOND,
        latency: 1_000,
        lost: 0,
        twice: 0,
        late: 0,
        incidents: Vec::new(),
    }
}

fn played(scene: FleetScene) -> FleetRun {
    let run = World::new(scene, Wrong::Nothing).play();
    assert_eq!(run.accusations, []);
    run
}

#[test]
fn a_busy_fleet_uses_its_whole_limit() {
    for (nodes, rpm) in [(2, 60), (4, 600), (4, 6_000), (40, 12_000)] {
        let spec = LimitSpec {
            rpm: Some(rpm),
            burst: Some(Duration::from_secs(10)),
            ..LimitSpec::default()
        };
        // Half again of what is allowed.
        let every = 60 * SECOND * nodes as u64 * 2 / (3 * rpm);
        let run = played(busy(nodes, spec, every));
        let most = rpm * 2 + rpm / 6;
        assert!(run.admitted * 100 >= rpm * 2 * 95, "{nodes} nodes, {rpm}: {run:?}");
        assert!(run.admitted <= most, "{nodes} nodes, {rpm}: {run:?}");
    }
}

/// Callers who are refused come again within milliseconds; a call takes a fifth of a second.
#[test]
fn places_are_in_use_almost_all_the_time_where_more_are_wanted() {
    for (nodes, places, every) in [(2, 32, 1_000), (4, 32, 2_000), (4, 8, 2_000), (8, 64, 4_000)] {
        let spec = LimitSpec { concurrency: Some(places), ..LimitSpec::default() };
        let scene = FleetScene { took: SECOND / 5, ends: 30 * SECOND, ..busy(nodes, spec, every) };
        let run = played(scene);
        let used = run.busy as f64 / (30 * SECOND * places) as f64;
        println!("{nodes} nodes, {places} places: {used:.3} used, {} messages", run.messages);
        assert!(used >= 0.95, "{nodes} nodes, {places} places: {used}");
    }
}

#[test]
fn tokens_that_are_reserved_and_not_used_are_used_by_others() {
    let spec = LimitSpec { tpm: Some(60_000), ..LimitSpec::default() };
    // 50 are reserved in the mean, and two thirds of that used.
    let run = played(busy(4, spec, 4 * SECOND / 60));
    let calls = 60_000 * 2 / 34;
    assert!(run.admitted * 100 >= calls * 95, "{run:?}: {calls} calls would be the whole limit");
}

#[test]
fn at_steady_load_a_thousand_calls_take_few_messages() {
    let spec = LimitSpec { rpm: Some(60_000), tpm: Some(6_000_000), ..LimitSpec::default() };
    let run = played(busy(4, spec, 5_000));
    assert_eq!(run.refused, 0);
    assert!(run.messages * 1_000 <= run.admitted * 20, "{run:?}");
}

#[test]
fn a_fleet_without_its_place_goes_on_at_four_fifths_and_comes_back() {
    let spec =
        LimitSpec { rpm: Some(6_000), burst: Some(Duration::from_secs(1)), ..LimitSpec::default() };
    let mut scene = busy(4, spec, 20_000);
    scene.incidents = vec![(30 * SECOND, Incident::Down), (90 * SECOND, Incident::Up)];
    let run = played(scene);
    // A minute of it at four fifths, and nodes that wait a second before they ask again.
    assert!((10_300..=11_000).contains(&run.admitted), "{run:?}");
    assert!((4_500..=4_900).contains(&run.alone), "{run:?}");
}

/// A third of a thousand gateways, with a third of a limit that all three regions have together: what a region
/// is by itself, on a good day, without its place, and with a tenth of it cut off.
#[test]
fn a_region_of_334_gateways_uses_its_third_of_a_limit() {
    const NODES: usize = 334;
    const RPM: u64 = 200_000;
    let spec =
        LimitSpec { rpm: Some(RPM), burst: Some(Duration::from_secs(10)), ..LimitSpec::default() };
    let seconds = 14;
    let scene = |load_percent: u64, incidents: Vec<(u64, Incident)>| {
        let every = 60 * SECOND * NODES as u64 * 100 / (RPM * load_percent);
        FleetScene { ends: seconds * SECOND, incidents, ..busy(NODES, spec, every) }
    };
    let told = |what: &str, run: &FleetRun| {
        println!(
            "{what}: {} admitted, {} refused, {} alone, {:.1} messages a thousand calls, {:.0} a second",
            run.admitted,
            run.refused,
            run.alone,
            run.messages as f64 * 1_000.0 / (run.admitted + run.refused) as f64,
            run.messages as f64 / seconds as f64,
        );
    };
    let calm = played(scene(80, Vec::new()));
    told("four fifths of the limit are wanted", &calm);
    assert!(calm.refused * 1_000 <= calm.admitted, "{calm:?}");
    let busy = played(scene(250, Vec::new()));
    told("two and a half times as much is wanted", &busy);
    let most = RPM / 60 * (seconds + 10);
    assert!(busy.admitted * 100 >= most * 95 && busy.admitted <= most, "{busy:?}");
    let down = vec![(4 * SECOND, Incident::Down), (8 * SECOND, Incident::Up)];
    let without = played(scene(250, down));
    told("the same, the place away for four seconds", &without);
    assert!(without.admitted <= most && without.alone > 0, "{without:?}");
    let cut = (0..NODES / 10).map(|node| (4 * SECOND, Incident::Cut(node))).collect();
    let apart = played(scene(250, cut));
    told("the same, a tenth of the gateways cut off", &apart);
    let tenth = RPM / 60 * 10 * 4 / 50;
    assert!(apart.admitted <= most + tenth, "{apart:?}");
}
