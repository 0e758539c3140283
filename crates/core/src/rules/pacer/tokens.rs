//! What a call costs in tokens: the estimate, corrected by what the provider counted.

const WEIGHT: f64 = 0.1;
const RATIO_MIN: f64 = 0.02;
const RATIO_MAX: f64 = 20.0;
/// A provider that charges this much more than was used charges what was asked for.
const RESERVES: f64 = 1.25;

/// Learnt ratios of tokens to their estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio {
    used: f64,
    samples: u32,
    /// Set when the provider takes more from the limit than the answer reports as used: it counts
    /// the most the call could have used, and gives nothing back.
    charged: Option<f64>,
    /// The last call that was refused: its estimate, and what it was to be charged.
    refused: Option<(u64, f64)>,
}

impl Default for Ratio {
    fn default() -> Self {
        Ratio { used: 1.0, samples: 0, charged: None, refused: None }
    }
}

impl Ratio {
    pub(super) fn cost(&self, asked: u64) -> f64 {
        asked as f64 * self.charged.unwrap_or(self.used)
    }

    /// Learns from an answer's usage. `true`: the limit is settled by it.
    pub(super) fn settle(&mut self, asked: u64, used: u64) -> bool {
        if let Some(sample) = sound(asked, used as f64) {
            self.samples = self.samples.saturating_add(1);
            let weight = WEIGHT.max(1.0 / f64::from(self.samples));
            self.used += (sample - self.used) * weight;
        }
        // The call that was refused comes first again, so that charge and usage can be compared.
        if let Some((_, charge)) = self.refused.take_if(|(of, _)| *of == asked) {
            if charge > RESERVES * used as f64 {
                self.charged(asked, charge);
            } else {
                self.charged = None;
            }
        }
        self.charged.is_none()
    }

    /// A refusal tells what a call was to be charged.
    pub(super) fn refused(&mut self, asked: u64, charge: f64) {
        self.refused = Some((asked, charge));
        if self.charged.is_some() {
            self.charged(asked, charge);
        }
    }

    /// The provider told what it charged for a call.
    pub(super) fn charged(&mut self, asked: u64, charge: f64) {
        let Some(sample) = sound(asked, charge) else { return };
        match &mut self.charged {
            Some(charged) => *charged += (sample - *charged) * WEIGHT,
            None => self.charged = Some(sample),
        }
    }

    pub(super) fn current(&self) -> f64 {
        self.charged.unwrap_or(self.used)
    }
}

fn sound(asked: u64, counted: f64) -> Option<f64> {
    let ratio = counted / asked as f64;
    (asked > 0 && ratio.is_finite() && ratio > 0.0).then(|| ratio.clamp(RATIO_MIN, RATIO_MAX))
}
