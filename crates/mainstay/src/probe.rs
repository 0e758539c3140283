//! One exchange with a provider, as an attempt of a call is sent and with no policy over it: what
//! came, and when. For `mainstay doctor`.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use mainstay_core::classify::{self, Answer, TransportFault, Verdict};
use mainstay_core::headers::Headers;
use mainstay_core::hints::{self, RateHints};
use mainstay_core::policy::Policy;
use mainstay_core::wire::endpoint::Endpoint;
use tokio::time::{Instant, timeout_at};

use crate::call::{Call, CallBody};
use crate::clock::Clock;
use crate::dispatch;
use crate::fields::Fields;
use crate::spec::ProviderSpec;
use crate::targets::Registry;
use crate::upstream::{Attempt, AttemptEvent, Upstream};

/// Most bytes of a body kept.
const BODY_MAX: usize = 4 << 20;
/// Most arrivals kept.
const ARRIVALS_MAX: usize = 10_000;

/// What to send.
#[derive(Clone, Debug)]
pub struct Question {
    /// GET or POST.
    pub method: Method,
    /// What follows `/v1`: `/models`.
    pub path: &'static str,
    /// The model, where the path or the provider needs one.
    pub model: Option<String>,
    /// JSON; empty for none.
    pub body: Bytes,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// What ended it early.
    pub fault: Option<TransportFault>,
    /// The status.
    pub status: Option<StatusCode>,
    /// The headers, as they came.
    pub headers: HeaderMap,
    /// The body, at most 4 MiB of it.
    pub body: Bytes,
    /// From the start until the request began to leave; with a new connection in it.
    pub connected: Duration,
    /// From the start to the head.
    pub head: Duration,
    /// When pieces of the body came, from the start, and how long each was.
    pub arrivals: Vec<(Duration, usize)>,
    /// From the start to the end.
    pub took: Duration,
}

/// Sends a question with one of a provider's credentials; everything within `limit`.
pub async fn ask<U: Upstream>(
    upstream: &U,
    provider: &Arc<ProviderSpec>,
    credential: usize,
    question: &Question,
    limit: Duration,
) -> Exchange {
    let start = Instant::now();
    let mut exchange = Exchange::default();
    let target = Registry::new(Clock::new()).cell(
        provider,
        credential,
        question.model.as_deref(),
        &Policy::default(),
    );
    let mut call = call(question);
    let headers = Arc::new(std::mem::take(&mut call.headers));
    let Ok((request, _)) = dispatch::request(&mut call, &headers, &target, limit, None) else {
        exchange.fault = Some(TransportFault::BadAddress);
        return exchange;
    };
    let mut attempt = upstream.start(request);
    let mut body = BytesMut::new();
    loop {
        let next = std::future::poll_fn(|cx| attempt.poll_event(cx));
        let event = timeout_at(start + limit, next).await;
        let now = start.elapsed();
        match event {
            Err(_) => exchange.fault = Some(late(&exchange)),
            Ok(AttemptEvent::Sending { .. }) => {
                exchange.connected = now;
                continue;
            }
            Ok(AttemptEvent::Head(head)) => {
                (exchange.status, exchange.headers) = (Some(head.status), head.headers.to_map());
                exchange.head = now;
                continue;
            }
            Ok(AttemptEvent::Data(data)) => {
                if exchange.arrivals.len() < ARRIVALS_MAX && body.len() + data.len() <= BODY_MAX {
                    exchange.arrivals.push((now, data.len()));
                    body.extend_from_slice(&data);
                    continue;
                }
            }
            Ok(AttemptEvent::End) => {}
            Ok(AttemptEvent::Fault(fault)) => exchange.fault = Some(fault),
        }
        exchange.took = now;
        exchange.body = body.freeze();
        return exchange;
    }
}

/// What the limit ran out on.
fn late(exchange: &Exchange) -> TransportFault {
    match exchange.status {
        Some(_) => TransportFault::TotalTimeout,
        None if exchange.connected.is_zero() => TransportFault::ConnectTimeout,
        None => TransportFault::HeadersTimeout,
    }
}

fn call(question: &Question) -> Call {
    let mut headers = Fields::default();
    let agent = concat!("mainstay/", env!("CARGO_PKG_VERSION"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let body = if question.body.is_empty() {
        CallBody::Empty
    } else {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        CallBody::Buffered(question.body.clone())
    };
    Call {
        id: String::new(),
        method: question.method.clone(),
        path: question.path.to_owned(),
        endpoint: Endpoint::of(question.method.as_str(), question.path),
        headers,
        credential: None,
        body,
        model: question.model.as_deref().map(Arc::from),
        model_span: None,
        usage_ask: None,
        stream: false,
        tokens: 0,
        arrived: Clock::new().now(),
        timeout: None,
        read_timeout: None,
        answer_within: None,
        sdk_retry: 0,
        add_usage: false,
        account: None,
        pin: None,
        traced: None,
        body_gone: false,
    }
}

impl Exchange {
    /// What the answer means, as a call would take it; `None` for a sound one and for none at all.
    pub fn verdict(&self, stream: bool) -> Option<Verdict> {
        let status = Some(self.status?.as_u16());
        let headers = View(&self.headers);
        classify::classify(&Answer { status, headers: &headers, body: &self.body, stream })
    }

    /// What its headers tell about rate limits.
    pub fn rates(&self) -> RateHints {
        hints::rate_hints(&View(&self.headers), None)
    }

    /// A header's value, when it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The media type, in lower case and without its parameters.
    pub fn media_type(&self) -> String {
        let text = self.header("content-type").unwrap_or_default();
        text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}

/// HTTP's headers for core.
struct View<'a>(&'a HeaderMap);

impl Headers for View<'_> {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(HeaderValue::as_bytes)
    }

    fn each<'h>(&'h self, visit: &mut dyn FnMut(&'h str, &'h [u8])) {
        self.0.iter().for_each(|(name, value)| visit(name.as_str(), value.as_bytes()));
    }
}
