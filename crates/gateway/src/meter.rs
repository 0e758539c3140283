//! What each worker counts. One meter a worker, added up when somebody asks, so that no two cores
//! write to one place.

use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_core::failure::Kind;
use mainstay_core::wire::endpoint::Endpoint;

use crate::finished::Finished;
use crate::metrics::Page;

/// Upper edges of the overhead histogram, microseconds.
const EDGES: [u64; 10] = [25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 100_000];

/// Classes of status.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "499"];
/// What can be asked for, and a path that leads nowhere before them.
const ENDPOINTS: usize = Endpoint::ALL.len() + 1;

fn endpoint_name(row: usize) -> &'static str {
    row.checked_sub(1).and_then(|place| Endpoint::ALL.get(place)).map_or("", |one| one.name())
}

/// Counters of one worker.
#[derive(Debug)]
pub(crate) struct Meter {
    begun: AtomicU64,
    ended: AtomicU64,
    /// By what was asked for, and by the status sent: in hundreds, and the caller who left.
    by_class: [[AtomicU64; CLASSES.len()]; ENDPOINTS],
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
            by_class: [const { [const { AtomicU64::new(0) }; CLASSES.len()] }; ENDPOINTS],
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
        let row = call.endpoint.map_or(0, |endpoint| endpoint as usize + 1).min(ENDPOINTS - 1);
        let class = match call.status {
            499 => CLASSES.len() - 1,
            status => usize::from(status / 100).clamp(1, 5) - 1,
        };
        add(&self.by_class[row][class], 1);
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
    let class = |class: usize| sum(&|m| m.by_class.iter().map(|row| get(&row[class])).sum());
    Totals {
        succeeded: (0..3).map(class).sum(),
        refused: class(3),
        failed: class(4),
        left: class(5),
        attempts: sum(&|m| get(&m.attempts)),
        kinds: (0..Kind::ALL.len()).map(|kind| sum(&|m| get(&m.by_kind[kind]))).collect(),
    }
}

/// Puts all meters on a page.
pub(crate) fn write<'a>(meters: impl Iterator<Item = &'a Meter> + Clone, page: &mut Page) {
    let sum = |pick: &dyn Fn(&Meter) -> u64| meters.clone().map(pick).sum::<u64>();
    page.head("mainstay_requests_total");
    for (place, row) in (0..ENDPOINTS).map(|place| (place, endpoint_name(place))) {
        for (class, status) in CLASSES.iter().enumerate() {
            let count = sum(&|m| get(&m.by_class[place][class]));
            if count > 0 {
                let labels = [("endpoint", row), ("status", *status)];
                page.line("mainstay_requests_total", &labels, count);
            }
        }
    }
    page.head("mainstay_failures_total");
    for (index, kind) in Kind::ALL.iter().enumerate() {
        let count = sum(&|m| get(&m.by_kind[index]));
        page.line("mainstay_failures_total", &[("kind", kind.name())], count);
    }
    page.one("mainstay_attempts_total", sum(&|m| get(&m.attempts)));
    page.one("mainstay_in_flight", sum(&Meter::in_flight));
    page.one("mainstay_connections", sum(&Meter::open_connections));
    let edges = EDGES.map(|edge| edge as f64 / 1e6);
    let counts: Vec<u64> =
        (0..=EDGES.len()).map(|index| sum(&|m| get(&m.overhead[index]))).collect();
    let total = sum(&|m| get(&m.overhead_us)) as f64 / 1e6;
    page.head("mainstay_overhead_seconds");
    page.histogram("mainstay_overhead_seconds", &[], &edges, &counts, total);
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
        let mut page = Page::default();
        write(meters.iter(), &mut page);
        let text = page.text();
        for line in [
            "mainstay_requests_total{endpoint=\"chat\",status=\"4xx\"} 2",
            "mainstay_requests_total{endpoint=\"chat\",status=\"499\"} 1",
            "mainstay_failures_total{kind=\"rate_limit_tokens\"} 2",
            "mainstay_attempts_total 7",
            "mainstay_in_flight 1",
            "mainstay_overhead_seconds_bucket{le=\"0.00005\"} 0",
            "mainstay_overhead_seconds_bucket{le=\"0.0001\"} 2",
            "mainstay_overhead_seconds_sum 0.00012",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn each_kind_and_endpoint_has_the_place_of_its_name() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(place(kind), index, "{kind:?}");
        }
        for (index, endpoint) in Endpoint::ALL.into_iter().enumerate() {
            assert_eq!(endpoint as usize, index, "{endpoint:?}");
            assert_eq!(endpoint_name(index + 1), endpoint.name());
        }
    }
}
