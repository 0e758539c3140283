//! Passes over JSON that is written as nearly all of it is, in one quick look.
//!
//! It takes no more than [`Reader`](super::Reader) takes, and of the same text the same; where it
//! says nothing (`None`) the text is no JSON, or of a rarer kind, and a reader decides. Places are byte
//! offsets, always behind what was passed.

/// Levels of nesting that are kept in one word, a bit for each.
const DEPTH_MAX: u32 = 62;

/// Behind the value that is next from `at` on.
pub(crate) fn value(bytes: &[u8], mut at: usize) -> Option<usize> {
    // A bit for each level, the innermost last: whether it is an object. The first marks the end.
    let mut levels: u64 = 1;
    loop {
        match next(bytes, &mut at)? {
            b'"' => at = string(bytes, at + 1)?,
            b'-' | b'0'..=b'9' => at = number(bytes, at)?,
            b'n' => at = word(bytes, at, *b"null")?,
            b't' => at = word(bytes, at, *b"true")?,
            b'f' => at = word(bytes, at + 1, *b"alse")?,
            mark @ (b'{' | b'[') => {
                if levels >> DEPTH_MAX != 0 {
                    return None;
                }
                let object = mark == b'{';
                levels = levels << 1 | u64::from(object);
                at += 1;
                // An empty one is closed below.
                match next(bytes, &mut at)? {
                    b'}' if object => {}
                    b']' if !object => {}
                    _ if object => {
                        at = behind_key(bytes, at)?;
                        continue;
                    }
                    _ => continue,
                }
            }
            _ => return None,
        }
        // Behind a value: closing marks, and a comma before the next.
        loop {
            if levels == 1 {
                return Some(at);
            }
            let object = levels & 1 != 0;
            match next(bytes, &mut at)? {
                b',' if object => {
                    at = behind_key(bytes, at + 1)?;
                    break;
                }
                b',' => {
                    at += 1;
                    break;
                }
                b'}' if object => levels >>= 1,
                b']' if !object => levels >>= 1,
                _ => return None,
            }
            at += 1;
        }
    }
}

/// A key without escapes that is next from `at` on, and the place behind its colon.
#[inline]
pub(crate) fn key(bytes: &[u8], mut at: usize) -> Option<(&[u8], usize)> {
    if next(bytes, &mut at)? != b'"' {
        return None;
    }
    let start = at + 1;
    let end = plain_end(bytes, start);
    if bytes.get(end) != Some(&b'"') {
        return None;
    }
    Some((bytes.get(start..end)?, colon(bytes, end + 1)?))
}

/// Behind a comma or a closing brace that is next from `at` on; whether it was the comma.
#[inline]
pub(crate) fn comma(bytes: &[u8], mut at: usize) -> Option<(bool, usize)> {
    match next(bytes, &mut at)? {
        b',' => Some((true, at + 1)),
        b'}' => Some((false, at + 1)),
        _ => None,
    }
}

/// Behind the brace of an object that has members, if one is next from `at` on.
#[inline]
pub(crate) fn object(bytes: &[u8], mut at: usize) -> Option<usize> {
    (next(bytes, &mut at)? == b'{').then_some(at + 1)
}

/// Behind a count or `null` that is next from `at` on; `null` leaves what is there.
#[inline]
pub(crate) fn count(bytes: &[u8], mut at: usize, to: &mut Option<u64>) -> Option<usize> {
    /// As many digits as every number of so many has room for.
    const DIGITS: usize = 19;
    let first = next(bytes, &mut at)?;
    if first == b'n' {
        return word(bytes, at, *b"null");
    }
    let (start, mut number) = (at, 0);
    while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
        if at - start == DIGITS {
            return None;
        }
        number = number * 10 + u64::from(digit - b'0');
        at += 1;
    }
    let leading_zero = first == b'0' && at > start + 1;
    // A fraction is no count; that no other rest of a number follows is found by who looks on.
    if at == start || leading_zero || matches!(bytes.get(at), Some(b'.' | b'e' | b'E')) {
        return None;
    }
    *to = Some(number);
    Some(at)
}

