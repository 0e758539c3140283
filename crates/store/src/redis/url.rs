//! Where the server is: one, several behind sentinels, or a cluster.

use std::fmt;
use std::str::FromStr;

/// Hosts in a URL at most.
const HOSTS_MAX: usize = 100;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            return write!(f, "[{}]:{}", self.name, self.port);
        }
        write!(f, "{}:{}", self.name, self.port)
    }
}

/// How the server for a key is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// It is the one named.
    Single,
    /// Sentinels tell which one is the master of this service.
    Sentinel(String),
    /// By the cluster's slots.
    Cluster,
}

/// A URL in one of these forms; with `rediss` in place of `redis` TLS is spoken:
///
/// * `redis://[user:password@]host[:6379][/database]`
/// * `redis+sentinel://[user:password@]host[:26379][,host…]/service[/database]`
/// * `redis+cluster://[user:password@]host[:6379][,host…]`
///
/// `Debug` and `Display` show no user and no password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    pub(super) form: Form,
    pub(super) tls: bool,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) hosts: Vec<Host>,
    pub(super) database: u32,
}

/// Why a text is no such URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotARedisUrl(pub &'static str);

impl FromStr for RedisUrl {
    type Err = NotARedisUrl;

    fn from_str(text: &str) -> Result<RedisUrl, NotARedisUrl> {
        let (scheme, rest) =
            text.trim().split_once("://").ok_or(NotARedisUrl("it has no scheme"))?;
        let (kind, form) = scheme.split_once('+').unwrap_or((scheme, ""));
        let tls = match kind {
            "redis" => false,
            "rediss" => true,
            _ => return Err(NotARedisUrl("its scheme is neither `redis` nor `rediss`")),
        };
        if rest.contains(['?', '#']) {
            return Err(NotARedisUrl(
                "it has a `?` or `#`; these belong percent-encoded into a password",
            ));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };
        let (user, password) = login.map(read_login).transpose()?.unwrap_or_default();
        let (form, database) = read_form(form, path)?;
        let port = if matches!(form, Form::Sentinel(_)) { 26_379 } else { 6_379 };
        let hosts: Vec<Host> =
            hosts.split(',').map(|host| read_host(host, port)).collect::<Result<_, _>>()?;
        if hosts.len() > HOSTS_MAX {
            return Err(NotARedisUrl("it names more than 100 hosts"));
        }
        if form == Form::Single && hosts.len() > 1 {
            let why = "it names several hosts; write `redis+sentinel://` or `redis+cluster://`";
            return Err(NotARedisUrl(why));
        }
        Ok(RedisUrl { form, tls, user, password, hosts, database })
    }
}

fn read_form(form: &str, path: &str) -> Result<(Form, u32), NotARedisUrl> {
    let path = path.trim_end_matches('/');
    match form {
        "" => Ok((Form::Single, read_database(path)?)),
        "sentinel" => {
            let (service, database) = path.split_once('/').unwrap_or((path, ""));
            if service.is_empty() || service.bytes().any(|c| !c.is_ascii_graphic()) {
                return Err(NotARedisUrl("it names no service: `redis+sentinel://host/SERVICE`"));
            }
            Ok((Form::Sentinel(service.to_owned()), read_database(database)?))
        }
        "cluster" if read_database(path)? == 0 => Ok((Form::Cluster, 0)),
        "cluster" => Err(NotARedisUrl("it names a database; a cluster has only database 0")),
        _ => Err(NotARedisUrl("after `+` it has neither `sentinel` nor `cluster`")),
    }
}

fn read_database(text: &str) -> Result<u32, NotARedisUrl> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| NotARedisUrl("its database is no number"))
}

fn read_login(login: &str) -> Result<(Option<String>, Option<String>), NotARedisUrl> {
    // As other clients read it: without a colon it is a password (`redis-cli -u redis://secret@host`).
    let (user, password) = login.split_once(':').unwrap_or(("", login));
    let decode = |text: &str| decoded(text).map(|text| (!text.is_empty()).then_some(text));
    Ok((decode(user)?, decode(password)?))
}

fn read_host(text: &str, port: u16) -> Result<Host, NotARedisUrl> {
    const NONE: NotARedisUrl = NotARedisUrl("a host in it is empty or no host name");
    let (name, rest) = if let Some(rest) = text.strip_prefix('[') {
        rest.split_once(']').ok_or(NotARedisUrl("an IPv6 address in it has no `]`"))?
    } else {
        let end = text.find(':').unwrap_or(text.len());
        text.split_at(end)
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if name.is_empty() || name.len() > 253 || !name.chars().all(fits) {
        return Err(NONE);
    }
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => port,
        None => return Err(NONE),
        Some(port) => port.parse().map_err(|_| NotARedisUrl("a port in it is no port"))?,
    };
    Ok(Host { name: name.to_owned(), port })
}

/// Text without its percent signs.
fn decoded(text: &str) -> Result<String, NotARedisUrl> {
    const BAD: NotARedisUrl =
        NotARedisUrl("its user or password has a `%` that stands for nothing");
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
            return Err(BAD);
        };
        out.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits are a byte"));
    }
    String::from_utf8(out).map_err(|_| BAD)
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "rediss" } else { "redis" })?;
        match &self.form {
            Form::Single => f.write_str("://")?,
            Form::Sentinel(_) => f.write_str("+sentinel://")?,
            Form::Cluster => f.write_str("+cluster://")?,
        }
        let hosts: Vec<String> = self.hosts.iter().map(Host::to_string).collect();
        f.write_str(&hosts.join(","))?;
        if let Form::Sentinel(service) = &self.form {
            write!(f, "/{service}")?;
        }
        if self.database > 0 { write!(f, "/{}", self.database) } else { Ok(()) }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> RedisUrl {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn every_form_is_read_and_shown_without_its_login() {
        for (text, shown) in [
            ("redis://h", "redis://h:6379"),
            ("redis://:p%40ss@h:7000/3", "redis://h:7000/3"),
            ("rediss://user:secret@h.example/", "rediss://h.example:6379"),
            ("redis://[::1]:6380", "redis://[::1]:6380"),
            ("redis+sentinel://:x@a,b:26380/main", "redis+sentinel://a:26379,b:26380/main"),
            ("rediss+sentinel://a/main/2", "rediss+sentinel://a:26379/main/2"),
            ("redis+cluster://a,b:7001,c", "redis+cluster://a:6379,b:7001,c:6379"),
        ] {
            let url = read(text);
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("secret"));
        }
        let url = read("redis://us%3Aer:p%40ss@h");
        assert_eq!((url.user.as_deref(), url.password.as_deref()), (Some("us:er"), Some("p@ss")));
        assert_eq!(read("redis://secret@h").password.as_deref(), Some("secret"));
    }

    #[test]
    fn what_is_none_says_why() {
        for (text, why) in [
            ("h:6379", "scheme"),
            ("http://h", "scheme"),
            ("redis://", "empty"),
            ("redis://a,b", "several"),
            ("redis://h/x", "database"),
            ("redis://h:99999", "port"),
            ("redis://h?x=1", "?"),
            ("redis://%zz@h", "%"),
            ("redis+sentinel://a", "service"),
            ("redis+cluster://a/1", "database"),
            ("redis+other://a", "sentinel"),
            ("redis://[::1", "]"),
        ] {
            let error = text.parse::<RedisUrl>().expect_err(text);
            assert!(error.0.contains(why), "{text}: {error}");
        }
    }
}
