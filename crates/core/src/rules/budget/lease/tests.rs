//! Leases in every short story of two gateways: calls, lost, late and doubled messages, deaths at
//! each step. What is true is what stands in the journals; the account must agree with it.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use super::super::account::{Line, Standing, Statement, Told, answer};
use super::super::types::Why;
use super::Lease;
use crate::money::Usd;

const LIMIT: i128 = 3;

fn pico(amount: i128) -> Usd {
    Usd::from_pico(amount)
}

/// What is done wrong on purpose, to see that the stories notice it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// What is told as used is not brought over yet.
    TellsAhead,
    /// A message of a process that has died is heard.
    HearsTheDead,
    /// A new process gives its predecessor's lease back before its entries are brought over.
    ForgetsEntries,
    /// Entries that were brought over are brought over again.
    BringsTwice,
    /// What is given back is taken back each time it is told.
    TakesBackTwice,
    /// A gateway spends what it has just given back.
    SpendsReturned,
}

/// A gateway: what survives its death is what it has ended and what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Node {
    alive: bool,
    life: u8,
    lease: Lease,
    /// Costs of ended calls, in their order: the journal.
    ended: Vec<i128>,
    /// What calls under way hold, in the journal too.
    open: Vec<i128>,
    /// Taken, not sent: numbers come before the entries they are sent with.
    statement: Option<Statement>,
    /// Entries that were there when it was taken.
    then: usize,
    busy: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Request {
    node: usize,
    life: u8,
    entries: usize,
    statement: Statement,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Answer {
    node: usize,
    life: u8,
    told: Told,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Account {
    spent: i128,
    lines: [Line; 2],
    brought: [usize; 2],
    life: [u8; 2],
    /// More was granted than there is.
    overdrawn: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct World {
    account: Account,
    nodes: [Node; 2],
    requests: Vec<Request>,
    answers: Vec<Answer>,
    /// How much may still happen.
    calls: u8,
    turns: u8,
    faults: u8,
    deaths: u8,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Call(usize, i128),
    End(usize, usize, i128),
    State(usize),
    Send(usize),
    Deliver { request: usize, again: bool },
    Learn { answer: usize, again: bool },
    GiveUp(usize),
    Die(usize),
    Start(usize),
}

impl Node {
    fn held(&self) -> Usd {
        pico(self.open.iter().sum())
    }

    /// All it is responsible for.
    fn true_cost(&self) -> i128 {
        self.ended.iter().sum::<i128>() + self.open.iter().sum::<i128>()
    }
}

impl World {
    fn new(calls: u8, turns: u8, faults: u8, deaths: u8) -> World {
        let mut world = World { calls, turns, faults, deaths, ..World::default() };
        (0..2).for_each(|node| world.start(node, Wrong::Nothing));
        world
    }

    fn acts(&self) -> Vec<Act> {
        let mut acts = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            if !node.alive {
                acts.push(Act::Start(at));
                continue;
            }
            if self.calls > 0 {
                acts.extend([Act::Call(at, 1), Act::Call(at, 2)]);
            }
            for (call, held) in node.open.iter().enumerate() {
                acts.extend([Act::End(at, call, 0), Act::End(at, call, *held)]);
            }
            if node.busy && self.faults > 0 {
                acts.push(Act::GiveUp(at));
            } else if !node.busy && node.statement.is_some() {
                acts.push(Act::Send(at));
            } else if !node.busy && self.turns > 0 {
                acts.push(Act::State(at));
            }
            if self.deaths > 0 {
                acts.push(Act::Die(at));
            }
        }
        for again in [false, true].into_iter().filter(|again| !again || self.faults > 0) {
            acts.extend((0..self.requests.len()).map(|request| Act::Deliver { request, again }));
            acts.extend((0..self.answers.len()).map(|answer| Act::Learn { answer, again }));
        }
        acts
    }

    fn act(&mut self, act: Act, wrong: Wrong) {
        match act {
            Act::Call(at, amount) => self.call(at, amount),
            Act::End(at, call, cost) => {
                let node = &mut self.nodes[at];
                node.open.remove(call);
                node.ended.push(cost);
                node.lease.spend(pico(cost));
            }
            Act::State(at) => {
                self.turns -= 1;
                self.nodes[at].state(false, wrong);
            }
            Act::Send(at) => {
                let request = self.nodes[at].send(at, wrong);
                self.requests.push(request);
            }
            Act::Deliver { request, again } => {
                let of = self.requests[request].clone();
                self.sent(again, |world| {
                    world.requests.remove(request);
                });
                if let Some(answer) = self.account.serve(&of, &self.nodes, wrong) {
                    self.answers.push(answer);
                }
            }
            Act::Learn { answer, again } => {
                let of = self.answers[answer].clone();
                self.sent(again, |world| {
                    world.answers.remove(answer);
                });
                self.nodes[of.node].learn(&of);
            }
            Act::GiveUp(at) => {
                self.faults -= 1;
                self.nodes[at].busy = false;
            }
            Act::Die(at) => {
                self.deaths -= 1;
                let Node { ended, open, life, .. } = core::mem::take(&mut self.nodes[at]);
                self.nodes[at] = Node { life, ended, open, ..Node::default() };
            }
            Act::Start(at) => self.start(at, wrong),
        }
    }

    fn sent(&mut self, again: bool, remove: impl FnOnce(&mut World)) {
        if again {
            self.faults -= 1;
        } else {
            remove(self);
        }
    }

    fn call(&mut self, at: usize, amount: i128) {
        self.calls -= 1;
        let node = &mut self.nodes[at];
        if pico(amount) <= node.lease.room(node.held()) {
            node.open.push(amount);
        } else {
            node.lease.lack(pico(amount));
        }
    }

    /// A process starts: what its predecessor held is charged, its entries are brought over, and
    /// its lease is over.
    fn start(&mut self, at: usize, wrong: Wrong) {
        let node = &mut self.nodes[at];
        let open = core::mem::take(&mut node.open);
        node.ended.extend(open);
        (node.alive, node.life) = (true, node.life + 1);
        let (account, node) = (&mut self.account, &self.nodes[at]);
        if wrong != Wrong::ForgetsEntries {
            account.bring(at, node, node.ended.len(), wrong);
        }
        account.lines[at] = Line::default();
        account.life[at] = node.life;
    }

    /// What must hold at every moment.
    fn check(&self) -> Result<(), &'static str> {
        let all: i128 = self.nodes.iter().map(Node::true_cost).sum();
        if all > LIMIT {
            return Err("more is spent and held than the limit");
        }
        if self.account.overdrawn {
            return Err("more was spent and leased after a grant than the limit");
        }
        Ok(())
    }

    /// What must hold when everything has come to rest, whatever became of messages under way.
    fn rest(mut self, wrong: Wrong) -> Result<(), &'static str> {
        for at in 0..2 {
            if !self.nodes[at].alive {
                self.start(at, wrong);
            }
            let node = &mut self.nodes[at];
            for cost in core::mem::take(&mut node.open) {
                node.ended.push(cost);
                node.lease.spend(pico(cost));
            }
        }
        let late = core::mem::take(&mut self.requests);
        self.settle_down(wrong)?;
        for request in late {
            self.account.serve(&request, &self.nodes, wrong);
            self.check()?;
        }
        self.settle_down(wrong)
    }

    fn settle_down(&mut self, wrong: Wrong) -> Result<(), &'static str> {
        for at in [0, 1, 0, 1] {
            self.nodes[at].state(true, wrong);
            let request = self.nodes[at].send(at, wrong);
            if let Some(answer) = self.account.serve(&request, &self.nodes, wrong) {
                self.nodes[at].learn(&answer);
            }
            self.check()?;
        }
        let ended: i128 = self.nodes.iter().flat_map(|node| &node.ended).sum();
        if self.account.spent != ended {
            return Err("what is spent is not what calls have cost");
        }
        let leased = self.account.lines.iter().any(|line| line.outstanding() > Usd::ZERO);
        if leased || !self.nodes.iter().all(|node| node.lease.is_closed()) {
            return Err("a lease that nobody needs is not given back");
        }
        Ok(())
    }
}

