//! Connections to one destination: unused ones are kept for the next attempt, the last one first.
//!
//! Taking and giving back costs one short lock. Unused connections are looked at before use and by
//! a sweep, a task that lives only while there are any; a connection leaves after
//! [`HttpSettings::idle_max`] or when its other end has closed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Request};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::h1::Conn1;
use super::settings::{HttpSettings, SWEEPS_A_LIFE};
use crate::fault::TransportFault;
use crate::upstream::Destination;

/// What all destinations of one transport share.
pub(super) struct Common {
    pub(super) settings: HttpSettings,
    pub(super) opened: AtomicU64,
    pub(super) reused: AtomicU64,
}

/// One destination and its connections.
pub(super) struct Site {
    pub(super) destination: Arc<Destination>,
    /// Absent when the host cannot be written as one.
    pub(super) names: Option<Names>,
    pub(super) common: Arc<Common>,
    /// Leave to hold an HTTP/1.1 connection, when their number is limited.
    pub(super) permits: Option<Arc<Semaphore>>,
    idle: Mutex<IdleStack>,
}

/// How requests name the destination.
pub(super) struct Names {
    pub(super) host: HeaderValue,
}

/// A connection in use by one attempt. Dropped, it closes.
pub(super) struct Lease {
    pub(super) conn: Box<Conn1>,
    pub(super) reused: bool,
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

#[derive(Default)]
struct IdleStack {
    /// Last given back at the end.
    conns: VecDeque<Idle>,
    /// Sweeps so far; ages are counted in them, so that no clock is read for an attempt.
    sweeps: u32,
    sweeping: bool,
}

struct Idle {
    conn: Box<Conn1>,
    since_sweep: u32,
}

impl Site {
    pub(super) fn new(destination: Arc<Destination>, common: Arc<Common>) -> Self {
        let permits = common.settings.connections_max.map(|max| Arc::new(Semaphore::new(max)));
        let names = Names::of(&destination);
        Self { destination, names, common, permits, idle: Mutex::default() }
    }

    /// Names the destination in a request for HTTP/1.1: path only, and a `host`.
    pub(super) fn address<B>(&self, request: &mut Request<B>) -> Result<(), TransportFault> {
        let names = self.names.as_ref().ok_or(TransportFault::Dns)?;
        request.headers_mut().insert(HOST, names.host.clone());
        Ok(())
    }

    /// An unused connection that still stands, at once, or none.
    pub(super) fn take_idle(&self) -> Option<Lease> {
        let permit = match &self.permits {
            Some(permits) => Some(Arc::clone(permits).try_acquire_owned().ok()?),
            None => None,
        };
        self.take_idle_with(permit).ok()
    }

    /// As [`Site::take_idle`], with leave already given; gives it back when there is none.
    pub(super) fn take_idle_with(
        &self,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Lease, Option<OwnedSemaphorePermit>> {
        loop {
            let Some(idle) = self.lock().conns.pop_back() else { return Err(permit) };
            let mut conn = idle.conn;
            if conn.is_reusable() {
                self.common.reused.fetch_add(1, Ordering::Relaxed);
                return Ok(Lease { conn, reused: true, permit });
            }
        }
    }

    /// Keeps a connection whose last answer ended cleanly; closes it when it cannot serve again,
    /// when enough are kept, or outside a runtime.
    pub(super) fn give_back(self: &Arc<Self>, lease: Lease) {
        let Lease { mut conn, permit, .. } = lease;
        if !conn.is_reusable() {
            return;
        }
        let mut idle = self.lock();
        if idle.conns.len() >= self.common.settings.idle_connections_max {
            return;
        }
        if !idle.sweeping {
            let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
            idle.sweeping = true;
            runtime.spawn(sweep(Sweeper(Arc::downgrade(self))));
        }
        let since_sweep = idle.sweeps;
        idle.conns.push_back(Idle { conn, since_sweep });
        drop(idle);
        drop(permit);
    }

    /// How many unused connections are kept.
    pub(super) fn idle_connections(&self) -> usize {
        self.lock().conns.len()
    }

    /// Closes what is too old or closed by the other end; `false` ends the sweeping.
    fn sweep_once(&self) -> bool {
        let mut gone = Vec::new();
        let mut guard = self.lock();
        let idle = &mut *guard;
        idle.sweeps = idle.sweeps.wrapping_add(1);
        for _ in 0..idle.conns.len() {
            let Some(mut one) = idle.conns.pop_front() else { break };
            let young = idle.sweeps.wrapping_sub(one.since_sweep) < SWEEPS_A_LIFE;
            if young && one.conn.is_reusable() {
                idle.conns.push_back(one);
            } else {
                gone.push(one);
            }
        }
        idle.sweeping = !idle.conns.is_empty();
        let more = idle.sweeping;
        drop(guard);
        drop(gone);
        more
    }

    fn lock(&self) -> MutexGuard<'_, IdleStack> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Names {
    fn of(destination: &Destination) -> Option<Self> {
        let Destination { host, port, tls, .. } = destination;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let usual = if *tls { 443 } else { 80 };
        let text = if *port == usual { host } else { format!("{host}:{port}") };
        Authority::try_from(text.as_str()).ok()?;
        Some(Self { host: HeaderValue::try_from(text).ok()? })
    }
}

/// Notices when its task is dropped with the runtime, so that another one is started later.
struct Sweeper(Weak<Site>);

impl Drop for Sweeper {
    fn drop(&mut self) {
        if let Some(site) = self.0.upgrade() {
            site.lock().sweeping = false;
        }
    }
}

async fn sweep(mut sweeper: Sweeper) {
    loop {
        let Some(every) = sweeper.0.upgrade().map(|site| site.common.settings.sweep_every()) else {
            return;
        };
        tokio::time::sleep(every).await;
        let more = sweeper.0.upgrade().is_some_and(|site| site.sweep_once());
        if !more {
            // A new sweeper may be at work already: this one's end says nothing.
            sweeper.0 = Weak::new();
            return;
        }
    }
}
