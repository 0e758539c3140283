//! Looks for words of JSON in a body without reading it: they stand before a double quote, and of those a
//! body has few beside its text. One look finds all that anybody asks about.

use memchr::memmem;

use crate::wire::json::Str;

/// Words that were found before a quote, by what they are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Words(u8);

/// What a word is about, its last letter, and what stands before that.
type Word = (u8, u8, &'static [u8]);

impl Words {
    /// Pictures, sound or files are in the body.
    const MEDIA: u8 = 1;
    /// An object is named.
    const NAMES: u8 = 2;
    /// The answer is to be kept.
    const STORE: u8 = 4;
    /// An ASCII character may be written as an escape, so that a word may be there unseen.
    const HIDDEN: u8 = 8;

    const ALL: [Word; 11] = [
        (Words::MEDIA, b'l', b"image_ur"),
        (Words::MEDIA, b'e', b"input_imag"),
        (Words::MEDIA, b'o', b"input_audi"),
        (Words::MEDIA, b'e', b"input_fil"),
        (Words::MEDIA, b'a', b"file_dat"),
        (Words::NAMES, b'd', b"_i"),
        (Words::NAMES, b's', b"_id"),
        (Words::NAMES, b'e', b"_fil"),
        (Words::NAMES, b'n', b"\"conversatio"),
        (Words::NAMES, b'r', b"\"containe"),
        (Words::STORE, b'e', b"\"stor"),
    ];

    /// Looks through a body, or through a part of it that no string crosses.
    pub fn of(body: &[u8]) -> Words {
        let mut found = Words::default();
        for (place, chunk) in body.chunks(CHUNK).enumerate() {
            // Most of a long body is text, where many bytes are compared at once.
            let marks = chunk
                .iter()
                .fold(0, |marks, byte| marks | u8::from(*byte == b'"') | u8::from(*byte == b'\\'));
            if marks != 0 {
                found.look(body, place * CHUNK, chunk);
            }
        }
        found
    }

    fn look(&mut self, body: &[u8], start: usize, chunk: &[u8]) {
        let (words, rest) = chunk.as_chunks::<8>();
        let mut at = start;
        for word in words {
            let mut marks = marks(u64::from_le_bytes(*word));
            while marks != 0 {
                self.mark(body, at + (marks.trailing_zeros() / 8) as usize);
                marks &= marks - 1;
            }
            at += 8;
        }
        for (behind, byte) in rest.iter().enumerate() {
            if matches!(byte, b'"' | b'\\') {
                self.mark(body, at + behind);
            }
        }
    }

    /// Takes in a quote or a backslash.
    fn mark(&mut self, body: &[u8], at: usize) {
        if body[at] == b'\\' {
            if body[at..].starts_with(b"\\u00") {
                self.0 |= Words::HIDDEN;
            }
            return;
        }
        let Some((last, before)) = body[..at].split_last() else { return };
        // Most words before a quote end with another letter.
        if MAY_END[usize::from(*last)] {
            let ends = |word: &&Word| word.1 == *last && before.ends_with(word.2);
            self.0 |= Words::ALL.iter().filter(ends).fold(0, |found, word| found | word.0);
        }
    }

    /// What both have.
    pub(crate) fn and(self, other: Words) -> Words {
        Words(self.0 | other.0)
    }

    /// Takes in a string that was read where it stands in a body: the same as a look at it, of which its
    /// closing quote tells nearly all.
    #[inline]
    pub(crate) fn hear(&mut self, body: &[u8], string: Str<'_>) {
        if string.escaped {
            self.hear_escaped(body, string);
        } else if let Some(last) = string.raw.as_bytes().last()
            && MAY_END[usize::from(*last)]
        {
            self.mark(body, string.at + 1 + string.raw.len());
        }
    }

    /// No word stands before a quote within a string: a backslash does.
    #[cold]
    fn hear_escaped(&mut self, body: &[u8], string: Str<'_>) {
        if memmem::find(string.raw.as_bytes(), b"\\u00").is_some() {
            self.0 |= Words::HIDDEN;
        }
        self.mark(body, string.at + 1 + string.raw.len());
    }

    /// Whether pictures, sound or files are in the body.
    pub fn has_media(self) -> bool {
        self.0 & Words::MEDIA != 0
    }

    /// Whether the body may name an object.
    pub fn may_name(self) -> bool {
        self.0 & (Words::NAMES | Words::HIDDEN) != 0
    }

    /// Whether the body may ask for its answer to be kept.
    pub fn may_store(self) -> bool {
        self.0 & (Words::STORE | Words::HIDDEN) != 0
    }
}

/// Bytes that are compared at once.
const CHUNK: usize = 64;

/// Whether a word ends with a byte.
const MAY_END: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < Words::ALL.len() {
        table[Words::ALL[at].1 as usize] = true;
        at += 1;
    }
    table
};

