//! The ledger on paper: rows in the order in which they were handed in, of which a death takes those
//! that were not written.

use super::KEYS;
use mainstay_core::money::Usd;
use mainstay_core::money::budget::{Owner, Period};
use mainstay_core::store::{EntryKind, UnixMillis};
use std::collections::BTreeMap;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The reservation it belongs to: the call's.
    pub(super) call: u32,
    /// Who pays, a place in the list of keys.
    pub(super) key: usize,
    /// When the call was admitted.
    pub(super) at: UnixMillis,
    pub(super) kind: EntryKind,
    pub(super) amount: Usd,
    /// Written by a start.
    pub(super) recovered: bool,
}

impl Row {
    /// Whether what it settles counts in a budget of `owner` in `period`.
    pub(super) fn counts(&self, owner: &Owner, period: Period) -> bool {
        self.kind == EntryKind::Settle && period.holds(self.at) && is_of(self.key, owner)
    }
}

/// Whether a key's spending counts against an owner.
pub(super) fn is_of(key: usize, owner: &Owner) -> bool {
    let (name, project) = KEYS[key % KEYS.len()];
    match owner {
        Owner::Organization => true,
        Owner::Project(id) => **id == *project,
        Owner::Key(id) => **id == *name,
    }
}

#[derive(Debug, Default)]
pub(super) struct Paper {
    rows: Vec<Row>,
    /// How many of them are written.
    written: usize,
    /// What is held by reservations without an end.
    open: BTreeMap<u32, Row>,
    deaths: u32,
}

impl Paper {
    /// All that was handed in, and is not lost.
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(super) fn deaths(&self) -> u32 {
        self.deaths
    }

    /// Begins a reservation; it is written with all before it when this returns.
    pub(super) fn hold(&mut self, row: Row) {
        self.queue(row);
        self.flush();
    }

    /// Takes an entry, to be written soon. An end of what has none open is refused.
    pub(super) fn queue(&mut self, row: Row) {
        if row.kind.is_terminal() && self.open.remove(&row.call).is_none() {
            return;
        }
        if row.kind == EntryKind::Hold {
            let held = self.open.entry(row.call).or_insert(Row { amount: Usd::ZERO, ..row });
            held.amount = held.amount.plus(row.amount).unwrap_or(Usd::MAX);
        }
        self.rows.push(row);
    }

    /// Writes an entry without asking, as no ledger may.
    pub(super) fn force(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(super) fn flush(&mut self) {
        self.written = self.rows.len();
    }

    /// What is not written is lost.
    pub(super) fn die(&mut self) {
        self.deaths += 1;
        self.rows.truncate(self.written);
        self.open.clear();
        for row in &self.rows {
            match row.kind {
                EntryKind::Hold => {
                    let new = Row { amount: Usd::ZERO, ..*row };
                    let held = self.open.entry(row.call).or_insert(new);
                    held.amount = held.amount.plus(row.amount).unwrap_or(Usd::MAX);
                }
                EntryKind::Settle | EntryKind::Release => {
                    self.open.remove(&row.call);
                }
                EntryKind::Exposure | EntryKind::Adjust => {}
            }
        }
    }

    /// Ends what is open: what was held is charged, or nothing is. Not written by itself.
    pub(super) fn recover(&mut self, charge: bool) {
        for held in std::mem::take(&mut self.open).into_values() {
            let (kind, amount) = if charge {
                (EntryKind::Settle, held.amount)
            } else {
                (EntryKind::Release, Usd::ZERO)
            };
            self.rows.push(Row { kind, amount, recovered: true, ..held });
        }
    }

    /// The latest admission.
    pub(super) fn latest(&self) -> UnixMillis {
        self.rows.iter().map(|row| row.at).max().unwrap_or_default()
    }

    /// What an owner has spent in a period.
    pub(super) fn spent(&self, owner: &Owner, period: Period) -> Usd {
        let rows = self.rows.iter().filter(|row| row.counts(owner, period));
        rows.fold(Usd::ZERO, |sum, row| sum.plus(row.amount).unwrap_or(Usd::MAX))
    }
}
