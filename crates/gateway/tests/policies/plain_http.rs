//! An HTTP client as a service: a connection a request, and no opinion about anything.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tower_service::Service;

#[derive(Clone)]
pub(crate) struct PlainHttp;

type Trouble = Box<dyn std::error::Error + Send + Sync>;

impl Service<Request<Full<Bytes>>> for PlainHttp {
    type Response = Response<Incoming>;
    type Error = Trouble;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Trouble>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Trouble>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Full<Bytes>>) -> Self::Future {
        Box::pin(async move {
            let place = request.uri().authority().ok_or("a request without a place")?.to_string();
            let path = request.uri().path_and_query().ok_or("a request without a path")?.clone();
            *request.uri_mut() = Uri::from(path);
            request.headers_mut().insert(HOST, HeaderValue::from_str(&place)?);
            let stream = tokio::net::TcpStream::connect(&place).await?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            Ok(sender.send_request(request).await?)
        })
    }
}
