//! Waits of a walk: for its attempts, for a place in a queue, for a circuit, for a time.

use std::future::Future as _;
use std::task::{Context, Poll};

use mainstay_core::failure::Kind;
use mainstay_core::plan::On;
use mainstay_core::time::Moment;

use super::{Out, Run};
use crate::upstream::Upstream;

impl<U: Upstream> Run<U> {
    /// Waits until `until` or until what is waited for may have moved.
    pub(super) fn poll_wait(&mut self, until: Moment, on: On, cx: &mut Context<'_>) -> Poll<()> {
        self.on = on;
        // An earlier time must be kept; a later one may as well be found out when this one is over.
        if until < self.sleep_at || self.sleep.is_elapsed() {
            self.sleep_at = until;
            self.sleep.as_mut().reset(self.clock.instant(until));
        }
        match on {
            On::Attempts | On::Time => {}
            On::Pacer { track, ticket } => {
                self.plan.handle(track).wake_on_pacer(ticket, cx.waker());
            }
            On::Circuit { track, attempts } => {
                let place = self.plan.handle(track).0.wake_on_circuit(attempts, cx.waker());
                self.circuit_place = Some((track, place));
            }
        }
        self.sleep.as_mut().poll(cx)
    }

    /// Who looks himself needs no waking: whoever is to be woken by what he finds is another.
    pub(super) fn look_at_circuit(&mut self) {
        if let Some((track, place)) = self.circuit_place.take() {
            self.plan.handle(track).0.forget_circuit(place);
        }
    }

    pub(super) fn poll_cut(&mut self, at: Moment, kind: Kind, cx: &mut Context<'_>) -> Poll<Out> {
        if self.sleep_at != at {
            self.sleep_at = at;
            self.sleep.as_mut().reset(self.clock.instant(at));
        }
        match self.sleep.as_mut().poll(cx) {
            Poll::Ready(()) => {
                self.cut_at = None;
                Poll::Ready(Out::Broken(kind))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}
