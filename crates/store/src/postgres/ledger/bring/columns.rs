//! Entries as the columns of one statement, each written as PostgreSQL reads an array: an entry costs a
//! few copies, and no allocation.
//!
//! The form of an array is that of `array_recv` and `array_send` of PostgreSQL: the number of dimensions,
//! a flag for nulls, the type of the elements, for each dimension its length and its first index, and then
//! each element behind its length in bytes; numbers are big-endian.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::{Batch, Node, long, signed};
use crate::ledger::record::{Record, code, flags};

/// Bytes of an element's length.
const BEFORE: usize = 4;
/// Bytes of an entry, not much more than they are: what columns have before their elements is within it from
/// a few entries on.
const ENTRY: usize = 160;

/// What a column can have, always of one length.
trait Element {
    /// Of the element, and of an array of it.
    const TYPES: (Type, Type);
    /// An element behind its length. Of a fixed size, so that it is written where it stays.
    type Piece: std::fmt::Debug;
    fn piece(self) -> Self::Piece;
    fn flat(pieces: &[Self::Piece]) -> &[u8];
}

macro_rules! element {
    ($of:ty, $length:literal, $one:ident, $array:ident, $bytes:expr) => {
        impl Element for $of {
            const TYPES: (Type, Type) = (Type::$one, Type::$array);
            type Piece = [u8; BEFORE + $length];

            #[inline]
            fn piece(self) -> Self::Piece {
                const LENGTH: [u8; BEFORE] = u32::to_be_bytes($length);
                let mut piece = [0; BEFORE + $length];
                if let Some(before) = piece.first_chunk_mut() {
                    *before = LENGTH;
                }
                if let Some(element) = piece.last_chunk_mut() {
                    *element = $bytes(self);
                }
                piece
            }

            fn flat(pieces: &[Self::Piece]) -> &[u8] {
                pieces.as_flattened()
            }
        }
    };
}

element!(i16, 2, INT2, INT2_ARRAY, i16::to_be_bytes);
element!(i32, 4, INT4, INT4_ARRAY, i32::to_be_bytes);
element!(i64, 8, INT8, INT8_ARRAY, i64::to_be_bytes);
element!([u8; 16], 16, BYTEA, BYTEA_ARRAY, std::convert::identity::<[u8; 16]>);

/// A column.
#[derive(Debug)]
struct Column<T: Element> {
    pieces: Vec<T::Piece>,
    /// Bytes that columns behind it are.
    behind: usize,
}

impl<T: Element> Column<T> {
    /// With room for so many.
    fn new(count: usize) -> Column<T> {
        Column { pieces: Vec::with_capacity(count), behind: 0 }
    }

    #[inline]
    fn push(&mut self, one: T) {
        self.pieces.push(one.piece());
    }
}

impl<T: Element + std::fmt::Debug> ToSql for Column<T> {
    fn to_sql(&self, _: &Type, to: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        const DIMENSIONS: i32 = 1;
        const NULLS: i32 = 0;
        const FIRST: i32 = 1;
        let bytes = T::flat(&self.pieces);
        to.reserve(5 * size_of::<i32>() + bytes.len() + self.behind);
        to.put_i32(DIMENSIONS);
        to.put_i32(NULLS);
        to.put_u32(T::TYPES.0.oid());
        to.put_i32(i32::try_from(self.pieces.len())?);
        to.put_i32(FIRST);
        to.put_slice(bytes);
        Ok(IsNull::No)
    }

    fn accepts(of: &Type) -> bool {
        *of == T::TYPES.1
    }

    to_sql_checked!();
}

/// Entries, column by column.
pub(super) struct Columns {
    node: i32,
    seq: Column<i64>,
    place: Column<i32>,
    kind: Column<i16>,
    flags: Column<i16>,
    names: [Column<i32>; 4],
    reservation: Column<[u8; 16]>,
    at: Column<i64>,
    amount: Column<i64>,
    tokens: [Column<i64>; 3],
}

macro_rules! insert_entries {
    () => {
        "INSERT INTO ledger_entry
        SELECT $1, * FROM unnest($2::bigint[], $3::int[], $4::smallint[], $5::smallint[], $6::int[],
          $7::int[], $8::int[], $9::int[], $10::bytea[], $11::bigint[], $12::bigint[],
          $13::bigint[], $14::bigint[], $15::bigint[])"
    };
}

