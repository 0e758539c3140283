//! Metrics: what there is, what it means, and the page that Prometheus reads.
//!
//! Names of providers come from the configuration, names of models only from targets that have
//! answered: no caller can make a label.

use std::fmt::{Display, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::shared::Shared;

mod limits;
mod table;
mod tally;
mod targets;

pub use table::page as metrics_page;
use table::{METRICS, Metric};
pub(crate) use tally::{Tallies, Tally};

/// Everything, as text of Prometheus's format 0.0.4.
pub(crate) fn text(shared: &Shared) -> String {
    let mut page = Page { text: String::with_capacity(16 * 1024) };
    process(shared, &mut page);
    crate::meter::write(shared.meters.iter().map(AsRef::as_ref), &mut page);
    shared.telling.tallies().write(&mut page);
    targets::write(&shared.engine.snapshot(), &mut page);
    limits::write(shared, &mut page);
    shared.money.metrics(&mut page);
    crate::sharing::metrics(shared, &mut page);
    telling(shared, &mut page);
    page.text
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn process(shared: &Shared, page: &mut Page) {
    page.head("mainstay_build_info");
    page.line("mainstay_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.one("mainstay_uptime_seconds", shared.engine.now().as_nanos() as f64 / 1e9);
    page.one("mainstay_ready", u64::from(shared.ready()));
    page.one("mainstay_held_body_bytes", shared.held.bytes());
    page.one("mainstay_admitted", shared.admission.open());
    page.one("mainstay_over_shadow_total", shared.admission.limits.over_shadows());
    page.one("mainstay_store_failing", u64::from(shared.store_failing.load(Ordering::Relaxed)));
}

fn telling(shared: &Shared, page: &mut Page) {
    let telling = &shared.telling;
    page.one("mainstay_records_written_total", get(&telling.written));
    page.one("mainstay_records_dropped_total", get(&telling.dropped));
    page.one("mainstay_records_waiting", get(&telling.waiting));
    page.one("mainstay_records_failing", u64::from(telling.trouble().is_some()));
}

/// The page, as it grows. Only what stands in the table of metrics can be put on it.
#[derive(Debug, Default)]
pub(crate) struct Page {
    text: String,
}

impl Page {
    /// What is on it.
    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Begins a metric.
    pub(crate) fn head(&mut self, name: &'static str) {
        let Some(Metric { kind, help, .. }) = METRICS.iter().find(|metric| metric.name == name)
        else {
            debug_assert!(false, "{name} is not in the table of metrics");
            return;
        };
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.name()));
    }

    /// A value with labels.
    pub(crate) fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.text.push_str(if index == 0 { "{" } else { "," });
            self.write(format_args!("{label}=\""));
            for c in text.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        self.text.push_str(if labels.is_empty() { "" } else { "}" });
        self.write(format_args!(" {value}\n"));
    }

    /// A metric of one value.
    pub(crate) fn one(&mut self, name: &'static str, value: impl Display) {
        self.head(name);
        self.line(name, &[], value);
    }

    /// One histogram of a metric: counts by upper edge, the last of them beyond every edge.
    pub(crate) fn histogram(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        edges: &[f64],
        counts: &[u64],
        sum: f64,
    ) {
        let mut below = 0;
        for (index, count) in counts.iter().enumerate() {
            below += count;
            let edge = edges.get(index).map_or_else(|| "+Inf".to_owned(), f64::to_string);
            let mut all = labels.to_vec();
            all.push(("le", &edge));
            self.line(&format!("{name}_bucket"), &all, below);
        }
        self.line(&format!("{name}_sum"), labels, sum);
        self.line(&format!("{name}_count"), labels, below);
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("a string takes every text");
    }
}
