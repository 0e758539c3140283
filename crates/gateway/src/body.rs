//! The caller's body: held in memory within bounds when it is JSON or small, passed through as it
//! arrives when it is not. No size that a caller announces is believed or reserved in advance.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use mainstay::Fields;
use mainstay::call::CallBody;
use mainstay_core::failure::Kind;
use mainstay_core::validate::form::FormLook;
use mainstay_core::wire::endpoint::{BodyForm, Endpoint};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::refused::{Refused, grouped};
use crate::routes::ApiPath;
use crate::settings::Bounds;

mod arriving;
mod gunzip;
mod held;
mod passing;

pub(crate) use arriving::Arriving;
pub(crate) use held::{Held, Hold};
use passing::Passing;

/// A body that was taken in.
#[derive(Debug)]
pub(crate) struct Taken {
    /// For the walk; empty when it is to pass through.
    pub(crate) body: CallBody,
    /// What was read of a body that is to pass through; the rest stays in its slot.
    pub(crate) begun: Option<Begun>,
    /// Its share of the memory for bodies; give it up when the call has ended.
    pub(crate) hold: Hold,
    /// Whether it is JSON to be looked into.
    pub(crate) json: bool,
    /// Of a form to be looked into, what is at hand: all of it, or its beginning.
    pub(crate) form: Option<Bytes>,
    /// Whether it came compressed and is not any more.
    pub(crate) inflated: bool,
}

/// The beginning of a body that is to pass through.
#[derive(Debug)]
pub(crate) struct Begun {
    pieces: Vec<Bytes>,
    /// The whole length, in bytes, where it was announced.
    pub(crate) length: Option<u64>,
}

/// How a body is to be treated, by endpoint and content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// Held and looked into.
    Json,
    /// A form: what is at hand of it is looked into, and a large one passes through.
    Form,
    /// Passed on unread.
    Opaque,
}

impl Treatment {
    /// Decides by what the endpoint takes and what the caller says he sends.
    pub(crate) fn of(path: &ApiPath<'_>, method: &Method, headers: &Fields) -> Treatment {
        // Of files only the upload itself is a form; its kin are looked at, listed and deleted.
        let upload = *method == Method::POST && path.rest.trim_end_matches('/') == "/files";
        let form = FormLook::knows(path.endpoint) && (path.endpoint != Endpoint::Files || upload);
        match path.endpoint.body_form() {
            _ if path.unknown => Treatment::Opaque,
            BodyForm::Json => Treatment::Json,
            BodyForm::JsonOrNothing | BodyForm::Any | BodyForm::Multipart if says_json(headers) => {
                Treatment::Json
            }
            _ if form => Treatment::Form,
            BodyForm::JsonOrNothing | BodyForm::Any | BodyForm::Multipart => Treatment::Opaque,
        }
    }
}

/// Whether the content type is JSON.
pub(crate) fn says_json(headers: &Fields) -> bool {
    let Some(value) = headers.text("content-type") else { return false };
    let essence = value.split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json")
        || essence.len() > 5
            && essence.as_bytes()[essence.len() - 5..].eq_ignore_ascii_case(b"+json")
}

/// Takes the body in `slot`; it stays there, perhaps half read, when it is refused.
pub(crate) async fn take(
    slot: &mut Option<Arriving>,
    headers: &Fields,
    treatment: Treatment,
    bounds: &Bounds,
    held: &Held,
) -> Result<Taken, Refused> {
    let mut hold = held.hold();
    let json = treatment == Treatment::Json;
    let Some(incoming) = slot.as_mut().filter(|body| !body.is_end_stream()) else {
        *slot = None;
        let form = (treatment == Treatment::Form).then(Bytes::new);
        let body = CallBody::Empty;
        return Ok(Taken { body, begun: None, hold, json, form, inflated: false });
    };
    let length = incoming.size_hint().exact();
    let whole_max = if json { bounds.body_max } else { bounds.upload_max };
    if let Some(length) = length.filter(|length| *length > whole_max) {
        return Err(too_large(length, whole_max, json));
    }
    let coding = Coding::of(headers)?;
    if json {
        let whole = hold_all(incoming, length, coding, bounds, &mut hold);
        let whole = within(bounds.body_time, whole).await.map_err(|_| slow(bounds.body_time))??;
        *slot = None;
        let inflated = coding == Coding::Gzip;
        let body = CallBody::Buffered(whole);
        return Ok(Taken { body, begun: None, hold, json, form: None, inflated });
    }
    // What is compressed cannot be looked into as it passes.
    let look = treatment == Treatment::Form && coding == Coding::Plain;
    let pieces = Box::pin(hold_or_begin(slot, length, look, bounds, &mut hold)).await?;
    let inflated = false;
    if slot.is_some() {
        let form = look.then(|| beginning(&pieces));
        let (body, begun) = (CallBody::Empty, Some(Begun { pieces, length }));
        return Ok(Taken { body, begun, hold, json, form, inflated });
    }
    let whole = joined(pieces);
    let form = look.then(|| whole.clone());
    Ok(Taken { body: CallBody::Buffered(whole), begun: None, hold, json, form, inflated })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Plain,
    Gzip,
}

