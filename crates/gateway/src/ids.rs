//! Request ids: `req_` and 32 hexadecimal digits. Unique, not secret. And numbers for ids of our own.

use std::cell::RefCell;
use std::fmt;
use std::ops::Deref;

use http::HeaderValue;
use mainstay_core::dice::Dice;

thread_local! {
    static DICE: RefCell<Dice> = RefCell::new(Dice::new(seed()));
}

/// The id of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id([u8; 36]);

impl Deref for Id {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("req_")
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// A new id.
pub(crate) fn new() -> Id {
    let (high, low) = DICE.with_borrow_mut(|dice| (dice.bits(), dice.bits()));
    let mut text = *b"req_00000000000000000000000000000000";
    for (half, digits) in [high, low].into_iter().zip(text[4..].as_chunks_mut::<16>().0) {
        for (byte, digits) in half.to_be_bytes().into_iter().zip(digits.as_chunks_mut::<2>().0) {
            *digits = HEX[usize::from(byte)];
        }
    }
    Id(text)
}

/// An id as the value of `x-request-id`.
pub(crate) fn value(id: &str) -> HeaderValue {
    HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("req_"))
}

/// A number for an id or a node's name, the same in every process: FNV-1a, because nobody outside
/// chooses them and they need no better one.
pub(crate) fn number(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The two digits of each byte.
const HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let (mut table, mut byte) = ([[0; 2]; 256], 0);
    while byte < table.len() {
        table[byte] = [digits[byte >> 4], digits[byte & 0xf]];
        byte += 1;
    }
    table
};

/// From the system; without it, from the address of this thread's own memory.
fn seed() -> u64 {
    getrandom::u64().unwrap_or_else(|_| {
        let here = 0_u8;
        std::ptr::from_ref(&here) as u64 ^ u64::from(std::process::id()).rotate_left(32)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    impl super::Id {
        /// An id that is known beforehand.
        pub(crate) fn sample(text: [u8; 36]) -> super::Id {
            super::Id(text)
        }
    }

    #[test]
    fn ids_have_one_form_and_do_not_repeat_over_threads() {
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..1000).map(|_| super::new()).collect::<Vec<_>>()))
            .collect();
        let mut seen = HashSet::new();
        for id in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
            assert!(id.len() == 36 && id.starts_with("req_"), "{id}");
            assert!(
                id[4..].bytes().all(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase()),
                "{id}"
            );
            assert!(seen.insert(id.to_string()));
        }
    }
}
