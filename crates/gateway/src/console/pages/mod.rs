//! The pages. Each asks the desk, makes what its template shows, and nothing else.

mod alerts;
mod budgets;
mod errors;
mod keys;
mod limits;
mod members;
mod names;
mod organizations;
mod overview;
mod providers;
mod requests;
mod settings;
mod usage;

use super::{Way, change, show};
use members::{ORG, PROJECT};

/// Pages that show what is and was.
pub(super) const READING: &[Way] = &[
    show("/", overview::page),
    show("/live/overview", overview::live),
    show("/requests", requests::page),
    show("/requests/{id}", requests::one),
    show("/requests/{id}/report", requests::report),
    show("/providers", providers::page),
    show("/live/providers", providers::live),
    show("/alerts", alerts::page),
    show("/errors", errors::page),
    show("/errors/{kind}", errors::one),
    show("/settings", settings::page),
];

/// Who may call.
pub(super) const KEYS: &[Way] = &[
    show("/keys", keys::page),
    change("/keys", keys::create, keys::page),
    show("/keys/{id}", keys::one),
    change("/keys/{id}/revoke", keys::revoke, keys::one),
    change("/keys/{id}/rotate", keys::rotate, keys::one),
    show("/organizations", organizations::page),
    change("/organizations", organizations::create, organizations::page),
    change("/organizations/projects", organizations::create_project, organizations::page),
    change("/organizations/users", organizations::create_user, organizations::page),
];

/// Who belongs to what, and how much callers may ask for.
pub(super) const CALLERS: &[Way] = &[
    show("/organizations/{id}/members", |visit| members::page(visit, ORG)),
    change(
        "/organizations/{id}/members",
        |visit| members::set(visit, ORG),
        |visit| members::page(visit, ORG),
    ),
    change(
        "/organizations/{id}/members/{user}/remove",
        |visit| members::remove(visit, ORG),
        |visit| members::page(visit, ORG),
    ),
    show("/projects/{id}/members", |visit| members::page(visit, PROJECT)),
    change(
        "/projects/{id}/members",
        |visit| members::set(visit, PROJECT),
        |visit| members::page(visit, PROJECT),
    ),
    change(
        "/projects/{id}/members/{user}/remove",
        |visit| members::remove(visit, PROJECT),
        |visit| members::page(visit, PROJECT),
    ),
    show("/limits", limits::page),
    change("/limits", limits::set, limits::page),
    change("/limits/tiers", limits::give, limits::page),
    change("/limits/{id}/remove", limits::remove, limits::page),
];

/// What is used and what may be spent.
pub(super) const MONEY: &[Way] = &[
    show("/usage", usage::page),
    show("/usage.csv", usage::csv),
    show("/budgets", budgets::page),
    change("/budgets", budgets::set, budgets::page),
    change("/budgets/{id}/raise", budgets::raise, budgets::page),
    change("/budgets/{id}/remove", budgets::remove, budgets::page),
];
