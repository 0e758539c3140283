//! Text as words, and phrases that fit them: the anchored matching that classification uses.
//!
//! A phrase fits whole words only, so "403" never fits inside "18.403s". Phrases are made ready
//! when the program is compiled: each carries a gate, two sets of words of which one each has to
//! be there, so that nearly all phrases cost a few bit tests. Those that pass are walked with all
//! places at once, so the work is bounded by words times parts, whatever the text.

use alloc::string::String;
use alloc::vec::Vec;

/// Most words kept of one text; the rest is ignored.
pub(crate) const WORDS_MAX: usize = 400;
/// Most bytes kept of one text, after folding.
const BYTES_MAX: usize = 8192;
/// Most words that a ".." in a phrase may stand for.
const GAP: usize = 8;

/// A phrase to look for. Its parts, divided by blanks: a word; `a|b` either word; `word*` a word
/// that begins so; `#` a word that begins with a digit; `?` any word; `word?` perhaps a word; `..`
/// up to eight words of anything. A phrase with letters beyond ASCII is looked for as it stands,
/// because such scripts put no gaps between words; ".." between its pieces stands for anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phrase {
    text: &'static str,
    gate: [[u16; GATE_WORDS]; GATE_PARTS],
    ascii: bool,
}

/// Parts of a phrase that its gate asks for.
const GATE_PARTS: usize = 2;
/// Most alternatives of a part that a gate can ask for.
const GATE_WORDS: usize = 6;
/// An unused place in a gate.
const UNUSED: u16 = u16::MAX;

