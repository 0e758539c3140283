//! An entry as 80 bytes, and back.
//!
//! Numbers are little-endian; names are numbers of the table `ledger_name`, 0 for none. A batch is
//! one row whose blob is such records side by side.

use std::ops::Range;

use mainstay_core::money::Usd;
use mainstay_core::store::{Basis, Entry, EntryKind, ReservationId, UnixMillis};
use mainstay_core::wire::usage::Usage;

/// Bytes of a record.
pub(crate) const LENGTH: usize = 80;

/// An entry with names as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: EntryKind,
    pub(crate) basis: Basis,
    pub(crate) org: u32,
    pub(crate) project: u32,
    pub(crate) key: u32,
    pub(crate) model: u32,
    pub(crate) reservation: ReservationId,
    pub(crate) at: UnixMillis,
    /// Pico-USD.
    pub(crate) amount: i64,
    pub(crate) usage: Usage,
}

const ESTIMATED: u8 = 1;
const RECOVERED: u8 = 2;
const UNPRICED: u8 = 4;

impl Record {
    pub(crate) fn amount(&self) -> Usd {
        Usd::from_pico(i128::from(self.amount))
    }

    /// An entry whose names have no numbers yet.
    pub(crate) fn unnamed(entry: &Entry) -> Record {
        Record {
            kind: entry.kind,
            basis: entry.basis,
            org: 0,
            project: 0,
            key: 0,
            model: 0,
            reservation: entry.reservation,
            at: entry.at,
            amount: entry.amount.entry().unwrap_or(i64::MAX),
            usage: entry.usage,
        }
    }

    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.bytes());
    }

    pub(super) fn bytes(&self) -> [u8; LENGTH] {
        let mut to = [0; LENGTH];
        (to[0], to[1]) = (code(self.kind), flags(self.basis));
        to[4..8].copy_from_slice(&self.org.to_le_bytes());
        to[8..12].copy_from_slice(&self.project.to_le_bytes());
        to[12..16].copy_from_slice(&self.key.to_le_bytes());
        to[16..20].copy_from_slice(&self.model.to_le_bytes());
        to[20..36].copy_from_slice(&self.reservation.0);
        to[36..44].copy_from_slice(&self.at.0.to_le_bytes());
        to[44..52].copy_from_slice(&self.amount.to_le_bytes());
        to[52..60].copy_from_slice(&self.usage.input.to_le_bytes());
        to[60..68].copy_from_slice(&self.usage.cached.to_le_bytes());
        to[68..76].copy_from_slice(&self.usage.output.to_le_bytes());
        to
    }

    /// `None` when the bytes are no record: they were damaged, or written by a newer version.
    pub(crate) fn read(bytes: &[u8; LENGTH]) -> Option<Record> {
        let kind = kind_of(bytes[0])?;
        let basis = basis_of(bytes[1])?;
        if !is_sound(bytes) {
            return None;
        }
        let [org, project, key, model] = names(bytes);
        Some(Record {
            kind,
            basis,
            org,
            project,
            key,
            model,
            reservation: ReservationId(part(bytes, 20)),
            at: UnixMillis(u64::from_le_bytes(part(bytes, 36))),
            amount: i64::from_le_bytes(part(bytes, 44)),
            usage: Usage {
                input: u64::from_le_bytes(part(bytes, 52)),
                cached: u64::from_le_bytes(part(bytes, 60)),
                output: u64::from_le_bytes(part(bytes, 68)),
            },
        })
    }
}

/// Where the numbers of names stand among a record's bytes: organization, project, key, model.
const NAMES: Range<usize> = 4..20;
/// Where counts stand that PostgreSQL has as 63 bits: the time, and tokens.
#[cfg(feature = "postgres")]
const COUNTS: [usize; 4] = [36, 52, 60, 68];

/// The bytes of a record, changed where they stand.
pub(crate) type Bytes = [u8; LENGTH];

/// Whether bytes are a record.
pub(crate) fn is_sound(bytes: &Bytes) -> bool {
    let head = kind_of(bytes[0]).is_some() && basis_of(bytes[1]).is_some();
    head && bytes[2..4] == [0; 2] && bytes[76..] == [0; 4]
}

/// The numbers of a record's names.
pub(crate) fn names(bytes: &Bytes) -> [u32; 4] {
    std::array::from_fn(|place| u32::from_le_bytes(part(bytes, NAMES.start + 4 * place)))
}

