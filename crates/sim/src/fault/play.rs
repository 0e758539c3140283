//! Does a fault to an answer: from a sound answer to what really goes on the wire.

use crate::fault::{Fault, Order};
use crate::provider::answer::{
    Answer, Content, Event, HTML, HttpBody, JSON, Mark, Pace, Piece, Play, Shape, Step, paced,
};
use crate::provider::encode::gzip;
use crate::provider::kinds::{error_body, page_body};
use bytes::Bytes;
use std::time::Duration;

/// What happens, and how long before it starts.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    pub(crate) delay: Duration,
    pub(crate) play: Play,
}

/// The pause between the last bytes and a reset, so that the bytes are read first.
const BEFORE_RESET: Duration = Duration::from_millis(20);

/// The time between two keep-alive comments.
const COMMENT_EVERY: Duration = Duration::from_secs(1);

const OVERLOADED: &str = "Our servers are currently overloaded. Please try again later.";

/// A sound answer as it goes on the wire.
pub(crate) fn sound(answer: Answer, pace: Pace) -> Course {
    let body = match answer.content {
        Content::Whole(bytes) => HttpBody::Whole(bytes),
        Content::Events(events) => HttpBody::Pieces(paced(events, pace)),
    };
    Course {
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
    let script = |steps| Course { delay: Duration::ZERO, play: Play::Script(steps) };
    match order.fault {
        Fault::Refuse | Fault::ResetBeforeHeaders => script(vec![Step::Reset]),
        Fault::CloseBeforeHeaders => script(vec![Step::Finish]),
        Fault::Garbage => script(vec![
            Step::Send(Bytes::from_static(b"\x15\x03\x03\x00\x02\x02\x46 not HTTP\n")),
            Step::Finish,
        ]),
        Fault::Hang => script(vec![Step::Wait(order.time), Step::Finish]),
        Fault::ResetAfterHeaders => {
            let head = head(&answer, None);
            script(vec![Step::Send(head), Step::Wait(BEFORE_RESET), Step::Reset])
        }
        Fault::CutFin => script(cut(order, answer, pace, Step::Finish)),
        Fault::CutRst => script(cut(order, answer, pace, Step::Reset)),
        Fault::LengthTooLong => script(wrong_length(answer, |length| length + order.bytes)),
        Fault::LengthTooShort => {
            script(wrong_length(answer, |length| length.saturating_sub(order.bytes)))
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
        Fault::CloseAfterResponse => {
            let mut course = sound(answer, pace);
            if let Play::Http { close, .. } = &mut course.play {
                *close = true;
            }
            course
        }
        Fault::OversizedHeaders => {
            answer.headers.push(("x-sim-padding", "p".repeat(order.bytes)));
            sound(answer, pace)
        }
        Fault::GzipUnasked => {
            answer.headers.push(("content-encoding", "gzip".into()));
            answer.content = Content::Whole(gzip(&joined(&answer.content)).into());
            sound(answer, pace)
        }
        Fault::Html502 | Fault::Html200 | Fault::ErrorIn200 | Fault::EmptyBody => {
            sound(replaced(order.fault, answer), pace)
        }
        Fault::NoDone
        | Fault::NoFinish
        | Fault::DuplicateDone
        | Fault::MissingUsage
        | Fault::MalformedEvent
        | Fault::ErrorFirstEvent
        | Fault::ErrorMidStream
        | Fault::FinishError
        | Fault::CrlfEvents => sound(edited(order, answer), pace),
    }
}

/// Faults whose body has nothing to do with the answer.
fn replaced(fault: Fault, answer: Answer) -> Answer {
    let (status, content_type, body) = match fault {
        Fault::Html502 => (502, HTML, page_body("502 Bad Gateway")),
        Fault::Html200 => (200, HTML, page_body("Welcome to nginx!")),
        Fault::EmptyBody => (200, answer.content_type, String::new()),
        _ => (200, JSON, in_band_error()),
    };
    Answer { status, content_type, content: Content::Whole(body.into()), ..answer }
}

fn in_band_error() -> String {
    error_body(OVERLOADED, Some("service_unavailable_error"), None, Some("server_is_overloaded"))
}

/// Faults that add, drop or change events, or edit a whole body.
fn edited(order: &Order, answer: Answer) -> Answer {
    let shape = answer.shape;
    let content = match answer.content {
        Content::Events(events) => Content::Events(edited_events(order, events, shape)),
        Content::Whole(body) => match order.fault {
            Fault::MalformedEvent => Content::Whole(body.slice(..body.len() / 2)),
            Fault::MissingUsage => Content::Whole(without_usage(&body, "")),
            Fault::ErrorFirstEvent | Fault::ErrorMidStream => {
                Content::Whole(in_band_error().into())
            }
            _ => Content::Whole(body),
        },
    };
    Answer { content, ..answer }
}

fn edited_events(order: &Order, mut events: Vec<Event>, shape: Shape) -> Vec<Event> {
    match order.fault {
        Fault::NoDone => events.retain(|event| event.mark != Mark::Done),
        Fault::NoFinish => events.retain(|event| matches!(event.mark, Mark::Open | Mark::Content)),
        Fault::DuplicateDone => events.extend(events.last().cloned()),
        Fault::MissingUsage => {
            events.retain(|event| event.mark != Mark::Usage);
            if shape == Shape::Responses {
                change_last(&mut events, |data| without_usage(data, "/response"));
            }
        }
        Fault::MalformedEvent => {
            let broken =
                Bytes::from_static(b"data: {\"id\":\"chatcmpl-sim\",\"object\":\"chat.compl\n\n");
            events
                .insert(place(&events, order.after), Event { mark: Mark::Content, bytes: broken });
        }
        Fault::ErrorFirstEvent => {
            let kept = if shape == Shape::Responses { 2.min(events.len()) } else { 0 };
            end_with_error(&mut events, kept, shape);
        }
        Fault::ErrorMidStream => {
            let kept = place(&events, order.after);
            end_with_error(&mut events, kept, shape);
        }
        Fault::FinishError if shape == Shape::Responses => {
            let failed = failed_event(events.len());
            events.pop();
            events.push(Event { mark: Mark::Done, bytes: failed.into() });
        }
        Fault::FinishError => {
            for event in events.iter_mut().filter(|event| event.mark == Mark::Finish) {
                event.bytes = replace_in(
                    &event.bytes,
                    "\"finish_reason\":\"",
                    "\"finish_reason\":\"error\",\"native_finish_reason\":\"",
                );
            }
        }
        Fault::CrlfEvents => {
            for event in &mut events {
                event.bytes = replace_in(&event.bytes, "\n", "\r\n");
            }
        }
        _ => {}
    }
    events
}

/// Where the event after `after` pieces of content stands; before the finish if there are fewer.
fn place(events: &[Event], after: usize) -> usize {
    let contents = events.iter().enumerate().filter(|(_, event)| event.mark == Mark::Content);
    let nth = contents.map(|(at, _)| at).nth(after);
    let end = || events.iter().position(|event| !matches!(event.mark, Mark::Open | Mark::Content));
    nth.or_else(end).unwrap_or(events.len())
}

/// An error inside the stream in the form its API has for it, and nothing after it.
///
/// Source: the Responses API sends the nested error event and then `response.failed`; the chat API a
/// nameless event with an `error` object. Captured streams, read 2026-11.
fn end_with_error(events: &mut Vec<Event>, kept: usize, shape: Shape) {
    events.truncate(kept);
    let error = in_band_error();
    let bytes = if shape == Shape::Responses {
        let inner = error.trim_start_matches(r#"{"error":"#).trim_end_matches('}');
        let sequence = format!(r#""sequence_number":{kept}"#);
        let data = format!(r#"{{"type":"error","error":{inner}}},{sequence}}}"#);
        format!("event: error\ndata: {data}\n\n{}", failed_event(kept + 1))
    } else {
        format!("data: {error}\n\n")
    };
    events.push(Event { mark: Mark::Finish, bytes: bytes.into() });
}

fn failed_event(sequence: usize) -> String {
    let response = format!(
        r#"{{"id":"resp_sim","object":"response","created_at":0,"status":"failed","error":{{"code":"server_is_overloaded","message":"{OVERLOADED}"}},"incomplete_details":null,"instructions":null,"metadata":{{}},"model":"sim","output":[],"parallel_tool_calls":true,"temperature":1.0,"tool_choice":"auto","tools":[],"top_p":1.0,"usage":null}}"#
    );
    format!(
        "event: response.failed\ndata: {{\"type\":\"response.failed\",\"response\":{response},\"sequence_number\":{sequence}}}\n\n"
    )
}

fn replace_in(bytes: &Bytes, from: &str, to: &str) -> Bytes {
    String::from_utf8_lossy(bytes).replace(from, to).into()
}

/// Changes the JSON of the last event.
fn change_last(events: &mut [Event], change: impl Fn(&[u8]) -> Bytes) {
    let Some(last) = events.last_mut() else { return };
    let text = String::from_utf8_lossy(&last.bytes).into_owned();
    if let Some((name, data)) = text.split_once("data: ") {
        let data = change(data.trim_end().as_bytes());
        last.bytes = format!("{name}data: {}\n\n", String::from_utf8_lossy(&data)).into();
    }
}

fn without_usage(json: &[u8], at: &str) -> Bytes {
    let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(json) else {
        return Bytes::copy_from_slice(json);
    };
    if let Some(fields) = value.pointer_mut(at).and_then(|value| value.as_object_mut()) {
        fields.remove("usage");
    }
    value.to_string().into()
}

fn joined(content: &Content) -> Bytes {
    match content {
        Content::Whole(bytes) => bytes.clone(),
        Content::Events(events) => {
            events.iter().flat_map(|event| event.bytes.iter().copied()).collect()
        }
    }
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
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match length {
        Some(length) => head.push_str(&format!("content-length: {length}\r\n\r\n")),
        None => head.push_str("transfer-encoding: chunked\r\n\r\n"),
    }
    head.into()
}

fn wrong_length(answer: Answer, length: impl Fn(usize) -> usize) -> Vec<Step> {
    let body = joined(&answer.content);
    vec![Step::Send(head(&answer, Some(length(body.len())))), Step::Send(body), Step::Finish]
}

fn cut(order: &Order, answer: Answer, pace: Pace, end: Step) -> Vec<Step> {
    let mut steps = Vec::new();
    match &answer.content {
        Content::Whole(body) => {
            steps.push(Step::Send(head(&answer, Some(body.len()))));
            steps.push(Step::Send(body.slice(..body.len() / 2)));
        }
        Content::Events(events) => {
            steps.push(Step::Send(head(&answer, None)));
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