/// Behind a `null` that is next from `at` on.
#[inline]
pub(crate) fn null(bytes: &[u8], mut at: usize) -> Option<usize> {
    next(bytes, &mut at)?;
    word(bytes, at, *b"null")
}

/// Whether nothing but white space is left from `at` on.
pub(crate) fn is_end(bytes: &[u8], mut at: usize) -> bool {
    next(bytes, &mut at).is_none() && at >= bytes.len()
}

/// The next byte that is no white space, and its place.
#[inline]
fn next(bytes: &[u8], at: &mut usize) -> Option<u8> {
    let byte = *bytes.get(*at)?;
    // Most of what comes is no space.
    if byte > b' ' { Some(byte) } else { behind_space(bytes, at) }
}

#[cold]
fn behind_space(bytes: &[u8], at: &mut usize) -> Option<u8> {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(*at) {
        *at += 1;
    }
    bytes.get(*at).copied()
}

/// Behind the colon of a key that is next from `at` on.
#[inline]
fn behind_key(bytes: &[u8], mut at: usize) -> Option<usize> {
    if next(bytes, &mut at)? != b'"' {
        return None;
    }
    colon(bytes, string(bytes, at + 1)?)
}

#[inline]
fn colon(bytes: &[u8], mut at: usize) -> Option<usize> {
    (next(bytes, &mut at)? == b':').then_some(at + 1)
}

/// Behind the string whose opening quote stands before `at`.
#[inline]
fn string(bytes: &[u8], at: usize) -> Option<usize> {
    let end = plain_end(bytes, at);
    if bytes.get(end) == Some(&b'"') { Some(end + 1) } else { escaped(bytes, end) }
}

/// The same where an escape, or something that may not stand there, is at `at`.
#[cold]
fn escaped(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at..at + 2)? {
            [b'"', _] => return Some(at + 1),
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't'] => at += 2,
            [b'\\', b'u'] if bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => {
                at += 6;
            }
            _ => return None,
        }
        at = super::plain_end(bytes, at);
    }
}

/// The first quote, backslash or control character at or behind `at`. Most keys and words are shorter
/// than sixteen bytes.
#[inline]
fn plain_end(bytes: &[u8], at: usize) -> usize {
    if let Some(near) = bytes.get(at..at + 16) {
        let (words, _) = near.as_chunks::<8>();
        for (place, word) in words.iter().enumerate() {
            let marks = marks(u64::from_le_bytes(*word));
            if marks != 0 {
                return at + place * 8 + (marks.trailing_zeros() / 8) as usize;
            }
        }
    }
    super::plain_end(bytes, at)
}

/// The highest bit of bytes that end the plain part of a string; those above the lowest may be wrong.
#[inline]
fn marks(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // Exchanging two bits puts the quote in the place of the blank: right above the control characters.
    let low = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let slash = (word ^ (ONES * 0x5c)).wrapping_sub(ONES);
    (low | slash) & !word & HIGHS
}

/// Behind the number that begins at `at`. What may not follow one is found by who looks on.
#[inline]
fn number(bytes: &[u8], mut at: usize) -> Option<usize> {
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits(bytes, at)? };
    if let Some(b'.' | b'e' | b'E') = bytes.get(at) { fraction(bytes, at) } else { Some(at) }
}

/// Behind the fraction and the exponent of a number, one of which begins at `at`.
#[cold]
fn fraction(bytes: &[u8], mut at: usize) -> Option<usize> {
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = bytes.get(at) {
            at += 1;
        }
        at = digits(bytes, at)?;
    }
    Some(at)
}

/// Behind digits, of which there must be one.
#[inline]
fn digits(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    (at > start).then_some(at)
}

/// Behind a word, or the rest of one, that begins at `at`.
#[inline]
fn word(bytes: &[u8], at: usize, word: [u8; 4]) -> Option<usize> {
    (bytes.get(at..at + 4)? == word).then_some(at + 4)
}
