//! What gateways on several machines know of each other, and what each does when it does not.
//!
//! ```text
//!   shared store ◀── heartbeat ── Sharing ── who is there: the share of a limit when the store is away
//!        │                          ├── news: keys that were revoked, changes of the store
//!        │                          ├── limits: leases of what callers may, spent here
//!        │                          ├── pacing: what each sends to providers, for its part of their limits
//!        │                          ├── circuits: what others found out about targets, as advice
//!        ▼                          └── locks: who carries an idempotency key out
//!   other gateways                Degraded: what holds only in part now, for everybody to see
//! ```
//!
//! Nothing here is on a call's path, but for one look at whether something is degraded and questions of at most
//! `shared.deadline`: one for calls with an `Idempotency-Key`, and one where a lease of a limit is used up. Readiness and
//! liveness never depend on a store.

mod degraded;

#[cfg(not(feature = "redis"))]
mod absent;
#[cfg(feature = "redis")]
mod circuits;
#[cfg(feature = "redis")]
mod limits;
#[cfg(feature = "redis")]
mod locks;
#[cfg(feature = "redis")]
mod news;
#[cfg(feature = "redis")]
mod pacing;
#[cfg(feature = "redis")]
mod together;

pub(crate) use degraded::{Degraded, Reason};

#[cfg(not(feature = "redis"))]
pub(crate) use absent::{Leases, Lock, Locks, Sharing, Turn};
#[cfg(feature = "redis")]
pub(crate) use limits::Leases;
#[cfg(feature = "redis")]
pub(crate) use locks::{Lock, Locks, Turn};
#[cfg(feature = "redis")]
pub(crate) use together::Sharing;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mainstay_core::store::{Store, StoreError};
use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::metrics::Page;
use crate::shared::Shared;

/// A gateway that shares nothing is not heard of any more after this long.
const GONE_AFTER: Duration = Duration::from_secs(10);
/// Looks in a row that find other gateways before that is believed: one that was killed and started
/// again leaves a trace for [`GONE_AFTER`].
const BELIEVED: u32 = 4;

/// Without a shared store: are there other gateways on the store? Asked every four seconds.
///
/// # Errors
///
/// The store failed.
pub(crate) fn look_for_others(shared: &Shared, store: &dyn Store) -> Result<(), StoreError> {
    let now = shared.wall.now();
    let others = store.count_node(&shared.node, now, GONE_AFTER)?.is_some_and(|count| count > 1);
    let seen = if others { shared.lonely.load(Ordering::Relaxed).saturating_add(1) } else { 0 };
    shared.lonely.store(seen, Ordering::Relaxed);
    shared.degraded.set(Reason::NothingShared, seen >= BELIEVED, now);
    Ok(())
}

/// Has the store tell of changes, if it can: this gateway then looks at it soon.
pub(crate) fn follow(shared: &Shared, store: &dyn Store) {
    // Not `Shared` itself, which has the store.
    let (stale, sharing) = (Arc::clone(&shared.stale), shared.sharing.clone());
    let (news, runtime) = (Arc::clone(&shared.told), Handle::current());
    let told = move || {
        news.store(true, Ordering::Relaxed);
        let (stale, nodes) = (Arc::clone(&stale), sharing.as_ref().map_or(1, |one| one.nodes()));
        runtime.spawn(async move {
            sleep(spread(nodes)).await;
            stale.notify_one();
        });
    };
    if let Err(error) = store.listen(Box::new(told)) {
        tracing::warn!(%error, "changes of the store are asked for more often");
    }
}

/// How long to wait before the store is looked at because somebody told of a change: by chance, so that not
/// all gateways ask it in the same moment.
fn spread(nodes: u32) -> Duration {
    let most = u64::from(nodes.saturating_sub(1)).saturating_mul(5).min(250);
    let chance = getrandom::u64().unwrap_or(0);
    Duration::from_millis(chance.checked_rem(most).unwrap_or(0))
}

/// A name of this process that no other one has, and that a person recognises: the machine's name and
/// eight digits of chance.
pub(crate) fn node_name() -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let fits = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut name: String = machine.trim().chars().filter(fits).take(48).collect();
    if name.is_empty() {
        name.push_str("node");
    }
    let chance = getrandom::u32().unwrap_or_else(|_| std::process::id());
    format!("{name}-{chance:08x}")
}

/// Puts numbers about other gateways on the page of metrics.
pub(crate) fn metrics(shared: &Shared, page: &mut Page) {
    page.head("mainstay_degraded");
    for reason in Reason::ALL {
        let on = u64::from(shared.degraded.is_on(reason));
        page.line("mainstay_degraded", &[("reason", reason.name())], on);
    }
    if let Some(leases) = shared.admission.limits.leases() {
        leases.metrics(page);
    }
    let Some(sharing) = &shared.sharing else {
        page.head("mainstay_shared_store_up");
        page.one("mainstay_nodes", 1);
        page.head("mainstay_shared_store_calls_total");
        return;
    };
    sharing.metrics(page);
}
