//! A way to the server: a thread with one connection, which does what it is asked, one piece of work
//! after the other. Whoever asks waits, at most until his deadline, whatever the server does.
//!
//! The connection is made at first use and again when it was lost. While the server is away, asking
//! fails at once, but for one try to reach it every so often.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use mainstay_core::store::StoreError;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, timeout};
use tokio_postgres::Client;

use super::address::Address;
use super::fault::{Fault, late, told};
use super::session::{Connection, Session};
use super::tls::Connector;

/// Pieces of work that may wait for a lane; who comes with one more is refused at once.
const QUEUE_MAX: usize = 1_024;
/// How long making a connection may take, sign-in included.
pub(super) const CONNECT_MAX: Duration = Duration::from_secs(3);
/// How long after its deadline somebody still waits for a lane to say so itself.
const GRACE: Duration = Duration::from_millis(100);
/// Pause after the first try that failed; it doubles with each further one.
pub(super) const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause between tries.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What every connection is set to. The server gives up on its own: a statement whose caller is gone
/// must not hold a lock, and who waits for a lock is told so before his own deadline comes.
const SETTINGS: &str = "
SET statement_timeout = '35s';
SET lock_timeout = '4s';
SET idle_in_transaction_session_timeout = '60s';
SET client_min_messages = 'warning';
SET search_path TO ";

/// What is done with a connection, or with the reason why there is none.
type Work = Box<dyn FnOnce(Result<&Session<'_>, StoreError>) + Send>;

struct Job {
    until: Instant,
    work: Work,
}

/// A thread with a connection.
pub(crate) struct Lane {
    address: Arc<Address>,
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Lane {
    /// Starts the thread. Nothing is connected yet.
    pub(super) fn start(name: &str, address: &Arc<Address>) -> Result<Lane, StoreError> {
        let (jobs, inbox) = sync_channel(QUEUE_MAX);
        let own = Arc::clone(address);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(own, &inbox))
            .map_err(|error| no_thread(&error))?;
        Ok(Lane { address: Arc::clone(address), jobs: Some(jobs), thread: Some(thread) })
    }

    /// Does `work` on the lane's thread and waits for what comes of it, at most `limit`. Work whose
    /// time is over before it begins is not begun.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        what: &'static str,
        limit: Duration,
        work: impl FnOnce(&Session<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = sync_channel(1);
        let address = Arc::clone(&self.address);
        let until = Instant::now() + limit;
        let job = Job {
            until,
            work: Box::new(move |session| {
                let done = match session {
                    Ok(session) => work(session).map_err(|fault| fault.told(what, &address, limit)),
                    Err(error) => Err(renamed(error, what)),
                };
                // Nobody waits any more: the deadline is over.
                let _ = reply.send(done);
            }),
        };
        let jobs = self.jobs.as_ref().ok_or_else(|| gone(what))?;
        match jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(self.full(what)),
            Err(TrySendError::Disconnected(_)) => return Err(gone(what)),
        }
        match answer.recv_timeout(limit + GRACE) {
            Ok(done) => done,
            Err(RecvTimeoutError::Timeout) => Err(late(what, &self.address, limit)),
            Err(RecvTimeoutError::Disconnected) if Instant::now() >= until => {
                Err(late(what, &self.address, limit))
            }
            Err(RecvTimeoutError::Disconnected) => Err(gone(what)),
        }
    }

    fn full(&self, what: &str) -> StoreError {
        let address = &self.address;
        StoreError::Surroundings {
            what: what.to_owned(),
            why: format!(
                "{QUEUE_MAX} questions to PostgreSQL at {address} wait already, as many as may"
            ),
            fix: format!("see why {address} answers slowly"),
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been answered by `gone` already.
            let _ = thread.join();
        }
    }
}

fn gone(what: &str) -> StoreError {
    StoreError::Surroundings {
        what: what.to_owned(),
        why: "the store's thread has ended".to_owned(),
        fix: "restart; if it happens again, report it with the log".to_owned(),
    }
}

pub(super) fn no_thread(error: &std::io::Error) -> StoreError {
    StoreError::Surroundings {
        what: "start the store's thread".to_owned(),
        why: error.to_string(),
        fix: "raise the limit on threads or processes".to_owned(),
    }
}

