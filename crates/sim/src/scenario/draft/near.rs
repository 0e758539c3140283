//! The name that somebody may have meant.

/// The name nearest to `wrong`, if one is near: few edits for its length, or the same letters.
pub(super) fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let letters = |text: &str| {
        let mut letters = text.as_bytes().to_vec();
        letters.sort_unstable();
        letters
    };
    let distance =
        |name: &str| if letters(name) == letters(wrong) { 1 } else { edits(wrong, name) };
    let scored = names.map(|name| (distance(name), name));
    scored.filter(|(edits, name)| edits * 2 <= name.len()).min().map(|(_, name)| name)
}

fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let change = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}
