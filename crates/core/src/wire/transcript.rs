//! What of a stream was delivered, kept small, and the check of a second telling against it.
//!
//! When a stream breaks, the same call can be asked again; but only what continues exactly what the
//! caller already has may reach him. A [`Transcript`] keeps the delivered pieces as the raw JSON
//! values they came in (no decoding while all is well); a [`Verifier`] reads a second answer event
//! by event, swallows what repeats, cuts the event in which it goes beyond, and stops at the first
//! character that differs. Ids are those of the first telling, so that the caller sees one stream.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::stream::Family;

/// Most bytes kept of one stream; a longer one cannot be recovered.
pub const TRANSCRIPT_MAX: usize = 4 << 20;

/// Text members of a chat or completions choice that a caller can see.
pub(super) const TEXTS: [&str; 5] =
    ["content", "refusal", "reasoning_content", "reasoning", "text"];

/// What was delivered of one stream.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    pieces: Vec<u8>,
    /// Start of each piece in `pieces`, and what it is.
    index: Vec<(Piece, u32)>,
    id: Option<String>,
    overflown: bool,
}

/// What a piece is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// A text member of a choice, a raw JSON string.
    Text { choice: u64, member: u8 },
    /// The `tool_calls` of a choice, a raw JSON array.
    Tools { choice: u64 },
    /// A whole typed event (responses).
    Typed,
}

impl Transcript {
    /// The stream's id, from its first event.
    pub(super) fn note_id(&mut self, id: &str) {
        if self.id.is_none() {
            self.id = Some(id.to_string());
        }
    }

    /// A text member; `raw` is the JSON string with its quotes.
    pub(super) fn note_text(&mut self, choice: u64, member: u8, raw: &str) {
        self.push(Piece::Text { choice, member }, raw);
    }

    /// The `tool_calls` of a choice.
    pub(super) fn note_tools(&mut self, choice: u64, raw: &str) {
        self.push(Piece::Tools { choice }, raw);
    }

    /// A typed event.
    pub(super) fn note_typed(&mut self, raw: &str) {
        self.push(Piece::Typed, raw);
    }

    fn push(&mut self, piece: Piece, raw: &str) {
        if self.overflown || self.pieces.len() + raw.len() > TRANSCRIPT_MAX {
            self.overflown = true;
            return;
        }
        let start = u32::try_from(self.pieces.len()).unwrap_or(u32::MAX);
        self.index.push((piece, start));
        self.pieces.extend_from_slice(raw.as_bytes());
    }

    /// Bytes it keeps.
    pub fn bytes(&self) -> usize {
        self.pieces.len()
    }

    fn raw(&self, at: usize) -> &[u8] {
        let start = self.index[at].1 as usize;
        let end = self.index.get(at + 1).map_or(self.pieces.len(), |(_, next)| *next as usize);
        &self.pieces[start..end]
    }
}

/// What became of an event of the second telling.
#[derive(Debug, PartialEq, Eq)]
pub enum Checked {
    /// The caller has it already, or need not have it.
    Swallow,
    /// It goes on from what the caller has: the data to send.
    Forward(String),
    /// It tells something else. Nothing further may be delivered.
    Differs,
}

/// A stretch of text that a caller has, by where it stands in the answer.
type Channel = (u64, String);

/// Checks a second telling against the first.
#[derive(Debug)]
pub struct Verifier {
    family: Family,
    /// Text delivered by channel, and how much of it has been told again.
    told: BTreeMap<Channel, (String, usize)>,
    /// Structural events that were delivered (responses).
    shapes: BTreeSet<String>,
    /// Ids of the first telling by their place, and of the second by theirs.
    ids: BTreeMap<String, String>,
    renamed: BTreeMap<String, String>,
    id: Option<String>,
    sequence: u64,
    hopeless: bool,
}

impl Verifier {
    /// A check against `transcript`, for a stream of `family` whose next sequence number is
    /// `sequence`.
    pub fn new(family: Family, transcript: &Transcript, sequence: u64) -> Verifier {
        let mut verifier = Verifier {
            family,
            told: BTreeMap::new(),
            shapes: BTreeSet::new(),
            ids: BTreeMap::new(),
            renamed: BTreeMap::new(),
            id: transcript.id.clone(),
            sequence,
            hopeless: transcript.overflown,
        };
        for at in 0..transcript.index.len() {
            verifier.learn(&transcript.index[at].0, transcript.raw(at));
        }
        verifier
    }

