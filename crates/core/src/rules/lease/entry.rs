//! One limit on a node: a lease for each of its rates, and its places.

use core::time::Duration;

use super::super::limits::{Fits, Left, LimitSpec, Measure, Reading, Refusal};
use super::group::View;
use super::message::{Told, Wish};
use super::pace::{Among, Pace};
use super::places::PlaceLease;
use super::rate::{RateLease, Verdict};
use crate::time::Moment;

/// Leases of one limit.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    minute: RateLease,
    tokens: RateLease,
    day: RateLease,
    places: PlaceLease,
    pub(super) spec: LimitSpec,
    among: Among,
    /// Of each of its rates, reckoned when the limit is new or another one, or the nodes are.
    paces: Paces,
    /// The moment up to which time has passed for it.
    at: Moment,
}

/// The paces of a limit's rates.
#[derive(Clone, Copy, Debug, Default)]
struct Paces {
    minute: Option<Pace>,
    tokens: Option<Pace>,
    day: Option<Pace>,
}

/// What stands against a call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Objection {
    /// The measure that keeps it longest.
    pub(super) refused: Option<Refusal>,
    /// Some measure has to be asked for.
    pub(super) asks: bool,
}

impl Objection {
    fn add(&mut self, verdict: Verdict, refusal: impl FnOnce(Fits) -> Refusal) {
        match verdict {
            Verdict::Room => {}
            Verdict::Ask => self.asks = true,
            Verdict::Refused(fits) => {
                if self.refused.is_none_or(|worst| fits > worst.fits) {
                    self.refused = Some(refusal(fits));
                }
            }
        }
    }
}

/// Whether something that was taken, and whether tokens, are of the node's own part.
#[derive(Clone, Copy, Debug)]
pub(super) struct TakenAlone {
    pub(super) alone: bool,
    pub(super) tokens_alone: bool,
}

impl Entry {
    /// Lets time pass, of a limit that allows this.
    pub(super) fn flow(&mut self, spec: &LimitSpec, view: View) {
        if self.spec != *spec {
            self.spec = *spec;
            self.among = Among::default();
        }
        self.flow_on(view);
    }

    /// Lets time pass. A call is asked about several times in one moment: after the first nothing changes.
    pub(super) fn flow_on(&mut self, view: View) {
        let among = Among::of(view);
        if self.among != among {
            self.among = among;
            self.change(view.now);
        } else if self.at == view.now {
            return;
        }
        self.at = view.now;
        self.each_rate(|_, pace, lease| lease.flow(pace, view.now));
    }

    fn change(&mut self, now: Moment) {
        let pace = |measure| Pace::of(&self.spec, measure, self.among);
        self.paces = Paces {
            minute: pace(Measure::RequestsPerMinute),
            tokens: pace(Measure::TokensPerMinute),
            day: pace(Measure::RequestsPerDay),
        };
        self.minute.change(self.paces.minute.as_ref(), now);
        self.tokens.change(self.paces.tokens.as_ref(), now);
        self.day.change(self.paces.day.as_ref(), now);
    }

    pub(super) fn objection(&mut self, tokens: u64, view: View) -> Objection {
        let mut found = Objection::default();
        self.each_rate(|measure, pace, lease| {
            let requested = units(measure, tokens);
            let verdict = lease.verdict(pace, requested, measure == Measure::TokensPerMinute, view);
            let refusal = |fits| {
                let (limit, used) = (pace.limit, lease.used(pace, view));
                Refusal { index: 0, measure, limit, used, requested, fits }
            };
            found.add(verdict, refusal);
        });
        if let Some(limit) = self.spec.concurrency {
            let measure = Measure::Concurrency;
            found.add(self.places.verdict(limit, view), |fits| {
                let used = self.places.used();
                Refusal { index: 0, measure, limit, used, requested: 1, fits }
            });
        }
        found
    }

    /// Takes a call's part.
    pub(super) fn take(&mut self, tokens: u64, view: View) -> TakenAlone {
        let alone = self.places.take(view) && self.spec.concurrency.is_some();
        let mut taken = TakenAlone { alone, tokens_alone: false };
        self.each_rate(|measure, pace, lease| {
            let alone = lease.take(pace, units(measure, tokens), view);
            taken.alone |= alone;
            taken.tokens_alone |= alone && measure == Measure::TokensPerMinute;
        });
        taken
    }

    /// A call waits for what it lacks.
    pub(super) fn wait(&mut self, tokens: u64, view: View) {
        if self.spec.concurrency.is_some() {
            self.places.wait(view.now);
        }
        self.each_rate(|measure, pace, lease| lease.wait_for(pace, units(measure, tokens)));
    }

    pub(super) fn count_refused(&mut self) {
        self.each_rate(|measure, pace, lease| {
            if measure != Measure::TokensPerMinute {
                lease.take_what_is_there(pace);
            }
        });
    }

