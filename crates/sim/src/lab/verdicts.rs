//! What the laboratory's answers mean, in the classifier's terms: the laboratory proves decisions,
//! not reading, so the verdicts are made directly; only a refusal's limit goes through its text.

use mainstay_core::classify::{TransportFault, Verdict, of_transport};
use mainstay_core::failure::{Failure, Kind, Next, Origin, ProviderSaid, Scope};
use mainstay_core::rules::pacer::{Refusal, RefusedBy};
use std::time::Duration;

fn verdict(kind: Kind, next: Next, wait: Option<Duration>, message: Option<String>) -> Verdict {
    let provider = ProviderSaid { message, ..ProviderSaid::default() };
    let retryable = matches!(next, Next::SameTarget { .. });
    Verdict {
        failure: Failure {
            kind,
            origin: Origin::Provider,
            scope: Scope::None,
            next,
            provider,
            attempts: 1,
        },
        retryable,
        delay: wait,
        wait,
    }
}

pub(super) fn refused(refusal: &Refusal) -> Verdict {
    let (kind, unit) = match refusal.dimension {
        RefusedBy::Requests => (Kind::RateLimitRequests, "requests per min (RPM)"),
        RefusedBy::Tokens => (Kind::RateLimitTokens, "tokens per min (TPM)"),
        RefusedBy::Concurrent => (Kind::ConcurrentLimit, "concurrent requests"),
        RefusedBy::Other => (Kind::RateLimitOther, "requests"),
    };
    let message = refusal.limit_per_minute.map(|limit| {
        let wait = refusal.wait.unwrap_or_default().as_secs_f64();
        format!(
            "Rate limit reached for m in organization org-lab on {unit}: Limit {limit:.0}. \
             Please try again in {wait:.3}s."
        )
    });
    verdict(kind, Next::SameTarget { wait: refusal.wait }, refusal.wait, message)
}

pub(super) fn internal() -> Verdict {
    verdict(Kind::InternalError, Next::SameTarget { wait: None }, None, None)
}

pub(super) fn unavailable(wait: Option<Duration>) -> Verdict {
    verdict(Kind::ServiceUnavailable, Next::SameTarget { wait }, wait, None)
}

pub(super) fn faulted() -> Verdict {
    verdict(Kind::InvalidRequest, Next::Nobody, None, None)
}

pub(super) fn too_long() -> Verdict {
    verdict(Kind::ContextLengthExceeded, Next::LargerWindow, None, None)
}

pub(super) fn cut() -> Verdict {
    of_transport(TransportFault::CutMidBody)
}
