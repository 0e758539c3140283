//! How organizations, projects, users, members, keys, limits, budgets, usage and changes look as JSON:
//! one form for the command line and for the administration API.

use mainstay_core::money::Usd;
use mainstay_core::money::budget::{Owner, Period};
use mainstay_core::rules::limits::LimitSpec;
use mainstay_core::store::{
    AuditEntry, BudgetAlert, BudgetRecord, Group, KeyRecord, LimitRecord, Member, Organization,
    Project, Scope, UnixMillis, User, key_id,
};
use serde_json::{Value, json};

use crate::config::duration_text;
use crate::spending::UsageLine;

/// A time as RFC 3339, in UTC, to the second.
pub fn time(at: UnixMillis) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    let stamp = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    stamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A time as RFC 3339, in UTC, to the millisecond.
pub fn time_millis(at: UnixMillis) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    let stamp = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    stamp.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// An organization.
pub fn organization(organization: &Organization) -> Value {
    let Organization { id, name, created_at } = organization;
    json!({"id": id, "name": name, "created_at": time(*created_at)})
}

/// A budget and what is spent of it in `period`.
pub fn budget(record: &BudgetRecord, period: Period, spent: Usd) -> Value {
    let (project, key) = match &record.owner {
        Owner::Organization => (None, None),
        Owner::Project(id) => (Some(id), None),
        Owner::Key(id) => (None, Some(id)),
    };
    let left = record.limit().minus(spent).unwrap_or(Usd::ZERO).max(Usd::ZERO);
    json!({
        "id": record.id,
        "org": record.org,
        "project": project,
        "key": key,
        "period": record.every.name(),
        "zone": record.zone,
        "hard": record.hard,
        "amount_usd": record.amount.to_string(),
        "credits_usd": record.credits.to_string(),
        "limit_usd": record.limit().to_string(),
        "spent_usd": spent.to_string(),
        "left_usd": left.to_string(),
        "alerts": record.alerts,
        "created_at": time(record.created_at),
        "starts_at": time(period.start),
        "resets_at": period.end.map(time),
    })
}

/// An alert of a budget.
pub fn alert(raised: &BudgetAlert) -> Value {
    let BudgetAlert { id, at, org, alert } = raised;
    let (project, key) = match &alert.owner {
        Owner::Organization => (None, None),
        Owner::Project(id) => (Some(id), None),
        Owner::Key(id) => (None, Some(id)),
    };
    json!({
        "id": id,
        "at": time(*at),
        "budget": alert.rule,
        "org": org,
        "project": project,
        "key": key,
        "percent": alert.percent,
        "since": time(alert.since),
        "spent_usd": alert.settled.to_string(),
        "limit_usd": alert.limit.to_string(),
    })
}

/// A line of usage.
pub fn usage(line: &UsageLine) -> Value {
    let UsageLine { id, name, requests, input, cached, output, cost } = line;
    json!({
        "id": id,
        "name": name,
        "requests": requests,
        "input_tokens": input,
        "cached_input_tokens": cached,
        "output_tokens": output,
        "cost_usd": cost.to_string(),
    })
}

/// A limit.
pub fn limit(limit: &LimitRecord) -> Value {
    let LimitRecord { id, subject, model, spec, tier } = limit;
    let mut shown = limit_spec(spec);
    shown["id"] = json!(id);
    shown["of"] = json!(subject.what());
    shown["subject"] = json!(subject.id());
    shown["model"] = json!(model);
    shown["tier"] = json!(tier);
    shown
}

/// What a limit allows.
pub fn limit_spec(spec: &LimitSpec) -> Value {
    let LimitSpec { rpm, tpm, rpd, concurrency, burst, shadow } = spec;
    json!({
        "rpm": rpm,
        "tpm": tpm,
        "rpd": rpd,
        "concurrency": concurrency,
        "burst": burst.map(duration_text),
        "shadow": shadow,
    })
}

/// A project.
pub fn project(project: &Project) -> Value {
    let Project { id, org, name, created_at } = project;
    json!({"id": id, "org": org, "name": name, "created_at": time(*created_at)})
}

/// A user.
pub fn user(user: &User) -> Value {
    let User { id, name, created_at } = user;
    json!({"id": id, "name": name, "created_at": time(*created_at)})
}

/// A membership.
pub fn member(member: &Member) -> Value {
    let Member { group, user, role, since, removed_at } = member;
    let word = match group {
        Group::Org(_) => "org",
        Group::Project(_) => "project",
    };
    json!({
        word: group.id(),
        "user": user,
        "role": role.name(),
        "since": time(*since),
        "removed_at": removed_at.map(time),
    })
}

/// A key's record, without its secret.
pub fn key(key: &KeyRecord, now: UnixMillis) -> Value {
    let scopes: Vec<&str> = key.scopes.iter().map(Scope::name).collect();
    json!({
        "id": key.id(),
        "name": key.name,
        "state": key.state(now).name(),
        "project": key.project,
        "org": key.org,
        "user": key.user,
        "scopes": scopes,
        "models": key.models,
        "created_at": time(key.created_at),
        "expires_at": key.expires_at.map(time),
        "revoked_at": key.revoked_at.map(time),
        "rotated_to": key.rotated.map(|rotated| key_id(rotated.successor)),
        "grace_until": key.rotated.map(|rotated| time(rotated.grace_until)),
    })
}

/// A change on record.
pub fn change(entry: &AuditEntry) -> Value {
    let AuditEntry { id, at, who, verb, subject, before, after } = entry;
    let read = |text: &Option<String>| -> Value {
        text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    };
    json!({
        "id": id,
        "at": time(*at),
        "who": who,
        "verb": verb,
        "subject": subject,
        "before": read(before),
        "after": read(after),
    })
}
