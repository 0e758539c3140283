//! One attempt at a service: asked whether it is ready, called once, its answer read piece by piece.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::Body;
use mainstay_core::catalogue;
use mainstay_core::classify::TransportFault;
use mainstay_core::failure::Class;
use tower_service::Service;

use super::BoxError;
use crate::error::Error;
use crate::upstream::{AnswerHead, Attempt, AttemptEvent};

/// An attempt at a service. Dropping it drops the service's future or body.
pub struct ServiceAttempt<S: Service<Request<B>>, B, R> {
    state: State<S, B, R>,
}

enum State<S: Service<Request<B>>, B, R> {
    Asking(S, Request<B>),
    Waiting(Pin<Box<S::Future>>),
    Reading(Pin<Box<R>>),
    /// What is left to tell of a failure.
    Telling(VecDeque<AttemptEvent>),
}

impl<S: Service<Request<B>>, B, R> ServiceAttempt<S, B, R> {
    pub(super) fn new(service: S, request: Result<Request<B>, TransportFault>) -> Self {
        let state = match request {
            Ok(request) => State::Asking(service, request),
            Err(fault) => State::Telling([AttemptEvent::Fault(fault)].into()),
        };
        ServiceAttempt { state }
    }

    fn failed(&mut self, error: BoxError) {
        self.state = State::Telling(told(&*error));
    }
}

// Nothing in it is pinned in place.
impl<S: Service<Request<B>>, B, R> Unpin for ServiceAttempt<S, B, R> {}

impl<S, B, R> Attempt for ServiceAttempt<S, B, R>
where
    S: Service<Request<B>, Response = Response<R>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Send + 'static,
    R: Body + Send + 'static,
    R::Data: Buf,
{
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<AttemptEvent> {
        loop {
            match &mut self.state {
                State::Asking(service, _) => match ready!(service.poll_ready(cx)) {
                    Ok(()) => {
                        self.send();
                        return Poll::Ready(AttemptEvent::Sending { reused: false });
                    }
                    Err(error) => self.failed(error.into()),
                },
                State::Waiting(answer) => match ready!(answer.as_mut().poll(cx)) {
                    Ok(answer) => {
                        let (head, body) = answer.into_parts();
                        self.state = State::Reading(Box::pin(body));
                        let (status, headers) = (head.status, head.headers.into());
                        return Poll::Ready(AttemptEvent::Head(AnswerHead { status, headers }));
                    }
                    Err(error) => self.failed(error.into()),
                },
                State::Reading(body) => return poll_piece(body.as_mut(), cx),
                State::Telling(events) => {
                    let last = AttemptEvent::Fault(TransportFault::Other);
                    return Poll::Ready(events.pop_front().unwrap_or(last));
                }
            }
        }
    }
}

impl<S: Service<Request<B>>, B, R> ServiceAttempt<S, B, R> {
    /// Calls the service that said it was ready, and no other.
    fn send(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Telling(VecDeque::new()));
        self.state = match state {
            State::Asking(mut service, request) => State::Waiting(Box::pin(service.call(request))),
            other @ (State::Waiting(_) | State::Reading(_) | State::Telling(_)) => other,
        };
    }
}

fn poll_piece<R: Body>(mut body: Pin<&mut R>, cx: &mut Context<'_>) -> Poll<AttemptEvent> {
    loop {
        return Poll::Ready(match ready!(body.as_mut().poll_frame(cx)) {
            None => AttemptEvent::End,
            Some(Err(_)) => AttemptEvent::Fault(TransportFault::CutMidBody),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(mut data) => AttemptEvent::Data(data.copy_to_bytes(data.remaining())),
                // Trailers are not passed on.
                Err(_) => continue,
            },
        });
    }
}

/// What an error of the service means: a finding of a stack below as the answer that it would be
/// over HTTP, a fault of the network as what it is; of anything else it is not known how far it got.
fn told(error: &(dyn StdError + 'static)) -> VecDeque<AttemptEvent> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(own) = error.downcast_ref::<Error>() {
            return of_own(own);
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return [AttemptEvent::Fault(of_io(error.kind()))].into();
        }
        next = error.source();
    }
    [AttemptEvent::Fault(TransportFault::ResetBeforeAnswer)].into()
}

fn of_io(kind: io::ErrorKind) -> TransportFault {
    /// Every other kind may come after something was sent.
    const FAULTS: &[(io::ErrorKind, TransportFault)] = &[
        (io::ErrorKind::ConnectionRefused, TransportFault::Refused),
        (io::ErrorKind::HostUnreachable, TransportFault::Unreachable),
        (io::ErrorKind::NetworkUnreachable, TransportFault::Unreachable),
        (io::ErrorKind::TimedOut, TransportFault::ConnectTimeout),
    ];
    let found = FAULTS.iter().find(|(known, _)| *known == kind);
    found.map_or(TransportFault::ResetBeforeAnswer, |(_, fault)| *fault)
}

fn of_own(error: &Error) -> VecDeque<AttemptEvent> {
    match error.class() {
        Class::APIConnectionError => {
            [AttemptEvent::Fault(TransportFault::ResetBeforeAnswer)].into()
        }
        Class::APITimeoutError => [AttemptEvent::Fault(TransportFault::HeadersTimeout)].into(),
        Class::AuthenticationError
        | Class::BadRequestError
        | Class::ConflictError
        | Class::InternalServerError
        | Class::NotFoundError
        | Class::PermissionDeniedError
        | Class::RateLimitError
        | Class::UnprocessableEntityError => as_answer(error),
    }
}

fn as_answer(error: &Error) -> VecDeque<AttemptEvent> {
    let entry = catalogue::entry(error.kind());
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(wait) = error.retry_after() {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        headers.insert("retry-after-ms", HeaderValue::from(millis));
    }
    let code = error.code().or(entry.unified.code);
    let body = serde_json::json!({"error": {
        "message": error.message(),
        "type": entry.unified.r#type,
        "param": error.param(),
        "code": code,
    }});
    let status = StatusCode::from_u16(entry.status).unwrap_or(StatusCode::BAD_GATEWAY);
    [
        AttemptEvent::Head(AnswerHead { status, headers: headers.into() }),
        AttemptEvent::Data(Bytes::from(body.to_string())),
        AttemptEvent::End,
    ]
    .into()
}

impl<S: Service<Request<B>>, B, R> fmt::Debug for ServiceAttempt<S, B, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Asking(..) => "asking",
            State::Waiting(_) => "waiting",
            State::Reading(_) => "reading",
            State::Telling(_) => "telling",
        };
        write!(f, "ServiceAttempt({state})")
    }
}
