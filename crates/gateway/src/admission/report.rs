//! The state of limits as JSON, for the administration plane.

use mainstay_core::rules::limits::Reading;
use mainstay_core::time::Moment;
use serde_json::{Value, json};

use super::LimitDesk;
use super::limits::LimitReport;

impl LimitDesk {
    /// What counts as used of each limit, by the limit's number.
    pub(crate) fn states(&self, now: Moment) -> impl Iterator<Item = (u64, Value)> {
        self.report(now).into_iter().map(|report| {
            let LimitReport { id, readings, in_the_way } = report;
            let state: Vec<Value> = readings.iter().map(reading).collect();
            (id, json!({"in_the_way": in_the_way, "state": state}))
        })
    }
}

fn reading(reading: &Reading) -> Value {
    json!({
        "measure": reading.measure.name(),
        "limit": reading.limit,
        "used": reading.used,
        "reset_ms": u64::try_from(reading.reset.as_millis()).unwrap_or(u64::MAX),
    })
}
