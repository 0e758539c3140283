//! The texts that bounds are stated for: English prose, and one made to be slow.

const PROSE: &str = "The boat left the harbour before dawn, and nobody on the pier could say where it was going. Some \
    thought that the captain had gone north to look for herring; others remembered the letter and kept quiet. ";

/// About 8 KB of English.
pub(crate) fn prose() -> String {
    PROSE.repeat(40)
}

/// One word without an end, of letters that merge in many ways.
pub(crate) fn hard(size: usize) -> String {
    (0..size).map(|i| char::from(b'a' + u8::try_from(i * i % 7).unwrap_or(0))).collect()
}
