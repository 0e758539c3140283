//! What the events of a stream mean: start-up frame, content, terminal event, error.
//!
//! A stream is a success only after its terminal event: a `finish_reason` for each choice,
//! `response.completed`, an assistants run that ended. `[DONE]` alone proves nothing, and its
//! absence after the terminal event harms nobody.
//!
//! Sources: vendor's OpenAPI description of 2026-08 (event names); behaviour of the official SDKs'
//! stream parsers, read 2026-11; OpenRouter's documentation on errors (`finish_reason: "error"`).

use alloc::borrow::Cow;
use alloc::vec::Vec;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::endpoint::Endpoint;
use super::sse;
use super::transcript::{TEXTS, Transcript};
use super::usage::{Usage, UsageWire};

/// Whose events they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Chat and legacy completions: unnamed events, `[DONE]`.
    Completions,
    /// Responses: typed events.
    Responses,
    /// Assistants' runs: named `thread.*` events, `done`.
    Assistants,
    /// Images, audio and anything unknown: judged by its framing only.
    Other,
}

impl Family {
    /// The family of an endpoint's streams.
    pub fn of(endpoint: Endpoint) -> Family {
        match endpoint {
            Endpoint::Chat | Endpoint::Completions => Family::Completions,
            Endpoint::Responses => Family::Responses,
            Endpoint::Runs | Endpoint::ThreadAndRun | Endpoint::ToolOutputs => Family::Assistants,
            Endpoint::Embeddings
            | Endpoint::Moderations
            | Endpoint::Images
            | Endpoint::ImageEdits
            | Endpoint::ImageVariations
            | Endpoint::Speech
            | Endpoint::Transcriptions
            | Endpoint::Translations
            | Endpoint::Assistants
            | Endpoint::AssistantUpdate
            | Endpoint::Threads
            | Endpoint::ThreadUpdate
            | Endpoint::ThreadMessages
            | Endpoint::Files
            | Endpoint::Batches
            | Endpoint::Models
            | Endpoint::Other => Family::Other,
        }
    }
}

/// What one event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A comment or an empty event; no content.
    KeepAlive,
    /// Part of the stream's beginning or book-keeping that shows the caller nothing yet.
    StartUp,
    /// Text, a tool call, anything the caller can see.
    Content,
    /// The stream's end by its own account.
    Terminal,
    /// `[DONE]` or `done`.
    Marker,
    /// An error in the band.
    Error,
    /// Not an event of this family at all: dropped, an official SDK would break on it.
    Malformed,
}

/// Follows one stream.
#[derive(Debug)]
pub struct Judge {
    family: Family,
    /// Indexes of choices that have not finished. Bounded by what is asked for (`n` ≤ 128).
    open: Vec<u64>,
    choices_seen: bool,
    terminal: bool,
    marker: bool,
    sequence: u64,
    usage: Option<Usage>,
    malformed: u32,
    events: u64,
    /// What was let through, kept while the stream may have to be told again.
    transcript: Option<Transcript>,
}

impl Judge {
    /// A judge for a stream of `family`.
    pub fn new(family: Family) -> Judge {
        Judge {
            family,
            open: Vec::new(),
            choices_seen: false,
            terminal: false,
            marker: false,
            sequence: 0,
            usage: None,
            malformed: 0,
            events: 0,
            transcript: None,
        }
    }

    /// Keeps what the stream tells, so that a second telling can be checked against it.
    #[must_use]
    pub fn with_transcript(mut self) -> Judge {
        self.transcript = Some(Transcript::default());
        self
    }

    /// What the stream has told; `None` when it was not kept.
    pub fn take_transcript(&mut self) -> Option<Transcript> {
        self.transcript.take()
    }

