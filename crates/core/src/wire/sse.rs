//! Server-sent events: cuts a stream of bytes into whole events without changing a byte.
//!
//! An event ends at a blank line; lines end at LF, CR or CRLF. Whatever is cut off is kept until
//! the rest arrives, so the pieces put together are exactly the bytes that came.
//!
//! Source: WHATWG HTML, "Server-sent events", parsing, read 2026-11.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

/// Largest event taken, in bytes, unless another bound is given: 8 MiB (an image in base64 fits).
pub const EVENT_MAX: usize = 8 << 20;

/// An event grew over the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTooLarge {
    /// The bound, in bytes.
    pub max: usize,
}

/// Cuts bytes into events.
#[derive(Debug)]
pub struct Splitter {
    held: BytesMut,
    /// The next byte begins a line.
    line_start: bool,
    /// The last byte was a CR, so an LF that follows belongs to it.
    after_cr: bool,
    max: usize,
}

impl Default for Splitter {
    fn default() -> Self {
        Splitter::new(EVENT_MAX)
    }
}

impl Splitter {
    /// A splitter that refuses events of more than `max` bytes.
    pub fn new(max: usize) -> Splitter {
        Splitter { held: BytesMut::new(), line_start: true, after_cr: false, max }
    }

    /// Takes the next bytes and appends every event they complete to `events`, raw, its blank line
    /// included. An event that lies within `chunk` shares its memory.
    ///
    /// # Errors
    ///
    /// [`EventTooLarge`]; the stream cannot be read any further.
    pub fn feed(&mut self, chunk: &Bytes, events: &mut Vec<Bytes>) -> Result<(), EventTooLarge> {
        let mut from = 0;
        while from < chunk.len() {
            let Some(event) = self.next(chunk, &mut from)? else { break };
            events.push(event);
        }
        Ok(())
    }

    /// Takes the bytes of `chunk` that stand at `from` and behind it, up to the end of the event which
    /// they complete; `None` when they complete none, and are kept. `from` is then behind them.
    ///
    /// # Errors
    ///
    /// As [`feed`](Splitter::feed).
    pub fn next(
        &mut self,
        chunk: &Bytes,
        from: &mut usize,
    ) -> Result<Option<Bytes>, EventTooLarge> {
        let (start, mut at) = (*from, *from);
        while let Some(found) = memchr::memchr2(b'\r', b'\n', &chunk[at..]) {
            if found > 0 {
                self.line_start = false;
                self.after_cr = false;
            }
            at += found;
            let byte = chunk[at];
            at += 1;
            if byte == b'\n' && self.after_cr {
                self.after_cr = false;
                continue;
            }
            // The usual end of an event is two of them, which spares a second search.
            let two = byte == b'\n' && chunk.get(at) == Some(&b'\n') && !self.line_start;
            at += usize::from(two);
            let ended = self.line_start || two;
            self.line_start = true;
            self.after_cr = byte == b'\r';
            if ended {
                if self.after_cr && chunk.get(at) == Some(&b'\n') {
                    at += 1;
                    self.after_cr = false;
                }
                *from = at;
                return Ok(Some(self.complete(chunk, start, at)));
            }
        }
        if at < chunk.len() {
            self.line_start = false;
            self.after_cr = false;
        }
        *from = chunk.len();
        self.keep(&chunk[start..]).map(|()| None)
    }

    /// Whether what comes next begins an event.
    #[inline]
    pub fn is_between(&self) -> bool {
        self.held.is_empty() && self.line_start && !self.after_cr
    }

    fn complete(&mut self, chunk: &Bytes, start: usize, end: usize) -> Bytes {
        if self.held.is_empty() {
            return chunk.slice(start..end);
        }
        self.held.extend_from_slice(&chunk[start..end]);
        self.held.split().freeze()
    }

    fn keep(&mut self, rest: &[u8]) -> Result<(), EventTooLarge> {
        if self.held.len() + rest.len() > self.max {
            return Err(EventTooLarge { max: self.max });
        }
        self.held.extend_from_slice(rest);
        Ok(())
    }

    /// What has come of an event that is not complete.
    pub fn rest(&self) -> &[u8] {
        &self.held
    }

    /// The same, taken out.
    pub fn take_rest(&mut self) -> Bytes {
        self.held.split().freeze()
    }
}

