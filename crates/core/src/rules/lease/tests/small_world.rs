//! Every short story of two nodes, one limit and a place that loses writings, forgets and is not reached.
//! Whatever happens: what is admitted in any stretch of time is within what the limit gives in it and
//! the burst; only what a lost writing had granted may come on top.

use alloc::vec::Vec;
use std::time::Duration;

use super::super::super::limits::{LimitSpec, Measure};
use super::super::Pool;
use super::super::group::{Reach, View};
use super::super::message::{RateAsk, RateTold};
use super::super::pace::{Among, Pace};
use super::super::rate::{RateLease, Verdict};
use super::REPLY_MAX;
use crate::time::Moment;

const NODES: u64 = 2;

/// What can happen. Each is skipped where it cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    /// A call comes to a node.
    Call(usize),
    /// The same, and the place is away for it.
    CallAlone(usize),
    /// A node's message arrives.
    Arrives(usize),
    /// The reply to it does.
    Returns(usize),
    /// The message or its reply does not.
    Lost(usize),
    /// A call of a node ends and used nothing of what it reserved.
    Ends(usize),
    /// The last writing is lost.
    FailOver,
    Millis(u64),
}

const MOVES: [Move; 16] = [
    Move::Call(0),
    Move::Call(1),
    Move::CallAlone(0),
    Move::CallAlone(1),
    Move::Arrives(0),
    Move::Arrives(1),
    Move::Returns(0),
    Move::Returns(1),
    Move::Lost(0),
    Move::Lost(1),
    Move::Ends(0),
    Move::Ends(1),
    Move::FailOver,
    Move::Millis(10),
    Move::Millis(1_100),
    Move::Millis(20_000),
];

#[derive(Clone, Copy, Debug)]
struct Sent {
    ask: RateAsk,
    at: Moment,
    reply: Option<RateTold>,
}

#[derive(Clone, Debug)]
struct World {
    pace: Pace,
    units: u64,
    leases: [RateLease; 2],
    sent: [Option<Sent>; 2],
    /// Calls under way: whether each is of its node's own part.
    alone: [Vec<bool>; 2],
    pool: Pool,
    /// The same without the last writing, and what that granted or was told.
    older: Option<(Pool, u64)>,
    now: Moment,
    /// What was really spent, as a bucket of its own: units times microseconds.
    level: u128,
    /// What lost writings may add.
    slack: u128,
    admitted: u32,
    refunds: bool,
}

fn view(reach: Reach, now: Moment) -> View {
    View { nodes: NODES, reach, reply_max: REPLY_MAX, now }
}

impl World {
    fn new(spec: &LimitSpec, units: u64, refunds: bool) -> World {
        let now = Moment::from_millis(1_000);
        let among = Among::of(view(Reach::Ask, now));
        let pace = Pace::of(spec, Measure::TokensPerMinute, among).unwrap();
        let mut lease = RateLease::default();
        lease.change(Some(&pace), now);
        World {
            pace,
            units,
            leases: [lease.clone(), lease],
            sent: [None, None],
            alone: [Vec::new(), Vec::new()],
            pool: Pool::default(),
            older: None,
            now,
            level: 0,
            slack: 0,
            admitted: 0,
            refunds,
        }
    }

    fn view(&self, reach: Reach) -> View {
        view(reach, self.now)
    }

    /// Does it, if it can be done. Time that has passed is let pass once: an entry that was asked about in this
    /// moment is not asked to again.
    fn play(&mut self, what: Move) -> bool {
        let done = self.does(what);
        let flowed = match what {
            Move::Call(node) | Move::CallAlone(node) | Move::Returns(node) | Move::Ends(node) => {
                node
            }
            Move::Arrives(_) | Move::Lost(_) | Move::FailOver | Move::Millis(_) => return done,
        };
        if done {
            let mut again = self.leases[flowed].clone();
            again.flow(&self.pace, self.now);
            assert_eq!(again, self.leases[flowed], "after {what:?}");
        }
        done
    }

    fn does(&mut self, what: Move) -> bool {
        match what {
            Move::Call(node) => self.call(node, Reach::Ask),
            Move::CallAlone(node) => self.call(node, Reach::Away),
            Move::Arrives(node) => self.arrives(node),
            Move::Returns(node) => self.returns(node),
            Move::Lost(node) => {
                let lost = self.sent[node].take().is_some();
                if lost {
                    self.leases[node].lost();
                }
                lost
            }
            Move::Ends(node) => self.ends(node),
            Move::FailOver => {
                let Some((older, granted)) = self.older.take() else { return false };
                self.slack += self.pace.fine(granted);
                self.pool = older;
                true
            }
            Move::Millis(millis) => {
                self.now = self.now + Duration::from_millis(millis);
                self.level = self.level.saturating_sub(self.pace.fine(millis * 1_000));
                true
            }
        }
    }

    fn call(&mut self, node: usize, reach: Reach) -> bool {
        let (pace, units, view) = (self.pace, self.units, self.view(reach));
        let lease = &mut self.leases[node];
        lease.flow(&pace, view.now);
        match lease.verdict(&pace, units, true, view) {
            Verdict::Room => {
                let alone = lease.take(&pace, units, view);
                self.level += pace.cost(units);
                if self.refunds {
                    self.alone[node].push(alone);
                }
                self.admitted += 1;
            }
            Verdict::Ask => lease.wait_for(&pace, units),
            Verdict::Refused(_) => {}
        }
        self.send(node);
        true
    }

