//! `[[provider]]`: who answers calls, and with which credentials.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::{HeaderName, HeaderValue};
use mainstay::upstream::Proxy;
use mainstay_core::policy::{Limits, ProviderKind, Sharing};
use mainstay_core::store::model_fits;
use mainstay_tokens::models::Window;
use toml::de::DeValue;

use super::fault::words;
use super::presets::{self, Preset, SIMULATOR};
use super::reader::{Found, Need, Reader, Section, cut, join};
use super::secret::Secret;
use super::sharing;
use super::values::nearest;
use mainstay::http_url::HttpUrl;

/// Where a provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// At this URL.
    Url(HttpUrl),
    /// In this process: the simulator.
    Simulator,
}

/// An upstream that answers calls.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderConfig {
    /// Its name; unique.
    pub name: String,
    /// How it is spoken to.
    pub kind: ProviderKind,
    /// Where it is.
    pub upstream: Upstream,
    /// Its credentials; empty: none is sent.
    pub api_keys: Vec<Secret>,
    /// Headers added to each request; values are marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The proxy to go through, from the file or the environment.
    pub proxy: Option<Secret>,
    /// Certificates trusted beside the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// The caller's model to the provider's.
    pub model_map: BTreeMap<String, String>,
    /// Context windows in tokens, by the provider's model: the preset's, and the file's over them.
    pub windows: BTreeMap<String, u64>,
    /// Models it answers for; `None`: every model no other provider names.
    pub models: Option<Vec<String>>,
    /// Caps on what is sent.
    pub limits: Limits,
    /// Which keys and models count against one limit.
    pub sharing: Sharing,
    /// Whether an answer can be continued from an assistant message.
    pub prefill: bool,
    /// Fields of JSON bodies that are left out.
    pub omit: Vec<String>,
    /// Fields of JSON bodies that are sent under another name.
    pub rename: BTreeMap<String, String>,
    /// Azure: the `api-version` of each request.
    pub api_version: Option<String>,
    /// The variable its key is usually kept in.
    pub key_variable: Option<&'static str>,
    /// Its line in the file; 0 when it is not from a file.
    pub line: u32,
}

impl ProviderConfig {
    /// A provider of a preset, with nothing else set.
    pub(super) fn of_preset(preset: &Preset, name: &str, upstream: Upstream) -> ProviderConfig {
        ProviderConfig {
            name: name.to_owned(),
            kind: preset.speaks,
            upstream,
            api_keys: Vec::new(),
            headers: Vec::new(),
            proxy: None,
            ca_file: None,
            model_map: BTreeMap::new(),
            windows: preset
                .windows
                .iter()
                .map(|&(model, tokens)| (model.to_owned(), tokens))
                .collect(),
            models: None,
            limits: Limits::default(),
            sharing: Sharing::default(),
            prefill: preset.prefill,
            omit: preset.omit.iter().map(|&name| name.to_owned()).collect(),
            rename: preset
                .rename
                .iter()
                .map(|&(from, to)| (from.to_owned(), to.to_owned()))
                .collect(),
            api_version: None,
            key_variable: preset.key_variable,
            line: 0,
        }
    }

    /// Whether its `models` name this one.
    pub fn names_model(&self, model: &str) -> bool {
        let models = self.models.as_deref().unwrap_or_default();
        models.iter().any(|pattern| model_fits(pattern, model))
    }

    /// The context window of a model by the provider's name for it, in tokens: its own `windows`
    /// first, then the built-in table.
    pub fn window(&self, model: &str) -> Option<u64> {
        let own = self.windows.get(model).copied();
        own.or_else(|| Window::of(model, &[]).map(|window| window.context))
    }

    /// The provider's word for a model.
    pub fn model<'m>(&'m self, model: &'m str) -> &'m str {
        self.model_map.get(model).map_or(model, String::as_str)
    }
}

pub(super) fn read_all(reader: &mut Reader<'_>, root: &Section<'_>) -> Vec<ProviderConfig> {
    let mut providers: Vec<ProviderConfig> = Vec::new();
    for section in reader.list(root, "provider") {
        let Some(provider) = read(reader, &section) else { continue };
        if let Some(first) = providers.iter().find(|first| first.name == provider.name) {
            let what =
                format!("`{}` is a second provider named `{}`", section.shown, provider.name);
            let why = format!("the first is on line {}; routes name providers", first.line);
            reader.error(section.line, words(what, why, "give one of them another `name`"));
        }
        providers.push(provider);
    }
    providers
}

