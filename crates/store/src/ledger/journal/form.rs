//! Entries as the journal and the writer have them.
//!
//! ```text
//!  length 4 | checksum 8 | number 8 | record 80 | names: organization, project, key, model
//! ```
//!
//! Entries that follow each other are mostly about the same key and model: one that has the names of the
//! entry before it stands without.

use mainstay_core::store::{DEFAULT_ORG, DEFAULT_PROJECT, Entry};

use super::StoreMark;
use crate::ledger::record::{LENGTH, Record};

/// An entry's length and checksum, before its number, record and names.
pub(super) const FRAME: usize = 12;
/// Those and an entry's number and record: all before its names.
pub(super) const HEAD: usize = FRAME + 8 + LENGTH;
/// Names of an entry: organization, project, the key's public part, model.
const NAMES: usize = 4;
/// Longest name that is read back, in bytes; longer ones are cut by the system long before.
const NAME_MAX: usize = 1 << 24;

/// An entry as it was noted.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) struct Noted<'a> {
    pub(in crate::ledger) number: u64,
    pub(in crate::ledger) record: Record,
    /// Its names, side by side: alike for entries of one key and model. They stand with it, or with one
    /// before it.
    pub(in crate::ledger) names: &'a [u8],
    /// All of it.
    pub(super) bytes: &'a [u8],
}

impl Noted<'_> {
    /// Puts it behind others; `last` are the names of the last one of those, empty for none.
    pub(in crate::ledger) fn copy(&self, to: &mut Vec<u8>, last: &mut Vec<u8>) {
        let has_names = self.bytes.len() > HEAD;
        if !has_names && last != self.names {
            // Those that it stood behind have not all come here.
            let length = HEAD - FRAME + self.names.len();
            to.extend_from_slice(&short(length));
            to.extend_from_slice(&self.bytes[4..HEAD]);
            to.extend_from_slice(self.names);
        } else {
            to.extend_from_slice(self.bytes);
        }
        if last != self.names {
            last.clear();
            last.extend_from_slice(self.names);
        }
    }
}

/// Noted entries, one after the other.
#[derive(Debug)]
pub(in crate::ledger) struct Entries<'a> {
    rest: &'a [u8],
    names: &'a [u8],
}

impl<'a> Entries<'a> {
    pub(in crate::ledger) fn of(bytes: &'a [u8]) -> Entries<'a> {
        Entries { rest: bytes, names: &[] }
    }

    /// Bytes that have not been read.
    pub(in crate::ledger) fn rest(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Noted<'a>;

    fn next(&mut self) -> Option<Noted<'a>> {
        let (mut noted, behind) = first(self.rest)?;
        self.rest = behind;
        if noted.names.is_empty() {
            noted.names = self.names;
        }
        self.names = noted.names;
        Some(noted)
    }
}

/// Puts an entry behind others, with its names or without.
pub(super) fn frame(
    to: &mut Vec<u8>,
    mark: &StoreMark,
    number: u64,
    entry: &Entry,
    with_names: bool,
) {
    let (org, project, key) = match &entry.key {
        Some(key) => (&*key.org, &*key.project, key.public.as_str()),
        None => (DEFAULT_ORG, DEFAULT_PROJECT, ""),
    };
    let names = [org, project, key, &*entry.model];
    let names = if with_names { &names[..] } else { &[] };
    let length = HEAD - FRAME + names.iter().map(|name| 4 + name.len()).sum::<usize>();
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&short(length));
    head[FRAME..FRAME + 8].copy_from_slice(&number.to_le_bytes());
    head[FRAME + 8..].copy_from_slice(&Record::unnamed(entry).bytes());
    if names.is_empty() {
        let sum = checksum(mark, &head[FRAME..]);
        head[4..FRAME].copy_from_slice(&sum.to_le_bytes());
        return to.extend_from_slice(&head);
    }
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

/// The first of noted entries, and what stands behind it; its names are empty where it stands without.
fn first(bytes: &[u8]) -> Option<(Noted<'_>, &[u8])> {
    let length = u32::from_le_bytes(*bytes.first_chunk::<4>()?);
    let (bytes, behind) = bytes.split_at_checked(FRAME.checked_add(length as usize)?)?;
    let (number, body) = bytes.get(FRAME..)?.split_first_chunk::<8>()?;
    let (record, names) = body.split_first_chunk::<LENGTH>()?;
    let (number, record) = (u64::from_le_bytes(*number), Record::read(record)?);
    Some((Noted { number, record, names, bytes }, behind))
}

/// Organization, project, the key's public part and model.
pub(in crate::ledger) fn texts(mut names: &[u8]) -> Option<[&str; NAMES]> {
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
pub(super) fn checksum(mark: &StoreMark, bytes: &[u8]) -> u64 {
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
