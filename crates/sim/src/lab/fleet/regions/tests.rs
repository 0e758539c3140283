use super::*;
use std::time::Duration;

const THIRD: u64 = 100;

/// Three regions with a limit of 300 calls a second together and ten seconds at once.
fn three(phases: &[(u64, [u64; 3])], ends: u64) -> RegionsScene {
    scaled(12, 1, phases, ends)
}

fn scaled(nodes: usize, by: u64, phases: &[(u64, [u64; 3])], ends: u64) -> RegionsScene {
    let burst = Some(Duration::from_secs(10));
    let phase = |(at, wanted): &(u64, [u64; 3])| {
        (at * SECOND, wanted.iter().map(|calls| calls * by).collect())
    };
    RegionsScene {
        seed: 1,
        nodes,
        whole: LimitSpec { rpm: Some(3 * THIRD * 60 * by), burst, ..LimitSpec::default() },
        phases: phases.iter().map(phase).collect(),
        ends: ends * SECOND,
        fixed: false,
        cuts: Vec::new(),
        fault: Fault::None,
    }
}

fn played(scene: RegionsScene) -> RegionsRun {
    let run = Regions::new(scene).play();
    assert_eq!(run.accusations, [] as [String; 0]);
    run
}

impl RegionsRun {
    /// Calls a second that were admitted between two seconds, of one region or of all.
    fn rate(&self, from: usize, to: usize, region: Option<usize>) -> f64 {
        let of = |second: &Vec<u64>| match region {
            Some(region) => second.get(region).copied().unwrap_or(0),
            None => second.iter().sum(),
        };
        self.seconds[from..to].iter().map(of).sum::<u64>() as f64 / (to - from) as f64
    }
}

#[test]
fn the_whole_limit_is_used_wherever_it_is_wanted() {
    // All want half again of their third; then one wants more than all may, and another hour another.
    let phases = [(0, [150, 150, 150]), (40, [330, 60, 60]), (100, [60, 60, 330])];
    let run = played(three(&phases, 160));
    let fixed = played(RegionsScene { fixed: true, ..three(&phases, 160) });
    for (name, run) in [("shares move", &run), ("shares are fixed", &fixed)] {
        for (from, to) in
            [(20, 40), (40, 60), (60, 80), (80, 100), (100, 120), (120, 140), (140, 160)]
        {
            let used = run.rate(from, to, None) / 300.0;
            println!("{name}: {used:.3} used from {from} s to {to} s");
        }
        println!("{name}: {} moves, {} messages across in 160 s", run.moves, run.across);
    }
    for (from, to) in [(20, 40), (80, 100), (140, 160)] {
        let used = run.rate(from, to, None) / 300.0;
        assert!(used >= 0.95, "{used} from {from} s to {to} s");
    }
    assert!(fixed.rate(80, 100, None) / 300.0 < 0.80, "the test would show nothing");
}

#[test]
fn each_wrong_is_noticed() {
    // A region whose bucket is empty gives most of its share to another.
    let phases = [(0, [450, 200, 100]), (60, [200, 450, 100])];
    let scene = three(&phases, 120);
    assert!(played(scene.clone()).moves > 6);
    for fault in [Fault::Untold, Fault::Full] {
        let run = Regions::new(RegionsScene { fault, ..scene.clone() }).play();
        assert_ne!(run.accusations, [] as [String; 0], "{fault:?} is not noticed");
    }
}

/// It keeps its share for a minute, and nobody else may have it; then it has a twelfth of the limit, which is its
/// own, and the others the rest, until it is back.
#[test]
fn a_region_that_is_cut_off_keeps_its_share_for_a_while_and_then_what_is_its_own() {
    let cuts = vec![(0, 60 * SECOND, 180 * SECOND)];
    let scene = RegionsScene { cuts, ..three(&[(0, [330, 330, 60])], 260) };
    let run = played(scene);
    let told = |from: usize, to: usize| {
        let [all, cut] = [None, Some(0)].map(|region| run.rate(from, to, region));
        let used = all / (3 * THIRD) as f64;
        println!(
            "{from} s to {to} s: {used:.3} of the limit, {cut:.0} a second in the region that is cut"
        );
        (used, cut)
    };
    let before = told(40, 60);
    let first = told(62, 112);
    let turn = told(112, 130);
    let apart = told(130, 180);
    let back = told(180, 200);
    let after = told(200, 260);
    assert!(before.0 >= 0.95 && first.0 >= 0.95 && first.1 >= 0.95 * before.1, "{first:?}");
    let own = (3 * THIRD * OWN) as f64 / PARTS as f64;
    assert!(turn.0 >= 0.75 && apart.0 >= 0.95 && (apart.1 - own).abs() <= 0.1 * own, "{apart:?}");
    assert!(back.0 >= 0.8 && after.0 >= 0.95 && after.1 >= 0.9 * before.1, "{back:?}, {after:?}");
}

/// A thousand gateways: three regions of 334, 9,900 calls a second in all. With `MAINSTAY_TEST_FULL=1` three minutes
/// of it, with what is wanted moving between regions and one of them cut off; else some seconds.
#[test]
#[expect(clippy::disallowed_methods, reason = "the long form is asked for by the environment")]
fn a_thousand_gateways_in_three_regions() {
    let full = std::env::var("MAINSTAY_TEST_FULL").is_ok_and(|full| !full.is_empty());
    // At first what was saved up is used.
    let phases = [(0, [250, 250, 250]), (10, [130, 130, 130]), (30, [200, 130, 60])];
    let ends = if full { 175 } else { 10 };
    let mut scene = scaled(334, 33, &phases, ends);
    scene.cuts = vec![(0, 70 * SECOND, 150 * SECOND)];
    let run = played(scene);
    println!(
        "{:.1} messages a second across, {:.0} inside of the three, {} changes of a share",
        run.across as f64 / ends as f64,
        run.inside as f64 / ends as f64,
        run.moves
    );
    let told = |from: usize, to: usize| {
        let regions = [0, 1, 2].map(|region| run.rate(from, to, Some(region)));
        let used = run.rate(from, to, None) / (3 * THIRD * 33) as f64;
        println!("{from} s to {to} s: {used:.3} of the limit, {regions:.0?} a second");
        used
    };
    if !full {
        assert!(told(8, 10) >= 0.95);
        return;
    }
    assert!(told(12, 30) >= 0.95);
    told(30, 50);
    assert!(told(50, 70) >= 0.95);
    assert!(told(72, 122) >= 0.95, "a region that is cut off keeps its share");
    told(122, 135);
    told(135, 150);
    told(150, 165);
    assert!(told(165, 175) >= 0.95, "it is back");
}
