//! What single values cannot show: whether a configuration holds together.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use mainstay_core::policy::{ProviderKind, Strategy};
use mainstay_core::store::model_fits;
use mainstay_store::check_postgres_url;

use super::Config;
use super::access::{AccessFor, Gate};
use super::fault::{ConfigFault, Severity, Words, words};
use super::provider::{ProviderConfig, Upstream};
use super::reader::{Reader, cut};
use super::route::RouteConfig;
use super::server::{Auth, StoreUrl};
use super::sharing;
use crate::access::Geo;

/// Files all findings about how the settings meet.
pub(super) fn check(reader: &mut Reader<'_>, config: &Config) {
    for found in addresses(config, true) {
        reader.report(Severity::Error, None, found);
    }
    if !config.admin.listen.ip().is_loopback() {
        let what =
            format!("`admin.listen` is {}, beyond loopback without TLS", config.admin.listen);
        let why = "the admin token would cross the network in clear text";
        let fix = "listen on 127.0.0.1, or start with `--insecure` behind something that adds TLS";
        reader.report(Severity::Note, None, words(what, why, fix));
    }
    check_store(reader, config);
    for provider in &config.providers {
        check_loop(reader, config, provider);
        check_credentials(reader, config, provider);
        check_model_map(reader, provider);
        if provider.kind == ProviderKind::Azure && provider.api_version.is_none() {
            let what = format!("provider `{}` is Azure and has no `api_version`", provider.name);
            let why = "Azure refuses requests to deployments without it";
            reader.error(provider.line, words(what, why, "add `api_version = \"2024-10-21\"`"));
        }
    }
    sharing::check_pools(reader, &config.providers);
    for (index, route) in config.routes.iter().enumerate() {
        check_reachable(reader, &config.routes[..index], route);
        check_targets(reader, config, route);
        check_windows(reader, config, route);
    }
    check_access(reader, config);
    check_countries(reader, config);
}

/// Whether a store in PostgreSQL can be reached at all, by its URL alone.
fn check_store(reader: &mut Reader<'_>, config: &Config) {
    let StoreUrl::Postgres(url) = &config.store.url else { return };
    if let Err(error) = check_postgres_url(url.expose()) {
        let what = "the store in PostgreSQL cannot be opened";
        reader.report(Severity::Error, None, words(what, error.to_string(), error.fix()));
    }
}

/// What is wrong with the addresses to listen on, command line included.
pub(super) fn addresses(config: &Config, insecure: bool) -> impl Iterator<Item = Words> + use<> {
    let (data, admin) = (config.server.listen, config.admin.listen);
    let mut found = Vec::new();
    if config.server.auth == Auth::Open && !data.ip().is_loopback() {
        let what = format!("`server.auth` is \"open\" and `server.listen` is {data}");
        let why = "anybody who reaches that address could spend your credit";
        let fix = "listen on 127.0.0.1, or set `auth = \"keys\"`";
        found.push(words(what, why, fix));
    }
    if overlap(data, admin) {
        let what = format!("`server.listen` and `admin.listen` are both port {}", data.port());
        let why = "one address cannot serve both planes";
        found.push(words(what, why, "give one of them another port"));
    }
    if !insecure && !admin.ip().is_loopback() {
        let what = format!("the administration plane would listen on {admin} without TLS");
        let why = "the admin token would cross the network in clear text";
        let fix = "listen on 127.0.0.1, or start with `--insecure` behind something that adds TLS";
        found.push(words(what, why, fix));
    }
    found.into_iter()
}

fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let same = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    same && a.port() == b.port() && a.port() != 0
}

/// A finding about command line flags.
pub(super) fn on_command_line(found: Words) -> ConfigFault {
    let Words { what, why, fix } = found;
    let file = "command line".to_owned();
    ConfigFault { severity: Severity::Error, file, line: None, what, why, fix }
}

fn check_loop(reader: &mut Reader<'_>, config: &Config, provider: &ProviderConfig) {
    let Upstream::Url(url) = &provider.upstream else { return };
    for (plane, listen) in [("server", config.server.listen), ("admin", config.admin.listen)] {
        let here = match url.host().parse::<IpAddr>() {
            Ok(ip) => ip == listen.ip() || (listen.ip().is_unspecified() && ip.is_loopback()),
            Err(_) => {
                url.host() == "localhost"
                    && (listen.ip().is_loopback() || listen.ip().is_unspecified())
            }
        };
        if here && url.port() == listen.port() {
            let what = format!("provider `{}` is this gateway itself: {url}", provider.name);
            let why = format!("`{plane}.listen` is {listen}, so calls would go round in a circle");
            let fix = "set `base_url` to the upstream, or listen on another port";
            let line = (provider.line > 0).then_some(provider.line);
            reader.report(Severity::Error, line, words(what, why, fix));
        }
    }
}

