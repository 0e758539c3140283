//! Whole files of requests: one JSON body, or JSONL of bodies or Batch lines.
//!
//! A Batch line is an object with `custom_id`, `method`, `url` and `body`; its `url` names the endpoint.
//! Faults of its body carry the path inside the body, as the endpoint itself would name it.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Fault, Level, Place, say, validate};
use crate::failure::Kind;
use crate::wire::endpoint::Endpoint;
use crate::wire::json::{Reader, Str, Syntax, Type};

/// Longest line of an excerpt, in characters.
const EXCERPT_MAX: usize = 100;

/// What was found about one body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line on which the body begins, from 1.
    pub line: usize,
    /// The `custom_id` of a Batch line.
    pub custom_id: Option<String>,
    /// The endpoint it was held against; `None` when nothing told which.
    pub endpoint: Option<Endpoint>,
    /// What is wrong. Offsets count from the start of the whole text.
    pub faults: Vec<Fault>,
}

impl Row {
    /// Whether nothing is wrong.
    pub fn ok(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Holds every body in `text` against the rules of `endpoint`, or where that is `None`, of the
/// endpoint that the line's `url` or the body's fields tell.
///
/// `text` is one JSON value, or one a line. Empty lines are passed over.
pub fn rows(text: &[u8], endpoint: Option<Endpoint>, level: Level) -> Vec<Row> {
    let mut checker = Checker { text, endpoint, level, ids: BTreeSet::new() };
    let end = text.len();
    if is_one_value(text) {
        return alloc::vec![checker.row(0, end)];
    }
    let mut rows = Vec::new();
    let mut start = 0;
    while start < end {
        let rest = text.get(start..).unwrap_or_default();
        let stop = memchr::memchr(b'\n', rest).map_or(end, |at| start + at);
        if !text.get(start..stop).unwrap_or_default().trim_ascii().is_empty() {
            rows.push(checker.row(start, stop));
        }
        start = stop + 1;
    }
    rows
}

/// One value, however it is broken over lines, or a first line that is no value by itself: a body
/// written over several lines that is not sound. Everything else is one value a line.
fn is_one_value(text: &[u8]) -> bool {
    let whole = |bytes: &[u8]| {
        core::str::from_utf8(bytes).is_ok_and(|text| {
            let mut reader = Reader::new(text);
            reader.skip().and_then(|()| reader.end()).is_ok()
        })
    };
    let trimmed = text.trim_ascii();
    let mut lines =
        trimmed.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let (first, second) = (lines.next().unwrap_or_default(), lines.next());
    // JSONL may have unsound lines; a body of several lines seldom has two that begin with a brace.
    let braces =
        |line: &[u8]| line.trim_ascii_start().first() == Some(&b'{') && line.trim_ascii().len() > 1;
    second.is_none()
        || whole(trimmed)
        || !(whole(first) || braces(first) && second.is_some_and(braces))
}

struct Checker<'a> {
    text: &'a [u8],
    endpoint: Option<Endpoint>,
    level: Level,
    ids: BTreeSet<String>,
}

impl Checker<'_> {
    fn row(&mut self, start: usize, end: usize) -> Row {
        let bytes = self.text.get(start..end).unwrap_or_default();
        let line =
            memchr::memchr_iter(b'\n', self.text.get(..start).unwrap_or_default()).count() + 1;
        let mut row = Row { line, custom_id: None, endpoint: self.endpoint, faults: Vec::new() };
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        match core::str::from_utf8(bytes) {
            Err(error) => {
                let place = self.place(start + error.valid_up_to());
                row.faults.push(Fault::not_utf8_at(bytes, error, &place));
            }
            Ok(text) => match Envelope::read(text) {
                Err(syntax) => {
                    let place = self.place(start + syntax.at);
                    row.faults.push(Fault::not_json_at(text, syntax, &place));
                }
                Ok(Some(envelope)) => self.batch_line(&envelope, &mut row),
                Ok(None) => self.body(text, 0, &mut row),
            },
        }
        for fault in &mut row.faults {
            fault.offset += start;
        }
        row
    }

