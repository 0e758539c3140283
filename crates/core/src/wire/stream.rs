//! What the events of a stream mean: start-up frame, content, terminal event, error.
//!
//! A stream is a success only after its terminal event: a `finish_reason` for each choice,
//! `response.completed`, an assistants run that ended, a finished picture, the whole transcript.
//! `[DONE]` alone proves nothing where there is such an event, and its absence after it harms nobody.
//!
//! Sources: vendor's OpenAPI description of 2026-08 (event names); behaviour of the official SDKs'
//! stream parsers, read 2026-11; OpenRouter's documentation on errors (`finish_reason: "error"`).

mod pieces;
mod usual;

use alloc::string::ToString;
use alloc::vec::Vec;

use serde_json::value::RawValue;

use super::endpoint::{Endpoint, Group};
use super::sse;
use super::transcript::Transcript;
use super::usage::{Usage, UsageWire};
use super::verify::TEXTS;
use pieces::{Chunk, Run, Typed, is_error, quick};
use usual::Usual;

/// Whose events they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Chat and legacy completions: unnamed events, `[DONE]`.
    Completions,
    /// Responses: typed events.
    Responses,
    /// Assistants' runs: named `thread.*` events, `done`.
    Assistants,
    /// Images and audio: typed events, the last of which is whole in itself
    /// (`image_generation.completed`, `transcript.text.done`); some servers send chunks and `[DONE]`.
    Media,
    /// Anything unknown: judged by its framing only, unless it turns out to be a stored response told
    /// again, which ends as it ended.
    Other,
}

impl Family {
    /// The family of an endpoint's streams.
    pub fn of(endpoint: Endpoint) -> Family {
        match endpoint.group() {
            Group::Chat | Group::Completions => Family::Completions,
            Group::Responses => Family::Responses,
            Group::Runs => Family::Assistants,
            Group::Images | Group::Audio => Family::Media,
            Group::Embeddings
            | Group::Moderations
            | Group::Threads
            | Group::Files
            | Group::Batches
            | Group::Models
            | Group::Other => Family::Other,
        }
    }
}

/// What one event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A comment, an empty event or a `ping`; no content.
    KeepAlive,
    /// Part of the stream's beginning or book-keeping that shows the caller nothing yet.
    StartUp,
    /// Nothing but the tokens used (chat and legacy completions).
    Usage,
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
    /// Choices that have finished, and how many must.
    finished: u64,
    choices: u64,
    terminal: bool,
    marker: bool,
    /// A stream of an unknown family that is owed an end of its own.
    owed: bool,
    sequence: u64,
    usage: Option<Usage>,
    malformed: u32,
    events: u64,
    /// What was let through, for a second telling to be held against, and for counting.
    transcript: Option<Transcript>,
    /// What most events of this stream look like.
    usual: Usual,
}

impl Judge {
    /// A judge for a stream of `family`.
    pub fn new(family: Family) -> Judge {
        Judge {
            family,
            open: Vec::new(),
            finished: 0,
            choices: 1,
            terminal: false,
            marker: false,
            owed: false,
            sequence: 0,
            usage: None,
            malformed: 0,
            events: 0,
            transcript: None,
            usual: Usual::default(),
        }
    }

    /// Keeps what the stream tells, so that a second telling can be checked against it.
    #[must_use]
    pub fn with_transcript(mut self) -> Judge {
        self.transcript = Some(Transcript::default());
        self
    }

    /// So many choices were asked for (`n`); a completion is whole when all of them have finished.
    #[must_use]
    pub fn with_choices(mut self, choices: u64) -> Judge {
        self.choices = choices.max(1);
        self
    }

    /// What the stream has told; `None` when it is not kept.
    pub fn transcript(&self) -> Option<&Transcript> {
        self.transcript.as_ref()
    }

