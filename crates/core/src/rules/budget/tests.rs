//! Budgets against a list of everything that happened, in every short story and in long random ones.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

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
const BOB: Who<'static> = Who { project: "p", key: Some("bob") };

fn pico(amount: i128) -> Usd {
    Usd::from_pico(amount)
}

fn rule(id: u64, owner: Owner, every: Every, limit: i128) -> Rule {
    Rule {
        id,
        owner,
        limit: pico(limit),
        hard: true,
        every,
        zone: "UTC".into(),
        since: UnixMillis(0),
        alerts: [50, 100].into(),
    }
}

fn with(books: &mut Books, rule: Rule) {
    let id = rule.id;
    if let Some(period) = books.set(rule, UnixMillis(0), &Tens) {
        books.loaded(id, period, Usd::ZERO);
    }
}

fn alice() -> Owner {
    Owner::Key("alice".into())
}

#[test]
fn the_next_call_is_refused_once_the_rest_is_held() {
    let mut books = Books::default();
    with(&mut books, rule(1, alice(), Every::Total, 10));
    let first = books.hold(ALICE, pico(6), UnixMillis(1), &Tens).unwrap();
    let over = books.hold(ALICE, pico(5), UnixMillis(1), &Tens).unwrap_err();
    assert_eq!(
        (over.why, over.settled, over.held, over.asked),
        (Why::Spent, pico(0), pico(6), pico(5))
    );
    books.settle(ALICE, first, pico(2));
    let second = books.hold(ALICE, pico(8), UnixMillis(1), &Tens).unwrap();
    books.release(ALICE, second);
    assert_eq!(books.view(1, UnixMillis(1), &Tens).unwrap().settled, pico(2));
}

#[test]
fn all_budgets_that_apply_hold_or_none_does() {
    let mut books = Books::default();
    with(&mut books, rule(1, Owner::Organization, Every::Total, 10));
    with(&mut books, rule(2, Owner::Project("p".into()), Every::Day, 7));
    with(&mut books, rule(3, alice(), Every::Total, 5));
    let held = books.hold(ALICE, pico(5), UnixMillis(1), &Tens).unwrap();
    assert_eq!(books.hold(ALICE, pico(1), UnixMillis(1), &Tens).unwrap_err().rule.id, 3);
    assert_eq!(books.hold(BOB, pico(3), UnixMillis(1), &Tens).unwrap_err().rule.id, 2);
    let all: Vec<Usd> = books.views().map(|view| view.held).collect();
    assert_eq!(all, [pico(5); 3], "refused calls hold nothing anywhere");
    books.release(ALICE, held);
    assert!(books.views().all(|view| view.held == Usd::ZERO));
}

#[test]
fn a_cost_above_what_was_held_is_a_debt_and_keeps_others_out() {
    let mut books = Books::default();
    with(&mut books, rule(1, alice(), Every::Total, 10));
    let held = books.hold(ALICE, pico(3), UnixMillis(1), &Tens).unwrap();
    let settled = books.settle(ALICE, held, pico(12));
    assert_eq!(settled.debt, Some(pico(9)));
    assert_eq!(settled.alerts[0].percent, 100);
    assert_eq!(books.hold(ALICE, pico(0), UnixMillis(1), &Tens).unwrap_err().settled, pico(12));
}

#[test]
fn a_soft_budget_tells_and_never_refuses() {
    let mut books = Books::default();
    with(&mut books, Rule { hard: false, ..rule(1, alice(), Every::Total, 10) });
    assert!(!books.is_hard(ALICE));
    let mut told = Vec::new();
    for _ in 0..4 {
        let held = books.hold(ALICE, pico(4), UnixMillis(1), &Tens).unwrap();
        told.extend(
            books.settle(ALICE, held, pico(4)).alerts.into_iter().map(|alert| alert.percent),
        );
    }
    assert_eq!(told, [50, 100], "each once");
}