    /// A place in the file, as people look for it there.
    fn place(&self, offset: usize) -> String {
        let Place { line, column, .. } = Place::of(self.text, offset);
        format!("line {line}, column {column}")
    }

    fn body(&self, text: &str, offset: usize, row: &mut Row) {
        let guessed = || guess(text);
        row.endpoint = row.endpoint.or_else(guessed);
        let Some(endpoint) = row.endpoint else {
            let why = "The endpoint cannot be told from the fields of this body. Name it, for example with \
                       `--endpoint chat`.";
            row.faults.push(plain(Kind::InvalidRequest, None, why.to_string(), offset));
            return;
        };
        let mut report = validate(endpoint, self.level, text.as_bytes());
        for fault in &mut report.faults {
            fault.offset += offset;
        }
        row.faults.append(&mut report.faults);
    }

    fn batch_line(&mut self, envelope: &Envelope<'_>, row: &mut Row) {
        row.custom_id =
            envelope.custom_id.and_then(|id| id.text()).map(alloc::borrow::Cow::into_owned);
        match &row.custom_id {
            None => row.faults.push(say::missing("custom_id".to_string(), &super::schema::TEXT)),
            Some(id) => {
                if !self.ids.insert(id.clone()) {
                    let why = "another line above has the same one, and answers are told apart by it. Give each line \
                               its own.";
                    row.faults.push(say::between("custom_id".to_string(), why));
                }
            }
        }
        if envelope.method.is_some_and(|method| !method.is("POST")) {
            let why = "Batch lines are sent with 'POST'. Write that.";
            row.faults.push(say::between("method".to_string(), why));
        }
        let named = envelope.url.and_then(|url| url.text()).map(|url| {
            let path =
                url.find("/v1/").and_then(|at| url.get(at + 3..)).unwrap_or(&url).to_string();
            Endpoint::of("POST", &path)
        });
        row.endpoint = named.or(self.endpoint);
        if named == Some(Endpoint::Other) {
            let why =
                "it is not the path of a known endpoint. Write for example '/v1/chat/completions'.";
            row.faults.push(say::between("url".to_string(), why));
        }
        match &envelope.body {
            Some((at, body)) => self.body(body, *at, row),
            None => row.faults.push(say::missing("body".to_string(), &super::schema::FREE)),
        }
    }
}

fn plain(kind: Kind, param: Option<String>, message: String, offset: usize) -> Fault {
    Fault { kind, openai_code: None, param, message, offset }
}

/// The outer fields of a Batch line.
#[derive(Default)]
struct Envelope<'a> {
    custom_id: Option<Str<'a>>,
    method: Option<Str<'a>>,
    url: Option<Str<'a>>,
    body: Option<(usize, &'a str)>,
}

