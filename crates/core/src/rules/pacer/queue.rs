//! The pacer's queue: first come first served, bounded, and a call that was refused upstream goes
//! back before those that never went.

use super::{Ask, Ticket};
use alloc::collections::VecDeque;

/// Most waiting calls.
pub const CALLS_MAX: u32 = 10_000;
/// Most bytes of their bodies.
pub const BYTES_MAX: u64 = 256 << 20;

#[derive(Clone, Copy, Debug)]
struct Entry {
    number: u64,
    ask: Ask,
    /// Tokens that joined this lane before it.
    tokens_before: u64,
    gone: bool,
}

/// One of the two lanes. Entries that left early stay as gone until they reach the front, or until
/// they outnumber the others: memory stays below twice the live entries.
#[derive(Clone, Debug, Default)]
struct Lane {
    entries: VecDeque<Entry>,
    tokens_ever: u64,
    live: u32,
    tokens: u64,
    bytes: u64,
}

/// What waits before somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ahead {
    pub(super) calls: u64,
    pub(super) tokens: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    returned: Lane,
    fresh: Lane,
    next: u64,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> u32 {
        self.returned.live + self.fresh.live
    }

    pub(super) fn bytes(&self) -> u64 {
        self.returned.bytes + self.fresh.bytes
    }

    /// Whether it takes this ask. Places for calls in flight (at most a tenth of all) are kept
    /// free, so that one that is refused upstream can come back.
    pub(super) fn takes(&self, ask: &Ask, in_flight: u32) -> bool {
        let kept = if ask.front { 0 } else { in_flight.min(CALLS_MAX / 10) };
        self.len() + kept < CALLS_MAX && self.bytes().saturating_add(ask.bytes) <= BYTES_MAX
    }

    pub(super) fn join(&mut self, ask: Ask) -> Ticket {
        let number = self.next;
        self.next += 1;
        let lane = if ask.front { &mut self.returned } else { &mut self.fresh };
        lane.join(number, ask);
        Ticket { number, front: ask.front }
    }

    /// Takes a call out, wherever it stands.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<Ask> {
        let lane = if ticket.front { &mut self.returned } else { &mut self.fresh };
        lane.leave(ticket.number)
    }

    pub(super) fn get(&self, ticket: Ticket) -> Option<Ask> {
        let lane = if ticket.front { &self.returned } else { &self.fresh };
        lane.find(ticket.number).map(|index| lane.entries[index].ask)
    }

    pub(super) fn head(&self) -> Option<(Ticket, Ask)> {
        let (lane, front) =
            if self.returned.live > 0 { (&self.returned, true) } else { (&self.fresh, false) };
        let entry = lane.entries.front()?;
        Some((Ticket { number: entry.number, front }, entry.ask))
    }

    /// Everything that a new ask would wait for.
    pub(super) fn before_new(&self, front: bool) -> Ahead {
        let fresh = if front { Ahead::default() } else { self.fresh.all() };
        let returned = self.returned.all();
        Ahead { calls: returned.calls + fresh.calls, tokens: returned.tokens + fresh.tokens }
    }

    /// What waits before this ticket. Counts some that left early, so it never says too little.
    pub(super) fn before(&self, ticket: Ticket) -> Ahead {
        if ticket.front {
            return self.returned.before(ticket.number);
        }
        let (returned, fresh) = (self.returned.all(), self.fresh.before(ticket.number));
        Ahead { calls: returned.calls + fresh.calls, tokens: returned.tokens + fresh.tokens }
    }
}

impl Lane {
    fn join(&mut self, number: u64, ask: Ask) {
        self.entries.push_back(Entry { number, ask, tokens_before: self.tokens_ever, gone: false });
        self.tokens_ever = self.tokens_ever.wrapping_add(ask.tokens);
        self.live += 1;
        self.tokens = self.tokens.wrapping_add(ask.tokens);
        self.bytes += ask.bytes;
    }

    fn find(&self, number: u64) -> Option<usize> {
        let index = self.entries.binary_search_by(|entry| entry.number.cmp(&number)).ok()?;
        (!self.entries[index].gone).then_some(index)
    }

    fn leave(&mut self, number: u64) -> Option<Ask> {
        let index = self.find(number)?;
        let ask = self.entries[index].ask;
        self.entries[index].gone = true;
        self.live -= 1;
        self.tokens = self.tokens.wrapping_sub(ask.tokens);
        self.bytes -= ask.bytes;
        while self.entries.front().is_some_and(|entry| entry.gone) {
            self.entries.pop_front();
        }
        if self.entries.len() > 2 * self.live as usize + 16 {
            self.entries.retain(|entry| !entry.gone);
        }
        Some(ask)
    }

    fn all(&self) -> Ahead {
        Ahead { calls: u64::from(self.live), tokens: self.tokens }
    }

    fn before(&self, number: u64) -> Ahead {
        let Some(index) = self.find(number) else { return Ahead::default() };
        let first = self.entries.front().map_or(0, |entry| entry.tokens_before);
        let tokens = self.entries[index].tokens_before.wrapping_sub(first);
        Ahead { calls: index as u64, tokens: tokens.min(self.tokens) }
    }
}