/// Phrases made ready.
pub(crate) const fn phrases<const N: usize>(texts: [&'static str; N]) -> [Phrase; N] {
    let mut out = [Phrase::of(""); N];
    let mut at = 0;
    while at < N {
        out[at] = Phrase::of(texts[at]);
        at += 1;
    }
    out
}

impl Phrase {
    /// A phrase made ready: its gate takes the parts with the fewest alternatives.
    pub(crate) const fn of(text: &'static str) -> Phrase {
        let mut gate = [[UNUSED; GATE_WORDS]; GATE_PARTS];
        let (mut taken, mut alternatives) = (0, 1);
        while alternatives <= GATE_WORDS {
            let mut from = 0;
            while from < text.len() && taken < GATE_PARTS {
                let to = end_of(text.as_bytes(), from, b' ');
                let (bits, count) = gate_of(text.as_bytes(), from, to);
                if count == alternatives {
                    gate[taken] = bits;
                    taken += 1;
                }
                from = to + 1;
            }
            alternatives += 1;
        }
        Phrase { text, gate, ascii: text.is_ascii() }
    }
}

/// Where the piece of `bytes` that starts at `from` ends: at `stop` or at the end.
const fn end_of(bytes: &[u8], from: usize, stop: u8) -> usize {
    let mut to = from;
    while to < bytes.len() && bytes[to] != stop {
        to += 1;
    }
    to
}

/// The bits of a part's alternatives and how many there are; none when the part may fit without
/// any of them, or has too many.
const fn gate_of(bytes: &[u8], from: usize, to: usize) -> ([u16; GATE_WORDS], usize) {
    const OPEN: ([u16; GATE_WORDS], usize) = ([UNUSED; GATE_WORDS], 0);
    if bytes[to - 1] == b'?' || bytes[to - 1] == b'.' {
        return OPEN; // a gap, any word, or a word that may be left out
    }
    let (mut bits, mut count, mut at) = ([UNUSED; GATE_WORDS], 0, from);
    while at < to {
        let mut end = end_of(bytes, at, b'|');
        if end > to {
            end = to;
        }
        let starred = bytes[end - 1] == b'*';
        if count == GATE_WORDS || bytes[at] == b'#' || (starred && end - 1 - at < BEGINNING) {
            return OPEN;
        }
        bits[count] =
            if starred { bit_of_beginning(bytes, at) } else { bit_of_word(hash(bytes, at, end)) };
        count += 1;
        at = end + 1;
    }
    (bits, count)
}

/// FNV-1a over a part of `bytes`.
const fn hash(bytes: &[u8], from: usize, to: usize) -> u32 {
    let (mut hash, mut at) = (0x811c_9dc5_u32, from);
    while at < to {
        hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash
}

/// Bits for whole words; those for beginnings come after them.
const WORD_BITS: u16 = 1024;
/// Bits for beginnings of words.
const BEGINNING_BITS: u16 = 512;
/// Letters of a word that stand for its beginning.
const BEGINNING: usize = 3;
/// Both sets, in groups of 64.
const GROUPS: usize = ((WORD_BITS + BEGINNING_BITS) / 64) as usize;

/// Both halves of a hash in one.
const fn folded(hash: u32) -> u16 {
    let [a, b, c, d] = hash.to_le_bytes();
    u16::from_le_bytes([a ^ c, b ^ d])
}

/// Which bit stands for a word with this hash.
const fn bit_of_word(hash: u32) -> u16 {
    folded(hash) % WORD_BITS
}

/// Which bit stands for words that begin with the letters at `at`.
const fn bit_of_beginning(bytes: &[u8], at: usize) -> u16 {
    WORD_BITS + folded(hash(bytes, at, at + BEGINNING)) % BEGINNING_BITS
}

/// Lower-case words of a text, apostrophes dropped, everything else that is no letter or digit
/// taken as a gap. Letters of other scripts stay as they are.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    joined: String,
    places: Vec<Word>,
    /// A bit for each word and each beginning of a word: what gates ask.
    seen: [u64; GROUPS],
    /// The last word of each chain, from 1; 0 for none. Words are found by their hash and by their
    /// beginning, and not by looking at all of them.
    by_word: [u16; CHAINS],
    by_beginning: [u16; CHAINS],
    /// Words that begin with a digit.
    digits: Places,
    /// Letters beyond ASCII are there.
    beyond: bool,
}

/// Chains of words, for each of the two ways to find them.
const CHAINS: usize = 128;

impl Default for Words {
    fn default() -> Words {
        Words {
            joined: String::new(),
            places: Vec::new(),
            seen: [0; GROUPS],
            by_word: [0; CHAINS],
            by_beginning: [0; CHAINS],
            digits: Places::default(),
            beyond: false,
        }
    }
}

/// Where a word stands in the joined text, its hash, and the words before it in its chains.
#[derive(Clone, Copy, Debug)]
struct Word {
    from: usize,
    to: usize,
    hash: u32,
    before: u16,
    before_by_beginning: u16,
}

impl Words {
    /// Adds the words of `text`; a phrase never fits across two added texts without "..".
    pub(crate) fn add(&mut self, text: &str) {
        self.joined.reserve(text.len().min(BYTES_MAX - self.joined.len().min(BYTES_MAX)) + 8);
        if !self.joined.is_empty() {
            let from = self.joined.len() + 1;
            self.joined.push_str(" ¶");
            self.beyond = true;
            self.end_word(from);
        }
        let mut start = None;
        for letter in text.chars() {
            if self.places.len() >= WORDS_MAX || self.joined.len() >= BYTES_MAX {
                break;
            }
            let part_of_word = if letter.is_ascii() {
                letter.is_ascii_alphanumeric()
            } else {
                letter.is_alphanumeric()
            };
            if part_of_word {
                if start.is_none() {
                    if !self.joined.is_empty() {
                        self.joined.push(' ');
                    }
                    start = Some(self.joined.len());
                }
                if letter.is_ascii() {
                    self.joined.push(letter.to_ascii_lowercase());
                } else {
                    self.beyond = true;
                    self.joined.extend(letter.to_lowercase());
                }
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
        let (bytes, to) = (self.joined.as_bytes(), self.joined.len());
        let hash = hash(bytes, from, to);
        let place = self.places.len();
        let number = u16::try_from(place + 1).expect("WORDS_MAX and a few signs fit");
        let mut bits = [bit_of_word(hash), UNUSED];
        let before = core::mem::replace(&mut self.by_word[chain_of(bits[0])], number);
        let mut before_by_beginning = 0;
        if to - from >= BEGINNING {
            bits[1] = bit_of_beginning(bytes, from);
            let last = &mut self.by_beginning[chain_of(bits[1])];
            before_by_beginning = core::mem::replace(last, number);
        }
        if bytes[from..to].first().is_some_and(u8::is_ascii_digit) {
            self.digits.add(place);
        }
        self.places.push(Word { from, to, hash, before, before_by_beginning });
        for bit in bits {
            if let Some(group) = self.seen.get_mut(usize::from(bit / 64)) {
                *group |= 1 << (bit % 64);
            }
        }
    }

    fn saw(&self, bit: u16) -> bool {
        self.seen.get(usize::from(bit / 64)).is_some_and(|group| group >> (bit % 64) & 1 == 1)
    }

    /// `true` when any of the phrases fits.
    pub(crate) fn say_any(&self, phrases: &[Phrase]) -> bool {
        phrases.iter().any(|phrase| self.say(phrase))
    }

    /// `true` when the phrase fits.
    pub(crate) fn say(&self, phrase: &Phrase) -> bool {
        if !phrase.ascii {
            return self.beyond && self.holds_in_order(phrase.text);
        }
        let open =
            |part: &[u16; GATE_WORDS]| part[0] == UNUSED || part.iter().any(|bit| self.saw(*bit));
        phrase.gate.iter().all(open) && self.walk(phrase.text)
    }

    /// Pieces beyond ASCII, divided by "..": one after the other, whatever stands between.
    fn holds_in_order(&self, phrase: &str) -> bool {
        let mut rest = self.joined.as_str();
        phrase.split(" .. ").all(|piece| match rest.find(piece) {
            Some(at) => {
                rest = rest.get(at + piece.len()..).unwrap_or_default();
                true
            }
            None => false,
        })
    }

    /// Follows the parts of a phrase from every word at once.
    fn walk(&self, phrase: &str) -> bool {
        let mut places = Places::up_to(self.places.len());
        for part in phrase.split(' ') {
            if part == ".." {
                places.spread();
                continue;
            }
            let one = part.strip_suffix('?').filter(|one| !one.is_empty());
            let next = self.past(places, one.unwrap_or(part));
            places = if one.is_some() { places.or(next) } else { next };
            if places.none() {
                return false;
            }
        }
        true
    }

    /// The places after those of `places` whose word fits one part of a phrase.
    fn past(&self, places: Places, part: &str) -> Places {
        let mut found = Places::default();
        for one in part.split('|') {
            match (one, one.strip_suffix('*')) {
                ("?", _) => found = found.or(Places::up_to(self.places.len())),
                ("#", _) => found = found.or(self.digits),
                (_, Some(head)) => self.find_beginning(head, &mut found),
                (_, None) => self.find_word(one, &mut found),
            }
        }
        found.and(places).after()
    }

    fn find_word(&self, one: &str, found: &mut Places) {
        let wanted = hash(one.as_bytes(), 0, one.len());
        let mut number = self.by_word[chain_of(bit_of_word(wanted))];
        while let Some((at, word)) = self.numbered(number) {
            if word.hash == wanted && self.text_of(word) == one {
                found.add(at);
            }
            number = word.before;
        }
    }

    fn find_beginning(&self, head: &str, found: &mut Places) {
        if head.len() < BEGINNING {
            for (at, word) in self.places.iter().enumerate() {
                if self.text_of(word).starts_with(head) {
                    found.add(at);
                }
            }
            return;
        }
        let mut number = self.by_beginning[chain_of(bit_of_beginning(head.as_bytes(), 0))];
        while let Some((at, word)) = self.numbered(number) {
            if self.text_of(word).starts_with(head) {
                found.add(at);
            }
            number = word.before_by_beginning;
        }
    }

    fn numbered(&self, number: u16) -> Option<(usize, &Word)> {
        let at = usize::from(number).checked_sub(1)?;
        Some((at, self.places.get(at)?))
    }

    fn text_of(&self, word: &Word) -> &str {
        self.joined.get(word.from..word.to).unwrap_or_default()
    }
}

/// The chain of a word or beginning, by its bit.
fn chain_of(bit: u16) -> usize {
    usize::from(bit) % CHAINS
}

/// A set of places between words.
#[derive(Clone, Copy, Debug, Default)]
struct Places([u64; PLACE_GROUPS]);

/// Enough for a place before each word, one after the last, and a little to spread into.
const PLACE_GROUPS: usize = WORDS_MAX / 64 + 1;

impl Places {
    fn up_to(words: usize) -> Places {
        let mut all = Places::default();
        for (group, bits) in all.0.iter_mut().enumerate() {
            let left = words.saturating_sub(group * 64);
            *bits = if left >= 64 { u64::MAX } else { (1 << left) - 1 };
        }
        all
    }

    fn add(&mut self, at: usize) {
        if let Some(bits) = self.0.get_mut(at / 64) {
            *bits |= 1 << (at % 64);
        }
    }

    fn none(&self) -> bool {
        self.0.iter().all(|bits| *bits == 0)
    }

    fn or(self, other: Places) -> Places {
        let mut out = self;
        for (bits, more) in out.0.iter_mut().zip(other.0) {
            *bits |= more;
        }
        out
    }

    /// Adds up to [`GAP`] places after each.
    fn spread(&mut self) {
        for _ in 0..GAP {
            let mut carry = 0;
            for bits in &mut self.0 {
                let over = *bits >> 63;
                *bits |= *bits << 1 | carry;
                carry = over;
            }
        }
    }

    fn and(self, other: Places) -> Places {
        let mut out = self;
        for (bits, more) in out.0.iter_mut().zip(other.0) {
            *bits &= more;
        }
        out
    }

    /// The place after each.
    fn after(self) -> Places {
        let (mut out, mut carry) = (self, 0);
        for bits in &mut out.0 {
            let over = *bits >> 63;
            *bits = *bits << 1 | carry;
            carry = over;
        }
        out
    }
}

/// `true` when two names are the same but for case and separators: `RateLimitReached` and
/// `rate_limit_reached`. `*` at an end of `pattern` stands for anything there.
pub(crate) fn same_name(pattern: &str, name: &str) -> bool {
    fn letters(text: &str) -> impl DoubleEndedIterator<Item = u8> {
        text.bytes().filter(u8::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase())
    }
    let mut name = letters(name);
    if pattern.starts_with('*') {
        return letters(pattern).rev().all(|wanted| name.next_back() == Some(wanted));
    }
    letters(pattern).all(|wanted| name.next() == Some(wanted))
        && (pattern.ends_with('*') || name.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Words {
        let mut words = Words::default();
        words.add(text);
        words
    }

    #[test]
    fn a_phrase_fits_whole_words_only() {
        let text = words("Please retry in 18.403s, the model isn't `overloaded`.");
        for phrase in ["retry in", "isnt overloaded", "model ? overload*", "please .. overloaded"] {
            assert!(text.say(&Phrase::of(phrase)), "{phrase}");
        }
        for phrase in ["403", "load", "retry .. nothing", "over", "in # 500"] {
            assert!(!text.say(&Phrase::of(phrase)), "{phrase}");
        }
    }

    #[test]
    fn gaps_are_bounded_and_alternatives_are_words() {
        assert!(
            words("key a b c d e f g h expired").say(&Phrase::of("key|token .. expired|revoked"))
        );
        assert!(
            words("the api key").say(&Phrase::of("the api? key"))
                && words("the key").say(&Phrase::of("the api? key"))
        );
        assert!(!words("key a b c d e f g h i expired").say(&Phrase::of("key .. expired")));
        assert!(words("令牌额度已用尽").say(&Phrase::of("额度已用尽")));
        assert!(words("模型 abc 不存在").say(&Phrase::of("模型 .. 不存在")));
        assert!(!words("不存在的模型").say(&Phrase::of("模型 .. 不存在")));
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
        assert!(both.say(&Phrase::of("loading model")) && !both.say(&Phrase::of("error loading")));
    }

    #[test]
    fn a_huge_text_is_cut() {
        let huge = "word ".repeat(1_000_000);
        assert!(words(&huge).places.len() <= WORDS_MAX);
    }

    /// What a phrase means, read off its definition: slow, with no gates and no sets of places.
    fn fits_by_definition(words: &[&str], phrase: &[&str]) -> bool {
        let Some((part, rest)) = phrase.split_first() else { return true };
        let fits = |part: &str, word: &str| {
            part.split('|').any(|one| match (one, one.strip_suffix('*')) {
                ("?", _) => true,
                ("#", _) => word.starts_with(|first: char| first.is_ascii_digit()),
                (_, Some(head)) => word.starts_with(head),
                (_, None) => word == one,
            })
        };
        if *part == ".." {
            return (0..=GAP.min(words.len())).any(|from| fits_by_definition(&words[from..], rest));
        }
        let one = part.strip_suffix('?').filter(|one| !one.is_empty());
        let here = words.first().is_some_and(|word| fits(one.unwrap_or(part), word));
        (here && fits_by_definition(&words[1..], rest))
            || (one.is_some() && fits_by_definition(words, rest))
    }

    proptest! {
        #[test]
        fn gates_and_places_find_what_the_definition_finds(
            text in prop::collection::vec(
                prop::sample::select(vec!["key", "token", "is", "not", "valid", "limit", "limits", "5", "per", "minute", "a", "x"]),
                0..40,
            ),
        ) {
            const PHRASES: [&str; 12] = [
                "key", "key|token is not valid", "key is? not? valid", "lim* .. per", "limit # per min*", "? key",
                "not .. valid .. limits", "a|b|c|d|e|f|g .. x", "li* x", "key .. .. limits", "token? token? x", "per a? minute",
            ];
            let all = words(&text.join(" "));
            for phrase in PHRASES {
                let parts: Vec<&str> = phrase.split(' ').collect();
                let wanted = (0..text.len()).any(|from| fits_by_definition(&text[from..], &parts));
                prop_assert_eq!(all.say(&Phrase::of(phrase)), wanted, "{} in {:?}", phrase, text);
            }
        }
    }
}
