//! One attempt: connection, request, head, body, each in its turn, driven by whoever polls it.

use std::error::Error;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use mainstay_core::classify::TransportFault;

use super::body::{Outbound, Outgoing};
use super::connect::obtain;
use super::h2::{Answer, Stream2};
use super::pool::{Lease, Site, Whole};
use crate::cohort::{Stage, Turn};
use crate::fields::Fields;
use crate::upstream::{AnswerHead, Attempt, AttemptEvent, AttemptRequest, BodyBroken};

/// An attempt of [`HttpUpstream`](super::HttpUpstream).
pub struct HttpAttempt {
    site: Arc<Site>,
    connect_timeout: Duration,
    /// `Sending` was told.
    sending: bool,
    /// Until a connection takes it. It is too much to be moved with each change of state.
    outbound: Option<Outbound>,
    /// Before a connection is taken.
    begins: Turn,
    state: State,
}

enum State {
    /// Not polled yet.
    New,
    Connecting(Connecting),
    /// `Sending` is told; not a byte has left.
    Ready(Lease),
    /// Over HTTP/1.1: until the head is there, then the body.
    Waiting(Whole),
    Reading(Whole),
    /// Over HTTP/2.
    WaitingPart(Stream2, Answer),
    ReadingPart {
        body: Incoming,
        /// Makes room on the connection when it is dropped.
        _room: Stream2,
    },
    Over,
}

type Connecting = Pin<Box<dyn Future<Output = Result<Lease, TransportFault>> + Send>>;

impl HttpAttempt {
    pub(super) fn new(site: Arc<Site>, request: AttemptRequest) -> Self {
        let AttemptRequest { method, path, headers, body, connect_timeout, .. } = request;
        let outbound = Outbound { method, path, headers, body: Outgoing::from(body) };
        Self {
            site,
            connect_timeout,
            sending: false,
            outbound: Some(outbound),
            begins: Turn::default(),
            state: State::New,
        }
    }

    /// One step further; `None` when only the state changed.
    fn poll_step(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<AttemptEvent>, TransportFault>> {
        match &mut self.state {
            State::New | State::Ready(_) => {
                ready!(self.begins.poll(&self.site.common.cohort, Stage::Attempt, cx));
                Poll::Ready(self.begin())
            }
            State::Connecting(connecting) => {
                self.state = State::Ready(ready!(connecting.as_mut().poll(cx))?);
                Poll::Ready(Ok(None))
            }
            State::Waiting(whole) => {
                let head = ready!(whole.conn.poll_head(&self.site.common.cohort, cx))?;
                self.is_answered(&head)?;
                Poll::Ready(Ok(Some(AttemptEvent::Head(head))))
            }
            State::WaitingPart(_, answer) => match ready!(answer.as_mut().poll(cx)) {
                Ok(response) => Poll::Ready(self.answered(response).map(Some)),
                Err(mut error) => {
                    let unsent = error.take_message().map(Outbound::of_part);
                    Poll::Ready(self.unanswered(unsent, error.error()))
                }
            },
            State::Reading(whole) => {
                let piece = ready!(whole.conn.poll_piece(cx))?;
                Poll::Ready(Ok(Some(self.read(piece))))
            }
            State::ReadingPart { body, .. } => {
                let piece = ready!(poll_piece(body, cx))?;
                Poll::Ready(Ok(Some(self.read(piece))))
            }
            State::Over => Poll::Pending,
        }
    }

    /// From a new attempt to a connection, from a connection to a request under way.
    fn begin(&mut self) -> Result<Option<AttemptEvent>, TransportFault> {
        match self.take_state() {
            State::New => {
                self.state = match self.site.take() {
                    Some(lease) => State::Ready(lease),
                    None => self.connecting(),
                };
                Ok(None)
            }
            State::Ready(lease) if !self.sending => {
                self.sending = true;
                let reused = lease.is_reused();
                self.state = State::Ready(lease);
                Ok(Some(AttemptEvent::Sending { reused }))
            }
            State::Ready(lease) => self.send(lease),
            other @ (State::Connecting(_)
            | State::Waiting(_)
            | State::Reading(_)
            | State::WaitingPart(..)
            | State::ReadingPart { .. }
            | State::Over) => {
                self.state = other;
                Ok(None)
            }
        }
    }

    fn send(&mut self, lease: Lease) -> Result<Option<AttemptEvent>, TransportFault> {
        self.state = match lease {
            Lease::Whole(mut whole) => {
                // One that has died unused meanwhile has seen nothing: another one takes it.
                if whole.reused && !whole.conn.is_reusable() {
                    self.connecting()
                } else {
                    let outbound = self.outbound.take().ok_or(TransportFault::Other)?;
                    whole.conn.send(outbound, &self.site.names()?.host);
                    State::Waiting(whole)
                }
            }
            Lease::Part(mut stream) => {
                let outbound = self.outbound.take().ok_or(TransportFault::Other)?;
                let answer = stream.send(self.site.names()?.part(outbound)?);
                State::WaitingPart(stream, answer)
            }
        };
        Ok(None)
    }

    fn connecting(&self) -> State {
        let connection = obtain(Arc::clone(&self.site), self.connect_timeout);
        State::Connecting(Box::pin(connection))
    }

    /// The head of an answer is there: its body follows.
    fn is_answered(&mut self, head: &AnswerHead) -> Result<(), TransportFault> {
        if !(200..=599).contains(&head.status.as_u16()) {
            return Err(TransportFault::MalformedHttp);
        }
        if let State::Waiting(mut whole) = self.take_state() {
            if is_events(&head.headers) {
                whole.conn.sip();
            }
            self.state = State::Reading(whole);
        }
        Ok(())
    }

    fn answered(&mut self, response: Response<Incoming>) -> Result<AttemptEvent, TransportFault> {
        let (parts, body) = response.into_parts();
        if !(200..=599).contains(&parts.status.as_u16()) {
            return Err(TransportFault::MalformedHttp);
        }
        if let State::WaitingPart(stream, _) = self.take_state() {
            self.state = State::ReadingPart { body, _room: stream };
        }
        Ok(AttemptEvent::Head(AnswerHead { status: parts.status, headers: parts.headers.into() }))
    }

    /// A piece of the body, or its end.
    fn read(&mut self, piece: Option<Bytes>) -> AttemptEvent {
        let Some(piece) = piece else {
            if let State::Reading(whole) = self.take_state() {
                self.site.give_back(whole);
            }
            return AttemptEvent::End;
        };
        AttemptEvent::Data(piece)
    }

    /// A connection that had died unused gives the request back untouched: another one takes it.
    /// Everything else may have reached the provider and is a fault.
    fn unanswered(
        &mut self,
        unsent: Option<Outbound>,
        error: &hyper::Error,
    ) -> Result<Option<AttemptEvent>, TransportFault> {
        match (self.take_state(), unsent) {
            (State::WaitingPart(stream, _), Some(outbound)) if stream.reused => {
                self.outbound = Some(outbound);
                self.state = self.connecting();
                Ok(None)
            }
            _ => Err(fault_before_head(error)),
        }
    }

    fn take_state(&mut self) -> State {
        mem::replace(&mut self.state, State::Over)
    }
}

impl Attempt for HttpAttempt {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<AttemptEvent> {
        loop {
            match ready!(self.poll_step(cx)) {
                Ok(Some(event)) => return Poll::Ready(event),
                Ok(None) => {}
                Err(fault) => {
                    self.state = State::Over;
                    return Poll::Ready(AttemptEvent::Fault(fault));
                }
            }
        }
    }

