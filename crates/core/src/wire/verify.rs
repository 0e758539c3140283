//! Holds a second telling of a broken stream against the first: what repeats is swallowed, the
//! event that goes beyond is cut to what is new, and the first character that differs ends it.
//!
//! Ids are those of the first telling, so that the caller sees one stream. The model is not
//! rewritten: it names who tells.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::stream::Family;
use super::transcript::{Channel, Shape, Transcript};

/// Text members of a chat delta that a caller can see.
pub(super) const TEXTS: [&str; 4] = ["content", "refusal", "reasoning_content", "reasoning"];
/// Where a tool call keeps its text, and the name of its channel.
pub(super) const TOOL_TEXTS: [(&str, &str); 4] = [
    ("/function/name", "tool name"),
    ("/function/arguments", "tool arguments"),
    ("/custom/name", "custom name"),
    ("/custom/input", "custom input"),
];
/// Events that every telling begins with and that say nothing about the answer.
const BEGINNINGS: [&str; 3] = ["response.created", "response.queued", "response.in_progress"];

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

/// Checks a second telling against the first.
#[derive(Debug)]
pub struct Verifier {
    family: Family,
    /// Text delivered by channel, and how much of it has been told again.
    told: BTreeMap<Channel, (String, usize)>,
    /// Choices whose end the caller has.
    finished: Vec<u64>,
    /// Structural events that were delivered and have not been told again.
    shapes: BTreeMap<Shape, u32>,
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
            finished: transcript.finished.clone(),
            shapes: BTreeMap::new(),
            ids: transcript.ids.iter().cloned().collect(),
            renamed: BTreeMap::new(),
            id: transcript.id.clone(),
            sequence,
            hopeless: !transcript.is_comparable(),
        };
        for (channel, text) in transcript.runs() {
            match text {
                Some(text) => {
                    verifier.told.entry(channel.clone()).or_default().0.push_str(&text);
                }
                None => verifier.hopeless = true,
            }
        }
        for shape in &transcript.shapes {
            *verifier.shapes.entry(shape.clone()).or_insert(0) += 1;
        }
        verifier
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
            Family::Assistants | Family::Media | Family::Other => Checked::Differs,
        }
    }

    /// Takes `text` as the next of a channel: what of it is new, or `None` when it differs. A
    /// channel that the caller does not know may only begin once all he has of that choice or
    /// item was told again.
    fn take<'a>(&mut self, channel: Channel, text: &'a str) -> Option<&'a str> {
        let index = channel.index;
        let Some((told, seen)) = self.told.get_mut(&channel) else {
            return (text.is_empty() || self.caught_up_in(index)).then_some(text);
        };
        let left = told.get(*seen..).unwrap_or("");
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

    fn caught_up_in(&self, index: u64) -> bool {
        self.told
            .iter()
            .all(|(channel, (text, seen))| channel.index != index || *seen == text.len())
    }

    fn completions(&mut self, mut event: Value) -> Checked {
        if let (Some(id), Some(old)) = (event.get_mut("id"), &self.id) {
            *id = Value::from(old.as_str());
        }
        let usage = event.get("usage").is_some_and(|usage| !usage.is_null());
        let choices = event.get_mut("choices").and_then(Value::as_array_mut);
        let mut forward = usage && choices.as_ref().is_none_or(|choices| choices.is_empty());
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
        let finished = choice.get("finish_reason").is_some_and(Value::is_string);
        let mut new = self.text(choice.get_mut("text"), index, "text", 0)?;
        if let Some(delta) = choice.get_mut("delta").and_then(Value::as_object_mut) {
            new |= self.delta(index, delta)?;
        }
        if finished && !self.caught_up_in(index) {
            return None;
        }
        let ended = self.finished.contains(&index);
        if new && ended {
            // The caller has this choice's end; nothing can follow it.
            return None;
        }
        Some(new || (finished && !ended))
    }

    fn delta(&mut self, index: u64, delta: &mut Map<String, Value>) -> Option<bool> {
        let mut new = false;
        // The caller has the role already.
        if self.told.keys().any(|channel| channel.index == index) {
            delta.remove("role");
        }
        for member in TEXTS {
            new |= self.text(delta.get_mut(member), index, member, 0)?;
        }
        if let Some(call) = delta.get_mut("function_call") {
            new |= self.text(call.get_mut("name"), index, "function name", 0)?;
            new |= self.text(call.get_mut("arguments"), index, "function arguments", 0)?;
        }
        for call in delta.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten()
        {
            new |= self.tool_call(index, call)?;
        }
        Some(new)
    }

    fn tool_call(&mut self, choice: u64, call: &mut Value) -> Option<bool> {
        let at = call.get("index").and_then(Value::as_u64).unwrap_or(0);
        let known = self.told.keys().any(|channel| {
            let tool = TOOL_TEXTS.iter().any(|(_, kind)| channel.kind == *kind);
            tool && channel.index == choice && channel.part == at
        });
        let mut new = false;
        for (path, kind) in TOOL_TEXTS {
            new |= self.text(call.pointer_mut(path), choice, kind, at)?;
        }
        if known && let Some(call) = call.as_object_mut() {
            // The first telling gave it an id, which the caller will answer to.
            call.remove("id");
        }
        Some(new)
    }

    /// Cuts one text down to what is new; whether anything is.
    fn text(
        &mut self,
        text: Option<&mut Value>,
        index: u64,
        kind: &str,
        part: u64,
    ) -> Option<bool> {
        let Some(Value::String(text)) = text else { return Some(false) };
        let channel = Channel { index, kind: kind.to_string(), part };
        let rest = self.take(channel, text)?.to_string();
        let new = !rest.is_empty();
        *text = rest;
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
            if let Some(delta) = event.get_mut("delta") {
                *delta = Value::from(rest);
            }
            return self.forward(event);
        }
        let shape = shape_of(&event);
        if let Some(left) = self.shapes.get_mut(&shape) {
            *left -= 1;
            if *left == 0 {
                self.shapes.remove(&shape);
            }
            return Checked::Swallow;
        }
        if BEGINNINGS.contains(&shape.kind.as_str()) {
            return Checked::Swallow;
        }
        // Anything else is new, and may only come once all that the caller has was told again.
        if !self.caught_up() {
            return Checked::Differs;
        }
        self.forward(event)
    }

    fn forward(&mut self, mut event: Value) -> Checked {
        rename(&mut event, &self.renamed);
        if let Some(sequence) = event.get_mut("sequence_number") {
            *sequence = Value::from(self.sequence);
            self.sequence += 1;
        }
        Checked::Forward(event.to_string())
    }

    /// The number that the next forwarded event carries.
    pub fn next_sequence(&self) -> u64 {
        self.sequence
    }
}

