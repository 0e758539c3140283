//! Limits of callers, by their numbers.

use super::Page;
use crate::shared::Shared;

/// Limits shown.
const SHOWN_MAX: usize = 500;

/// Puts them on the page.
pub(super) fn write(shared: &Shared, page: &mut Page) {
    let mut all = shared.admission.limits.in_numbers(shared.engine.now());
    all.truncate(SHOWN_MAX);
    for (name, pick) in [("mainstay_limit", 0), ("mainstay_limit_used", 1)] {
        page.head(name);
        for (id, readings, _) in &all {
            for reading in readings {
                let value = if pick == 0 { reading.limit } else { reading.used };
                page.line(name, &[("id", id), ("measure", reading.measure.name())], value);
            }
        }
    }
    page.head("mainstay_limit_refusals_total");
    for (id, _, refused) in &all {
        page.line("mainstay_limit_refusals_total", &[("id", id)], refused);
    }
}
