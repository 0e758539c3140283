//! Exact counts with the vendor's vocabularies, in time linear in the text.
//!
//! The vocabularies are inside the binary and are unpacked at first use, which takes tens of
//! milliseconds: call [`warm`] at start. Text that spells a special token (`<|endoftext|>`) is counted
//! as the ordinary text it is to an API.

use std::sync::OnceLock;

use bpe_openai::Tokenizer;

use crate::models::Vocabulary;

mod short;

use short::ShortTokens;

fn tokenizer(vocabulary: Vocabulary) -> &'static Tokenizer {
    match vocabulary {
        Vocabulary::Cl100k => bpe_openai::cl100k_base(),
        Vocabulary::O200k => bpe_openai::o200k_base(),
    }
}

/// The short tokens of a vocabulary: most words of prose are one, and need no merging.
fn short(vocabulary: Vocabulary) -> &'static ShortTokens {
    static CL100K: OnceLock<ShortTokens> = OnceLock::new();
    static O200K: OnceLock<ShortTokens> = OnceLock::new();
    let place = match vocabulary {
        Vocabulary::Cl100k => &CL100K,
        Vocabulary::O200k => &O200K,
    };
    place.get_or_init(|| {
        let bpe = &tokenizer(vocabulary).bpe;
        let ids = 0..u32::try_from(bpe.num_tokens()).unwrap_or(u32::MAX);
        ShortTokens::of(ids.map(|id| bpe.token_bytes(id)))
    })
}

/// Unpacks a vocabulary, so that the first count does not wait for it.
pub fn warm(vocabulary: Vocabulary) {
    count(vocabulary, "");
}

/// How many tokens a text is.
pub fn count(vocabulary: Vocabulary, text: &str) -> usize {
    let (tokenizer, short) = (tokenizer(vocabulary), short(vocabulary));
    let text = tokenizer.normalize(text);
    // A piece that is a token is that token: the vendor's algorithm looks there first, too.
    let one =
        |piece: &str| if short.has(piece) { 1 } else { tokenizer.bpe.count(piece.as_bytes()) };
    tokenizer.split(text.as_str()).map(one).sum()
}

/// How many tokens a text is if that is at most `limit`; `None` beyond, found without reading the
/// rest of the text.
pub fn count_till_limit(vocabulary: Vocabulary, text: &str, limit: usize) -> Option<usize> {
    let (tokenizer, short) = (tokenizer(vocabulary), short(vocabulary));
    let text = tokenizer.normalize(text);
    tokenizer.split(text.as_str()).try_fold(0, |sum, piece| {
        let left = limit - sum;
        if short.has(piece) {
            return (left > 0).then_some(sum + 1);
        }
        tokenizer.bpe.count_till_limit(piece.as_bytes(), left).map(|count| sum + count)
    })
}
