//! Which lines there are, in little memory: 16 bytes for each, and one bit for "done".

use std::cmp::Ordering;

use sha2::{Digest, Sha256};

/// The first half of the SHA-256 of a `custom_id`.
pub(crate) type Id = [u8; 16];

/// The id of a text.
pub(crate) fn id_of(custom_id: &str) -> Id {
    let digest = Sha256::digest(custom_id.as_bytes());
    let mut id = Id::default();
    id.copy_from_slice(&digest[..16]);
    id
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Every line of a job, found by its id.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    sorted: Vec<Id>,
    done: Vec<u64>,
    count: usize,
}

/// What became of marking a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marked {
    /// It is done.
    First,
    /// It was done already.
    Again,
    /// There is no such line.
    Unknown,
}

impl Ids {
    /// The table of these ids, or those that stand twice.
    pub(crate) fn new(mut all: Vec<Id>) -> Result<Ids, Vec<Id>> {
        all.sort_unstable();
        let mut twice: Vec<Id> =
            all.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        twice.dedup();
        if !twice.is_empty() {
            return Err(twice);
        }
        let done = vec![0; all.len().div_ceil(64)];
        Ok(Ids { sorted: all, done, count: 0 })
    }

    /// How many lines there are.
    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// How many are done.
    pub(crate) fn done(&self) -> usize {
        self.count
    }

    /// Whether a line is done; `false` for one that is not known.
    pub(crate) fn is_done(&self, id: &Id) -> bool {
        self.find(id).is_some_and(|at| self.done[at / 64] >> (at % 64) & 1 == 1)
    }

    /// Marks a line as done.
    pub(crate) fn mark(&mut self, id: &Id) -> Marked {
        let Some(at) = self.find(id) else { return Marked::Unknown };
        let (word, bit) = (&mut self.done[at / 64], 1 << (at % 64));
        if *word & bit != 0 {
            return Marked::Again;
        }
        *word |= bit;
        self.count += 1;
        Marked::First
    }

    /// Hashes are spread evenly, so a good guess is at hand: a few steps for any number of lines.
    fn find(&self, id: &Id) -> Option<usize> {
        let key = |id: &Id| u64::from_be_bytes(id[..8].try_into().unwrap_or_default());
        let wanted = key(id);
        let length = self.sorted.len();
        let guess = (u128::from(wanted) * length as u128) >> 64;
        let guess = usize::try_from(guess).unwrap_or(0).min(length.checked_sub(1)?);
        let mut reach = 16;
        loop {
            let (low, high) = (guess.saturating_sub(reach), (guess + reach).min(length));
            let part = &self.sorted[low..high];
            let below =
                low == 0 || part.first().is_some_and(|first| first.cmp(id) != Ordering::Greater);
            let above =
                high == length || part.last().is_some_and(|last| last.cmp(id) != Ordering::Less);
            if below && above {
                return part.binary_search(id).ok().map(|at| low + at);
            }
            reach *= 8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_found_and_marked_once_and_no_other_is() {
        for count in [0, 1, 2, 63, 64, 65, 5_000] {
            let all: Vec<Id> = (0..count).map(|n| id_of(&format!("line-{n}"))).collect();
            let mut ids = Ids::new(all.clone()).unwrap();
            assert_eq!(ids.mark(&id_of("another")), Marked::Unknown);
            for id in &all {
                assert!(!ids.is_done(id));
                assert_eq!((ids.mark(id), ids.mark(id)), (Marked::First, Marked::Again));
                assert!(ids.is_done(id));
            }
            assert_eq!((ids.len(), ids.done()), (count, count));
        }
    }

    #[test]
    fn ids_that_stand_twice_are_named_once_each() {
        let [a, b, c] = ["a", "b", "c"].map(id_of);
        let mut twice = Ids::new(vec![a, b, a, c, a, b]).unwrap_err();
        twice.sort_unstable();
        let mut wanted = vec![a, b];
        wanted.sort_unstable();
        assert_eq!(twice, wanted);
    }

    #[test]
    fn crowded_ids_are_found_too() {
        let all: Vec<Id> = (0..2_000u32)
            .map(|n| {
                let mut id = [7; 16];
                id[12..].copy_from_slice(&n.to_be_bytes());
                id
            })
            .collect();
        let mut ids = Ids::new(all.clone()).unwrap();
        assert!(all.iter().all(|id| ids.mark(id) == Marked::First));
        assert_eq!(ids.mark(&[0; 16]), Marked::Unknown);
        assert_eq!(ids.mark(&[255; 16]), Marked::Unknown);
    }
}
