//! From the end of a call to the HTTP answer: the one place that decides status, body and headers.
//!
//! | the call ended in | status and body | headers |
//! | --- | --- | --- |
//! | an answer | the provider's | the provider's, cleaned, and ours |
//! | the provider's refusal | the provider's, secrets masked | the same, kind, origin, scope, wait |
//! | the provider's page or bare text | its status, the error object in our words | the same |
//! | all our credentials refused | 502, in our words | ours: the caller's key is not at fault |
//! | any other failure | by kind, in our words | ours |
//! | a refusal of our own | by kind, in our words | ours |

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use mainstay::Fields;
use mainstay::call::{AnswerHead, ProviderAnswer, Refusal, Trace};
use mainstay_core::catalogue;
use mainstay_core::failure::{Failure, Kind, Origin, Scope};
use mainstay_core::time::Moment;

use crate::admission;
use crate::finished;
use crate::headers::{self, Made, Rewrite, provider_headers, value_of};
use crate::idempotency::Recorder;
use crate::ids;
use crate::refused::{Refused, grouped};
use crate::settings::{Auth, Expose, Settings};
use crate::ticket::Ticket;

mod body;
mod envelope;
mod mask;

use envelope::{envelope, refusal_body};

pub(crate) use body::{ReplyBody, Upstreamed};

/// The answer of a provider, on its way. Its headers are there when they are [`rewritten`] or written.
pub(crate) fn delivered(
    mut ticket: Box<Ticket>,
    received: Moment,
    head: AnswerHead,
    body: Upstreamed,
) -> Response<ReplyBody> {
    let AnswerHead { status, headers: theirs, length } = head;
    let now = ticket.worker().shared.engine.now();
    let trace = body.trace();
    let overhead = ticket.overhead(received, now, trace);
    let events = is_events(&theirs);
    let watch = if status.is_success() { ticket.watch(trace, events) } else { None };
    let expose = ticket.worker().shared.settings().expose;
    let made = stamps(&ticket, trace, overhead, expose);
    let mut response = Response::new(ReplyBody::streaming(body, length, status.as_u16()));
    response.body_mut().rewrite_later(Rewrite { theirs, expose, made, length });
    *response.status_mut() = status;
    if let Some(claim) = ticket.take_claim() {
        response = rewritten(response);
        let settings = ticket.worker().shared.settings();
        let recorder = Recorder::new(claim, status, response.headers(), &settings.idempotency);
        response.body_mut().record(recorder);
    }
    response.body_mut().watch(watch);
    response.body_mut().carry(ticket);
    response
}

/// The same answer, its headers as the caller gets them.
pub(crate) fn rewritten(mut response: Response<ReplyBody>) -> Response<ReplyBody> {
    if let Some(rewrite) = response.body_mut().take_rewrite() {
        rewrite.apply(response.headers_mut());
    }
    response
}

fn is_events(headers: &Fields) -> bool {
    headers.get("content-type").is_some_and(|kind| kind.starts_with(b"text/event-stream"))
}

