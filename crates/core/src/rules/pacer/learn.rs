//! What the pacer learns when an attempt ends: each grant ends in exactly one of these ways.

use super::limit::{Said, Told};
use super::{
    Grant, LIMITS, PROJECT_TOKENS, Pacer, REQUESTS, REQUESTS_DAY, TOKENS, TOKENS_DAY, counts_tokens,
};
use crate::hints::{Dimension, RateHints};
use crate::time::Moment;
use core::time::Duration;

/// What an attempt was refused for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefusedBy {
    /// Requests per time.
    Requests,
    /// Tokens per time.
    Tokens,
    /// Calls at once.
    Concurrent,
    /// Not said.
    #[default]
    Other,
}

/// A 429 as the pacer needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Refusal {
    /// What it was refused for.
    pub dimension: RefusedBy,
    /// The limit that the text names, in units a minute.
    pub limit_per_minute: Option<f64>,
    /// The wait asked for, by the fixed order of hints.
    pub wait: Option<Duration>,
    /// Tokens that the text says this call was to be charged.
    pub requested: Option<u64>,
}

/// Weight of one answer in the mean time that calls take.
const TOOK_WEIGHT: f64 = 1.0 / 16.0;

impl Pacer {
    /// The attempt succeeded. `tokens_used`: the answer's usage, if it had one.
    pub fn succeeded(
        &mut self,
        grant: Grant,
        tokens_used: Option<u64>,
        hints: &RateHints,
        now: Moment,
    ) {
        self.end(&grant, now);
        self.ramp.success();
        self.hold.succeeded(grant.sent);
        self.ceiling.succeeded();
        if let Some(used) = tokens_used.filter(|used| *used > 0)
            && self.ratio.settle(grant.asked, used)
        {
            let back = grant.tokens - used as f64;
            for (index, limit) in self.limits.iter_mut().enumerate() {
                if counts_tokens(index) {
                    limit.give(back, now);
                }
            }
        }
        if let Some(cost) = hints.query_cost {
            self.ratio.charged(grant.asked, cost as f64);
        }
        self.heard(&grant, hints, now);
    }

    /// The head of a sound answer came: its limits are known before its body ends, which may take
    /// minutes. The attempt goes on.
    pub fn observe(&mut self, grant: &Grant, hints: &RateHints, now: Moment) {
        if let Some(cost) = hints.query_cost {
            self.ratio.charged(grant.asked, cost as f64);
        }
        self.heard(grant, hints, now);
        for index in (0..LIMITS).filter(|index| seen(hints, *index).is_none()) {
            self.limits[index].unheard(now);
        }
    }

    /// The attempt was refused with a 429 for a rate or for too many at once.
    pub fn refused(&mut self, grant: Grant, refusal: &Refusal, hints: &RateHints, now: Moment) {
        self.end(&grant, now);
        for (index, limit) in self.limits.iter_mut().enumerate() {
            limit.give(grant.cost(index), now);
        }
        if let Some(wait) = refusal.wait {
            self.hold.asked(wait, now);
        }
        if refusal.dimension == RefusedBy::Concurrent {
            let rest = self.ceiling.refused(self.in_flight);
            self.hold.asked(rest, now);
            self.heard(&grant, hints, now);
            return;
        }
        self.part.refused(now);
        self.heard(&grant, hints, now);
        self.learn_charge(&grant, refusal, hints);
        let index = refused_limit(refusal.dimension, hints);
        let unit = if counts_tokens(index) { 100.0 } else { 1.0 };
        // Below these a limit counts by the day: its wait is kept, its rate would stop everything.
        let told = refusal.limit_per_minute.filter(|limit| *limit >= unit);
        let said = Said {
            told: told.and_then(|limit| Told::new(limit, None)),
            wait: refusal.wait.map(|wait| wait.as_secs_f64()),
            by_header: false,
        };
        let by_header = seen(hints, index).is_some_and(|seen| seen.limit.is_some());
        let said = Said { told: said.told.filter(|_| !by_header), by_header, ..said };
        let cost = if counts_tokens(index) { self.ratio.cost(grant.asked) } else { 1.0 };
        let phase = self.part.phase(self.at_once(), now);
        self.limits[index].refused(cost, phase, said, grant.mark(index), now);
    }

    /// A neutral end: it failed, or the caller left. What it took stays taken, because the provider
    /// counts such attempts.
    pub fn released(&mut self, grant: Grant, now: Moment) {
        self.end(&grant, now);
    }

    /// It was never sent: everything is given back.
    pub fn unsent(&mut self, grant: Grant, now: Moment) {
        self.in_flight = self.in_flight.saturating_sub(1);
        for (index, limit) in self.limits.iter_mut().enumerate() {
            limit.give(grant.cost(index), now);
        }
    }

    fn end(&mut self, grant: &Grant, now: Moment) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let took = now.seconds_since(grant.sent);
        self.took += (took - self.took) * if self.took > 0.0 { TOOK_WEIGHT } else { 1.0 };
    }

    fn heard(&mut self, grant: &Grant, hints: &RateHints, now: Moment) {
        for index in 0..LIMITS {
            if let Some(seen) = seen(hints, index) {
                self.limits[index].heard(&seen, grant.mark(index), now);
            }
        }
    }

    /// A refusal for tokens tells what the call was to be charged: in words, or as what was left
    /// plus what refills during the wait.
    fn learn_charge(&mut self, grant: &Grant, refusal: &Refusal, hints: &RateHints) {
        if refusal.dimension != RefusedBy::Tokens {
            return;
        }
        let implied = || {
            let left = hints.tokens?.remaining? as f64;
            let told = self.limits[TOKENS].told()?;
            let wait = refusal.wait?.as_secs_f64();
            (wait < told.window).then_some(left + wait * self.limits[TOKENS].whole())
        };
        if let Some(charge) = refusal.requested.map(|tokens| tokens as f64).or_else(implied) {
            self.ratio.refused(grant.asked, charge);
        }
    }
}

/// The headers' word on a limit; none for the configuration's caps.
fn seen(hints: &RateHints, index: usize) -> Option<Dimension> {
    match index {
        REQUESTS => hints.requests,
        REQUESTS_DAY => hints.requests_day,
        TOKENS => hints.tokens,
        TOKENS_DAY => hints.tokens_day,
        PROJECT_TOKENS => hints.project_tokens,
        _ => None,
    }
}

/// Which limit refused: of those of its kind, one that the headers show as used up.
fn refused_limit(by: RefusedBy, hints: &RateHints) -> usize {
    let used_up = |index: &usize| seen(hints, *index).is_some_and(|seen| seen.remaining == Some(0));
    let (first, others): (usize, &[usize]) = match by {
        RefusedBy::Tokens => (TOKENS, &[TOKENS, PROJECT_TOKENS, TOKENS_DAY]),
        RefusedBy::Requests => (REQUESTS, &[REQUESTS, REQUESTS_DAY]),
        RefusedBy::Other | RefusedBy::Concurrent => {
            (REQUESTS, &[REQUESTS, TOKENS, PROJECT_TOKENS, REQUESTS_DAY, TOKENS_DAY])
        }
    };
    others.iter().copied().find(used_up).unwrap_or(first)
}
