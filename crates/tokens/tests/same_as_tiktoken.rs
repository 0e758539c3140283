//! The exact counts are those of the vendor's algorithm, on random text of every script.
#![cfg(feature = "exact")]

use mainstay_tokens::exact::{count, count_till_limit};
use mainstay_tokens::models::Vocabulary;

/// First and last character of scripts and kinds of signs.
const SCRIPTS: [(u32, u32); 22] = [
    (0x20, 0x7e),
    (0x61, 0x7a),
    (0x09, 0x0d),
    (0x30, 0x39),
    (0xa0, 0x24f),
    (0x300, 0x36f),
    (0x370, 0x3ff),
    (0x400, 0x4ff),
    (0x590, 0x5ff),
    (0x600, 0x6ff),
    (0x900, 0x97f),
    (0xe00, 0xe7f),
    (0x10a0, 0x10ff),
    (0x2000, 0x206f),
    (0x2190, 0x23ff),
    (0x3040, 0x30ff),
    (0x4e00, 0x9fff),
    (0xac00, 0xd7a3),
    (0xfe00, 0xfe0f),
    (0x1d400, 0x1d7ff),
    (0x1f300, 0x1faff),
    (0x20000, 0x2a6df),
];

/// A small generator, so that a failure comes again.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).unwrap_or(0) % bound
    }

    /// Runs of one script, mixed with spaces and line breaks.
    fn text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..=self.below(4) {
            let (first, last) = SCRIPTS[self.below(22) as usize];
            for _ in 0..self.below(12) {
                let point = first + self.below(last - first + 1);
                text.extend(char::from_u32(point));
            }
            text.push_str(
                [" ", "", "\n\n", "  ", "'s ", "\r\n", "<|endoftext|>"][self.below(7) as usize],
            );
        }
        text
    }
}

#[test]
fn ten_thousand_random_texts_have_the_same_counts() {
    let theirs = [
        (Vocabulary::Cl100k, tiktoken_rs::cl100k_base_singleton()),
        (Vocabulary::O200k, tiktoken_rs::o200k_base_singleton()),
    ];
    let mut random = Random(7);
    for _ in 0..10_000 {
        let text = random.text();
        for (vocabulary, their) in &theirs {
            let expected = their.count_ordinary(&text);
            assert_eq!(count(*vocabulary, &text), expected, "{} {text:?}", vocabulary.name());
            assert_eq!(count_till_limit(*vocabulary, &text, expected), Some(expected), "{text:?}");
            if expected > 0 {
                assert_eq!(count_till_limit(*vocabulary, &text, expected - 1), None, "{text:?}");
            }
        }
    }
}
