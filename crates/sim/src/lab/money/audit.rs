//! The auditor: invariants 9, 10 and 11, from what was handed in and what providers metered. He keeps no
//! balance and trusts none: each question is answered by going through everything again.

use super::paper::{Row, is_of};
use super::{Calendar, Days, PRICE};
use crate::judge::Accusation;
use mainstay_core::money::budget::Rule;
use mainstay_core::money::{Quantity, Usd};
use mainstay_core::store::{EntryKind, UnixMillis};
use std::collections::BTreeMap;

/// Most accusations kept of one run.
const KEPT: usize = 20;

/// What was heard of one reservation.
#[derive(Clone, Copy, Debug)]
struct Heard {
    key: usize,
    at: UnixMillis,
    held: i128,
    /// What its end has settled.
    settled: Option<i128>,
}

#[derive(Debug, Default)]
pub(super) struct Auditor {
    heard: BTreeMap<u32, Heard>,
    /// What providers metered for each call.
    meter: BTreeMap<u32, Quantity>,
    accusations: Vec<Accusation>,
}

impl Auditor {
    /// An entry was handed in.
    pub(super) fn saw(&mut self, row: Row) {
        let new = Heard { key: row.key, at: row.at, held: 0, settled: None };
        let heard = self.heard.entry(row.call).or_insert(new);
        match row.kind {
            EntryKind::Hold => heard.held += row.amount.pico(),
            EntryKind::Settle => heard.settled = Some(row.amount.pico()),
            EntryKind::Release => heard.settled = Some(0),
            EntryKind::Exposure | EntryKind::Adjust => {}
        }
    }

    /// A process has started: what counts from here on is what is on paper.
    pub(super) fn reread(&mut self, rows: &[Row]) {
        self.heard.clear();
        for row in rows {
            self.saw(*row);
        }
    }

    /// A provider's meter for an attempt.
    pub(super) fn metered(&mut self, call: u32, used: Quantity) {
        let sum = self.meter.entry(call).or_default();
        *sum = sum.plus(used);
    }

    /// 11: at every admission, settled and held together are within every hard budget, in the period
    /// to which the call's cost belongs: also for a further attempt after the end of that period.
    pub(super) fn admitted(&mut self, key: usize, at: UnixMillis, rules: &[Rule]) {
        for rule in rules.iter().filter(|rule| rule.hard && is_of(key, &rule.owner)) {
            let period = Days.period(rule, at);
            let mine = self
                .heard
                .values()
                .filter(|heard| is_of(heard.key, &rule.owner) && period.holds(heard.at));
            let sum: i128 = mine.map(|heard| heard.settled.unwrap_or(heard.held)).sum();
            if sum > rule.limit.pico() {
                let what = format!("budget {} of {} has {sum} pico-USD taken", rule.id, rule.limit);
                self.accuse(11, at, what);
            }
        }
    }

    /// 9: what was settled is price times usage; 10: exactly one end for each reservation.
    pub(super) fn compare(&mut self, rows: &[Row], under_way: &[u32]) {
        let mut ends: BTreeMap<u32, Vec<Row>> = BTreeMap::new();
        for row in rows {
            let of = ends.entry(row.call).or_default();
            if row.kind.is_terminal() {
                of.push(*row);
            }
        }
        for (call, ends) in ends {
            let wanted = usize::from(!under_way.contains(&call));
            let at = ends.first().map_or(UnixMillis(0), |row| row.at);
            if ends.len() != wanted {
                self.accuse(10, at, format!("call {call} has {} ends, not {wanted}", ends.len()));
            }
            for row in ends.iter().filter(|row| !row.recovered) {
                let cost = self.meter.get(&call).map_or(0, priced);
                if row.amount.pico() != cost {
                    let what = format!("call {call} is settled at {} and cost {cost}", row.amount);
                    self.accuse(9, at, what);
                }
            }
        }
    }

    /// 9: a budget's balance is the sum of its rows.
    pub(super) fn balance(&mut self, budget: u64, balance: Usd, rows: Usd) {
        if balance != rows {
            let what = format!("budget {budget} says {balance} are spent, its rows {rows}");
            self.accuse(9, UnixMillis(0), what);
        }
    }

    pub(super) fn accusations(self) -> Vec<Accusation> {
        self.accusations
    }

    fn accuse(&mut self, invariant: u8, at: UnixMillis, what: String) {
        if self.accusations.len() < KEPT {
            self.accusations.push(Accusation { invariant, at: at.0, what });
        }
    }
}

/// Price times usage, written out.
fn priced(used: &Quantity) -> i128 {
    let count = |tokens: u64, pico: u64| i128::from(tokens) * i128::from(pico);
    count(used.input - used.cached, PRICE.input)
        + count(used.cached, PRICE.cached_input)
        + count(used.output, PRICE.output)
        + count(used.requests, PRICE.request)
}