/// The highest bit of each byte that is a quote or a backslash, and no other bit.
fn marks(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const LOWS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // Without a borrow from one byte into the next, so that each is exact.
    let zeros = |word: u64| !(((word & LOWS) + LOWS) | word | LOWS);
    zeros(word ^ (ONES * 0x22)) | zeros(word ^ (ONES * 0x5c))
}

/// Whether a form has a field of this name in quotes.
pub fn names_field(body: &[u8], name: &[u8]) -> bool {
    memmem::find(body, &[&b"name=\""[..], name, b"\""].concat()).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_word_is_found_before_a_quote_and_nowhere_else() {
        for (body, media, names, store) in [
            (r#"{"file_id":1}"#, false, true, false),
            (r#"{"image_url":{"url":"x"}}"#, true, false, false),
            (r#"{"type":"input_file"}"#, true, true, false),
            (r#"{"store":1}"#, false, false, true),
            (r#"{"x":"a _id b"}"#, false, false, false),
            (r#"{"restore":1,"dconversation":2}"#, false, false, false),
            (r#"{"\u0069d":1}"#, false, true, true),
            (r#"{"a":"\n\u4f60"}"#, false, false, false),
            ("u00", false, false, false),
            ("\"", false, false, false),
            ("", false, false, false),
        ] {
            let found = Words::of(body.as_bytes());
            let told = (found.has_media(), found.may_name(), found.may_store());
            assert_eq!(told, (media, names, store), "{body}");
        }
    }

    #[test]
    fn a_field_of_a_form_has_its_whole_name_in_quotes() {
        assert!(names_field(b"x; name=\"file_id\"\r\n", b"file_id"));
        assert!(!names_field(b"x; name=\"file_ids\"\r\n", b"file_id"));
    }

    proptest! {
        /// Wherever it stands in what is compared at once.
        #[test]
        fn one_look_finds_what_a_search_for_each_word_finds(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "\"", "\\", "u00", "image_url", "_id", "_ids", "s", "\"store", "\"container", "file_data",
                    "input_file", "aaaaaaaa", "é", "\u{1}", "!", "\"conversation",
                ]),
                0..40,
            ),
        ) {
            let body = parts.concat();
            let found = Words::of(body.as_bytes());
            let has = |kind: u8| Words::ALL.iter().any(|(of, last, before)| {
                let word = [*before, &[*last, b'"'][..]].concat();
                *of == kind && memmem::find(body.as_bytes(), &word).is_some()
            });
            let hidden = body.contains("\\u00");
            prop_assert_eq!(found.has_media(), has(Words::MEDIA));
            prop_assert_eq!(found.may_name(), hidden || has(Words::NAMES));
            prop_assert_eq!(found.may_store(), hidden || has(Words::STORE));
        }

        /// Its last quote and its escapes tell what a look at every quote does.
        #[test]
        fn a_string_is_heard_as_a_look_at_it_sees_it(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "\\\"", "\\\\", "\\u0069", "\\n", "u00", "image_url", "_id", "\\\"store", "file_data", "aaaaaaaa", "é",
                ]),
                0..12,
            ),
        ) {
            let raw = parts.concat();
            let body = format!("{{\"{raw}\":1}}");
            let string = Str { raw: &raw, escaped: raw.contains('\\'), at: 1 };
            let mut heard = Words::default();
            heard.hear(body.as_bytes(), string);
            prop_assert_eq!(heard, Words::of(body.as_bytes()), "{}", body);
        }
    }
}
