//! Part: how much of an account's limits is this node's, where several nodes send to the account.
//!
//! ```text
//!   what this node wants ──▶ place that all reach ──▶ what all others want, together
//!                                                        │
//!   rate, burst, places of this node ◀── part of each ───┘
//! ```
//!
//! Each node tells what it would send in a second if nothing held it: what went in the last second, and
//! what waits. Where all together want no more than a limit gives, each may have what it wants and an even
//! part of the rest; where they want more, a part as large as its share of all that is wanted, so that a
//! call waits equally long wherever it came. Nobody grants anything: a node that hears nothing for a while
//! keeps to an even part, and has no more in the first second in which it hears again.
//!
//! A node's own wish counts at once, before others have heard of it. Parts can add up to more than the
//! whole for as long as that takes; what the provider says is left, and its refusals, are heeded as ever.
//!
//! Calls at once that the configuration allows are whole: places go to nodes in the place's order, and what is left of dividing moves on
//! every few seconds, so that nobody is shut out for long. No node takes a place that it knows to be in use. How
//! many a target takes is found by each node's own refusals, and is its own.

use super::{LIMITS, Pacer, REQUESTS, TOKENS, counts_tokens};
use crate::rules::lease::{Others, Wants};
use crate::time::Moment;
use core::time::Duration;

/// How long a node counts on what it was told of others, and on what it told being known.
pub const PART_LIFE: Duration = Duration::from_secs(3);
/// Longest time between two messages of a node with something to send; half of it where calls wait.
const EVERY: Duration = Duration::from_secs(1);
/// Shortest time between two.
const SOON: Duration = Duration::from_millis(50);
/// The time over which what went is counted, and in which what waits would go.
const SPAN: Duration = Duration::from_secs(1);
/// In a message numbers are thousandths.
const FINE: f64 = 1000.0;
/// Seconds over which calls at once are followed.
const CALM_SECONDS: f64 = 2.0;
/// After so many seconds what is left of dividing calls at once moves on.
const TURN_SECONDS: u64 = 4;
/// By so much: the golden ratio's fraction visits all nodes evenly.
const TURN: f64 = 0.618_033_988_749_895;

/// What this node does among others.
#[derive(Clone, Debug)]
pub(super) struct Part {
    nodes: u32,
    /// Where it stands among them as long as nobody told, from 0 to 1.
    stand: f64,
    others: Option<Heard>,
    went: [Meter; 2],
    refused: Meter,
    /// Calls under way and waiting, without their quick ups and downs.
    at_once: f64,
    looked: Moment,
    told: Option<(Wants, Moment)>,
    /// When it told of a wish after it had none.
    began: Moment,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    others: Others,
    at: Moment,
    /// Since when it hears of them without a break.
    since: Moment,
}

impl Default for Part {
    fn default() -> Self {
        Part {
            nodes: 1,
            stand: 0.0,
            others: None,
            went: [Meter::default(); 2],
            refused: Meter::default(),
            at_once: 0.0,
            looked: Moment::ZERO,
            told: None,
            began: Moment::ZERO,
        }
    }
}

impl Part {
    pub(super) fn is_alone(&self) -> bool {
        self.nodes <= 1
    }

    /// How many nodes send to the account.
    pub(super) fn nodes(&self) -> u32 {
        self.nodes
    }

    /// A rate limit refused an attempt.
    pub(super) fn refused(&mut self, now: Moment) {
        if !self.is_alone() {
            self.refused.add(1.0, now);
        }
    }

    pub(super) fn went(&mut self, tokens: f64, now: Moment) {
        if !self.is_alone() {
            self.went[0].add(1.0, now);
            self.went[1].add(tokens, now);
        }
    }

    fn heard(&self, now: Moment) -> Option<&Others> {
        let heard = self.others.as_ref()?;
        (now < heard.at + PART_LIFE).then_some(&heard.others)
    }

    /// Its part of a limit that gives `whole` a second, 0 where that is not known, when it wants `own`.
    fn share(&self, own: f64, tokens: bool, whole: f64, now: Moment) -> f64 {
        if self.is_alone() {
            return 1.0;
        }
        let even = 1.0 / f64::from(self.nodes);
        let Some(others) = self.heard(now) else { return even };
        let most = if self.is_early(now) { even } else { 1.0 };
        let theirs = if tokens { others.tokens() } else { others.calls() } as f64 / FINE;
        let all = own + theirs;
        let part = if all < whole {
            (own + (whole - all) / (others.nodes as f64 + 1.0)) / whole
        } else if all > 0.0 {
            own / all
        } else {
            even
        };
        part.min(most)
    }

