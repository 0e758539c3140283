//! What a simulator counts: every attempt, what became of it, and when.

use crate::provider::bill::Bill;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The most names a table of counts holds; what comes after goes under `…`.
const NAMES_MAX: usize = 20_000;

/// The most points of time that are kept.
const TIMES_MAX: usize = 200_000;

/// Counts by name, bounded.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// Adds one.
    pub(crate) fn add(&mut self, name: &str) {
        if let Some(count) = self.0.get_mut(name) {
            *count += 1;
        } else {
            let name = if self.0.len() < NAMES_MAX { name } else { "…" };
            *self.0.entry(name.to_owned()).or_default() += 1;
        }
    }
}

/// Bills by model, bounded.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Bills(BTreeMap<String, Bill>);

impl Bills {
    /// Adds an answer's.
    pub(crate) fn add(&mut self, model: &str, bill: &Bill) {
        if let Some(sum) = self.0.get_mut(model) {
            sum.add(bill);
        } else {
            let model = if self.0.len() < NAMES_MAX { model } else { "…" };
            self.0.entry(model.to_owned()).or_default().add(bill);
        }
    }
}

/// Points of time in milliseconds since the scenario began, bounded.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Times(Vec<u64>);

impl Times {
    /// Notes a point of time, if there is room.
    pub(crate) fn add(&mut self, now: Duration) {
        if self.0.len() < TIMES_MAX {
            self.0.push(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        }
    }
}

/// Everything counted since the scenario began.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Stats {
    /// Requests under `/v1`, refused ones included.
    pub(crate) attempts: u64,
    /// Those that passed the limits.
    pub(crate) granted: u64,
    /// Sound answers sent to the last byte.
    pub(crate) completed: u64,
    /// Answers whose client left before the end.
    pub(crate) client_gone: u64,
    /// Tokens that were charged to limits.
    pub(crate) tokens: u64,
    /// Model calls being answered.
    pub(crate) in_flight: u64,
    pub(crate) in_flight_max: u64,
    /// Connections accepted.
    pub(crate) connections: u64,
    /// Refused by a limit, by what the limit counts.
    pub(crate) refused: Counts,
    /// Faults done, by name.
    pub(crate) faults: Counts,
    /// Kinds answered on demand or by scenario.
    pub(crate) kinds: Counts,
    /// Statuses of HTTP answers.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Raw bytes, resets and silence in place of an HTTP answer.
    pub(crate) scripts: u64,
    /// What the vendor would bill for the completed ones, by model.
    pub(crate) billed: Bills,
    pub(crate) models: Counts,
    pub(crate) endpoints: Counts,
    /// By `user` (or `safety_identifier`) in the body.
    pub(crate) users: Counts,
    /// By the header `x-client-request-id`.
    pub(crate) request_ids: Counts,
    /// By the header `x-stainless-retry-count`.
    pub(crate) retry_counts: Counts,
    pub(crate) attempted_at_ms: Times,
    pub(crate) completed_at_ms: Times,
}
