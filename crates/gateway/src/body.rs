//! The caller's body: held in memory within bounds when it is JSON or small, passed through as it
//! arrives when it is not. No size that a caller announces is believed or reserved in advance.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use mainstay::call::CallBody;
use mainstay_core::failure::Kind;
use mainstay_core::wire::endpoint::BodyForm;
use tokio::time::timeout;

use crate::refused::{Refused, grouped};
use crate::settings::Bounds;

mod gunzip;
mod held;
mod passing;

pub(crate) use held::{Held, Hold};
use passing::Passing;

/// A body that was taken in.
#[derive(Debug)]
pub(crate) struct Taken {
    /// For the walk.
    pub(crate) body: CallBody,
    /// Its share of the memory for bodies; give it up when the call has ended.
    pub(crate) hold: Hold,
    /// Whether it is JSON to be looked into.
    pub(crate) json: bool,
    /// Whether it came compressed and is not any more.
    pub(crate) inflated: bool,
}

/// How a body is to be treated, by endpoint and content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// Held and looked into.
    Json,
    /// Passed on unread.
    Opaque,
}

impl Treatment {
    /// Decides by what the endpoint takes and what the caller says he sends.
    pub(crate) fn of(form: BodyForm, headers: &HeaderMap) -> Treatment {
        match form {
            BodyForm::Json => Treatment::Json,
            BodyForm::JsonOrNothing | BodyForm::Any if says_json(headers) => Treatment::Json,
            BodyForm::JsonOrNothing | BodyForm::Any | BodyForm::Multipart => Treatment::Opaque,
        }
    }
}

/// Whether the content type is JSON.
pub(crate) fn says_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json")
        || essence.len() > 5
            && essence.as_bytes()[essence.len() - 5..].eq_ignore_ascii_case(b"+json")
}

/// Takes the body in `slot`; it stays there, perhaps half read, when it is refused.
pub(crate) async fn take(
    slot: &mut Option<Incoming>,
    headers: &HeaderMap,
    treatment: Treatment,
    bounds: &Bounds,
    held: &Held,
) -> Result<Taken, Refused> {
    let mut hold = held.hold();
    let json = treatment == Treatment::Json;
    let Some(incoming) = slot.as_mut().filter(|body| !body.is_end_stream()) else {
        *slot = None;
        return Ok(Taken { body: CallBody::Empty, hold, json, inflated: false });
    };
    let length = incoming.size_hint().exact();
    let whole_max = if json { bounds.body_max } else { bounds.upload_max };
    if let Some(length) = length.filter(|length| *length > whole_max) {
        return Err(too_large(length, whole_max, json));
    }
    let coding = Coding::of(headers)?;
    if json {
        let whole = hold_all(incoming, length, coding, bounds, &mut hold);
        let whole =
            timeout(bounds.body_time, whole).await.map_err(|_| slow(bounds.body_time))??;
        *slot = None;
        let inflated = coding == Coding::Gzip;
        return Ok(Taken { body: CallBody::Buffered(whole), hold, json, inflated });
    }
    let body = hold_or_pass(slot, length, bounds, &mut hold).await?;
    Ok(Taken { body, hold, json, inflated: false })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Plain,
    Gzip,
}

impl Coding {
    fn of(headers: &HeaderMap) -> Result<Coding, Refused> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(Coding::Plain) };
        match value.as_bytes() {
            b"identity" => Ok(Coding::Plain),
            b"gzip" | b"x-gzip" => Ok(Coding::Gzip),
            _ => Err(Refused::caller(
                Kind::InvalidRequest,
                "This content-encoding is not taken: send the body as it is, or with gzip.",
            )
            .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
        }
    }
}

/// What is announced is trusted up to the size of a usual body, in bytes; beyond, memory follows
/// what came.
const AHEAD: u64 = 1024 * 1024;

