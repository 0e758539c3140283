//! The head of an answer.

mod usual;

use std::mem::MaybeUninit;

use bytes::BytesMut;
use http::StatusCode;
use httparse::{Header, ParserConfig, Response, Status};
use mainstay_core::classify::TransportFault;

use crate::fields::{Fields, Line};
use crate::http::settings::HEADERS_MAX;
use crate::upstream::AnswerHead;
use usual::Usual;

/// Bounds of a head.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadBounds {
    /// Header lines.
    pub(super) lines: usize,
    /// Bytes.
    pub(super) bytes: usize,
}

/// A head that was read.
pub(super) struct Head {
    pub(super) answer: AnswerHead,
    pub(super) framing: Framing,
    /// The other end takes another request after this answer.
    pub(super) keeps: bool,
}

/// Where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// With its last chunk.
    Chunked,
    /// With the connection.
    Close,
}

/// Takes the head of an answer out of `read`, and interim answers before it; `None` while it is not
/// there to its end. `bodiless`: the method's answers have no body.
///
/// # Errors
///
/// It is no HTTP/1, or beyond its bounds.
pub(super) fn parse(
    read: &mut BytesMut,
    bounds: &HeadBounds,
    bodiless: bool,
) -> Result<Option<Head>, TransportFault> {
    if read.is_empty() {
        return Ok(None);
    }
    let usual = usual::read(read, bounds.lines).filter(|usual| usual.end <= bounds.bytes);
    if let Some(usual) = usual {
        return as_usual(read, usual, bodiless).map(Some);
    }
    loop {
        let Some(end) = end_of_head(read) else {
            const START: &[u8] = b"HTTP/1.";
            let begun = read.iter().zip(START).all(|(one, other)| one == other);
            let fits = read.len() <= bounds.bytes;
            return if begun && fits { Ok(None) } else { Err(TransportFault::MalformedHttp) };
        };
        if end > bounds.bytes {
            return Err(TransportFault::MalformedHttp);
        }
        let head = whole(read, end, bounds.lines, bodiless)?;
        match head.answer.status.as_u16() {
            // Nobody asked to speak anything else.
            101 => return Err(TransportFault::MalformedHttp),
            100..=199 => {}
            _ => return Ok(Some(head)),
        }
    }
}

/// Behind the first empty line, however lines end.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', bytes).find_map(|at| match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

fn as_usual(read: &mut BytesMut, usual: Usual, bodiless: bool) -> Result<Head, TransportFault> {
    let Usual { status, lines, end, capitals, length } = usual;
    let mut bytes = read.split_to(end);
    if capitals {
        lower(&mut bytes, &lines);
    }
    let headers = Fields::of_head(bytes.freeze(), lines);
    let status = StatusCode::from_u16(status).map_err(|_| MALFORMED)?;
    let length = length.filter(|_| !is_bodiless(status, bodiless));
    let (framing, keeps) = match length {
        Some(length) => (Framing::Length(length), true),
        None => framed(status, &headers, true, bodiless)?,
    };
    Ok(Head { answer: AnswerHead { status, headers }, framing, keeps })
}

/// Names in lower case.
fn lower(head: &mut [u8], lines: &[Line]) {
    for [start, end, ..] in lines {
        head[*start as usize..*end as usize].make_ascii_lowercase();
    }
}

fn whole(
    read: &mut BytesMut,
    end: usize,
    lines: usize,
    bodiless: bool,
) -> Result<Head, TransportFault> {
    let mut bytes = read.split_to(end);
    let (mut few, mut many) = ([const { MaybeUninit::uninit() }; HEADERS_MAX], Vec::new());
    let space: &mut [MaybeUninit<Header<'_>>] = if lines <= HEADERS_MAX {
        &mut few[..lines]
    } else {
        many.resize_with(lines, MaybeUninit::uninit);
        &mut many
    };
    let mut parsed = Response::new(&mut []);
    let found =
        ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, &bytes, space);
    // What follows an end that the parser sees earlier would be no head.
    if found != Ok(Status::Complete(end)) {
        return Err(TransportFault::MalformedHttp);
    }
    let status = StatusCode::from_u16(parsed.code.unwrap_or(0)).map_err(|_| MALFORMED)?;
    let place = |part: &[u8]| {
        let start = part.as_ptr().addr() - bytes.as_ptr().addr();
        [start, start + part.len()].map(|at| u32::try_from(at).unwrap_or(u32::MAX))
    };
    let line = |header: &Header<'_>| {
        let ([name, colon], [value, end]) = (place(header.name.as_bytes()), place(header.value));
        [name, colon, value, end]
    };
    let lines: Vec<Line> = parsed.headers.iter().map(line).collect();
    let newer = parsed.version == Some(1);
    lower(&mut bytes, &lines);
    let headers = Fields::of_head(bytes.freeze(), lines);
    let (framing, keeps) = framed(status, &headers, newer, bodiless)?;
    Ok(Head { answer: AnswerHead { status, headers }, framing, keeps })
}

const MALFORMED: TransportFault = TransportFault::MalformedHttp;

/// Where the body ends, and whether the connection stays open.
fn framed(
    status: StatusCode,
    headers: &Fields,
    newer: bool,
    bodiless: bool,
) -> Result<(Framing, bool), TransportFault> {
    let framing = framing(status, headers, newer, bodiless)?;
    Ok((framing, keeps(headers, newer) && framing != Framing::Close))
}

