//! TLS of a port: a certificate and its key from files, which are taken up again when they change.
//!
//! At the start a file that can't be used is an error that names it. Later the old pair stays in use, with a warning in the
//! log, until the new one can be read: a certificate and its key are rarely replaced in the same moment.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::interval;
use x509_parser::parse_x509_certificate;

/// How often it is looked whether the files changed.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Where the certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM, the certificate first and then those that vouch for it.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

/// A certificate that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the certificate {} can't be read: {source}; it must be a PEM file", path.display())]
    Certificate { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("the certificate's key {} can't be read: {source}; it must be a PEM file", path.display())]
    Key { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("the certificate {} and the key {} can't be used together: {source}", files.certificate.display(), files.key.display())]
    Pair { files: TlsFiles, source: rustls::Error },
    #[error("the certificate {} can't be understood: {reason}", path.display())]
    Malformed { path: PathBuf, reason: String },
    #[error("tls can't be set up: {0}")]
    SetUp(#[from] rustls::Error),
}

/// How a port with this certificate speaks TLS; must be called inside a tokio runtime, on which the files are watched for as
/// long as the configuration is in use. `taken` is told until when each pair that comes into use is valid.
pub fn server_config(files: &TlsFiles, taken: impl Fn(Timestamp) + Send + 'static) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let stamp = Stamp::of(files);
    let (pair, expires) = read(files, &provider)?;
    taken(expires);
    let current = Arc::new(Current { pair: ArcSwap::from_pointee(pair) });
    tokio::spawn(watch(Arc::downgrade(&current), files.clone(), stamp, Arc::clone(&provider), taken));
    Ok(ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(current))
}

/// Reads both files as a port would; gives when the certificate that stands first is no longer valid.
pub fn expires_at(files: &TlsFiles) -> Result<Timestamp, TlsError> {
    read(files, &ring::default_provider()).map(|(_, expires)| expires)
}

/// When the first of these is no longer valid.
fn expires(chain: &[CertificateDer<'_>], path: &Path) -> Result<Timestamp, TlsError> {
    let malformed = |reason: String| TlsError::Malformed { path: path.to_owned(), reason };
    let (_, certificate) = chain
        .first()
        .ok_or_else(|| malformed("there is none".to_owned()))
        .and_then(|first| parse_x509_certificate(first).map_err(|error| malformed(error.to_string())))?;
    let second = certificate.validity().not_after.timestamp();
    Timestamp::from_second(second).map_err(|error| malformed(error.to_string()))
}

/// The pair in use.
#[derive(Debug)]
struct Current {
    pair: ArcSwap<CertifiedKey>,
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.pair.load_full())
    }
}

/// How the files were when they were read; nothing for one that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp([Option<(SystemTime, u64)>; 2]);

impl Stamp {
    fn of(files: &TlsFiles) -> Self {
        let of = |path: &Path| {
            let found = path.metadata().ok()?;
            Some((found.modified().ok()?, found.len()))
        };
        Self([of(&files.certificate), of(&files.key)])
    }
}

/// Takes new files up until nobody needs them any more.
async fn watch(
    current: Weak<Current>,
    files: TlsFiles,
    mut in_use: Stamp,
    provider: Arc<CryptoProvider>,
    taken: impl Fn(Timestamp) + Send,
) {
    let (mut looks, mut told) = (interval(LOOK_INTERVAL), None);
    loop {
        looks.tick().await;
        let (asked, provider) = (files.clone(), Arc::clone(&provider));
        let looked = tokio::task::spawn_blocking(move || (Stamp::of(&asked), asked));
        let Ok((stamp, asked)) = looked.await else { return };
        let Some(current) = current.upgrade() else { return };
        if stamp == in_use {
            continue;
        }
        match tokio::task::spawn_blocking(move || read(&asked, &provider)).await {
            Ok(Ok((pair, expires))) => {
                current.pair.store(Arc::new(pair));
                taken(expires);
                (in_use, told) = (stamp, None);
                tracing::info!(certificate = %files.certificate.display(), "a new certificate is in use");
            }
            Ok(Err(error)) if told.as_ref() != Some(&stamp) => {
                tracing::warn!(%error, "the certificate that was in use before stays so");
                told = Some(stamp);
            }
            Ok(Err(_)) | Err(_) => {}
        }
    }
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let error = |source| TlsError::Certificate { path: path.to_owned(), source };
    let chain = found.map_err(error)?;
    if chain.is_empty() {
        return Err(error(rustls::pki_types::pem::Error::NoItemsFound));
    }
    Ok(chain)
}

/// Both files, and when the certificate is no longer valid.
fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<(CertifiedKey, Timestamp), TlsError> {
    let chain = chain(&files.certificate)?;
    let expires = expires(&chain, &files.certificate)?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|source| TlsError::Key { path: files.key.clone(), source })?;
    let pair = CertifiedKey::from_der(chain, key, provider);
    pair.map(|pair| (pair, expires)).map_err(|source| TlsError::Pair { files: files.clone(), source })
}
