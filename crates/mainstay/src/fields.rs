//! Header fields, read where they stand.
//!
//! Of the headers of a call or an answer a few are looked at and most go on. So they stay in the bytes that came, and
//! finding one is a walk over a short list; a map costs more to fill than all that is ever asked of it.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use mainstay_core::headers::Headers;

/// The header fields of a request or an answer, in the order they came. Names are in lower case.
#[derive(Clone, Default)]
pub struct Fields {
    head: Bytes,
    lines: Vec<Line>,
    /// Behind those of the head.
    more: Vec<(HeaderName, HeaderValue)>,
}

/// Where in a head a field stands: begin and end of its name, begin and end of its value.
pub type Line = [u32; 4];

impl Fields {
    /// Fields of a head that was read. Its names must be in lower case; lines that are not within it are
    /// no fields.
    pub fn of_head(head: Bytes, lines: Vec<Line>) -> Fields {
        Fields { head, lines, more: Vec::new() }
    }

    /// Each field: name and value.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> {
        let more =
            self.more.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
        self.lines.iter().filter_map(|line| of(&self.head, *line)).chain(more)
    }

    /// Each field: name, value, and all of its line as HTTP writes it, its end included, where it came
    /// so: `name: value`.
    pub fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8], Option<&[u8]>)> {
        let whole = |[name, colon, value, end]: Line| {
            let line = self.head.get(name as usize..end as usize + 2)?;
            let blank = self.head.get(colon as usize..value as usize)?;
            (blank == b": " && line.ends_with(b"\r\n")).then_some(line)
        };
        let stand = self.lines.iter().filter_map(move |line| {
            let (name, value) = of(&self.head, *line)?;
            Some((name, value, whole(*line)))
        });
        let more = self.more.iter();
        stand.chain(more.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes(), None)))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lines.len() + self.more.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first value of a field; `name` is in lower case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let name = name.as_bytes();
        let named = |line: &&Line| is_named(&self.head, **line, name);
        if let Some(line) = self.lines.iter().find(named) {
            return of(&self.head, *line).map(|(_, value)| value);
        }
        let more = self.more.iter().find(|(known, _)| known.as_str().as_bytes() == name);
        more.map(|(_, value)| value.as_bytes())
    }

    /// The first value of a field, where it is visible ASCII.
    pub fn text(&self, name: &str) -> Option<&str> {
        visible(self.get(name)?)
    }

    /// Every value of a field, in their order.
    pub fn all(&self, name: &str) -> impl DoubleEndedIterator<Item = &[u8]> {
        let (head, name) = (&self.head, name.as_bytes());
        let lines = self.lines.iter().filter(move |line| is_named(head, **line, name));
        let lines = lines.filter_map(|line| of(head, *line)).map(|(_, value)| value);
        let more = self.more.iter().filter(move |(known, _)| known.as_str().as_bytes() == name);
        lines.chain(more.map(|(_, value)| value.as_bytes()))
    }

    /// Writes the fields whose name and value are so as lines of a head. Those that stand one behind the other
    /// as they are to be written are copied together.
    pub(crate) fn write(&self, to: &mut Vec<u8>, mut keeps: impl FnMut(&[u8], &[u8]) -> bool) {
        let mut run = 0..0;
        for line in &self.lines {
            let Some((name, value)) = of(&self.head, *line) else { continue };
            if !keeps(name, value) {
                continue;
            }
            let [start, colon, begin, end] = places(*line);
            let as_written = self.head.get(colon..begin) == Some(b": ")
                && self.head.get(end..end + 2) == Some(b"\r\n");
            if as_written && start == run.end {
                run.end = end + 2;
                continue;
            }
            to.extend_from_slice(self.head.get(run).unwrap_or_default());
            run = if as_written { start..end + 2 } else { 0..0 };
            if !as_written {
                push_line(to, name, value);
            }
        }
        to.extend_from_slice(self.head.get(run).unwrap_or_default());
        for (name, value) in &self.more {
            let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
            if keeps(name, value) {
                push_line(to, name, value);
            }
        }
    }

    /// Names, in lower case, that a `connection` field declares to be for one hop.
    /// Source: RFC 9110 section 7.6.1, read 2026-11.
    pub fn named_by_connection(&self) -> Vec<String> {
        if !self.contains("connection") {
            return Vec::new();
        }
        let values = self.all("connection").filter_map(visible);
        let names = values.flat_map(|value| value.split(','));
        names.map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty()).collect()
    }

    /// Whether there is such a field.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets a field, in place of all of its name.
    pub fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        self.retain(|known, _| known != name.as_str().as_bytes());
        self.more.push((name, value));
    }

    /// Adds a field.
    pub fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.more.push((name, value));
    }

    /// Sets all of a map, each in place of those of its name.
    pub fn insert_all(&mut self, map: &HeaderMap) {
        for name in map.keys() {
            self.retain(|known, _| known != name.as_str().as_bytes());
            for value in map.get_all(name) {
                self.append(name.clone(), value.clone());
            }
        }
    }

    /// Keeps the fields whose name and value are so.
    pub fn retain(&mut self, mut keeps: impl FnMut(&[u8], &[u8]) -> bool) {
        let Fields { head, lines, more } = self;
        lines.retain(|line| of(head, *line).is_some_and(|(name, value)| keeps(name, value)));
        more.retain(|(name, value)| keeps(name.as_str().as_bytes(), value.as_bytes()));
    }

    /// As a map; what HTTP does not allow is left out.
    pub fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.len());
        for (name, value) in self.lines.iter().filter_map(|line| of(&self.head, *line)) {
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
            {
                map.append(name, value);
            }
        }
        map.extend(self.more.iter().cloned());
        map
    }
}

