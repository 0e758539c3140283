//! Regions that have one limit together. Each is a fleet with a place of its own, far from the others; a share
//! of the limit is its limit, and moves between regions slowly: a lease of leases, by the rules that nodes have.
//!
//! ```text
//!   region: fleet, place ── every 2 s: what is wanted, parts held ──▶ the regions' place: Parts, Places
//!             ▲  its part of the limit ◀── what the others want, parts that may be held ──┘
//! ```
//!
//! The limit is cut into [`PARTS`] equal parts. A few are each region's own for ever; the others are held as
//! calls at once are ([`Places`]): nobody gets one before its holder has said that it is free, or has not been
//! heard of for [`LIFE`]. How many a region is after is reckoned as a node reckons its part of a provider's
//! limit ([`Parts`]): by what each wants.
//!
//! What a region has in its bucket stays when its share changes: the place is told what to count as used. A smaller share is told to the nodes first
//! and said to be free when all of them keep to it; of a larger one the bucket is no fuller than before.

mod audit;

#[cfg(test)]
mod tests;

use super::audit::Spent;
use super::copies::Writing;
use super::scene::{FleetScene, SECOND};
use super::{REPLY_MAX, World, Wrong};
use audit::Books;
use mainstay_core::dice::Dice;
use mainstay_core::rules::lease::{
    Ask, Message, Others, Parts, Places, PlacesAsk, PlacesTold, RateAsk, Reply, Wants, Wish,
};
use mainstay_core::rules::limits::{LimitSpec, Measure};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Equal parts of the limit.
const PARTS: u64 = 120;
/// Those that are a region's own, whatever happens: a fourth of an even share of three.
const OWN: u64 = 10;
/// Fewer than this many are not worth a move.
const STEP: u64 = 2;
/// Between two messages of a region.
const TELL: u64 = 2 * SECOND;
/// For so long a region holds parts after it said so last.
const LIFE: u64 = 60 * SECOND;
/// So long before that it gives up those that are not its own: its nodes have to know in time.
const BEFORE: u64 = 3 * SECOND;
/// For so long what a region wants is known to the others.
const WANTED: u64 = 10 * SECOND;
/// A node knows of a change of its limits after this long at most.
const NEWS: u64 = SECOND;
/// After the last word of an old limit a place takes nothing back for a quarter of a second.
const SETTLED: u64 = SECOND / 2;

/// What is done wrong on purpose, to see that it is noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Parts are said to be free and the nodes are not told.
    Untold,
    /// A larger share comes with a full bucket.
    Full,
}

/// Regions, what is wanted in them, and what goes wrong. Times are in microseconds.
#[derive(Clone, Debug)]
pub(super) struct RegionsScene {
    pub(super) seed: u64,
    /// Gateways in each.
    pub(super) nodes: usize,
    /// The limit of all; its requests a minute are a multiple of [`PARTS`].
    pub(super) whole: LimitSpec,
    /// From when, and how many calls a second are wanted in each.
    pub(super) phases: Vec<(u64, Vec<u64>)>,
    pub(super) ends: u64,
    /// Shares stay as they are at the start: even.
    pub(super) fixed: bool,
    /// A region reaches none of the others: which, from when, until when.
    pub(super) cuts: Vec<(usize, u64, u64)>,
    pub(super) fault: Fault,
}

/// What a run came to.
#[derive(Debug, Default)]
pub(super) struct RegionsRun {
    /// Calls admitted in each second, by region.
    pub(super) seconds: Vec<Vec<u64>>,
    /// Messages between regions, replies counted too.
    pub(super) across: u64,
    /// Messages inside of them.
    pub(super) inside: u64,
    /// Changes of a region's share.
    pub(super) moves: u64,
    pub(super) accusations: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Phase { index: usize },
    Tells { region: usize },
    Reaches { parcel: usize },
    Returns { parcel: usize },
    Knows { region: usize, node: usize },
    Lowered { region: usize },
}

/// What a region said, and the reply.
#[derive(Clone, Debug)]
struct Parcel {
    region: usize,
    sent: u64,
    wants: Wants,
    ask: PlacesAsk,
    reply: Option<(Others, PlacesTold)>,
}

