//! What the audit log keeps of a thing: everything but secrets and hashes of them.

use mainstay_core::money::budget::Owner;
use mainstay_core::store::{
    BudgetRecord, KeyRecord, LimitRecord, Member, Organization, Project, User, key_id,
};
use serde_json::{Value, json};

pub(crate) fn organization(organization: &Organization) -> Value {
    let Organization { id, name, created_at } = organization;
    json!({"id": id, "name": name, "created_at": created_at.0})
}

pub(crate) fn project(project: &Project) -> Value {
    let Project { id, org, name, created_at } = project;
    json!({"id": id, "org": org, "name": name, "created_at": created_at.0})
}

pub(crate) fn user(user: &User) -> Value {
    let User { id, name, created_at } = user;
    json!({"id": id, "name": name, "created_at": created_at.0})
}

pub(crate) fn member(member: &Member) -> Value {
    let Member { group, user, role, since, removed_at } = member;
    let removed_at = removed_at.map(|at| at.0);
    json!({
        group.kind(): group.id(), "user": user, "role": role.name(), "since": since.0,
        "removed_at": removed_at,
    })
}

pub(crate) fn key(key: &KeyRecord) -> Value {
    json!({
        "id": key.id(),
        "name": key.name,
        "project": key.project,
        "org": key.org,
        "user": key.user,
        "scopes": key.scopes.to_text(),
        "models": key.models,
        "created_at": key.created_at.0,
        "expires_at": key.expires_at.map(|at| at.0),
        "revoked_at": key.revoked_at.map(|at| at.0),
        "rotated_to": key.rotated.map(|rotated| key_id(rotated.successor)),
        "grace_until": key.rotated.map(|rotated| rotated.grace_until.0),
    })
}

/// A limit; nothing, for one that limits nothing.
pub(crate) fn limit(limit: &LimitRecord) -> Option<Value> {
    let LimitRecord { id, subject, model, spec, tier } = limit;
    let burst = spec.burst.map(|burst| u64::try_from(burst.as_millis()).unwrap_or(u64::MAX));
    let told = json!({
        "id": id,
        subject.what(): subject.id(),
        "model": model,
        "rpm": spec.rpm,
        "tpm": spec.tpm,
        "rpd": spec.rpd,
        "concurrency": spec.concurrency,
        "burst_ms": burst,
        "shadow": spec.shadow,
        "tier": tier,
    });
    (!spec.is_empty()).then_some(told)
}

/// A budget; nothing, for one that was taken away.
pub(crate) fn budget(budget: &BudgetRecord) -> Option<Value> {
    let (what, owner) = match &budget.owner {
        Owner::Organization => ("org", &budget.org),
        Owner::Project(id) => ("project", id),
        Owner::Key(id) => ("key", id),
    };
    let told = json!({
        "id": budget.id,
        what: owner,
        "amount_usd": budget.amount.to_string(),
        "credits_usd": budget.credits.to_string(),
        "period": budget.every.name(),
        "zone": budget.zone,
        "hard": budget.hard,
        "alerts": budget.alerts,
    });
    (!budget.removed).then_some(told)
}
