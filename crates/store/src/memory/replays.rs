//! Answers kept in memory.

use std::collections::BTreeMap;

use mainstay_core::store::{Replay, ReplayPlace, ReplayStore, ReplaysKept, StoreError, UnixMillis};

use super::Memory;

/// Answers by their place, and places by the time they are forgotten.
#[derive(Debug, Default)]
pub(super) struct Replays {
    kept: BTreeMap<ReplayPlace, (u64, Replay)>,
    by_age: BTreeMap<u64, ReplayPlace>,
    next: u64,
    bytes: u64,
}

impl Replays {
    fn remove(&mut self, place: ReplayPlace) {
        if let Some((age, replay)) = self.kept.remove(&place) {
            self.by_age.remove(&age);
            self.bytes -= size(&replay);
        }
    }

    fn keep(&mut self, place: ReplayPlace, replay: Replay, most: ReplaysKept, now: UnixMillis) {
        self.remove(place);
        self.bytes += size(&replay);
        self.by_age.insert(self.next, place);
        self.kept.insert(place, (self.next, replay));
        self.next += 1;
        while let Some(oldest) = self.by_age.first_entry().map(|entry| *entry.get()) {
            let over = self.kept.get(&oldest).is_none_or(|(_, replay)| replay.until <= now);
            let full = self.bytes > most.bytes_max || self.kept.len() as u64 > most.count_max;
            if !over && !full {
                return;
            }
            self.remove(oldest);
        }
    }
}

fn size(replay: &Replay) -> u64 {
    replay.body.as_ref().map_or(0, |body| body.len() as u64)
}

impl ReplayStore for Memory {
    fn replay(&self, place: ReplayPlace, now: UnixMillis) -> Result<Option<Replay>, StoreError> {
        let world = self.world();
        let found = world.replays.kept.get(&place).map(|(_, replay)| replay);
        Ok(found.filter(|replay| replay.until > now).cloned())
    }

    fn keep_replay(
        &self,
        place: ReplayPlace,
        replay: Replay,
        kept: ReplaysKept,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.world().replays.keep(place, replay, kept, now);
        Ok(())
    }
}
