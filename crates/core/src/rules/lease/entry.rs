//! One limit on a node: a lease for each of its rates, and its places.

use super::super::limits::{Left, LimitSpec, Measure, Reading, Refusal};
use super::group::View;
use super::message::{Told, Wish};
use super::pace::Pace;
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
    /// Of each of its rates, reckoned when the limit is new or another one.
    paces: Paces,
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

/// Whether something that was taken, and whether tokens, are of the node's own part.
#[derive(Clone, Copy, Debug)]
pub(super) struct TakenAlone {
    pub(super) alone: bool,
    pub(super) tokens_alone: bool,
}

impl Entry {
    pub(super) fn flow(&mut self, spec: &LimitSpec, view: View) {
        if self.spec != *spec {
            self.spec = *spec;
            let pace = |measure| Pace::of(spec, measure);
            self.paces = Paces {
                minute: pace(Measure::RequestsPerMinute),
                tokens: pace(Measure::TokensPerMinute),
                day: pace(Measure::RequestsPerDay),
            };
        }
        let Paces { minute, tokens, day } = self.paces;
        self.minute.flow(minute, view);
        self.tokens.flow(tokens, view);
        self.day.flow(day, view);
    }

    pub(super) fn objection(&mut self, tokens: u64, view: View) -> Objection {
        let mut found = Objection::default();
        let spec = self.spec;
        for measure in Measure::ALL {
            let Some(limit) = spec.value(measure) else { continue };
            let requested = units(measure, tokens);
            let of_tokens = measure == Measure::TokensPerMinute;
            let verdict = match (self.pace(measure), self.rate_mut(measure)) {
                (Some(pace), Some(lease)) => lease.verdict(&pace, requested, of_tokens, view),
                (None, _) | (_, None) => self.places.verdict(limit, view),
            };
            match verdict {
                Verdict::Room => {}
                Verdict::Ask => found.asks = true,
                Verdict::Refused(fits) => {
                    if found.refused.is_none_or(|worst| fits > worst.fits) {
                        let used = self.used(measure, view);
                        let refusal = Refusal { index: 0, measure, limit, used, requested, fits };
                        found.refused = Some(refusal);
                    }
                }
            }
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
        let lease = self.pace(measure).zip(self.rate(measure));
        let reset = lease.map(|(pace, lease)| lease.left(&pace, view).reset);
        let used = self.used(measure, view);
        Some(Reading { measure, limit, used, reset: reset.unwrap_or_default() })
    }

    pub(super) fn left(&self, measure: Measure, view: View) -> Option<Left> {
        let pace = self.pace(measure)?;
        self.rate(measure).map(|lease| lease.left(&pace, view))
    }

    pub(super) fn is_idle(&self, now: Moment) -> bool {
        let rates = [&self.minute, &self.tokens, &self.day];
        self.places.is_idle() && rates.into_iter().all(|lease| lease.is_idle(now))
    }

    fn used(&self, measure: Measure, view: View) -> u64 {
        match (self.pace(measure), self.rate(measure)) {
            (Some(pace), Some(lease)) => lease.used(&pace, view),
            (None, _) | (_, None) => self.places.used(),
        }
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

    fn pace(&self, measure: Measure) -> Option<Pace> {
        match measure {
            Measure::RequestsPerMinute => self.paces.minute,
            Measure::TokensPerMinute => self.paces.tokens,
            Measure::RequestsPerDay => self.paces.day,
            Measure::Concurrency => None,
        }
    }

    fn rate(&self, measure: Measure) -> Option<&RateLease> {
        match measure {
            Measure::RequestsPerMinute => Some(&self.minute),
            Measure::TokensPerMinute => Some(&self.tokens),
            Measure::RequestsPerDay => Some(&self.day),
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
