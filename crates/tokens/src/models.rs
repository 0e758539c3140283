//! What is known about models: vocabulary, context window and output limit.
//!
//! Names are matched by their longest known beginning, so that dated versions (`gpt-4o-2024-11-20`)
//! find their family; a provider's prefix (`openai/gpt-4o`) and the wrapping of fine-tuned names
//! (`ft:gpt-4o:org::id`) are looked past. A model that is not known has no entry: nothing is assumed.

/// A vocabulary that a model's tokens come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Vocabulary {
    /// `cl100k_base`: GPT-4, GPT-3.5 and the embeddings of 2022 to 2024.
    Cl100k,
    /// `o200k_base`: GPT-4o and everything of the vendor's since.
    O200k,
}

impl Vocabulary {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Vocabulary::Cl100k => "cl100k",
            Vocabulary::O200k => "o200k",
        }
    }

    /// The vocabulary of a model, or `None` if it is not one of the two.
    pub fn of(model: &str) -> Option<Vocabulary> {
        longest(VOCABULARIES, model, |row| row.0).map(|row| row.1)
    }
}

/// How much a model takes and gives, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Prompt and output together.
    pub context: u64,
    /// The most that one answer may have, where it is known.
    pub output_max: Option<u64>,
}

impl Window {
    /// The window of a model. `overrides` (from configuration: model, context window) win by exact
    /// name, with the output limit of the table kept where it still fits.
    pub fn of(model: &str, overrides: &[(&str, u64)]) -> Option<Window> {
        let known = longest(WINDOWS, model, |row| row.0)
            .map(|row| Window { context: row.1, output_max: row.2 });
        let own = overrides.iter().find(|(name, _)| *name == model || *name == bare(model));
        match own {
            Some((_, context)) => {
                let output_max =
                    known.and_then(|window| window.output_max).filter(|output| output <= context);
                Some(Window { context: *context, output_max })
            }
            None => known,
        }
    }
}

/// The smallest context window in the table, in tokens: what is shorter fits every known model.
pub fn smallest_window() -> u64 {
    WINDOWS.iter().map(|row| row.1).min().unwrap_or(0)
}

/// Whether a model thinks before it answers: its output limit is for both, and providers do not add
/// it to the prompt. Source: the vendor's guide on reasoning, read 2026-11.
pub fn is_reasoning(model: &str) -> bool {
    let reasoning = ["o1", "o3", "o4", "o4-mini", "gpt-5", "gpt-6", "codex", "gpt-oss"];
    longest(&reasoning, model, |name| name).is_some()
}

/// The model's name without a provider's prefix and without the wrapping of a fine-tuned one.
pub fn bare(model: &str) -> &str {
    let model = model.rsplit('/').next().unwrap_or(model);
    match model.strip_prefix("ft:") {
        Some(tuned) => tuned.split(':').next().unwrap_or(tuned),
        None => model,
    }
}

/// The row with the longest beginning of `model`. A beginning ends at the end of a word: `o1` is not
/// the beginning of `o10`, nor `gpt-4` of `gpt-4o`.
pub(crate) fn longest<'t, Row>(
    table: &'t [Row],
    model: &str,
    name: impl Fn(&Row) -> &str,
) -> Option<&'t Row> {
    let model = bare(model);
    table
        .iter()
        .filter(|row| {
            let known = name(row);
            // The end of a word tells most rows apart, and costs less than the words themselves.
            let ends =
                matches!(model.as_bytes().get(known.len()), Some(b'-' | b'.' | b':' | b'@') | None);
            ends && model.starts_with(known)
        })
        .max_by_key(|row| name(row).len())
}

// Source: the vendor's own counting library (tiktoken, table of models) and tiktoken-rs 0.12.1, read 2026-11.
const VOCABULARIES: &[(&str, Vocabulary)] = &[
    ("gpt-6", Vocabulary::O200k),
    ("gpt-5", Vocabulary::O200k),
    ("gpt-4.5", Vocabulary::O200k),
    ("gpt-4.1", Vocabulary::O200k),
    ("gpt-4o", Vocabulary::O200k),
    ("chatgpt-4o", Vocabulary::O200k),
    ("gpt-audio", Vocabulary::O200k),
    ("o1", Vocabulary::O200k),
    ("o3", Vocabulary::O200k),
    ("o4", Vocabulary::O200k),
    ("codex", Vocabulary::O200k),
    ("gpt-oss", Vocabulary::O200k),
    ("gpt-4", Vocabulary::Cl100k),
    ("gpt-3.5", Vocabulary::Cl100k),
    ("gpt-35", Vocabulary::Cl100k),
    ("davinci-002", Vocabulary::Cl100k),
    ("babbage-002", Vocabulary::Cl100k),
    ("text-embedding-3", Vocabulary::Cl100k),
    ("text-embedding-ada-002", Vocabulary::Cl100k),
];

