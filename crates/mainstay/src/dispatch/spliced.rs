//! A body that passes through with some of its bytes replaced.

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

use crate::upstream::{BodyBroken, RequestBody};

/// The body with `new` in place of the bytes in `span`; its length follows.
pub(super) fn stream(
    body: UnsyncBoxBody<Bytes, BodyBroken>,
    length: Option<u64>,
    span: Range<usize>,
    new: Bytes,
) -> RequestBody {
    let length = length
        .map(|length| length.saturating_sub(span.len() as u64).saturating_add(new.len() as u64));
    let body = Spliced { inner: body, at: 0, span, new };
    RequestBody::Stream { body: body.boxed_unsync(), length }
}

struct Spliced<B> {
    inner: B,
    /// Bytes of the inner body that have passed.
    at: usize,
    span: Range<usize>,
    new: Bytes,
}

impl<B> Spliced<B> {
    /// One piece of the inner body, with what of it is replaced.
    fn edited(&mut self, data: Bytes) -> Bytes {
        let (from, to) = (self.at, self.at + data.len());
        self.at = to;
        if to <= self.span.start || from >= self.span.end && from > self.span.start {
            return data;
        }
        let place = |at: usize| at.clamp(from, to) - from;
        let mut edited = BytesMut::with_capacity(data.len() + self.new.len());
        edited.extend_from_slice(&data[..place(self.span.start)]);
        if from <= self.span.start {
            edited.extend_from_slice(&self.new);
        }
        edited.extend_from_slice(&data[place(self.span.end)..]);
        edited.freeze()
    }
}

impl<B: Body<Data = Bytes, Error = BodyBroken> + Unpin> Body for Spliced<B> {
    type Data = Bytes;
    type Error = BodyBroken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(|data| this.edited(data)))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text in pieces of `size`, with `span` replaced.
    fn edited(text: &str, size: usize, span: Range<usize>, new: &'static str) -> String {
        let mut spliced =
            Spliced { inner: (), at: 0, span, new: Bytes::from_static(new.as_bytes()) };
        let pieces = text.as_bytes().chunks(size);
        let out = pieces.flat_map(|piece| spliced.edited(Bytes::copy_from_slice(piece)).to_vec());
        String::from_utf8(out.collect()).expect("ASCII")
    }

    #[test]
    fn however_it_is_cut_the_same_bytes_are_replaced() {
        let text = "0123456789";
        for size in 1..12 {
            for start in 0..text.len() {
                for end in start..=text.len() {
                    let expected = format!("{}new{}", &text[..start], &text[end..]);
                    assert_eq!(
                        edited(text, size, start..end, "new"),
                        expected,
                        "{size} {start}..{end}"
                    );
                }
            }
        }
    }
}
