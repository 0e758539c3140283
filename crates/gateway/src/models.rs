//! `GET /v1/models` and `GET /v1/models/{id}` with more than one provider, or with routes and lists:
//! the union of what the configuration names and what providers tell, each under the name by which
//! a caller reaches it.
//!
//! One provider that answers for everything under its own names is asked and passed on untouched,
//! and so is the first one where callers bring their own credential: it goes to nobody else.
//!
//! A provider that does not answer is left out and named: in `x-mainstay-models-missing`, and with
//! the kind of its failure in the list's `mainstay_missing`. Only when nobody answers and nothing is
//! known does the call fail. Bounds: [`PROVIDERS_MAX`] providers asked, all at once, [`PATIENCE`],
//! [`BYTES_MAX`] each, [`MODELS_MAX`] names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::BodyExt;
use mainstay::call::{Call, CallBody, Refusal};
use mainstay_core::failure::Kind;
use mainstay_core::wire::endpoint::Endpoint;
use serde_json::{Map, Value, json};

use crate::answer::{self, JSON, ReplyBody};
use crate::auth::Caller;
use crate::refused::Refused;
use crate::shared::Worker;
use crate::ticket::Ticket;

/// Most providers asked for one list.
const PROVIDERS_MAX: usize = 32;
/// Longest time that a list waits for its providers.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest list of one provider.
const BYTES_MAX: usize = 8 << 20;
/// Most names in a list.
const MODELS_MAX: usize = 20_000;

/// Providers that were asked in vain.
const MISSING: HeaderName = HeaderName::from_static("x-mainstay-models-missing");

/// A request for models that is answered here.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What is sent to each provider.
    call: Call,
    /// The one model asked for; `None`: all.
    id: Option<String>,
    /// Models the key may use; empty: all.
    allowed: Box<[Box<str>]>,
}

/// Whether a call asks for models that one provider alone cannot tell: it comes back as what is to
/// be answered here, else as it was.
pub(crate) fn asked(
    call: Box<Call>,
    caller: &Caller,
    engine: &mainstay::Engine,
) -> Result<Asked, Box<Call>> {
    let path = call.path.split('?').next().unwrap_or_default();
    let id = match path.strip_prefix("/models") {
        Some("" | "/") => None,
        Some(rest) => Some(rest.trim_start_matches('/').replace("%2F", "/").replace("%2f", "/")),
        None => return Err(call),
    };
    let ours = call.method == Method::GET && call.endpoint == Endpoint::Models;
    if !ours || call.credential.is_some() || engine.has_one_open_provider() {
        return Err(call);
    }
    let allowed = caller.key.as_ref().map_or_else(Box::default, |key| key.record.models.clone());
    Ok(Asked { call: *call, id, allowed })
}

/// Answers it.
pub(crate) async fn answer(
    worker: &Arc<Worker>,
    asked: Asked,
    ticket: Box<Ticket>,
) -> Response<ReplyBody> {
    let received = worker.shared.engine.now();
    let known = worker.shared.engine.known_models();
    let mut tasks = tokio::task::JoinSet::new();
    for provider in known.ask.into_iter().take(PROVIDERS_MAX) {
        let (worker, call) = (Arc::clone(worker), one_call(&asked.call));
        tasks.spawn(async move {
            let list = ask(&worker, &provider, call).await;
            (provider, list)
        });
    }
    let mut union = Union::default();
    known.named.into_iter().for_each(|name| union.named(name));
    while let Some(done) = tasks.join_next().await {
        let Ok((provider, list)) = done else { continue };
        match list {
            Ok(list) => union.told(&worker.shared.engine, &provider, list),
            Err(refusal) => union.missing.push((provider, refusal)),
        }
    }
    union.keep_allowed(&asked.allowed);
    if union.models.is_empty()
        && let Some((_, refusal)) = union.missing.pop()
    {
        return answer::failed(ticket, received, *refusal);
    }
    match union.body(asked.id.as_deref()) {
        Ok((headers, body)) => answer::plain(ticket, StatusCode::OK, headers, body),
        Err(refused) => answer::refused(ticket, &refused),
    }
}

