//! Providers and what is known of their targets, for people and programs.

use mainstay::{Engine, TargetSnapshot};
use serde_json::{Value, json};

/// Targets shown at once.
const SHOWN_MAX: usize = 1_000;

/// Every provider of the configuration, with the targets that were used since the start; at most a
/// thousand of these, and how many there are.
pub(super) fn providers(engine: &Engine) -> Value {
    let targets = engine.snapshot();
    let shown = &targets[..targets.len().min(SHOWN_MAX)];
    let of = |name: &str| -> Vec<Value> {
        shown.iter().filter(|one| one.provider == name).map(target).collect()
    };
    let data: Vec<Value> = engine
        .provider_names()
        .iter()
        .map(|name| json!({"name": name, "targets": of(name)}))
        .collect();
    json!({"object": "list", "data": data, "targets": targets.len()})
}

fn target(target: &TargetSnapshot) -> Value {
    let pacer = &target.pacer;
    let limits: Vec<Value> = pacer
        .limits
        .iter()
        .flatten()
        .map(|limit| {
            json!({
                "name": limit.name,
                "per_minute": limit.per_minute,
                "level": limit.level,
                "told": limit.told,
            })
        })
        .collect();
    json!({
        "credential": target.credential,
        "model": target.model,
        "circuit": target.circuit.name(),
        "in_flight": target.in_flight,
        "ceiling": pacer.ceiling,
        "queued": pacer.queued,
        "queued_bytes": pacer.queued_bytes,
        "hold_ms": u64::try_from(pacer.hold.as_millis()).unwrap_or(u64::MAX),
        "retry_budget": target.retry_budget,
        "limits": limits,
    })
}
