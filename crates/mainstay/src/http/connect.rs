//! A new connection: name, TCP, proxy, TLS, all within one time.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use mainstay_core::classify::TransportFault;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::gate::{Speaks, Turn};
use super::h1::Conn1;
use super::h2::Conn2;
use super::hitch::Hitch;
use super::pool::{Lease, Site, Whole};
use super::proxy::tunnel;
use super::socket::{Socket, Tcp};
use super::tls::is_h2;
use crate::upstream::Destination;

/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// How long found addresses serve further connections. Short: a name may move at any time.
const ADDRESSES_KEPT: Duration = Duration::from_secs(1);

/// How long one address is tried alone before the next one is tried beside it.
/// Source: RFC 8305 section 5 ("Connection Attempt Delay"), read 2026-11.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// A connection for one attempt, kept or new, within `timeout`.
pub(super) async fn obtain(site: Arc<Site>, timeout: Duration) -> Result<Lease, TransportFault> {
    if !site.is_nameable() {
        return Err(TransportFault::BadAddress);
    }
    match tokio::time::timeout(timeout, obtain_untimed(&site)).await {
        Ok(result) => result,
        Err(_) => Err(TransportFault::ConnectTimeout),
    }
}

async fn obtain_untimed(site: &Arc<Site>) -> Result<Lease, TransportFault> {
    loop {
        if let Some(lease) = site.take_stream() {
            return Ok(lease);
        }
        match site.gate.turn() {
            Turn::Single => return single(site).await.map(|(lease, _)| lease),
            Turn::Wait(opening) => opening.end().await?,
            Turn::Open(opening) => {
                let result = single(site).await;
                match &result {
                    Ok((_, speaks)) => opening.opened(*speaks),
                    Err(fault) => opening.failed(*fault),
                }
                return result.map(|(lease, _)| lease);
            }
        }
    }
}

/// Waits for leave to have one more connection, and opens it unless one has become free.
async fn single(site: &Arc<Site>) -> Result<(Lease, Speaks), TransportFault> {
    let permit = match &site.permits {
        Some(permits) => Arc::clone(permits).acquire_owned().await.ok(),
        None => None,
    };
    let permit = match site.take_idle(permit) {
        Ok(lease) => return Ok((lease, Speaks::Http1)),
        Err(permit) => permit,
    };
    let socket = open(site).await?;
    let settings = &site.common.settings;
    if let Socket::Tls(tls) = &socket
        && is_h2(tls)
    {
        let conn = Conn2::new(socket, settings).await?;
        site.common.opened.fetch_add(1, Ordering::Relaxed);
        let lease = site.share(conn).ok_or(TransportFault::ResetBeforeAnswer)?;
        return Ok((lease, Speaks::Http2));
    }
    let conn = Conn1::new(socket, settings);
    site.common.opened.fetch_add(1, Ordering::Relaxed);
    Ok((Lease::Whole(Whole { conn, reused: false, permit }), Speaks::Http1))
}

/// An open socket to the destination: TCP, through the proxy if there is one, and TLS.
async fn open(site: &Site) -> Result<Socket, TransportFault> {
    let Destination { tls, host, port, proxy, ca_file } = &*site.destination;
    let tcp = match proxy {
        Some(proxy) => {
            let mut to_proxy = tcp(&site.resolver, &proxy.host, proxy.port).await?;
            tunnel(&mut to_proxy, proxy, host, *port).await?;
            to_proxy
        }
        None => tcp(&site.resolver, host, *port).await?,
    };
    if !tls {
        return Ok(Socket::Plain(Tcp::new(tcp)));
    }
    let tls = site.common.trust.connect(host, ca_file.as_deref(), Tcp::new(tcp)).await?;
    Ok(Socket::Tls(Box::new(tls)))
}

/// A TCP connection to the first address of the name that takes it.
async fn tcp(resolver: &Resolver, host: &str, port: u16) -> Result<TcpStream, Hitch> {
    let addresses = resolver.addresses(host, port).await?;
    connected(&addresses).await
}

