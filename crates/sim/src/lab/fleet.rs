//! Several gateways that share limits, a place that keeps the books, and everything between them that can
//! go wrong: messages that are lost, late or come twice, nodes that are cut off or die, the place away,
//! taken over by a copy that lacks the last writings, or begun anew, and clocks that jump.
//!
//! The auditor (`audit.rs`) counts what was really admitted: invariant 12.

mod audit;
mod copies;
mod scene;

#[cfg(test)]
mod regions;
#[cfg(test)]
mod tests;

use crate::judge::Accusation;
use audit::{Auditor, Spent};
use copies::{Copies, Granted, Writing};
use mainstay_core::dice::Dice;
use mainstay_core::rules::lease::{Book, Group, Message, Reach, Reply, Stopped, View};
use mainstay_core::rules::limits::{LimitSpec, Need, Share};
use mainstay_core::time::Moment;
use scene::{FleetScene, Incident, SECOND};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

/// Longest time that a message and its reply take together.
const REPLY_MAX: Duration = Duration::from_millis(25);
/// Between two looks at what is to be said at leisure.
const TICK: u64 = SECOND / 4;
/// After a message was lost a node takes the place for away for this long, then tries again.
const AWAY: u64 = SECOND;
/// Times a call asks before it is refused.
const ROUNDS: u32 = 3;

/// What is done wrong on purpose, to see that it is noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Nothing.
    #[default]
    Nothing,
    /// What is granted does not count as used.
    Free,
    /// Nodes that are cut off admit as if each were alone in the world.
    Selfish,
    /// Calls are admitted without being asked for.
    Unasked,
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FleetRun {
    pub(super) events: u64,
    pub(super) admitted: u64,
    pub(super) refused: u64,
    pub(super) alone: u64,
    pub(super) messages: u64,
    /// Microseconds that admitted calls take together.
    pub(super) busy: u64,
    pub(super) accusations: Vec<Accusation>,
}

/// Plays the fleet of a seed.
pub(super) fn check(seed: u64) -> FleetRun {
    World::new(FleetScene::random(seed), Wrong::Nothing).play()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Comes { node: usize },
    Again { call: usize },
    ToPlace { parcel: usize },
    ToNode { parcel: usize },
    GivenUp { parcel: usize },
    Ends { call: usize },
    Tick { node: usize },
    Incident { index: usize },
}

/// A message and its reply on their way.
#[derive(Clone, Debug)]
struct Parcel {
    node: usize,
    life: u32,
    /// The place's life in which it was sent: a connection does not outlive it.
    reign: u32,
    message: Message,
    reply: Option<Reply>,
    twice: bool,
    over: bool,
}

#[derive(Clone, Debug)]
struct Call {
    node: usize,
    life: u32,
    tokens: u64,
    rounds: u32,
    shares: Vec<Share>,
    spent: Option<Spent>,
}

#[derive(Debug)]
struct Node {
    group: Group,
    /// What it knows of the limits.
    limits: Vec<LimitSpec>,
    life: u32,
    cut: bool,
    away_until: u64,
    /// Calls that wait for a reply.
    waiting: Vec<usize>,
}

struct World {
    scene: FleetScene,
    wrong: Wrong,
    dice: Dice,
    now: u64,
    heap: BinaryHeap<Reverse<(u64, u64, Event)>>,
    planned: u64,
    nodes: Vec<Node>,
    calls: BTreeMap<usize, Call>,
    calls_made: usize,
    parcels: BTreeMap<usize, Parcel>,
    parcels_made: usize,
    book: Book,
    down: bool,
    reign: u32,
    /// The place's clock, against ours.
    clock: i128,
    copies: Copies,
    auditor: Auditor,
    /// What was admitted, where somebody takes it from here.
    admitted: Vec<Spent>,
    watched: bool,
    run: FleetRun,
}

