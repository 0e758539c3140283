//! Well-known providers: what `kind = "groq"` and the like fill in.

mod facts;
mod page;
mod table;
mod windows;

use std::fmt::Write as _;

use mainstay_core::policy::ProviderKind;

use facts::Facts;

pub use page::page_of_providers;
pub use table::PRESETS;

/// Why writing to a string cannot fail.
pub(super) const TAKES: &str = "a string takes every text";

/// What a `kind` stands for.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// The word after `kind =`.
    pub kind: &'static str,
    /// How it is spoken to.
    pub speaks: ProviderKind,
    /// Its base URL; `None`: the file must have one.
    pub base_url: Option<&'static str>,
    /// The variable its own documentation keeps the key in; `None`: it works without a key.
    pub key_variable: Option<&'static str>,
    /// Whether it continues an answer from an assistant message.
    pub prefill: bool,
    /// Fields that it refuses and that change nothing of the answer: they are left out.
    pub omit: &'static [&'static str],
    /// Fields that it has under another name.
    pub rename: &'static [(&'static str, &'static str)],
    /// Context windows in tokens by its names of models, beyond the table of the vendor's own models.
    pub windows: &'static [(&'static str, u64)],
    /// What else is known of it, for people: [`page_of_providers`] tells it.
    pub(super) facts: Facts,
}

impl Preset {
    /// The header that carries its key.
    pub(super) fn auth(&self) -> &'static str {
        match self.speaks {
            ProviderKind::Azure => "api-key: …",
            ProviderKind::OpenAi | ProviderKind::Compatible => "Authorization: Bearer …",
        }
    }

    /// Whether anything is known of it beyond its place.
    pub(super) fn is_known(&self) -> bool {
        !self.facts.limits.says.is_empty()
    }

    /// What it does, by the word for it.
    pub(super) fn told(&self) -> [(&'static str, &'static str); 3] {
        let Facts { limits, errors, refuses, .. } = self.facts;
        [("limits", limits.says), ("errors", errors.says), ("refuses", refuses.says)]
    }
}

/// The word after `kind =` that stands for the built-in simulator.
pub(super) const SIMULATOR: &str = "sim";

/// The preset of a kind.
pub(super) fn find(kind: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.kind == kind)
}

/// The table of kinds in `docs/settings.md`.
pub(super) fn page() -> String {
    let mut page = String::from(
        "\n## Kinds of providers\n\n| kind | base_url | key from, without `api_key` |\n| --- | --- | --- |\n",
    );
    for preset in PRESETS {
        let url = match preset.base_url {
            Some(url) => format!("`{url}`"),
            None if preset.kind == SIMULATOR => "the built-in simulator".to_owned(),
            None => "required".to_owned(),
        };
        let key = preset.key_variable.map_or_else(|| "none".to_owned(), |name| format!("`{name}`"));
        writeln!(page, "| `{}` | {url} | {key} |", preset.kind).expect(TAKES);
    }
    page
}