    fn halts(&self) -> bool {
        let halts = |turn: &Turn| *turn == Turn::Halted;
        match &self.state {
            State::New | State::Ready(_) => halts(&self.begins),
            State::Waiting(whole) => whole.conn.halts(),
            State::Connecting(_)
            | State::Reading(_)
            | State::WaitingPart(..)
            | State::ReadingPart { .. }
            | State::Over => false,
        }
    }
}

impl Drop for HttpAttempt {
    /// A connection that nothing was sent on can serve another attempt. Any other closes here.
    fn drop(&mut self) {
        if let State::Ready(Lease::Whole(whole)) = self.take_state() {
            self.site.give_back(whole);
        }
    }
}

impl std::fmt::Debug for HttpAttempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match &self.state {
            State::New => "new",
            State::Connecting(..) => "connecting",
            State::Ready(..) => "ready",
            State::Waiting(_) | State::WaitingPart(..) => "waiting",
            State::Reading(_) | State::ReadingPart { .. } => "reading",
            State::Over => "over",
        };
        write!(f, "HttpAttempt({state})")
    }
}

fn is_events(headers: &Fields) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    headers
        .get("content-type")
        .and_then(|value| value.get(..EVENTS.len()))
        .is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS))
}

/// The next piece of a body over HTTP/2, `None` at its end.
fn poll_piece(
    body: &mut Incoming,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Bytes>, TransportFault>> {
    loop {
        if body.is_end_stream() {
            return Poll::Ready(Ok(None));
        }
        match ready!(poll_frame(body, cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if !data.is_empty() => return Poll::Ready(Ok(Some(data))),
                // Trailers are not passed on.
                Ok(_) | Err(_) => {}
            },
            Some(Err(fault)) => return Poll::Ready(Err(fault)),
            // hyper ends a body quietly when its stream is reset without an error; unless the end of
            // the stream was seen too, something is missing.
            None if body.is_end_stream() => return Poll::Ready(Ok(None)),
            None => return Poll::Ready(Err(TransportFault::CutMidBody)),
        }
    }
}

fn poll_frame(
    body: &mut Incoming,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, TransportFault>>> {
    let frame = ready!(Pin::new(body).poll_frame(cx));
    Poll::Ready(frame.map(|frame| frame.map_err(|error| fault_in_body(&error))))
}

fn fault_before_head(error: &hyper::Error) -> TransportFault {
    if error.is_parse() {
        TransportFault::MalformedHttp
    } else if has_source::<BodyBroken>(error) {
        TransportFault::Other
    } else {
        TransportFault::ResetBeforeAnswer
    }
}

fn fault_in_body(error: &hyper::Error) -> TransportFault {
    if has_source::<BodyBroken>(error) { TransportFault::Other } else { TransportFault::CutMidBody }
}

fn has_source<E: Error + 'static>(error: &hyper::Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if error.is::<E>() {
            return true;
        }
        source = error.source();
    }
    false
}
