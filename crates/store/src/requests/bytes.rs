//! Numbers, times and texts as bytes.

use std::time::Duration;

/// Longest text that is written, in bytes; the rest is cut at a character's edge.
const TEXT_MAX: usize = 1 << 17;

/// How numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In as many bytes as their type has, the lowest first; as all were until November 2026.
    Wide,
    /// Seven bits a byte, the lowest first; the highest bit says that more follow. Nearly all numbers of
    /// a record are small.
    Narrow,
}

/// Adds to a buffer.
pub(super) struct Writer<'a> {
    to: &'a mut Vec<u8>,
    form: Form,
}

impl<'a> Writer<'a> {
    pub(super) fn new(to: &'a mut Vec<u8>, form: Form) -> Writer<'a> {
        Writer { to, form }
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.to.extend_from_slice(bytes);
    }

    pub(super) fn u8(&mut self, number: u8) {
        self.to.push(number);
    }

    pub(super) fn u16(&mut self, number: u16) {
        self.number(number.into(), &number.to_le_bytes());
    }

    pub(super) fn u32(&mut self, number: u32) {
        self.number(number.into(), &number.to_le_bytes());
    }

    pub(super) fn u64(&mut self, number: u64) {
        self.number(number.into(), &number.to_le_bytes());
    }

    pub(super) fn i128(&mut self, number: i128) {
        // The sign goes to the lowest bit, so that small amounts are short on either side of zero.
        let folded = (number << 1 ^ number >> 127).cast_unsigned();
        self.number(folded, &number.to_le_bytes());
    }

    fn number(&mut self, number: u128, wide: &[u8]) {
        if self.form == Form::Wide {
            return self.raw(wide);
        }
        if let Ok(short @ ..=0x7f) = u8::try_from(number) {
            return self.to.push(short);
        }
        let mut bytes = [0; 19];
        let (mut rest, mut at) = (number, 0);
        // Nearly all numbers have 64 bits at most, which the processor has in one piece.
        while u64::try_from(rest).is_err() {
            bytes[at] = rest.to_le_bytes()[0] | 0x80;
            rest >>= 7;
            at += 1;
        }
        let mut rest = u64::try_from(rest).unwrap_or_default();
        while rest > 0x7f {
            bytes[at] = rest.to_le_bytes()[0] | 0x80;
            rest >>= 7;
            at += 1;
        }
        bytes[at] = rest.to_le_bytes()[0];
        self.raw(&bytes[..=at]);
    }

    pub(super) fn flag(&mut self, set: bool) {
        self.u8(u8::from(set));
    }

    pub(super) fn time(&mut self, time: Duration) {
        self.u64(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn text(&mut self, text: &str) {
        let text = &text[..text.floor_char_boundary(TEXT_MAX)];
        self.u32(u32::try_from(text.len()).unwrap_or(0));
        self.raw(text.as_bytes());
    }

    pub(super) fn maybe<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }
}

/// Takes from bytes; `None` when there are not enough, or they are not what was written.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    form: Form,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], form: Form) -> Reader<'a> {
        Reader { rest: bytes, form }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        match self.form {
            Form::Wide => self.array().map(u16::from_le_bytes),
            Form::Narrow => self.number()?.try_into().ok(),
        }
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        match self.form {
            Form::Wide => self.array().map(u32::from_le_bytes),
            Form::Narrow => self.number()?.try_into().ok(),
        }
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        match self.form {
            Form::Wide => self.array().map(u64::from_le_bytes),
            Form::Narrow => self.number()?.try_into().ok(),
        }
    }

    pub(super) fn i128(&mut self) -> Option<i128> {
        match self.form {
            Form::Wide => self.array().map(i128::from_le_bytes),
            Form::Narrow => {
                let folded = self.number()?;
                Some((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
            }
        }
    }

    fn number(&mut self) -> Option<u128> {
        let (mut number, mut shift) = (0_u128, 0);
        loop {
            let byte = self.u8()?;
            let low = u128::from(byte & 0x7f);
            // What does not fit was not written.
            let part = low.checked_shl(shift).filter(|part| part >> shift == low)?;
            number |= part;
            if byte & 0x80 == 0 {
                return Some(number);
            }
            shift += 7;
        }
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(super) fn time(&mut self) -> Option<Duration> {
        self.u64().map(Duration::from_micros)
    }

    pub(super) fn text(&mut self) -> Option<Box<str>> {
        let length = usize::try_from(self.u32()?).ok()?;
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        std::str::from_utf8(text).ok().map(Into::into)
    }

    #[expect(clippy::option_option, reason = "the outer one tells whether the bytes are good")]
    pub(super) fn maybe<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        let there = self.flag()?;
        self.when(there, read)
    }

    #[expect(clippy::option_option, reason = "the outer one tells whether the bytes are good")]
    pub(super) fn when<T>(
        &mut self,
        there: bool,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if there { read(self).map(Some) } else { Some(None) }
    }

    pub(super) fn list<T>(
        &mut self,
        most: u8,
        mut read: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = self.u8().filter(|count| *count <= most)?;
        (0..count).map(|_| read(self)).collect()
    }
}
