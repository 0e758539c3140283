//! What becomes of a stream that breaks after its first byte: its last sound words, and what is kept
//! for whoever completes it.

use std::time::Duration;

use mainstay_core::classify::{self, TransportFault};
use mainstay_core::failure::Kind;
use mainstay_core::time::Moment;
use mainstay_core::wire::endpoint::Endpoint;

use super::record::Live;
use super::{Out, Run};
use crate::flow::{Broken, Flow};
use crate::refusal;
use crate::upstream::Upstream;

/// How long the error event of a broken stream has to leave before the connection is cut.
const LAST_WORDS: Duration = Duration::from_millis(50);

impl<U: Upstream> Run<U> {
    /// The stream that is being delivered broke: what is whole of it still goes out; then the plan
    /// has it told again, or it ends in a typed error.
    pub(super) fn broke(
        &mut self,
        mut live: Box<Live<U::Attempt>>,
        verdict: &classify::Verdict,
        now: Moment,
    ) {
        if !self.plan.is_recovering() {
            self.last_words(&mut live, verdict, now);
            return;
        }
        self.pour(&mut live, now);
        self.told = live.used(&self.plan);
        self.trace.used = self.told;
        self.delivering = None;
        self.broken = live.flow.take_broken();
        if self.can_continue() {
            self.plan.can_continue();
        }
    }

    /// A stream broke after its first byte: what is still good goes out, then a typed error.
    pub(super) fn last_words(
        &mut self,
        live: &mut Live<U::Attempt>,
        verdict: &classify::Verdict,
        now: Moment,
    ) {
        self.pour(live, now);
        self.trace.used = self.used_with(live).or(self.trace.used);
        let error = refusal::error_value(verdict, &self.trace);
        let sequence = match self.broken.take() {
            Some(broken) => Some(live.flow.next_sequence().unwrap_or(0).max(broken.sequence())),
            None => live.flow.next_sequence(),
        };
        self.cut_at = Some((now, verdict.failure.kind));
        if let Some(sequence) = sequence {
            self.out.push_back(Out::Data(live.flow.error_event(&error, sequence)));
            self.cut_at = Some((now + LAST_WORDS, verdict.failure.kind));
        }
    }

    /// Whether what was delivered can be put back into the request and gone on from.
    fn can_continue(&self) -> bool {
        self.call.endpoint == Endpoint::Chat
            && self.choices == 1
            && self.broken.as_ref().and_then(Broken::text).is_some()
    }

    /// A stream could not be told again and no attempt is left to end it with.
    pub(super) fn end_broken(&mut self, kind: Kind, now: Moment) {
        self.cut_at = Some((now, kind));
        if let Some(broken) = self.broken.take() {
            let flow = Flow::replay(self.expect(), &broken);
            let error = refusal::error_value(
                &classify::of_transport(TransportFault::CutMidBody),
                &self.trace,
            );
            let event = flow.error_event(&error, broken.sequence());
            self.out.push_back(Out::Data(event));
            self.cut_at = Some((now + LAST_WORDS, kind));
        }
    }
}