fn check_credentials(reader: &mut Reader<'_>, config: &Config, provider: &ProviderConfig) {
    let Upstream::Url(url) = &provider.upstream else { return };
    let in_header = provider.headers.iter().any(|(name, _)| {
        matches!(name.as_str(), "authorization" | "api-key" | "x-api-key" | "x-goog-api-key")
    });
    let needs_one = provider.key_variable.is_some() || (url.https() && !url.is_loopback());
    if !needs_one || in_header || !provider.api_keys.is_empty() || config.server.auth == Auth::Pass
    {
        return;
    }
    let what = format!("provider `{}` has no credential", provider.name);
    let why = "its `api_key` is absent or its variable is not set, so every call would be refused";
    let fix = match provider.key_variable {
        Some(variable) => format!("set the variable `{variable}`, or add `api_key`"),
        None => "add `api_key = \"${…}\"` and set that variable".to_owned(),
    };
    reader.warn(provider.line, words(what, why, fix));
}

fn check_model_map(reader: &mut Reader<'_>, provider: &ProviderConfig) {
    for (from, to) in &provider.model_map {
        let Some(next) = provider.model_map.get(to).filter(|_| to != from) else { continue };
        let (kind, why) = if next == from {
            ("a cycle", "names are mapped once, so each of the two becomes the other")
        } else {
            ("a chain", "names are mapped once, so the second step never happens")
        };
        let what = format!(
            "`model_map` of provider `{}` has {kind}: {} to {} to {}",
            provider.name,
            cut(from),
            cut(to),
            cut(next)
        );
        reader.warn(provider.line, words(what, why, "map each name to its final one"));
    }
}

fn check_reachable(reader: &mut Reader<'_>, earlier: &[RouteConfig], route: &RouteConfig) {
    let pattern = route.route.model.as_str();
    let covers = |first: &&RouteConfig| {
        let first = first.route.model.as_str();
        first == pattern
            || (first.ends_with('*') && model_fits(first, pattern.trim_end_matches('*')))
    };
    if let Some(first) = earlier.iter().find(covers) {
        let what = format!("the route for `{}` is never reached", cut(pattern));
        let why = format!(
            "the route for `{}` on line {} stands before it and takes its models",
            cut(&first.route.model),
            first.line
        );
        reader.warn(route.line, words(what, why, "move it above that route, or take it out"));
    }
}

fn check_targets(reader: &mut Reader<'_>, config: &Config, route: &RouteConfig) {
    let targets = &route.route.targets;
    for (index, (target, &line)) in targets.iter().zip(&route.target_lines).enumerate() {
        let same = |other: &&mainstay_core::policy::RouteTarget| {
            other.provider == target.provider && other.model == target.model
        };
        if targets[..index].iter().any(|other| same(&other)) {
            let what = format!("the route for `{}` names a target twice", cut(&route.route.model));
            let why = "falling back to a target that has just failed helps nobody";
            reader.warn(line, words(what, why, "take one of them out"));
        }
        let provider = config.providers.iter().find(|p| p.name == target.provider);
        let model = wanted_model(route, index);
        if let (Some(provider), Some(model)) = (provider, model)
            && provider.models.is_some()
            && !provider.names_model(model)
        {
            let what =
                format!("provider `{}` does not list the model `{}`", provider.name, cut(model));
            let why = format!("its `models` on line {} name others only", provider.line);
            reader.warn(line, words(what, why, "add the model there, or change the target"));
        }
        if target.weight != 1 && route.route.strategy != Strategy::Weighted {
            let what = "a target has a weight, but the strategy is not \"weighted\"";
            let why = "weights count under that strategy only";
            reader.warn(line, words(what, why, "set `strategy = \"weighted\"`, or drop `weight`"));
        }
    }
}

/// The model a target asks for, before the provider's own map; `None` when the caller decides.
fn wanted_model(route: &RouteConfig, index: usize) -> Option<&str> {
    let named = route.route.targets[index].model.as_deref();
    let exact = !route.route.model.ends_with('*');
    named.or_else(|| exact.then_some(route.route.model.as_str()))
}