#[inline]
fn places([name, colon, value, end]: Line) -> [usize; 4] {
    [name as usize, colon as usize, value as usize, end as usize]
}

#[inline]
fn of(head: &[u8], line: Line) -> Option<(&[u8], &[u8])> {
    let [name, colon, value, end] = places(line);
    Some((head.get(name..colon)?, head.get(value..end)?))
}

/// Whether a field has this name. Most others are of another length, which is seen without looking at them;
/// one that is not within the head has none.
#[inline]
fn is_named(head: &[u8], line: Line, name: &[u8]) -> bool {
    let [start, colon, value, end] = line;
    colon.wrapping_sub(start) as usize == name.len()
        && head.get(start as usize..colon as usize) == Some(name)
        && value <= end
        && end as usize <= head.len()
}

/// The highest bit of bytes that are control characters, tabs and DEL among them: what ends the plain part of a
/// value. A borrow may mark bytes above a true hit, never below the first: the lowest mark is exact.
#[inline]
pub fn control_marks(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let below = word.wrapping_sub(ONES * 0x20);
    let delete = (word ^ (ONES * 0x7f)).wrapping_sub(ONES);
    (below | delete) & !word & HIGHS
}

/// A field's value as text, where all of it is visible ASCII, blanks and tabs.
pub fn visible(value: &[u8]) -> Option<&str> {
    let is_visible = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
    std::str::from_utf8(value).ok().filter(|_| value.iter().all(is_visible))
}

impl Headers for Fields {
    fn get(&self, name: &str) -> Option<&[u8]> {
        Fields::get(self, name)
    }

    fn each<'h>(&'h self, visit: &mut dyn FnMut(&'h str, &'h [u8])) {
        for (name, value) in self.iter() {
            if let Ok(name) = std::str::from_utf8(name) {
                visit(name, value);
            }
        }
    }
}

impl From<HeaderMap> for Fields {
    fn from(map: HeaderMap) -> Fields {
        let (mut more, mut current) = (Vec::with_capacity(map.len()), None);
        for (name, value) in map {
            // Further values of a name come without it.
            current = name.or(current);
            if let Some(name) = &current {
                more.push((name.clone(), value));
            }
        }
        Fields { more, ..Fields::default() }
    }
}

impl fmt::Debug for Fields {
    /// Names alone: a value may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned());
        f.debug_list().entries(names).finish()
    }
}

/// Adds a field as a line of a head.
pub(crate) fn push_line(to: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    to.reserve(name.len() + value.len() + 4);
    for part in [name, b": ", value, b"\r\n"] {
        to.extend_from_slice(part);
    }
}

/// Adds a number in digits, as fields have it.
pub fn push_number(to: &mut Vec<u8>, number: u64) {
    let (mut digits, mut rest) = ([b'0'; 20], number);
    let mut start = digits.len();
    while rest >= 10 {
        start -= 2;
        let pair = usize::try_from(rest % 100).unwrap_or(0);
        digits[start..start + 2].copy_from_slice(&PAIRS[pair]);
        rest /= 100;
    }
    if rest > 0 || number == 0 {
        start -= 1;
        digits[start] = b'0' + u8::try_from(rest).unwrap_or(0);
    }
    to.extend_from_slice(&digits[start..]);
}