/// Whether the answer has no body, whatever its head says.
fn is_bodiless(status: StatusCode, bodiless: bool) -> bool {
    bodiless || matches!(status.as_u16(), 100..=199 | 204 | 304)
}

/// Where the body ends.
/// Source: RFC 9112 section 6.3 ("Message Body Length"), read 2026-11.
fn framing(
    status: StatusCode,
    headers: &Fields,
    newer: bool,
    bodiless: bool,
) -> Result<Framing, TransportFault> {
    if is_bodiless(status, bodiless) {
        return Ok(Framing::Length(0));
    }
    if let Some(last) = headers.all("transfer-encoding").next_back() {
        let last = last.rsplit(|byte| *byte == b',').next().unwrap_or_default();
        return match (newer, last.trim_ascii().eq_ignore_ascii_case(b"chunked")) {
            (false, _) => Err(MALFORMED),
            (true, true) => Ok(Framing::Chunked),
            (true, false) => Ok(Framing::Close),
        };
    }
    let mut length = None;
    for value in headers.all("content-length") {
        for one in value.split(|byte| *byte == b',') {
            let one = number(one.trim_ascii()).ok_or(MALFORMED)?;
            if *length.get_or_insert(one) != one {
                return Err(MALFORMED);
            }
        }
    }
    Ok(length.map_or(Framing::Close, Framing::Length))
}

fn number(digits: &[u8]) -> Option<u64> {
    let digits = Some(digits).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Whether the connection stays open.
fn keeps(headers: &Fields, newer: bool) -> bool {
    let says = |word: &[u8]| {
        let values = headers.all("connection");
        values
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|one| one.trim_ascii().eq_ignore_ascii_case(word))
    };
    if newer { !says(b"close") } else { says(b"keep-alive") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: HeadBounds = HeadBounds { lines: 4, bytes: 200 };

    fn parsed(text: &str, bodiless: bool) -> Result<Option<Head>, TransportFault> {
        parse(&mut BytesMut::from(text), &BOUNDS, bodiless)
    }

    fn framed(text: &str, bodiless: bool) -> (Framing, bool) {
        let head = parsed(text, bodiless).unwrap().unwrap_or_else(|| panic!("not whole: {text}"));
        (head.framing, head.keeps)
    }

    #[test]
    fn where_a_body_ends_is_told_by_status_and_headers() {
        let close = (Framing::Close, false);
        for (text, want) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", (Framing::Length(5), true)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\n", (Framing::Length(5), true)),
            ("HTTP/1.1 204 No\r\ncontent-length: 5\r\n\r\n", (Framing::Length(0), true)),
            ("HTTP/1.1 304 No\r\n\r\n", (Framing::Length(0), true)),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n",
                (Framing::Chunked, true),
            ),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, gzip\r\n\r\n", close),
            ("HTTP/1.1 200 OK\r\n\r\n", close),
            ("HTTP/1.1 200\ncontent-length: 1\n\n", (Framing::Length(1), true)),
            (
                "HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 1\r\n\r\n",
                (Framing::Length(1), false),
            ),
            ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n", (Framing::Length(1), false)),
            (
                "HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 1\r\n\r\n",
                (Framing::Length(1), true),
            ),
        ] {
            assert_eq!(framed(text, false), want, "{text}");
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
        assert_eq!(framed(head, true), (Framing::Length(0), true));
    }

    #[test]
    fn a_usual_head_obeys_its_bounds_and_its_method() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        let read = parsed(head, false).unwrap().unwrap();
        assert_eq!(read.answer.headers.text("content-length"), Some("5"));
        let none = "HTTP/1.1 304 Same\r\ncontent-length: 5\r\n\r\n";
        assert_eq!(framed(none, false), (Framing::Length(0), true));
        let twice = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n";
        assert!(parsed(twice, false).is_err());
        let short = HeadBounds { lines: 4, bytes: head.len() - 1 };
        assert!(parse(&mut BytesMut::from(head), &short, false).is_err());
    }

    #[test]
    fn what_is_no_head_is_refused_as_soon_as_it_shows() {
        for text in [
            "SSH-2.0",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1, 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\n",
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: 1\r\na: 1\r\na: 1\r\na: 1\r\na: 1\r\n\r\n",
        ] {
            assert!(parsed(text, false).is_err(), "{text}");
        }
        let wide = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(200));
        assert!(parsed(&wide, false).is_err());
        assert!(parsed(&format!("{wide}\r\n\r\n"), false).is_err());
    }

    #[test]
    fn a_head_is_taken_when_it_is_whole_and_no_more_than_it() {
        let text =
            "HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\nserver: \r\n\r\n";
        for cut in 0..text.len() {
            assert!(parsed(&text[..cut], false).unwrap().is_none(), "{cut}");
        }
        let mut read = BytesMut::from(&*format!("{text}body"));
        let head = parse(&mut read, &BOUNDS, false).unwrap().unwrap();
        assert_eq!((head.answer.status, &read[..]), (StatusCode::OK, &b"body"[..]));
        let found = |name: &str| head.answer.headers.text(name);
        assert_eq!((found("a"), found("server"), found("A")), (Some("b"), Some(""), None));
    }
}
