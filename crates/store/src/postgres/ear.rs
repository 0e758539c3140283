//! Hears of changes: one connection that listens to what the database tells, so that nobody has to ask
//! often whether something has changed.
//!
//! What is told while there is no connection is missed; so whoever listens is told once when there is one
//! again. A connection that died unnoticed hears nothing: who needs to know asks now and then all the same.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use mainstay_core::store::StoreError;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_postgres::AsyncMessage;

use super::address::Address;
use super::lane::{CONNECT_MAX, PAUSE_MAX, PAUSE_MIN, no_thread, spread};
use super::tls::Connector;

/// Where changes are told; what is told is the schema that has changed.
pub(super) const TELL: &str = "SELECT pg_notify('mainstay_changes', current_schema())";
const LISTEN: &str = "LISTEN mainstay_changes";

/// Called when something has changed, or may have.
pub(super) type Told = Box<dyn Fn() + Send + Sync>;

/// A thread that listens; it ends with this.
pub(super) struct Ear {
    listens: Arc<AtomicBool>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ear").field("listens", &self.listens).finish_non_exhaustive()
    }
}

impl Ear {
    /// Begins to listen.
    pub(super) fn start(address: &Arc<Address>, told: Told) -> Result<Ear, StoreError> {
        let listens = Arc::new(AtomicBool::new(false));
        let (end, mut ended) = oneshot::channel();
        let (own, state) = (Arc::clone(address), Arc::clone(&listens));
        let thread = std::thread::Builder::new().name("mainstay-changes".to_owned());
        let thread = thread.spawn(move || {
            let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(async {
                tokio::select! {
                    () = listen(&own, &told, &state) => {}
                    _ = &mut ended => {}
                }
            });
        });
        let thread = Some(thread.map_err(|error| no_thread(&error))?);
        Ok(Ear { listens, end: Some(end), thread })
    }

    /// Whether it listens at this moment, as far as it knows.
    pub(super) fn listens(&self) -> bool {
        self.listens.load(Ordering::Acquire)
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing to lose.
            let _ = thread.join();
        }
    }
}

/// Listens for ever, again after each loss of the connection.
async fn listen(address: &Address, told: &Told, listens: &AtomicBool) {
    let mut pause = PAUSE_MIN;
    loop {
        let ended = hear(address, told, listens).await;
        if listens.swap(false, Ordering::AcqRel) {
            pause = PAUSE_MIN;
        }
        tracing::debug!(server = %address, why = %ended, "changes of the store are not heard");
        sleep(spread(pause)).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Listens until the connection is lost; why it was.
async fn hear(address: &Address, told: &Told, listens: &AtomicBool) -> String {
    let connector = match Connector::new(address) {
        Ok(connector) => connector,
        Err(error) => return error.to_string(),
    };
    let (client, mut connection) =
        match timeout(CONNECT_MAX, address.config.connect(connector)).await {
            Ok(Ok(made)) => made,
            Ok(Err(error)) => return error.to_string(),
            Err(_elapsed) => return "no connection in time".to_owned(),
        };
    let (mut asked, mut late) = (pin!(client.batch_execute(LISTEN)), pin!(sleep(CONNECT_MAX)));
    let mut waits = true;
    loop {
        tokio::select! {
            done = &mut asked, if waits => {
                if let Err(error) = done {
                    return error.to_string();
                }
                waits = false;
                told();
                listens.store(true, Ordering::Release);
            }
            message = poll_fn(|cx| connection.poll_message(cx)) => match message {
                Some(Ok(AsyncMessage::Notification(news))) if news.payload() == &*address.schema => told(),
                Some(Ok(_)) => {}
                Some(Err(error)) => return error.to_string(),
                None => return "the server closed the connection".to_owned(),
            },
            () = &mut late, if waits => return "no answer in time".to_owned(),
        }
    }
}
