//! The body of an answer, with the record of its request: whatever ends it, the record learns how.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use mainstay::answer::AnswerBody;
use mainstay::call::Cut;
use mainstay::http::HttpUpstream;

use crate::headers::Rewrite;
use crate::idempotency::Recorder;
use crate::ownership::Watch;
use crate::ticket::Ticket;

/// What a provider sends, as the walk hands it on.
pub(crate) type Upstreamed = AnswerBody<HttpUpstream>;

/// The body of an answer. An error of it makes the server cut the connection, so that nobody takes
/// half an answer for a whole one. It is in memory of its own: it is handed on from one to the next, and is
/// too much to be copied each time.
#[derive(Debug)]
pub(crate) struct ReplyBody(Box<Parts>);

#[derive(Debug)]
struct Parts {
    inner: Inner,
    status: u16,
    /// Bytes to come, when their number was promised.
    left: Option<u64>,
    ticket: Option<Box<Ticket>>,
    /// Writes the answer down, to be given again.
    recorder: Option<Box<Recorder>>,
    /// Looks for the objects it names.
    watch: Option<Box<Watch>>,
    /// What is still to be done to the headers of its answer.
    rewrite: Option<Rewrite>,
}

#[derive(Debug)]
enum Inner {
    Whole(Bytes),
    Streaming(Upstreamed),
    Over,
}

impl ReplyBody {
    /// A body in memory.
    pub(crate) fn whole(bytes: Bytes) -> ReplyBody {
        ReplyBody::new(Inner::Whole(bytes), 0, None)
    }

    /// A body that comes from a provider. Until it has ended the record says that the caller left.
    pub(crate) fn streaming(body: Upstreamed, length: Option<u64>, status: u16) -> ReplyBody {
        ReplyBody::new(Inner::Streaming(body), status, length)
    }

    fn new(inner: Inner, status: u16, left: Option<u64>) -> ReplyBody {
        let (place, ticket, recorder) = (Box::new_uninit(), None, None);
        let parts = Parts { inner, status, left, ticket, recorder, watch: None, rewrite: None };
        ReplyBody(Box::write(place, parts))
    }

    /// The headers of its answer are the provider's and not there yet.
    pub(crate) fn rewrite_later(&mut self, rewrite: Rewrite) {
        self.0.rewrite = Some(rewrite);
    }

    /// What is still to be done to the headers of its answer; whoever takes it does it.
    pub(crate) fn take_rewrite(&mut self) -> Option<Rewrite> {
        self.0.rewrite.take()
    }

    /// Shows what goes by to this.
    pub(crate) fn watch(&mut self, watch: Option<Watch>) {
        self.0.watch = watch.map(Box::new);
    }

    /// Takes the record along.
    pub(crate) fn carry(&mut self, ticket: Box<Ticket>) {
        self.0.ticket = Some(ticket);
    }

    /// Writes down what passes.
    pub(crate) fn record(&mut self, recorder: Recorder) {
        self.0.recorder = Some(Box::new(recorder));
    }
}

impl Parts {
    fn over(&mut self, cut: Option<&Cut>) {
        let Inner::Streaming(mut body) = std::mem::replace(&mut self.inner, Inner::Over) else {
            return;
        };
        let recorder = self.recorder.take().filter(|_| cut.is_none());
        if let Some(mut ticket) = self.ticket.take() {
            if let Some(recorder) = recorder {
                recorder.complete(ticket.worker().shared.wall.now());
            }
            match cut {
                None => ticket.answered(self.status, body.conclude(true)),
                Some(cut) => ticket.cut(self.status, cut.kind, body.conclude(false)),
            }
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = &mut *self.get_mut().0;
        let body = match &mut this.inner {
            Inner::Over => return Poll::Ready(None),
            Inner::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                this.inner = Inner::Over;
                return Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))));
            }
            Inner::Streaming(body) => body,
        };
        let next = ready!(Pin::new(&mut *body).poll_frame(cx));
        match &next {
            None => {
                this.watch.iter_mut().for_each(|watch| watch.end());
                this.over(None);
            }
            Some(Err(cut)) => this.over(Some(cut)),
            Some(Ok(frame)) => {
                if let (Some(recorder), Some(data)) = (&mut this.recorder, frame.data_ref()) {
                    recorder.piece(data);
                }
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                this.left = this.left.map(|left| left.saturating_sub(length));
                if let (Some(watch), Some(data)) = (&mut this.watch, frame.data_ref()) {
                    watch.see(data);
                    // Nobody asks for more than was promised, so this may be the last look.
                    if this.left == Some(0) || body.is_end_stream() {
                        watch.end();
                    }
                }
            }
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        match &self.0.inner {
            Inner::Over => true,
            Inner::Whole(bytes) => bytes.is_empty(),
            Inner::Streaming(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0.inner {
            Inner::Over => SizeHint::with_exact(0),
            Inner::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Streaming(_) => self.0.left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        // A server that has written as many bytes as promised does not ask for the end.
        if self.left == Some(0) {
            self.over(None);
        }
        if let (Inner::Streaming(body), Some(ticket)) = (&mut self.inner, &mut self.ticket) {
            body.leave();
            let used = body.used();
            ticket.left(body.conclude(false), used);
        }
    }
}
