//! Every metric: its type, labels and meaning. The page in the documentation is made from it.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Only grows, until the next start.
    Counter,
    /// The present value.
    Gauge,
    /// Counts by size.
    Histogram,
}

impl Type {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Type,
    /// Its labels.
    labels: &'static str,
    pub(super) help: &'static str,
}

const fn metric(
    name: &'static str,
    kind: Type,
    labels: &'static str,
    help: &'static str,
) -> Metric {
    Metric { name, kind, labels, help }
}

/// Every metric, in the order of the documentation.
#[rustfmt::skip]
pub(super) const METRICS: &[Metric] = &[
    metric("mainstay_build_info", Type::Gauge, "version", "The program's version; always 1."),
    metric("mainstay_uptime_seconds", Type::Gauge, "", "Time since the start."),
    metric("mainstay_ready", Type::Gauge, "", "1 while new calls are welcome, 0 while stopping."),
    metric("mainstay_requests_total", Type::Counter, "endpoint, status", "Requests that are over, by what was asked for and class of status; `499`: the caller left. `endpoint` is empty where a path led nowhere."),
    metric("mainstay_failures_total", Type::Counter, "kind", "Requests that failed, by kind."),
    metric("mainstay_attempts_total", Type::Counter, "", "Attempts sent to providers."),
    metric("mainstay_in_flight", Type::Gauge, "", "Requests begun and not ended."),
    metric("mainstay_connections", Type::Gauge, "", "Open connections of callers."),
    metric("mainstay_held_body_bytes", Type::Gauge, "", "Bytes of request bodies held in memory."),
    metric("mainstay_admitted", Type::Gauge, "", "Calls that hold a part of limits and budgets."),
    metric("mainstay_overhead_seconds", Type::Histogram, "", "Time spent here per answered call, waits and the provider left out."),
    metric("mainstay_request_seconds", Type::Histogram, "", "From a call's arrival to its end, of calls that reached a provider."),
    metric("mainstay_first_content_seconds", Type::Histogram, "provider", "From a call's arrival to the first content of its answer, by the provider that answered."),
    metric("mainstay_provider_attempts_total", Type::Counter, "provider, outcome", "Attempts by provider and what came of them: `answered`, `cancelled`, or the kind of the failure."),
    metric("mainstay_events_dropped_total", Type::Counter, "provider", "Events of streams that could not be read and were left out, by the provider that sent them."),
    metric("mainstay_waits_total", Type::Counter, "cause", "Attempts sent after a wait, by its cause: `limit`, `backoff`, `hint`, `circuit`, `budget`."),
    metric("mainstay_wait_seconds_total", Type::Counter, "cause", "Time waited before attempts, by cause."),
    metric("mainstay_tokens_total", Type::Counter, "provider, direction", "Tokens of answers: `input`, `cached` (a part of input) and `output`."),
    metric("mainstay_cost_usd_total", Type::Counter, "provider", "What calls cost, in USD, where somebody counts."),
    metric("mainstay_sdk_retries_total", Type::Counter, "", "Calls that the caller's own SDK had sent before."),
    metric("mainstay_circuit_state", Type::Gauge, "provider, credential, model, state", "1 for the state that a target's circuit breaker is in: `closed`, `open`, `half_open`."),
    metric("mainstay_target_in_flight", Type::Gauge, "provider, credential, model", "Attempts under way at a target."),
    metric("mainstay_target_retry_budget", Type::Gauge, "provider, credential, model", "What is left of a target's retry budget."),
    metric("mainstay_retries_denied_total", Type::Counter, "provider, credential, model", "Retries that a target's retry budget denied."),
    metric("mainstay_queue_calls", Type::Gauge, "provider, credential, model", "Calls that wait for a target's limits."),
    metric("mainstay_queue_bytes", Type::Gauge, "provider, credential, model", "Bytes of their bodies."),
    metric("mainstay_target_hold_seconds", Type::Gauge, "provider, credential, model", "What the provider asked to wait, as far as it is not over."),
    metric("mainstay_target_concurrency_max", Type::Gauge, "provider, credential, model", "Most calls at once, where a ceiling was found."),
    metric("mainstay_target_limit_per_minute", Type::Gauge, "provider, credential, model, limit", "A provider's limit as it was told or learnt, units a minute, of all gateways together."),
    metric("mainstay_target_limit_level", Type::Gauge, "provider, credential, model, limit", "Units of it that this gateway may spend at once; negative is a debt."),
    metric("mainstay_target_limit_part", Type::Gauge, "provider, credential, model, limit", "This gateway's part of it, above 0 and at most 1: 1 where no other sends to the account."),
    metric("mainstay_limit", Type::Gauge, "id, measure", "A caller's limit, by the number that `mainstay limit list` shows."),
    metric("mainstay_limit_used", Type::Gauge, "id, measure", "What counts as used of it."),
    metric("mainstay_limit_refusals_total", Type::Counter, "id", "Calls that it refused or, of a shadow, would have refused."),
    metric("mainstay_over_shadow_total", Type::Counter, "", "Calls that shadow limits would refuse."),
    metric("mainstay_budget_refusals_total", Type::Counter, "", "Calls refused because a budget has no room."),
    metric("mainstay_budget_alerts_total", Type::Counter, "", "Alerts that budgets passed."),
    metric("mainstay_budget_debts_total", Type::Counter, "", "Calls that cost more than they held."),
    metric("mainstay_ledger_refusals_total", Type::Counter, "", "Calls refused because the ledger took no hold."),
    metric("mainstay_ledger_unrecorded_total", Type::Counter, "", "Calls without a hard budget that went on unrecorded."),
    metric("mainstay_ledger_violations_total", Type::Counter, "", "Entries that broke a rule and were not written."),
    metric("mainstay_ledger_waiting", Type::Gauge, "", "Entries that wait to be written."),
    metric("mainstay_ledger_open", Type::Gauge, "", "Reservations without a terminal entry."),
    metric("mainstay_ledger_failing", Type::Gauge, "", "1 while entries cannot be written."),
    metric("mainstay_lease_waits_total", Type::Counter, "", "Calls that waited for money of a budget that other gateways spend from too."),
    metric("mainstay_lease_refusals_total", Type::Counter, "", "Calls refused because no such money came in time."),
    metric("mainstay_leases_failing", Type::Gauge, "", "1 while entries are not brought to PostgreSQL, and nothing is leased."),
    metric("mainstay_store_failing", Type::Gauge, "", "1 while changes of keys, limits and budgets cannot be read."),
    metric("mainstay_degraded", Type::Gauge, "reason", "1 while something holds only in part: `shared_store_away`, `nothing_shared`, `store_away`, `ledger_away`."),
    metric("mainstay_shared_store_up", Type::Gauge, "", "1 while Redis or Valkey answers; only where one is configured."),
    metric("mainstay_nodes", Type::Gauge, "", "Gateways that share limits, this one counted; what was known last while the shared store is away."),
    metric("mainstay_shared_store_calls_total", Type::Counter, "outcome", "Questions to the shared store: `answered`, `late` (no answer within `shared.deadline`), `refused` (not asked, because it was away), `failed`."),
    metric("mainstay_pacing_messages_total", Type::Counter, "", "Messages to the shared store about what this gateway sends to providers, for its part of their limits."),
    metric("mainstay_lease_messages_total", Type::Counter, "", "Messages to the shared store about limits: leases asked for and given back."),
    metric("mainstay_lease_unheard_total", Type::Counter, "", "Such messages without an answer."),
    metric("mainstay_admitted_alone_total", Type::Counter, "", "Calls admitted by this gateway's own part of a limit, because the shared store was away and the lease used up."),
    metric("mainstay_records_written_total", Type::Counter, "", "Records of requests written."),
    metric("mainstay_records_dropped_total", Type::Counter, "", "Finished calls that were not told of, or not recorded, because a queue was full."),
    metric("mainstay_records_waiting", Type::Gauge, "", "Records that wait to be written."),
    metric("mainstay_records_failing", Type::Gauge, "", "1 while records cannot be written."),
];

/// `docs/metrics.md`, made from the table.
pub fn page() -> String {
    let mut page = String::from(PAGE_START);
    for Metric { name, kind, labels, help } in METRICS {
        let labels: Vec<String> = labels
            .split(", ")
            .filter(|one| !one.is_empty())
            .map(|one| format!("`{one}`"))
            .collect();
        page.extend([
            "| `",
            name,
            "` | ",
            kind.name(),
            " | ",
            &labels.join(", "),
            " | ",
            help,
            " |\n",
        ]);
    }
    page
}

const PAGE_START: &str = "\
# Metrics

Made from the program's own table; a test keeps it current.

`GET /metrics` on the administration port answers with Prometheus's text format, with the administration token unless
`admin.metrics_open` is set. Alert rules and a dashboard are in [observability](observability/README.md).

Labels are bounded: providers are those of the configuration, models those of targets that have answered (others stand
together as `other`, and at most 200 targets are shown), limits the first 500. Each worker counts for
itself, where a call ends; a page adds them up.

| metric | type | labels | meaning |
| --- | --- | --- | --- |
";