impl Node {
    fn state(&mut self, closing: bool, wrong: Wrong) {
        self.then = self.ended.len();
        let before = self.lease;
        self.statement = Some(self.lease.statement(self.held(), closing));
        if wrong == Wrong::SpendsReturned {
            self.lease = before;
        }
    }

    fn send(&mut self, at: usize, wrong: Wrong) -> Request {
        let statement = self.statement.take().unwrap_or_default();
        self.busy = true;
        let entries = match wrong {
            Wrong::TellsAhead => self.then.saturating_sub(1),
            Wrong::Nothing
            | Wrong::HearsTheDead
            | Wrong::ForgetsEntries
            | Wrong::BringsTwice
            | Wrong::TakesBackTwice
            | Wrong::SpendsReturned => self.ended.len(),
        };
        Request { node: at, life: self.life, entries, statement }
    }

    fn learn(&mut self, answer: &Answer) {
        if self.alive && answer.life == self.life {
            self.lease.learn(&answer.told);
            self.busy = false;
        }
    }
}

impl Account {
    fn bring(&mut self, at: usize, node: &Node, upto: usize, wrong: Wrong) {
        let from = if wrong == Wrong::BringsTwice { 0 } else { self.brought[at] };
        if upto > from {
            self.spent += node.ended[from..upto].iter().sum::<i128>();
        }
        self.brought[at] = self.brought[at].max(upto);
    }