struct Region {
    world: World,
    /// Its share, in parts, by the last that its nodes were told.
    parts: u64,
    /// The limit that its nodes are told, in requests a minute.
    rpm: u64,
    /// The share before, as long as not all of them keep to the new one.
    before: Option<u64>,
    /// What is wanted in it, by the last it heard; none until then.
    target: Option<u64>,
    /// Until when it holds what is not its own.
    until: u64,
    calls_made: usize,
    wanted: f64,
    number: u64,
}

pub(super) struct Regions {
    scene: RegionsScene,
    dice: Dice,
    now: u64,
    heap: BinaryHeap<Reverse<(u64, u64, Event)>>,
    planned: u64,
    all: Vec<Region>,
    parcels: Vec<Parcel>,
    wants: Parts,
    places: Places,
    books: Books,
    run: RegionsRun,
}

impl Regions {
    pub(super) fn new(scene: RegionsScene) -> Regions {
        let count = scene.phases[0].1.len();
        let even = PARTS / count as u64;
        let mut regions = Regions {
            dice: Dice::new(scene.seed ^ 0x4e61_0000),
            now: SECOND,
            heap: BinaryHeap::new(),
            planned: 0,
            all: (0..count).map(|region| Region::new(&scene, region, even)).collect(),
            parcels: Vec::new(),
            wants: Parts::default(),
            places: Places::default(),
            books: Books::new(&scene.whole, scene.ends),
            run: RegionsRun::default(),
            scene,
        };
        for region in 0..count {
            let held =
                PlacesAsk { in_use: even - OWN, need: even - OWN, ..regions.ask(even - OWN) };
            regions.places.serve(&name(region), &held, 1, regions.now);
            let first = regions.dice.below(TELL);
            regions.plan(first, Event::Tells { region });
        }
        for index in 0..regions.scene.phases.len() {
            regions.plan(regions.scene.phases[index].0, Event::Phase { index });
        }
        regions
    }

    fn plan(&mut self, after: u64, event: Event) {
        self.planned += 1;
        self.heap.push(Reverse((self.now + after, self.planned, event)));
    }

    pub(super) fn play(mut self) -> RegionsRun {
        let ends = self.now + self.scene.ends;
        while let Some(Reverse((at, _, event))) = self.heap.pop() {
            self.pass(at.min(ends));
            if at >= ends {
                break;
            }
            self.happen(event);
        }
        for region in self.all {
            let run = region.world.close();
            self.run.inside += run.messages;
            self.run.accusations.extend(run.accusations.into_iter().map(|found| found.what));
        }
        let (seconds, accusations) = self.books.close();
        self.run.seconds = seconds;
        self.run.accusations.extend(accusations);
        self.run
    }

