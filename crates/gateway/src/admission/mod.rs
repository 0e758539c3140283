//! What a call takes before it may go, all or nothing, and gives back exactly once at its end.
//!
//! [`Admission::admit`] is the last step before a call is made: whoever is refused there has taken
//! nothing. What was taken is an [`Admitted`], kept in the request's ticket and settled with what
//! the call has used, however it ends: answered, failed, cut, or dropped because the caller left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay::call::{Call, Trace, Used};
use mainstay_core::failure::Kind;
use mainstay_core::keys::PublicPart;
use mainstay_core::rules::limits::Standing;
use mainstay_core::store::{DEFAULT_ORG, DEFAULT_PROJECT, KeyRecord};
use mainstay_core::time::Moment;

use crate::auth::Caller;
use crate::headers::Made;
use crate::refused::Refused;
use crate::sharing::Leases;

mod book;
mod learnt;
mod levels;
mod limits;
mod report;
mod tell;

pub(crate) use limits::LimitDesk;
#[cfg(feature = "redis")]
pub(crate) use limits::{SHARDS, SWEPT, shard};

/// What all calls are admitted by. Shared by all workers.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    /// Rate limits and calls at once.
    pub(crate) limits: LimitDesk,
    /// Calls admitted and not settled.
    open: AtomicU64,
}

/// Whose limits and budgets apply.
#[derive(Clone, Debug)]
pub(crate) struct Who(Option<Arc<KeyRecord>>);

impl Who {
    /// The one who calls. Without a key it is the default project, as for keys made without one.
    pub(crate) fn of(caller: &Caller) -> Who {
        Who(caller.key.as_ref().map(|key| Arc::clone(&key.record)))
    }

    /// With this key, or none.
    #[cfg(test)]
    pub(crate) fn with(key: Option<Arc<KeyRecord>>) -> Who {
        Who(key)
    }

    /// His key's record.
    pub(crate) fn record(&self) -> Option<&Arc<KeyRecord>> {
        self.0.as_ref()
    }

    /// His organization's id.
    pub(crate) fn org(&self) -> &str {
        self.0.as_ref().map_or(DEFAULT_ORG, |key| &key.org)
    }

    /// His project's id.
    pub(crate) fn project(&self) -> &str {
        self.0.as_ref().map_or(DEFAULT_PROJECT, |key| &key.project)
    }

    /// His key's public part.
    pub(crate) fn key(&self) -> Option<&PublicPart> {
        self.0.as_ref().map(|key| &key.public)
    }
}

/// Who asks, and for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    /// Whose limits apply.
    pub(crate) who: &'a Who,
    /// What he asks for; `call.tokens` is what it may use at most, as far as that is known.
    pub(crate) call: &'a Call,
    /// The prompt's part of `call.tokens`, an estimate.
    pub(crate) prompt: u64,
    /// The prompt's tokens, where they were counted.
    pub(crate) counted: Option<u64>,
    /// Whether a refused request counts as a request too.
    pub(crate) count_refused: bool,
    /// Whether the call has waited for other gateways to be asked, and waits no more.
    pub(crate) waited: bool,
    /// When.
    pub(crate) now: Moment,
}

/// Why a call is not admitted.
#[derive(Debug)]
pub(crate) enum Denied {
    /// A limit is used up.
    Refused(Box<Refused>),
    /// The lease of a limit that gateways share is used up, and more is asked for: wait for the reply with
    /// [`LimitDesk::reply`] and ask again. Never said to a call that has waited.
    Asks,
    /// The estimate is within 15 % of what is left of a limit on tokens, on either side: count the
    /// prompt and ask again.
    Doubtful,
}

impl Denied {
    /// The refusal. One that stays in doubt is not told as a limit of a size that is not known.
    pub(crate) fn into_refused(self) -> Refused {
        match self {
            Denied::Refused(refused) => *refused,
            Denied::Doubtful | Denied::Asks => Refused::caller(
                Kind::RateLimitTokens,
                "The limit is used up; try again in a moment.",
            ),
        }
    }
}

/// What an admitted call has taken. Settled by its ticket, once.
#[derive(Debug)]
#[must_use = "what was taken is given back by `Admission::settle` only"]
pub(crate) struct Admitted {
    limits: limits::Taken,
}

impl Admitted {
    /// How the caller stands after it.
    pub(crate) fn standing(&self) -> Standing {
        self.limits.standing
    }

    /// Whether the tokens of the answer matter, so that the provider has to tell them.
    pub(crate) fn counts_tokens(&self) -> bool {
        self.limits.counts_tokens()
    }
}

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
    /// With limits that are shared with other gateways.
    pub(crate) fn share(&mut self, leases: Arc<Leases>) {
        self.limits.share(leases);
    }

    /// Takes everything the call needs, or nothing.
    ///
    /// # Errors
    ///
    /// Something is used up; the refusal says what, whose it is and when it is worth trying again.
    pub(crate) fn admit(&self, ask: &Ask<'_>) -> Result<Admitted, Denied> {
        let limits = self.limits.admit(ask)?;
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Admitted { limits })
    }

    /// Gives back what was not used. Never fails and never blocks on anything but memory.
    pub(crate) fn settle(&self, admitted: Admitted, ending: Ending<'_>, now: Moment) {
        let Admitted { limits } = admitted;
        self.limits.settle(limits, ending, now);
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Calls admitted and not settled.
    pub(crate) fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }
}

/// Puts the caller's tightest limits among an answer's headers.
pub(crate) fn show(standing: &Standing, headers: &mut Made) {
    tell::headers(standing, headers);
}
