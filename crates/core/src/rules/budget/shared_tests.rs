//! Budgets that other gateways spend from too.

use alloc::vec;
use alloc::vec::Vec;

use super::account::{Line, Standing, Told, answer};
use super::*;

/// Days of ten milliseconds.
struct Tens;

impl Calendar for Tens {
    fn period(&self, rule: &Rule, at: UnixMillis) -> Period {
        match rule.every {
            Every::Total => Period { start: rule.since, end: None },
            Every::Day | Every::Week | Every::Month => {
                let start = at.0 / 10 * 10;
                Period { start: UnixMillis(start), end: Some(UnixMillis(start + 10)) }
            }
        }
    }
}

const ALICE: Who<'static> = Who { project: "p", key: Some("alice") };

fn pico(amount: i128) -> Usd {
    Usd::from_pico(amount)
}

fn rule(id: u64, every: Every, limit: i128) -> Rule {
    Rule {
        id,
        owner: Owner::Key("alice".into()),
        limit: pico(limit),
        hard: true,
        every,
        zone: "UTC".into(),
        since: UnixMillis(0),
        alerts: [50, 100].into(),
    }
}

fn shared(rules: impl IntoIterator<Item = Rule>) -> Books {
    let mut books = Books::shared(UnixMillis(0));
    for rule in rules {
        let period = books.set(rule, UnixMillis(0), &Tens);
        assert!(period.is_some(), "its account is to be asked");
    }
    books
}

/// The accounts of these books, which no other gateway spends from, beside what another has leased.
#[derive(Default)]
struct Bank {
    lines: BTreeMap<(u64, UnixMillis), (Line, Usd)>,
    elsewhere: Usd,
}

impl Bank {
    /// One turn: what is told, and the alerts that came of the answers.
    fn turn(&mut self, books: &mut Books, closing: bool) -> (Vec<Claim>, Vec<u8>) {
        let (mut claims, mut alerts) = (Vec::new(), Vec::new());
        books.claims(closing, &mut claims);
        for claim in &claims {
            let told = self.tell(claim);
            let alert = books.learn(claim.rule.id, claim.period, &told);
            alerts.extend(alert.map(|alert| alert.percent));
        }
        (claims, alerts)
    }

    fn tell(&mut self, claim: &Claim) -> Told {
        let (line, spent) = self.lines.entry((claim.rule.id, claim.period.start)).or_default();
        // Everything that is told as used was settled here.
        *spent = (*spent).max(claim.statement.used);
        let standing = Standing {
            limit: claim.rule.limit,
            spent: *spent,
            leased: self.elsewhere,
            idle: Usd::ZERO,
            wanted: false,
            wanted_before: false,
            nodes: 1,
            hard: claim.rule.hard,
        };
        answer(line, &claim.statement, &standing)
    }
}

#[test]
fn a_call_waits_for_every_lease_it_needs_and_goes_on_when_they_came() {
    let mut books = shared([rule(1, Every::Day, 100), rule(2, Every::Total, 100)]);
    let mut bank = Bank::default();
    let over = books.hold(ALICE, pico(5), UnixMillis(1), &Tens).unwrap_err();
    assert_eq!(over.why, Why::Leased);
    let (claims, _) = bank.turn(&mut books, false);
    assert_eq!(claims.len(), 2, "both are asked at once");
    let held = books.hold(ALICE, pico(5), UnixMillis(1), &Tens).unwrap();
    books.settle(ALICE, held, pico(3));
    assert_eq!(books.view(1, UnixMillis(1), &Tens).unwrap().settled, pico(0), "not told yet");
    bank.turn(&mut books, false);
    assert_eq!(books.view(1, UnixMillis(1), &Tens).unwrap().settled, pico(3));
}

