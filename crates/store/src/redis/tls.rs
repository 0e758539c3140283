//! TLS to the server: whom it is trusted by, and what is wrong with a certificate, in words.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::{CertificateError, ClientConfig, Error, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio_rustls::TlsConnector;

/// Trusts the system's authorities, those of `SSL_CERT_FILE` and `SSL_CERT_DIR`, and those of a file.
pub(super) fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots(ca_file)?)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let shown = path.display();
        let failed = |why: String| format!("`shared.ca_file` {shown} cannot be used: {why}");
        let before = roots.len();
        for one in CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))? {
            let one = one.map_err(|error| failed(error.to_string()))?;
            roots.add(one).map_err(|error| failed(error.to_string()))?;
        }
        if roots.len() == before {
            return Err(failed("it holds no certificate".to_owned()));
        }
    }
    if roots.is_empty() {
        let why = "no certificate authority is installed here; name one in `shared.ca_file` or SSL_CERT_FILE";
        return Err(why.to_owned());
    }
    Ok(roots)
}

/// Why there is no TLS connection, and what to do.
pub(super) fn told(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let why = match inner {
        Some(Error::InvalidCertificate(why)) => why,
        Some(Error::InvalidMessage(_)) => {
            return "what listens there does not speak TLS: write `redis://`, or the port for TLS"
                .to_owned();
        }
        _ => return error.to_string(),
    };
    // An authority made anew under its old name has another key.
    if matches!(why, CertificateError::UnknownIssuer | CertificateError::BadSignature) {
        "its certificate is signed by nobody trusted here: name the authority in `shared.ca_file` or SSL_CERT_FILE"
            .to_owned()
    } else if matches!(why, CertificateError::Expired | CertificateError::ExpiredContext { .. }) {
        "its certificate has expired: renew it, or correct this machine's clock".to_owned()
    } else if matches!(
        why,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
    ) {
        "its certificate is for another name: write the name that is in it, or have one made for this one"
            .to_owned()
    } else {
        format!("its certificate is not accepted: {why}")
    }
}