/// A TCP connection to the first of these addresses that takes it.
pub(super) async fn connected(addresses: &[SocketAddr]) -> Result<TcpStream, Hitch> {
    let stream = race(addresses).await?;
    // Without it small writes wait for the other end's acknowledgement; failing is no harm.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// The addresses of the one name a site connects to.
///
/// A thousand attempts that connect at once look the name up once: one asks at a time, and an
/// answer is good for [`ADDRESSES_KEPT`].
pub(super) struct Resolver {
    turn: Semaphore,
    found: Mutex<Option<(Instant, Arc<[SocketAddr]>)>>,
}

impl Resolver {
    pub(super) fn new() -> Self {
        Self { turn: Semaphore::new(1), found: Mutex::new(None) }
    }

    pub(super) async fn addresses(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Arc<[SocketAddr]>, Hitch> {
        if let Ok(address) = host.parse() {
            return Ok(Arc::new([SocketAddr::new(address, port)]));
        }
        let _turn = self.turn.acquire().await.map_err(|e| Hitch::new(TransportFault::Dns, e))?;
        if let Some(found) = self.known() {
            return Ok(found);
        }
        let found = tokio::net::lookup_host((host, port)).await;
        let found = found.map_err(|error| Hitch::new(TransportFault::Dns, error))?;
        let found: Arc<[SocketAddr]> = in_turn(found).into();
        *self.lock() = Some((Instant::now(), Arc::clone(&found)));
        Ok(found)
    }

    fn known(&self) -> Option<Arc<[SocketAddr]>> {
        let found = self.lock();
        let (since, addresses) = found.as_ref()?;
        (since.elapsed() < ADDRESSES_KEPT).then(|| Arc::clone(addresses))
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, Arc<[SocketAddr]>)>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The addresses in the resolver's order, families alternating, at most [`ADDRESSES_MAX`].
fn in_turn(found: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut first = Vec::new();
    let mut other = Vec::new();
    for address in found {
        let leads = first.first().is_none_or(|a: &SocketAddr| a.is_ipv4() == address.is_ipv4());
        if leads { first.push(address) } else { other.push(address) }
    }
    let mut other = other.into_iter();
    let mut all = Vec::new();
    for address in first {
        all.push(address);
        all.extend(other.next());
    }
    all.extend(other);
    all.truncate(ADDRESSES_MAX);
    all
}

/// Tries the addresses, a further one when all so far failed or [`NEXT_ADDRESS_AFTER`] is over;
/// the first connection wins and the others are given up.
async fn race(addresses: &[SocketAddr]) -> Result<TcpStream, Hitch> {
    let mut waiting = addresses.iter();
    let mut running: Vec<Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>> = Vec::new();
    let mut hitch = Hitch::new(TransportFault::Dns, "the name has no address");
    loop {
        match waiting.next() {
            Some(&address) => running.push(Box::pin(TcpStream::connect(address))),
            None if running.is_empty() => return Err(hitch),
            None => {}
        }
        let last = waiting.len() == 0;
        let one_ends = first_to_end(&mut running);
        let ended = if last {
            Some(one_ends.await)
        } else {
            tokio::time::timeout(NEXT_ADDRESS_AFTER, one_ends).await.ok()
        };
        match ended {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => hitch = Hitch::new(fault_of_connect(&error), error),
            None => {}
        }
    }
}

/// The result of the first to end, which is taken out.
async fn first_to_end<T>(running: &mut Vec<Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    std::future::poll_fn(|cx| {
        for index in 0..running.len() {
            if let Poll::Ready(result) = running[index].as_mut().poll(cx) {
                drop(running.swap_remove(index));
                return Poll::Ready(result);
            }
        }
        Poll::Pending
    })
    .await
}

fn fault_of_connect(error: &io::Error) -> TransportFault {
    if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset) {
        TransportFault::Refused
    } else {
        TransportFault::Unreachable
    }
}

#[cfg(test)]
mod tests;
