//! An answer on its way to its caller.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, HeaderName, Response, StatusCode};
use http_body::Body;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use mainstay::cohort::{Cohort, Stage, Turn};
use mainstay::fields::push_number;
use mainstay_core::store::UnixMillis;
use tokio::io::AsyncWrite;

use crate::answer::ReplyBody;
use crate::headers::{Rewrite, each_for_caller};

/// Pieces up to this many bytes are copied behind one another, so that they leave in one write.
const COPIED: usize = 4 * 1024;
/// Bytes that are gathered for one write.
const GATHERED: usize = 16 * 1024;
/// Memory that a connection keeps for its next answer, in bytes: as much as most heads need.
const KEPT: usize = 2 * 1024;

/// What of an answer has not left yet.
pub(super) struct Reply<B = ReplyBody> {
    /// Bytes to be written, and how many of them are.
    out: Vec<u8>,
    left: usize,
    /// A large piece behind them, and the end of its line.
    piece: Bytes,
    tail: &'static [u8],
    /// Until all of it was taken.
    body: Option<B>,
    framing: Framing,
    broken: bool,
    unflushed: bool,
    /// The body had no more when it was asked last.
    waits: bool,
    /// Before what was gathered is written.
    writes: Turn,
}

/// How the body's end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// So many bytes to come.
    Length(u64),
    Chunks,
}

