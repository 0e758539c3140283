//! The usual request over HTTP/1.1, without the machinery that the others need.
//!
//! Usual is what nearly all requests are: a head that came in one piece, and a body that is short, of
//! stated length and comes with it. Whatever else comes (a body in chunks, a large one, `expect`, an
//! upgrade, an old version, a head that dribbles in or is malformed) is left unread, and the connection
//! goes to hyper for the rest of its life. So there is one reader of anything that can be read in two
//! ways, and the short way has nothing to be clever about.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use http::Response;
use mainstay::cohort::{Cohort, Stage, Turn};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::{Guest, Phase};
use crate::answer::ReplyBody;
use crate::door;
use crate::shared::Worker;

mod reply;
mod request;
mod rewound;

use reply::Reply;
use request::{Look, Usual};
pub(super) use rewound::Rewound;

/// Bytes read at once: most bodies and their heads.
const PIECE: usize = 16 * 1024;
/// How long the rest of a body is waited for: many clients send it apart from the head, right behind it.
const REST: Duration = Duration::from_millis(50);
/// Bytes of further requests that are read while one is answered.
const AHEAD_MAX: usize = 64 * 1024;

/// Bounds of heads.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadBounds {
    pub(super) time: Duration,
    pub(super) bytes: usize,
}

/// Serves a connection over HTTP/1.1 to its end: usual requests here, and all from the first one that is
/// not by hyper.
pub(super) async fn serve<I>(io: I, guest: Guest)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (worker, bounds) = (&guest.worker, guest.host.head);
    let cohort = worker.upstream.cohort().clone();
    let mut line = Line { io, cohort, read: BytesMut::new(), out: Vec::new(), timer: None };
    let (mut phase, mut stop) = (guest.phase.clone(), Stop::at(&guest.phase));
    let mut stopping = pin!(phase.wait_for(|phase| *phase >= Phase::Stopping));
    loop {
        let next = poll_fn(|cx| stop.poll(stopping.as_mut(), cx));
        let Usual { request, bodiless, last } = match line.next(bounds, next).await {
            Next::Usual(usual) => usual,
            Next::Unusual => {
                let io = Rewound::new(line.io, line.read.freeze());
                // In memory of its own: most connections never come here.
                return Box::pin(guest.host.speak_one(io, &guest)).await;
            }
            Next::Over => return,
        };
        // In memory of its own, for as long as it takes: a stream that is open has long had its head.
        // Made in its place: made before there is one, it would be copied there, with all its empty room.
        let place = Box::new_uninit();
        let answer = door::answer(Arc::clone(worker), guest.peer, request);
        let mut answer = Box::into_pin(Box::write(place, answer));
        let attended = poll_fn(|cx| line.poll_attended(answer.as_mut(), cx)).await;
        drop(answer);
        let Some(Ok(response)) = attended else { return };
        let last = last || stop.is_near();
        if line.reply(response, bodiless, last, worker).await.is_err() {
            return;
        }
        if last || stop.is_near() {
            // The answer is complete; whether its end is heard is the other side's business.
            let _ = line.io.shutdown().await;
            return;
        }
    }
}

/// Looks for the end of the gateway.
struct Stop {
    news: watch::Receiver<Phase>,
    asked: bool,
}

impl Stop {
    fn at(phase: &watch::Receiver<Phase>) -> Stop {
        Stop { news: phase.clone(), asked: false }
    }

    /// Whether no more requests are to be taken.
    fn is_near(&self) -> bool {
        *self.news.borrow() >= Phase::Stopping
    }

