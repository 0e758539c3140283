//! The mutants: each breaks one promise of plan or rules, by replacing one text.

/// One broken rule.
#[derive(Debug)]
pub(super) struct Mutant {
    /// What is wrong with it.
    pub(super) name: &'static str,
    /// Below `crates/core/src`.
    pub(super) file: &'static str,
    /// What is replaced; occurs once.
    pub(super) from: &'static str,
    /// By what.
    pub(super) to: &'static str,
}

pub(super) const fn mutant(
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
) -> Mutant {
    Mutant { name, file, from, to }
}

const BREAKER: &str = "rules/breaker.rs";
const BUDGET: &str = "rules/retry_budget.rs";
const BACKOFF: &str = "rules/backoff.rs";
const PACER: &str = "rules/pacer.rs";
const HOLD: &str = "rules/pacer/hold.rs";
const LEARN: &str = "rules/pacer/learn.rs";
const LIMIT: &str = "rules/pacer/limit.rs";
const QUEUE: &str = "rules/pacer/queue.rs";
const PLAN: &str = "plan/mod.rs";
const CHOOSE: &str = "plan/choose.rs";
const AFTER: &str = "plan/after.rs";
const LIVE: &str = "plan/live.rs";
const RECOVER: &str = "plan/recover.rs";
const LEASE: &str = "rules/lease/rate.rs";
const PACE: &str = "rules/lease/pace.rs";
const BOOK: &str = "rules/lease/book.rs";