/// The same request once more, for one provider.
fn one_call(call: &Call) -> Call {
    let timeout = call.timeout.map_or(PATIENCE, |timeout| timeout.min(PATIENCE));
    Call {
        id: call.id.clone(),
        method: Method::GET,
        path: "/models".to_owned(),
        endpoint: Endpoint::Models,
        headers: call.headers.clone(),
        credential: None,
        body: CallBody::Empty,
        body_gone: false,
        traced: None,
        model: None,
        model_span: None,
        usage_ask: None,
        stream: false,
        tokens: 0,
        arrived: call.arrived,
        timeout: Some(timeout),
        read_timeout: call.read_timeout,
        answer_within: call.answer_within,
        sdk_retry: call.sdk_retry,
        add_usage: false,
        pin: None,
        account: None,
    }
}

/// One provider's list; entries that are no models are left out.
async fn ask(
    worker: &Worker,
    provider: &str,
    call: Call,
) -> Result<Vec<Map<String, Value>>, Box<Refusal>> {
    let walk = worker.shared.engine.call_to(&worker.upstream, call, provider);
    let (_, mut answer) = walk.answer().await?;
    let mut whole = BytesMut::new();
    while let Some(Ok(frame)) = answer.frame().await {
        if let Ok(data) = frame.into_data() {
            whole.extend_from_slice(&data);
        }
        if whole.len() > BYTES_MAX {
            break;
        }
    }
    let list = serde_json::from_slice::<Value>(&whole).unwrap_or_default();
    // Some servers send the bare array.
    let entries = match list {
        Value::Object(mut list) => list.remove("data").unwrap_or_default(),
        bare @ (Value::Array(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)) => bare,
    };
    let Value::Array(entries) = entries else { return Ok(Vec::new()) };
    let model = |entry| if let Value::Object(entry) = entry { Some(entry) } else { None };
    Ok(entries.into_iter().filter_map(model).collect())
}

/// What is known, by name.
#[derive(Default)]
struct Union {
    models: BTreeMap<String, Map<String, Value>>,
    missing: Vec<(String, Box<Refusal>)>,
}

impl Union {
    /// A name that the configuration gives.
    fn named(&mut self, name: String) {
        let entry = json!({"id": name, "object": "model", "created": 0, "owned_by": "mainstay"});
        if let (Value::Object(entry), true) = (entry, self.models.len() < MODELS_MAX) {
            self.models.insert(name, entry);
        }
    }

    /// What a provider told, under the names that lead to it.
    fn told(&mut self, engine: &mainstay::Engine, provider: &str, list: Vec<Map<String, Value>>) {
        for mut entry in list {
            let id = entry.get("id").and_then(Value::as_str).unwrap_or_default();
            let Some(name) = engine.name_of(provider, id).filter(|_| !id.is_empty()) else {
                continue;
            };
            entry.insert("id".to_owned(), Value::String(name.clone()));
            if self.models.len() < MODELS_MAX || self.models.contains_key(&name) {
                self.models.insert(name, entry);
            }
        }
    }

    fn keep_allowed(&mut self, allowed: &[Box<str>]) {
        let fits = |name: &str| {
            allowed.iter().any(|pattern| mainstay_core::store::model_fits(pattern, name))
        };
        self.models.retain(|name, _| allowed.is_empty() || fits(name));
    }

    /// The list, or one of its entries.
    fn body(mut self, id: Option<&str>) -> Result<(HeaderMap, Bytes), Refused> {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(header::CONTENT_TYPE, JSON);
        let missing: Vec<&str> = self.missing.iter().map(|(name, _)| name.as_str()).collect();
        if let (Ok(value), false) = (HeaderValue::from_str(&missing.join(", ")), missing.is_empty())
        {
            headers.insert(MISSING, value);
        }
        let body = if let Some(id) = id {
            Value::Object(self.models.remove(id).ok_or_else(|| unknown(id))?)
        } else {
            let data: Vec<Value> =
                std::mem::take(&mut self.models).into_values().map(Value::Object).collect();
            let mut list = json!({"object": "list", "data": data});
            let why = |(name, refusal): &(String, Box<Refusal>)| json!({"provider": name, "kind": refusal.failure.kind.name()});
            if !self.missing.is_empty() {
                list["mainstay_missing"] = self.missing.iter().map(why).collect();
            }
            list
        };
        Ok((headers, Bytes::from(body.to_string())))
    }
}

fn unknown(id: &str) -> Refused {
    let message = format!(
        "The model `{id}` is not among those that can be called here. Ask `GET /v1/models` for their names."
    );
    Refused { param: Some("model".to_owned()), ..Refused::caller(Kind::ModelNotFound, message) }
}
