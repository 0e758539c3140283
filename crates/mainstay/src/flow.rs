//! What one attempt's answer amounts to while it arrives: whole JSON is held until it is known to
//! be sound, a stream is held until its first content, an error is read and classified.
//!
//! Nothing here decides what happens next; the plan does, from what [`Flow`] says it saw.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use mainstay_core::classify::{self, Answer, TransportFault, Verdict};
use mainstay_core::headers::Headers;
use mainstay_core::hints::{self, RateHints};
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_core::wire::sse::{self, Splitter};
use mainstay_core::wire::stream::{Event, Family, Judge};
use mainstay_core::wire::transcript::{Checked, Transcript, Verifier};
use mainstay_core::wire::usage::{self, Usage};

use crate::call::ProviderAnswer;
use crate::upstream::AnswerHead;

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

/// One attempt's answer.
#[derive(Debug)]
pub(crate) struct Flow {
    endpoint: Endpoint,
    stream: bool,
    mode: Mode,
    /// Status and headers, once they came.
    pub(crate) head: Option<AnswerHead>,
    /// What the headers tell of limits.
    pub(crate) hints: RateHints,
    /// Bytes of the body received.
    pub(crate) bytes: u64,
    /// What waits to be delivered, or is held until it may be.
    pub(crate) ready: VecDeque<Bytes>,
    held: usize,
    /// Events that were dropped because they could not be read.
    pub(crate) malformed: u32,
    /// Keep what is told, in case it breaks.
    recoverable: bool,
    /// This is a second telling: only what continues the first is let through.
    verifier: Option<Box<Verifier>>,
}

/// What is left of a stream that broke: enough to check a second telling against it.
#[derive(Debug)]
pub(crate) struct Broken {
    transcript: Transcript,
    sequence: u64,
}

impl Broken {
    /// The number the next typed event carries.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }
}

#[derive(Debug)]
enum Mode {
    /// No head yet.
    Start,
    /// An error's body.
    Error(BytesMut),
    /// A JSON answer, held until it is whole.
    Whole { json: bool },
    /// Events.
    Events { splitter: Splitter, judge: Box<Judge>, cut: Vec<Bytes> },
    /// Bytes that nobody here reads.
    Pass,
}

/// HTTP's headers for core.
struct View<'a>(&'a HeaderMap);

impl Headers for View<'_> {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(http::HeaderValue::as_bytes)
    }
}

impl Flow {
    pub(crate) fn new(endpoint: Endpoint, stream: bool, recoverable: bool) -> Flow {
        Flow {
            endpoint,
            stream,
            mode: Mode::Start,
            head: None,
            hints: RateHints::default(),
            bytes: 0,
            ready: VecDeque::new(),
            held: 0,
            malformed: 0,
            recoverable,
            verifier: None,
        }
    }

    /// The flow of a second telling.
    pub(crate) fn replay(endpoint: Endpoint, broken: &Broken) -> Flow {
        let family = Family::of(endpoint);
        let verifier = Verifier::new(family, &broken.transcript, broken.sequence);
        Flow { verifier: Some(Box::new(verifier)), ..Flow::new(endpoint, true, false) }
    }

    /// What a second telling of this stream must be checked against.
    pub(crate) fn take_broken(&mut self) -> Option<Broken> {
        let Mode::Events { judge, .. } = &mut self.mode else { return None };
        let sequence = judge.next_sequence();
        Some(Broken { transcript: judge.take_transcript()?, sequence })
    }

    /// The answer's length, when all of it is in hand.
    pub(crate) fn held_len(&self) -> u64 {
        self.held as u64
    }

    pub(crate) fn on_head(&mut self, head: AnswerHead) -> Saw {
        self.hints = hints::rate_hints(&View(&head.headers), unix_now());
        self.mode = self.mode_for(&head);
        self.head = Some(head);
        match self.mode {
            Mode::Error(_) => Saw::ErrorHead,
            Mode::Pass => Saw::PassThrough,
            Mode::Start | Mode::Whole { .. } | Mode::Events { .. } => Saw::Head,
        }
    }

    fn mode_for(&self, head: &AnswerHead) -> Mode {
        if !head.status.is_success() {
            return Mode::Error(BytesMut::new());
        }
        let kind = media_type(&head.headers);
        match kind {
            Media::Events => Mode::Events {
                splitter: Splitter::default(),
                judge: Box::new(self.judge()),
                cut: Vec::new(),
            },
            Media::Json => Mode::Whole { json: true },
            // An endpoint that answers JSON and sends a page has failed; others send what they like.
            Media::Text | Media::Absent if answers_json(self.endpoint) => {
                Mode::Whole { json: true }
            }
            Media::Text if self.endpoint == Endpoint::Other => Mode::Pass,
            Media::Text | Media::Absent | Media::Binary => Mode::Pass,
        }
    }