#[test]
fn spending_belongs_to_the_period_of_admission() {
    let mut books = Books::default();
    with(&mut books, rule(1, alice(), Every::Day, 10));
    let old = books.hold(ALICE, pico(10), UnixMillis(9), &Tens).unwrap();
    let new = books.hold(ALICE, pico(10), UnixMillis(10), &Tens).unwrap();
    books.settle(ALICE, old, pico(10));
    let view = books.view(1, UnixMillis(10), &Tens).unwrap();
    assert_eq!((view.settled, view.held), (pico(0), pico(10)));
    books.settle(ALICE, new, pico(7));
    assert_eq!(books.view(1, UnixMillis(10), &Tens).unwrap().settled, pico(7));
}

#[test]
fn a_further_attempt_after_the_end_of_a_period_is_held_against_it() {
    let mut books = Books::default();
    with(&mut books, rule(1, alice(), Every::Day, 10));
    let mut first = books.hold(ALICE, pico(4), UnixMillis(9), &Tens).unwrap();
    let mut second = books.hold(ALICE, pico(4), UnixMillis(9), &Tens).unwrap();
    let today = books.hold(ALICE, pico(10), UnixMillis(10), &Tens).unwrap();
    books.extend(&mut first, pico(2)).unwrap();
    let over = books.extend(&mut second, pico(1)).unwrap_err();
    assert_eq!((over.held, over.resets), (pico(10), Some(UnixMillis(10))));
    books.settle(ALICE, first, pico(5));
    books.extend(&mut second, pico(1)).unwrap();
    assert_eq!(books.extend(&mut second, pico(1)).unwrap_err().settled, pico(5));
    books.settle(ALICE, second, pico(5));
    assert_eq!(books.view(1, UnixMillis(10), &Tens).unwrap().held, pico(10), "today's is its own");
    books.release(ALICE, today);
}

#[test]
fn a_clock_that_steps_back_gives_no_second_budget() {
    let mut books = Books::new(UnixMillis(25));
    with(&mut books, rule(1, alice(), Every::Day, 10));
    let held = books.hold(ALICE, pico(10), UnixMillis(29), &Tens).unwrap();
    assert_eq!(held.at, UnixMillis(29));
    books.settle(ALICE, held, pico(10));
    let over = books.hold(ALICE, pico(1), UnixMillis(3), &Tens).unwrap_err();
    assert_eq!(over.resets, Some(UnixMillis(30)), "a day earlier is still the same day here");
    assert!(books.hold(ALICE, pico(1), UnixMillis(30), &Tens).is_ok());
}

#[test]
fn a_new_hard_budget_refuses_until_the_past_is_known() {
    let mut books = Books::default();
    let before = books.hold(ALICE, pico(3), UnixMillis(1), &Tens).unwrap();
    let period = books.set(rule(1, alice(), Every::Day, 10), UnixMillis(2), &Tens).unwrap();
    assert_eq!(books.hold(ALICE, pico(1), UnixMillis(2), &Tens).unwrap_err().why, Why::NotReady);
    // Admitted within the period, so it counts though it never held here.
    books.settle(ALICE, before, pico(3));
    books.loaded(1, period, pico(5));
    books.loaded(1, period, pico(5));
    assert_eq!(books.view(1, UnixMillis(2), &Tens).unwrap().settled, pico(8));
    assert!(books.hold(ALICE, pico(3), UnixMillis(2), &Tens).is_err());
}

#[test]
fn a_raised_budget_keeps_what_is_spent_and_a_removed_one_is_gone() {
    let mut books = Books::default();
    with(&mut books, rule(1, alice(), Every::Total, 10));
    let held = books.hold(ALICE, pico(9), UnixMillis(1), &Tens).unwrap();
    assert_eq!(books.set(rule(1, alice(), Every::Total, 20), UnixMillis(1), &Tens), None);
    let more = books.hold(ALICE, pico(11), UnixMillis(1), &Tens).unwrap();
    books.remove(1);
    assert!(books.is_empty());
    // Another budget takes the place; holdings of the old one do not touch it.
    with(&mut books, rule(2, Owner::Key("bob".into()), Every::Total, 5));
    let bobs = books.hold(BOB, pico(5), UnixMillis(1), &Tens).unwrap();
    books.settle(ALICE, held, pico(9));
    books.release(ALICE, more);
    assert_eq!(books.view(2, UnixMillis(1), &Tens).unwrap().held, pico(5));
    books.release(BOB, bobs);
}

