//! What the node's own journal has and PostgreSQL has not yet.
//!
//! The journal is a ledger in a SQLite file of the node; here it is read beside the thread that
//! writes it. What was brought over a while ago is taken out.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use mainstay_core::store::StoreError;
use rusqlite::{Connection, OptionalExtension, params};

use super::bring::Batch;
use crate::ledger::record::is_sound;
use crate::ledger::tables;

/// Batches that are kept after they were brought over: PostgreSQL may have lost its last writes.
const KEPT: i64 = 5_000;
/// Quarters of an hour for which the journal keeps sums of its own.
const SLOTS_KEPT: i64 = 8 * 96;

/// The journal, to be read.
#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    connection: Connection,
    names: HashMap<u32, String>,
}

impl Spool {
    pub(super) fn open(path: &Path) -> Result<Spool, StoreError> {
        let connection = crate::sqlite::open_file(path)?;
        Ok(Spool { path: path.to_owned(), connection, names: HashMap::new() })
    }

    /// The journal's name, which is the node's.
    pub(super) fn mark(&self) -> Result<String, StoreError> {
        let sql = "SELECT value FROM note WHERE name = 'ledger_journal'";
        self.told(self.connection.query_row(sql, [], |row| row.get(0)))
    }

    /// The number of the last batch.
    pub(super) fn last(&self) -> Result<i64, StoreError> {
        Ok(self.told(tables::last(&self.connection))?.seq)
    }

    /// The digest of a batch, if it is there.
    pub(super) fn digest(&self, seq: i64) -> Result<Option<[u8; 32]>, StoreError> {
        let sql = "SELECT digest FROM ledger_batch WHERE seq = ?1";
        self.told(self.connection.query_row(sql, [seq], |row| row.get(0)).optional())
    }

    /// Batches after `after`, oldest first: about so many entries, but at least one batch. Names are the
    /// journal's own numbers.
    pub(super) fn read(&self, after: i64, most: usize) -> Result<Vec<Batch>, StoreError> {
        const SQL: &str =
            "SELECT seq, digest, records FROM ledger_batch WHERE seq > ?1 ORDER BY seq";
        let mut query = self.told(self.connection.prepare_cached(SQL))?;
        let mut rows = self.told(query.query([after]))?;
        let (mut found, mut count) = (Vec::new(), 0);
        while count < most {
            let Some(row) = self.told(rows.next())? else { break };
            let (seq, journal) = (self.told(row.get(0))?, self.told(row.get(1))?);
            let blob = self.told(row.get_ref(2))?.as_blob().map_err(|_| self.damaged(seq))?;
            let (entries, rest) = blob.as_chunks();
            if !(rest.is_empty() && entries.iter().all(is_sound)) {
                return Err(self.damaged(seq));
            }
            count += entries.len();
            found.push(Batch { seq, journal, entries: blob.to_vec() });
        }
        Ok(found)
    }

    /// The texts of names, by the journal's numbers; an empty one for a number it does not know.
    pub(super) fn names(&mut self, numbers: &[u32]) -> Result<Vec<String>, StoreError> {
        if numbers.iter().any(|number| !self.names.contains_key(number)) {
            self.names = self.told(tables::names(&self.connection))?;
        }
        let text = |number| self.names.get(number).cloned().unwrap_or_default();
        Ok(numbers.iter().map(text).collect())
    }

    /// Takes out what was brought over long ago.
    pub(super) fn prune(&self, brought: i64) -> Result<(), StoreError> {
        let last = self.told(tables::last(&self.connection))?;
        let upto = (brought - KEPT).min(last.open_from - 1).min(last.seq - 1);
        let slot = tables::slot_of(mainstay_core::store::UnixMillis(last.latest)) - SLOTS_KEPT;
        let sql = "DELETE FROM ledger_batch WHERE seq <= ?1";
        self.told(self.connection.execute(sql, params![upto]))?;
        let sql = "DELETE FROM ledger_usage WHERE slot < ?1";
        self.told(self.connection.execute(sql, params![slot])).map(drop)
    }

    fn told<T>(&self, done: rusqlite::Result<T>) -> Result<T, StoreError> {
        let what = "read the node's journal of money";
        done.map_err(|error| crate::sqlite::told(&error, what, &self.path))
    }

    fn damaged(&self, seq: i64) -> StoreError {
        StoreError::Surroundings {
            what: "read the node's journal of money".to_owned(),
            why: format!("batch {seq} holds bytes that are no entry"),
            fix: format!(
                "restore `{}` from a copy, or move its folder away and start with an empty one: what it had not brought \
                 over is then charged as leased",
                self.path.display()
            ),
        }
    }
}
