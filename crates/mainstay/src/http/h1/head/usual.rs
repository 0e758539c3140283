//! The usual head of an answer, in one pass.
//!
//! Usual is what nearly all heads are: `HTTP/1.1`, a final status, lines that end in CRLF, values of
//! visible bytes. It takes no more than httparse takes, and of the same head the same; of any other it
//! says nothing.

use crate::fields::{Line, control_marks};

/// What a usual head says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Usual {
    pub(super) status: u16,
    pub(super) lines: Vec<Line>,
    /// Where it ends.
    pub(super) end: usize,
    /// There are capitals in names.
    pub(super) capitals: bool,
    /// The one `content-length`, where nothing else tells how the body or the connection ends.
    pub(super) length: Option<u64>,
}

/// Room for the lines of most heads.
const LINES: usize = 12;

/// Reads the head that `read` begins with; `None` if it is another than usual, or not there to its end.
pub(super) fn read(read: &[u8], lines_max: usize) -> Option<Usual> {
    let [hundreds @ b'2'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9', b' ', ..] =
        *read.strip_prefix(b"HTTP/1.1 ")?
    else {
        return None;
    };
    let status = [tens, ones]
        .iter()
        .fold(u16::from(hundreds - b'0'), |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let mut at = visible_end(read, b"HTTP/1.1 200 ".len())?;
    let (mut lines, mut capitals) = (Vec::with_capacity(LINES), false);
    let (mut length, mut told) = (None, false);
    loop {
        // At the end of a line.
        at += 2;
        if let [b'\r', b'\n', ..] = *read.get(at..)? {
            return Some(Usual { status, lines, end: at + 2, capitals, length });
        }
        let colon = name_end(read, at, &mut capitals)?;
        let value = colon + 1 + usize::from(read.get(colon + 1) == Some(&b' '));
        let end = visible_end(read, value)?;
        if end == value || read[value] == b' ' || read[end - 1] == b' ' || lines.len() == lines_max
        {
            return None;
        }
        let is = |known: &[u8]| read[at..colon].eq_ignore_ascii_case(known);
        match colon - at {
            14 if is(b"content-length") => {
                length = if told { None } else { count(&read[value..end]) };
                told = true;
            }
            10 | 17 if is(b"connection") || is(b"transfer-encoding") => {
                (length, told) = (None, true);
            }
            _ => {}
        }
        lines.push([place(at)?, place(colon)?, place(value)?, place(end)?]);
        at = end;
    }
}

fn place(at: usize) -> Option<u32> {
    u32::try_from(at).ok()
}

/// The colon behind a name of letters, digits and dashes.
fn name_end(read: &[u8], start: usize, capitals: &mut bool) -> Option<usize> {
    let mut at = start;
    loop {
        match read.get(at)? {
            b'a'..=b'z' | b'-' | b'0'..=b'9' | b'_' => {}
            b'A'..=b'Z' => *capitals = true,
            b':' if at > start => return Some(at),
            _ => return None,
        }
        at += 1;
    }
}

/// The CRLF behind bytes that are neither control characters nor DEL.
fn visible_end(read: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    // Eight bytes at a step; the lowest mark is exact.
    while let Some(word) = read.get(at..at + 8).and_then(|word| <[u8; 8]>::try_from(word).ok()) {
        let marks = control_marks(u64::from_le_bytes(word));
        if marks != 0 {
            at += (marks.trailing_zeros() / 8) as usize;
            break;
        }
        at += 8;
    }
    while read.get(at).is_some_and(|byte| *byte >= b' ' && *byte != 0x7f) {
        at += 1;
    }
    (read.get(at..at + 2)? == b"\r\n").then_some(at)
}

/// A number of up to eighteen digits.
fn count(digits: &[u8]) -> Option<u64> {
    if digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests;
