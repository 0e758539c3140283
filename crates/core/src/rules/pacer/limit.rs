//! One limit as we understand it: a bucket that fills at a rate, and where the rate came from.
//!
//! Told limits come from a header or a refusal's text and hold exactly, without a safety factor.
//! Without either the rate is found by trying: see [`super::guess`]. An unknown limit lets
//! everything pass.

use super::guess::Guess;
use crate::hints::Dimension;
use crate::time::Moment;
use core::time::Duration;

/// Share of a mean request, and seconds of refill, that must be left over before sending: what
/// clocks, networks and rounding may take away between our reckoning and the provider's.
const MARGIN_REQUESTS: f64 = 0.2;
const MARGIN_SECONDS: f64 = 0.004;
/// Refill that may be saved up where no header tells the size of the bucket.
const BURST_SECONDS: f64 = 0.3;
/// Answers in a row that must show more left than we reckoned before we believe it.
const HIGHER_IN_A_ROW: u32 = 3;
/// Times that a belief in more left may end in a refusal before such headers are ignored.
const CONTRADICTIONS_MAX: u32 = 3;
/// Rates outside these, in units a second, are nonsense and count as absent.
const RATE_MIN: f64 = 1e-6;
const RATE_MAX: f64 = 1e9;
const MINUTE: f64 = 60.0;

/// A rate that a provider named, in units and seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) limit: f64,
    pub(super) window: f64,
}

impl Told {
    /// `None` when it makes no sense.
    pub(super) fn new(limit: f64, window: Option<Duration>) -> Option<Told> {
        let window = window.map_or(MINUTE, |window| window.as_secs_f64());
        let rate = limit / window;
        let sound = limit >= 1.0 && window > 0.0 && (RATE_MIN..RATE_MAX).contains(&rate);
        sound.then_some(Told { limit, window })
    }

    fn rate(self) -> f64 {
        self.limit / self.window
    }
}

/// What a refusal said about this limit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    /// The limit, from text.
    pub(super) told: Option<Told>,
    /// The wait, in seconds.
    pub(super) wait: Option<f64>,
}

/// When a grant was made, and how much had been granted before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) at: Moment,
    pub(super) spent: f64,
}

#[derive(Clone, Debug)]
pub(super) struct Limit {
    told: Option<Told>,
    /// Units a second; 0 while unknown.
    rate: f64,
    burst: f64,
    /// The burst came from headers: the provider's bucket holds no more.
    burst_told: bool,
    level: f64,
    at: Moment,
    spent: f64,
    /// Mean cost of a call in this limit's units.
    mean: f64,
    higher: u32,
    higher_by: f64,
    contradictions: u32,
    raised: Option<Moment>,
    guess: Guess,
}

impl Limit {
    pub(super) fn unknown(mean: f64) -> Limit {
        Limit {
            told: None,
            rate: 0.0,
            burst: 0.0,
            burst_told: false,
            level: 0.0,
            at: Moment::ZERO,
            spent: 0.0,
            mean,
            higher: 0,
            higher_by: 0.0,
            contradictions: 0,
            raised: None,
            guess: Guess::default(),
        }
    }

    /// A cap from the configuration: one second of refill may be saved up.
    pub(super) fn cap(per_minute: Option<u64>, mean: f64, now: Moment) -> Limit {
        let mut limit = Limit::unknown(mean);
        if let Some(told) = per_minute.and_then(|n| Told::new(n as f64, None)) {
            limit.told = Some(told);
            limit.rate = told.rate();
            limit.burst = limit.rate.max(1.0);
            limit.level = limit.burst;
            limit.at = now;
        }
        limit
    }

    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    pub(super) fn told(&self) -> Option<Told> {
        self.told
    }

    pub(super) fn is_searching(&self) -> bool {
        self.told.is_none() && self.guess.is_searching()
    }

    pub(super) fn mark(&self, now: Moment) -> Mark {
        Mark { at: now, spent: self.spent }
    }

    /// What it holds at `now`.
    pub(super) fn level(&self, now: Moment) -> f64 {
        let filled = self.level + now.seconds_since(self.at) * self.rate;
        filled.min(self.burst.max(self.level))
    }

    /// Seconds until a call of this cost may go; 0 when it may go now.
    pub(super) fn ready_in(&mut self, cost: f64, now: Moment) -> f64 {
        if self.rate <= 0.0 {
            return 0.0;
        }
        let mut need = cost + MARGIN_REQUESTS * self.mean.min(cost) + MARGIN_SECONDS * self.rate;
        if need > self.burst {
            if self.burst_told {
                need = self.burst;
            } else {
                self.fill(now);
                self.burst = need; // saved up until this one fits; a smaller one never shrinks it
            }
        }
        ((need - self.level(now)) / self.rate).max(0.0)
    }

