//! Which gateways use a store.

use core::time::Duration;

use super::{StoreError, UnixMillis};

/// Counts the gateways that use a store, so that several that share nothing are noticed.
pub trait NodeStore {
    /// Notes that the gateway `node` lives at `now`, and counts those that were heard of within
    /// `gone_after`, itself included. `None`: this store does not count, because it is one machine's.
    /// A store with a clock of its own goes by that.
    fn count_node(
        &self,
        node: &str,
        now: UnixMillis,
        gone_after: Duration,
    ) -> Result<Option<u32>, StoreError> {
        let _ = (node, now, gone_after);
        Ok(None)
    }
}