impl Columns {
    /// Writes all of them, or fails.
    pub(super) const ALL: &'static str = insert_entries!();
    /// Writes those that may be.
    pub(super) const SQL: &'static str = concat!(insert_entries!(), " ON CONFLICT DO NOTHING");

    /// Of batches; `each` sees every entry on the way.
    pub(super) fn of<'b>(
        node: Node,
        new: impl IntoIterator<Item = &'b Batch> + Clone,
        mut each: impl FnMut(&Record),
    ) -> Columns {
        let count = new.clone().into_iter().map(Batch::len).sum();
        let mut columns = Columns {
            node: node.id,
            seq: Column::new(count),
            place: Column::new(count),
            kind: Column::new(count),
            flags: Column::new(count),
            names: std::array::from_fn(|_| Column::new(count)),
            reservation: Column::new(count),
            at: Column::new(count),
            amount: Column::new(count),
            tokens: std::array::from_fn(|_| Column::new(count)),
        };
        // The first one makes room for all: what stands before would be moved with each that needs more.
        columns.seq.behind = count * ENTRY;
        for batch in new {
            for (place, record) in (0..).zip(batch.records()) {
                columns.push(batch.seq, place, &record);
                each(&record);
            }
        }
        columns
    }

    /// How many entries they are.
    pub(super) fn len(&self) -> usize {
        self.seq.pieces.len()
    }

    pub(super) fn values(&self) -> [&(dyn ToSql + Sync); 15] {
        let ([org, project, key, model], [input, cached, output]) = (&self.names, &self.tokens);
        [
            &self.node,
            &self.seq,
            &self.place,
            &self.kind,
            &self.flags,
            org,
            project,
            key,
            model,
            &self.reservation,
            &self.at,
            &self.amount,
            input,
            cached,
            output,
        ]
    }

    fn push(&mut self, seq: i64, place: i32, record: &Record) {
        self.seq.push(seq);
        self.place.push(place);
        self.kind.push(i16::from(code(record.kind)));
        self.flags.push(i16::from(flags(record.basis)));
        let names = [record.org, record.project, record.key, record.model];
        for (column, name) in self.names.iter_mut().zip(names) {
            column.push(signed(name));
        }
        self.reservation.push(record.reservation.0);
        self.at.push(long(record.at.0));
        self.amount.push(record.amount);
        let tokens = [record.usage.input, record.usage.cached, record.usage.output];
        for (column, count) in self.tokens.iter_mut().zip(tokens) {
            column.push(long(count));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the driver makes of the same values is the yardstick.
    fn same<T: Element + Copy + std::fmt::Debug>(values: &[T], theirs: &(dyn ToSql + Sync)) {
        let mut column = Column::new(0);
        for one in values {
            column.push(*one);
        }
        let (of, [mut ours, mut known]) = (T::TYPES.1, [BytesMut::new(), BytesMut::new()]);
        column.to_sql_checked(&of, &mut ours).unwrap();
        theirs.to_sql_checked(&of, &mut known).unwrap();
        assert_eq!(ours, known);
    }

    #[test]
    fn columns_are_written_as_the_driver_writes_arrays() {
        same(&[i64::MIN, -1, 0, i64::MAX], &vec![i64::MIN, -1, 0, i64::MAX]);
        same(&[i32::MIN, 7], &vec![i32::MIN, 7]);
        same(&[-2_i16, 3], &vec![-2_i16, 3]);
        same::<i64>(&[], &Vec::<i64>::new());
    }

    #[test]
    fn reservations_are_written_as_the_driver_writes_bytes() {
        let ids = [[1_u8; 16], [0xfe; 16]];
        let mut column = Column::new(2);
        for id in ids {
            column.push(id);
        }
        let [mut ours, mut known] = [BytesMut::new(), BytesMut::new()];
        column.to_sql_checked(&Type::BYTEA_ARRAY, &mut ours).unwrap();
        let theirs: Vec<&[u8]> = ids.iter().map(|id| &id[..]).collect();
        theirs.to_sql_checked(&Type::BYTEA_ARRAY, &mut known).unwrap();
        assert_eq!(ours, known);
        let wrong = column.to_sql_checked(&Type::INT8_ARRAY, &mut ours);
        assert!(wrong.is_err(), "a column of another type would be read as nonsense");
    }
}