/// Puts other numbers of names into a record.
#[cfg(feature = "postgres")]
pub(crate) fn rename(bytes: &mut Bytes, names: [u32; 4]) {
    bytes[NAMES].copy_from_slice(names.map(u32::to_le_bytes).as_flattened());
}

/// Makes a record what PostgreSQL can hold: counts above 63 bits are as many as fit.
#[cfg(feature = "postgres")]
pub(crate) fn fit(bytes: &mut Bytes) {
    for from in COUNTS {
        if bytes[from + 7] >= 0x80 {
            bytes[from..from + 8].copy_from_slice(&i64::MAX.to_le_bytes());
        }
    }
}

/// The records of a batch's blob; an item is `None` where one was damaged.
pub(crate) fn records(blob: &[u8]) -> impl Iterator<Item = Option<Record>> + '_ {
    blob.chunks(LENGTH).map(|bytes| Record::read(bytes.try_into().ok()?))
}

#[inline]
fn part<const N: usize>(bytes: &Bytes, from: usize) -> [u8; N] {
    // All places are constants within a record.
    bytes[from..].first_chunk().copied().unwrap_or([0; N])
}

/// The number of where an entry's numbers come from.
pub(crate) fn flags(basis: Basis) -> u8 {
    let flag = |is: bool, flag: u8| if is { flag } else { 0 };
    flag(basis.estimated, ESTIMATED)
        | flag(basis.recovered, RECOVERED)
        | flag(basis.unpriced, UNPRICED)
}

pub(crate) fn basis_of(flags: u8) -> Option<Basis> {
    (flags <= (ESTIMATED | RECOVERED | UNPRICED)).then_some(Basis {
        estimated: flags & ESTIMATED != 0,
        recovered: flags & RECOVERED != 0,
        unpriced: flags & UNPRICED != 0,
    })
}

/// The number of a kind.
pub(crate) const fn code(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::Hold => 1,
        EntryKind::Exposure => 2,
        EntryKind::Settle => 3,
        EntryKind::Release => 4,
        EntryKind::Adjust => 5,
    }
}

pub(crate) fn kind_of(number: u8) -> Option<EntryKind> {
    EntryKind::ALL.into_iter().find(|kind| code(*kind) == number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_record() -> impl Strategy<Value = Record> {
        let names = proptest::array::uniform4(any::<u32>());
        let counts = proptest::array::uniform3(any::<u64>());
        (0usize..5, 0u8..8, names, any::<[u8; 16]>(), any::<u64>(), any::<i64>(), counts).prop_map(
            |(kind, flags, [org, project, key, model], id, at, amount, [input, cached, output])| {
                Record {
                    kind: EntryKind::ALL[kind],
                    basis: Basis {
                        estimated: flags & 1 != 0,
                        recovered: flags & 2 != 0,
                        unpriced: flags & 4 != 0,
                    },
                    org,
                    project,
                    key,
                    model,
                    reservation: ReservationId(id),
                    at: UnixMillis(at),
                    amount,
                    usage: Usage { input, output, cached },
                }
            },
        )
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(records_in in proptest::collection::vec(any_record(), 0..9)) {
            let mut blob = Vec::new();
            for record in &records_in {
                record.write(&mut blob);
            }
            prop_assert_eq!(blob.len(), records_in.len() * LENGTH);
            let read: Option<Vec<Record>> = records(&blob).collect();
            prop_assert_eq!(read, Some(records_in));
        }

        #[cfg(feature = "postgres")]
        #[test]
        fn a_record_is_changed_where_it_stands_as_if_it_were_written_anew(
            record in any_record(),
            [org, project, key, model] in proptest::array::uniform4(any::<u32>()),
        ) {
            let mut bytes = record.bytes();
            prop_assert_eq!(names(&bytes), [record.org, record.project, record.key, record.model]);
            rename(&mut bytes, [org, project, key, model]);
            prop_assert_eq!(bytes, Record { org, project, key, model, ..record }.bytes());
            fit(&mut bytes);
            let most = |count: u64| count.min(i64::MAX as u64);
            let Usage { input, cached, output } = record.usage;
            let usage =
                Usage { input: most(input), cached: most(cached), output: most(output) };
            let at = UnixMillis(most(record.at.0));
            prop_assert_eq!(bytes, Record { org, project, key, model, at, usage, ..record }.bytes());
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_panic(blob in proptest::collection::vec(any::<u8>(), 0..200)) {
            for bytes in blob.as_chunks().0 {
                prop_assert_eq!(is_sound(bytes), Record::read(bytes).is_some());
            }
            records(&blob).for_each(drop);
        }
    }
}
