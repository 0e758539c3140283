//! `[provider.limits]`: caps, and which keys and models count against one limit.

use mainstay_core::policy::{LimitGroup, Limits, Shared, Sharing};
use mainstay_core::store::model_fits;
use toml::de::DeValue;

use super::fault::words;
use super::provider::ProviderConfig;
use super::reader::{Found, Need, Reader, Section, cut};

const GROUPS_MAX: usize = 100;
const MODELS_MAX: usize = 1_000;

pub(super) fn read(reader: &mut Reader<'_>, section: &Section<'_>) -> (Limits, Sharing) {
    let Some(limits) = reader.sub(section, "limits", "provider.limits") else {
        return Default::default();
    };
    let words = [
        ("told", Shared::Told),
        ("apart", Shared::Apart),
        ("keys", Shared::Keys),
        ("models", Shared::Models),
        ("all", Shared::All),
    ];
    let found = reader.word(&limits, "shared", &words);
    let pool = read_pool(reader, &limits);
    if let (Some(Found { value: Shared::Apart, line }), Some(_)) = (&found, &pool) {
        let what = format!("`{}` has a `pool` and `shared = \"apart\"`", limits.shown);
        let why = "the keys of a pool count together";
        reader.error(*line, super::fault::words(what, why, "take one of the two out"));
    }
    let shared = found.map(|found| found.value).unwrap_or_default();
    let sharing = Sharing { shared, pool, groups: read_groups(reader, &limits) };
    (read_caps(reader, &limits), sharing)
}

fn read_caps(reader: &mut Reader<'_>, section: &Section<'_>) -> Limits {
    Limits {
        rpm: reader.number(section, "rpm", 1..=1_000_000_000).map(|found| found.value),
        tpm: reader.number(section, "tpm", 1..=1_000_000_000_000).map(|found| found.value),
        concurrency: reader
            .number(section, "concurrency", 1..=1_000_000)
            .map(|found| u32::try_from(found.value).expect("the range fits 32 bits")),
    }
}

fn read_pool(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<String> {
    let Found { value, line } = reader.text(section, "pool", Need::Optional)?;
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=64).contains(&value.len()) && value.chars().all(fit) {
        return Some(value);
    }
    let what = format!("`{}.pool` is \"{}\", which is no name", section.shown, cut(&value));
    let why = "a name has 1 to 64 letters, digits, `-`, `_` or `.`";
    reader.error(line, words(what, why, "choose a name such as \"acme\""));
    None
}

fn read_groups(reader: &mut Reader<'_>, section: &Section<'_>) -> Vec<LimitGroup> {
    let mut groups: Vec<LimitGroup> = Vec::new();
    for (name, line, item) in reader.items(section, "groups", GROUPS_MAX).unwrap_or_default() {
        let DeValue::Table(table) = item else {
            reader.wrong_shape(line, &name, "a table with `models`", item);
            continue;
        };
        let entry = reader.section("provider.limits.group", &name, line, table);
        let limits = read_caps(reader, &entry);
        let found = reader.texts(&entry, "models", MODELS_MAX).unwrap_or_default();
        if found.is_empty() {
            let what = format!("`{name}` has no models");
            let fix = "add `models = [\"gpt-4o\", \"gpt-4o-2024-*\"]`, or take the group out";
            reader.error(line, words(what, "nothing would count in this group", fix));
        }
        for model in &found {
            check_reached(reader, &groups, model);
        }
        groups.push(LimitGroup {
            models: found.into_iter().map(|found| found.value).collect(),
            limits,
        });
    }
    groups
}

/// A name that an earlier group takes never reaches this one.
fn check_reached(reader: &mut Reader<'_>, earlier: &[LimitGroup], model: &Found<String>) {
    let start = model.value.trim_end_matches('*');
    let takes = |pattern: &String| {
        *pattern == model.value || (pattern.ends_with('*') && model_fits(pattern, start))
    };
    if let Some(place) = earlier.iter().position(|group| group.models.iter().any(takes)) {
        let what = format!("the model `{}` is in two groups of limits", cut(&model.value));
        let why = format!("group {} takes it; the first that fits holds", place + 1);
        reader.warn(model.line, words(what, why, "take it out of one of them"));
    }
}

/// Providers of one pool are one account, so what is said of its limits must agree.
pub(super) fn check_pools(reader: &mut Reader<'_>, providers: &[ProviderConfig]) {
    for (index, provider) in providers.iter().enumerate() {
        let Some(pool) = &provider.sharing.pool else { continue };
        let same_pool = |other: &&ProviderConfig| other.sharing.pool.as_ref() == Some(pool);
        let Some(first) = providers[..index].iter().find(same_pool) else { continue };
        if first.limits != provider.limits || first.sharing != provider.sharing {
            let what = format!(
                "providers `{}` and `{}` are in pool `{}` and have different `limits`",
                first.name,
                provider.name,
                cut(pool)
            );
            let why =
                format!("one account has one set of limits; the other's is on line {}", first.line);
            let fix = "write the same `limits` for both, or take one out of the pool";
            reader.error(provider.line, words(what, why, fix));
        }
    }
}
