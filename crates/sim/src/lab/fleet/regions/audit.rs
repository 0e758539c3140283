//! Counts what all regions admit together, second by second, in a bucket of its own that knows nothing of shares.

use super::super::audit::Spent;
use super::{LimitSpec, REPLY_MAX, SECOND};

/// Accusations kept.
const KEPT: usize = 5;

/// The bucket, and what was admitted in each second.
#[derive(Debug)]
pub(super) struct Books {
    /// Calls times microseconds of a minute.
    used: u128,
    at: u64,
    rpm: u128,
    most: u128,
    seconds: Vec<Vec<u64>>,
    accusations: Vec<String>,
}

const MINUTE: u128 = 60_000_000;

impl Books {
    pub(super) fn new(whole: &LimitSpec, ends: u64) -> Books {
        let rpm = u128::from(whole.rpm.unwrap_or(0));
        let burst = whole.burst.map_or(MINUTE, |burst| burst.as_micros());
        // What was granted goes a reply's time later, and its call wakes a moment after that.
        let late = REPLY_MAX.as_micros() + 1_000;
        let seconds = usize::try_from(ends / SECOND).unwrap_or(0) + 1;
        let most = rpm * (burst + late);
        Books {
            used: 0,
            at: 0,
            rpm,
            most,
            seconds: vec![Vec::new(); seconds],
            accusations: Vec::new(),
        }
    }

    pub(super) fn admitted(&mut self, region: usize, call: Spent) {
        let passed = u128::from(call.at.saturating_sub(self.at));
        self.used = self.used.saturating_sub(passed * self.rpm) + MINUTE;
        self.at = self.at.max(call.at);
        if self.used > self.most && self.accusations.len() < KEPT {
            let (used, most) = (self.used / MINUTE, self.most / MINUTE);
            let at = self.at as f64 / SECOND as f64;
            self.accusations
                .push(format!("{used} calls count as used at {at:.3} s where {most} may"));
        }
        let second = usize::try_from(call.at / SECOND).unwrap_or(0).saturating_sub(1);
        if let Some(second) = self.seconds.get_mut(second) {
            if second.len() <= region {
                second.resize(region + 1, 0);
            }
            second[region] += 1;
        }
    }

    pub(super) fn close(self) -> (Vec<Vec<u64>>, Vec<String>) {
        (self.seconds, self.accusations)
    }
}
