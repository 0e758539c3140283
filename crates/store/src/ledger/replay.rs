//! What the journal of a process that died has and SQLite has not is brought over, once.

use std::collections::BTreeMap;
use std::path::Path;

use mainstay_core::store::{EntryKind, StoreError, key_id};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::journal::{self, Journaled, StoreMark};
use super::record::Record;
use super::tables::{self, Last, Names};
use super::{recover, unwritable};
use crate::failpoint::failpoint;

/// The note that names the store in its journal.
const NOTE: &str = "ledger_journal";

/// Brings the journal over, all in one batch, and gives the store's mark.
///
/// # Errors
///
/// The journal or the store cannot be read or written.
pub(super) fn run(connection: &mut Connection, path: &Path) -> Result<StoreMark, StoreError> {
    let what = "bring over what the last run left in the ledger's journal";
    let told = |error: rusqlite::Error| crate::sqlite::told(&error, what, path);
    let mark = mark(connection, path)?;
    let last = tables::last(connection).map_err(told)?;
    let journaled = journal::read(path, &mark, last.journal).map_err(unwritable)?;
    let Some(newest) = journaled.last().map(|entry| entry.number) else { return Ok(mark) };
    let sound = sound(connection, last.open_from, path, journaled)?;
    let change =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(told)?;
    let mut names = Names::load(&change).map_err(told)?;
    let (mut blob, mut sums, mut latest) = (Vec::new(), BTreeMap::new(), last.latest);
    for entry in &sound {
        let record = numbered(&change, &mut names, entry).map_err(told)?;
        record.write(&mut blob);
        tables::add(&mut sums, &record);
        latest = latest.max(record.at.0);
    }
    let seq = last.seq + 1;
    let digest = tables::digest(&last.digest, seq, &blob);
    let batch = Last { seq, latest, open_from: last.open_from, digest, journal: newest };
    tables::put_batch(&change, &batch, &blob).map_err(told)?;
    tables::put_sums(&change, &sums).map_err(told)?;
    failpoint("replay-before-commit");
    change.commit().map_err(told)?;
    failpoint("replay-after-commit");
    Ok(mark)
}

/// The entries that keep the ledger's rules, as the writer would have taken them.
fn sound(
    connection: &Connection,
    open_from: i64,
    path: &Path,
    journaled: Vec<Journaled>,
) -> Result<Vec<Journaled>, StoreError> {
    let mut open = recover::open(connection, open_from, path)?;
    let keeps = |entry: &Journaled| {
        let (id, record) = (entry.record.reservation, entry.record);
        match record.kind {
            EntryKind::Hold => {
                open.entry(id).or_insert(record);
                true
            }
            EntryKind::Exposure => open.contains_key(&id),
            EntryKind::Settle | EntryKind::Release => open.remove(&id).is_some(),
            EntryKind::Adjust => true,
        }
    };
    let mut sound = journaled;
    sound.retain(keeps);
    Ok(sound)
}

fn numbered(
    to: &Connection,
    names: &mut Names,
    entry: &Journaled,
) -> Result<Record, rusqlite::Error> {
    let Journaled { org, project, key, model, record, .. } = entry;
    let [org, project, key, model] = numbers(to, names, [org, project, key, model])?;
    Ok(Record { org, project, key, model, ..*record })
}

/// The numbers of an entry's names: organization, project, the key's public part, model.
pub(super) fn numbers(
    to: &Connection,
    names: &mut Names,
    [org, project, key, model]: [&str; 4],
) -> Result<[u32; 4], rusqlite::Error> {
    let key = match key.parse() {
        Ok(public) => names.number(to, &key_id(public))?,
        Err(_) => 0,
    };
    Ok([names.number(to, org)?, names.number(to, project)?, key, names.model(to, model)?])
}

/// The store's name in its journal, made once.
fn mark(connection: &Connection, path: &Path) -> Result<StoreMark, StoreError> {
    let told = |error: rusqlite::Error| crate::sqlite::told(&error, "name the journal", path);
    let find = || -> rusqlite::Result<Option<String>> {
        let mut query = connection.prepare("SELECT value FROM note WHERE name = ?1")?;
        query.query_row([NOTE], |row| row.get(0)).optional()
    };
    let text = if let Some(text) = find().map_err(told)? {
        text
    } else {
        let text = crate::secrets::random_token()?;
        let sql = "INSERT INTO note (name, value) VALUES (?1, ?2)";
        connection.execute(sql, [NOTE, &text]).map_err(told)?;
        text
    };
    let mut mark = StoreMark::default();
    mark.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
    Ok(mark)
}
