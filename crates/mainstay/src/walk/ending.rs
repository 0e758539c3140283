//! How a call ends for those who keep account of it and tell of it: the account is told once, the
//! trace and what was sent are handed over.

use std::sync::Arc;

use bytes::Bytes;
use mainstay_core::plan::{On, SLOTS};
use mainstay_core::time::Moment;

use super::Run;
use super::record::{note, note_end};
use crate::call::{Account, Asked, Call, CallBody, Sent, Trace};
use crate::upstream::Upstream;

impl<U: Upstream> Run<U> {
    /// The caller is gone: every attempt is dropped, and the trace is final.
    pub(crate) fn leave(&mut self) {
        self.drop_attempts(self.clock.now());
        let _told = self.tell_account(false);
    }

    /// The answer is over for its caller.
    pub(crate) fn conclude(&mut self, whole: bool) -> Trace {
        if !self.over {
            // The last of a whole answer was handed over just now.
            self.drop_attempts(if whole { self.now } else { self.clock.now() });
        }
        let _told = self.tell_account(whole);
        self.take_trace()
    }

    /// What was sent to us.
    pub(crate) fn take_sent(&mut self) -> Sent {
        let body = match std::mem::replace(&mut self.call.body, CallBody::Empty) {
            CallBody::Buffered(bytes) => bytes,
            CallBody::Empty | CallBody::Streamed { .. } => Bytes::new(),
        };
        let headers = Arc::unwrap_or_clone(std::mem::take(&mut self.headers));
        Sent { headers, body }
    }

    pub(super) fn take_trace(&mut self) -> Trace {
        let Call { model, stream, sdk_retry, .. } = &mut *self.call;
        self.trace.asked = Asked { model: model.take(), stream: *stream, sdk_retry: *sdk_retry };
        std::mem::take(&mut self.trace)
    }

    fn drop_attempts(&mut self, now: Moment) {
        for slot in 0..SLOTS {
            let Some(live) = self.live[slot].take() else { continue };
            note_end(&mut self.trace, &live, &self.plan, now, None);
            if self.delivering == Some(slot) {
                self.trace.used = self.used_with(&live);
            }
        }
        self.over = true;
        self.look_at_circuit();
        self.plan.abandon(now);
    }

    pub(super) fn may_start(&self) -> bool {
        let live = self.live.iter().flatten().count();
        self.call.account.as_ref().is_none_or(|account| account.may_start(&self.trace, live))
    }

    /// Tells who keeps account, once; he is told.
    pub(super) fn tell_account(&mut self, whole: bool) -> Option<Arc<dyn Account>> {
        let account = self.call.account.take()?;
        for live in self.live.iter().flatten() {
            let used = live.used(&self.plan);
            note(&mut self.trace, live.record, |record| {
                record.used = record.used.or(used);
                record.sound_ms = record.sound_ms.or(live.flow.sound_ms);
            });
        }
        account.over(&self.trace, whole);
        Some(account)
    }
}

impl<U: Upstream> Drop for Run<U> {
    fn drop(&mut self) {
        if let On::Pacer { track, ticket } = self.on {
            self.plan.handle(track).forget_ticket(ticket);
        }
        let left = !self.over;
        let now = if left { self.clock.now() } else { self.now };
        if left {
            self.drop_attempts(now);
        }
        if let Some(account) = self.tell_account(false).filter(|_| left) {
            account.left(self.take_trace());
        }
        self.live = [None, None];
        self.plan.abandon(now);
    }
}