    /// Ready when that is so. Once `stopping` has been asked it wakes this task by itself, so that it costs
    /// nothing to pass by.
    fn poll<F: Future>(&mut self, stopping: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<()> {
        if self.asked && !self.news.has_changed().unwrap_or(true) {
            return Poll::Pending;
        }
        self.asked = true;
        self.news.mark_unchanged();
        stopping.poll(cx).map(|_| ())
    }
}

/// What comes next on a connection.
enum Next {
    Usual(Usual),
    Unusual,
    /// Nothing.
    Over,
}

/// A connection.
struct Line<I> {
    io: I,
    /// The worker's calls.
    cohort: Cohort,
    /// What was read and not understood.
    read: BytesMut,
    /// Memory for what is written.
    out: Vec<u8>,
    /// Fires when an unused connection may be over, or before.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<I: AsyncRead + AsyncWrite + Unpin> Line<I> {
    /// Waits for the next request.
    async fn next(&mut self, bounds: HeadBounds, stop: impl Future<Output = ()>) -> Next {
        let mut stop = pin!(stop);
        let (mut due, mut rest, mut whole) = (None, None, 0);
        let mut turn = Turn::default();
        poll_fn(|cx| {
            loop {
                if !self.read.is_empty() {
                    ready!(turn.poll(&self.cohort, Stage::Read, cx));
                }
                if self.read.len() >= whole {
                    match request::look(&mut self.read, bounds.bytes) {
                        Look::Usual(usual) => return Poll::Ready(Next::Usual(usual)),
                        Look::Unusual => return Poll::Ready(Next::Unusual),
                        Look::Nothing => {}
                        Look::Rest(length) => {
                            // Room for all of it, once.
                            self.read.reserve(length - self.read.len());
                            whole = length;
                        }
                    }
                }
                match self.poll_more(cx) {
                    Poll::Ready(Ok(0)) if !self.read.is_empty() => {
                        return Poll::Ready(Next::Unusual);
                    }
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Next::Over),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Pending if self.read.is_empty() => {
                        if stop.as_mut().poll(cx).is_ready() {
                            return Poll::Ready(Next::Over);
                        }
                        let due = *due.get_or_insert_with(|| Instant::now() + bounds.time);
                        ready!(self.poll_until(due, cx));
                        return Poll::Ready(Next::Over);
                    }
                    Poll::Pending => {
                        let rest = rest.get_or_insert_with(|| Box::pin(sleep(REST)));
                        ready!(rest.as_mut().poll(cx));
                        return Poll::Ready(Next::Unusual);
                    }
                }
            }
        })
        .await
    }

    /// Ready at `due`. Deadlines only move later: the timer is left to fire early and is set again
    /// then, once in a long while instead of twice a request.
    fn poll_until(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
    }

    /// Does this unless the caller leaves; `None` when he has.
    fn poll_attended<F: Future>(
        &mut self,
        work: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<F::Output>> {
        if let Poll::Ready(done) = work.poll(cx) {
            return Poll::Ready(Some(done));
        }
        if !self.cohort.halts() && self.has_left(cx) { Poll::Ready(None) } else { Poll::Pending }
    }

    /// Whether the caller is gone. What he sends meanwhile is kept, within bounds.
    fn has_left(&mut self, cx: &mut Context<'_>) -> bool {
        while self.read.len() < AHEAD_MAX {
            match self.poll_more(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(0) | Err(_)) => return true,
                Poll::Ready(Ok(_)) => {}
            }
        }
        false
    }

    /// Reads once; 0 at the end. What came is copied out of a place on the stack, so that a
    /// connection that nothing comes on holds no memory for it.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [const { MaybeUninit::uninit() }; PIECE];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
        self.read.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Sends an answer.
    ///
    /// # Errors
    ///
    /// The caller has left, or the answer broke off: the connection must end here.
    async fn reply(
        &mut self,
        response: Response<ReplyBody>,
        bodiless: bool,
        last: bool,
        worker: &Worker,
    ) -> io::Result<()> {
        let out = std::mem::take(&mut self.out);
        let mut reply = Reply::new(response, out, bodiless, last, worker.shared.wall.now());
        let sent = poll_fn(|cx| {
            let sent = reply.poll(&mut self.io, &self.cohort, cx);
            if sent.is_pending() && !self.cohort.halts() && self.has_left(cx) {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            sent
        });
        sent.await?;
        self.out = reply.into_memory();
        Ok(())
    }
}
