//! The body of a stack's answer: the walk's, or an error answer in hand.

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::answer::AnswerBody;
use crate::call::{Cut, Trace, Used};
use crate::upstream::Upstream;

/// An answer's bytes as they come. Ends in a [`Cut`] when the answer broke off, so that nobody can
/// take the half for the whole. Dropping it cancels the attempt behind it.
///
/// It is `Sync`, as some clients ask of a body, though futures of services need not be: whoever reads
/// it has it to himself and locks nothing.
pub struct StackBody<U: Upstream>(Mutex<Inner<U>>);

enum Inner<U: Upstream> {
    Walked(AnswerBody<U>),
    InHand(Bytes),
}

impl<U: Upstream> StackBody<U> {
    pub(super) fn walked(body: AnswerBody<U>) -> StackBody<U> {
        StackBody(Mutex::new(Inner::Walked(body)))
    }

    pub(super) fn in_hand(bytes: Bytes) -> StackBody<U> {
        StackBody(Mutex::new(Inner::InHand(bytes)))
    }

    /// What the call took, final after the last frame; `None` for an error answer, whose trace is in
    /// the extensions of its head.
    pub fn trace(&self) -> Option<Trace> {
        match &*self.look() {
            Inner::Walked(body) => Some(body.trace().clone()),
            Inner::InHand(_) => None,
        }
    }

    /// Tokens of the answer so far: as the provider tells them, else counted from what came.
    pub fn used(&self) -> Option<Used> {
        match &*self.look() {
            Inner::Walked(body) => body.used(),
            Inner::InHand(_) => None,
        }
    }
}

impl<U: Upstream> StackBody<U> {
    fn look(&self) -> MutexGuard<'_, Inner<U>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<U: Upstream> Unpin for StackBody<U> {}

impl<U: Upstream> Body for StackBody<U> {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.0.get_mut().unwrap_or_else(PoisonError::into_inner) {
            Inner::Walked(body) => Pin::new(body).poll_frame(cx),
            Inner::InHand(bytes) if bytes.is_empty() => Poll::Ready(None),
            Inner::InHand(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &*self.look() {
            Inner::Walked(body) => body.is_end_stream(),
            Inner::InHand(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &*self.look() {
            Inner::Walked(body) => body.size_hint(),
            Inner::InHand(bytes) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}

impl<U: Upstream> fmt::Debug for StackBody<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackBody").field("over", &self.is_end_stream()).finish_non_exhaustive()
    }
}
