//! The auditor of a fleet: counts what was really admitted, in buckets of his own, and knows nothing of
//! leases. Invariant 12.

use super::scene::FleetScene;
use crate::judge::Accusation;
use mainstay_core::rules::limits::{LimitSpec, Measure};
use std::collections::VecDeque;
use std::time::Duration;

/// Accusations kept of a run.
const KEPT: usize = 5;
/// For so long after it came back a call's reservation may have been admitted once more before: what a
/// node is granted is spent up to a reply's time later.
const FRESH: u64 = 30_000;
/// A reply's time and the moment until its call wakes, in microseconds.
const LATE: u128 = 26_000;
/// Lost writings show for no longer than this after nothing counts as used: leases live so long.
const FORGIVEN: u64 = 15_000_000;

/// What is admitted of one limit's rate, in units times microseconds of its window.
#[derive(Clone, Debug, Default)]
struct Level {
    used: u128,
    at: u64,
}

impl Level {
    /// What of it is left at a time.
    fn left(&self, per_micro: u128, now: u64) -> u128 {
        let passed = u128::from(now.saturating_sub(self.at));
        self.used.saturating_sub(passed * per_micro)
    }

    fn flow(&mut self, per_micro: u128, now: u64) {
        self.used = self.left(per_micro, now);
        self.at = self.at.max(now);
    }
}

/// One measure of one limit.
#[derive(Clone, Debug)]
struct Watched {
    limit: usize,
    measure: Measure,
    /// Units a window allows, the window in microseconds, and what may come at once in the measure of
    /// [`Level`].
    allowed: u64,
    window: u64,
    burst: u128,
    /// By leases, by nodes alone, and all together.
    leased: Level,
    alone: Vec<Level>,
    some_alone: bool,
    all: Level,
    /// What lost writings had granted, and since when.
    slack: u128,
    slack_at: u64,
    /// What calls gave back of late.
    returned: VecDeque<(u64, u128)>,
}

/// Watches a fleet.
#[derive(Clone, Debug)]
pub(super) struct Auditor {
    watched: Vec<Watched>,
    nodes: usize,
    strict: bool,
    /// Calls under way, and allowed at once, of each limit that has such a measure.
    places: Vec<(usize, u64, u64)>,
    calm: bool,
    pub(super) accusations: Vec<Accusation>,
}

/// A call as the auditor sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    pub(super) node: usize,
    pub(super) tokens: u64,
    pub(super) alone: bool,
    pub(super) at: u64,
}

impl Auditor {
    pub(super) fn new(scene: &FleetScene) -> Auditor {
        let watched = scene.limits.iter().enumerate().flat_map(|(limit, spec)| {
            let one = move |measure| Watched::new(limit, spec, measure, scene.nodes);
            Measure::ALL.into_iter().filter_map(one)
        });
        let places = scene.limits.iter().enumerate();
        Auditor {
            watched: watched.collect(),
            nodes: scene.nodes,
            strict: scene.is_strict(),
            places: places.filter_map(|(at, spec)| Some((at, spec.concurrency?, 0))).collect(),
            calm: scene.is_strict() && scene.incidents.is_empty(),
            accusations: Vec::new(),
        }
    }

    /// A call was admitted.
    pub(super) fn admitted(&mut self, call: Spent) {
        let mut wrong = Vec::new();
        // Where a call takes of several measures, which of them was leased cannot be told.
        let apart = self.watched.len() + self.places.len() == 1;
        for watched in &mut self.watched {
            watched.admit(call, self.strict, apart, &mut wrong);
        }
        for (_, allowed, in_use) in &mut self.places {
            *in_use += 1;
            let alone = (*allowed * 4 / 5 / self.nodes as u64).max(1) * self.nodes as u64;
            let most = if self.calm { *allowed } else { *allowed + alone };
            if self.strict && *in_use > most {
                wrong.push(format!("{in_use} calls at once where {most} may be"));
            }
        }
        self.accuse(call.at, wrong);
    }

    /// A call has ended; of its tokens these were not used. `None`: its node died.
    pub(super) fn ended(&mut self, call: Spent, unused: Option<u64>, now: u64) {
        for (_, _, in_use) in &mut self.places {
            *in_use = in_use.saturating_sub(1);
        }
        let Some(unused) = unused else { return };
        for watched in &mut self.watched {
            if watched.measure == Measure::TokensPerMinute {
                watched.give_back(call, unused, now);
            }
        }
    }

    /// A writing about a limit is lost that had granted this many microseconds of its rate.
    pub(super) fn lost(&mut self, limit: usize, measure: Measure, micros: u64, now: u64) {
        for watched in &mut self.watched {
            if watched.limit == limit && watched.measure == measure {
                watched.forgive(micros, now);
            }
        }
    }

    /// The place gave everything anew, or lets this much time pass that did not. More than a burst counts as
    /// used only while a call is paid back that is larger.
    pub(super) fn anew(&mut self, micros: u64, now: u64) {
        for watched in &mut self.watched {
            watched.flow(now);
            let used = watched.burst.max(watched.all.used) / u128::from(watched.allowed);
            watched.forgive(u64::try_from(used).unwrap_or(u64::MAX).min(micros), now);
        }
    }

    fn accuse(&mut self, at: u64, wrong: Vec<String>) {
        for what in wrong {
            if self.accusations.len() < KEPT {
                self.accusations.push(Accusation { invariant: 12, at: at * 1_000, what });
            }
        }
    }
}

