//! `[[route]]`: which targets answer for a model.

use mainstay_core::policy::{Policy, Route, RouteTarget, Strategy};
use toml::de::DeValue;

use super::fault::words;
use super::policy;
use super::provider::ProviderConfig;
use super::reader::{Need, Reader, Section, cut, join};
use super::values::nearest;

/// A route and where it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteConfig {
    /// The route.
    pub route: Route,
    /// Its line in the file.
    pub line: u32,
    /// The lines of its targets.
    pub target_lines: Vec<u32>,
}

pub(super) fn read_all(
    reader: &mut Reader<'_>,
    root: &Section<'_>,
    providers: &[ProviderConfig],
    base: &Policy,
) -> Vec<RouteConfig> {
    let mut routes = Vec::new();
    for section in reader.list(root, "route") {
        let model = reader.text(&section, "model", Need::Required);
        let strategies = [
            ("order", Strategy::Order),
            ("weighted", Strategy::Weighted),
            ("least_busy", Strategy::LeastBusy),
            ("lowest_latency", Strategy::LowestLatency),
        ];
        let strategy = reader.word(&section, "strategy", &strategies);
        let targets = read_targets(reader, &section, providers);
        let policy = match reader.sub(&section, "policy", "route.policy") {
            Some(written) => policy::read(reader, &written, base),
            None => base.clone(),
        };
        let Some(model) = model else { continue };
        if model.value.trim_end_matches('*').contains('*') || model.value.is_empty() {
            let what = format!("`{}.model` is \"{}\"", section.shown, cut(&model.value));
            let why = "a `*` matches any rest, so it can only be the last character";
            reader.error(model.line, words(what, why, "write a name, or a start and `*`"));
        }
        let (targets, target_lines) = targets.into_iter().unzip();
        let strategy = strategy.map(|found| found.value).unwrap_or_default();
        let route = Route { model: model.value, targets, strategy, policy };
        routes.push(RouteConfig { route, line: section.line, target_lines });
    }
    routes
}

fn read_targets(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    providers: &[ProviderConfig],
) -> Vec<(RouteTarget, u32)> {
    let items = reader.items(section, "targets", 64);
    if items.as_ref().is_none_or(Vec::is_empty) {
        if items.is_some() || !Reader::has(section, "targets") {
            let what = format!("`{}` has no targets", section.shown);
            let fix = "add `targets = [\"provider/model\"]`";
            reader.error(section.line, words(what, "nobody could answer for its model", fix));
        }
        return Vec::new();
    }
    let mut targets = Vec::new();
    for (name, line, item) in items.unwrap_or_default() {
        let (text, weight) = if let DeValue::Table(table) = item {
            let entry = reader.section("route.target", &name, line, table);
            let text = reader.text(&entry, "target", Need::Required);
            let weight = reader.number(&entry, "weight", 1..=1_000).map_or(1, |w| w.value);
            (text.map(|found| found.value), weight)
        } else if let DeValue::String(raw) = item {
            (reader.fill(raw, &name, line, Need::Required), 1)
        } else {
            reader.wrong_shape(line, &name, "a string or a table", item);
            (None, 1)
        };
        let weight = u32::try_from(weight).expect("at most 1000");
        let Some(text) = text else { continue };
        targets.extend(target(reader, &text, weight, line, providers).map(|target| (target, line)));
    }
    targets
}

fn target(
    reader: &mut Reader<'_>,
    text: &str,
    weight: u32,
    line: u32,
    providers: &[ProviderConfig],
) -> Option<RouteTarget> {
    let (provider, model) = match text.split_once('/') {
        Some((provider, model)) => (provider, Some(model.to_owned())),
        None => (text, None),
    };
    if model.as_ref().is_some_and(String::is_empty) {
        let what = format!("target \"{}\" has no model after the slash", cut(text));
        let why = "a target is `provider/model`, or `provider` to keep the caller's model";
        reader.error(line, words(what, why, "add the model or take out the slash"));
        return None;
    }
    if !providers.iter().any(|known| known.name == provider) {
        let names = || providers.iter().map(|known| known.name.as_str());
        let what = format!("target \"{}\" names no provider of this file", cut(text));
        let why = if providers.is_empty() {
            "there is no usable `[[provider]]`".to_owned()
        } else {
            format!("known are: {}", join(names()))
        };
        let fix = match nearest(provider, names()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("add a `[[provider]]` with `name = \"{}\"`", cut(provider)),
        };
        reader.error(line, words(what, why, fix));
        return None;
    }
    Some(RouteTarget { provider: provider.to_owned(), model, weight })
}
