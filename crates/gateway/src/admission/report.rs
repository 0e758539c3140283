//! Limits and their state as JSON, for the administration plane.

use mainstay_core::rules::limits::Reading;
use mainstay_core::time::Moment;
use serde_json::{Value, json};

use super::LimitDesk;
use super::limits::LimitReport;

/// Limits shown at once.
const SHOWN_MAX: usize = 1_000;

/// Every limit with what counts as used, by number; at most a thousand, and how many there are.
pub(crate) fn limits(desk: &LimitDesk, now: Moment) -> Value {
    let all = desk.report(now);
    let data: Vec<Value> = all.iter().take(SHOWN_MAX).map(limit).collect();
    json!({"object": "list", "data": data, "total": all.len()})
}

fn limit(report: &LimitReport) -> Value {
    let LimitReport { record, readings, in_the_way } = report;
    let state: Vec<Value> = readings.iter().map(reading).collect();
    json!({
        "id": record.id,
        "of": record.subject.what(),
        "subject": record.subject.id(),
        "model": record.model,
        "rpm": record.spec.rpm,
        "tpm": record.spec.tpm,
        "rpd": record.spec.rpd,
        "concurrency": record.spec.concurrency,
        "burst_ms": record.spec.burst.map(|burst| u64::try_from(burst.as_millis()).unwrap_or(u64::MAX)),
        "shadow": record.spec.shadow,
        "tier": record.tier,
        "in_the_way": in_the_way,
        "state": state,
    })
}

fn reading(reading: &Reading) -> Value {
    json!({
        "measure": reading.measure.name(),
        "limit": reading.limit,
        "used": reading.used,
        "reset_ms": u64::try_from(reading.reset.as_millis()).unwrap_or(u64::MAX),
    })
}
