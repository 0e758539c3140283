//! Who opens a connection when the other end may speak HTTP/2: one attempt, the others wait for it.
//!
//! A thousand attempts that begin at once need one connection if the other end speaks HTTP/2 and a
//! thousand if it does not, which only the first connection tells. While it is being opened the
//! others wait, within their own connect timeouts; if it fails, they fail with it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mainstay_core::classify::TransportFault;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Order among those who need a connection.
pub(super) struct Gate {
    state: Mutex<State>,
    opened: Notify,
}

struct State {
    speaks: Speaks,
    opening: bool,
    /// How many openings have ended, and how the last one did.
    rounds: u64,
    failed: Option<TransportFault>,
}

/// What the other end chose last.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    Unknown,
    Http1,
    Http2,
}

/// What one who needs a connection is to do.
pub(super) enum Turn<'a> {
    /// Open one for itself alone.
    Single,
    /// Open one for all, and tell.
    Open(Opening<'a>),
    /// Wait for the one who does, then ask again.
    Wait(Waiting<'a>),
}

impl Gate {
    /// Without TLS there is no choice of protocol.
    pub(super) fn new(tls: bool) -> Self {
        let speaks = if tls { Speaks::Unknown } else { Speaks::Http1 };
        let state = State { speaks, opening: false, rounds: 0, failed: None };
        Self { state: Mutex::new(state), opened: Notify::new() }
    }

    pub(super) fn turn(&self) -> Turn<'_> {
        let mut state = self.lock();
        if state.speaks == Speaks::Http1 {
            return Turn::Single;
        }
        if state.opening {
            // Made before the lock is left, so that an end in between is not missed.
            let notified = self.opened.notified();
            return Turn::Wait(Waiting { gate: self, notified, rounds: state.rounds });
        }
        state.opening = true;
        Turn::Open(Opening { gate: self, failed: None })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The duty to open a connection for all. Dropped without a word, somebody else gets it.
pub(super) struct Opening<'a> {
    gate: &'a Gate,
    failed: Option<TransportFault>,
}

impl Opening<'_> {
    /// The connection is there and kept.
    pub(super) fn opened(self, speaks: Speaks) {
        self.gate.lock().speaks = speaks;
    }

    /// There is none, and those who wait need not try the same.
    pub(super) fn failed(mut self, fault: TransportFault) {
        self.failed = Some(fault);
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.opening = false;
        state.rounds += 1;
        state.failed = self.failed;
        drop(state);
        self.gate.opened.notify_waiters();
    }
}

/// Somebody else's opening.
pub(super) struct Waiting<'a> {
    gate: &'a Gate,
    notified: Notified<'a>,
    rounds: u64,
}

impl Waiting<'_> {
    /// Waits for its end; fails as it failed.
    pub(super) async fn end(self) -> Result<(), TransportFault> {
        self.notified.await;
        let state = self.gate.lock();
        // A later round's result is not this one's: ask again.
        let failed = state.failed.filter(|_| state.rounds == self.rounds + 1);
        failed.map_or(Ok(()), Err)
    }
}
