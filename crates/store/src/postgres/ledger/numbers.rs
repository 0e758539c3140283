//! Names of the journal by PostgreSQL's numbers: each has numbered them as they came.

use std::collections::{BTreeMap, BTreeSet};

use super::bring::Batch;
use crate::ledger::record::{Bytes, names, rename};

/// PostgreSQL's numbers by the journal's. 0 is no name on either side.
#[derive(Debug, Default)]
pub(super) struct Numbers(BTreeMap<u32, u32>);

impl Numbers {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn extend(&mut self, found: impl IntoIterator<Item = (u32, u32)>) {
        self.0.extend(found);
    }

    /// The journal's numbers in these batches whose others are not known.
    pub(super) fn unknown(&self, batches: &[Batch]) -> Vec<u32> {
        let (mut unknown, mut before) = (BTreeSet::new(), [0; 4]);
        for record in batches.iter().flat_map(Batch::entries) {
            let names = names(record);
            // Most entries have the names of the one before.
            if names != before {
                before = names;
                let new = |name: &u32| *name != 0 && !self.0.contains_key(name);
                unknown.extend(names.into_iter().filter(new));
            }
        }
        unknown.into_iter().collect()
    }

    /// Puts PostgreSQL's numbers into entries of the journal.
    pub(super) fn put<'r>(&self, records: impl IntoIterator<Item = &'r mut Bytes>) {
        let (mut before, mut after) = ([0; 4], [0; 4]);
        for record in records {
            let names = names(record);
            if names != before {
                before = names;
                after = names.map(|name| self.0.get(&name).copied().unwrap_or(0));
            }
            rename(record, after);
        }
    }
}

#[cfg(test)]
mod tests {
    use mainstay_core::store::{Basis, EntryKind, ReservationId, UnixMillis};
    use mainstay_core::wire::usage::Usage;

    use super::*;
    use crate::ledger::record::Record;

    fn record([org, project, key, model]: [u32; 4]) -> Record {
        Record {
            kind: EntryKind::Settle,
            basis: Basis::default(),
            org,
            project,
            key,
            model,
            reservation: ReservationId([7; 16]),
            at: UnixMillis(5),
            amount: 9,
            usage: Usage::default(),
        }
    }

    fn batch(of: &[[u32; 4]]) -> Batch {
        let mut entries = Vec::new();
        for names in of {
            record(*names).write(&mut entries);
        }
        Batch { seq: 1, journal: [0; 32], entries }
    }

    #[test]
    fn unknown_names_are_told_once_and_none_is_no_name() {
        let mut numbers = Numbers::default();
        let batches = [batch(&[[1, 2, 0, 3], [1, 2, 0, 3], [1, 2, 4, 3]]), batch(&[[1, 9, 0, 0]])];
        assert_eq!(numbers.unknown(&batches), [1, 2, 3, 4, 9]);
        numbers.extend([(1, 11), (2, 12), (3, 13)]);
        assert_eq!(numbers.unknown(&batches), [4, 9]);
        // As often as it is asked: an entry like the last one of another batch is no reason to skip it.
        assert_eq!(numbers.unknown(&batches[1..]), [9]);
    }

    #[test]
    fn entries_keep_all_but_their_names() {
        let mut numbers = Numbers::default();
        numbers.extend([(1, 11), (2, 1), (3, 2)]);
        let mut batch = batch(&[[1, 2, 0, 3], [1, 2, 0, 3], [3, 2, 1, 9], [0; 4], [1, 2, 0, 3]]);
        numbers.put(batch.entries_mut());
        let put = [[11, 1, 0, 2], [11, 1, 0, 2], [2, 1, 11, 0], [0; 4], [11, 1, 0, 2]];
        assert_eq!(batch.records().collect::<Vec<Record>>(), put.map(record));
    }
}