fn read(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<ProviderConfig> {
    let preset = read_kind(reader, section)?;
    let upstream = read_upstream(reader, section, preset);
    let name = read_name(reader, section, preset);
    // A fault is filed for what is missing; the rest is read all the same, so that one reading
    // finds everything.
    let name = name.unwrap_or_else(|| section.shown.clone());
    let upstream = upstream.unwrap_or(Upstream::Simulator);
    let mut provider = ProviderConfig::of_preset(preset, &name, upstream);
    provider.line = section.line;
    provider.api_keys = read_keys(reader, section, preset);
    provider.headers = read_headers(reader, section);
    provider.proxy = read_proxy(reader, section, &provider.upstream);
    provider.ca_file =
        reader.text(section, "ca_file", Need::Optional).map(|found| PathBuf::from(found.value));
    provider.model_map = read_names(reader, section, "model_map");
    provider.windows.extend(read_windows(reader, section));
    provider.models = reader
        .texts(section, "models", 10_000)
        .map(|models| models.into_iter().map(|found| found.value).collect());
    (provider.limits, provider.sharing) = sharing::read(reader, section);
    if let Some(supports) = reader.sub(section, "supports", "provider.supports") {
        provider.prefill = reader.flag(&supports, "prefill").unwrap_or(provider.prefill);
    }
    if let Some(omit) = reader.texts(section, "omit", 100) {
        provider.omit = omit.into_iter().map(|found| found.value).collect();
    }
    if Reader::has(section, "rename") {
        provider.rename = read_names(reader, section, "rename");
    }
    provider.api_version =
        reader.text(section, "api_version", Need::Optional).map(|found| found.value);
    Some(provider)
}

fn read_kind(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<&'static Preset> {
    let Some(found) = reader.text(section, "kind", Need::Optional) else {
        return presets::find("compatible");
    };
    let preset = presets::find(&found.value);
    if preset.is_none() {
        let kinds = || presets::PRESETS.iter().map(|preset| preset.kind);
        let what =
            format!("`{}.kind` is \"{}\", which is no kind", section.shown, cut(&found.value));
        let why = format!("known are: {}", join(kinds()));
        let fix = match nearest(&found.value, kinds()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "write `kind = \"compatible\"` and its `base_url`".to_owned(),
        };
        reader.error(found.line, words(what, why, fix));
    }
    preset
}

fn read_name(reader: &mut Reader<'_>, section: &Section<'_>, preset: &Preset) -> Option<String> {
    // Only a provider that is a preset has a name to fall back on.
    let has_kind = Reader::has(section, "kind") && !matches!(preset.kind, "compatible");
    let need = if has_kind { Need::Optional } else { Need::Required };
    let Some(found) = reader.text(section, "name", need) else {
        return (need == Need::Optional).then(|| preset.kind.to_owned());
    };
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=64).contains(&found.value.len()) && found.value.chars().all(fit) {
        return Some(found.value);
    }
    let what = format!("`{}.name` is \"{}\", which is no name", section.shown, cut(&found.value));
    let why = "a name has 1 to 64 letters, digits, `-`, `_` or `.`: targets are `provider/model`";
    reader.error(found.line, words(what, why, "choose a name such as \"openai-eu\""));
    None
}

fn read_upstream(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    preset: &Preset,
) -> Option<Upstream> {
    if preset.kind == SIMULATOR {
        return Some(Upstream::Simulator);
    }
    let need = if preset.base_url.is_some() { Need::Optional } else { Need::Required };
    let Some(found) = reader.text(section, "base_url", need) else {
        let url = preset.base_url?;
        return url.parse().ok().map(Upstream::Url);
    };
    match found.value.parse() {
        Ok(url) => Some(Upstream::Url(url)),
        Err(mainstay::http_url::NotAUrl(why)) => {
            let what = format!("`{}.base_url` is no base URL", section.shown);
            let fix = "write something like \"https://api.openai.com/v1\"";
            reader.error(found.line, words(what, why, fix));
            None
        }
    }
}

fn read_keys(reader: &mut Reader<'_>, section: &Section<'_>, preset: &Preset) -> Vec<Secret> {
    if Reader::has(section, "api_key") && Reader::has(section, "api_keys") {
        let what = format!("`{}` has both `api_key` and `api_keys`", section.shown);
        let why = "which of them hold would be a guess";
        reader.error(section.line, words(what, why, "put all into `api_keys`"));
    }
    let single = reader.text(section, "api_key", Need::Optional);
    let mut found: Vec<Found<String>> = single.into_iter().collect();
    found.extend(reader.texts(section, "api_keys", 1_000).unwrap_or_default());
    let mut keys = Vec::new();
    for Found { value, line } in found {
        keys.extend(credential(reader, &value, &section.shown, Some(line)));
    }
    let written = Reader::has(section, "api_key") || Reader::has(section, "api_keys");
    if !written
        && let Some(value) = preset.key_variable.and_then(|name| reader.environment.get(name))
    {
        let value = value.to_owned();
        keys.extend(credential(reader, &value, &section.shown, Some(section.line)));
    }
    keys
}