#[test]
fn an_extension_that_does_not_fit_leaves_the_call_what_it_has() {
    let mut books = Books::default();
    with(&mut books, rule(1, alice(), Every::Total, 10));
    with(&mut books, rule(2, Owner::Organization, Every::Total, 6));
    let mut held = books.hold(ALICE, pico(4), UnixMillis(1), &Tens).unwrap();
    assert_eq!(books.extend(&mut held, pico(3)).unwrap_err().rule.id, 2);
    assert_eq!(held.amount, pico(4));
    books.extend(&mut held, pico(2)).unwrap();
    assert!(books.views().all(|view| view.held == pico(6)));
    books.settle(ALICE, held, pico(5));
    assert!(books.views().all(|view| view.held == Usd::ZERO && view.settled == pico(5)));
}

#[test]
fn sums_that_do_not_fit_are_refused() {
    let mut books = Books::default();
    with(&mut books, Rule { hard: false, ..rule(1, alice(), Every::Total, 10) });
    let _most = books.hold(ALICE, pico(i128::MAX), UnixMillis(1), &Tens).unwrap();
    assert_eq!(books.hold(ALICE, pico(1), UnixMillis(1), &Tens).unwrap_err().why, Why::Spent);
}

/// Everything that happened; a budget's numbers are sums over it.
#[derive(Default)]
struct Model {
    rules: Vec<Rule>,
    /// Admitted at, by whom, cost once settled.
    calls: Vec<(UnixMillis, bool, Option<i128>)>,
    open: Vec<(usize, Holding)>,
}

impl Model {
    fn applies(rule: &Rule, is_alice: bool) -> bool {
        match &rule.owner {
            Owner::Organization | Owner::Project(_) => true,
            Owner::Key(key) => (&**key == "alice") == is_alice,
        }
    }

    /// What is settled and held of a budget in the period that `at` is in.
    fn numbers(&self, rule: &Rule, at: UnixMillis) -> (i128, i128) {
        let period = Tens.period(rule, at);
        let counts = |call: &usize| {
            let (at, is_alice, _) = self.calls[*call];
            period.holds(at) && Model::applies(rule, is_alice)
        };
        let settled =
            (0..self.calls.len()).filter(counts).filter_map(|call| self.calls[call].2).sum();
        let held = self
            .open
            .iter()
            .filter(|(call, _)| counts(call))
            .map(|(_, held)| held.amount.pico())
            .sum();
        (settled, held)
    }
}

#[derive(Clone, Debug)]
enum Act {
    Hold { alice: bool, amount: i128 },
    Extend { which: usize, amount: i128 },
    Settle { which: usize, cost: i128 },
    Later(u64),
    Raise { which: usize, by: i128 },
}

fn play(rules: &[Rule], acts: &[Act]) {
    let (mut books, mut model) = (Books::default(), Model::default());
    for rule in rules {
        with(&mut books, rule.clone());
    }
    model.rules = rules.to_vec();
    let mut now = UnixMillis(0);
    for act in acts {
        step(&mut books, &mut model, &mut now, act);
        for rule in &model.rules {
            let view = books.view(rule.id, now, &Tens).unwrap();
            let (settled, held) = model.numbers(rule, now);
            assert_eq!(
                (view.settled.pico(), view.held.pico()),
                (settled, held),
                "{rule:?} after {acts:?}"
            );
        }
    }
}

