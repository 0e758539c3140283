//! Configuration: one TOML file, or none, to settings that make sense together.
//!
//! ```text
//!   file text ──▶ reader (places, shapes, ranges, ${…}) ──▶ Config ──▶ check (what holds together)
//!                    every fault with file, line, what, why, fix
//! ```
//!
//! [`parse`] is pure: text and an [`Environment`] in, a [`Config`] or faults out. Only [`load`] and
//! [`locate`] touch the disk. A file is refused for errors; warnings come with the configuration.

use std::path::{Path, PathBuf};

use mainstay_core::policy::{CodeSet, Policy};
use toml::de::DeTable;

mod access;
mod alerts;
mod check;
mod env;
mod fault;
mod init;
mod keys;
mod limits;
mod money;
mod outline;
mod policy;
mod presets;
mod provider;
mod reader;
mod route;
mod secret;
mod seen;
mod server;
mod sharing;
mod values;

pub use crate::otel::settings::{OtelSettings, Sampler};
pub use access::{AccessFor, AccessRule, Gate};
pub use alerts::{AlertSettings, MessageShape, Receiver, WebhookUrl};
pub use check::check_files;
pub use env::Environment;
pub use fault::{ConfigFault, Severity};
pub use init::starter;
pub use keys::{KEYS, Key, SECTIONS, page as settings_page};
pub use limits::{IdempotencySettings, LimitSettings, Tier, Tiers};
pub use mainstay::http_url::{HttpUrl, NotAUrl};
pub use money::{BudgetConfig, Price};
pub use presets::{PRESETS, Preset, page_of_providers};
pub use provider::{ProviderConfig, Upstream};
pub use route::RouteConfig;
pub use secret::Secret;
pub use seen::{Bodies, LogSettings, RecordSettings};
pub use server::{
    AdminConfig, Auth, Expose, LedgerMode, ServerConfig, SharedConfig, StoreConfig, StoreUrl,
    TlsFiles,
};
pub use values::{Cidr, NotACidr, duration, duration_text, size, size_text};

use fault::words;
use provider::{credential, proxy_from};
use reader::Reader;

/// Largest configuration file, in bytes.
pub const FILE_MAX: u64 = 4 << 20;

/// Settings that make sense together. Only this module makes one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The data plane.
    pub server: ServerConfig,
    /// The administration plane.
    pub admin: AdminConfig,
    /// What is remembered, and where.
    pub store: StoreConfig,
    /// State shared by several machines.
    pub shared: SharedConfig,
    /// Who answers; at least one.
    pub providers: Vec<ProviderConfig>,
    /// Which targets answer for a model, in the order of the file.
    pub routes: Vec<RouteConfig>,
    /// The policies of calls that fit no route.
    pub policy: Policy,
    /// The names our refusals carry.
    pub errors: CodeSet,
    /// Who may call from where.
    pub access: Vec<AccessRule>,
    /// What models cost.
    pub prices: Vec<Price>,
    /// How limits of callers count.
    pub limits: LimitSettings,
    /// Named bundles of limits.
    pub tiers: Tiers,
    /// How budgets count.
    pub budget: BudgetConfig,
    /// How requests that come again are told.
    pub idempotency: IdempotencySettings,
    /// What is logged.
    pub log: LogSettings,
    /// How records of requests are kept.
    pub records: RecordSettings,
    /// When somebody is told of trouble, and who.
    pub alerts: AlertSettings,
    /// Where traces go, by the environment's word.
    pub otel: Option<OtelSettings>,
    /// Findings that do not stop it from being used.
    pub warnings: Vec<ConfigFault>,
    /// The file it was read from.
    pub file: Option<PathBuf>,
}

/// Command line settings that win over the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--listen`.
    pub listen: Option<String>,
    /// `--admin-listen`.
    pub admin_listen: Option<String>,
    /// `--insecure`: the administration plane may be reached beyond loopback without TLS.
    pub insecure: bool,
}

