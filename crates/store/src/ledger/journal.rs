//! The journal: entries that the system has and SQLite does not have yet.
//!
//! In the mode `process` a hold counts as written when it survives the end of the process. Handing
//! a few hundred bytes to the system does that in the caller's own thread, without a change of
//! threads, for all holds that were noted side by side; the writer brings everything into SQLite a
//! little later, many calls at once. Until then it is the journal that is synced, so that the end of
//! the machine takes no more than the last moments. Two files take turns: while what is in one is
//! being brought over, the other is written, from its beginning; so both stay as small as those
//! moments are. A file is not written over before SQLite has what is in it on the disk.
//!
//! Entries have numbers that only rise. Each batch in SQLite says the number of the last entry it
//! has: after the end of a process, entries with higher numbers are those to be [`replay`]ed.
//!
//! What is noted is also what the writer gets: the same bytes, in the same order ([`Noted`]).
//!
//! [`replay`]: super::replay

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstay_core::store::{Entry, KeyRecord};

use super::record::Record;

mod form;

pub(super) use form::{Entries, Noted, texts};
use form::{FRAME, checksum, frame};

/// A store's name in its journal, so that one of another store is not taken for its own.
pub(super) type StoreMark = [u8; 16];

/// What a file begins with; the store's mark follows.
const MAGIC: [u8; 8] = *b"MSTYJR02";
/// The same until November 2026: each entry has its names.
const MAGIC_BEFORE: [u8; 8] = *b"MSTYJR01";
const HEADER: u64 = 24;
/// Memory for entries that is kept for the next ones, in bytes.
const KEPT: usize = 1 << 20;

/// The open journal.
#[derive(Debug)]
pub(super) struct Journal {
    files: Arc<[File; 2]>,
    mark: StoreMark,
    /// Which file is written, and where.
    turn: usize,
    at: u64,
    /// The last number given, in all and in each file.
    number: u64,
    last: [u64; 2],
    /// Entries that the writer has not taken; the system has the first `handed` bytes of them. Ends
    /// of reservations wait for the next hold, or for the writer's next look.
    noted: Vec<u8>,
    handed: usize,
    /// Whose and which model the last entry there is about.
    about: Option<(Option<Arc<KeyRecord>>, Arc<str>)>,
    /// The number of the last entry that the system has.
    has: u64,
    /// Numbers of entries that the writer has taken and the system does not have. It may have some
    /// between them.
    missing: Range<u64>,
    /// The system has something of the file that the disk may not have.
    unsynced: [bool; 2],
}

/// An entry as the journal has it: names are texts, and those of `record` are 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Journaled {
    pub(super) number: u64,
    pub(super) record: Record,
    pub(super) org: String,
    pub(super) project: String,
    /// The key's public part; empty where no keys are asked for.
    pub(super) key: String,
    /// The model; empty when the call named none.
    pub(super) model: String,
}

/// Files to be synced.
#[derive(Debug)]
pub(super) struct Unsynced {
    files: Arc<[File; 2]>,
    which: [bool; 2],
}

impl Unsynced {
    /// Waits until the disk has them.
    pub(super) fn sync(&self) -> io::Result<()> {
        let these = self.files.iter().zip(self.which).filter(|(_, wanted)| *wanted);
        these.map(|(file, _)| file).try_for_each(File::sync_data)
    }
}

impl Journal {
    /// A journal with nothing in it, whose numbers follow `after`.
    pub(super) fn start(store: &Path, mark: StoreMark, after: u64) -> io::Result<Journal> {
        let open = |name: PathBuf| -> io::Result<File> {
            let mut options = File::options();
            options.create(true).truncate(true).write(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(name)?;
            file.write_all(&[&MAGIC[..], &mark].concat())?;
            Ok(file)
        };
        let [first, second] = names(store).map(open);
        Ok(Journal {
            files: Arc::new([first?, second?]),
            mark,
            turn: 0,
            at: HEADER,
            number: after,
            last: [after; 2],
            noted: Vec::new(),
            handed: 0,
            about: None,
            has: after,
            missing: 0..0,
            unsynced: [false; 2],
        })
    }

    /// Takes an entry, and gives its number. The system has it when it was [handed
    /// over](Journal::hand_over), or after the next [`Journal::write`].
    pub(super) fn note(&mut self, entry: &Entry) -> u64 {
        self.number += 1;
        self.last[self.turn] = self.number;
        self.frame(self.number, entry);
        self.number
    }

    /// Takes an entry that is for the writer alone.
    pub(super) fn pass(&mut self, entry: &Entry) {
        self.frame(0, entry);
    }

    /// Puts an entry behind the others, without its names where those before it has are the same.
    fn frame(&mut self, number: u64, entry: &Entry) {
        let same = self.about.as_ref().is_some_and(|(key, model)| {
            let same_key = match (key, &entry.key) {
                (Some(one), Some(other)) => Arc::ptr_eq(one, other),
                (None, None) => true,
                _ => false,
            };
            same_key && (Arc::ptr_eq(model, &entry.model) || *model == entry.model)
        });
        if !same {
            self.about = Some((entry.key.clone(), Arc::clone(&entry.model)));
        }
        frame(&mut self.noted, &self.mark, number, entry, !same);
    }

    /// Bytes noted and not taken.
    pub(super) fn noted(&self) -> usize {
        self.noted.len()
    }

    /// Hands over what was noted, unless this entry went with one before. An error: the system may
    /// not have it.
    pub(super) fn hand_over(&mut self, number: u64) -> io::Result<()> {
        if self.missing.contains(&number) {
            return Err(io::Error::other("it could not be written when it was brought over"));
        }
        if number > self.has { self.write() } else { Ok(()) }
    }

    /// Hands over all that was noted. When that fails, nothing of it counts, and it is tried again with
    /// what is noted next.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let rest = &self.noted[self.handed..];
        if rest.is_empty() {
            return Ok(());
        }
        let mut file = &self.files[self.turn];
        if let Err(error) = file.write_all(rest) {
            file.seek(SeekFrom::Start(self.at))?;
            return Err(error);
        }
        self.at += rest.len() as u64;
        self.handed = self.noted.len();
        self.has = self.number;
        self.unsynced[self.turn] = true;
        Ok(())
    }