fn step(books: &mut Books, model: &mut Model, now: &mut UnixMillis, act: &Act) {
    let who = |is_alice| if is_alice { ALICE } else { BOB };
    let fits = |model: &Model, rule: &Rule, at: UnixMillis, amount: i128| {
        let (settled, held) = model.numbers(rule, at);
        !rule.hard || settled + held + amount <= rule.limit.pico()
    };
    match *act {
        Act::Hold { alice, amount } => {
            let may = model
                .rules
                .iter()
                .all(|rule| !Model::applies(rule, alice) || fits(model, rule, *now, amount));
            let held = books.hold(who(alice), pico(amount), *now, &Tens);
            assert_eq!(held.is_ok(), may);
            if let Ok(held) = held {
                model.open.push((model.calls.len(), held));
                model.calls.push((*now, alice, None));
            }
        }
        Act::Extend { which, amount } if !model.open.is_empty() => {
            let which = which % model.open.len();
            let (at, alice, _) = model.calls[model.open[which].0];
            let may = model
                .rules
                .iter()
                .all(|rule| !Model::applies(rule, alice) || fits(model, rule, at, amount));
            assert_eq!(books.extend(&mut model.open[which].1, pico(amount)).is_ok(), may);
        }
        Act::Settle { which, cost } if !model.open.is_empty() => {
            let (call, held) = model.open.swap_remove(which % model.open.len());
            let (_, alice, _) = model.calls[call];
            model.calls[call].2 = Some(cost);
            let debt = cost - held.amount.pico();
            let settled = books.settle(who(alice), held, pico(cost));
            assert_eq!(settled.debt, (debt > 0).then(|| pico(debt)));
        }
        Act::Extend { .. } | Act::Settle { .. } => {}
        Act::Later(by) => now.0 += by,
        Act::Raise { which, by } => {
            let which = which % model.rules.len();
            model.rules[which].limit = pico(model.rules[which].limit.pico() + by);
            books.set(model.rules[which].clone(), *now, &Tens);
        }
    }
}

fn world() -> Vec<Rule> {
    vec![rule(1, alice(), Every::Day, 3), rule(2, Owner::Organization, Every::Total, 5)]
}

#[test]
fn the_promises_hold_in_every_short_story() {
    let acts = [
        Act::Hold { alice: true, amount: 2 },
        Act::Hold { alice: false, amount: 1 },
        Act::Extend { which: 0, amount: 1 },
        Act::Settle { which: 0, cost: 0 },
        Act::Settle { which: 0, cost: 2 },
        Act::Settle { which: 1, cost: 4 },
        Act::Later(10),
        Act::Raise { which: 1, by: 2 },
    ];
    let mut story = Vec::new();
    every_story(&acts, &mut story, 5);
}

fn every_story(acts: &[Act], story: &mut Vec<Act>, more: usize) {
    if more == 0 {
        play(&world(), story);
        return;
    }
    for act in acts {
        story.push(act.clone());
        every_story(acts, story, more - 1);
        story.pop();
    }
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (any::<bool>(), 0i128..50).prop_map(|(alice, amount)| Act::Hold { alice, amount }),
        1 => (0usize..64, 0i128..30).prop_map(|(which, amount)| Act::Extend { which, amount }),
        4 => (0usize..64, 0i128..60).prop_map(|(which, cost)| Act::Settle { which, cost }),
        1 => (0u64..12).prop_map(Act::Later),
        1 => (0usize..8, 0i128..40).prop_map(|(which, by)| Act::Raise { which, by }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]
    #[test]
    fn long_stories_agree_with_a_list_of_everything(
        acts in proptest::collection::vec(any_act(), 1..120),
        limits in proptest::array::uniform4(0i128..400),
        soft in any::<bool>(),
    ) {
        let rules = vec![
            rule(1, alice(), Every::Day, limits[0]),
            rule(2, Owner::Organization, Every::Total, limits[1]),
            rule(3, Owner::Project("p".into()), Every::Week, limits[2]),
            Rule { hard: soft, ..rule(4, Owner::Key("bob".into()), Every::Total, limits[3]) },
        ];
        play(&rules, &acts);
    }
}
