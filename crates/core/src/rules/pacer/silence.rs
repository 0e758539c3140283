//! Silence: a limit that a provider named once and names no more.
//!
//! What was named holds exactly, and for as long as answers go on naming it. A provider may change
//! its limits and its words at once (another tier, another server behind the same name); then the
//! old number is no better than a guess, and a worse one the longer it is kept:
//!
//! * refusals that name nothing, for half of what is sent, contradict it: it is forgotten, and the
//!   rate is found by trying like any that nobody tells;
//! * answers in a row that name nothing leave it without a witness: it becomes a guess like one that
//!   was measured, which a little more after each clean stretch carries to a higher limit.
//!
//! One answer that names it brings it back at once.

/// Answers in a row after which nobody vouches for a limit: as many as a guess is measured over.
const ANSWERS_MAX: u32 = 60;
/// Silent refusals, and their share of what was sent since, that contradict a limit.
const REFUSED_MIN: u32 = 6;
/// Grants after which a share that contradicts nothing is counted anew: old peace must not hide a
/// change.
const SENT_MAX: u32 = 32;

/// How long a limit was not named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Silence {
    answers: u32,
    sent: u32,
    refused: u32,
}

impl Silence {
    /// An answer or a refusal named the limit.
    pub(super) fn named(&mut self) {
        *self = Silence::default();
    }

    /// An attempt goes.
    pub(super) fn sent(&mut self) {
        self.sent += 1;
        if self.sent >= SENT_MAX && self.refused * 2 < self.sent {
            (self.sent, self.refused) = (0, 0);
        }
    }

    /// A sound answer did not name the limit. `true`: nobody vouches for it.
    pub(super) fn answered(&mut self) -> bool {
        self.answers += 1;
        self.answers >= ANSWERS_MAX
    }

    /// A refusal did not name the limit. `true`: it contradicts the limit.
    pub(super) fn refused(&mut self) -> bool {
        self.refused += 1;
        self.refused >= REFUSED_MIN && self.refused * 2 >= self.sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_what_is_sent_contradicts_and_less_does_not() {
        let mut silence = Silence::default();
        for _ in 0..1000 {
            silence.sent();
            silence.sent();
            silence.sent();
            assert!(!silence.refused(), "a third is others who share it, or an unlucky minute");
        }
        silence.named();
        let mut refused = 0;
        while !silence.refused() {
            silence.sent();
            refused += 1;
        }
        assert!(refused < 10, "{refused} refusals");
    }

    #[test]
    fn a_long_peace_does_not_hide_a_change() {
        let mut silence = Silence::default();
        (0..10_000).for_each(|_| silence.sent());
        let until = (1..100).find(|_| {
            silence.sent();
            silence.refused()
        });
        assert!(until.is_some_and(|refusals| refusals <= 32), "{until:?}");
    }

    #[test]
    fn answers_that_name_nothing_count_in_a_row_only() {
        let mut silence = Silence::default();
        assert!((0..59).all(|_| !silence.answered()));
        silence.named();
        assert!((0..59).all(|_| !silence.answered()));
        assert!(silence.answered());
    }
}
