//! HTTP proxies: which one a destination goes through, and the tunnel to it.

use std::net::IpAddr;

use mainstay_core::classify::TransportFault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::hitch::Hitch;
use crate::upstream::{Destination, Proxy};

/// Longest answer of a proxy to CONNECT, bytes.
const ANSWER_MAX: usize = 16 * 1024;

/// Why a text is no proxy. The text itself is not repeated: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyUrlError {
    /// `https://`, `socks5://` and others.
    #[error("only http:// proxies are supported; write http://[user:password@]host:port")]
    Scheme,
    /// No host, or one that cannot be.
    #[error("the proxy's URL has no valid host; write http://[user:password@]host:port")]
    Host,
    /// A port that is none.
    #[error("the proxy's port must be a number from 1 to 65535")]
    Port,
    /// User or password with a broken `%` escape.
    #[error("user or password in the proxy's URL has a % that is not followed by two hex digits")]
    Escape,
}

impl Proxy {
    /// Reads `http://[user:password@]host[:port][/]`; the scheme may be left out, the port is 80
    /// then. User and password may be percent-encoded.
    pub fn from_url(url: &str) -> Result<Self, ProxyUrlError> {
        let url = url.trim();
        let rest = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return Err(ProxyUrlError::Scheme),
            None => url,
        };
        let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, place) = match place.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, place),
        };
        let (host, port) = host_and_port(place)?;
        let authorization = match user.filter(|user| !user.is_empty()) {
            Some(user) => Some(format!("Basic {}", base64(&unescape(user)?))),
            None => None,
        };
        Ok(Self { host: host.to_owned(), port: port.unwrap_or(80), authorization })
    }
}

/// The proxy for a destination by the usual environment variables' values: none for plain http,
/// for this machine itself, and for what `no_proxy` lists.
///
/// # Errors
///
/// [`ProxyUrlError`] when `https_proxy` is needed and no proxy.
pub fn proxy_for(
    destination: &Destination,
    https_proxy: Option<&str>,
    no_proxy: Option<&str>,
) -> Result<Option<Proxy>, ProxyUrlError> {
    let Destination { tls, host, port, .. } = destination;
    let url = https_proxy.map(str::trim).filter(|url| !url.is_empty());
    let direct = is_this_machine(host)
        || no_proxy.is_some_and(|no_proxy| no_proxy_matches(no_proxy, host, *port));
    match url {
        Some(url) if *tls && !direct => Proxy::from_url(url).map(Some),
        _ => Ok(None),
    }
}

/// Whether a `NO_PROXY` list names a host: `*`; a name, which covers its subdomains;
/// `.example.com` or `*.example.com`, which cover only the subdomains; an address; a network as
/// `10.0.0.0/8`; each but `*` and networks with an optional `:port`. Entries are separated by
/// commas or spaces; what cannot be read names nothing.
pub fn no_proxy_matches(no_proxy: &str, host: &str, port: u16) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    no_proxy
        .split(|c: char| c == ',' || c.is_ascii_whitespace())
        .filter(|entry| !entry.is_empty())
        .any(|entry| entry_matches(&entry.to_ascii_lowercase(), &host, address, port))
}

fn entry_matches(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some((network, bits)) = entry.split_once('/') {
        let bare = network.trim_start_matches('[').trim_end_matches(']');
        return match (bare.parse(), bits.parse(), address) {
            (Ok(network), Ok(bits), Some(address)) => is_within(address, network, bits),
            _ => false,
        };
    }
    let Ok((name, its_port)) = host_and_port(entry) else { return false };
    if its_port.is_some_and(|its_port| its_port != port) {
        return false;
    }
    if let Some(address) = address {
        return name.parse() == Ok(address);
    }
    let name = name.strip_prefix('*').unwrap_or(name).trim_end_matches('.');
    match name.strip_prefix('.') {
        Some(domain) => is_subdomain(host, domain),
        None => host == name || is_subdomain(host, name),
    }
}

fn is_subdomain(host: &str, domain: &str) -> bool {
    !domain.is_empty() && host.strip_suffix(domain).is_some_and(|front| front.ends_with('.'))
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            a.to_bits() & mask == n.to_bits() & mask
        }
        (IpAddr::V6(a), IpAddr::V6(n)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            a.to_bits() & mask == n.to_bits() & mask
        }
        _ => false,
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address.
fn host_and_port(text: &str) -> Result<(&str, Option<u16>), ProxyUrlError> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(ProxyUrlError::Host)?;
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(ProxyUrlError::Host),
        }
    } else if text.parse::<IpAddr>().is_ok() {
        (text, None)
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
    };
    let odd = |c: char| c.is_ascii_whitespace() || c.is_ascii_control() || c == '@';
    if host.is_empty() || host.contains(odd) {
        return Err(ProxyUrlError::Host);
    }
    let port = match port {
        Some(port) => match port.parse() {
            Ok(port) if port > 0 => Some(port),
            Ok(_) | Err(_) => return Err(ProxyUrlError::Port),
        },
        None => None,
    };
    Ok((host, port))
}

fn unescape(text: &str) -> Result<Vec<u8>, ProxyUrlError> {
    let hex = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        match (hex(bytes.next()), hex(bytes.next())) {
            (Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).map_err(|_| ProxyUrlError::Escape)?);
            }
            _ => return Err(ProxyUrlError::Escape),
        }
    }
    Ok(out)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let byte = |index| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit) & 63) as usize;
            let padding = digit > group.len();
            out.push(if padding { '=' } else { char::from(DIGITS[index]) });
        }
    }
    out
}

/// Asks a proxy for a tunnel to `host:port` on an open connection to it.
pub(super) async fn tunnel(
    tcp: &mut TcpStream,
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> Result<(), Hitch> {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let authorization = match &proxy.authorization {
        Some(value) => format!("proxy-authorization: {value}\r\n"),
        None => String::new(),
    };
    let ask =
        format!("CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n{authorization}\r\n");
    let asked = tcp.write_all(ask.as_bytes()).await;
    asked.map_err(|error| Hitch::new(TransportFault::ProxyRefused, error))?;
    match answer_status(tcp).await {
        Some(200..=299) => Ok(()),
        Some(407) => Err(Hitch::new(TransportFault::ProxyAuth, "the proxy answered 407")),
        Some(status) => {
            let detail = format!("the proxy answered CONNECT with {status}");
            Err(Hitch::new(TransportFault::ProxyRefused, detail))
        }
        None => Err(Hitch::new(
            TransportFault::ProxyRefused,
            "it did not answer CONNECT as a proxy does",
        )),
    }
}

/// The status of the proxy's answer once its head is complete. Nothing may follow the head of a
/// tunnel's beginning: the provider does not speak first.
async fn answer_status(tcp: &mut TcpStream) -> Option<u16> {
    let mut seen = Vec::with_capacity(512);
    let end = loop {
        if let Some(at) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if seen.len() >= ANSWER_MAX || tcp.read_buf(&mut seen).await.ok()? == 0 {
            return None;
        }
    };
    let line = seen.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let status = line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let extra = seen.len() > end;
    if extra && (200..=299).contains(&status) { None } else { Some(status) }
}
