//! Records told by one before them in the same batch.
//!
//! Calls that follow each other mostly have the same key, model, provider and outcome, and were answered
//! by one attempt: they differ in numbers. Such a record has 57 bytes and a whole one 181, on the average
//! of 100,000 calls of `cargo xtask bench` (2026-11-29).
//!
//! ```text
//!  whole    length 4 | version 1 | id 16 | everything
//!  like it  length 4 | version 1 | id 16 | bytes back to the whole one 4 | which of these 1 | numbers
//! ```

use std::time::Duration;

use mainstay_core::money::Usd;
use mainstay_core::store::{RequestBatch, RequestId, RequestRecord, UnixMillis};
use mainstay_core::time::Moment;
use mainstay_core::wire::usage::Usage;

use super::bytes::{Form, Reader};
use super::piece::Piece;
use super::{HEAD, LIKE, pieces, read_usage, read_whole};

/// Bytes before the numbers.
const BEFORE: usize = HEAD + 4;

/// Which of the numbers there are.
mod has {
    pub(super) const FIRST_CONTENT: u8 = 1;
    pub(super) const USAGE: u8 = 2;
    pub(super) const COST: u8 = 4;
    /// The attempt used what the call did.
    pub(super) const SAME_USAGE: u8 = 8;
    pub(super) const OWN_USAGE: u8 = 16;
}

/// A whole record of one attempt in a batch.
#[derive(Clone, Copy, Debug)]
pub struct Base {
    pub(super) start: usize,
    pub(super) at: UnixMillis,
}

impl Base {
    /// The record that is added to the batch next.
    pub(super) fn of(batch: &RequestBatch, record: &RequestRecord) -> Option<Base> {
        let is_one = record.attempts.len() == 1;
        is_one.then_some(Base { start: batch.bytes().len(), at: record.at })
    }
}

/// What a record has of its own; see [`RequestRecord`] for each.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    /// Its id.
    pub id: RequestId,
    /// When it arrived.
    pub at: UnixMillis,
    /// From its arrival to its end.
    pub took: Duration,
    /// Of that, waits.
    pub waited: Duration,
    /// Time spent here.
    pub overhead: Duration,
    /// From its arrival to the first content of the answer.
    pub first_content: Option<Duration>,
    /// Tokens of the answer.
    pub usage: Option<Usage>,
    /// What it cost.
    pub cost: Option<Usd>,
    /// Its attempt.
    pub attempt: AttemptNumbers,
}

/// What the attempt of a record has of its own; see [`mainstay_core::store::AttemptNote`] for each.
#[derive(Clone, Copy, Debug)]
pub struct AttemptNumbers {
    /// When it was sent, from the call's arrival.
    pub start: Duration,
    /// What was waited before it.
    pub waited: Duration,
    /// From its start to the first content of its answer.
    pub took: Duration,
    /// From its start to its end.
    pub lasted: Duration,
    /// Bytes received.
    pub bytes: u64,
    /// Tokens it used.
    pub usage: Option<Usage>,
}

/// Adds a record that has everything but these numbers from `base`, which has to be of this batch.
pub fn add_like(batch: &mut RequestBatch, base: Base, numbers: &Numbers) {
    batch.add(numbers.at, |bytes| write(base, numbers, bytes));
}

fn write(base: Base, numbers: &Numbers, to: &mut Vec<u8>) {
    let Numbers { attempt, .. } = numbers;
    let start = to.len();
    let back = u32::try_from(start - base.start).unwrap_or(0);
    let flag = |bit: u8, set: bool| if set { bit } else { 0 };
    let same = attempt.usage == numbers.usage;
    let which = flag(has::FIRST_CONTENT, numbers.first_content.is_some())
        | flag(has::USAGE, numbers.usage.is_some())
        | flag(has::COST, numbers.cost.is_some())
        | flag(has::SAME_USAGE, same)
        | flag(has::OWN_USAGE, !same && attempt.usage.is_some());
    // Put together on the side: the batch grows once.
    let mut out = Short { bytes: [0; LONGEST], length: BEFORE };
    out.bytes[4] = LIKE;
    out.bytes[5..HEAD].copy_from_slice(&numbers.id.0);
    out.bytes[HEAD..BEFORE].copy_from_slice(&back.to_le_bytes());
    out.byte(which);
    out.signed(i128::from(numbers.at.0) - i128::from(base.at.0));
    for time in [numbers.took, numbers.waited, numbers.overhead] {
        out.time(time);
    }
    for time in [attempt.start, attempt.waited, attempt.took, attempt.lasted] {
        out.time(time);
    }
    out.number(attempt.bytes);
    if let Some(time) = numbers.first_content {
        out.time(time);
    }
    for used in [numbers.usage, attempt.usage.filter(|_| !same)].into_iter().flatten() {
        for count in [used.input, used.cached, used.output] {
            out.number(count);
        }
    }
    if let Some(cost) = numbers.cost {
        out.signed(cost.pico());
    }
    let length = u32::try_from(out.length).unwrap_or(u32::MAX);
    out.bytes[..4].copy_from_slice(&length.to_le_bytes());
    to.extend_from_slice(&out.bytes[..out.length]);
}

