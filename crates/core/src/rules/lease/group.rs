//! The limits of one organization on one node: who is admitted on what was leased, and what is said to
//! the place that keeps the books.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Bound;
use core::time::Duration;

use super::super::limits::{
    LimitSpec, Measure, Need, Reading, Refusal, Share, Standing, Taken, part,
};
use super::ASKS_MAX;
use super::entry::{Entry, Objection};
use super::message::{Ask, Message, Reply};
use crate::time::Moment;

/// How the world is at the moment of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Nodes there are, as far as is known; at least one.
    pub nodes: u64,
    /// Whether the place that keeps the books can be asked.
    pub reach: Reach,
    /// Longest time that a message and its reply take together; what is granted later is given back. What
    /// is leased for a waiting call is spent at most that much after it was granted.
    pub reply_max: Duration,
    /// When.
    pub now: Moment,
}

/// Whether the place that keeps the books can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It can, and the call may wait for that.
    Ask,
    /// It can, but this call has waited long enough: it is refused where only asking would help.
    Last,
    /// It cannot: beyond what is leased each node admits its own part.
    Away,
}

/// Why a call is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It does not fit, as far as is known.
    Refused(Refusal),
    /// Nobody knows without asking: send [`Group::message`], then try again. Not said where the call may
    /// not wait.
    Asks,
}

/// Leases of the limits of one organization.
#[derive(Clone, Debug, Default)]
pub struct Group {
    entries: BTreeMap<u64, Entry>,
    /// Limits that have something to say.
    eager: BTreeSet<u64>,
    number: u64,
    sent: Option<Sent>,
    latest: Moment,
    alone: u64,
    /// Where the next sweep begins.
    cursor: Option<u64>,
}

/// The message under way.
#[derive(Clone, Debug)]
struct Sent {
    number: u64,
    at: Moment,
    asks: Vec<Ask>,
}

impl Group {
    /// A group whose messages are numbered above `number`: above all that this node has sent about this
    /// organization before, in an earlier life too.
    pub fn new(number: u64) -> Group {
        Group { number, ..Group::default() }
    }

    /// Takes a call's part of all these limits, or of none. Of a shadow that would refuse nothing is
    /// taken.
    ///
    /// # Errors
    ///
    /// The refusal of the limit that keeps the call longest, or that somebody has to be asked.
    pub fn admit(&mut self, shares: &mut [Share], need: Need, view: View) -> Result<(), Stopped> {
        let view = self.time(view);
        let (mut worst, mut asks): (Option<Refusal>, bool) = (None, false);
        for (index, share) in shares.iter_mut().enumerate() {
            let entry = self.entries.entry(share.id).or_default();
            entry.flow(&share.spec, view);
            let Objection { refused, asks: unknown } = entry.objection(need.tokens, view);
            share.taken = match refused {
                Some(_) if share.spec.shadow => Taken::Nothing,
                Some(_) | None => part(&share.spec, need),
            };
            if share.spec.shadow {
                continue;
            }
            asks |= unknown;
            if let Some(refused) = refused {
                let refused = Refusal { index, ..refused };
                if worst.is_none_or(|worst| refused.fits > worst.fits) {
                    worst = Some(refused);
                }
            }
        }
        match (worst, asks) {
            (None, false) => {
                self.take(shares, need, view);
                Ok(())
            }
            (Some(refused), _) => {
                self.leave_alone(shares, |entry| {
                    if need.count_refused {
                        entry.count_refused();
                    }
                });
                Err(Stopped::Refused(refused))
            }
            (None, true) => {
                self.leave_alone(shares, |entry| {
                    if !entry.spec.shadow {
                        entry.wait(need.tokens, view);
                    }
                });
                self.eager.extend(shares.iter().map(|share| share.id));
                Err(Stopped::Asks)
            }
        }
    }

