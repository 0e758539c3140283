//! A worker: one thread, one runtime, one listening socket, its own connections to providers.

use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::connection::{self, Host, Phase};
use crate::shared::Worker;

/// Takes connections until a stop is asked for, then waits for those in flight, within bounds.
pub(crate) async fn run(
    worker: Arc<Worker>,
    listener: StdListener,
    host: Arc<Host>,
    connections_max: usize,
    mut phase: watch::Receiver<Phase>,
) -> std::io::Result<()> {
    // The runtime has this thread alone, and it ends with the runtime.
    tokio::spawn(worker.upstream.cohort().clone().conduct());
    let listener = TcpListener::from_std(listener)?;
    let seats = u32::try_from(connections_max.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
    let room = Arc::new(Semaphore::new(seats as usize));
    let door = Door { worker: Arc::clone(&worker), host, phase: phase.clone() };
    tokio::select! {
        () = accept(&listener, &room, &door) => {}
        _ = phase.wait_for(|phase| *phase >= Phase::Stopping) => {}
    }
    take_waiting(&listener, &room, &door).await;
    drop(listener);
    let stop_time = worker.shared.settings().bounds.stop_time;
    let empty = timeout(stop_time, room.acquire_many(seats));
    tokio::select! {
        _ = empty => {}
        _ = phase.wait_for(|phase| *phase == Phase::Cut) => {}
    }
    Ok(())
}

struct Door {
    worker: Arc<Worker>,
    host: Arc<Host>,
    phase: watch::Receiver<Phase>,
}

impl Door {
    fn open(&self, stream: TcpStream, seat: OwnedSemaphorePermit) {
        let (worker, host, phase) =
            (Arc::clone(&self.worker), Arc::clone(&self.host), self.phase.clone());
        self.worker.upstream.cohort().spawn(connection::serve(stream, host, worker, phase, seat));
    }
}

/// Accepts for ever. When all seats are taken, callers wait in the socket's queue.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>, door: &Door) {
    const REST_MIN: Duration = Duration::from_millis(10);
    const REST_MAX: Duration = Duration::from_secs(1);
    let mut rest = REST_MIN;
    loop {
        let Ok(seat) = Arc::clone(room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                rest = REST_MIN;
                door.open(stream, seat);
            }
            Err(error) if gone_already(&error) => {}
            Err(error) => {
                // Out of file descriptors or memory: trying again at once would only burn the core.
                tracing::warn!(%error, rest_ms = rest.as_millis(), "could not accept a connection");
                sleep(rest).await;
                rest = (rest * 2).min(REST_MAX);
            }
        }
    }
}

fn gone_already(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

/// Connections that were made before the stop and wait to be accepted get their answer too.
async fn take_waiting(listener: &TcpListener, room: &Arc<Semaphore>, door: &Door) {
    while let Ok(seat) = Arc::clone(room).try_acquire_owned() {
        let next = std::future::poll_fn(|cx| match listener.poll_accept(cx) {
            Poll::Ready(Ok((stream, _))) => Poll::Ready(Some(stream)),
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Ready(None),
        });
        let Some(stream) = next.await else { return };
        door.open(stream, seat);
    }
}