/// All of them.
pub(super) const ALL: &[Mutant] = &[
    mutant(
        "a late result of an older generation counts",
        BREAKER,
        "pass.generation != self.generation || ",
        "",
    ),
    mutant(
        "the open time is not kept",
        BREAKER,
        "if now < ready {\n            return",
        "if false {\n            return",
    ),
    mutant(
        "a probe's lease never ends",
        BREAKER,
        "HalfOpen { lease_end: now + self.lease(), timeouts }",
        "HalfOpen { lease_end: Moment::FAR, timeouts }",
    ),
    mutant(
        "every fault is the weather's",
        BREAKER,
        "seen >= SEEN_MIN && bad >= seen / 10 && bad < good",
        "seen >= SEEN_MIN",
    ),
    mutant(
        "no fault is the weather's",
        BREAKER,
        "seen >= SEEN_MIN && bad >= seen / 10 && bad < good",
        "false",
    ),
    mutant(
        "a nanosecond wakes the queue",
        PACER,
        ".max(now) + EARLIER_MIN >= until",
        ".max(now) >= until",
    ),
    mutant(
        "a neutral probe keeps its slot",
        BREAKER,
        "self.inner = Inner::Open { until: now, timeouts };",
        "",
    ),
    mutant(
        "failures in a row do not open",
        BREAKER,
        "in_a_row >= self.policy.failures.max(1) || share",
        "share",
    ),
    mutant(
        "a time that a probe is told is not kept",
        BREAKER,
        "let open = open.max(asked);",
        "let open = open.max(asked.min(Duration::ZERO));",
    ),
    mutant(
        "a probe wakes all who wait",
        BREAKER,
        "pub const WOKEN: u32 = 16;",
        "pub const WOKEN: u32 = 1_000_000;",
    ),
    mutant(
        "those far back in the queue look ten times a second",
        PACER,
        "RECHECK.max(RECHECK_EACH * u32::try_from(ahead.calls).unwrap_or(CALLS_MAX).min(CALLS_MAX))",
        "RECHECK.max(RECHECK_EACH * u32::try_from(ahead.calls).unwrap_or(CALLS_MAX).min(1))",
    ),
    mutant("a retry costs nothing", BUDGET, "self.level -= cost;", ""),
    mutant(
        "the share of retries in flight is not kept",
        BUDGET,
        "if self.retries >= self.retries_max() {",
        "if false {",
    ),
    mutant(
        "an ended retry stays in flight",
        BUDGET,
        "self.retries = self.retries.saturating_sub(1);",
        "",
    ),
    mutant(
        "an ended call stays in the budget",
        BUDGET,
        "self.calls = self.calls.saturating_sub(1);",
        "",
    ),
    mutant("no retry asks the budget", LIVE, "if retry && !pass.is_probe() {", "if false {"),
    mutant(
        "a beside-start is refunded",
        LIVE,
        "let refund = live.role != Role::Beside;",
        "let refund = true;",
    ),
    mutant(
        "a second telling that completes an answer is not refunded",
        LIVE,
        "let refund = live.role != Role::Beside;",
        "let refund = !matches!(live.role, Role::Beside | Role::Replay | Role::Continue);",
    ),
    mutant(
        "a replay costs nothing",
        LIVE,
        "let retry = replay || came_back",
        "let retry = came_back",
    ),
    mutant(
        "backoff has no cap",
        BACKOFF,
        "base.saturating_mul(1 << doublings).min(cap)",
        "base.saturating_mul(1 << doublings)",
    ),
    mutant(
        "backoff does not wait",
        BACKOFF,
        "below(ceiling(policy.transient_base, policy.transient_cap, retry), dice)",
        "below(Duration::ZERO, dice)",
    ),
    mutant(
        "coming back after a rate limit costs nothing",
        AFTER,
        "self.tracks[index].throttle = Throttle::Left;",
        "",
    ),
    mutant(
        "a hint after a failure is not waited for",
        AFTER,
        "let wait = backoff.max(hint);",
        "let wait = backoff;",
    ),
    mutant("a wait of a day is never looked at", HOLD, "self.look.min(self.end)", "self.end"),
    mutant(
        "every refusal puts the look at a long wait off",
        HOLD,
        "if self.looked || self.every.is_zero() {",
        "if self.looked || !self.end.since(now).is_zero() {",
    ),
    mutant(
        "what was learnt of a stream's start is not asked",
        LIVE,
        "p95.map_or(soft, |p95| soft.max(p95 * 3))",
        "soft",
    ),
    mutant("the hold is not kept", PACER, "later(self.hold.ready_at(), WaitCause::Hint);", ""),
    mutant(
        "a final failure is tried again",
        AFTER,
        "Next::Nobody => self.fail(Why::NotRetryable, None),",
        "Next::Nobody => {}",
    ),
    mutant(
        "a final word beside another is not kept",
        LIVE,
        "track.gone |= is_final;",
        "let _ = (&track, is_final);",
    ),
    mutant(
        "the deadline ends nothing",
        LIVE,
        "if now >= self.limit() && !matches!(self.seek, Seek::Over(_)) {",
        "if false {",
    ),
    mutant(
        "a queue is joined without a latest start",
        CHOOSE,
        "latest: self.limit().min(begun + self.policy.retry.wait_max),",
        "latest: Moment::FAR,",
    ),
    mutant(
        "refusals are waited out for ever",
        CHOOSE,
        "let begun = track.refused_since.filter(|_| front).unwrap_or(now);",
        "let begun = now;",
    ),
    mutant(
        "a refusal counts as an attempt",
        AFTER,
        "self.counted = self.counted.saturating_sub(1);",
        "",
    ),
    mutant(
        "what broke after delivery is tried again",
        LIVE,
        "if self.committed == Some(slot) {\n            self.broke(index, kind);",
        "if self.committed == Some(slot) && index > SLOTS {\n            self.broke(index, kind);",
    ),
    mutant(
        "a broken answer is told again and again",
        RECOVER,
        "let once = self.recovering.is_none();",
        "let once = true;",
    ),
    mutant(
        "a failed attempt keeps its grant",
        LIVE,
        "Settle::Failure { .. } | Settle::Neutral => pacer.released(grant, now),",
        "Settle::Failure { .. } | Settle::Neutral => drop(grant),",
    ),
    mutant(
        "a caller who leaves keeps his place",
        PLAN,
        "self.leave();\n        for slot",
        "for slot",
    ),
    mutant(
        "a circuit is waited at for ever",
        CHOOSE,
        "handle.target(|t| t.breaker.stop_waiting(self.counted));\n        self.seek",
        "self.seek",
    ),
    mutant(
        "a fault that others meet too is taken for the call's own",
        CHOOSE,
        "(seen > own).then_some(",
        "(seen > own + 1000).then_some(",
    ),
    mutant(
        "patience with a circuit has no end",
        CHOOSE,
        "if until > last || now >= last {",
        "if until > self.limit() {",
    ),
    mutant(
        "an ended grant stays in flight",
        LEARN,
        "self.in_flight = self.in_flight.saturating_sub(1);\n        let took",
        "let took",
    ),
    mutant("one strange limit is believed", LIMIT, "times >= self.agreed.max(2)", "true"),
    mutant(
        "the rate is a tenth too high",
        LIMIT,
        "self.limit / self.window",
        "1.1 * self.limit / self.window",
    ),
    mutant(
        "the level is not settled after a refusal",
        LIMIT,
        "self.level = cost - wait.min(window) * self.rate - later;",
        "let _ = (wait.min(window), later, cost);",
    ),
    mutant(
        "a limit that nobody names is kept",
        LIMIT,
        "} else if self.told.is_some() && self.silence.refused() {",
        "} else if self.told.is_none() && self.silence.refused() {",
    ),
    mutant(
        "a limit without a witness is kept",
        LIMIT,
        "if !self.silence.answered() {",
        "if true || !self.silence.answered() {",
    ),
    mutant(
        "the start ramp is not kept",
        PACER,
        "later(self.ramp.ready_at(self.in_flight, self.part.nodes(), now), WaitCause::Start);",
        "",
    ),
    mutant(
        "the last that came goes first",
        QUEUE,
        "let entry = lane.entries.front()?;",
        "let entry = lane.entries.iter().rev().find(|entry| !entry.gone)?;",
    ),
    mutant(
        "a refused call goes last",
        QUEUE,
        "if self.returned.live > 0 {",
        "if self.fresh.live == 0 {",
    ),
    mutant(
        "a client's fault blames the target",
        LIVE,
        "None if effect::blames_target(kind) => {",
        "None if effect::blames_target(kind) || index < SLOTS => {",
    ),
    mutant(
        "a rate limit blames the target",
        LIVE,
        "Settle::Throttled { .. } | Settle::Neutral => Outcome::Neutral,",
        "Settle::Throttled { .. } => Outcome::Failure { timed_out: false, asked: None },\n            Settle::Neutral => Outcome::Neutral,",
    ),
    mutant(
        "a lease is granted and does not count as used",
        BOOK,
        "self.debt = (debt + granted).min(Self::DEBT_MAX);",
        "self.debt = debt.min(Self::DEBT_MAX);",
    ),
    mutant(
        "a message about leases that comes twice is served twice",
        BOOK,
        "if message.number <= *seen {",
        "if message.number == 0 {",
    ),
    mutant(
        "a place of leases that forgot is believed",
        BOOK,
        "if self.count < ask.count {",
        "if false {",
    ),
    mutant(
        "what is given back counts whenever it is told",
        BOOK,
        "let back = ask.back.min(self.lows.since(ask.age));",
        "let back = ask.back;",
    ),
    mutant("the same room is given back twice", BOOK, "self.lows.lower(back);", ""),
    mutant(
        "nothing is set aside for leases",
        PACE,
        "let rest = burst - aside;",
        "let rest = burst.max(aside);",
    ),
    mutant(
        "a node without leases begins with a whole burst",
        LEASE,
        "self.alone.unwrap_or_else(|| now + Duration::from_micros(used))",
        "self.alone.unwrap_or(now)",
    ),
    mutant(
        "a node without leases admits the whole limit",
        PACE,
        "let fine = self.cost(units) * u128::from(nodes.max(1)) * u128::from(whole);",
        "let fine = self.cost(units) * u128::from(nodes.min(1)) * u128::from(whole);",
    ),
    mutant("what is spent without a lease is not told", LEASE, "self.owed += cost;", ""),
    mutant(
        "what is spent without a lease is told once, heard or not",
        LEASE,
        "let [owed, before] = core::mem::take(&mut self.owed_sent);",
        "let [owed, before] = [0, 0];",
    ),
    mutant("a lease that nobody spends is kept", LEASE, "if now >= self.until {", "if false {"),
];