    fn take(&mut self, shares: &mut [Share], need: Need, view: View) {
        let mut any_alone = false;
        for share in shares {
            let Taken::Part { alone, .. } = &mut share.taken else { continue };
            let Some(entry) = self.entries.get_mut(&share.id) else { continue };
            let taken = entry.take(need.tokens, view);
            *alone = taken.tokens_alone;
            any_alone |= taken.alone;
            if entry.is_eager(view) {
                self.eager.insert(share.id);
            }
        }
        self.alone += u64::from(any_alone);
    }

    fn leave_alone(&mut self, shares: &mut [Share], mut with: impl FnMut(&mut Entry)) {
        for share in shares {
            share.taken = Taken::Nothing;
            if let Some(entry) = self.entries.get_mut(&share.id) {
                with(entry);
            }
        }
    }

    /// Gives back what the call has taken and not used, and takes what it used beyond. `used`:
    /// tokens; `None` leaves what was reserved.
    pub fn settle(&mut self, shares: &mut [Share], used: Option<u64>, view: View) {
        let view = self.time(view);
        for share in shares {
            let Taken::Part { tokens, alone } =
                core::mem::replace(&mut share.taken, Taken::Nothing)
            else {
                continue;
            };
            let Some(entry) = self.entries.get_mut(&share.id) else { continue };
            entry.flow_on(view);
            entry.settle(tokens.zip(used), alone, view);
        }
    }

    /// What is left of the tightest of these limits, as far as is known. Shadows are left out.
    pub fn standing(&mut self, shares: &[Share], view: View) -> Standing {
        let mut standing = Standing::default();
        self.each_flowed(shares, view, |entry| {
            for measure in Measure::ALL {
                let slot = match measure {
                    Measure::RequestsPerMinute | Measure::RequestsPerDay => &mut standing.requests,
                    Measure::TokensPerMinute => &mut standing.tokens,
                    Measure::Concurrency => continue,
                };
                let Some(left) = entry.left(measure, view) else { continue };
                if slot.as_ref().is_none_or(|old| left.is_tighter(old)) {
                    *slot = Some(left);
                }
            }
        });
        standing
    }

    /// The tokens that are left by it, where some limit is on tokens.
    pub fn tokens_left(&mut self, shares: &[Share], view: View) -> Option<u64> {
        let mut least = None;
        self.each_flowed(shares, view, |entry| {
            if let Some(left) = entry.tokens_left(view) {
                least = Some(least.map_or(left, |least: u64| least.min(left)));
            }
        });
        least
    }

    /// Sees each that is no shadow, at this moment.
    fn each_flowed(&mut self, shares: &[Share], view: View, mut see: impl FnMut(&Entry)) {
        let flowed = self.time(view);
        for share in shares.iter().filter(|share| !share.spec.shadow) {
            if let Some(entry) = self.entries.get_mut(&share.id) {
                entry.flow(&share.spec, flowed);
                see(entry);
            } else {
                let mut unused = Entry::default();
                unused.flow(&share.spec, flowed);
                see(&unused);
            }
        }
    }

    /// Every measure of one limit, as far as is known.
    pub fn read(&self, id: u64, spec: &LimitSpec, view: View) -> impl Iterator<Item = Reading> {
        let entry = self.entry(id, spec, view);
        Measure::ALL.into_iter().filter_map(move |measure| entry.read(measure, view))
    }

    /// Whether a message is to be sent: there is something to say, and none is under way.
    pub fn is_eager(&self) -> bool {
        self.sent.is_none() && !self.eager.is_empty()
    }

    /// Whether a message is under way.
    pub fn is_waiting(&self) -> bool {
        self.sent.is_some()
    }

