//! Whom TLS trusts: the system's certificate authorities, those of `SSL_CERT_FILE` and
//! `SSL_CERT_DIR`, and a destination's own file. Loaded when first used, kept for good.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainstay_core::classify::TransportFault;
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::hitch::Hitch;
use super::socket::Tcp;
use super::witness::Witness;

/// TLS sessions remembered for a quicker second handshake, per set of authorities.
const SESSIONS_MAX: usize = 256;

/// The authorities of all destinations. Clones share what is loaded, so that each worker's
/// transport need not read the system's store again.
#[derive(Clone, Default)]
pub struct Trust(Arc<Mutex<Vec<Known>>>);

/// What came of loading the authorities for one `ca_file`.
struct Known {
    ca_file: Option<PathBuf>,
    config: Option<Arc<ClientConfig>>,
}

/// Why no TLS connection can be made.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Neither the system nor the environment names an authority, and no file is configured.
    #[error(
        "no certificate authority found: the system's store is empty or missing{}; install the \
         ca-certificates package, or point SSL_CERT_FILE or the provider's ca_file to a PEM file",
        detail(.0)
    )]
    NoAuthorities(Vec<String>),
    /// The configured file cannot be read.
    #[error("ca_file {path} cannot be used: {reason}; it must be a readable PEM file", path = .0.display(), reason = .1)]
    CaFile(PathBuf, String),
    /// The configured file holds no certificate.
    #[error("ca_file {path} holds no certificate; it must hold one PEM CERTIFICATE at least", path = .0.display())]
    CaFileEmpty(PathBuf),
    /// The cryptography refuses its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

impl Trust {
    /// Loads the authorities unless they are loaded; says what is wrong with them.
    ///
    /// Reads files: from async code, use a blocking thread. Transports load by themselves when
    /// first needed; calling this at start finds faults early.
    ///
    /// # Errors
    ///
    /// [`TrustError`], to be shown to whoever set this machine up. Nothing is remembered of it, so
    /// a repaired store is found by the next use.
    pub fn load(&self, ca_file: Option<&Path>) -> Result<(), TrustError> {
        self.config(ca_file).map(|_| ())
    }

    fn config(&self, ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TrustError> {
        if let Some(config) = self.loaded(ca_file) {
            return Ok(config);
        }
        let built = build(ca_file);
        let config = built.as_ref().ok().cloned();
        let mut all = self.lock();
        match all.iter_mut().find(|known| known.ca_file.as_deref() == ca_file) {
            Some(known) => known.config = config.or_else(|| known.config.take()),
            None => all.push(Known { ca_file: ca_file.map(Path::to_owned), config }),
        }
        built
    }

    fn loaded(&self, ca_file: Option<&Path>) -> Option<Arc<ClientConfig>> {
        let all = self.lock();
        all.iter().find(|known| known.ca_file.as_deref() == ca_file)?.config.clone()
    }

    /// Whether loading these authorities has been tried before.
    fn is_tried(&self, ca_file: Option<&Path>) -> bool {
        self.lock().iter().any(|known| known.ca_file.as_deref() == ca_file)
    }

    /// The settings for a connection, loaded on a blocking thread; the first failure is logged.
    async fn settings(&self, ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TransportFault> {
        if let Some(config) = self.loaded(ca_file) {
            return Ok(config);
        }
        let first = !self.is_tried(ca_file);
        let (trust, file) = (self.clone(), ca_file.map(Path::to_owned));
        let loading = tokio::task::spawn_blocking(move || trust.config(file.as_deref()));
        match loading.await {
            Ok(Ok(config)) => Ok(config),
            Ok(Err(error)) => {
                if first {
                    tracing::error!(%error, "no TLS connection can be made");
                }
                Err(TransportFault::TlsUntrusted)
            }
            Err(_) => Err(TransportFault::TlsOther),
        }
    }

    /// TLS over an open connection; the certificate must be for `host`.
    pub(super) async fn connect(
        &self,
        host: &str,
        ca_file: Option<&Path>,
        tcp: Tcp,
    ) -> Result<TlsStream<Tcp>, TransportFault> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TransportFault::BadAddress)?;
        let config = self.settings(ca_file).await?;
        let connected = TlsConnector::from(config).connect(name, tcp).await;
        connected.map_err(|error| fault_of_tls(&error))
    }

    /// As [`Trust::connect`], keeping what the other end shows; trusted or not, by the same judgement.
    pub(super) async fn look(
        &self,
        host: &str,
        ca_file: Option<&Path>,
        tcp: Tcp,
    ) -> (Vec<CertificateDer<'static>>, Result<TlsStream<Tcp>, Hitch>) {
        let Ok(name) = ServerName::try_from(host.to_owned()) else {
            return (Vec::new(), Err(Hitch::new(TransportFault::BadAddress, "no name for TLS")));
        };
        let file = ca_file.map(Path::to_owned);
        let building = tokio::task::spawn_blocking(move || watching(file.as_deref())).await;
        let (config, seen) = match building {
            Ok(Ok(built)) => built,
            Ok(Err(error)) => {
                return (Vec::new(), Err(Hitch::new(TransportFault::TlsUntrusted, error)));
            }
            Err(error) => return (Vec::new(), Err(Hitch::new(TransportFault::TlsOther, error))),
        };
        let connected = TlsConnector::from(config).connect(name, tcp).await;
        let hitch = |error: io::Error| Hitch::new(fault_of_tls(&error), error);
        (seen.take(), connected.map_err(hitch))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trust({} loaded)", self.lock().len())
    }
}

/// Whether the other end chose HTTP/2.
pub(super) fn is_h2(stream: &TlsStream<Tcp>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}

fn build(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TrustError::Setup)?
        .with_root_certificates(roots(ca_file)?)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
    Ok(Arc::new(config))
}

/// The settings of a connection whose certificates are kept to be shown.
fn watching(ca_file: Option<&Path>) -> Result<(Arc<ClientConfig>, Arc<Witness>), TrustError> {
    let mut config = ClientConfig::clone(&*build(ca_file)?);
    let witness = Arc::new(Witness::new(roots(ca_file)?)?);
    let verifier = Arc::clone(&witness) as Arc<dyn ServerCertVerifier>;
    config.dangerous().set_certificate_verifier(verifier);
    Ok((Arc::new(config), witness))
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = ca_file {
        add_file(&mut roots, path)?;
    }
    if roots.is_empty() {
        let errors = system.errors.iter().map(ToString::to_string).collect();
        return Err(TrustError::NoAuthorities(errors));
    }
    Ok(roots)
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), TrustError> {
    let failed = |reason: String| TrustError::CaFile(path.to_owned(), reason);
    let mut added = 0;
    for one in CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))? {
        let one = one.map_err(|error| failed(error.to_string()))?;
        roots.add(one).map_err(|error| failed(error.to_string()))?;
        added += 1;
    }
    if added == 0 { Err(TrustError::CaFileEmpty(path.to_owned())) } else { Ok(()) }
}

fn fault_of_tls(error: &io::Error) -> TransportFault {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_)) => TransportFault::TlsUntrusted,
        Some(rustls::Error::InvalidMessage(_)) => TransportFault::TlsNotSpoken,
        _ => TransportFault::TlsOther,
    }
}

fn detail(errors: &[String]) -> String {
    errors.first().map(|error| format!(" ({error})")).unwrap_or_default()
}
