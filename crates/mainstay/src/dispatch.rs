//! One attempt's request: the caller's, with the target's address, credential and model.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, AUTHORIZATION};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};
use mainstay_core::policy::ProviderKind;
use mainstay_core::wire;
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_tokens::models::Vocabulary;

use crate::call::{Call, CallBody};
use crate::fields::Fields;
use crate::spec::ProviderSpec;
use crate::targets::Target;
use crate::upstream::{AttemptRequest, RequestBody, RequestHeaders, Set, set};

mod spliced;

/// No coding.
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// What could not be sent, because it cannot be put into a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsendable {
    /// The path is not one that a request line can carry.
    Path,
    /// The body was passed through once already.
    BodyGone,
    /// The body is not one that a partial answer can be put into.
    NoPlace,
}

/// Builds the request of an attempt, and tells whether it asks for the tokens used on the caller's
/// behalf. `shared` are the call's headers. A streamed body is moved out of the call. `told` is a partial answer to be gone on with.
pub(crate) fn request(
    call: &mut Call,
    shared: &Arc<Fields>,
    target: &Target,
    connect_timeout: Duration,
    told: Option<&str>,
) -> Result<(AttemptRequest, bool), Unsendable> {
    let provider = &target.provider;
    let path = path(target, call).ok_or(Unsendable::Path)?;
    let headers = headers(call, shared, target);
    let is_form = shared.get("content-type").is_some_and(|value| {
        value.get(..10).is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/"))
    });
    let (body, adds_usage) = body(call, is_form, target, told)?;
    let request = AttemptRequest {
        destination: provider.destination.clone(),
        method: call.method.clone(),
        path,
        headers,
        body,
        connect_timeout,
    };
    Ok((request, adds_usage))
}

/// The path of a call at its target. Nearly all calls of a target have one: it is made once.
fn path(target: &Target, call: &Call) -> Option<PathAndQuery> {
    let wanted = call.path.as_str();
    if let Some((_, path)) = target.path.get().filter(|(known, _)| **known == *wanted) {
        return Some(path.clone());
    }
    let path = new_path(&target.provider, wanted, target.model.as_deref())?;
    // What is in a query or in a long path is seldom there again.
    if wanted.len() <= PATH_KEPT && !wanted.contains('?') {
        let _first_stays = target.path.set((wanted.into(), path.clone()));
    }
    Some(path)
}

/// Longest path of a call that is kept with its target, in bytes.
const PATH_KEPT: usize = 64;

fn new_path(provider: &ProviderSpec, wanted: &str, model: Option<&str>) -> Option<PathAndQuery> {
    let prefix = provider.path_prefix.as_str();
    let mut path = String::with_capacity(prefix.len() + wanted.len() + 32);
    path.push_str(prefix);
    // Azure names the deployment in the path, except on its newer surface that ends in `/v1`.
    // Source: vendor's SDK, `lib/azure.py`, read 2026-11.
    let deployments = provider.kind == ProviderKind::Azure && !prefix.ends_with("/v1");
    if let (true, Some(model)) = (deployments, model) {
        path.push_str("/deployments/");
        path.push_str(model);
    }
    path.push_str(wanted);
    if let Some(version) = &provider.api_version {
        path.push(if wanted.contains('?') { '&' } else { '?' });
        path.push_str("api-version=");
        path.push_str(version);
    }
    PathAndQuery::try_from(path).ok()
}

/// Whether a header goes on: neither what belongs to one connection nor what is between the caller
/// and us. The first letter tells most of them.
pub(crate) fn is_forwarded(name: &[u8], value: &[u8]) -> bool {
    match name.first() {
        Some(b'a') => !matches!(name, b"authorization" | b"api-key"),
        Some(b'c') => !matches!(name, b"connection" | b"content-length" | b"cookie"),
        Some(b'e') => name != b"expect",
        Some(b'f') => name != b"forwarded",
        Some(b'h') => name != b"host",
        Some(b'k') => name != b"keep-alive",
        Some(b'p') => !matches!(name, b"proxy-authorization" | b"proxy-connection"),
        Some(b't') => match name {
            b"te" => value == b"trailers",
            name => !matches!(name, b"trailer" | b"transfer-encoding"),
        },
        Some(b'u') => name != b"upgrade",
        Some(b'x') => {
            !(name.starts_with(b"x-mainstay-")
                || name.starts_with(b"x-sim-")
                || matches!(name, b"x-api-key" | b"x-forwarded-for"))
        }
        Some(_) | None => true,
    }
}

fn headers(call: &Call, shared: &Arc<Fields>, target: &Target) -> RequestHeaders {
    let headers = RequestHeaders::of_call(shared, shared.named_by_connection());
    let posts = call.method == Method::POST;
    let Some(callers) = &call.credential else {
        return headers.at(if posts { &target.headers.posts } else { &target.headers.others });
    };
    // His credential goes in place of ours.
    let mut all = headers_at(&target.provider, posts);
    set(&mut all, AUTHORIZATION, callers.clone());
    headers.at(&all.into())
}

/// Headers that calls get at a target, our credential among them.
pub(crate) struct TargetHeaders {
    /// Calls by `POST`.
    posts: Arc<[Set]>,
    others: Arc<[Set]>,
}

impl TargetHeaders {
    /// Those of a target of this provider, with this one of its credentials.
    pub(crate) fn of(provider: &ProviderSpec, credential: usize) -> TargetHeaders {
        let all = |posts| {
            let mut all = headers_at(provider, posts);
            if let Some((name, ours)) = pass(provider, credential) {
                set(&mut all, name, ours);
            }
            all.into()
        };
        TargetHeaders { posts: all(true), others: all(false) }
    }
}

