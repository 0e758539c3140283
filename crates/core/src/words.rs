//! Text as words, and phrases that fit them: the anchored matching that classification uses.
//!
//! A phrase fits whole words only, so "403" never fits inside "18.403s". Work is bounded by
//! [`WORDS_MAX`] words and linear in them for each phrase.

use alloc::string::String;
use alloc::vec::Vec;

/// Most words kept of one text; the rest is ignored.
pub(crate) const WORDS_MAX: usize = 400;
/// Most bytes kept of one text, after folding.
const BYTES_MAX: usize = 8192;
/// Most words that a ".." in a phrase may stand for.
const GAP: usize = 8;

/// Lower-case words of a text, apostrophes dropped, everything else that is no letter or digit
/// taken as a gap. Letters of other scripts stay as they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    joined: String,
    edges: Vec<(usize, usize)>,
    /// A bit for each beginning of a word: most phrases are ruled out by it at once.
    seen: [u64; 8],
}

impl Words {
    /// Adds the words of `text`; a phrase never fits across two added texts without "..".
    pub(crate) fn add(&mut self, text: &str) {
        if !self.joined.is_empty() {
            let from = self.joined.len() + 1;
            self.joined.push_str(" ¶");
            self.edges.push((from, self.joined.len()));
        }
        let mut start = None;
        for letter in text.chars() {
            if self.edges.len() >= WORDS_MAX || self.joined.len() >= BYTES_MAX {
                break;
            }
            if letter.is_alphanumeric() {
                if start.is_none() {
                    if !self.joined.is_empty() {
                        self.joined.push(' ');
                    }
                    start = Some(self.joined.len());
                }
                self.joined.extend(letter.to_lowercase());
            } else if matches!(letter, '\'' | '’' | '\u{2bc}') && start.is_some() {
                // "isn't" and "isnt" are one word.
            } else if let Some(from) = start.take() {
                self.end_word(from);
            }
        }
        if let Some(from) = start {
            self.end_word(from);
        }
    }

    fn end_word(&mut self, from: usize) {
        self.edges.push((from, self.joined.len()));
        let bit = beginning(self.joined.get(from..).unwrap_or_default());
        if let Some(bits) = self.seen.get_mut(bit / 64) {
            *bits |= 1 << (bit % 64);
        }
    }

    /// `false` when no word begins as this part of a phrase needs it.
    fn may_hold(&self, part: &str) -> bool {
        if part == ".." || part.ends_with('?') {
            return true; // a gap, any word, or a word that may be left out
        }
        part.split('|').any(|one| {
            let head = one.strip_suffix('*');
            if one == "#" || head.is_some_and(|head| head.len() < BEGINNING) {
                return true;
            }
            let bit = beginning(head.unwrap_or(one));
            self.seen.get(bit / 64).is_some_and(|bits| bits >> (bit % 64) & 1 == 1)
        })
    }

    /// `true` when any of the phrases fits.
    pub(crate) fn say_any(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.say(phrase))
    }

    /// `true` when the phrase fits. Its parts, divided by blanks: a word; `a|b` either word;
    /// `word*` a word that begins so; `#` a word that begins with a digit; `?` any word; `word?` perhaps a word; `..` up
    /// to eight words of anything. A phrase with letters beyond ASCII is looked for as it stands,
    /// because such scripts put no gaps between words.
    pub(crate) fn say(&self, phrase: &str) -> bool {
        if !phrase.is_ascii() {
            return self.joined.contains(phrase);
        }
        if !phrase.split(' ').all(|part| self.may_hold(part)) {
            return false;
        }
        let first = phrase.split(' ').next().unwrap_or_default();
        (0..self.edges.len()).any(|at| fits(first, self.word(at)) && self.from(at, phrase))
    }

    fn word(&self, at: usize) -> &str {
        self.edges.get(at).and_then(|&(from, to)| self.joined.get(from..to)).unwrap_or_default()
    }

    fn from(&self, mut at: usize, mut phrase: &str) -> bool {
        loop {
            let (part, rest) = phrase.split_once(' ').unwrap_or((phrase, ""));
            if part.is_empty() {
                return true;
            }
            if part == ".." {
                return (at..=at + GAP).any(|from| self.from(from, rest));
            }
            let one = part.strip_suffix('?').filter(|one| !one.is_empty());
            let here = at < self.edges.len() && fits(one.unwrap_or(part), self.word(at));
            match (here, one) {
                (true, Some(_)) => return self.from(at + 1, rest) || self.from(at, rest),
                (true, None) => at += 1,
                (false, Some(_)) => {}
                (false, None) => return false,
            }
            phrase = rest;
        }
    }
}

