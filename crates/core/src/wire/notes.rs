//! What of a request and its answer a trace may tell: settings, counts and single words. No prompt, no
//! answer and nothing else that somebody wrote freely.
//!
//! Read a second time, and only for calls that are traced. Fields are those of the vendor's
//! description of its API of 2026-08; `top_k` is vLLM's, `cache_write_tokens` OpenRouter's (their
//! references, read 2026-11).

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use memchr::memmem;

use super::json::Reader;
use super::sound::members;
use crate::mask;

/// A word: an id, a name or one of a few choices. At most [`Word::MAX`] letters, digits and `-_.:/@`, so
/// that no sentence is one; what is shaped like a key is masked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word(Box<str>);

impl Word {
    /// Longest word, in bytes.
    pub const MAX: usize = 128;

    /// `None` when the text is no word.
    pub fn new(text: &str) -> Option<Word> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || b"-_.:/@".contains(&c);
        let is_word = !text.is_empty() && text.len() <= Word::MAX && text.bytes().all(fits);
        is_word.then(|| Word(mask::text(text.to_string()).into()))
    }

    /// Of a JSON value, as it is written.
    fn of(value: &str) -> Option<Word> {
        Word::new(value.strip_prefix('"')?.strip_suffix('"')?)
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a request asks for. Of a member that stands twice the last holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wishes {
    /// The most tokens of one answer, by whichever field says so; the smallest when several do.
    pub max_tokens: Option<u64>,
    /// How many answers (`n`).
    pub choices: Option<u64>,
    /// `seed`.
    pub seed: Option<i64>,
    /// `temperature`.
    pub temperature: Option<f64>,
    /// `top_p`.
    pub top_p: Option<f64>,
    /// `top_k`.
    pub top_k: Option<f64>,
    /// `frequency_penalty`.
    pub frequency_penalty: Option<f64>,
    /// `presence_penalty`.
    pub presence_penalty: Option<f64>,
    /// `encoding_format` of embeddings.
    pub encoding: Option<Word>,
    /// How much to reason: `reasoning_effort`, or `reasoning.effort`.
    pub effort: Option<Word>,
    /// `service_tier`.
    pub tier: Option<Word>,
    /// `response_format.type`, or `text.format.type`.
    pub format: Option<Word>,
    /// The stored conversation: `conversation`, or its `id`.
    pub conversation: Option<Word>,
    /// `previous_response_id`.
    pub previous: Option<Word>,
}

impl Wishes {
    /// Reads a JSON body; nothing of what is none.
    pub fn of(body: &[u8]) -> Wishes {
        let mut all = Wishes::default();
        visit(core::str::from_utf8(body).unwrap_or_default(), &mut |name, value| {
            all.member(name, value);
        });
        all
    }

    fn member(&mut self, name: &str, value: &str) {
        match name {
            "max_tokens" | "max_completion_tokens" | "max_output_tokens" => {
                let most = value.parse().ok();
                self.max_tokens = self.max_tokens.into_iter().chain(most).min();
            }
            "n" => self.choices = value.parse().ok(),
            "seed" => self.seed = value.parse().ok(),
            "temperature" => self.temperature = number(value),
            "top_p" => self.top_p = number(value),
            "top_k" => self.top_k = number(value),
            "frequency_penalty" => self.frequency_penalty = number(value),
            "presence_penalty" => self.presence_penalty = number(value),
            "encoding_format" => self.encoding = Word::of(value),
            "reasoning_effort" => self.effort = Word::of(value),
            "reasoning" => self.effort = part(value, "effort").and_then(Word::of),
            "service_tier" => self.tier = Word::of(value),
            "response_format" => self.format = part(value, "type").and_then(Word::of),
            "text" => {
                let format = part(value, "format").and_then(|format| part(format, "type"));
                self.format = format.and_then(Word::of);
            }
            "conversation" => {
                self.conversation = Word::of(part(value, "id").unwrap_or(value));
            }
            "previous_response_id" => self.previous = Word::of(value),
            _ => {}
        }
    }
}

/// What an answer tells of itself, whole or as a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Its id.
    pub id: Option<Word>,
    /// The model that answered, as it calls itself.
    pub model: Option<Word>,
    /// `service_tier`.
    pub tier: Option<Word>,
    /// `system_fingerprint`.
    pub fingerprint: Option<Word>,
    /// Why each choice ended, by its index. A response has one: `incomplete_details.reason`, else its
    /// `status`. At most [`Told::FINISHED_MAX`].
    finished: Vec<(u64, Word)>,
    /// Tokens, as far as the answer tells them apart.
    pub tokens: Apart,
}

/// Tokens that `usage` tells apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Apart {
    /// Output: for reasoning.
    pub reasoning: Option<u64>,
    /// Input: written to the provider's cache.
    pub cache_written: Option<u64>,
    /// Input: text, image, audio.
    pub input: [Option<u64>; 3],
    /// Output: text, image, audio.
    pub output: [Option<u64>; 3],
}

/// `id` of events that begin an assistant's work is the run's; a message's or a step's is none.
const RUN: &str = "\"thread.run\"";

impl Told {
    /// Most choices whose end is kept: what `n` may be at most.
    pub const FINISHED_MAX: usize = 128;

    /// Reads a whole JSON answer; nothing of what is none.
    pub fn answer(&mut self, body: &[u8]) {
        self.read(core::str::from_utf8(body).unwrap_or_default());
    }

