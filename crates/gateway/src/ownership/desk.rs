//! The records of objects: a cache in front, the store behind, and what is to be written in between.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_core::store::{ObjectRecord, Store, StoreError, UnixMillis};
use tokio::sync::Notify;

use crate::refused::Refused;

/// Records in one generation of the cache; there are two.
const GENERATION: usize = 50_000;
/// Records that may wait to be written. Beyond it new ones are cached only, which the log tells.
const QUEUE_MAX: usize = 100_000;
/// How long records of what the provider itself forgets are kept: it keeps responses and chat
/// completions for 30 days. Source: the vendor's page on data controls, read 2026-11.
const KEPT: Duration = Duration::from_hours(31 * 24);
/// Objects of one project and family that are on record; the oldest beyond them are forgotten, and
/// are then open to operators only. A tenth of it is all that a list can show.
const EACH_MAX: usize = 1_000_000;
/// Families that are forgotten after that.
const FORGOTTEN: [&str; 2] = ["responses", "chat/completions"];

type Place = (Box<str>, Box<str>);

/// The records of objects. Shared by all workers.
#[derive(Debug)]
pub(crate) struct Objects {
    store: Option<Arc<dyn Store>>,
    state: Mutex<State>,
    /// Held while records are written, so that one writing does not end another one's.
    writing: Mutex<()>,
    /// There is something to write.
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    young: HashMap<Place, ObjectRecord>,
    old: HashMap<Place, ObjectRecord>,
    queue: Vec<ObjectRecord>,
    /// Taken from the queue and on the way to the store.
    writing: Vec<ObjectRecord>,
    swept: UnixMillis,
}

impl State {
    /// Records that the store may not have yet.
    fn waiting(&self) -> impl Iterator<Item = &ObjectRecord> {
        self.writing.iter().chain(&self.queue)
    }

    fn keep(&mut self, record: ObjectRecord) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert((record.family.clone(), record.id.clone()), record);
    }
}

impl Objects {
    /// Over this store. Without one, records last as long as the cache keeps them.
    pub(crate) fn new(store: Option<Arc<dyn Store>>) -> Objects {
        Objects { store, state: Mutex::default(), writing: Mutex::default(), news: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change below is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The record of an object.
    pub(crate) async fn find(
        &self,
        family: &'static str,
        id: &str,
    ) -> Result<Option<ObjectRecord>, Refused> {
        let place: Place = (family.into(), id.into());
        // What waits is looked at before the store: what is written meanwhile is in one of the two.
        let waiting = {
            let state = self.state();
            let cached = state.young.get(&place).or_else(|| state.old.get(&place));
            if let Some(record) = cached {
                return Ok(Some(record.clone()));
            }
            state.waiting().find(|one| *one.family == *family && *one.id == *id).cloned()
        };
        let found = self.ask(move |store| store.object(&place.0, &place.1)).await?.flatten();
        if let Some(record) = &found {
            self.state().keep(record.clone());
            return Ok(found);
        }
        Ok(waiting)
    }

    /// A project's objects of a family, newest first, at most `most`; those still to be written too.
    pub(crate) async fn of_project(
        &self,
        project: &str,
        family: &'static str,
        most: usize,
    ) -> Result<Vec<ObjectRecord>, Refused> {
        let waiting: Vec<ObjectRecord> = {
            let state = self.state();
            let his = state.waiting().filter(|one| *one.project == *project);
            his.filter(|one| *one.family == *family).cloned().collect()
        };
        let project = project.to_owned();
        let asked = self.ask(move |store| store.objects_of(&project, family, most)).await?;
        let mut all = asked.unwrap_or_default();
        all.extend(waiting);
        Ok(all)
    }

    /// Remembers an object: at once for those who ask here, soon in the store.
    pub(crate) fn remember(&self, record: ObjectRecord) {
        let mut state = self.state();
        if !record.adopted {
            state.keep(record.clone());
        }
        if state.queue.len() + state.writing.len() >= QUEUE_MAX {
            tracing::error!("the store takes no records of objects, so this one is not written");
            return;
        }
        state.queue.push(record);
        drop(state);
        self.news.notify_one();
    }

    /// Waits until there is something to write.
    pub(crate) async fn waited(&self) {
        self.news.notified().await;
    }

    /// Forgets an object that was deleted.
    pub(crate) fn forget(self: &Arc<Self>, family: &'static str, id: &str) {
        let place: Place = (family.into(), id.into());
        {
            let mut state = self.state();
            state.young.remove(&place);
            state.old.remove(&place);
            state.queue.retain(|one| (&one.family, &one.id) != (&place.0, &place.1));
        }
        let Some(store) = self.store.clone() else { return };
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store.forget_object(&place.0, &place.1) {
                tracing::warn!(%error, "a deleted object stays on record");
            }
        });
    }

    /// Writes what waits. Blocks; called when something waits, four times a second and at the end.
    ///
    /// # Errors
    ///
    /// The store failed; what waits is written the next time.
    pub(crate) fn flush(&self, now: UnixMillis) -> Result<(), StoreError> {
        let Some(store) = &self.store else { return Ok(()) };
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let (waiting, sweep) = {
            let mut state = self.state();
            // What could not be written the last time goes first.
            let queue = std::mem::take(&mut state.queue);
            state.writing.extend(queue);
            (state.writing.clone(), now.0.saturating_sub(state.swept.0) > 3_600_000)
        };
        if !waiting.is_empty() {
            store.put_objects(&waiting)?;
            self.state().writing = Vec::new();
        }
        if sweep {
            let kept = u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX);
            for family in FORGOTTEN {
                store.sweep_objects(family, UnixMillis(now.0.saturating_sub(kept)))?;
            }
            let gone = store.bound_objects(EACH_MAX)?;
            if gone > 0 {
                tracing::warn!(
                    gone,
                    most = EACH_MAX,
                    "the oldest objects of a project are forgotten"
                );
            }
            self.state().swept = now;
        }
        Ok(())
    }

    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Option<T>, Refused> {
        let Some(store) = self.store.clone() else { return Ok(None) };
        let away = || {
            Refused::full(
                "Whose object this is could not be looked up, because the store does not answer; try again.",
                Duration::from_secs(1),
            )
        };
        match tokio::task::spawn_blocking(move || work(&*store)).await {
            Ok(Ok(found)) => Ok(Some(found)),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the owner of an object could not be looked up");
                Err(away())
            }
            Err(_) => Err(away()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use mainstay_store::Memory;

    use super::*;

    /// The lookup has asked the store when the record reaches it: it is in neither then.
    #[test]
    fn a_record_that_is_written_during_a_lookup_is_found() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build();
        runtime.expect("a runtime").block_on(async {
            let objects = Objects::new(Some(Arc::new(Memory::new())));
            objects.remember(ObjectRecord {
                family: "files".into(),
                id: "file-1".into(),
                project: "p".into(),
                provider: "up".into(),
                credential: 0,
                made_at: UnixMillis(1),
                adopted: true,
            });
            let mut lookup = pin!(objects.find("files", "file-1"));
            poll_fn(|context| Poll::Ready(lookup.as_mut().poll(context).is_pending())).await;
            // One thread does what blocks, in turn: after this the store has been asked.
            tokio::task::spawn_blocking(|| ()).await.expect("a turn");
            objects.flush(UnixMillis(2)).expect("memory takes it");
            let found = lookup.await.ok().flatten();
            assert_eq!(found.map(|record| record.project), Some("p".into()));
        });
    }
}
