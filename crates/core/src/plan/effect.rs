//! What a kind of failure does to pacer and circuit breaker, and whether another target goes
//! before another try on the same one.

use crate::catalogue::{self, OnBreaker, OnPacer};
use crate::failure::Kind;
use crate::rules::pacer::RefusedBy;

/// Whether the pacer learns from it, and of what.
pub(super) fn throttled(kind: Kind) -> Option<RefusedBy> {
    match catalogue::entry(kind).pacer {
        OnPacer::Nothing => None,
        OnPacer::Concurrency => Some(RefusedBy::Concurrent),
        OnPacer::Rate if kind == Kind::RateLimitRequests => Some(RefusedBy::Requests),
        OnPacer::Rate if kind == Kind::RateLimitTokens => Some(RefusedBy::Tokens),
        OnPacer::Rate => Some(RefusedBy::Other),
    }
}

/// Whether the circuit breaker counts it as the target's failure.
pub(super) fn blames_target(kind: Kind) -> bool {
    catalogue::entry(kind).breaker == OnBreaker::Failure
}

/// Whether another target is better than the same one again: the target has no room, is away or
/// silent. A single fault inside it is worth another try where the prompt is cached already.
pub(super) fn moves_on(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Overloaded
            | Kind::ServiceUnavailable
            | Kind::GatewayTimeout
            | Kind::RequestTimeout
            | Kind::Connection
    )
}
