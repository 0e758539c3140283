//! `[server]`, `[admin]`, `[store]` and `[shared]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::fault::{Severity, words};
use super::reader::{Need, Reader, Section, cut};
use super::secret::Secret;
use super::values::Cidr;

/// Whose key a call needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// One of ours.
    #[default]
    Keys,
    /// Any bearer; only on loopback.
    Open,
    /// The caller's own, which goes upstream.
    Pass,
}

/// How much of the work behind an answer its headers show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expose {
    /// Provider, attempts, upstream limits.
    #[default]
    All,
    /// None of them.
    Minimal,
}

/// The data plane.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// Threads that carry calls; 0: one a core.
    pub workers: usize,
    /// Whose key a call needs.
    pub auth: Auth,
    /// Largest JSON body, in bytes.
    pub body_max: u64,
    /// Largest multipart or binary body, in bytes.
    pub upload_max: u64,
    /// Uploads up to this size can be sent again, in bytes.
    pub replay_max: u64,
    /// All kept bodies together, in bytes.
    pub buffers_max: u64,
    /// How long calls under way may go on after SIGTERM.
    pub drain: Duration,
    /// Proxies whose `X-Forwarded-For` and country header count.
    pub trusted_proxies: Vec<Cidr>,
    /// Header in which a trusted proxy names the caller's country, in lower case.
    pub country_header: Option<String>,
    /// MaxMind country database.
    pub geoip_db: Option<PathBuf>,
    /// Origins allowed to call from a browser, as browsers send them; `*` for all.
    pub cors: Vec<String>,
    /// How much answers show.
    pub expose: Expose,
    /// Certificate and key files, when TLS is spoken.
    pub tls: Option<TlsFiles>,
}

/// Files of a TLS server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain, PEM.
    pub cert: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            workers: 0,
            auth: Auth::Keys,
            body_max: 64 << 20,
            upload_max: 1 << 30,
            replay_max: 8 << 20,
            buffers_max: 512 << 20,
            drain: Duration::from_secs(30),
            trusted_proxies: Vec::new(),
            country_header: None,
            geoip_db: None,
            cors: Vec::new(),
            expose: Expose::All,
            tls: None,
        }
    }
}

/// The administration plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// Its bearer token; `None`: made at first start.
    pub token: Option<Secret>,
    /// Whether `/metrics` needs no token.
    pub metrics_open: bool,
}

impl Default for AdminConfig {
    fn default() -> Self {
        let listen = (Ipv4Addr::LOCALHOST, 8081).into();
        AdminConfig { listen, token: None, metrics_open: false }
    }
}

/// Where the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL server; its URL may hold a password.
    Postgres(Secret),
}

impl StoreUrl {
    /// Reads `sqlite:PATH`, `sqlite://PATH` or `postgres://…`; `None` for anything else.
    pub fn parse(text: &str) -> Option<StoreUrl> {
        store_url(text)
    }
}

/// When a hold is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LedgerMode {
    /// Written before the attempt is sent; survives the process.
    #[default]
    Process,
    /// On the disk before the attempt is sent; survives the machine.
    Strict,
    /// With the next batch.
    Batched,
}

/// What is remembered, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Where.
    pub url: StoreUrl,
    /// When a hold is durable.
    pub ledger: LedgerMode,
    /// With PostgreSQL: the folder of this gateway's journal of money.
    pub journal: PathBuf,
}

impl Default for StoreConfig {
    fn default() -> Self {
        let url = StoreUrl::Sqlite(PathBuf::from("mainstay.db"));
        let journal = PathBuf::from("mainstay-journal");
        StoreConfig { url, ledger: LedgerMode::Process, journal }
    }
}

/// State shared by several machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedConfig {
    /// Redis or Valkey; its URL may hold a password.
    pub url: Option<Secret>,
    /// Authorities that TLS to it trusts beside the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// Longest wait for one of its answers.
    pub deadline: Duration,
}

impl Default for SharedConfig {
    fn default() -> Self {
        SharedConfig { url: None, ca_file: None, deadline: Duration::from_millis(20) }
    }
}

