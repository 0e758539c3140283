//! `[limits]`, `[[tier]]`, `[idempotency]`: how limits of callers count, named bundles of them, and
//! how requests that come again are told.

use std::time::Duration;

use mainstay_core::rules::limits::LimitSpec;
use mainstay_core::store::TierLimit;

use super::fault::words;
use super::reader::{Need, Reader, Section, cut, join};

/// How limits of callers count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitSettings {
    /// Whether a request that a limit refuses counts as a request too. It never takes more than
    /// there is, so that hammering does not lock out for longer than one request's time.
    pub count_refused: bool,
}

/// How `Idempotency-Key` is honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotencySettings {
    /// Whether it is at all.
    pub enabled: bool,
    /// Largest body of an answer that is kept, bytes; a larger answer is not given again, and the
    /// request is refused.
    pub body_max: u64,
    /// How long an answer is kept.
    pub keep: Duration,
}

impl Default for IdempotencySettings {
    fn default() -> Self {
        IdempotencySettings { enabled: true, body_max: 1 << 20, keep: Duration::from_hours(24) }
    }
}

/// A named bundle of limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Its name.
    pub name: String,
    /// Its limits, one for each set of models.
    pub limits: Vec<TierLimit>,
}

/// Tiers, and which of them new organizations get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tiers {
    /// In the order of the file.
    pub all: Vec<Tier>,
    /// The name of the one that a new organization gets when none is named.
    pub default: Option<String>,
}

impl Tiers {
    /// The tier of this name.
    pub fn named(&self, name: &str) -> Option<&Tier> {
        self.all.iter().find(|tier| tier.name == name)
    }

    /// The tier that new organizations get.
    pub fn for_new(&self) -> Option<&Tier> {
        self.named(self.default.as_deref()?)
    }
}

pub(super) fn read_settings(reader: &mut Reader<'_>, root: &Section<'_>) -> (LimitSettings, Tiers) {
    let mut settings = LimitSettings::default();
    let mut tiers = Tiers { all: read_tiers(reader, root), default: None };
    if let Some(section) = reader.sub(root, "limits", "limits") {
        let refused = reader.flag(&section, "count_refused");
        settings.count_refused = refused.unwrap_or(settings.count_refused);
        if let Some(found) = reader.text(&section, "default_tier", Need::Optional) {
            if tiers.named(&found.value).is_none() {
                let names = tiers.all.iter().map(|tier| tier.name.as_str());
                let what = format!("there is no tier `{}`", cut(&found.value));
                let known =
                    format!("add a `[[tier]]` of this name, or name one of: {}", join(names));
                reader.error(found.line, words(what, "`default_tier` names a `[[tier]]`", known));
            }
            tiers.default = Some(found.value);
        }
    }
    (settings, tiers)
}

pub(super) fn read_idempotency(reader: &mut Reader<'_>, root: &Section<'_>) -> IdempotencySettings {
    let mut settings = IdempotencySettings::default();
    if let Some(section) = reader.sub(root, "idempotency", "idempotency") {
        settings.enabled = reader.flag(&section, "enabled").unwrap_or(settings.enabled);
        let most = reader.bytes(&section, "body_max", 0..=64 << 20);
        settings.body_max = most.unwrap_or(settings.body_max);
        let range = Duration::from_secs(1)..=Duration::from_hours(24 * 31);
        if let Some(found) = reader.wait(&section, "keep", range) {
            settings.keep = found.value;
        }
    }
    settings
}

fn read_tiers(reader: &mut Reader<'_>, root: &Section<'_>) -> Vec<Tier> {
    let mut tiers: Vec<Tier> = Vec::new();
    for section in reader.list(root, "tier") {
        let name = reader.text(&section, "name", Need::Required);
        let model = reader.text(&section, "model", Need::Optional);
        let spec = read_spec(reader, &section);
        if spec.is_empty() {
            let what = format!("`{}` limits nothing", section.shown);
            let fix = "add `rpm`, `tpm`, `rpd` or `concurrency`";
            reader.error(section.line, words(what, "a tier is a bundle of limits", fix));
        }
        let Some(name) = name else { continue };
        let model = model.map(|found| found.value.into_boxed_str());
        let known = tiers.iter().position(|tier| tier.name == name.value);
        let place = known.unwrap_or_else(|| {
            tiers.push(Tier { name: name.value.clone(), limits: Vec::new() });
            tiers.len() - 1
        });
        let limits = &mut tiers[place].limits;
        if limits.iter().any(|limit| limit.model == model) {
            let shown = cut(&name.value);
            let what =
                format!("`{}` limits the same models of tier `{shown}` again", section.shown);
            reader.error(name.line, words(what, "which one holds would be a guess", "keep one"));
        }
        limits.push(TierLimit { model, spec });
    }
    tiers
}

fn read_spec(reader: &mut Reader<'_>, section: &Section<'_>) -> LimitSpec {
    let range = 1..=LimitSpec::VALUE_MAX;
    let mut number =
        |key: &str| reader.number(section, key, range.clone()).map(|found| found.value);
    let (rpm, tpm, rpd) = (number("rpm"), number("tpm"), number("rpd"));
    let concurrency = number("concurrency");
    let span = LimitSpec::BURST_MIN..=LimitSpec::BURST_MAX;
    let burst = reader.wait(section, "burst", span).map(|found| found.value);
    let shadow = reader.flag(section, "shadow").unwrap_or(false);
    LimitSpec { rpm, tpm, rpd, concurrency, burst, shadow }
}
