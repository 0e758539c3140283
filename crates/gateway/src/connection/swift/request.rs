//! Whether what has come is a usual request.

use std::ops::Range;

use bytes::BytesMut;
use http::{Method, Uri, Version};
use mainstay::Fields;
use mainstay::fields::Line;

use crate::body::Arriving;
use crate::door::{Head, Request};

mod head;

/// Longest body of one, in bytes.
const BODY: usize = 64 * 1024;

/// A usual request.
pub(super) struct Usual {
    pub(super) request: Box<Request>,
    /// Its answer has no body.
    pub(super) bodiless: bool,
    /// The caller wants no further answer on this connection.
    pub(super) last: bool,
}

/// What has come.
pub(super) enum Look {
    /// Nothing.
    Nothing,
    /// A usual request; taken out of what was read.
    Usual(Usual),
    /// The head of one, and a part of its body at most; with so many bytes in all it is there.
    Rest(usize),
    /// Something else.
    Unusual,
}

/// Looks at what was read.
pub(super) fn look(read: &mut BytesMut, head_max: usize) -> Look {
    if read.is_empty() {
        return Look::Nothing;
    }
    let Some(head) = Seen::of(read) else { return Look::Unusual };
    if head.end > head_max {
        return Look::Unusual;
    }
    if read.len() - head.end < head.body {
        return Look::Rest(head.end + head.body);
    }
    head.taken(read).map_or(Look::Unusual, Look::Usual)
}

/// The head of a usual request: where in the bytes its parts are.
struct Seen {
    method: Method,
    target: Range<usize>,
    lines: Vec<Line>,
    /// Names may have to be written in lower case.
    capitals: bool,
    end: usize,
    /// Bytes of its body.
    body: usize,
    last: bool,
}

impl Seen {
    fn of(bytes: &[u8]) -> Option<Seen> {
        let parsed = head::parse(bytes)?;
        let mut said = Said::default();
        for [start, colon, value, end] in &parsed.lines {
            let part = |start: &u32, end: &u32| bytes.get(*start as usize..*end as usize);
            if !said.is_usual(part(start, colon)?, part(value, end)?) {
                return None;
            }
        }
        Some(Seen {
            method: parsed.method,
            target: parsed.target,
            capitals: parsed.capitals,
            lines: parsed.lines,
            end: parsed.end,
            body: said.length.unwrap_or(0),
            last: said.close,
        })
    }

    /// Takes the request out of what was read.
    fn taken(self, read: &mut BytesMut) -> Option<Usual> {
        let Seen { method, target, lines, capitals, end, body, last } = self;
        let mut head = read.split_to(end);
        if capitals {
            for [start, end, ..] in &lines {
                head[*start as usize..*end as usize].make_ascii_lowercase();
            }
        }
        let head = head.freeze();
        let Ok(uri) = Uri::from_maybe_shared(head.slice(target)) else {
            // One reader takes what the other refuses: it comes to the other as it was.
            let rest = std::mem::replace(read, BytesMut::from(&head[..]));
            read.unsplit(rest);
            return None;
        };
        let body = Some(Arriving::Whole(read.split_to(body).freeze()));
        let headers = Fields::of_head(head, lines);
        let bodiless = method == Method::HEAD;
        let head = Head { method, uri, version: Version::HTTP_11, headers };
        Some(Usual { request: Box::new(Request { head, body }), bodiless, last })
    }
}

/// What headers say of framing and of the connection.
#[derive(Default)]
struct Said {
    length: Option<usize>,
    close: bool,
}

impl Said {
    /// Takes a header in; whether a usual request may have it.
    fn is_usual(&mut self, name: &[u8], value: &[u8]) -> bool {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.len() {
            6 if is("expect") => false,
            7 if is("upgrade") => false,
            17 if is("transfer-encoding") => false,
            10 if is("connection") => {
                self.close |= value.eq_ignore_ascii_case(b"close");
                self.close || value.eq_ignore_ascii_case(b"keep-alive")
            }
            14 if is("content-length") => {
                let length = length(value).filter(|_| self.length.is_none());
                self.length = length;
                length.is_some()
            }
            _ => true,
        }
    }
}

/// A short length: digits and nothing else.
fn length(value: &[u8]) -> Option<usize> {
    const DIGITS: usize = 5;
    if value.is_empty() || value.len() > DIGITS {
        return None;
    }
    let mut length = 0;
    for digit in value {
        length = length * 10 + usize::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
    }
    (length <= BODY).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(text: &str) -> (Look, BytesMut) {
        let mut read = BytesMut::from(text);
        let look = look(&mut read, 1024);
        (look, read)
    }

    #[test]
    fn a_usual_request_is_taken_and_what_follows_stays() {
        let text = "POST /v1/x?a=b HTTP/1.1\r\nHost: h\r\nX-A:  b \r\ncontent-length: 2\r\nx-a: c\r\n\r\n{}GET";
        let (Look::Usual(usual), left) = looked(text) else { panic!("not usual") };
        assert_eq!((&left[..], usual.last, usual.bodiless), (&b"GET"[..], false, false));
        let Request { head, body } = *usual.request;
        assert_eq!((head.method, head.uri.to_string()), (Method::POST, "/v1/x?a=b".to_owned()));
        let values: Vec<_> = head.headers.all("x-a").collect();
        assert_eq!((values, head.headers.text("host")), (vec![&b"b"[..], b"c"], Some("h")));
        assert!(matches!(body, Some(Arriving::Whole(bytes)) if &bytes[..] == b"{}"));
    }

    #[test]
    fn a_body_that_is_not_all_there_is_waited_for() {
        assert!(matches!(looked("").0, Look::Nothing));
        let (look, left) = looked("POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\n{}");
        assert!(matches!(look, Look::Rest(length) if length == left.len() + 1));
        assert!(left.starts_with(b"POST"), "and nothing is taken before");
    }

    #[test]
    fn callers_say_whether_they_stay() {
        for (connection, last) in [("close", true), ("Keep-Alive", false)] {
            let (look, _) = looked(&format!("HEAD / HTTP/1.1\r\nConnection: {connection}\r\n\r\n"));
            let Look::Usual(usual) = look else { panic!("{connection}") };
            assert_eq!((usual.last, usual.bodiless), (last, true), "{connection}");
        }
    }

    #[test]
    fn everything_else_is_left_as_it_came() {
        let wide = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(1024));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65));
        for text in [
            "GET / HTT",
            "GET / HTTP/1.1\r\na: b\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "GET http://h/ HTTP/1.1\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\n\r\n",
            "CONNECT h:1 HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\na b: c\r\n\r\n",
            "GET / HTTP/1.1\r\na: b\r\n c\r\n\r\n",
            "GET /\x00 HTTP/1.1\r\n\r\n",
            "GET /<a> HTTP/1.1\r\nhost: h\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n1",
            "GET / HTTP/1.1\r\nconnection: upgrade\r\n\r\n",
            "GET / HTTP/1.1\r\nupgrade: h2c\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n1",
            "POST / HTTP/1.1\r\ncontent-length: +1\r\n\r\n1",
            "POST / HTTP/1.1\r\ncontent-length: \r\n\r\n1",
            "POST / HTTP/1.1\r\ncontent-length: 65537\r\n\r\n1",
            &wide,
            &many,
        ] {
            let (look, left) = looked(text);
            assert!(matches!(look, Look::Unusual), "{text}");
            assert_eq!(&left[..], text.as_bytes(), "it must be there for the other reader");
        }
    }
}