async fn hold_all(
    incoming: &mut Incoming,
    length: Option<u64>,
    coding: Coding,
    bounds: &Bounds,
    hold: &mut Hold,
) -> Result<Bytes, Refused> {
    if coding == Coding::Gzip {
        return gunzip::hold_all(incoming, bounds, hold).await;
    }
    let Some(first) = piece(incoming, bounds.body_pause).await? else { return Ok(Bytes::new()) };
    hold.grow(first.len())?;
    if length == Some(first.len() as u64) {
        return Ok(first); // The usual case: it came with the head, and nothing is copied.
    }
    let ahead = length.unwrap_or(0).min(AHEAD);
    let mut whole = BytesMut::with_capacity(usize::try_from(ahead).unwrap_or(0).max(first.len()));
    whole.extend_from_slice(&first);
    while let Some(next) = piece(incoming, bounds.body_pause).await? {
        let sum = (whole.len() + next.len()) as u64;
        if sum > bounds.body_max {
            return Err(too_large(sum, bounds.body_max, true));
        }
        hold.grow(next.len())?;
        whole.extend_from_slice(&next);
    }
    Ok(whole.freeze())
}

/// Holds a body that may be sent again, and passes a larger one through.
async fn hold_or_pass(
    slot: &mut Option<Incoming>,
    length: Option<u64>,
    bounds: &Bounds,
    hold: &mut Hold,
) -> Result<CallBody, Refused> {
    let mut pieces: Vec<Bytes> = Vec::new();
    let mut sum = 0_u64;
    if length.is_none_or(|length| length <= bounds.replay_max) {
        while let Some(incoming) = slot.as_mut() {
            let Some(next) = piece(incoming, bounds.body_pause).await? else {
                *slot = None;
                break;
            };
            sum += next.len() as u64;
            hold.grow(next.len())?;
            pieces.push(next);
            if sum > bounds.replay_max {
                break;
            }
        }
    }
    let Some(incoming) = slot.take() else {
        return Ok(CallBody::Buffered(joined(pieces, sum)));
    };
    let passing = Passing::new(pieces, incoming, bounds.upload_max, bounds.body_pause);
    Ok(CallBody::Streamed { body: passing.boxed_unsync(), length })
}

fn joined(mut pieces: Vec<Bytes>, sum: u64) -> Bytes {
    if pieces.len() == 1 {
        return pieces.pop().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(usize::try_from(sum).unwrap_or(0));
    for piece in pieces {
        whole.extend_from_slice(&piece);
    }
    whole.freeze()
}

/// The next piece of data; trailers are passed over.
async fn piece(incoming: &mut Incoming, pause: Duration) -> Result<Option<Bytes>, Refused> {
    loop {
        match timeout(pause, incoming.frame()).await {
            Err(_) => return Err(slow(pause)),
            Ok(None) => return Ok(None),
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok(Some(data)),
                Err(_trailers) => {}
            },
            Ok(Some(Err(_))) => return Err(broken()),
        }
    }
}

/// Reads on in a body that was refused, so that its sender gets to read the answer: many clients
/// look at it only after they have sent everything.
pub(crate) async fn drain(slot: Option<Incoming>, headers: &HeaderMap, bounds: &Bounds) {
    let Some(mut incoming) = slot.filter(|body| !body.is_end_stream()) else { return };
    if headers.contains_key(header::EXPECT) {
        return; // The sender waits for our leave, which he does not get.
    }
    let all = async {
        let mut sum = 0_u64;
        while let Some(Ok(frame)) = incoming.frame().await {
            sum += frame.data_ref().map_or(0, |data| data.len() as u64);
            if sum > bounds.drain_bytes {
                return;
            }
        }
    };
    // When time is up the connection is closed with the answer on its way; that is the bound.
    let _ = timeout(bounds.drain_time, all).await;
}

fn too_large(length: u64, limit: u64, json: bool) -> Refused {
    let setting = if json { "server.body_max" } else { "server.upload_max" };
    Refused::caller(
        Kind::RequestTooLarge,
        format!(
            "The body is too large: {} bytes or more, the limit is {} bytes ({setting}). Send less at a time, or \
             ask the operator to raise the limit.",
            grouped(length),
            grouped(limit)
        ),
    )
    .with_status(StatusCode::PAYLOAD_TOO_LARGE)
}

fn slow(bound: Duration) -> Refused {
    Refused::caller(
        Kind::RequestTimeout,
        format!(
            "The body did not arrive in time: nothing more came for {} s or it was not complete by then. Check the \
             network and send it again.",
            bound.as_secs_f64()
        ),
    )
    .with_status(StatusCode::REQUEST_TIMEOUT)
}

fn broken() -> Refused {
    Refused::caller(
        Kind::InvalidRequest,
        "The body broke off or is not framed as HTTP asks (chunks or content-length). Send it again; if it happens \
         each time, look at the HTTP client or a proxy between.",
    )
}