/// A call without an answer.
pub(crate) fn failed(
    mut ticket: Box<Ticket>,
    received: Moment,
    refusal: Refusal,
) -> Response<ReplyBody> {
    let Refusal { failure, retry_after, message, provider_answer, trace, sent } = refusal;
    let now = ticket.worker().shared.engine.now();
    let overhead = ticket.overhead(received, now, &trace);
    let settings = ticket.worker().shared.settings.load_full();
    let note = finished::walked(&failure, message.as_deref(), retry_after, &sent, &settings);
    let mut headers = HeaderMap::with_capacity(24);
    let (mut kind, mut origin, mut scope) = (failure.kind, failure.origin, failure.scope);
    let not_his_fault = settings.auth != Auth::Pass && credentials_refused(failure.kind);
    let (status, body) = match provider_answer {
        Some(answer) if !not_his_fault && is_json(&answer.body) => {
            passed_on(answer, &settings, &mut headers)
        }
        Some(answer) if !not_his_fault => {
            // A page, a bare text or nothing: no program can read that, so it is told in our words.
            let message = unreadable(&answer, &failure, &trace);
            provider_headers(&answer.headers, settings.expose, &mut headers);
            headers.remove(header::CONTENT_ENCODING);
            headers.insert(header::CONTENT_TYPE, JSON);
            (answer.status, envelope(kind, settings.codes, None, &message))
        }
        Some(_) | None => {
            let message = if not_his_fault {
                (kind, origin, scope) = (Kind::BadGateway, Origin::Mainstay, Scope::Provider);
                Some(our_credential(&failure, &trace))
            } else {
                message
            };
            let message = message.unwrap_or_else(|| catalogue::entry(kind).cause.to_owned());
            let param = failure.provider.param.as_deref();
            headers.insert(header::CONTENT_TYPE, JSON);
            (status_of(kind), envelope(kind, settings.codes, param, &message))
        }
    };
    stamp(&mut headers, &ticket, &trace, overhead);
    explain(&mut headers, kind, origin, scope);
    // A queue that is full has sent nothing: there the caller's own retry does no harm.
    let again = failure.origin == Origin::Mainstay
        && failure.kind == Kind::Overloaded
        && trace.attempts == 0;
    wait(&mut headers, retry_after, again);
    // What would come out the same is not sent a second time; any other failure frees the key.
    if let Some(claim) = ticket.take_claim().filter(|_| comes_out_the_same(status)) {
        let mut recorder = Recorder::new(claim, status, &headers, &settings.idempotency);
        recorder.piece(&body);
        recorder.complete(ticket.worker().shared.wall.now());
    }
    ticket.failed(status.as_u16(), note, trace);
    finish(status, headers, body, ticket)
}

/// Whether the same request gets the same refusal again, whenever it is sent.
fn comes_out_the_same(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 404 | 413 | 415 | 422)
}

/// What a caller reads when the provider refused a credential of ours.
fn our_credential(failure: &Failure, trace: &Trace) -> String {
    format!(
        "The provider `{}` refused the gateway's own credential ({}), so no call can be made there. The key of this \
         request is not at fault; the operator has to renew `api_key` of that provider.",
        trace.provider.as_deref().unwrap_or("upstream"),
        failure.kind.name()
    )
}

/// What a caller reads when the provider's error was no JSON.
fn unreadable(answer: &ProviderAnswer, failure: &Failure, trace: &Trace) -> String {
    format!(
        "The provider `{}` answered {} with {} bytes that are no error object. {}",
        trace.provider.as_deref().unwrap_or("upstream"),
        answer.status.as_u16(),
        grouped(answer.body.len() as u64),
        catalogue::entry(failure.kind).cause
    )
}

/// Whether an SDK can read it.
fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

/// A refusal of our own, before anything was sent.
pub(crate) fn refused(mut ticket: Box<Ticket>, refused: &Refused) -> Response<ReplyBody> {
    // Nothing was carried out: the next one under the key is the first again.
    drop(ticket.take_claim());
    let settings = ticket.worker().shared.settings();
    let status = refused.status.unwrap_or_else(|| status_of(refused.kind));
    let body = refusal_body(refused, settings.codes);
    let mut headers = HeaderMap::with_capacity(16);
    headers.insert(header::CONTENT_TYPE, JSON);
    if let Some(methods) = refused.allow {
        headers.insert(header::ALLOW, HeaderValue::from_static(methods));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    let now = ticket.worker().shared.engine.now();
    let overhead = u64::try_from(now.since(ticket.arrived).as_micros()).unwrap_or(u64::MAX);
    ticket.overhead_us = overhead;
    let trace = Trace::default();
    stamp(&mut headers, &ticket, &trace, overhead);
    if let Some(over) = &refused.over {
        let mut made = Made::new();
        admission::show(&over.standing, &mut made);
        made.put_into(&mut headers);
        if let Some(named) = &over.named {
            headers.insert(headers::LIMIT, value_of(named));
        }
    }
    explain(&mut headers, refused.kind, refused.origin, refused.scope);
    wait(&mut headers, refused.retry_after, refused.again);
    let note = finished::refused(refused, &settings);
    drop(settings);
    ticket.failed(status.as_u16(), note, trace);
    finish(status, headers, body, ticket)
}

/// A short answer of our own that is no failure.
pub(crate) fn plain(
    mut ticket: Box<Ticket>,
    status: StatusCode,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response<ReplyBody> {
    headers.insert(headers::REQUEST_ID, ids::value(&ticket.id));
    let mut made = Made::new();
    admission::show(&ticket.standing(), &mut made);
    made.put_into(&mut headers);
    if let Some(names) = ticket.worker().shared.degraded.header() {
        headers.insert(headers::DEGRADED, names);
    }
    ticket.answered(status.as_u16(), Trace::default());
    finish(status, headers, body, ticket)
}

/// JSON's content type.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

fn finish(
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    ticket: Box<Ticket>,
) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::whole(body));
    response.body_mut().carry(ticket);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Whether the provider refused the credential itself. Then the gateway's own is meant.
fn credentials_refused(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::InvalidAuthentication
            | Kind::IncorrectApiKey
            | Kind::ExpiredApiKey
            | Kind::RevokedApiKey
            | Kind::NotOrganizationMember
            | Kind::IpNotAuthorized
    )
}

