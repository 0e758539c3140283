//! One connection of a caller: which HTTP it speaks, how long its parts may take, and its end.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mainstay::cohort::Cohort;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::answer;
use crate::door;
use crate::settings::Bounds;
use crate::shared::Worker;

mod swift;
mod voice;

use swift::HeadBounds;
use voice::Voice;

/// How far a gateway is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Calls are taken.
    Running,
    /// Calls in flight are brought to their end; no new ones.
    Stopping,
    /// Everything ends at once.
    Cut,
}

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    One,
    Two,
}

/// What connections are served with.
pub(crate) struct Host {
    one: http1::Builder,
    /// Longest head of a request over HTTP/2, in bytes.
    list_max: u32,
    tls: Option<TlsAcceptor>,
    head: HeadBounds,
}

impl Host {
    /// With these bounds.
    pub(crate) fn new(bounds: &Bounds, tls: Option<TlsAcceptor>) -> Host {
        let mut one = http1::Builder::new();
        one.timer(TokioTimer::new())
            .header_read_timeout(bounds.head_time)
            .max_header_size(bounds.head_bytes)
            .max_buf_size(bounds.head_bytes.max(64 * 1024));
        Host {
            one,
            list_max: u32::try_from(bounds.head_bytes).unwrap_or(u32::MAX),
            tls,
            head: HeadBounds { time: bounds.head_time, bytes: bounds.head_bytes },
        }
    }

    /// Serves a connection to its end.
    pub(crate) async fn serve(
        &self,
        stream: TcpStream,
        worker: Arc<Worker>,
        phase: watch::Receiver<Phase>,
    ) {
        // Without it the second small write of an answer waits for the caller's acknowledgement.
        let _ = stream.set_nodelay(true);
        let peer = stream.peer_addr().ok().map(|address| address.ip());
        worker.meter.connected();
        let meter = Arc::clone(&worker.meter);
        match &self.tls {
            None => {
                if let Ok(Ok(protocol)) = timeout(self.head.time, first_words(&stream)).await {
                    self.speak(stream, peer, protocol, worker, phase).await;
                }
            }
            // Apart, so that a plain connection need not have room for it.
            Some(tls) => Box::pin(self.serve_tls(tls, stream, peer, worker, phase)).await,
        }
        meter.disconnected();
    }

    async fn serve_tls(
        &self,
        tls: &TlsAcceptor,
        stream: TcpStream,
        peer: Option<IpAddr>,
        worker: Arc<Worker>,
        phase: watch::Receiver<Phase>,
    ) {
        const HANDSHAKE: Duration = Duration::from_secs(10);
        if let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await {
            let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let protocol = if two { Protocol::Two } else { Protocol::One };
            self.speak(stream, peer, protocol, worker, phase).await;
        }
    }

    async fn speak<I>(
        &self,
        io: I,
        peer: Option<IpAddr>,
        protocol: Protocol,
        worker: Arc<Worker>,
        phase: watch::Receiver<Phase>,
    ) where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut phase = phase;
        match protocol {
            Protocol::One => {
                let unusual = {
                    let usual = swift::serve(io, peer, &worker, self.head, phase.clone());
                    until(pin!(usual), Phase::Cut, &mut phase).await
                };
                if let Some(Some(io)) = unusual {
                    // In memory of its own: most connections never come here.
                    Box::pin(self.speak_one(io, peer, worker, phase)).await;
                }
            }
            Protocol::Two => Box::pin(self.speak_two(io, peer, worker, phase)).await,
        }
    }

    async fn speak_one<I>(
        &self,
        io: I,
        peer: Option<IpAddr>,
        worker: Arc<Worker>,
        phase: watch::Receiver<Phase>,
    ) where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let answer = service_fn(move |request: Request<Incoming>| {
            let answer = door::answer(Arc::clone(&worker), peer, Box::new(request.into()));
            async { answer.await.map(answer::rewritten) }
        });
        let serving = pin!(self.one.serve_connection(TokioIo::new(Voice::new(io)), answer));
        to_the_end(serving, http1::Connection::graceful_shutdown, phase).await;
    }

    async fn speak_two<I>(
        &self,
        io: I,
        peer: Option<IpAddr>,
        worker: Arc<Worker>,
        phase: watch::Receiver<Phase>,
    ) where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let cohort = worker.upstream.cohort().clone();
        let answer = service_fn(move |request: Request<Incoming>| {
            let answer = door::answer(Arc::clone(&worker), peer, Box::new(request.into()));
            async { answer.await.map(answer::rewritten) }
        });
        let mut two = http2::Builder::new(Beside(cohort));
        two.timer(TokioTimer::new())
            .max_concurrent_streams(256)
            .max_header_list_size(self.list_max)
            .initial_stream_window_size(1024 * 1024)
            .initial_connection_window_size(4 * 1024 * 1024)
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20));
        let serving = pin!(two.serve_connection(TokioIo::new(io), answer));
        to_the_end(serving, http2::Connection::graceful_shutdown, phase).await;
    }
}

/// Has the calls of a connection over HTTP/2 made beside the worker's other ones.
#[derive(Clone)]
struct Beside(Cohort);

impl<F: Future + Send + 'static> Executor<F> for Beside {
    fn execute(&self, call: F) {
        self.0.spawn(async move { drop(call.await) });
    }
}

/// Which HTTP a plain connection begins with. Waits for its first bytes and leaves them unread.
async fn first_words(stream: &TcpStream) -> io::Result<Protocol> {
    let mut start = [0_u8; 3];
    let read = stream.peek(&mut start).await?;
    // No method of HTTP/1.1 that is taken here begins like HTTP/2's preface.
    Ok(if read == 3 && &start == b"PRI" { Protocol::Two } else { Protocol::One })
}

/// Drives a connection; when a stop is asked for it ends after the call in flight.
async fn to_the_end<C>(
    mut serving: Pin<&mut C>,
    end: impl Fn(Pin<&mut C>),
    mut phase: watch::Receiver<Phase>,
) where
    C: Future<Output = Result<(), hyper::Error>>,
{
    if until(serving.as_mut(), Phase::Stopping, &mut phase).await.is_none() {
        end(serving.as_mut());
        let _ = until(serving, Phase::Cut, &mut phase).await;
    }
}

/// Drives a connection to its end; `None` when the gateway is so far before.
async fn until<C: Future>(
    mut serving: Pin<&mut C>,
    far: Phase,
    phase: &mut watch::Receiver<Phase>,
) -> Option<C::Output> {
    let mut news = phase.clone();
    let mut reached = pin!(phase.wait_for(|phase| *phase >= far));
    let mut looked = false;
    poll_fn(|cx| {
        if let Poll::Ready(end) = serving.as_mut().poll(cx) {
            return Poll::Ready(Some(end));
        }
        // Once it has been asked it wakes this task by itself, so that it costs nothing to pass by.
        if looked && !news.has_changed().unwrap_or(true) {
            return Poll::Pending;
        }
        looked = true;
        news.mark_unchanged();
        reached.as_mut().poll(cx).map(|_| None)
    })
    .await
}
