//! TLS for outgoing connections: rustls with ring, and the machine's own root certificates.
//!
//! Output: a client configuration that speaks HTTP/1.1 only, which a WebSocket needs. On failure an error that names
//! the broken certificate store.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    #[error("this machine's root certificates can't be read, repair the store or point SSL_CERT_FILE at one: {0}")]
    RootCertificates(String),
    #[error("tls can't be set up: {0}")]
    Protocol(String),
}

/// A store in which something is broken is refused here with a reason: awc reads the same store again and panics on it.
pub(crate) fn client_config() -> Result<Arc<ClientConfig>, TlsError> {
    let loaded = rustls_native_certs::load_native_certs();
    if let Some(error) = loaded.errors.first() {
        return Err(TlsError::RootCertificates(error.to_string()));
    }
    let mut roots = RootCertStore::empty();
    for certificate in loaded.certs {
        roots.add(certificate).map_err(|error| TlsError::RootCertificates(error.to_string()))?;
    }
    let provider = install_provider();
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Protocol(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// awc's connector takes the process's default provider, and panics without one.
fn install_provider() -> Arc<CryptoProvider> {
    // Refused when one is installed already, which serves as well.
    let _ = ring::default_provider().install_default();
    Arc::new(ring::default_provider())
}
