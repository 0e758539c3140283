//! Sends notices to receivers: each has a queue and a task of its own, so that a dead one holds up
//! nobody else. Tried again after 1, 2, 4, 8 and 16 s, then given up and counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use mainstay::http::HttpUpstream;
use mainstay::upstream::{
    Attempt, AttemptEvent, AttemptRequest, Destination, Proxy, RequestBody, Upstream,
};
use mainstay_core::alerts::Notice;
use mainstay_core::store::UnixMillis;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::message;
use crate::config::Receiver;

/// How long one try may take, connecting included.
const TRY_TIME: Duration = Duration::from_secs(10);
/// Waits between tries. Source of the numbers: the project's source document on retries.
const WAITS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
];

/// How sending to one receiver goes.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) name: String,
    /// Where it is, for people.
    pub(crate) place: String,
    pub(crate) delivered: AtomicU64,
    /// Given up after all tries, or refused for good.
    pub(crate) failed: AtomicU64,
    /// Not kept because too many waited.
    pub(crate) dropped: AtomicU64,
    pub(crate) waiting: AtomicU64,
    /// Why the last try failed; `None` when it did not.
    pub(crate) trouble: Mutex<Option<String>>,
}

/// The way to one receiver's task.
#[derive(Debug)]
pub(super) struct Line {
    receiver: Receiver,
    pub(super) desk: Arc<Desk>,
    queue: mpsc::Sender<Notice>,
}

impl Line {
    /// Starts the task; it ends when the line is dropped and its queue is empty.
    pub(super) fn start(
        receiver: &Receiver,
        queue_max: usize,
        source: &Arc<str>,
        waits: Waits,
    ) -> Line {
        let desk = Arc::new(Desk {
            name: receiver.name.clone(),
            place: receiver.url.to_string(),
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            trouble: Mutex::new(None),
        });
        let (queue, inbox) = mpsc::channel(queue_max.max(1));
        let post = Post {
            receiver: receiver.clone(),
            destination: Arc::new(destination(receiver)),
            upstream: HttpUpstream::default(),
            desk: Arc::clone(&desk),
            source: Arc::clone(source),
            waits,
        };
        tokio::spawn(post.run(inbox));
        Line { receiver: receiver.clone(), desk, queue }
    }

    /// Puts a notice into the queue, if the receiver is told of such.
    pub(super) fn tell(&self, notice: &Notice) {
        if !self.receiver.rules.contains(&notice.rule) {
            return;
        }
        self.desk.waiting.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send(notice.clone()).is_err() {
            self.desk.waiting.fetch_sub(1, Ordering::Relaxed);
            if self.desk.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!(receiver = self.desk.name, "alerts are dropped: too many wait");
            }
        }
    }
}

/// The waits between tries; tests shorten them.
pub(super) type Waits = &'static [Duration];

/// The waits of the product.
pub(super) const USUAL: Waits = &WAITS;

struct Post {
    receiver: Receiver,
    destination: Arc<Destination>,
    upstream: HttpUpstream,
    desk: Arc<Desk>,
    source: Arc<str>,
    waits: Waits,
}

/// What came of a try.
enum Tried {
    Taken,
    /// It may work later.
    Again(String),
    /// It never will.
    Refused(String),
}

impl Post {
    async fn run(self, mut inbox: mpsc::Receiver<Notice>) {
        while let Some(notice) = inbox.recv().await {
            self.deliver(&notice).await;
            self.desk.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    async fn deliver(&self, notice: &Notice) {
        let body = message::body(notice, &self.source, self.receiver.shape);
        let mut waits = self.waits.iter();
        let why = loop {
            let why = match self.once(notice, &body).await {
                Tried::Taken => {
                    self.desk.delivered.fetch_add(1, Ordering::Relaxed);
                    self.trouble(None);
                    return;
                }
                Tried::Again(why) => why,
                Tried::Refused(why) => break why,
            };
            self.trouble(Some(&why));
            match waits.next() {
                Some(wait) => sleep(*wait).await,
                None => break why,
            }
        };
        self.trouble(Some(&why));
        self.desk.failed.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            receiver = self.desk.name,
            rule = notice.rule.name(),
            why,
            "an alert could not be delivered"
        );
    }

    async fn once(&self, notice: &Notice, body: &str) -> Tried {
        let Some(request) = self.request(notice, body) else {
            return Tried::Refused("its URL cannot be put into a request".to_owned());
        };
        let mut attempt = self.upstream.start(request);
        let answered = async {
            loop {
                match std::future::poll_fn(|cx| attempt.poll_event(cx)).await {
                    AttemptEvent::Sending { .. } => {}
                    AttemptEvent::Head(head) => return judged(head.status.as_u16()),
                    AttemptEvent::Data(_) | AttemptEvent::End => {
                        return Tried::Again("it gave no status".to_owned());
                    }
                    AttemptEvent::Fault(fault) => {
                        let cause = mainstay_core::catalogue::advice(fault).cause;
                        return Tried::Again(cause.to_owned());
                    }
                }
            }
        };
        let late = |_| Tried::Again(format!("no answer in {} s", TRY_TIME.as_secs()));
        timeout(TRY_TIME, answered).await.unwrap_or_else(late)
    }

    fn request(&self, notice: &Notice, body: &str) -> Option<AttemptRequest> {
        let mut headers = HeaderMap::new();
        let agent = concat!("mainstay/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let id = HeaderValue::try_from(format!("{}-{}", self.source, notice.id)).ok()?;
        headers.insert(HeaderName::from_static(message::DELIVERY), id);
        if let Some(secret) = &self.receiver.secret {
            // The time of this try: receivers refuse old ones.
            let signature = message::signature(secret.expose(), now(), body);
            let value = HeaderValue::try_from(signature).ok()?;
            headers.insert(HeaderName::from_static(message::SIGNATURE), value);
        }
        Some(AttemptRequest {
            destination: Arc::clone(&self.destination),
            method: Method::POST,
            path: PathAndQuery::try_from(self.receiver.url.path.expose()).ok()?,
            headers: headers.into(),
            body: RequestBody::Full(Bytes::copy_from_slice(body.as_bytes())),
            connect_timeout: TRY_TIME,
        })
    }

    fn trouble(&self, why: Option<&str>) {
        let mut trouble = self.desk.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        *trouble = why.map(str::to_owned);
    }
}

fn judged(status: u16) -> Tried {
    match status {
        200..=299 => Tried::Taken,
        408 | 425 | 429 | 500..=599 => Tried::Again(format!("it answered {status}")),
        _ => Tried::Refused(format!("it answered {status}")),
    }
}

fn destination(receiver: &Receiver) -> Destination {
    let place = &receiver.url.place;
    Destination {
        tls: place.https(),
        host: place.host().to_owned(),
        port: place.port(),
        proxy: receiver.proxy.as_ref().and_then(|url| Proxy::from_url(url.expose()).ok()),
        ca_file: None,
    }
}

/// The wall clock: signatures carry it.
pub(super) fn now() -> UnixMillis {
    let millis = jiff::Timestamp::now().as_millisecond();
    UnixMillis(u64::try_from(millis).unwrap_or(0))
}
