//! Who waits for a circuit, by the attempts behind each: only the fewest matters.

const RANKS: usize = 8;

/// Counts of waiting calls by attempts made; seven and more share the last place.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    by_attempts: [u32; RANKS],
}

impl Waiting {
    pub(super) fn join(&mut self, attempts: u32) {
        let count = &mut self.by_attempts[rank(attempts)];
        *count = count.saturating_add(1);
    }

    pub(super) fn leave(&mut self, attempts: u32) {
        let count = &mut self.by_attempts[rank(attempts)];
        *count = count.saturating_sub(1);
    }

    pub(super) fn has_better_than(&self, attempts: u32) -> bool {
        self.by_attempts[..rank(attempts)].iter().any(|count| *count > 0)
    }

    pub(super) fn count(&self) -> u32 {
        self.by_attempts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

fn rank(attempts: u32) -> usize {
    usize::try_from(attempts).unwrap_or(RANKS).min(RANKS - 1)
}
