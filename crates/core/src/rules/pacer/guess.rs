//! A rate found by trying, where a provider says neither limit nor wait.
//!
//! ```text
//!   unknown ── first refusal ──▶ search: 10 a second, ×1.5 per 3 successes
//!                                   │ refused: halved if nothing went through since, else
//!                                   ▼
//!                                measure: 1.03 × what went through / time, from 8 on, marked anew
//!                                         every 60
//! ```
//!
//! Measuring from one refusal to the next is exact, because the provider's bucket is empty at
//! both. The three percent above it find out when the limit grew.

use crate::time::Moment;

const SEARCH_RATE: f64 = 10.0;
const SEARCH_GROWTH: f64 = 1.5;
const SEARCH_SUCCESSES: u32 = 3;
const MEASURE_GROWTH: f64 = 1.03;
const MEASURE_MIN: f64 = 8.0;
const MEASURE_MAX: f64 = 60.0;
/// Slowest guess: one mean request in half a minute.
const SLOWEST: f64 = 1.0 / 30.0;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Phase {
    #[default]
    Unknown,
    Search {
        successes: u32,
    },
    Measure {
        since: Moment,
        went: f64,
    },
}

/// How the rate of one limit is being found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Guess {
    phase: Phase,
    /// Refusals of attempts sent before this say nothing about the rate since.
    cut: Moment,
    any_since_cut: bool,
}

impl Guess {
    pub(super) fn is_searching(self) -> bool {
        matches!(self.phase, Phase::Search { .. })
    }

    /// The rate to use after a refusal.
    pub(super) fn refused(&mut self, rate: f64, mean: f64, sent: Moment, now: Moment) -> f64 {
        if sent < self.cut {
            return rate;
        }
        let nothing_went = !self.any_since_cut;
        self.cut = now;
        self.any_since_cut = false;
        match self.phase {
            Phase::Unknown => {
                self.phase = Phase::Search { successes: 0 };
                SEARCH_RATE * mean
            }
            Phase::Search { .. } if nothing_went => (rate / 2.0).max(SLOWEST * mean),
            Phase::Search { .. } => {
                self.phase = Phase::Measure { since: now, went: 0.0 };
                rate
            }
            Phase::Measure { since, went } => {
                let measured = measure(since, went, mean, now);
                if went >= MEASURE_MAX * mean {
                    self.phase = Phase::Measure { since: now, went: 0.0 };
                }
                match measured {
                    Some(measured) => measured,
                    None if nothing_went => (rate / 2.0).max(SLOWEST * mean),
                    None => rate,
                }
            }
        }
    }

    /// A new rate after a success, if it changes.
    pub(super) fn succeeded(
        &mut self,
        rate: f64,
        cost: f64,
        mean: f64,
        sent: Moment,
        waiting: bool,
        now: Moment,
    ) -> Option<f64> {
        self.any_since_cut |= sent >= self.cut;
        match self.phase {
            Phase::Unknown => None,
            Phase::Search { .. } if sent < self.cut => None,
            Phase::Search { successes } if successes + 1 < SEARCH_SUCCESSES => {
                self.phase = Phase::Search { successes: successes + 1 };
                None
            }
            Phase::Search { .. } => {
                self.phase = Phase::Search { successes: 0 };
                Some(rate * SEARCH_GROWTH)
            }
            // Callers who do not want the whole rate tell nothing about it.
            Phase::Measure { .. } if !waiting => {
                self.phase = Phase::Measure { since: now, went: 0.0 };
                None
            }
            Phase::Measure { since, went } => {
                let went = went + cost;
                let measured = measure(since, went, mean, now);
                let marked_anew = went >= MEASURE_MAX * mean;
                self.phase = if marked_anew {
                    Phase::Measure { since: now, went: 0.0 }
                } else {
                    Phase::Measure { since, went }
                };
                measured
            }
        }
    }
}

fn measure(since: Moment, went: f64, mean: f64, now: Moment) -> Option<f64> {
    let elapsed = now.seconds_since(since);
    (went >= MEASURE_MIN * mean && elapsed > 0.0).then(|| MEASURE_GROWTH * went / elapsed)
}