// Source: the vendor's model pages (context window, max output tokens), known as of 2026-11; rows of
// GPT-5.4 and later: tiktoken-rs 0.12.1, which names no output limit. Beginning, window, output.
const WINDOWS: &[(&str, u64, Option<u64>)] = &[
    ("gpt-6", 1_050_000, None),
    ("gpt-5.4", 1_050_000, None),
    ("gpt-5.4-mini", 400_000, None),
    ("gpt-5.4-nano", 400_000, None),
    ("gpt-5.3-codex-spark", 128_000, None),
    ("gpt-5", 400_000, Some(128_000)),
    ("gpt-5-chat", 128_000, Some(16_384)),
    ("gpt-4.5", 128_000, Some(16_384)),
    ("gpt-4.1", 1_047_576, Some(32_768)),
    ("gpt-4o", 128_000, Some(16_384)),
    ("gpt-4o-2024-05-13", 128_000, Some(4_096)),
    ("chatgpt-4o", 128_000, Some(16_384)),
    ("gpt-4", 8_192, Some(8_192)),
    ("gpt-4-32k", 32_768, Some(32_768)),
    ("gpt-4-turbo", 128_000, Some(4_096)),
    ("gpt-4-0125", 128_000, Some(4_096)),
    ("gpt-4-1106", 128_000, Some(4_096)),
    ("gpt-4-vision", 128_000, Some(4_096)),
    ("gpt-3.5-turbo", 16_385, Some(4_096)),
    ("gpt-35-turbo", 16_385, Some(4_096)),
    ("gpt-3.5-turbo-instruct", 4_096, Some(4_096)),
    ("o1", 200_000, Some(100_000)),
    ("o1-mini", 128_000, Some(65_536)),
    ("o1-preview", 128_000, Some(32_768)),
    ("o3", 200_000, Some(100_000)),
    ("o4-mini", 200_000, Some(100_000)),
    ("codex-mini", 200_000, Some(100_000)),
    ("gpt-oss", 131_072, Some(131_072)),
    ("davinci-002", 16_384, Some(16_384)),
    ("babbage-002", 16_384, Some(16_384)),
    ("text-embedding-3", 8_192, Some(0)),
    ("text-embedding-ada-002", 8_192, Some(0)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_finds_the_vocabulary_of_its_family() {
        for (model, expected) in [
            ("gpt-4o", Some(Vocabulary::O200k)),
            ("gpt-4o-2024-11-20", Some(Vocabulary::O200k)),
            ("openai/gpt-4o-mini", Some(Vocabulary::O200k)),
            ("ft:gpt-3.5-turbo:acme::abc", Some(Vocabulary::Cl100k)),
            ("gpt-4", Some(Vocabulary::Cl100k)),
            ("gpt-4-turbo", Some(Vocabulary::Cl100k)),
            ("gpt-4.1-nano", Some(Vocabulary::O200k)),
            ("gpt-5.4-mini", Some(Vocabulary::O200k)),
            ("o1", Some(Vocabulary::O200k)),
            ("o10", None),
            ("gpt-4x", None),
            ("llama-3.1-70b", None),
            ("", None),
        ] {
            assert_eq!(Vocabulary::of(model), expected, "{model}");
        }
    }

    #[test]
    fn a_dated_version_may_differ_from_its_family() {
        let window =
            |model| Window::of(model, &[]).map(|window| (window.context, window.output_max));
        assert_eq!(window("gpt-4o-2024-08-06"), Some((128_000, Some(16_384))));
        assert_eq!(window("gpt-4o-2024-05-13"), Some((128_000, Some(4_096))));
        assert_eq!(window("gpt-4-0613"), Some((8_192, Some(8_192))));
        assert_eq!(window("gpt-4-turbo-2024-04-09"), Some((128_000, Some(4_096))));
        assert_eq!(window("o1-mini-2024-09-12"), Some((128_000, Some(65_536))));
        assert_eq!(window("my-own"), None);
    }

    #[test]
    fn configuration_wins() {
        let own = [("my-own", 32_000), ("gpt-4o", 64_000), ("gpt-4", 4_000)];
        assert_eq!(Window::of("my-own", &own), Some(Window { context: 32_000, output_max: None }));
        assert_eq!(
            Window::of("openai/gpt-4o", &own),
            Some(Window { context: 64_000, output_max: Some(16_384) })
        );
        assert_eq!(Window::of("gpt-4", &own), Some(Window { context: 4_000, output_max: None }));
        assert_eq!(Window::of("gpt-4o-mini", &own).map(|window| window.context), Some(128_000));
    }
}
