//! A certificate authority for tests, and servers with certificates of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use mainstay::upstream::Destination;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// An authority, its certificate in a file.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    key: KeyPair,
    pub(crate) file: tempfile::NamedTempFile,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("params");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), certificate.pem()).expect("written");
        let copy = KeyPair::from_pem(&key.serialize_pem()).expect("the same key");
        Self {
            issuer: Issuer::new(params, key),
            certificate: certificate.der().clone(),
            key: copy,
            file,
        }
    }

    /// A server's side for this name, which agrees to the first of `alpn` the client knows.
    pub(crate) fn acceptor(&self, name: &str, alpn: &[&str]) -> TlsAcceptor {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("params");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        acceptor(certificate.der().clone(), &key, alpn)
    }

    /// A server that shows the authority's own certificate as its own.
    pub(crate) fn acceptor_self_signed(&self) -> TlsAcceptor {
        acceptor(self.certificate.clone(), &self.key, &[])
    }

    /// A destination that trusts this authority.
    pub(crate) fn to(&self, host: &str, address: SocketAddr) -> Arc<Destination> {
        tls_to(host, address, Some(self.file.path().to_owned()))
    }
}

fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair, alpn: &[&str]) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a usable certificate");
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

pub(crate) fn tls_to(
    host: &str,
    address: SocketAddr,
    ca_file: Option<PathBuf>,
) -> Arc<Destination> {
    Arc::new(Destination {
        tls: true,
        host: host.to_owned(),
        port: address.port(),
        proxy: None,
        ca_file,
    })
}

/// A server that runs `serve` behind TLS; failed handshakes are left alone.
pub(crate) async fn tls_server<F, Fut>(acceptor: TlsAcceptor, serve: F) -> SocketAddr
where
    F: Fn(TlsStream<TcpStream>, usize) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let serve = Arc::new(serve);
    super::server(move |socket, number| {
        let (acceptor, serve) = (acceptor.clone(), Arc::clone(&serve));
        async move {
            if let Ok(tls) = acceptor.accept(socket).await {
                serve(tls, number).await;
            }
        }
    })
    .await
}
