//! What each worker counts. One meter a worker, added up when somebody asks, so that no two cores
//! write to one place.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_core::failure::Kind;

use crate::finished::Finished;

/// Upper edges of the overhead histogram, microseconds.
const EDGES: [u64; 10] = [25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 100_000];

/// Counters of one worker.
#[derive(Debug)]
pub(crate) struct Meter {
    begun: AtomicU64,
    ended: AtomicU64,
    /// By the status sent, in hundreds; the caller who left is counted apart.
    by_class: [AtomicU64; 6],
    left: AtomicU64,
    by_kind: [AtomicU64; Kind::ALL.len()],
    attempts: AtomicU64,
    overhead: [AtomicU64; EDGES.len() + 1],
    overhead_us: AtomicU64,
    connections: AtomicU64,
    connections_ended: AtomicU64,
}

impl Default for Meter {
    fn default() -> Self {
        Meter {
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            by_class: [const { AtomicU64::new(0) }; 6],
            left: AtomicU64::new(0),
            by_kind: [const { AtomicU64::new(0) }; Kind::ALL.len()],
            attempts: AtomicU64::new(0),
            overhead: [const { AtomicU64::new(0) }; EDGES.len() + 1],
            overhead_us: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            connections_ended: AtomicU64::new(0),
        }
    }
}

/// The place of a kind in [`Kind::ALL`], which is in the order of the kinds themselves.
const fn place(kind: Kind) -> usize {
    kind as usize
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl Meter {
    /// A request began.
    pub(crate) fn begin(&self) {
        add(&self.begun, 1);
    }

    /// A call is over. `status` 499: the caller left.
    pub(crate) fn finished(&self, call: &Finished) {
        if call.status == 499 {
            add(&self.left, 1);
        } else {
            add(&self.by_class[usize::from(call.status / 100).min(5)], 1);
        }
        if let Some(note) = &call.failed {
            add(&self.by_kind[place(note.kind)], 1);
        }
        if call.trace.attempts > 0 {
            add(&self.attempts, u64::from(call.trace.attempts));
        }
    }

    /// The last of a request is gone.
    pub(crate) fn end(&self) {
        add(&self.ended, 1);
    }

    /// Time a call spent here, waits and the provider left out.
    pub(crate) fn overhead(&self, micros: u64) {
        let bucket = EDGES.iter().position(|edge| micros <= *edge).unwrap_or(EDGES.len());
        add(&self.overhead[bucket], 1);
        add(&self.overhead_us, micros);
    }

    /// A caller connected.
    pub(crate) fn connected(&self) {
        add(&self.connections, 1);
    }

    /// A caller's connection ended.
    pub(crate) fn disconnected(&self) {
        add(&self.connections_ended, 1);
    }

    /// Requests that began and have not ended.
    pub(crate) fn in_flight(&self) -> u64 {
        let ended = get(&self.ended);
        get(&self.begun).saturating_sub(ended)
    }

    /// Connections that are open.
    pub(crate) fn open_connections(&self) -> u64 {
        let ended = get(&self.connections_ended);
        get(&self.connections).saturating_sub(ended)
    }
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// What all workers have counted since their start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Answered with success.
    pub(crate) succeeded: u64,
    /// Answered with a status from 400 to 499.
    pub(crate) refused: u64,
    /// Answered with a status from 500 on.
    pub(crate) failed: u64,
    /// Callers who left before the end.
    pub(crate) left: u64,
    /// Attempts sent to providers.
    pub(crate) attempts: u64,
    /// Failures, in the order of [`Kind::ALL`].
    pub(crate) kinds: Vec<u64>,
}

/// Adds up all workers.
pub(crate) fn totals<'a>(meters: impl Iterator<Item = &'a Meter> + Clone) -> Totals {
    let sum = |pick: &dyn Fn(&Meter) -> u64| meters.clone().map(pick).sum::<u64>();
    Totals {
        succeeded: (0..4).map(|class| sum(&|m| get(&m.by_class[class]))).sum(),
        refused: sum(&|m| get(&m.by_class[4])),
        failed: sum(&|m| get(&m.by_class[5])),
        left: sum(&|m| get(&m.left)),
        attempts: sum(&|m| get(&m.attempts)),
        kinds: (0..Kind::ALL.len()).map(|kind| sum(&|m| get(&m.by_kind[kind]))).collect(),
    }
}

/// What is counted for all workers together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Together {
    /// Bytes of request bodies held in memory.
    pub(crate) held: u64,
    /// Calls admitted and not settled.
    pub(crate) admitted: u64,
    /// Calls that shadow limits would have refused.
    pub(crate) over_shadows: u64,
}