/// Letters of a word that [`beginning`] looks at.
const BEGINNING: usize = 3;

/// Which of 512 bits stands for a word's first letters.
fn beginning(word: &str) -> usize {
    let letters = word.bytes().take(BEGINNING);
    letters.fold(7, |hash: usize, byte| hash.wrapping_mul(31).wrapping_add(usize::from(byte))) % 512
}

/// `true` when one part of a phrase fits one word.
fn fits(part: &str, word: &str) -> bool {
    part.split('|').any(|one| match one {
        "?" => true,
        "#" => word.as_bytes().first().is_some_and(u8::is_ascii_digit),
        _ => match one.strip_suffix('*') {
            Some(head) => word.starts_with(head),
            None => word == one,
        },
    })
}

/// `true` when two names are the same but for case and separators: `RateLimitReached` and
/// `rate_limit_reached`. `*` at an end of `pattern` stands for anything there.
pub(crate) fn same_name(pattern: &str, name: &str) -> bool {
    let plain = |text: &str| {
        text.bytes()
            .filter(u8::is_ascii_alphanumeric)
            .map(|b| b.to_ascii_lowercase())
            .collect::<Vec<u8>>()
    };
    let (head, tail) = (pattern.ends_with('*'), pattern.starts_with('*'));
    if !head && !tail {
        // The common case allocates nothing.
        let letters = |text| str::bytes(text).filter(u8::is_ascii_alphanumeric);
        return letters(pattern)
            .map(|b| b.to_ascii_lowercase())
            .eq(letters(name).map(|b| b.to_ascii_lowercase()));
    }
    let (pattern, name) = (plain(pattern), plain(name));
    if tail { name.ends_with(&pattern) } else { name.starts_with(&pattern) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Words {
        let mut words = Words::default();
        words.add(text);
        words
    }

    #[test]
    fn a_phrase_fits_whole_words_only() {
        let text = words("Please retry in 18.403s, the model isn't `overloaded`.");
        for phrase in ["retry in", "isnt overloaded", "model ? overload*", "please .. overloaded"] {
            assert!(text.say(phrase), "{phrase}");
        }
        for phrase in ["403", "load", "retry .. nothing", "over", "in # 500"] {
            assert!(!text.say(phrase), "{phrase}");
        }
    }

    #[test]
    fn gaps_are_bounded_and_alternatives_are_words() {
        assert!(words("key a b c d e f g h expired").say("key|token .. expired|revoked"));
        assert!(words("the api key").say("the api? key") && words("the key").say("the api? key"));
        assert!(!words("key a b c d e f g h i expired").say("key .. expired"));
        assert!(words("令牌额度已用尽").say("额度已用尽"));
    }

    #[test]
    fn names_are_equal_without_case_and_separators() {
        assert!(same_name("rate_limit_reached", "RateLimitReached"));
        assert!(same_name("*_not_found", "previous_response_not_found"));
        assert!(same_name("invalid_*", "InvalidParameter.DataInspection"));
        assert!(!same_name("rate_limit", "rate_limit_reached"));
    }

    #[test]
    fn a_phrase_never_fits_across_two_texts() {
        let mut both = words("there was an error");
        both.add("loading model");
        assert!(both.say("loading model") && !both.say("error loading"));
    }

    #[test]
    fn a_huge_text_is_cut() {
        let huge = "word ".repeat(1_000_000);
        assert!(words(&huge).edges.len() <= WORDS_MAX);
    }
}
