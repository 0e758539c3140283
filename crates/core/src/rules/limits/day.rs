//! What counts as used of requests per day, to be remembered across a restart. Minutes are not worth
//! it: they are over before a person has noticed.

use alloc::vec::Vec;
use core::ops::Bound;
use core::time::Duration;

use super::spec::Measure;
use super::{LimitSpec, LimitTable};
use crate::time::Moment;

/// How much of a limit's day counts as used at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayLevel {
    /// The limit's number.
    pub id: u64,
    /// Requests, a begun one whole.
    pub used: u64,
    exact: u128,
    at: Moment,
}

impl DayLevel {
    /// Whether more came since `earlier` than time has taken off.
    pub fn grew_since(&self, earlier: &DayLevel, spec: &LimitSpec) -> bool {
        let passed = self.at.since(earlier.at);
        let rate = spec.rate(Measure::RequestsPerDay);
        rate.is_some_and(|rate| self.exact > rate.faded(earlier.exact, passed))
    }
}

impl LimitTable {
    /// Levels of limits per day that have something used, looking at `most` limits behind the one
    /// with the number `after`; and where to go on, if there are more.
    pub fn days(
        &self,
        after: Option<u64>,
        most: usize,
        now: Moment,
        spec_of: impl Fn(u64) -> Option<LimitSpec>,
    ) -> (Vec<DayLevel>, Option<u64>) {
        let at = self.latest.max(now);
        let from = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let (mut found, mut seen, mut last) = (Vec::new(), 0, None);
        for (id, account) in self.accounts.range(from).take(most) {
            (seen, last) = (seen + 1, Some(*id));
            let Some(spec) = spec_of(*id) else { continue };
            if spec.rpd.is_none() {
                continue;
            }
            let mut account = *account;
            account.flow(&spec, at);
            let (used, exact) = account.day(&spec);
            if used > 0 {
                found.push(DayLevel { id: *id, used, exact, at });
            }
        }
        (found, last.filter(|_| seen == most))
    }

    /// Goes on from what counted as used `ago`, before a restart.
    pub fn resume_day(&mut self, id: u64, spec: &LimitSpec, used: u64, ago: Duration, now: Moment) {
        let now = self.time(now);
        let account = self.accounts.entry(id).or_default();
        account.flow(spec, now);
        account.resume_day(spec, used, ago);
        if account.is_idle() {
            self.accounts.remove(&id);
        }
    }
}
