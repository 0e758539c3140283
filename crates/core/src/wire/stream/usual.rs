//! The usual event of a completion's stream: the same as the one before, but for its text.
//!
//! A stream's chunks differ in one string. What stands around it was read once; where it stands again,
//! byte for byte, it means the same again, and only the string need be looked at. One more string may
//! differ that nobody here reads: the padding that some providers add (`obfuscation`).

use alloc::vec::Vec;

use crate::wire::json::plain_string;

/// Longest event that is remembered, in bytes.
const LONGEST: usize = 4096;
/// What stands before the padding.
/// Source: vendor's OpenAPI description, `stream_options.include_obfuscation`, 2026-08.
const PADDING: &[u8] = b"\"obfuscation\":\"";

/// What stands around the text of an event that was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Usual {
    /// Up to the text, its opening quote included; empty when nothing is remembered.
    before: Vec<u8>,
    /// From the text's closing quote to the padding, where there is some.
    between: Option<Vec<u8>>,
    /// From the last closing quote to the end.
    after: Vec<u8>,
    /// The choice that the text belongs to.
    index: u64,
    /// There is no line's end in any of it.
    one_line: bool,
}

impl Usual {
    /// Remembers an event whose only content is `raw`, a string within `data` with its quotes.
    pub(super) fn learn(&mut self, data: &[u8], raw: &str, index: u64) {
        let Some(start) = raw.as_ptr().addr().checked_sub(data.as_ptr().addr()) else { return };
        let end = start + raw.len();
        let text = raw.strip_prefix('"').and_then(plain_string_of);
        if text.is_none() || data.len() > LONGEST || data.get(start..end) != Some(raw.as_bytes()) {
            return;
        }
        let tail = &data[end - 1..];
        let padding = memchr::memmem::find(tail, PADDING).map(|at| at + PADDING.len());
        let padded = padding.and_then(|from| Some((from, from + plain_string(&tail[from..])?)));
        self.before.clear();
        self.before.extend_from_slice(&data[..=start]);
        self.after.clear();
        self.after.extend_from_slice(&tail[padded.map_or(0, |(_, end)| end)..]);
        self.between = padded.map(|(from, _)| tail[..from].to_vec());
        self.index = index;
        self.one_line = memchr::memchr2(b'\r', b'\n', data).is_none();
    }

    /// The choice and the text, with its quotes, of an event that is like the one remembered.
    pub(super) fn content<'d>(&self, data: &'d [u8]) -> Option<(u64, &'d str)> {
        let (raw, end) = self.beginning(data)?;
        (end == data.len()).then_some((self.index, raw))
    }

    /// The same of the event that `bytes` begins with, as it came: one line of data and an empty one; and
    /// the event's length.
    pub(super) fn event<'d>(&self, bytes: &'d [u8]) -> Option<(u64, &'d str, usize)> {
        const BEGIN: &[u8] = b"data: ";
        const END: &[u8] = b"\n\n";
        let data = bytes.strip_prefix(BEGIN).filter(|_| self.one_line)?;
        let (raw, end) = self.beginning(data)?;
        let ends = data.get(end..end + END.len()) == Some(END);
        ends.then_some((self.index, raw, BEGIN.len() + end + END.len()))
    }

    /// The text, with its quotes, where `data` begins like the event remembered; and where that ends.
    #[inline]
    fn beginning<'d>(&self, data: &'d [u8]) -> Option<(&'d str, usize)> {
        let start = self.before.len().checked_sub(1)?;
        let rest = data.strip_prefix(&*self.before)?;
        let end = plain_string(rest).filter(|end| *end > 0)?;
        let mut behind = &rest[end..];
        if let Some(between) = &self.between {
            behind = behind.strip_prefix(&**between)?;
            let padding = plain_string(behind)?;
            core::str::from_utf8(&behind[..padding]).ok()?;
            behind = &behind[padding..];
        }
        let left = behind.strip_prefix(&*self.after)?;
        let raw = core::str::from_utf8(&data[start..start + end + 2]).ok()?;
        Some((raw, data.len() - left.len()))
    }
}

