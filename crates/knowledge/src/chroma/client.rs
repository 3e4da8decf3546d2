//! One call of Chroma's HTTP API: bounded in time and size, with a typed error.
//!
//! Certificates are checked against this machine's roots, redirects are not followed: the token goes nowhere else.

use std::sync::Arc;
use std::time::Duration;

use cuecard_text::json;
use reqwest::{Client, Method, Response, StatusCode, redirect};
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::{CertificateResult, load_native_certs};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::chroma::error::ChromaError;
use crate::chroma::wire::ErrorBody;

/// A page of an import is 2 MB; documents of a megabyte each still fit.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// From this size on an answer is parsed beside the runtime, where it holds nobody up: a millisecond of work.
const LARGE_ANSWER_BYTES: usize = 128 * 1024;

/// What is shown of an answer that says nothing readable.
const SHOWN_CHARACTERS: usize = 200;

/// Where a collection is.
#[derive(Debug, Clone)]
pub struct ChromaSettings {
    /// `http://host:8000` or `https://…`; a path in front of the API is kept.
    pub url: Url,
    /// `default_tenant` unless the server has several.
    pub tenant: String,
    /// `default_database` unless the tenant has several.
    pub database: String,
    pub collection: String,
    /// Sent as `x-chroma-token`.
    pub token: Option<SecretString>,
    /// What a query may take in all, and a page of an import.
    pub timeout: Duration,
}

pub struct ChromaClient {
    client: Client,
    /// Up to the collections of the database.
    collections: Url,
    token: Option<SecretString>,
    timeout: Duration,
}

/// What can go wrong with a call, the absence of what it names apart.
pub enum CallError {
    NotFound,
    Failed(ChromaError),
}

impl From<ChromaError> for CallError {
    fn from(error: ChromaError) -> Self {
        Self::Failed(error)
    }
}

impl ChromaClient {
    pub fn new(settings: &ChromaSettings) -> Result<Self, ChromaError> {
        let wrong = |what: String| ChromaError::Address { url: settings.url.to_string(), what };
        let mut collections = settings.url.clone();
        if !matches!(collections.scheme(), "http" | "https") {
            return Err(wrong("its scheme must be http or https".to_owned()));
        }
        let parts = ["api", "v2", "tenants", &settings.tenant, "databases", &settings.database, "collections"];
        let mut path = collections.path_segments_mut().map_err(|()| wrong("it can't have a path".to_owned()))?;
        path.pop_if_empty().extend(parts);
        drop(path);
        let client = Client::builder()
            .tls_backend_preconfigured(tls().map_err(wrong)?)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(settings.timeout)
            .build()
            .map_err(|error| wrong(reason(&error)))?;
        Ok(Self { client, collections, token: settings.token.clone(), timeout: settings.timeout })
    }

    /// Without the path, for messages.
    pub fn url(&self) -> String {
        self.collections.origin().ascii_serialization()
    }

    pub async fn get<T: DeserializeOwned + Send + 'static>(&self, path: &[&str]) -> Result<T, CallError> {
        self.call(Method::GET, path, None::<&()>).await
    }

    pub async fn post<T: DeserializeOwned + Send + 'static>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, CallError> {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn call<T: DeserializeOwned + Send + 'static>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&impl Serialize>,
    ) -> Result<T, CallError> {
        let mut url = self.collections.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        let mut request = self.client.request(method, url);
        if let Some(token) = &self.token {
            request = request.header("x-chroma-token", token.expose_secret());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| self.lost(&error))?;
        let status = response.status();
        let bytes = self.body(response).await?;
        self.read(status, bytes).await
    }

    /// The whole body, at most [`MAX_ANSWER_BYTES`].
    async fn body(&self, mut response: Response) -> Result<Vec<u8>, ChromaError> {
        let mut bytes = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| self.lost(&error))? {
            if bytes.len() + part.len() > MAX_ANSWER_BYTES {
                return Err(self.unreadable(format!("more than {MAX_ANSWER_BYTES} bytes")));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }

    async fn read<T: DeserializeOwned + Send + 'static>(
        &self,
        status: StatusCode,
        bytes: Vec<u8>,
    ) -> Result<T, CallError> {
        match status {
            StatusCode::NOT_FOUND => Err(CallError::NotFound),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(ChromaError::Refused { url: self.url(), status: status.as_u16() }.into())
            }
            status if status.is_success() => parsed(bytes).await.map_err(|what| self.unreadable(what).into()),
            status => {
                let detail = detail(&bytes);
                Err(ChromaError::Answer { url: self.url(), status: status.as_u16(), detail }.into())
            }
        }
    }

    pub fn unreadable(&self, what: String) -> ChromaError {
        ChromaError::Unreadable { url: self.url(), what }
    }

    fn lost(&self, error: &reqwest::Error) -> ChromaError {
        if error.is_timeout() {
            return ChromaError::TimedOut { url: self.url(), after: self.timeout };
        }
        ChromaError::Unreachable { url: self.url(), what: reason(error) }
    }
}

async fn parsed<T: DeserializeOwned + Send + 'static>(bytes: Vec<u8>) -> Result<T, String> {
    let is_large = bytes.len() >= LARGE_ANSWER_BYTES;
    let parse = move || json::parse_object(&bytes).map(|parsed| parsed.value).map_err(|error| error.to_string());
    if !is_large {
        return parse();
    }
    tokio::task::spawn_blocking(parse).await.map_err(|error| error.to_string())?
}

fn detail(bytes: &[u8]) -> String {
    match serde_json::from_slice(bytes) {
        Ok(ErrorBody { message }) => message,
        Err(_) => String::from_utf8_lossy(bytes).chars().take(SHOWN_CHARACTERS).collect(),
    }
}

/// The innermost cause: the outer ones only repeat the address.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn tls() -> Result<ClientConfig, String> {
    let roots = usable(load_native_certs())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// What can be read of this machine's store. One of which nothing can be read is no store: every certificate would be called
/// unknown, and nobody told why. A machine that has none at all may need none.
fn usable(found: CertificateResult) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let (_, num_unusable) = roots.add_parsable_certificates(found.certs);
    let why = found.errors.first().map(ToString::to_string);
    let why = why.or_else(|| (num_unusable > 0).then(|| format!("{num_unusable} are no certificates")));
    match why.filter(|_| roots.is_empty()) {
        Some(why) => Err(format!(
            "none of this machine's root certificates can be read, repair them or point SSL_CERT_FILE at others: {why}"
        )),
        None => Ok(roots),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rustls::pki_types::CertificateDer;
    use rustls_native_certs::load_certs_from_paths;

    use super::*;

    #[test]
    fn a_store_of_which_nothing_can_be_read_is_refused_with_the_reason() {
        // A directory that is not there is an error of the store.
        let reason = usable(load_certs_from_paths(None, Some("/no/such/store".as_ref()))).unwrap_err();
        assert!(reason.contains("/no/such/store") && reason.contains("SSL_CERT_FILE"), "{reason}");
        let mut broken = CertificateResult::default();
        broken.certs.push(CertificateDer::from(b"no certificate".to_vec()));
        assert!(usable(broken).is_err());
        assert!(usable(CertificateResult::default()).is_ok(), "nothing there is nothing broken");
    }
}
