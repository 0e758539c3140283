//! What one attempt's answer amounts to while it arrives: whole JSON is held until it is known to
//! be sound, a stream is held until its first content, an error is read and classified.
//!
//! Nothing here decides what happens next; the plan does, from what [`Flow`] says it saw.

mod looks;
mod second;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use mainstay_core::classify::{self, Answer, TransportFault, Verdict};
use mainstay_core::hints::{self, RateHints};
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_core::wire::notes::Told;
use mainstay_core::wire::sound;
use mainstay_core::wire::sse::{self, Splitter};
use mainstay_core::wire::stitch::Stitcher;
use mainstay_core::wire::stream::{Event, Family, Judge, error_of_run};
use mainstay_core::wire::usage::Usage;
use mainstay_core::wire::verify::Verifier;
use mainstay_tokens::models::Vocabulary;

use crate::call::{ProviderAnswer, Used};
use crate::fields::Fields;
use crate::queue::Queue;
use crate::upstream::AnswerHead;
use looks::{
    Media, answers_json, hears, is_damaged, is_json_or_marker, join, media_type, sound_answer,
};
pub(crate) use second::Broken;
use second::{Second, checked};

/// Longest error body read, in bytes; what follows is not needed to classify it.
const ERROR_BODY_MAX: usize = 64 << 10;
/// Largest JSON answer held to be checked, in bytes; a larger one is passed on as it comes.
const WHOLE_MAX: usize = 64 << 20;
/// Most bytes of start-up frames held back before the first content.
const HELD_MAX: usize = 256 << 10;

/// What a piece of an answer showed.
#[derive(Debug)]
pub(crate) enum Saw {
    /// Nothing to act on.
    Nothing,
    /// A sound head.
    Head,
    /// A head that announces an error; its body must follow soon.
    ErrorHead,
    /// Bytes arrived that show nothing yet (a start-up frame, a part of a JSON answer).
    Bytes,
    /// Content.
    Content,
    /// The stream's terminal event.
    Terminal,
    /// It will be passed on as it comes.
    PassThrough,
    /// Whole and sound.
    Finished(Option<Usage>),
    /// It failed.
    Failed(Box<Verdict>),
}

/// What of a call the reading of its answer depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expect {
    pub(crate) endpoint: Endpoint,
    /// A stream of events was asked for.
    pub(crate) stream: bool,
    /// So many choices (`n`).
    pub(crate) choices: u64,
    /// Usage was asked for by us, not by the caller: the event that tells it is taken out again.
    pub(crate) strip_usage: bool,
    /// Another target could tell the answer again, so a chunk that was damaged on its way is not
    /// passed over: text may be missing where it was.
    pub(crate) strict: bool,
}

/// One attempt's answer.
#[derive(Debug)]
pub(crate) struct Flow {
    expect: Expect,
    mode: Mode,
    /// The status, once it came.
    status: Option<u16>,
    /// Status and headers, once they came and until they are delivered.
    pub(crate) head: Option<AnswerHead>,
    /// What the headers tell of limits.
    pub(crate) hints: RateHints,
    /// Bytes of the body received.
    pub(crate) bytes: u64,
    /// What waits to be delivered, or is held until it may be.
    pub(crate) ready: Queue<Bytes>,
    held: usize,
    /// Content was seen: from here on everything goes out as it comes.
    begun: bool,
    /// The closing marker was let through.
    marked: bool,
    /// Tokens of a whole JSON answer.
    usage: Option<Usage>,
    /// Length of the sound that was heard, in milliseconds, once the answer has told it.
    pub(crate) sound_ms: Option<u64>,
    /// What the answer tells of itself, where that is kept.
    pub(crate) notes: Option<Box<Told>>,
    /// This is no first telling: only what continues the first is let through.
    second: Option<Box<Second>>,
}

#[derive(Debug)]
enum Mode {
    /// No head yet.
    Start,
    /// An error's body.
    Error(BytesMut),
    /// A JSON answer, held until it is whole.
    Whole,
    /// Events.
    Events { splitter: Splitter, judge: Box<Judge> },
    /// Bytes that nobody here reads.
    Pass,
}

