//! Calls that did not succeed, told together: the first of a kind at one place at once, those after it
//! as a count every [`EVERY`]. In an outage the log has a few lines a second at most, however many calls
//! fail.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_core::store::{RequestId, RequestRecord};
use mainstay_core::time::Moment;
use tracing::Level;

use super::line;

/// Time between two lines about the same.
const EVERY: Duration = Duration::from_secs(10);
/// Kinds and places kept apart; what comes beyond is told together.
const APART_MAX: usize = 64;
/// The kind of what is told together because there is too much of it.
const OTHER: &str = "other";

/// How loud a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loud {
    /// A promise of ours was broken.
    Fault,
    /// The provider, the network or the gateway failed.
    Failed,
    /// The caller's request was refused.
    Refused,
}

impl Loud {
    fn of(call: &RequestRecord) -> Option<Loud> {
        let failed = call.failed.as_ref()?;
        Some(match line::loudness(failed) {
            Level::ERROR => Loud::Fault,
            Level::WARN => Loud::Failed,
            _ => Loud::Refused,
        })
    }
}

/// What is told together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Alike {
    loud: Loud,
    kind: &'static str,
    /// Provider and model; of a refusal the key and its project.
    place: [Box<str>; 2],
}

/// One line: so many calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    alike: Alike,
    /// Calls.
    count: u64,
    /// In this time.
    within: Duration,
    first: RequestId,
    origin: &'static str,
    /// What the first was told.
    said: Box<str>,
}

/// Calls that are being counted.
#[derive(Debug, Default)]
pub(super) struct Sums(BTreeMap<Alike, (Moment, Option<Sum>)>);

impl Sums {
    /// Takes in a call that is over; the line to be written at once, if it is the first of its kind there.
    pub(super) fn call(&mut self, call: &RequestRecord, now: Moment) -> Option<Sum> {
        let (loud, failed) = (Loud::of(call)?, call.failed.as_ref()?);
        let text = |text: &Option<Box<str>>| text.clone().unwrap_or_default();
        let place = match loud {
            Loud::Fault | Loud::Failed => {
                [text(&call.provider), call.served.clone().unwrap_or_else(|| text(&call.model))]
            }
            Loud::Refused => [call.key_name.clone(), call.project.clone()],
        };
        let mut alike = Alike { loud, kind: failed.kind.name(), place };
        if self.0.len() >= APART_MAX && !self.0.contains_key(&alike) {
            alike = Alike { loud, kind: OTHER, place: Default::default() };
        }
        let (origin, said) = (failed.origin.name(), text(&failed.message));
        let within = Duration::ZERO;
        let one = Sum { alike: alike.clone(), count: 1, within, first: call.id, origin, said };
        match self.0.get_mut(&alike) {
            None => {
                self.0.insert(alike, (now, None));
                Some(one)
            }
            Some((_, Some(sum))) => {
                sum.count += 1;
                None
            }
            Some((_, more)) => {
                *more = Some(one);
                None
            }
        }
    }

    /// The lines that are due. Where nothing came, the next call is a first one again.
    pub(super) fn due(&mut self, now: Moment) -> Vec<Sum> {
        self.take(now, EVERY)
    }

    /// What has not been told, when the gateway ends.
    pub(super) fn rest(&mut self, now: Moment) -> Vec<Sum> {
        self.take(now, Duration::ZERO)
    }

    fn take(&mut self, now: Moment, old: Duration) -> Vec<Sum> {
        let mut due = Vec::new();
        self.0.retain(|_, (since, sum)| {
            let within = now.since(*since);
            if within < old {
                return true;
            }
            *since = now;
            let Some(sum) = sum.take() else { return false };
            due.push(Sum { within, ..sum });
            true
        });
        due
    }
}

impl Sum {
    /// Writes the line.
    pub(super) fn write(&self) {
        let Sum { alike: Alike { loud, kind, place: [place, of] }, count, .. } = self;
        let (kind, place, of, calls) = (*kind, &**place, &**of, *count);
        let (origin, said, first) = (self.origin, &*self.said, self.first);
        let seconds = self.within.as_secs();
        match loud {
            Loud::Fault => tracing::error!(
                kind, origin, provider = place, model = of, calls, seconds, %first, said,
                "calls failed by a fault of this gateway"
            ),
            Loud::Failed => tracing::warn!(
                kind, origin, provider = place, model = of, calls, seconds, %first, said,
                "calls failed"
            ),
            Loud::Refused => tracing::info!(
                kind, origin, key = place, project = of, calls, seconds, %first, said,
                "calls were refused"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use mainstay_core::failure::{Kind, Origin};
    use mainstay_core::store::FailureNote;

    use super::*;

    fn call(kind: Option<Kind>, provider: &str) -> RequestRecord {
        let sample = crate::alerts::tests::sample(Kind::Overloaded, Origin::Provider);
        let failed = kind.map(|kind| FailureNote::new(kind, Origin::Provider));
        RequestRecord { provider: Some(provider.into()), failed, ..sample }
    }

    fn at(millis: u64) -> Moment {
        Moment::ZERO + Duration::from_millis(millis)
    }

    fn told(sums: &[Sum]) -> Vec<(&str, &str, u64, u64)> {
        let one = |sum: &Sum| (sum.alike.kind, sum.count, sum.within.as_secs());
        let place = |sum: &Sum| one(sum).0;
        sums.iter().map(|sum| (place(sum), &*sum.alike.place[0], one(sum).1, one(sum).2)).collect()
    }

    #[test]
    fn the_first_of_a_kind_is_told_at_once_and_the_others_together() {
        let mut sums = Sums::default();
        let down = call(Some(Kind::Overloaded), "up");
        let first = sums.call(&down, at(0)).expect("told at once");
        assert_eq!(told(&[first]), [("overloaded", "up", 1, 0)]);
        for n in 0..12_430 {
            assert_eq!(sums.call(&down, at(n / 2)), None);
        }
        let other = sums.call(&call(Some(Kind::Overloaded), "spare"), at(7_000));
        assert_eq!(told(&[other.expect("another place")]), [("overloaded", "spare", 1, 0)]);
        assert_eq!(sums.call(&call(None, "up"), at(7_000)), None, "answered");
        assert_eq!(sums.due(at(9_999)), []);
        assert_eq!(told(&sums.due(at(10_100))), [("overloaded", "up", 12_430, 10)]);
        assert_eq!(sums.call(&down, at(10_200)), None, "it is known");
        assert_eq!(told(&sums.due(at(20_100))), [("overloaded", "up", 1, 10)]);
        assert_eq!(sums.due(at(30_100)), []);
        assert!(sums.call(&down, at(30_200)).is_some(), "it was over, and begins anew");
    }

    #[test]
    fn what_is_told_has_a_bound_and_nothing_is_lost_at_the_end() {
        let mut sums = Sums::default();
        let mut count = 0;
        for n in 0..1_000 {
            let down = call(Some(Kind::Overloaded), &format!("p{n}"));
            count += sums.call(&down, at(0)).map_or(0, |sum| sum.count);
        }
        assert_eq!(sums.0.len(), APART_MAX + 1);
        let rest = sums.rest(at(3_000));
        assert_eq!(told(&rest), [(OTHER, "", 1_000 - count, 3)]);
        assert_eq!(sums.rest(at(3_000)), []);
    }
}
