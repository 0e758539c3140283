//! The reference: a log of everything that happened, told again from its beginning for each answer.

use alloc::vec::Vec;
use std::time::Duration;

use super::super::{Fits, LimitSpec};

const SECOND: u128 = 1_000_000_000;

/// What may come at once.
pub(super) fn burst(limit: u64, window: u128, burst: Option<Duration>) -> u128 {
    let limit = u128::from(limit);
    burst.map_or(limit, |burst| (limit * burst.as_nanos() / window).clamp(1, limit))
}

/// One rate's log: at which time how much came (or went), in units times the window.
struct Rate {
    limit: u128,
    window: u128,
    burst: u128,
    log: Vec<(u64, i128)>,
}

impl Rate {
    fn new(limit: u64, seconds: u128, more: Option<Duration>) -> Rate {
        let window = seconds * SECOND;
        let burst = burst(limit, window, more);
        Rate { limit: limit.into(), window, burst, log: Vec::new() }
    }

    fn push(&mut self, now: u64, units: i128) {
        self.log.push((now, units * i128::try_from(self.window).unwrap()));
    }

    /// What counts at `now`: never below nothing at any time.
    fn used(&self, now: u64) -> i128 {
        let (mut used, mut at) = (0_i128, 0);
        let limit = i128::try_from(self.limit).unwrap();
        for (time, came) in self.log.iter().chain([&(now, 0)]) {
            used = (used - limit * i128::from(time - at)).max(0);
            used = (used + came).max(0);
            at = *time;
        }
        used
    }

    /// Nanoseconds until `units` fit.
    fn wait(&self, units: u64, now: u64) -> Option<u128> {
        let units = u128::from(units);
        if units > self.limit {
            return None;
        }
        let room = i128::try_from(self.burst.saturating_sub(units) * self.window).unwrap();
        let over = u128::try_from((self.used(now) - room).max(0)).unwrap();
        Some(over.div_ceil(self.limit))
    }

    /// Counts a refused request, as far as there is room.
    fn count_refused(&mut self, now: u64) {
        let full = i128::try_from(self.burst * self.window).unwrap();
        let left = (full - self.used(now)).max(0);
        self.log.push((now, left.min(i128::try_from(self.window).unwrap())));
    }
}

/// One limit's logs.
struct One {
    spec: LimitSpec,
    requests: Vec<Rate>,
    tokens: Option<Rate>,
    under_way: u64,
}

impl One {
    fn fits(&self, tokens: u64, now: u64) -> Option<Fits> {
        let requests = self.requests.iter().map(|rate| rate.wait(1, now));
        let waits: Vec<Option<u128>> =
            requests.chain(self.tokens.iter().map(|rate| rate.wait(tokens, now))).collect();
        if waits.contains(&None) {
            return Some(Fits::Never);
        }
        let longest = waits.into_iter().flatten().max().unwrap_or(0);
        if longest > 0 {
            return Some(Fits::After(Duration::from_nanos(longest.try_into().unwrap())));
        }
        let full = self.spec.concurrency.is_some_and(|most| self.under_way >= most);
        full.then_some(Fits::WhenOneEnds)
    }
}

/// All limits of a schedule.
pub(super) struct Naive {
    limits: Vec<One>,
    count_refused: bool,
    /// The latest time seen: a clock that goes back stands still.
    now: u64,
}

impl Naive {
    pub(super) fn new(specs: &[LimitSpec], count_refused: bool) -> Naive {
        let one = |spec: &LimitSpec| {
            let minute = spec.rpm.map(|limit| Rate::new(limit, 60, spec.burst));
            let day = spec.rpd.map(|limit| Rate::new(limit, 86_400, spec.burst));
            One {
                spec: *spec,
                requests: minute.into_iter().chain(day).collect(),
                tokens: spec.tpm.map(|limit| Rate::new(limit, 60, spec.burst)),
                under_way: 0,
            }
        };
        Naive { limits: specs.iter().map(one).collect(), count_refused, now: 0 }
    }

    /// The time as it is reckoned with.
    pub(super) fn time(&self) -> u64 {
        self.now
    }

    /// Which shadows are over, or when the call fits.
    pub(super) fn admit(&mut self, tokens: u64, now: u64) -> Result<Vec<bool>, Fits> {
        self.now = self.now.max(now);
        let now = self.now;
        let fits: Vec<Option<Fits>> = self.limits.iter().map(|one| one.fits(tokens, now)).collect();
        let refusals = self.limits.iter().zip(&fits).filter(|(one, _)| !one.spec.shadow);
        if let Some(worst) = refusals.filter_map(|(_, fits)| *fits).max() {
            if self.count_refused {
                let rates = self.limits.iter_mut().flat_map(|one| &mut one.requests);
                rates.for_each(|rate| rate.count_refused(now));
            }
            return Err(worst);
        }
        let over: Vec<bool> = fits.iter().map(Option::is_some).collect();
        for (one, _) in self.limits.iter_mut().zip(&over).filter(|(_, over)| !**over) {
            one.under_way += 1;
            one.requests.iter_mut().for_each(|rate| rate.push(now, 1));
            one.tokens.iter_mut().for_each(|rate| rate.push(now, tokens.into()));
        }
        Ok(over)
    }

    pub(super) fn settle(&mut self, over: &[bool], tokens: u64, used: Option<u64>, now: u64) {
        self.now = self.now.max(now);
        for (one, _) in self.limits.iter_mut().zip(over).filter(|(_, over)| !**over) {
            one.under_way -= 1;
            if let (Some(rate), Some(used)) = (&mut one.tokens, used) {
                rate.push(self.now, i128::from(used) - i128::from(tokens));
            }
        }
    }
}
