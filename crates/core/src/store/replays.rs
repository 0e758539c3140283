//! Answers kept under an idempotency key, to be given again.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use super::{StoreError, UnixMillis};

/// What a caller's idempotency key stands for: a SHA-256 of his own place and the key, so that no
/// key is stored and no two callers share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplayPlace(pub [u8; 32]);

/// An answer that was given.
#[derive(Clone, PartialEq, Eq)]
pub struct Replay {
    /// SHA-256 of method, path and body: another request under the same key is refused.
    pub fingerprint: [u8; 32],
    /// Its status.
    pub status: u16,
    /// Its headers: lower-case names, and values.
    pub headers: Vec<(Box<str>, Box<[u8]>)>,
    /// Its body; `None` when it was too large to keep.
    pub body: Option<Vec<u8>>,
    /// It is forgotten then.
    pub until: UnixMillis,
}

impl fmt::Debug for Replay {
    /// Sizes only: a body holds an answer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("status", &self.status)
            .field("bytes", &self.body.as_ref().map(Vec::len))
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// Where answers are kept.
pub trait ReplayStore {
    /// The answer kept there, unless its time is over.
    ///
    /// # Errors
    ///
    /// The store failed.
    fn replay(&self, place: ReplayPlace, now: UnixMillis) -> Result<Option<Replay>, StoreError>;

    /// Keeps an answer, over an earlier one. Forgets what is over, and the oldest beyond what `kept`
    /// allows.
    ///
    /// # Errors
    ///
    /// The store failed.
    fn keep_replay(
        &self,
        place: ReplayPlace,
        replay: Replay,
        kept: ReplaysKept,
        now: UnixMillis,
    ) -> Result<(), StoreError>;
}

/// How much is kept at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplaysKept {
    /// Answers.
    pub count_max: u64,
    /// Bytes of their bodies.
    pub bytes_max: u64,
}

impl Default for ReplaysKept {
    /// 100,000 answers, and 256 MiB.
    fn default() -> Self {
        ReplaysKept { count_max: 100_000, bytes_max: 256 << 20 }
    }
}
