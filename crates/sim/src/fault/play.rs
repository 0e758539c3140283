//! Does a fault to an answer: from a sound answer to what really goes on the wire.

use crate::fault::edit::{self, joined, place};
use crate::fault::{Fault, Order};
use crate::provider::answer::{
    Answer, Content, Event, HTML, HttpBody, JSON, Mark, Pace, Piece, Play, Step, paced,
};
use crate::provider::bill::Bill;
use crate::provider::encode::gzip;
use crate::provider::kinds::page_body;
use bytes::Bytes;
use std::time::Duration;

/// What happens, and how long before it starts.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    /// What is billed for it, should it be sent to its end.
    pub(crate) bill: Bill,
    pub(crate) delay: Duration,
    pub(crate) play: Play,
}

/// The pause between the last bytes and a reset, so that the bytes are read first.
const BEFORE_RESET: Duration = Duration::from_millis(20);

/// The time between two keep-alive comments.
const COMMENT_EVERY: Duration = Duration::from_secs(1);

const GARBAGE: &[u8] = b"\x15\x03\x03\x00\x02\x02\x46 not HTTP\n";

/// A sound answer as it goes on the wire.
pub(crate) fn sound(answer: Answer, pace: Pace) -> Course {
    let body = match answer.content {
        Content::Whole(bytes) => HttpBody::Whole(bytes),
        Content::Events(events) => HttpBody::Pieces(paced(events, pace)),
    };
    Course {
        bill: Bill::default(),
        delay: Duration::ZERO,
        play: Play::Http {
            status: answer.status,
            content_type: answer.content_type,
            headers: answer.headers,
            body,
            close: false,
        },
    }
}

/// The answer with the fault done to it.
pub(crate) fn play(order: &Order, mut answer: Answer, mut pace: Pace) -> Course {
    match order.fault {
        Fault::Refuse | Fault::ResetBeforeHeaders => script(vec![Step::Reset]),
        Fault::CloseBeforeHeaders => script(vec![Step::Finish]),
        Fault::Garbage => script(vec![Step::Send(Bytes::from_static(GARBAGE)), Step::Finish]),
        Fault::Hang => script(vec![Step::Wait(order.time), Step::Finish]),
        Fault::ResetAfterHeaders => {
            script(vec![Step::Send(head(&answer, None)), Step::Wait(BEFORE_RESET), Step::Reset])
        }
        Fault::CutFin => script(cut(order, &answer, pace, Step::Finish)),
        Fault::CutRst => script(cut(order, &answer, pace, Step::Reset)),
        Fault::LengthTooLong => script(wrong_length(&answer, |length| length + order.bytes)),
        Fault::LengthTooShort => {
            script(wrong_length(&answer, |length| length.saturating_sub(order.bytes)))
        }
        Fault::SlowHeaders => Course { delay: order.time, ..sound(answer, pace) },
        Fault::SlowFirstToken => {
            pace.first_token = order.time;
            sound(answer_in_pieces(answer, 1), pace)
        }
        Fault::SlowDrip => {
            pace.token = order.time;
            sound(answer_in_pieces(answer, 10), pace)
        }
        Fault::Stall => stall(order, answer, pace),
        Fault::OneByteChunks => one_byte_chunks(answer, pace),
        Fault::CommentsOnly => comments_only(order, answer),
        Fault::CloseAfterResponse => closing(sound(answer, pace)),
        Fault::OversizedHeaders => {
            answer.headers.push(("x-sim-padding", "p".repeat(order.bytes)));
            sound(answer, pace)
        }
        Fault::GzipUnasked => {
            answer.headers.push(("content-encoding", "gzip".into()));
            answer.content = Content::Whole(gzip(&joined(&answer.content)).into());
            sound(answer, pace)
        }
        Fault::Html502 => sound(replaced(answer, 502, HTML, page_body("502 Bad Gateway")), pace),
        Fault::Html200 => sound(replaced(answer, 200, HTML, page_body("Welcome to nginx!")), pace),
        Fault::ErrorIn200 => {
            sound(replaced(answer, 200, JSON, edit::in_band_error(order.error)), pace)
        }
        Fault::EmptyBody => {
            let content_type = answer.content_type;
            sound(replaced(answer, 200, content_type, String::new()), pace)
        }
        Fault::NoDone => sound(edit::without_done(answer), pace),
        Fault::NoFinish => sound(edit::without_finish(answer), pace),
        Fault::DuplicateDone => sound(edit::done_twice(answer), pace),
        Fault::MissingUsage => sound(edit::without_usage(answer), pace),
        Fault::MalformedEvent => sound(edit::malformed(answer, order.after), pace),
        Fault::ErrorFirstEvent => sound(edit::error_at(answer, None, order.error), pace),
        Fault::ErrorMidStream => {
            sound(edit::error_at(answer, Some(order.after), order.error), pace)
        }
        Fault::FinishError => sound(edit::finished_by_error(answer, order.error), pace),
        Fault::CrlfEvents => sound(edit::with_crlf(answer), pace),
    }
}

