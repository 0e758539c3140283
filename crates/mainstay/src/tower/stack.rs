//! A service with rules around it: requests in, the walk's answers out.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::header::{TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{Extensions, Request, Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use mainstay_core::dice::Dice;
use mainstay_core::failure::{Kind, Origin};
use mainstay_core::validate::{Level, validate};
use mainstay_core::wire::endpoint::BodyForm;
use tower_service::Service;

use super::body::StackBody;
use super::over::{Asked, OverService};
use super::{BoxError, StackLayer};
use crate::call::{Call, CallBody, Refusal, Trace};
use crate::compose::{call_id, fresh_dice};
use crate::error::Error;
use crate::spec::{EngineSpec, ProviderSpec};
use crate::{Engine, TargetSnapshot};

/// Places that a stack without providers keeps apart, at most. Beyond it, those without a call under
/// way are forgotten: what they had learnt is learnt again.
const PLACES_MAX: usize = 64;

/// A service with rules around it. See [the module](super).
pub struct Stack<S> {
    service: S,
    shared: Arc<Shared>,
}

struct Shared {
    layer: StackLayer,
    /// The engine of the providers, where there are any.
    named: Option<Arc<Engine>>,
    /// One engine for each scheme and authority, where requests name their place.
    places: Mutex<HashMap<String, Arc<Engine>>>,
    dice: Mutex<Dice>,
}

impl<S> Stack<S> {
    pub(super) fn new(layer: StackLayer, service: S) -> Stack<S> {
        let spec = EngineSpec {
            providers: layer.providers.clone(),
            routes: layer.routes.clone(),
            policy: layer.policy.clone(),
        };
        let named = if spec.providers.is_empty() { None } else { Some(Engine::new(spec)) };
        let (places, dice) = (Mutex::default(), Mutex::new(fresh_dice()));
        Stack { service, shared: Arc::new(Shared { layer, named, places, dice }) }
    }