pub(super) fn read_server(reader: &mut Reader<'_>, root: &Section<'_>) -> ServerConfig {
    let mut server = ServerConfig::default();
    let Some(section) = reader.sub(root, "server", "server") else { return server };
    let auth = [("keys", Auth::Keys), ("open", Auth::Open), ("pass", Auth::Pass)];
    let expose = [("all", Expose::All), ("minimal", Expose::Minimal)];
    if let Some(listen) = read_listen(reader, &section) {
        server.listen = listen;
    }
    if let Some(found) = reader.number(&section, "workers", 0..=256) {
        server.workers = usize::try_from(found.value).expect("at most 256");
    }
    if let Some(found) = reader.word(&section, "auth", &auth) {
        server.auth = found.value;
    }
    if let Some(found) = reader.word(&section, "expose", &expose) {
        server.expose = found.value;
    }
    read_sizes(reader, &section, &mut server);
    if let Some(found) = reader.wait(&section, "drain", Duration::ZERO..=Duration::from_secs(3_600))
    {
        server.drain = found.value;
    }
    server.trusted_proxies = read_ranges(reader, &section, "trusted_proxies");
    let header = |text: &str| text.parse::<http::HeaderName>().ok();
    server.country_header = reader
        .parsed(&section, "country_header", "a header name such as \"cf-ipcountry\"", header)
        .map(|found| found.value.as_str().to_owned());
    server.geoip_db =
        reader.text(&section, "geoip_db", Need::Optional).map(|found| found.value.into());
    server.cors = read_cors(reader, &section);
    server.tls = read_tls(reader, &section);
    server
}

fn read_sizes(reader: &mut Reader<'_>, section: &Section<'_>, server: &mut ServerConfig) {
    for (key, range, slot) in [
        ("body_max", 1 << 10..=1 << 30, &mut server.body_max),
        ("upload_max", 1 << 10..=100 << 30, &mut server.upload_max),
        ("replay_max", 0..=1 << 30, &mut server.replay_max),
        ("buffers_max", 1 << 20..=1 << 40, &mut server.buffers_max),
    ] {
        if let Some(bytes) = reader.bytes(section, key, range) {
            *slot = bytes;
        }
    }
    if server.buffers_max < server.body_max {
        let what = "`server.buffers_max` is smaller than `server.body_max`";
        let why = "a body of the largest size allowed could never be kept";
        reader.error(section.line, words(what, why, "raise `buffers_max` or lower `body_max`"));
    }
}

fn read_listen(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<SocketAddr> {
    let wanted = "an address and a port such as \"127.0.0.1:8080\"";
    reader.parsed(section, "listen", wanted, listen_address).map(|found| found.value)
}

/// Reads `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080` or `:8080` (all addresses).
pub(super) fn listen_address(text: &str) -> Option<SocketAddr> {
    if let Some(port) = text.strip_prefix("localhost:") {
        return Some((Ipv4Addr::LOCALHOST, port.parse().ok()?).into());
    }
    if let Some(port) = text.strip_prefix(':').filter(|rest| !rest.contains(':')) {
        return Some((Ipv4Addr::UNSPECIFIED, port.parse().ok()?).into());
    }
    text.parse().ok()
}

/// A list of address ranges; entries that are none are faults.
pub(super) fn read_ranges(reader: &mut Reader<'_>, section: &Section<'_>, key: &str) -> Vec<Cidr> {
    let mut ranges = Vec::new();
    for found in reader.texts(section, key, 10_000).unwrap_or_default() {
        if let Ok(range) = found.value.parse() {
            ranges.push(range);
            continue;
        }
        let shown = cut(&found.value);
        let what = format!("`{}.{key}` has \"{shown}\", which is no address range", section.shown);
        let fix = "write an address and a length, such as \"10.0.0.0/8\"";
        reader.error(found.line, words(what, "ranges are written as CIDR", fix));
    }
    ranges
}

fn read_cors(reader: &mut Reader<'_>, section: &Section<'_>) -> Vec<String> {
    let mut origins = Vec::new();
    for found in reader.texts(section, "cors", 1_000).unwrap_or_default() {
        let host =
            found.value.strip_prefix("https://").or_else(|| found.value.strip_prefix("http://"));
        let fits = found.value == "*" || host.is_some_and(|h| !h.is_empty() && !h.contains('/'));
        if fits {
            origins.push(found.value.to_ascii_lowercase());
            continue;
        }
        let shown = cut(&found.value);
        let what = format!("`server.cors` has \"{shown}\", which is no origin");
        let why = "browsers send scheme, host and port without a path";
        let fix = "write an origin such as \"https://app.example.com\", or \"*\"";
        reader.error(found.line, words(what, why, fix));
    }
    origins
}

fn read_tls(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<TlsFiles> {
    let tls = reader.sub(section, "tls", "server.tls")?;
    let cert = reader.text(&tls, "cert", Need::Optional).map(|found| found.value.into());
    let key = reader.text(&tls, "key", Need::Optional).map(|found| found.value.into());
    match (cert, key) {
        (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            let what = "`server.tls` has one of `cert` and `key`, but needs both";
            let why = "a TLS server shows a certificate and proves it with its key";
            reader.error(tls.line, words(what, why, "add the other one, or take out the section"));
            None
        }
    }
}

pub(super) fn read_admin(reader: &mut Reader<'_>, root: &Section<'_>) -> AdminConfig {
    let mut admin = AdminConfig::default();
    let Some(section) = reader.sub(root, "admin", "admin") else { return admin };
    if let Some(listen) = read_listen(reader, &section) {
        admin.listen = listen;
    }
    admin.metrics_open = reader.flag(&section, "metrics_open").unwrap_or(false);
    if let Some(token) = reader.text(&section, "token", Need::Optional) {
        if token.value.len() < 16 || token.value.bytes().any(|c| !c.is_ascii_graphic()) {
            let length = token.value.len();
            let what = format!("`admin.token` has {length} characters or a blank among them");
            let why = "who guesses it owns every key; 16 visible ASCII characters are the least";
            let fix = "take it out and one is made, or use the output of `openssl rand -hex 24`";
            reader.error(token.line, words(what, why, fix));
        }
        admin.token = Some(Secret::new(token.value));
    }
    admin
}

pub(super) fn read_store(reader: &mut Reader<'_>, root: &Section<'_>) -> StoreConfig {
    let mut store = StoreConfig::default();
    if let Some(url) = database_url(reader) {
        store.url = url;
    }
    let Some(section) = reader.sub(root, "store", "store") else { return store };
    let modes = [
        ("process", LedgerMode::Process),
        ("strict", LedgerMode::Strict),
        ("batched", LedgerMode::Batched),
    ];
    if let Some(found) = reader.word(&section, "ledger", &modes) {
        store.ledger = found.value;
    }
    if let Some(found) = reader.text(&section, "journal", Need::Optional) {
        store.journal = found.value.into();
    }
    if let Some(found) = reader.text(&section, "url", Need::Optional) {
        if let Some(url) = store_url(&found.value) {
            store.url = url;
        } else {
            let what = "`store.url` is neither `sqlite:PATH` nor `postgres://…`";
            let why = "these are the stores there are";
            reader.error(found.line, words(what, why, "write `url = \"sqlite:mainstay.db\"`"));
        }
    }
    store
}

/// The store that the variable `DATABASE_URL` names, where the file names none. Many programs set it for
/// databases of theirs; those that we do not speak are told of and left alone.
fn database_url(reader: &mut Reader<'_>) -> Option<StoreUrl> {
    let text = reader.environment.get("DATABASE_URL")?.trim();
    let url = (!text.is_empty()).then(|| store_url(text))?;
    if url.is_none() {
        let what = "the variable `DATABASE_URL` names no store of ours, and is left alone";
        let why = "stores are `sqlite:PATH` and `postgres://…`";
        let fix = "unset it here, or name the store with `store.url`";
        reader.report(Severity::Note, None, words(what, why, fix));
    }
    url
}

fn store_url(text: &str) -> Option<StoreUrl> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Some(StoreUrl::Postgres(Secret::new(text)));
    }
    let path = text.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    (!path.is_empty() && !path.contains('\0')).then(|| StoreUrl::Sqlite(path.into()))
}