    /// Seconds until this much more could have been granted, from an empty queue on.
    pub(super) fn time_for(&self, cost: f64, now: Moment) -> f64 {
        if self.rate <= 0.0 || self.is_searching() {
            return 0.0;
        }
        ((cost - self.level(now)) / self.rate).max(0.0)
    }

    pub(super) fn take(&mut self, cost: f64, now: Moment) {
        self.fill(now);
        self.level -= cost;
        self.spent += cost;
        self.mean += (cost - self.mean) / 16.0;
    }

    /// Gives back what was taken and not used; negative takes more.
    pub(super) fn give(&mut self, cost: f64, now: Moment) {
        self.fill(now);
        self.level = (self.level + cost).min(self.burst.max(self.level));
        self.spent -= cost;
    }

    /// An attempt succeeded that this limit let through. `waiting`: others wait for this limit.
    pub(super) fn succeeded(&mut self, cost: f64, sent: Moment, waiting: bool, now: Moment) {
        if self.told.is_none()
            && let Some(rate) = self.guess.succeeded(self.rate, cost, self.mean, sent, waiting, now)
        {
            self.set_rate(rate, now);
        }
    }

    /// Headers of any answer show this limit.
    pub(super) fn heard(&mut self, seen: &Dimension, sent: Mark, now: Moment) {
        let Some(told) = seen.limit.and_then(|limit| Told::new(limit as f64, seen.window)) else {
            return;
        };
        let first = self.told != Some(told);
        if first {
            self.told = Some(told);
            self.set_rate(told.rate(), now);
            self.burst = (BURST_SECONDS * self.rate).min(told.limit);
            self.level = self.level.min(self.burst);
        }
        let Some(remaining) = seen.remaining else { return };
        let remaining = (remaining as f64).min(told.limit);
        if let Some(reset) = seen.reset {
            let size = (remaining + reset.as_secs_f64() * self.rate).clamp(1.0, told.limit);
            self.burst = if self.burst_told { self.burst.max(size) } else { size };
            self.burst_told = true;
        }
        self.correct(remaining, first, sent, now);
    }

    /// Brings the level between what `remaining` allows: it was true at some moment since `sent`.
    fn correct(&mut self, remaining: f64, first: bool, sent: Mark, now: Moment) {
        self.fill(now);
        let granted_since = (self.spent - sent.spent - self.mean).max(0.0);
        let filled_since = self.rate * now.seconds_since(sent.at);
        let least = remaining + (filled_since - granted_since).min(0.0);
        let most = remaining + self.mean + (filled_since - granted_since).max(0.0);
        if first {
            self.level = least.min(self.burst.max(remaining));
            return;
        }
        if self.level > most {
            self.level = most;
        }
        if least > self.level + self.mean {
            let by = least - self.level;
            self.higher_by = if self.higher == 0 { by } else { self.higher_by.min(by) };
            self.higher += 1;
            if self.higher >= HIGHER_IN_A_ROW && self.contradictions < CONTRADICTIONS_MAX {
                self.level += self.higher_by;
                self.raised = Some(now);
                self.higher = 0;
            }
        } else {
            self.higher = 0;
        }
    }

    /// This limit refused an attempt of `cost`, which was already given back.
    pub(super) fn refused(&mut self, cost: f64, said: Said, sent: Mark, now: Moment) {
        if self.raised.take().is_some_and(|raised| sent.at >= raised) {
            self.contradictions += 1;
        }
        if let Some(told) = said.told
            && self.told != Some(told)
        {
            self.told = Some(told);
            self.set_rate(told.rate(), now);
            self.burst = BURST_SECONDS * self.rate;
            self.burst_told = false;
        }
        if self.told.is_none() {
            let rate = self.guess.refused(self.rate, self.mean, sent.at, now);
            self.set_rate(rate, now);
            self.burst = BURST_SECONDS.max(said.wait.unwrap_or(0.0).min(MINUTE)) * self.rate;
        }
        self.fill(now);
        let window = self.told.map_or(MINUTE, |told| told.window);
        self.level = match said.wait {
            // Attempts granted after this one was sent are not in the provider's reckoning yet.
            Some(wait) => {
                let since = (self.spent - sent.spent).max(0.0);
                cost - wait.min(window) * self.rate - since.min(self.burst)
            }
            None => self.level.min(cost - self.mean),
        };
    }

    fn set_rate(&mut self, rate: f64, now: Moment) {
        self.fill(now);
        self.rate = rate.clamp(RATE_MIN, RATE_MAX);
    }

    fn fill(&mut self, now: Moment) {
        self.level = self.level(now);
        self.at = self.at.max(now);
    }
}
