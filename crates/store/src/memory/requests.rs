//! Records of calls kept in memory.

use mainstay_core::store::{
    RequestBatch, RequestFilter, RequestId, RequestRecord, RequestStore, RequestsKept, StoreError,
    UnixMillis,
};

use super::Memory;
use crate::requests::{pieces, read};

impl RequestStore for Memory {
    fn keep_requests(
        &self,
        batch: &RequestBatch,
        kept: RequestsKept,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let mut world = self.world();
        let all = &mut world.requests;
        all.extend(pieces(batch.bytes()).filter_map(read));
        let oldest = now.minus(kept.age_max);
        while all.len() as u64 > kept.count_max || all.front().is_some_and(|one| one.at < oldest) {
            all.pop_front();
        }
        Ok(())
    }

    fn requests(
        &self,
        filter: &RequestFilter,
        limit: usize,
    ) -> Result<Vec<RequestRecord>, StoreError> {
        let world = self.world();
        let mut behind = filter.after.is_none();
        let mut is_asked = |record: &&RequestRecord| {
            let is_behind = behind;
            behind |= filter.after == Some(record.id);
            is_behind && filter.fits(record)
        };
        Ok(world
            .requests
            .iter()
            .rev()
            .filter(|record| is_asked(record))
            .take(limit)
            .cloned()
            .collect())
    }

    fn request(&self, id: RequestId) -> Result<Option<RequestRecord>, StoreError> {
        Ok(self.world().requests.iter().rev().find(|record| record.id == id).cloned())
    }
}