    /// Says what an event is, and remembers what matters for the end. `event` is raw, as
    /// [`sse::Splitter`] gives it.
    pub fn see(&mut self, event: &[u8]) -> Event {
        let fields = sse::fields(event);
        let Some(data) = fields.data else { return Event::KeepAlive };
        self.events += 1;
        if data.starts_with(b"[DONE]") {
            self.marker = true;
            return Event::Marker;
        }
        let seen = match self.family {
            Family::Completions => self.completions(&data),
            Family::Responses => self.responses(&data),
            Family::Assistants => self.assistants(fields.name, &data),
            Family::Other => other(fields.name, &data),
        };
        match seen {
            Event::Terminal => self.terminal = true,
            Event::Malformed => self.malformed = self.malformed.saturating_add(1),
            Event::KeepAlive | Event::StartUp | Event::Content | Event::Marker | Event::Error => {}
        }
        seen
    }

    /// Whether the stream, ending here, is whole.
    pub fn is_whole(&self) -> bool {
        self.terminal || (self.family == Family::Other && self.events > 0)
    }

    /// Whether the closing marker must be added: the stream is whole, the family has a marker,
    /// and the provider left it out.
    pub fn lacks_marker(&self) -> bool {
        self.terminal && !self.marker && self.family == Family::Completions
    }

    /// Tokens used, when the stream has said so.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Events that were dropped because they could not be read.
    pub fn malformed(&self) -> u32 {
        self.malformed
    }

    /// The sequence number that the next typed event would carry.
    pub fn next_sequence(&self) -> u64 {
        self.sequence
    }

    fn completions(&mut self, data: &[u8]) -> Event {
        let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(data) else { return Event::Malformed };
        if is_error(chunk.error) {
            return Event::Error;
        }
        if let Some(usage) = chunk.usage.as_ref().and_then(UsageWire::usage) {
            self.usage = Some(usage);
        }
        let (mut content, mut finished) = (false, false);
        if let (Some(transcript), Some(id)) = (&mut self.transcript, chunk.id.as_deref()) {
            transcript.note_id(id);
        }
        for choice in chunk.choices.unwrap_or_default() {
            content |= choice.has_content();
            if let Some(transcript) = &mut self.transcript {
                choice.note(transcript);
            }
            self.choices_seen = true;
            let index = choice.index.unwrap_or(0);
            match choice.finish_reason.as_deref() {
                Some("error") => return Event::Error,
                Some(_) => {
                    self.open.retain(|&open| open != index);
                    finished = true;
                }
                None if !self.open.contains(&index) => self.open.push(index),
                None => {}
            }
        }
        if finished && self.open.is_empty() {
            return Event::Terminal;
        }
        if content { Event::Content } else { Event::StartUp }
    }

    fn responses(&mut self, data: &[u8]) -> Event {
        let Ok(event) = serde_json::from_slice::<Typed<'_>>(data) else { return Event::Malformed };
        if let Some(sequence) = event.sequence_number {
            self.sequence = sequence.saturating_add(1);
        }
        if is_error(event.error) {
            return Event::Error;
        }
        let Some(kind) = event.r#type else { return Event::Malformed };
        if let (Some(transcript), Ok(raw)) = (&mut self.transcript, core::str::from_utf8(data)) {
            transcript.note_typed(raw);
        }
        match kind.as_ref() {
            "error" | "response.failed" => Event::Error,
            "response.completed" | "response.incomplete" => {
                self.usage = event
                    .response
                    .and_then(|response| response.usage)
                    .and_then(|usage| usage.usage())
                    .or(self.usage);
                Event::Terminal
            }
            kind if last_part(kind) == "delta" || kind.contains(".partial_") => Event::Content,
            _ => Event::StartUp,
        }
    }

    fn assistants(&mut self, name: Option<&[u8]>, data: &[u8]) -> Event {
        let Ok(event) = serde_json::from_slice::<Run>(data) else { return Event::Malformed };
        match name.unwrap_or_default() {
            b"error" => Event::Error,
            b"done" => Event::Marker,
            b"thread.run.completed"
            | b"thread.run.requires_action"
            | b"thread.run.cancelled"
            | b"thread.run.expired"
            | b"thread.run.incomplete"
            | b"thread.run.failed" => {
                self.usage = event.usage.and_then(|usage| usage.usage()).or(self.usage);
                Event::Terminal
            }
            b"thread.message.delta" | b"thread.run.step.delta" => Event::Content,
            _ => Event::StartUp,
        }
    }
}