impl World {
    fn new(scene: FleetScene, wrong: Wrong) -> World {
        let node = |_| Node {
            group: Group::new(0),
            limits: scene.limits.clone(),
            life: 0,
            cut: false,
            away_until: 0,
            waiting: Vec::new(),
        };
        let mut world = World {
            dice: Dice::new(scene.seed ^ 0x1ea5_e000),
            auditor: Auditor::new(&scene),
            nodes: (0..scene.nodes).map(node).collect(),
            scene,
            wrong,
            now: SECOND,
            heap: BinaryHeap::new(),
            planned: 0,
            calls: BTreeMap::new(),
            calls_made: 0,
            parcels: BTreeMap::new(),
            parcels_made: 0,
            book: Book::default(),
            down: false,
            reign: 0,
            clock: 1_700_000_000_000_000,
            copies: Copies::default(),
            admitted: Vec::new(),
            watched: false,
            run: FleetRun::default(),
        };
        for node in 0..world.scene.nodes {
            let first = world.dice.below(world.scene.every[node]);
            world.plan(first, Event::Comes { node });
            let tick = world.dice.below(TICK);
            world.plan(tick, Event::Tick { node });
        }
        for index in 0..world.scene.incidents.len() {
            let (at, _) = world.scene.incidents[index];
            world.plan(at, Event::Incident { index });
        }
        world
    }

    fn plan(&mut self, after: u64, event: Event) {
        self.planned += 1;
        self.heap.push(Reverse((self.now + after, self.planned, event)));
    }

    fn play(mut self) -> FleetRun {
        self.play_until(self.now + self.scene.ends);
        self.close()
    }

    fn play_until(&mut self, ends: u64) {
        let due = |next: &&Reverse<(u64, u64, Event)>| next.0.0 <= ends;
        while let Some(Reverse((at, _, event))) = self.heap.peek().filter(due).copied() {
            self.heap.pop();
            self.now = at;
            self.run.events += 1;
            self.happen(event);
        }
    }