/// The fields of one event that matter here.
#[derive(Debug, PartialEq, Eq)]
pub struct Fields<'a> {
    /// The value of the last `event:` line.
    pub name: Option<&'a [u8]>,
    /// The `data:` lines, joined by LF; `None` when there is none (a comment, an id).
    pub data: Option<Cow<'a, [u8]>>,
}

/// Reads the fields of one event. Borrows unless data stands on several lines.
pub fn fields(event: &[u8]) -> Fields<'_> {
    const BOM: &[u8] = b"\xEF\xBB\xBF";
    let event = event.strip_prefix(BOM).unwrap_or(event);
    let mut found = Fields { name: None, data: None };
    let mut rest = event;
    // A line end alone is an empty line, which says nothing.
    while !matches!(rest, [] | [b'\n' | b'\r']) {
        let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        if let Some(value) = value_of(line, b"data") {
            found.data = Some(match found.data.take() {
                None => Cow::Borrowed(value),
                Some(earlier) => {
                    let mut joined = earlier.into_owned();
                    joined.push(b'\n');
                    joined.extend_from_slice(value);
                    Cow::Owned(joined)
                }
            });
        } else if let Some(value) = value_of(line, b"event") {
            found.name = Some(value);
        }
    }
    found
}

/// The value of a line when its field is `name`: what follows the colon, less one space.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(name)?;
    if rest.is_empty() {
        return Some(rest);
    }
    let value = rest.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(pieces: &[&[u8]]) -> (Vec<Bytes>, Vec<u8>) {
        let (mut splitter, mut events) = (Splitter::default(), Vec::new());
        for piece in pieces {
            splitter.feed(&Bytes::copy_from_slice(piece), &mut events).unwrap();
        }
        let rest = splitter.rest().to_vec();
        (events, rest)
    }

    #[test]
    fn events_end_at_a_blank_line_however_lines_end() {
        for text in
            ["data: a\n\ndata: b\n\n", "data: a\r\rdata: b\r\r", "data: a\r\n\r\ndata: b\r\n\r\n"]
        {
            let (events, rest) = split(&[text.as_bytes()]);
            assert_eq!(events.len(), 2, "{text:?}");
            assert_eq!(fields(&events[1]).data.as_deref(), Some(&b"b"[..]), "{text:?}");
            assert!(rest.is_empty(), "{text:?}");
        }
    }

    #[test]
    fn comments_names_and_several_data_lines_are_read() {
        let event = b"\xEF\xBB\xBF: hello\nevent: x\ndata: one\ndata:two\nid: 4\n\n";
        let read = fields(event);
        assert_eq!(read.name, Some(&b"x"[..]));
        assert_eq!(read.data.as_deref(), Some(&b"one\ntwo"[..]));
        assert_eq!(fields(b": ping\n\n").data, None);
    }

    #[test]
    fn events_within_a_piece_are_its_own_bytes_and_not_copied() {
        let piece = Bytes::from_static(b"data: a\n\n: b\r\n\r\ndata: c");
        let (mut splitter, mut events) = (Splitter::default(), Vec::new());
        splitter.feed(&piece, &mut events).unwrap();
        let memory = piece.as_ptr_range();
        assert_eq!(events, [&b"data: a\n\n"[..], b": b\r\n\r\n"]);
        assert!(events.iter().all(|event| memory.contains(&event.as_ptr())), "copied");
        splitter.feed(&Bytes::from_static(b"\n\n"), &mut events).unwrap();
        assert_eq!(events[2], &b"data: c\n\n"[..], "what is cut in two is put together");
    }

    #[test]
    fn an_event_over_the_bound_is_refused() {
        let mut splitter = Splitter::new(16);
        let chunk = Bytes::from_static(b"data: 0123456789abcdef");
        assert_eq!(splitter.feed(&chunk, &mut Vec::new()), Err(EventTooLarge { max: 16 }));
    }

    proptest! {
        #[test]
        fn pieces_put_together_are_the_bytes_that_came_and_cuts_change_no_data(
            text in "[a-c:\\n\\r ]{0,60}", cuts in proptest::collection::vec(0usize..60, 0..8),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            let (events, rest) = split(&pieces);
            let mut joined: Vec<u8> = events.iter().flatten().copied().collect();
            joined.extend(rest);
            prop_assert_eq!(joined, bytes);

            let data = |events: &[Bytes]| -> Vec<Vec<u8>> {
                events.iter().filter_map(|e| fields(e).data.map(Cow::into_owned)).collect()
            };
            let (whole, _) = split(&[bytes]);
            prop_assert_eq!(data(&events), data(&whole));
        }
    }
}
