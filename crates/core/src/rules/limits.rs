//! Rate limits of callers: requests and tokens per minute, requests per day, calls at once.
//!
//! A call that several limits apply to takes its part of all of them or of none. A rate is a token
//! bucket: it holds its burst, a whole window's worth unless set otherwise, and fills evenly. So in
//! any stretch of time no more is admitted than the limit gives in that time plus the burst; a
//! single request larger than the burst and not larger than the limit is let in when the bucket is
//! full and paid back before the next. Arithmetic is exact, in integers. A clock that goes back
//! stands still here. What nobody uses is forgotten as soon as its buckets are full again.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;
use core::ops::Bound;
use core::time::Duration;

use crate::time::Moment;

mod account;
mod bucket;
mod day;
mod spec;

use account::Account;
pub(in crate::rules) use bucket::Rate;
pub use day::DayLevel;
pub use spec::{LimitSpec, Measure, NotALimit};

/// The state of many limits, by number. One lock's worth: the limits that apply to one call belong
/// into the same table.
#[derive(Debug, Default)]
pub struct LimitTable {
    accounts: BTreeMap<u64, Account>,
    /// The latest time seen.
    latest: Moment,
    /// Where the next sweep begins.
    cursor: Option<u64>,
}

/// One limit that applies to a call, and what the call has taken of it.
#[derive(Clone, Debug)]
pub struct Share {
    /// The limit's number; its state is kept under it.
    pub id: u64,
    /// What it allows.
    pub spec: LimitSpec,
    pub(in crate::rules) taken: Taken,
}

/// What was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Taken {
    /// Nothing: not admitted, or over a limit that only watches.
    Nothing,
    /// A request, a place among the calls at once, and tokens where they are limited; `alone`: tokens of
    /// a node's own part, because others could not be asked.
    Part { tokens: Option<u64>, alone: bool },
}

impl Share {
    /// A limit of which nothing is taken.
    pub fn new(id: u64, spec: LimitSpec) -> Share {
        Share { id, spec, taken: Taken::Nothing }
    }

    /// Whether the call was over this limit, which only watches.
    pub fn is_over(&self) -> bool {
        self.taken == Taken::Nothing
    }
}

/// What a call asks for.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// Tokens it may use at most, as far as that is known.
    pub tokens: u64,
    /// Whether a refused request counts as a request too. It never takes more than there is.
    pub count_refused: bool,
}

/// Why a call is not admitted: the limit that keeps it longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which of the shares.
    pub index: usize,
    /// What of it.
    pub measure: Measure,
    /// What is allowed: per window, or at once.
    pub limit: u64,
    /// How much of that counts as used.
    pub used: u64,
    /// How much the call asks for.
    pub requested: u64,
    /// When it would fit.
    pub fits: Fits,
}

/// When a refused call would fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fits {
    /// When a call under way has ended.
    WhenOneEnds,
    /// After this time, if nothing else comes before it. Above zero.
    After(Duration),
    /// Never: it asks for more than a whole window allows.
    Never,
}

/// How a caller stands: what is left of his tightest limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Of requests.
    pub requests: Option<Left>,
    /// Of tokens.
    pub tokens: Option<Left>,
}

/// What is left of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// What a window allows.
    pub limit: u64,
    /// What may be asked for at once.
    pub remaining: u64,
    /// Until nothing counts as used, if nothing more comes.
    pub reset: Duration,
}

impl Left {
    /// Whether less is left here, or as much for longer.
    pub(in crate::rules) fn is_tighter(&self, old: &Left) -> bool {
        (self.remaining, old.reset) < (old.remaining, self.reset)
    }
}

/// One measure of one limit, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Of what.
    pub measure: Measure,
    /// What is allowed.
    pub limit: u64,
    /// What counts as used.
    pub used: u64,
    /// Until nothing counts as used; zero for calls at once.
    pub reset: Duration,
}