/// The channel and text of a delta event; `None` for every other event.
fn delta_of(event: &Value) -> Option<(Channel, String)> {
    let kind = event.get("type")?.as_str()?;
    let text = event.get("delta")?.as_str()?;
    let number = |name: &str| event.get(name).and_then(Value::as_u64).unwrap_or(0);
    let part = number("content_index").max(number("summary_index"));
    Some((
        Channel { index: number("output_index"), kind: kind.to_string(), part },
        text.to_string(),
    ))
}

/// What a structural event says about the answer's shape: its type, where, and of what.
fn shape_of(event: &Value) -> Shape {
    let number = |name: &str| event.get(name).and_then(Value::as_u64);
    let item = |name: &str| {
        let found = event.get("item").and_then(|item| item.get(name)).and_then(Value::as_str);
        found.unwrap_or("")
    };
    Shape {
        kind: event.get("type").and_then(Value::as_str).unwrap_or("").to_string(),
        output: number("output_index"),
        part: number("content_index").or_else(|| number("summary_index")),
        item: item_words(item("type"), item("role"), item("name")),
    }
}

/// What is compared of an item.
pub(super) fn item_words(kind: &str, role: &str, name: &str) -> String {
    [kind, role, name].join(" ")
}

/// The places of an output item's ids.
pub(super) fn item_place(output: u64, member: &str) -> String {
    alloc::format!("{member} {output}")
}

/// Ids that an event introduces, by their place in the answer.
fn ids_of(event: &Value) -> Vec<(String, String)> {
    let mut ids = Vec::new();
    if let Some(id) = event.pointer("/response/id").and_then(Value::as_str) {
        ids.push(("response".to_string(), id.to_string()));
    }
    let Some(output) = event.get("output_index").and_then(Value::as_u64) else { return ids };
    for member in ["id", "call_id"] {
        let id = event.get("item").and_then(|item| item.get(member)).and_then(Value::as_str);
        ids.extend(id.map(|id| (item_place(output, member), id.to_string())));
    }
    ids
}

/// Members that hold an id. Nothing else is renamed: a text that happens to be an id stays.
const ID_MEMBERS: [&str; 5] = ["id", "item_id", "call_id", "response_id", "output_item_id"];

/// Puts ids of the first telling wherever those of the second stand.
fn rename(value: &mut Value, names: &BTreeMap<String, String>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, names)),
        Value::Object(members) => {
            for (name, member) in members {
                if let Value::String(text) = member
                    && ID_MEMBERS.contains(&name.as_str())
                {
                    if let Some(old) = names.get(text.as_str()) {
                        text.clone_from(old);
                    }
                } else {
                    rename(member, names);
                }
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests;