    /// Lets time pass in all regions.
    fn pass(&mut self, at: u64) {
        let mut admitted: Vec<(usize, Spent)> = Vec::new();
        for (index, region) in self.all.iter_mut().enumerate() {
            region.world.play_until(at);
            region.world.now = at;
            admitted.extend(region.world.admitted.drain(..).map(|spent| (index, spent)));
        }
        admitted.sort_by_key(|(_, spent)| spent.at);
        for (region, spent) in admitted {
            self.books.admitted(region, spent);
        }
        self.now = at;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Phase { index } => self.phase(index),
            Event::Tells { region } => self.tells(region),
            Event::Reaches { parcel } => self.reaches(parcel),
            Event::Returns { parcel } => self.returns(parcel),
            Event::Knows { region, node } => {
                let own = &mut self.all[region];
                let spec = LimitSpec { rpm: Some(own.rpm), ..self.scene.whole };
                own.world.nodes[node].limits = vec![spec];
            }
            Event::Lowered { region } => self.lowered(region),
        }
    }

    fn phase(&mut self, index: usize) {
        let wanted = self.scene.phases[index].1.clone();
        for (region, calls) in self.all.iter_mut().zip(wanted) {
            let every = self.scene.nodes as u64 * SECOND / calls.max(1);
            region.world.scene.every.fill(every);
        }
    }

    /// So many parts of the limit, in requests a minute.
    fn share(&self, parts: u64) -> u64 {
        self.scene.whole.rpm.unwrap_or(0) * parts / PARTS
    }

    fn is_cut(&self, region: usize) -> bool {
        let now = self.now - SECOND;
        self.scene.cuts.iter().any(|(who, from, to)| *who == region && (*from..*to).contains(&now))
    }

    fn ask(&self, want: u64) -> PlacesAsk {
        let limit = PARTS - OWN * self.all.len() as u64;
        PlacesAsk { limit, in_use: 0, need: 0, want, life: LIFE }
    }

    /// A region says what it wants and holds, and looks whether it may hold on.
    fn tells(&mut self, region: usize) {
        self.plan(TELL, Event::Tells { region });
        if self.scene.fixed {
            return;
        }
        self.all[region].measure();
        if self.now + BEFORE >= self.all[region].until {
            self.lower(region, OWN);
        }
        let own = &self.all[region];
        let in_use = own.in_use() - OWN;
        let target = own.target.unwrap_or(own.parts).max(own.parts) - OWN;
        let more = own.before.is_none() && target >= in_use + STEP;
        let (need, want) = if more { (in_use + STEP, target) } else { (in_use, in_use) };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate")]
        let calls = (own.wanted * 1000.0) as u64;
        let wants = Wants { calls: calls.max(1), at_once: 1, ..Wants::default() };
        let ask = PlacesAsk { in_use, need, ..self.ask(want) };
        let number = self.parcels.len();
        self.parcels.push(Parcel { region, sent: self.now, wants, ask, reply: None });
        if !self.is_cut(region) {
            self.run.across += 1;
            let way = self.way();
            self.plan(way, Event::Reaches { parcel: number });
        }
    }

    /// From one region to another.
    fn way(&mut self) -> u64 {
        40_000 + self.dice.below(60_000)
    }

    fn reaches(&mut self, number: usize) {
        let (now, parcel) = (self.now, self.parcels[number].clone());
        if self.is_cut(parcel.region) {
            return;
        }
        let who = name(parcel.region);
        let others = self.wants.serve(&who, &parcel.wants, WANTED, now);
        let told = self.places.serve(&who, &parcel.ask, 1, now);
        self.parcels[number].reply = Some((others, told));
        self.run.across += 1;
        let way = self.way();
        self.plan(way, Event::Returns { parcel: number });
    }

    fn returns(&mut self, number: usize) {
        let Parcel { region, sent, ask, reply, .. } = self.parcels[number].clone();
        let Some((others, told)) = reply.filter(|_| !self.is_cut(region)) else { return };
        let whole = self.scene.whole.rpm.unwrap_or(0) as f64 / 60.0;
        let own = &mut self.all[region];
        own.until = sent + LIFE;
        let target = target(own.wanted, &others, whole);
        own.target = Some(target);
        if own.before.is_some() {
            return;
        }
        if target + STEP <= own.parts {
            self.lower(region, target);
        } else if told.held > ask.in_use {
            self.raise(region, OWN + told.held);
        }
    }

    /// The nodes are told of a smaller share; it is said to be free when all of them know.
    fn lower(&mut self, region: usize, parts: u64) {
        let own = &mut self.all[region];
        if own.before.is_some() || parts >= own.parts {
            return;
        }
        own.before = Some(std::mem::replace(&mut own.parts, parts));
        self.run.moves += 1;
        // A little less, so that it changes once more when the bucket is right: nodes believe what they were told
        // of a full bucket until their limit changes.
        if self.scene.fault != Fault::Untold {
            self.spread(region, self.share(parts) - 1);
        }
        self.plan(NEWS + SETTLED, Event::Lowered { region });
    }

    /// What was in the bucket is there still, as far as a smaller one holds it. As much as nodes may hold
    /// unspent is left out.
    fn lowered(&mut self, region: usize) {
        let (burst, own) = (self.burst(), &mut self.all[region]);
        let Some(before) = own.before.take().filter(|_| !own.world.down) else { return };
        let back = (burst - burst / 16) * (before - own.parts) / own.parts;
        let limit = self.share(self.all[region].parts);
        // In the measure that the nodes ask in at present: with another one nothing would be taken back.
        self.all[region].say(RateAsk { limit: limit - 1, back, ..RateAsk::default() });
        if self.scene.fault != Fault::Untold {
            self.spread(region, limit);
        }
    }

    /// The bucket that grows is no fuller for it; then the nodes are told.
    fn raise(&mut self, region: usize, parts: u64) {
        let (burst, before) = (self.burst(), self.all[region].parts);
        if self.all[region].world.down || parts <= before {
            return;
        }
        let spent = burst * (parts - before) / before;
        let spent = if self.scene.fault == Fault::Full { 0 } else { spent };
        let limit = self.share(before);
        self.all[region].say(RateAsk { limit, spent, ..RateAsk::default() });
        self.all[region].parts = parts;
        self.run.moves += 1;
        self.spread(region, self.share(parts));
    }

    /// The region's nodes are told of their limit.
    fn spread(&mut self, region: usize, rpm: u64) {
        self.all[region].rpm = rpm;
        for node in 0..self.scene.nodes {
            let after = self.dice.below(NEWS);
            self.plan(after, Event::Knows { region, node });
        }
    }

    /// What may come at once, as the time that the rate takes to give it.
    fn burst(&self) -> u64 {
        self.scene.whole.burst.map_or(60 * SECOND, |burst| burst.as_secs() * SECOND)
    }
}

