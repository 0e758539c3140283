//! Tokens used, as an answer tells them.

use serde::Deserialize;

/// Tokens of one call, as the provider counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub input: u64,
    /// Tokens of the answer, reasoning included.
    pub output: u64,
    /// Prompt tokens that came from a cache.
    pub cached: u64,
}

impl Usage {
    /// Prompt and answer together.
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// `usage` of chat completions (`prompt_tokens`), of responses and assistants (`input_tokens`).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UsageWire {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    input_tokens_details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Option<u64>,
}

impl UsageWire {
    /// `None` when it names no number at all.
    pub(super) fn usage(&self) -> Option<Usage> {
        let input = self.prompt_tokens.or(self.input_tokens);
        let output = self.completion_tokens.or(self.output_tokens);
        let (input, output) = match (input, output, self.total_tokens) {
            (Some(input), Some(output), _) => (input, output),
            (Some(input), None, total) => (input, total.unwrap_or(input).saturating_sub(input)),
            (None, Some(output), total) => (total.unwrap_or(output).saturating_sub(output), output),
            (None, None, Some(total)) => (total, 0),
            (None, None, None) => return None,
        };
        let details = self.prompt_tokens_details.as_ref().or(self.input_tokens_details.as_ref());
        let cached = details.and_then(|details| details.cached_tokens).unwrap_or(0);
        Some(Usage { input, output, cached })
    }
}

/// Reads the value of an answer's `usage` member. `None` when it is null, names no number, or
/// is nothing like usage.
pub fn of_member(usage: &str) -> Option<Usage> {
    serde_json::from_str::<Option<UsageWire>>(usage).ok()??.usage()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_in_every_familys_words() {
        let chat = r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,
            "prompt_tokens_details":{"cached_tokens":4}}"#;
        assert_eq!(of_member(chat), Some(Usage { input: 10, output: 5, cached: 4 }));
        let responses = r#"{"input_tokens":7,"output_tokens":3}"#;
        assert_eq!(of_member(responses), Some(Usage { input: 7, output: 3, cached: 0 }));
        let embeddings = r#"{"prompt_tokens":9,"total_tokens":9}"#;
        assert_eq!(of_member(embeddings), Some(Usage { input: 9, output: 0, cached: 0 }));
        for nothing in ["null", "{}", "7", r#"{"prompt_tokens":"many"}"#, "not json"] {
            assert_eq!(of_member(nothing), None, "{nothing}");
        }
    }
}