    /// The state of every target that was used.
    pub fn snapshot(&self) -> Vec<TargetSnapshot> {
        let places = lock(&self.shared.places);
        let engines = self.shared.named.iter().chain(places.values());
        engines.flat_map(|engine| engine.snapshot()).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn engine(&self, uri: &Uri) -> Arc<Engine> {
        if let Some(engine) = &self.named {
            return Arc::clone(engine);
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let place = format!("{}://{authority}", uri.scheme_str().unwrap_or("http"));
        let mut places = lock(&self.places);
        if let Some(engine) = places.get(&place) {
            return Arc::clone(engine);
        }
        if places.len() >= PLACES_MAX {
            places.retain(|_, engine| Arc::strong_count(engine) > 1);
        }
        let engine = Engine::new(self.spec(&place));
        places.insert(place, Arc::clone(&engine));
        engine
    }

    /// One provider, named after its place. Its address is not used: requests have their own.
    fn spec(&self, place: &str) -> EngineSpec {
        let url = place.parse().ok().or_else(|| "http://service".parse().ok());
        let url = url.expect("a constant that is a URL");
        let name = place.split_once("://").map(|(_, host)| host).filter(|host| !host.is_empty());
        let mut provider = ProviderSpec::at(name.unwrap_or("service"), &url, "", None);
        provider.limits = self.layer.limits;
        let (routes, policy) = (self.layer.routes.clone(), self.layer.policy.clone());
        EngineSpec { providers: vec![provider], routes, policy }
    }

    /// The call that a request is.
    fn call(
        &self,
        engine: &Engine,
        request: &Asked,
        head: Head,
        body: Bytes,
    ) -> Result<Call, Error> {
        let id = call_id(&mut lock(&self.dice));
        let path = path_of(&request.uri);
        let Head { method, arrived } = head;
        let mut call = Call::bare(id.clone(), method.clone(), path.clone(), arrived);
        let json = is_json(&request.headers) && !body.is_empty();
        if json || call.endpoint.body_form() == BodyForm::Json {
            let level = match mainstay_core::wire::request::peek(&body, call.endpoint) {
                Ok(look) => engine.validation(look.model.as_deref()),
                Err(_) => self.layer.policy.validate.level,
            };
            let report = validate(call.endpoint, level, &body);
            if let Some(fault) = report.faults.into_iter().next() {
                return Err(fault.into());
            }
            match Call::json(id, method, path, body.clone(), arrived) {
                Ok(read) => call = read,
                // Whoever wants nothing checked gets the provider's own opinion.
                Err(_) if level == Level::Off => call.body = CallBody::Buffered(body),
                Err(fault) => return Err(fault.into()),
            }
        } else if !body.is_empty() {
            call.body = CallBody::Buffered(body);
        }
        call.headers.insert_all(&request.headers);
        Ok(call)
    }
}

/// What of a request's head a call needs beside its place and headers.
struct Head {
    method: http::Method,
    arrived: mainstay_core::time::Moment,
}

/// What follows `/v1`, or Azure's deployment, with the query; else all of it.
fn path_of(uri: &Uri) -> String {
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    if let Some((_, rest)) = path.split_once("/v1/") {
        return format!("/{rest}");
    }
    let deployment = path.split_once("/deployments/").and_then(|(_, rest)| rest.split_once('/'));
    deployment.map_or_else(|| path.to_owned(), |(_, rest)| format!("/{rest}"))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.get(..16).is_some_and(|start| start.eq_ignore_ascii_case(b"application/json"))
}

impl<S, B, R> Service<Request<B>> for Stack<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + From<Bytes> + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
    R: Body + Send + 'static,
    R::Data: Buf,
{
    type Response = Response<StackBody<OverService<S, B>>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    /// Always: what must wait, waits in the stack's queue, and each attempt asks the service.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (service, shared) = (self.service.clone(), Arc::clone(&self.shared));
        Box::pin(answer(service, shared, request))
    }
}

async fn answer<S, B, R>(
    service: S,
    shared: Arc<Shared>,
    request: Request<B>,
) -> Result<Response<StackBody<OverService<S, B>>>, Error>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + From<Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: Body + Send + 'static,
    R::Data: Buf,
{
    let (head, body) = request.into_parts();
    let engine = shared.engine(&head.uri);
    let arrived = engine.now();
    let body = whole(body, shared.layer.body_max).await?;
    let asked = Asked {
        uri: head.uri,
        version: head.version,
        headers: head.headers,
        extensions: head.extensions,
    };
    let call = shared.call(&engine, &asked, Head { method: head.method, arrived }, body)?;
    let upstream = if shared.named.is_some() {
        OverService::new(service)
    } else {
        OverService::as_asked(service, asked)
    };
    match engine.call(&Arc::new(upstream), call).answer().await {
        Ok((head, body)) => {
            let trace = body.trace().clone();
            let mut response = Response::new(StackBody::walked(body));
            *response.status_mut() = head.status;
            *response.headers_mut() = passed_on(head.headers.to_map(), head.length);
            response.extensions_mut().insert(trace);
            Ok(response)
        }
        Err(refusal) => refused(*refusal),
    }
}

/// The provider's own error answer, with what it means beside it; else the typed error.
fn refused<U: crate::upstream::Upstream>(
    mut refusal: Refusal,
) -> Result<Response<StackBody<U>>, Error> {
    let Some(theirs) = refusal.provider_answer.take() else { return Err(refusal.into()) };
    let trace: Trace = refusal.trace.clone();
    let length = theirs.body.len() as u64;
    let mut response = Response::new(StackBody::in_hand(theirs.body));
    *response.status_mut() = theirs.status;
    *response.headers_mut() = passed_on(theirs.headers.to_map(), Some(length));
    let extensions: &mut Extensions = response.extensions_mut();
    extensions.insert(trace);
    extensions.insert(Arc::new(Error::from(refusal)));
    Ok(response)
}

/// The provider's headers without those of one connection.
fn passed_on(mut headers: HeaderMap, length: Option<u64>) -> HeaderMap {
    for name in [CONNECTION, TRANSFER_ENCODING, TRAILER, UPGRADE, CONTENT_LENGTH] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    headers
}

/// A request's body, so that it can be sent again.
async fn whole<B: Body>(body: B, max: usize) -> Result<Bytes, Error>
where
    B::Error: Into<BoxError>,
{
    let read = Box::pin(Limited::new(body, max)).collect().await;
    read.map(http_body_util::Collected::to_bytes).map_err(|error| {
        let (kind, what) = if error.is::<LengthLimitError>() {
            let what =
                format!("its body is longer than {max} bytes; send less, or raise `body_max`");
            (Kind::RequestTooLarge, what)
        } else {
            (Kind::InvalidRequest, "its body broke off while it was read".to_owned())
        };
        let message = format!("the request was not sent: {what}");
        Error::own(kind, Origin::Caller, message, Trace::default())
    })
}

impl<S: Clone> Clone for Stack<S> {
    fn clone(&self) -> Stack<S> {
        Stack { service: self.service.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<S> fmt::Debug for Stack<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack").field("layer", &self.shared.layer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_of_a_path_that_names_the_endpoint_is_found() {
        for (uri, wanted) in [
            ("https://api.openai.com/v1/chat/completions", "/chat/completions"),
            ("https://x.test/openai/v1/files/a?limit=2", "/files/a?limit=2"),
            (
                "https://a.test/openai/deployments/gpt/embeddings?api-version=1",
                "/embeddings?api-version=1",
            ),
            ("http://x.test/chat/completions", "/chat/completions"),
            ("/v1/models", "/models"),
        ] {
            assert_eq!(path_of(&uri.parse().unwrap()), wanted, "{uri}");
        }
    }
}