/// The file to read: `flag`, else `MAINSTAY_CONFIG`, else `./mainstay.toml` if there is one.
pub fn locate(flag: Option<&Path>, environment: &Environment) -> Option<PathBuf> {
    let named = flag.map(Path::to_owned);
    let named = named.or_else(|| environment.get("MAINSTAY_CONFIG").map(PathBuf::from));
    named.or_else(|| {
        let here = PathBuf::from("mainstay.toml");
        here.exists().then_some(here)
    })
}

/// Reads a file, or with `None` takes the defaults. Errors and warnings alike are the error.
pub fn load(path: Option<&Path>, environment: &Environment) -> Result<Config, Vec<ConfigFault>> {
    let Some(path) = path else { return parse("environment", "", environment) };
    let text = read_file(path).map_err(|fault| vec![fault])?;
    let mut config = parse(&path.to_string_lossy(), &text, environment)?;
    config.file = Some(path.to_owned());
    Ok(config)
}

/// Reads the text of a file named `file`. Pure: the same text and environment, the same answer.
///
/// # Errors
///
/// Every finding, by line, when at least one of them is an error.
pub fn parse(
    file: &str,
    text: &str,
    environment: &Environment,
) -> Result<Config, Vec<ConfigFault>> {
    let mut reader = Reader::new(file, text, environment);
    let (table, broken) = DeTable::parse_recoverable(text);
    if !broken.is_empty() {
        for error in broken.iter().take(10) {
            let line = error.span().map_or(1, |span| reader.line_at(span.start));
            let message = error.message().lines().next().unwrap_or_default();
            let what = format!("this is not TOML: {}", reader::cut(message));
            let why = "the file is read as TOML 1.0";
            reader.error(line, words(what, why, "correct the line; strings stand in quotes"));
        }
        return Err(reader.faults);
    }
    let root = reader.section("", "", 1, table.get_ref());
    let mut config = read(&mut reader, &root);
    check::check(&mut reader, &config);
    reader.faults.sort_by_key(|fault| (fault.line, fault.severity));
    if reader.faults.iter().any(|fault| fault.severity == Severity::Error) {
        return Err(reader.faults);
    }
    config.warnings = reader.faults;
    Ok(config)
}

fn read(reader: &mut Reader<'_>, root: &reader::Section<'_>) -> Config {
    let mut policy = Policy::default();
    let mut errors = CodeSet::default();
    if let Some(section) = reader.sub(root, "policy", "policy") {
        policy = policy::read(reader, &section, &policy);
        errors = policy::read_codes(reader, &section);
    }
    let (limits, tiers) = limits::read_settings(reader, root);
    let faults_before = reader.faults.len();
    let mut providers = provider::read_all(reader, root);
    if providers.is_empty() && reader.faults.len() == faults_before {
        providers.push(default_provider(reader));
    }
    Config {
        server: server::read_server(reader, root),
        admin: server::read_admin(reader, root),
        store: server::read_store(reader, root),
        shared: server::read_shared(reader, root),
        routes: route::read_all(reader, root, &providers, &policy),
        access: access::read_access(reader, root),
        limits,
        tiers,
        prices: money::read_prices(reader, root),
        budget: money::read_budget(reader, root),
        idempotency: limits::read_idempotency(reader, root),
        log: seen::read_log(reader, root),
        records: seen::read_records(reader, root),
        alerts: alerts::read_alerts(reader, root),
        otel: read_otel(reader),
        providers,
        policy,
        errors,
        warnings: Vec::new(),
        file: None,
    }
}

/// What OpenTelemetry's variables say. What cannot be used is told; no trace is worth a refusal.
fn read_otel(reader: &mut Reader<'_>) -> Option<OtelSettings> {
    let (settings, wrong) = crate::otel::settings::read(reader.environment);
    for (name, why) in wrong {
        let what = format!("the variable `{name}` cannot be used as it is");
        reader.report(Severity::Warning, None, words(what, why, "correct or unset it"));
    }
    settings
}

