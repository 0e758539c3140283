//! Chance that can be replayed: the same seed gives the same throws on every machine.

use std::time::Duration;

/// A seeded source of chance (the SplitMix64 sequence).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Starts the sequence that belongs to `seed`.
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number from 0 (included) to 1 (not included).
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A duration spread evenly between two others; the first if they are equal.
    pub(crate) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        low + high.saturating_sub(low).mul_f64(self.share())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_throws() {
        let throws =
            |seed| (0..100).map(|_| 0).scan(Dice::new(seed), |dice, _: i32| Some(dice.next()));
        assert!(throws(7).eq(throws(7)));
        assert!(!throws(7).eq(throws(8)));
    }

    #[test]
    fn shares_are_spread_over_the_whole_range() {
        let mut dice = Dice::new(1);
        let mean = (0..100_000).map(|_| dice.share()).sum::<f64>() / 100_000.0;
        assert!((0.49..0.51).contains(&mean), "mean {mean}");
    }
}
