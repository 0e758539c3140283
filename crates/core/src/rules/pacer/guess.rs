//! A rate found by trying, where a provider names none, or where others use part of what it names.
//!
//! ```text
//!   unknown ── first refusal ──▶ search: 10 a second, ×1.5 after 3 that were not refused
//!                                   │ refused: halved if it was the only one sent since, else
//!                                   ▼
//!                                measure: what went through / time between refusals;
//!                                         3, 6, 12 … 50 % more after each clean stretch
//! ```
//!
//! From one refusal to another the measure is exact, because the provider's bucket is empty at
//! both. What was sent and not refused counts as gone through: refusals come fast, answers do not.

use crate::time::Moment;
use core::time::Duration;

const SEARCH_RATE: f64 = 10.0;
const SEARCH_GROWTH: f64 = 1.5;
const SEARCH_CLEAN: u32 = 3;
/// Longer than this without a refusal, an attempt counts as let in; a multiple of the time that
/// refusals take.
const QUIET_TIMES: f64 = 4.0;
const QUIET_MIN: f64 = 0.02;
const MEASURE_MIN: f64 = 8.0;
const MEASURE_MAX: f64 = 60.0;
const BOOST_FIRST: f64 = 0.03;
const BOOST_MAX: f64 = 0.5;
/// Attempts without a refusal after which the rate rises, at first and when it rose already.
const CLEAN_FIRST: u32 = 60;
const CLEAN_NEXT: u32 = 20;
/// Slowest guess: one mean request in ten seconds.
const SLOWEST: f64 = 0.1;
/// A provider that let nothing in for so long counts by windows: when it lets in again, the rate from
/// before is right.
const SHUT_SECONDS: f64 = 5.0;
/// So many seconds without a refusal are a clean stretch as well, with a few attempts in it.
const CLEAN_SECONDS: f64 = 10.0;
const CLEAN_FEW: u32 = 4;
/// As one of several nodes it rises no sooner than this many seconds after the last rise or refusal of any:
/// so long it takes until all have heard of a refusal.
const HEARD_SECONDS: f64 = 2.0;
/// It takes its part of what is refused of all off its rate once in so many seconds: what was refused in a second
/// is told in the next as well.
const LOWERED_SECONDS: f64 = 1.5;
/// The first refusals of all, which found that there is a limit, say nothing of the rate; so long they are told.
const FIRST_TOLD: Duration = Duration::from_secs(1);
/// All of it where it is more than this share of the rate, else half.
const MUCH: f64 = 0.1;
/// What an attempt of a node with a small part stands for at most, as others send as well.
const STANDS_FOR_MAX: f64 = 20.0;

/// How many attempts of all nodes one of a node with this part stands for.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between bounds")]
fn stands_for(part: f64) -> u32 {
    (1.0 / part).clamp(1.0, STANDS_FOR_MAX) as u32
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Unknown,
    Search,
    Measure,
}

/// How the rate of one limit is being found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Guess {
    phase: Phase,
    /// When measuring began, and what went through since.
    mark: Moment,
    went: f64,
    /// Refusals of attempts sent before the last one say nothing new.
    cut: Moment,
    sent_since_cut: u32,
    /// Refusals in a row with nothing else sent between.
    alone: u32,
    /// When the first of them came, and the rate before it.
    shut: Option<(Moment, f64)>,
    /// Attempts since the rate rose, and when the last that counts was sent.
    clean: u32,
    clean_at: Moment,
    boost: f64,
    /// The last refusal or rise.
    risen_at: Moment,
    /// When refusals of other nodes last lowered it.
    lowered_at: Moment,
    /// Seconds that refusals take to come.
    refusal_s: f64,
}

impl Guess {
    /// Starts from a rate that was measured elsewhere.
    pub(super) fn measuring(now: Moment) -> Guess {
        Guess { phase: Phase::Measure, mark: now, cut: now, boost: BOOST_FIRST, ..Guess::default() }
    }

    /// The rate is of another part of the whole from here on: so is what was measured.
    pub(super) fn scale(&mut self, by: f64) {
        self.went *= by;
        if let Some((_, before)) = &mut self.shut {
            *before *= by;
        }
    }