/// The text before a closing quote that is also the end.
fn plain_string_of(rest: &str) -> Option<&str> {
    let end = plain_string(rest.as_bytes())?;
    (end + 1 == rest.len()).then_some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::super::{Event, Family, Judge};
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use proptest::prelude::*;

    fn chunk(text: &str, more: &str) -> String {
        format!(
            r#"{{"id":"c","created":1,"choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]{more}}}"#
        )
    }

    #[test]
    fn only_the_text_and_the_padding_may_differ() {
        for padding in ["", r#","obfuscation":"x""#] {
            let first = chunk("a", padding);
            let raw = &first[first.find("\"a\"").unwrap()..][..3];
            let mut usual = Usual::default();
            assert_eq!(usual.content(first.as_bytes()), None);
            usual.learn(first.as_bytes(), raw, 0);
            let told =
                |data: &str| usual.content(data.as_bytes()).map(|(_, raw)| String::from(raw));
            let more = padding.replace('x', "longer, é");
            assert_eq!(told(&chunk("bé c", &more)).as_deref(), Some("\"bé c\""), "{padding}");
            for other in [
                chunk("", padding),
                chunk("\\n", padding),
                chunk("\u{1}", padding),
                chunk("a", &format!("{padding},\"usage\":{{}}")),
                chunk("a\"},\"finish_reason\":\"stop\",\"x\":{\"y\":\"", padding),
                chunk("a", padding).replace("null", "\"stop\""),
                chunk("a", padding).replace("\"c\"", "\"d\""),
                chunk("a", ",\"obfuscation\":1"),
                String::new(),
            ] {
                assert_eq!(told(&other), None, "{other}");
            }
        }
    }

    #[test]
    fn an_event_as_it_came_is_one_line_of_data_and_an_empty_one() {
        for padding in ["", r#","obfuscation":"x""#] {
            let first = format!("data: {}\n\n", chunk("a", padding));
            let mut judge = Judge::new(Family::Completions).with_transcript();
            assert_eq!(judge.see_usual(first.as_bytes()), None, "nothing is remembered");
            assert_eq!(judge.see(first.as_bytes()), Event::Content);
            let more = chunk("bé", padding);
            let next = format!("data: {more}\n\n");
            assert_eq!(judge.see_usual(format!("{next}{first}").as_bytes()), Some(next.len()));
            assert_eq!(judge.transcript().unwrap().text(), "abé".as_bytes());
            for other in [
                format!("data: {more}\r\n\r\n"),
                format!("data: {more}\n"),
                format!("data: {more}\nid: 1\n\n"),
                format!("data:{more}\n\n"),
                format!("event: x\ndata: {more}\n\n"),
                format!("data: {more} \n\n"),
                format!("data: {}\n\n", chunk("b\nc", padding)),
                format!("data: {}\n\n", chunk("b", r#","x":1"#)),
            ] {
                assert_eq!(judge.see_usual(other.as_bytes()), None, "{other}");
            }
        }
    }

    #[test]
    fn data_of_several_lines_is_never_taken_for_one() {
        let mut judge = Judge::new(Family::Completions).with_transcript();
        let lines = chunk("a", "").replace("\"choices\"", "\ndata: \"choices\"");
        assert_eq!(judge.see(format!("data: {lines}\n\n").as_bytes()), Event::Content);
        assert!(!judge.usual.before.is_empty());
        let broken = lines.replace("\ndata: ", "\n");
        assert_eq!(judge.see_usual(format!("data: {broken}\n\n").as_bytes()), None);
    }

    proptest! {
        #[test]
        fn a_stream_means_the_same_whether_it_is_remembered_or_not(
            texts in proptest::collection::vec(("[a-c\"\\\\n é]{0,4}", 0_usize..5, 0_u64..2), 1..12),
        ) {
            let mut one = Judge::new(Family::Completions).with_choices(2).with_transcript();
            let mut other = one_without_memory();
            for (text, form, index) in &texts {
                let text = serde_json::Value::from(text.as_str());
                let finish = if *form == 4 { "\"stop\"" } else { "null" };
                let more = [",\"obfuscation\":\"ab\"", "", ",\"usage\":null", ",\"error\":{\"a\":1}", ""][*form];
                let data = format!(
                    "data: {{\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":{text}}},\"finish_reason\":{finish}}}]{more}}}\n\n"
                );
                let seen = match one.see_usual(data.as_bytes()) {
                    Some(length) => {
                        prop_assert_eq!(length, data.len());
                        Event::Content
                    }
                    None => one.see(data.as_bytes()),
                };
                prop_assert_eq!(seen, other.see(data.as_bytes()), "{}", data);
                other.usual = Usual::default();
                prop_assert_eq!(one.is_whole(), other.is_whole());
                prop_assert_eq!(one.malformed(), other.malformed());
            }
            let text = |judge: &Judge| judge.transcript().unwrap().text().to_vec();
            prop_assert_eq!(text(&one), text(&other));
        }
    }

    fn one_without_memory() -> Judge {
        Judge::new(Family::Completions).with_choices(2).with_transcript()
    }

    #[test]
    fn the_same_event_twice_is_content_twice() {
        let mut judge = Judge::new(Family::Completions).with_transcript();
        let event = format!("data: {}\n\n", chunk("a", ""));
        for _ in 0..2 {
            assert_eq!(judge.see(event.as_bytes()), Event::Content);
        }
        assert!(!judge.usual.before.is_empty());
        assert_eq!(judge.transcript().unwrap().text(), b"aa");
    }
}
