//! What a request has at least, so that only what is certainly too long is refused.
//!
//! How a provider frames messages and tools differs by a few tokens; the texts themselves do not. They
//! alone are weighed here: a request whose texts fill a window cannot fit it, however it is framed.

use serde_json::Value;

use super::{Count, Counter};
use crate::estimate;
use crate::models::Vocabulary;

/// A request held against a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weighed {
    /// What it has, all parts of it. Beyond twice the window it is estimated.
    pub count: Count,
    /// Tokens that the prompt has at least: its texts, or the longest of prompts that are answered
    /// apart.
    pub at_least: u64,
    /// Whether they were counted with the model's own vocabulary; otherwise it is an estimate.
    pub counted: bool,
}

/// Weighs a request for a model with a window of so many tokens. `None` when it is not JSON, or when
/// it asks the provider to shorten what does not fit.
pub fn weigh(body: &[u8], model: &str, window: u64) -> Option<Weighed> {
    let body: Value = serde_json::from_slice(body).ok()?;
    if is_shortened(&body) {
        return None;
    }
    let mut counter = Counter { cap: window.saturating_mul(2), ..Counter::new(model) };
    let counted = counter.count.exact;
    counter.body(&body);
    Some(Weighed { count: counter.count, at_least: counter.said, counted })
}

/// Fields by which providers drop or sum up what is too long. Sources: the vendor's API description
/// (`truncation`, `context_management`), OpenRouter's documentation (`transforms`), read 2026-11.
fn is_shortened(body: &Value) -> bool {
    let asks = |name: &str| body.get(name).is_some_and(|value| !value.is_null());
    body["truncation"].as_str().is_some_and(|word| word != "disabled")
        || asks("transforms")
        || asks("context_management")
}

impl Counter<'_> {
    /// Counts a text that a model is certainly shown as it is. The text that goes beyond the cap is
    /// read only so far, and what comes after it is estimated.
    pub(super) fn said(&mut self, text: &str) -> u64 {
        let Some(vocabulary) = self.vocabulary else {
            self.said = self.said.saturating_add(estimate::range(text.as_bytes()).0);
            return self.text(text);
        };
        let left = self.cap.saturating_sub(self.said);
        if let Some(found) = till(vocabulary, text, left) {
            self.said += found;
            return found;
        }
        self.count.exact = false;
        self.said = self.said.max(self.cap.saturating_add(1));
        estimate::tokens(self.vocabulary, text.as_bytes()).max(left + 1)
    }
}

/// What a text is, if that is at most `left`.
fn till(vocabulary: Vocabulary, text: &str, left: u64) -> Option<u64> {
    if left == 0 && !text.is_empty() {
        return None;
    }
    exact(vocabulary, text, left)
}

#[cfg(feature = "exact")]
fn exact(vocabulary: Vocabulary, text: &str, left: u64) -> Option<u64> {
    let limit = usize::try_from(left).unwrap_or(usize::MAX);
    if limit >= text.len() {
        return Some(crate::exact::count(vocabulary, text) as u64);
    }
    crate::exact::count_till_limit(vocabulary, text, limit).map(|count| count as u64)
}

#[cfg(not(feature = "exact"))]
fn exact(vocabulary: Vocabulary, text: &str, left: u64) -> Option<u64> {
    let found = estimate::tokens(Some(vocabulary), text.as_bytes());
    (found <= left).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn weighed(body: &Value, window: u64) -> Weighed {
        let model = body["model"].as_str().unwrap_or("");
        weigh(body.to_string().as_bytes(), model, window).unwrap()
    }

    #[cfg(feature = "exact")]
    #[test]
    fn what_is_certain_is_the_text_and_no_more() {
        let text = "Which river flows through Bern?";
        let words = crate::exact::count(Vocabulary::O200k, text) as u64;
        let body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": text}],
            "tools": [{"type": "function", "function": {"name": "f", "description": text}}], "max_tokens": 7, "n": 2});
        let found = weighed(&body, 1000);
        assert_eq!((found.at_least, found.counted), (words, true));
        assert_eq!((found.count.asked, found.count.asked_each), (Some(14), Some(7)));
        assert!(found.count.prompt() > words);
        let parts = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": [
            {"type": "text", "text": text}, {"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}]});
        assert_eq!(weighed(&parts, 1000).at_least, 2 * words - 2);
    }

    #[test]
    fn prompts_that_are_answered_apart_are_weighed_apart() {
        let body =
            json!({"model": "text-embedding-3-small", "input": ["a", "a b c d e f g", "a b"]});
        let longest = json!({"model": "text-embedding-3-small", "input": "a b c d e f g"});
        assert_eq!(weighed(&body, 1000).at_least, weighed(&longest, 1000).at_least);
        let ids = json!({"model": "text-embedding-3-small", "input": [[1, 2, 3], [4]]});
        assert_eq!(weighed(&ids, 1000).at_least, 3);
    }

    #[test]
    fn beyond_the_window_nothing_is_counted_to_its_end() {
        let text = "the boat left the harbour ".repeat(100_000);
        let body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": text}, {"role": "user", "content": text}]});
        let found = weighed(&body, 2500);
        assert_eq!(found.at_least, 5001);
        assert!(!found.count.exact && found.count.prompt() > 500_000, "{found:?}");
    }

    #[test]
    fn of_another_vocabulary_only_the_least_is_certain() {
        // Gemma 3 makes 68 tokens of text that is estimated at 252.
        let text = "नाव भोर होने से पहले बंदरगाह से निकल गई".repeat(20);
        let body = json!({"model": "my-own", "messages": [{"role": "user", "content": text}]});
        let found = weighed(&body, 1000);
        assert!(!found.counted);
        assert!(found.at_least * 3 < found.count.prompt(), "{found:?}");
    }

    #[test]
    fn what_the_provider_shortens_is_not_weighed() {
        for more in [
            json!({"truncation": "auto"}),
            json!({"transforms": ["middle-out"]}),
            json!({"context_management": [{"type": "compaction"}]}),
        ] {
            assert_eq!(weigh(more.to_string().as_bytes(), "gpt-4o", 1), None, "{more}");
        }
        let body = json!({"input": "x", "truncation": "disabled", "transforms": null});
        assert!(weigh(body.to_string().as_bytes(), "gpt-4o", 1).is_some());
        assert_eq!(weigh(b"{", "gpt-4o", 1), None);
    }
}
