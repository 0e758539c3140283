//! Request ids: `req_` and 32 hexadecimal digits. Unique, not secret.

use std::cell::RefCell;

use bytes::Bytes;
use http::HeaderValue;
use mainstay_core::dice::Dice;

thread_local! {
    static DICE: RefCell<Dice> = RefCell::new(Dice::new(seed()));
}

/// A new id, as text and as the value of `x-request-id`.
pub(crate) fn new() -> (String, HeaderValue) {
    let (high, low) = DICE.with_borrow_mut(|dice| (dice.bits(), dice.bits()));
    let mut text = *b"req_00000000000000000000000000000000";
    for (half, digits) in [high, low].into_iter().zip(text[4..].chunks_mut(16)) {
        for (shift, digit) in (0..16).rev().zip(digits) {
            *digit = b"0123456789abcdef"[usize::try_from((half >> (shift * 4)) & 0xf).unwrap_or(0)];
        }
    }
    let value = HeaderValue::from_maybe_shared(Bytes::copy_from_slice(&text))
        .unwrap_or(HeaderValue::from_static("req_"));
    (String::from_utf8_lossy(&text).into_owned(), value)
}

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
            .map(|_| std::thread::spawn(|| (0..1000).map(|_| super::new().0).collect::<Vec<_>>()))
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
