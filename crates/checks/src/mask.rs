//! Rust source with everything that is not code blanked out.
//!
//! Comments, strings and character literals become spaces of the same length; line breaks stay.
//! A brace, a word or a path found in the result is therefore code, at the same offset as in the
//! original. It understands nested block comments, raw and byte strings, escapes, and the
//! difference between `'a'` and the lifetime `'a`.

/// The source with comments and literals blanked; same length in bytes, same lines.
pub fn mask(source: &str) -> String {
    let mut masker =
        Masker { bytes: source.as_bytes(), at: 0, out: Vec::with_capacity(source.len()) };
    masker.run();
    // Only whole literals and comments are replaced, by ASCII: the rest stays UTF-8.
    String::from_utf8_lossy(&masker.out).into_owned()
}

struct Masker<'a> {
    bytes: &'a [u8],
    at: usize,
    out: Vec<u8>,
}

impl Masker<'_> {
    fn run(&mut self) {
        while self.at < self.bytes.len() {
            match self.literal_end() {
                Some(end) => self.blank(end),
                None => self.keep(),
            }
        }
    }

    /// Where the comment or literal that begins here ends; none when code is here.
    fn literal_end(&self) -> Option<usize> {
        let rest = &self.bytes[self.at..];
        match rest {
            [b'/', b'/', ..] => Some(self.line_end()),
            [b'/', b'*', ..] => Some(self.block_end()),
            [b'"', ..] => Some(self.quoted_end(self.at + 1)),
            [b'\'', ..] => self.char_end(self.at),
            [b'b', b'\'', ..] if !self.in_word() => self.char_end(self.at + 1),
            [b'r' | b'b' | b'c', ..] if !self.in_word() => self.prefixed_end(),
            _ => None,
        }
    }

    fn in_word(&self) -> bool {
        self.at > 0 && is_word(self.bytes[self.at - 1])
    }

    fn line_end(&self) -> usize {
        let rest = &self.bytes[self.at..];
        rest.iter().position(|b| *b == b'\n').map_or(self.bytes.len(), |n| self.at + n)
    }

    fn block_end(&self) -> usize {
        let (mut at, mut depth) = (self.at, 0_u32);
        while at < self.bytes.len() {
            match &self.bytes[at..] {
                [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
                [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
                _ => at += 1,
            }
            if depth == 0 {
                break;
            }
        }
        at
    }

    /// The end of a string whose text begins at `at`, escapes understood.
    fn quoted_end(&self, mut at: usize) -> usize {
        while at < self.bytes.len() {
            match self.bytes[at] {
                b'\\' => at += 2,
                b'"' => return at + 1,
                _ => at += 1,
            }
        }
        self.bytes.len()
    }

    /// `r"…"`, `r#"…"#`, `b"…"`, `br#"…"#`, `c"…"`, `cr"…"`; none for words and raw names.
    fn prefixed_end(&self) -> Option<usize> {
        let mut at = self.at;
        if matches!(self.bytes[at], b'b' | b'c') {
            at += 1;
        }
        let raw = self.bytes.get(at) == Some(&b'r');
        if raw {
            at += 1;
        }
        let hashes =
            self.bytes[at.min(self.bytes.len())..].iter().take_while(|b| **b == b'#').count();
        at += hashes;
        if self.bytes.get(at) != Some(&b'"') || (hashes > 0 && !raw) {
            return None;
        }
        Some(if raw { self.raw_end(at + 1, hashes) } else { self.quoted_end(at + 1) })
    }

    fn raw_end(&self, mut at: usize, hashes: usize) -> usize {
        while at < self.bytes.len() {
            let after = &self.bytes[at + 1..];
            let closes = after.len() >= hashes && after[..hashes].iter().all(|b| *b == b'#');
            if self.bytes[at] == b'"' && closes {
                return at + 1 + hashes;
            }
            at += 1;
        }
        self.bytes.len()
    }

    /// The end of the character literal whose quote is at `quote`; none for a lifetime.
    fn char_end(&self, quote: usize) -> Option<usize> {
        let text = std::str::from_utf8(&self.bytes[quote + 1..]).ok()?;
        let mut chars = text.char_indices();
        match chars.next()? {
            (_, '\\') => {
                let (past, _) = chars.next().map(|(n, c)| (n + c.len_utf8(), c))?;
                text[past..].find('\'').map(|n| quote + 1 + past + n + 1)
            }
            (_, '\'') => None,
            (_, c) => text[c.len_utf8()..].starts_with('\'').then_some(quote + 2 + c.len_utf8()),
        }
    }

    fn blank(&mut self, end: usize) {
        let end = end.min(self.bytes.len());
        let blanked =
            self.bytes[self.at..end].iter().map(|b| if *b == b'\n' { b'\n' } else { b' ' });
        self.out.extend(blanked);
        self.at = end;
    }

    fn keep(&mut self) {
        self.out.push(self.bytes[self.at]);
        self.at += 1;
    }
}

/// May this byte be part of a Rust name?
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_is_left_and_nothing_moves() {
        check("line comment", "a // {\nb", "a ····\nb");
        check("nested block comment", "a/* { /* } */ { */b", "a·················b");
        check("string", r#"f("{\"}")"#, "f(······)");
        check("raw string", r##"f(r#"{"}"#)g"##, "f(········)g");
        check("byte and C strings", r#"b"{" c"}" br"{""#, "···· ···· ·····");
        check("character", r"'{' '\'' '\u{41}' b'}'", "··· ···· ········ ····");
        check("a character of several bytes", "'ä'x", "····x");
        check("lifetime", "fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
        check("lifetime next to a character", "&'a x == 'a'", "&'a x == ···");
        check("raw name", "r#fn()", "r#fn()");
        check("a word that ends like a prefix", "bar\"{\"", "bar···");
        check("a string over lines", "\"{\n}\"", "··\n··");
        check("an unfinished string", "\"{", "··");
    }

    /// `want` shows a blanked byte as a dot.
    #[track_caller]
    fn check(case: &str, source: &str, want: &str) {
        assert_eq!(mask(source), want.replace('·', " "), "{case}");
    }
}
