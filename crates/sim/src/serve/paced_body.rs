//! A body that comes piece by piece, each in its time.

use crate::provider::answer::{HttpBody, Piece};
use crate::serve::connection::Takeover;
use crate::serve::exchange::Place;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::time::Sleep;

/// The body of an answer; gives back the call's place when it ends or is dropped.
#[derive(Debug)]
pub(crate) struct PacedBody {
    content: Content,
    place: Option<Place>,
    /// Told to close the connection once the body is out.
    close: Option<Takeover>,
}

#[derive(Debug)]
enum Content {
    Whole(Bytes),
    Pieces {
        pieces: std::vec::IntoIter<Piece>,
        next: Option<Bytes>,
        sleep: Option<Pin<Box<Sleep>>>,
    },
    Over,
}

impl PacedBody {
    /// A body whose end gives back `place`.
    pub(crate) fn new(body: HttpBody, place: Option<Place>, close: Option<Takeover>) -> PacedBody {
        let content = match body {
            HttpBody::Whole(bytes) => Content::Whole(bytes),
            HttpBody::Pieces(pieces) => {
                Content::Pieces { pieces: pieces.into_iter(), next: None, sleep: None }
            }
        };
        let mut body = PacedBody { content, place, close };
        if matches!(&body.content, Content::Whole(bytes) if bytes.is_empty()) {
            body.end();
        }
        body
    }

    fn end(&mut self) {
        self.content = Content::Over;
        if let Some(place) = &mut self.place {
            place.done = true;
        }
        self.place = None;
        if let Some(takeover) = self.close.take() {
            takeover.close();
        }
    }
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match &mut self.content {
            Content::Whole(bytes) => Some(std::mem::take(bytes)),
            Content::Pieces { pieces, next, sleep } => {
                ready!(next_piece(pieces, next, sleep, context))
            }
            Content::Over => return Poll::Ready(None),
        };
        let body = &mut *self;
        match &body.content {
            Content::Pieces { pieces, next, .. } if bytes.is_some() => {
                // Whoever reads the last piece and goes has had all of it.
                if let Some(place) = body.place.as_mut().filter(|_| next.is_none()) {
                    place.done = pieces.as_slice().is_empty();
                }
            }
            Content::Pieces { .. } | Content::Whole(_) | Content::Over => body.end(),
        }
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Over)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Pieces { .. } => SizeHint::default(),
            Content::Over => SizeHint::with_exact(0),
        }
    }
}

fn next_piece(
    pieces: &mut std::vec::IntoIter<Piece>,
    next: &mut Option<Bytes>,
    sleep: &mut Option<Pin<Box<Sleep>>>,
    context: &mut Context<'_>,
) -> Poll<Option<Bytes>> {
    if next.is_none() {
        let Some(piece) = pieces.next() else { return Poll::Ready(None) };
        if piece.wait.is_zero() {
            return Poll::Ready(Some(piece.bytes));
        }
        *next = Some(piece.bytes);
        *sleep = Some(Box::pin(tokio::time::sleep(piece.wait)));
    }
    if let Some(waiting) = sleep {
        ready!(waiting.as_mut().poll(context));
        *sleep = None;
    }
    Poll::Ready(next.take())
}