impl Watched {
    fn new(limit: usize, spec: &LimitSpec, measure: Measure, nodes: usize) -> Option<Watched> {
        let (allowed, window) = match measure {
            Measure::RequestsPerMinute => (spec.rpm?, 60_000_000_u64),
            Measure::TokensPerMinute => (spec.tpm?, 60_000_000),
            Measure::RequestsPerDay => (spec.rpd?, 86_400_000_000),
            Measure::Concurrency => return None,
        };
        let whole = u128::from(allowed);
        let units = |burst: Duration| whole * burst.as_micros() / u128::from(window);
        let at_once = spec.burst.map_or(whole, |burst| units(burst).clamp(1, whole));
        Some(Watched {
            limit,
            measure,
            allowed,
            window,
            burst: at_once * u128::from(window),
            leased: Level::default(),
            alone: vec![Level::default(); nodes],
            some_alone: false,
            all: Level::default(),
            slack: 0,
            slack_at: 0,
            returned: VecDeque::new(),
        })
    }

    fn cost(&self, units: u64) -> u128 {
        u128::from(units) * u128::from(self.window)
    }

    fn flow(&mut self, now: u64) {
        let rate = u128::from(self.allowed);
        for level in [&mut self.leased, &mut self.all] {
            level.flow(rate, now);
        }
        if self.all.used == 0 && now > self.slack_at + FORGIVEN {
            self.slack = 0;
        }
        while self.returned.front().is_some_and(|(at, _)| at + FRESH < now) {
            self.returned.pop_front();
        }
    }

    /// What a node admits by itself, in fifths of its part, so that it stays exact. Time is let pass where it is
    /// looked at: there may be hundreds.
    fn alone_level(&mut self, node: usize, now: u64) -> &mut Level {
        let rate = u128::from(self.allowed) * 4;
        let level = &mut self.alone[node];
        level.flow(rate, now);
        level
    }

    fn admit(&mut self, call: Spent, strict: bool, apart: bool, wrong: &mut Vec<String>) {
        self.flow(call.at);
        let units = if self.measure == Measure::TokensPerMinute { call.tokens } else { 1 };
        let cost = self.cost(units);
        let returned: u128 = self.returned.iter().map(|(_, back)| back).sum();
        // A call larger than the burst goes when nothing is used; and what was granted goes a reply's
        // time later.
        let late = u128::from(self.allowed) * LATE;
        let most = self.burst.max(cost) + late + self.slack + returned;
        let beside = self.beside(call, cost);
        let (name, window) = (self.measure.name(), u128::from(self.window));
        let mut check = |what: &str, used: u128, most: u128| {
            if used > most {
                let (used, most) = (used / window, most / window);
                wrong.push(format!("{what} {used} of {name} count as used where {most} may"));
            }
        };
        self.all.used += cost;
        if strict {
            check("together", self.all.used, most + beside);
        }
        if call.alone {
            let fifths = cost * 5 * self.alone.len() as u128;
            let most = (self.burst * 4).max(fifths) + u128::from(self.allowed) * 8;
            self.some_alone = true;
            let level = self.alone_level(call.node, call.at);
            level.used += fifths;
            if apart {
                check("by a node alone, in fifths of its part,", level.used, most);
            }
        } else {
            self.leased.used += cost;
            if apart {
                check("by leases", self.leased.used, most);
            }
        }
    }

    /// What may count as used beside a call, or beside one that is larger than the burst. Such a call goes when
    /// nothing counts as used where that is looked at: at the place, or, while it is away, by its own node for
    /// itself. What the others have admitted then is within their own parts or paid back before they admit
    /// more, and no node can know of it. Without such calls this is nothing: parts are four fifths of the
    /// burst together, and leases are within it.
    fn beside(&self, call: Spent, cost: u128) -> u128 {
        let large = cost > self.burst;
        let over = |used: u128, part: u128| if large { used } else { used.saturating_sub(part) };
        let others = self.alone.iter().enumerate().filter(|(node, _)| *node != call.node);
        let rate = u128::from(self.allowed) * 4;
        let left = |level: &Level| over(level.left(rate, call.at), self.burst * 4);
        // As long as nobody was alone there is nothing to add up over hundreds of nodes.
        let some = others.filter(|_| self.some_alone);
        let fifths: u128 = some.map(|(_, level)| left(level)).sum();
        let leased = if call.alone { over(self.leased.used, self.burst) } else { 0 };
        fifths / (5 * self.alone.len() as u128) + leased
    }

    fn give_back(&mut self, call: Spent, unused: u64, now: u64) {
        self.flow(now);
        let (back, nodes) = (self.cost(unused), self.alone.len() as u128);
        // What was spent alone is told to the place, and so is what comes back of it: as in one process it
        // makes room for whoever comes next, so that leases are up to it.
        for level in [&mut self.all, &mut self.leased] {
            level.used = level.used.saturating_sub(back);
        }
        if call.alone {
            let level = self.alone_level(call.node, now);
            level.used = level.used.saturating_sub(back * 5 * nodes);
        }
        self.returned.push_back((now, back));
    }

    fn forgive(&mut self, micros: u64, now: u64) {
        self.slack += u128::from(micros) * u128::from(self.allowed);
        self.slack_at = now;
    }
}
