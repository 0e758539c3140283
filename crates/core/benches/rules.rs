//! What deciding costs on the way of a clean call: the whole plan, and the rules that it asks.

use divan::{Bencher, black_box};
use mainstay_core::dice::Dice;
use mainstay_core::hints::{Dimension, RateHints};
use mainstay_core::money::Usd;
use mainstay_core::plan::{Candidate, Facts, Handle, Plan, Seen, Step};
use mainstay_core::policy::{BreakerPolicy, Limits, Policy, RetryPolicy};
use mainstay_core::rules::breaker::{Breaker, Outcome};
use mainstay_core::rules::budget::{Books, Calendar, Every, Owner, Period, Rule, Who};
use mainstay_core::rules::latency::Latency;
use mainstay_core::rules::limits::{LimitSpec, LimitTable, Need, Share};
use mainstay_core::rules::pacer::{Ask, Pacer, Place};
use mainstay_core::rules::retry_budget::RetryBudget;
use mainstay_core::shared::TargetState;
use mainstay_core::store::UnixMillis;
use mainstay_core::time::Moment;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

/// A target behind a cell, as a shell keeps one behind a lock.
#[derive(Clone, Debug)]
struct Cell(Rc<RefCell<(TargetState, Pacer)>>);

impl Handle for Cell {
    fn target<R>(&self, rule: impl FnOnce(&mut TargetState) -> R) -> R {
        rule(&mut self.0.borrow_mut().0)
    }

    fn pacer<R>(&self, rule: impl FnOnce(&mut Pacer) -> R) -> R {
        rule(&mut self.0.borrow_mut().1)
    }
}

fn seen(limit: u64) -> Dimension {
    let reset = Some(Duration::from_millis(20));
    Dimension { limit: Some(limit), remaining: Some(limit - 9), reset, window: None }
}

/// A call from its first step to its last: one attempt, headers that name limits, usage.
#[divan::bench(args = [1, 3])]
fn plan_of_a_clean_call(bencher: Bencher<'_, '_>, targets: usize) {
    let policy = Arc::new(Policy::default());
    let cell = || {
        let pacer = Pacer::new(&Limits::default(), Moment::ZERO);
        Cell(Rc::new(RefCell::new((TargetState::new(&policy), pacer))))
    };
    let cells: Vec<Cell> = (0..targets).map(|_| cell()).collect();
    let hints = RateHints {
        requests: Some(seen(600_000)),
        tokens: Some(seen(90_000_000)),
        ..RateHints::default()
    };
    let mut nanos = 0;
    bencher.bench_local(|| {
        nanos += 1_000_000;
        let (now, facts) = (Moment::from_nanos(nanos), facts(nanos));
        let candidate =
            |cell: &Cell| Candidate { handle: cell.clone(), window: None, prefill: false };
        let candidates = cells.iter().map(candidate).collect();
        let mut plan = Plan::new(facts, Arc::clone(&policy), candidates, Dice::new(nanos));
        let Step::Start(start) = plan.step(now) else { panic!("a clean call starts at once") };
        plan.saw(Seen::Head { slot: start.slot, hints: &hints }, now);
        plan.saw(Seen::Finished { slot: start.slot, tokens: Some(380) }, now);
        black_box(plan.step(now));
        black_box(plan.step(now));
    });
}

fn facts(nanos: u64) -> Facts {
    Facts {
        stream: false,
        replayable: true,
        repeatable: true,
        recoverable: false,
        tokens: 400,
        bytes: 2000,
        deadline: Moment::from_nanos(nanos + 600_000_000_000),
        answer_by: Moment::FAR,
        silence_max: None,
    }
}

/// Peek, acquire and record of a success.
#[divan::bench]
fn breaker(bencher: Bencher<'_, '_>) {
    let mut breaker = Breaker::new(&BreakerPolicy::default());
    let (mut dice, mut nanos) = (Dice::new(1), 0);
    bencher.bench_local(|| {
        nanos += 1_000_000;
        let now = Moment::from_nanos(nanos);
        black_box(breaker.peek(now));
        if let Ok(pass) = breaker.acquire(0, now) {
            let outcome = Outcome::Success { took: Duration::from_millis(100) };
            black_box(breaker.record(pass, outcome, &mut dice, now));
        }
    });
}

