//! One HTTP/1.1 connection, driven by the attempt that uses it.
//!
//! hyper's connection is polled inside the attempt's own task: no task of its own, no wake-up
//! across tasks for each request, and dropping the attempt closes the socket at once. While the
//! connection is idle nobody drives it; the pool looks at it before it is used again.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use mainstay_core::classify::TransportFault;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};

use super::body::Outgoing;
use super::settings::{HEADERS_MAX, HttpSettings};
use super::socket::Socket;

/// What a sent request becomes. The error gives the request back if nothing of it has left.
pub(super) type Answer = Pin<
    Box<dyn Future<Output = Result<Response<Incoming>, TrySendError<Request<Outgoing>>>> + Send>,
>;

/// A connection and its driver.
pub(super) struct Conn1 {
    sender: http1::SendRequest<Outgoing>,
    driver: http1::Connection<TokioIo<Sipped>, Outgoing>,
    sips: Arc<AtomicBool>,
    ended: bool,
}

/// A socket that is read in small pieces while it carries a stream of events. Whatever was read ahead
/// for a caller who does not take it stays in memory, piece by piece.
struct Sipped {
    socket: Take<Socket>,
    sips: Arc<AtomicBool>,
}

/// Largest piece then, bytes: some events, and few enough of them.
const SIP: u64 = 4096;

impl AsyncRead for Sipped {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let most = if this.sips.load(Ordering::Relaxed) { SIP } else { u64::MAX };
        this.socket.set_limit(most);
        Pin::new(&mut this.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Sipped {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.get_mut().socket.get_mut()).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().socket.get_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().socket.get_mut()).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.get_mut().socket.get_mut()).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.get_ref().is_write_vectored()
    }
}

impl Conn1 {
    /// Speaks HTTP/1.1 on an open socket. Nothing is sent yet.
    pub(super) async fn new(
        socket: Socket,
        settings: &HttpSettings,
    ) -> Result<Box<Self>, TransportFault> {
        let sips = Arc::new(AtomicBool::new(false));
        let socket = Sipped { socket: socket.take(u64::MAX), sips: Arc::clone(&sips) };
        let mut builder = http1::Builder::new();
        if settings.headers_max != HEADERS_MAX {
            builder.max_headers(settings.headers_max);
        }
        let (sender, driver) = builder
            .max_header_size(settings.head_bytes_max)
            .max_buf_size(settings.buffer_bytes())
            .handshake(TokioIo::new(socket))
            .await
            .map_err(|_| TransportFault::ResetBeforeAnswer)?;
        Ok(Box::new(Self { sender, driver, sips, ended: false }))
    }

    /// Hands a request over; it leaves when the connection is driven.
    pub(super) fn send(&mut self, request: Request<Outgoing>) -> Answer {
        self.sips.store(false, Ordering::Relaxed);
        Box::pin(self.sender.try_send_request(request))
    }

    /// The answer is a stream of events: it is read as it is taken.
    pub(super) fn sip(&self) {
        self.sips.store(true, Ordering::Relaxed);
    }

    /// Reads and writes what can be; ready once the connection has ended. What went wrong reaches
    /// the answer or its body, whichever is waited for.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.ended {
            self.ended = Pin::new(&mut self.driver).poll(cx).is_ready();
        }
        if self.ended { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether another request can be sent: the last one is finished both ways, and the provider
    /// has not closed as far as this machine knows. Leaves no waker of the caller behind.
    pub(super) fn is_reusable(&mut self) -> bool {
        let _ = poll_quietly(|cx| self.drive(cx));
        !self.ended && self.sender.is_ready()
    }
}

/// Polls something whose progress comes only from [`Conn1::drive`], which holds the real waker.
/// Outside tokio's budget: with it spent, the poll would ask this waker for another turn.
pub(super) fn poll_quietly<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    let free = tokio::task::unconstrained(std::future::poll_fn(&mut poll));
    pin!(free).poll(&mut Context::from_waker(Waker::noop()))
}