    fn judge(&self) -> Judge {
        let judge = Judge::new(Family::of(self.endpoint));
        if self.recoverable { judge.with_transcript() } else { judge }
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
            Mode::Whole { .. } => {
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
        let Mode::Events { splitter, judge, cut } = &mut self.mode else { return Saw::Nothing };
        if splitter.feed(bytes, cut).is_err() {
            return Saw::Failed(Box::new(classify::of_transport(TransportFault::MalformedHttp)));
        }
        let mut saw = Saw::Bytes;
        let mut failed = None;
        for event in cut.drain(..) {
            match judge.see(&event) {
                Event::Malformed => continue,
                Event::Error => {
                    failed = Some(event);
                    break;
                }
                Event::Terminal => saw = Saw::Terminal,
                Event::Content if !matches!(saw, Saw::Terminal) => saw = Saw::Content,
                Event::Content | Event::KeepAlive | Event::StartUp | Event::Marker => {}
            }
            let Some(event) = checked(self.verifier.as_deref_mut(), event) else {
                let verdict = classify::of_transport(TransportFault::CutMidBody);
                return Saw::Failed(Box::new(verdict));
            };
            self.held += event.len();
            if !event.is_empty() {
                self.ready.push_back(event);
            }
        }
        self.malformed = judge.malformed();
        if let Some(event) = failed {
            return self.failed_event(&event);
        }
        // Frames that show nothing are held only so far: what is larger is as good as content.
        if self.held > HELD_MAX && matches!(saw, Saw::Bytes) { Saw::Content } else { saw }
    }

    fn failed_event(&self, event: &[u8]) -> Saw {
        let Some(head) = &self.head else { return Saw::Nothing };
        let answer = Answer {
            status: Some(head.status.as_u16()),
            headers: &View(&head.headers),
            body: event,
            stream: true,
        };
        let verdict = classify::classify(&answer)
            .unwrap_or_else(|| classify::of_transport(TransportFault::CutMidBody));
        Saw::Failed(Box::new(verdict))
    }

    /// The body ended as HTTP says it must.
    pub(crate) fn on_end(&mut self) -> Saw {
        match &mut self.mode {
            Mode::Start => {
                Saw::Failed(Box::new(classify::of_transport(TransportFault::MalformedHttp)))
            }
            Mode::Error(_) => self.judge_error(),
            Mode::Whole { json } => {
                let json = *json;
                self.judge_whole(json)
            }
            Mode::Events { judge, .. } => {
                if !judge.is_whole() {
                    return Saw::Failed(Box::new(classify::of_transport(
                        TransportFault::CutMidBody,
                    )));
                }
                let usage = judge.usage();
                if judge.lacks_marker() {
                    self.ready.push_back(Bytes::from_static(b"data: [DONE]\n\n"));
                }
                Saw::Finished(usage)
            }
            Mode::Pass => Saw::Finished(None),
        }
    }

    /// The transport failed. A stream that had told its end is whole all the same.
    pub(crate) fn on_fault(&mut self, fault: TransportFault) -> Saw {
        match &self.mode {
            Mode::Events { judge, .. } if judge.is_whole() => self.on_end(),
            Mode::Error(body) if !body.is_empty() => self.judge_error(),
            Mode::Start
            | Mode::Error(_)
            | Mode::Whole { .. }
            | Mode::Events { .. }
            | Mode::Pass => Saw::Failed(Box::new(classify::of_transport(fault))),
        }
    }

    fn judge_error(&mut self) -> Saw {
        let (Mode::Error(body), Some(head)) = (&self.mode, &self.head) else { return Saw::Nothing };
        let answer = Answer {
            status: Some(head.status.as_u16()),
            headers: &View(&head.headers),
            body,
            stream: false,
        };
        // A redirect is no answer and is never followed with credentials; classify takes a status
        // below 400 without an error in it for a sound one.
        let verdict = classify::classify_at(&answer, unix_now())
            .unwrap_or_else(|| classify::of_transport(TransportFault::MalformedHttp));
        Saw::Failed(Box::new(verdict))
    }

    fn judge_whole(&mut self, json: bool) -> Saw {
        let Some(head) = &self.head else { return Saw::Nothing };
        let whole = join(&mut self.ready);
        self.held = whole.len();
        if !json || head.status == StatusCode::NO_CONTENT {
            self.ready.push_back(whole);
            return Saw::Finished(None);
        }
        if serde_json::from_slice::<serde::de::IgnoredAny>(&whole).is_err() || memchr_error(&whole)
        {
            let answer = Answer {
                status: Some(head.status.as_u16()),
                headers: &View(&head.headers),
                body: &whole,
                stream: false,
            };
            if let Some(verdict) = classify::classify(&answer) {
                return Saw::Failed(Box::new(verdict));
            }
        }
        let usage = usage::of_answer(&whole);
        self.ready.push_back(whole);
        Saw::Finished(usage)
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
            Mode::Start | Mode::Whole { .. } | Mode::Events { .. } | Mode::Pass => None,
        }
    }

