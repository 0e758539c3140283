//! Faults without an answer: from the transport itself, or from a client's error text.

use super::{Verdict, next};
use crate::failure::{Failure, Kind, Origin, ProviderSaid, Scope};
use crate::hints;
use crate::wire::error_body::cut_at;
use crate::words::{Phrase, Words, phrases};

/// Why no answer, or no whole one, came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportFault {
    /// The host's name could not be resolved.
    Dns,
    /// The host refused the connection.
    Refused,
    /// No way to the host or its network.
    Unreachable,
    /// The host's certificate is not trusted, not valid or not for this name.
    TlsUntrusted,
    /// The other end does not speak TLS at this port.
    TlsNotSpoken,
    /// The TLS handshake failed otherwise.
    TlsOther,
    /// The proxy wants a login.
    ProxyAuth,
    /// The proxy refused or could not connect.
    ProxyRefused,
    /// The address cannot be used: no host, unknown scheme, bad port.
    BadAddress,
    /// The connection broke before any byte of an answer.
    ResetBeforeAnswer,
    /// No connection within the limit for connecting.
    ConnectTimeout,
    /// Connected, and no headers within the limit.
    HeadersTimeout,
    /// A stream began and brought no content within the limit.
    FirstContentTimeout,
    /// Content began and then nothing came for longer than the limit.
    IdleTimeout,
    /// The call's whole time is over.
    TotalTimeout,
    /// The answer began and the connection broke.
    CutMidBody,
    /// What came is not HTTP.
    MalformedHttp,
    /// The transport failed in a way that none of these names.
    Other,
}

impl TransportFault {
    /// Every fault.
    pub const ALL: [TransportFault; 18] = [
        TransportFault::Dns,
        TransportFault::Refused,
        TransportFault::Unreachable,
        TransportFault::TlsUntrusted,
        TransportFault::TlsNotSpoken,
        TransportFault::TlsOther,
        TransportFault::ProxyAuth,
        TransportFault::ProxyRefused,
        TransportFault::BadAddress,
        TransportFault::ResetBeforeAnswer,
        TransportFault::ConnectTimeout,
        TransportFault::HeadersTimeout,
        TransportFault::FirstContentTimeout,
        TransportFault::IdleTimeout,
        TransportFault::TotalTimeout,
        TransportFault::CutMidBody,
        TransportFault::MalformedHttp,
        TransportFault::Other,
    ];

    /// The kind of failure.
    pub const fn kind(self) -> Kind {
        match self {
            TransportFault::Dns
            | TransportFault::Refused
            | TransportFault::Unreachable
            | TransportFault::TlsUntrusted
            | TransportFault::TlsNotSpoken
            | TransportFault::TlsOther
            | TransportFault::ProxyAuth
            | TransportFault::ProxyRefused
            | TransportFault::BadAddress
            | TransportFault::ResetBeforeAnswer
            | TransportFault::ConnectTimeout
            | TransportFault::Other => Kind::Connection,
            TransportFault::HeadersTimeout
            | TransportFault::FirstContentTimeout
            | TransportFault::IdleTimeout
            | TransportFault::TotalTimeout => Kind::RequestTimeout,
            TransportFault::CutMidBody => Kind::StreamInterrupted,
            TransportFault::MalformedHttp => Kind::MalformedResponse,
        }
    }

    /// Whether a repeat has a fair chance: not while certificates, addresses or the proxy's login
    /// have to be put right first.
    pub const fn retryable(self) -> bool {
        match self {
            TransportFault::TlsUntrusted
            | TransportFault::TlsNotSpoken
            | TransportFault::ProxyAuth
            | TransportFault::BadAddress => false,
            TransportFault::Dns
            | TransportFault::Refused
            | TransportFault::Unreachable
            | TransportFault::TlsOther
            | TransportFault::ProxyRefused
            | TransportFault::ResetBeforeAnswer
            | TransportFault::ConnectTimeout
            | TransportFault::HeadersTimeout
            | TransportFault::FirstContentTimeout
            | TransportFault::IdleTimeout
            | TransportFault::TotalTimeout
            | TransportFault::CutMidBody
            | TransportFault::MalformedHttp
            | TransportFault::Other => true,
        }
    }

