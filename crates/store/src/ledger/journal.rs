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

use mainstay_core::store::{DEFAULT_ORG, DEFAULT_PROJECT, Entry};

use super::record::{LENGTH, Record};

/// A store's name in its journal, so that one of another store is not taken for its own.
pub(super) type StoreMark = [u8; 16];

/// What a file begins with; the store's mark follows.
const MAGIC: [u8; 8] = *b"MSTYJR01";
const HEADER: u64 = 24;
/// An entry's length and checksum, before its number, record and names.
const FRAME: usize = 12;
/// Those and an entry's number and record: all before its names.
const HEAD: usize = FRAME + 8 + LENGTH;
/// Names of an entry: organization, project, the key's public part, model.
const NAMES: usize = 4;
/// Longest name that is read back, in bytes; longer ones are cut by the system long before.
const NAME_MAX: usize = 1 << 24;
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

/// An entry as it was noted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noted<'a> {
    pub(super) number: u64,
    pub(super) record: Record,
    /// Its names, side by side: alike for entries of one key and model.
    pub(super) names: &'a [u8],
    /// All of it.
    pub(super) bytes: &'a [u8],
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
        frame(&mut self.noted, &self.mark, self.number, entry);
        self.number
    }

    /// Takes an entry that is for the writer alone.
    pub(super) fn pass(&mut self, entry: &Entry) {
        frame(&mut self.noted, &self.mark, 0, entry);
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
        let Some(rest) = bytes.strip_prefix(&MAGIC).and_then(|rest| rest.strip_prefix(mark)) else {
            continue;
        };
        // What stands behind the last entry of a turn is of an earlier one, or half written.
        let (mut rest, mut before) = (rest, 0);
        while let Some((entry, behind)) = parse(rest, mark).filter(|(one, _)| one.number > before) {
            (rest, before) = (behind, entry.number);
            found.push(entry);
        }
    }
    found.retain(|entry| entry.number > folded);
    found.sort_by_key(|entry| entry.number);
    Ok(found)
}

fn names(store: &Path) -> [PathBuf; 2] {
    ["0", "1"].map(|turn| {
        let mut name = store.as_os_str().to_owned();
        name.push(".ledger-journal-");
        name.push(turn);
        PathBuf::from(name)
    })
}

fn frame(to: &mut Vec<u8>, mark: &StoreMark, number: u64, entry: &Entry) {
    let (org, project, key) = match &entry.key {
        Some(key) => (&*key.org, &*key.project, key.public.as_str()),
        None => (DEFAULT_ORG, DEFAULT_PROJECT, ""),
    };
    let names = [org, project, key, &*entry.model];
    let length = HEAD - FRAME + names.map(|name| 4 + name.len()).iter().sum::<usize>();
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&short(length));
    head[FRAME..FRAME + 8].copy_from_slice(&number.to_le_bytes());
    head[FRAME + 8..].copy_from_slice(&Record::unnamed(entry).bytes());
    let start = to.len();
    to.reserve(FRAME + length);
    to.extend_from_slice(&head);
    for name in names {
        to.extend_from_slice(&short(name.len()));
        to.extend_from_slice(name.as_bytes());
    }
    let sum = checksum(mark, &to[start + FRAME..]);
    to[start + 4..start + FRAME].copy_from_slice(&sum.to_le_bytes());
}

fn short(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

/// The first entry of a file and what stands behind it; `None` where no whole entry stands.
fn parse<'a>(bytes: &'a [u8], mark: &StoreMark) -> Option<(Journaled, &'a [u8])> {
    let (noted, behind) = first(bytes)?;
    let (head, body) = noted.bytes.split_at_checked(FRAME)?;
    if head[4..] != checksum(mark, body).to_le_bytes() {
        return None;
    }
    let [org, project, key, model] = texts(noted.names)?.map(str::to_owned);
    let Noted { number, record, .. } = noted;
    Some((Journaled { number, record, org, project, key, model }, behind))
}