    /// The same, taken out.
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
        let mut seen = self.look(fields.name, &data);
        if seen == Event::Malformed
            && let Some(once) = each_member_once(&data)
        {
            seen = self.look(fields.name, &once);
        }
        match seen {
            Event::Terminal => self.terminal = true,
            Event::Malformed => self.malformed = self.malformed.saturating_add(1),
            Event::KeepAlive
            | Event::StartUp
            | Event::Usage
            | Event::Content
            | Event::Marker
            | Event::Error => {}
        }
        seen
    }

    /// The length of the event that `bytes` begins with, where it is content and like the one before it
    /// but for its text: what most of a completion's events are. It is then seen; of any other event
    /// nothing is said.
    pub fn see_usual(&mut self, bytes: &[u8]) -> Option<usize> {
        let (index, raw, length) = self.usual.event(bytes)?;
        self.events += 1;
        if let Some(transcript) = &mut self.transcript {
            transcript.note(index, TEXTS[0], 0, raw);
        }
        self.choice(index, false);
        self.terminal &= self.open.is_empty();
        Some(length)
    }

    fn look(&mut self, name: Option<&[u8]>, data: &[u8]) -> Event {
        let object = data.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        match self.family {
            Family::Completions | Family::Responses | Family::Assistants | Family::Media
                if !object =>
            {
                Event::Malformed
            }
            Family::Completions => self.completions(data),
            Family::Responses => self.responses(data),
            Family::Assistants => self.assistants(name, data),
            Family::Media => self.media(name, data),
            Family::Other => self.other(name, data),
        }
    }

    /// Whether the stream, ending here, is whole.
    pub fn is_whole(&self) -> bool {
        self.terminal
            || match self.family {
                Family::Completions | Family::Responses | Family::Assistants => false,
                Family::Media => self.marker,
                Family::Other => self.events > 0 && !self.owed,
            }
    }

    /// Whether the stream tells its own end, so that nothing need be waited for after it.
    pub fn tells_end(&self) -> bool {
        self.family != Family::Other
    }

    /// The closing marker that must be added: the stream is whole, the family has a marker, and
    /// the provider left it out.
    pub fn missing_marker(&self) -> Option<&'static [u8]> {
        if self.marker || !self.terminal {
            return None;
        }
        match self.family {
            Family::Completions => Some(b"data: [DONE]\n\n"),
            Family::Assistants => Some(b"event: done\ndata: [DONE]\n\n"),
            Family::Responses | Family::Media | Family::Other => None,
        }
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
        if let Some((index, raw)) = self.usual.content(data) {
            if let Some(transcript) = &mut self.transcript {
                transcript.note(index, TEXTS[0], 0, raw);
            }
            self.choice(index, false);
            self.terminal &= self.open.is_empty();
            return Event::Content;
        }
        let slowly = || serde_json::from_slice::<Chunk<'_>>(data).ok();
        let Some(chunk) = quick::chunk(data).or_else(slowly) else { return Event::Malformed };
        if let Some(transcript) = &mut self.transcript {
            chunk.note_id(transcript);
        }
        let choices = chunk.choices.unwrap_or_default();
        // Looked for first: what an error brings with it is not delivered.
        if is_error(chunk.error.map(|error| error.0))
            || choices.iter().any(|c| c.finish() == Some("error"))
        {
            return Event::Error;
        }
        if let Some(usage) = chunk.usage.as_ref().and_then(UsageWire::usage) {
            self.usage = Some(usage);
            if choices.is_empty() {
                return Event::Usage;
            }
        }
        let (mut content, mut finished) = (false, false);
        if let Some((index, raw)) = choices.only().and_then(pieces::Choice::only_content) {
            self.usual.learn(data, raw, index);
        }
        for choice in choices.iter() {
            content |= choice.has_content();
            if let Some(transcript) = &mut self.transcript {
                choice.note(transcript);
            }
            finished |= self.choice(choice.index(), choice.finish().is_some());
        }
        // A choice that begins after others have ended is owed an end of its own.
        self.terminal &= self.open.is_empty();
        if finished && self.open.is_empty() && self.finished >= self.choices {
            return Event::Terminal;
        }
        if content { Event::Content } else { Event::StartUp }
    }

    /// Keeps account of a choice; whether it has ended here.
    fn choice(&mut self, index: u64, ends: bool) -> bool {
        /// More choices than anybody may ask for are not kept account of.
        const OPEN_MAX: usize = 1024;
        let known = self.open.iter().position(|&open| open == index);
        match (known, ends) {
            (Some(at), true) => {
                self.open.swap_remove(at);
                self.finished += 1;
            }
            (None, true) => self.finished += 1,
            (None, false) if self.open.len() < OPEN_MAX => self.open.push(index),
            (Some(_) | None, false) => {}
        }
        ends
    }

    fn responses(&mut self, data: &[u8]) -> Event {
        let Ok(event) = serde_json::from_slice::<Typed<'_>>(data) else { return Event::Malformed };
        if let Some(sequence) = event.sequence_number {
            self.sequence = sequence.saturating_add(1);
        }
        let kind = event.kind();
        if is_error(event.error.map(RawValue::get)) || matches!(kind, "error" | "response.failed") {
            return Event::Error;
        }
        if is_alive(kind) {
            return Event::KeepAlive;
        }
        if kind.is_empty() {
            return Event::Malformed;
        }
        if let Some(transcript) = &mut self.transcript {
            event.note(transcript);
        }
        match kind {
            "response.completed" | "response.incomplete" => {
                let told = event.response.as_ref().and_then(|response| response.usage.as_ref());
                self.usage = told.and_then(UsageWire::usage).or(self.usage);
                Event::Terminal
            }
            kind if last_part(kind) == "delta" || kind.contains(".partial_") => Event::Content,
            _ => Event::StartUp,
        }
    }

    fn media(&mut self, name: Option<&[u8]>, data: &[u8]) -> Event {
        let Ok(event) = serde_json::from_slice::<Typed<'_>>(data) else { return Event::Malformed };
        let kind = event.kind();
        if is_error(event.error.map(RawValue::get)) || kind == "error" || name == Some(b"error") {
            return Event::Error;
        }
        if is_alive(kind) {
            return Event::KeepAlive;
        }
        self.usage = event.usage.as_ref().and_then(UsageWire::usage).or(self.usage);
        match last_part(kind) {
            "completed" | "done" => Event::Terminal,
            _ => Event::Content,
        }
    }

    fn other(&mut self, name: Option<&[u8]>, data: &[u8]) -> Event {
        let event = serde_json::from_slice::<Typed<'_>>(data).ok();
        let error = event.as_ref().is_some_and(|event| is_error(event.error.map(RawValue::get)));
        if error || name == Some(b"error") {
            return Event::Error;
        }
        let kind = event.as_ref().map_or("", Typed::kind);
        // `GET /responses/{id}?stream=true` tells a stored response again, a failed one too.
        self.owed |= kind.starts_with("response.");
        let ends = if self.owed {
            matches!(kind, "response.completed" | "response.failed" | "response.incomplete")
        } else {
            matches!(last_part(kind), "completed" | "done")
        };
        if ends { Event::Terminal } else { Event::Content }
    }

    fn assistants(&mut self, name: Option<&[u8]>, data: &[u8]) -> Event {
        let Ok(event) = serde_json::from_slice::<Run<'_>>(data) else { return Event::Malformed };
        let name = name.unwrap_or_default();
        // What the vendor's own events name `error` is theirs.
        if !name.starts_with(b"thread.") && is_error(event.error.map(RawValue::get)) {
            return Event::Error;
        }
        if let Some(transcript) = &mut self.transcript {
            event.note(transcript);
        }
        self.usage = event.usage.and_then(|usage| usage.usage()).or(self.usage);
        match name {
            b"error" | b"thread.run.failed" | b"thread.run.expired" => Event::Error,
            b"done" => Event::Marker,
            b"thread.run.completed"
            | b"thread.run.requires_action"
            | b"thread.run.cancelled"
            | b"thread.run.incomplete" => Event::Terminal,
            b"thread.message.delta" | b"thread.run.step.delta" => Event::Content,
            _ => Event::StartUp,
        }
    }
}

