//! Connections to one destination: unused ones are kept for the next attempt, the last one first.
//!
//! Taking and giving back costs one short lock. Unused connections are looked at before use and by
//! a sweep, a task that lives only while there are any; a connection leaves after
//! [`HttpSettings::idle_max`] or when its other end has closed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Uri};
use mainstay_core::classify::TransportFault;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::body::Outgoing;
use super::connect::Resolver;
use super::gate::Gate;
use super::h1::{Answer, Conn1};
use super::h2::{Conn2, Stream2};
use super::settings::{HttpSettings, SWEEPS_A_LIFE};
use super::tls::Trust;
use crate::upstream::Destination;

/// What all destinations of one transport share.
pub(super) struct Common {
    pub(super) settings: HttpSettings,
    pub(super) trust: Trust,
    pub(super) opened: AtomicU64,
    pub(super) reused: AtomicU64,
}

/// One destination and its connections.
pub(super) struct Site {
    pub(super) destination: Arc<Destination>,
    /// Absent when the host cannot be written as one.
    names: Option<Names>,
    pub(super) common: Arc<Common>,
    /// Leave to hold an HTTP/1.1 connection, when their number is limited.
    pub(super) permits: Option<Arc<Semaphore>>,
    pub(super) gate: Gate,
    pub(super) resolver: Resolver,
    kept: Mutex<Kept>,
}

/// How requests name the destination.
struct Names {
    host: HeaderValue,
    authority: Authority,
}

/// A connection, or a part of one, in use by one attempt. Dropped, an HTTP/1.1 connection closes
/// and an HTTP/2 stream makes room.
pub(super) enum Lease {
    Whole { conn: Box<Conn1>, reused: bool, permit: Option<OwnedSemaphorePermit> },
    Part(Stream2),
}

/// The connections that another attempt may use.
#[derive(Default)]
struct Kept {
    /// Unused HTTP/1.1 connections, the last given back at the end.
    idle: VecDeque<Aged<Box<Conn1>>>,
    /// HTTP/2 connections, in use or not.
    shared: Vec<Aged<Conn2>>,
    /// Sweeps so far; ages are counted in them, so that no clock is read for an attempt.
    sweeps: u32,
    sweeping: bool,
}

/// Something and the sweep after which it was last used.
struct Aged<T> {
    it: T,
    used: u32,
}

impl Site {
    pub(super) fn new(destination: Arc<Destination>, common: Arc<Common>) -> Self {
        let permits = common.settings.connections_max.map(|max| Arc::new(Semaphore::new(max)));
        let names = Names::of(&destination);
        let gate = Gate::new(destination.tls);
        Self {
            destination,
            names,
            common,
            permits,
            gate,
            resolver: Resolver::new(),
            kept: Mutex::default(),
        }
    }

    /// Whether the destination can be named in a request at all.
    pub(super) fn is_nameable(&self) -> bool {
        self.names.is_some()
    }

