//! One exchange: from an HTTP request to a ruling, and from the ruling to an HTTP response.

use crate::fault::play::Course;
use crate::provider::answer::{HttpBody, Play, Step};
use crate::provider::conclude::conclude;
use crate::provider::desk::{Incoming, Ticket};
use crate::provider::form::{Form, Reader};
use crate::provider::look::look;
use crate::provider::refusal::Refusal;
use crate::serve::connection::{Raw, Takeover};
use crate::serve::paced_body::PacedBody;
use crate::serve::{World, control};
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use std::convert::Infallible;
use std::sync::Arc;

/// A call's place among the calls at once; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    world: Arc<World>,
    ticket: Ticket,
    /// The scenario it was taken in.
    round: u64,
    /// Set once the last byte was handed over; otherwise the client left.
    pub(crate) done: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        let (mut play, now) = self.world.lock();
        if play.round == self.round {
            play.desk.close(&self.ticket, self.done, now);
        }
    }
}

/// Answers one request.
pub(crate) async fn answer(
    request: Request<hyper::body::Incoming>,
    world: Arc<World>,
    takeover: Takeover,
) -> Result<Response<PacedBody>, Infallible> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let scenario = Arc::clone(world.lock().0.desk.scenario());
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let reader = kind.and_then(Reader::of);
    let limit = if reader.is_some() { scenario.upload_max } else { scenario.body_max };
    let (body, form) = match read_body(body, limit, reader).await {
        Ok(read) => read,
        Err(refusal) => return Ok(plain(&refusal)),
    };
    if !path.starts_with("/v1/") && path != "/v1" {
        return Ok(control::answer(&head.method, path, &body, &world));
    }
    let incoming = Incoming { form: form.as_ref(), ..incoming(&head, &body) };
    let asked = look(&incoming, &scenario);
    let verdict = {
        let (mut play, now) = world.lock();
        let round = play.round;
        if play.is_refusing(now) {
            None
        } else {
            let asked = play.desk.open(&incoming, asked, now);
            Some((play.desk.rule(&incoming, &asked, now), asked, round))
        }
    };
    // A kept connection outlives the listening socket, but no call gets through on it.
    let Some((mut verdict, asked, round)) = verdict else {
        return take_over(&takeover, vec![Step::Reset], None).await;
    };
    let take = |ticket| Place { world: Arc::clone(&world), ticket, round, done: false };
    let mut place = verdict.ticket.take().map(take);
    let Course { bill, delay, play } = conclude(&incoming, &scenario, asked, verdict);
    if let Some(place) = &mut place {
        place.ticket.bill = bill;
    }
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    match play {
        Play::Script(steps) => {
            world.lock().0.desk.stats.scripts += 1;
            take_over(&takeover, steps, place).await
        }
        Play::Http { status, content_type, headers, body, close } => {
            *world.lock().0.desk.stats.statuses.entry(status).or_default() += 1;
            let body = PacedBody::new(body, place, close.then_some(takeover));
            Ok(response(status, content_type, headers, body))
        }
    }
}

/// Hands the connection over and never answers: the connection drops this future.
async fn take_over(
    takeover: &Takeover,
    steps: Vec<Step>,
    guard: Option<Place>,
) -> Result<Response<PacedBody>, Infallible> {
    takeover.ask(Raw { steps, guard });
    std::future::pending().await
}

/// How much more than the limit is read and thrown away, so that the client can read the refusal.
const SURPLUS_MAX: u64 = 64 << 20;

/// Reads a body; a form is read as it comes, so that its files are not kept whole.
async fn read_body(
    mut body: hyper::body::Incoming,
    limit: u64,
    mut reader: Option<Reader>,
) -> Result<(Bytes, Option<Form>), Refusal> {
    let mut pieces: Vec<Bytes> = Vec::new();
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Refusal::new(400, "The request body could not be read."));
        };
        let Ok(bytes) = frame.into_data() else { continue };
        read += bytes.len() as u64;
        if read > limit.saturating_add(SURPLUS_MAX) {
            break;
        }
        if let Some(reader) = reader.as_mut().filter(|_| read <= limit) {
            reader.feed(&bytes);
        } else if read <= limit {
            pieces.push(bytes);
        } else {
            pieces.clear();
        }
    }
    if read > limit {
        return Err(Refusal::too_large(limit, read));
    }
    if let Some(reader) = reader {
        let form = reader.finish();
        let broken =
            || Refusal::new(400, "The form could not be read: it ends before its last boundary.");
        return Ok((Bytes::new(), Some(form.ok_or_else(broken)?)));
    }
    let body = match pieces.len() {
        1 => pieces.swap_remove(0),
        _ => pieces.concat().into(),
    };
    Ok((body, None))
}

fn incoming<'a>(head: &'a http::request::Parts, body: &'a Bytes) -> Incoming<'a> {
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key)
    });
    Incoming {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        range: text("range"),
        form: None,
        key: bearer.or_else(|| text("api-key")),
        error: text("x-sim-error"),
        fault: text("x-sim-fault"),
        status: text("x-sim-status"),
        retry_after: text("x-sim-retry-after"),
        request_id: text("x-client-request-id"),
        retry_count: text("x-stainless-retry-count"),
        body,
    }
}

/// A refusal before the desk was asked.
pub(crate) fn plain(refusal: &Refusal) -> Response<PacedBody> {
    let answer = refusal.answer();
    let crate::provider::answer::Content::Whole(bytes) = answer.content else {
        return response(
            answer.status,
            answer.content_type,
            answer.headers,
            PacedBody::new(HttpBody::Whole(Bytes::new()), None, None),
        );
    };
    let body = PacedBody::new(HttpBody::Whole(bytes), None, None);
    response(answer.status, answer.content_type, answer.headers, body)
}

/// Puts a response together. Header values that HTTP does not allow are left out.
pub(crate) fn response(
    status: u16,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: PacedBody,
) -> Response<PacedBody> {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let map = response.headers_mut();
    map.reserve(headers.len() + 1);
    map.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            map.append(HeaderName::from_static(name), value);
        }
    }
    response
}
