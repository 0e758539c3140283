//! What the rules cost on the way of a clean call: breaker, pacer, retry budget, latency.

use divan::{Bencher, black_box};
use mainstay_core::dice::Dice;
use mainstay_core::hints::{Dimension, RateHints};
use mainstay_core::money::Usd;
use mainstay_core::policy::{BreakerPolicy, Limits, RetryPolicy};
use mainstay_core::rules::breaker::{Breaker, Outcome};
use mainstay_core::rules::budget::{Books, Calendar, Every, Owner, Period, Rule, Who};
use mainstay_core::rules::latency::Latency;
use mainstay_core::rules::limits::{LimitSpec, LimitTable, Need, Share};
use mainstay_core::rules::pacer::{Ask, Pacer, Place};
use mainstay_core::rules::retry_budget::RetryBudget;
use mainstay_core::store::UnixMillis;
use mainstay_core::time::Moment;
use std::time::Duration;

#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
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
    let seen = |limit| {
        let reset = Some(Duration::from_millis(20));
        Some(Dimension { limit: Some(limit), remaining: Some(limit - 9), reset, window: None })
    };
    let hints =
        RateHints { requests: seen(600_000), tokens: seen(90_000_000), ..RateHints::default() };
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
