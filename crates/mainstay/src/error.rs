//! What a call of the client ends with when it gets no answer: one variant for each class that the
//! official SDKs raise, each with what happened, why and what to do.

use std::fmt;
use std::time::Duration;

use mainstay_core::catalogue::{self, Entry};
use mainstay_core::failure::{Class, Kind, Origin, ProviderSaid, Scope};
use mainstay_core::mask;
use mainstay_core::validate::Fault;

use crate::call::{AttemptRecord, Refusal, Trace};

/// Why a call got no answer. `Display` says what happened, why, and what to do; never a key, a
/// prompt or an answer. What the provider itself said is the [`source`](std::error::Error::source).
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Credentials are missing, wrong, expired or revoked.
    Authentication(Box<Details>),
    /// The request is malformed or misses something.
    BadRequest(Box<Details>),
    /// The object was changed by somebody else.
    Conflict(Box<Details>),
    /// A fault on the server's side.
    InternalServer(Box<Details>),
    /// The object, path or model does not exist.
    NotFound(Box<Details>),
    /// No access to this.
    PermissionDenied(Box<Details>),
    /// A rate limit or quota was hit.
    RateLimit(Box<Details>),
    /// Well-formed and still not processable.
    UnprocessableEntity(Box<Details>),
    /// No connection to the service, or it broke.
    Connection(Box<Details>),
    /// The call took too long.
    Timeout(Box<Details>),
}

/// Everything known about a failed call.
#[derive(Debug)]
pub struct Details {
    kind: Kind,
    origin: Origin,
    scope: Scope,
    message: String,
    said: Option<Said>,
    retry_after: Option<Duration>,
    trace: Trace,
    param: Option<String>,
}

/// What the provider said, as the source of an [`Error`].
#[derive(Debug)]
pub struct Said(ProviderSaid);

impl Error {
    /// What happened, by its stable name.
    pub fn kind(&self) -> Kind {
        self.details().kind
    }

    /// The class that the official SDKs raise for this kind.
    pub fn class(&self) -> Class {
        self.kind().class()
    }

    /// Whose side it was on: who has to act if it goes on.
    pub fn origin(&self) -> Origin {
        self.details().origin
    }

    /// What must change for the call to get on.
    pub fn scope(&self) -> Scope {
        self.details().scope
    }

    /// The provider's HTTP status; `None` when no answer came.
    pub fn status(&self) -> Option<u16> {
        self.said()?.status
    }

    /// `error.code`, the provider's own or the one that stands for the kind.
    pub fn code(&self) -> Option<&str> {
        let own = || catalogue::entry(self.kind()).unified.code;
        self.said().and_then(|said| said.code.as_deref()).or_else(own)
    }

    /// What happened, without cause and advice. It may quote the provider; it never holds a key.
    pub fn message(&self) -> String {
        mask::text(self.details().message.clone())
    }

    /// `error.param`: the field that is at fault.
    pub fn param(&self) -> Option<&str> {
        let said = self.said().and_then(|said| said.param.as_deref());
        said.or_else(|| self.details().param.as_deref())
    }

    /// The provider's id of the request, for asking its support.
    pub fn request_id(&self) -> Option<&str> {
        self.said()?.request_id.as_deref()
    }

    /// Whether the same call, later, has a fair chance.
    pub fn retryable(&self) -> bool {
        self.kind().retryable()
    }

    /// How long to wait before it has, when that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.details().retry_after
    }

    /// How many attempts were made.
    pub fn attempts(&self) -> u32 {
        self.details().trace.attempts
    }

    /// Each attempt, in order: where to, what was waited for, what came of it.
    pub fn records(&self) -> &[AttemptRecord] {
        &self.details().trace.records
    }

    /// Cause, steps and advice for this kind of failure, as `mainstay explain` tells them.
    pub fn explain(&self) -> &'static Entry {
        catalogue::entry(self.kind())
    }

    /// Everything known about the failed call, whatever its class.
    pub fn details(&self) -> &Details {
        match self {
            Error::Authentication(details)
            | Error::BadRequest(details)
            | Error::Conflict(details)
            | Error::InternalServer(details)
            | Error::NotFound(details)
            | Error::PermissionDenied(details)
            | Error::RateLimit(details)
            | Error::UnprocessableEntity(details)
            | Error::Connection(details)
            | Error::Timeout(details) => details,
        }
    }

    fn said(&self) -> Option<&ProviderSaid> {
        self.details().said.as_ref().map(|said| &said.0)
    }

    fn of(details: Details) -> Error {
        let class = details.kind.class();
        let details = Box::new(details);
        match class {
            Class::AuthenticationError => Error::Authentication(details),
            Class::BadRequestError => Error::BadRequest(details),
            Class::ConflictError => Error::Conflict(details),
            Class::InternalServerError => Error::InternalServer(details),
            Class::NotFoundError => Error::NotFound(details),
            Class::PermissionDeniedError => Error::PermissionDenied(details),
            Class::RateLimitError => Error::RateLimit(details),
            Class::UnprocessableEntityError => Error::UnprocessableEntity(details),
            Class::APIConnectionError => Error::Connection(details),
            Class::APITimeoutError => Error::Timeout(details),
        }
    }

    /// A finding of our own, before or instead of an answer.
    pub(crate) fn own(kind: Kind, origin: Origin, message: String, trace: Trace) -> Error {
        let (scope, said, retry_after) = (Scope::None, None, None);
        let param = None;
        Error::of(Details { kind, origin, scope, message, said, retry_after, trace, param })
    }

    /// What the provider said inside an answer that had begun.
    pub(crate) fn said_in_stream(
        kind: Kind,
        origin: Origin,
        said: ProviderSaid,
        trace: Trace,
    ) -> Error {
        let message = "the answer broke off; what came before is incomplete".to_owned();
        let (scope, retry_after, param) = (Scope::None, None, None);
        let said = Some(Said(said));
        Error::of(Details { kind, origin, scope, message, said, retry_after, trace, param })
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        let Refusal { failure, retry_after, message, trace, .. } = refusal;
        let answered = failure.provider.status.is_some() || failure.provider.message.is_some();
        let provider = trace.provider.as_deref().unwrap_or("the provider");
        let message = message.unwrap_or_else(|| match failure.provider.status {
            Some(status) => format!("{provider} answered {status} ({})", failure.kind.name()),
            None => format!("no answer of {provider} ({})", failure.kind.name()),
        });
        Error::of(Details {
            kind: failure.kind,
            origin: failure.origin,
            scope: failure.scope,
            message,
            said: answered.then_some(Said(failure.provider)),
            retry_after,
            trace,
            param: None,
        })
    }
}

