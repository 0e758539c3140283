//! What is counted of finished calls beside their path: by provider, by cause.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay::call::AttemptRecord;
use mainstay_core::money::Usd;
use mainstay_core::store::RequestRecord;

use super::Page;

/// Upper edges of times, in seconds.
const EDGES: [f64; 14] =
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0];

/// How often times fell below each edge.
#[derive(Debug, Default)]
struct Times {
    counts: [u64; EDGES.len() + 1],
    sum: f64,
}

impl Times {
    fn add(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = EDGES.iter().position(|edge| seconds <= *edge).unwrap_or(EDGES.len());
        self.counts[bucket] += 1;
        self.sum += seconds;
    }
}

/// What is counted for one provider.
#[derive(Debug, Default)]
struct OfProvider {
    first_content: Times,
    attempts: BTreeMap<&'static str, u64>,
    events_dropped: u64,
    input: u64,
    cached: u64,
    output: u64,
    cost: Usd,
}

/// Counts of finished calls.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    providers: BTreeMap<Box<str>, OfProvider>,
    waits: BTreeMap<Box<str>, (u64, f64)>,
    took: Times,
    sdk_retries: u64,
}

impl Tally {
    /// Counts a call.
    pub(crate) fn finished(&mut self, call: &RequestRecord) {
        self.sdk_retries += u64::from(call.sdk_retry > 0);
        for attempt in &call.attempts {
            let outcome = match (attempt.kind, attempt.status) {
                (Some(kind), _) => kind.name(),
                (None, Some(_)) => "answered",
                (None, None) => "cancelled",
            };
            *self.of(&attempt.provider).attempts.entry(outcome).or_default() += 1;
            if !attempt.waited.is_zero() {
                let cause = if attempt.cause.is_empty() { "other" } else { &*attempt.cause };
                let entry = self.waits.entry(cause.into()).or_default();
                entry.0 += 1;
                entry.1 += attempt.waited.as_secs_f64();
            }
        }
        if call.attempts_sent > 0 {
            self.took.add(call.took);
        }
        let Some(provider) = call.provider.as_deref() else { return };
        let provider = self.of(provider);
        if let Some(time) = call.first_content {
            provider.first_content.add(time);
        }
        let usage = call.usage.unwrap_or_default();
        provider.input = provider.input.saturating_add(usage.input);
        provider.cached = provider.cached.saturating_add(usage.cached);
        provider.output = provider.output.saturating_add(usage.output);
        provider.cost = provider.cost.plus(call.cost.unwrap_or_default()).unwrap_or(Usd::MAX);
    }

    /// Counts events of streams that could not be read and were left out.
    pub(crate) fn dropped(&mut self, attempts: &[AttemptRecord]) {
        for attempt in attempts.iter().filter(|attempt| attempt.dropped > 0) {
            self.of(&attempt.provider).events_dropped += u64::from(attempt.dropped);
        }
    }

    fn of(&mut self, provider: &str) -> &mut OfProvider {
        if !self.providers.contains_key(provider) {
            self.providers.insert(provider.into(), OfProvider::default());
        }
        self.providers.get_mut(provider).expect("it was put there")
    }

    /// Puts them on the page.
    pub(super) fn write(&self, page: &mut Page) {
        page.head("mainstay_request_seconds");
        page.histogram("mainstay_request_seconds", &[], &EDGES, &self.took.counts, self.took.sum);
        page.head("mainstay_first_content_seconds");
        for (name, provider) in &self.providers {
            let Times { counts, sum } = &provider.first_content;
            let labels = [("provider", &**name)];
            page.histogram("mainstay_first_content_seconds", &labels, &EDGES, counts, *sum);
        }
        page.head("mainstay_provider_attempts_total");
        for (name, provider) in &self.providers {
            for (outcome, count) in &provider.attempts {
                let labels = [("provider", &**name), ("outcome", outcome)];
                page.line("mainstay_provider_attempts_total", &labels, count);
            }
        }
        page.head("mainstay_events_dropped_total");
        for (name, provider) in &self.providers {
            let labels = [("provider", &**name)];
            page.line("mainstay_events_dropped_total", &labels, provider.events_dropped);
        }
        page.head("mainstay_waits_total");
        for (cause, (count, _)) in &self.waits {
            page.line("mainstay_waits_total", &[("cause", cause)], count);
        }
        page.head("mainstay_wait_seconds_total");
        for (cause, (_, seconds)) in &self.waits {
            page.line("mainstay_wait_seconds_total", &[("cause", cause)], seconds);
        }
        self.write_use(page);
    }

    fn write_use(&self, page: &mut Page) {
        page.head("mainstay_tokens_total");
        for (name, provider) in &self.providers {
            for (direction, count) in [
                ("input", provider.input),
                ("cached", provider.cached),
                ("output", provider.output),
            ] {
                let labels = [("provider", &**name), ("direction", direction)];
                page.line("mainstay_tokens_total", &labels, count);
            }
        }
        page.head("mainstay_cost_usd_total");
        for (name, provider) in &self.providers {
            let cost = provider.cost.pico() as f64 / 1e12;
            page.line("mainstay_cost_usd_total", &[("provider", name)], cost);
        }
        page.one("mainstay_sdk_retries_total", self.sdk_retries);
    }
}
