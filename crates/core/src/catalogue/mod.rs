//! The catalogue: for each kind what it means to a person, what to do, and how our own refusal of
//! this kind looks on the wire.
//!
//! `mainstay explain`, the console, `docs/errors.md` and the gateway's own errors are made from
//! these entries and from nothing else. Causes and steps answer to the vendor's error guide and to
//! the gateway format in the project's source documents; `guide` names the heading or message.

mod access;
mod find;
mod limits;
mod network;
mod page;
mod requests;
mod servers;

use crate::failure::{Class, Kind};

pub use find::{Found, find};
pub use network::{Advice, advice};
pub use page::errors_page;

/// Everything known about a kind.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The kind.
    pub kind: Kind,
    /// The SDK class that the vendor's guide has for the kind.
    pub class: Class,
    /// Whether the same request, later, usually has a fair chance.
    pub retryable: bool,
    /// The HTTP status of our own refusal of this kind.
    pub status: u16,
    /// What is behind it, in a sentence or two.
    pub cause: &'static str,
    /// What to do, in order.
    pub steps: &'static [&'static str],
    /// Whether, when and how to repeat the call.
    pub retry_advice: &'static str,
    /// Headings and messages of the guides that this kind answers to.
    pub guide: &'static [&'static str],
    /// Type and code of our own refusal under `codes = "unified"`.
    pub unified: Codes,
    /// Type and code of our own refusal under `codes = "openai"`.
    pub openai: Codes,
    /// `error.param` of our own refusal when it is the same for every call.
    pub param: Option<&'static str>,
    /// What it does to the target's circuit breaker.
    pub breaker: OnBreaker,
    /// What it does to the target's pacer.
    pub pacer: OnPacer,
    /// What a repeat costs the retry budget.
    pub budget: OnBudget,
    /// Whether another target may answer the same call.
    pub other_target_helps: bool,
}

/// `error.type` and `error.code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codes {
    /// `error.type`.
    pub r#type: &'static str,
    /// `error.code`; `None` is sent as null.
    pub code: Option<&'static str>,
}

/// What a failure does to a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBreaker {
    /// Nothing: it says nothing about the target's health.
    Neutral,
    /// Counts as a failure.
    Failure,
}

/// What a failure does to a pacer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPacer {
    /// Nothing.
    Nothing,
    /// Teaches the limit per time.
    Rate,
    /// Teaches the limit of calls at once.
    Concurrency,
}

/// What a repeat costs the retry budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBudget {
    /// It is not repeated.
    NoRepeat,
    /// The price of a throttled repeat.
    Throttled,
    /// The price of a transient repeat.
    Transient,
}

impl OnBreaker {
    /// In a word, for people.
    pub const fn name(self) -> &'static str {
        match self {
            OnBreaker::Neutral => "neutral",
            OnBreaker::Failure => "counts as a failure",
        }
    }
}

impl OnPacer {
    /// In a word, for people.
    pub const fn name(self) -> &'static str {
        match self {
            OnPacer::Nothing => "nothing",
            OnPacer::Rate => "learns the rate",
            OnPacer::Concurrency => "learns the ceiling of parallel calls",
        }
    }
}

impl OnBudget {
    /// In a word, for people.
    pub const fn name(self) -> &'static str {
        match self {
            OnBudget::NoRepeat => "no repeat",
            OnBudget::Throttled => "a throttled repeat",
            OnBudget::Transient => "a transient repeat",
        }
    }
}

const fn codes(r#type: &'static str, code: Option<&'static str>) -> Codes {
    Codes { r#type, code }
}

/// The entry of a kind.
pub const fn entry(kind: Kind) -> &'static Entry {
    match kind {
        Kind::InvalidAuthentication => &access::INVALID_AUTHENTICATION,
        Kind::IncorrectApiKey => &access::INCORRECT_API_KEY,
        Kind::ExpiredApiKey => &access::EXPIRED_API_KEY,
        Kind::RevokedApiKey => &access::REVOKED_API_KEY,
        Kind::NotOrganizationMember => &access::NOT_ORGANIZATION_MEMBER,
        Kind::IpNotAuthorized => &access::IP_NOT_AUTHORIZED,
        Kind::UnsupportedRegion => &access::UNSUPPORTED_REGION,
        Kind::PermissionDenied => &access::PERMISSION_DENIED,
        Kind::ModelAccessDenied => &access::MODEL_ACCESS_DENIED,
        Kind::RateLimitRequests => &limits::RATE_LIMIT_REQUESTS,
        Kind::RateLimitTokens => &limits::RATE_LIMIT_TOKENS,
        Kind::RateLimitOther => &limits::RATE_LIMIT_OTHER,
        Kind::ConcurrentLimit => &limits::CONCURRENT_LIMIT,
        Kind::InsufficientQuota => &limits::INSUFFICIENT_QUOTA,
        Kind::BillingLimit => &limits::BILLING_LIMIT,
        Kind::InvalidRequest => &requests::INVALID_REQUEST,
        Kind::MissingRequiredField => &requests::MISSING_REQUIRED_FIELD,
        Kind::InvalidValue => &requests::INVALID_VALUE,
        Kind::UnsupportedParameter => &requests::UNSUPPORTED_PARAMETER,
        Kind::ModelNotFound => &requests::MODEL_NOT_FOUND,
        Kind::ContextLengthExceeded => &requests::CONTEXT_LENGTH_EXCEEDED,
        Kind::ContentPolicy => &requests::CONTENT_POLICY,
        Kind::RequestTooLarge => &requests::REQUEST_TOO_LARGE,
        Kind::NotFound => &requests::NOT_FOUND,
        Kind::Conflict => &requests::CONFLICT,
        Kind::UnprocessableEntity => &requests::UNPROCESSABLE_ENTITY,
        Kind::MethodNotAllowed => &requests::METHOD_NOT_ALLOWED,
        Kind::InternalError => &servers::INTERNAL_ERROR,
        Kind::Overloaded => &servers::OVERLOADED,
        Kind::ServiceUnavailable => &servers::SERVICE_UNAVAILABLE,
        Kind::BadGateway => &servers::BAD_GATEWAY,
        Kind::GatewayTimeout => &servers::GATEWAY_TIMEOUT,
        Kind::RequestTimeout => &servers::REQUEST_TIMEOUT,
        Kind::Connection => &servers::CONNECTION,
        Kind::StreamInterrupted => &servers::STREAM_INTERRUPTED,
        Kind::MalformedResponse => &servers::MALFORMED_RESPONSE,
        Kind::Unknown => &servers::UNKNOWN,
    }
}

/// The class that the official Python SDK raises for a status; `None`: its plain
/// `APIStatusError` (in Node `APIError`). Source: openai-python 3.52.0, openai-node 7.55.0,
/// status tables, read 2026-11.
pub const fn class_of_status(status: u16) -> Option<Class> {
    match status {
        400 => Some(Class::BadRequestError),
        401 => Some(Class::AuthenticationError),
        403 => Some(Class::PermissionDeniedError),
        404 => Some(Class::NotFoundError),
        409 => Some(Class::ConflictError),
        422 => Some(Class::UnprocessableEntityError),
        429 => Some(Class::RateLimitError),
        500..=599 => Some(Class::InternalServerError),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
