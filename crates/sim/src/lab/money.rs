//! Money beside the calls of a scene: what the gateway's shell does with budgets and a ledger, over the
//! same arrivals, attempts, streams, failures and leaving callers, and with a process that dies.
//!
//! It watches and changes nothing: a call without room is left out here and goes on in the scene. Every
//! admission holds in the budgets of `core` and in a ledger on paper; an attempt may hold more; an end
//! settles once. Entries reach the paper as in the ledger's mode `process`: a hold at once, together with
//! all that was handed in before it, the rest within 10 ms. A death takes what has not; the next start ends
//! what is open by policy, may die in that too, and adds up again what budgets have spent.

mod audit;
mod paper;

use super::note::{How, Note};
use super::scene::Scene;
use crate::judge::Accusation;
use audit::Auditor;
use mainstay_core::dice::Dice;
use mainstay_core::money::budget::{Books, Calendar, Every, Holding, Owner, Period, Rule, Who};
use mainstay_core::money::{Price, Quantity, Usd};
use mainstay_core::store::{EntryKind, UnixMillis};
use paper::{Paper, Row};
use std::collections::BTreeMap;

/// Where our wall clock begins, in milliseconds.
const EPOCH: u64 = 1_700_000_000_000;
/// The "day" of the laboratory, in milliseconds: some end in every scene.
const DAY: u64 = 20_000;
/// Within this time an entry is written, in milliseconds.
const BATCH: u64 = 10;
/// What a clock is set back by, in milliseconds.
const BACK: u64 = 86_400_000;
/// USD 2.50 for a million tokens in, 10 out, and something for the call itself.
const PRICE: Price = Price { request: 7, ..Price::tokens(2_500_000, 1_250_000, 10_000_000) };

/// What is done wrong on purpose, to see that it is noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Nothing.
    #[default]
    Nothing,
    /// An end is written twice.
    EndsTwice,
    /// A call is admitted without a look at the budgets.
    Unlooked,
    /// A settlement is a pico-USD too low.
    Rounded,
    /// What a death left open stays open.
    Unrecovered,
    /// After a death budgets begin with nothing spent.
    Forgetful,
    /// An end reaches the budgets and not the ledger.
    Unwritten,
}

/// A call that holds.
#[derive(Debug)]
struct Open {
    key: usize,
    worst: Usd,
    holding: Holding,
    /// Attempts under way: their target, and whether they are paid for.
    live: Vec<(usize, bool)>,
    delivers: bool,
    charged: bool,
    cost: Usd,
    used: Quantity,
    exposed: bool,
}

/// Accounts of a scene.
#[derive(Debug)]
pub(super) struct Bank {
    wrong: Wrong,
    dice: Dice,
    rules: Vec<Rule>,
    books: Books,
    paper: Paper,
    auditor: Auditor,
    open: BTreeMap<u32, Open>,
    /// Budgets whose past is being added up: number, period, and at which note it is known.
    loading: Vec<(u64, Period, u64)>,
    notes: u64,
    flushed: u64,
    /// How far our wall clock was set back.
    back: u64,
    now: UnixMillis,
    deaths: bool,
    charges: bool,
}

/// Days of [`DAY`] milliseconds.
struct Days;

impl Calendar for Days {
    fn period(&self, rule: &Rule, at: UnixMillis) -> Period {
        match rule.every {
            Every::Total => Period { start: rule.since, end: None },
            Every::Day | Every::Week | Every::Month => {
                let start = at.0 / DAY * DAY;
                Period { start: UnixMillis(start), end: Some(UnixMillis(start + DAY)) }
            }
        }
    }
}

/// Keys, each with the project it is of.
const KEYS: [(&str, &str); 3] = [("alice", "web"), ("bob", "web"), ("carol", "ci")];

fn who(key: usize) -> Who<'static> {
    let (key, project) = KEYS[key % KEYS.len()];
    Who { project, key: Some(key) }
}

fn usd(pico: u64) -> Usd {
    Usd::from_pico(pico.into())
}

