//! A random fleet: its limits, its callers and its bad days. Data, from a seed.

use mainstay_core::dice::Dice;
use mainstay_core::rules::limits::LimitSpec;
use std::time::Duration;

/// Microseconds of a second.
pub(super) const SECOND: u64 = 1_000_000;

/// A fleet and what happens to it. Times are in microseconds.
#[derive(Clone, Debug)]
pub(super) struct FleetScene {
    pub(super) seed: u64,
    pub(super) nodes: usize,
    pub(super) limits: Vec<LimitSpec>,
    pub(super) ends: u64,
    /// Mean time between two calls at each node.
    pub(super) every: Vec<u64>,
    /// Most tokens that a call reserves.
    pub(super) tokens: u64,
    /// Mean time a call takes.
    pub(super) took: u64,
    /// Most time a message is under way.
    pub(super) latency: u64,
    /// Of a thousand messages, how many are lost, come twice, or come far too late.
    pub(super) lost: u64,
    pub(super) twice: u64,
    pub(super) late: u64,
    pub(super) incidents: Vec<(u64, Incident)>,
}

/// What happens to a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incident {
    /// A node and the place do not reach each other any more, or again.
    Cut(usize),
    Joined(usize),
    /// Nobody reaches the place any more, or again.
    Down,
    Up,
    /// The place is taken over by a copy that has not seen the last writings of this long.
    FailOver(u64),
    /// The place begins with nothing.
    Forgets,
    /// A node dies, with its calls, and begins anew.
    Dies(usize),
    /// The place's clock jumps: ahead, or back.
    Ahead(u64),
    Back(u64),
}

impl FleetScene {
    /// The fleet of a seed.
    pub(super) fn random(seed: u64) -> FleetScene {
        let mut dice = Dice::new(seed ^ 0x000f_1ee7);
        let nodes = pick(&mut dice, &[1, 2, 3, 4, 8]);
        let limits: Vec<LimitSpec> = (0..=dice.below(2)).map(|_| limit(&mut dice)).collect();
        let ends = SECOND * (10 + dice.below(30));
        let tokens = 1 + dice.below(400);
        // Some nodes have much to do, some little; together mostly too much.
        let rate = limits.iter().map(|spec| calls(spec, tokens)).fold(f64::MAX, f64::min);
        let load = rate.min(200.0) * (0.3 + 2.0 * dice.draw()) / nodes as f64;
        let every = (0..nodes).map(|_| gap(load * (0.1 + 1.8 * dice.draw()))).collect();
        let mut scene = FleetScene {
            seed,
            nodes,
            limits,
            ends,
            every,
            tokens,
            took: 1_000 + dice.below(5 * SECOND),
            latency: 100 + dice.below(8_000),
            lost: 0,
            twice: 0,
            late: 0,
            incidents: Vec::new(),
        };
        // A third has nothing but the loss of the place, which must not show at all.
        match dice.below(3) {
            0 => scene.lose_the_place(&mut dice),
            1 => scene.trouble(&mut dice),
            _ => {
                scene.trouble(&mut dice);
                (scene.lost, scene.twice, scene.late) =
                    (dice.below(60), dice.below(60), dice.below(60));
            }
        }
        scene.incidents.sort_by_key(|(at, _)| *at);
        scene
    }

    fn lose_the_place(&mut self, dice: &mut Dice) {
        for _ in 0..dice.below(3) {
            let from = dice.below(self.ends);
            self.incidents.push((from, Incident::Down));
            self.incidents.push((from + SECOND + dice.below(15 * SECOND), Incident::Up));
        }
    }

    fn trouble(&mut self, dice: &mut Dice) {
        for _ in 0..dice.below(6) {
            let at = dice.below(self.ends);
            let node = usize::try_from(dice.below(self.nodes as u64)).unwrap_or(0);
            let later = at + dice.below(12 * SECOND);
            let jump = dice.below(20 * SECOND);
            match dice.below(7) {
                0 | 1 => {
                    self.incidents.push((at, Incident::Cut(node)));
                    self.incidents.push((later, Incident::Joined(node)));
                }
                2 => self.incidents.push((at, Incident::FailOver(dice.below(SECOND)))),
                3 => self.incidents.push((at, Incident::Forgets)),
                4 => self.incidents.push((at, Incident::Dies(node))),
                5 => self.incidents.push((at, Incident::Ahead(jump))),
                _ => self.incidents.push((at, Incident::Back(jump))),
            }
        }
        if dice.below(3) == 0 {
            self.lose_the_place(dice);
        }
    }

    /// Whether every node always sees the same of the place, and the place forgets nothing: then not even
    /// its loss may let more through.
    pub(super) fn is_strict(&self) -> bool {
        let all = |(_, incident): &(u64, Incident)| {
            matches!(incident, Incident::Down | Incident::Up | Incident::Back(_))
        };
        self.lost + self.twice + self.late == 0 && self.incidents.iter().all(all)
    }
}

fn limit(dice: &mut Dice) -> LimitSpec {
    let rpm = pick(dice, &[6, 60, 600, 6_000, 20_000]);
    let burst = pick(dice, &[None, Some(1), Some(5), Some(20)]).map(Duration::from_secs);
    match dice.below(4) {
        0 => LimitSpec { tpm: Some(rpm * 100), burst, ..LimitSpec::default() },
        1 => {
            let concurrency = Some(pick(dice, &[1, 3, 10, 64, 400]));
            LimitSpec { concurrency, ..LimitSpec::default() }
        }
        2 => LimitSpec { rpm: Some(rpm), tpm: Some(rpm * 120), burst, ..LimitSpec::default() },
        _ => LimitSpec { rpm: Some(rpm), burst, ..LimitSpec::default() },
    }
}

/// About how many calls a second a limit allows.
fn calls(spec: &LimitSpec, tokens: u64) -> f64 {
    let of = |limit: Option<u64>, each: u64| limit.map_or(f64::MAX, |limit| (limit / each) as f64);
    let rates = of(spec.rpm, 60).min(of(spec.tpm, 60 * (1 + tokens / 2)));
    rates.min(of(spec.concurrency, 1)).max(0.2)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time above zero")]
fn gap(rate: f64) -> u64 {
    (1e6 / rate.max(0.05)) as u64
}

fn pick<T: Copy>(dice: &mut Dice, of: &[T]) -> T {
    let index = usize::try_from(dice.below(of.len() as u64)).unwrap_or(0);
    of[index]
}