impl<'a> Envelope<'a> {
    /// `None` when the text is a bare body.
    fn read(text: &'a str) -> Result<Option<Envelope<'a>>, Syntax> {
        let mut reader = Reader::new(text);
        if reader.next_type()? != Type::Object {
            reader.skip()?;
            return reader.end().map(|()| None);
        }
        let (mut first, mut envelope) = (true, Envelope::default());
        while let Some(key) = reader.key(&mut first)? {
            let is_string = reader.next_type()? == Type::String;
            if key.is("body") && !is_string {
                envelope.body = Some((reader.offset(), reader.raw()?));
            } else if is_string {
                let value = reader.string()?;
                for (name, place) in [
                    ("custom_id", &mut envelope.custom_id),
                    ("method", &mut envelope.method),
                    ("url", &mut envelope.url),
                ] {
                    if key.is(name) {
                        *place = Some(value);
                    }
                }
            } else {
                reader.skip()?;
            }
        }
        reader.end()?;
        let is_batch = envelope.body.is_some() || envelope.custom_id.is_some();
        Ok(is_batch.then_some(envelope))
    }
}

/// The fields that tell endpoints apart.
const TELLING: [&str; 9] = [
    "messages",
    "input",
    "prompt",
    "voice",
    "assistant_id",
    "tool_outputs",
    "thread",
    "size",
    "quality",
];

/// The endpoint whose fields a body has, if one stands out.
pub fn guess(body: &str) -> Option<Endpoint> {
    let mut reader = Reader::new(body);
    let (mut first, mut seen) = (true, Seen::default());
    while let Ok(Some(key)) = reader.key(&mut first) {
        if let Some(index) = TELLING.iter().position(|name| key.is(name)) {
            seen.fields |= 1 << index;
        }
        if key.is("model") && reader.next_type() == Ok(Type::String) {
            seen.model = reader.string().ok();
        } else if reader.skip().is_err() {
            return None;
        }
    }
    seen.endpoint()
}

/// Which of [`TELLING`] a body has, one bit each, and its model.
#[derive(Default)]
struct Seen<'a> {
    fields: u16,
    model: Option<Str<'a>>,
}

impl Seen<'_> {
    fn endpoint(&self) -> Option<Endpoint> {
        let has = |name: &str| {
            TELLING
                .iter()
                .enumerate()
                .any(|(index, known)| *known == name && self.fields & (1 << index) != 0)
        };
        let model = |needle: &str| self.model.is_some_and(|model| model.raw.contains(needle));
        Some(match () {
            () if has("tool_outputs") => Endpoint::ToolOutputs,
            () if has("assistant_id") && has("thread") => Endpoint::ThreadAndRun,
            () if has("assistant_id") => Endpoint::Runs,
            () if has("messages") => Endpoint::Chat,
            () if has("input") && (has("voice") || model("tts")) => Endpoint::Speech,
            () if has("input") && model("embed") => Endpoint::Embeddings,
            () if has("input") && (model("moderation") || self.model.is_none()) => {
                Endpoint::Moderations
            }
            () if has("input") => Endpoint::Responses,
            () if has("prompt")
                && (has("size") || has("quality") || model("dall-e") || model("image")) =>
            {
                Endpoint::Images
            }
            () if has("prompt") => Endpoint::Completions,
            // A model and none of the others: most likely the messages were forgotten.
            () if self.model.is_some() => Endpoint::Chat,
            () => return None,
        })
    }
}

/// A line of the text with a mark under a place in it, for a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The place.
    pub place: Place,
    /// The line's text around the place, at most 100 characters, control characters as spaces.
    pub text: String,
    /// How many characters stand before the mark.
    pub mark: usize,
}

/// The surroundings of the byte at `offset`.
pub fn excerpt(text: &[u8], offset: usize) -> Excerpt {
    let place = Place::of(text, offset);
    let offset = place.offset;
    let start =
        memchr::memrchr(b'\n', text.get(..offset).unwrap_or_default()).map_or(0, |at| at + 1);
    let rest = text.get(offset..).unwrap_or_default();
    let end = memchr::memchr(b'\n', rest).map_or(text.len(), |at| offset + at);
    let before = String::from_utf8_lossy(text.get(start..offset).unwrap_or_default());
    let after = String::from_utf8_lossy(text.get(offset..end).unwrap_or_default());
    let count = before.chars().count();
    let cut = count.saturating_sub(EXCERPT_MAX / 2);
    let mut mark = count - cut;
    let mut shown: String = before.chars().skip(cut).collect();
    if cut > 0 {
        shown = format!("…{shown}");
        mark += 1;
    }
    let room = EXCERPT_MAX.saturating_sub(mark);
    shown.extend(after.chars().take(room));
    let text = shown.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Excerpt { place, text, mark }
}

#[cfg(test)]
mod tests;