impl Flow {
    pub(crate) fn new(expect: Expect) -> Flow {
        Flow {
            expect,
            mode: Mode::Start,
            status: None,
            head: None,
            hints: RateHints::default(),
            bytes: 0,
            ready: Queue::default(),
            held: 0,
            begun: false,
            marked: false,
            usage: None,
            sound_ms: None,
            notes: None,
            second: None,
        }
    }

    /// The flow of a second telling. There is no third, so damage in it is passed over.
    pub(crate) fn replay(expect: Expect, broken: &Broken) -> Flow {
        let family = Family::of(expect.endpoint);
        let verifier = Verifier::new(family, &broken.transcript, broken.sequence);
        let expect = Expect { strict: false, ..expect };
        Flow { second: Some(Box::new(Second::Told(verifier))), ..Flow::new(expect) }
    }

    /// The flow of an attempt that was asked to go on with the delivered text.
    pub(crate) fn continuation(expect: Expect, broken: &Broken) -> Flow {
        let Some(stitcher) = Stitcher::new(&broken.transcript) else {
            return Flow::replay(expect, broken);
        };
        let expect = Expect { strict: false, ..expect };
        Flow { second: Some(Box::new(Second::GoesOn(stitcher))), ..Flow::new(expect) }
    }

    /// What a second telling of this stream must be checked against.
    pub(crate) fn take_broken(&mut self) -> Option<Broken> {
        let Mode::Events { judge, .. } = &mut self.mode else { return None };
        let sequence = judge.next_sequence();
        Some(Broken { transcript: judge.take_transcript()?, sequence })
    }

    /// Tokens used so far: as the answer tells them, else counted from what was told.
    pub(crate) fn used(&self, model: Option<&str>) -> Option<Used> {
        let (told, text) = match &self.mode {
            Mode::Events { judge, .. } => (judge.usage(), judge.transcript()?.text()),
            Mode::Start | Mode::Error(_) | Mode::Whole | Mode::Pass => (self.usage, &[][..]),
        };
        if let Some(usage) = told {
            return Some(Used { usage, counted: false });
        }
        if text.is_empty() {
            return None;
        }
        let vocabulary = model.and_then(Vocabulary::of);
        let output = mainstay_tokens::estimate::tokens(vocabulary, text);
        Some(Used { usage: Usage { output, ..Usage::default() }, counted: true })
    }

    /// The answer's length, when all of it is in hand.
    pub(crate) fn held_len(&self) -> u64 {
        self.ready.iter().map(|bytes| bytes.len() as u64).sum()
    }

    pub(crate) fn on_head(&mut self, head: AnswerHead) -> Saw {
        if head.headers.iter().any(|(name, _)| hints::is_about_limits(name)) {
            self.hints = hints::rate_hints(&head.headers, unix_now());
        }
        self.mode = self.mode_for(&head);
        self.status = Some(head.status.as_u16());
        self.head = Some(head);
        match self.mode {
            Mode::Error(_) => Saw::ErrorHead,
            Mode::Pass => Saw::PassThrough,
            Mode::Start | Mode::Whole | Mode::Events { .. } => Saw::Head,
        }
    }

    fn mode_for(&self, head: &AnswerHead) -> Mode {
        if !head.status.is_success() {
            return Mode::Error(BytesMut::new());
        }
        let kind = media_type(&head.headers);
        match kind {
            Media::Events => {
                Mode::Events { splitter: Splitter::default(), judge: Box::new(self.judge()) }
            }
            Media::Json => Mode::Whole,
            // An endpoint that answers JSON and sends a page has failed; others send what they like.
            Media::Text | Media::Absent if answers_json(self.expect.endpoint) => Mode::Whole,
            Media::Text | Media::Absent | Media::Binary => Mode::Pass,
        }
    }

    fn judge(&self) -> Judge {
        Judge::new(Family::of(self.expect.endpoint))
            .with_choices(self.expect.choices)
            .with_transcript()
    }

    pub(crate) fn on_data(&mut self, bytes: Bytes) -> Saw {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        match &mut self.mode {
            Mode::Start => Saw::Nothing,
            Mode::Error(body) => {
                let room = ERROR_BODY_MAX.saturating_sub(body.len());
                body.extend_from_slice(&bytes[..bytes.len().min(room)]);
                if body.len() >= ERROR_BODY_MAX { self.judge_error() } else { Saw::Nothing }
            }
            Mode::Whole => {
                self.hold(bytes);
                if self.held > WHOLE_MAX {
                    self.mode = Mode::Pass;
                    return Saw::PassThrough;
                }
                Saw::Bytes
            }
            Mode::Events { .. } => self.on_events(&bytes),
            Mode::Pass => {
                self.ready.push_back(bytes);
                Saw::Content
            }
        }
    }