/// The file's word, else that of `REDIS_URL`.
pub(super) fn read_shared(reader: &mut Reader<'_>, root: &Section<'_>) -> SharedConfig {
    let mut shared = SharedConfig::default();
    if let Some(section) = reader.sub(root, "shared", "shared") {
        let span = Duration::from_millis(1)..=Duration::from_secs(1);
        if let Some(found) = reader.wait(&section, "deadline", span) {
            shared.deadline = found.value;
        }
        let file = reader.text(&section, "ca_file", Need::Optional);
        shared.ca_file = file.map(|found| PathBuf::from(found.value));
        if let Some(found) = reader.text(&section, "url", Need::Optional) {
            if let Err(why) = shared_url(&found.value) {
                let what = "`shared.url` cannot be used";
                reader.error(found.line, words(what, why, SHARED_FIX));
            }
            shared.url = Some(Secret::new(found.value));
        }
    }
    if shared.url.is_none()
        && let Some(url) = reader.environment.get("REDIS_URL").map(str::to_owned)
    {
        if let Err(why) = shared_url(&url) {
            let words = words("`REDIS_URL` cannot be used", why, SHARED_FIX);
            reader.report(Severity::Error, None, words);
        }
        shared.url = Some(Secret::new(url));
    }
    shared
}

const SHARED_FIX: &str = "write `redis://HOST:6379`, `redis+sentinel://HOST,HOST/SERVICE` or \
                          `redis+cluster://HOST,HOST`; `rediss` in place of `redis` for TLS";

#[cfg(feature = "redis")]
fn shared_url(text: &str) -> Result<(), String> {
    let read = text.parse::<mainstay_store::redis::RedisUrl>();
    read.map(drop).map_err(|error| error.to_string())
}

#[cfg(not(feature = "redis"))]
fn shared_url(_: &str) -> Result<(), String> {
    Err("this build was made without Redis and Valkey".to_owned())
}
