//! One HTTP/1.1 connection, driven by the attempt that uses it.
//!
//! Written here and not taken from hyper: an attempt asks for one answer on a connection of its own,
//! so there is nothing to dispatch, no channel between a driver and a body, and the chunks of one
//! read leave in one piece. Dropping the connection closes the socket at once. While it is idle
//! nobody drives it; the pool looks at it before it is used again.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderValue;
use mainstay_core::classify::TransportFault;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::body::Outbound;
use super::settings::HttpSettings;
use super::socket::Socket;
use crate::cohort::{Cohort, Stage, Turn};
use crate::upstream::AnswerHead;

mod chunks;
mod head;
mod outbox;

use chunks::Chunks;
use head::{Framing, HeadBounds};
use outbox::Outbox;

/// Bytes read at once from a stream of events: some events, and few enough of them. Whatever was
/// read ahead for a caller who does not take it stays in memory, piece by piece.
const SIP: usize = 4096;
/// Bytes that the first reads of an answer have room for.
const FIRST: usize = 8 * 1024;
/// Longest answer whose memory an unused connection keeps for the next one, in bytes: most that are no
/// streams.
const KEPT: usize = 2 * 1024;

/// A connection.
pub(super) struct Conn1 {
    socket: Socket,
    bounds: HeadBounds,
    piece_max: usize,
    /// What was read and not handed on.
    read: BytesMut,
    /// Bytes of this answer that were read.
    came: usize,
    /// Room for the next read, in bytes: it grows with a body that is long.
    room: usize,
    out: Outbox,
    phase: Phase,
    /// The other end takes another request after this answer.
    keeps: bool,
    /// The answer has no body, whatever its head says.
    bodiless: bool,
    sips: bool,
    /// Before the request leaves, and behind the first bytes of its answer.
    sends: Turn,
    hears: Turn,
}

#[derive(Debug)]
enum Phase {
    /// Nothing is asked for.
    Idle,
    Head,
    /// So many bytes to come.
    Length(u64),
    Chunks(Chunks),
    /// Until the other end closes.
    Close,
    /// It cannot be used any more.
    Over,
}

impl Conn1 {
    /// Speaks HTTP/1.1 on an open socket. Nothing is sent yet.
    pub(super) fn new(socket: Socket, settings: &HttpSettings) -> Box<Self> {
        Box::new(Self {
            socket,
            bounds: HeadBounds { lines: settings.headers_max, bytes: settings.head_bytes_max },
            piece_max: settings.piece_bytes_max.max(FIRST),
            read: BytesMut::new(),
            came: 0,
            room: FIRST,
            out: Outbox::default(),
            phase: Phase::Idle,
            keeps: true,
            bodiless: false,
            sips: false,
            sends: Turn::default(),
            hears: Turn::default(),
        })
    }

    /// Takes a request; it leaves when its answer is asked for.
    pub(super) fn send(&mut self, request: Outbound, host: &HeaderValue) {
        self.bodiless = request.method == http::Method::HEAD;
        self.out.begin(request, host);
        (self.sends, self.hears) = (Turn::default(), Turn::default());
        (self.phase, self.sips, self.room, self.came) = (Phase::Head, false, FIRST, 0);
    }

    /// The answer is a stream of events: it is read as it is taken.
    pub(super) fn sip(&mut self) {
        self.sips = true;
    }

    /// The answer's head; interim answers are passed over.
    pub(super) fn poll_head(
        &mut self,
        cohort: &Cohort,
        cx: &mut Context<'_>,
    ) -> Poll<Result<AnswerHead, TransportFault>> {
        if !self.out.is_done() {
            ready!(self.sends.poll(cohort, Stage::Send, cx));
            self.poll_out(cx, TransportFault::ResetBeforeAnswer)?;
        }
        loop {
            if !self.read.is_empty() {
                ready!(self.hears.poll(cohort, Stage::Heard, cx));
            }
            if let Some(head) = head::parse(&mut self.read, &self.bounds, self.bodiless)? {
                self.keeps = head.keeps;
                self.phase = match head.framing {
                    Framing::Length(length) => Phase::Length(length),
                    Framing::Chunked => Phase::Chunks(Chunks::default()),
                    Framing::Close => Phase::Close,
                };
                return Poll::Ready(Ok(head.answer));
            }
            if ready!(self.poll_more(cx)).unwrap_or(0) == 0 {
                self.phase = Phase::Over;
                return Poll::Ready(Err(TransportFault::ResetBeforeAnswer));
            }
        }
    }

    /// Whether the answer's head is waited for for no other reason than others of its cohort.
    pub(super) fn halts(&self) -> bool {
        self.sends == Turn::Halted || self.hears == Turn::Halted
    }

