//! What is known of targets: circuits, queues, limits told and learnt.

use std::collections::BTreeMap;

use mainstay::TargetSnapshot;
use mainstay::call::{Circuit, LimitSnapshot};

use super::Page;

/// Targets shown.
const SHOWN_MAX: usize = 200;
/// The name that stands for models which never answered: a caller may have made them up.
const OTHER: &str = "other";

/// A metric of each limit.
type PerLimit = (&'static str, fn(&LimitSnapshot) -> f64);
/// The labels of a target.
type Place = (String, String, String);

/// What is shown of a target, or of several together.
#[derive(Default)]
struct Shown {
    circuits: [u64; 3],
    in_flight: u64,
    retry_budget: u64,
    denied: u64,
    queued: u64,
    queued_bytes: u64,
    hold: f64,
    ceiling: Option<u32>,
    limits: Vec<LimitSnapshot>,
}

/// Puts them on the page.
pub(super) fn write(targets: &[TargetSnapshot], page: &mut Page) {
    let mut all: BTreeMap<Place, Shown> = BTreeMap::new();
    for target in targets {
        let named = target.answered && all.len() < SHOWN_MAX;
        let model = if named { target.model.as_deref().unwrap_or("") } else { OTHER };
        let place = (target.provider.clone(), target.credential.to_string(), model.to_owned());
        add(all.entry(place).or_default(), target, named);
    }
    let each = |page: &mut Page, name: &'static str, value: &dyn Fn(&Shown) -> Option<f64>| {
        page.head(name);
        for (place, shown) in &all {
            if let Some(value) = value(shown) {
                page.line(name, &labels(place), value);
            }
        }
    };
    page.head("mainstay_circuit_state");
    for (place, shown) in &all {
        for (state, count) in Circuit::ALL.into_iter().zip(shown.circuits) {
            let [provider, credential, model] = labels(place);
            let labels = [provider, credential, model, ("state", state.name())];
            page.line("mainstay_circuit_state", &labels, count);
        }
    }
    each(page, "mainstay_target_in_flight", &|shown| Some(shown.in_flight as f64));
    each(page, "mainstay_target_retry_budget", &|shown| Some(shown.retry_budget as f64));
    each(page, "mainstay_retries_denied_total", &|shown| Some(shown.denied as f64));
    each(page, "mainstay_queue_calls", &|shown| Some(shown.queued as f64));
    each(page, "mainstay_queue_bytes", &|shown| Some(shown.queued_bytes as f64));
    each(page, "mainstay_target_hold_seconds", &|shown| Some(shown.hold));
    each(page, "mainstay_target_concurrency_max", &|shown| shown.ceiling.map(f64::from));
    let per_limit: [PerLimit; 3] = [
        ("mainstay_target_limit_per_minute", |limit| limit.per_minute),
        ("mainstay_target_limit_level", |limit| limit.level),
        ("mainstay_target_limit_part", |limit| limit.part),
    ];
    for (name, value) in per_limit {
        page.head(name);
        for (place, shown) in &all {
            for limit in &shown.limits {
                let [provider, credential, model] = labels(place);
                let labels = [provider, credential, model, ("limit", limit.name)];
                page.line(name, &labels, value(limit));
            }
        }
    }
}

fn labels((provider, credential, model): &Place) -> [(&str, &str); 3] {
    [("provider", provider), ("credential", credential), ("model", model)]
}

fn add(shown: &mut Shown, target: &TargetSnapshot, named: bool) {
    let place = Circuit::ALL.iter().position(|state| *state == target.circuit).unwrap_or(0);
    shown.circuits[place] += 1;
    shown.in_flight += u64::from(target.in_flight);
    shown.retry_budget += u64::from(target.retry_budget);
    shown.denied += target.retries_denied;
    shown.queued += u64::from(target.pacer.queued);
    shown.queued_bytes += target.pacer.queued_bytes;
    if !named {
        return;
    }
    shown.hold = target.pacer.hold.as_secs_f64();
    shown.ceiling = target.pacer.ceiling;
    shown.limits = target.pacer.limits.iter().flatten().copied().collect();
}