    fn close(mut self) -> FleetRun {
        self.run.alone += self.nodes.iter().map(|node| node.group.alone()).sum::<u64>();
        self.run.accusations = self.auditor.accusations;
        self.run
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Comes { node } => self.comes(node),
            Event::Again { call } => self.ask(call),
            Event::ToPlace { parcel } => self.reach_place(parcel),
            Event::ToNode { parcel } => self.reach_node(parcel),
            Event::GivenUp { parcel } => self.given_up(parcel),
            Event::Ends { call } => self.ends(call),
            Event::Tick { node } => self.tick(node),
            Event::Incident { index } => self.incident(self.scene.incidents[index].1),
        }
    }

    fn view(&self, reach: Reach) -> View {
        let selfish = self.wrong == Wrong::Selfish && reach == Reach::Away;
        let nodes = if selfish { 1 } else { self.scene.nodes as u64 };
        View { nodes, reach, reply_max: REPLY_MAX, now: Moment::from_nanos(self.now * 1_000) }
    }

    fn comes(&mut self, node: usize) {
        let gap = 1 + self.dice.below(2 * self.scene.every[node]);
        self.plan(gap, Event::Comes { node });
        let number = self.calls_made;
        self.calls_made += 1;
        let shares = (0..).zip(&self.nodes[node].limits).map(|(id, spec)| Share::new(id, *spec));
        let call = Call {
            node,
            life: self.nodes[node].life,
            tokens: 1 + self.dice.below(self.scene.tokens),
            rounds: 0,
            shares: shares.collect(),
            spent: None,
        };
        self.calls.insert(number, call);
        self.ask(number);
    }

    fn ask(&mut self, number: usize) {
        let Some(mut call) = self.calls.remove(&number) else { return };
        let node = call.node;
        call.rounds += 1;
        let reach = if self.now < self.nodes[node].away_until {
            Reach::Away
        } else if call.rounds > ROUNDS {
            Reach::Last
        } else {
            Reach::Ask
        };
        let view = self.view(reach);
        let need = Need { tokens: call.tokens, count_refused: false };
        let group = &mut self.nodes[node].group;
        let before = group.alone();
        let admitted = match group.admit(&mut call.shares, need, view) {
            Err(Stopped::Refused(_)) if self.wrong == Wrong::Unasked => Ok(()),
            other => other,
        };
        let alone = group.alone() > before;
        match admitted {
            Ok(()) => {
                self.run.admitted += 1;
                let spent = Spent { node, tokens: call.tokens, alone, at: self.now };
                self.auditor.admitted(spent);
                self.admitted.extend(self.watched.then_some(spent));
                call.spent = Some(spent);
                self.calls.insert(number, call);
                let took = 1 + self.dice.below(2 * self.scene.took);
                self.run.busy += took;
                self.plan(took, Event::Ends { call: number });
            }
            Err(Stopped::Refused(_)) => self.run.refused += 1,
            Err(Stopped::Asks) => {
                self.calls.insert(number, call);
                self.nodes[node].waiting.push(number);
            }
        }
        self.send(node);
    }

    fn send(&mut self, node: usize) {
        if !self.nodes[node].group.is_eager() {
            return;
        }
        let view = self.view(Reach::Ask);
        let Some(message) = self.nodes[node].group.message(view) else { return };
        self.run.messages += 1;
        let number = self.parcels_made;
        self.parcels_made += 1;
        let chance = |dice: &mut Dice, of_thousand: u64| dice.below(1_000) < of_thousand;
        let (lost, late) =
            (chance(&mut self.dice, self.scene.lost), chance(&mut self.dice, self.scene.late));
        let parcel = Parcel {
            node,
            life: self.nodes[node].life,
            reign: self.reign,
            message,
            reply: None,
            twice: chance(&mut self.dice, self.scene.twice),
            over: false,
        };
        self.parcels.insert(number, parcel);
        let wait = u64::try_from(REPLY_MAX.as_micros()).unwrap_or(0);
        self.plan(wait, Event::GivenUp { parcel: number });
        if !lost && !self.nodes[node].cut && !self.down {
            let under_way = self.under_way(late);
            self.plan(under_way, Event::ToPlace { parcel: number });
        }
    }

    fn under_way(&mut self, late: bool) -> u64 {
        let long = if late { self.dice.below(3 * SECOND) } else { 0 };
        1 + self.dice.below(self.scene.latency) + long
    }

    fn reach_place(&mut self, number: usize) {
        let Some(mut parcel) = self.parcels.remove(&number) else { return };
        if parcel.reign != self.reign || self.down {
            self.parcels.insert(number, parcel);
            return;
        }
        let clock = u64::try_from(i128::from(self.now) + self.clock).unwrap_or(0);
        let name = format!("n{}", parcel.node);
        let before = (self.wrong == Wrong::Free).then(|| self.book.clone());
        let reply = self.book.serve(&name, &parcel.message, clock);
        if let Some(before) = before {
            self.book = before;
        } else if let Reply::Told(told) = &reply {
            let message = parcel.message.clone();
            self.copies.write(Writing { at: self.now, clock, node: name, message }, told);
        }
        if std::mem::take(&mut parcel.twice) {
            let later = self.under_way(false);
            self.plan(later, Event::ToPlace { parcel: number });
        }
        if parcel.reply.is_none() {
            parcel.reply = Some(reply);
            let late = self.dice.below(1_000) < self.scene.late;
            let (lost, cut) =
                (self.dice.below(1_000) < self.scene.lost, self.nodes[parcel.node].cut);
            if !lost && !cut {
                let back = self.under_way(late);
                self.plan(back, Event::ToNode { parcel: number });
            }
        }
        self.parcels.insert(number, parcel);
    }

    fn reach_node(&mut self, number: usize) {
        let Some(parcel) = self.parcels.get_mut(&number) else { return };
        let (node, mine) = (parcel.node, parcel.life == self.nodes[parcel.node].life);
        if self.nodes[node].cut || self.down || parcel.reign != self.reign {
            return;
        }
        let known = std::mem::replace(&mut parcel.over, true);
        let Some(reply) = parcel.reply.clone().filter(|_| mine && !known) else { return };
        let number = parcel.message.number;
        let view = self.view(Reach::Ask);
        self.nodes[node].away_until = 0;
        self.nodes[node].group.told(number, &reply, view);
        self.wake(node);
    }

    /// Those that waited look again, a moment later.
    fn wake(&mut self, node: usize) {
        for call in std::mem::take(&mut self.nodes[node].waiting) {
            let moment = self.dice.below(300);
            self.plan(moment, Event::Again { call });
        }
        self.send(node);
    }

    fn given_up(&mut self, number: usize) {
        let Some(parcel) = self.parcels.get_mut(&number) else { return };
        let (node, message) = (parcel.node, parcel.message.number);
        if parcel.life != self.nodes[node].life || parcel.over {
            return;
        }
        parcel.over = true;
        self.nodes[node].group.lost(message);
        self.nodes[node].away_until = self.now + AWAY;
        self.wake(node);
    }

    fn ends(&mut self, number: usize) {
        let Some(mut call) = self.calls.remove(&number) else { return };
        let Some(spent) = call.spent.filter(|_| call.life == self.nodes[call.node].life) else {
            return;
        };
        let used = match self.dice.below(3) {
            0 => call.tokens,
            _ => self.dice.below(call.tokens + 1),
        };
        let view = self.view(Reach::Ask);
        self.nodes[call.node].group.settle(&mut call.shares, Some(used), view);
        self.auditor.ended(spent, Some(call.tokens - used), self.now);
        self.send(call.node);
    }

    fn tick(&mut self, node: usize) {
        self.plan(TICK, Event::Tick { node });
        let view = self.view(Reach::Ask);
        let limits = self.nodes[node].limits.clone();
        let spec_of = |id: u64| limits.get(usize::try_from(id).ok()?).copied();
        self.nodes[node].group.sweep(100, view, spec_of);
        self.send(node);
        if node == 0 {
            // What nobody waits for any more.
            let oldest = self.parcels_made.saturating_sub(2_000);
            self.parcels = self.parcels.split_off(&oldest);
        }
    }

    fn incident(&mut self, what: Incident) {
        match what {
            Incident::Cut(node) => self.nodes[node].cut = true,
            Incident::Joined(node) => self.nodes[node].cut = false,
            Incident::Down => {
                self.down = true;
                self.reign += 1;
            }
            Incident::Up => self.down = false,
            Incident::FailOver(lacks) => self.fail_over(lacks),
            Incident::Forgets => {
                self.reign += 1;
                self.book = Book::default();
                self.copies.anew(Book::default());
                self.auditor.anew(u64::MAX, self.now);
            }
            Incident::Dies(node) => self.dies(node),
            Incident::Ahead(by) => {
                self.clock += i128::from(by);
                self.auditor.anew(by, self.now);
            }
            Incident::Back(by) => self.clock -= i128::from(by),
        }
    }

    fn fail_over(&mut self, lacks: u64) {
        self.reign += 1;
        let (book, lost) = self.copies.fail_over(self.now.saturating_sub(lacks));
        self.book = book;
        for Granted { limit, measure, micros } in lost {
            let limit = usize::try_from(limit).unwrap_or(0);
            self.auditor.lost(limit, measure, micros, self.now);
        }
    }

    fn dies(&mut self, node: usize) {
        let all = self.calls.iter().filter(|(_, call)| call.node == node);
        let dead: Vec<usize> = all.map(|(number, _)| *number).collect();
        for number in dead {
            if let Some(Call { spent: Some(spent), .. }) = self.calls.remove(&number) {
                self.auditor.ended(spent, None, self.now);
            }
        }
        let old = &mut self.nodes[node];
        self.run.alone += old.group.alone();
        *old = Node {
            group: Group::new(0),
            limits: std::mem::take(&mut old.limits),
            life: old.life + 1,
            cut: old.cut,
            away_until: 0,
            waiting: Vec::new(),
        };
    }
}