/// An object with the last of each member that stands twice, as both official SDKs read it; `None` for
/// what they cannot read either.
fn each_member_once(data: &[u8]) -> Option<Vec<u8>> {
    let value: serde_json::Value = serde_json::from_slice(data).ok()?;
    value.is_object().then(|| value.to_string().into_bytes())
}

fn is_alive(kind: &str) -> bool {
    // Signs of life of some servers, in the form of events.
    matches!(kind, "keepalive" | "ping")
}

/// What an event says of a run that came to no good end: a body to be classified. `None` for every
/// other event, and for a run that gives no reason.
pub fn error_of_run(event: &[u8]) -> Option<Vec<u8>> {
    let fields = sse::fields(event);
    if !fields.name.is_some_and(|name| name.starts_with(b"thread.run.")) {
        return None;
    }
    let data = fields.data?;
    let run = serde_json::from_slice::<Run<'_>>(&data).ok()?;
    let error = run.last_error.filter(|error| error.get().starts_with('{'))?;
    Some([b"data: {\"error\":", error.get().as_bytes(), b"}\n\n"].concat())
}

/// `delta` of `response.output_text.delta`.
fn last_part(kind: &str) -> &str {
    kind.rsplit('.').next().unwrap_or(kind)
}

#[cfg(test)]
mod tests;