    /// The files that have something which is on the disk neither there nor in SQLite, whose last
    /// number on the disk is `durable`; they count as synced from then on.
    pub(super) fn unsynced(&mut self, durable: u64) -> Option<Unsynced> {
        let which = [0, 1].map(|file| self.unsynced[file] && self.last[file] > durable);
        self.unsynced = [false; 2];
        (which != [false; 2]).then(|| Unsynced { files: Arc::clone(&self.files), which })
    }

    /// They could not be synced.
    pub(super) fn still_unsynced(&mut self) {
        self.unsynced = [true; 2];
    }

    /// Puts what was noted so far into `to`, which is empty: it is about to be brought over.
    /// `durable` is the last number that SQLite has on the disk. The other file takes its turn,
    /// unless something in it is still needed.
    pub(super) fn take(&mut self, to: &mut Vec<u8>, durable: u64) {
        // What it is about is in memory; whoever still has to hand over a hold is told.
        if self.write().is_err() {
            let first = if self.missing.is_empty() { self.has + 1 } else { self.missing.start };
            self.missing = first..self.number + 1;
        }
        to.shrink_to(KEPT);
        std::mem::swap(&mut self.noted, to);
        self.handed = 0;
        self.about = None;
        if self.at == HEADER {
            return;
        }
        let other = 1 - self.turn;
        let start = SeekFrom::Start(HEADER);
        if self.last[other] <= durable && (&self.files[other]).seek(start).is_ok() {
            (self.turn, self.at) = (other, HEADER);
        }
    }

    /// Forgets everything: it was brought over.
    pub(super) fn clear(&mut self) {
        for file in &*self.files {
            // What is left is recognized as old by its numbers.
            let _ = file.set_len(HEADER);
        }
    }
}

/// Entries of a store's journal with numbers above `folded`, in their order. Files of another store
/// have none.
pub(super) fn read(store: &Path, mark: &StoreMark, folded: u64) -> io::Result<Vec<Journaled>> {
    let mut found = Vec::new();
    for name in names(store) {
        let bytes = match std::fs::read(name) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let begins = [MAGIC, MAGIC_BEFORE].iter().find_map(|magic| bytes.strip_prefix(magic));
        let Some(rest) = begins.and_then(|rest| rest.strip_prefix(mark)) else { continue };
        found.extend(sound(rest, mark));
    }
    found.retain(|entry| entry.number > folded);
    found.sort_by_key(|entry| entry.number);
    Ok(found)
}

/// The entries of one turn. What stands behind the last one is of an earlier turn, or half written.
fn sound(bytes: &[u8], mark: &StoreMark) -> Vec<Journaled> {
    let (mut found, mut before) = (Vec::new(), 0);
    for noted in Entries::of(bytes) {
        let sum = checksum(mark, &noted.bytes[FRAME..]).to_le_bytes();
        let texts = texts(noted.names).filter(|_| noted.bytes[4..FRAME] == sum);
        let Some([org, project, key, model]) = texts.filter(|_| noted.number > before) else {
            break;
        };
        let [org, project, key, model] = [org, project, key, model].map(str::to_owned);
        let Noted { number, record, .. } = noted;
        before = number;
        found.push(Journaled { number, record, org, project, key, model });
    }
    found
}

fn names(store: &Path) -> [PathBuf; 2] {
    ["0", "1"].map(|turn| {
        let mut name = store.as_os_str().to_owned();
        name.push(".ledger-journal-");
        name.push(turn);
        PathBuf::from(name)
    })
}

#[cfg(test)]
mod tests;