    fn hold(&mut self, bytes: Bytes) {
        self.held += bytes.len();
        self.ready.push_back(bytes);
    }

    fn on_events(&mut self, bytes: &Bytes) -> Saw {
        let (mut at, mut showed) = (0, Saw::Bytes);
        while at < bytes.len() {
            let usual = self.pass_usual(bytes, at);
            if usual > 0 {
                (at, showed) = (at + usual, Saw::Content);
                continue;
            }
            let Mode::Events { splitter, .. } = &mut self.mode else { return Saw::Nothing };
            let event = match splitter.next(bytes, &mut at) {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(_) => return failed(TransportFault::MalformedHttp),
            };
            match self.on_event(event, bytes) {
                Saw::Content => showed = Saw::Content,
                Saw::Failed(verdict) => return Saw::Failed(verdict),
                Saw::Nothing
                | Saw::Head
                | Saw::ErrorHead
                | Saw::Bytes
                | Saw::Terminal
                | Saw::PassThrough
                | Saw::Finished(_) => {}
            }
        }
        let Mode::Events { judge, .. } = &self.mode else { return Saw::Nothing };
        if judge.is_whole() && judge.tells_end() {
            self.begun = true;
            return Saw::Terminal;
        }
        // Frames that show nothing are held only so far: what is larger is as good as content.
        if self.held > HELD_MAX && !self.begun {
            self.begun = true;
            return Saw::Content;
        }
        showed
    }

    /// Lets events through that differ from the one before in nothing but their text, as they stand side
    /// by side, and tells how many bytes they are.
    fn pass_usual(&mut self, bytes: &Bytes, from: usize) -> usize {
        let Mode::Events { splitter, judge } = &mut self.mode else { return 0 };
        if self.notes.is_some() || self.second.is_some() || !splitter.is_between() {
            return 0;
        }
        let mut end = from;
        while let Some(length) = judge.see_usual(&bytes[end..]) {
            end += length;
        }
        if end > from {
            self.begun = true;
            self.held += end - from;
            self.push(bytes.slice(from..end), bytes);
        }
        end - from
    }

    /// Takes one event of what has come: drops it, holds it, lets it through, or finds that the stream
    /// has failed.
    fn on_event(&mut self, event: Bytes, come: &Bytes) -> Saw {
        let Mode::Events { judge, .. } = &mut self.mode else { return Saw::Nothing };
        let seen = judge.see(&event);
        if let Some(notes) = &mut self.notes {
            notes.event(&sse::fields(&event).data.unwrap_or_default());
        }
        match seen {
            Event::Malformed | Event::KeepAlive if self.expect.strict && is_damaged(&event) => {
                return failed(TransportFault::CutMidBody);
            }
            // Before the first content it would only take room.
            Event::KeepAlive if !self.begun => return Saw::Nothing,
            Event::Malformed => {
                tracing::debug!(dropped = judge.malformed(), "an event could not be read");
                return Saw::Nothing;
            }
            // After its end an answer is whole, whatever its provider regrets.
            Event::Error if judge.is_whole() => return Saw::Nothing,
            Event::Error => {
                let verdict = self.failed_event(&event);
                // The provider's own last word on a run, which others than programs in a loop look for.
                if self.begun && error_of_run(&event).is_some() {
                    self.push(event, come);
                }
                return verdict;
            }
            // The marker proves nothing, and a caller who has it reads no further.
            Event::Marker if !judge.is_whole() => return failed(TransportFault::CutMidBody),
            Event::Marker if self.marked => return Saw::Nothing,
            Event::Marker => self.marked = true,
            Event::Usage if self.expect.strip_usage => return Saw::Nothing,
            Event::Content => self.begun = true,
            Event::Terminal => {
                self.begun = true;
                if hears(self.expect.endpoint) {
                    self.sound_ms = sse::fields(&event).data.and_then(|data| sound::told_ms(&data));
                }
            }
            Event::KeepAlive | Event::StartUp | Event::Usage => {}
        }
        let Some(event) = checked(self.second.as_deref_mut(), event) else {
            return failed(TransportFault::CutMidBody);
        };
        self.held += event.len();
        if !event.is_empty() {
            self.push(event, come);
        }
        if matches!(seen, Event::Content | Event::Terminal) { Saw::Content } else { Saw::Bytes }
    }

