//! The short tokens of a vocabulary, found by one look into a flat table.

/// Longest token that is kept, in bytes: with its length it fills eight.
const LENGTH_MAX: usize = 7;

/// A set of texts of one to seven bytes: open addressing over a power of two, at most half full.
#[derive(Debug)]
pub(super) struct ShortTokens {
    /// 0 where there is none.
    slots: Vec<u64>,
}

impl ShortTokens {
    /// The short ones among these tokens.
    pub(super) fn of<'t>(tokens: impl Iterator<Item = &'t [u8]>) -> ShortTokens {
        let keys: Vec<u64> = tokens.filter_map(key).collect();
        let size = (keys.len() * 2).next_power_of_two().max(2);
        let mut set = ShortTokens { slots: vec![0; size] };
        for key in keys {
            let mut at = set.place(key);
            while set.slots[at] != 0 && set.slots[at] != key {
                at = (at + 1) & (size - 1);
            }
            set.slots[at] = key;
        }
        set
    }

    /// Whether a text is one of the tokens.
    pub(super) fn has(&self, text: &str) -> bool {
        let Some(key) = key(text.as_bytes()) else { return false };
        let mut at = self.place(key);
        // Half of the slots are empty, so this ends.
        loop {
            match self.slots[at] {
                found if found == key => return true,
                0 => return false,
                _ => at = (at + 1) & (self.slots.len() - 1),
            }
        }
    }

    /// Where the search for a key begins: the high bits of a product depend on all of the key.
    fn place(&self, key: u64) -> usize {
        let bits = self.slots.len().trailing_zeros();
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from(hash >> (64 - bits)).unwrap_or(0)
    }
}

/// The bytes and their number in one word; never 0. `None` when there are none or too many.
fn key(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || bytes.len() > LENGTH_MAX {
        return None;
    }
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    word[LENGTH_MAX] = u8::try_from(bytes.len()).ok()?;
    Some(u64::from_le_bytes(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_in_and_nothing_else() {
        let words: Vec<String> = (0..5_000_u32).map(|n| format!("{:x}", n * 7)).collect();
        let tokens =
            words.iter().map(String::as_bytes).chain([&b"\0"[..], b"\0\0", b"", b"too long"]);
        let set = ShortTokens::of(tokens);
        assert!(words.iter().all(|word| set.has(word)));
        assert!(set.has("\0") && set.has("\0\0") && !set.has("\0\0\0"));
        for other in ["", "g", "1 ", "too long", "\u{e9}"] {
            assert!(!set.has(other), "{other:?}");
        }
        assert!(!ShortTokens::of(std::iter::empty()).has("a"));
    }
}