    fn learn(&mut self, piece: &Piece, raw: &[u8]) {
        let Ok(value) = serde_json::from_slice::<Value>(raw) else {
            self.hopeless = true;
            return;
        };
        match piece {
            Piece::Text { choice, member } => {
                let name = TEXTS[usize::from(*member) % TEXTS.len()];
                self.append((*choice, name.to_string()), value.as_str().unwrap_or(""));
            }
            Piece::Tools { choice } => {
                for (channel, text) in tool_texts(*choice, &value) {
                    self.append(channel, &text);
                }
            }
            Piece::Typed => {
                if let Some((channel, text)) = delta_of(&value) {
                    self.append(channel, &text);
                } else {
                    self.shapes.insert(shape_of(&value));
                    for (place, id) in ids_of(&value) {
                        self.ids.entry(place).or_insert(id);
                    }
                }
            }
        }
    }

    fn append(&mut self, channel: Channel, text: &str) {
        self.told.entry(channel).or_default().0.push_str(text);
    }

    /// Whether everything the caller has was told again.
    pub fn caught_up(&self) -> bool {
        !self.hopeless && self.told.values().all(|(text, seen)| *seen == text.len())
    }

    /// Checks one event's data.
    pub fn check(&mut self, data: &[u8]) -> Checked {
        if self.hopeless {
            return Checked::Differs;
        }
        let Ok(event) = serde_json::from_slice::<Value>(data) else { return Checked::Swallow };
        match self.family {
            Family::Completions => self.completions(event),
            Family::Responses => self.responses(event),
            // Runs change what is stored at the provider; they are never told twice.
            Family::Assistants | Family::Other => Checked::Differs,
        }
    }

    /// Takes `text` as the next of a channel: what of it is new, or `None` when it differs.
    fn take<'a>(&mut self, channel: Channel, text: &'a str) -> Option<&'a str> {
        let Some((told, seen)) = self.told.get_mut(&channel) else { return Some(text) };
        let left = &told[*seen..];
        if let Some(new) = text.strip_prefix(left) {
            *seen = told.len();
            return Some(new);
        }
        if !left.starts_with(text) {
            return None;
        }
        *seen += text.len();
        Some("")
    }

    fn completions(&mut self, mut event: Value) -> Checked {
        if let (Some(id), Some(old)) = (event.get_mut("id"), &self.id) {
            *id = Value::from(old.as_str());
        }
        let usage = event.get("usage").is_some_and(|usage| !usage.is_null());
        let mut forward = usage;
        let choices = event.get_mut("choices").and_then(Value::as_array_mut);
        for choice in choices.into_iter().flatten() {
            match self.choice(choice) {
                Some(new) => forward |= new,
                None => return Checked::Differs,
            }
        }
        if forward { Checked::Forward(event.to_string()) } else { Checked::Swallow }
    }

    /// Cuts a choice down to what is new; whether anything is. `None` when it differs.
    fn choice(&mut self, choice: &mut Value) -> Option<bool> {
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
        let finished = choice.get("finish_reason").is_some_and(|reason| !reason.is_null());
        let mut new = false;
        if let Some(Value::String(text)) = choice.get_mut("text") {
            let rest = self.take((index, "text".to_string()), text)?.to_string();
            new |= !rest.is_empty();
            *text = rest;
        }
        if let Some(delta) = choice.get_mut("delta").and_then(Value::as_object_mut) {
            new |= self.delta(index, delta)?;
        }
        if finished && !self.choice_caught_up(index) {
            return None;
        }
        Some(new || finished)
    }

    fn choice_caught_up(&self, index: u64) -> bool {
        self.told.iter().all(|((choice, _), (text, seen))| *choice != index || *seen == text.len())
    }

    fn delta(&mut self, index: u64, delta: &mut Map<String, Value>) -> Option<bool> {
        let mut new = false;
        // The caller has the role already.
        delta.remove("role");
        for member in TEXTS {
            let Some(Value::String(text)) = delta.get_mut(member) else { continue };
            let rest = self.take((index, member.to_string()), text)?.to_string();
            new |= !rest.is_empty();
            *text = rest;
        }
        if let Some(calls) = delta.get_mut("tool_calls").and_then(Value::as_array_mut) {
            for call in calls {
                new |= self.tool_call(index, call)?;
            }
        }
        Some(new)
    }

    fn tool_call(&mut self, choice: u64, call: &mut Value) -> Option<bool> {
        let at = call.get("index").and_then(Value::as_u64).unwrap_or(0);
        let known = self.told.contains_key(&(choice, tool_channel(at, "name")));
        let mut new = false;
        for member in ["name", "arguments"] {
            let Some(Value::String(text)) = call.pointer_mut(member_path(member)) else { continue };
            let rest = self.take((choice, tool_channel(at, member)), text)?.to_string();
            new |= !rest.is_empty();
            *text = rest;
        }
        if known && let Some(call) = call.as_object_mut() {
            // The first telling gave it an id, which the caller will answer to.
            call.remove("id");
        }
        Some(new)
    }

    fn responses(&mut self, mut event: Value) -> Checked {
        for (place, id) in ids_of(&event) {
            if let Some(old) = self.ids.get(&place) {
                self.renamed.insert(id, old.clone());
            }
        }
        if let Some((channel, text)) = delta_of(&event) {
            let Some(rest) = self.take(channel, &text) else { return Checked::Differs };
            if rest.is_empty() {
                return Checked::Swallow;
            }
            event["delta"] = Value::from(rest);
            return self.forward(event);
        }
        if self.shapes.remove(&shape_of(&event)) {
            return Checked::Swallow;
        }
        let kind = event.get("type").and_then(Value::as_str).unwrap_or("");
        let ends = kind.ends_with(".done") || kind.ends_with(".completed");
        if ends && !self.caught_up_at(&event) {
            return Checked::Differs;
        }
        self.forward(event)
    }

    /// Whether the text that an ending event closes was told again in full: all of it for the
    /// response's end, that of its item otherwise.
    fn caught_up_at(&self, event: &Value) -> bool {
        match event.get("output_index").and_then(Value::as_u64) {
            None => self.caught_up(),
            Some(index) => self.choice_caught_up(index),
        }
    }

    fn forward(&mut self, mut event: Value) -> Checked {
        rename(&mut event, &self.renamed);
        if event.get("sequence_number").is_some() {
            event["sequence_number"] = Value::from(self.sequence);
            self.sequence += 1;
        }
        Checked::Forward(event.to_string())
    }
}

