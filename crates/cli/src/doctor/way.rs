//! The way to a provider: proxy, DNS, TCP, TLS. What was seen becomes findings here, by pure
//! functions.

use std::net::SocketAddr;
use std::time::Duration;

use mainstay::http::{Certificate, Hitch, Stage, TlsSeen, Way};
use mainstay::upstream::Destination;
use mainstay_core::classify::TransportFault;
use mainstay_core::store::UnixMillis;
use mainstay_gateway::config::Environment;
use mainstay_gateway::shapes;

use super::finding::Finding;

/// A connection that takes longer is told: a retry budget is spent on slow networks too.
const TCP_SLOW: Duration = Duration::from_millis(500);
/// Certificates that end sooner are told.
const EXPIRY_NEAR: Duration = Duration::from_hours(24 * 14);

/// Which proxy is used, and why. `url` is the provider's.
pub(super) fn proxy(destination: &Destination, environment: &Environment) -> Finding {
    let scheme = if destination.tls { "https" } else { "http" };
    let [upper, lower] =
        if destination.tls { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    let value = |name: &str| environment.get(name);
    if let (Some(one), Some(other)) = (value(upper), value(lower))
        && one != other
    {
        let what = format!("{upper} and {lower} name different proxies; {upper} is used");
        let cause = "Programs differ in which of the two they read.";
        return Finding::warning("proxy", what, cause, &["Set one of them, or both to the same."]);
    }
    let said = [upper, lower, "ALL_PROXY", "all_proxy"].into_iter().find(|n| value(n).is_some());
    match (&destination.proxy, said) {
        (Some(proxy), _) => {
            let login = if proxy.authorization.is_some() { ", with a login" } else { "" };
            Finding::ok("proxy", format!("through {}:{}{login}", proxy.host, proxy.port))
        }
        (None, Some(name)) => {
            let what = format!(
                "none is used: {name} is set, and NO_PROXY, loopback or `proxy = \"none\"` spares {}",
                destination.host
            );
            Finding::ok("proxy", what)
        }
        (None, None) => Finding::ok("proxy", format!("none is used for {scheme}://")),
    }
}

/// What was seen on the way. Stages that were not reached are skipped.
pub(super) fn findings(way: &Way, destination: &Destination, now: UnixMillis) -> Vec<Finding> {
    let (host, port) = first_hop(destination);
    let mut found = vec![dns(&way.dns, host)];
    found.push(match &way.tcp {
        Some(stage) => tcp(stage, host, port, destination.proxy.is_some()),
        None => Finding::skipped("tcp", format!("`{host}` has no address")),
    });
    match &way.tunnel {
        Some(stage) => found.push(tunnel(stage, destination)),
        None if destination.proxy.is_some() => {
            found.push(Finding::skipped("tunnel", "there is no connection to the proxy"));
        }
        None => {}
    }
    found.push(match &way.tls {
        Some(seen) => tls(seen, destination, now),
        None if destination.tls => Finding::skipped("tls", "there is no connection"),
        None => Finding::ok("tls", "none: `base_url` is http://"),
    });
    found
}

fn first_hop(destination: &Destination) -> (&str, u16) {
    match &destination.proxy {
        Some(proxy) => (&proxy.host, proxy.port),
        None => (&destination.host, destination.port),
    }
}

fn dns(stage: &Stage<Vec<SocketAddr>>, host: &str) -> Finding {
    let finding = match &stage.result {
        Ok(addresses) if host.parse::<std::net::IpAddr>().is_ok() => {
            Finding::ok("dns", format!("`{}` is an address", addresses[0].ip()))
        }
        Ok(addresses) => {
            let shown: Vec<String> =
                addresses.iter().take(3).map(|address| address.ip().to_string()).collect();
            let more = if addresses.len() > 3 { ", …" } else { "" };
            Finding::ok("dns", format!("`{host}` is {}{more}", shown.join(", ")))
        }
        Err(hitch) => {
            Finding::fault("dns", format!("`{host}`: {}", hitch.detail), TransportFault::Dns)
        }
    };
    finding.within(stage.took)
}

fn tcp(stage: &Stage<SocketAddr>, host: &str, port: u16, proxy: bool) -> Finding {
    let whom = if proxy { "the proxy " } else { "" };
    let finding = match &stage.result {
        Ok(address) if stage.took > TCP_SLOW => {
            let what = format!("{whom}{address} took {} to connect", millis(stage.took));
            let cause = "The network is slow, or the first addresses of the name do not answer.";
            let fix = [
                "Check the network: other programs, a weak link, a far region.",
                "Check IPv6: where it does not work, each connection waits for it first.",
            ];
            Finding::warning("tcp", what, cause, &fix)
        }
        Ok(address) => Finding::ok("tcp", format!("{whom}{address} in {}", millis(stage.took))),
        Err(hitch) => {
            let what = format!("{whom}{host}:{port}: {}", hitch.detail);
            Finding::fault("tcp", what, hitch.fault)
        }
    };
    finding.within(stage.took)
}

fn tunnel(stage: &Stage<()>, destination: &Destination) -> Finding {
    let to = format!("{}:{}", destination.host, destination.port);
    let finding = match &stage.result {
        Ok(()) => Finding::ok("tunnel", format!("the proxy connects to {to}")),
        Err(hitch) => Finding::fault("tunnel", format!("to {to}: {}", hitch.detail), hitch.fault),
    };
    finding.within(stage.took)
}

fn tls(seen: &TlsSeen, destination: &Destination, now: UnixMillis) -> Finding {
    let now = Duration::from_millis(now.0);
    let finding = match (&seen.stage.result, seen.chain.first()) {
        (Ok(h2), Some(own)) => trusted(*h2, &seen.chain, own, now),
        (Ok(_), None) => Finding::ok("tls", "the certificate is trusted"),
        (Err(hitch), Some(own)) if hitch.fault == TransportFault::TlsUntrusted => {
            untrusted(hitch, &seen.chain, own, &destination.host, now)
        }
        (Err(hitch), _) => Finding::fault("tls", hitch.detail.clone(), hitch.fault),
    };
    finding.within(seen.stage.took)
}

fn trusted(h2: bool, chain: &[Certificate], own: &Certificate, now: Duration) -> Finding {
    let protocol = if h2 { "HTTP/2" } else { "HTTP/1.1" };
    let first = chain.iter().min_by_key(|one| one.not_after).unwrap_or(own);
    let left = first.not_after.saturating_sub(now);
    let until = date(first.not_after);
    let what = format!(
        "certificate of {}, signed by {}, until {until} ({} days); {protocol}",
        named(&own.subject),
        named(&own.issuer),
        left.as_secs() / 86_400
    );
    if left >= EXPIRY_NEAR {
        return Finding::ok("tls", what);
    }
    let cause = "When it ends, no call is sent any more.";
    let fix = ["If the server is yours, renew its certificate; else ask whoever runs it."];
    Finding::warning("tls", what, cause, &fix).around()
}

/// Why a certificate is not trusted, as exactly as the certificates tell.
fn untrusted(
    hitch: &Hitch,
    chain: &[Certificate],
    own: &Certificate,
    host: &str,
    now: Duration,
) -> Finding {
    let finding = |what: String, cause: String| {
        Finding::fault("tls", what, TransportFault::TlsUntrusted).caused(cause)
    };
    let shown = named(&own.subject);
    if let Some(ended) = chain.iter().find(|one| one.not_after < now) {
        let what = format!("the certificate of {} has expired", named(&ended.subject));
        let cause = format!(
            "It was valid until {}, and this machine's clock says {}.",
            date(ended.not_after),
            date(now)
        );
        return finding(what, cause);
    }
    if let Some(early) = chain.iter().find(|one| one.not_before > now) {
        let what = format!("the certificate of {} is not valid yet", named(&early.subject));
        let cause = format!(
            "It is valid from {}, and this machine's clock says {}: the clock is probably wrong.",
            date(early.not_before),
            date(now)
        );
        return finding(what, cause);
    }
    if hitch.detail.contains("not valid for name") {
        let what = format!("the certificate is for {shown}, not for `{host}`");
        let cause =
            "Another server answers, or `base_url` names it differently than its certificate.";
        return finding(what, cause.to_owned());
    }
    if own.subject == own.issuer && chain.len() == 1 {
        let what = format!("the certificate of {shown} is signed by itself");
        let cause =
            "Nobody vouches for it: a test server, or something that takes its place on the way.";
        return finding(what, cause.to_owned());
    }
    let last = chain.last().unwrap_or(own);
    let what = format!("the certificate of {shown} is signed by {}", named(&last.issuer));
    let cause = format!(
        "This machine does not trust that signer ({}): a company proxy that looks into TLS, a private authority, or a missing intermediate certificate.",
        hitch.detail
    );
    finding(what, cause)
}

fn named(name: &str) -> String {
    if name.is_empty() { "no name".to_owned() } else { format!("`{name}`") }
}

fn date(at: Duration) -> String {
    let text = shapes::time(UnixMillis(u64::try_from(at.as_millis()).unwrap_or(u64::MAX)));
    text.get(..10).map_or_else(|| text.clone(), str::to_owned)
}

/// Milliseconds with one decimal below ten.
pub(super) fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    if millis < 10.0 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;

    const DAY: Duration = Duration::from_hours(24);

    fn certificate(subject: &str, issuer: &str, from: u32, to: u32) -> Certificate {
        let (subject, issuer) = (subject.to_owned(), issuer.to_owned());
        Certificate { subject, issuer, not_before: DAY * from, not_after: DAY * to }
    }

    fn seen(result: Result<bool, &str>, chain: Vec<Certificate>) -> TlsSeen {
        let result = result.map_err(|detail| Hitch {
            fault: TransportFault::TlsUntrusted,
            detail: detail.to_owned(),
        });
        TlsSeen { stage: Stage { result, took: Duration::ZERO }, chain }
    }

    fn at(day: u64) -> UnixMillis {
        UnixMillis(day * 86_400_000)
    }

    fn here() -> Destination {
        Destination {
            tls: true,
            host: "api.test".to_owned(),
            port: 443,
            proxy: None,
            ca_file: None,
        }
    }

    #[test]
    fn certificates_that_end_soon_are_told_fourteen_days_before() {
        let chain = vec![certificate("a", "ca", 0, 100), certificate("ca", "root", 0, 90)];
        let state = |day| tls(&seen(Ok(true), chain.clone()), &here(), at(day)).state;
        assert_eq!(state(76), State::Ok);
        assert_eq!(state(77), State::Warning);
    }

    #[test]
    fn the_reason_for_distrust_is_told() {
        for (day, chain, detail, want) in [
            (100, vec![certificate("a", "a", 0, 99)], "", "has expired"),
            (1, vec![certificate("a", "ca", 2, 99)], "", "not valid yet"),
            (9, vec![certificate("a", "a", 0, 99)], "UnknownIssuer", "signed by itself"),
            (9, vec![certificate("a", "Corp", 0, 99)], "UnknownIssuer", "signed by `Corp`"),
            (
                9,
                vec![certificate("b", "ca", 0, 99)],
                "not valid for name \"api\"",
                "not for `api.test`",
            ),
        ] {
            let finding = tls(&seen(Err(detail), chain), &here(), at(day));
            assert!(finding.found.contains(want), "{want}: {}", finding.found);
            assert_eq!(finding.state, State::Failed);
        }
    }

    #[test]
    fn proxy_variables_that_disagree_are_told() {
        let pairs = [("HTTPS_PROXY", "http://a:1"), ("https_proxy", "http://b:1")];
        assert_eq!(proxy(&here(), &Environment::from_pairs(pairs)).state, State::Warning);
        let pairs = [("HTTPS_PROXY", "http://a:1"), ("NO_PROXY", "api.test")];
        let spared = proxy(&here(), &Environment::from_pairs(pairs));
        assert!(spared.found.contains("HTTPS_PROXY is set"), "{}", spared.found);
    }
}
