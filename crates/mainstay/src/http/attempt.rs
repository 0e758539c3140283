//! One attempt: connection, request, head, body, each in its turn, driven by whoever polls it.

use std::error::Error;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use mainstay_core::classify::TransportFault;

use super::body::Outgoing;
use super::connect::obtain;
use super::h1::{Answer, Conn1, poll_quietly};
use super::pool::{Lease, Site};
use crate::upstream::{AnswerHead, Attempt, AttemptEvent, AttemptRequest, BodyBroken};

/// An attempt of [`HttpUpstream`](super::HttpUpstream).
pub struct HttpAttempt {
    site: Arc<Site>,
    connect_timeout: Duration,
    /// `Sending` was told.
    sending: bool,
    state: State,
}

enum State {
    /// Not polled yet.
    New(Request<Outgoing>),
    Connecting(Connecting, Request<Outgoing>),
    /// `Sending` is told; not a byte has left.
    Ready(Lease, Request<Outgoing>),
    Waiting(Lease, Answer),
    Reading(Lease, Incoming),
    Over,
}

type Connecting = Pin<Box<dyn Future<Output = Result<Lease, TransportFault>> + Send>>;

impl HttpAttempt {
    pub(super) fn new(site: Arc<Site>, request: AttemptRequest) -> Self {
        let AttemptRequest { method, path, mut headers, body, connect_timeout, .. } = request;
        let body = Outgoing::from(body);
        headers.remove(TRANSFER_ENCODING);
        headers.remove(CONNECTION);
        headers.remove(UPGRADE);
        match stated_length(&method, &body) {
            Some(length) => headers.insert(CONTENT_LENGTH, HeaderValue::from(length)),
            None => headers.remove(CONTENT_LENGTH),
        };
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from(path);
        *request.headers_mut() = headers;
        Self { site, connect_timeout, sending: false, state: State::New(request) }
    }

    /// One step further; `None` when only the state changed.
    fn poll_step(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<AttemptEvent>, TransportFault>> {
        match &mut self.state {
            State::New(_) | State::Ready(..) => Poll::Ready(self.begin()),
            State::Connecting(connecting, _) => {
                let lease = ready!(connecting.as_mut().poll(cx))?;
                if let State::Connecting(_, request) = self.take_state() {
                    self.state = State::Ready(lease, request);
                }
                Poll::Ready(Ok(None))
            }
            State::Waiting(lease, answer) => match ready!(poll_answer(lease, answer, cx)) {
                Some(Ok(response)) => Poll::Ready(self.answered(response).map(Some)),
                Some(Err(mut error)) => {
                    let unsent = error.take_message();
                    Poll::Ready(self.unanswered(unsent, error.error()))
                }
                None => Poll::Ready(Err(TransportFault::ResetBeforeAnswer)),
            },
            State::Reading(lease, body) => {
                let piece = ready!(poll_piece(lease, body, cx))?;
                if piece.is_none()
                    && let State::Reading(lease, _) = self.take_state()
                {
                    self.site.give_back(lease);
                }
                Poll::Ready(Ok(Some(piece.map_or(AttemptEvent::End, AttemptEvent::Data))))
            }
            State::Over => Poll::Pending,
        }
    }

    /// From a new attempt to a connection, from a connection to a request under way.
    fn begin(&mut self) -> Result<Option<AttemptEvent>, TransportFault> {
        match self.take_state() {
            State::New(request) => {
                self.state = match self.site.take() {
                    Some(lease) => State::Ready(lease, request),
                    None => self.connecting(request),
                };
                Ok(None)
            }
            State::Ready(lease, request) if !self.sending => {
                self.sending = true;
                let reused = lease.is_reused();
                self.state = State::Ready(lease, request);
                Ok(Some(AttemptEvent::Sending { reused }))
            }
            State::Ready(mut lease, mut request) => {
                self.site.address(&lease, &mut request)?;
                let answer = lease.send(request);
                self.state = State::Waiting(lease, answer);
                Ok(None)
            }
            other @ (State::Connecting(..)
            | State::Waiting(..)
            | State::Reading(..)
            | State::Over) => {
                self.state = other;
                Ok(None)
            }
        }
    }

    fn connecting(&self, request: Request<Outgoing>) -> State {
        let connection = obtain(Arc::clone(&self.site), self.connect_timeout);
        State::Connecting(Box::pin(connection), request)
    }

    fn answered(&mut self, response: Response<Incoming>) -> Result<AttemptEvent, TransportFault> {
        let (parts, body) = response.into_parts();
        if !(200..=599).contains(&parts.status.as_u16()) {
            return Err(TransportFault::MalformedHttp);
        }
        if let State::Waiting(lease, _) = self.take_state() {
            if let (Lease::Whole { conn, .. }, true) = (&lease, is_events(&parts.headers)) {
                conn.sip();
            }
            self.state = State::Reading(lease, body);
        }
        Ok(AttemptEvent::Head(AnswerHead { status: parts.status, headers: parts.headers }))
    }

    /// A connection that had died unused gives the request back untouched: another one takes it.
    /// Everything else may have reached the provider and is a fault.
    fn unanswered(
        &mut self,
        unsent: Option<Request<Outgoing>>,
        error: &hyper::Error,
    ) -> Result<Option<AttemptEvent>, TransportFault> {
        match (self.take_state(), unsent) {
            (State::Waiting(lease, _), Some(request)) if lease.is_reused() => {
                self.state = self.connecting(request);
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
}

impl Drop for HttpAttempt {
    /// A connection that nothing was sent on can serve another attempt. Any other closes here.
    fn drop(&mut self) {
        if let State::Ready(lease, _) = self.take_state() {
            self.site.give_back(lease);
        }
    }
}

impl std::fmt::Debug for HttpAttempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match &self.state {
            State::New(_) => "new",
            State::Connecting(..) => "connecting",
            State::Ready(..) => "ready",
            State::Waiting(..) => "waiting",
            State::Reading(..) => "reading",
            State::Over => "over",
        };
        write!(f, "HttpAttempt({state})")
    }
}

fn is_events(headers: &HeaderMap) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.as_bytes().get(..EVENTS.len()))
        .is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS))
}