/// The status of our own answer for a failure of this kind.
fn status_of(kind: Kind) -> StatusCode {
    // Towards the caller a provider that did not answer in time is a gateway's timeout; 408 would say
    // that his own request was slow.
    let status = if kind == Kind::RequestTimeout { 504 } else { catalogue::entry(kind).status };
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn passed_on(
    answer: ProviderAnswer,
    settings: &Settings,
    headers: &mut HeaderMap,
) -> (StatusCode, Bytes) {
    provider_headers(&answer.headers, settings.expose, headers);
    let body = match settings.auth {
        Auth::Keys | Auth::Open => mask::masked(answer.body, &settings.secrets),
        Auth::Pass => answer.body, // The key and the organization it may name are the caller's own.
    };
    (answer.status, body)
}

/// Headers of every answer.
fn stamp(headers: &mut HeaderMap, ticket: &Ticket, trace: &Trace, overhead: u64) {
    let expose = ticket.worker().shared.settings().expose;
    stamps(ticket, trace, overhead, expose).put_into(headers);
}

fn stamps(ticket: &Ticket, trace: &Trace, overhead: u64, expose: Expose) -> Made {
    let mut made = Made::new();
    made.text(headers::REQUEST_ID, &ticket.id);
    made.number(headers::OVERHEAD, overhead);
    admission::show(&ticket.standing(), &mut made);
    if let Some(names) = ticket.worker().shared.degraded.header() {
        made.value(headers::DEGRADED, &names);
    }
    match expose {
        Expose::Minimal => {}
        Expose::All => {
            made.number(headers::ATTEMPTS, trace.attempts.into());
            if let Some(provider) = &trace.provider {
                made.text(headers::PROVIDER, provider);
            }
            if let Some(model) = &trace.model {
                made.text(headers::MODEL, model);
            }
        }
    }
    made
}

/// Headers of every failure.
fn explain(headers: &mut HeaderMap, kind: Kind, origin: Origin, scope: Scope) {
    headers.insert(headers::KIND, HeaderValue::from_static(kind.name()));
    headers.insert(headers::ORIGIN, HeaderValue::from_static(origin.name()));
    headers.insert(headers::SCOPE, HeaderValue::from_static(scope.name()));
}

/// When to come back, and whether the caller's SDK should do so by itself. A wait above 60 s is told
/// but not left to SDKs: some sleep it out, others ignore it and come at once.
fn wait(headers: &mut HeaderMap, retry_after: Option<Duration>, again: bool) {
    const SDK_WAIT_MAX: Duration = Duration::from_secs(60);
    let again = again && retry_after.is_none_or(|wait| wait <= SDK_WAIT_MAX);
    let text = if again { "true" } else { "false" };
    headers.insert(headers::SHOULD_RETRY, HeaderValue::from_static(text));
    if let Some(wait) = retry_after {
        let millis = u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX).max(1);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(millis.div_ceil(1000)));
        headers.insert(headers::RETRY_AFTER_MS, HeaderValue::from(millis));
    }
}

#[cfg(test)]
mod tests;