    /// One transaction.
    fn serve(&mut self, request: &Request, nodes: &[Node; 2], wrong: Wrong) -> Option<Answer> {
        let Request { node: at, life, entries, mut statement } = request.clone();
        if life != self.life[at] && wrong != Wrong::HearsTheDead {
            return None;
        }
        self.bring(at, &nodes[at], entries, wrong);
        let other = self.lines[1 - at];
        let wanted = other.lacks > Usd::ZERO;
        let standing = Standing {
            limit: pico(LIMIT),
            spent: pico(self.spent),
            leased: other.outstanding(),
            idle: other.idle(),
            wanted,
            wanted_before: wanted && at == 1,
            nodes: 2,
            hard: true,
        };
        let line = &mut self.lines[at];
        if wrong == Wrong::TakesBackTwice && statement.returned > Usd::ZERO {
            statement.returned = pico(line.returned.pico() + statement.returned.pico());
        }
        let before = line.granted.max(statement.granted);
        let told = answer(line, &statement, &standing);
        // What was settled since the numbers were taken is in both for a turn: no grant then.
        self.overdrawn |= told.granted > before && told.spent.pico() + told.leased.pico() > LIMIT;
        Some(Answer { node: at, life, told })
    }
}

/// Two sums over the same bytes: what was seen is known by them.
struct Sums(u64, u64);

impl Hasher for Sums {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            self.1 = (self.1.rotate_left(5) ^ u64::from(*byte)).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }
}

/// Plays every story from here; the first that breaks a promise is told with what it broke.
fn explore(
    world: &World,
    wrong: Wrong,
    seen: &mut BTreeSet<(u64, u64)>,
    story: &mut Vec<Act>,
) -> Result<(), (&'static str, Vec<Act>)> {
    let mut sums = Sums(0xcbf2_9ce4_8422_2325, 7);
    world.hash(&mut sums);
    if !seen.insert((sums.0, sums.1)) {
        return Ok(());
    }
    let sound = world.check().and_then(|()| world.clone().rest(wrong));
    sound.map_err(|what| (what, story.clone()))?;
    for act in world.acts() {
        let mut next = world.clone();
        next.act(act, wrong);
        story.push(act);
        explore(&next, wrong, seen, story)?;
        story.pop();
    }
    Ok(())
}

/// Beginnings from which every story is played.
fn worlds() -> Vec<World> {
    // Calls, turns, faults and deaths that may still come.
    let fresh = [(2, 3, 1, 0), (2, 3, 0, 1), (2, 2, 1, 1)];
    let fresh =
        fresh.map(|(calls, turns, faults, deaths)| World::new(calls, turns, faults, deaths));
    fresh.into_iter().chain([late(), unbrought(), returned()]).collect()
}

impl World {
    /// A turn in which nothing goes wrong.
    fn turn(&mut self, at: usize) {
        for act in [
            Act::State(at),
            Act::Send(at),
            Act::Deliver { request: 0, again: false },
            Act::Learn { answer: 0, again: false },
        ] {
            self.act(act, Wrong::Nothing);
        }
    }

    fn acts_are(&mut self, acts: &[Act]) {
        for act in acts {
            self.act(*act, Wrong::Nothing);
        }
    }
}

/// A message of a process that has died is still under way.
fn late() -> World {
    let mut world = World::new(5, 4, 0, 1);
    world.acts_are(&[Act::Call(0, 2)]);
    world.turn(0);
    world.acts_are(&[Act::Call(0, 1), Act::End(0, 0, 1), Act::State(0), Act::Send(0)]);
    world.acts_are(&[Act::Die(0), Act::Start(0)]);
    world
}

/// A process has died with a call under way that was never told of.
fn unbrought() -> World {
    let mut world = World::new(4, 2, 0, 1);
    world.acts_are(&[Act::Call(0, 2)]);
    world.turn(0);
    world.acts_are(&[Act::Call(0, 2), Act::Die(0)]);
    world
}