/// The answer, or `None` when the connection ended and nobody will give one.
fn poll_answer(
    lease: &mut Lease,
    answer: &mut Answer,
    cx: &mut Context<'_>,
) -> Poll<Option<<Answer as Future>::Output>> {
    let conn = match lease {
        Lease::Whole { conn, .. } => conn,
        Lease::Part(_) => return answer.as_mut().poll(cx).map(Some),
    };
    let driven = conn.drive(cx);
    match poll_quietly(|cx| answer.as_mut().poll(cx)) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => driven.map(|()| None),
    }
}

/// The next piece of the body, `None` at its end.
fn poll_piece(
    lease: &mut Lease,
    body: &mut Incoming,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Bytes>, TransportFault>> {
    loop {
        if body.is_end_stream() {
            return Poll::Ready(Ok(None));
        }
        let frame = match lease {
            Lease::Whole { conn, .. } => ready!(poll_frame_driving(conn, body, cx)),
            Lease::Part(_) => ready!(poll_frame(body, cx)),
        };
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if !data.is_empty() => return Poll::Ready(Ok(Some(data))),
                // Trailers are not passed on.
                Ok(_) | Err(_) => {}
            },
            Some(Err(fault)) => return Poll::Ready(Err(fault)),
            None if is_whole(lease, body) => return Poll::Ready(Ok(None)),
            None => return Poll::Ready(Err(TransportFault::CutMidBody)),
        }
    }
}

/// hyper ends an HTTP/2 body quietly when its stream is reset without an error; unless the end of
/// the stream was seen too, something is missing.
fn is_whole(lease: &Lease, body: &Incoming) -> bool {
    match lease {
        Lease::Whole { .. } => true,
        Lease::Part(_) => body.is_end_stream(),
    }
}

/// What has come already, else what driving the connection once brings.
fn poll_frame_driving(
    conn: &mut Conn1,
    body: &mut Incoming,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, TransportFault>>> {
    let mut poll = || poll_quietly(|cx| poll_frame(body, cx));
    if let Poll::Ready(frame) = poll() {
        return Poll::Ready(frame);
    }
    let driven = conn.drive(cx);
    match poll() {
        Poll::Ready(frame) => Poll::Ready(frame),
        Poll::Pending => driven.map(|()| Some(Err(TransportFault::CutMidBody))),
    }
}

fn poll_frame(
    body: &mut Incoming,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, TransportFault>>> {
    let frame = ready!(Pin::new(body).poll_frame(cx));
    Poll::Ready(frame.map(|frame| frame.map_err(|error| fault_in_body(&error))))
}

/// The length to state. A method that carries a body states an empty one too, or some servers ask
/// for it with a 411.
fn stated_length(method: &Method, body: &Outgoing) -> Option<u64> {
    let bodiless = !(*method == Method::POST || *method == Method::PUT || *method == Method::PATCH);
    match body.size_hint().exact() {
        Some(0) if bodiless => None,
        length => length,
    }
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

/// Chunks that are not chunks are no HTTP; everything else is an end before the end.
fn fault_in_body(error: &hyper::Error) -> TransportFault {
    if has_source::<BodyBroken>(error) {
        return TransportFault::Other;
    }
    let kind = source_of::<io::Error>(error).map(io::Error::kind);
    match kind {
        Some(io::ErrorKind::InvalidInput) => TransportFault::MalformedHttp,
        _ => TransportFault::CutMidBody,
    }
}

fn has_source<E: Error + 'static>(error: &hyper::Error) -> bool {
    source_of::<E>(error).is_some()
}

fn source_of<E: Error + 'static>(error: &hyper::Error) -> Option<&E> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        source = error.source();
    }
    None
}
