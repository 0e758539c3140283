//! Several gateways meet one outage together: their failures are counted together, one probes at a
//! time, and what one finds out all know. And one that is cut off closes the door for nobody else.

use mainstay_core::rules::breaker::State;
use mainstay_sim::lab::{self, Gateways, How, Note, ProviderScene, Scene, Traffic};

/// When the provider goes and comes back, in seconds.
const AWAY: (f64, f64) = (8.0, 20.0);

/// What came of a scene, in the mean of its seeds.
#[derive(Debug, Default)]
struct Marks {
    score: f64,
    attempts: f64,
    /// Attempts that met the outage: those before the first circuit opened everywhere, and probes.
    calls: f64,
    probes: f64,
    words: f64,
}

const SEEDS: u64 = 4;

fn marks(name: &str, scene: &Scene) -> Marks {
    let mut marks = Marks::default();
    let part = 1.0 / SEEDS as f64;
    for seed in 1..=SEEDS {
        let scene = Scene { seed, ..scene.clone() };
        let (mut calls, mut probes) = (0_u32, 0_u32);
        let run = lab::watch(&scene, |_, note| {
            if let Note::Ended { probe, how: How::Failed(_), .. } = note {
                calls += u32::from(!probe);
                probes += u32::from(*probe);
            }
        });
        assert_eq!(run.accusations, [], "{name}, seed {seed}");
        assert_eq!(run.tally.failed, 0, "{name}, seed {seed}: no job is lost");
        marks.score += lab::score(&scene, &run.tally) * part;
        marks.attempts += lab::own_attempts(&scene, &run.tally) * part;
        marks.calls += f64::from(calls) * part;
        marks.probes += f64::from(probes) * part;
        marks.words += run.tally.words as f64 * part;
    }
    let Marks { score, attempts, calls, probes, words } = marks;
    println!(
        "{name:34} score {score:.3}, {attempts:.3} attempts a job; {calls:.1} calls and \
         {probes:.1} probes met the outage; {words:.0} messages"
    );
    marks
}

/// The judge's outage.
fn outage(gateways: Option<Gateways>) -> Scene {
    let provider = ProviderScene { outages: vec![(AWAY.0, AWAY.1, false)], ..judged() };
    Scene { providers: vec![provider], jobs: 500, gateways, ..Scene::default() }
}

fn judged() -> ProviderScene {
    let scene = Scene::judged("outage").expect("the judge has it");
    scene.providers[0].clone()
}

#[test]
fn gateways_meet_an_outage_as_one_would() {
    let one = marks("one gateway", &outage(None));
    let mut missed = Vec::new();
    // Each has to see a failure of its own; forty that start cold are refused together besides.
    for (count, calls_max, attempts_max) in [(2, 6.5, 1.10), (4, 8.5, 1.10), (40, 50.0, 1.25)] {
        let name = format!("{count} gateways");
        let several = marks(&name, &outage(Some(Gateways::of(count))));
        let untold = Gateways { circuits: false, ..Gateways::of(count) };
        let untold = marks(&format!("{count} that tell nothing of it"), &outage(Some(untold)));
        assert!(untold.calls > several.calls, "{name}: the proof that the marks can fail");
        let hits = several.calls <= calls_max && several.probes <= one.probes + 3.0;
        let judged = several.score >= 0.97 && several.attempts <= attempts_max;
        if !hits || !judged || several.words > 250.0 {
            missed.push(format!("{name}: {several:?}"));
        }
    }
    assert!(missed.is_empty(), "below the marks:\n{}", missed.join("\n"));
}

/// How long the circuit of each gateway was not closed, in seconds, in the mean of three seeds.
fn shut(scene: &Scene) -> Vec<f64> {
    let mut shut = vec![0.0; 40];
    for seed in 1..=3 {
        let scene = Scene { seed, ..scene.clone() };
        let mut since = vec![None; shut.len()];
        let run = lab::watch(&scene, |seconds, note| {
            let Note::Circuit { target, state, .. } = *note else { return };
            match (state, since[target]) {
                (State::Closed, Some(from)) => {
                    shut[target] += (seconds - from) / 3.0;
                    since[target] = None;
                }
                (State::Open, None) => since[target] = Some(seconds),
                _ => {}
            }
        });
        assert_eq!(run.accusations, [], "seed {seed}");
    }
    shut
}

/// It fails and goes on failing; where the others fail one call in twenty, that is no proof.
#[test]
fn a_gateway_that_is_cut_off_closes_the_door_for_no_other() {
    for count in [2, 4, 40] {
        let provider = ProviderScene { rpm: 60_000.0, error_rate: 0.05, ..judged() };
        let gateways = Gateways { cut_off: vec![(0, 10.0, 50.0)], ..Gateways::of(count) };
        let scene = Scene {
            providers: vec![ProviderScene { outages: Vec::new(), initial: 1.0, ..provider }],
            jobs: 3000,
            traffic: Traffic::Rate(50.0),
            gateways: Some(gateways),
            ..Scene::default()
        };
        let shut = shut(&scene);
        let others = &shut[1..count as usize];
        let each = others.iter().sum::<f64>() / others.len() as f64;
        println!("{count}: it is shut for {:.1} s, the others for {each:.2} s each", shut[0]);
        assert!(shut[0] > 30.0, "{count}: the one that is cut off knows it");
        assert!(each < 2.0, "{count}: the others were shut for {each} s each");
    }
}
