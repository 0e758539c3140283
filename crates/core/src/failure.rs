//! Failures: what happened, whose side it was on, whose limit it is, and what may be tried next.
//!
//! The names of [`Kind`] are public and stable: logs, metrics, headers, documentation and the
//! command line carry them. What each kind means to a person (cause, steps) is in `catalogue`.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// No usable credential was sent.
    InvalidAuthentication,
    /// The key is not one the provider knows.
    IncorrectApiKey,
    /// The key's time is over.
    ExpiredApiKey,
    /// The key was withdrawn, blocked or its account deactivated.
    RevokedApiKey,
    /// The key's owner is not in the organization or project asked for.
    NotOrganizationMember,
    /// The caller's network address is not on the allow-list.
    IpNotAuthorized,
    /// The caller's country, region or territory is not served.
    UnsupportedRegion,
    /// The key is good but lacks the right to this operation.
    PermissionDenied,
    /// The key is good but may not use this model.
    ModelAccessDenied,
    /// Too many requests for the limit on requests per time.
    RateLimitRequests,
    /// Too many tokens for the limit on tokens per time.
    RateLimitTokens,
    /// A limit per time, without saying of what.
    RateLimitOther,
    /// Too many calls at once.
    ConcurrentLimit,
    /// Credit or quota is used up; waiting does not help.
    InsufficientQuota,
    /// A spend limit is reached or billing is not active.
    BillingLimit,
    /// The request is malformed in a way no other kind names.
    InvalidRequest,
    /// A required field is absent.
    MissingRequiredField,
    /// A field has a value or type that is not allowed.
    InvalidValue,
    /// A field is not known or not supported here.
    UnsupportedParameter,
    /// The model does not exist or was retired.
    ModelNotFound,
    /// Prompt and asked output do not fit the model's context window.
    ContextLengthExceeded,
    /// The content was refused by a policy or filter.
    ContentPolicy,
    /// The request is larger than the provider takes, whole or per minute.
    RequestTooLarge,
    /// The path or object does not exist.
    NotFound,
    /// Another change to the same object is in the way.
    Conflict,
    /// The request is well-formed but cannot be processed.
    UnprocessableEntity,
    /// The path exists but not with this method.
    MethodNotAllowed,
    /// The provider failed inside.
    InternalError,
    /// The provider or model is up and has no room.
    Overloaded,
    /// The provider or model is loading, in maintenance or down.
    ServiceUnavailable,
    /// A gateway in front of the provider got no sound answer.
    BadGateway,
    /// A gateway in front of the provider waited too long.
    GatewayTimeout,
    /// No answer came within a time limit.
    RequestTimeout,
    /// No connection, or it broke before any answer.
    Connection,
    /// The answer began and broke off.
    StreamInterrupted,
    /// An answer came that cannot be read as one.
    MalformedResponse,
    /// A failure that fits no other kind.
    Unknown,
}

/// Whose matter a failure is, for those who decide about more than one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// The key's, the account's or the place's: every call with that key meets it.
    Account,
    /// A limit's: waiting helps.
    Limit,
    /// What was asked for is not there: the path, the model or the object.
    Address,
    /// The request's own.
    Request,
    /// The target's, or the way's to it.
    Target,
    /// Nobody knows.
    Nobody,
}