    /// Names the destination in a request, as the connection's protocol wants it.
    pub(super) fn address<B>(
        &self,
        lease: &Lease,
        request: &mut Request<B>,
    ) -> Result<(), TransportFault> {
        let names = self.names.as_ref().ok_or(TransportFault::BadAddress)?;
        let path = request.uri().path_and_query().cloned();
        let mut parts = http::uri::Parts::default();
        parts.path_and_query = Some(path.unwrap_or(PathAndQuery::from_static("/")));
        match lease {
            Lease::Whole { .. } => {
                request.headers_mut().insert(HOST, names.host.clone());
            }
            Lease::Part(_) => {
                request.headers_mut().remove(HOST);
                parts.scheme = Some(Scheme::HTTPS);
                parts.authority = Some(names.authority.clone());
            }
        }
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| TransportFault::BadAddress)?;
        Ok(())
    }

    /// A connection that is there at once, or none.
    pub(super) fn take(&self) -> Option<Lease> {
        if let Some(stream) = self.take_stream() {
            return Some(stream);
        }
        let permit = match &self.permits {
            Some(permits) => Some(Arc::clone(permits).try_acquire_owned().ok()?),
            None => None,
        };
        self.take_idle(permit).ok()
    }

    /// An unused HTTP/1.1 connection that still stands; gives the leave back when there is none.
    pub(super) fn take_idle(
        &self,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Lease, Option<OwnedSemaphorePermit>> {
        loop {
            let Some(mut idle) = self.lock().idle.pop_back() else { return Err(permit) };
            if idle.it.is_reusable() {
                self.common.reused.fetch_add(1, Ordering::Relaxed);
                return Ok(Lease::Whole { conn: idle.it, reused: true, permit });
            }
        }
    }

    /// A stream of an HTTP/2 connection that has room.
    pub(super) fn take_stream(&self) -> Option<Lease> {
        let mut guard = self.lock();
        let kept = &mut *guard;
        if kept.shared.is_empty() {
            return None;
        }
        kept.shared.retain(|conn| !conn.it.is_closed());
        let sweeps = kept.sweeps;
        let stream = kept.shared.iter_mut().find_map(|conn| {
            conn.used = sweeps;
            conn.it.stream()
        })?;
        drop(guard);
        if stream.reused {
            self.common.reused.fetch_add(1, Ordering::Relaxed);
        }
        Some(Lease::Part(stream))
    }

    /// Keeps a connection whose last answer ended cleanly; closes it when it cannot serve again,
    /// when enough are kept, or outside a runtime.
    pub(super) fn give_back(self: &Arc<Self>, lease: Lease) {
        let (mut conn, permit) = match lease {
            Lease::Whole { conn, permit, .. } => (conn, permit),
            Lease::Part(_) => return,
        };
        if !conn.is_reusable() {
            return;
        }
        let mut kept = self.lock();
        if kept.idle.len() >= self.common.settings.idle_connections_max {
            return;
        }
        if self.keep_sweeping(&mut kept) {
            let used = kept.sweeps;
            kept.idle.push_back(Aged { it: conn, used });
        }
        drop(kept);
        drop(permit);
    }

    /// Keeps a new HTTP/2 connection for all and takes its first stream.
    pub(super) fn share(self: &Arc<Self>, conn: Conn2) -> Option<Lease> {
        let stream = conn.stream().map(Lease::Part);
        let mut kept = self.lock();
        if self.keep_sweeping(&mut kept) {
            let used = kept.sweeps;
            kept.shared.push(Aged { it: conn, used });
        }
        stream
    }

    /// Starts a sweep unless one runs; `false` outside a runtime.
    fn keep_sweeping(self: &Arc<Self>, kept: &mut Kept) -> bool {
        if !kept.sweeping
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            kept.sweeping = true;
            runtime.spawn(sweep(Sweeper(Arc::downgrade(self))));
        }
        kept.sweeping
    }

    /// How many unused connections are kept.
    pub(super) fn idle_connections(&self) -> usize {
        let kept = self.lock();
        kept.idle.len() + kept.shared.iter().filter(|conn| conn.it.is_idle()).count()
    }

    /// Whether no connection is kept.
    pub(super) fn is_empty(&self) -> bool {
        let kept = self.lock();
        kept.idle.is_empty() && kept.shared.is_empty()
    }

    /// Closes what is too old or closed by the other end; `false` ends the sweeping.
    fn sweep_once(&self) -> bool {
        let mut guard = self.lock();
        let kept = &mut *guard;
        kept.sweeps = kept.sweeps.wrapping_add(1);
        let sweeps = kept.sweeps;
        let is_young = |used: u32| sweeps.wrapping_sub(used) < SWEEPS_A_LIFE;
        let mut gone = Vec::new();
        for _ in 0..kept.idle.len() {
            let Some(mut conn) = kept.idle.pop_front() else { break };
            if is_young(conn.used) && conn.it.is_reusable() {
                kept.idle.push_back(conn);
            } else {
                gone.push(conn);
            }
        }
        kept.shared.retain_mut(|conn| {
            if !conn.it.is_idle() {
                conn.used = sweeps;
            }
            is_young(conn.used) && !conn.it.is_closed()
        });
        kept.sweeping = !(kept.idle.is_empty() && kept.shared.is_empty());
        let more = kept.sweeping;
        drop(guard);
        drop(gone);
        more
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Whether the connection served an earlier request.
    pub(super) fn is_reused(&self) -> bool {
        match self {
            Lease::Whole { reused, .. } => *reused,
            Lease::Part(stream) => stream.reused,
        }
    }

    /// Hands the request over. An HTTP/1.1 connection must be driven for it to leave.
    pub(super) fn send(&mut self, request: Request<Outgoing>) -> Answer {
        match self {
            Lease::Whole { conn, .. } => conn.send(request),
            Lease::Part(stream) => stream.send(request),
        }
    }
}

impl Names {
    fn of(destination: &Destination) -> Option<Self> {
        let Destination { host, port, tls, .. } = destination;
        if host.is_empty() {
            return None;
        }
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let usual = if *tls { 443 } else { 80 };
        let text = if *port == usual { host } else { format!("{host}:{port}") };
        let authority = Authority::try_from(text.as_str()).ok()?;
        Some(Self { host: HeaderValue::try_from(text).ok()?, authority })
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
