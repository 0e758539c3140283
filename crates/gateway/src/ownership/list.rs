//! Lists of which each project sees its own part: the provider's pages are read until enough of the
//! project's objects are found, so that paging goes on where it should.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use mainstay::call::{Call, CallBody, Pin};
use mainstay_core::failure::Kind;
use serde_json::{Value, json};

use crate::answer::{self, JSON, ReplyBody};
use crate::refused::Refused;
use crate::shared::Worker;
use crate::ticket::Ticket;

/// Pages read of a provider for one list.
const PAGES_MAX: usize = 50;
/// Largest page, bytes.
const PAGE_BYTES: usize = 16 << 20;
/// Most objects of one family that a project can list.
const OWN_MAX: usize = 100_000;

/// A list that is asked for.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(super) family: &'static str,
    pub(super) project: Box<str>,
}

/// How the list goes on.
enum Ended {
    /// With an answer.
    List(Value),
    /// The provider refused.
    Failed(Box<mainstay::call::Refusal>),
    /// We refuse.
    Refused(Refused),
}

/// Answers a request for a list.
pub(crate) async fn serve(
    worker: &Arc<Worker>,
    listing: Listing,
    call: Call,
    ticket: Box<Ticket>,
) -> Response<ReplyBody> {
    let received = worker.shared.engine.now();
    match gather(worker, &listing, call).await {
        Ended::List(list) => {
            let mut headers = HeaderMap::with_capacity(4);
            headers.insert(CONTENT_TYPE, JSON);
            answer::plain(ticket, StatusCode::OK, headers, Bytes::from(list.to_string()))
        }
        Ended::Failed(refusal) => answer::failed(ticket, received, *refusal),
        Ended::Refused(refused) => answer::refused(ticket, &refused),
    }
}

async fn gather(worker: &Arc<Worker>, listing: &Listing, mut call: Call) -> Ended {
    let objects = &worker.shared.objects;
    let own = match objects.of_project(&listing.project, listing.family, OWN_MAX + 1).await {
        Ok(own) => own,
        Err(refused) => return Ended::Refused(refused),
    };
    if own.len() > OWN_MAX {
        return Ended::Refused(too_many(listing.family));
    }
    let ids: HashSet<&str> = own.iter().map(|one| &*one.id).collect();
    let wanted = number(&call.path, "limit").unwrap_or(20).clamp(1, 10_000);
    let after = parameter(&call.path, "after").map(str::to_owned);
    let backwards = parameter(&call.path, "before").is_some();
    if backwards {
        return Ended::Refused(no_before());
    }
    // The cursor says at which provider the page before ended.
    let places: BTreeSet<(&str, u32)> =
        own.iter().map(|one| (&*one.provider, one.credential)).collect();
    let cursor = own.iter().find(|one| Some(&*one.id) == after.as_deref());
    if after.is_some() && cursor.is_none() {
        return Ended::Refused(no_such_cursor());
    }
    let from = cursor.map(|one| (&*one.provider, one.credential));
    let mut found: Vec<Value> = Vec::new();
    for place in places.into_iter().filter(|place| from.is_none_or(|from| *place >= from)) {
        let start = after.as_deref().filter(|_| from == Some(place));
        match of_place(worker, &mut call, place, start, &ids, wanted + 1, &mut found).await {
            Ok(()) => {}
            Err(ended) => return ended,
        }
        if found.len() > wanted {
            break;
        }
    }
    let has_more = found.len() > wanted;
    found.truncate(wanted);
    let id =
        |item: Option<&Value>| item.and_then(|item| item.get("id")).cloned().unwrap_or_default();
    let (first_id, last_id) = (id(found.first()), id(found.last()));
    Ended::List(json!({
        "object": "list", "data": found, "first_id": first_id, "last_id": last_id, "has_more": has_more,
    }))
}