/// The first of noted entries, and what stands behind it.
pub(super) fn first(bytes: &[u8]) -> Option<(Noted<'_>, &[u8])> {
    let length = u32::from_le_bytes(*bytes.first_chunk::<4>()?);
    let (bytes, behind) = bytes.split_at_checked(FRAME.checked_add(length as usize)?)?;
    let (number, body) = bytes.get(FRAME..)?.split_first_chunk::<8>()?;
    let (record, names) = body.split_first_chunk::<LENGTH>()?;
    let (number, record) = (u64::from_le_bytes(*number), Record::read(record)?);
    Some((Noted { number, record, names, bytes }, behind))
}

/// Organization, project, the key's public part and model.
pub(super) fn texts(mut names: &[u8]) -> Option<[&str; NAMES]> {
    let mut texts = [""; NAMES];
    for text in &mut texts {
        let (length, rest) = names.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let (name, rest) = rest.split_at_checked(length).filter(|_| length <= NAME_MAX)?;
        (*text, names) = (std::str::from_utf8(name).ok()?, rest);
    }
    Some(texts)
}

/// Tells what is whole from what is half written or old; nobody is to be kept from forging it.
fn checksum(mark: &StoreMark, bytes: &[u8]) -> u64 {
    // Multiply and rotate, as in FxHash; with an odd factor no step loses anything.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let step = |sum: u64, word: u64| (sum ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let (words, tail) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..tail.len()].copy_from_slice(tail);
    let (marks, _) = mark.as_chunks::<8>();
    let all = marks.iter().chain(words).chain([&last]);
    all.fold(bytes.len() as u64, |sum, word| step(sum, u64::from_le_bytes(*word)))
}

#[cfg(test)]
mod tests {
    use mainstay_core::money::Usd;
    use mainstay_core::store::{Basis, EntryKind, ReservationId, UnixMillis};
    use mainstay_core::wire::usage::Usage;
    use proptest::prelude::*;
    use tempfile::tempdir;

    use super::*;

    const MARK: StoreMark = [7; 16];

    fn entry(id: u8) -> Entry {
        Entry {
            kind: EntryKind::Hold,
            reservation: ReservationId([id; 16]),
            at: UnixMillis(9),
            key: None,
            model: "m".repeat(usize::from(id)).into(),
            amount: Usd::from_pico(5),
            usage: Usage::default(),
            basis: Basis::default(),
        }
    }

    fn numbers(store: &Path, folded: u64) -> Vec<u64> {
        read(store, &MARK, folded).unwrap().iter().map(|entry| entry.number).collect()
    }

