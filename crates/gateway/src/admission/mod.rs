//! What a call takes before it may go, all or nothing, and gives back exactly once at its end.
//!
//! [`Admission::admit`] is the last step before a call is made: whoever is refused there has taken
//! nothing. What was taken is an [`Admitted`], kept in the request's ticket and settled with what
//! the call has used, however it ends: answered, failed, cut, or dropped because the caller left.

use std::sync::atomic::{AtomicU64, Ordering};

use mainstay::call::{Call, Trace, Used};
use mainstay_core::time::Moment;

use crate::auth::Caller;
use crate::refused::Refused;

/// What all calls are admitted by. Shared by all workers.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    /// Calls admitted and not settled.
    open: AtomicU64,
}

/// Who asks, and for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    /// Who calls.
    pub(crate) caller: &'a Caller,
    /// What he asks for; `call.tokens` is what it may use at most, as far as that is known.
    pub(crate) call: &'a Call,
    /// When.
    pub(crate) now: Moment,
}

/// What an admitted call has taken. Settled by its ticket, once.
#[derive(Debug)]
#[must_use = "what was taken is given back by `Admission::settle` only"]
pub(crate) struct Admitted(());

/// How an admitted call came to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending<'t> {
    /// With an answer, a failure, or in the middle of an answer. The trace is final; `used` is what
    /// the caller got, as far as anything is known of it.
    Walked {
        /// Who answered and what it took.
        trace: &'t Trace,
        /// Tokens of the answer up to its end.
        used: Option<Used>,
    },
    /// The caller left before an answer began; what providers did for him is not known.
    Dropped,
}

impl Admission {
    /// Takes everything the call needs, or nothing.
    ///
    /// # Errors
    ///
    /// Something is used up; the refusal says what, whose it is and when it is worth trying again.
    pub(crate) fn admit(&self, ask: &Ask<'_>) -> Result<Admitted, Refused> {
        let Ask { caller: _, call: _, now: _ } = ask;
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Admitted(()))
    }

    /// Gives back what was not used. Never fails and never blocks on anything but memory.
    pub(crate) fn settle(&self, admitted: Admitted, ending: Ending<'_>, now: Moment) {
        let (Admitted(()), _, _) = (admitted, ending, now);
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Calls admitted and not settled.
    pub(crate) fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }
}
