//! An answer before it goes on the wire: a head and a body, or a script of raw bytes.
//!
//! Faults work on these values, so what a fault does to an answer can be tested without a socket.

use bytes::Bytes;
use std::time::Duration;

/// What part of a stream an event is. Faults aim at parts, pacing waits before content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Comes before any content: the role, `response.created` and the like.
    Open,
    /// Carries a piece of the answer.
    Content,
    /// Says why the answer ended; in the Responses API, everything after the last piece.
    Finish,
    /// The chunk with nothing but usage.
    Usage,
    /// The end: `[DONE]`, or `response.completed`.
    Done,
}

/// One server-sent event, its blank line included.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) mark: Mark,
    pub(crate) bytes: Bytes,
}

/// The body of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Whole(Bytes),
    Events(Vec<Event>),
}

/// Which of the streaming APIs an answer belongs to; in-band errors differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Unnamed events ended by `[DONE]`.
    Chat,
    /// Named events with sequence numbers.
    Responses,
    /// Named events of a thread, ended by `done`.
    Runs,
    /// Typed events of pictures and sound; the last one is whole in itself.
    Media,
    /// Not a stream API.
    Plain,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) content: Content,
    pub(crate) shape: Shape,
}

pub(crate) const JSON: &str = "application/json";
pub(crate) const SSE: &str = "text/event-stream; charset=utf-8";
pub(crate) const HTML: &str = "text/html";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
pub(crate) const BINARY: &str = "application/octet-stream";

impl Answer {
    /// A JSON answer.
    pub(crate) fn json(status: u16, body: String) -> Answer {
        Answer {
            status,
            content_type: JSON,
            headers: Vec::new(),
            content: Content::Whole(body.into()),
            shape: Shape::Plain,
        }
    }

    /// An object as JSON, with status 200.
    pub(crate) fn told(value: serde_json::Value) -> Answer {
        Answer::json(200, value.to_string())
    }

    /// Bytes of some kind.
    pub(crate) fn bytes(status: u16, content_type: &'static str, bytes: Bytes) -> Answer {
        Answer {
            content_type,
            content: Content::Whole(bytes),
            ..Answer::json(status, String::new())
        }
    }

    /// A stream with status 200.
    pub(crate) fn stream(shape: Shape, events: Vec<Event>) -> Answer {
        Answer {
            status: 200,
            content_type: SSE,
            headers: Vec::new(),
            content: Content::Events(events),
            shape,
        }
    }
}

/// How fast content comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Before the first piece of content.
    pub(crate) first_token: Duration,
    /// Before each further piece of content.
    pub(crate) token: Duration,
}

/// Bytes, and how long to wait before they go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) wait: Duration,
    pub(crate) bytes: Bytes,
}

/// One thing done to a socket whose answer HTTP does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Writes bytes as they are.
    Send(Bytes),
    /// Waits; ends early if the client leaves.
    Wait(Duration),
    /// Ends with FIN: everything sent so far arrives, then end of file.
    Finish,
    /// Ends with RST: the client sees a reset.
    Reset,
}

/// What happens to a request in the end.
#[derive(Clone, Debug)]
pub(crate) enum Play {
    /// A sound HTTP exchange. `pieces` make up the body.
    Http {
        status: u16,
        content_type: &'static str,
        headers: Vec<(&'static str, String)>,
        body: HttpBody,
        /// Closes the connection after the answer without having said so.
        close: bool,
    },
    /// Raw bytes instead of an HTTP exchange; the connection ends with it.
    Script(Vec<Step>),
}

/// The body of a sound exchange.
#[derive(Clone, Debug)]
pub(crate) enum HttpBody {
    /// Sent with a length.
    Whole(Bytes),
    /// Sent in chunks.
    Pieces(Vec<Piece>),
}

/// Sets events out in time.
pub(crate) fn paced(events: Vec<Event>, pace: Pace) -> Vec<Piece> {
    let mut first = true;
    let mut wait_before = |mark| {
        if mark != Mark::Content {
            return Duration::ZERO;
        }
        if std::mem::take(&mut first) { pace.first_token } else { pace.token }
    };
    events
        .into_iter()
        .map(|event| Piece { wait: wait_before(event.mark), bytes: event.bytes })
        .collect()
}

/// Collects the events of a stream in one buffer, so that a stream costs one allocation.
#[derive(Debug, Default)]
pub(crate) struct Reel {
    text: String,
    ends: Vec<(Mark, usize)>,
}

impl Reel {
    /// A reel with room for about `bytes`.
    pub(crate) fn with_room(bytes: usize) -> Reel {
        Reel { text: String::with_capacity(bytes), ends: Vec::new() }
    }

    /// Adds an event by writing its text.
    pub(crate) fn event(&mut self, mark: Mark, write: impl FnOnce(&mut String)) {
        write(&mut self.text);
        self.ends.push((mark, self.text.len()));
    }

    /// The events, each a slice of the one buffer.
    pub(crate) fn finish(self) -> Vec<Event> {
        let buffer = Bytes::from(self.text);
        let mut start = 0;
        let slice = |(mark, end)| {
            let bytes = buffer.slice(start..end);
            start = end;
            Event { mark, bytes }
        };
        self.ends.into_iter().map(slice).collect()
    }
}
