//! What other gateways have told of a target, counted together with what this one has seen.
//!
//! A row of failures that is spread over several gateways is as much evidence as one that a single
//! gateway sees: each tells of its own row once it has [`ROW_MIN`] in it. A success here ends all of
//! that, because it is newer; and nothing counts for longer than [`FRESH`].

use crate::time::Moment;
use core::time::Duration;

/// How long what others told counts.
pub(super) const FRESH: Duration = Duration::from_secs(5);
/// Failures in a row from which a gateway tells of them, and from which it counts those of others.
pub(super) const ROW_MIN: u32 = 2;
/// One in so many gateways has to tell of a row: of forty some always have one, where one call in
/// ten fails by chance.
pub(super) const ONE_IN: u32 = 10;

/// What others told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Others {
    heard: bool,
    /// Failures in the rows that gateways told of, how many told, and how many there are.
    failures: u32,
    rows: u32,
    among: u32,
    told_at: Moment,
    /// A circuit opened elsewhere.
    opened_at: Option<Moment>,
    /// The time in which ten first attempts come to all of those whose circuits opened.
    ten: Option<Duration>,
}

impl Others {
    /// Whether there is anything to forget.
    pub(super) fn have_told(&self) -> bool {
        self.heard
    }

    /// A gateway, one of `among`, has seen so many failures in a row.
    pub(super) fn row(&mut self, failures: u32, among: u32, now: Moment) {
        if now > self.told_at + FRESH {
            (self.failures, self.rows) = (0, 0);
        }
        self.failures = self.failures.saturating_add(failures);
        self.rows = self.rows.saturating_add(1);
        (self.among, self.told_at, self.heard) = (among, now, true);
    }

    /// Such a row ended with a success.
    pub(super) fn row_ended(&mut self, failures: u32) {
        self.failures = self.failures.saturating_sub(failures);
        self.rows = self.rows.saturating_sub(1);
    }

    /// The circuit of a gateway opened to which ten first attempts come in `ten`.
    pub(super) fn opened(&mut self, ten: Option<Duration>, now: Moment) {
        self.opened_at = Some(now);
        self.heard = true;
        self.ten = match (self.ten, ten) {
            (Some(before), Some(ten)) => Some(both(before, ten)),
            (before, ten) => before.or(ten),
        };
    }

    /// The time in which ten first attempts come to us, who see them in `ten`, and the others.
    pub(super) fn ten_with(&self, ten: Duration) -> Duration {
        self.ten.map_or(ten, |others| both(others, ten))
    }

    /// Whether `own` failures in a row are enough with what others told, where `failures` in a row
    /// would be alone.
    pub(super) fn confirm(&self, own: u32, failures: u32, now: Moment) -> bool {
        if own == 0 || !self.heard {
            return false;
        }
        let opened = self.opened_at.is_some_and(|at| now <= at + FRESH);
        let rows = own >= ROW_MIN
            && now <= self.told_at + FRESH
            && own.saturating_add(self.failures) >= failures
            && self.rows > 0
            && self.rows.saturating_mul(ONE_IN) >= self.among;
        opened || rows
    }
}

/// The time in which ten come to two, of whom each sees ten in its own.
fn both(one: Duration, other: Duration) -> Duration {
    let (one, other) = (one.as_nanos().max(1), other.as_nanos().max(1));
    // Durations have less than 94 bits of nanoseconds: a quotient first, so that nothing overflows.
    let (short, long) = (one.min(other), one.max(other));
    let times = (long / short).min(1 << 20);
    let together = short.saturating_mul(times) / times.saturating_add(1);
    Duration::from_nanos(u64::try_from(together).unwrap_or(u64::MAX))
}
