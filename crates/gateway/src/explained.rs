//! A request's record as JSON, and what is told about it: one form for the command line, for the
//! administration API and for the support bundle.

use std::time::Duration;

use mainstay::TargetSnapshot;
use mainstay_core::catalogue;
use mainstay_core::failure::{Kind, Origin, Scope};
use mainstay_core::store::{AttemptNote, FailureNote, LimitNote, RequestRecord, StateNote};
use serde_json::{Value, json};

use crate::help::Help;
use crate::shapes;

/// What stands in lists.
pub fn summary(record: &RequestRecord) -> Value {
    let failed = record.failed.as_ref();
    let usage = record.usage;
    json!({
        "id": record.id.to_string(),
        "at": shapes::time_millis(record.at),
        "key": record.key,
        "key_name": record.key_name,
        "org": record.org,
        "project": record.project,
        "endpoint": record.endpoint.name(),
        "model": record.model,
        "served": record.served,
        "provider": record.provider,
        "stream": record.stream,
        "status": record.status,
        "outcome": outcome(record),
        "kind": failed.map(|note| note.kind.name()),
        "origin": failed.map(|note| note.origin.name()),
        "code": failed.and_then(|note| note.code.as_deref()),
        "attempts": record.attempts_sent,
        "took_ms": millis(record.took),
        "waited_ms": millis(record.waited),
        "first_content_ms": record.first_content.map(millis),
        "overhead_us": micros(record.overhead),
        "input_tokens": usage.map(|usage| usage.input),
        "cached_tokens": usage.map(|usage| usage.cached),
        "output_tokens": usage.map(|usage| usage.output),
        "tokens_counted_here": record.counted,
        "cost_usd": record.cost.map(|cost| cost.to_string()),
    })
}

/// Everything that is known, and what it means. `help`: of the provider that was asked last.
pub fn detail(record: &RequestRecord, help: Option<&Help>) -> Value {
    let mut all = summary(record);
    all["sdk_retry"] = json!(record.sdk_retry);
    all["timeline"] = record.attempts.iter().enumerate().map(attempt).collect();
    all["failure"] = record.failed.as_ref().map_or(Value::Null, failure);
    all["what_happened"] = json!(what_happened(record));
    all["help"] = match (help, &record.failed) {
        (Some(help), Some(note)) if theirs(note.origin) => {
            json!({"status_page": help.status_page, "support": help.support})
        }
        _ => Value::Null,
    };
    all
}

/// Whether a failure is one to turn to the provider with.
fn theirs(origin: Origin) -> bool {
    match origin {
        Origin::Provider | Origin::Network => true,
        Origin::Caller | Origin::Mainstay => false,
    }
}

/// How it ended, in a word: `answered`, `failed`, `refused` (before anything was sent), `cut` (after
/// the answer had begun) or `left` (the caller went away).
pub fn outcome(record: &RequestRecord) -> &'static str {
    match &record.failed {
        None if record.status == crate::ticket::CALLER_LEFT => "left",
        None => "answered",
        Some(_) if record.status < 400 => "cut",
        Some(_) if record.attempts_sent == 0 => "refused",
        Some(_) => "failed",
    }
}

/// What happened, as one sentence for a person.
pub fn what_happened(record: &RequestRecord) -> String {
    let provider = record.provider.as_deref().unwrap_or("no provider");
    let attempts = match record.attempts_sent {
        1 => "1 attempt".to_owned(),
        many => format!("{many} attempts"),
    };
    let failed = record.failed.as_ref();
    let kind = failed.map_or("", |note| note.kind.name());
    let side = failed.map_or("", |note| match note.origin {
        Origin::Caller => "the caller's side",
        Origin::Network => "the network between here and the provider",
        Origin::Mainstay => "this gateway's side",
        Origin::Provider => "the provider's side",
    });
    let (status, took) = (record.status, record.took.as_millis());
    match outcome(record) {
        "answered" if record.attempts_sent == 0 => {
            format!("answered here with {status} in {took} ms")
        }
        "answered" => {
            format!("answered by {provider} with {status} in {took} ms, after {attempts}")
        }
        "left" => format!("the caller went away after {took} ms and {attempts}"),
        "cut" => format!("the answer of {provider} broke off after {took} ms ({kind}, {side})"),
        "refused" => format!("refused here with {status} ({kind}, {side}); nothing was sent"),
        _ => format!(
            "failed with {status} ({kind}, {side}) after {attempts} and {took} ms; {provider} was asked last"
        ),
    }
}

fn failure(note: &FailureNote) -> Value {
    let entry = catalogue::entry(note.kind);
    let headers: serde_json::Map<String, Value> =
        note.headers.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
    json!({
        "kind": note.kind.name(),
        "class": entry.class.name(),
        "origin": note.origin.name(),
        "scope": note.scope.map(Scope::name),
        "code": note.code,
        "param": note.param,
        "message": note.message,
        "upstream_request_id": note.upstream_id,
        "retry_after_ms": note.retry_after.map(millis),
        "cause": entry.cause,
        "steps": entry.steps,
        "retry_advice": entry.retry_advice,
        "request": {"headers": headers, "shape": note.shape, "content_kept": note.content.is_some()},
    })
}

fn attempt((index, note): (usize, &AttemptNote)) -> Value {
    json!({
        "number": index + 1,
        "provider": note.provider,
        "credential": note.credential,
        "model": note.model,
        "start_ms": millis(note.start),
        "waited_ms": millis(note.waited),
        "wait_cause": if note.cause.is_empty() { None } else { Some(&note.cause) },
        "took_ms": millis(note.took),
        "lasted_ms": millis(note.lasted),
        "status": note.status,
        "kind": note.kind.map(Kind::name),
        "bytes": note.bytes,
        "input_tokens": note.usage.map(|usage| usage.input),
        "output_tokens": note.usage.map(|usage| usage.output),
        "state": note.state.as_ref().map(state),
    })
}

fn state(note: &StateNote) -> Value {
    let limits: Vec<Value> = note.limits.iter().map(limit).collect();
    json!({
        "exact": note.exact,
        "circuit": note.circuit,
        "in_flight": note.in_flight,
        "queued": note.queued,
        "ceiling": note.ceiling,
        "retry_budget": note.retry_budget,
        "hold_ms": millis(note.hold),
        "limits": limits,
    })
}

fn limit(note: &LimitNote) -> Value {
    let tenth = |number: f64| (number * 10.0).round() / 10.0;
    json!({
        "name": note.name,
        "per_minute": tenth(note.per_minute),
        "level": tenth(note.level),
        "told": note.told,
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What is known of targets.
pub(crate) fn targets(all: &[TargetSnapshot]) -> Value {
    let one = |target: &TargetSnapshot| {
        let limits = target.pacer.limits.iter().flatten().map(|known| {
            let (name, per_minute, level) = (known.name.into(), known.per_minute, known.level);
            limit(&LimitNote { name, per_minute, level, told: known.told })
        });
        json!({
            "provider": target.provider,
            "credential": target.credential,
            "model": target.model,
            "circuit": target.circuit.name(),
            "in_flight": target.in_flight,
            "queued": target.pacer.queued,
            "ceiling": target.pacer.ceiling,
            "retry_budget": target.retry_budget,
            "hold_ms": millis(target.pacer.hold),
            "limits": limits.collect::<Vec<Value>>(),
        })
    };
    all.iter().map(one).collect()
}