    #[test]
    fn what_was_written_is_read_back_and_what_was_only_noted_is_not() {
        let folder = tempdir().unwrap();
        let store = folder.path().join("s.db");
        let mut journal = Journal::start(&store, MARK, 40).unwrap();
        journal.note(&entry(1));
        journal.note(&entry(2));
        journal.write().unwrap();
        journal.note(&entry(3));
        let found = read(&store, &MARK, 0).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].number, &*found[0].model), (41, "m"));
        assert_eq!((found[1].number, &*found[1].org), (42, DEFAULT_ORG));
        assert_eq!(found[1].record, Record::unnamed(&entry(2)));
        assert_eq!(numbers(&store, 41), [42]);
        assert_eq!(read(&store, &[8; 16], 0).unwrap(), [], "the journal of another store");
    }

    #[test]
    fn files_take_turns_and_nothing_that_is_needed_is_written_over() {
        let folder = tempdir().unwrap();
        let store = folder.path().join("s.db");
        let mut journal = Journal::start(&store, MARK, 0).unwrap();
        let mut folded = 0;
        let mut written = 0;
        for round in 0..40_u8 {
            for id in 0..=round % 7 {
                written = journal.note(&entry(id * 3));
                journal.write().unwrap();
            }
            journal.take(&mut Vec::new(), folded);
            let all: Vec<u64> = (folded + 1..=written).collect();
            assert_eq!(numbers(&store, folded), all, "round {round}");
            // Every third batch cannot be brought over; the next one brings both.
            if round % 3 != 0 {
                folded = written;
            }
        }
        journal.clear();
        assert_eq!(numbers(&store, 0), [0; 0]);
    }

    #[test]
    fn the_writer_gets_what_was_noted_in_its_order() {
        let folder = tempdir().unwrap();
        let store = folder.path().join("s.db");
        let mut journal = Journal::start(&store, MARK, 0).unwrap();
        journal.note(&entry(1));
        journal.write().unwrap();
        journal.note(&entry(2));
        journal.pass(&entry(4));
        let mut taken = Vec::new();
        journal.take(&mut taken, 0);
        let mut rest = &taken[..];
        let mut found = Vec::new();
        while let Some((noted, behind)) = first(rest) {
            assert_eq!(texts(noted.names).unwrap()[0], DEFAULT_ORG);
            found.push((noted.number, noted.record.reservation.0[0]));
            rest = behind;
        }
        assert_eq!(found, [(1, 1), (2, 2), (0, 4)]);
        assert_eq!(journal.noted(), 0);
        assert_eq!(numbers(&store, 0), [1, 2]);
        // Each file once, and not when SQLite has all of it.
        assert!(journal.unsynced(2).is_none());
        journal.still_unsynced();
        assert!(journal.unsynced(1).is_some() && journal.unsynced(0).is_none());
    }

    #[test]
    fn what_was_noted_side_by_side_is_handed_over_once() {
        let folder = tempdir().unwrap();
        let store = folder.path().join("s.db");
        let mut journal = Journal::start(&store, MARK, 0).unwrap();
        let [first, second] = [1, 2].map(|id| journal.note(&entry(id)));
        assert_eq!(numbers(&store, 0), [0; 0]);
        journal.hand_over(first).unwrap();
        assert_eq!(numbers(&store, 0), [1, 2]);
        // What comes meanwhile waits for whoever has to hand it over.
        let third = journal.note(&entry(3));
        journal.hand_over(second).unwrap();
        assert_eq!(numbers(&store, 0), [1, 2]);
        journal.hand_over(third).unwrap();
        assert_eq!(numbers(&store, 0), [1, 2, 3]);
    }

    #[test]
    fn whoever_hands_over_is_told_what_the_system_does_not_have() {
        let folder = tempdir().unwrap();
        let store = folder.path().join("s.db");
        let mut journal = Journal::start(&store, MARK, 0).unwrap();
        let sound = Arc::clone(&journal.files);
        let broken = Arc::new(names(&store).map(|name| File::open(name).unwrap()));
        let first = journal.note(&entry(1));
        journal.files = Arc::clone(&broken);
        journal.hand_over(first).unwrap_err();
        let second = journal.note(&entry(2));
        journal.files = Arc::clone(&sound);
        journal.hand_over(first).unwrap();
        assert_eq!(numbers(&store, 0), [1, 2], "tried again with what came behind it");
        journal.hand_over(second).unwrap();

        let mut taken = Vec::new();
        let third = journal.note(&entry(3));
        journal.files = broken;
        journal.take(&mut taken, 0);
        journal.files = sound;
        journal.hand_over(third).unwrap_err();
        let fourth = journal.note(&entry(4));
        journal.hand_over(fourth).unwrap();
        journal.hand_over(third).unwrap_err();
        journal.hand_over(second).unwrap();
        assert_eq!(numbers(&store, 0), [1, 2, 4]);
        assert_eq!(first_numbers(&taken), [1, 2, 3], "the writer has it all the same");
    }

    /// The numbers of entries that were taken.
    fn first_numbers(mut rest: &[u8]) -> Vec<u64> {
        let mut found = Vec::new();
        while let Some((noted, behind)) = first(rest) {
            found.push(noted.number);
            rest = behind;
        }
        found
    }

    proptest! {
        #[test]
        fn a_file_that_was_cut_or_changed_gives_a_beginning_of_what_was_written(
            cut in 0_usize..700, at in 0_usize..700, bit in 0_u8..8,
        ) {
            let mut bytes = Vec::new();
            for id in 1..=4 {
                frame(&mut bytes, &MARK, u64::from(id), &entry(id));
            }
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
            bytes.truncate(cut);
            let mut rest = &bytes[..];
            let mut count = 0;
            while let Some((found, behind)) = parse(rest, &MARK) {
                count += 1;
                prop_assert_eq!(found.number, count);
                prop_assert_eq!(found.record, Record::unnamed(&entry(u8::try_from(count).unwrap())));
                rest = behind;
            }
        }
    }
}