    /// Reads the data of an event of a stream.
    pub fn event(&mut self, data: &[u8]) {
        if self.id.is_some() && is_middle(data) {
            return;
        }
        let text = core::str::from_utf8(data).unwrap_or_default();
        let (mut response, mut typed) = (None, false);
        visit(text, &mut |name, value| match name {
            "type" => typed = true,
            "response" => response = Some(value),
            _ => {}
        });
        match response {
            Some(response) => self.read(response),
            // The parts of a response have ids of their own.
            None if typed => self.usage_of(text),
            None => self.read(text),
        }
    }

    /// Why each choice ended, in their order.
    pub fn finished(&self) -> impl Iterator<Item = &Word> {
        self.finished.iter().map(|(_, why)| why)
    }

    fn usage_of(&mut self, text: &str) {
        if let Some(usage) = part(text, "usage") {
            self.tokens.read(usage);
        }
    }

    fn read(&mut self, text: &str) {
        let (mut status, mut incomplete) = (None, None);
        if part(text, "object")
            .is_some_and(|object| object.starts_with("\"thread") && object != RUN)
        {
            return;
        }
        visit(text, &mut |name, value| match name {
            "id" => put(&mut self.id, value),
            "model" => put(&mut self.model, value),
            "service_tier" => put(&mut self.tier, value),
            "system_fingerprint" => put(&mut self.fingerprint, value),
            "choices" => each(value, &mut |place, choice| self.choice(place, choice)),
            "status" => status = Word::of(value),
            "incomplete_details" => incomplete = part(value, "reason").and_then(Word::of),
            "usage" => self.tokens.read(value),
            _ => {}
        });
        let ended = status.filter(|status| !matches!(status.as_str(), "queued" | "in_progress"));
        if let Some(ended) = ended {
            self.finish(0, incomplete.unwrap_or(ended));
        }
    }

    fn choice(&mut self, place: u64, choice: &str) {
        let (mut index, mut why) = (place, None);
        visit(choice, &mut |name, value| match name {
            "index" => index = value.parse().unwrap_or(place),
            "finish_reason" => why = Word::of(value),
            _ => {}
        });
        if let Some(why) = why {
            self.finish(index, why);
        }
    }

    fn finish(&mut self, index: u64, why: Word) {
        match self.finished.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(at) => self.finished[at].1 = why,
            Err(at) if self.finished.len() < Told::FINISHED_MAX => {
                self.finished.insert(at, (index, why));
            }
            Err(_) => {}
        }
    }
}

impl Apart {
    fn read(&mut self, usage: &str) {
        const KINDS: [&str; 3] = ["text_tokens", "image_tokens", "audio_tokens"];
        visit(usage, &mut |name, details| {
            let (kinds, output) = match name {
                "prompt_tokens_details" | "input_tokens_details" => (&mut self.input, false),
                "completion_tokens_details" | "output_tokens_details" => (&mut self.output, true),
                _ => return,
            };
            visit(details, &mut |name, value| {
                let count = value.parse().ok();
                match (name, KINDS.iter().position(|kind| *kind == name)) {
                    (_, Some(at)) => kinds[at] = count,
                    ("reasoning_tokens", None) if output => self.reasoning = count,
                    ("cache_write_tokens", None) if !output => self.cache_written = count,
                    (_, None) => {}
                }
            });
        });
    }
}

/// Keeps a word, over an earlier one; what is none changes nothing.
fn put(place: &mut Option<Word>, value: &str) {
    if let Some(word) = Word::of(value) {
        *place = Some(word);
    }
}

/// Whether an event of a completion neither ends a choice nor tells tokens, as nearly all do.
fn is_middle(data: &[u8]) -> bool {
    let Some(at) = memmem::find(data, b"\"finish_reason\"") else { return false };
    let rest = data[at + 15..].trim_ascii_start();
    let ends = !rest.strip_prefix(b":").is_some_and(|v| v.trim_ascii_start().starts_with(b"null"));
    // With several choices in one event, it is read.
    !ends
        && memmem::find(rest, b"\"finish_reason\"").is_none()
        && memmem::find(data, b"_tokens").is_none()
}

/// Each member of an object; nothing of what is no object or breaks off.
fn visit<'a>(text: &'a str, tell: &mut dyn FnMut(&'a str, &'a str)) {
    let _broken = members(&mut Reader::new(text), tell);
}

/// Each item of an array, with its place.
fn each<'a>(text: &'a str, tell: &mut dyn FnMut(u64, &'a str)) {
    let (mut reader, mut first, mut place) = (Reader::new(text), true, 0);
    while text.starts_with('[') && reader.item(&mut first) == Ok(true) {
        let Ok(item) = reader.raw() else { return };
        tell(place, item);
        place += 1;
    }
}

/// A member of an object, as it is written.
fn part<'a>(text: &'a str, wanted: &str) -> Option<&'a str> {
    let mut found = None;
    visit(text, &mut |name, value| {
        if name == wanted {
            found = Some(value);
        }
    });
    found
}

/// A number that is one: JSON knows no others, and `1e999` is none here.
fn number(value: &str) -> Option<f64> {
    let is_number = value.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    value.parse().ok().filter(|number: &f64| is_number && number.is_finite())
}

#[cfg(test)]
mod tests;
