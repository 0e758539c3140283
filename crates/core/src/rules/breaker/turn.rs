//! Whose turn it is to probe, where several gateways have found out that a target fails.
//!
//! Whoever probes says so, and says when its probe failed; the others put theirs off. So it is one
//! that goes on probing, at the pace of all calls, and another takes over when it falls silent. Nobody
//! takes the word of one gateway for longer than [`WORD`], nor that of several for longer than
//! 30 s: it might be they that cannot reach the target.

use super::OPEN_BASE_MAX;
use crate::dice::Dice;
use crate::time::Moment;
use core::time::Duration;

/// How long one other gateway can put a probe off.
pub(super) const WORD: Duration = Duration::from_secs(5);
/// How long several can at least, and how much longer at most: by chance, so that those who have
/// waited long do not all probe together.
pub(super) const WORDS_MIN: Duration = Duration::from_secs(10);
/// See [`WORDS_MIN`].
pub(super) const WORDS_SPREAD: Duration = Duration::from_secs(20);

/// When this gateway probes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turn {
    /// When it would by itself.
    own: Moment,
    /// Until when others can put that off: who are one, and who are several.
    word: Moment,
    words: Moment,
    /// Whose probe failed last.
    last: Option<u64>,
    /// When a probe of its own was sent last.
    probed_at: Option<Moment>,
}

impl Turn {
    /// The circuit is open until `own`, by what this gateway has found out.
    pub(super) fn begin(&mut self, own: Moment, dice: &mut Dice) {
        let spread = u64::try_from(WORDS_SPREAD.as_nanos()).unwrap_or(u64::MAX);
        self.own = own;
        self.word = own + WORD;
        self.words = own + WORDS_MIN + Duration::from_nanos(dice.below(spread));
        self.last = None;
    }

    /// A probe of its own goes out.
    pub(super) fn probes(&mut self, now: Moment) {
        self.probed_at = Some(now);
    }

    /// Another gateway probes: when this one does if nothing is heard of it.
    pub(super) fn wait_for_probe(&self, now: Moment) -> Moment {
        self.put_off(now + WORD)
    }

    /// Another gateway's probe failed, and its next comes after `open`: when this one probes if that
    /// does not come. A half later, so that nobody but the other probes at that time.
    pub(super) fn after_probe(
        &mut self,
        from: u64,
        open: Duration,
        dice: &mut Dice,
        now: Moment,
    ) -> Moment {
        if self.last.is_some_and(|last| last != from) {
            self.word = self.word.max(now + WORD).min(self.words);
        }
        self.last = Some(from);
        let open = open.min(OPEN_BASE_MAX);
        let quarter = u64::try_from((open / 4).as_nanos()).unwrap_or(u64::MAX);
        self.put_off(now + open + open / 2 + Duration::from_nanos(dice.below(quarter)))
    }

    /// Another gateway's probe succeeded: when this one finds out for itself, at once unless it just
    /// has.
    pub(super) fn after_success(&mut self, now: Moment) -> Moment {
        let at = self.probed_at.map_or(now, |at| now.max(at + super::OPEN_MIN));
        self.own = at;
        at
    }

    fn put_off(&self, until: Moment) -> Moment {
        until.min(self.word).max(self.own)
    }
}