    /// Puts an event behind the others. Neighbours in what has come leave in one piece: each piece
    /// costs as much as an event does.
    fn push(&mut self, event: Bytes, come: &Bytes) {
        if let Some(last) = self.ready.back_mut()
            && let Some(both) = neighbours(come, last, &event)
        {
            *last = both;
        } else {
            self.ready.push_back(event);
        }
    }

    fn failed_event(&self, event: &[u8]) -> Saw {
        let none = Fields::default();
        let headers = self.head.as_ref().map_or(&none, |head| &head.headers);
        let reason = error_of_run(event);
        let answer = Answer {
            status: self.status,
            headers,
            body: reason.as_deref().unwrap_or(event),
            stream: true,
        };
        let verdict = classify::classify(&answer)
            .unwrap_or_else(|| classify::of_transport(TransportFault::CutMidBody));
        Saw::Failed(Box::new(verdict))
    }

    /// The body ended as HTTP says it must.
    pub(crate) fn on_end(&mut self) -> Saw {
        match &mut self.mode {
            Mode::Start => failed(TransportFault::MalformedHttp),
            Mode::Error(_) => self.judge_error(),
            Mode::Whole => self.judge_whole(),
            Mode::Events { .. } => self.end_events(),
            Mode::Pass => Saw::Finished(None),
        }
    }

    fn end_events(&mut self) -> Saw {
        let Mode::Events { splitter, .. } = &mut self.mode else { return Saw::Nothing };
        // A last event without its blank line is an event if it can be read; one official SDK
        // takes it for one, the other drops it, so it is given the line.
        let rest = splitter.take_rest();
        if sse::fields(&rest).data.is_some_and(|data| is_json_or_marker(&data)) {
            let event = [rest.trim_ascii_end(), b"\n\n"].concat();
            let event = Bytes::from(event);
            if let Saw::Failed(verdict) = self.on_event(event.clone(), &event) {
                return Saw::Failed(verdict);
            }
        }
        self.end_whole()
    }

    /// The end of a stream: whole, with its marker added where it lacks one, or broken.
    fn end_whole(&mut self) -> Saw {
        let Mode::Events { judge, .. } = &mut self.mode else { return Saw::Nothing };
        if !judge.is_whole() {
            return failed(TransportFault::CutMidBody);
        }
        if let Some(marker) = judge.missing_marker().filter(|_| !self.marked) {
            self.marked = true;
            self.ready.push_back(Bytes::from_static(marker));
        }
        Saw::Finished(judge.usage())
    }

    /// The transport failed. A stream that had told its end is whole all the same.
    pub(crate) fn on_fault(&mut self, fault: TransportFault) -> Saw {
        match &self.mode {
            Mode::Events { judge, .. } if judge.is_whole() => self.end_whole(),
            Mode::Error(body) if !body.is_empty() => self.judge_error(),
            Mode::Start | Mode::Error(_) | Mode::Whole | Mode::Events { .. } | Mode::Pass => {
                failed(fault)
            }
        }
    }

    fn judge_error(&mut self) -> Saw {
        let (Mode::Error(body), Some(head)) = (&self.mode, &self.head) else { return Saw::Nothing };
        let answer = Answer {
            status: Some(head.status.as_u16()),
            headers: &head.headers,
            body,
            stream: false,
        };
        // A redirect is no answer and is never followed with credentials; classify takes a status
        // below 400 without an error in it for a sound one.
        let verdict = classify::classify_at(&answer, unix_now())
            .unwrap_or_else(|| classify::of_transport(TransportFault::MalformedHttp));
        Saw::Failed(Box::new(verdict))
    }