    /// Others may not have told yet: at the start, and when the place is back and knows nobody.
    fn is_early(&self, now: Moment) -> bool {
        self.others.is_some_and(|heard| now < heard.since + EVERY)
    }

    /// Whether its part is an assumption that a message will soon correct. A call may have to wait for that;
    /// to refuse it would rest on a guess.
    pub(super) fn is_assumed(&self, now: Moment) -> bool {
        if self.is_alone() {
            return false;
        }
        match self.heard(now) {
            Some(_) => self.is_early(now),
            None => self.told.is_none() || now < self.began + PART_LIFE,
        }
    }

    /// Where it stands among nodes that wait for the same, from 0 to 1; 0 when it is alone.
    pub(super) fn phase(&self, own: u32, now: Moment) -> f64 {
        if self.is_alone() {
            return 0.0;
        }
        match self.heard(now) {
            Some(others) => {
                others.before as f64 / (others.at_once() + u64::from(own)).max(1) as f64
            }
            None => self.stand,
        }
    }

    /// Calls of others that are under way.
    fn in_flight(&self, now: Moment) -> u32 {
        let known = self.heard(now).filter(|_| !self.is_alone());
        known.map_or(0, |others| u32::try_from(others.in_flight()).unwrap_or(u32::MAX))
    }

    /// Follows what is under way and waiting: slowly, because a place that moves from one node to another is
    /// empty for a moment; at once when it is another order of things.
    fn follow(&mut self, at_once: u32, now: Moment) {
        let (at_once, old) = (f64::from(at_once), self.at_once);
        let other = at_once > 2.0 * old + 2.0 || old > 2.0 * at_once + 2.0;
        let weight = now.seconds_since(self.looked) / CALM_SECONDS;
        self.at_once += (at_once - old) * if other { 1.0 } else { weight.min(1.0) };
        self.looked = now;
    }

    /// What of it counts: one at least where there is one.
    fn calm(&self, at_once: u32) -> u32 {
        floor(self.at_once + 0.5).max(at_once.min(1))
    }

    /// How many of `most` calls at once are this node's, when it has and wants `own`.
    pub(super) fn places(&self, most: u32, own: u32, now: Moment) -> u32 {
        if self.is_alone() {
            return most;
        }
        let Some(others) = self.heard(now) else { return (most / self.nodes).max(1) };
        let free = most.saturating_sub(self.in_flight(now));
        let (own, most) = (u64::from(self.calm(own)), u64::from(most));
        let all = own + others.at_once();
        if all <= most {
            return free;
        }
        let turn = fraction((others.turn / TURN_SECONDS) as f64 * TURN);
        let up_to = |calls: u64| floor(most as f64 * calls as f64 / all as f64 + turn);
        free.min(up_to(others.before + own).saturating_sub(up_to(others.before)))
    }

    /// What is to be told now, if anything.
    fn news(&mut self, wants: Wants, waiting: bool, now: Moment) -> Option<Wants> {
        let news = match self.told {
            None => !wants.is_nothing(),
            Some((_, at)) if wants.is_nothing() => now >= at + EVERY,
            Some((old, at)) => {
                let every = if waiting { EVERY / 2 } else { EVERY };
                let much = waiting && differ(&old, &wants) && now >= at + SOON;
                much || now >= at + every
            }
        };
        if news {
            if self.told.is_none() {
                self.began = now;
            }
            self.told = (!wants.is_nothing()).then_some((wants, now));
        }
        news.then_some(wants)
    }
}

/// Whether others should hear of it soon: a quarter more or less than what they know, and not too little to
/// matter.
fn differ(old: &Wants, new: &Wants) -> bool {
    let much = |old: u64, new: u64, few: u64| old.abs_diff(new) > old / 4 + few;
    much(old.calls, new.calls, 4_000) || much(old.at_once, new.at_once, 4)
}

impl Pacer {
    /// How many nodes send to this account, this one counted, and where this one stands among them as long
    /// as nothing better is known, from 0 to 1: two that differ do not come back in the same moment.
    pub fn among(&mut self, nodes: u32, stand: f64, now: Moment) {
        if self.part.nodes == nodes.max(1) {
            return;
        }
        (self.part.nodes, self.part.stand) = (nodes.max(1), stand.clamp(0.0, 1.0));
        if self.part.is_alone() {
            (self.part.others, self.part.told) = (None, None);
            self.limits.iter_mut().for_each(|limit| limit.set_part(1.0, now));
        }
        self.reckon(0, 0, now);
    }