impl Bank {
    pub(super) fn new(scene: &Scene, wrong: Wrong) -> Bank {
        let mut dice = Dice::new(scene.seed ^ 0x00ba_7b00);
        // A call costs some thousandths of a USD; the budgets fit some of the calls, or most.
        let share = u64::from(scene.jobs);
        let mut limit = |most: u64| usd((1 + dice.below(most)) * share * 100_000_000);
        let rule = |id, owner, every, limit, hard| Rule {
            id,
            owner,
            limit,
            hard,
            every,
            zone: "UTC".into(),
            since: UnixMillis(0),
            alerts: [80, 100].into(),
        };
        let rules = vec![
            rule(1, Owner::Organization, Every::Total, limit(60), true),
            rule(2, Owner::Project("web".into()), Every::Day, limit(20), true),
            rule(3, Owner::Key("alice".into()), Every::Total, limit(20), true),
            rule(4, Owner::Key("carol".into()), Every::Day, limit(10), false),
        ];
        let mut bank = Bank {
            wrong,
            deaths: !scene.seed.is_multiple_of(3),
            charges: scene.seed.is_multiple_of(2),
            dice,
            auditor: Auditor::default(),
            rules,
            books: Books::default(),
            paper: Paper::default(),
            open: BTreeMap::new(),
            loading: Vec::new(),
            notes: 0,
            flushed: 0,
            back: 0,
            now: UnixMillis(EPOCH),
        };
        bank.begin();
        bank
    }

    /// What a start does: ends what is open on paper, and learns what is spent.
    fn begin(&mut self) {
        if self.wrong != Wrong::Unrecovered {
            // It may die before what it found is written, and find it again.
            self.paper.recover(self.charges);
            if self.dice.below(3) == 0 {
                self.paper.die();
                self.paper.recover(self.charges);
            }
            self.paper.flush();
        }
        self.auditor.reread(self.paper.rows());
        self.books = Books::new(self.paper.latest());
        self.loading.clear();
        for rule in &self.rules {
            if let Some(period) = self.books.set(rule.clone(), self.now, &Days) {
                let known = self.notes + self.dice.below(5);
                self.loading.push((rule.id, period, known));
            }
        }
    }

    /// Tells budgets their past when it has been added up.
    fn load(&mut self) {
        for (id, period, _) in self.loading.extract_if(.., |(_, _, known)| *known <= self.notes) {
            let Some(rule) = self.rules.iter().find(|rule| rule.id == id) else { continue };
            let mut spent = self.paper.spent(&rule.owner, period);
            if self.wrong == Wrong::Forgetful && self.paper.deaths() > 0 {
                spent = Usd::ZERO;
            }
            let _ = self.books.loaded(id, period, spent);
        }
    }

