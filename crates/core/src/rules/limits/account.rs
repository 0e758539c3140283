//! The state of one limit: a bucket for each rate, and the calls under way.

use core::time::Duration;

use super::bucket::Bucket;
use super::spec::{LimitSpec, Measure};
use super::{Fits, Left, Reading, Refusal};
use crate::time::Moment;

/// How much of one limit is used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    minute: Bucket,
    tokens: Bucket,
    day: Bucket,
    /// Calls under way, counted whether or not they are limited, so that a limit set later holds
    /// for them.
    in_flight: u64,
}

impl Account {
    /// Lets time pass. What is not limited counts nothing.
    pub(super) fn flow(&mut self, spec: &LimitSpec, now: Moment) {
        for measure in Measure::ALL {
            let rate = spec.rate(measure);
            let Some(bucket) = self.bucket_mut(measure) else { continue };
            match rate {
                Some(rate) => bucket.flow(&rate, now),
                None => bucket.forget(),
            }
        }
    }

    /// Why a call with this many tokens does not fit: the measure that keeps it longest.
    pub(super) fn refuses(&self, spec: &LimitSpec, tokens: u64) -> Option<Refusal> {
        let mut worst: Option<Refusal> = None;
        for measure in Measure::ALL {
            let Some(limit) = spec.value(measure) else { continue };
            let requested = units(measure, tokens);
            let Some(fits) = self.fits(spec, measure, requested) else { continue };
            if worst.is_none_or(|worst| fits > worst.fits) {
                let used = self.used(spec, measure);
                worst = Some(Refusal { index: 0, measure, limit, used, requested, fits });
            }
        }
        worst
    }

    /// When this many would fit; `None`: at once.
    fn fits(&self, spec: &LimitSpec, measure: Measure, units: u64) -> Option<Fits> {
        let (Some(bucket), Some(rate)) = (self.bucket(measure), spec.rate(measure)) else {
            let full = spec.concurrency.is_some_and(|limit| self.in_flight >= limit);
            return (measure == Measure::Concurrency && full).then_some(Fits::WhenOneEnds);
        };
        match bucket.wait(units, &rate) {
            None => Some(Fits::Never),
            Some(Duration::ZERO) => None,
            Some(wait) => Some(Fits::After(wait)),
        }
    }

    /// Takes a call's part.
    pub(super) fn take(&mut self, spec: &LimitSpec, tokens: u64) {
        self.in_flight += 1;
        for measure in Measure::ALL {
            if let (Some(rate), Some(bucket)) = (spec.rate(measure), self.bucket_mut(measure)) {
                bucket.take(units(measure, tokens), &rate);
            }
        }
    }

    /// A refused request counts where there is something left.
    pub(super) fn count_refused(&mut self, spec: &LimitSpec) {
        for measure in [Measure::RequestsPerMinute, Measure::RequestsPerDay] {
            if let (Some(rate), Some(bucket)) = (spec.rate(measure), self.bucket_mut(measure)) {
                bucket.take_what_is_left(1, &rate);
            }
        }
    }

    /// A call has ended.
    pub(super) fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Puts what was used in the place of what was reserved.
    pub(super) fn correct(&mut self, spec: &LimitSpec, reserved: u64, used: u64) {
        let Some(rate) = spec.rate(Measure::TokensPerMinute) else { return };
        if used > reserved {
            self.tokens.take(used - reserved, &rate);
        } else {
            self.tokens.give(reserved - used, &rate);
        }
    }

    /// What counts as used of requests per day: whole requests, and exactly.
    pub(super) fn day(&self, spec: &LimitSpec) -> (u64, u128) {
        let rate = spec.rate(Measure::RequestsPerDay);
        rate.map_or((0, 0), |rate| (self.day.used(&rate), self.day.exact()))
    }

    /// Goes on from what counted as used of requests per day `ago`.
    pub(super) fn resume_day(&mut self, spec: &LimitSpec, used: u64, ago: Duration) {
        if let Some(rate) = spec.rate(Measure::RequestsPerDay) {
            self.day.resume(used, ago, &rate);
        }
    }

    /// What is left of a rate.
    pub(super) fn left(&self, spec: &LimitSpec, measure: Measure) -> Option<Left> {
        let (bucket, rate) = (self.bucket(measure)?, spec.rate(measure)?);
        let (remaining, reset) = (bucket.remaining(&rate), bucket.reset(&rate));
        Some(Left { limit: rate.limit, remaining, reset })
    }

    /// A measure that is limited, for people.
    pub(super) fn read(&self, spec: &LimitSpec, measure: Measure) -> Option<Reading> {
        let (limit, used) = (spec.value(measure)?, self.used(spec, measure));
        let reset = self.left(spec, measure).map_or(Duration::ZERO, |left| left.reset);
        Some(Reading { measure, limit, used, reset })
    }

    fn used(&self, spec: &LimitSpec, measure: Measure) -> u64 {
        match (self.bucket(measure), spec.rate(measure)) {
            (Some(bucket), Some(rate)) => bucket.used(&rate),
            (None, _) | (_, None) => self.in_flight,
        }
    }

    /// Whether it is as good as new.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.minute.is_full() && self.tokens.is_full() && self.day.is_full()
    }

    fn bucket(&self, measure: Measure) -> Option<&Bucket> {
        match measure {
            Measure::RequestsPerMinute => Some(&self.minute),
            Measure::TokensPerMinute => Some(&self.tokens),
            Measure::RequestsPerDay => Some(&self.day),
            Measure::Concurrency => None,
        }
    }

    fn bucket_mut(&mut self, measure: Measure) -> Option<&mut Bucket> {
        match measure {
            Measure::RequestsPerMinute => Some(&mut self.minute),
            Measure::TokensPerMinute => Some(&mut self.tokens),
            Measure::RequestsPerDay => Some(&mut self.day),
            Measure::Concurrency => None,
        }
    }
}

/// How much of a measure one call is.
fn units(measure: Measure, tokens: u64) -> u64 {
    match measure {
        Measure::TokensPerMinute => tokens,
        Measure::RequestsPerMinute | Measure::RequestsPerDay | Measure::Concurrency => 1,
    }
}
