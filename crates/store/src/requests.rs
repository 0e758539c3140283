//! A request's record as bytes, and back. A batch is such records side by side.
//!
//! Each begins with its length in bytes, so that a reader who looks for one steps over the others; the
//! version and the id follow at fixed places. Times are microseconds. A record stands there whole, or as
//! what it has else than one before it.

use std::time::Duration;

use mainstay_core::failure::{Kind, Origin, Scope};
use mainstay_core::money::Usd;
use mainstay_core::store::{
    AttemptNote, FailureNote, LimitNote, RequestBatch, RequestId, RequestRecord, StateNote,
    UnixMillis,
};
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_core::wire::usage::Usage;

mod bytes;
mod like;
mod piece;

use bytes::{Form, Reader, Writer};
pub use like::{AttemptNumbers, Base, Numbers, add_like, merge};
pub(crate) use piece::{Piece, pieces};

/// Of the form of a whole record. Records of a version that is not known are stepped over.
const VERSION: u8 = 2;
/// Of a record that is like another one.
const LIKE: u8 = 3;

/// How records of a version write numbers.
fn form(version: u8) -> Option<Form> {
    match version {
        1 => Some(Form::Wide),
        2 => Some(Form::Narrow),
        _ => None,
    }
}

/// Bytes of length, version and id.
const HEAD: usize = 4 + 1 + 16;
/// Attempts and limits read at most: more than are ever written.
const LIST_MAX: u8 = 128;

/// Adds a record to a batch. Others can be [told by it](add_like), if it has one attempt.
pub fn add(batch: &mut RequestBatch, record: &RequestRecord) -> Option<Base> {
    let base = Base::of(batch, record);
    batch.add(record.at, |bytes| write(record, bytes));
    base
}

/// A batch of these records.
pub fn batch_of(records: impl IntoIterator<Item = RequestRecord>) -> RequestBatch {
    let mut batch = RequestBatch::default();
    for record in records {
        add(&mut batch, &record);
    }
    batch
}

/// Gives up the first records of a batch that is longer than `most`, and those behind them that cannot
/// be read without them; how many.
pub fn shorten(batch: &mut RequestBatch, most: u64) -> u64 {
    let over = usize::try_from(batch.len().saturating_sub(most)).unwrap_or(usize::MAX);
    if over == 0 {
        return 0;
    }
    let all: Vec<Piece<'_>> = pieces(batch.bytes()).collect();
    // From the last one on: the first byte that is needed from here to the end.
    let (mut needed, mut cut) = (batch.bytes().len(), (all.len(), batch.bytes().len()));
    for (index, piece) in all.iter().enumerate().skip(over).rev() {
        needed = needed.min(piece.base().unwrap_or_else(|| piece.start()));
        if needed == piece.start() {
            cut = (index, needed);
        }
    }
    batch.give_up(cut.0 as u64, cut.1);
    cut.0 as u64
}

fn write(record: &RequestRecord, to: &mut Vec<u8>) {
    write_as(VERSION, Form::Narrow, record, to);
}

