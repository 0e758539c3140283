//! The limits as of a moment ago, by whom they are about.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::HashMap;
use mainstay_core::keys::PublicPart;
use mainstay_core::rules::limits::Share;
use mainstay_core::store::{LimitRecord, Subject, model_fits};

use super::Who;

/// All limits. Does not change; [`Book::after`] gives the next one. What it is looked up by is the
/// gateway's own: nobody outside can choose many that hash alike.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    organizations: HashMap<Box<str>, Vec<Arc<Row>>>,
    projects: HashMap<Box<str>, Vec<Arc<Row>>>,
    keys: HashMap<PublicPart, Vec<Arc<Row>>>,
    by_id: HashMap<u64, Arc<Row>>,
}

/// A limit, and how often it was in the way.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) record: LimitRecord,
    /// Calls it refused or, of a shadow, would have refused. Lives on when the limit changes.
    pub(super) in_the_way: Arc<AtomicU64>,
}

impl Row {
    pub(super) fn count(&self) {
        self.in_the_way.fetch_add(1, Ordering::Relaxed);
    }
}

impl Book {
    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn row(&self, id: u64) -> Option<&Arc<Row>> {
        self.by_id.get(&id)
    }

    /// All limits, in no order.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Arc<Row>> {
        self.by_id.values()
    }

    /// The book after these changes; a limit without a number is gone.
    pub(super) fn after(&self, changes: Vec<LimitRecord>) -> Book {
        let mut next = self.clone();
        for record in changes {
            let old = next.by_id.remove(&record.id);
            let rows = match &record.subject {
                Subject::Organization(id) => next.organizations.entry(id.clone()).or_default(),
                Subject::Project(id) => next.projects.entry(id.clone()).or_default(),
                Subject::Key(public) => next.keys.entry(*public).or_default(),
            };
            rows.retain(|row| row.record.id != record.id);
            if record.spec.is_empty() {
                continue;
            }
            let in_the_way = old.map_or_else(Arc::default, |old| Arc::clone(&old.in_the_way));
            let row = Arc::new(Row { record, in_the_way });
            rows.push(Arc::clone(&row));
            next.by_id.insert(row.record.id, row);
        }
        next.organizations.retain(|_, rows| !rows.is_empty());
        next.projects.retain(|_, rows| !rows.is_empty());
        next.keys.retain(|_, rows| !rows.is_empty());
        next
    }

    /// The limits that apply to a call of `who` for `model`.
    pub(super) fn shares(&self, who: &Who, model: Option<&str>) -> Vec<Share> {
        let of_key = who.key().and_then(|key| self.keys.get(key));
        let of_project = self.projects.get(who.project());
        let of_org = self.organizations.get(who.org());
        let rows = || [of_org, of_project, of_key].into_iter().flatten().flatten();
        let mut shares = Vec::with_capacity(rows().count());
        shares.extend(
            rows()
                .filter(|row| applies(row.record.model.as_deref(), model))
                .map(|row| Share::new(row.record.id, row.record.spec)),
        );
        shares
    }
}

/// Whether a limit for the models of `pattern` counts a call for `model`, also where the caller
/// names the provider before it.
fn applies(pattern: Option<&str>, model: Option<&str>) -> bool {
    let Some(pattern) = pattern else { return true };
    let Some(model) = model else { return false };
    let bare = model.split_once('/').map(|(_, bare)| bare);
    model_fits(pattern, model) || bare.is_some_and(|bare| model_fits(pattern, bare))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_a_model_holds_however_the_model_is_named() {
        for (pattern, model, counts) in [
            (None, None, true),
            (None, Some("gpt-4o"), true),
            (Some("gpt-4o"), None, false),
            (Some("gpt-4o"), Some("gpt-4o"), true),
            (Some("gpt-4o"), Some("gpt-4o-mini"), false),
            (Some("gpt-*"), Some("gpt-4o-mini"), true),
            (Some("gpt-4o"), Some("openai/gpt-4o"), true),
            (Some("openai/gpt-4o"), Some("openai/gpt-4o"), true),
        ] {
            assert_eq!(applies(pattern, model), counts, "{pattern:?} {model:?}");
        }
    }
}
