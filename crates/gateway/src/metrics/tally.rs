//! What is counted of finished calls by provider and by cause: by each worker for itself, added up when
//! somebody asks.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_core::money::Usd;

use super::Page;
use crate::finished::Finished;

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

    fn add_all(&mut self, other: &Times) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum += other.sum;
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

impl OfProvider {
    fn add(&mut self, other: &OfProvider) {
        self.first_content.add_all(&other.first_content);
        for (outcome, count) in &other.attempts {
            *self.attempts.entry(outcome).or_default() += count;
        }
        self.events_dropped += other.events_dropped;
        self.input = self.input.saturating_add(other.input);
        self.cached = self.cached.saturating_add(other.cached);
        self.output = self.output.saturating_add(other.output);
        self.cost = self.cost.plus(other.cost).unwrap_or(Usd::MAX);
    }
}

/// Counts of one worker's finished calls.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// By provider, in the order they came up.
    providers: Vec<(Box<str>, OfProvider)>,
    /// The place of the one that was asked for last.
    recent: usize,
    waits: BTreeMap<&'static str, (u64, f64)>,
    took: Times,
    sdk_retries: u64,
}

impl Tally {
    /// Counts a call.
    pub(crate) fn finished(&mut self, call: &Finished) {
        let trace = &call.trace;
        self.sdk_retries += u64::from(trace.asked.sdk_retry > 0);
        for attempt in &trace.records {
            let outcome = match (attempt.kind, attempt.status) {
                (Some(kind), _) => kind.name(),
                (None, Some(_)) => "answered",
                (None, None) => "cancelled",
            };
            let provider = self.of(&attempt.provider);
            *provider.attempts.entry(outcome).or_default() += 1;
            provider.events_dropped += u64::from(attempt.dropped);
            if !attempt.waited.is_zero() {
                let cause = attempt.wait_cause;
                let entry = self.waits.entry(if cause.is_empty() { "other" } else { cause });
                let entry = entry.or_default();
                entry.0 += 1;
                entry.1 += attempt.waited.as_secs_f64();
            }
        }
        if trace.attempts > 0 {
            self.took.add(call.took);
        }
        let Some(provider) = trace.provider.as_deref() else { return };
        let provider = self.of(provider);
        if let Some(time) = call.first_content() {
            provider.first_content.add(time);
        }
        let usage = call.used.map(|used| used.usage).unwrap_or_default();
        provider.input = provider.input.saturating_add(usage.input);
        provider.cached = provider.cached.saturating_add(usage.cached);
        provider.output = provider.output.saturating_add(usage.output);
        provider.cost = provider.cost.plus(call.cost.unwrap_or_default()).unwrap_or(Usd::MAX);
    }

    fn of(&mut self, name: &str) -> &mut OfProvider {
        let is_it = |(other, _): &(Box<str>, OfProvider)| **other == *name;
        if !self.providers.get(self.recent).is_some_and(is_it) {
            let known = self.providers.iter().position(is_it);
            self.recent = known.unwrap_or(self.providers.len());
            if known.is_none() {
                self.providers.push((name.into(), OfProvider::default()));
            }
        }
        &mut self.providers[self.recent].1
    }

    /// Adds them to those of other workers.
    pub(crate) fn add_to(&self, all: &mut Tallies) {
        for (name, provider) in &self.providers {
            all.providers.entry(name.clone()).or_default().add(provider);
        }
        for (cause, (count, seconds)) in &self.waits {
            let entry = all.waits.entry(cause).or_default();
            entry.0 += count;
            entry.1 += seconds;
        }
        all.took.add_all(&self.took);
        all.sdk_retries += self.sdk_retries;
    }
}

/// Counts of all workers together.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    providers: BTreeMap<Box<str>, OfProvider>,
    waits: BTreeMap<&'static str, (u64, f64)>,
    took: Times,
    sdk_retries: u64,
}

impl Tallies {
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
