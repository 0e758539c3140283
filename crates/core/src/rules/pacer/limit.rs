//! One limit as we understand it: a bucket that fills at a rate, and where the rate came from.
//!
//! Told limits come from a header or a refusal's text and hold exactly, without a safety factor.
//! Without either the rate is found by trying: see [`super::guess`]. An unknown limit lets
//! everything pass.

use super::guess::Guess;
use super::silence::Silence;
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
/// How much of what is left beyond its reckoning a node takes at once, where several share a limit.
const RAISED: f64 = 0.5;
/// Times that a belief in more left may end in a refusal before such headers are ignored.
const CONTRADICTIONS_MAX: u32 = 3;
/// Attempts after which the share of refusals is looked at, and the share that means that others use
/// part of the limit.
const SHARE_TRIED: u32 = 30;
const SHARE_REFUSED: f64 = 0.2;
/// Answers in a row that it takes at most to believe another limit.
const AGREED_MAX: u32 = 5;
/// Rates outside these, in units a second, are nonsense and count as absent.
const RATE_MIN: f64 = 1e-6;
const RATE_MAX: f64 = 1e9;
/// Smallest part of a limit that a node counts on, and smallest change that is worth a reckoning.
const PART_MIN: f64 = 1e-4;
const PART_STEP: f64 = 0.01;
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
    /// Its headers named the limit.
    pub(super) by_header: bool,
}