    /// The next piece of the body; `None` at its end.
    pub(super) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, TransportFault>> {
        if !self.out.is_done() {
            self.poll_out(cx, TransportFault::CutMidBody)?;
        }
        loop {
            match self.buffered() {
                Ok(Next::Piece(bytes)) => return Poll::Ready(Ok(Some(bytes))),
                Ok(Next::End) => {
                    self.end();
                    return Poll::Ready(Ok(None));
                }
                Ok(Next::More) => {}
                Err(fault) => return Poll::Ready(Err(fault)),
            }
            let read = ready!(self.poll_more(cx));
            if let Ok(0) | Err(_) = read {
                let closed = matches!((&self.phase, &read), (Phase::Close, Ok(0)));
                self.phase = Phase::Over;
                return Poll::Ready(if closed {
                    Ok(None)
                } else {
                    Err(TransportFault::CutMidBody)
                });
            }
        }
    }

    /// What of the body has been read.
    fn buffered(&mut self) -> Result<Next, TransportFault> {
        match &mut self.phase {
            Phase::Length(0) => Ok(Next::End),
            Phase::Length(left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX).min(self.read.len());
                *left -= most as u64;
                Ok(self.piece(most))
            }
            Phase::Chunks(chunks) => {
                let length = chunks.gather(&mut self.read)?;
                if length == 0 && chunks.is_over() { Ok(Next::End) } else { Ok(self.piece(length)) }
            }
            Phase::Close => Ok(self.piece(self.read.len())),
            Phase::Idle | Phase::Head | Phase::Over => Ok(Next::End),
        }
    }

    fn piece(&mut self, length: usize) -> Next {
        if length == 0 { Next::More } else { Next::Piece(self.read.split_to(length).freeze()) }
    }

    /// Whether the body has come to its end, as far as is known without reading on.
    fn end(&mut self) {
        let sound = matches!(self.phase, Phase::Length(0) | Phase::Chunks(_) | Phase::Idle);
        let clean = sound && self.keeps && self.out.is_done() && self.read.is_empty();
        self.phase = if clean { Phase::Idle } else { Phase::Over };
        // An unused connection holds little memory for what may never come.
        if !clean || self.sips || self.came > KEPT {
            self.read = BytesMut::new();
        }
    }

    /// Sends what can be sent.
    fn poll_out(
        &mut self,
        cx: &mut Context<'_>,
        fault: TransportFault,
    ) -> Result<(), TransportFault> {
        match self.out.poll(&mut self.socket, cx) {
            Poll::Pending | Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(error)) => {
                self.phase = Phase::Over;
                Err(if error.of_source { TransportFault::Other } else { fault })
            }
        }
    }

    /// Reads once; 0 at the end. A long body is read where it stays; what is short is copied out of
    /// a place on the stack, so that nobody holds more memory than has come.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.room > FIRST && !self.sips {
            self.read.reserve(self.room);
            let mut space = (&mut self.read).limit(self.room);
            let read = ready!(pin!(self.socket.read_buf(&mut space)).poll(cx))?;
            self.came = self.came.saturating_add(read);
            if read == self.room {
                self.room = (self.room * 2).min(self.piece_max);
            }
            return Poll::Ready(Ok(read));
        }
        let mut space = [const { MaybeUninit::uninit() }; FIRST];
        let room = if self.sips { SIP } else { FIRST };
        let mut buffer = ReadBuf::uninit(&mut space[..room]);
        ready!(pin!(&mut self.socket).poll_read(cx, &mut buffer))?;
        let read = buffer.filled();
        self.came = self.came.saturating_add(read.len());
        self.read.extend_from_slice(read);
        if read.len() == FIRST {
            self.room = (FIRST * 2).min(self.piece_max);
        }
        Poll::Ready(Ok(read.len()))
    }

    /// Whether another request can be sent: the last one is finished both ways, and the provider
    /// has neither spoken nor closed as far as this machine knows. Leaves no waker of the caller
    /// behind.
    pub(super) fn is_reusable(&mut self) -> bool {
        if !matches!(self.phase, Phase::Idle) {
            return false;
        }
        let mut byte = [0; 1];
        let silent =
            poll_quietly(|cx| pin!(&mut self.socket).poll_read(cx, &mut ReadBuf::new(&mut byte)));
        if silent.is_ready() {
            self.phase = Phase::Over;
        }
        silent.is_pending()
    }
}

/// What [`Conn1::buffered`] has.
enum Next {
    Piece(Bytes),
    End,
    /// Nothing before more is read.
    More,
}

/// Polls something without leaving a waker that wakes anybody.
/// Outside tokio's budget: with it spent, the poll would ask this waker for another turn.
pub(super) fn poll_quietly<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    let free = tokio::task::unconstrained(std::future::poll_fn(&mut poll));
    pin!(free).poll(&mut Context::from_waker(Waker::noop()))
}
