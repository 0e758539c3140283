//! Which gateways use a store in memory: those of one process, in tests.

use std::time::Duration;

use mainstay_core::store::{NodeStore, StoreError, UnixMillis};

use super::Memory;

impl NodeStore for Memory {
    fn count_node(
        &self,
        node: &str,
        now: UnixMillis,
        gone_after: Duration,
    ) -> Result<Option<u32>, StoreError> {
        let mut world = self.world();
        world.nodes.insert(node.into(), now);
        world.nodes.retain(|_, seen| seen.plus(gone_after) >= now);
        Ok(Some(u32::try_from(world.nodes.len()).unwrap_or(u32::MAX)))
    }
}
