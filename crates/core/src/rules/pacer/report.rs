//! The pacer for people and metrics.

use super::{
    CAP_REQUESTS, CAP_TOKENS, PROJECT_TOKENS, Pacer, REQUESTS, REQUESTS_DAY, TOKENS, TOKENS_DAY,
};
use crate::time::Moment;
use core::time::Duration;

/// One limit as it is understood.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitSnapshot {
    /// Stable name: `requests`, `requests_day`, `tokens`, `tokens_day`, `project_tokens`,
    /// `configured_requests`, `configured_tokens`.
    pub name: &'static str,
    /// Units a minute, of all that send to the account.
    pub per_minute: f64,
    /// This node's part of it, above 0 and at most 1: 1 where it is alone.
    pub part: f64,
    /// Whether the provider or the configuration named it; otherwise it was found by trying.
    pub told: bool,
    /// Units that this node may spend at this moment; negative is a debt.
    pub level: f64,
}

/// What a pacer knows and does at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PacerSnapshot {
    /// Known limits; the rest is `None`.
    pub limits: [Option<LimitSnapshot>; 7],
    /// Most calls at once, if a ceiling is known.
    pub ceiling: Option<u32>,
    /// Attempts granted and not ended.
    pub in_flight: u32,
    /// Waiting calls.
    pub queued: u32,
    /// Bytes of their bodies.
    pub queued_bytes: u64,
    /// What the provider asked to wait, as far as it is not over.
    pub hold: Duration,
    /// Tokens counted per token estimated.
    pub token_ratio: f64,
}

const NAMES: [(usize, &str); 7] = [
    (REQUESTS, "requests"),
    (REQUESTS_DAY, "requests_day"),
    (TOKENS, "tokens"),
    (TOKENS_DAY, "tokens_day"),
    (PROJECT_TOKENS, "project_tokens"),
    (CAP_REQUESTS, "configured_requests"),
    (CAP_TOKENS, "configured_tokens"),
];

impl Pacer {
    /// What it knows at `now`.
    pub fn snapshot(&self, now: Moment) -> PacerSnapshot {
        let limits = NAMES.map(|(index, name)| {
            let limit = &self.limits[index];
            (limit.rate() > 0.0).then(|| LimitSnapshot {
                name,
                per_minute: limit.whole() * 60.0,
                part: limit.part(),
                told: limit.told().is_some(),
                level: limit.level(now),
            })
        });
        PacerSnapshot {
            limits,
            ceiling: self.ceiling.most(),
            in_flight: self.in_flight,
            queued: self.queue.len(),
            queued_bytes: self.queue.bytes(),
            hold: self.hold.end().since(now),
            token_ratio: self.ratio.current(),
        }
    }
}
