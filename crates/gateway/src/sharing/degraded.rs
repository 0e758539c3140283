//! What holds only in part at the moment: on every answer, in `/readyz`, in metrics and on the
//! console, under one name each.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use http::HeaderValue;
use mainstay_core::store::UnixMillis;
use serde_json::{Value, json};

/// Why something holds only in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Redis or Valkey does not answer.
    SharedStoreAway,
    /// Several gateways use one store and share no limits.
    NothingShared,
    /// Changes of keys, limits and budgets cannot be read.
    StoreAway,
    /// Entries of the ledger cannot be written, or not brought to where all gateways have theirs.
    LedgerAway,
}

impl Reason {
    /// Every reason.
    pub(crate) const ALL: [Reason; 4] =
        [Reason::SharedStoreAway, Reason::NothingShared, Reason::StoreAway, Reason::LedgerAway];

    /// The stable name, in headers, metrics and answers.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Reason::SharedStoreAway => "shared_store_away",
            Reason::NothingShared => "nothing_shared",
            Reason::StoreAway => "store_away",
            Reason::LedgerAway => "ledger_away",
        }
    }

    /// What it means for callers and what to do, in one sentence each.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Reason::SharedStoreAway => {
                "The shared store does not answer: each gateway goes on with its own share of every limit. It is used \
                 again as soon as it answers."
            }
            Reason::NothingShared => {
                "Several gateways use this store and share no limits: N of them let N times as much through. Set \
                 `shared.url` or REDIS_URL to one Redis or Valkey for all of them."
            }
            Reason::StoreAway => {
                "Changes of keys, limits and budgets cannot be read: those known stay in use. Look after the store."
            }
            Reason::LedgerAway => {
                "Entries of the ledger cannot be written or brought to the store: calls under hard budgets are refused when \
                 their queue is full, or what this gateway has leased is used up. Look after the store."
            }
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// The reasons that hold now. Reading is one look at one number.
#[derive(Debug, Default)]
pub(crate) struct Degraded {
    bits: AtomicU32,
    since: [AtomicU64; Reason::ALL.len()],
}

impl Degraded {
    /// A reason begins or ends to hold; says so in the log when that is new.
    pub(crate) fn set(&self, reason: Reason, on: bool, now: UnixMillis) {
        let before = if on {
            self.bits.fetch_or(reason.bit(), Ordering::Relaxed)
        } else {
            self.bits.fetch_and(!reason.bit(), Ordering::Relaxed)
        };
        if (before & reason.bit() != 0) == on {
            return;
        }
        if on {
            self.since[reason as usize].store(now.0, Ordering::Relaxed);
            tracing::warn!(reason = reason.name(), "degraded: {}", reason.meaning());
        } else {
            tracing::info!(reason = reason.name(), "no longer degraded");
        }
    }

    /// Whether a reason holds.
    pub(crate) fn is_on(&self, reason: Reason) -> bool {
        self.bits.load(Ordering::Relaxed) & reason.bit() != 0
    }

    /// The reasons that hold.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = Reason> + use<> {
        let bits = self.bits.load(Ordering::Relaxed);
        Reason::ALL.into_iter().filter(move |reason| bits & reason.bit() != 0)
    }

    /// Their names as a header of every answer; `None` when all is well.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        if self.bits.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let names: Vec<&str> = self.reasons().map(Reason::name).collect();
        HeaderValue::from_str(&names.join(", ")).ok()
    }

    /// What `/readyz` says: ready, and what holds only in part.
    pub(crate) fn readiness(&self) -> Value {
        let names: Vec<&str> = self.reasons().map(Reason::name).collect();
        if names.is_empty() {
            return json!({"status": "ready"});
        }
        json!({"status": "ready", "degraded": names})
    }

    /// The reasons for people, with what each means and since when it holds.
    pub(crate) fn report(&self) -> Vec<Value> {
        let one = |reason: Reason| {
            let since = self.since[reason as usize].load(Ordering::Relaxed);
            json!({"reason": reason.name(), "since": since / 1_000, "meaning": reason.meaning()})
        };
        self.reasons().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_is_told_the_same_everywhere_and_nothing_when_all_is_well() {
        let degraded = Degraded::default();
        assert_eq!(degraded.header(), None);
        assert_eq!(degraded.readiness(), json!({"status": "ready"}));
        for reason in Reason::ALL {
            degraded.set(reason, true, UnixMillis(5_000));
            assert!(degraded.is_on(reason));
            degraded.set(reason, true, UnixMillis(9_000));
            assert_eq!(
                degraded.report()[0]["since"],
                5,
                "since it began, not since it was seen last"
            );
            degraded.set(reason, false, UnixMillis(9_000));
            assert!(!degraded.is_on(reason));
        }
        degraded.set(Reason::StoreAway, true, UnixMillis(1));
        degraded.set(Reason::SharedStoreAway, true, UnixMillis(1));
        assert_eq!(degraded.header().expect("a header"), "shared_store_away, store_away");
        let names = json!(["shared_store_away", "store_away"]);
        assert_eq!(degraded.readiness(), json!({"status": "ready", "degraded": names}));
    }
}