    /// An attempt goes; `limited`: it or others had to wait. `rate` is that of a `part` of the whole. The rate to use
    /// from here on.
    pub(super) fn granted(
        &mut self,
        (rate, part): (f64, f64),
        cost: f64,
        limited: bool,
        now: Moment,
    ) -> f64 {
        self.went += cost;
        self.sent_since_cut = self.sent_since_cut.saturating_add(1);
        if let Some(before) = self.opened(now) {
            return before.max(rate);
        }
        match self.phase {
            Phase::Unknown => rate,
            // Callers who do not want the whole rate tell nothing about it.
            Phase::Measure if !limited => {
                (self.mark, self.went, self.clean) = (now, 0.0, 0);
                rate
            }
            Phase::Search => {
                let before = self.clean;
                self.clean += stands_for(part);
                if before < SEARCH_CLEAN && self.clean >= SEARCH_CLEAN {
                    self.clean_at = now;
                }
                // What one of several nodes would see of others' refusals is told, not waited for.
                let quiet = if part < 1.0 {
                    now.seconds_since(self.risen_at) >= HEARD_SECONDS / 2.0
                } else {
                    now.seconds_since(self.clean_at) >= self.quiet()
                };
                if self.clean >= SEARCH_CLEAN && quiet {
                    self.clean = 0;
                    self.alone = 0;
                    return rate * SEARCH_GROWTH;
                }
                rate
            }
            Phase::Measure => {
                self.clean += stands_for(part);
                let wanted = if self.boost > BOOST_FIRST { CLEAN_NEXT } else { CLEAN_FIRST };
                let slow =
                    self.clean >= CLEAN_FEW && now.seconds_since(self.risen_at) >= CLEAN_SECONDS;
                let early = part < 1.0 && now.seconds_since(self.risen_at) < HEARD_SECONDS;
                if early || self.clean < wanted && !slow {
                    return rate;
                }
                let risen = rate * (1.0 + self.boost);
                self.boost = (self.boost * 2.0).min(BOOST_MAX);
                (self.mark, self.went, self.clean, self.alone) = (now, 0.0, 0, 0);
                self.risen_at = now;
                risen
            }
        }
    }

    /// Other nodes were refused that send to the same account, so that `excess` in a second of this node's `rate` is
    /// too much. The rate to use from here on.
    pub(super) fn others_refused(&mut self, rate: f64, excess: f64, now: Moment) -> f64 {
        (self.clean, self.risen_at, self.boost) = (0, now, BOOST_FIRST);
        if now.seconds_since(self.lowered_at) < LOWERED_SECONDS {
            return rate;
        }
        self.lowered_at = now;
        // Of few refusals chance has a part.
        let share = if excess > MUCH * rate { 1.0 } else { 0.5 };
        rate - (share * excess).min(rate / 2.0)
    }

    /// The rate from before, when the provider let something in after it was shut for long.
    fn opened(&mut self, now: Moment) -> Option<f64> {
        let let_in = self.sent_since_cut > 1 && now.seconds_since(self.cut) >= self.quiet();
        let (since, before) = self.shut.filter(|_| let_in)?;
        let long = self.cut.seconds_since(since) >= SHUT_SECONDS;
        (self.shut, self.alone, self.clean) = (None, 0, 0);
        (self.mark, self.went) = (now, 0.0);
        long.then_some(before)
    }

    fn quiet(&self) -> f64 {
        (QUIET_TIMES * self.refusal_s).max(QUIET_MIN)
    }

    /// An attempt of this cost was refused, where `mean` is usual, and `hinted` whether with a wait. `rate` is that
    /// of a `part` of the whole. The rate to use, and how many mean requests to pause for; `None` when it says
    /// nothing new.
    pub(super) fn refused(
        &mut self,
        (rate, part): (f64, f64),
        (cost, mean): (f64, f64),
        sent: Moment,
        hinted: bool,
        now: Moment,
    ) -> Option<(f64, f64)> {
        if sent >= self.mark {
            self.went -= cost;
        }
        if sent < self.cut {
            return None;
        }
        let took = now.seconds_since(sent);
        self.refusal_s = if self.refusal_s > 0.0 { self.refusal_s.min(took) } else { took };
        self.alone = if self.sent_since_cut <= 1 && !hinted { self.alone + 1 } else { 0 };
        if self.alone > 0 {
            self.shut.get_or_insert((now, rate));
        } else {
            self.shut = None;
        }
        let rate = self.after_refusal((rate, part), mean, now).max(SLOWEST * mean * part);
        (self.cut, self.sent_since_cut, self.clean, self.risen_at) = (now, 0, 0, now);
        self.boost = BOOST_FIRST;
        let pause = 0.3 * f64::from(1u32 << self.alone.min(3));
        Some((rate, pause))
    }

    fn after_refusal(&mut self, (rate, part): (f64, f64), mean: f64, now: Moment) -> f64 {
        let elapsed = now.seconds_since(self.mark);
        let went = self.went / mean;
        match self.phase {
            Phase::Unknown => {
                self.phase = Phase::Search;
                (self.mark, self.went, self.alone) = (now, 0.0, 0);
                // All that begin at once are refused together, and that is told for a while.
                self.lowered_at = now + FIRST_TOLD;
                SEARCH_RATE * mean * part
            }
            Phase::Search if self.alone > 0 => {
                (self.mark, self.went) = (now, 0.0);
                rate / 2.0
            }
            Phase::Search | Phase::Measure if self.alone < 4 => {
                self.phase = Phase::Measure;
                let measured = (went >= MEASURE_MIN && elapsed > 0.0).then(|| self.went / elapsed);
                if went >= MEASURE_MAX {
                    (self.mark, self.went) = (now, 0.0);
                }
                measured.unwrap_or(rate * if self.alone > 0 { 0.7 } else { 0.9 })
            }
            Phase::Search | Phase::Measure => {
                self.phase = Phase::Search;
                (self.mark, self.went) = (now, 0.0);
                rate / 2.0
            }
        }
    }
}
