//! The last lines: class names seen in prose, and what a status means when nothing else speaks.

use super::evidence::Evidence;
use super::table::{Line, line};
use crate::failure::{Kind, Scope};
use crate::words::{phrases, same_name};

/// Exception names that a relay gives only after it has read the provider's words: as good as
/// those. Source: LiteLLM's exception mapping, read 2026-11.
pub(super) const EXACT_CLASSES: &[Line] = &[
    line(Kind::ContextLengthExceeded, Scope::Request).named(&["ContextWindowExceededError"]),
    line(Kind::ContentPolicy, Scope::Request).named(&["ContentPolicyViolationError"]),
    line(Kind::UnsupportedParameter, Scope::Request).named(&["UnsupportedParamsError"]),
    line(Kind::BillingLimit, Scope::Key).named(&["BudgetExceededError"]),
];

/// Exception names that relays put before the provider's words. Weaker than every phrase, because
/// relays pick them by the status they saw. Sources: openai-python, LiteLLM, AWS and Google
/// exception lists, read 2026-11.
pub(super) const CLASSES: &[Line] = &[
    line(Kind::RateLimitOther, Scope::Key).named(&[
        "RateLimitError",
        "ThrottlingException",
        "TooManyRequestsException",
        "TooManyRequestsError",
        "RESOURCE_EXHAUSTED",
    ]),
    line(Kind::InvalidAuthentication, Scope::Key).named(&[
        "AuthenticationError",
        "UnauthorizedError",
        "UNAUTHENTICATED",
    ]),
    line(Kind::PermissionDenied, Scope::Key).named(&[
        "PermissionDeniedError",
        "AccessDeniedException",
        "PERMISSION_DENIED",
    ]),
    line(Kind::NotFound, Scope::Request).named(&[
        "NotFoundError",
        "ResourceNotFoundException",
        "NOT_FOUND",
    ]),
    line(Kind::ServiceUnavailable, Scope::Provider).named(&[
        "ServiceUnavailableError",
        "ServiceUnavailableException",
        "UNAVAILABLE",
    ]),
    line(Kind::RequestTimeout, Scope::Provider).named(&[
        "APITimeoutError",
        "ModelTimeoutException",
        "TimeoutError",
        "ReadTimeoutError",
        "DEADLINE_EXCEEDED",
    ]),
    line(Kind::Connection, Scope::Provider).named(&[
        "APIConnectionError",
        "ConnectionError",
        "ConnectError",
        "ConnectionResetError",
    ]),
    line(Kind::InvalidRequest, Scope::Request).named(&[
        "BadRequestError",
        "ValidationException",
        "INVALID_ARGUMENT",
        "InvalidRequestError",
    ]),
    line(Kind::UnprocessableEntity, Scope::Request).named(&["UnprocessableEntityError"]),
    line(Kind::InternalError, Scope::Provider).named(&[
        "InternalServerError",
        "InternalServerException",
        "ModelErrorException",
        "ModelStreamErrorException",
    ]),
];

/// What the status alone says.
pub(super) fn by_status(evidence: &Evidence) -> (Kind, Scope, bool) {
    let outer = evidence.outer;
    // A gateway's 5xx around an upstream refusal that names a status: the upstream's counts.
    let status = evidence.status.unwrap_or(outer);
    let (kind, scope) = match status {
        401 | 407 => (Kind::InvalidAuthentication, Scope::Key),
        402 => (Kind::InsufficientQuota, Scope::Key),
        403 | 451 => (Kind::PermissionDenied, Scope::Key),
        404 | 410 => (Kind::NotFound, Scope::Request),
        405 => (Kind::MethodNotAllowed, Scope::Request),
        408 | 499 => (Kind::RequestTimeout, Scope::Provider),
        409 | 423 => return conflict(evidence),
        // Fireworks answers 412 for suspended accounts, Portkey for spent budgets (their error
        // pages, read 2026-11); none of these interfaces has HTTP preconditions.
        412 => (Kind::BillingLimit, Scope::Key),
        413 => (Kind::RequestTooLarge, Scope::Request),
        422 => (Kind::UnprocessableEntity, Scope::Request),
        // A model server behind a gateway failed: Bedrock, Hugging Face generation errors.
        424 => (Kind::InternalError, Scope::Model),
        429 => (Kind::RateLimitOther, Scope::Key),
        425 | 503 => (Kind::ServiceUnavailable, Scope::Provider),
        // Cloudflare: 522 and 524 are time-outs, the others of the row are pages of a gateway
        // that got no sound answer (developers.cloudflare.com 5xx errors, read 2026-11).
        504 | 522 | 524 => (Kind::GatewayTimeout, Scope::Provider),
        502 | 520 | 521 | 523 | 525..=527 | 530 => (Kind::BadGateway, Scope::Provider),
        498 | 529 => (Kind::Overloaded, Scope::Provider),
        501 | 505 => return (Kind::InvalidRequest, Scope::Request, false),
        _ if (400..500).contains(&status) => (Kind::InvalidRequest, Scope::Request),
        // A 200 that holds an error without a status: its type may tell whose fault it is.
        _ if evidence.status.is_none() && callers_fault(evidence) => {
            (Kind::InvalidRequest, Scope::Request)
        }
        // 5xx, and an error inside a 200 that names nothing.
        _ if status < 600 => (Kind::InternalError, Scope::Provider),
        _ => (Kind::Unknown, Scope::None),
    };
    if evidence.challenged && matches!(kind, Kind::PermissionDenied | Kind::ServiceUnavailable) {
        return (Kind::PermissionDenied, Scope::Key, false);
    }
    (kind, scope, kind.retryable())
}

/// `true` when a name says that the request is at fault, without saying how.
fn callers_fault(evidence: &Evidence) -> bool {
    let names = ["invalid_request_error", "invalid_request", "BadRequestError", "invalid_argument"];
    evidence.said.names.iter().any(|name| names.iter().any(|known| same_name(known, name)))
}

/// A conflict heals by waiting only when it is a lock or work in progress.
fn conflict(evidence: &Evidence) -> (Kind, Scope, bool) {
    let lock = evidence.said.words.say_any(&phrases([
        "lock|locked|locking",
        "in progress",
        "concurrent update|modification|write*|request*",
        "being modified|processed|updated",
        "try|retry again|later",
        "please retry",
        "still running|active",
        "already .. active run",
    ]));
    (Kind::Conflict, Scope::Request, lock)
}