    /// The number the next typed event would carry; `None` when this is no stream of events.
    pub(crate) fn next_sequence(&self) -> Option<u64> {
        let Mode::Events { judge, .. } = &self.mode else { return None };
        Some(judge.next_sequence())
    }

    /// Ends a stream that broke after its first byte: an error event in the shape that both
    /// official SDKs raise on.
    pub(crate) fn error_event(&self, error: &serde_json::Value, sequence: u64) -> Bytes {
        Bytes::from(match Family::of(self.endpoint) {
            Family::Completions => format!("data: {}\n\n", serde_json::json!({ "error": error })),
            // Nested: one official SDK takes the flat shape for an ordinary event.
            Family::Responses | Family::Assistants | Family::Other => {
                let body = serde_json::json!({
                    "type": "error", "error": error, "sequence_number": sequence,
                });
                format!("event: error\ndata: {body}\n\n")
            }
        })
    }

    /// Whether the answer is a stream of events.
    pub(crate) fn is_events(&self) -> bool {
        matches!(self.mode, Mode::Events { .. })
    }

    /// Whether the caller asked for a stream.
    pub(crate) fn wants_stream(&self) -> bool {
        self.stream
    }
}

/// An event as it may be delivered: itself, what is new of it in a second telling (perhaps
/// nothing), or `None` when that differs from the first.
fn checked(verifier: Option<&mut Verifier>, event: Bytes) -> Option<Bytes> {
    let Some(verifier) = verifier else { return Some(event) };
    let fields = sse::fields(&event);
    let Some(data) = fields.data else { return Some(Bytes::new()) };
    if data.starts_with(b"[DONE]") {
        return verifier.caught_up().then_some(event.clone());
    }
    match verifier.check(&data) {
        Checked::Swallow => Some(Bytes::new()),
        Checked::Differs => None,
        Checked::Forward(data) => {
            let name = fields.name.map(String::from_utf8_lossy);
            let line = name.map_or_else(String::new, |name| format!("event: {name}\n"));
            Some(Bytes::from(format!("{line}data: {data}\n\n")))
        }
    }
}

/// A quick look for an error member; only then is the body read for one.
fn memchr_error(body: &[u8]) -> bool {
    const HEAD: usize = 512;
    body[..body.len().min(HEAD)].windows(7).any(|window| window == b"\"error\"")
}

fn join(pieces: &mut VecDeque<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.pop_front().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in pieces.drain(..) {
        whole.extend_from_slice(&piece);
    }
    whole.freeze()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Media {
    Json,
    Events,
    Text,
    Binary,
    Absent,
}

fn media_type(headers: &HeaderMap) -> Media {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Media::Absent };
    let Ok(text) = value.to_str() else { return Media::Binary };
    let kind = text.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match kind.as_str() {
        "application/json" => Media::Json,
        "text/event-stream" => Media::Events,
        kind if kind.ends_with("+json") => Media::Json,
        kind if kind.starts_with("text/") => Media::Text,
        "" => Media::Absent,
        _ => Media::Binary,
    }
}

/// Endpoints whose sound answer is JSON (or a stream) and nothing else.
fn answers_json(endpoint: Endpoint) -> bool {
    match endpoint {
        Endpoint::Chat
        | Endpoint::Responses
        | Endpoint::Completions
        | Endpoint::Embeddings
        | Endpoint::Moderations
        | Endpoint::Images
        | Endpoint::ImageEdits
        | Endpoint::ImageVariations
        | Endpoint::Assistants
        | Endpoint::AssistantUpdate
        | Endpoint::Threads
        | Endpoint::ThreadUpdate
        | Endpoint::ThreadMessages
        | Endpoint::Runs
        | Endpoint::ThreadAndRun
        | Endpoint::ToolOutputs
        | Endpoint::Batches
        | Endpoint::Models => true,
        Endpoint::Speech
        | Endpoint::Transcriptions
        | Endpoint::Translations
        | Endpoint::Files
        | Endpoint::Other => false,
    }
}

/// Time since 1970, for hints that are dates.
fn unix_now() -> Option<std::time::Duration> {
    crate::clock::unix_now()
}