fn check_windows(reader: &mut Reader<'_>, config: &Config, route: &RouteConfig) {
    let window = |index: usize| {
        let target = &route.route.targets[index];
        let provider = config.providers.iter().find(|p| p.name == target.provider)?;
        let wanted = wanted_model(route, index)?;
        let window = provider
            .window(provider.model(wanted))
            .or_else(|| provider.windows.get(wanted).copied())?;
        Some((format!("{}/{wanted}", target.provider), window))
    };
    let Some((first, most)) = (!route.route.targets.is_empty()).then(|| window(0)).flatten() else {
        return;
    };
    for index in 1..route.route.targets.len() {
        if let Some((name, less)) = window(index).filter(|(_, less)| *less < most) {
            let what = format!(
                "fallback `{}` takes {less} tokens, `{}` takes {most}",
                cut(&name),
                cut(&first)
            );
            let why = "calls that need more than the smaller window have one target fewer";
            let fix = "use a fallback with a window as large, or accept it knowingly";
            reader.warn(route.target_lines[index], words(what, why, fix));
        }
    }
}

/// Rules are about keys and what they belong to.
fn check_access(reader: &mut Reader<'_>, config: &Config) {
    let auth = match config.server.auth {
        Auth::Keys => return,
        Auth::Open => "open",
        Auth::Pass => "pass",
    };
    for rule in &config.access {
        let what = format!("an access rule keeps nobody out under `server.auth = \"{auth}\"`");
        let why = "rules are about organizations, projects and keys, and no key is asked for";
        let fix = "set `auth = \"keys\"`, or take the rule out";
        reader.error(rule.line, words(what, why, fix));
    }
}

fn check_countries(reader: &mut Reader<'_>, config: &Config) {
    let header = config.server.country_header.is_some();
    let trusted = !config.server.trusted_proxies.is_empty();
    if header && !trusted {
        let what = "`server.country_header` is set, but `server.trusted_proxies` is empty";
        let why = "only a trusted proxy's header counts; anybody else could name any country";
        let fix = "add the addresses of your proxy to `trusted_proxies`";
        reader.report(Severity::Warning, None, words(what, why, fix));
    }
    let known = config.server.geoip_db.is_some() || (header && trusted);
    for rule in &config.access {
        if rule.countries != Gate::Any && !known {
            let what = "an access rule is about countries, but nothing tells a caller's country";
            let why = "`server.geoip_db` and `server.country_header` are both absent or unusable";
            let fix = "set one of them, with `trusted_proxies` for the header";
            reader.error(rule.line, words(what, why, fix));
        }
    }
    for (index, rule) in config.access.iter().enumerate() {
        if config.access[..index].iter().any(|first| first.subject == rule.subject) {
            let (AccessFor::Org(name) | AccessFor::Project(name) | AccessFor::Key(name)) =
                &rule.subject;
            let what = format!("there is a second access rule for `{}`", cut(name));
            let why = "both apply, which is easily missed";
            reader.warn(rule.line, words(what, why, "put the lists into one rule"));
        }
    }
}

/// Findings about files that the configuration names. Touches the disk.
pub fn check_files(config: &Config) -> Vec<ConfigFault> {
    let file = config.file.as_deref().map_or_else(|| "environment".into(), Path::to_string_lossy);
    let mut faults = Vec::new();
    let mut need = |key: String, path: &Path, line: u32| {
        let Err(error) = std::fs::File::open(path) else { return };
        faults.push(ConfigFault {
            severity: Severity::Error,
            file: file.clone().into_owned(),
            line: (line > 0).then_some(line),
            what: format!("`{key}` names `{}`, which could not be opened", path.display()),
            why: error.to_string(),
            fix: "correct the path (it is relative to the working directory) or its permissions"
                .to_owned(),
        });
    };
    if let Some(tls) = &config.server.tls {
        need("server.tls.cert".to_owned(), &tls.cert, 0);
        need("server.tls.key".to_owned(), &tls.key, 0);
    }
    if let Some(path) = &config.shared.ca_file {
        need("shared.ca_file".to_owned(), path, 0);
    }
    for provider in &config.providers {
        if let Some(path) = &provider.ca_file {
            need(format!("{}.ca_file", provider.name), path, provider.line);
        }
    }
    let database = config.server.geoip_db.as_deref().map(Geo::open);
    faults.extend(database.and_then(Result::err).map(|fault| fault.in_file(config)));
    faults
}
