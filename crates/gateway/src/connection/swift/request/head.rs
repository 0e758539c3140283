//! The head of a usual request, as RFC 9112 writes it: a line, fields that end with CR LF, an empty line.
//!
//! What is written otherwise is no usual request, whether it means anything or not: bare line feeds, empty
//! lines before the first, folded fields. So every head that is taken here says to any other reader what it
//! says here; hyper reads the rest.

use std::ops::Range;

use http::Method;
use mainstay::fields::{Line, control_marks};

/// Header lines, at most.
const LINES: usize = 64;
/// Longest method and longest target, in bytes.
const METHOD: usize = 16;
const TARGET: usize = 4 * 1024;
/// Lines that most heads have room in.
const USUAL_LINES: usize = 16;

/// The parts of a head.
pub(super) struct Parsed {
    pub(super) method: Method,
    pub(super) target: Range<usize>,
    pub(super) lines: Vec<Line>,
    /// A name has capital letters.
    pub(super) capitals: bool,
    /// Behind the empty line.
    pub(super) end: usize,
}

/// Reads a head; `None`: it is not all there, or not a usual one.
pub(super) fn parse(bytes: &[u8]) -> Option<Parsed> {
    let length = bytes.iter().take(METHOD + 1).position(|byte| *byte == b' ')?;
    let method = Method::from_bytes(&bytes[..length]).ok()?;
    let start = length + 1;
    let length =
        bytes[start..].iter().take(TARGET + 1).position(|byte| !byte.is_ascii_graphic())?;
    let target = start..start + length;
    if bytes.get(start) != Some(&b'/') {
        return None;
    }
    let mut at = behind(bytes, target.end, b" HTTP/1.1\r\n")?;
    let (mut lines, mut kinds) = (Vec::with_capacity(USUAL_LINES), 0);
    while *bytes.get(at)? != b'\r' {
        let start = at;
        at = name_end(bytes, at, &mut kinds)?;
        let colon = at;
        at += 1;
        while let b' ' | b'\t' = bytes.get(at)? {
            at += 1;
        }
        let value = at;
        at = value_end(bytes, at);
        let mut end = at;
        while end > value && matches!(bytes[end - 1], b' ' | b'\t') {
            end -= 1;
        }
        at = behind(bytes, at, b"\r\n")?;
        if lines.len() == LINES {
            return None;
        }
        lines.push([place(start)?, place(colon)?, place(value)?, place(end)?]);
    }
    let end = behind(bytes, at, b"\r\n")?;
    let capitals = kinds & CAPITAL != 0;
    Some(Parsed { method, target, lines, capitals, end })
}

fn place(at: usize) -> Option<u32> {
    u32::try_from(at).ok()
}

/// Behind what must stand at `at`.
fn behind(bytes: &[u8], at: usize, what: &[u8]) -> Option<usize> {
    bytes.get(at..)?.starts_with(what).then_some(at + what.len())
}

const TOKEN: u8 = 1;
const CAPITAL: u8 = 2;

/// What may stand in the name of a field. Source: RFC 9110, section 5.6.2, `tchar`.
const NAME: [u8; 256] = {
    let (mut table, mut byte) = ([0; 256], 0_u8);
    while byte < 0x7f {
        table[byte as usize] = match byte {
            b'A'..=b'Z' => TOKEN | CAPITAL,
            b'a'..=b'z' | b'0'..=b'9' => TOKEN,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_'
            | b'`' | b'|' | b'~' => TOKEN,
            _ => 0,
        };
        byte += 1;
    }
    table
};

/// The colon behind a name that begins at `at`.
fn name_end(bytes: &[u8], at: usize, kinds: &mut u8) -> Option<usize> {
    for (length, byte) in bytes.get(at..)?.iter().enumerate() {
        let kind = NAME[usize::from(*byte)];
        if kind == 0 {
            return (length > 0 && *byte == b':').then_some(at + length);
        }
        *kinds |= kind;
    }
    None
}

