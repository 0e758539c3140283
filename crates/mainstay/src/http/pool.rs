//! Connections to one destination: unused ones are kept for the next attempt, the last one first.
//!
//! Taking and giving back costs one short lock. Unused connections are looked at before use and by
//! a sweep, a task that lives only while there are any; a connection leaves after
//! [`HttpSettings::idle_max`] or when its other end has closed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Uri};
use mainstay_core::classify::TransportFault;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::body::{Framed, Outbound, Outgoing};
use super::connect::Resolver;
use super::gate::Gate;
use super::h1::Conn1;
use super::h2::{Conn2, Stream2};
use super::settings::{HttpSettings, SWEEPS_A_LIFE};
use super::tls::Trust;
use crate::cohort::Cohort;
use crate::upstream::Destination;

/// What all destinations of one transport share.
pub(super) struct Common {
    pub(super) settings: HttpSettings,
    pub(super) trust: Trust,
    pub(super) opened: AtomicU64,
    pub(super) reused: AtomicU64,
    /// The calls of this transport.
    pub(super) cohort: Cohort,
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
pub(super) struct Names {
    /// As HTTP/1.1 does.
    pub(super) host: HeaderValue,
    authority: Authority,
}

/// A connection, or a part of one, in use by one attempt. Dropped, an HTTP/1.1 connection closes
/// and an HTTP/2 stream makes room.
pub(super) enum Lease {
    Whole(Whole),
    Part(Stream2),
}

/// An HTTP/1.1 connection in use.
pub(super) struct Whole {
    pub(super) conn: Box<Conn1>,
    pub(super) reused: bool,
    pub(super) permit: Option<OwnedSemaphorePermit>,
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

    /// How requests name the destination.
    ///
    /// # Errors
    ///
    /// It cannot be named.
    pub(super) fn names(&self) -> Result<&Names, TransportFault> {
        self.names.as_ref().ok_or(TransportFault::BadAddress)
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
                return Ok(Lease::Whole(Whole { conn: idle.it, reused: true, permit }));
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
    pub(super) fn give_back(self: &Arc<Self>, whole: Whole) {
        let Whole { mut conn, permit, reused: _ } = whole;
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
            Lease::Whole(whole) => whole.reused,
            Lease::Part(stream) => stream.reused,
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

    /// The request as HTTP/2 names its destination and frames its body.
    pub(super) fn part(&self, outbound: Outbound) -> Result<Request<Outgoing>, TransportFault> {
        let Outbound { method, path, headers, body } = outbound;
        let mut headers = headers.to_map();
        for name in [HOST, TRANSFER_ENCODING, CONNECTION, UPGRADE] {
            headers.remove(name);
        }
        match body.framed(&method) {
            Framed::Length(length) => headers.insert(CONTENT_LENGTH, HeaderValue::from(length)),
            Framed::Nothing | Framed::Chunks => headers.remove(CONTENT_LENGTH),
        };
        let mut parts = http::uri::Parts::default();
        parts.path_and_query = Some(path);
        parts.scheme = Some(Scheme::HTTPS);
        parts.authority = Some(self.authority.clone());
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| TransportFault::BadAddress)?;
        *request.headers_mut() = headers;
        Ok(request)
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
