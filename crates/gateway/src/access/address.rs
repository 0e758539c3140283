//! The address a caller really has: his connection's, or behind trusted proxies the one that the
//! outermost of them saw.
//!
//! `X-Forwarded-For` is read from its end, because only what trusted proxies appended is true; what
//! stands before the first address that is not theirs was written by the caller himself.

use std::net::{IpAddr, SocketAddr};

use mainstay::Fields;

use crate::config::Cidr;

/// Proxies a call may have come through; a longer way is not followed.
const HOPS_MAX: usize = 32;

/// Where a caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// At this address.
    At(IpAddr),
    /// A trusted proxy wrote something that is no address, or nobody knows the connection's.
    Unknown,
}

/// Whether the connection is a trusted proxy's.
pub(super) fn is_trusted(peer: Option<IpAddr>, trusted: &[Cidr]) -> bool {
    peer.is_some_and(|peer| trusted.iter().any(|range| range.contains(peer)))
}

/// The caller's address: the rightmost one in `X-Forwarded-For` that is no trusted proxy's; the
/// connection's own when that is no trusted proxy's, or when the header is missing.
pub(super) fn client(peer: Option<IpAddr>, headers: &Fields, trusted: &[Cidr]) -> Client {
    let Some(peer) = peer.map(|peer| peer.to_canonical()) else { return Client::Unknown };
    if !is_trusted(Some(peer), trusted) {
        return Client::At(peer);
    }
    let mut last = peer;
    let lines = headers.all("x-forwarded-for").rev();
    let entries = lines.flat_map(|line| line.rsplit(|byte| *byte == b','));
    for (hop, entry) in entries.enumerate() {
        let Some(address) = parse(entry).filter(|_| hop < HOPS_MAX) else { return Client::Unknown };
        last = address;
        if !is_trusted(Some(address), trusted) {
            break;
        }
    }
    Client::At(last)
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry.trim_ascii()).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|both| both.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

    fn at(text: &str) -> Client {
        Client::At(text.parse().unwrap())
    }

    fn asked(peer: &str, forwarded: &[&str]) -> Client {
        let trusted: Vec<Cidr> =
            ["10.0.0.0/8", "2001:db8:f::/48"].iter().map(|text| text.parse().unwrap()).collect();
        let mut headers = Fields::default();
        for line in forwarded {
            headers.append(FORWARDED, HeaderValue::from_str(line).unwrap());
        }
        client(Some(peer.parse().unwrap()), &headers, &trusted)
    }

    #[test]
    fn only_what_trusted_proxies_wrote_counts() {
        let cases: [(&str, &[&str], Client); 14] = [
            ("192.0.2.1", &[], at("192.0.2.1")),
            ("192.0.2.1", &["203.0.113.9"], at("192.0.2.1")),
            ("10.0.0.1", &["203.0.113.9"], at("203.0.113.9")),
            ("10.0.0.1", &["1.1.1.1, 203.0.113.9"], at("203.0.113.9")),
            ("10.0.0.1", &["1.1.1.1, 203.0.113.9, 10.2.3.4"], at("203.0.113.9")),
            ("10.0.0.1", &["1.1.1.1", "203.0.113.9 ,10.2.3.4"], at("203.0.113.9")),
            ("10.0.0.1", &["10.0.0.7, 10.0.0.8"], at("10.0.0.7")),
            ("10.0.0.1", &[], at("10.0.0.1")),
            ("10.0.0.1", &["unknown"], Client::Unknown),
            ("10.0.0.1", &["junk, 203.0.113.9"], at("203.0.113.9")),
            ("10.0.0.1", &["203.0.113.9:4711"], at("203.0.113.9")),
            ("2001:db8:f::1", &["[2001:db8::7]:443"], at("2001:db8::7")),
            ("::ffff:10.0.0.1", &["[2001:db8::7]"], at("2001:db8::7")),
            ("10.0.0.1", &["::ffff:203.0.113.9"], at("203.0.113.9")),
        ];
        for (peer, forwarded, want) in cases {
            assert_eq!(asked(peer, forwarded), want, "{peer} {forwarded:?}");
        }
        assert_eq!(client(None, &Fields::default(), &[]), Client::Unknown);
    }

    #[test]
    fn a_way_without_end_is_not_followed() {
        let long = vec!["10.0.0.9"; 5_000].join(",");
        assert_eq!(asked("10.0.0.1", &[&long]), Client::Unknown);
    }

    proptest! {
        /// What a caller writes in front never changes what a trusted proxy appended.
        #[test]
        fn a_caller_cannot_name_his_own_address(
            forged in "[ -~]{0,60}",
            real in any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
            inner in 0_u8..4,
        ) {
            prop_assume!(!is_trusted(Some(real), &["10.0.0.0/8".parse().unwrap()]));
            let tail = ", 10.0.0.9".repeat(usize::from(inner));
            let line = format!("{forged}, {real}{tail}");
            prop_assert_eq!(asked("10.0.0.1", &[&line]), Client::At(real));
        }

        /// Any bytes a header may hold are read without a panic.
        #[test]
        fn any_header_is_read(bytes in proptest::collection::vec(32_u8..=255, 0..200)) {
            let mut headers = Fields::default();
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                headers.insert(FORWARDED, value);
            }
            client(Some("10.0.0.1".parse().unwrap()), &headers, &["0.0.0.0/0".parse().unwrap()]);
        }
    }
}
