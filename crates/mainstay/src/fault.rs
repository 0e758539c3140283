//! Faults of a transport: how an attempt can fail without an answer of the provider.

/// Why an attempt broke off below HTTP's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportFault {
    /// The name did not resolve. Nothing was sent.
    Dns,
    /// The port refused the connection. Nothing was sent.
    Refused,
    /// No way to the host. Nothing was sent.
    Unreachable,
    /// The certificate is not trusted, not valid or not for this name. Nothing was sent.
    TlsUntrusted,
    /// The other end does not speak TLS at this port. Nothing was sent.
    TlsNotSpoken,
    /// TLS failed in another way. Nothing was sent.
    TlsOther,
    /// The proxy wants other credentials. Nothing was sent.
    ProxyAuth,
    /// The proxy refused the tunnel. Nothing was sent.
    ProxyRefused,
    /// The address cannot be used. Nothing was sent.
    BadAddress,
    /// The connection ended after sending began and before an answer.
    ResetBeforeAnswer,
    /// Connecting took too long. Nothing was sent.
    ConnectTimeout,
    /// The answer's head did not come in time.
    HeadersTimeout,
    /// The first content did not come in time.
    FirstContentTimeout,
    /// The answer paused too long.
    IdleTimeout,
    /// The whole attempt took too long.
    TotalTimeout,
    /// The answer's body ended early.
    CutMidBody,
    /// What came was not HTTP, or beyond its limits.
    MalformedHttp,
    /// The attempt failed in a way that none of these names, the caller's own body among them.
    Other,
}
