//! A `postgres://` URL: where the server is and how it is reached. Its password is never shown.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mainstay_core::store::StoreError;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// How long one try to reach one address may take, unless the URL says `connect_timeout`.
const REACH_MAX: Duration = Duration::from_secs(2);
/// How long what was sent may stay unacknowledged, unless the URL says `tcp_user_timeout`.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);
/// Silence after which the system asks whether the server is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// What PostgreSQL's own library takes when a URL does not say it.
const KEEPALIVE_UNSAID: Duration = Duration::from_secs(2 * 60 * 60);
/// Where the tables are unless the URL says `schema`.
const SCHEMA: &str = "mainstay";

/// What is checked of the server's certificate, as `sslmode` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Nothing: `prefer` and `require`.
    Nothing,
    /// That somebody trusted has signed it: `verify-ca`.
    Chain,
    /// That, and that it is this host's: `verify-full`.
    ChainAndName,
}

/// Where a PostgreSQL server is, and how it is reached.
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) check: Check,
    /// A file of certificates to trust in place of the system's.
    pub(super) roots: Option<PathBuf>,
    /// The schema that the tables are in: a name that needs no quotes.
    pub(super) schema: Box<str>,
    shown: Box<str>,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.shown).finish()
    }
}

impl fmt::Display for Address {
    /// Host, port and database.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Address {
    /// Reads a URL. What is wrong with one is told without quoting it.
    pub(super) fn parse(url: &str) -> Result<Address, StoreError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut own = Own { mode: "prefer".to_owned(), roots: None, schema: SCHEMA.to_owned() };
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            if !own.take(pair)? {
                rest.push(pair);
            }
        }
        let plain =
            if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        let mut config: Config = plain.parse().map_err(|_| unreadable())?;
        let shown = shown(&config).ok_or_else(unreadable)?;
        let (mode, check) = own.tls()?;
        config.ssl_mode(mode);
        complete(&mut config);
        let (roots, schema) = (own.roots, own.schema.into());
        Ok(Address { config, check, roots, schema, shown: shown.into() })
    }
}

/// What of a URL is read here and not by the client.
struct Own {
    mode: String,
    roots: Option<PathBuf>,
    schema: String,
}

impl Own {
    /// `false`: it is none of ours.
    fn take(&mut self, pair: &str) -> Result<bool, StoreError> {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value).ok_or_else(unreadable)?;
        match name {
            "sslmode" => self.mode = value,
            "sslrootcert" if value == "system" => self.roots = None,
            "sslrootcert" => self.roots = Some(value.into()),
            "schema" if is_plain(&value) => self.schema = value,
            "schema" => {
                let why = "`schema` in `store.url` is no plain name: 1 to 48 of a-z, 0-9 and _";
                return Err(StoreError::Invalid { why: why.to_owned() });
            }
            "sslcert" | "sslkey" => {
                let why = format!(
                    "`{name}` in `store.url`: certificates of clients are not spoken; use a password"
                );
                return Err(StoreError::Invalid { why });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn tls(&self) -> Result<(SslMode, Check), StoreError> {
        Ok(match self.mode.as_str() {
            "disable" => (SslMode::Disable, Check::Nothing),
            "allow" | "prefer" => (SslMode::Prefer, Check::Nothing),
            // As PostgreSQL's own library does: who names roots wants them used.
            "require" if self.roots.is_some() => (SslMode::Require, Check::Chain),
            "require" => (SslMode::Require, Check::Nothing),
            "verify-ca" => (SslMode::Require, Check::Chain),
            "verify-full" => (SslMode::Require, Check::ChainAndName),
            _ => {
                let why = "`sslmode` in `store.url` is none of disable, prefer, require, verify-ca and \
                           verify-full";
                return Err(StoreError::Invalid { why: why.to_owned() });
            }
        })
    }
}

/// What the URL does not say.
fn complete(config: &mut Config) {
    if config.get_application_name().is_none() {
        config.application_name("mainstay");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(REACH_MAX);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNACKNOWLEDGED_MAX);
    }
    if config.get_keepalives_idle() == KEEPALIVE_UNSAID {
        config.keepalives_idle(KEEPALIVE);
    }
}

/// Hosts, ports and the database. `None` when there is no host, or when part of a password may have
/// slipped in: a name with an `@` comes from a password with a character that must be encoded.
fn shown(config: &Config) -> Option<String> {
    let ports = config.get_ports();
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(n, host)| {
            let port = ports.get(n).or_else(|| ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) if name.contains(':') => format!("[{name}]:{port}"),
                Host::Tcp(name) => format!("{name}:{port}"),
                #[cfg(unix)]
                Host::Unix(path) => format!("{}:{port}", path.display()),
            }
        })
        .collect();
    let hosts = hosts.join(",");
    let database = config.get_dbname().or_else(|| config.get_user()).unwrap_or_default();
    (!hosts.is_empty() && !hosts.contains('@') && !database.contains('@'))
        .then(|| format!("{hosts}/{database}"))
}