fn tool_channel(at: u64, member: &str) -> String {
    alloc::format!("tool {at} {member}")
}

fn member_path(member: &str) -> &'static str {
    if member == "name" { "/function/name" } else { "/function/arguments" }
}

/// The texts of a `tool_calls` array.
fn tool_texts(choice: u64, calls: &Value) -> Vec<(Channel, String)> {
    let mut texts = Vec::new();
    for call in calls.as_array().into_iter().flatten() {
        let at = call.get("index").and_then(Value::as_u64).unwrap_or(0);
        for member in ["name", "arguments"] {
            if let Some(text) = call.pointer(member_path(member)).and_then(Value::as_str) {
                texts.push(((choice, tool_channel(at, member)), text.to_string()));
            }
        }
    }
    texts
}

/// The channel and text of a delta event; `None` for every other event.
fn delta_of(event: &Value) -> Option<(Channel, String)> {
    let kind = event.get("type")?.as_str()?;
    let text = event.get("delta")?.as_str()?;
    let number = |name: &str| event.get(name).and_then(Value::as_u64).unwrap_or(0);
    let part = number("content_index").max(number("summary_index"));
    Some(((number("output_index"), alloc::format!("{kind} {part}")), text.to_string()))
}

/// What a structural event says about the answer's shape: its type and where.
fn shape_of(event: &Value) -> String {
    let number = |name: &str| event.get(name).and_then(Value::as_u64);
    let kind = event.get("type").and_then(Value::as_str).unwrap_or("");
    let (output, content) = (number("output_index"), number("content_index"));
    alloc::format!("{kind} {output:?} {content:?} {:?}", number("summary_index"))
}

/// Ids that an event introduces, by their place in the answer.
fn ids_of(event: &Value) -> Vec<(String, String)> {
    let mut ids = Vec::new();
    if let Some(id) = event.pointer("/response/id").and_then(Value::as_str) {
        ids.push(("response".to_string(), id.to_string()));
    }
    let output = event.get("output_index").and_then(Value::as_u64);
    if let (Some(output), Some(id)) = (output, event.pointer("/item/id").and_then(Value::as_str)) {
        ids.push((alloc::format!("item {output}"), id.to_string()));
    }
    ids
}