/// Without a `[[provider]]`: what `OPENAI_BASE_URL` and `OPENAI_API_KEY` name, or the simulator.
fn default_provider(reader: &mut Reader<'_>) -> ProviderConfig {
    let openai = presets::find("openai").expect("the table of presets has openai");
    let simulator = presets::find(presets::SIMULATOR).expect("the table of presets has sim");
    let url = reader.environment.get("OPENAI_BASE_URL").map(str::trim);
    let Some(key) = reader.environment.get("OPENAI_API_KEY").map(str::to_owned) else {
        if url.is_some() {
            let what = "`OPENAI_BASE_URL` is set but `OPENAI_API_KEY` is not: the built-in simulator answers";
            let why = "without a configuration the key decides whether there is an upstream";
            let fix = "set `OPENAI_API_KEY`, to any text if the server needs none";
            reader.report(Severity::Warning, None, words(what, why, fix));
        }
        return ProviderConfig::of_preset(simulator, presets::SIMULATOR, Upstream::Simulator);
    };
    let text = url.or(openai.base_url).unwrap_or_default().to_owned();
    let upstream = match text.parse() {
        Ok(url) => Upstream::Url(url),
        Err(NotAUrl(why)) => {
            let fix = "set it to something like https://api.openai.com/v1, or unset it";
            let what = "`OPENAI_BASE_URL` is no base URL";
            reader.report(Severity::Error, None, words(what, why, fix));
            Upstream::Simulator
        }
    };
    let mut provider = ProviderConfig::of_preset(openai, "openai", upstream);
    provider.proxy = proxy_from(reader, &provider.upstream, 0);
    provider.api_keys = credential(reader, &key, "OPENAI_API_KEY", None).into_iter().collect();
    provider
}

fn read_file(path: &Path) -> Result<String, ConfigFault> {
    let fault = |what: String, why: String, fix: &str| ConfigFault {
        severity: Severity::Error,
        file: path.to_string_lossy().into_owned(),
        line: None,
        what,
        why,
        fix: fix.to_owned(),
    };
    let shown = path.display();
    let failed = |error: std::io::Error| {
        let fix = "check the path and its permissions, or make one with `mainstay config init`";
        fault(format!("could not read the configuration `{shown}`"), error.to_string(), fix)
    };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > FILE_MAX {
        let what = format!("`{shown}` has {length} bytes, a configuration at most {FILE_MAX}");
        return Err(fault(what, "it is read whole".to_owned(), "name another file"));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let what = format!("`{shown}` is not UTF-8 at byte {at}");
        fault(what, "TOML is UTF-8".to_owned(), "save the file as UTF-8")
    })
}

impl Config {
    /// The settings with the command line's over them, and what then does not hold together.
    pub fn with_overrides(mut self, overrides: &Overrides) -> Result<Config, Vec<ConfigFault>> {
        let mut faults = Vec::new();
        for (flag, text, slot) in [
            ("--listen", &overrides.listen, &mut self.server.listen),
            ("--admin-listen", &overrides.admin_listen, &mut self.admin.listen),
        ] {
            match text.as_deref().map(|text| (text, server::listen_address(text))) {
                None => {}
                Some((_, Some(address))) => *slot = address,
                Some((text, None)) => faults.push(check::on_command_line(words(
                    format!("`{flag} {}` is no address and port", reader::cut(text)),
                    "an address to listen on has both",
                    format!("write `{flag} 127.0.0.1:8080`"),
                ))),
            }
        }
        faults.extend(check::addresses(&self, overrides.insecure).map(check::on_command_line));
        if faults.is_empty() { Ok(self) } else { Err(faults) }
    }

    /// Whether the built-in simulator answers calls.
    pub fn uses_simulator(&self) -> bool {
        self.providers.iter().any(|provider| provider.upstream == Upstream::Simulator)
    }

    /// The SQLite file, when the store is one.
    pub fn store_path(&self) -> Option<&Path> {
        match &self.store.url {
            StoreUrl::Sqlite(path) => Some(path),
            StoreUrl::Postgres(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
