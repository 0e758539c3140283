//! A request as it goes out, its body in memory or passed on as it arrives, always within its stated
//! length.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Method, Request};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;

use crate::upstream::{BodyBroken, RequestBody, RequestHeaders};

/// A request to a destination that is named elsewhere. What its headers say of its framing and of
/// the connection does not count.
pub(super) struct Outbound {
    pub(super) method: Method,
    pub(super) path: PathAndQuery,
    pub(super) headers: RequestHeaders,
    pub(super) body: Outgoing,
}

impl Outbound {
    /// A request that comes back from an HTTP/2 connection, which has not sent it.
    pub(super) fn of_part(request: Request<Outgoing>) -> Outbound {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().cloned();
        let path = path.unwrap_or(PathAndQuery::from_static("/"));
        Outbound { method: parts.method, path, headers: parts.headers.into(), body }
    }
}

/// How a body's end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framed {
    /// There is none.
    Nothing,
    /// By its length in bytes.
    Length(u64),
    /// By its last chunk.
    Chunks,
}

/// What the request's body is pulled from.
#[derive(Default)]
pub(super) enum Outgoing {
    /// Nothing, or nothing more.
    #[default]
    Empty,
    /// In memory, sent as one frame.
    Full(Bytes),
    /// Passed on.
    Stream {
        /// The source.
        body: UnsyncBoxBody<Bytes, BodyBroken>,
        /// What may still come, when the length was stated.
        left: Option<u64>,
    },
}

impl From<RequestBody> for Outgoing {
    fn from(body: RequestBody) -> Self {
        match body {
            RequestBody::Empty => Outgoing::Empty,
            RequestBody::Full(bytes) if bytes.is_empty() => Outgoing::Empty,
            RequestBody::Full(bytes) => Outgoing::Full(bytes),
            RequestBody::Stream { body, length } => Outgoing::Stream { body, left: length },
        }
    }
}

impl Outgoing {
    /// How its end is told. A method that carries a body states the length of an empty one too, or
    /// some servers ask for it with a 411; one that seldom does has none of unknown length.
    pub(super) fn framed(&self, method: &Method) -> Framed {
        let carries = *method == Method::POST || *method == Method::PUT || *method == Method::PATCH;
        match self.size_hint().exact() {
            Some(0) if !carries => Framed::Nothing,
            Some(length) => Framed::Length(length),
            None if matches!(*method, Method::GET | Method::HEAD | Method::CONNECT) => {
                Framed::Nothing
            }
            None => Framed::Chunks,
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BodyBroken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        let this = self.get_mut();
        match this {
            Outgoing::Empty => Poll::Ready(None),
            Outgoing::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *this = Outgoing::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Outgoing::Stream { body, left } => poll_stream(body, left, cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Outgoing::Empty => true,
            Outgoing::Full(_) => false,
            // A stated length is checked when the source ends, so the source has to be asked.
            Outgoing::Stream { left, .. } => *left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Outgoing::Empty => SizeHint::with_exact(0),
            Outgoing::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Outgoing::Stream { left: Some(left), .. } => SizeHint::with_exact(*left),
            Outgoing::Stream { left: None, .. } => SizeHint::default(),
        }
    }
}

/// The next data frame; trailers of the caller are not passed on. A source that is longer or
/// shorter than it said breaks the body, so that the framing never lies.
fn poll_stream(
    body: &mut UnsyncBoxBody<Bytes, BodyBroken>,
    left: &mut Option<u64>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
    loop {
        let frame = match std::task::ready!(Pin::new(&mut *body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(broken)) => return Poll::Ready(Some(Err(broken))),
            None if left.is_some_and(|left| left > 0) => {
                return Poll::Ready(Some(Err(BodyBroken)));
            }
            None => return Poll::Ready(None),
        };
        let Ok(data) = frame.into_data() else { continue };
        if data.is_empty() {
            continue;
        }
        if let Some(left) = left {
            match left.checked_sub(data.len() as u64) {
                Some(rest) => *left = rest,
                None => return Poll::Ready(Some(Err(BodyBroken))),
            }
        }
        return Poll::Ready(Some(Ok(Frame::data(data))));
    }
}