fn is_plain(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
        && name.len() <= 48
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            plain.push(byte);
            continue;
        }
        let pair = [bytes.next()?, bytes.next()?];
        plain.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
    }
    String::from_utf8(plain).ok()
}

fn unreadable() -> StoreError {
    let why = "`store.url` is no PostgreSQL URL: postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full, \
               with characters such as @ : / ? # % in a password written as %40 %3A %2F %3F %23 %25, and with \
               parameters that PostgreSQL's own library has";
    StoreError::Invalid { why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_its_password_never_shown() {
        let url = "postgres://ann:s3%40cret@db.example:6432/prod?sslmode=verify-full&schema=m_2&application_name=x";
        let address = Address::parse(url).unwrap();
        assert_eq!(address.to_string(), "db.example:6432/prod");
        assert_eq!(address.config.get_password(), Some(&b"s3@cret"[..]));
        assert_eq!(address.config.get_application_name(), Some("x"));
        assert_eq!((address.check, &*address.schema), (Check::ChainAndName, "m_2"));
        let told = format!("{address:?}{address}");
        assert!(!told.contains("cret"), "{told}");
    }

    #[test]
    fn what_is_unsaid_is_bounded() {
        let address = Address::parse("postgres://h/d").unwrap();
        assert_eq!(address.config.get_connect_timeout(), Some(&REACH_MAX));
        assert_eq!(address.config.get_tcp_user_timeout(), Some(&UNACKNOWLEDGED_MAX));
        assert_eq!(address.config.get_keepalives_idle(), KEEPALIVE);
        assert_eq!((address.check, &*address.schema), (Check::Nothing, "mainstay"));
    }

    #[test]
    fn tls_follows_sslmode() {
        let modes = [
            ("disable", SslMode::Disable, Check::Nothing),
            ("prefer", SslMode::Prefer, Check::Nothing),
            ("require", SslMode::Require, Check::Nothing),
            ("require&sslrootcert=%2Fca.pem", SslMode::Require, Check::Chain),
            ("verify-ca", SslMode::Require, Check::Chain),
            ("verify-full&sslrootcert=system", SslMode::Require, Check::ChainAndName),
        ];
        for (text, mode, check) in modes {
            let address = Address::parse(&format!("postgres://h/d?sslmode={text}")).unwrap();
            assert_eq!((address.config.get_ssl_mode(), address.check), (mode, check), "{text}");
        }
    }

    #[test]
    fn a_url_that_is_none_is_refused_without_quoting_it() {
        let wrong = [
            "postgres://",
            "postgres:///d",
            "postgres://u:SECRET@h:port/d",
            "postgres://u:SECRET@h/d?sslmode=SECRET",
            "postgres://u:SECRET@h/d?schema=SECRET;drop",
            "postgres://u:SECRET@h/d?sslkey=SECRET",
            "postgres://u:%zz@h/d?sslmode=%zz",
        ];
        for url in wrong {
            let error = Address::parse(url).unwrap_err();
            let told = format!("{error} {error:?} {}", error.fix());
            assert!(!told.contains("SECRET"), "{url}: {told}");
        }
    }

    #[test]
    fn signs_in_a_password_stay_in_it() {
        for (url, password) in [
            ("postgres://u:SECRET/x@h/d", &b"SECRET/x"[..]),
            ("postgres://u:12/SECRET@h/d", b"12/SECRET"),
            ("postgres://u:SECRET?x@h/d", b"SECRET?x"),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!(address.config.get_password(), Some(password), "{url}");
            assert_eq!(format!("{address} {address:?}"), r#"h:5432/d Address("h:5432/d")"#);
        }
    }
}
