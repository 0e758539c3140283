//! Random scenes, each with a few features on and the rest off, and the way back from a failing
//! one to the smallest that still fails.

use super::scene::{Counting, Later, ProviderScene, Scene, Telling, Traffic};
use mainstay_core::dice::Dice;
use mainstay_core::policy::{Limits, Policy};
use std::time::Duration;

/// Scenes tried at most while one is made smaller.
const SHRINKS_MAX: u32 = 200;

impl Scene {
    /// The scene of a seed: one to three targets, random limits, faults, traffic and clocks.
    pub fn swarm(seed: u64) -> Scene {
        let dice = &mut Dice::new(seed ^ 0x5eed);
        let targets = 1 + dice.below(3);
        let providers = (0..targets).map(|_| provider(dice)).collect();
        let traffic = if dice.below(2) == 0 {
            Traffic::Workers(u32::try_from(1 + dice.below(128)).unwrap_or(1))
        } else {
            Traffic::Rate(0.5 * 400f64.powf(dice.draw()))
        };
        let jumps =
            if dice.below(6) == 0 { vec![(5.0 + 20.0 * dice.draw(), 90.0)] } else { vec![] };
        let mut scene = Scene {
            seed,
            providers,
            traffic,
            jobs: u32::try_from(50 + dice.below(350)).unwrap_or(50),
            tokens: (20.0, 20.0 + 2000.0 * dice.draw()),
            estimate: (0.5 + 0.5 * dice.draw(), 1.0 + dice.draw()),
            deadline: Duration::from_secs([5, 30, 120, 600][pick(dice, 4)]),
            policy: policy(seed, dice),
            streams: [0.0, 0.5, 1.0][pick(dice, 3)],
            recoverable: seed.is_multiple_of(2),
            leavers: sometimes(dice, 4, 0.3),
            timer_late: Duration::from_micros(100 + dice.below(5_000)),
            jumps,
            neighbour: None,
            shared: false,
            limits: Limits::default(),
            gateways: None,
        };
        turn_of_events(&mut scene);
        one_account(&mut scene);
        scene
    }

    /// The smallest scene found that still `fails`.
    #[must_use]
    pub fn shrunk(&self, fails: &dyn Fn(&Scene) -> bool) -> Scene {
        let mut best = self.clone();
        let mut tried = 0;
        loop {
            let smaller = best.smaller().into_iter().find(|scene| {
                tried += 1;
                tried <= SHRINKS_MAX && fails(scene)
            });
            match smaller {
                Some(scene) => best = scene,
                None => return best,
            }
        }
    }

    /// Scenes with one thing less, the largest steps first.
    fn smaller(&self) -> Vec<Scene> {
        let mut scenes = Vec::new();
        let mut push = |scene: Scene| {
            if scene != *self {
                scenes.push(scene);
            }
        };
        for jobs in [self.jobs / 2, self.jobs * 3 / 4, self.jobs.saturating_sub(1)] {
            push(Scene { jobs: jobs.max(1), ..self.clone() });
        }
        for index in (0..self.providers.len()).filter(|_| self.providers.len() > 1) {
            let mut providers = self.providers.clone();
            providers.remove(index);
            push(Scene { providers, ..self.clone() });
        }
        push(Scene { shared: false, ..self.clone() });
        push(Scene { jumps: Vec::new(), ..self.clone() });
        push(Scene { leavers: 0.0, ..self.clone() });
        push(Scene { streams: 0.0, ..self.clone() });
        push(Scene { recoverable: false, ..self.clone() });
        let hedge = Policy::default().hedge;
        push(Scene { policy: Policy { hedge, ..self.policy.clone() }, ..self.clone() });
        push(Scene { neighbour: None, ..self.clone() });
        for index in 0..self.providers.len() {
            for calm in calmer(&self.providers[index]) {
                let mut providers = self.providers.clone();
                providers[index] = calm;
                push(Scene { providers, ..self.clone() });
            }
        }
        scenes
    }
}