/// A key without blanks around it. One that no header can carry is a fault that does not show it.
pub(super) fn credential(
    reader: &mut Reader<'_>,
    value: &str,
    name: &str,
    line: Option<u32>,
) -> Option<Secret> {
    let value = value.trim();
    if !value.is_empty() && value.len() <= 8_192 && value.bytes().all(|c| c.is_ascii_graphic()) {
        return Some(Secret::new(value));
    }
    let what = format!("the API key of `{name}` is empty, has a blank in it or is not ASCII");
    let why = "such a key cannot stand in a header; often a copy went wrong";
    let fix = "copy the key again, without blanks, quotes or line breaks";
    reader.report(super::fault::Severity::Error, line, words(what, why, fix));
    None
}

fn read_headers(reader: &mut Reader<'_>, section: &Section<'_>) -> Vec<(HeaderName, HeaderValue)> {
    const OURS: [&str; 9] = [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "te",
        "trailer",
        "keep-alive",
        "expect",
    ];
    let mut headers = Vec::new();
    for (key, name, item) in reader.entries(section, "headers", 32) {
        let line = reader.line_at(item.span().start);
        let DeValue::String(raw) = item.get_ref() else {
            reader.wrong_shape(line, &name, "a string", item.get_ref());
            continue;
        };
        let Some(text) = reader.fill(raw, &name, line, Need::Optional) else { continue };
        let header = key.parse::<HeaderName>().ok().filter(|h| !OURS.contains(&h.as_str()));
        let value = HeaderValue::from_str(&text).ok();
        let (Some(header), Some(mut value)) = (header, value) else {
            let what = format!("`{}` cannot be sent", cut(&name));
            let why = "its name is no header's or belongs to the connection, or its value has control characters";
            reader.error(line, words(what, why, "take it out or correct it"));
            continue;
        };
        value.set_sensitive(true);
        headers.push((header, value));
    }
    headers
}

fn read_proxy(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    upstream: &Upstream,
) -> Option<Secret> {
    let Some(found) = reader.text(section, "proxy", Need::Optional) else {
        return proxy_from(reader, upstream, section.line);
    };
    if found.value == "none" {
        return None;
    }
    if !found.value.starts_with("http://") || Proxy::from_url(&found.value).is_err() {
        let what = format!("`{}.proxy` is no `http://host:port`", section.shown);
        let why = "proxies are asked by CONNECT over plain HTTP";
        reader.error(
            found.line,
            words(what, why, "write \"http://proxy.example:3128\", or \"none\""),
        );
    }
    Some(Secret::new(found.value))
}

/// The environment's proxy for an upstream. One that cannot be used is a fault: to go around a
/// proxy in silence is never what was meant.
pub(super) fn proxy_from(
    reader: &mut Reader<'_>,
    upstream: &Upstream,
    line: u32,
) -> Option<Secret> {
    let Upstream::Url(url) = upstream else { return None };
    let proxy = reader.environment.proxy_for(url)?;
    if let Err(error) = Proxy::from_url(proxy.expose()) {
        let what = format!("the environment's proxy for {url} cannot be used");
        let fix = "correct `HTTPS_PROXY`, or name the host in `NO_PROXY`";
        let line = (line > 0).then_some(line);
        reader.report(super::fault::Severity::Error, line, words(what, error.to_string(), fix));
    }
    Some(proxy)
}

fn read_names(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    key: &'static str,
) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for (key, name, item) in reader.entries(section, key, 10_000) {
        let line = reader.line_at(item.span().start);
        let DeValue::String(raw) = item.get_ref() else {
            reader.wrong_shape(line, &name, "a string", item.get_ref());
            continue;
        };
        if let Some(model) = reader.fill(raw, &name, line, Need::Optional) {
            map.insert(key.to_owned(), model);
        }
    }
    map
}

fn read_windows(reader: &mut Reader<'_>, section: &Section<'_>) -> BTreeMap<String, u64> {
    let mut windows = BTreeMap::new();
    for (key, name, item) in reader.entries(section, "windows", 10_000) {
        if let Some(found) = reader.number_in(item, &name, 1..=100_000_000) {
            windows.insert(key.to_owned(), found.value);
        }
    }
    windows
}
