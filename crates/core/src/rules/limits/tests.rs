//! Laws of the limits over random schedules, and single stories.

use std::time::Duration;

use super::*;
use crate::dice::Dice;

mod naive;
mod stories;

/// A schedule: limits, and calls that come and end at random times.
struct Schedule {
    dice: Dice,
    specs: Vec<LimitSpec>,
    count_refused: bool,
    now: u64,
    limits: LimitTable,
    naive: naive::Naive,
    under_way: Vec<(Vec<Share>, u64)>,
    /// When and how much each limit admitted: requests and tokens.
    admitted: Vec<Vec<(u64, u64)>>,
    refused: usize,
}

impl Schedule {
    fn new(seed: u64) -> Schedule {
        let mut dice = Dice::new(seed);
        let count = 1 + dice.below(3);
        let specs: Vec<LimitSpec> = (0..count).map(|_| spec(&mut dice)).collect();
        let count_refused = dice.below(2) == 0;
        let naive = naive::Naive::new(&specs, count_refused);
        Schedule {
            admitted: specs.iter().map(|_| Vec::new()).collect(),
            dice,
            specs,
            count_refused,
            now: 0,
            limits: LimitTable::default(),
            naive,
            under_way: Vec::new(),
            refused: 0,
        }
    }

    fn step(&mut self) {
        self.pass_time();
        if self.dice.below(3) == 0 && !self.under_way.is_empty() {
            self.end_one();
        } else {
            self.begin_one();
        }
        if self.dice.below(8) == 0 {
            let specs = self.specs.clone();
            let known = |id: u64| specs.get(usize::try_from(id).ok()?).copied();
            self.limits.sweep(2, Moment::from_nanos(self.now), known);
        }
    }

    fn pass_time(&mut self) {
        match self.dice.below(8) {
            0..=2 => {}
            3..=5 => self.now += self.dice.below(3_000_000_000),
            6 => self.now += self.dice.below(90_000_000_000),
            // The clock goes back.
            _ => self.now = self.now.saturating_sub(self.dice.below(5_000_000_000)),
        }
    }

    fn begin_one(&mut self) {
        let tokens = self.dice.below(40);
        let need = Need { tokens, count_refused: self.count_refused };
        let mut shares: Vec<Share> =
            (0..).zip(&self.specs).map(|(id, spec)| Share::new(id, *spec)).collect();
        let now = Moment::from_nanos(self.now);
        let ours = self.limits.admit(&mut shares, need, now);
        let theirs = self.naive.admit(tokens, self.now);
        match (ours, theirs) {
            (Ok(()), Ok(over)) => {
                let found: Vec<bool> = shares.iter().map(Share::is_over).collect();
                assert_eq!(found, over, "shadows over their limit");
                for (admitted, over) in self.admitted.iter_mut().zip(over) {
                    if !over {
                        admitted.push((self.naive.time(), tokens));
                    }
                }
                self.under_way.push((shares, tokens));
            }
            (Err(refusal), Err(wait)) => {
                self.refused += 1;
                assert_eq!(refusal.fits, wait);
                assert!(!self.specs[refusal.index].shadow);
            }
            (ours, theirs) => panic!("the rule says {ours:?}, the reference {theirs:?}"),
        }
    }

    fn end_one(&mut self) {
        let index = usize::try_from(self.dice.below(self.under_way.len() as u64)).unwrap();
        let (mut shares, tokens) = self.under_way.swap_remove(index);
        let over: Vec<bool> = shares.iter().map(Share::is_over).collect();
        let used = match self.dice.below(3) {
            0 => None,
            1 => Some(self.dice.below(tokens + 1)),
            _ => Some(self.dice.below(60)),
        };
        self.limits.settle(&mut shares, used, Moment::from_nanos(self.now));
        self.naive.settle(&over, tokens, used, self.now);
    }

    /// In any stretch of time: at most what the limit gives in it, and the burst.
    fn check_windows(&self) {
        for (spec, admitted) in self.specs.iter().zip(&self.admitted) {
            for (begin, (from, _)) in admitted.iter().enumerate() {
                let mut requests = 0_u128;
                for (to, _) in &admitted[begin..] {
                    requests += 1;
                    for (limit, window) in [(spec.rpm, 60), (spec.rpd, 86_400)] {
                        let Some(limit) = limit else { continue };
                        let window = window * 1_000_000_000_u128;
                        let burst = naive::burst(limit, window, spec.burst);
                        let most = u128::from(limit) * u128::from(to - from) + burst * window;
                        assert!(requests * window <= most, "{spec:?}: {requests} in {from}..{to}");
                    }
                }
            }
        }
    }
}

fn spec(dice: &mut Dice) -> LimitSpec {
    let maybe = |dice: &mut Dice, most: u64| (dice.below(2) == 0).then(|| 1 + dice.below(most));
    LimitSpec {
        rpm: maybe(dice, 8),
        tpm: maybe(dice, 120),
        rpd: maybe(dice, 12),
        concurrency: maybe(dice, 5),
        burst: maybe(dice, 90_000).map(Duration::from_millis),
        shadow: dice.below(5) == 0,
    }
}

#[test]
fn a_hundred_thousand_random_schedules_go_as_the_naive_reference_says() {
    let (mut admitted, mut refused) = (0, 0);
    for seed in 0..100_000 {
        let story = std::panic::AssertUnwindSafe(|| {
            let mut schedule = Schedule::new(seed);
            let steps = if seed.is_multiple_of(100) { 60 } else { 8 };
            for _ in 0..steps {
                schedule.step();
            }
            schedule.check_windows();
            (schedule.admitted.iter().map(Vec::len).sum::<usize>(), schedule.refused)
        });
        match std::panic::catch_unwind(story) {
            Ok((some, others)) => (admitted, refused) = (admitted + some, refused + others),
            Err(panic) => {
                std::eprintln!("seed {seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    // Neither side is rare, or the test would show little.
    assert!(admitted > 100_000 && refused > 50_000, "{admitted} admitted, {refused} refused");
}

#[test]
fn when_every_call_has_ended_and_time_has_passed_nothing_is_left() {
    for seed in 0..2_000 {
        let mut schedule = Schedule::new(seed);
        for _ in 0..30 {
            schedule.step();
        }
        while !schedule.under_way.is_empty() {
            schedule.end_one();
        }
        let specs = schedule.specs.clone();
        let known = |id: u64| specs.get(usize::try_from(id).ok()?).copied();
        let later = Moment::from_nanos(u64::MAX / 2);
        // The first goes on from where the last one ended.
        schedule.limits.sweep(usize::MAX, later, known);
        schedule.limits.sweep(usize::MAX, later, known);
        assert!(schedule.limits.is_empty(), "seed {seed}");
    }
}