    fn judge_whole(&mut self) -> Saw {
        let Some(head) = &self.head else { return Saw::Nothing };
        let whole = join(&mut self.ready);
        self.held = whole.len();
        if head.status == StatusCode::NO_CONTENT {
            self.ready.push_back(whole);
            return Saw::Finished(None);
        }
        let sound = sound_answer(&whole);
        // A caller who asked for events reads none in this, and no error either. Models that paint or
        // listen without streaming answer whole all the same, by the vendor's description of 2026-08.
        let lenient = matches!(Family::of(self.expect.endpoint), Family::Media | Family::Other);
        let events_owed = self.expect.stream && !lenient;
        let Some(sound) = sound.filter(|_| !events_owed) else {
            let answer = Answer {
                status: Some(head.status.as_u16()),
                headers: &head.headers,
                body: &whole,
                stream: false,
            };
            return match classify::classify(&answer) {
                Some(verdict) => Saw::Failed(Box::new(verdict)),
                None => failed(TransportFault::MalformedHttp),
            };
        };
        self.usage = sound.usage;
        if let Some(notes) = &mut self.notes {
            notes.answer(&whole);
        }
        self.sound_ms = hears(self.expect.endpoint).then(|| sound::told_ms(&whole)).flatten();
        self.ready.push_back(whole);
        Saw::Finished(self.usage)
    }

    /// The provider's error as it came, for passing on.
    pub(crate) fn into_provider_answer(self) -> Option<ProviderAnswer> {
        let head = self.head?;
        match self.mode {
            Mode::Error(body) => Some(ProviderAnswer {
                status: head.status,
                headers: head.headers,
                body: body.freeze(),
            }),
            Mode::Start | Mode::Whole | Mode::Events { .. } | Mode::Pass => None,
        }
    }

    /// The number the next typed event would carry; `None` when this is no stream of events.
    pub(crate) fn next_sequence(&self) -> Option<u64> {
        let Mode::Events { judge, .. } = &self.mode else { return None };
        Some(match self.second.as_deref() {
            Some(Second::Told(verifier)) => verifier.next_sequence(),
            Some(Second::GoesOn(_)) | None => judge.next_sequence(),
        })
    }

    /// Ends a stream that broke after its first byte: an error event in the shape that both
    /// official SDKs raise on.
    pub(crate) fn error_event(&self, error: &serde_json::Value, sequence: u64) -> Bytes {
        Bytes::from(match Family::of(self.expect.endpoint) {
            Family::Completions => format!("data: {}\n\n", serde_json::json!({ "error": error })),
            // Nested: one official SDK takes the flat shape for an ordinary event.
            Family::Responses | Family::Assistants | Family::Media | Family::Other => {
                let body = serde_json::json!({
                    "type": "error", "error": error, "sequence_number": sequence,
                });
                format!("event: error\ndata: {body}\n\n")
            }
        })
    }

    /// Events that could not be read and were left out.
    pub(crate) fn dropped(&self) -> u32 {
        match &self.mode {
            Mode::Events { judge, .. } => judge.malformed(),
            Mode::Start | Mode::Error(_) | Mode::Whole | Mode::Pass => 0,
        }
    }

    /// The event that tells the tokens used is for us alone.
    pub(crate) fn strip_usage(&mut self) {
        self.expect.strip_usage = true;
    }

    /// Whether the answer is a stream of events.
    pub(crate) fn is_events(&self) -> bool {
        matches!(self.mode, Mode::Events { .. })
    }

    /// Whether the tokens used were asked for by us.
    pub(crate) fn asks_usage(&self) -> bool {
        self.expect.strip_usage
    }

    /// Whether it goes on with what the caller has.
    pub(crate) fn goes_on(&self) -> bool {
        matches!(self.second.as_deref(), Some(Second::GoesOn(_)))
    }

    /// Whether the caller asked for a stream.
    pub(crate) fn wants_stream(&self) -> bool {
        self.expect.stream
    }
}

/// Both as one piece of `whole`, where one stands behind the other in it.
fn neighbours(whole: &Bytes, one: &Bytes, next: &Bytes) -> Option<Bytes> {
    let place = |piece: &Bytes| piece.as_ptr().addr().checked_sub(whole.as_ptr().addr());
    let (start, middle) = (place(one)?, place(next)?);
    let end = middle + next.len();
    (middle == start + one.len() && end <= whole.len()).then(|| whole.slice(start..end))
}

fn failed(fault: TransportFault) -> Saw {
    Saw::Failed(Box::new(classify::of_transport(fault)))
}

/// Time since 1970, for hints that are dates.
fn unix_now() -> Option<std::time::Duration> {
    crate::clock::unix_now()
}

#[cfg(test)]
mod tests;