    /// What this node has to tell the others now; `None`: nothing new. Ask some times a second, and hand the
    /// reply to [`Pacer::heard_others`]; a message that is lost is followed by the next.
    pub fn tells(&mut self, now: Moment) -> Option<Wants> {
        if self.part.is_alone() {
            return None;
        }
        let [calls, tokens] = self.wanted(0, 0, now);
        self.part.follow(self.at_once(), now);
        let at_once = u64::from(self.part.calm(self.at_once()));
        let wants = Wants {
            calls: whole(calls * FINE),
            tokens: whole(tokens * FINE),
            at_once,
            in_flight: self.in_flight.into(),
            calls_limit: whole(self.limits[REQUESTS].whole() * FINE),
            tokens_limit: whole(self.limits[TOKENS].whole() * FINE),
            refused: whole(self.part.refused.sum(now) * FINE),
        };
        self.part.news(wants, !self.queue.is_empty(), now)
    }

    /// Takes in what all others want.
    pub fn heard_others(&mut self, others: Others, now: Moment) {
        if self.part.is_alone() {
            return;
        }
        let unbroken = self.part.others.filter(|heard| now < heard.at + PART_LIFE);
        let since = unbroken.map_or(now, |heard| heard.since);
        self.part.others = Some(Heard { others, at: now, since });
        self.reckon(0, 0, now);
        for (which, index) in [REQUESTS, TOKENS].into_iter().enumerate() {
            if let Some(limit) = others.limit(which).filter(|limit| *limit > 0) {
                let known = others.known[which] as f64;
                self.limits[index].advised(limit as f64 / FINE, known / (known + 1.0), now);
            }
            if others.refused() > 0 {
                let refused = others.refused() as f64 / FINE + self.part.refused.sum(now);
                self.limits[index].others_refused(refused, now);
            }
        }
    }

    /// Reckons this node's part of every limit anew, when that many calls and tokens come on top of what it
    /// is known to want.
    pub(super) fn reckon(&mut self, calls: u64, tokens: u64, now: Moment) {
        if self.part.is_alone() {
            return;
        }
        let wanted = self.wanted(calls, tokens, now);
        for index in 0..LIMITS {
            let tokens = counts_tokens(index);
            let whole = self.limits[index].whole();
            let part = self.part.share(wanted[usize::from(tokens)], tokens, whole, now);
            self.limits[index].set_part(part, now);
        }
    }

    /// Calls and tokens that this node would send in a second.
    fn wanted(&self, calls: u64, tokens: u64, now: Moment) -> [f64; 2] {
        let waiting = self.queue.before_new(false);
        let span = SPAN.as_secs_f64();
        let calls = waiting.calls.saturating_add(calls) as f64;
        let tokens = self.ratio.cost(waiting.tokens.saturating_add(tokens));
        let [went, went_tokens] = &self.part.went;
        [(went.sum(now) + calls) / span, (went_tokens.sum(now) + tokens) / span]
    }

    /// Calls under way and waiting.
    pub(super) fn at_once(&self) -> u32 {
        self.in_flight.saturating_add(self.queue.len())
    }
}

/// What went in the last [`SPAN`], about: all of this one, and of the one before what is not older.
#[derive(Clone, Copy, Debug, Default)]
struct Meter {
    begun: Moment,
    sum: f64,
    before: f64,
}

impl Meter {
    fn add(&mut self, amount: f64, now: Moment) {
        let age = now.since(self.begun);
        if age >= SPAN {
            self.before = if age < SPAN * 2 { self.sum } else { 0.0 };
            self.sum = 0.0;
            self.begun = if age < SPAN * 2 { self.begun + SPAN } else { now };
        }
        self.sum += amount;
    }

    fn sum(&self, now: Moment) -> f64 {
        let age = now.seconds_since(self.begun) / SPAN.as_secs_f64();
        if age < 1.0 {
            self.sum + self.before * (1.0 - age)
        } else {
            self.sum * (2.0 - age).max(0.0)
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn whole(number: f64) -> u64 {
    number.max(0.0) as u64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn floor(number: f64) -> u32 {
    number.max(0.0) as u32
}

fn fraction(number: f64) -> f64 {
    number - whole(number) as f64
}

#[cfg(test)]
mod tests;
