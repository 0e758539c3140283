//! The body of an answer: the walk, seen as bytes.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use mainstay_core::failure::Kind;

use crate::call::{Cut, Sent, Trace, Used};
use crate::upstream::Upstream;
use crate::walk::{Out, Run};

/// An answer's bytes as they come. Ends in a [`Cut`] when the answer broke off, so that nobody can
/// take the half for the whole. Dropping it cancels the attempt behind it.
pub struct AnswerBody<U: Upstream> {
    run: Box<Run<U>>,
    over: bool,
}

impl<U: Upstream> AnswerBody<U> {
    pub(crate) fn new(run: Box<Run<U>>) -> AnswerBody<U> {
        AnswerBody { run, over: false }
    }

    /// What the call took; final after the last frame.
    pub fn trace(&self) -> &Trace {
        self.run.trace()
    }
}

impl<U: Upstream> AnswerBody<U> {
    /// The caller is gone: attempts are dropped as they would be with the body, and the trace is
    /// final, so that what was used can be settled.
    pub fn leave(&mut self) {
        self.over = true;
        self.run.leave();
    }

    /// The answer is over for its caller, `whole` or not: who keeps account is told, if he was not
    /// yet, and the trace is handed over.
    pub fn conclude(&mut self, whole: bool) -> Trace {
        self.over = true;
        self.run.conclude(whole)
    }

    /// What was sent to us, handed over once.
    pub fn take_sent(&mut self) -> Sent {
        self.run.take_sent()
    }

    /// Tokens of the answer so far, for settling at any moment, a caller's leaving included:
    /// as the provider tells them, else counted from what came. Reads the whole delivered text
    /// when it must count.
    pub fn used(&self) -> Option<Used> {
        self.run.used()
    }
}

impl<U: Upstream> fmt::Debug for AnswerBody<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerBody").field("over", &self.over).finish_non_exhaustive()
    }
}

impl<U: Upstream> Body for AnswerBody<U> {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.over {
            return Poll::Ready(None);
        }
        loop {
            let Poll::Ready(out) = self.run.poll_out(cx) else { return Poll::Pending };
            return Poll::Ready(match out {
                Out::Data(bytes) if bytes.is_empty() => continue,
                Out::Data(bytes) => Some(Ok(Frame::data(bytes))),
                Out::End => {
                    self.over = true;
                    None
                }
                Out::Broken(kind) => {
                    self.over = true;
                    Some(Err(Cut { kind }))
                }
                // Only a walk's beginning has these.
                Out::Head(_) | Out::Refused(_) => {
                    self.over = true;
                    Some(Err(Cut { kind: Kind::InternalError }))
                }
            });
        }
    }

    fn is_end_stream(&self) -> bool {
        self.over
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
