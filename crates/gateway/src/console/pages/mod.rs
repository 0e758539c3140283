//! The pages. Each asks the desk, makes what its template shows, and nothing else.

mod alerts;
mod budgets;
mod errors;
mod keys;
mod names;
mod organizations;
mod overview;
mod providers;
mod requests;
mod settings;
mod usage;

use super::{Way, change, show};

/// Pages that show what is and was.
pub(super) const READING: &[Way] = &[
    show("/", overview::page),
    show("/live/overview", overview::live),
    show("/requests", requests::page),
    show("/requests/{id}", requests::one),
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