    /// What there is to say, if none is under way. [`Group::told`] or [`Group::lost`] has to follow.
    pub fn message(&mut self, view: View) -> Option<Message> {
        let view = self.time(view);
        if self.sent.is_some() {
            return None;
        }
        let mut asks = Vec::new();
        while asks.len() + Measure::ALL.len() <= ASKS_MAX {
            let Some(id) = self.eager.pop_first() else { break };
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            entry.flow_on(view);
            entry.wishes(view, |measure, wish| asks.push(Ask { id, measure, wish }));
        }
        if asks.is_empty() {
            return None;
        }
        self.number += 1;
        self.sent = Some(Sent { number: self.number, at: view.now, asks: asks.clone() });
        Some(Message { number: self.number, nodes: view.nodes.max(1), asks })
    }

    /// Takes in the reply to the message of this number. A reply to an earlier one counts for nothing.
    pub fn told(&mut self, number: u64, reply: &Reply, view: View) {
        let view = self.time(view);
        let Some(Sent { at, asks, .. }) = self.sent.take_if(|sent| sent.number == number) else {
            return;
        };
        let told = match reply {
            Reply::Told(told) => told.as_slice(),
            Reply::Stale(last) => {
                self.number = self.number.max(*last);
                &[]
            }
        };
        let late = view.now > at + view.reply_max;
        let mut told = told.iter();
        for Ask { id, measure, wish } in &asks {
            let Some(entry) = self.entries.get_mut(id) else { continue };
            match told.next() {
                Some(told) => {
                    entry.flow_on(view);
                    entry.told(*measure, (wish, told), at, view);
                    if late {
                        entry.late(*measure, told, at);
                        self.eager.insert(*id);
                    }
                }
                None => entry.lost(*measure),
            }
        }
    }

    /// The message of this number, or its reply, is lost.
    pub fn lost(&mut self, number: u64) {
        let Some(Sent { asks, .. }) = self.sent.take_if(|sent| sent.number == number) else {
            return;
        };
        for Ask { id, measure, .. } in asks {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.lost(measure);
            }
        }
    }

    /// Looks at `most` limits, each call beginning where the last one ended: what has to be said at
    /// leisure is, with the next message, and what nobody uses is forgotten. `spec_of` tells what a limit
    /// allows; what it does not know is no limit any more.
    pub fn sweep(&mut self, most: usize, view: View, spec_of: impl Fn(u64) -> Option<LimitSpec>) {
        let view = self.time(view);
        let (mut idle, mut seen) = (Vec::new(), 0);
        let from = (self.cursor.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        for (id, entry) in self.entries.range_mut(from).take(most) {
            (seen, self.cursor) = (seen + 1, Some(*id));
            entry.flow(&spec_of(*id).unwrap_or_default(), view);
            if entry.has_news(view) {
                self.eager.insert(*id);
            } else if entry.is_idle(view.now) {
                idle.push(*id);
            }
        }
        if seen < most {
            self.cursor = None;
        }
        for id in idle {
            self.entries.remove(&id);
        }
    }

    /// Gives back all that is not in use: the node is going to stop. Messages follow until none is to be
    /// sent.
    pub fn leave(&mut self) {
        for (id, entry) in &mut self.entries {
            entry.leave();
            self.eager.insert(*id);
        }
    }

    /// Calls admitted beyond what was leased, while the place was away.
    pub fn alone(&self) -> u64 {
        self.alone
    }

    /// The numbers of the limits that have a state at present.
    pub fn ids(&self) -> impl Iterator<Item = u64> {
        self.entries.keys().copied()
    }

    /// How many limits have a state at present.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none has, and nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.sent.is_none()
    }

    fn entry(&self, id: u64, spec: &LimitSpec, view: View) -> Entry {
        let mut entry = self.entries.get(&id).cloned().unwrap_or_default();
        entry.flow(spec, View { now: self.latest.max(view.now), ..view });
        entry
    }

    /// A clock that went back stands still.
    fn time(&mut self, view: View) -> View {
        self.latest = self.latest.max(view.now);
        View { now: self.latest, nodes: view.nodes.max(1), ..view }
    }
}
