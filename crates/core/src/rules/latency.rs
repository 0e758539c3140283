//! Latency: quantiles of recent durations, in fixed memory.
//!
//! A histogram whose buckets grow with the value, eight to a doubling, from 64 µs to over an hour:
//! a quantile is off by at most 6.25 % of itself. Every [`RECENT`] samples all counts are halved,
//! so that old times fade and a model that became slow is noticed.

use core::time::Duration;

/// Samples after which old ones weigh half.
pub const RECENT: u32 = 1024;

const SUB_BITS: u32 = 3;
const SUBS: usize = 1 << SUB_BITS;
/// Values below 2^6 µs share the first bucket's octave.
const LOWEST_OCTAVE: u32 = 6;
const OCTAVES: usize = 27;
const BUCKETS: usize = OCTAVES * SUBS;

/// A sketch of recent durations.
#[derive(Clone, Debug)]
pub struct Latency {
    counts: [u32; BUCKETS],
    total: u32,
}

impl Default for Latency {
    fn default() -> Self {
        Latency { counts: [0; BUCKETS], total: 0 }
    }
}

impl Latency {
    /// Adds one duration. Below 64 µs counts as 64 µs, above 2 h 23 min as that.
    pub fn record(&mut self, took: Duration) {
        self.counts[place(took)] += 1;
        self.total += 1;
        if self.total >= RECENT {
            self.total = 0;
            for count in &mut self.counts {
                *count /= 2;
                self.total += *count;
            }
        }
    }

    /// The duration below which the share `q` (0 to 1) of the samples lies; `None` before
    /// `samples_min` samples.
    pub fn quantile(&self, q: f64, samples_min: u32) -> Option<Duration> {
        if self.total == 0 || self.total < samples_min || !(0.0..=1.0).contains(&q) {
            return None;
        }
        let wanted = q * f64::from(self.total);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if *count > 0 && f64::from(seen) >= wanted {
                return Some(middle(index));
            }
        }
        None
    }

    /// Samples it holds; halved from time to time.
    pub fn samples(&self) -> u32 {
        self.total
    }
}

/// The bucket of a duration: its octave and the three bits below the highest.
fn place(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1 << LOWEST_OCTAVE);
    let octave = micros.ilog2();
    let sub = usize::try_from((micros >> (octave - SUB_BITS)) & (SUBS as u64 - 1)).unwrap_or(0);
    let index = (octave - LOWEST_OCTAVE) as usize * SUBS + sub;
    index.min(BUCKETS - 1)
}

/// The middle of a bucket.
fn middle(index: usize) -> Duration {
    let octave = LOWEST_OCTAVE + u32::try_from(index / SUBS).unwrap_or(0);
    let width = 1u64 << (octave - SUB_BITS);
    let low = (1u64 << octave) + width * (index % SUBS) as u64;
    Duration::from_micros(low + width / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_is_said_before_there_are_enough_samples() {
        let mut latency = Latency::default();
        assert_eq!(latency.quantile(0.95, 0), None);
        for _ in 0..19 {
            latency.record(Duration::from_millis(80));
        }
        assert_eq!(latency.quantile(0.95, 20), None);
        latency.record(Duration::from_millis(80));
        assert!(latency.quantile(0.95, 20).is_some());
        assert_eq!(latency.quantile(f64::NAN, 20), None);
    }

    #[test]
    fn old_times_fade() {
        let mut latency = Latency::default();
        for _ in 0..10_000 {
            latency.record(Duration::from_millis(100));
        }
        for _ in 0..3_000 {
            latency.record(Duration::from_secs(3));
        }
        let median = latency.quantile(0.5, 1).unwrap();
        assert!(median > Duration::from_secs(2), "{median:?}");
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_a_sixteenth_of_the_exact_one(
            mut times in proptest::collection::vec(64u64..3_600_000_000, 1..500), q in 0.0..1.0,
        ) {
            let mut latency = Latency::default();
            for micros in &times {
                latency.record(Duration::from_micros(*micros));
            }
            times.sort_unstable();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            let rank = f64::ceil(q * times.len() as f64).max(1.0) as usize - 1;
            let (exact, got) = (times[rank] as f64, latency.quantile(q, 1).unwrap().as_micros() as f64);
            prop_assert!((got - exact).abs() <= exact / 16.0 + 1.0, "{got} for {exact}");
        }

        #[test]
        fn any_duration_can_be_recorded(secs in any::<u64>(), nanos in 0u32..1_000_000_000) {
            let mut latency = Latency::default();
            latency.record(Duration::new(secs, nanos));
            prop_assert!(latency.quantile(1.0, 1).is_some());
        }
    }
}