impl Kind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Kind; 37] = [
        Kind::InvalidAuthentication,
        Kind::IncorrectApiKey,
        Kind::ExpiredApiKey,
        Kind::RevokedApiKey,
        Kind::NotOrganizationMember,
        Kind::IpNotAuthorized,
        Kind::UnsupportedRegion,
        Kind::PermissionDenied,
        Kind::ModelAccessDenied,
        Kind::RateLimitRequests,
        Kind::RateLimitTokens,
        Kind::RateLimitOther,
        Kind::ConcurrentLimit,
        Kind::InsufficientQuota,
        Kind::BillingLimit,
        Kind::InvalidRequest,
        Kind::MissingRequiredField,
        Kind::InvalidValue,
        Kind::UnsupportedParameter,
        Kind::ModelNotFound,
        Kind::ContextLengthExceeded,
        Kind::ContentPolicy,
        Kind::RequestTooLarge,
        Kind::NotFound,
        Kind::Conflict,
        Kind::UnprocessableEntity,
        Kind::MethodNotAllowed,
        Kind::InternalError,
        Kind::Overloaded,
        Kind::ServiceUnavailable,
        Kind::BadGateway,
        Kind::GatewayTimeout,
        Kind::RequestTimeout,
        Kind::Connection,
        Kind::StreamInterrupted,
        Kind::MalformedResponse,
        Kind::Unknown,
    ];

    /// The stable snake_case name.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::InvalidAuthentication => "invalid_authentication",
            Kind::IncorrectApiKey => "incorrect_api_key",
            Kind::ExpiredApiKey => "expired_api_key",
            Kind::RevokedApiKey => "revoked_api_key",
            Kind::NotOrganizationMember => "not_organization_member",
            Kind::IpNotAuthorized => "ip_not_authorized",
            Kind::UnsupportedRegion => "unsupported_region",
            Kind::PermissionDenied => "permission_denied",
            Kind::ModelAccessDenied => "model_access_denied",
            Kind::RateLimitRequests => "rate_limit_requests",
            Kind::RateLimitTokens => "rate_limit_tokens",
            Kind::RateLimitOther => "rate_limit_other",
            Kind::ConcurrentLimit => "concurrent_limit",
            Kind::InsufficientQuota => "insufficient_quota",
            Kind::BillingLimit => "billing_limit",
            Kind::InvalidRequest => "invalid_request",
            Kind::MissingRequiredField => "missing_required_field",
            Kind::InvalidValue => "invalid_value",
            Kind::UnsupportedParameter => "unsupported_parameter",
            Kind::ModelNotFound => "model_not_found",
            Kind::ContextLengthExceeded => "context_length_exceeded",
            Kind::ContentPolicy => "content_policy",
            Kind::RequestTooLarge => "request_too_large",
            Kind::NotFound => "not_found",
            Kind::Conflict => "conflict",
            Kind::UnprocessableEntity => "unprocessable_entity",
            Kind::MethodNotAllowed => "method_not_allowed",
            Kind::InternalError => "internal_error",
            Kind::Overloaded => "overloaded",
            Kind::ServiceUnavailable => "service_unavailable",
            Kind::BadGateway => "bad_gateway",
            Kind::GatewayTimeout => "gateway_timeout",
            Kind::RequestTimeout => "request_timeout",
            Kind::Connection => "connection",
            Kind::StreamInterrupted => "stream_interrupted",
            Kind::MalformedResponse => "malformed_response",
            Kind::Unknown => "unknown",
        }
    }

    /// The SDK class that the vendor's guide has for this kind. What an SDK raises in the end
    /// follows the status that it is sent.
    pub const fn class(self) -> Class {
        match self {
            Kind::InvalidAuthentication
            | Kind::IncorrectApiKey
            | Kind::ExpiredApiKey
            | Kind::RevokedApiKey
            | Kind::NotOrganizationMember
            | Kind::IpNotAuthorized => Class::AuthenticationError,
            Kind::UnsupportedRegion | Kind::PermissionDenied | Kind::ModelAccessDenied => {
                Class::PermissionDeniedError
            }
            Kind::RateLimitRequests
            | Kind::RateLimitTokens
            | Kind::RateLimitOther
            | Kind::ConcurrentLimit
            | Kind::InsufficientQuota
            | Kind::BillingLimit => Class::RateLimitError,
            Kind::InvalidRequest
            | Kind::MissingRequiredField
            | Kind::InvalidValue
            | Kind::UnsupportedParameter
            | Kind::ContextLengthExceeded
            | Kind::ContentPolicy
            | Kind::RequestTooLarge
            | Kind::MethodNotAllowed => Class::BadRequestError,
            Kind::ModelNotFound | Kind::NotFound => Class::NotFoundError,
            Kind::Conflict => Class::ConflictError,
            Kind::UnprocessableEntity => Class::UnprocessableEntityError,
            Kind::InternalError
            | Kind::Overloaded
            | Kind::ServiceUnavailable
            | Kind::BadGateway
            | Kind::GatewayTimeout
            | Kind::MalformedResponse
            | Kind::Unknown => Class::InternalServerError,
            Kind::RequestTimeout => Class::APITimeoutError,
            Kind::Connection | Kind::StreamInterrupted => Class::APIConnectionError,
        }
    }

    /// Whose matter it is.
    pub const fn concern(self) -> Concern {
        match self {
            Kind::InvalidAuthentication
            | Kind::IncorrectApiKey
            | Kind::ExpiredApiKey
            | Kind::RevokedApiKey
            | Kind::NotOrganizationMember
            | Kind::IpNotAuthorized
            | Kind::UnsupportedRegion
            | Kind::PermissionDenied
            | Kind::ModelAccessDenied
            | Kind::InsufficientQuota
            | Kind::BillingLimit => Concern::Account,
            Kind::RateLimitRequests
            | Kind::RateLimitTokens
            | Kind::RateLimitOther
            | Kind::ConcurrentLimit => Concern::Limit,
            Kind::ModelNotFound | Kind::NotFound | Kind::MethodNotAllowed => Concern::Address,
            Kind::InvalidRequest
            | Kind::MissingRequiredField
            | Kind::InvalidValue
            | Kind::UnsupportedParameter
            | Kind::ContextLengthExceeded
            | Kind::ContentPolicy
            | Kind::RequestTooLarge
            | Kind::Conflict
            | Kind::UnprocessableEntity => Concern::Request,
            Kind::InternalError
            | Kind::Overloaded
            | Kind::ServiceUnavailable
            | Kind::BadGateway
            | Kind::GatewayTimeout
            | Kind::RequestTimeout
            | Kind::Connection
            | Kind::StreamInterrupted
            | Kind::MalformedResponse => Concern::Target,
            Kind::Unknown => Concern::Nobody,
        }
    }

    /// Whether the same request, later, to the same place with the same key usually has a fair
    /// chance. A single answer may say otherwise: see `classify::Verdict::retryable`.
    pub const fn retryable(self) -> bool {
        match self {
            Kind::RateLimitRequests
            | Kind::RateLimitTokens
            | Kind::RateLimitOther
            | Kind::ConcurrentLimit
            | Kind::InternalError
            | Kind::Overloaded
            | Kind::ServiceUnavailable
            | Kind::BadGateway
            | Kind::GatewayTimeout
            | Kind::RequestTimeout
            | Kind::Connection
            | Kind::StreamInterrupted
            | Kind::MalformedResponse => true,
            Kind::InvalidAuthentication
            | Kind::IncorrectApiKey
            | Kind::ExpiredApiKey
            | Kind::RevokedApiKey
            | Kind::NotOrganizationMember
            | Kind::IpNotAuthorized
            | Kind::UnsupportedRegion
            | Kind::PermissionDenied
            | Kind::ModelAccessDenied
            | Kind::InsufficientQuota
            | Kind::BillingLimit
            | Kind::InvalidRequest
            | Kind::MissingRequiredField
            | Kind::InvalidValue
            | Kind::UnsupportedParameter
            | Kind::ModelNotFound
            | Kind::ContextLengthExceeded
            | Kind::ContentPolicy
            | Kind::RequestTooLarge
            | Kind::NotFound
            | Kind::Conflict
            | Kind::UnprocessableEntity
            | Kind::MethodNotAllowed
            | Kind::Unknown => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text is not the name of a [`Kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAKind;

impl FromStr for Kind {
    type Err = NotAKind;

    fn from_str(text: &str) -> Result<Kind, NotAKind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == text).ok_or(NotAKind)
    }
}

/// The class that an official SDK has for a kind. What an SDK really raises follows the status
/// it is sent: 402, 405, 408 and 413 give a plain `APIStatusError` there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Credentials are missing, wrong, expired or revoked.
    AuthenticationError,
    /// The request is malformed or misses something.
    BadRequestError,
    /// The object was changed by somebody else.
    ConflictError,
    /// A fault on the server's side.
    InternalServerError,
    /// The object or path does not exist.
    NotFoundError,
    /// No access to this.
    PermissionDeniedError,
    /// A rate limit or quota was hit.
    RateLimitError,
    /// Well-formed and still not processable.
    UnprocessableEntityError,
    /// No connection to the service.
    APIConnectionError,
    /// The request took too long.
    APITimeoutError,
}

impl Class {
    /// The name as the SDKs write it.
    pub const fn name(self) -> &'static str {
        match self {
            Class::AuthenticationError => "AuthenticationError",
            Class::BadRequestError => "BadRequestError",
            Class::ConflictError => "ConflictError",
            Class::InternalServerError => "InternalServerError",
            Class::NotFoundError => "NotFoundError",
            Class::PermissionDeniedError => "PermissionDeniedError",
            Class::RateLimitError => "RateLimitError",
            Class::UnprocessableEntityError => "UnprocessableEntityError",
            Class::APIConnectionError => "APIConnectionError",
            Class::APITimeoutError => "APITimeoutError",
        }
    }
}

/// Whose side a failure happened on: who has to act if it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The program that made the call.
    Caller,
    /// Between us and the provider.
    Network,
    /// This gateway or library: its limits, its configuration, its faults.
    Mainstay,
    /// The provider.
    Provider,
}

impl Origin {
    /// The stable name, as `x-mainstay-origin` carries it.
    pub const fn name(self) -> &'static str {
        match self {
            Origin::Caller => "caller",
            Origin::Network => "network",
            Origin::Mainstay => "mainstay",
            Origin::Provider => "provider",
        }
    }

    /// The side with this [`name`](Origin::name).
    pub fn from_name(name: &str) -> Option<Origin> {
        let all = [Origin::Caller, Origin::Network, Origin::Mainstay, Origin::Provider];
        all.into_iter().find(|one| one.name() == name)
    }
}

/// What must change for the call to get on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// This input.
    Request,
    /// The credential or account, and its limits.
    Key,
    /// Another model or deployment would do.
    Model,
    /// All of this host.
    Provider,
    /// The caller's place.
    Region,
    /// Nothing: sent again as it is, it may work.
    None,
}

impl Scope {
    /// The stable name, as `x-mainstay-scope` carries it.
    pub const fn name(self) -> &'static str {
        match self {
            Scope::Request => "request",
            Scope::Key => "key",
            Scope::Model => "model",
            Scope::Provider => "provider",
            Scope::Region => "region",
            Scope::None => "none",
        }
    }

    /// The scope with this [`name`](Scope::name).
    pub fn from_name(name: &str) -> Option<Scope> {
        use Scope::{Key, Model, None as Nothing, Provider, Region, Request};
        let all = [Request, Key, Model, Provider, Region, Nothing];
        all.into_iter().find(|one| one.name() == name)
    }
}

/// What may be tried next. Advice: deadlines, attempts and budgets have the last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The same target may answer later; not before `wait` when the provider named one.
    SameTarget {
        /// The delay the provider asked for.
        wait: Option<Duration>,
    },
    /// Another target may answer; this one will not.
    OtherTarget,
    /// A target with a larger context window may answer.
    LargerWindow,
    /// Nobody will answer this call as it stands.
    Nobody,
}

/// What the provider itself said, for passing on. Never holds a prompt or an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderSaid {
    /// The HTTP status, when an answer came.
    pub status: Option<u16>,
    /// `error.type`.
    pub r#type: Option<String>,
    /// `error.code`, numbers as text.
    pub code: Option<String>,
    /// `error.param`.
    pub param: Option<String>,
    /// `error.message`, at most [`ProviderSaid::MESSAGE_MAX`] bytes.
    pub message: Option<String>,
    /// The provider's own request id.
    pub request_id: Option<String>,
}

impl ProviderSaid {
    /// Longest message kept, in bytes; the rest is cut at a character's edge.
    pub const MESSAGE_MAX: usize = 4096;
}

/// Why an attempt or a call gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub kind: Kind,
    /// Whose side it was on.
    pub origin: Origin,
    /// What must change.
    pub scope: Scope,
    /// What may be tried next.
    pub next: Next,
    /// What the provider said, when it said anything.
    pub provider: ProviderSaid,
    /// Attempts made for the call up to and with this failure.
    pub attempts: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_again_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert_eq!("no_such_kind".parse::<Kind>(), Err(NotAKind));
    }
}