/// The first byte at or behind `at` that no value may have: a control character that is no tab.
fn value_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = bytes.get(at..at + 8).and_then(|word| <[u8; 8]>::try_from(word).ok()) {
        let marks = control_marks(u64::from_le_bytes(word));
        if marks != 0 {
            at += (marks.trailing_zeros() / 8) as usize;
            if bytes[at] != b'\t' {
                return at;
            }
            at += 1;
        } else {
            at += 8;
        }
    }
    while bytes.get(at).is_some_and(|byte| *byte == b'\t' || *byte >= 0x20 && *byte != 0x7f) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What another reader makes of a head, if all of it is there: method, target, names and values, end.
    type Read = (Vec<u8>, Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>, usize);

    fn others(bytes: &[u8]) -> Option<Read> {
        let mut space = [httparse::EMPTY_HEADER; LINES];
        let mut parsed = httparse::Request::new(&mut space);
        let Ok(httparse::Status::Complete(end)) = parsed.parse(bytes) else { return None };
        if parsed.version != Some(1) {
            return None;
        }
        let field = |header: &httparse::Header<'_>| {
            (header.name.as_bytes().to_vec(), header.value.to_vec())
        };
        let fields = parsed.headers.iter().map(field).collect();
        let (method, path) = (parsed.method?.as_bytes().to_vec(), parsed.path?.as_bytes().to_vec());
        Some((method, path, fields, end))
    }

    fn ours(bytes: &[u8]) -> Option<Read> {
        let parsed = parse(bytes)?;
        let part = |start: u32, end: u32| bytes[start as usize..end as usize].to_vec();
        let field = |line: &Line| (part(line[0], line[1]), part(line[2], line[3]));
        let fields: Vec<_> = parsed.lines.iter().map(field).collect();
        let capitals = fields.iter().any(|(name, _)| name.iter().any(u8::is_ascii_uppercase));
        assert_eq!(parsed.capitals, capitals);
        Some((parsed.method.as_str().into(), bytes[parsed.target].to_vec(), fields, parsed.end))
    }

    #[test]
    fn any_byte_anywhere_is_read_as_by_another_reader_or_not_at_all() {
        let text = b"POST /v1/x?a=b HTTP/1.1\r\nHost: h\r\nx-a:\tb c \r\nempty:\r\n\r\n{}";
        assert_eq!(ours(text), others(text));
        assert!(ours(text).is_some());
        let mut taken = 0;
        for at in 0..text.len() {
            assert!(ours(&text[..at]).is_none() || at >= text.len() - 2, "{at}");
            for byte in 0..=u8::MAX {
                let mut other = text.to_vec();
                other[at] = byte;
                if let Some(read) = ours(&other) {
                    assert_eq!(Some(read), others(&other), "{byte} at {at}");
                    taken += 1;
                }
                other.insert(at, byte);
                if let Some(read) = ours(&other) {
                    assert_eq!(Some(read), others(&other), "{byte} before {at}");
                    taken += 1;
                }
            }
        }
        assert!(taken > text.len() * 100, "most of them are usual: {taken}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Heads of all lengths, so that every byte stands everywhere in what is compared at once.
        #[test]
        fn usual_heads_are_taken_and_read_as_by_another_reader(
            target in "/[!-~]{0,20}",
            fields in prop::collection::vec(
                ("[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}", "[ \t]{0,2}", "([!-~\u{80}-\u{ff}][ \t!-~\u{80}-\u{ff}]{0,30})?"),
                0..70,
            ),
            strange in prop::option::of((0..200_usize, prop::sample::select(vec![0, 9, 10, 13, 31, 32, 127, 128]))),
        ) {
            let mut head = format!("PUT {target} HTTP/1.1\r\n");
            for (name, blank, value) in &fields {
                head.extend([name.as_str(), ":", blank, value, "\r\n"]);
            }
            head.push_str("\r\n");
            let mut head = head.into_bytes();
            if let Some((at, byte)) = strange {
                let at = at % head.len();
                head[at] = byte;
                if let Some(read) = ours(&head) {
                    prop_assert_eq!(Some(read), others(&head));
                }
            } else if fields.len() <= LINES {
                prop_assert_eq!(ours(&head), others(&head));
                prop_assert!(ours(&head).is_some());
            } else {
                prop_assert!(ours(&head).is_none());
            }
        }
    }
}
