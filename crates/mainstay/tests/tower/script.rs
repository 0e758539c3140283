//! A service that answers by a script and watches how it is used.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use mainstay::call::Trace;
use mainstay::tower::Stack;
use tower_service::Service;

pub(crate) const CHAT: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
pub(crate) const FAULT: &str = r#"{"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}"#;
const LIMIT: &str = r#"{"error":{"message":"Rate limit reached for requests","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
pub(crate) const ASKED: &str = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
const EVENT: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":null}]}\n\n";

/// How one request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    Well,
    /// A 500.
    Faulty,
    /// A 429; with the milliseconds to wait.
    Limit(Option<u64>),
    /// The service's own error: the connection was refused.
    Refused,
    /// It says that it will never be ready.
    NotReady,
    /// An answer, after so many milliseconds.
    Slow(u64),
    /// One event, and then the end of everything.
    Cut,
}

/// What reached the service.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) mark: Option<Mark>,
    pub(crate) at: tokio::time::Instant,
}

/// An extension of a caller's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(pub(crate) u8);

#[derive(Clone)]
pub(crate) struct Scripted {
    shared: Arc<Shared>,
    /// This one, and no clone of it, has said that it is ready.
    ready: Ready,
}

#[derive(Default)]
struct Ready {
    said: bool,
    asked: usize,
}

impl Clone for Ready {
    fn clone(&self) -> Ready {
        Ready::default()
    }
}

struct Shared {
    /// By host; what comes after the end of a script goes well.
    scripts: Mutex<Vec<(String, std::collections::VecDeque<Say>)>>,
    seen: Mutex<Vec<Seen>>,
    alive: AtomicUsize,
    /// How often it is asked before it is ready.
    slowness: usize,
}

impl Scripted {
    pub(crate) fn new(script: &[Say]) -> Scripted {
        Scripted::of_hosts(&[("api.test", script)], 0)
    }

    /// Ready only when asked once more than `slowness` times.
    pub(crate) fn of_hosts(scripts: &[(&str, &[Say])], slowness: usize) -> Scripted {
        let scripts = scripts
            .iter()
            .map(|(host, script)| ((*host).to_owned(), script.iter().copied().collect()));
        let shared = Shared {
            scripts: Mutex::new(scripts.collect()),
            seen: Mutex::default(),
            alive: AtomicUsize::new(0),
            slowness,
        };
        Scripted { shared: Arc::new(shared), ready: Ready::default() }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Futures and bodies that were not dropped yet.
    pub(crate) fn alive(&self) -> usize {
        self.shared.alive.load(Ordering::SeqCst)
    }

    fn next(&self, host: &str) -> Say {
        let mut scripts = self.shared.scripts.lock().unwrap();
        let script = scripts.iter_mut().find(|(name, _)| name == host);
        script.and_then(|(_, script)| script.pop_front()).unwrap_or(Say::Well)
    }

    fn peek(&self) -> Option<Say> {
        self.shared.scripts.lock().unwrap().first()?.1.front().copied()
    }
}

struct Alive(Arc<Shared>);

impl Alive {
    fn new(shared: &Arc<Shared>) -> Alive {
        shared.alive.fetch_add(1, Ordering::SeqCst);
        Alive(Arc::clone(shared))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A body in pieces, each a poll apart; it may break.
pub(crate) struct Pieces {
    left: std::collections::VecDeque<Bytes>,
    breaks: bool,
    waited: bool,
    _alive: Alive,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.waited = !self.waited;
        if self.waited {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.left.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None if std::mem::take(&mut self.breaks) => {
                Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())))
            }
            None => Poll::Ready(None),
        }
    }
}

impl Service<Request<Full<Bytes>>> for Scripted {
    type Response = Response<Pieces>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Pieces>, std::io::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        if self.peek() == Some(Say::NotReady) {
            self.next("api.test");
            return Poll::Ready(Err(std::io::ErrorKind::ConnectionRefused.into()));
        }
        if self.ready.asked < self.shared.slowness {
            self.ready.asked += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.ready.said = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready.said), "called without having said it is ready");
        let say = self.next(request.uri().host().unwrap_or_default());
        let shared = Arc::clone(&self.shared);
        let alive = Alive::new(&shared);
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let (method, uri, headers) = (head.method, head.uri, head.headers);
            let mark = head.extensions.get().copied();
            let at = tokio::time::Instant::now();
            let seen = Seen { method, uri, headers, body, mark, at };
            shared.seen.lock().unwrap().push(seen);
            pending_once().await;
            answer(say, alive).await
        })
    }
}

async fn pending_once() {
    let mut waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn answer(say: Say, alive: Alive) -> Result<Response<Pieces>, std::io::Error> {
    let (status, text) = match say {
        Say::Well | Say::Slow(_) => (200, CHAT),
        Say::Faulty => (500, FAULT),
        Say::Limit(_) => (429, LIMIT),
        Say::Cut => (200, EVENT),
        Say::Refused | Say::NotReady => return Err(std::io::ErrorKind::ConnectionRefused.into()),
    };
    if let Say::Slow(millis) = say {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    let kind = if say == Say::Cut { "text/event-stream" } else { "application/json" };
    let mut response = Response::builder().status(status).header("content-type", kind);
    if let Say::Limit(Some(millis)) = say {
        response = response.header("retry-after-ms", millis);
    }
    let (start, end) = text.split_at(text.len() / 2);
    let left = [start, end].map(|piece| Bytes::from_static(piece.as_bytes())).into();
    let body = Pieces { left, breaks: say == Say::Cut, waited: false, _alive: alive };
    Ok(response.body(body).unwrap())
}

/// A chat completion at `api.test`.
pub(crate) fn chat() -> Request<Full<Bytes>> {
    post("http://api.test/v1/chat/completions", ASKED)
}

pub(crate) fn post(uri: &str, body: &'static str) -> Request<Full<Bytes>> {
    let request = Request::post(uri).header("content-type", "application/json");
    request.body(Full::from(body)).unwrap()
}

/// Status, attempts and body of an answer.
pub(crate) type Reply = (u16, u32, Bytes);
/// What came of a request: an answer, or the kind of the typed error.
pub(crate) type Outcome = Result<Reply, &'static str>;

/// Calls a stack and reads its answer to the end.
pub(crate) async fn ask<S, B>(stack: &mut S, request: Request<Full<Bytes>>) -> Outcome
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = mainstay::Error>,
    B: Body<Data = Bytes, Error = mainstay::call::Cut>,
{
    poll_fn(|cx| stack.poll_ready(cx)).await.unwrap();
    let answer = stack.call(request).await.map_err(|error| error.kind().name())?;
    let attempts = answer.extensions().get::<Trace>().unwrap().attempts;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.map_err(|cut| cut.kind.name())?;
    Ok((status, attempts, body.to_bytes()))
}

/// Nothing of a call is left: below, in queues, in counts.
#[track_caller]
pub(crate) fn nothing_is_left(service: &Scripted, stack: &Stack<Scripted>, when: usize) {
    assert_eq!(service.alive(), 0, "{when}");
    for target in stack.snapshot() {
        let counts = (target.in_flight, target.pacer.in_flight, target.pacer.queued);
        assert_eq!(counts, (0, 0, 0), "{when}");
    }
}
