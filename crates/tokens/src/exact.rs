//! Exact counts with the vendor's vocabularies, in time linear in the text.
//!
//! The vocabularies are inside the binary and are unpacked at first use, which takes tens of
//! milliseconds: call [`warm`] at start. Text that spells a special token (`<|endoftext|>`) is counted
//! as the ordinary text it is to an API.

use crate::models::Vocabulary;

fn tokenizer(vocabulary: Vocabulary) -> &'static bpe_openai::Tokenizer {
    match vocabulary {
        Vocabulary::Cl100k => bpe_openai::cl100k_base(),
        Vocabulary::O200k => bpe_openai::o200k_base(),
    }
}

/// Unpacks a vocabulary, so that the first count does not wait for it.
pub fn warm(vocabulary: Vocabulary) {
    count(vocabulary, "");
}

/// How many tokens a text is.
pub fn count(vocabulary: Vocabulary, text: &str) -> usize {
    tokenizer(vocabulary).count(text)
}

/// How many tokens a text is if that is at most `limit`; `None` beyond, found without reading the
/// rest of the text.
pub fn count_till_limit(vocabulary: Vocabulary, text: &str, limit: usize) -> Option<usize> {
    let tokenizer = tokenizer(vocabulary);
    tokenizer.count_till_limit(&tokenizer.normalize(text), limit)
}
