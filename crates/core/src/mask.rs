//! Takes out of a foreign text what belongs to the account behind it and not to its reader: keys
//! and ids of organizations and projects.

use alloc::string::String;
use alloc::vec::Vec;

/// What begins a credential or an id of an account, and the fewest characters behind it.
const SHAPES: [(&[u8], usize); 5] =
    [(b"sk-", 8), (b"org-", 8), (b"proj_", 8), (b"gsk_", 8), (b"Bearer ", 8)];

/// Shortest known secret that is looked for, in bytes: a shorter one would mask ordinary words.
const KNOWN_MIN: usize = 6;

/// The bytes with every one of `known` and everything shaped like a secret replaced by `***`;
/// `None` when there is nothing to replace.
pub fn masked(text: &[u8], known: &[String]) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    let mut kept = 0;
    let mut at = 0;
    while at < text.len() {
        // Most characters begin none of the shapes.
        if known.is_empty() && !matches!(text[at], b's' | b'o' | b'p' | b'g' | b'B') {
            at += 1;
            continue;
        }
        let Some((prefix, length)) = secret_at(text, at, known) else {
            at += 1;
            continue;
        };
        let out = out.get_or_insert_with(|| Vec::with_capacity(text.len()));
        out.extend_from_slice(&text[kept..at + prefix]);
        out.extend_from_slice(b"***");
        at += length;
        kept = at;
    }
    let mut out = out?;
    out.extend_from_slice(&text[kept..]);
    Some(out)
}

/// A text with everything shaped like a secret replaced.
pub fn text(text: String) -> String {
    match masked(text.as_bytes(), &[]) {
        // Whole characters are taken out, so what is left is text.
        Some(masked) => String::from_utf8_lossy(&masked).into_owned(),
        None => text,
    }
}

/// A secret that begins at `at`: how much of it may stay, and how long it is.
fn secret_at(text: &[u8], at: usize, known: &[String]) -> Option<(usize, usize)> {
    let rest = &text[at..];
    let one = known.iter().find(|one| one.len() >= KNOWN_MIN && rest.starts_with(one.as_bytes()));
    if let Some(one) = one {
        return Some((0, one.len()));
    }
    let inside_a_word = at > 0 && text[at - 1].is_ascii_alphanumeric();
    if inside_a_word {
        return None;
    }
    let (prefix, least) = SHAPES.iter().find(|(prefix, _)| rest.starts_with(prefix))?;
    let tail = rest[prefix.len()..].iter().take_while(|byte| in_secret(**byte)).count();
    (tail >= *least).then_some((prefix.len(), prefix.len() + tail))
}

/// Characters of keys, also of keys that the provider has masked in its own way.
fn in_secret(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'*' | b'.') || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn check(text: &str, expected: &str) {
        let known = vec!["azure0123456789".into(), "x".into()];
        let out = masked(text.as_bytes(), &known).unwrap_or_else(|| text.as_bytes().to_vec());
        assert_eq!(core::str::from_utf8(&out).unwrap(), expected);
    }

    #[test]
    fn keys_and_organizations_do_not_get_through() {
        check(
            "Incorrect API key provided: sk-proj-****…MxYA. You",
            "Incorrect API key provided: sk-*** You",
        );
        check(
            "in organization org-abcDEF0123456789 on tokens",
            "in organization org-*** on tokens",
        );
        check("Project `proj_abc123456789` does", "Project `proj_***` does");
        check("{\"key\":\"azure0123456789\"}", "{\"key\":\"***\"}");
        check("Bearer abcdefgh12345678", "Bearer ***");
    }

    #[test]
    fn every_shape_is_found_where_nothing_else_is_known() {
        for (prefix, _) in SHAPES {
            let text = [b"a ", prefix, b"abcdefgh".as_slice()].concat();
            let masked = masked(&text, &[]);
            assert_eq!(masked, Some([b"a ", prefix, b"***".as_slice()].concat()));
        }
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        let text = "Use a task-oriented model; ask-me, sk-, org-x, risk-abcdefghijkl. Visit https://x.org-abc";
        check(text, text);
        assert_eq!(masked(b"{\"error\":{}}", &[]), None);
    }
}