fn other(name: Option<&[u8]>, data: &[u8]) -> Event {
    let event = serde_json::from_slice::<Typed<'_>>(data).ok();
    let error = event.as_ref().is_some_and(|event| is_error(event.error));
    if error || name == Some(b"error") {
        return Event::Error;
    }
    let kind = event.as_ref().and_then(|event| event.r#type.as_deref()).unwrap_or("");
    if matches!(last_part(kind), "completed" | "done") { Event::Terminal } else { Event::Content }
}

/// `delta` of `response.output_text.delta`.
fn last_part(kind: &str) -> &str {
    kind.rsplit('.').next().unwrap_or(kind)
}

/// An `error` member that is there and not null or false counts.
fn is_error(error: Option<&RawValue>) -> bool {
    error.is_some_and(|error| !matches!(error.get(), "null" | "false" | "\"\"" | "{}"))
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(default)]
    usage: Option<UsageWire>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: Option<u64>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow, default)]
    audio: Option<&'a RawValue>,
    // Reasoning text, as DeepSeek, vLLM (`reasoning_content`) and OpenRouter (`reasoning`) name it.
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
}

impl Choice<'_> {
    /// Notes the parts that a caller can see.
    fn note(&self, transcript: &mut Transcript) {
        let index = self.index.unwrap_or(0);
        let delta = self.delta.as_ref();
        let texts = [
            delta.and_then(|delta| delta.content),
            delta.and_then(|delta| delta.refusal),
            delta.and_then(|delta| delta.reasoning_content),
            delta.and_then(|delta| delta.reasoning),
            self.text,
        ];
        debug_assert_eq!(texts.len(), TEXTS.len());
        for (member, text) in (0u8..).zip(texts) {
            if let Some(text) = text.filter(|text| text.get().starts_with('"')) {
                transcript.note_text(index, member, text.get());
            }
        }
        if let Some(tools) = delta.and_then(|delta| delta.tool_calls) {
            transcript.note_tools(index, tools.get());
        }
    }

    fn has_content(&self) -> bool {
        let filled = |value: Option<&RawValue>| {
            value.is_some_and(|value| !matches!(value.get(), "null" | "\"\"" | "[]"))
        };
        let delta = self.delta.as_ref().is_some_and(|delta| {
            filled(delta.content)
                || filled(delta.tool_calls)
                || filled(delta.refusal)
                || filled(delta.function_call)
                || filled(delta.audio)
                || filled(delta.reasoning_content)
                || filled(delta.reasoning)
        });
        delta || filled(self.text)
    }
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow, default, rename = "type")]
    r#type: Option<Cow<'a, str>>,
    #[serde(default)]
    sequence_number: Option<u64>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(default)]
    response: Option<ResponseWire>,
}

#[derive(Deserialize)]
struct ResponseWire {
    #[serde(default)]
    usage: Option<UsageWire>,
}

#[derive(Deserialize)]
struct Run {
    #[serde(default)]
    usage: Option<UsageWire>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn chat(judge: &mut Judge, data: &str) -> Event {
        judge.see(format!("data: {data}\n\n").as_bytes())
    }