    /// `true` when the request certainly did not reach the provider: sending it again cannot do
    /// its work twice.
    pub const fn unsent(self) -> bool {
        match self {
            TransportFault::Dns
            | TransportFault::Refused
            | TransportFault::Unreachable
            | TransportFault::TlsUntrusted
            | TransportFault::TlsNotSpoken
            | TransportFault::TlsOther
            | TransportFault::ProxyAuth
            | TransportFault::ProxyRefused
            | TransportFault::BadAddress
            | TransportFault::ConnectTimeout => true,
            TransportFault::ResetBeforeAnswer
            | TransportFault::HeadersTimeout
            | TransportFault::FirstContentTimeout
            | TransportFault::IdleTimeout
            | TransportFault::TotalTimeout
            | TransportFault::CutMidBody
            | TransportFault::MalformedHttp
            | TransportFault::Other => false,
        }
    }

    /// The failure, without a word from a provider; `attempts` is 1.
    pub fn failure(self) -> Failure {
        let kind = self.kind();
        Failure {
            kind,
            origin: Origin::Network,
            scope: Scope::Provider,
            next: next(self.retryable(), kind, Scope::Provider, None),
            provider: ProviderSaid::default(),
            attempts: 1,
        }
    }
}

/// What a transport fault means.
pub fn of_transport(fault: TransportFault) -> Verdict {
    Verdict { failure: fault.failure(), retryable: fault.retryable(), delay: None, wait: None }
}

/// What a client's error text means, when that is all there is: texts of Python, Node, Go, Rust,
/// Java, .NET and curl. The text is kept as the message.
pub fn of_transport_text(text: &str) -> Verdict {
    let mut verdict = of_transport(fault_in_text(text).unwrap_or(TransportFault::Other));
    let text = text.trim();
    if !text.is_empty() {
        let message = cut_at(text, ProviderSaid::MESSAGE_MAX);
        verdict.failure.provider.message = Some(message.into());
    }
    verdict.delay = hints::text_wait(text);
    verdict
}

/// The fault that a client's error text names; `None` when no line fits.
pub(crate) fn fault_in_text(text: &str) -> Option<TransportFault> {
    let mut words = Words::default();
    words.add(text);
    TEXTS.iter().find(|(phrases, _)| words.say_any(phrases)).map(|(_, fault)| *fault)
}