impl Coding {
    fn of(headers: &Fields) -> Result<Coding, Refused> {
        let Some(value) = headers.get("content-encoding") else { return Ok(Coding::Plain) };
        match value {
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
    incoming: &mut Arriving,
    length: Option<u64>,
    coding: Coding,
    bounds: &Bounds,
    hold: &mut Hold,
) -> Result<Bytes, Refused> {
    if coding == Coding::Gzip {
        return Box::pin(gunzip::hold_all(incoming, bounds, hold)).await;
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

/// How much of a form that passes through is looked into, in bytes: fields are short, and those
/// behind a large file are not waited for.
const FORM_HEAD: u64 = 64 * 1024;

/// Holds a body that may be sent again, and of a larger one what was read until that was known;
/// with `look` at least its first bytes. It was held whole when nothing is left in the slot.
async fn hold_or_begin(
    slot: &mut Option<Arriving>,
    length: Option<u64>,
    look: bool,
    bounds: &Bounds,
    hold: &mut Hold,
) -> Result<Vec<Bytes>, Refused> {
    let mut pieces: Vec<Bytes> = Vec::new();
    let mut sum = 0_u64;
    let may_fit = length.is_none_or(|length| length <= bounds.replay_max);
    let head = if look { FORM_HEAD } else { 0 };
    let until = if may_fit { bounds.replay_max.saturating_add(1) } else { head };
    while sum < until
        && let Some(incoming) = slot.as_mut()
    {
        let Some(next) = piece(incoming, bounds.body_pause).await? else {
            *slot = None;
            break;
        };
        sum += next.len() as u64;
        hold.grow(next.len())?;
        pieces.push(next);
    }
    Ok(pieces)
}

/// A body that passes through, once nothing can refuse its call any more: what is left of a refused
/// body is read by [`drain`].
pub(crate) fn pass(slot: &mut Option<Arriving>, begun: Begun, bounds: &Bounds) -> CallBody {
    let Begun { pieces, length } = begun;
    let Some(incoming) = slot.take() else { return CallBody::Buffered(joined(pieces)) };
    let passing = Passing::new(pieces, incoming, bounds.upload_max, bounds.body_pause);
    CallBody::Streamed { body: passing.boxed_unsync(), length }
}

/// The first bytes, in one piece.
fn beginning(pieces: &[Bytes]) -> Bytes {
    let mut head = BytesMut::new();
    for piece in pieces {
        let room = usize::try_from(FORM_HEAD).unwrap_or(0).saturating_sub(head.len());
        head.extend_from_slice(&piece[..piece.len().min(room)]);
    }
    head.freeze()
}

fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.pop().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in pieces {
        whole.extend_from_slice(&piece);
    }
    whole.freeze()
}

/// The next piece of data; trailers are passed over.
async fn piece(incoming: &mut Arriving, pause: Duration) -> Result<Option<Bytes>, Refused> {
    loop {
        match within(pause, incoming.frame()).await {
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

/// Waits for what is usually there at once: a timer is set only for what is not there when the
/// connection has been looked at once more.
async fn within<F: Future>(time: Duration, work: F) -> Result<F::Output, Elapsed> {
    let mut work = pin!(work);
    let mut looked = false;
    let found = poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(found) => Poll::Ready(Some(found)),
        Poll::Pending if looked => Poll::Ready(None),
        Poll::Pending => {
            looked = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    });
    match found.await {
        Some(found) => Ok(found),
        None => Box::pin(timeout(time, work)).await,
    }
}

/// Reads on in a body that was refused, so that its sender gets to read the answer: many clients
/// look at it only after they have sent everything.
pub(crate) async fn drain(slot: Option<Arriving>, headers: &Fields, bounds: &Bounds) {
    let Some(mut incoming) = slot.filter(|body| !body.is_end_stream()) else { return };
    if headers.contains("expect") {
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