impl From<Fault> for Error {
    /// A request that was not sent.
    fn from(fault: Fault) -> Error {
        Error::of(Details {
            kind: fault.kind,
            origin: Origin::Caller,
            scope: Scope::Request,
            message: format!("the request was not sent: {}", fault.message),
            said: None,
            retry_after: None,
            trace: Trace::default(),
            param: fault.param,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = self.details();
        let entry = self.explain();
        f.write_str(&mask::text(details.message.clone()))?;
        if let Some(said) = &details.said {
            write!(f, ": {said}")?;
        }
        if let Some(wait) = details.retry_after {
            write!(f, "; it is worth trying again in {:.1} s", wait.as_secs_f64())?;
        }
        write!(f, "\n  why: {}", entry.cause)?;
        if let Some(step) = entry.steps.first() {
            write!(f, "\n  fix: {step}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.details().said.as_ref().map(|said| said as &(dyn std::error::Error + 'static))
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.message, self.0.status) {
            (Some(message), _) => f.write_str(&mask::text(message.clone())),
            (None, Some(status)) => write!(f, "status {status} without a message"),
            (None, None) => f.write_str("nothing"),
        }
    }
}

impl std::error::Error for Said {}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::failure::{Failure, Next};

    fn refused(kind: Kind) -> Refusal {
        let provider = ProviderSaid {
            status: Some(429),
            code: Some("their_code".to_owned()),
            param: Some("messages".to_owned()),
            message: Some("slow down, sk-proj-abcdefghijklmnopqrstuvwxyz0123456789".to_owned()),
            request_id: Some("req_9".to_owned()),
            ..ProviderSaid::default()
        };
        let (origin, scope, next) = (Origin::Provider, Scope::Key, Next::Nobody);
        Refusal {
            failure: Failure { kind, origin, scope, next, provider, attempts: 3 },
            retry_after: Some(Duration::from_millis(1500)),
            message: None,
            provider_answer: None,
            trace: Trace { attempts: 3, ..Trace::default() },
            sent: crate::call::Sent::default(),
        }
    }

    #[test]
    fn every_kind_is_the_variant_of_its_class() {
        for kind in Kind::ALL {
            let error = Error::from(refused(kind));
            let variant = format!("{error:?}");
            let variant = variant.split('(').next().unwrap_or_default();
            let class = kind.class().name().trim_start_matches("API");
            assert_eq!(class, format!("{variant}Error"), "{kind}");
            assert_eq!((error.kind(), error.retryable()), (kind, kind.retryable()));
            let told = error.to_string();
            assert!(told.contains("\n  why: ") && told.contains("\n  fix: "), "{told}");
        }
    }

    #[test]
    fn an_error_tells_what_the_provider_said_and_no_key() {
        let error = Error::from(refused(Kind::RateLimitRequests));
        assert_eq!((error.status(), error.attempts()), (Some(429), 3));
        assert_eq!((error.code(), error.param()), (Some("their_code"), Some("messages")));
        assert_eq!(
            (error.request_id(), error.retry_after()),
            (Some("req_9"), Some(Duration::from_millis(1500)))
        );
        let source = std::error::Error::source(&error).unwrap().to_string();
        let told = error.to_string();
        assert!(source.contains("slow down") && told.contains("1.5 s"), "{told}");
        assert!(!told.contains("abcdefghij") && !source.contains("abcdefghij"), "{told}");
    }
}