impl Reply {
    /// Begins with the head. `bodiless`: the method's answers have no body; `last`: the connection
    /// ends with it.
    pub(super) fn new(
        response: Response<ReplyBody>,
        mut out: Vec<u8>,
        bodiless: bool,
        last: bool,
        now: UnixMillis,
    ) -> Reply {
        let (head, mut body) = response.into_parts();
        let rewrite = body.take_rewrite();
        let silent = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let framing = framing(&head.headers, &body);
        out.clear();
        write_head(&mut out, &head, rewrite.as_ref(), now);
        match framing {
            _ if silent => {}
            Framing::Length(length) => {
                out.extend_from_slice(b"content-length: ");
                push_number(&mut out, length);
                out.extend_from_slice(b"\r\n");
            }
            Framing::Chunks if bodiless => {}
            Framing::Chunks => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        if last {
            out.extend_from_slice(b"connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        let none = bodiless || silent || framing == Framing::Length(0);
        Reply {
            out,
            left: 0,
            piece: Bytes::new(),
            tail: b"",
            body: Some(body).filter(|_| !none),
            framing,
            broken: false,
            unflushed: true,
            waits: false,
            writes: Turn::default(),
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Reply<B> {
    /// Writes what can be; ready when all of it has left.
    ///
    /// # Errors
    ///
    /// The connection broke, or the body did: what had come of it has left.
    pub(super) fn poll<I: AsyncWrite + Unpin>(
        &mut self,
        io: &mut I,
        cohort: &Cohort,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            // Whoever halted here has gathered, and there is more only if something has woken it.
            if self.writes != Turn::Halted || !cohort.has_turn() {
                self.waits = self.gather(cx);
            }
            if !self.is_written() {
                ready!(self.writes.poll(cohort, Stage::Write, cx));
                ready!(self.poll_written(io, cx))?;
                self.writes = Turn::default();
            }
            if self.waits || self.body.is_none() {
                if self.unflushed {
                    ready!(Pin::new(&mut *io).poll_flush(cx))?;
                    self.unflushed = false;
                }
                return match (&self.body, self.broken) {
                    (_, true) => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
                    (None, false) => Poll::Ready(Ok(())),
                    (Some(_), false) => Poll::Pending,
                };
            }
        }
    }

    /// Takes what the body has, as much as one write shall carry; whether it has no more now.
    fn gather(&mut self, cx: &mut Context<'_>) -> bool {
        while self.piece.is_empty() && self.out.len() < GATHERED {
            let Some(body) = &mut self.body else { return false };
            let frame = match Pin::new(body).poll_frame(cx) {
                Poll::Pending => return true,
                Poll::Ready(frame) => frame,
            };
            match frame {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.take(data);
                    }
                }
                Some(Err(_)) => self.end(true),
                None => self.end(matches!(self.framing, Framing::Length(left) if left > 0)),
            }
        }
        false
    }

    fn take(&mut self, data: Bytes) {
        let mut data = data;
        match &mut self.framing {
            Framing::Length(left) => {
                // Never more than was promised.
                data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= data.len() as u64;
            }
            Framing::Chunks if data.is_empty() => return,
            Framing::Chunks => {
                push_size(&mut self.out, data.len());
                self.tail = b"\r\n";
            }
        }
        if data.len() <= COPIED {
            self.out.extend_from_slice(&data);
            self.out.extend_from_slice(std::mem::take(&mut self.tail));
        } else {
            self.piece = data;
        }
        if self.framing == Framing::Length(0) {
            self.end(false);
        }
    }

    /// The body is over. It is given up before its last bytes leave, so that what the call held is
    /// free when its caller knows the answer.
    fn end(&mut self, broken: bool) {
        self.broken = broken;
        self.body = None;
        if self.framing == Framing::Chunks && !broken {
            self.out.extend_from_slice(b"0\r\n\r\n");
        }
    }

    /// Whether nothing is at hand.
    fn is_written(&self) -> bool {
        self.left == self.out.len() && self.piece.is_empty() && self.tail.is_empty()
    }

    /// Ready when everything at hand was given to the socket.
    fn poll_written<I: AsyncWrite + Unpin>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let front = &self.out[self.left..];
            let (ahead, behind) = (front.len(), self.piece.len() + self.tail.len());
            let written = if ahead + behind == 0 {
                self.out.clear();
                self.left = 0;
                return Poll::Ready(Ok(()));
            } else if behind == 0 {
                ready!(Pin::new(&mut *io).poll_write(cx, front))?
            } else {
                let parts = [front, &self.piece, self.tail].map(IoSlice::new);
                let first = usize::from(ahead == 0);
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, &parts[first..]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            let of_front = written.min(ahead);
            self.left += of_front;
            let of_piece = (written - of_front).min(self.piece.len());
            self.piece.advance(of_piece);
            self.tail = &self.tail[written - of_front - of_piece..];
        }
    }

    /// The memory it was written in, for the next one.
    pub(super) fn into_memory(mut self) -> Vec<u8> {
        self.out.clear();
        self.out.shrink_to(KEPT);
        self.out
    }
}

/// Adds the line that gives a chunk's size.
fn push_size(to: &mut Vec<u8>, size: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let (mut line, mut start, mut rest) = (*b"0000000000000000\r\n", 16, size);
    while rest > 0 || start == 16 {
        start -= 1;
        line[start] = DIGITS[rest & 0xf];
        rest >>= 4;
    }
    to.extend_from_slice(&line[start..]);
}

/// How the body's end is told: by its length where that is known.
fn framing(headers: &HeaderMap, body: &ReplyBody) -> Framing {
    let stated = || headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    let known = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
    known.or_else(stated).map_or(Framing::Chunks, Framing::Length)
}

fn write_head(out: &mut Vec<u8>, head: &Parts, rewrite: Option<&Rewrite>, now: UnixMillis) {
    if head.status == StatusCode::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    } else {
        let reason = head.status.canonical_reason().unwrap_or("Other");
        for part in ["HTTP/1.1 ", head.status.as_str(), " ", reason, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    let dated = match rewrite {
        None => write_lines(out, &head.headers),
        Some(rewrite) => write_rewritten(out, rewrite),
    };
    if !dated {
        with_date(now, |date| {
            for part in ["date: ", date, "\r\n"] {
                out.extend_from_slice(part.as_bytes());
            }
        });
    }
}

/// Writes headers; whether a date is among them.
fn write_lines(out: &mut Vec<u8>, headers: &HeaderMap) -> bool {
    let mut dated = false;
    for (name, value) in headers {
        dated |= name == DATE;
        if !OURS.contains(name) {
            line(out, [b"", name.as_str().as_bytes()], value.as_bytes());
        }
    }
    dated
}

/// Writes the provider's headers as a caller gets them, and ours; whether a date is among them.
fn write_rewritten(out: &mut Vec<u8>, rewrite: &Rewrite) -> bool {
    let mut dated = false;
    each_for_caller(&rewrite.theirs, rewrite.expose, |one| {
        dated |= one.before.is_empty() && one.rest == b"date";
        match one.line {
            Some(line) => out.extend_from_slice(line),
            None => line(out, [one.before, one.rest], one.value),
        }
    });
    out.extend_from_slice(rewrite.made.lines());
    dated
}

/// Headers of the connection, which are told by what is sent.
const OURS: [HeaderName; 3] = [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION];

fn line(to: &mut Vec<u8>, name: [&[u8]; 2], value: &[u8]) {
    to.reserve(name[0].len() + name[1].len() + value.len() + 4);
    for part in [name[0], name[1], b": ", value, b"\r\n"] {
        to.extend_from_slice(part);
    }
}

thread_local! {
    /// A second since 1970 and its date.
    static DATED: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}

/// The date as headers write it, made once a second.
fn with_date(now: UnixMillis, tell: impl FnOnce(&str)) {
    let second = now.0 / 1000;
    DATED.with_borrow_mut(|(known, date)| {
        if *known != second {
            let stamp = i64::try_from(second).ok().and_then(|it| Timestamp::from_second(it).ok());
            let written = stamp
                .and_then(|stamp| DateTimePrinter::new().timestamp_to_rfc9110_string(&stamp).ok());
            (*known, *date) = (second, written.unwrap_or_default());
        }
        tell(date);
    });
}

#[cfg(test)]
mod tests;
