//! Joins a broken answer and what a target makes of it when it is asked to go on.
//!
//! The answer was delivered in part, and the part went back as the beginning of the assistant's
//! message. A target that goes on says only what is new. One that begins again says what the caller
//! has already: as long as what comes is how the delivered text begins, nothing goes out; once all of
//! it was said again, the rest is what is new.

use alloc::string::{String, ToString};

use serde_json::{Map, Value};

use super::transcript::Transcript;
use super::verify::Checked;

/// Fewest bytes of delivered text that are gone on from. After less, a beginning that is told again
/// could be taken for a continuation, and telling all again costs little.
pub const SEAM_MIN: usize = 16;

/// Lets through what continues a delivered text.
#[derive(Debug)]
pub struct Stitcher {
    told: String,
    id: Option<String>,
    /// What came while it could still be the beginning told again; `None` once that is known.
    held: Option<String>,
}

impl Stitcher {
    /// A join after `transcript`; `None` when that is no text to go on from: another content than
    /// the text of one choice, a choice that has ended, or less than [`SEAM_MIN`] bytes.
    pub fn new(transcript: &Transcript) -> Option<Stitcher> {
        let told = transcript.plain_text().filter(|told| told.len() >= SEAM_MIN)?;
        Some(Stitcher { told, id: transcript.id.clone(), held: Some(String::new()) })
    }

    /// The delivered text.
    pub fn told(&self) -> &str {
        &self.told
    }

    /// Whether the caller may be told that the answer is over.
    pub fn joined(&self) -> bool {
        self.held.as_ref().is_none_or(String::is_empty)
    }

    /// Checks one event's data.
    pub fn check(&mut self, data: &[u8]) -> Checked {
        let Ok(mut event) = serde_json::from_slice::<Value>(data) else { return Checked::Swallow };
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

    /// Cuts a choice down to what is new; whether anything is. `None` when it cannot be joined.
    fn choice(&mut self, choice: &mut Value) -> Option<bool> {
        if choice.get("index").and_then(Value::as_u64).unwrap_or(0) != 0 {
            return None;
        }
        let finished = choice.get("finish_reason").is_some_and(Value::is_string);
        let mut none = Map::new();
        let delta = choice.get_mut("delta").and_then(Value::as_object_mut).unwrap_or(&mut none);
        // The caller has the role already.
        delta.remove("role");
        let filled = |(name, value): (&String, &Value)| name != "content" && !is_nothing(value);
        let others = delta.iter().any(filled);
        let text = delta.get("content").and_then(Value::as_str).unwrap_or_default().to_string();
        let new = self.seam(&text, finished || others)?;
        let says = !new.is_empty();
        if says || !text.is_empty() {
            delta.insert("content".to_string(), Value::from(new));
        }
        Some(says || others || finished)
    }

    /// What of `text` is new. `last`: nothing more of this text comes. `None` when the beginning
    /// was told again, but not to its end.
    fn seam(&mut self, text: &str, last: bool) -> Option<String> {
        let Some(mut held) = self.held.take() else { return Some(text.to_string()) };
        held.push_str(text);
        if let Some(new) = held.strip_prefix(self.told.as_str()) {
            return Some(new.to_string());
        }
        if !self.told.starts_with(held.as_str()) {
            return Some(held);
        }
        if last {
            return (held.len() < SEAM_MIN).then_some(held);
        }
        self.held = Some(held);
        Some(String::new())
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests;