fn script(steps: Vec<Step>) -> Course {
    Course { bill: Bill::default(), delay: Duration::ZERO, play: Play::Script(steps) }
}

/// A body that has nothing to do with the answer.
fn replaced(answer: Answer, status: u16, content_type: &'static str, body: String) -> Answer {
    Answer { status, content_type, content: Content::Whole(body.into()), ..answer }
}

fn closing(mut course: Course) -> Course {
    if let Play::Http { close, .. } = &mut course.play {
        *close = true;
    }
    course
}

/// A whole body as that many pieces of content, so that it can come slowly.
fn answer_in_pieces(answer: Answer, pieces: usize) -> Answer {
    let Content::Whole(body) = answer.content else { return answer };
    let size = body.len().div_ceil(pieces).max(1);
    let slices =
        (0..body.len()).step_by(size).map(|at| body.slice(at..(at + size).min(body.len())));
    let events = slices.map(|bytes| Event { mark: Mark::Content, bytes }).collect();
    Answer { content: Content::Events(events), ..answer }
}

fn stall(order: &Order, answer: Answer, pace: Pace) -> Course {
    let answer = answer_in_pieces(answer, order.after + 1);
    let Content::Events(events) = &answer.content else { return sound(answer, pace) };
    let place = place(events, order.after);
    let mut course = sound(answer, pace);
    if let Play::Http { body: HttpBody::Pieces(pieces), .. } = &mut course.play
        && let Some(piece) = pieces.get_mut(place)
    {
        piece.wait += order.time;
    }
    course
}

fn one_byte_chunks(answer: Answer, pace: Pace) -> Course {
    let mut course = sound(answer, pace);
    if let Play::Http { body, .. } = &mut course.play {
        let pieces = match std::mem::replace(body, HttpBody::Whole(Bytes::new())) {
            HttpBody::Whole(bytes) => vec![Piece { wait: Duration::ZERO, bytes }],
            HttpBody::Pieces(pieces) => pieces,
        };
        let single = |piece: Piece| {
            let wait = move |at| if at == 0 { piece.wait } else { Duration::ZERO };
            (0..piece.bytes.len())
                .map(move |at| Piece { wait: wait(at), bytes: piece.bytes.slice(at..=at) })
        };
        *body = HttpBody::Pieces(pieces.into_iter().flat_map(single).collect());
    }
    course
}

fn comments_only(order: &Order, answer: Answer) -> Course {
    let comment: &[u8] = match answer.content {
        Content::Events(_) => b": keep-alive\n\n",
        Content::Whole(_) => b" \n",
    };
    let count = order.time.as_secs().max(1);
    let every = order.time.min(COMMENT_EVERY);
    let piece = Piece { wait: every, bytes: Bytes::from_static(comment) };
    let pieces = std::iter::repeat_n(piece, usize::try_from(count).unwrap_or(1)).collect();
    Course {
        bill: Bill::default(),
        delay: Duration::ZERO,
        play: Play::Http {
            status: answer.status,
            content_type: answer.content_type,
            headers: answer.headers,
            body: HttpBody::Pieces(pieces),
            close: false,
        },
    }
}

/// The head of an answer as bytes; chunked where no length is given.
fn head(answer: &Answer, length: Option<usize>) -> Bytes {
    let mut head =
        format!("HTTP/1.1 {} OK\r\ncontent-type: {}\r\n", answer.status, answer.content_type);
    for (name, value) in &answer.headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    match length {
        Some(length) => head.extend(["content-length: ", &length.to_string(), "\r\n\r\n"]),
        None => head.push_str("transfer-encoding: chunked\r\n\r\n"),
    }
    head.into()
}

fn wrong_length(answer: &Answer, length: impl Fn(usize) -> usize) -> Vec<Step> {
    let body = joined(&answer.content);
    vec![Step::Send(head(answer, Some(length(body.len())))), Step::Send(body), Step::Finish]
}

fn cut(order: &Order, answer: &Answer, pace: Pace, end: Step) -> Vec<Step> {
    let mut steps = Vec::new();
    match &answer.content {
        Content::Whole(body) => {
            steps.push(Step::Send(head(answer, Some(body.len()))));
            steps.push(Step::Send(body.slice(..body.len() / 2)));
        }
        Content::Events(events) => {
            steps.push(Step::Send(head(answer, None)));
            let place = place(events, order.after);
            for (at, piece) in paced(events.clone(), pace).into_iter().enumerate().take(place + 1) {
                if !piece.wait.is_zero() {
                    steps.push(Step::Wait(piece.wait));
                }
                let sent = if at < place { piece.bytes.len() } else { piece.bytes.len() / 2 };
                // The cut event announces its whole length, so that no layer can take it for complete.
                let mut chunk = format!("{:x}\r\n", piece.bytes.len()).into_bytes();
                chunk.extend_from_slice(&piece.bytes[..sent]);
                if at < place {
                    chunk.extend_from_slice(b"\r\n");
                }
                steps.push(Step::Send(chunk.into()));
            }
        }
    }
    steps.extend([Step::Wait(BEFORE_RESET), end]);
    steps
}

#[cfg(test)]
mod tests;
