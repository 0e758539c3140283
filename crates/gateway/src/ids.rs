//! Request ids: `req_` and 32 hexadecimal digits. Unique, not secret. And numbers for ids of our own.

use std::cell::RefCell;

use http::HeaderValue;
use mainstay_core::dice::Dice;

thread_local! {
    static DICE: RefCell<Dice> = RefCell::new(Dice::new(seed()));
}

/// A new id.
pub(crate) fn new() -> String {
    let (high, low) = DICE.with_borrow_mut(|dice| (dice.bits(), dice.bits()));
    let mut text = *b"req_00000000000000000000000000000000";
    for (half, digits) in [high, low].into_iter().zip(text[4..].as_chunks_mut::<16>().0) {
        for (byte, digits) in half.to_be_bytes().into_iter().zip(digits.as_chunks_mut::<2>().0) {
            *digits = HEX[usize::from(byte)];
        }
    }
    std::str::from_utf8(&text).unwrap_or("req_").to_owned()
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
            assert!(seen.insert(id));
        }
    }
}