/// Puts ids of the first telling wherever those of the second stand.
fn rename(value: &mut Value, names: &BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            if let Some(old) = names.get(text.as_str()) {
                text.clone_from(old);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, names)),
        Value::Object(members) => members.values_mut().for_each(|member| rename(member, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn chunk(id: &str, content: &str) -> String {
        let content = Value::from(content);
        format!(r#"{{"id":"{id}","choices":[{{"index":0,"delta":{{"content":{content}}}}}]}}"#)
    }

    fn delivered(texts: &[&str]) -> Transcript {
        let mut transcript = Transcript::default();
        transcript.note_id("first");
        for text in texts {
            transcript.note_text(0, 0, &Value::from(*text).to_string());
        }
        transcript
    }

    fn content_of(checked: &Checked) -> Option<String> {
        let Checked::Forward(data) = checked else { return None };
        let value: Value = serde_json::from_str(data).ok()?;
        assert_eq!(value["id"], "first", "the caller sees one id");
        value.pointer("/choices/0/delta/content")?.as_str().map(ToString::to_string)
    }

    #[test]
    fn a_second_telling_is_delivered_from_where_the_first_broke_however_it_is_cut() {
        let whole = "Grüße aus der Ferne";
        let transcript = delivered(&["Grü", "ße aus"]);
        for size in 1..=whole.chars().count() {
            let mut verifier = Verifier::new(Family::Completions, &transcript, 0);
            let chars: Vec<char> = whole.chars().collect();
            let mut rest = String::new();
            for piece in chars.chunks(size) {
                let piece: String = piece.iter().collect();
                let checked = verifier.check(chunk("second", &piece).as_bytes());
                assert_ne!(checked, Checked::Differs);
                rest.push_str(&content_of(&checked).unwrap_or_default());
            }
            assert_eq!(rest, " der Ferne", "pieces of {size}");
            assert!(verifier.caught_up());
        }
    }

    #[test]
    fn the_first_differing_character_ends_it() {
        let transcript = delivered(&["one two"]);
        let mut verifier = Verifier::new(Family::Completions, &transcript, 0);
        assert_eq!(verifier.check(chunk("x", "one t").as_bytes()), Checked::Swallow);
        assert_eq!(verifier.check(chunk("x", "hree").as_bytes()), Checked::Differs);
    }

    #[test]
    fn a_shorter_second_telling_may_not_finish_the_first() {
        let transcript = delivered(&["one two"]);
        let mut verifier = Verifier::new(Family::Completions, &transcript, 0);
        verifier.check(chunk("x", "one").as_bytes());
        let finish = br#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
        assert_eq!(verifier.check(finish), Checked::Differs);
    }

    #[test]
    fn fragments_of_tool_calls_are_continued_under_the_id_the_caller_has() {
        let mut transcript = Transcript::default();
        transcript.note_tools(
            0,
            r#"[{"index":0,"id":"call_1","function":{"name":"f","arguments":"{\"a\""}}]"#,
        );
        let mut verifier = Verifier::new(Family::Completions, &transcript, 0);
        let again = br#"{"choices":[{"index":0,"delta":{"tool_calls":[
            {"index":0,"id":"call_2","function":{"name":"f","arguments":"{\"a\":1}"}}]}}]}"#;
        let Checked::Forward(data) = verifier.check(again) else { panic!("it goes on") };
        let value: Value = serde_json::from_str(&data).unwrap();
        let call = value.pointer("/choices/0/delta/tool_calls/0").unwrap();
        assert_eq!(call.pointer("/function/arguments").unwrap(), ":1}");
        assert_eq!(call.get("id"), None);
    }

    #[test]
    fn typed_events_keep_their_ids_and_count_on() {
        let mut transcript = Transcript::default();
        transcript.note_typed(r#"{"type":"response.created","response":{"id":"resp_1"}}"#);
        transcript.note_typed(
            r#"{"type":"response.output_item.added","output_index":0,"item":{"id":"msg_1"}}"#,
        );
        transcript.note_typed(
            r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hel"}"#,
        );
        let mut verifier = Verifier::new(Family::Responses, &transcript, 3);
        let created = br#"{"type":"response.created","response":{"id":"resp_2"}}"#;
        assert_eq!(verifier.check(created), Checked::Swallow);
        let added =
            br#"{"type":"response.output_item.added","output_index":0,"item":{"id":"msg_2"}}"#;
        assert_eq!(verifier.check(added), Checked::Swallow);
        let delta = br#"{"type":"response.output_text.delta","sequence_number":2,"item_id":"msg_2",
            "output_index":0,"content_index":0,"delta":"Hello"}"#;
        let Checked::Forward(data) = verifier.check(delta) else { panic!("it goes on") };
        let value: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(
            (value["delta"].as_str(), value["item_id"].as_str()),
            (Some("lo"), Some("msg_1"))
        );
        assert_eq!(value["sequence_number"], 3);
        let end =
            br#"{"type":"response.completed","sequence_number":9,"response":{"id":"resp_2"}}"#;
        let Checked::Forward(data) = verifier.check(end) else { panic!("it ends") };
        assert!(data.contains("resp_1") && !data.contains("resp_2"));
    }
}
