//! Takes out of a provider's error text what belongs to us and not to its reader: keys and
//! organization ids.

use bytes::Bytes;

use crate::settings::Secrets;

/// What begins a credential or an id of an account, and the fewest characters behind it.
const SHAPES: [(&[u8], usize); 5] =
    [(b"sk-", 8), (b"org-", 8), (b"proj_", 8), (b"gsk_", 8), (b"Bearer ", 8)];

/// The body with every known secret and everything shaped like one replaced by `***`.
pub(super) fn masked(body: Bytes, secrets: &Secrets) -> Bytes {
    let mut out: Option<Vec<u8>> = None;
    let mut kept = 0;
    let mut at = 0;
    while at < body.len() {
        let Some((prefix, length)) = secret_at(&body, at, secrets) else {
            at += 1;
            continue;
        };
        let out = out.get_or_insert_with(|| Vec::with_capacity(body.len()));
        out.extend_from_slice(&body[kept..at + prefix]);
        out.extend_from_slice(b"***");
        at += length;
        kept = at;
    }
    match out {
        None => body,
        Some(mut out) => {
            out.extend_from_slice(&body[kept..]);
            Bytes::from(out)
        }
    }
}

/// A secret that begins at `at`: how much of it may stay, and how long it is.
fn secret_at(body: &[u8], at: usize, secrets: &Secrets) -> Option<(usize, usize)> {
    let rest = &body[at..];
    let known = secrets.0.iter().find(|one| one.len() >= 6 && rest.starts_with(one.as_bytes()));
    if let Some(known) = known {
        return Some((0, known.len()));
    }
    let inside_a_word = at > 0 && body[at - 1].is_ascii_alphanumeric();
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

    fn check(text: &str, expected: &str) {
        let secrets = Secrets(vec!["azure0123456789".into(), "x".into()]);
        let out = masked(Bytes::copy_from_slice(text.as_bytes()), &secrets);
        assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
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
    fn ordinary_text_stays_as_it_is() {
        let text = "Use a task-oriented model; ask-me, sk-, org-x, risk-abcdefghijkl. Visit https://x.org-abc";
        check(text, text);
        let body = Bytes::from_static(b"{\"error\":{}}");
        assert_eq!(masked(body.clone(), &Secrets::default()).as_ptr(), body.as_ptr());
    }
}