/// Headers that calls get at a provider, without a credential.
fn headers_at(provider: &ProviderSpec, posts: bool) -> Vec<Set> {
    let mut all = Vec::new();
    if posts {
        // Usage, errors and events must be readable.
        set(&mut all, ACCEPT_ENCODING, IDENTITY);
    }
    for (name, value) in &provider.headers {
        set(&mut all, name.clone(), value.clone());
    }
    all
}

/// The header that carries one of a provider's credentials; `None` without one.
fn pass(provider: &ProviderSpec, credential: usize) -> Option<(HeaderName, HeaderValue)> {
    let key = provider.credentials.get(credential)?.reveal();
    if key.is_empty() {
        return None;
    }
    let (name, text) = match provider.kind {
        ProviderKind::Azure => (HeaderName::from_static("api-key"), key.to_owned()),
        ProviderKind::OpenAi | ProviderKind::Compatible => (AUTHORIZATION, format!("Bearer {key}")),
    };
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

/// The body to send, and whether the tokens used are asked for in it on the caller's behalf.
fn body(
    call: &mut Call,
    is_form: bool,
    target: &Target,
    told: Option<&str>,
) -> Result<(RequestBody, bool), Unsendable> {
    let body = match &call.body {
        CallBody::Empty if call.body_gone => Err(Unsendable::BodyGone),
        CallBody::Empty => Ok(RequestBody::Empty),
        CallBody::Buffered(bytes) => {
            let renamed = continued(target, renamed(call, is_form, target, bytes), told)?;
            // A provider that does not know the option tells the tokens without being asked, or never.
            let asks = target.tells_usage() && target.provider.takes("stream_options");
            let asking = if asks { with_usage(call, &renamed) } else { None };
            let adds_usage = asking.is_some();
            let body = fitted(&target.provider, asking.unwrap_or(renamed));
            return Ok((RequestBody::Full(body), adds_usage));
        }
        CallBody::Streamed { .. } => match std::mem::replace(&mut call.body, CallBody::Empty) {
            CallBody::Streamed { body, length } => {
                call.body_gone = true;
                Ok(match new_model(call, is_form, target) {
                    Some((span, model)) => spliced::stream(body, length, span, model),
                    None => RequestBody::Stream { body, length },
                })
            }
            CallBody::Empty | CallBody::Buffered(_) => Err(Unsendable::BodyGone),
        },
    };
    body.map(|body| (body, false))
}

/// The body with the target's model in place of the caller's, every other byte as it was.
fn renamed(call: &Call, is_form: bool, target: &Target, body: &Bytes) -> Bytes {
    let new = new_model(call, is_form, target).filter(|(span, _)| span.end <= body.len());
    let Some((span, model)) = new else {
        return body.clone();
    };
    let mut edited = BytesMut::with_capacity(body.len() + model.len());
    edited.put_slice(&body[..span.start]);
    edited.put_slice(&model);
    edited.put_slice(&body[span.end..]);
    edited.freeze()
}

/// The body without what the provider refuses, and with what it names otherwise.
fn fitted(provider: &ProviderSpec, body: Bytes) -> Bytes {
    if provider.omit.is_empty() && provider.rename.is_empty() {
        return body;
    }
    let edited = wire::request::edit::fit(&body, &provider.omit, &provider.rename);
    edited.map_or(body, Bytes::from)
}

/// The body with a partial answer at its end, and so much less to answer.
fn continued(target: &Target, body: Bytes, told: Option<&str>) -> Result<Bytes, Unsendable> {
    let Some(told) = told else { return Ok(body) };
    let vocabulary = target.model.as_deref().and_then(Vocabulary::of);
    let spent = mainstay_tokens::estimate::tokens(vocabulary, told.as_bytes());
    let edited = wire::request::edit::continue_from(&body, told, spent);
    edited.map(Bytes::from).ok_or(Unsendable::NoPlace)
}

/// The target's model as it is written in the body, and the place it takes, when it is another one
/// than the caller's.
fn new_model(call: &Call, is_form: bool, target: &Target) -> Option<(Range<usize>, Bytes)> {
    let (span, model) = (call.model_span.clone()?, target.model.as_deref()?);
    if call.model.as_deref() == Some(model) || span.start > span.end {
        return None;
    }
    let written =
        if is_form { model.to_owned() } else { serde_json::Value::from(model).to_string() };
    Some((span, Bytes::from(written)))
}

/// The body with the tokens used asked for on behalf of a caller who did not ask himself, every
/// other byte as it was; `None` when that is not wanted or not needed.
fn with_usage(call: &Call, body: &Bytes) -> Option<Bytes> {
    let completions = matches!(call.endpoint, Endpoint::Chat | Endpoint::Completions);
    if !(call.add_usage && call.stream && completions) {
        return None;
    }
    if let (CallBody::Buffered(own), Some((span, new))) = (&call.body, &call.usage_ask)
        && own.as_ptr() == body.as_ptr()
        && own.len() == body.len()
    {
        // As it was looked into when it came.
        return Some(wire::request::edit::splice(body, span.clone(), new.as_bytes()).into());
    }
    let peek = wire::request::peek(body, call.endpoint).ok()?;
    wire::request::edit::add_include_usage(body, &peek).map(Bytes::from)
}

/// How many choices a streamed completion is asked for (`n`).
pub(crate) fn choices(call: &Call) -> u64 {
    let CallBody::Buffered(body) = &call.body else { return 1 };
    let completions = matches!(call.endpoint, Endpoint::Chat | Endpoint::Completions);
    // Few bodies have the word; the others need no reading.
    if !(call.stream && completions) || memchr::memmem::find(body, b"\"n\"").is_none() {
        return 1;
    }
    wire::request::peek(body, call.endpoint).ok().and_then(|peek| peek.n).unwrap_or(1)
}
