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
use tokio::sync::{OwnedSemaphorePermit, watch};
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

    async fn speak_one<I>(&self, io: I, guest: &Guest)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (worker, peer) = (Arc::clone(&guest.worker), guest.peer);
        let answer = service_fn(move |request: Request<Incoming>| {
            let answer = door::answer(Arc::clone(&worker), peer, Box::new(request.into()));
            async { answer.await.map(answer::rewritten) }
        });
        let serving = pin!(self.one.serve_connection(TokioIo::new(Voice::new(io)), answer));
        let phase = guest.phase.clone();
        to_the_end(serving, http1::Connection::graceful_shutdown, phase).await;
    }

    async fn speak_two<I>(&self, io: I, guest: &Guest)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (worker, peer) = (Arc::clone(&guest.worker), guest.peer);
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
        let phase = guest.phase.clone();
        to_the_end(serving, http2::Connection::graceful_shutdown, phase).await;
    }
}

/// A caller's connection; it counts as one until this is dropped.
struct Guest {
    worker: Arc<Worker>,
    host: Arc<Host>,
    peer: Option<IpAddr>,
    phase: watch::Receiver<Phase>,
    /// Its seat, or whatever else is free again at its end.
    _seat: OwnedSemaphorePermit,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.worker.meter.disconnected();
    }
}

/// Serves a connection to its end.
pub(crate) async fn serve(
    stream: TcpStream,
    host: Arc<Host>,
    worker: Arc<Worker>,
    phase: watch::Receiver<Phase>,
    seat: OwnedSemaphorePermit,
) {
    // Without it the second small write of an answer waits for the caller's acknowledgement.
    let _ = stream.set_nodelay(true);
    let peer = stream.peer_addr().ok().map(|address| address.ip());
    worker.meter.connected();
    let guest = Guest { worker, host, peer, phase, _seat: seat };
    // Apart, so that a plain connection need not have room for it.
    if guest.host.tls.is_some() {
        Box::pin(serve_tls(stream, guest)).await;
    } else if let Ok(Ok(protocol)) = timeout(guest.host.head.time, first_words(&stream)).await {
        speak(stream, protocol, guest);
    }
}

async fn serve_tls(stream: TcpStream, guest: Guest) {
    const HANDSHAKE: Duration = Duration::from_secs(10);
    let Some(tls) = guest.host.tls.clone() else { return };
    if let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await {
        let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        speak(stream, if two { Protocol::Two } else { Protocol::One }, guest);
    }
}

/// Has the rest of a connection served as a task of its own: it is polled many times a call, and what led
/// to it stands no longer in between.
fn speak<I>(io: I, protocol: Protocol, guest: Guest)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let cohort = guest.worker.upstream.cohort().clone();
    match protocol {
        Protocol::One => cohort.spawn(swift::serve(io, guest)),
        Protocol::Two => {
            cohort.spawn(async move { guest.host.speak_two(io, &guest).await });
        }
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
