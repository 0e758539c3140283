//! One connection: HTTP as long as answers are sound, raw bytes once one is not.

use crate::provider::answer::Step;
use crate::serve::World;
use crate::serve::exchange;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long a connection may be idle, or take to send a head.
const IDLE_MAX: Duration = Duration::from_mins(10);

/// How long the client's bytes are read after our end was closed, so that FIN does not become RST.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// How an exchange tells its connection to do what HTTP does not allow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Takeover(Arc<Mutex<Wish>>);

#[derive(Debug, Default)]
struct Wish {
    raw: Option<Raw>,
    close: bool,
}

/// Raw steps, and what is to be dropped when they are done.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) steps: Vec<Step>,
    pub(crate) guard: Option<exchange::Place>,
}

impl Takeover {
    /// Asks the connection to stop speaking HTTP and do this.
    pub(crate) fn ask(&self, raw: Raw) {
        self.wish().raw = Some(raw);
    }

    /// Asks the connection to end after the answer that is being written.
    pub(crate) fn close(&self) {
        self.wish().close = true;
    }

    fn wish(&self) -> MutexGuard<'_, Wish> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves a connection to its end.
pub(crate) async fn serve(stream: TcpStream, world: Arc<World>) {
    // Without it small events wait for acknowledgements; a socket that refuses it still works.
    let _ = stream.set_nodelay(true);
    let takeover = Takeover::default();
    let service = {
        let takeover = takeover.clone();
        service_fn(move |request| exchange::answer(request, Arc::clone(&world), takeover.clone()))
    };
    let mut http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_MAX)
        // Heads and bodies are small here: copied into one buffer they cost less than a list of them.
        .writev(false)
        .serve_connection(TokioIo::new(stream), service);
    let raw = poll_fn(|context| {
        let mut polled = Pin::new(&mut http).poll(context);
        let wish = std::mem::take(&mut *takeover.wish());
        if wish.close && polled.is_pending() {
            Pin::new(&mut http).graceful_shutdown();
            polled = Pin::new(&mut http).poll(context);
        }
        match (wish.raw, polled) {
            (Some(raw), _) => Poll::Ready(Some(raw)),
            (None, Poll::Ready(_)) => Poll::Ready(None),
            (None, Poll::Pending) => Poll::Pending,
        }
    })
    .await;
    if let Some(raw) = raw {
        let stream = http.into_parts().io.into_inner();
        play(stream, raw).await;
    }
}

/// Does raw steps; the last one ends the connection.
async fn play(mut stream: TcpStream, mut raw: Raw) {
    let mut to_the_end = true;
    for step in std::mem::take(&mut raw.steps) {
        match step {
            Step::Send(bytes) => to_the_end &= stream.write_all(&bytes).await.is_ok(),
            Step::Wait(wait) => to_the_end &= wait_unless_left(&mut stream, wait).await,
            Step::Finish => finish(&mut stream).await,
            Step::Reset => reset(&stream),
        }
        if !to_the_end {
            break;
        }
    }
    if let Some(place) = &mut raw.guard {
        place.done = to_the_end;
    }
}

/// Waits; false if the client left meanwhile.
async fn wait_unless_left(stream: &mut TcpStream, wait: Duration) -> bool {
    let mut scrap = [0; 1_024];
    let left = async { while let Ok(1..) = stream.read(&mut scrap).await {} };
    tokio::select! {
        biased;
        () = tokio::time::sleep(wait) => true,
        () = left => false,
    }
}

async fn finish(stream: &mut TcpStream) {
    if stream.shutdown().await.is_ok() {
        wait_unless_left(stream, DRAIN_MAX).await;
    }
}

/// Makes the close that follows a reset: nothing lingers, the client sees RST.
fn reset(stream: &TcpStream) {
    let socket = socket2::SockRef::from(stream);
    if let Err(error) = socket.set_linger(Some(Duration::ZERO)) {
        tracing::warn!(%error, "could not turn a close into a reset");
    }
}