/// When a grant was made, and how much had been granted before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) at: Moment,
    pub(super) spent: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Limit {
    told: Option<Told>,
    told_at: Moment,
    /// A header named it: answers can be expected to name it again.
    by_header: bool,
    /// How long it was not named.
    silence: Silence,
    /// Another limit that answers showed, and how many in a row.
    rumour: Option<(Told, u32)>,
    /// Answers that confirmed the told limit, up to a bound.
    agreed: u32,
    /// This node's part of all that the provider gives, above 0 and at most 1. What is told is of the
    /// whole; rate, burst and level are of the part.
    part: f64,
    /// Units a second; 0 while unknown.
    rate: f64,
    /// Others use part of a told limit: what is left for us, found by trying.
    capped: bool,
    tried: u32,
    turned_away: u32,
    burst: f64,
    /// What a call needed that is larger than the burst, so that it can be saved up.
    size: f64,
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
            told_at: Moment::ZERO,
            by_header: false,
            silence: Silence::default(),
            rumour: None,
            agreed: 0,
            part: 1.0,
            rate: 0.0,
            capped: false,
            tried: 0,
            turned_away: 0,
            burst: 0.0,
            size: 0.0,
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
            // The first call of a limit of a few a minute does not wait for what has to be left over after it.
            limit.level = limit.burst.max(1.0 + limit.margin(1.0));
            limit.at = now;
        }
        limit
    }

    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    pub(super) fn part(&self) -> f64 {
        self.part
    }

    /// What the whole gives in a second, as far as is known; 0: it is not.
    pub(super) fn whole(&self) -> f64 {
        self.rate / self.part
    }

    /// Takes another part of the whole. What is saved up stays, as far as the part may hold it: parts
    /// that rise and fall with every call must not cost anything.
    pub(super) fn set_part(&mut self, part: f64, now: Moment) {
        let part = part.clamp(PART_MIN, 1.0);
        let by = part / self.part;
        if (by - 1.0).abs() < PART_STEP {
            return;
        }
        self.fill(now);
        self.part = part;
        self.rate *= by;
        self.burst *= by;
        self.level = self.level.min(self.size.max(self.burst).max(2.0 * self.mean));
        self.guess.scale(by);
    }

    /// Others take the whole for this, in units a second. A rate that is found by trying moves so much of the
    /// way to it; what the provider named stands.
    pub(super) fn advised(&mut self, whole: f64, weight: f64, now: Moment) {
        if self.told.is_some() {
            return;
        }
        if self.rate <= 0.0 {
            self.guess = Guess::measuring(now);
            self.set_rate(whole * self.part, now);
            self.burst = BURST_SECONDS * self.rate;
            return;
        }
        let mean = self.whole() + (whole - self.whole()) * weight;
        self.set_rate(mean * self.part, now);
    }

    /// So many calls in a second were refused of all nodes that send to this account: where the rate is found by
    /// trying, the whole is so much smaller than it is taken for.
    pub(super) fn others_refused(&mut self, calls: f64, now: Moment) {
        let excess = calls * self.mean * self.part;
        let rate = self.guess.others_refused(self.rate, excess, now);
        if self.guesses() {
            self.set_rate(rate, now);
        }
    }

    pub(super) fn told(&self) -> Option<Told> {
        self.told
    }

    /// All that was ever granted.
    pub(super) fn spent(&self) -> f64 {
        self.spent
    }

    /// What it holds at `now`.
    pub(super) fn level(&self, now: Moment) -> f64 {
        let filled = self.level + now.seconds_since(self.at) * self.rate;
        filled.min(self.size.max(self.burst).max(self.level))
    }

    /// Seconds until a call of this cost may go; 0 when it may go now.
    pub(super) fn ready_in(&mut self, cost: f64, now: Moment) -> f64 {
        if self.rate <= 0.0 {
            return 0.0;
        }
        // A provider whose bucket holds less than the cost takes it when the bucket is full.
        let cost = if self.burst_told { cost.min(self.burst / self.part) } else { cost };
        let need = cost + self.margin(cost);
        if need > self.size {
            self.fill(now);
            self.size = need;
        }
        ((need - self.level(now)) / self.rate).max(0.0)
    }

    /// Seconds until this much more can have been granted; 0 where that is not known but guessed: a
    /// caller is not refused for a guess.
    pub(super) fn time_for(&self, cost: f64, now: Moment) -> f64 {
        if self.rate <= 0.0 || self.guesses() {
            return 0.0;
        }
        ((cost - self.level(now)) / self.rate).max(0.0)
    }

    /// A call goes; `limited`: it or others had to wait.
    pub(super) fn take(&mut self, cost: f64, limited: bool, now: Moment) {
        self.fill(now);
        self.level -= cost;
        self.spent += cost;
        self.mean += (cost - self.mean) / 16.0;
        self.tried += 1;
        self.silence.sent();
        let rate = self.guess.granted((self.rate, self.part), cost, limited, now);
        if self.guesses() {
            self.set_rate(rate, now);
        }
    }

    /// Whether the rate is one found by trying.
    fn guesses(&self) -> bool {
        self.capped || self.told.is_none() && self.rate > 0.0
    }

    /// Gives back what was taken and not used; negative takes more.
    pub(super) fn give(&mut self, cost: f64, now: Moment) {
        self.fill(now);
        self.level = (self.level + cost).min(self.size.max(self.burst).max(self.level));
        self.spent -= cost;
    }

    /// Headers of any answer show this limit.
    pub(super) fn heard(&mut self, seen: &Dimension, sent: Mark, now: Moment) {
        let Some(told) = seen.limit.and_then(|limit| Told::new(limit as f64, seen.window)) else {
            return;
        };
        let first = self.told != Some(told);
        if first && !self.believes(told) {
            return;
        }
        if first {
            self.tell(told, now);
        }
        self.agreed = (self.agreed + 1).min(AGREED_MAX);
        self.rumour = None;
        self.by_header = true;
        self.silence.named();
        let Some(remaining) = seen.remaining else { return };
        let remaining = (remaining as f64).min(told.limit);
        if let Some(reset) = seen.reset {
            let size = (remaining + reset.as_secs_f64() * told.rate()).clamp(1.0, told.limit);
            let size = size * self.part;
            self.burst = if self.burst_told { self.burst.max(size) } else { size };
            self.burst_told = true;
        }
        self.correct(remaining * self.part, first, sent, now);
    }

    /// The first word is believed at once; another only when it comes as often in a row as the
    /// first was confirmed, so that one strange answer changes nothing.
    fn believes(&mut self, told: Told) -> bool {
        if self.told.is_none() {
            return true;
        }
        let times = match self.rumour {
            Some((rumour, times)) if rumour == told => times + 1,
            Some(_) | None => 1,
        };
        self.rumour = Some((told, times));
        times >= self.agreed.max(2)
    }

    /// A sound answer came without a word on this limit.
    pub(super) fn unheard(&mut self, now: Moment) {
        let Some(told) = self.told.filter(|_| self.by_header) else { return };
        if !self.silence.answered() {
            return;
        }
        let rate = self.rate;
        self.forget(now);
        // One that counts by the day cannot be measured; without a witness it holds nobody.
        if told.window <= MINUTE {
            self.guess = Guess::measuring(now);
            self.set_rate(rate, now);
            self.burst = BURST_SECONDS * self.rate;
        }
    }

    /// Nothing is known of this limit any more.
    fn forget(&mut self, now: Moment) {
        self.fill(now);
        (self.told, self.rumour, self.agreed) = (None, None, 0);
        (self.capped, self.by_header, self.burst_told) = (false, false, false);
        (self.rate, self.burst, self.size) = (0.0, 0.0, 0.0);
        self.level = self.level.min(0.0);
        (self.tried, self.turned_away) = (0, 0);
        self.guess = Guess::default();
        self.silence.named();
    }

    /// Takes over a limit that the provider names.
    fn tell(&mut self, told: Told, now: Moment) {
        self.told = Some(told);
        self.told_at = now;
        (self.rumour, self.agreed) = (None, 0);
        self.capped = false;
        self.set_rate(told.rate() * self.part, now);
        self.burst = (BURST_SECONDS * self.rate).min(told.limit * self.part);
        self.burst_told = false;
        self.level = self.level.min(self.burst);
        (self.tried, self.turned_away) = (0, 0);
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
        if self.part < 1.0 && least > self.level && self.contradictions < CONTRADICTIONS_MAX {
            // What other nodes did not use is there for this one, as far as it is its part.
            self.level += (least - self.level) * RAISED;
            self.raised = Some(now);
            return;
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
    /// `phase`: where this node stands among those that were told to wait, from 0 to 1, so that they do not
    /// all come back in the same moment.
    pub(super) fn refused(&mut self, cost: f64, phase: f64, said: Said, sent: Mark, now: Moment) {
        if self.raised.take().is_some_and(|raised| sent.at >= raised) {
            self.contradictions += 1;
        }
        if let Some(told) = said.told
            && self.told != Some(told)
            && self.believes(told)
        {
            self.tell(told, now);
        }
        self.doubt(said.told.is_some() || said.by_header, now);
        let (rate, costs) = ((self.rate, self.part), (cost, self.mean));
        let guessed = self.guess.refused(rate, costs, sent.at, said.wait.is_some(), now);
        if let (true, Some((rate, _))) = (self.told.is_none() || self.capped, guessed) {
            self.set_rate(rate, now);
        }
        if self.told.is_none() {
            self.burst = BURST_SECONDS.max(said.wait.unwrap_or(0.0).min(MINUTE)) * self.rate;
        }
        self.share(sent.at, now);
        self.fill(now);
        let window = self.told.map_or(MINUTE, |told| told.window);
        match (said.wait, guessed) {
            // Attempts granted after this one was sent are not in the provider's reckoning yet.
            (Some(wait), _) => {
                let since = (self.spent - sent.spent).max(0.0);
                let later = since.min(self.burst) + phase * cost;
                self.level = cost - wait.min(window) * self.rate - later;
            }
            (None, Some((_, pause))) => {
                let need = cost + self.margin(cost);
                self.level = self.level.min(need - (pause + phase) * self.mean);
            }
            // Sent before the last refusal: the rate stands, and what it took is not sent again at once.
            (None, None) => self.level -= cost,
        }
    }

    /// Notices that a told limit is not the one that refuses: nothing names it, and far more is
    /// refused than it could explain.
    fn doubt(&mut self, named: bool, now: Moment) {
        if named {
            self.silence.named();
        } else if self.told.is_some() && self.silence.refused() {
            self.forget(now);
        }
    }

    /// Notices that a told limit is shared with others: too many refusals although it was kept.
    fn share(&mut self, sent: Moment, now: Moment) {
        let Some(told) = self.told else { return };
        if sent < self.told_at {
            self.tried = self.tried.saturating_sub(1);
            return;
        }
        self.turned_away += 1;
        if self.tried < SHARE_TRIED {
            return;
        }
        let refused = f64::from(self.turned_away) / f64::from(self.tried);
        if refused >= SHARE_REFUSED && !self.capped {
            self.capped = true;
            self.guess = Guess::measuring(now);
            self.set_rate(told.rate() * self.part * (1.0 - refused), now);
        }
        (self.tried, self.turned_away) = (0, 0);
    }

    fn set_rate(&mut self, rate: f64, now: Moment) {
        self.fill(now);
        if self.rate <= 0.0 {
            self.level = 0.0; // what went while nothing was known is no debt
        }
        self.rate = rate.clamp(RATE_MIN, RATE_MAX);
        if let Some(told) = self.told
            && self.capped
            && self.rate >= told.rate() * self.part
        {
            self.rate = told.rate() * self.part;
            self.capped = false;
        }
    }

    fn margin(&self, cost: f64) -> f64 {
        MARGIN_REQUESTS * self.mean.min(cost) + MARGIN_SECONDS * self.rate
    }

    fn fill(&mut self, now: Moment) {
        self.level = self.level(now);
        self.at = self.at.max(now);
    }
}