/// First line that fits wins: certain and permanent causes first, then the body, then timeouts,
/// then connections. Sources: error texts of OpenSSL, undici, httpx, requests, urllib3, aiohttp,
/// Go net/http, reqwest, hyper, rustls, Schannel and curl, read 2026-11.
const TEXTS: &[(&[Phrase], TransportFault)] = &[
    (
        &phrases(["proxy authentication required", "407", "tunnel .. 407", "proxy .. credentials"]),
        TransportFault::ProxyAuth,
    ),
    (
        &phrases([
            "certificate verify failed",
            "certificate verification failed",
            "unable to verify .. certificate",
            "unable to get .. certificate",
            "self signed certificate",
            "certificate has expired",
            "certificate .. expired|untrusted|unknown|invalid|revoked",
            "invalid|untrusted|expired|unknown .. certificate|issuer|peer",
            "unknownissuer",
            "not trusted",
            "unknown authority|ca",
            "hostname|ip mismatch",
            "hostname .. doesnt|does match|not",
            "cert* .. altname*",
            "err tls cert*",
            "depth zero self signed cert",
            "unable to verify leaf signature",
            "self signed cert in chain",
            "cert has expired",
            "unable to get issuer cert*",
            "pkix path building failed",
            "trust relationship",
            "certpathvalidatorexception",
            "remotecertificate*",
            "x509",
            "ssl certificate problem",
        ]),
        TransportFault::TlsUntrusted,
    ),
    (
        &phrases([
            "wrong version number",
            "http response to https client",
            "first record does not look like a tls handshake",
            "packet length too long",
            "plain http request was sent to https",
            "invalidcontenttype",
            "unknown protocol",
        ]),
        TransportFault::TlsNotSpoken,
    ),
    (
        &phrases([
            "invalid url|uri",
            "unsupported protocol|scheme",
            "missing scheme|host|protocol",
            "no scheme|host .. supplied|given",
            "failed to parse url",
            "relative url without a base",
            "missing .. http or https protocol",
            "err invalid url",
        ]),
        TransportFault::BadAddress,
    ),
    (
        &phrases([
            "getaddrinfo",
            "enotfound",
            "eai again",
            "name resolution",
            "name or service not known",
            "nodename nor servname",
            "no such host",
            "could not|cant resolve",
            "failed to|unable lookup|resolve",
            "dns error|lookup|failure|resolution",
            "unknownhostexception",
            "lookup .. misbehaving|timeout",
            "dial tcp lookup",
            "name resolution failed",
            "err name not resolved",
            "no address associated",
        ]),
        TransportFault::Dns,
    ),
    (
        &phrases([
            "connect* timed out",
            "connect timeout|etimedout",
            "connecttimeout*",
            "connection timeout|timedout",
            "und err connect timeout",
            "timeout connecting|establishing",
            "dial .. i o timeout",
            "dial .. timeout",
            "connecting .. timed out",
            "failed to connect .. timed out",
            "connect .. timed out|timeout",
            "err connection timed out",
        ]),
        TransportFault::ConnectTimeout,
    ),
    (
        &phrases([
            "body timeout",
            "und err body timeout",
            "read .. chunk .. timed out",
            "bodytimeouterror",
            "stream idle timeout",
            "idle timeout",
        ]),
        TransportFault::IdleTimeout,
    ),
    (
        &phrases([
            "headers timeout",
            "und err headers timeout",
            "awaiting|waiting headers",
            "awaiting response headers",
        ]),
        TransportFault::HeadersTimeout,
    ),
    (
        &phrases([
            "timed out",
            "timedout",
            "time out",
            "timeout",
            "timeouts",
            "deadline exceeded",
            "deadline has elapsed",
            "etimedout",
            "readtimeout*",
            "pooltimeout",
            "writetimeout",
            "timeouterror",
            "timeoutexception",
            "sockettimeoutexception",
            "operation was aborted",
            "request was aborted",
            "aborterror",
            "超时",
        ]),
        TransportFault::TotalTimeout,
    ),
    (
        &phrases([
            "incomplete chunked read",
            "incomplete read|message|body|response",
            "incompleteread",
            "without sending complete message body",
            "peer closed connection",
            "response payload is not completed",
            "transfer encoding .. not|enough",
            "content length .. mismatch|not|enough",
            "terminated",
            "unexpected eof during chunk|body",
            "unexpected eof",
            "unexpected end of file|stream|data",
            "premature close",
            "premature end",
            "err incomplete chunked encoding",
            "err stream premature close",
            "error decoding response body",
            "error reading a body",
            "error reading response|body",
            "request or response body error",
            "stream .. closed|ended|disconnected|interrupted before|unexpectedly|prematurely",
            "transfer closed with",
            "body .. aborted",
            "err content length mismatch",
            "connection .. closed .. mid|while|during .. stream|body|reading",
            "clientpayloaderror",
            "protocol error .. stream",
            "stream error .. internal|cancel",
            "response ended prematurely",
            "chunkedencodingerror",
            "invalidchunklength",
        ]),
        TransportFault::CutMidBody,
    ),
    (
        &phrases([
            "refused",
            "econnrefused",
            "no connection could be made",
            "failed to connect to .. port",
            "couldnt connect to server",
        ]),
        TransportFault::Refused,
    ),
    (
        &phrases([
            "unreachable",
            "enetunreach",
            "ehostunreach",
            "no route to host",
            "network is down",
            "err internet disconnected",
            "err network changed",
        ]),
        TransportFault::Unreachable,
    ),
    (
        &phrases([
            "proxyerror",
            "proxy .. error|refused|failed",
            "tunnel connection failed",
            "unable to connect to proxy",
            "proxyconnect",
            "connect tunnel failed",
            "err proxy connection failed",
            "err tunnel connection failed",
        ]),
        TransportFault::ProxyRefused,
    ),
    (
        &phrases([
            "invalid http|status|header",
            "malformed http|response|status|chunked",
            "bad status line",
            "badstatusline",
            "err invalid http response",
            "parse error expected http",
            "hpe invalid*",
            "invalid chunk size|length",
            "received http 0 9",
        ]),
        TransportFault::MalformedHttp,
    ),
    (
        &phrases([
            "reset|econnreset",
            "connection aborted|closed|lost|broken|interrupted",
            "socket hang up",
            "broken pipe",
            "epipe",
            "econnaborted",
            "other side closed",
            "server disconnected",
            "remote end closed connection",
            "closed by peer",
            "forcibly closed",
            "eof",
            "empty reply",
            "goaway",
            "refused stream",
            "und err socket",
            "connection was closed",
            "err connection closed",
            "err empty response",
            "sendrequest",
        ]),
        TransportFault::ResetBeforeAnswer,
    ),
    (
        &phrases(["handshake|handshakes", "tls|ssl|openssl|rustls", "sslerror", "sslexception"]),
        TransportFault::TlsOther,
    ),
];