/// Every number of two digits.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
    }
    pairs
};

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, VIA};
    use proptest::prelude::*;

    use super::*;

    fn fields() -> Fields {
        let head = Bytes::from_static(b"accept: a\r\nx-b: \xff\r\nvia: 1\r\nvia: 2\r\n");
        Fields::of_head(
            head,
            vec![[0, 6, 8, 9], [11, 14, 16, 17], [19, 22, 24, 25], [27, 30, 32, 33]],
        )
    }

    #[test]
    fn fields_are_found_where_they_stand() {
        let mut fields = fields();
        fields.append(ACCEPT, HeaderValue::from_static("b"));
        assert_eq!((fields.get("accept"), fields.text("x-b")), (Some(&b"a"[..]), None));
        let all: Vec<&[u8]> = fields.all("via").rev().collect();
        assert_eq!(all, [b"2", b"1"]);
        assert!(fields.contains("x-b") && !fields.contains("x-bb") && fields.len() == 5);
        assert_eq!(format!("{fields:?}"), r#"["accept", "x-b", "via", "via", "accept"]"#);
    }

    #[test]
    fn a_line_is_handed_over_as_it_came_where_it_is_written_as_usual() {
        let head = Bytes::from_static(b"a: 1\r\nb:2\r\nc: 3\nd: 4");
        let mut fields = Fields::of_head(
            head,
            vec![[0, 1, 3, 4], [6, 7, 8, 9], [11, 12, 14, 15], [16, 17, 19, 20]],
        );
        fields.append(VIA, HeaderValue::from_static("5"));
        let lines: Vec<_> = fields.lines().map(|(_, value, line)| (value, line)).collect();
        let alone = |value: &'static [u8]| (value, None);
        let whole = (&b"1"[..], Some(&b"a: 1\r\n"[..]));
        assert_eq!(lines, [whole, alone(b"2"), alone(b"3"), alone(b"4"), alone(b"5")]);
        assert!(fields.lines().map(|(name, value, _)| (name, value)).eq(fields.iter()));
    }

    #[test]
    fn what_is_set_takes_the_place_of_all_of_its_name() {
        let mut fields = fields();
        fields.insert(VIA, HeaderValue::from_static("3"));
        assert_eq!(fields.all("via").collect::<Vec<_>>(), [b"3"]);
        let mut map = HeaderMap::new();
        map.append(VIA, HeaderValue::from_static("4"));
        map.append(VIA, HeaderValue::from_static("5"));
        fields.insert_all(&map);
        assert_eq!(fields.all("via").collect::<Vec<_>>(), [b"4", b"5"]);
        assert_eq!(fields.get("accept"), Some(&b"a"[..]));
        fields.retain(|name, _| name.starts_with(b"v"));
        assert_eq!(fields.to_map(), map);
        assert_eq!(Fields::from(map.clone()).to_map(), map);
    }

    #[test]
    fn numbers_are_as_short_as_they_are() {
        let tens = (0..20).map(|power| 10_u64.pow(power));
        for number in tens.flat_map(|ten| [ten - 1, ten, ten + ten / 10]).chain([u64::MAX, 90_807])
        {
            let mut text = b"x".to_vec();
            push_number(&mut text, number);
            assert_eq!(text, format!("x{number}").as_bytes());
        }
    }

    #[test]
    fn a_line_beyond_its_head_is_no_field() {
        let fields = Fields::of_head(Bytes::from_static(b"a: b"), vec![[0, 1, 3, 9], [9, 1, 3, 4]]);
        assert_eq!((fields.iter().count(), fields.get("a"), fields.all("a").count()), (0, None, 0));
    }

    /// Lines of a head: names, what stands between them and their values, the values, and their ends.
    fn head(lines: &[(&str, &str, &str, &str)]) -> Fields {
        let (mut text, mut places) = (Vec::new(), Vec::new());
        for (name, between, value, end) in lines {
            let start = text.len();
            text.extend_from_slice([*name, between, value, end].concat().as_bytes());
            let colon = start + name.len();
            let begin = colon + between.len();
            let line = [start, colon, begin, begin + value.len()];
            places.push(line.map(|at| u32::try_from(at).unwrap()));
        }
        Fields::of_head(text.into(), places)
    }

    proptest! {
        /// However they stood in the head they came in.
        #[test]
        fn fields_are_written_one_as_the_other(
            lines in prop::collection::vec(
                (
                    prop::sample::select(vec!["accept", "via", "x-b"]),
                    prop::sample::select(vec![": ", ":", ":\t", ":  "]),
                    prop::sample::select(vec!["", "a", "b c"]),
                    prop::sample::select(vec!["\r\n", " \r\n", "\n"]),
                ),
                0..8,
            ),
        ) {
            let mut fields = head(&lines);
            fields.append(ACCEPT, HeaderValue::from_static("last"));
            let keeps = |name: &[u8], value: &[u8]| name != b"via" && value != b"a";
            let (mut written, mut want) = (b"GET".to_vec(), b"GET".to_vec());
            fields.write(&mut written, keeps);
            for (name, value) in fields.iter().filter(|(name, value)| keeps(name, value)) {
                push_line(&mut want, name, value);
            }
            prop_assert_eq!(written, want);
            for name in ["accept", "via", "x-b", "x"] {
                let all: Vec<&[u8]> =
                    fields.iter().filter(|(known, _)| *known == name.as_bytes()).map(|(_, v)| v).collect();
                prop_assert_eq!(fields.get(name), all.first().copied());
                prop_assert_eq!(fields.all(name).collect::<Vec<_>>(), all);
            }
        }
    }
}