    /// Something happened in the scene.
    pub(super) fn see(&mut self, seconds: f64, note: &Note) {
        self.notes += 1;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "above 0")]
        let passed = (seconds * 1e3) as u64;
        self.now = UnixMillis((EPOCH + passed).saturating_sub(self.back));
        if passed >= self.flushed + BATCH {
            self.flushed = passed;
            self.paper.flush();
        }
        self.load();
        match *note {
            Note::Came { call, .. } => self.came(call),
            Note::Sent { call, target, .. } => self.sent(call, target),
            Note::Delivers { call } => {
                self.open.entry(call).and_modify(|open| open.delivers = true);
            }
            Note::Ended { call, target, how, .. } => self.ended(call, target, how),
            Note::Done { call, .. } => self.done(call),
            Note::Waits { .. } | Note::Circuit { .. } | Note::Retry { .. } => {}
        }
        if self.deaths && self.dice.below(400) == 0 {
            self.die();
        }
        if self.dice.below(300) == 0 {
            self.change();
        }
    }

    /// The process is killed, and started again.
    fn die(&mut self) {
        self.open.clear();
        self.paper.die();
        if self.dice.below(4) == 0 && self.back == 0 {
            self.back = BACK;
        }
        self.begin();
    }

    /// A budget is raised or lowered.
    fn change(&mut self) {
        let place = usize::try_from(self.dice.below(4)).unwrap_or(0);
        let rule = &mut self.rules[place];
        let percent = u32::try_from(50 + self.dice.below(100)).unwrap_or(100);
        rule.limit = rule.limit.percent(percent).unwrap_or(rule.limit);
        let _ = self.books.set(rule.clone(), self.now, &Days);
    }

    fn came(&mut self, call: u32) {
        let key = usize::try_from(self.dice.below(3)).unwrap_or(0);
        let tokens = 100 + self.dice.below(2_000);
        let most = Quantity { requests: 1, input: tokens, output: tokens, ..Quantity::default() };
        let worst = PRICE.cost(&most).unwrap_or(Usd::MAX);
        let asked = if self.wrong == Wrong::Unlooked { Usd::ZERO } else { worst };
        let Ok(holding) = self.books.hold(who(key), asked, self.now, &Days) else { return };
        let row = Row {
            call,
            key,
            at: holding.at,
            kind: EntryKind::Hold,
            amount: worst,
            recovered: false,
        };
        self.paper.hold(row);
        self.auditor.saw(row);
        self.auditor.admitted(key, holding.at, &self.rules);
        let (live, used) = (Vec::new(), Quantity::default());
        let (delivers, charged, exposed, cost) = (false, false, false, Usd::ZERO);
        let open = Open { key, worst, holding, live, delivers, charged, cost, used, exposed };
        self.open.insert(call, open);
    }

    /// An attempt is sent; one after the first is paid for only if there is room.
    fn sent(&mut self, call: u32, target: usize) {
        let Some(open) = self.open.get_mut(&call) else { return };
        let first = open.live.is_empty() && !open.charged && !open.exposed;
        let mut paid = first;
        if !first && self.wrong != Wrong::Unlooked {
            paid = self.books.extend(&mut open.holding, open.worst).is_ok();
            if paid {
                let (key, at, amount) = (open.key, open.holding.at, open.worst);
                let row = Row { call, key, at, kind: EntryKind::Hold, amount, recovered: false };
                self.paper.queue(row);
                self.auditor.saw(row);
                self.auditor.admitted(key, at, &self.rules);
            }
        }
        open.live.push((target, paid));
    }

    fn ended(&mut self, call: u32, target: usize, how: How) {
        let Some(open) = self.open.get_mut(&call) else { return };
        let Some(place) = open.live.iter().position(|(at, _)| *at == target) else { return };
        let (_, paid) = open.live.remove(place);
        if !paid {
            return; // never sent, as far as money goes
        }
        // Now and then an answer is longer than anybody said: a debt.
        let most = if self.dice.below(20) == 0 { 6_000 } else { 100 };
        let tokens = 1 + self.dice.below(most);
        let output = match how {
            How::Well { .. } => tokens,
            // What came of a broken stream is billed.
            How::Failed(_) if open.delivers => tokens / 2,
            How::TimedOut | How::Left => {
                open.exposed = true;
                let (key, at, amount) = (open.key, open.holding.at, open.worst);
                let kind = EntryKind::Exposure;
                self.paper.queue(Row { call, key, at, kind, amount, recovered: false });
                return;
            }
            How::Refused(_) | How::Failed(_) | How::Faulted | How::TooLong => return,
        };
        let (input, cached) = (tokens, tokens / 3);
        let used = Quantity { requests: 1, input, cached, output, ..Quantity::default() };
        open.charged = true;
        open.used = open.used.plus(used);
        open.cost = open.cost.plus(PRICE.cost(&used).unwrap_or(Usd::MAX)).unwrap_or(Usd::MAX);
        self.auditor.metered(call, used);
    }

    fn done(&mut self, call: u32) {
        let Some(open) = self.open.remove(&call) else { return };
        let (kind, mut amount) = if open.charged {
            (EntryKind::Settle, open.cost)
        } else {
            (EntryKind::Release, Usd::ZERO)
        };
        if self.wrong == Wrong::Rounded && open.charged {
            amount = amount.minus(usd(1)).unwrap_or(amount);
        }
        let row = Row { call, key: open.key, at: open.holding.at, kind, amount, recovered: false };
        let settled = self.books.settle(who(open.key), open.holding, amount);
        if self.wrong != Wrong::Unwritten {
            self.paper.queue(row);
        }
        self.auditor.saw(row);
        // What is told a second time, by a late result or by a second hand, changes nothing.
        if self.dice.below(10) == 0 || self.wrong == Wrong::EndsTwice {
            if self.wrong == Wrong::EndsTwice {
                self.paper.force(row);
            } else {
                self.paper.queue(row);
            }
        }
        debug_assert!(settled.debt.is_none_or(|debt| debt > Usd::ZERO));
    }

    /// The scene is over: everything it can be accused of.
    pub(super) fn close(mut self) -> Vec<Accusation> {
        self.notes = u64::MAX;
        self.load();
        self.paper.flush();
        let under_way: Vec<u32> = self.open.keys().copied().collect();
        self.auditor.compare(self.paper.rows(), &under_way);
        for rule in &self.rules {
            if let Some(view) = self.books.view(rule.id, self.now, &Days) {
                let spent = self.paper.spent(&rule.owner, view.period);
                self.auditor.balance(rule.id, view.settled, spent);
            }
        }
        self.auditor.accusations()
    }
}

#[cfg(test)]
mod tests;
