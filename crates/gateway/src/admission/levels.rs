//! What counts as used of requests per day, remembered in the store: a restart gives no day anew. What
//! came after the last writing is lost when the process is killed. Where gateways share limits, the shared
//! store remembers.

use std::collections::HashMap;
use std::time::Duration;

use mainstay_core::rules::limits::{DayLevel, LimitSpec};
use mainstay_core::store::{LimitLevel, Store, StoreError, Subject, UnixMillis};
use mainstay_core::time::Moment;

use super::LimitDesk;
use super::limits::{SHARDS, SWEPT, shard};

impl LimitDesk {
    /// Goes on from what the store remembers. Called once, before the first call is admitted.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub(crate) fn resume(
        &self,
        store: &dyn Store,
        now: Moment,
        wall: UnixMillis,
    ) -> Result<(), StoreError> {
        if self.leases().is_some() {
            return Ok(());
        }
        let levels = store.levels()?;
        if levels.is_empty() {
            return Ok(());
        }
        let projects = store.projects()?;
        let book = self.book();
        for LimitLevel { id, used, at } in levels {
            let Some(row) = book.row(id) else { continue };
            let org = match &row.record.subject {
                Subject::Organization(id) => Some(id.clone()),
                Subject::Project(id) => {
                    projects.iter().find(|one| one.id == *id).map(|one| one.org.clone())
                }
                Subject::Key(public) => store.key(*public).ok().map(|key| key.org),
            };
            let Some(org) = org else { continue };
            // A clock that went back takes nothing off.
            let ago = Duration::from_millis(wall.0.saturating_sub(at.0));
            self.lock(shard(&org)).resume_day(id, &row.record.spec, used, ago, now);
        }
        Ok(())
    }

    /// Writes what has come since it wrote last. Blocks; for the background thread.
    ///
    /// # Errors
    ///
    /// The store failed; it is written the next time.
    pub(crate) fn remember(
        &self,
        store: &dyn Store,
        now: Moment,
        wall: UnixMillis,
    ) -> Result<(), StoreError> {
        if self.leases().is_some() {
            return Ok(());
        }
        let book = self.book();
        let spec_of = |id: u64| book.row(id).map(|row| row.record.spec);
        let mut written = self.written();
        let mut grown: Vec<DayLevel> = Vec::new();
        for index in 0..SHARDS {
            let mut place = None;
            loop {
                // One piece at a time, so that no caller waits long for the lock.
                let (found, next) = self.lock(index).days(place, SWEPT, now, spec_of);
                grown.extend(found.into_iter().filter(|level| is_news(&written, level, spec_of)));
                match next {
                    Some(next) => place = Some(next),
                    None => break,
                }
            }
        }
        if grown.is_empty() {
            return Ok(());
        }
        let levels: Vec<LimitLevel> = grown
            .iter()
            .map(|level| LimitLevel { id: level.id, used: level.used, at: wall })
            .collect();
        store.put_levels(&levels, wall)?;
        written.retain(|id, _| book.row(*id).is_some());
        written.extend(grown.into_iter().map(|level| (level.id, level)));
        Ok(())
    }
}

fn is_news(
    written: &HashMap<u64, DayLevel>,
    level: &DayLevel,
    spec_of: impl Fn(u64) -> Option<LimitSpec>,
) -> bool {
    let spec = spec_of(level.id).unwrap_or_default();
    written.get(&level.id).is_none_or(|earlier| level.grew_since(earlier, &spec))
}
