//! A request's body as its connection hands it over.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use mainstay::upstream::BodyBroken;

/// A request's body.
#[derive(Debug)]
pub(crate) enum Arriving {
    /// It came with the head.
    Whole(Bytes),
    /// It is still to come, or a part of it.
    Pieces(Incoming),
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = BodyBroken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        match self.get_mut() {
            Arriving::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Arriving::Pieces(incoming) => {
                let next = Pin::new(incoming).poll_frame(cx);
                next.map(|frame| frame.map(|frame| frame.map_err(|_| BodyBroken)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Arriving::Whole(bytes) => bytes.is_empty(),
            Arriving::Pieces(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Arriving::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Arriving::Pieces(incoming) => incoming.size_hint(),
        }
    }
}
