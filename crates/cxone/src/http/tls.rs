//! TLS for outgoing connections: rustls with ring, and the machine's own root certificates.
//!
//! Output: a client configuration that speaks HTTP/1.1 only, which a WebSocket needs. The certificates are read once in a
//! process and shared by all clients. One that can't be read is left out, as everywhere else on the machine; on failure an
//! error that says what was wrong with them all.

use std::sync::{Arc, LazyLock};

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::{CertificateResult, load_native_certs};

use super::ClientError;

static CONFIG: LazyLock<Result<Arc<ClientConfig>, ClientError>> = LazyLock::new(|| {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Tls(error.to_string()))?
        .with_root_certificates(usable(load_native_certs())?)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
});

/// How every client of the service speaks TLS, whomever it calls.
pub fn client_config() -> Result<Arc<ClientConfig>, ClientError> {
    CONFIG.clone()
}

/// A machine that has none at all is no failure: without TLS it needs none.
fn usable(found: CertificateResult) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    let (_, num_unusable) = roots.add_parsable_certificates(found.certs);
    if !roots.is_empty() {
        return Ok(roots);
    }
    match found.errors.first() {
        Some(error) => Err(ClientError::RootCertificates(error.to_string())),
        None if num_unusable > 0 => Err(ClientError::RootCertificates(format!("{num_unusable} are no certificates"))),
        None => Ok(roots),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rustls::pki_types::CertificateDer;
    use rustls_native_certs::load_certs_from_paths;

    use super::*;

    fn found(certificates: Vec<CertificateDer<'static>>) -> CertificateResult {
        // A directory that is not there is an error of the store.
        let mut found = load_certs_from_paths(None, Some("/no/such/store".as_ref()));
        found.certs = certificates;
        found
    }

    #[test]
    fn what_can_be_read_of_a_broken_store_is_used() {
        let good = rcgen::generate_simple_self_signed(["host".to_owned()]).unwrap().cert.der().clone();
        let broken = CertificateDer::from(b"no certificate".to_vec());
        let found = found(vec![broken, good]);
        assert_eq!(found.errors.len(), 1);
        assert_eq!(usable(found).unwrap().len(), 1);
    }

    #[test]
    fn a_store_of_which_nothing_can_be_read_is_refused_with_the_reason() {
        let reason = usable(found(Vec::new())).unwrap_err().to_string();
        assert!(reason.contains("/no/such/store") && reason.contains("SSL_CERT_FILE"), "{reason}");
        let mut broken = CertificateResult::default();
        broken.certs.push(CertificateDer::from(b"no certificate".to_vec()));
        assert!(usable(broken).is_err());
        assert!(usable(CertificateResult::default()).is_ok(), "nothing there is nothing broken");
    }
}