impl LimitTable {
    /// Takes a call's part of all these limits, or of none when one that is not a shadow refuses.
    /// Of a shadow that would refuse nothing is taken.
    ///
    /// # Errors
    ///
    /// The refusal of the limit that keeps the call longest.
    pub fn admit(&mut self, shares: &mut [Share], need: Need, now: Moment) -> Result<(), Refusal> {
        let now = self.time(now);
        let mut worst: Option<Refusal> = None;
        for (index, share) in shares.iter_mut().enumerate() {
            share.taken = Taken::Nothing;
            let account = self.accounts.entry(share.id).or_default();
            account.flow(&share.spec, now);
            let refused = account.refuses(&share.spec, need.tokens);
            match refused {
                None => share.taken = part(&share.spec, need),
                Some(_) if share.spec.shadow => {}
                Some(refused) => {
                    let refused = Refusal { index, ..refused };
                    if worst.is_none_or(|worst| refused.fits > worst.fits) {
                        worst = Some(refused);
                    }
                }
            }
        }
        for share in &mut *shares {
            let Entry::Occupied(mut entry) = self.accounts.entry(share.id) else { continue };
            match (worst, share.taken) {
                (None, Taken::Part { tokens, .. }) => {
                    entry.get_mut().take(&share.spec, tokens.unwrap_or(0));
                }
                (None, Taken::Nothing) => {}
                (Some(_), _) => {
                    share.taken = Taken::Nothing;
                    if need.count_refused {
                        entry.get_mut().count_refused(&share.spec);
                    }
                }
            }
            if entry.get().is_idle() {
                entry.remove();
            }
        }
        worst.map_or(Ok(()), Err)
    }

    /// Gives back what the call has taken and not used, and takes what it used beyond. `used`:
    /// tokens; `None` leaves what was reserved.
    pub fn settle(&mut self, shares: &mut [Share], used: Option<u64>, now: Moment) {
        let now = self.time(now);
        for share in shares {
            let Taken::Part { tokens, .. } = core::mem::replace(&mut share.taken, Taken::Nothing)
            else {
                continue;
            };
            let Some(account) = self.accounts.get_mut(&share.id) else { continue };
            account.flow(&share.spec, now);
            account.end();
            if let (Some(reserved), Some(used)) = (tokens, used) {
                account.correct(&share.spec, reserved, used);
            }
            if account.is_idle() {
                self.accounts.remove(&share.id);
            }
        }
    }

    /// What is left of the tightest of these limits. Shadows are left out.
    pub fn standing(&self, shares: &[Share], now: Moment) -> Standing {
        let mut standing = Standing::default();
        for share in shares.iter().filter(|share| !share.spec.shadow) {
            let account = self.account(share.id, &share.spec, now);
            for measure in Measure::ALL {
                let slot = match measure {
                    Measure::RequestsPerMinute | Measure::RequestsPerDay => &mut standing.requests,
                    Measure::TokensPerMinute => &mut standing.tokens,
                    Measure::Concurrency => continue,
                };
                let Some(left) = account.left(&share.spec, measure) else { continue };
                if slot.as_ref().is_none_or(|old| left.is_tighter(old)) {
                    *slot = Some(left);
                }
            }
        }
        standing
    }

    /// Every measure of one limit.
    pub fn read(&self, id: u64, spec: &LimitSpec, now: Moment) -> impl Iterator<Item = Reading> {
        let (account, spec) = (self.account(id, spec, now), *spec);
        Measure::ALL.into_iter().filter_map(move |measure| account.read(&spec, measure))
    }

    /// Forgets limits that nobody uses, looking at `most` of them, each call beginning where the
    /// last one ended. `spec_of` tells what a limit allows; what it does not know is forgotten
    /// when no call is under way.
    pub fn sweep(&mut self, most: usize, now: Moment, spec_of: impl Fn(u64) -> Option<LimitSpec>) {
        let now = self.time(now);
        let mut idle = Vec::new();
        let mut seen = 0;
        let from = (self.cursor.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        for (id, account) in self.accounts.range_mut(from).take(most) {
            (seen, self.cursor) = (seen + 1, Some(*id));
            match spec_of(*id) {
                Some(spec) => account.flow(&spec, now),
                None => account.flow(&LimitSpec::default(), now),
            }
            if account.is_idle() {
                idle.push(*id);
            }
        }
        if seen < most {
            self.cursor = None;
        }
        for id in idle {
            self.accounts.remove(&id);
        }
    }

    /// The numbers of the limits that have a state at present.
    pub fn ids(&self) -> impl Iterator<Item = u64> {
        self.accounts.keys().copied()
    }

    /// How many limits have a state at present.
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    fn account(&self, id: u64, spec: &LimitSpec, now: Moment) -> Account {
        let mut account = self.accounts.get(&id).copied().unwrap_or_default();
        account.flow(spec, self.latest.max(now));
        account
    }

    fn time(&mut self, now: Moment) -> Moment {
        self.latest = self.latest.max(now);
        self.latest
    }
}

pub(in crate::rules) fn part(spec: &LimitSpec, need: Need) -> Taken {
    Taken::Part { tokens: spec.tpm.map(|_| need.tokens), alone: false }
}

#[cfg(test)]
mod tests;
