//! A node's lease of calls at once.

use core::time::Duration;

use super::super::limits::Fits;
use super::group::{Reach, View};
use super::message::{PlacesAsk, PlacesTold};
use super::micros;
use super::rate::Verdict;
use crate::time::Moment;

/// How long a node holds places after it said so last. A node that dies leaves its own for this long.
pub const LIFE: Duration = Duration::from_secs(30);
/// After this a node says again that it holds some.
const RENEWED: Duration = Duration::from_secs(10);
/// Places that are not needed are kept for this long.
const KEPT: Duration = Duration::from_secs(1);
/// After a refusal the next question waits this long, unless a call of the node ends before.
const AGAIN: Duration = Duration::from_millis(100);
/// The share of a limit that nodes may hold without need: one in this many.
const HELD: u64 = 16;

/// Places held and in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PlaceLease {
    /// Calls under way, counted whether or not they are limited.
    in_use: u64,
    held: u64,
    /// What others held when it was told last.
    others: u64,
    until: Moment,
    told_at: Moment,
    waiting: u64,
    again_from: Moment,
    /// The node stops and holds no more than it uses.
    leaves: bool,
}

impl PlaceLease {
    pub(super) fn verdict(&self, limit: u64, view: View) -> Verdict {
        let View { nodes, reach, now, .. } = view;
        let leased = now < self.until;
        if leased && self.in_use < self.held {
            return Verdict::Room;
        }
        match reach {
            Reach::Away if !leased && self.in_use < alone(limit, nodes) => Verdict::Room,
            Reach::Ask if now >= self.again_from => Verdict::Ask,
            Reach::Ask | Reach::Last | Reach::Away => Verdict::Refused(Fits::WhenOneEnds),
        }
    }

    /// Takes a place; whether it is of this node's own part.
    pub(super) fn take(&mut self, view: View) -> bool {
        let leased = view.now < self.until && self.in_use < self.held;
        self.in_use += 1;
        !leased && view.reach == Reach::Away
    }

    pub(super) fn end(&mut self) {
        self.in_use = self.in_use.saturating_sub(1);
    }

    /// A call waits for a place.
    pub(super) fn wait(&mut self, now: Moment) {
        if !(now < self.until && self.in_use < self.held) {
            self.waiting += 1;
        }
    }

    pub(super) fn is_eager(&self, limit: u64, view: View) -> bool {
        let hold = hold(limit, view.nodes);
        let free = self.held.saturating_sub(self.in_use);
        let ahead = self.held > 0 && hold > 0 && free * 10 < hold * 3;
        self.waiting > 0 || ahead && view.now >= self.again_from
    }

    /// Whether places are to be given back, or held on to.
    pub(super) fn has_news(&self, limit: u64, view: View) -> bool {
        let free = self.held.saturating_sub(self.in_use);
        let hold = hold(limit, view.nodes);
        let tight = self.others + self.held + hold * view.nodes >= limit;
        let kept = if tight { 0 } else { 2 * hold };
        let old = |age: Duration| view.now >= self.told_at + age;
        self.held > 0 && (self.leaves || old(RENEWED) || free > kept && old(KEPT))
    }

    /// Lets go of what is not in use.
    pub(super) fn leave(&mut self) {
        self.leaves = true;
    }

    pub(super) fn ask(&mut self, limit: u64, view: View) -> PlacesAsk {
        let waiting = core::mem::take(&mut self.waiting);
        let idle = self.in_use == 0 && waiting == 0;
        let hold = if idle || self.leaves { 0 } else { hold(limit, view.nodes) };
        let want = self.in_use + waiting + hold;
        // Until the reply is here calls go on to take of what is kept, so that it is needed; what is not
        // kept may be another's before that.
        self.held = self.held.min(want);
        let kept = if view.now < self.until { self.held } else { 0 };
        let need = kept.max(self.in_use + waiting.min(1));
        PlacesAsk { limit, in_use: self.in_use, need, want, life: micros(LIFE) }
    }

    pub(super) fn told(&mut self, asked: &PlacesAsk, told: &PlacesTold, sent: Moment, now: Moment) {
        (self.held, self.others) = (told.held, told.others);
        (self.until, self.told_at) = (sent + LIFE, now);
        if told.held < asked.want {
            self.again_from = now + AGAIN;
        }
    }

    /// What is in use of all nodes' limit, as far as it was told.
    pub(super) fn used(&self) -> u64 {
        self.in_use + self.others
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_use == 0 && self.held == 0 && self.waiting == 0
    }
}

/// What one node may hold without need.
fn hold(limit: u64, nodes: u64) -> u64 {
    limit / HELD / nodes.max(1)
}

/// What a node admits by itself: four fifths of its part, and one at least, so that nobody is shut out
/// for as long as the place is away.
fn alone(limit: u64, nodes: u64) -> u64 {
    (limit.saturating_mul(4) / 5 / nodes.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::super::group::Reach;
    use super::*;

    /// Seeds 1082, 1224, 1531 and 1675 of the laboratory: calls took places while a message was on its
    /// way that gave them back, and another node had them already.
    #[test]
    fn a_place_that_a_message_gives_back_is_not_taken_before_the_reply() {
        let now = Moment::from_millis(1000);
        let view = View { nodes: 2, reach: Reach::Ask, reply_max: Duration::ZERO, now };
        let mut lease = PlaceLease::default();
        let first = PlacesAsk { limit: 64, in_use: 0, need: 1, want: 9, life: micros(LIFE) };
        lease.told(&first, &PlacesTold { held: 9, others: 0 }, now, now);
        assert!(!lease.take(view), "it is leased");
        let ask = lease.ask(64, view);
        assert_eq!((ask.in_use, ask.need, ask.want), (1, 3, 3), "one in use, two are kept");
        for _ in 0..2 {
            assert_eq!(lease.verdict(64, view), Verdict::Room);
            lease.take(view);
        }
        assert_eq!(lease.verdict(64, view), Verdict::Ask, "six are another's by now");
    }
}
