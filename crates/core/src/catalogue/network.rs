//! What to do when no answer comes at all: for each fault of a transport its cause and the steps
//! that the vendor's guide gives under `APIConnectionError` and `APITimeoutError`, told for the one
//! place that failed.

use crate::classify::TransportFault;

/// What is behind a fault, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What is behind it, in a sentence.
    pub cause: &'static str,
    /// What to do, in order.
    pub steps: &'static [&'static str],
}

/// The advice on a fault.
pub const fn advice(fault: TransportFault) -> Advice {
    let (cause, steps) = match fault {
        TransportFault::Dns => DNS,
        TransportFault::Refused => REFUSED,
        TransportFault::Unreachable => UNREACHABLE,
        TransportFault::ConnectTimeout => CONNECT_TIMEOUT,
        TransportFault::TlsUntrusted => TLS_UNTRUSTED,
        TransportFault::TlsNotSpoken => TLS_NOT_SPOKEN,
        TransportFault::TlsOther => TLS_OTHER,
        TransportFault::ProxyAuth => PROXY_AUTH,
        TransportFault::ProxyRefused => PROXY_REFUSED,
        TransportFault::BadAddress => BAD_ADDRESS,
        TransportFault::ResetBeforeAnswer => RESET,
        TransportFault::HeadersTimeout
        | TransportFault::FirstContentTimeout
        | TransportFault::IdleTimeout
        | TransportFault::TotalTimeout => TIMEOUT,
        TransportFault::CutMidBody => CUT,
        TransportFault::MalformedHttp => MALFORMED,
        TransportFault::Other => OTHER,
    };
    Advice { cause, steps }
}

type Words = (&'static str, &'static [&'static str]);

const DNS: Words = (
    "The name could not be resolved: a typo in `base_url`, no network, or a DNS server that does not know it.",
    &[
        "Check the spelling of the host in `base_url`.",
        "Check the network, and that this machine or container has a DNS server (/etc/resolv.conf).",
        "Behind a company proxy set HTTPS_PROXY: the proxy then resolves the name.",
    ],
);
const REFUSED: Words = (
    "The machine is there and nothing listens at this port, or a firewall turns connections away.",
    &[
        "Check host and port of `base_url`, and that the server runs.",
        "From a container, 127.0.0.1 is the container itself: use the host's name or address.",
        "Check firewall rules.",
    ],
);
const UNREACHABLE: Words = (
    "There is no way from here to that network: no connection, no route, or a container without leave to reach the outside.",
    &[
        "Check the network settings, and that other hosts can be reached.",
        "Check that the container may send traffic to the outside.",
        "Check firewall rules, and whether a proxy has to be used (HTTPS_PROXY).",
    ],
);
const CONNECT_TIMEOUT: Words = (
    "Packets get no answer: a firewall drops them, the network is very slow, or the server takes no more connections because its queue is full.",
    &[
        "Check that firewall rules let this host and port through, and whether a proxy has to be used (HTTPS_PROXY).",
        "Check the server: one that is overloaded accepts nobody.",
        "Check the network: other programs, a weak link.",
    ],
);
const TLS_UNTRUSTED: Words = (
    "The certificate that came is not trusted, not valid at this time, or for another name.",
    &[
        "Behind a company proxy that looks into TLS, add its CA in `ca_file` or SSL_CERT_FILE.",
        "Check the clock of this machine: certificates are valid from one time to another.",
        "If the server is yours, renew its certificate. Do not turn verification off.",
    ],
);
const TLS_NOT_SPOKEN: Words = (
    "What answers at this port speaks no TLS.",
    &["Write http:// in `base_url` if the server is meant to be plain, or use its TLS port."],
);
const TLS_OTHER: Words = (
    "The TLS handshake failed: no protocol version or cipher in common, or something on the way cut it.",
    &[
        "Check that the server speaks TLS 1.2 or 1.3.",
        "Check proxies and firewalls on the way: some cut TLS that they cannot read.",
    ],
);
const PROXY_AUTH: Words = (
    "The proxy wants a login.",
    &["Put user and password into the proxy's URL: http://user:password@host:port."],
);
const PROXY_REFUSED: Words = (
    "The proxy did not open a way to this host.",
    &[
        "Check what the proxy allows: host and port of `base_url` must be on its list.",
        "Check that HTTPS_PROXY or `proxy` names a proxy that speaks CONNECT.",
        "If the host is to be reached directly, name it in NO_PROXY or set `proxy = \"none\"`.",
    ],
);
const BAD_ADDRESS: Words = (
    "The address cannot be used.",
    &["Correct `base_url`: https://host[:port]/path, with a host that a certificate can be for."],
);
const RESET: Words = (
    "The connection broke before any answer.",
    &[
        "Try again: a server that restarts does this.",
        "Check that `base_url` names the right port: https:// for TLS, http:// without.",
        "Check proxies, VPN and firewalls on the way: some cut what they do not allow.",
    ],
);
const TIMEOUT: Words = (
    "No answer, or no more of it, came in time: a slow network, a loaded service, or a long computation.",
    &[
        "Wait a few seconds and try again.",
        "Check the network: other programs, a proxy, a weak link.",
        "Look at the provider's status page.",
    ],
);
const CUT: Words = (
    "The answer began and broke off.",
    &["Try again.", "If it breaks at the same time each time, look for a proxy with a time limit."],
);
const MALFORMED: Words = (
    "What came is not HTTP.",
    &["Check host, port and scheme of `base_url`: another kind of server answers there."],
);
const OTHER: Words = (
    "The connection failed.",
    &["Check network, proxy, certificates and firewall, in this order."],
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_cause_and_a_step_that_stand_alone() {
        for fault in TransportFault::ALL {
            let Advice { cause, steps } = advice(fault);
            assert!(cause.ends_with('.') && !steps.is_empty(), "{fault:?}");
            assert!(steps.iter().all(|step| step.ends_with('.')), "{fault:?}");
        }
    }
}
