//! Reading the ledger beside a gateway that writes it: usage, export, verification.

use std::path::{Path, PathBuf};

use mainstay_core::money::Usd;
use mainstay_core::store::{Basis, EntryKind, ReservationId, StoreError, UnixMillis, UsageRow};
use mainstay_core::wire::usage::Usage;
use rusqlite::Connection;

use super::record::records;
use super::tables;
use super::verify::{self, Verified};

/// The ledger of a store's file, to be read.
#[derive(Debug)]
pub struct LedgerFile {
    path: PathBuf,
    connection: Connection,
}

/// An entry as it stands in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportRow {
    /// The batch it was written with.
    pub batch: i64,
    /// What it says.
    pub kind: EntryKind,
    /// The reservation it belongs to.
    pub reservation: ReservationId,
    /// When the call was admitted.
    pub at: UnixMillis,
    /// The organization's id.
    pub org: String,
    /// The project's id.
    pub project: String,
    /// The key's id; empty where no keys are asked for.
    pub key: String,
    /// The model; empty when the call named none.
    pub model: String,
    /// The amount.
    pub amount: Usd,
    /// Tokens, of a settlement.
    pub usage: Usage,
    /// Where the numbers come from.
    pub basis: Basis,
}

impl LedgerFile {
    /// Opens a store's file.
    ///
    /// # Errors
    ///
    /// As [`crate::Sqlite::open`].
    pub fn open(path: &Path) -> Result<LedgerFile, StoreError> {
        Ok(LedgerFile { path: path.to_owned(), connection: crate::sqlite::open_file(path)? })
    }

    /// Hands over what was settled in quarters of an hour that begin at `from` or later and before
    /// `to`, oldest first.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn usage(
        &mut self,
        from: UnixMillis,
        to: Option<UnixMillis>,
        each: &mut dyn FnMut(UsageRow),
    ) -> Result<(), StoreError> {
        let path = self.path.clone();
        let told = |error: rusqlite::Error| crate::sqlite::told(&error, "read usage", &path);
        let view = self.connection.transaction().map_err(told)?;
        let names = tables::names(&view).map_err(told)?;
        let name = |number: u32| names.get(&number).cloned().unwrap_or_default();
        let slots = tables::slot_of(from)..to.map_or(i64::MAX, tables::slot_of);
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        tables::each_sum(&view, slots, &mut |(slot, org, project, key, model), sums| {
            each(UsageRow {
                from: tables::start_of(slot),
                org: name(org),
                project: name(project),
                key: name(key),
                model: name(model),
                requests: count(sums.requests),
                input: count(sums.input),
                cached: count(sums.cached),
                output: count(sums.output),
                cost: sums.cost,
            });
        })
        .map_err(told)
    }

    /// Hands over every entry, in the order they were written. Entries that cannot be read are left
    /// out; [`LedgerFile::verify`] tells of them.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn export(&mut self, each: &mut dyn FnMut(ExportRow)) -> Result<(), StoreError> {
        let path = self.path.clone();
        let told = |error: rusqlite::Error| crate::sqlite::told(&error, "read the ledger", &path);
        let view = self.connection.transaction().map_err(told)?;
        let names = tables::names(&view).map_err(told)?;
        let name = |number: u32| names.get(&number).cloned().unwrap_or_default();
        let mut query =
            view.prepare("SELECT seq, records FROM ledger_batch ORDER BY seq").map_err(told)?;
        let mut rows = query.query([]).map_err(told)?;
        while let Some(row) = rows.next().map_err(told)? {
            let batch = row.get(0).map_err(told)?;
            let blob: Vec<u8> = row.get(1).map_err(told)?;
            for record in records(&blob).flatten() {
                each(ExportRow {
                    batch,
                    kind: record.kind,
                    reservation: record.reservation,
                    at: record.at,
                    org: name(record.org),
                    project: name(record.project),
                    key: name(record.key),
                    model: name(record.model),
                    amount: record.amount(),
                    usage: record.usage,
                    basis: record.basis,
                });
            }
        }
        Ok(())
    }

    /// Adds everything up again from the entries, and says what disagrees.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn verify(&mut self) -> Result<Verified, StoreError> {
        let path = self.path.clone();
        let told = |error: rusqlite::Error| crate::sqlite::told(&error, "read the ledger", &path);
        let view = self.connection.transaction().map_err(told)?;
        verify::run(&view).map_err(told)
    }
}
