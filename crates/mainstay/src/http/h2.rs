//! One HTTP/2 connection, shared by many attempts; its own task drives it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use mainstay_core::classify::TransportFault;

use super::body::Outgoing;
use super::settings::HttpSettings;
use super::socket::Socket;

/// Streams given out until the other end tells its limit. Those it does not allow wait inside h2
/// for their turn.
/// Source: RFC 9113 section 6.5.2 recommends limits of no less than 100, read 2026-11.
const STREAMS_AT_FIRST: usize = 100;

/// What h2 is told to assume about the limit, so that none is opened beyond it and refused; also
/// how a limit not yet told is recognised.
const STREAMS_UNTOLD: usize = 1;

/// What a sent request becomes. The error gives the request back if nothing of it has left.
pub(super) type Answer = Pin<
    Box<dyn Future<Output = Result<Response<Incoming>, TrySendError<Request<Outgoing>>>> + Send>,
>;

/// A connection that gives out streams. Once it and all its streams are dropped it closes.
pub(super) struct Conn2 {
    sender: http2::SendRequest<Outgoing>,
    shared: Arc<Shared>,
}

/// Leave to make one request on a connection. Dropped, it makes room for another.
pub(super) struct Stream2 {
    sender: http2::SendRequest<Outgoing>,
    shared: Arc<Shared>,
    pub(super) reused: bool,
}

struct Shared {
    streams: AtomicUsize,
    served: AtomicBool,
    /// Polled by the connection's task; `None` once it has ended. Held for one poll at most, and
    /// the pool only tries the lock.
    driver: Mutex<Option<Driver>>,
    /// How many streams were allowed when last asked.
    streams_max: AtomicUsize,
}

type Driver = http2::Connection<TokioIo<Socket>, Outgoing, TokioExecutor>;

impl Conn2 {
    /// Speaks HTTP/2 on an open socket and starts the connection's task.
    pub(super) async fn new(
        socket: Socket,
        settings: &HttpSettings,
    ) -> Result<Self, TransportFault> {
        let (sender, driver) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(settings.h2_stream_window)
            .initial_connection_window_size(settings.h2_connection_window)
            .initial_max_send_streams(STREAMS_UNTOLD)
            .max_header_list_size(u32::try_from(settings.head_bytes_max).unwrap_or(u32::MAX))
            .keep_alive_interval(settings.h2_ping_after)
            .keep_alive_timeout(settings.h2_ping_timeout)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(socket))
            .await
            .map_err(|_| TransportFault::ResetBeforeAnswer)?;
        let shared = Arc::new(Shared {
            streams: AtomicUsize::new(0),
            served: AtomicBool::new(false),
            driver: Mutex::new(Some(driver)),
            streams_max: AtomicUsize::new(STREAMS_AT_FIRST),
        });
        tokio::spawn(Driving(Arc::clone(&shared)));
        Ok(Self { sender, shared })
    }

    /// A stream, or none while as many are open as the other end allows.
    pub(super) fn stream(&self) -> Option<Stream2> {
        let max = self.shared.streams_max();
        // Taken under the pool's lock, so that no two see the same room.
        if self.shared.streams.load(Ordering::Relaxed) >= max {
            return None;
        }
        self.shared.streams.fetch_add(1, Ordering::Relaxed);
        Some(Stream2 {
            sender: self.sender.clone(),
            shared: Arc::clone(&self.shared),
            reused: self.shared.served.swap(true, Ordering::Relaxed),
        })
    }

    /// Whether it takes no more requests: closed, or told to go away.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether no attempt uses it.
    pub(super) fn is_idle(&self) -> bool {
        self.shared.streams.load(Ordering::Relaxed) == 0
    }
}

impl Stream2 {
    /// Hands a request to the connection's task. Dropping the answer, or its body, resets the
    /// stream.
    pub(super) fn send(&mut self, request: Request<Outgoing>) -> Answer {
        Box::pin(self.sender.try_send_request(request))
    }
}

impl Drop for Stream2 {
    fn drop(&mut self) {
        self.shared.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    /// How many streams the other end allows at once; it may change its mind at any time.
    fn streams_max(&self) -> usize {
        if let Ok(driver) = self.driver.try_lock()
            && let Some(driver) = &*driver
        {
            let told = driver.current_max_send_streams();
            if told != STREAMS_UNTOLD {
                self.streams_max.store(told, Ordering::Relaxed);
            }
        }
        self.streams_max.load(Ordering::Relaxed)
    }
}

/// The connection's task.
struct Driving(Arc<Shared>);

impl Future for Driving {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut guard = self.0.driver.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(driver) = &mut *guard else { return Poll::Ready(()) };
        let ended = Pin::new(driver).poll(cx).map(|_| ());
        if ended.is_ready() {
            *guard = None;
        }
        ended
    }
}

impl Drop for Driving {
    /// With its runtime gone nobody drives the connection: it must not look alive.
    fn drop(&mut self) {
        *self.0.driver.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