/// The provider with one fault less.
fn calmer(provider: &ProviderScene) -> Vec<ProviderScene> {
    let p = || provider.clone();
    vec![
        ProviderScene { outages: Vec::new(), ..p() },
        ProviderScene { error_rate: 0.0, ..p() },
        ProviderScene { reset_rate: 0.0, ..p() },
        ProviderScene { silent_rate: 0.0, ..p() },
        ProviderScene { fault_rate: 0.0, ..p() },
        ProviderScene { absurd_headers: 0.0, ..p() },
        ProviderScene { others: 0.0, ..p() },
        ProviderScene { concurrency: 0, ..p() },
        ProviderScene { away_hint: 0.0, ..p() },
        ProviderScene { later: None, ..p() },
    ]
}

fn policy(seed: u64, dice: &mut Dice) -> Policy {
    let mut policy = Policy::default();
    policy.retry.patience = Duration::from_secs([1, 30, 90][pick(dice, 3)]);
    policy.retry.wait_max = Duration::from_secs([5, 120][pick(dice, 2)]);
    policy.hedge.enabled = seed.is_multiple_of(3);
    policy.hedge.delay = seed.is_multiple_of(3).then_some(Duration::from_millis(100));
    policy
}

/// What comes late in some scenes: other limits, other words for them, 503s that name a time.
fn turn_of_events(scene: &mut Scene) {
    let dice = &mut Dice::new(scene.seed ^ 0x1a7e);
    for provider in &mut scene.providers {
        if dice.below(4) == 0 {
            provider.later = Some(Later {
                at: 2.0 + 20.0 * dice.draw(),
                rpm: 60.0 * 200f64.powf(dice.draw()),
                tpm: provider.tpm,
                telling: telling(dice),
            });
        }
        provider.away_hint = sometimes(dice, 3, 20.0).floor();
    }
}

/// In some scenes the targets are keys or models of one account: each has faults of its own, and all
/// have one limit.
fn one_account(scene: &mut Scene) {
    scene.shared = Dice::new(scene.seed ^ 0xacc7).below(4) == 0;
    if !scene.shared {
        return;
    }
    let first = scene.providers[0].clone();
    for provider in &mut scene.providers[1..] {
        *provider = ProviderScene {
            rpm: first.rpm,
            tpm: first.tpm,
            capacity_s: first.capacity_s,
            initial: first.initial,
            counting: first.counting,
            concurrency: first.concurrency,
            others: first.others,
            telling: first.telling,
            later: first.later,
            ..provider.clone()
        };
    }
}

fn telling(dice: &mut Dice) -> Telling {
    [Telling::Headers, Telling::Text, Telling::Seconds, Telling::Nothing][pick(dice, 4)]
}

fn provider(dice: &mut Dice) -> ProviderScene {
    let outages = match dice.below(4) {
        0 => vec![(5.0 * dice.draw(), 5.0 + 40.0 * dice.draw(), dice.below(3) == 0)],
        _ => Vec::new(),
    };
    let latency = 0.01 * 300f64.powf(dice.draw());
    ProviderScene {
        rpm: 60.0 * 200f64.powf(dice.draw()),
        tpm: if dice.below(2) == 0 { 1e9 } else { 1e4 * 300f64.powf(dice.draw()) },
        capacity_s: 1.0 + 59.0 * dice.draw() * dice.draw(),
        initial: dice.draw(),
        counting: [Counting::Continuous, Counting::Window, Counting::Sliding][pick(dice, 3)],
        concurrency: if dice.below(4) == 0 {
            u32::try_from(1 + dice.below(30)).unwrap_or(1)
        } else {
            0
        },
        latency: (latency / 2.0, latency * 2.0),
        network: (0.0001, 0.0002 + 0.05 * dice.draw() * dice.draw()),
        telling: telling(dice),
        error_rate: sometimes(dice, 2, 0.3),
        reset_rate: sometimes(dice, 3, 0.2),
        silent_rate: sometimes(dice, 4, 0.1),
        fault_rate: sometimes(dice, 4, 0.9),
        others: sometimes(dice, 4, 0.8),
        outages,
        absurd_headers: sometimes(dice, 4, 0.3),
        ..ProviderScene::default()
    }
}

fn pick(dice: &mut Dice, count: u64) -> usize {
    usize::try_from(dice.below(count)).unwrap_or(0)
}

/// Zero, or once in `rarity` times a share up to `most`.
fn sometimes(dice: &mut Dice, rarity: u64, most: f64) -> f64 {
    if dice.below(rarity) == 0 { most * dice.draw() } else { 0.0 }
}