impl Region {
    fn new(scene: &RegionsScene, region: usize, parts: u64) -> Region {
        let rpm = scene.whole.rpm.unwrap_or(0) * parts / PARTS;
        let calls = scene.phases[0].1[region];
        let fleet = FleetScene {
            seed: scene.seed + region as u64,
            nodes: scene.nodes,
            // What it may in all is looked at over all regions.
            limits: vec![scene.whole],
            ends: scene.ends,
            every: vec![scene.nodes as u64 * SECOND / calls.max(1); scene.nodes],
            tokens: 100,
            took: SECOND,
            latency: 1_000,
            lost: 0,
            twice: 0,
            late: 0,
            incidents: Vec::new(),
        };
        let mut world = World::new(fleet, Wrong::Nothing);
        world.watched = true;
        for node in &mut world.nodes {
            node.limits = vec![LimitSpec { rpm: Some(rpm), ..scene.whole }];
        }
        Region {
            world,
            parts,
            rpm,
            before: None,
            target: None,
            until: SECOND + LIFE,
            calls_made: 0,
            wanted: calls as f64,
            number: 0,
        }
    }

    /// Parts that nobody else may have.
    fn in_use(&self) -> u64 {
        self.before.map_or(self.parts, |before| before.max(self.parts))
    }

    /// Follows what is wanted: half of the way in two seconds.
    fn measure(&mut self) {
        let came = self.world.calls_made - self.calls_made;
        self.calls_made = self.world.calls_made;
        let lately = came as f64 * SECOND as f64 / TELL as f64;
        self.wanted += (lately - self.wanted) / 2.0;
    }

    /// Says something to the region's own place.
    fn say(&mut self, ask: RateAsk) {
        self.number += 1;
        let ask = Ask { id: 0, measure: Measure::RequestsPerMinute, wish: Wish::Rate(ask) };
        let message = Message { number: self.number, nodes: 1, asks: vec![ask] };
        let world = &mut self.world;
        let clock = u64::try_from(i128::from(world.now) + world.clock).unwrap_or(0);
        let node = "region".to_owned();
        if let Reply::Told(told) = world.book.serve(&node, &message, clock) {
            world.copies.write(Writing { at: world.now, clock, node, message }, &told);
        }
    }
}

/// Parts that a region is after: what it wants and an even part of the rest where there is enough, else as
/// large a part as its share of all that is wanted.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and PARTS")]
fn target(own: f64, others: &Others, whole: f64) -> u64 {
    let all = own + others.calls() as f64 / 1000.0;
    let part = if all < whole {
        (own + (whole - all) / (others.nodes as f64 + 1.0)) / whole
    } else {
        own / all
    };
    ((part * PARTS as f64) as u64).clamp(OWN, PARTS)
}

fn name(region: usize) -> String {
    format!("region {region}")
}