    pub(super) fn settle(&mut self, tokens: Option<(u64, u64)>, alone: bool, view: View) {
        self.places.end();
        let pace = self.paces.tokens;
        if let (Some(pace), Some((reserved, used))) = (pace, tokens) {
            self.tokens.correct(&pace, (reserved, used), alone, view);
        }
    }

    /// Gives back what is not in use; said with the next message.
    pub(super) fn leave(&mut self) {
        self.places.leave();
        self.each_rate(|_, _, lease| lease.leave());
    }

    /// A grant came too late to be spent.
    pub(super) fn late(&mut self, measure: Measure, told: &Told, sent: Moment) {
        if let (Some(lease), Told::Rate(told)) = (self.rate_mut(measure), told) {
            lease.late(told, sent);
        }
    }

    pub(super) fn is_eager(&mut self, view: View) -> bool {
        let mut eager = false;
        self.each_rate(|_, pace, lease| eager |= lease.is_eager(pace, view));
        eager || self.spec.concurrency.is_some_and(|limit| self.places.is_eager(limit, view))
    }

    pub(super) fn has_news(&self, view: View) -> bool {
        let rates = [&self.minute, &self.tokens, &self.day];
        rates.into_iter().any(|lease| lease.has_news(view.now))
            || self.spec.concurrency.is_some_and(|limit| self.places.has_news(limit, view))
    }

    /// What there is to be said of each measure that has something to say.
    pub(super) fn wishes(&mut self, view: View, mut say: impl FnMut(Measure, Wish)) {
        self.each_rate(|measure, pace, lease| {
            if lease.is_eager(pace, view) || lease.has_news(view.now) {
                say(measure, Wish::Rate(lease.ask(pace, view)));
            }
        });
        let Some(limit) = self.spec.concurrency else { return };
        if self.places.is_eager(limit, view) || self.places.has_news(limit, view) {
            say(Measure::Concurrency, Wish::Places(self.places.ask(limit, view)));
        }
    }

    pub(super) fn told(
        &mut self,
        measure: Measure,
        exchange: (&Wish, &Told),
        sent: Moment,
        view: View,
    ) {
        match exchange {
            (Wish::Places(asked), Told::Places(told)) => {
                self.places.told(asked, told, sent, view.now);
            }
            (Wish::Rate(asked), Told::Rate(told)) => {
                if let Some(lease) = self.rate_mut(measure) {
                    lease.told(asked, told, sent, view);
                }
            }
            // A place that answers something else than was asked has said nothing.
            (Wish::Places(_), Told::Rate(_)) | (Wish::Rate(_), Told::Places(_)) => {
                self.lost(measure);
            }
        }
    }

    pub(super) fn lost(&mut self, measure: Measure) {
        if let Some(lease) = self.rate_mut(measure) {
            lease.lost();
        }
    }

    pub(super) fn read(&self, measure: Measure, view: View) -> Option<Reading> {
        let limit = self.spec.value(measure)?;
        let (used, reset) = match self.rate(measure) {
            Some((pace, lease)) => (lease.used(pace, view), lease.left(pace, view).reset),
            None => (self.places.used(), Duration::ZERO),
        };
        Some(Reading { measure, limit, used, reset })
    }

    pub(super) fn left(&self, measure: Measure, view: View) -> Option<Left> {
        self.rate(measure).map(|(pace, lease)| lease.left(pace, view))
    }

    pub(super) fn tokens_left(&self, view: View) -> Option<u64> {
        self.paces.tokens.as_ref().map(|pace| self.tokens.remaining(pace, view.now))
    }

    pub(super) fn is_idle(&self, now: Moment) -> bool {
        let rates = [&self.minute, &self.tokens, &self.day];
        self.places.is_idle() && rates.into_iter().all(|lease| lease.is_idle(now))
    }

    fn each_rate(&mut self, mut with: impl FnMut(Measure, &Pace, &mut RateLease)) {
        let Entry { minute, tokens, day, paces, .. } = self;
        let all = [
            (Measure::RequestsPerMinute, &paces.minute, minute),
            (Measure::TokensPerMinute, &paces.tokens, tokens),
            (Measure::RequestsPerDay, &paces.day, day),
        ];
        for (measure, pace, lease) in all {
            if let Some(pace) = pace {
                with(measure, pace, lease);
            }
        }
    }

    fn rate(&self, measure: Measure) -> Option<(&Pace, &RateLease)> {
        let Paces { minute, tokens, day } = &self.paces;
        match measure {
            Measure::RequestsPerMinute => Some((minute.as_ref()?, &self.minute)),
            Measure::TokensPerMinute => Some((tokens.as_ref()?, &self.tokens)),
            Measure::RequestsPerDay => Some((day.as_ref()?, &self.day)),
            Measure::Concurrency => None,
        }
    }

    fn rate_mut(&mut self, measure: Measure) -> Option<&mut RateLease> {
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