    #[test]
    fn a_chat_stream_is_whole_only_after_every_choice_has_finished() {
        let mut judge = Judge::new(Family::Completions);
        let see = |judge: &mut Judge, data: &str| chat(judge, data);
        let role = r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#;
        assert_eq!(see(&mut judge, role), Event::StartUp);
        let a = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}"#;
        assert_eq!(see(&mut judge, a), Event::Content);
        let b = r#"{"choices":[{"index":1,"delta":{"content":"b"}}]}"#;
        assert_eq!(see(&mut judge, b), Event::Content);
        let stop = |i: u32| {
            format!(r#"{{"choices":[{{"index":{i},"delta":{{}},"finish_reason":"stop"}}]}}"#)
        };
        assert_eq!(see(&mut judge, &stop(0)), Event::StartUp);
        assert_eq!(see(&mut judge, "[DONE]"), Event::Marker);
        assert!(!judge.is_whole(), "[DONE] alone proves nothing");
        assert_eq!(see(&mut judge, &stop(1)), Event::Terminal);
        assert!(judge.is_whole());
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
        assert_eq!(see(&mut judge, usage), Event::StartUp);
        assert_eq!(judge.usage().map(|usage| usage.total()), Some(5));
    }

    #[test]
    fn what_stands_for_an_error_in_a_chat_stream_is_one() {
        for data in [
            r#"{"error":{"message":"x"}}"#,
            r#"{"error":"x"}"#,
            r#"{"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
        ] {
            assert_eq!(chat(&mut Judge::new(Family::Completions), data), Event::Error, "{data}");
        }
        let null = r#"{"choices":[{"delta":{"content":"a"}}],"error":null}"#;
        assert_eq!(chat(&mut Judge::new(Family::Completions), null), Event::Content);
    }

    #[test]
    fn tool_calls_reasoning_and_legacy_text_are_content() {
        for data in [
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#,
            r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#,
            r#"{"choices":[{"text":"a"}]}"#,
        ] {
            assert_eq!(chat(&mut Judge::new(Family::Completions), data), Event::Content, "{data}");
        }
    }

    #[test]
    fn a_responses_stream_ends_with_completed_or_incomplete_and_fails_with_failed() {
        let mut judge = Judge::new(Family::Responses);
        let mut see = |data: &str| judge.see(format!("event: x\ndata: {data}\n\n").as_bytes());
        assert_eq!(see(r#"{"type":"response.created","sequence_number":0}"#), Event::StartUp);
        let delta = r#"{"type":"response.output_text.delta","sequence_number":4,"delta":"a"}"#;
        assert_eq!(see(delta), Event::Content);
        assert_eq!(see(r#"{"type":"response.failed","sequence_number":5}"#), Event::Error);
        let flat = r#"{"type":"error","code":"x","message":"y","param":null,"sequence_number":5}"#;
        assert_eq!(see(flat), Event::Error);
        let usage = r#"{"usage":{"input_tokens":2,"output_tokens":1}}"#;
        let done =
            format!(r#"{{"type":"response.completed","sequence_number":6,"response":{usage}}}"#);
        let done = done.as_str();
        assert_eq!(see(done), Event::Terminal);
        assert_eq!(judge.next_sequence(), 7);
        assert_eq!(judge.usage().map(|usage| usage.total()), Some(3));
    }

    #[test]
    fn an_assistants_stream_is_judged_by_the_names_of_its_events() {
        let mut judge = Judge::new(Family::Assistants);
        let mut see = |name: &str, data: &str| {
            judge.see(format!("event: {name}\ndata: {data}\n\n").as_bytes())
        };
        assert_eq!(see("thread.run.created", r#"{"id":"run_1"}"#), Event::StartUp);
        assert_eq!(see("thread.message.delta", r#"{"delta":{}}"#), Event::Content);
        assert_eq!(see("thread.run.completed", r#"{"usage":null}"#), Event::Terminal);
        assert_eq!(see("done", "[DONE]"), Event::Marker);
    }

    #[test]
    fn comments_are_no_content_and_broken_json_is_counted() {
        let mut judge = Judge::new(Family::Completions);
        assert_eq!(judge.see(b": OPENROUTER PROCESSING\n\n"), Event::KeepAlive);
        assert_eq!(chat(&mut judge, r#"{"choices":[{"#), Event::Malformed);
        assert_eq!(judge.malformed(), 1);
    }
}