/// Reads the pages of one provider until `wanted` items are found.
async fn of_place(
    worker: &Arc<Worker>,
    call: &mut Call,
    (provider, credential): (&str, u32),
    start: Option<&str>,
    own: &HashSet<&str>,
    wanted: usize,
    found: &mut Vec<Value>,
) -> Result<(), Ended> {
    let mut after = start.map(str::to_owned);
    for _ in 0..PAGES_MAX {
        let pin = Pin {
            provider: provider.to_owned(),
            credential: usize::try_from(credential).unwrap_or(0),
        };
        let page = page(worker, call, pin, after.as_deref()).await?;
        let items = page.get("data").and_then(Value::as_array);
        let items = items.ok_or_else(|| Ended::Refused(unreadable()))?;
        let id = |item: &Value| item.get("id").and_then(Value::as_str).map(str::to_owned);
        for item in items {
            if id(item).is_some_and(|id| own.contains(&*id)) {
                found.push(item.clone());
            }
        }
        let next = items.last().and_then(id);
        let more = page.get("has_more").and_then(Value::as_bool).unwrap_or(false);
        if !more || next.is_none() || next == after || found.len() >= wanted {
            return Ok(());
        }
        after = next;
    }
    Err(Ended::Refused(too_deep()))
}

/// One page of the provider.
async fn page(
    worker: &Arc<Worker>,
    call: &mut Call,
    pin: Pin,
    after: Option<&str>,
) -> Result<Value, Ended> {
    let mut next = copy(call);
    next.pin = Some(pin);
    next.path = with_page(&call.path, after);
    let answered = worker.shared.engine.call(&worker.upstream, next).answer().await;
    let (_, body) = answered.map_err(Ended::Failed)?;
    let body = Limited::new(body, PAGE_BYTES).collect().await;
    let body = body.map_err(|_| Ended::Refused(unreadable()))?.to_bytes();
    serde_json::from_slice(&body).map_err(|_| Ended::Refused(unreadable()))
}

/// The same call once more. A list has no body.
fn copy(call: &Call) -> Call {
    Call {
        id: call.id.clone(),
        method: call.method.clone(),
        path: call.path.clone(),
        endpoint: call.endpoint,
        headers: call.headers.clone(),
        credential: call.credential.clone(),
        body: CallBody::Empty,
        body_gone: false,
        traced: None,
        model: None,
        model_span: None,
        usage_ask: None,
        stream: false,
        tokens: 0,
        arrived: call.arrived,
        timeout: call.timeout,
        read_timeout: call.read_timeout,
        answer_within: call.answer_within,
        sdk_retry: call.sdk_retry,
        add_usage: false,
        pin: None,
        account: None,
    }
}

/// The path with the largest page that every family takes, and where it begins.
fn with_page(path: &str, after: Option<&str>) -> String {
    let (bare, query) = path.split_once('?').unwrap_or((path, ""));
    let others = query.split('&').filter(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        !pair.is_empty() && name != "limit" && name != "after"
    });
    let mut pairs: Vec<String> = others.map(str::to_owned).collect();
    pairs.push("limit=100".to_owned());
    pairs.extend(after.map(|after| format!("after={}", escaped(after))));
    format!("{bare}?{}", pairs.join("&"))
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            safe.push(char::from(byte));
        } else {
            write!(safe, "%{byte:02X}").expect("a string takes every text");
        }
    }
    safe
}

fn parameter<'p>(path: &'p str, name: &str) -> Option<&'p str> {
    let (_, query) = path.split_once('?')?;
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(key, value)| (key == name && !value.is_empty()).then_some(value))
}

fn number(path: &str, name: &str) -> Option<usize> {
    parameter(path, name)?.parse().ok()
}

fn too_many(family: &str) -> Refused {
    Refused::caller(
        Kind::InvalidRequest,
        format!(
            "This project has more than {OWN_MAX} {family}, too many to list. Keep their ids yourself, or delete some."
        ),
    )
}

fn too_deep() -> Refused {
    Refused::caller(
        Kind::InvalidRequest,
        format!(
            "The provider's list goes on after {PAGES_MAX} pages of 100, most of it of other projects, so it is not \
             listed further. Use ids that you kept, or ask the operator for a key with the scope `passthrough`."
        ),
    )
}

fn no_before() -> Refused {
    let message =
        "Lists are read forward here: page with `after`, and `order=asc` for the oldest first.";
    Refused {
        param: Some("before".to_owned()),
        ..Refused::caller(Kind::UnsupportedParameter, message)
    }
}

fn no_such_cursor() -> Refused {
    let message =
        "`after` is the id of no object of this project; use `last_id` of the page before.";
    Refused { param: Some("after".to_owned()), ..Refused::caller(Kind::InvalidValue, message) }
}

fn unreadable() -> Refused {
    Refused {
        origin: mainstay_core::failure::Origin::Provider,
        ..Refused::caller(
            Kind::BadGateway,
            "The provider's list cannot be read, so it cannot be told which of it is this project's.",
        )
    }
}
