//! The books: what counts as used, kept in one place for all nodes. `limits.lua` of `mainstay-store`
//! says the same to Redis; both are played against each other.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::super::limits::Measure;
use super::message::{Ask, Message, PlacesAsk, PlacesTold, RateAsk, RateTold, Reply, Told, Wish};

/// The books of one organization. `now` is the place's own clock, in microseconds; it may go back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    seen: BTreeMap<String, u64>,
    pools: BTreeMap<(u64, Measure), Pool>,
    places: BTreeMap<u64, Places>,
}

impl Book {
    /// Does what a node's message asks, all of it at once.
    pub fn serve(&mut self, node: &str, message: &Message, now: u64) -> Reply {
        let seen = self.seen.entry(String::from(node)).or_default();
        if message.number <= *seen {
            return Reply::Stale(*seen);
        }
        *seen = message.number;
        let one = |Ask { id, measure, wish }: &Ask| match wish {
            Wish::Rate(ask) => {
                let pool = self.pools.entry((*id, *measure)).or_default();
                Told::Rate(pool.serve(ask, message.nodes, now))
            }
            Wish::Places(ask) => {
                let places = self.places.entry(*id).or_default();
                Told::Places(places.serve(node, ask, message.nodes, now))
            }
        };
        Reply::Told(message.asks.iter().map(one).collect::<Vec<Told>>())
    }
}

/// What counts as used of one rate, in microseconds of it: each that passes takes one off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    debt: u64,
    at: u64,
    limit: u64,
    count: u64,
    lows: Lows,
}

impl Pool {
    /// Most that counts as used: sums of such numbers stay below 2^53.
    pub const DEBT_MAX: u64 = 1 << 50;

    /// Takes in what was given back and spent, and grants what fits.
    pub fn serve(&mut self, ask: &RateAsk, nodes: u64, now: u64) -> RateTold {
        self.flow(ask.limit, now);
        if self.count < ask.count {
            // Writings were lost; the sender knows better.
            self.debt = self.debt.max(ask.floor);
            self.count = ask.count;
        }
        self.count += 1;
        let back = ask.back.min(self.lows.since(ask.age));
        self.lows.lower(back);
        let debt = self.debt.saturating_sub(back) + ask.spent;
        let fits = ask.room.saturating_sub(ask.need);
        let granted = if debt <= fits {
            let more = ask.want.saturating_sub(ask.need);
            ask.need + more.min((fits - debt) / nodes.max(1))
        } else {
            0
        };
        self.debt = (debt + granted).min(Self::DEBT_MAX);
        RateTold { granted, debt: self.debt, count: self.count }
    }

    /// Lets time pass; a clock that went back lets none pass. What counts as used stays the same
    /// number of units when the limit changes.
    fn flow(&mut self, limit: u64, now: u64) {
        self.debt = self.debt.saturating_sub(now.saturating_sub(self.at));
        self.at = now;
        self.lows.note(self.debt, now);
        if self.limit != limit && self.limit != 0 && self.debt > 0 {
            self.debt = converted(self.debt, self.limit, limit.max(1));
            // In another measure they would be too much.
            self.lows.note(0, now);
        }
        self.limit = limit;
    }
}

/// The least that counted as used of late. What is given back is told some time after it was, and what has
/// passed meanwhile would have passed without it: taken off what came since, it would let that in once
/// more. So no more of it counts than there was all the time since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lows {
    /// Number of the present slot of time.
    slot: u64,
    /// Of each slot, the present one first; above every debt where nothing was asked in it.
    least: [u64; Lows::SLOTS],
}

impl Lows {
    const SLOTS: usize = 8;
    /// Length of a slot, in microseconds.
    const SLOT: u64 = 125_000;

    /// Notes what counts as used, before anything is granted: between two such moments it only falls. A
    /// clock that went back stays in the slot where it was.
    fn note(&mut self, debt: u64, now: u64) {
        let slot = self.slot.max(now / Self::SLOT);
        let passed = usize::try_from(slot - self.slot).unwrap_or(usize::MAX).min(Self::SLOTS);
        self.slot = slot;
        self.least.rotate_right(passed);
        self.least[..passed].fill(Pool::DEBT_MAX);
        self.least[0] = self.least[0].min(debt);
    }

    /// The least since so many microseconds ago, looked at in whole slots; 0 when that is longer ago than
    /// is kept.
    fn since(&self, age: u64) -> u64 {
        let slots = usize::try_from(age / Self::SLOT).unwrap_or(usize::MAX).saturating_add(2);
        let known = self.least.get(..slots).unwrap_or_default();
        known.iter().copied().min().unwrap_or(0)
    }

    /// So much was taken off, as if it had been so all the time.
    fn lower(&mut self, by: u64) {
        for least in &mut self.least {
            *least = least.saturating_sub(by);
        }
    }
}

/// In doubles, as the scripts reckon: products are beyond 2^53.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is positive, and cut off at the largest debt"
)]
fn converted(debt: u64, old: u64, new: u64) -> u64 {
    let exact = debt as f64 * old as f64 / new as f64;
    (exact.min(Pool::DEBT_MAX as f64) as u64 + 1).min(Pool::DEBT_MAX)
}

/// Who holds how many calls at once of one limit, and until when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    held: BTreeMap<String, (u64, u64)>,
}

impl Places {
    /// Takes in what a node uses, and grants what fits. What is in use is never taken away.
    pub fn serve(&mut self, node: &str, ask: &PlacesAsk, nodes: u64, now: u64) -> PlacesTold {
        // A clock that went back makes nobody hold for longer than he said.
        self.held.retain(|_, (_, until)| {
            *until = (*until).min(now + ask.life);
            *until > now
        });
        let others = self.held.iter().filter(|(who, _)| who.as_str() != node);
        let others: u64 = others.map(|(_, (held, _))| *held).sum();
        let room = ask.limit.saturating_sub(others);
        let held = if ask.need > room {
            ask.in_use
        } else {
            let more = ask.want.saturating_sub(ask.need);
            ask.need + more.min((room - ask.need) / nodes.max(1))
        };
        if held == 0 {
            self.held.remove(node);
        } else {
            self.held.insert(String::from(node), (held, now + ask.life));
        }
        PlacesTold { held, others }
    }

    /// All that is held at a time.
    pub fn held(&self, now: u64) -> u64 {
        self.held.values().filter(|(_, until)| *until > now).map(|(held, _)| *held).sum()
    }
}
