//! What the walk asks of a transport: send one attempt, and tell piece by piece what comes back.
//!
//! A transport decides nothing. It never follows a redirect, never replays a request that may have
//! reached the provider, and stops at once when its [`Attempt`] is dropped.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use mainstay_core::classify::TransportFault;

use crate::fields::Fields;

mod headers;

pub use headers::RequestHeaders;
pub(crate) use headers::{Set, set};

/// Sends attempts.
pub trait Upstream: Send + Sync + 'static {
    /// One attempt under way.
    type Attempt: Attempt;

    /// Begins an attempt. Nothing happens before it is polled.
    fn start(&self, request: AttemptRequest) -> Self::Attempt;
}

/// One attempt under way. Dropping it cancels it: an HTTP/1.1 connection is closed, an HTTP/2
/// stream is reset.
pub trait Attempt: Send + Unpin + 'static {
    /// The next thing that happened. After [`AttemptEvent::End`] or [`AttemptEvent::Fault`] it is
    /// not polled again.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<AttemptEvent>;

    /// Whether it is pending for no other reason than that other calls take the same step
    /// ([`cohort`](crate::cohort)).
    fn halts(&self) -> bool {
        false
    }
}

/// What happened to an attempt, in this order: `Sending`, `Head`, any number of `Data`, `End`; a
/// `Fault` may take the place of any of them and is the last.
#[derive(Debug)]
pub enum AttemptEvent {
    /// A connection is there and the request begins to leave. From here on a fault is ambiguous:
    /// the provider may have begun to work.
    Sending {
        /// Whether the connection had served an earlier request.
        reused: bool,
    },
    /// Status and headers of the answer. Informational (1xx) answers are swallowed.
    Head(AnswerHead),
    /// A piece of the body, as it came.
    Data(Bytes),
    /// The body ended as HTTP says it must (length reached, last chunk, end of stream).
    End,
    /// The attempt failed.
    Fault(TransportFault),
}

/// Status and headers of an answer.
#[derive(Debug)]
pub struct AnswerHead {
    /// The status, 200 to 599.
    pub status: StatusCode,
    /// All headers, hop-by-hop ones too.
    pub headers: Fields,
}

/// Everything needed to send one attempt.
#[derive(Debug)]
pub struct AttemptRequest {
    /// Where to.
    pub destination: Arc<Destination>,
    /// The method.
    pub method: Method,
    /// Path and query, complete (`/v1/chat/completions?x=y`).
    pub path: PathAndQuery,
    /// Headers to send, complete but for `host` and framing, which the transport sets.
    pub headers: RequestHeaders,
    /// The body.
    pub body: RequestBody,
    /// Longest time for DNS, TCP, proxy and TLS together.
    pub connect_timeout: Duration,
}

/// The body of an attempt.
pub enum RequestBody {
    /// None.
    Empty,
    /// In memory, can be sent again.
    Full(Bytes),
    /// Passed through as it arrives, once; at most `length` bytes when that is known.
    Stream {
        /// The source.
        body: http_body_util::combinators::UnsyncBoxBody<Bytes, BodyBroken>,
        /// `content-length`, when the caller gave one.
        length: Option<u64>,
    },
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RequestBody::Empty => f.write_str("Empty"),
            RequestBody::Full(bytes) => write!(f, "Full({} bytes)", bytes.len()),
            RequestBody::Stream { length, .. } => write!(f, "Stream(length {length:?})"),
        }
    }
}

/// The caller's body broke off or grew over its limit while it was passed on.
#[derive(Debug, thiserror::Error)]
#[error("the request body broke off")]
pub struct BodyBroken;

/// A place that attempts can be sent to. Two attempts share connections when they share this.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// `true` for https.
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// An HTTP proxy to go through: CONNECT for https, and for http too.
    pub proxy: Option<Proxy>,
    /// More certificate authorities to trust, a PEM file, beside the system's and `SSL_CERT_FILE`.
    pub ca_file: Option<std::path::PathBuf>,
}

/// An HTTP proxy.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Ready `proxy-authorization` value, when the proxy's URL held a user.
    pub authorization: Option<String>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proxy({}:{})", self.host, self.port)
    }
}
