//! An answer that broke after its first delivered byte: gone on with, told again, or ended.

use super::types::Handle;
use super::{OverAs, Plan, Seek};
use crate::failure::{Kind, Next};
use crate::policy::Recovery;

impl<H: Handle> Plan<H> {
    /// The answer broke after its first byte was delivered. It is told once more, elsewhere if
    /// there is another target, and by the same one only if that did not fall silent.
    pub(super) fn broke(&mut self, index: usize, kind: Kind) {
        let once = self.recovering.is_none();
        // What its breaking means is in the band what it is in a status: a refusal that nobody
        // would answer otherwise is final.
        let next = self.last.as_ref().map_or(Next::Nobody, |(_, verdict)| verdict.failure.next);
        let again = match next {
            Next::SameTarget { .. } | Next::OtherTarget => true,
            Next::LargerWindow | Next::Nobody => false,
        };
        let wanted = match self.policy.stream.recovery {
            Recovery::Verified | Recovery::Continue => true,
            Recovery::Error => false,
        };
        if !(once && again && wanted && self.facts.recoverable) {
            self.seek = Seek::Over(OverAs::Broken { kind });
            return;
        }
        self.recovering = Some(kind);
        self.committed = None;
        self.prefer = None;
        self.avoid = Some(index);
        self.tracks[index].gone |= self.tracks[index].silent || next == Next::OtherTarget;
        self.seek = Seek::Choose;
    }

    /// What was delivered of the broken answer is a text that can be gone on from: a target that
    /// takes a partial assistant message is asked to, if the policy wishes it.
    pub fn can_continue(&mut self) {
        self.continuable = match self.policy.stream.recovery {
            Recovery::Continue => true,
            Recovery::Verified | Recovery::Error => false,
        };
    }

    /// Whether a target would be asked to go on, and not to tell all again.
    pub(super) fn continues(&self, index: usize) -> bool {
        let track = &self.tracks[index];
        let able = track.candidate.prefill && !track.refuses_prefill;
        self.recovering.is_some() && self.continuable && able
    }

    /// A target that was asked to go on failed before it said anything. The answer is told from the
    /// start: by the same target if it only did not take the partial message.
    pub(super) fn not_continued(&mut self, index: usize) {
        let next = self.last.as_ref().map_or(Next::Nobody, |(_, verdict)| verdict.failure.next);
        self.continuable = false;
        self.tracks[index].refuses_prefill = true;
        match next {
            Next::Nobody | Next::LargerWindow => self.prefer = Some(index),
            Next::SameTarget { .. } => self.avoid = Some(index),
            Next::OtherTarget => self.tracks[index].gone = true,
        }
        self.tracks[index].gone |= self.tracks[index].silent;
        self.seek = Seek::Choose;
    }
}
