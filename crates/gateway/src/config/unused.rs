//! What a file may say and this version does not do: said aloud, so that nobody relies on it.
//!
//! One table for two uses: findings when a file is read, and remarks in `docs/settings.md`.

use super::fault::{Severity, Words, words};
use super::keys::{KEYS, Key};

/// A key that is read and checked, and then not used.
pub(super) struct Unused {
    pub(super) section: &'static str,
    pub(super) key: &'static str,
    /// The values that do nothing; empty: all but the default.
    only: &'static [&'static str],
    /// How much it matters: an error where somebody relies on it for safety.
    pub(super) severity: Severity,
    why: &'static str,
    fix: &'static str,
}

const fn unused(section: &'static str, key: &'static str, why: &'static str) -> Unused {
    let (severity, fix) = (Severity::Warning, "take it out, and do not rely on it");
    Unused { section, key, only: &[], severity, why, fix }
}

const UNUSED: [Unused; 1] = [unused("", "shared", "each gateway counts limits by itself")];

/// The entry of a key, when there is one.
pub(super) fn find(section: &str, key: &str) -> Option<&'static Unused> {
    UNUSED.iter().find(|unused| unused.section == section && unused.key == key)
}

impl Unused {
    /// What is to be said of `key` with this text as its value, shown as `name`.
    pub(super) fn finding(&self, name: &str, value: Option<&str>) -> Option<Words> {
        let asks = match self.only {
            [] => value.is_none_or(|value| value != self.default()),
            only => value.is_some_and(|value| only.contains(&value)),
        };
        if !asks {
            return None;
        }
        let what = if self.severity == Severity::Error {
            format!("this version does not enforce `{name}`")
        } else if let (false, Some(value)) = (self.only.is_empty(), value) {
            format!("`{name}` as `{value}` has no effect in this version")
        } else {
            format!("`{name}` has no effect in this version")
        };
        Some(words(what, self.why, self.fix))
    }

    /// The remark in the documentation.
    pub(super) fn remark(&self) -> String {
        let only: Vec<String> = self.only.iter().map(|word| format!("`{word}`")).collect();
        if self.severity == Severity::Error {
            " Not enforced in this version: a file that has it is refused.".to_owned()
        } else if only.is_empty() {
            " No effect in this version.".to_owned()
        } else {
            format!(" {} has no effect in this version.", only.join(" or "))
        }
    }

    fn default(&self) -> &'static str {
        let named = |key: &&Key| key.section == self.section && key.name == self.key;
        KEYS.iter().find(named).map_or("", |key| key.default)
    }
}
