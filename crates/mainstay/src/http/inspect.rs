//! The way to a destination, stage by stage, by the very code that connects calls: what doctor
//! looks at.

use std::net::SocketAddr;
use std::time::Duration;

use mainstay_core::classify::TransportFault;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::HttpUpstream;
use super::certificate::Certificate;
use super::connect::{Resolver, connected};
use super::hitch::Hitch;
use super::proxy::tunnel;
use super::socket::Tcp;
use super::tls::is_h2;
use crate::upstream::Destination;

/// One stage: what came of it and how long it took.
#[derive(Clone, Debug)]
pub struct Stage<T> {
    /// What came of it.
    pub result: Result<T, Hitch>,
    /// How long it took.
    pub took: Duration,
}

/// The stages to a destination, or to its proxy for the first two. Stages behind one that failed
/// are absent, as are those that are not needed.
#[derive(Clone, Debug)]
pub struct Way {
    /// The addresses of the host, or of the proxy.
    pub dns: Stage<Vec<SocketAddr>>,
    /// The address that took the connection.
    pub tcp: Option<Stage<SocketAddr>>,
    /// The proxy's tunnel.
    pub tunnel: Option<Stage<()>>,
    /// TLS with the provider.
    pub tls: Option<TlsSeen>,
}

/// What was seen of TLS.
#[derive(Clone, Debug)]
pub struct TlsSeen {
    /// Whether HTTP/2 was agreed on.
    pub stage: Stage<bool>,
    /// The chain as it was shown, the server's own certificate first; also when it is not trusted.
    pub chain: Vec<Certificate>,
}

impl HttpUpstream {
    /// Goes to a destination stage by stage, each within `limit`, and closes the connection. Sends
    /// nothing over it.
    pub async fn inspect(&self, destination: &Destination, limit: Duration) -> Way {
        let Destination { tls, host, port, proxy, ca_file } = destination;
        let (first_host, first_port) = match proxy {
            Some(proxy) => (&proxy.host, proxy.port),
            None => (host, *port),
        };
        let resolver = Resolver::new();
        let addresses = resolver.addresses(first_host, first_port);
        let dns = stage(limit, TransportFault::Dns, addresses).await;
        let mut way = Way {
            dns: Stage { result: dns.result.map(|found| found.to_vec()), took: dns.took },
            tcp: None,
            tunnel: None,
            tls: None,
        };
        let Ok(addresses) = &way.dns.result else { return way };
        let Stage { result, took } =
            stage(limit, TransportFault::ConnectTimeout, connected(addresses)).await;
        let (result, mut tcp) = match result {
            Ok(tcp) => (peer(&tcp), Some(tcp)),
            Err(hitch) => (Err(hitch), None),
        };
        way.tcp = Some(Stage { result, took });
        if let (Some(proxy), Some(to_proxy)) = (proxy, &mut tcp) {
            let asked = tunnel(to_proxy, proxy, host, *port);
            let asked = stage(limit, TransportFault::ProxyRefused, asked).await;
            if asked.result.is_err() {
                tcp = None;
            }
            way.tunnel = Some(asked);
        }
        if let (true, Some(tcp)) = (*tls, tcp) {
            way.tls = Some(self.look(host, ca_file.as_deref(), tcp, limit).await);
        }
        way
    }

    async fn look(
        &self,
        host: &str,
        ca_file: Option<&std::path::Path>,
        tcp: TcpStream,
        limit: Duration,
    ) -> TlsSeen {
        let start = Instant::now();
        let looked = timeout(limit, self.common.trust.look(host, ca_file, Tcp::new(tcp))).await;
        let (chain, result) =
            looked.unwrap_or_else(|_| (Vec::new(), Err(too_slow(TransportFault::TlsOther, limit))));
        let chain = chain.iter().filter_map(|one| Certificate::read(one)).collect();
        let result = result.map(|stream| is_h2(&stream));
        TlsSeen { stage: Stage { result, took: start.elapsed() }, chain }
    }
}

async fn stage<T>(
    limit: Duration,
    slow: TransportFault,
    work: impl Future<Output = Result<T, Hitch>>,
) -> Stage<T> {
    let start = Instant::now();
    let result = timeout(limit, work).await.unwrap_or_else(|_| Err(too_slow(slow, limit)));
    Stage { result, took: start.elapsed() }
}

fn too_slow(fault: TransportFault, limit: Duration) -> Hitch {
    Hitch::new(fault, format_args!("nothing came of it in {} s", limit.as_secs_f32()))
}

fn peer(tcp: &TcpStream) -> Result<SocketAddr, Hitch> {
    tcp.peer_addr().map_err(|error| Hitch::new(TransportFault::Unreachable, error))
}