/// Ask, go and settle with rate limit headers, nobody waiting.
#[divan::bench]
fn pacer(bencher: Bencher<'_, '_>) {
    let mut pacer = Pacer::new(&Limits::default(), Moment::ZERO);
    let hints = RateHints {
        requests: Some(seen(600_000)),
        tokens: Some(seen(90_000_000)),
        ..RateHints::default()
    };
    let mut nanos = 0;
    bencher.bench_local(|| {
        nanos += 1_000_000;
        let now = Moment::from_nanos(nanos);
        let ask = Ask { tokens: 400, latest: Moment::FAR, bytes: 2000, front: false };
        match pacer.ask(black_box(ask), now) {
            Place::Go(grant) => pacer.succeeded(grant, Some(380), &hints, now),
            Place::Wait { ticket, .. } => pacer.leave(ticket),
            Place::Refused { .. } => {}
        }
        black_box(pacer.next_wake(now));
    });
}

/// A call and one retry that succeeds.
#[divan::bench]
fn retry_budget(bencher: Bencher<'_, '_>) {
    let mut budget = RetryBudget::new(&RetryPolicy::default());
    bencher.bench_local(|| {
        budget.start_call();
        if budget.withdraw(black_box(14)) {
            budget.finish(14, true);
        }
        budget.end_call(true);
    });
}

/// One sample.
#[divan::bench]
fn latency(bencher: Bencher<'_, '_>) {
    let mut latency = Latency::default();
    bencher.bench_local(|| latency.record(black_box(Duration::from_millis(100))));
}

/// Admission and settlement under three limits (organization, project, key) of a minute's requests
/// and tokens and of calls at once, among a hundred thousand others in use.
#[divan::bench]
fn limits(bencher: Bencher<'_, '_>) {
    let spec = LimitSpec {
        rpm: Some(60_000),
        tpm: Some(90_000_000),
        concurrency: Some(1000),
        ..LimitSpec::default()
    };
    let need = Need { tokens: 400, count_refused: false };
    let mut limits = LimitTable::default();
    for id in 0..100_000 {
        let mut others = [Share::new(id, spec)];
        limits.admit(&mut others, need, Moment::ZERO).expect("it is the first");
    }
    let mut nanos = 0;
    bencher.bench_local(|| {
        nanos += 1_000_000;
        let now = Moment::from_nanos(nanos);
        let id = nanos / 1_000_000 % 30_000;
        let mut shares =
            [Share::new(id, spec), Share::new(id + 30_000, spec), Share::new(id + 60_000, spec)];
        if limits.admit(black_box(&mut shares), need, now).is_ok() {
            black_box(limits.standing(&shares, now));
            limits.settle(&mut shares, Some(380), now);
        }
    });
}

/// A calendar of one day that lasts.
struct OneDay;

impl Calendar for OneDay {
    fn period(&self, rule: &Rule, _: UnixMillis) -> Period {
        Period { start: rule.since, end: None }
    }
}

/// Hold and settle of a call under three budgets: of its key, its project and its organization.
#[divan::bench]
fn budgets(bencher: Bencher<'_, '_>) {
    let mut books = Books::default();
    let owners = [Owner::Organization, Owner::Project("p".into()), Owner::Key("k".into())];
    for (id, owner) in owners.into_iter().enumerate() {
        let rule = Rule {
            id: id as u64,
            owner,
            limit: Usd::MAX,
            hard: true,
            every: Every::Day,
            zone: "UTC".into(),
            since: UnixMillis(0),
            alerts: [80, 100].into(),
        };
        if let Some(period) = books.set(rule, UnixMillis(0), &OneDay) {
            books.loaded(id as u64, period, Usd::ZERO);
        }
    }
    let who = Who { project: "p", key: Some("k") };
    let (most, cost) = (Usd::from_pico(5_000_000_000), Usd::from_pico(1_000_000_000));
    bencher.bench_local(|| {
        if let Ok(holding) = books.hold(who, most, UnixMillis(1), &OneDay) {
            black_box(books.settle(who, holding, cost));
        }
    });
}
