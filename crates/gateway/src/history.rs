//! The last hour in figures: every ten seconds what all workers have counted, kept in memory, so that
//! the console can draw traffic without a metrics server beside it. A report goes up to the moment it is
//! asked for, so that it agrees with the metrics.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use mainstay_core::failure::Kind;
use mainstay_core::store::UnixMillis;
use serde_json::{Value, json};

use crate::meter::Totals;
use crate::shapes::time;

/// Time between two readings, milliseconds.
const STEP_MS: u64 = 10_000;
/// Readings kept: one hour.
const READINGS_MAX: usize = 361;

/// Readings of the last hour, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History(Mutex<VecDeque<(UnixMillis, Totals)>>);

impl History {
    /// Takes a reading when it is time for one.
    pub(crate) fn tick(&self, now: UnixMillis, read: impl FnOnce() -> Totals) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back begins anew: spans between readings must not be negative.
        if all.back().is_some_and(|(at, _)| now < *at) {
            all.clear();
            all.push_back((now, read()));
            return;
        }
        // Counting began with nothing, whatever came until now.
        if all.is_empty() {
            all.push_back((now, Totals::default()));
            return;
        }
        if all.back().is_some_and(|(at, _)| now.0 - at.0 < STEP_MS) {
            return;
        }
        if all.len() == READINGS_MAX {
            all.pop_front();
        }
        all.push_back((now, read()));
    }

    /// What happened between readings and since the last one, and how often each kind of failure in all
    /// of that time. `present`: what is counted by now.
    pub(crate) fn report(&self, now: UnixMillis, present: Totals) -> Value {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let present = (all.back().map_or(now, |(at, _)| now.max(*at)), present);
        let after = all.iter().skip(1).chain([&present]);
        let points: Vec<Value> =
            all.iter().zip(after).map(|(before, after)| point(before, after)).collect();
        let (first, last) = (all.front().map(|(_, one)| one), Some(&present.1));
        let mut kinds: Vec<(u64, Kind)> = Kind::ALL
            .iter()
            .enumerate()
            .map(|(index, kind)| (between(first, last, |one| one.kinds.get(index).copied()), *kind))
            .filter(|(count, _)| *count > 0)
            .collect();
        kinds.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let kinds: Vec<Value> = kinds
            .iter()
            .map(|(count, kind)| json!({"kind": kind.name(), "count": count}))
            .collect();
        json!({
            "at": time(now),
            "step_s": STEP_MS / 1_000,
            "since": all.front().map(|(at, _)| time(*at)),
            "points": points,
            "kinds": kinds,
        })
    }
}

fn point((_, before): &(UnixMillis, Totals), (at, after): &(UnixMillis, Totals)) -> Value {
    let more = |pick: fn(&Totals) -> u64| pick(after).saturating_sub(pick(before));
    json!({
        "at": time(*at),
        "succeeded": more(|one| one.succeeded),
        "refused": more(|one| one.refused),
        "failed": more(|one| one.failed),
        "left": more(|one| one.left),
        "attempts": more(|one| one.attempts),
    })
}

fn between(
    first: Option<&Totals>,
    last: Option<&Totals>,
    pick: impl Fn(&Totals) -> Option<u64>,
) -> u64 {
    let (first, last) = (first.and_then(&pick), last.and_then(&pick));
    last.unwrap_or(0).saturating_sub(first.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(succeeded: u64, overloaded: u64) -> Totals {
        let mut kinds = vec![0; Kind::ALL.len()];
        let place = Kind::ALL.iter().position(|kind| *kind == Kind::Overloaded).unwrap();
        kinds[place] = overloaded;
        Totals { succeeded, failed: overloaded, kinds, ..Totals::default() }
    }

    #[test]
    fn the_report_tells_what_came_between_readings() {
        let history = History::default();
        history.tick(UnixMillis(0), || panic!("it begins with nothing"));
        history.tick(UnixMillis(9_999), || panic!("it is not time"));
        history.tick(UnixMillis(10_000), || reading(3, 0));
        history.tick(UnixMillis(20_000), || reading(3, 2));
        let report = history.report(UnixMillis(20_001), reading(4, 3));
        let points = report["points"].as_array().unwrap();
        let of = |name: &str| points.iter().map(|p| p[name].as_u64().unwrap()).collect::<Vec<_>>();
        assert_eq!((of("succeeded"), of("failed")), (vec![3, 0, 1], vec![0, 2, 1]));
        assert_eq!(report["kinds"], json!([{"kind": "overloaded", "count": 3}]), "up to now");
    }

    #[test]
    fn an_hour_is_kept_and_a_clock_set_back_begins_anew() {
        let history = History::default();
        for step in 0..1_000 {
            history.tick(UnixMillis(step * STEP_MS), || reading(step, 0));
        }
        let points = |now| {
            let report = history.report(UnixMillis(now), reading(1_001, 0));
            let points = report["points"].as_array().unwrap();
            (points.len(), points.last().unwrap()["succeeded"].as_u64().unwrap())
        };
        assert_eq!(points(10_000_000), (READINGS_MAX, 2));
        history.tick(UnixMillis(5), || reading(1_000, 0));
        assert_eq!(points(5), (1, 1), "not what came before");
    }
}