/// All meters as Prometheus text.
pub(crate) fn prometheus<'a>(
    meters: impl Iterator<Item = &'a Meter> + Clone,
    together: Together,
) -> String {
    let sum = |pick: &dyn Fn(&Meter) -> u64| meters.clone().map(pick).sum::<u64>();
    let mut text = String::with_capacity(4096);
    let mut page = Page(&mut text);
    page.head("mainstay_requests_total", "counter", "Requests answered, by class of status.");
    for (class, name) in ["", "1xx", "2xx", "3xx", "4xx", "5xx"].iter().enumerate().skip(2) {
        page.line(
            "mainstay_requests_total",
            &format!("{{status=\"{name}\"}}"),
            sum(&|m| get(&m.by_class[class])),
        );
    }
    page.line("mainstay_requests_total", "{status=\"499\"}", sum(&|m| get(&m.left)));
    page.head("mainstay_failures_total", "counter", "Requests that failed, by kind.");
    for (index, kind) in Kind::ALL.iter().enumerate() {
        let count = sum(&|m| get(&m.by_kind[index]));
        page.line("mainstay_failures_total", &format!("{{kind=\"{}\"}}", kind.name()), count);
    }
    page.head("mainstay_attempts_total", "counter", "Attempts sent to providers.");
    page.line("mainstay_attempts_total", "", sum(&|m| get(&m.attempts)));
    page.head("mainstay_in_flight", "gauge", "Requests begun and not ended.");
    page.line("mainstay_in_flight", "", sum(&Meter::in_flight));
    page.head("mainstay_connections", "gauge", "Open connections of callers.");
    page.line("mainstay_connections", "", sum(&Meter::open_connections));
    page.head("mainstay_held_body_bytes", "gauge", "Bytes of request bodies held in memory.");
    page.line("mainstay_held_body_bytes", "", together.held);
    page.head("mainstay_admitted", "gauge", "Calls that hold a part of limits and budgets.");
    page.line("mainstay_admitted", "", together.admitted);
    page.head("mainstay_over_shadow_total", "counter", "Calls that shadow limits would refuse.");
    page.line("mainstay_over_shadow_total", "", together.over_shadows);
    overhead(&mut page, sum);
    text
}

fn overhead(page: &mut Page<'_>, sum: impl Fn(&dyn Fn(&Meter) -> u64) -> u64) {
    const NAME: &str = "mainstay_overhead_seconds";
    page.head(
        NAME,
        "histogram",
        "Time spent here per answered call, waits and the provider left out.",
    );
    let mut below = 0;
    for (index, edge) in EDGES.iter().enumerate() {
        below += sum(&|m| get(&m.overhead[index]));
        let edge = *edge as f64 / 1e6;
        page.line(&format!("{NAME}_bucket"), &format!("{{le=\"{edge}\"}}"), below);
    }
    below += sum(&|m| get(&m.overhead[EDGES.len()]));
    page.line(&format!("{NAME}_bucket"), "{le=\"+Inf\"}", below);
    let total = sum(&|m| get(&m.overhead_us)) as f64 / 1e6;
    page.line(&format!("{NAME}_sum"), "", total);
    page.line(&format!("{NAME}_count"), "", below);
}

struct Page<'a>(&'a mut String);

impl Page<'_> {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn line(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        self.write(format_args!("{name}{labels} {value}\n"));
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("a string takes every text");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_workers_are_added_up() {
        let meters = [Meter::default(), Meter::default()];
        for meter in &meters {
            meter.begin();
            meter.begin();
            meter.finished(&Finished::sample(429, Some(Kind::RateLimitTokens), 3));
            meter.end();
            meter.overhead(60);
        }
        meters[1].finished(&Finished::sample(499, None, 1));
        meters[1].end();
        let together = Together { held: 7, admitted: 3, over_shadows: 2 };
        let text = prometheus(meters.iter(), together);
        for line in [
            "mainstay_requests_total{status=\"4xx\"} 2",
            "mainstay_requests_total{status=\"499\"} 1",
            "mainstay_failures_total{kind=\"rate_limit_tokens\"} 2",
            "mainstay_attempts_total 7",
            "mainstay_in_flight 1",
            "mainstay_held_body_bytes 7",
            "mainstay_admitted 3",
            "mainstay_over_shadow_total 2",
            "mainstay_overhead_seconds_bucket{le=\"0.00005\"} 0",
            "mainstay_overhead_seconds_bucket{le=\"0.0001\"} 2",
            "mainstay_overhead_seconds_sum 0.00012",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
        }
    }
}