/// The same trouble, met by somebody else.
fn renamed(error: StoreError, what: &str) -> StoreError {
    if let StoreError::Surroundings { what: _, why, fix } = error {
        return StoreError::Surroundings { what: what.to_owned(), why, fix };
    }
    error
}

fn run(address: Arc<Address>, inbox: &Receiver<Job>) {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            for job in inbox {
                (job.work)(Err(no_thread(&error)));
            }
            return;
        }
    };
    let mut keeper = Keeper { address, runtime, connection: None, away: None };
    for Job { until, work } in inbox {
        if Instant::now() >= until {
            continue;
        }
        match keeper.connected() {
            Ok(()) => {}
            Err(error) => {
                work(Err(error));
                continue;
            }
        }
        if let Some(connection) = &keeper.connection {
            work(Ok(&Session::new(&keeper.runtime, connection, until)));
        }
    }
}

/// Keeps a connection.
struct Keeper {
    address: Arc<Address>,
    runtime: Runtime,
    connection: Option<Connection>,
    away: Option<Away>,
}

/// The server is not reached.
struct Away {
    /// It is tried again then.
    again: Instant,
    pause: Duration,
    error: StoreError,
}

impl Keeper {
    /// Sees to it that there is a connection.
    fn connected(&mut self) -> Result<(), StoreError> {
        if let Some(connection) = &self.connection {
            self.runtime.block_on(glance());
            if !connection.is_over() {
                return Ok(());
            }
            tracing::debug!(server = %self.address, "the connection to PostgreSQL is over");
            self.connection = None;
        }
        if let Some(away) = self.away.as_ref().filter(|away| Instant::now() < away.again) {
            return Err(away.error.clone());
        }
        match self.connect() {
            Ok(connection) => {
                self.connection = Some(connection);
                if self.away.take().is_some() {
                    tracing::info!(server = %self.address, "PostgreSQL answers again");
                }
                Ok(())
            }
            Err(error) => {
                let pause =
                    self.away.as_ref().map_or(PAUSE_MIN, |away| away.pause * 2).min(PAUSE_MAX);
                if self.away.is_none() {
                    tracing::warn!(server = %self.address, %error, "PostgreSQL is not reached");
                }
                let again = Instant::now() + spread(pause);
                self.away = Some(Away { again, pause, error: error.clone() });
                Err(error)
            }
        }
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        const WHAT: &str = "reach the store";
        let connector =
            Connector::new(&self.address).map_err(|error| StoreError::Surroundings {
                what: WHAT.to_owned(),
                why: error.to_string(),
                fix: "correct `sslrootcert` and `sslmode` in `store.url`".to_owned(),
            })?;
        let address = Arc::clone(&self.address);
        let made =
            self.runtime.block_on(async { timeout(CONNECT_MAX, reach(&address, connector)).await });
        match made {
            Ok(Ok(client)) => Ok(Connection::new(client)),
            Ok(Err(error)) => Err(told(&error, WHAT, &self.address)),
            Err(_elapsed) => Err(late(WHAT, &self.address, CONNECT_MAX)),
        }
    }
}

/// Lets the server notice soon that who asked has gone. Servers before PostgreSQL 14 and on some
/// systems cannot.
const NOTICE: &str = "SELECT set_config(name, '2s', false) FROM pg_settings
    WHERE name = 'client_connection_check_interval'";

async fn reach(address: &Address, connector: Connector) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = address.config.connect(connector).await?;
    tokio::spawn(async move {
        // What went wrong is told to who waits for an answer.
        let _ = connection.await;
    });
    client.batch_execute(&format!("{SETTINGS}{}", address.schema)).await?;
    // Without it an abandoned statement ends by its own time limit.
    let _ = client.batch_execute(NOTICE).await;
    Ok(client)
}

/// Lets the connection notice what came meanwhile: that the server has closed it, above all.
async fn glance() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

/// Half of a pause and up to as much again, so that many gateways do not come back at once.
pub(super) fn spread(pause: Duration) -> Duration {
    let mut byte = [0_u8; 1];
    let share = if getrandom::fill(&mut byte).is_ok() { u32::from(byte[0]) } else { 128 };
    pause / 2 + pause * share / 512
}