    fn send(&mut self, node: usize) {
        let (pace, view) = (self.pace, self.view(Reach::Ask));
        let lease = &mut self.leases[node];
        if self.sent[node].is_none() && (lease.is_eager(&pace, view) || lease.has_news(self.now)) {
            let ask = lease.ask(&pace, view);
            self.sent[node] = Some(Sent { ask, at: self.now, reply: None });
        }
    }

    fn arrives(&mut self, node: usize) -> bool {
        let now = self.now.as_nanos() / 1_000;
        let Some(sent) = self.sent[node].as_mut().filter(|sent| sent.reply.is_none()) else {
            return false;
        };
        let before = self.pool;
        let told = self.pool.serve(&sent.ask, NODES, now);
        sent.reply = Some(told);
        self.older = Some((before, told.granted + sent.ask.spent));
        true
    }

    fn returns(&mut self, node: usize) -> bool {
        let Some(Sent { ask, at, reply: Some(told) }) = self.sent[node] else { return false };
        self.sent[node] = None;
        let (pace, view) = (self.pace, self.view(Reach::Ask));
        let lease = &mut self.leases[node];
        lease.flow(&pace, view.now);
        lease.told(&ask, &told, at, view);
        if self.now > at + REPLY_MAX {
            lease.late(&told, at);
        }
        true
    }

    fn ends(&mut self, node: usize) -> bool {
        if self.alone[node].is_empty() {
            return false;
        }
        let (pace, view) = (self.pace, self.view(Reach::Ask));
        self.leases[node].flow(&pace, view.now);
        let alone = self.alone[node].pop().unwrap_or_default();
        self.leases[node].correct(&pace, (self.units, 0), alone, view);
        self.level = self.level.saturating_sub(pace.cost(self.units));
        self.send(node);
        true
    }

    fn check(&self, story: &[Move]) {
        // A microsecond is the unit of the books; each of the two may be rounded once. Of a burst that is
        // not held in pieces a reply's time is not set aside.
        let late = if self.pace.hold() == 0 { REPLY_MAX } else { Duration::ZERO };
        let burst = self.pace.burst() + super::super::micros(late) + 2;
        let most = self.pace.fine(burst) + self.slack;
        assert!(self.level <= most, "{} of {most} after {story:?}: {self:?}", self.level);
    }

    /// When messages go their way again and time passes, both nodes are served again.
    fn recovers(mut self) -> bool {
        for node in [0, 1] {
            self.play(Move::Lost(node));
            self.now = self.now + Duration::from_secs(70);
            let before = self.admitted;
            for _ in 0..4 {
                self.call(node, Reach::Ask);
                self.arrives(node);
                self.returns(node);
            }
            if self.admitted == before {
                return false;
            }
        }
        true
    }
}

/// Plays every story up to this length that begins at the first node: the other way round is the same.
fn every_story(world: &World, left: usize, story: &mut Vec<Move>, ends: &mut u64) {
    if left == 0 {
        *ends += 1;
        assert!(world.clone().recovers(), "nobody is served after {story:?}: {world:?}");
        return;
    }
    for what in MOVES {
        let first = story.is_empty();
        if first && !matches!(what, Move::Call(0) | Move::CallAlone(0)) {
            continue;
        }
        // Two waits in a row are another wait, and nothing comes of one at the end.
        let waits = |what: &Move| matches!(what, Move::Millis(_));
        if waits(&what) && (left == 1 || story.last().is_some_and(waits)) {
            continue;
        }
        let mut next = world.clone();
        if !next.play(what) {
            continue;
        }
        story.push(what);
        next.check(story);
        every_story(&next, left - 1, story, ends);
        story.pop();
    }
}

fn spec(tpm: u64, burst: u64) -> LimitSpec {
    LimitSpec { tpm: Some(tpm), burst: Some(Duration::from_secs(burst)), ..LimitSpec::default() }
}

/// A limit of few units, each asked for by itself.
#[test]
fn no_short_story_admits_more_than_a_small_limit_and_its_burst() {
    let mut ends = 0;
    every_story(&World::new(&spec(60, 2), 1, false), 7, &mut Vec::new(), &mut ends);
    assert!(ends > 100_000, "{ends} stories");
}

/// A limit that is leased in pieces: two calls fill it.
#[test]
fn no_short_story_admits_more_than_a_leased_limit_and_its_burst() {
    let mut ends = 0;
    every_story(&World::new(&spec(6_000, 2), 90, false), 7, &mut Vec::new(), &mut ends);
    assert!(ends > 100_000, "{ends} stories");
}

/// The same with calls that give back what they reserved, between waits too: others get of it what counted
/// as used all the time since, and no more.
#[test]
fn what_calls_give_back_is_given_to_others_once() {
    let mut ends = 0;
    every_story(&World::new(&spec(6_000, 2), 90, true), 6, &mut Vec::new(), &mut ends);
    assert!(ends > 50_000, "{ends} stories");
}
