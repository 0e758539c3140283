//! The simulator on a real port.

mod connection;
mod control;
mod exchange;
mod paced_body;

use crate::provider::desk::Desk;
use crate::scenario::Scenario;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// The most connections at once; later ones wait in the listening socket.
const CONNECTIONS_MAX: usize = 16_384;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4_096;

/// Where to listen and what to play.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// Address and port; port 0 lets the system choose. Default `127.0.0.1:9911`.
    pub listen: SocketAddr,
    /// Default: a provider without limits and faults.
    pub scenario: Scenario,
}

impl Default for SimConfig {
    fn default() -> SimConfig {
        SimConfig { listen: (Ipv4Addr::LOCALHOST, 9911).into(), scenario: Scenario::default() }
    }
}

/// Why a simulator could not start.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The address cannot be listened on.
    #[error(
        "could not listen on {listen}: {source}\n  fix: choose another address, or port 0 for any free one"
    )]
    Listen {
        /// The address asked for.
        listen: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// A running simulator. Dropping it stops it.
#[derive(Debug)]
pub struct Sim {
    addr: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Sim {
    /// Starts to listen, on the tokio runtime it is called in.
    ///
    /// # Errors
    ///
    /// [`SimError::Listen`] if the port is taken or the address is not this machine's.
    #[expect(clippy::unused_async, reason = "it must be called inside a runtime, and so it reads")]
    pub async fn start(config: SimConfig) -> Result<Sim, SimError> {
        let failed = |source| SimError::Listen { listen: config.listen, source };
        let listener = listen(config.listen).map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let world = Arc::new(World::new(config.scenario));
        let accepting = tokio::spawn(accept(listener, addr, world));
        Ok(Sim { addr, accepting })
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What a client takes as its base URL: `http://127.0.0.1:9911/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// Stops listening and cuts all connections.
    pub async fn stop(mut self) {
        self.accepting.abort();
        // The only error is that the task was cancelled, which is what was asked for.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct World {
    play: Mutex<Playing>,
    /// Rings when another scenario begins.
    changed: Notify,
}

/// A scenario being played.
#[derive(Debug)]
pub(crate) struct Playing {
    pub(crate) desk: Desk,
    began: Instant,
    /// How many scenarios came before: a call that began in one of them is none of this one's.
    pub(crate) round: u64,
}

impl World {
    fn new(scenario: Scenario) -> World {
        let play =
            Mutex::new(Playing { desk: Desk::new(scenario), began: Instant::now(), round: 0 });
        World { play, changed: Notify::new() }
    }

    /// The scenario being played and the time since it began. A panic elsewhere leaves counts, at
    /// worst, one off: the lock is used all the same.
    pub(crate) fn lock(&self) -> (MutexGuard<'_, Playing>, Duration) {
        let play = self.play.lock().unwrap_or_else(PoisonError::into_inner);
        let now = play.began.elapsed();
        (play, now)
    }

    /// Begins a scenario: counts, limits, dice and clock start anew.
    pub(crate) fn begin(&self, scenario: Scenario) {
        let (mut play, _) = self.lock();
        let in_flight = play.desk.stats.in_flight;
        let round = play.round + 1;
        *play = Playing { desk: Desk::new(scenario), began: Instant::now(), round };
        drop(play);
        tracing::debug!(in_flight, "a scenario begins");
        self.changed.notify_one();
    }

    /// When connections are refused next: since or until when, and until when.
    fn next_refusal(&self) -> Option<(Instant, Instant)> {
        let (play, now) = self.lock();
        let coming = play.desk.scenario().refusals().filter(|(_, to)| *to > now).min()?;
        Some((play.began + coming.0, play.began + coming.1))
    }
}

impl Playing {
    /// Whether connections are being refused.
    pub(crate) fn is_refusing(&self, now: Duration) -> bool {
        self.desk.scenario().refusals().any(|(from, to)| (from..to).contains(&now))
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// Accepts until aborted; while connections are to be refused there is no listening socket.
async fn accept(mut listener: TcpListener, addr: SocketAddr, world: Arc<World>) {
    let mut connections = JoinSet::new();
    loop {
        let refusal = world.next_refusal();
        let from = refusal.map_or_else(far_away, |(from, _)| from);
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(from) => {
                drop(listener);
                listener = refuse_until_over(addr, &world).await;
            }
            () = world.changed.notified() => {}
            _ = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    world.lock().0.desk.stats.connections += 1;
                    connections.spawn(connection::serve(stream, Arc::clone(&world)));
                }
                Err(error) => {
                    // Out of file descriptors, mostly; trying at once again would burn a core.
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
}

fn far_away() -> Instant {
    Instant::now() + Duration::from_hours(24)
}

/// Waits without a listening socket until connections are accepted again.
async fn refuse_until_over(addr: SocketAddr, world: &World) -> TcpListener {
    loop {
        match world.next_refusal() {
            Some((from, to)) if from <= Instant::now() => {
                tokio::select! {
                    () = tokio::time::sleep_until(to) => {}
                    () = world.changed.notified() => {}
                }
            }
            Some(_) | None => match listen(addr) {
                Ok(listener) => return listener,
                Err(error) => {
                    tracing::warn!(%error, %addr, "could not listen again");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
}