/// Most bytes of such a record: its head, which numbers there are, and those.
const LONGEST: usize = BEFORE + 1 + 19 + 9 * 10 + 6 * 10 + 19;

/// Writes numbers as [`Form::Narrow`] has them.
struct Short {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Short {
    fn byte(&mut self, byte: u8) {
        if let Some(to) = self.bytes.get_mut(self.length) {
            *to = byte;
            self.length += 1;
        }
    }

    fn number(&mut self, mut number: u64) {
        while number > 0x7f {
            self.byte(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.byte(number.to_le_bytes()[0]);
    }

    fn signed(&mut self, number: i128) {
        let mut folded = (number << 1 ^ number >> 127).cast_unsigned();
        while u64::try_from(folded).is_err() {
            self.byte(folded.to_le_bytes()[0] | 0x80);
            folded >>= 7;
        }
        self.number(u64::try_from(folded).unwrap_or_default());
    }

    fn time(&mut self, time: Duration) {
        self.number(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }
}

/// Reads a record that is like another; `None` when either is damaged.
pub(super) fn read(piece: Piece<'_>) -> Option<RequestRecord> {
    // A whole one: there is no chain.
    let mut record = read_whole(piece.base_piece()?)?;
    let mut from = Reader::new(piece.bytes().get(BEFORE..)?, Form::Narrow);
    let which = from.u8()?;
    let there = |bit: u8| which & bit != 0;
    record.id = piece.id();
    record.at = UnixMillis((i128::from(record.at.0).checked_add(from.i128()?)?).try_into().ok()?);
    record.took = from.time()?;
    record.waited = from.time()?;
    record.overhead = from.time()?;
    let [attempt] = &mut record.attempts[..] else { return None };
    attempt.start = from.time()?;
    attempt.waited = from.time()?;
    attempt.took = from.time()?;
    attempt.lasted = from.time()?;
    attempt.bytes = from.u64()?;
    record.first_content = from.when(there(has::FIRST_CONTENT), Reader::time)?;
    record.usage = from.when(there(has::USAGE), read_usage)?;
    attempt.usage = from.when(there(has::OWN_USAGE), read_usage)?;
    if there(has::SAME_USAGE) {
        attempt.usage = record.usage;
    }
    record.cost = from.when(there(has::COST), |from| from.i128().map(Usd::from_pico))?;
    Some(record)
}

/// Adds the records of several batches in the order of their ends. Each batch comes with the end of each
/// of its records, in ascending order.
pub fn merge(to: &mut RequestBatch, from: &[(RequestBatch, Vec<Moment>)]) {
    let mut parts: Vec<Part<'_, _>> =
        from.iter().map(|(batch, ends)| Part::of(batch, ends)).collect();
    loop {
        let next =
            parts.iter_mut().filter(|part| part.next.is_some()).min_by_key(|part| part.end());
        let Some(part) = next else { return };
        part.give(to);
    }
}

/// A batch on its way into another.
struct Part<'a, I> {
    next: Option<Piece<'a>>,
    rest: I,
    ends: std::slice::Iter<'a, Moment>,
    latest: UnixMillis,
    /// Where whole records began and begin, in ascending order.
    moved: Vec<(usize, usize)>,
}

impl<'a> Part<'a, ()> {
    fn of(
        batch: &'a RequestBatch,
        ends: &'a [Moment],
    ) -> Part<'a, impl Iterator<Item = Piece<'a>> + use<'a>> {
        let mut rest = pieces(batch.bytes());
        Part {
            next: rest.next(),
            rest,
            ends: ends.iter(),
            latest: batch.latest(),
            moved: Vec::new(),
        }
    }
}

impl<'a, I: Iterator<Item = Piece<'a>>> Part<'a, I> {
    fn end(&self) -> Option<Moment> {
        self.ends.as_slice().first().copied()
    }

    /// Moves its next record.
    fn give(&mut self, to: &mut RequestBatch) {
        let Some(piece) = self.next.take() else { return };
        self.ends.next();
        self.next = self.rest.next();
        let start = to.bytes().len();
        let back = match piece.base() {
            None => {
                self.moved.push((piece.start(), start));
                None
            }
            Some(base) => {
                // Whole ones come before those that are like them.
                let place = self.moved.binary_search_by_key(&base, |(before, _)| *before);
                let base = place.ok().and_then(|place| self.moved.get(place));
                Some(base.map_or(0, |(_, now)| u32::try_from(start - now).unwrap_or(0)))
            }
        };
        to.add(self.latest, |bytes| {
            bytes.extend_from_slice(piece.bytes());
            if let Some(back) = back {
                bytes[start + HEAD..start + BEFORE].copy_from_slice(&back.to_le_bytes());
            }
        });
    }
}
