//! The laboratory's agenda: what happens next, in an order that depends on nothing but the agenda.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// A caller comes with its call.
    Arrive { call: u32 },
    /// A caller's timer is due; stale when the call has moved on since.
    Timer { call: u32, step: u32 },
    /// An attempt reaches its provider.
    Reach { attempt: u32 },
    /// The provider is done with it.
    Finish { attempt: u32 },
    /// Its answer reaches us.
    Answer { attempt: u32 },
    /// A caller leaves.
    Leave { call: u32 },
    /// Our clock jumps ahead: the machine slept.
    Jump { nanos: u64 },
    /// A gateway looks whether it has something to tell the others.
    Tell { gateway: usize },
    /// What the others want reaches it.
    Told { gateway: usize },
    /// What one of them says of its circuit reaches it.
    Word { gateway: usize, word: usize },
}

/// Events by time, those of the same time in the order they were planned.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<(u64, u64, Event)>>,
    planned: u64,
}

impl Agenda {
    pub(super) fn plan(&mut self, nanos: u64, event: Event) {
        self.planned += 1;
        self.heap.push(Reverse((nanos, self.planned, event)));
    }

    pub(super) fn next(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|Reverse((nanos, _, event))| (nanos, event))
    }
}
