//! Looks for words of JSON in a body without reading it: they stand before a double quote, and of those a
//! body has few beside its text.

/// Whether one of the words stands directly before a double quote.
pub(crate) fn any_ends_with(body: &[u8], words: &[&[u8]]) -> bool {
    memchr::memchr_iter(b'"', body).any(|at| {
        let before = &body[..at];
        // Most words before a quote end with another letter, which spares the comparison.
        words.iter().any(|word| before.last() == word.last() && before.ends_with(word))
    })
}

/// Whether an ASCII character may be written as an escape, so that a word may be there unseen.
pub(crate) fn hides_ascii(body: &[u8]) -> bool {
    let from = memchr::memchr(b'\\', body);
    from.is_some_and(|from| memchr::memmem::find(&body[from..], b"\\u00").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_before_a_quote_and_nowhere_else() {
        let words = [&b"_id"[..], b"\"store"];
        for (body, found) in [
            (r#"{"file_id":1}"#, true),
            (r#"{"store":1}"#, true),
            (r#"{"x":"a _id b"}"#, false),
            (r#"{"restore":1}"#, false),
            ("\"", false),
            ("", false),
        ] {
            assert_eq!(any_ends_with(body.as_bytes(), &words), found, "{body}");
        }
        assert!(hides_ascii(br#"{"\u0069d":1}"#));
        assert!(!hides_ascii(br#"{"a":"\n\u4f60"}"#) && !hides_ascii(b"u00"));
    }
}
