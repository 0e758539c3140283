//! Chance, handed in: whoever makes a [`Dice`] chooses the seed, and the same seed gives the same run.

/// A small, fast, seedable generator (xorshift64*; period 2^64 − 1). Not for secrets.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// A generator that always gives the same numbers for the same seed.
    pub fn new(seed: u64) -> Dice {
        // splitmix64 spreads close seeds apart; the state must not be zero.
        let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Dice((z ^ (z >> 31)) | 1)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        let mut x = self.0;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0 = x;
        x.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number in `[0, 1)`.
    pub fn draw(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A whole number in `[0, bound)`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.bits() % bound }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_draws_stay_below_one() {
        let (mut a, mut b) = (Dice::new(7), Dice::new(7));
        for _ in 0..10_000 {
            let x = a.draw();
            assert!((0.0..1.0).contains(&x));
            assert!((x - b.draw()).abs() < f64::EPSILON);
        }
        assert_ne!(Dice::new(1).bits(), Dice::new(2).bits());
    }
}