/// One gateway has given back what its call does not hold, for which the other waits.
fn returned() -> World {
    let mut world = World::new(6, 7, 0, 0);
    world.acts_are(&[Act::Call(0, 2)]);
    world.turn(0);
    world.acts_are(&[Act::Call(0, 1), Act::Call(1, 2)]);
    world.turn(1);
    world.turn(0);
    world.turn(0);
    world.acts_are(&[Act::Call(1, 2)]);
    world
}

#[test]
fn no_story_of_two_gateways_spends_more_than_the_limit_or_loses_a_cost() {
    let mut states = 0;
    for world in worlds() {
        let mut seen = BTreeSet::new();
        let found = explore(&world, Wrong::Nothing, &mut seen, &mut Vec::new());
        assert_eq!(found.map_err(|(what, story)| alloc::format!("{what}: {story:?}")), Ok(()));
        states += seen.len();
    }
    assert!(states > 100_000, "{states} states are too few to mean anything");
}

#[test]
fn each_wrong_is_noticed_in_some_story() {
    let all = [
        Wrong::TellsAhead,
        Wrong::HearsTheDead,
        Wrong::ForgetsEntries,
        Wrong::BringsTwice,
        Wrong::TakesBackTwice,
        Wrong::SpendsReturned,
    ];
    let is_noticed = |wrong: &Wrong| {
        // The shortest world first: most wrongs show there.
        worlds()
            .iter()
            .rev()
            .any(|world| explore(world, *wrong, &mut BTreeSet::new(), &mut Vec::new()).is_err())
    };
    let missed: Vec<Wrong> = all.into_iter().filter(|wrong| !is_noticed(wrong)).collect();
    assert_eq!(missed, []);
}

#[test]
fn what_one_gateway_leaves_idle_comes_to_the_one_that_waits() {
    let (mut lines, mut first, mut second) =
        ([Line::default(); 2], Lease::default(), Lease::default());
    let turn = |lease: &mut Lease, lines: &mut [Line; 2], at: usize| {
        let said = lease.statement(Usd::ZERO, false);
        let other = lines[1 - at];
        let wanted = other.lacks > Usd::ZERO;
        let standing = Standing {
            limit: pico(100),
            spent: Usd::ZERO,
            leased: other.outstanding(),
            idle: other.idle(),
            wanted,
            wanted_before: wanted && at == 1,
            nodes: 2,
            hard: true,
        };
        lease.learn(&answer(&mut lines[at], &said, &standing));
    };
    first.lack(pico(80));
    turn(&mut first, &mut lines, 0);
    assert_eq!(first.room(Usd::ZERO), pico(80));
    second.lack(pico(30));
    turn(&mut second, &mut lines, 1);
    assert_eq!(second.room(Usd::ZERO), Usd::ZERO);
    assert_eq!(second.lacks(pico(20), Usd::ZERO), Why::Leased, "so much is free");
    assert_eq!(second.lacks(pico(30), Usd::ZERO), Why::Elsewhere, "the other holds nothing");
    second.lack(pico(30));
    turn(&mut first, &mut lines, 0);
    turn(&mut first, &mut lines, 0);
    turn(&mut second, &mut lines, 1);
    assert!(second.room(Usd::ZERO) >= pico(30), "{lines:?}");
    assert_eq!(second.lacks(pico(101), Usd::ZERO), Why::Spent, "more than the limit never comes");
}

#[test]
fn a_gateway_with_much_left_asks_ahead_and_one_with_little_left_asks_for_what_it_needs() {
    let (mut line, mut lease, mut asked) = (Line::default(), Lease::default(), 0);
    for call in 0..1_000 {
        while lease.room(Usd::ZERO) < pico(1) {
            lease.lack(pico(1));
            let said = lease.statement(Usd::ZERO, false);
            let standing = Standing {
                limit: pico(1_000),
                spent: said.used,
                leased: Usd::ZERO,
                idle: Usd::ZERO,
                wanted: false,
                wanted_before: false,
                nodes: 4,
                hard: true,
            };
            let told = answer(&mut line, &said, &standing);
            assert!(told.spent.pico() + told.leased.pico() <= 1_000);
            lease.learn(&told);
            asked += 1;
            assert!(asked < 200, "call {call}");
        }
        lease.spend(pico(1));
    }
    assert!(asked > 20, "{asked}: the last ones come one by one");
    assert_eq!(lease.room(Usd::ZERO), Usd::ZERO);
}
