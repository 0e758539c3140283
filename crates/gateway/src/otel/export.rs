//! Sends batches of spans to a receiver of OTLP over HTTP, from a thread of its own. Bounded: what
//! does not fit into the queue is dropped and counted, and a batch is given up after a few tries.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, header};
use mainstay::http::HttpUpstream;
use mainstay::upstream::{
    Attempt, AttemptEvent, AttemptRequest, Destination, Proxy, RequestBody, Upstream,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::proto::{self, Span};
use super::settings::OtelSettings;
use crate::fault::ServeError;

/// Waits between tries. Those statuses are tried again that the protocol names.
const WAITS: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// How long what waits may still be sent when the gateway ends.
const LAST_TIME: Duration = Duration::from_secs(2);

/// How sending goes.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Spans taken by the receiver.
    pub(crate) exported: AtomicU64,
    /// Spans dropped because too many waited.
    pub(crate) dropped: AtomicU64,
    /// Spans given up after all tries, or refused.
    pub(crate) failed: AtomicU64,
    /// Why the last try failed; `None` when it did not.
    trouble: Mutex<Option<String>>,
}

impl Sent {
    /// Why the last try failed; `None` when it did not.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, why: Option<String>) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(why), None) = (&why, &*trouble) {
            tracing::warn!(why, "spans could not be exported");
        }
        *trouble = why;
    }
}

/// The running thread. Dropping it sends what waits, within two seconds.
#[derive(Debug)]
pub(crate) struct Exporter {
    queue: Option<mpsc::Sender<Span>>,
    /// Dropped when the gateway ends.
    stop: Option<oneshot::Sender<()>>,
    sent: Arc<Sent>,
    thread: Option<JoinHandle<()>>,
}

impl Exporter {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(crate) fn start(
        settings: Arc<OtelSettings>,
        sent: Arc<Sent>,
    ) -> Result<Exporter, ServeError> {
        let (queue, inbox) = mpsc::channel(settings.queue_max.max(1));
        let (stop, stopping) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ServeError::runtime(&error))?;
        let post = Post {
            destination: Arc::new(destination(&settings)),
            upstream: HttpUpstream::default(),
            settings,
            sent: Arc::clone(&sent),
        };
        let thread = std::thread::Builder::new()
            .name("traces".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = post.run(inbox) => {}
                        () = last(stopping) => {}
                    }
                });
                runtime.shutdown_background();
            })
            .map_err(|error| ServeError::runtime(&error))?;
        Ok(Exporter { queue: Some(queue), stop: Some(stop), sent, thread: Some(thread) })
    }

    /// Hands spans over; those that do not fit are dropped and counted.
    pub(crate) fn export(&self, spans: Vec<Span>) {
        let Some(queue) = &self.queue else { return };
        for span in spans {
            if queue.try_send(span).is_err() {
                self.sent.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.queue = None;
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Until the gateway ends, and a little longer.
async fn last(stopping: oneshot::Receiver<()>) {
    let _ = stopping.await;
    sleep(LAST_TIME).await;
}

struct Post {
    settings: Arc<OtelSettings>,
    destination: Arc<Destination>,
    upstream: HttpUpstream,
    sent: Arc<Sent>,
}

impl Post {
    async fn run(self, mut inbox: mpsc::Receiver<Span>) {
        let mut open = true;
        while open {
            let mut batch = Vec::new();
            open = self.fill(&mut batch, &mut inbox).await;
            let count = batch.len() as u64;
            if count > 0 {
                let taken = self.deliver(batch).await;
                let counter = if taken { &self.sent.exported } else { &self.sent.failed };
                counter.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    /// Collects a batch until it is full or old enough; `false` when no more will come.
    async fn fill(&self, batch: &mut Vec<Span>, inbox: &mut mpsc::Receiver<Span>) -> bool {
        let Some(first) = inbox.recv().await else { return false };
        batch.push(first);
        let end = Instant::now() + self.settings.delay;
        while batch.len() < self.settings.batch_max {
            match timeout_at(end, inbox.recv()).await {
                Ok(Some(span)) => batch.push(span),
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
        true
    }

    /// Sends a batch, again after a while if that may help; whether it was taken.
    async fn deliver(&self, batch: Vec<Span>) -> bool {
        let body = Bytes::from(proto::request(&self.settings.resource, &batch));
        drop(batch);
        let mut waits = WAITS.iter();
        loop {
            let (why, again) = match self.once(&body).await {
                Ok(200..=299) => {
                    self.sent.set_trouble(None);
                    return true;
                }
                // Source: OTLP specification, "Retryable response codes", read 2026-11.
                Ok(status @ (429 | 502..=504)) => (format!("it answered {status}"), true),
                Ok(status) => (format!("it answered {status}"), false),
                Err(why) => (why, true),
            };
            self.sent.set_trouble(Some(why));
            match waits.next().filter(|_| again) {
                Some(wait) => sleep(*wait).await,
                None => return false,
            }
        }
    }

    /// The status of one try.
    async fn once(&self, body: &Bytes) -> Result<u16, String> {
        let request = self.request(body).ok_or("its path cannot be put into a request")?;
        let mut attempt = self.upstream.start(request);
        let answered = async {
            let mut status = None;
            loop {
                match std::future::poll_fn(|cx| attempt.poll_event(cx)).await {
                    AttemptEvent::Sending { .. } | AttemptEvent::Data(_) => {}
                    AttemptEvent::Head(head) => status = Some(head.status.as_u16()),
                    // Read to its end, so that the connection serves the next batch.
                    AttemptEvent::End => return status.ok_or_else(|| "no status came".to_owned()),
                    AttemptEvent::Fault(fault) => {
                        let cause = mainstay_core::catalogue::advice(fault).cause;
                        return status.ok_or_else(|| cause.to_owned());
                    }
                }
            }
        };
        let late = |_| Err(format!("no answer in {} ms", self.settings.timeout.as_millis()));
        timeout(self.settings.timeout, answered).await.unwrap_or_else(late)
    }

    fn request(&self, body: &Bytes) -> Option<AttemptRequest> {
        let mut headers = HeaderMap::new();
        let agent = concat!("mainstay/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        for (name, value) in &self.settings.headers {
            headers.insert(name.clone(), value.clone());
        }
        let path = self.settings.endpoint.path();
        Some(AttemptRequest {
            destination: Arc::clone(&self.destination),
            method: Method::POST,
            path: PathAndQuery::try_from(if path.is_empty() { "/" } else { path }).ok()?,
            headers: headers.into(),
            body: RequestBody::Full(body.clone()),
            connect_timeout: self.settings.timeout,
        })
    }
}

fn destination(settings: &OtelSettings) -> Destination {
    let place = &settings.endpoint;
    Destination {
        tls: place.https(),
        host: place.host().to_owned(),
        port: place.port(),
        proxy: settings.proxy.as_ref().and_then(|url| Proxy::from_url(url.expose()).ok()),
        ca_file: None,
    }
}