fn write_as(version: u8, form: Form, record: &RequestRecord, to: &mut Vec<u8>) {
    let start = to.len();
    let mut out = Writer::new(to, form);
    out.raw(&[0; 4]);
    out.u8(version);
    out.raw(&record.id.0);
    out.u64(record.at.0);
    out.maybe(record.key.as_deref(), Writer::text);
    out.text(&record.key_name);
    out.text(&record.org);
    out.text(&record.project);
    out.text(record.endpoint.name());
    for name in [&record.model, &record.served, &record.provider] {
        out.maybe(name.as_deref(), Writer::text);
    }
    out.flag(record.stream);
    out.u16(record.status);
    for time in [record.took, record.waited, record.overhead] {
        out.time(time);
    }
    out.maybe(record.first_content, Writer::time);
    out.u32(record.attempts_sent);
    out.maybe(record.usage, usage);
    out.flag(record.counted);
    out.maybe(record.cost, |out, cost| out.i128(cost.pico()));
    out.u32(record.sdk_retry);
    out.maybe(record.failed.as_ref(), failure);
    let most = record.attempts.len().min(usize::from(LIST_MAX));
    out.u8(u8::try_from(most).unwrap_or(LIST_MAX));
    record.attempts.iter().take(most).for_each(|note| attempt(&mut out, note));
    let length = u32::try_from(to.len() - start).unwrap_or(u32::MAX);
    to[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

fn usage(out: &mut Writer<'_>, usage: Usage) {
    for count in [usage.input, usage.cached, usage.output] {
        out.u64(count);
    }
}

fn failure(out: &mut Writer<'_>, note: &FailureNote) {
    out.text(note.kind.name());
    out.text(note.origin.name());
    out.maybe(note.scope, |out, scope| out.text(scope.name()));
    for text in [&note.code, &note.param, &note.message, &note.upstream_id] {
        out.maybe(text.as_deref(), Writer::text);
    }
    out.maybe(note.retry_after, Writer::time);
    let most = note.headers.len().min(usize::from(LIST_MAX));
    out.u8(u8::try_from(most).unwrap_or(LIST_MAX));
    for (name, value) in note.headers.iter().take(most) {
        out.text(name);
        out.text(value);
    }
    out.maybe(note.shape.as_deref(), Writer::text);
    out.maybe(note.content.as_deref(), Writer::text);
}

fn attempt(out: &mut Writer<'_>, note: &AttemptNote) {
    out.text(&note.provider);
    out.u32(note.credential);
    out.maybe(note.model.as_deref(), Writer::text);
    out.text(&note.cause);
    for time in [note.start, note.waited, note.took, note.lasted] {
        out.time(time);
    }
    out.maybe(note.status, Writer::u16);
    out.maybe(note.kind, |out, kind| out.text(kind.name()));
    out.u64(note.bytes);
    out.maybe(note.usage, usage);
    out.maybe(note.state.as_ref(), state);
}

fn state(out: &mut Writer<'_>, note: &StateNote) {
    out.flag(note.exact);
    out.text(&note.circuit);
    for count in [note.in_flight, note.queued, note.retry_budget] {
        out.u32(count);
    }
    out.maybe(note.ceiling, Writer::u32);
    out.time(note.hold);
    let most = note.limits.len().min(usize::from(LIST_MAX));
    out.u8(u8::try_from(most).unwrap_or(LIST_MAX));
    for limit in note.limits.iter().take(most) {
        out.text(&limit.name);
        out.raw(&limit.per_minute.to_le_bytes());
        out.raw(&limit.level.to_le_bytes());
        out.flag(limit.told);
    }
}

/// Reads one of [`pieces`]; `None` when it is damaged or of another version.
pub(crate) fn read(piece: Piece<'_>) -> Option<RequestRecord> {
    if piece.version() == LIKE { like::read(piece) } else { read_whole(piece) }
}

fn read_whole(piece: Piece<'_>) -> Option<RequestRecord> {
    let mut from = Reader::new(piece.behind_version(), form(piece.version())?);
    let record = RequestRecord {
        id: RequestId(from.array()?),
        at: UnixMillis(from.u64()?),
        key: from.maybe(Reader::text)?,
        key_name: from.text()?,
        org: from.text()?,
        project: from.text()?,
        endpoint: Endpoint::from_name(&from.text()?).unwrap_or(Endpoint::Other),
        model: from.maybe(Reader::text)?,
        served: from.maybe(Reader::text)?,
        provider: from.maybe(Reader::text)?,
        stream: from.flag()?,
        status: from.u16()?,
        took: from.time()?,
        waited: from.time()?,
        overhead: from.time()?,
        first_content: from.maybe(Reader::time)?,
        attempts_sent: from.u32()?,
        usage: from.maybe(read_usage)?,
        counted: from.flag()?,
        cost: from.maybe(|from| Some(Usd::from_pico(from.i128()?)))?,
        sdk_retry: from.u32()?,
        failed: from.maybe(read_failure)?,
        attempts: from.list(LIST_MAX, read_attempt)?,
    };
    Some(record)
}

fn read_usage(from: &mut Reader<'_>) -> Option<Usage> {
    let (input, cached, output) = (from.u64()?, from.u64()?, from.u64()?);
    Some(Usage { input, output, cached })
}

fn read_failure(from: &mut Reader<'_>) -> Option<FailureNote> {
    Some(FailureNote {
        kind: from.text()?.parse::<Kind>().ok()?,
        origin: Origin::from_name(&from.text()?)?,
        scope: from.maybe(|from| Scope::from_name(&from.text()?))?,
        code: from.maybe(Reader::text)?,
        param: from.maybe(Reader::text)?,
        message: from.maybe(Reader::text)?,
        upstream_id: from.maybe(Reader::text)?,
        retry_after: from.maybe(Reader::time)?,
        headers: from.list(LIST_MAX, |from| Some((from.text()?, from.text()?)))?,
        shape: from.maybe(Reader::text)?,
        content: from.maybe(Reader::text)?,
    })
}

fn read_attempt(from: &mut Reader<'_>) -> Option<AttemptNote> {
    let (provider, credential) = (from.text()?, from.u32()?);
    let (model, cause) = (from.maybe(Reader::text)?, from.text()?);
    let [start, waited, took, lasted]: [Duration; 4] =
        [from.time()?, from.time()?, from.time()?, from.time()?];
    Some(AttemptNote {
        provider,
        credential,
        model,
        start,
        waited,
        cause,
        took,
        lasted,
        status: from.maybe(Reader::u16)?,
        kind: from.maybe(|from| from.text()?.parse().ok())?,
        bytes: from.u64()?,
        usage: from.maybe(read_usage)?,
        state: from.maybe(read_state)?,
    })
}

fn read_state(from: &mut Reader<'_>) -> Option<StateNote> {
    let (exact, circuit) = (from.flag()?, from.text()?);
    let (in_flight, queued, retry_budget) = (from.u32()?, from.u32()?, from.u32()?);
    Some(StateNote {
        exact,
        circuit,
        in_flight,
        queued,
        retry_budget,
        ceiling: from.maybe(Reader::u32)?,
        hold: from.time()?,
        limits: from.list(LIST_MAX, |from| {
            Some(LimitNote {
                name: from.text()?,
                per_minute: f64::from_le_bytes(from.array()?),
                level: f64::from_le_bytes(from.array()?),
                told: from.flag()?,
            })
        })?,
    })
}

#[cfg(test)]
mod tests;