#[test]
fn what_no_lease_can_bring_is_refused_as_spent_with_the_numbers() {
    let mut books = shared([rule(1, Every::Total, 100)]);
    let mut bank = Bank { elsewhere: pico(90), ..Bank::default() };
    let hold = |books: &mut Books, amount| books.hold(ALICE, pico(amount), UnixMillis(1), &Tens);
    assert_eq!(hold(&mut books, 20).unwrap_err().why, Why::Leased, "nobody was asked yet");
    bank.turn(&mut books, false);
    let over = hold(&mut books, 20).unwrap_err();
    assert_eq!((over.why, over.held, over.asked), (Why::Spent, pico(90), pico(20)));
    bank.turn(&mut books, false);
    hold(&mut books, 10).unwrap_err();
    bank.turn(&mut books, false);
    assert!(hold(&mut books, 10).is_ok(), "exactly what is left");
}

#[test]
fn a_debt_keeps_out_even_what_is_leased() {
    let mut books = shared([rule(1, Every::Total, 10)]);
    let mut bank = Bank::default();
    books.hold(ALICE, pico(4), UnixMillis(1), &Tens).unwrap_err();
    bank.turn(&mut books, false);
    let held = books.hold(ALICE, pico(4), UnixMillis(1), &Tens).unwrap();
    books.settle(ALICE, held, pico(12));
    let (_, alerts) = bank.turn(&mut books, false);
    assert_eq!(alerts, [100]);
    let over = books.hold(ALICE, pico(0), UnixMillis(1), &Tens).unwrap_err();
    assert_eq!((over.why, over.settled), (Why::Spent, pico(12)));
}

#[test]
fn a_soft_budget_leases_nothing_and_tells_by_what_its_account_says() {
    let mut books = shared([Rule { hard: false, ..rule(1, Every::Total, 10) }]);
    let mut bank = Bank::default();
    let mut told = vec![];
    for _ in 0..4 {
        let held = books.hold(ALICE, pico(4), UnixMillis(1), &Tens).unwrap();
        assert_eq!(books.settle(ALICE, held, pico(4)).alerts, [], "others spend too");
        told.extend(bank.turn(&mut books, false).1);
    }
    assert_eq!(told, [50, 100], "each once");
    let line = bank.lines.values().next().unwrap().0;
    assert_eq!((line.granted, line.used), (pico(0), pico(16)));
}

#[test]
fn an_ended_period_is_kept_until_its_lease_is_given_back() {
    let mut books = shared([rule(1, Every::Day, 100)]);
    let mut bank = Bank::default();
    books.hold(ALICE, pico(5), UnixMillis(1), &Tens).unwrap_err();
    bank.turn(&mut books, false);
    let mut held = books.hold(ALICE, pico(5), UnixMillis(9), &Tens).unwrap();
    books.hold(ALICE, pico(7), UnixMillis(10), &Tens).unwrap_err();
    bank.turn(&mut books, false);
    let today = books.hold(ALICE, pico(7), UnixMillis(10), &Tens).unwrap();
    assert!(books.extend(&mut held, pico(90)).is_err(), "yesterday's lease is not that large");
    books.settle(ALICE, held, pico(2));
    books.release(ALICE, today);
    for _ in 0..3 {
        bank.turn(&mut books, false);
    }
    let (line, spent) = bank.lines[&(1, UnixMillis(0))];
    assert_eq!((line.outstanding(), spent), (pico(0), pico(2)));
    let (claims, _) = bank.turn(&mut books, false);
    assert!(claims.iter().all(|claim| claim.period.start == UnixMillis(10)), "{claims:?}");
}

#[test]
fn a_gateway_that_ends_gives_back_what_no_call_holds() {
    let mut books = shared([rule(1, Every::Total, 100)]);
    let mut bank = Bank::default();
    books.hold(ALICE, pico(5), UnixMillis(1), &Tens).unwrap_err();
    bank.turn(&mut books, false);
    let held = books.hold(ALICE, pico(5), UnixMillis(1), &Tens).unwrap();
    bank.turn(&mut books, true);
    let outstanding = |bank: &Bank| bank.lines.values().next().unwrap().0.outstanding();
    assert_eq!(outstanding(&bank), pico(5));
    books.settle(ALICE, held, pico(3));
    bank.turn(&mut books, true);
    bank.turn(&mut books, true);
    assert_eq!(outstanding(&bank), pico(0));
    let mut claims = Vec::new();
    books.claims(true, &mut claims);
    assert_eq!(claims, [], "there is nothing more to tell");
}
