//! The URL of a provider: `http` or `https`, a host, a port, a path; nothing that hides a secret.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A base URL. No trailing slash, no query, no fragment, no user name.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    https: bool,
    host: String,
    port: u16,
    path: String,
}

impl HttpUrl {
    /// Whether TLS is spoken.
    pub fn https(&self) -> bool {
        self.https
    }

    /// The host in lower case; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, by the scheme when none is written.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path without a slash at its end; empty for none.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the host is this machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// `host` or `host:port`, as a `Host` header has it.
    pub fn authority(&self) -> String {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let usual = if self.https { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Why a text is no base URL; stands after "because".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAUrl(pub &'static str);

impl FromStr for HttpUrl {
    type Err = NotAUrl;

    fn from_str(text: &str) -> Result<HttpUrl, NotAUrl> {
        let (https, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some(_) => return Err(NotAUrl("only http:// and https:// are spoken")),
            None => return Err(NotAUrl("it must begin with http:// or https://")),
        };
        if rest.contains(|c: char| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
            return Err(NotAUrl("it has a blank or a character that is not ASCII"));
        }
        if rest.contains(['?', '#']) {
            return Err(NotAUrl("it has a query or a fragment, and paths are appended to it"));
        }
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if authority.contains('@') {
            return Err(NotAUrl("it holds a user name or password; use `api_key` or `headers`"));
        }
        let (host, port) = split_port(authority, if https { 443 } else { 80 })?;
        if path.contains("//") || path.split('/').any(|part| part == ".." || part == ".") {
            return Err(NotAUrl("its path has an empty, `.` or `..` part"));
        }
        let path = path.trim_end_matches('/').to_owned();
        Ok(HttpUrl { https, host: host.to_ascii_lowercase(), port, path })
    }
}

fn split_port(authority: &str, usual: u16) -> Result<(&str, u16), NotAUrl> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) =
                rest.split_once(']').ok_or(NotAUrl("its IPv6 address has no closing bracket"))?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(NotAUrl("what stands in brackets is no IPv6 address"));
            }
            (host, after.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(fit) {
        return Err(NotAUrl("it names no host"));
    }
    match port {
        None => Ok((host, usual)),
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => Ok((host, port)),
            Ok(_) | Err(_) => Err(NotAUrl("its port is not from 1 to 65535")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_written_back_without_a_slash_at_the_end() {
        for (text, want) in [
            ("https://api.openai.com/v1", "https://api.openai.com/v1"),
            ("https://API.openai.com:443/v1/", "https://api.openai.com/v1"),
            ("http://127.0.0.1:9911", "http://127.0.0.1:9911"),
            ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
        ] {
            assert_eq!(text.parse::<HttpUrl>().unwrap().to_string(), want);
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for text in [
            "",
            "api.openai.com/v1",
            "ftp://x/v1",
            "https://",
            "https:///v1",
            "http://u:p@h/v1",
            "http://h/v1?x=1",
            "http://h:0/",
            "http://h:70000/",
            "http://h/a//b",
            "http://h/../x",
            "http://[::1/v1",
            "http://a b/v1",
            "http://[zz]/",
        ] {
            assert!(text.parse::<HttpUrl>().is_err(), "{text}");
        }
    }
}
