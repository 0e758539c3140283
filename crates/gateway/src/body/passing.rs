//! A body that passes through: what was read already, then the rest as it arrives.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use mainstay::upstream::BodyBroken;
use tokio::time::{Instant, Sleep, sleep};

use super::Arriving;

/// Ends with [`BodyBroken`] when it grows over its limit, pauses too long or breaks.
pub(super) struct Passing {
    read: std::vec::IntoIter<Bytes>,
    rest: Arriving,
    left: u64,
    pause: Duration,
    timer: Pin<Box<Sleep>>,
    waiting: bool,
}

impl Passing {
    pub(super) fn new(read: Vec<Bytes>, rest: Arriving, max: u64, pause: Duration) -> Passing {
        let timer = Box::pin(sleep(pause));
        Passing { read: read.into_iter(), rest, left: max, pause, timer, waiting: false }
    }

    fn counted(&mut self, data: Bytes) -> Result<Frame<Bytes>, BodyBroken> {
        self.left = self.left.checked_sub(data.len() as u64).ok_or(BodyBroken)?;
        Ok(Frame::data(data))
    }
}

impl Body for Passing {
    type Data = Bytes;
    type Error = BodyBroken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        let this = self.get_mut();
        if let Some(data) = this.read.next() {
            return Poll::Ready(Some(this.counted(data)));
        }
        loop {
            let Poll::Ready(next) = Pin::new(&mut this.rest).poll_frame(cx) else {
                if !this.waiting {
                    this.waiting = true;
                    this.timer.as_mut().reset(Instant::now() + this.pause);
                }
                ready!(this.timer.as_mut().poll(cx));
                return Poll::Ready(Some(Err(BodyBroken)));
            };
            this.waiting = false;
            match next {
                None => return Poll::Ready(None),
                Some(Err(_)) => return Poll::Ready(Some(Err(BodyBroken))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(this.counted(data)));
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.len() == 0 && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
