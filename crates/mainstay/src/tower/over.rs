//! A service as the walk's transport.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use bytes::{Buf, Bytes};
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::{Extensions, HeaderMap, Method, Request, Response, Uri, Version};
use http_body::Body;
use mainstay_core::classify::TransportFault;
use tower_service::Service;

use super::BoxError;
use super::attempt::ServiceAttempt;
use crate::upstream::{AttemptRequest, Destination, RequestBody, Upstream};

/// An HTTP client of one's own as the transport of a [`Client`](crate::Client):
/// `Client::builder().build_over(OverService::new(service))`.
///
/// The service is cloned for each attempt, asked whether it is ready, and called once. It must not
/// retry and must not follow redirects. Proxies and authorities are its own business, and so is the
/// time limit of connecting.
pub struct OverService<S, B> {
    /// Locked for as long as a clone takes: so it need not be `Sync`.
    service: Mutex<S>,
    asked: Option<Asked>,
    body: PhantomData<fn() -> B>,
}

/// Where a request goes that names its place itself, and what it says of itself there.
pub(super) struct Asked {
    pub(super) uri: Uri,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) extensions: Extensions,
}

impl<S, B> OverService<S, B> {
    /// A transport that sends each attempt where its provider is.
    pub fn new(service: S) -> OverService<S, B> {
        OverService { service: Mutex::new(service), asked: None, body: PhantomData }
    }

    /// A transport that sends every attempt where one request asked for.
    pub(super) fn as_asked(service: S, asked: Asked) -> OverService<S, B> {
        OverService { asked: Some(asked), ..OverService::new(service) }
    }
}

impl<S, B: From<Bytes>> OverService<S, B> {
    fn request(&self, request: AttemptRequest) -> Result<Request<B>, TransportFault> {
        let bytes = match request.body {
            RequestBody::Empty => Bytes::new(),
            RequestBody::Full(bytes) => bytes,
            // A service is handed bodies that can be sent again.
            RequestBody::Stream { .. } => return Err(TransportFault::Other),
        };
        let mut made = Request::new(B::from(bytes));
        *made.method_mut() = request.method;
        if let Some(asked) = &self.asked {
            *made.uri_mut() = asked.uri.clone();
            *made.version_mut() = asked.version;
            *made.headers_mut() = as_sent(asked.headers.clone(), made.method());
            *made.extensions_mut() = asked.extensions.clone();
        } else {
            let path = request.path.as_str();
            *made.uri_mut() = uri(&request.destination, path).ok_or(TransportFault::BadAddress)?;
            *made.headers_mut() = request.headers.to_map();
        }
        Ok(made)
    }
}

/// A request's own headers, less what the service must work out anew; what answers must be readable
/// for is asked for as the walk does.
fn as_sent(mut headers: HeaderMap, method: &Method) -> HeaderMap {
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    if *method == Method::POST {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    headers
}

fn uri(destination: &Destination, path: &str) -> Option<Uri> {
    let Destination { tls, host, port, .. } = destination;
    let (scheme, usual) = if *tls { ("https", 443) } else { ("http", 80) };
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let authority = if *port == usual { host } else { format!("{host}:{port}") };
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("{scheme}://{authority}{slash}{path}").parse().ok()
}

impl<S, B, R> Upstream for OverService<S, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: From<Bytes> + Send + 'static,
    R: Body + Send + 'static,
    R::Data: Buf,
{
    type Attempt = ServiceAttempt<S, B, R>;

    fn start(&self, request: AttemptRequest) -> ServiceAttempt<S, B, R> {
        let service = self.service.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ServiceAttempt::new(service, self.request(request))
    }
}

impl<S, B> fmt::Debug for OverService<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OverService").finish_non_exhaustive()
    }
}
