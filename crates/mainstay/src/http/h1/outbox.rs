//! A request on its way out: its head and its body, as fast as the other end takes them.

use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderValue;
use http_body::Body;
use tokio::io::AsyncWrite;

use crate::fields::{push_line, push_number};
use crate::http::body::{Framed, Outbound, Outgoing};
use crate::http::socket::Socket;

/// Memory for heads and short bodies that an unused connection keeps, in bytes: as much as most need.
const FRONT_KEPT: usize = 4 * 1024;

/// Longest piece that is copied behind its head, in bytes, to leave in one part: the system takes a
/// tenth more time for two.
const COPIED: usize = 2 * 1024;

/// What of a request has not left yet.
#[derive(Default)]
pub(super) struct Outbox {
    /// The head, or the size of the next chunk, and what was [joined](Outbox::join) to it; and how much of
    /// it has left.
    front: Vec<u8>,
    left: usize,
    /// The body's piece behind it, and the end of its line.
    piece: Bytes,
    tail: &'static [u8],
    body: Outgoing,
    chunked: bool,
    /// The body has told its end.
    ended: bool,
    /// The socket may hold something back.
    unflushed: bool,
}

/// Why a request cannot leave.
pub(super) struct OutFault {
    /// Its source broke off; else the connection did.
    pub(super) of_source: bool,
}

impl Outbox {
    /// Begins with a request's head.
    pub(super) fn begin(&mut self, request: Outbound, host: &HeaderValue) {
        let Outbound { method, path, headers, body } = request;
        let framed = body.framed(&method);
        self.front.clear();
        self.left = 0;
        for part in [method.as_str().as_bytes(), b" ", path.as_str().as_bytes(), b" HTTP/1.1\r\n"] {
            self.front.extend_from_slice(part);
        }
        push_line(&mut self.front, b"host", host.as_bytes());
        headers.write(&mut self.front, &OURS);
        match framed {
            Framed::Nothing => {}
            Framed::Length(length) => {
                self.front.extend_from_slice(b"content-length: ");
                push_number(&mut self.front, length);
                self.front.extend_from_slice(b"\r\n");
            }
            Framed::Chunks => self.front.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        self.front.extend_from_slice(b"\r\n");
        self.chunked = framed == Framed::Chunks;
        (self.piece, self.body) = match body {
            Outgoing::Full(bytes) => (bytes, Outgoing::Empty),
            Outgoing::Empty | Outgoing::Stream { left: Some(0), .. } => {
                (Bytes::new(), Outgoing::Empty)
            }
            // With neither length nor chunks there would be no telling where it ends.
            Outgoing::Stream { .. } if framed == Framed::Nothing => (Bytes::new(), Outgoing::Empty),
            body @ Outgoing::Stream { .. } => (Bytes::new(), body),
        };
        self.tail = b"";
        self.ended = matches!(self.body, Outgoing::Empty) && !self.chunked;
        self.unflushed = true;
    }

    /// Whether all of it has left.
    pub(super) fn is_done(&self) -> bool {
        self.ended && !self.unflushed
    }

    /// Writes what can be; ready when all of it has left.
    pub(super) fn poll(
        &mut self,
        socket: &mut Socket,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), OutFault>> {
        let broken = |_: io::Error| OutFault { of_source: false };
        loop {
            ready!(self.poll_written(socket, cx)).map_err(broken)?;
            if self.ended {
                break;
            }
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.next(data);
                    }
                }
                Poll::Ready(Some(Err(_))) => {
                    return Poll::Ready(Err(OutFault { of_source: true }));
                }
                Poll::Ready(None) => {
                    self.ended = true;
                    if self.chunked {
                        self.front.extend_from_slice(b"0\r\n\r\n");
                    }
                }
                Poll::Pending => {
                    ready!(self.poll_flushed(socket, cx)).map_err(broken)?;
                    return Poll::Pending;
                }
            }
        }
        self.poll_flushed(socket, cx).map_err(broken)
    }

    fn next(&mut self, data: Bytes) {
        if self.chunked {
            // Writing to memory does not fail.
            let _ = write!(self.front, "{:x}\r\n", data.len());
            self.tail = b"\r\n";
        }
        self.piece = data;
    }

    /// Ready when everything at hand was given to the socket.
    fn poll_written(&mut self, socket: &mut Socket, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.join();
        loop {
            let front = &self.front[self.left..];
            let (ahead, behind) = (front.len(), self.piece.len() + self.tail.len());
            if ahead + behind == 0 {
                self.front.clear();
                self.front.shrink_to(FRONT_KEPT);
                self.left = 0;
                return Poll::Ready(Ok(()));
            }
            let written = if behind == 0 {
                ready!(Pin::new(&mut *socket).poll_write(cx, front))?
            } else {
                let parts = [front, &self.piece, self.tail].map(IoSlice::new);
                let last = if self.tail.is_empty() { 2 } else { 3 };
                let first = usize::from(front.is_empty());
                ready!(Pin::new(&mut *socket).poll_write_vectored(cx, &parts[first..last]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            let (front, behind) = (written.min(ahead), written.saturating_sub(ahead));
            self.left += front;
            let of_piece = behind.min(self.piece.len());
            self.piece.advance(of_piece);
            self.tail = &self.tail[behind - of_piece..];
        }
    }

    /// Puts a short piece behind what stands before it.
    fn join(&mut self) {
        if self.front.len() > self.left && self.piece.len() <= COPIED {
            for part in [&*std::mem::take(&mut self.piece), std::mem::take(&mut self.tail)] {
                self.front.extend_from_slice(part);
            }
        }
    }

    fn poll_flushed(&mut self, socket: &mut Socket, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unflushed {
            ready!(Pin::new(socket).poll_flush(cx))?;
            self.unflushed = false;
            // Nothing of the caller's is kept longer than it is needed.
            self.piece = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

/// Headers of one connection, which are this side's business.
const OURS: [&[u8]; 5] =
    [b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_piece_leaves_in_one_part_with_what_stands_before_it() {
        let joined = |front: &[u8], left: usize, piece: usize| {
            let piece = Bytes::from(vec![b'x'; piece]);
            let mut out =
                Outbox { front: front.to_vec(), left, piece, tail: b"\r\n", ..Outbox::default() };
            out.join();
            (out.front.len(), out.piece.len(), out.tail)
        };
        assert_eq!(joined(b"head", 0, COPIED), (4 + COPIED + 2, 0, &b""[..]));
        assert_eq!(joined(b"head", 3, 5), (11, 0, &b""[..]), "some of it has left");
        assert_eq!(joined(b"head", 0, COPIED + 1), (4, COPIED + 1, &b"\r\n"[..]), "too long");
        assert_eq!(joined(b"head", 4, 5), (4, 5, &b"\r\n"[..]), "all of it has left");
    }
}
